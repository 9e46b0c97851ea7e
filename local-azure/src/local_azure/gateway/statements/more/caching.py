"""The cache by value: `cache-lookup-value`, `cache-store-value`, `cache-remove-value`."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from local_azure.gateway.cache import Cache
from local_azure.gateway.exchange import Exchange
from local_azure.gateway.expressions.json_values import JToken, copy
from local_azure.gateway.expressions.values import serialize
from local_azure.gateway.markup import Element
from local_azure.gateway.statements.attributes import (
    attribute,
    choice,
    constant,
    typed,
    whole_number,
)
from local_azure.gateway.statements.statement import Action, Place, Statement

_TYPES: Final = ("internal", "external", "prefer-external")
_NO_EXTERNAL: Final = "no external cache: `caching-type='external'` stores and finds nothing"
_LONGEST: Final = 2**31 - 1  # seconds


def _cache(element: Element) -> Callable[[Exchange], Cache | None]:
    """Return what gives the cache that a statement means; None where there is none."""
    if choice(element, "caching-type", _TYPES, "prefer-external") == "external":
        return lambda _: None
    return lambda exchange: exchange.services.cache


def _own(value: Any) -> Any:
    """Return a copy: what a policy changes of a value afterwards is not in the cache."""
    match value:
        case JToken():
            return copy(value)
        case list():
            return [_own(each) for each in value]
    return value


def _size(value: Any) -> int:
    """Return about how many bytes a value takes."""
    match value:
        case str() | bytes():
            return len(value)
        case JToken():
            return len(serialize(value))
        case list():
            return sum(map(_size, value))
    return 64


def _lookup(element: Element, _: Place) -> Action:
    name = constant(element, "variable-name") or ""
    key, cache_of = attribute(element, "key"), _cache(element)
    otherwise = typed(element, "default-value") if "default-value" in element.attributes else None

    async def look_up(exchange: Exchange) -> None:
        wanted, cache = key(exchange), cache_of(exchange)
        found = cache.get(wanted) if cache else None
        if found is not None:
            exchange.variables[name] = _own(found)
        elif otherwise is not None:
            exchange.variables[name] = otherwise(exchange)
        # Else it stays as it is: "Custom caching in API Management" asks whether it is there. The
        # reference of the statement has null instead.

    return look_up


def _store(element: Element, _: Place) -> Action:
    key, value, cache_of = attribute(element, "key"), typed(element, "value"), _cache(element)
    duration = whole_number(element, "duration", "", 0, _LONGEST)

    async def store(exchange: Exchange) -> None:
        wanted, kept, seconds = key(exchange), value(exchange), duration(exchange)
        cache = cache_of(exchange)
        # Assumed: a null is not stored.
        if cache and kept is not None:
            cache.put(wanted, _own(kept), seconds, size=_size(kept))

    return store


def _remove(element: Element, _: Place) -> Action:
    key, cache_of = attribute(element, "key"), _cache(element)

    async def remove(exchange: Exchange) -> None:
        wanted, cache = key(exchange), cache_of(exchange)
        if cache:
            cache.remove(wanted)

    return remove


CACHING: Final[Mapping[str, Statement]] = {
    "cache-lookup-value": Statement(
        compile=_lookup,
        required=("key", "variable-name"),
        optional=("default-value", "caching-type"),
        note=_NO_EXTERNAL,
    ),
    "cache-remove-value": Statement(
        compile=_remove, required=("key",), optional=("caching-type",), note=_NO_EXTERNAL
    ),
    "cache-store-value": Statement(
        compile=_store,
        required=("key", "value", "duration"),
        optional=("caching-type",),
        note=_NO_EXTERNAL,
    ),
}
