"""JSON documents as Newtonsoft's: a tree of tokens, each of one parent."""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from local_azure.gateway.expressions.bounds import (
    MAX_ITEMS,
    MAX_JSON_DEPTH,
    EvaluationError,
    TooMuchError,
    spend,
)


class Anonymous(dict[str, object]):
    """What `new { a = 1 }` makes; its only use is to be serialized."""


class JToken:
    """A value of a JSON document, as Newtonsoft's: it belongs to one parent, or to none."""

    __slots__ = ("parent",)

    def __init__(self) -> None:
        self.parent: JToken | None = None

    def children(self) -> Iterator["JToken"]:
        """Give what belongs to this token."""
        return iter(())

    def adopt(self, child: "JToken") -> "JToken":
        """Return the child as this token's own: itself, or a copy where it has a parent already.

        Raises EvaluationError for what would contain itself.
        """
        if child.parent is not None:
            child = copy(child)
        node: JToken | None = self
        depth = 0
        while node is not None:
            depth += 1
            if node is child or depth > MAX_JSON_DEPTH:
                raise TooMuchError("A JSON value is nested too deeply.")
            node = node.parent
        if depth + _height(child) > MAX_JSON_DEPTH:
            raise TooMuchError("A JSON value is nested too deeply.")
        child.parent = self
        return child


class JValue(JToken):
    """A string, number, boolean, date or null."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class JArray(JToken):
    """An array."""

    __slots__ = ("items",)

    def __init__(self) -> None:
        super().__init__()
        self.items: list[JToken] = []

    def children(self) -> Iterator[JToken]:
        """Give the elements."""
        return iter(self.items)

    def add(self, value: Any) -> None:
        """Append an element."""
        if len(self.items) >= MAX_ITEMS:
            raise TooMuchError(f"The array has more than {MAX_ITEMS} elements.")
        self.items.append(self.adopt(token(value)))

    def put(self, index: int, value: Any) -> None:
        """Replace an element."""
        element(self.items, index)
        self.items[index] = self.adopt(token(value))


class JObject(JToken):
    """An object; properties keep their order."""

    __slots__ = ("items",)

    def __init__(self) -> None:
        super().__init__()
        self.items: dict[str, JToken] = {}

    def children(self) -> Iterator[JToken]:
        """Give the properties' values."""
        return iter(self.items.values())

    def put(self, name: str, value: Any) -> None:
        """Set a property."""
        if name not in self.items and len(self.items) >= MAX_ITEMS:
            raise TooMuchError(f"The object has more than {MAX_ITEMS} properties.")
        self.items[name] = self.adopt(token(value))

    def add(self, name: str, value: Any) -> None:
        """Add a property. Raises EvaluationError when it is there."""
        if name in self.items:
            raise EvaluationError(
                f"Can not add property {name} to Newtonsoft.Json.Linq.JObject. Property with the"
                " same name already exists on object."
            )
        self.put(name, value)


class JProperty(JToken):
    """A property: of the object it was read from, or to be put into one."""

    __slots__ = ("name", "owner", "value")

    def __init__(self, name: str, value: Any, owner: JObject | None = None) -> None:
        super().__init__()
        self.name = name
        self.value = token(value)
        self.owner = owner

    def put(self, value: Any) -> None:
        """Replace the value."""
        if self.owner is not None:
            self.owner.put(self.name, value)
            self.value = self.owner.items[self.name]
        else:
            self.value = token(value)

    def remove(self) -> None:
        """Take the property out of its object."""
        if self.owner is not None:
            self.owner.items.pop(self.name, None)


def _height(node: JToken) -> int:
    height, level = 0, [node]
    while level:
        height += 1
        level = [child for each in level for child in each.children()]
        if height > MAX_JSON_DEPTH:
            break
    return height


def copy(node: JToken) -> JToken:
    """Return a copy that belongs to nothing; each node is a step."""
    spend()
    match node:
        case JObject():
            made = JObject()
            for name, value in node.items.items():
                made.put(name, copy(value))
            return made
        case JArray():
            array = JArray()
            for value in node.items:
                array.add(copy(value))
            return array
        case JProperty():
            return JProperty(node.name, copy(node.value))
    return JValue(node.value if isinstance(node, JValue) else None)


def token(value: Any) -> JToken:
    """Return a value as JSON holds it."""
    match value:
        case JProperty():
            return value.value
        case JToken():
            return value
        case Anonymous():
            made = JObject()
            for name, each in value.items():
                made.put(name, each)
            return made
        case dict():
            return token(Anonymous({str(key): each for key, each in value.items()}))
        case list() | tuple() | set():
            array = JArray()
            for each in value:
                array.add(each)
            return array
        case datetime() | timedelta() | None | bool() | int() | float() | str():
            return JValue(value)
    raise EvaluationError("Could not determine JSON object type.")


def _token_of(parsed: Any, depth: int = 0) -> JToken:
    """Return what a parser gave as tokens, without counting steps: the text bounds them."""
    if depth > MAX_JSON_DEPTH:
        raise EvaluationError(f"The reader's MaxDepth of {MAX_JSON_DEPTH} has been exceeded.")
    if isinstance(parsed, dict):
        made = JObject()
        for name, value in parsed.items():
            inner = made.items[name] = _token_of(value, depth + 1)
            inner.parent = made
        return made
    if isinstance(parsed, list):
        array = JArray()
        array.items = [_token_of(value, depth + 1) for value in parsed]
        for inner in array.items:
            inner.parent = array
        return array
    return JValue(parsed)


def parse_json(text: str) -> JToken:
    """Read JSON. Raises EvaluationError."""
    try:
        return _token_of(json.loads(text))
    except (ValueError, RecursionError):
        first = text.lstrip()[:1]
        raise EvaluationError(
            f"Unexpected character encountered while parsing value: {first}. Path '', line 0,"
            " position 0."
            if first
            else "Error reading JToken from JsonReader. Path '', line 0, position 0."
        ) from None


def parse_json_as(kind: type[JToken], text: str) -> Any:
    """Read JSON of one kind. Raises EvaluationError."""
    value = parse_json(text)
    if not isinstance(value, kind):
        raise EvaluationError(
            f"Error reading {kind.__name__} from JsonReader. Current JsonReader item is not an"
            f" {'object' if kind is JObject else 'array'}."
        )
    return value


def child(node: JToken, key: Any) -> JToken | None:
    """Return `node[key]`, null where an object has no such property."""
    if isinstance(node, JObject) and isinstance(key, str):
        return node.items.get(key)
    if isinstance(node, JArray) and isinstance(key, int):
        return element(node.items, key)  # type: ignore[no-any-return]
    if not isinstance(node, (JObject, JArray)):
        raise no_children(node)
    raise EvaluationError(f"Accessed {type(node).__name__} values with invalid key value: {key!r}.")


def no_children(node: JToken) -> EvaluationError:
    """Return what asking a value for a part of it fails with."""
    return EvaluationError(
        f"Cannot access child value on Newtonsoft.Json.Linq.{type(node).__name__}."
    )


def put_child(node: JToken, key: Any, value: Any) -> None:
    """Do `node[key] = value`."""
    if isinstance(node, JObject) and isinstance(key, str):
        return node.put(key, value)
    if isinstance(node, JArray) and isinstance(key, int):
        return node.put(key, value)
    raise EvaluationError(f"Cannot set a value on {type(node).__name__} by {key!r}.")


_STEP = re.compile(r"\.?([^.\[\]'\"$*?()@,:]+)|\[(\d{1,9})\]|\[(['\"])(.*?)\3\]")


def select(node: JToken, path: str) -> JToken | None:
    """Follow a JSON path of names and indexes; null where it leads nowhere."""
    position = 1 if path.startswith("$") else 0
    found: JToken | None = node
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise EvaluationError(
                f"SelectToken: the local Azure reads names and indexes, not '{path}'."
            )
        position = step.end()
        if step[2] is not None:
            index = int(step[2])
            fits = isinstance(found, JArray) and index < len(found.items)
            found = found.items[index] if fits and isinstance(found, JArray) else None
        else:
            name = step[1] if step[1] is not None else step[4]
            found = found.items.get(name) if isinstance(found, JObject) else None
        if found is None:
            return None
    return found


def json_type(node: JToken) -> str:
    """Return a token's `JTokenType`."""
    if not isinstance(node, JValue):
        return {JObject: "Object", JArray: "Array", JProperty: "Property"}[type(node)]
    match node.value:
        case None:
            return "Null"
        case bool():
            return "Boolean"
        case int():
            return "Integer"
        case float():
            return "Float"
        case datetime():
            return "Date"
    return "String"


def element(values: Sequence[Any], index: int) -> Any:
    """Return an element. Raises EvaluationError outside of the bounds."""
    if not 0 <= index < len(values):
        raise EvaluationError("Index was outside the bounds of the array.")
    return values[index]


def remove_at(array: JArray, index: int) -> None:
    """Take an array's element out."""
    element(array.items, index)
    del array.items[index]


def properties_of(made: JObject) -> list[JProperty]:
    """Return an object's properties."""
    return [JProperty(name, value, made) for name, value in made.items.items()]


def property_of(made: JObject, name: str) -> JProperty | None:
    """Return one property; null when there is none."""
    return JProperty(name, made.items[name], made) if name in made.items else None


def of_kind(node: JToken, kind: type[JToken]) -> JToken:
    """Return a token of one kind. Raises EvaluationError for another."""
    if not isinstance(node, kind):
        raise EvaluationError(
            f"Object serialized to {json_type(node)}. {kind.__name__} instance expected."
        )
    return node


def new_object(*values: Any) -> JObject:
    """Do `new JObject(properties)`."""
    made = JObject()
    for value in values:
        if isinstance(value, JProperty):
            made.add(value.name, value.value)
        elif isinstance(value, JObject):
            for name, each in value.items.items():
                made.add(name, each)
        else:
            raise EvaluationError("Can not add a value to Newtonsoft.Json.Linq.JObject.")
    return made


def new_json_array(*values: Any) -> JArray:
    """Do `new JArray(values)`."""
    array = JArray()
    for value in values:
        for each in value if isinstance(value, list) else [value]:
            array.add(each)
    return array
