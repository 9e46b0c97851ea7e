"""What the methods of a string do."""

import base64
import binascii
import json
import re
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from local_azure.gateway.expressions.bounds import MAX_STRING, EvaluationError, bounded, too_long
from local_azure.gateway.expressions.dates import format_date
from local_azure.gateway.expressions.json_values import JValue
from local_azure.gateway.expressions.values import Guid, Jwt, int32, to_string


def folded(text: str, comparison: str) -> str:
    """Return text as a comparison sees it."""
    return text.lower() if "IgnoreCase" in comparison else text


def equals(text: str, other: object, comparison: str = "Ordinal") -> bool:
    """Do `text.Equals(other, comparison)`."""
    return isinstance(other, str) and folded(text, comparison) == folded(other, comparison)


def contains(text: str, part: str, comparison: str = "Ordinal") -> bool:
    """Do `text.Contains(part, comparison)`."""
    return folded(part, comparison) in folded(text, comparison)


def starts(text: str, part: str, comparison: str = "Ordinal") -> bool:
    """Do `text.StartsWith(part, comparison)`."""
    return folded(text, comparison).startswith(folded(part, comparison))


def ends(text: str, part: str, comparison: str = "Ordinal") -> bool:
    """Do `text.EndsWith(part, comparison)`."""
    return folded(text, comparison).endswith(folded(part, comparison))


def index_of(text: str, part: str, start: int = 0, comparison: str = "Ordinal") -> int:
    """Do `text.IndexOf(part, start)`."""
    if not 0 <= start <= len(text):
        raise EvaluationError("Index was out of range. (Parameter 'startIndex')")
    return folded(text, comparison).find(folded(part, comparison), start)


def substring(text: str, start: int, length: int | None = None) -> str:
    """Do `text.Substring(start, length)`."""
    end = len(text) if length is None else start + length
    if not 0 <= start <= end <= len(text):
        raise EvaluationError("Index and length must refer to a location within the string.")
    return text[start:end]


def remove(text: str, start: int, count: int | None = None) -> str:
    """Do `text.Remove(start, count)`."""
    removed = substring(text, start, count)
    return text[:start] + text[start + len(removed) :]


def replace(text: str, old: str, new: str | None) -> str:
    """Do `text.Replace(old, new)`."""
    if not old:
        raise EvaluationError("String cannot be of zero length. (Parameter 'oldValue')")
    if len(text) + text.count(old) * len(new or "") > MAX_STRING:
        raise too_long()
    return text.replace(old, new or "")


def split(text: str, at: Sequence[str], options: str = "None", count: int = 0) -> list[str]:
    """Do `text.Split(separators, options)`."""
    separators = [each for each in ([at] if isinstance(at, str) else at) if each]
    if separators:
        pattern = "|".join(map(re.escape, separators))
        parts = re.split(pattern, text, maxsplit=max(count - 1, 0))
    else:
        parts = [text]
    return [part for part in parts if part] if options == "RemoveEmptyEntries" else parts


def split_into(text: str, at: Sequence[str], count: int, options: str = "None") -> list[str]:
    """Do `text.Split(separators, count, options)`."""
    return split(text, at, options, count)


def pad(text: str, width: int, fill: str, *, left: bool) -> str:
    """Do `text.PadLeft(width, fill)` and `PadRight`."""
    if not 0 <= width <= MAX_STRING:
        raise too_long()
    if len(fill) != 1:
        raise EvaluationError("String must be exactly one character long.")
    return text.rjust(width, fill) if left else text.ljust(width, fill)


def insert(text: str, start: int, part: str) -> str:
    """Do `text.Insert(start, part)`."""
    return bounded(substring(text, 0, start) + part + text[start:])


def join(separator: str, values: Sequence[Any]) -> str:
    """Do `string.Join(separator, values)`."""
    return bounded(separator.join(map(to_string, values)))


_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([0-9]{1,3})(?:,(-?[0-9]{1,4}))?(?::([^{}]*))?\}")


def string_format(form: str, *values: Any) -> str:
    """Do `string.Format(form, values)`."""

    def fill(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        if int(match[1]) >= len(values):
            raise EvaluationError(
                "Index (zero based) must be greater than or equal to zero and less than the size"
                " of the argument list."
            )
        text = format_value(values[int(match[1])], match[3] or "")
        width = int(match[2] or 0)
        return text.rjust(width) if width >= 0 else text.ljust(-width)

    return bounded(_PLACEHOLDER.sub(fill, form))


_NUMBER_FORMAT = re.compile(r"([DdFfNnXx])([0-9]{0,2})|(0+)(?:\.(0+))?")


def format_value(value: Any, form: str) -> str:
    """Write a value by a .NET format. Raises EvaluationError for one that is not known here."""
    if isinstance(value, JValue):
        value = value.value
    if not form:
        return to_string(value)
    if isinstance(value, datetime):
        return format_date(value, form)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        match = _NUMBER_FORMAT.fullmatch(form)
        if match:
            return _format_number(value, match)
    elif isinstance(value, Guid) and form in "DN":
        return str(value) if form == "D" else value.replace("-", "")
    raise EvaluationError(f"The local Azure does not know the format '{form}' here.")


def _format_number(value: float, match: re.Match[str]) -> str:
    letter, digits, whole, fraction = match.groups()
    if letter is None:
        width = len(whole) + (1 + len(fraction) if fraction else 0)
        return f"{value:0{width}.{len(fraction or '')}f}"
    match letter.upper():
        case "F":
            return f"{value:.{digits or 2}f}"
        case "N":
            return f"{value:,.{digits or 2}f}"
        case "D" if isinstance(value, int):
            return f"{value:0{int(digits or 1) + (value < 0)}d}"
        case "X" if isinstance(value, int):
            text = f"{value & 0xFFFFFFFF:0{digits or 1}x}"
            return text.upper() if letter == "X" else text
    raise EvaluationError("Format specifier was invalid.")


def as_jwt(text: str | None) -> Jwt | None:
    """Read a token's claims without a look at its signature, as `AsJwt()` does."""
    parts = (text or "").removeprefix("Bearer ").split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    return Jwt(claims) if isinstance(claims, dict) else None


def as_basic(text: str | None) -> tuple[str, str] | None:
    """Do `text.AsBasic()`: user and password."""
    scheme, _, encoded = (text or "").partition(" ")
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (user, password) if scheme == "Basic" and colon else None


def from_base64(text: str) -> bytes:
    """Do `Convert.FromBase64String(text)`."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise EvaluationError(
            "The input is not a valid Base-64 string as it contains a non-base 64 character, more"
            " than two padding characters, or an illegal character among the padding characters."
        ) from None


def hash_code(value: object) -> int:
    """Do `value.GetHashCode()`: as good as any, the same each time."""
    return int32(zlib.crc32(to_string(value).encode(errors="replace")))


def repeated(character: str, count: int) -> str:
    """Do `new string(character, count)`."""
    if not 0 <= count <= MAX_STRING:
        raise too_long()
    return character * count
