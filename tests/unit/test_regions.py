import re

import pytest

from components.regions import DISPLAY_NAMES, display_name, normalise


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


def test_a_location_newer_than_the_table_is_shown_as_given():
    assert display_name("atlantissouth") == "atlantissouth"


def test_every_name_in_the_table_is_that_of_its_location():
    for location, name in DISPLAY_NAMES.items():
        assert normalise(name) == location
        assert re.fullmatch(r"[A-Z][A-Za-z]*( [A-Z0-9][A-Za-z0-9]*)+", name)
