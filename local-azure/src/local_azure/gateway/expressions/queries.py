"""What every collection has: .NET's `Enumerable`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from multidict import CIMultiDict

from local_azure.gateway.expressions.bounds import (
    MAX_ITEMS,
    EvaluationError,
    TooMuchError,
    spend,
)
from local_azure.gateway.expressions.json_values import (
    JArray,
    JObject,
    JToken,
    element,
    no_children,
    properties_of,
)
from local_azure.gateway.expressions.text import equals
from local_azure.gateway.expressions.types import Method, Parameter, Run


def elements(values: Any) -> list[Any]:
    """Return a collection's elements, as `foreach` gives them."""
    match values:
        case JArray():
            return list(values.items)
        case JObject():
            return list(values.items.items())
        case JToken():
            return list(values.children())
        case CIMultiDict():
            return [(name, values.getall(name)) for name in dict.fromkeys(values)]
        case dict():
            return list(values.items())
    return list(values)


def tokens(values: Any) -> list[Any]:
    """Return the elements of what is a JToken by its type: an object has properties there."""
    return list(properties_of(values)) if isinstance(values, JObject) else elements(values)


def edge(node: JToken, at: int) -> Any:
    """Do `First` and `Last` of a token."""
    if not isinstance(node, (JObject, JArray)):
        raise no_children(node)
    found = tokens(node)
    return found[at] if found else None


@dataclass(frozen=True)
class Query:
    """A method of every collection; its `run` gets the elements and the argument or the lambda.

    `takes` is the lambda's result (`bool`, a `number` or `any` type), the argument's type, or none.
    In `result`, `T` is the type of an element and `R` that of the lambda's result.
    """

    result: str
    run: Callable[..., Any]
    takes: str | None = None
    optional: bool = False
    is_lambda: bool = False


def _any(values: list[Any], test: Run | None = None) -> bool:
    return bool(values) if test is None else any(test(each) for each in values)


def _where(values: list[Any], test: Run | None = None) -> list[Any]:
    return values if test is None else [each for each in values if test(each)]


def _first(values: list[Any], test: Run | None = None) -> Any:
    found = _where(values, test)
    if not found:
        raise EvaluationError("Sequence contains no elements")
    return found[0]


def _single(values: list[Any], test: Run | None = None) -> Any:
    found = _where(values, test)
    if len(found) != 1:
        raise EvaluationError(
            "Sequence contains more than one element" if found else "Sequence contains no elements"
        )
    return found[0]


def _or_none(values: list[Any], test: Run | None = None, *, at: int = 0) -> Any:
    found = _where(values, test)
    return found[at] if found else None


def _single_or_none(values: list[Any], test: Run | None = None) -> Any:
    found = _where(values, test)
    return _single(found) if found else None


def _ordered(values: list[Any], key: Run, *, reverse: bool = False) -> list[Any]:
    try:
        return sorted(values, key=key, reverse=reverse)
    except TypeError:
        raise EvaluationError("At least one object must implement IComparable.") from None


def _has(values: list[Any], value: Any) -> bool:
    return any(_same(each, value) for each in values)


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _has_folded(values: Any, value: Any, comparison: str) -> bool:
    return any(equals(each, value, comparison) for each in values if each is not None)


def _distinct(values: list[Any]) -> list[Any]:
    try:
        return list(dict.fromkeys(values))
    except TypeError:
        # Compared by what they are, not by what they hold: each is its own.
        return values


def _concat(values: list[Any], more: Any) -> list[Any]:
    joined = values + elements(more)
    if len(joined) > MAX_ITEMS:
        raise TooMuchError(f"The sequence has more than {MAX_ITEMS} elements.")
    return joined


def _leading(values: list[Any], test: Run) -> int:
    return next((at for at, each in enumerate(values) if not test(each)), len(values))


def _shared(values: list[Any], more: Any, *, wanted: bool) -> list[Any]:
    others = elements(more)
    spend(len(others) // 100 * len(values))
    return _distinct([each for each in values if _has(others, each) is wanted])


def _sum(values: list[Any], made: Run) -> Any:
    # A null adds nothing.
    return sum(number for each in values if (number := made(each)) is not None)


def _limited(values: list[Any]) -> list[Any]:
    spend(len(values) // 100)
    return list(values)


QUERIES: Final[dict[str, Query]] = {
    "All": Query(
        "bool", lambda values, test: all(test(each) for each in values), "bool", is_lambda=True
    ),
    "Any": Query("bool", _any, "bool", optional=True, is_lambda=True),
    "Concat": Query("IEnumerable<T>", _concat, "IEnumerable<T>"),
    "Contains": Query("bool", _has, "T"),
    "Count": Query(
        "int",
        lambda values, test=None: len(_where(values, test)),
        "bool",
        optional=True,
        is_lambda=True,
    ),
    "Distinct": Query("IEnumerable<T>", _distinct),
    "ElementAt": Query("T", element, "int"),
    "ElementAtOrDefault": Query(
        "T", lambda values, index: values[index] if 0 <= index < len(values) else None, "int"
    ),
    "Except": Query(
        "IEnumerable<T>",
        lambda values, more: _shared(values, more, wanted=False),
        "IEnumerable<T>",
    ),
    "First": Query("T", _first, "bool", optional=True, is_lambda=True),
    "FirstOrDefault": Query("T", _or_none, "bool", optional=True, is_lambda=True),
    "Intersect": Query(
        "IEnumerable<T>",
        lambda values, more: _shared(values, more, wanted=True),
        "IEnumerable<T>",
    ),
    "Last": Query(
        "T",
        lambda values, test=None: _first(_where(values, test)[::-1]),
        "bool",
        optional=True,
        is_lambda=True,
    ),
    "LastOrDefault": Query(
        "T",
        lambda values, test=None: _or_none(values, test, at=-1),
        "bool",
        optional=True,
        is_lambda=True,
    ),
    "OrderBy": Query("IEnumerable<T>", _ordered, "any", is_lambda=True),
    "OrderByDescending": Query(
        "IEnumerable<T>",
        lambda values, key: _ordered(values, key, reverse=True),
        "any",
        is_lambda=True,
    ),
    "Reverse": Query("IEnumerable<T>", lambda values: values[::-1]),
    "Select": Query(
        "IEnumerable<R>",
        lambda values, made: [made(each) for each in values],
        "any",
        is_lambda=True,
    ),
    "Single": Query("T", _single, "bool", optional=True, is_lambda=True),
    "SingleOrDefault": Query("T", _single_or_none, "bool", optional=True, is_lambda=True),
    "Skip": Query("IEnumerable<T>", lambda values, count: values[max(count, 0) :], "int"),
    "SkipWhile": Query(
        "IEnumerable<T>",
        lambda values, test: values[_leading(values, test) :],
        "bool",
        is_lambda=True,
    ),
    "Sum": Query("R", _sum, "number", is_lambda=True),
    "Take": Query("IEnumerable<T>", lambda values, count: values[: max(count, 0)], "int"),
    "TakeWhile": Query(
        "IEnumerable<T>",
        lambda values, test: values[: _leading(values, test)],
        "bool",
        is_lambda=True,
    ),
    "ToArray": Query("T[]", _limited),
    "ToList": Query("List<T>", _limited),
    "Union": Query(
        "IEnumerable<T>",
        lambda values, more: _distinct(_concat(values, more)),
        "IEnumerable<T>",
    ),
    "Where": Query("IEnumerable<T>", _where, "bool", is_lambda=True),
}


def index_in(values: Any, value: Any) -> int:
    """Do `IndexOf` of arrays and lists: -1 where it is not there."""
    return next((at for at, each in enumerate(elements(values)) if _same(each, value)), -1)


# `Contains` with a comparer.
CONTAINS_FOLDED: Final = Method(
    (Parameter("string"), Parameter("StringComparison")), None, "bool", _has_folded
)
