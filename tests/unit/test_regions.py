import re

import pytest

from components.regions import DISPLAY_NAMES, Locations, display_name, normalise


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("uksouth", "UK South"),
        ("eastus", "East US"),
        ("norwayeast", "Norway East"),
        ("eastus2", "East US 2"),
        ("uaenorth", "UAE North"),
        ("westcentralus", "West Central US"),
    ],
)
def test_a_location_is_shown_as_azure_shows_it(location, name):
    assert display_name(location) == name


@pytest.mark.parametrize("location", ["uksouth", "UKSouth", "UK South", " uk south "])
def test_every_way_to_write_a_location_is_the_same_location(location):
    assert normalise(location) == "uksouth"
    assert display_name(location) == "UK South"
    assert Locations().fault(location) == ""


def test_a_location_that_nobody_knows_is_shown_as_given():
    assert display_name("atlantissouth") == "atlantissouth"


def test_every_name_in_the_table_is_one():
    assert len(DISPLAY_NAMES) == 59
    for location, name in DISPLAY_NAMES.items():
        assert re.fullmatch(r"[a-z]+[0-9]?", location)
        assert re.fullmatch(r"[A-Z][A-Za-z]*( [A-Z0-9][A-Za-z0-9]*)+", name)


def test_newer_locations_are_listed_once_and_only_when_one_is_asked_for():
    def listed():
        asked.append(1)
        return {"atlantissouth": "Atlantis South"}

    asked: list[int] = []
    known = Locations(listed)
    assert known.display_name("uksouth") == "UK South"
    assert asked == []
    assert known.display_name("Atlantis South") == "Atlantis South"
    assert known.fault("atlantissouth") == ""
    assert "did you mean atlantissouth?" in known.fault("atlantsouth")
    assert asked == [1]
