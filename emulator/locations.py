"""The locations of the local Azure, as a subscription lists them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from components import regions

normalise = regions.normalise

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
        self._names = {**regions.DISPLAY_NAMES, **(added or {})}

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
