"""Azure locations and the display names that `x-ms-region` and the portal show for them."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import Final

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


def of_subscription() -> Mapping[str, str]:
    """List the locations of the subscription that azure-native deploys to; see `Locations`."""
    from pulumi_azure_native import authorization  # noqa: PLC0415 - most stacks need no list

    from components.resource_manager import ResourceManager  # noqa: PLC0415

    azure = ResourceManager(lambda: authorization.get_client_token().token)
    try:
        return azure.locations(authorization.get_client_config().subscription_id)
    except Exception as error:  # noqa: BLE001 - what the SDK raises is of no narrower type
        raise UnlistedError(" ".join(str(error).split())) from None


def display_name(location: str) -> str:
    """Name a location as Azure displays it; one newer than the table is shown as given."""
    return Locations().display_name(location)
