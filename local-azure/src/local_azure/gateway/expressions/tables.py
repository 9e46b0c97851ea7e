"""How the tables of what an expression may name are written, and what several of them say alike."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from local_azure.gateway.expressions.bounds import EvaluationError
from local_azure.gateway.expressions.json_values import element
from local_azure.gateway.expressions.types import Overloads, Run, method
from local_azure.gateway.expressions.values import to_string

Properties = dict[str, dict[str, tuple[str, Run]]]
Methods = dict[str, dict[str, Overloads]]
Constants = dict[str, dict[str, tuple[str, Callable[[], Any]]]]


@dataclass(frozen=True, kw_only=True)
class Library:
    """Types of .NET that belong together: entries of the tables of `members` and `statics`."""

    properties: Properties = field(default_factory=dict)
    methods: Methods = field(default_factory=dict)
    indexers: dict[str, tuple[str, str, Callable[[Any, Any], Any]]] = field(default_factory=dict)
    index_setters: dict[str, tuple[str, str, Callable[[Any, Any, Any], None]]] = field(
        default_factory=dict
    )
    static_properties: Constants = field(default_factory=dict)
    statics: Methods = field(default_factory=dict)
    constructors: dict[str, Overloads] = field(default_factory=dict)
    adders: dict[str, tuple[str, Callable[[Any, Any], Any]]] = field(default_factory=dict)
    entry_adders: dict[str, tuple[str, str, Callable[[Any, Any, Any], Any]]] = field(
        default_factory=dict
    )


def attribute(path: str, result: str) -> tuple[str, Run]:
    """Describe a property by the attribute that holds it."""
    return result, attrgetter(path)


def entry(values: Mapping[str, Any], name: str) -> Any:
    """Return the value of a key that has to be there."""
    try:
        return values[name]
    except KeyError:
        raise EvaluationError(
            f"The given key '{to_string(name)}' was not present in the dictionary."
        ) from None


def try_entry(values: Mapping[Any, Any], key: Any) -> tuple[bool, Any]:
    """Do `TryGetValue`."""
    return key in values, values.get(key)


def set_element(values: list[Any], index: int, value: Any) -> None:
    """Set an element that has to be there."""
    element(values, index)
    values[index] = value


def names(kind: str, *names: str) -> dict[str, tuple[str, Callable[[], Any]]]:
    """Describe an enumeration, whose values are their names."""
    return {name: (kind, lambda name=name: name) for name in names}  # type: ignore[misc]


def _trying(parse: Callable[[str], Any], otherwise: Any) -> Callable[[str | None], Any]:
    def attempt(text: str | None) -> tuple[bool, Any]:
        try:
            return True, parse(text or "")
        except EvaluationError:
            return False, otherwise

    return attempt


def parsing(kind: str, parse: Callable[[str], Any], otherwise: Any) -> dict[str, Overloads]:
    """Describe `Parse` and `TryParse` of a type."""
    return {
        "Parse": method("string", kind, parse),
        "TryParse": method(f"string?, out {kind}", "bool", _trying(parse, otherwise)),
    }
