"""What an expression may name of a type: constants, static methods, and what can be made."""

import base64
import html
import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from local_azure.gateway.exchange import Url
from local_azure.gateway.expressions.bounds import EvaluationError, bounded
from local_azure.gateway.expressions.dates import (
    FIRST_MOMENT,
    LAST_MOMENT,
    DateTimeOffset,
    epoch,
    new_date,
    offset,
    parse_date,
    span,
)
from local_azure.gateway.expressions.json_values import (
    JArray,
    JObject,
    JProperty,
    JToken,
    new_json_array,
    new_object,
    of_kind,
    parse_json,
    parse_json_as,
    put_child,
    token,
)
from local_azure.gateway.expressions.members import add, add_to_set, put
from local_azure.gateway.expressions.queries import elements
from local_azure.gateway.expressions.text import (
    equals,
    folded,
    from_base64,
    join,
    repeated,
    string_format,
)
from local_azure.gateway.expressions.types import Method, Overloads, method
from local_azure.gateway.expressions.values import (
    Guid,
    parse_bool,
    parse_double,
    parse_int,
    serialize,
    to_boolean,
    to_double,
    to_string,
    to_whole,
)


def _new_uri(text: str) -> Url:
    try:
        return Url.parse(text)
    except ValueError:
        raise EvaluationError(
            "Invalid URI: The format of the URI could not be determined."
        ) from None


def _names(kind: str, *names: str) -> dict[str, tuple[str, Callable[[], Any]]]:
    return {name: (kind, lambda name=name: name) for name in names}  # type: ignore[misc]


_COMPARISONS: Final = (
    "CurrentCulture",
    "CurrentCultureIgnoreCase",
    "InvariantCulture",
    "InvariantCultureIgnoreCase",
    "Ordinal",
    "OrdinalIgnoreCase",
)


STATIC_PROPERTIES: Final[dict[str, dict[str, tuple[str, Callable[[], Any]]]]] = {
    "string": {"Empty": ("string", lambda: "")},
    "int": {
        "MaxValue": ("int", lambda: 2**31 - 1),
        "MinValue": ("int", lambda: -(2**31)),
    },
    "long": {
        "MaxValue": ("long", lambda: 2**63 - 1),
        "MinValue": ("long", lambda: -(2**63)),
    },
    "double": {"MaxValue": ("double", lambda: 1.7976931348623157e308)},
    "Guid": {"Empty": ("Guid", lambda: Guid(uuid.UUID(int=0)))},
    "DateTime": {
        "MaxValue": ("DateTime", lambda: LAST_MOMENT),
        "MinValue": ("DateTime", lambda: FIRST_MOMENT),
        # The gateway's clock is UTC.
        "Now": ("DateTime", lambda: datetime.now(UTC)),
        "UtcNow": ("DateTime", lambda: datetime.now(UTC)),
    },
    "DateTimeOffset": {
        "MinValue": ("DateTimeOffset", lambda: DateTimeOffset(1, 1, 1, tzinfo=UTC)),
        "Now": ("DateTimeOffset", lambda: DateTimeOffset.now(UTC)),
        "UtcNow": ("DateTimeOffset", lambda: DateTimeOffset.now(UTC)),
    },
    "TimeSpan": {"Zero": ("TimeSpan", timedelta)},
    "Encoding": _names("Encoding", "ASCII", "UTF8"),
    "StringComparison": _names("StringComparison", *_COMPARISONS),
    "StringSplitOptions": _names("StringSplitOptions", "None", "RemoveEmptyEntries"),
    "Formatting": _names("Formatting", "Indented", "None"),
    "JTokenType": _names(
        "JTokenType",
        "Array",
        "Boolean",
        "Date",
        "Float",
        "Integer",
        "Null",
        "Object",
        "Property",
        "String",
        "Undefined",
    ),
}


def _trying(parse: Callable[[str], Any], otherwise: Any) -> Callable[[str | None], Any]:
    def attempt(text: str | None) -> tuple[bool, Any]:
        try:
            return True, parse(text or "")
        except EvaluationError:
            return False, otherwise

    return attempt


def _parse_guid(text: str) -> Guid:
    try:
        return Guid(uuid.UUID(text))
    except ValueError:
        raise EvaluationError("Unrecognized Guid format.") from None


def _parsing(kind: str, parse: Callable[[str], Any], otherwise: Any) -> dict[str, Overloads]:
    return {
        "Parse": method("string", kind, parse),
        "TryParse": method(f"string?, out {kind}", "bool", _trying(parse, otherwise)),
    }


def _either(kind: str, choose: Callable[[Any, Any], Any]) -> Method:
    return method(f"{kind}, {kind}", kind, choose)


def _round(value: float, digits: int = 0) -> float:
    return round(value, max(0, min(digits, 15)))


STATICS: Final[dict[str, dict[str, Overloads]]] = {
    "string": {
        "Compare": method(
            "string?, string?, [StringComparison]",
            "int",
            lambda one, other, comparison="Ordinal": (
                (folded(one or "", comparison) > folded(other or "", comparison))
                - (folded(one or "", comparison) < folded(other or "", comparison))
            ),
        ),
        "Concat": method("object...", "string", lambda *parts: join("", parts)),
        "Equals": method(
            "string?, string?, [StringComparison]",
            "bool",
            lambda one, other, comparison="Ordinal": (
                one is other if one is None else equals(one, other, comparison)
            ),
        ),
        "Format": method("string, object...", "string", string_format),
        "IsNullOrEmpty": method("string?", "bool", lambda text: not text),
        "IsNullOrWhiteSpace": method("string?", "bool", lambda text: not (text or "").strip()),
        "Join": (
            method(
                "string, IEnumerable<object>",
                "string",
                lambda separator, values: join(separator, elements(values)),
            ),
            method(
                "string, object...", "string", lambda separator, *values: join(separator, values)
            ),
        ),
    },
    "int": _parsing("int", parse_int, 0),
    "long": _parsing("long", lambda text: parse_int(text, 64), 0),
    "double": _parsing("double", parse_double, 0.0),
    "bool": _parsing("bool", parse_bool, False),
    "Guid": {
        **_parsing("Guid", _parse_guid, Guid(uuid.UUID(int=0))),
        "NewGuid": method("", "Guid", lambda: Guid(uuid.uuid4())),
    },
    "DateTime": _parsing("DateTime", parse_date, FIRST_MOMENT),
    "DateTimeOffset": {
        **_parsing("DateTimeOffset", lambda text: offset(parse_date(text)), offset(FIRST_MOMENT)),
        "FromUnixTimeMilliseconds": method(
            "long", "DateTimeOffset", lambda amount: offset(epoch(amount, "milliseconds"))
        ),
        "FromUnixTimeSeconds": method(
            "long", "DateTimeOffset", lambda amount: offset(epoch(amount, "seconds"))
        ),
    },
    "TimeSpan": {
        f"From{unit.title()}": method(
            "double", "TimeSpan", lambda amount, unit=unit: span(amount, unit)
        )
        for unit in ("days", "hours", "milliseconds", "minutes", "seconds")
    },
    "Convert": {
        "FromBase64String": method("string", "byte[]", from_base64),
        "ToBase64String": method("byte[]", "string", lambda data: base64.b64encode(data).decode()),
        "ToBoolean": method("object?", "bool", to_boolean),
        "ToDouble": method("object?", "double", to_double),
        "ToInt32": method("object?", "int", to_whole),
        "ToInt64": method("object?", "long", lambda value: to_whole(value, 64)),
        "ToString": method("object?", "string", to_string),
    },
    "Math": {
        "Abs": (
            method("int", "int", abs),
            method("long", "long", abs),
            method("double", "double", abs),
        ),
        "Ceiling": method("double", "double", lambda value: float(-(-value // 1))),
        "Floor": method("double", "double", lambda value: float(value // 1)),
        "Max": (_either("int", max), _either("long", max), _either("double", max)),
        "Min": (_either("int", min), _either("long", min), _either("double", min)),
        "Round": method("double, [int]", "double", _round),
    },
    "Uri": {
        "EscapeDataString": method(
            "string", "string", lambda text: bounded(quote(text, safe="-._~", errors="replace"))
        ),
        "UnescapeDataString": method("string", "string", unquote),
    },
    "WebUtility": {
        "HtmlDecode": method("string?", "string", lambda text: html.unescape(text or "")),
        "HtmlEncode": method("string?", "string", lambda text: bounded(html.escape(text or ""))),
        "UrlDecode": method("string?", "string", lambda text: unquote_plus(text or "")),
        "UrlEncode": method(
            "string?",
            "string",
            lambda text: bounded(quote_plus(text or "", safe="-_.!*()", errors="replace")),
        ),
    },
    "JObject": {
        "FromObject": method("object", "JObject", lambda value: of_kind(token(value), JObject)),
        "Parse": method("string", "JObject", lambda text: parse_json_as(JObject, text)),
    },
    "JArray": {
        "FromObject": method("object", "JArray", lambda value: of_kind(token(value), JArray)),
        "Parse": method("string", "JArray", lambda text: parse_json_as(JArray, text)),
    },
    "JToken": {
        "FromObject": method("object", "JToken", token),
        "Parse": method("string", "JToken", parse_json),
    },
    "JsonConvert": {
        "SerializeObject": (
            method("object?", "string", serialize),
            method(
                "object?, Formatting",
                "string",
                lambda value, form: serialize(value, indented=form == "Indented"),
            ),
        ),
    },
    "SHA256": {"Create": method("", "SHA256", lambda: sha256)},
    "BitConverter": {
        "ToString": method("byte[]", "string", lambda data: bounded(data.hex("-").upper()))
    },
}


def static_generic_method(owner: str, name: str, kind: str) -> Method | None:
    """Return a static `name<kind>` of a type; None when it has none."""
    match owner, name:
        case "JsonConvert", "DeserializeObject" if kind in ("JObject", "JArray", "JToken"):
            wanted = {"JObject": JObject, "JArray": JArray}.get(kind, JToken)
            return method("string", kind, lambda text: parse_json_as(wanted, text))
        case (("Enumerable" | "Array"), "Empty"):
            return method("", f"{kind}[]", list)
    return None


CONSTRUCTORS: Final[dict[str, Overloads]] = {
    "JObject": method("object...", "JObject", new_object),
    "JArray": method("object...", "JArray", new_json_array),
    "JProperty": method("string, object?", "JProperty", JProperty),
    "JValue": method("object?", "JValue", token),
    "List": (method("", "", list), method("IEnumerable<T>", "", elements)),
    "HashSet": (
        method("", "", set),
        method("IEnumerable<T>", "", lambda values: set(elements(values))),
    ),
    "Dictionary": method("", "", dict),
    "Random": (
        method("", "Random", random.Random),
        method("int", "Random", random.Random),
    ),
    "Uri": method("string", "Uri", _new_uri),
    "Guid": method("string", "Guid", _parse_guid),
    "Exception": method("string?", "Exception", lambda text: EvaluationError(text or "")),
    "HMACSHA256": method("byte[]", "HMACSHA256", lambda key: key),
    "DateTime": method("int, int, int, [int], [int], [int]", "DateTime", new_date),
    "DateTimeOffset": method("DateTime", "DateTimeOffset", offset),
    "string": (
        method("string, int", "string", repeated),
        method("string[]", "string", lambda parts: join("", parts)),
    ),
}


# What an initializer's elements do: values, and keys with values.
ADDERS: Final[dict[str, tuple[str, Callable[[Any, Any], Any]]]] = {
    "JArray": ("JToken", lambda array, value: array.add(value)),
    "JObject": ("JProperty", lambda made, added: made.add(added.name, added.value)),
    "List": ("T", add),
    "HashSet": ("T", add_to_set),
}


ENTRY_ADDERS: Final[dict[str, tuple[str, str, Callable[[Any, Any, Any], Any]]]] = {
    "JObject": ("string", "JToken", put_child),
    "Dictionary": ("K", "V", put),
}
