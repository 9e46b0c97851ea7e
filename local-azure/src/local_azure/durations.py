"""Durations, as text in one of the forms that Azure, HTTP and Pulumi write, in seconds.

By hand: the libraries that read ISO 8601 also take signs, `PT` alone, dates in place of durations
and what overflows, none of which Resource Manager takes.
"""

import re
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final

ISO_8601: Final = re.compile(
    r"P(?=\d|T)(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.ASCII
)
"""`PT1M`, `P1DT12H`; years and months have no fixed length, and are not read."""

_GO: Final = re.compile(
    r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", re.ASCII
)


def iso_8601(text: str) -> float:
    """Read a duration as Azure writes it. Raises ValueError."""
    return _seconds(ISO_8601, text, "an ISO 8601 duration such as PT1M")


def of_pulumi(text: str) -> float:
    """Read a duration as Pulumi's custom timeouts have it (`1h30m`). Raises ValueError."""
    return _seconds(_GO, text, "a duration such as 10m or 1h30m")


def retry_after(value: str | None, *, now: Callable[[], float] = time.time) -> float | None:
    """Read a `Retry-After` header (RFC 9110: seconds or a date); None when there is none to read.

    `now` gives seconds since the epoch.
    """
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        # Nobody means years, and a float holds no number of 400 digits.
        return float(value) if len(value) < 10 else None
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now())
    except (ValueError, OverflowError):
        return None


def _seconds(form: re.Pattern[str], text: str, meant: str) -> float:
    match = form.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not {meant}")
    units = (86_400, 3_600, 60, 1)[-form.groups :]
    return sum(
        float(number or 0) * unit for number, unit in zip(match.groups(), units, strict=True)
    )
