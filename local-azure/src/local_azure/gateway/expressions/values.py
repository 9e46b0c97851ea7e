"""What expressions compute with at run time: text, numbers, and what an object is."""

import json
import math
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from local_azure.gateway.exchange import Response, Url
from local_azure.gateway.expressions.bounds import EvaluationError, bounded, null_reference
from local_azure.gateway.expressions.dates import (
    FIRST_MOMENT,
    DateTimeOffset,
    format_date,
    iso,
    offset,
    parse_date,
)
from local_azure.gateway.expressions.json_values import (
    Anonymous,
    JArray,
    JObject,
    JProperty,
    JToken,
    JValue,
    child,
    json_type,
)
from local_azure.gateway.expressions.types import generic


class Int64(int):
    """A boxed `long`: unlike an `int`, as its cast back shows."""


class Guid(str):
    """A `System.Guid` in its usual form."""

    __slots__ = ()


class Jwt:
    """A JSON Web Token's readable part: `context.Variables["jwt"]` and `AsJwt()`."""

    def __init__(self, claims: Mapping[str, Any]) -> None:
        self.claims = {name: _claim_values(value) for name, value in claims.items()}

    def first(self, name: str) -> str | None:
        """Return a claim's first value."""
        return next(iter(self.claims.get(name, ())), None)


def _claim_values(value: Any) -> list[str]:
    return [to_string(each) for each in (value if isinstance(value, list) else [value])]


def plain(node: Any) -> Any:
    """Return a value as `json.dumps` takes it."""
    make = _PLAIN.get(type(node))
    return make(node) if make else to_string(node)


def _plain_object(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {to_string(key): plain(value) for key, value in values.items()}


def _plain_array(values: Iterable[Any]) -> list[Any]:
    return [plain(value) for value in values]


_PLAIN: Final[Mapping[type, Callable[[Any], Any]]] = {
    **dict.fromkeys((type(None), bool, str, int), lambda value: value),
    **dict.fromkeys((dict, Anonymous), _plain_object),
    **dict.fromkeys((list, tuple, set), _plain_array),
    **dict.fromkeys((datetime, DateTimeOffset), iso),
    Int64: int,
    # Newtonsoft writes what JSON has no number for as text.
    float: lambda value: value if math.isfinite(value) else double_to_string(value),
    JObject: lambda node: _plain_object(node.items),
    JArray: lambda node: _plain_array(node.items),
    JProperty: lambda node: {node.name: plain(node.value)},
    JValue: lambda node: plain(node.value),
}


def serialize(value: Any, *, indented: bool = False) -> str:
    """Write JSON as Newtonsoft does: `JsonConvert.SerializeObject`, `ToString()`."""
    if indented:
        text = json.dumps(plain(value), ensure_ascii=False, indent=2)
        # The gateway of a service runs on Windows, and so do its line ends.
        return bounded(text.replace("\n", "\r\n"))
    return bounded(json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")))


def to_string(value: object) -> str:
    """Write a value as C#'s string concatenation and `ToString()` do; null is empty."""
    write = _TEXT.get(type(value))
    return write(value) if write else type(value).__name__


def double_to_string(value: float) -> str:
    """Write a double as .NET does."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    text = repr(value).replace("e", "E")
    return text.removesuffix(".0")


def _timespan_to_string(value: timedelta) -> str:
    sign = "-" if value < timedelta(0) else ""
    value = abs(value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days = f"{value.days}." if value.days else ""
    fraction = f".{value.microseconds:06d}0" if value.microseconds else ""
    return f"{sign}{days}{hours:02d}:{minutes:02d}:{seconds:02d}{fraction}"


_TEXT: Final[Mapping[type, Callable[[Any], str]]] = {
    **dict.fromkeys((str, Guid, Url), str),
    **dict.fromkeys((int, Int64), int.__repr__),
    **dict.fromkeys((list, tuple), lambda _: "System.String[]"),
    **dict.fromkeys((dict, Anonymous), serialize),
    **dict.fromkeys((JObject, JArray, JProperty), lambda value: serialize(value, indented=True)),
    type(None): lambda _: "",
    bool: lambda value: "True" if value else "False",
    float: double_to_string,
    bytes: lambda _: "System.Byte[]",
    datetime: lambda value: format_date(value, "G"),
    DateTimeOffset: lambda value: format_date(value, "M/d/yyyy h:mm:ss tt zzz"),
    timedelta: _timespan_to_string,
    JValue: lambda node: to_string(node.value),
}


def int32(value: int) -> int:
    """Wrap around as C# does; without it an expression could grow a number without end."""
    return (value + 2**31) % 2**32 - 2**31


def int64(value: int) -> int:
    """Wrap a `long` around."""
    return (value + 2**63) % 2**64 - 2**63


def parse_int(text: str, bits: int = 32) -> int:
    """Read a whole number, as `int.Parse` does. Raises EvaluationError."""
    # Bounded before it is converted: Python refuses thousands of digits with an error of its own.
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,30}\s*", text, re.ASCII):
        raise EvaluationError("Input string was not in a correct format.")
    value = int(text)
    if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise EvaluationError(f"Value was either too large or too small for an Int{bits}.")
    return value


def parse_double(text: str) -> float:
    """Read a number, as `double.Parse` does. Raises EvaluationError."""
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,400}(\.[0-9]{0,400})?([eE][+-]?[0-9]{1,4})?\s*", text):
        raise EvaluationError("Input string was not in a correct format.")
    return float(text)


def parse_bool(text: str) -> bool:
    """Read a boolean, as `bool.Parse` does. Raises EvaluationError."""
    if text.strip().lower() not in ("true", "false"):
        raise EvaluationError("String was not recognized as a valid Boolean.")
    return text.strip().lower() == "true"


def to_whole(value: Any, bits: int = 32) -> int:
    """Convert as `Convert.ToInt32` and a token's cast do: round half to even, read text."""
    match value:
        case JValue():
            return to_whole(value.value, bits)
        case None:
            return 0
        case str():
            return parse_int(value, bits)
        case bool():
            return int(value)
        case int() | float() if math.isfinite(value):
            whole = round(value)
            if -(2 ** (bits - 1)) <= whole < 2 ** (bits - 1):
                return whole
            raise EvaluationError(f"Value was either too large or too small for an Int{bits}.")
    raise _no_conversion(value, f"System.Int{bits}")


def to_double(value: Any) -> float:
    """Convert as `Convert.ToDouble` does."""
    match value:
        case JValue():
            return to_double(value.value)
        case None:
            return 0.0
        case str():
            return parse_double(value)
        case int() | float():
            try:
                return float(value)
            except OverflowError:
                return math.inf
    raise _no_conversion(value, "System.Double")


def to_boolean(value: Any) -> bool:
    """Convert as `Convert.ToBoolean` does."""
    match value:
        case JValue():
            return to_boolean(value.value)
        case None:
            return False
        case str():
            return parse_bool(value)
        case int() | float():
            return bool(value)
    raise _no_conversion(value, "System.Boolean")


def _to_date(value: Any) -> datetime:
    match value:
        case JValue():
            return _to_date(value.value)
        case datetime():
            return value
        case str():
            return parse_date(value)
    raise _no_conversion(value, "System.DateTime")


def _no_conversion(value: object, wanted: str) -> EvaluationError:
    return EvaluationError(f"Unable to cast object of type '{clr_name(value)}' to type '{wanted}'.")


# What an object has to be at run time to be taken for a type.
RUNTIME_TYPES: Final[dict[str, type]] = {
    "string": str,
    "int": int,
    "long": Int64,
    "double": float,
    "bool": bool,
    "DateTime": datetime,
    "DateTimeOffset": DateTimeOffset,
    "TimeSpan": timedelta,
    "Guid": Guid,
    "JToken": JToken,
    "JObject": JObject,
    "JArray": JArray,
    "JValue": JValue,
    "JProperty": JProperty,
    "Jwt": Jwt,
    "Response": Response,
    "byte[]": bytes,
}


_CLR_NAMES: Final[Mapping[type, str]] = {
    str: "System.String",
    int: "System.Int32",
    Int64: "System.Int64",
    float: "System.Double",
    bool: "System.Boolean",
    datetime: "System.DateTime",
    DateTimeOffset: "System.DateTimeOffset",
    timedelta: "System.TimeSpan",
    Guid: "System.Guid",
    JObject: "Newtonsoft.Json.Linq.JObject",
    JArray: "Newtonsoft.Json.Linq.JArray",
    JValue: "Newtonsoft.Json.Linq.JValue",
    JToken: "Newtonsoft.Json.Linq.JToken",
    list: "System.String[]",
    bytes: "System.Byte[]",
}


VALUE_TYPES: Final = (
    "int",
    "long",
    "double",
    "bool",
    "DateTime",
    "DateTimeOffset",
    "TimeSpan",
    "Guid",
)


def clr_name(value: object) -> str:
    """Return the .NET name of a value's type."""
    return _CLR_NAMES.get(type(value), "System.Object")


def runtime_type(kind: str) -> type:
    """Return the Python type behind a C# one."""
    found = RUNTIME_TYPES.get(kind)
    if found is not None:
        return found
    return dict if kind.startswith("Dictionary") else (set if kind.startswith("HashSet") else list)


def is_of(value: object, kind: str) -> bool:
    """Tell whether an object is of a type; null is of none."""
    if value is None or kind == "object":
        return value is not None
    if kind in VALUE_TYPES or kind == "string":
        return type(value) is RUNTIME_TYPES[kind]
    return isinstance(value, runtime_type(kind))


def unbox(value: Any, kind: str) -> Any:
    """Do `(kind)value` for an object. Raises EvaluationError for another type."""
    if kind == "object":
        return value
    if value is None:
        if kind not in VALUE_TYPES:
            return None
        raise null_reference()
    if is_of(value, kind):
        return int(value) if kind == "long" else value
    raise EvaluationError(
        f"Unable to cast object of type '{clr_name(value)}' to type"
        f" '{_CLR_NAMES.get(RUNTIME_TYPES.get(kind, object), kind)}'."
    )


def _token_to_string(node: JToken) -> str | None:
    if isinstance(node, JValue):
        return None if node.value is None else to_string(node.value)
    raise EvaluationError(f"Can not convert {json_type(node)} to String.")


_FROM_TOKEN: Final[Mapping[str, Callable[[JToken], Any]]] = {
    "string": _token_to_string,
    "int": to_whole,
    "long": lambda node: to_whole(node, 64),
    "double": to_double,
    "bool": to_boolean,
    "DateTime": _to_date,
    "DateTimeOffset": _to_date,
    "object": lambda node: node.value if isinstance(node, JValue) else node,
}


FROM_TOKEN: Final = tuple(_FROM_TOKEN)


def from_token(node: JToken | None, kind: str) -> Any:
    """Do `(kind)token`, `token.Value<kind>()`. Raises EvaluationError."""
    if node is None:
        return None
    read = _FROM_TOKEN.get(kind)
    if read is None:
        return unbox(node, kind)
    if kind in VALUE_TYPES and isinstance(node, JValue) and node.value is None:
        raise EvaluationError(f"Can not convert Null to {kind}.")
    return read(node)


_DEFAULTS: Final[Mapping[str, Any]] = {
    "int": 0,
    "long": 0,
    "double": 0.0,
    "bool": False,
    "DateTime": FIRST_MOMENT,
    "DateTimeOffset": offset(FIRST_MOMENT),
    "TimeSpan": timedelta(),
    "Guid": Guid(uuid.UUID(int=0)),
}


def default_of(kind: str) -> Any:
    """Return `default(kind)`: null for a type that may be."""
    return _DEFAULTS.get(kind)


def is_null(value: Any) -> bool:
    """Tell whether a value is null, or JSON's null."""
    return value is None or (isinstance(value, JValue) and value.value is None)


def value_of(node: JToken, key: tuple[Any, ...], kind: str) -> Any:
    """Do `node.Value<kind>(key)`: `default(kind)` in the place of null."""
    found = child(node, key[0]) if key else node
    if is_null(found):
        return default_of(kind)  # none of `bool?`
    kind = kind.removesuffix("?")
    name, arguments = generic(kind)
    if name in ("[]", "List") and isinstance(found, JArray):
        return [from_token(each, arguments[0]) for each in found.items]
    return from_token(found, kind)
