"""Azure locations and the display names that `x-ms-region` and the portal show for them."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import Final

from .resource_manager import Deployer, ResourceManagerError

# Azure documentation, "List of Azure regions"; the public cloud only.
_DISPLAY_NAMES: Final = """
Australia Central, Australia Central 2, Australia East, Australia Southeast, Austria East,
Belgium Central, Brazil South, Brazil Southeast, Canada Central, Canada East, Central India,
Central US, Chile Central, Denmark East, East Asia, East US, East US 2, France Central,
France South, Germany North, Germany West Central, Indonesia Central, Israel Central, Italy North,
Japan East, Japan West, Jio India Central, Jio India West, Korea Central, Korea South,
Malaysia West, Mexico Central, New Zealand North, North Central US, North Europe, Norway East,
Norway West, Poland Central, Qatar Central, South Africa North, South Africa West, South Central US,
Southeast Asia, South India, Spain Central, Sweden Central, Sweden South, Switzerland North,
Switzerland West, UAE Central, UAE North, UK South, UK West, West Central US, West Europe,
West India, West US, West US 2, West US 3
"""


def normalise(location: str) -> str:
    """Name a location as Azure stores it: `UK South` and `UKSouth` are both `uksouth`."""
    return "".join(location.split()).lower()


DISPLAY_NAMES: Final = {normalise(name): name.strip() for name in _DISPLAY_NAMES.split(",")}


class Locations:
    """Azure's locations: those of the table, and newer ones by the subscription's own list.

    `listed` returns that list, display names by name, or raises ResourceManagerError; it is called
    once, and only for a location that is not in the table.
    """

    def __init__(self, listed: Callable[[], Mapping[str, str]] | None = None) -> None:
        self._listed = listed
        self._reason = ""

    @cached_property
    def _newer(self) -> Mapping[str, str]:
        try:
            return self._listed() if self._listed else {}
        except ResourceManagerError as error:
            self._reason = f" (the subscription's own list cannot be read: {error})"
            return {}

    def display_name(self, location: str) -> str:
        name = normalise(location)
        return DISPLAY_NAMES.get(name) or self._newer.get(name, location)

    def fault(self, location: str) -> str:
        """Say what is wrong with a location that Azure does not have; empty for one it has."""
        name = normalise(location)
        if name in DISPLAY_NAMES or name in self._newer:
            return ""
        near = get_close_matches(name, [*DISPLAY_NAMES, *self._newer], n=1)
        remedy = f"did you mean {near[0]}?" if near else "`az account list-locations` lists them"
        return f"there is no such Azure location; {remedy}{self._reason}"


def of_subscription(azure: Deployer | None = None) -> Mapping[str, str]:
    """List the locations of the subscription that the program deploys to; see `Locations`."""
    azure = azure or Deployer()
    return azure.locations(azure.subscription)


def display_name(location: str) -> str:
    return Locations().display_name(location)
