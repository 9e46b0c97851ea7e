"""JSON that fits a schema: what a model answers in a structure, or calls a tool with.

Source: Azure OpenAI, "Structured outputs", supported schemas. What is beyond that is refused by
name: an answer that does not fit would be worse than none.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

_MOST_DEEP: Final = 5  # as deep as Azure takes them; beyond it a schema that holds itself is cut
_MOST: Final = 1000  # items, and characters of a text
_NOT_MADE: Final = (
    "allOf",
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "not",
    "pattern",
    "patternProperties",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
)
_FORMATS: Final[Mapping[str, str]] = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "time": "12:00:00Z",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


class SchemaError(Exception):
    """A schema that no answer is made for, and why."""


def fitting(schema: object, text: str) -> Any:
    """Return a value that fits a schema; its texts say `text`. Raises SchemaError."""
    try:
        return _Maker(schema, text).value(schema, 0)
    except RecursionError:
        raise SchemaError("it is nested too deeply, or holds itself") from None


class _Maker:
    def __init__(self, root: object, text: str) -> None:
        self._root = root
        self._text = text
        self._left = _MOST

    def value(self, schema: object, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise SchemaError(f"an answer would have more than {_MOST} values")
        if depth > 2 * _MOST_DEEP:
            raise SchemaError("it is nested too deeply, or holds itself")
        if schema is True or schema == {}:
            return self._text
        known = _known(schema)
        if "$ref" in known:
            return self.value(self._referred(known["$ref"]), depth + 1)
        if "const" in known:
            return known["const"]
        if choices := _of(known, "enum", list, []):
            return choices[0]
        if choices := _of(known, "anyOf", list, []) or _of(known, "oneOf", list, []):
            return self._first(choices, depth)
        return self._typed(known, depth)

    def _typed(self, schema: Mapping[str, Any], depth: int) -> Any:
        match _kind(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._string(schema)
            case "integer" | "number":
                return _number(schema)
            case "boolean":
                return True
            case "null":
                return None
            case kind:
                raise SchemaError(f"the type {json.dumps(kind)[:80]} is none of JSON Schema")

    def _first(self, choices: list[object], depth: int) -> Any:
        """Take the first of several that is not too deep: the end of what holds itself."""
        reason = SchemaError("")
        for choice in choices:
            try:
                return self.value(choice, depth)
            except SchemaError as error:
                reason = error
        raise reason

    def _referred(self, reference: object) -> object:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise SchemaError(f"$ref {json.dumps(reference)[:80]} leads out of it")
        found = self._root
        for part in filter(None, reference[1:].split("/")):
            if not isinstance(found, Mapping) or part not in found:
                raise SchemaError(f"$ref '{reference[:80]}' leads nowhere")
            found = found[part]
        return found

    def _object(self, schema: Mapping[str, Any], depth: int) -> Any:
        required = _of(schema, "required", list, [])
        made = {}
        for name, inner in _of(schema, "properties", dict, {}).items():
            try:
                made[name] = self.value(inner, depth + 1)
            except SchemaError:
                if name in required or depth <= _MOST_DEEP:
                    raise
        if missing := [name for name in required if name not in made]:
            raise SchemaError(f"{json.dumps(missing[0])[:80]} is required and no property")
        return made

    def _array(self, schema: Mapping[str, Any], depth: int) -> Any:
        made = [self.value(each, depth + 1) for each in _of(schema, "prefixItems", list, [])]
        wanted = max(_of(schema, "minItems", int, 0), min(1, _of(schema, "maxItems", int, 1)))
        items = schema.get("items", True)
        while len(made) < wanted and items is not False:
            made.append(self.value(items, depth + 1))
        return made

    def _string(self, schema: Mapping[str, Any]) -> Any:
        form = schema.get("format")
        if form is not None and not (isinstance(form, str) and form in _FORMATS):
            raise SchemaError(f"the format {json.dumps(form)[:80]} is not known to the local Azure")
        text = self._text if form is None else _FORMATS[form]
        least = _of(schema, "minLength", int, 0)
        if least > _MOST:
            raise SchemaError(f"'minLength' is more than {_MOST}")
        text = text.ljust(least, ".")
        return text[: max(0, _of(schema, "maxLength", int, len(text)))]


def _number(schema: Mapping[str, Any]) -> Any:
    bounds = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf")
    given = {name: schema[name] for name in bounds if schema.get(name) is not None}
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 2**53:
            raise SchemaError(f"'{name}' is no number that the local Azure reads")
    step = given.get("multipleOf") or 1
    ends = [value for name, value in given.items() if name != "multipleOf"]
    near = [step * (math.floor(end / step) + more) for end in ends for more in (-1, 0, 1, 2)]
    middle = (
        [sum(ends) / len(ends), *(end + more for end in ends for more in (-0.5, 0.5))]
        if ends
        else []
    )
    for number in (1, 0, step, *near, *middle):
        is_whole = _kind(schema) != "integer" or number == int(number)
        if is_whole and all(_is_within(number, name, value) for name, value in given.items()):
            return int(number) if _kind(schema) == "integer" else number
    raise SchemaError("the local Azure finds no number within its bounds")


def _is_within(number: float, name: str, value: float) -> bool:
    match name:
        case "minimum":
            return number >= value
        case "exclusiveMinimum":
            return number > value
        case "maximum":
            return number <= value
        case "exclusiveMaximum":
            return number < value
        case _:
            return not value or (number / value).is_integer()


def _known(schema: object) -> Mapping[str, Any]:
    if not isinstance(schema, Mapping):
        raise SchemaError("it is no object")
    for name in _NOT_MADE:
        if name in schema:
            raise SchemaError(f"'{name}' is not known to the local Azure")
    return schema


def _kind(schema: Mapping[str, Any]) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    implied = "object" if "properties" in schema else "array" if "items" in schema else "string"
    return kind or implied


def _of(schema: Mapping[str, Any], name: str, kind: type, otherwise: Any) -> Any:
    value = schema.get(name, otherwise)
    if isinstance(value, bool) or not isinstance(value, kind):
        raise SchemaError(f"'{name}' is {json.dumps(value)[:80]}")
    return value
