"""What an expression may name of a type: constants, static methods, and what can be made."""

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from local_azure.gateway.expressions.bounds import MAX_ITEMS, EvaluationError, TooMuchError
from local_azure.gateway.expressions.dates import (
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
from local_azure.gateway.expressions.more import MORE
from local_azure.gateway.expressions.queries import elements, index_in
from local_azure.gateway.expressions.tables import names, parsing
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
    parse_bool,
    parse_double,
    parse_int,
    serialize,
    to_boolean,
    to_double,
    to_string,
    to_whole,
)

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
    "TimeSpan": {"Zero": ("TimeSpan", timedelta)},
    "StringComparison": names("StringComparison", *_COMPARISONS),
    "StringSplitOptions": names("StringSplitOptions", "None", "RemoveEmptyEntries"),
    "Formatting": names("Formatting", "Indented", "None"),
    "JTokenType": names(
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


def _either(kind: str, choose: Callable[[Any, Any], Any]) -> Method:
    return method(f"{kind}, {kind}", kind, choose)


def _round(value: float, digits: int = 0) -> float:
    return round(value, max(0, min(digits, 15)))


def _range(first: int, count: int) -> list[int]:
    if not 0 <= count <= MAX_ITEMS:
        raise TooMuchError(f"The range has less than none or more than {MAX_ITEMS} elements.")
    return list(range(first, first + count))


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
    "int": parsing("int", parse_int, 0),
    "long": parsing("long", lambda text: parse_int(text, 64), 0),
    "double": parsing("double", parse_double, 0.0),
    "bool": parsing("bool", parse_bool, False),
    "TimeSpan": {
        f"From{unit.title()}": method(
            "double", "TimeSpan", lambda amount, unit=unit: span(amount, unit)
        )
        for unit in ("days", "hours", "milliseconds", "minutes", "seconds")
    },
    "Array": {"IndexOf": method("IEnumerable<object>, object?", "int", index_in)},
    "Enumerable": {"Range": method("int, int", "IEnumerable<int>", _range)},
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
    "Exception": method("string?", "Exception", lambda text: EvaluationError(text or "")),
    "string": (
        method("string, int", "string", repeated),
        method("string[]", "string", lambda parts: join("", parts)),
    ),
}


# What an initializer's elements do: values, and keys with values.
ADDERS: Final[dict[str, tuple[str, Callable[[Any, Any], Any]]]] = {
    "JArray": ("JToken", lambda array, value: array.add(value)),
    "JObject": ("JProperty", lambda made, added: made.add(added.name, added.value)),
}


ENTRY_ADDERS: Final[dict[str, tuple[str, str, Callable[[Any, Any, Any], Any]]]] = {
    "JObject": ("string", "JToken", put_child),
}


for _library in MORE:
    STATIC_PROPERTIES.update(_library.static_properties)
    STATICS.update(_library.statics)
    CONSTRUCTORS.update(_library.constructors)
    ADDERS.update(_library.adders)
    ENTRY_ADDERS.update(_library.entry_adders)
