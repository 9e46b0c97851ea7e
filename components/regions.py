"""Azure locations and the display names that `x-ms-region` and the portal show for them."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import Final

# Azure documentation, "List of Azure regions"; the public cloud only.
DISPLAY_NAMES: Final[dict[str, str]] = {
    "australiacentral": "Australia Central",
    "australiacentral2": "Australia Central 2",
    "australiaeast": "Australia East",
    "australiasoutheast": "Australia Southeast",
    "austriaeast": "Austria East",
    "belgiumcentral": "Belgium Central",
    "brazilsouth": "Brazil South",
    "brazilsoutheast": "Brazil Southeast",
    "canadacentral": "Canada Central",
    "canadaeast": "Canada East",
    "centralindia": "Central India",
    "centralus": "Central US",
    "chilecentral": "Chile Central",
    "denmarkeast": "Denmark East",
    "eastasia": "East Asia",
    "eastus": "East US",
    "eastus2": "East US 2",
    "francecentral": "France Central",
    "francesouth": "France South",
    "germanynorth": "Germany North",
    "germanywestcentral": "Germany West Central",
    "indonesiacentral": "Indonesia Central",
    "israelcentral": "Israel Central",
    "italynorth": "Italy North",
    "japaneast": "Japan East",
    "japanwest": "Japan West",
    "jioindiacentral": "Jio India Central",
    "jioindiawest": "Jio India West",
    "koreacentral": "Korea Central",
    "koreasouth": "Korea South",
    "malaysiawest": "Malaysia West",
    "mexicocentral": "Mexico Central",
    "newzealandnorth": "New Zealand North",
    "northcentralus": "North Central US",
    "northeurope": "North Europe",
    "norwayeast": "Norway East",
    "norwaywest": "Norway West",
    "polandcentral": "Poland Central",
    "qatarcentral": "Qatar Central",
    "southafricanorth": "South Africa North",
    "southafricawest": "South Africa West",
    "southcentralus": "South Central US",
    "southeastasia": "Southeast Asia",
    "southindia": "South India",
    "spaincentral": "Spain Central",
    "swedencentral": "Sweden Central",
    "swedensouth": "Sweden South",
    "switzerlandnorth": "Switzerland North",
    "switzerlandwest": "Switzerland West",
    "uaecentral": "UAE Central",
    "uaenorth": "UAE North",
    "uksouth": "UK South",
    "ukwest": "UK West",
    "westcentralus": "West Central US",
    "westeurope": "West Europe",
    "westindia": "West India",
    "westus": "West US",
    "westus2": "West US 2",
    "westus3": "West US 3",
}


class UnlistedError(Exception):
    """The subscription's own list of locations cannot be had; the message is the reason."""


class Locations:
    """Azure's locations: those of the table, and newer ones by the subscription's own list.

    `listed` returns that list, display names by name, or raises UnlistedError; it is called once,
    and only for a location that is not in the table.
    """

    def __init__(self, listed: Callable[[], Mapping[str, str]] | None = None) -> None:
        self._listed = listed
        self._reason = ""

    @cached_property
    def _newer(self) -> Mapping[str, str]:
        try:
            return self._listed() if self._listed else {}
        except UnlistedError as error:
            self._reason = f" (the subscription's own list cannot be read: {error})"
            return {}

    def display_name(self, location: str) -> str:
        """Name a location as Azure displays it; one that is not known is shown as given."""
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


def normalise(location: str) -> str:
    """Name a location as Azure stores it: `UK South` and `UKSouth` are both `uksouth`."""
    return "".join(location.split()).lower()


def display_name(location: str) -> str:
    """Name a location as Azure displays it; one newer than the table is shown as given."""
    return Locations().display_name(location)
