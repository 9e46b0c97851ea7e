import re

import pytest
from pulumi_azure_native import authorization

from components import regions
from components.regions import DISPLAY_NAMES, Locations, display_name, normalise
from components.resource_manager import ResourceManager, ResourceManagerError


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


@pytest.fixture
def subscription(monkeypatch):
    """Answer as azure-native and Resource Manager do; what was asked is kept."""

    class Answer:
        token, subscription_id = "the token", "f"

        def __init__(self, opts):
            assert opts.parent is None

    def locations(azure, subscription_id):
        asked.append((azure._token(), subscription_id))
        return {"atlantissouth": "Atlantis South"}

    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(authorization, "get_client_token", Answer)
    monkeypatch.setattr(authorization, "get_client_config", Answer)
    monkeypatch.setattr(ResourceManager, "locations", locations)
    return asked


def test_the_list_is_that_of_the_subscription_deployed_to_read_by_who_deploys(subscription):
    known = Locations(regions.of_subscription)
    assert known.display_name("uksouth") == "UK South"
    assert subscription == []
    assert known.display_name("Atlantis South") == "Atlantis South"
    assert known.fault("atlantissouth") == ""
    assert "did you mean atlantissouth?" in known.fault("atlantsouth")
    assert subscription == [("the token", "f")]


def test_a_list_that_cannot_be_had_is_a_reason_in_one_line(subscription, monkeypatch):
    def refuse(opts):
        raise RuntimeError("invoke failed:\n  sign in with `az login`")

    monkeypatch.setattr(authorization, "get_client_config", refuse)
    with pytest.raises(ResourceManagerError, match=r"^invoke failed: sign in with `az login`$"):
        regions.of_subscription()
