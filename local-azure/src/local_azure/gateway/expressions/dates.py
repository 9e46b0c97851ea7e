"""Dates and times as .NET writes and reads them; all of them UTC."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from local_azure.gateway.expressions.bounds import EvaluationError


class DateTimeOffset(datetime):
    """A point in time with its offset; a plain `datetime` is a `DateTime`."""


_STANDARD_FORMATS: Final = {
    "d": "M/d/yyyy",
    "D": "dddd, MMMM d, yyyy",
    "g": "M/d/yyyy h:mm tt",
    "G": "M/d/yyyy h:mm:ss tt",
    "o": "yyyy-MM-ddTHH:mm:ss.fffffffK",
    "r": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
    "s": "yyyy-MM-ddTHH:mm:ss",
    "t": "h:mm tt",
    "T": "h:mm:ss tt",
    "u": "yyyy-MM-dd HH:mm:ss'Z'",
}


_PART = re.compile(
    r"'[^']*'|\"[^\"]*\"|\\.|d{1,4}|M{1,4}|y{1,4}|H{1,2}|h{1,2}|m{1,2}|s{1,2}"
    r"|f{1,7}|F{1,7}|t{1,2}|z{1,3}|K"
)


_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def format_date(moment: datetime, form: str) -> str:
    """Write a date by a .NET format, in the invariant culture's words.

    .NET's documentation: "Standard" and "Custom date and time format strings".
    """
    if len(form) == 1:
        known = _STANDARD_FORMATS.get(form) or _STANDARD_FORMATS.get(form.lower())
        if known is None:
            raise EvaluationError("Input string was not in a correct format.")
        form = known

    def part(match: re.Match[str]) -> str:
        text = match[0]
        return text[1:-1] if text[0] in "'\"" else _date_part(moment, text)

    return _PART.sub(part, form)


def _date_part(moment: datetime, text: str) -> str:
    if text[0] == "\\":
        return text[1]
    zulu = not isinstance(moment, DateTimeOffset)
    numbers = {
        "d": moment.day,
        "M": moment.month,
        "H": moment.hour,
        "h": moment.hour % 12 or 12,
        "m": moment.minute,
        "s": moment.second,
    }
    match text[0], len(text):
        case "d", 3 | 4 as length:
            return _DAYS[moment.weekday()][: 3 if length == 3 else None]
        case "M", 3 | 4 as length:
            return _MONTHS[moment.month - 1][: 3 if length == 3 else None]
        case "y", length:
            return f"{moment.year:04d}"[-length if length < 3 else 0 :]
        case "f" | "F", length:
            digits = f"{moment.microsecond:06d}0"[:length]
            return digits.rstrip("0") if text[0] == "F" else digits
        case "t", length:
            return ("AM" if moment.hour < 12 else "PM")[:length]
        case "K", _:
            return "Z" if zulu else "+00:00"
        case "z", length:
            return {1: "+0", 2: "+00", 3: "+00:00"}[length]
    return str(numbers[text[0]]).zfill(len(text))


def iso(moment: datetime) -> str:
    """Write a date as JSON has it."""
    text = (
        moment.strftime("%Y-%m-%dT%H:%M:%S")
        if moment.year >= 1000
        else (f"{moment.year:04d}" + moment.isoformat()[4:19])
    )
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    unset = moment.replace(tzinfo=None) == datetime.min  # noqa: DTZ901 - `DateTime.MinValue`
    zone = "+00:00" if isinstance(moment, DateTimeOffset) else ("" if unset else "Z")
    return text + fraction + zone


def parse_date(text: str) -> datetime:
    """Read a date in ISO 8601 or RFC 9110's form; all times are UTC. Raises EvaluationError."""
    for read in (datetime.fromisoformat, _parse_http_date):
        try:
            moment = read(text.strip())
        except (ValueError, OverflowError):
            continue
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    raise EvaluationError(f"String '{text[:100]}' was not recognized as a valid DateTime.")


def _parse_http_date(text: str) -> datetime:
    return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)


def later(moment: datetime, change: timedelta) -> datetime:
    """Return a moment that is `change` away. Raises EvaluationError outside of the calendar."""
    try:
        return moment + change
    except OverflowError:
        raise EvaluationError(
            "The added or subtracted value results in an un-representable DateTime."
        ) from None


def span(amount: float, unit: str) -> timedelta:
    """Return so many `unit` (timedelta's words). Raises EvaluationError for too many."""
    try:
        return timedelta(**{unit: amount})
    except (OverflowError, ValueError):
        raise EvaluationError("TimeSpan overflowed because the duration is too long.") from None


def ticks(moment: datetime) -> int:
    """Return the hundreds of nanoseconds since the year 1."""
    since = moment - datetime(1, 1, 1, tzinfo=UTC)
    return (since // timedelta(microseconds=1)) * 10


def unix(moment: datetime, unit: timedelta) -> int:
    """Return how many of a unit a moment is after 1970."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // unit


def epoch(amount: int, unit: str) -> datetime:
    """Return the moment so many of a unit after 1970."""
    return later(datetime(1970, 1, 1, tzinfo=UTC), span(amount, unit))


def offset(moment: datetime) -> DateTimeOffset:
    """Return a moment as a DateTimeOffset."""
    return DateTimeOffset.fromtimestamp(0, UTC) + (moment - datetime(1970, 1, 1, tzinfo=UTC))


FIRST_MOMENT: Final = datetime(1, 1, 1, tzinfo=UTC)


LAST_MOMENT: Final = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


def new_date(  # noqa: PLR0917 - the order is .NET's
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0
) -> datetime:
    """Do `new DateTime(year, month, day, ...)`. Raises EvaluationError."""
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise EvaluationError(
            "Year, Month, and Day parameters describe an un-representable DateTime."
        ) from None
