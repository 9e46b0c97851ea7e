"""The locations of the local Azure, as a subscription lists them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

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


_PUBLIC: Final = {normalise(name): name.strip() for name in _DISPLAY_NAMES.split(",")}

# The group that the portal shows a location in, by what its name holds; the first that fits.
# Source: the answer of Subscriptions - List Locations, `regionalDisplayName`.
_GROUPS: Final = (
    (re.compile(r"us\d?$"), "US"),
    (re.compile(r"^canada"), "Canada"),
    (re.compile(r"^mexico"), "Mexico"),
    (re.compile(r"^(brazil|chile)"), "South America"),
    (re.compile(r"^(uae|qatar|israel)"), "Middle East"),
    (re.compile(r"^southafrica"), "Africa"),
    (
        re.compile(r"asia|^(australia|indonesia|jioindia|japan|korea|newzealand)|india$"),
        "Asia Pacific",
    ),
)
_ELSE: Final = "Europe"


class Locations:
    """Azure's public locations, and those that are `added`: names to display names."""

    def __init__(self, added: Mapping[str, str] | None = None) -> None:
        self._names = {**_PUBLIC, **(added or {})}

    def __iter__(self) -> Iterator[str]:
        """Yield the names, sorted."""
        return iter(sorted(self._names))

    def __contains__(self, location: str) -> bool:
        return location in self._names

    def display_name(self, location: str) -> str:
        """Name a location as Azure displays it; one that is not known is shown as given."""
        return self._names.get(normalise(location), location)

    def described(self, location: str, subscription_id: str) -> Mapping[str, Any]:
        """Return what a list of locations says of one."""
        title = self._names[location]
        group = next((group for form, group in _GROUPS if form.search(location)), _ELSE)
        return {
            "id": f"/subscriptions/{subscription_id}/locations/{location}",
            "name": location,
            "type": "Region",
            "displayName": title,
            "regionalDisplayName": f"({group}) {title}",
            "metadata": {
                "regionType": "Physical",
                "regionCategory": "Recommended",
                "geographyGroup": group,
            },
        }


PUBLIC: Final = Locations()
