"""Statements that are checked and evaluated, and do nothing more here: they say so once, in a log.

What they would do in Azure (record, cache responses) is seen by nobody but Azure Monitor, or makes
no difference but in speed.
"""

import logging
from collections.abc import Mapping
from typing import Final

from local_azure.gateway.exchange import Exchange
from local_azure.gateway.markup import Element
from local_azure.gateway.statements.attributes import (
    Value,
    attribute,
    constant,
    value,
)
from local_azure.gateway.statements.statement import (
    INBOUND,
    Action,
    Place,
    Statement,
    check_shape,
    refuse,
)

logger = logging.getLogger("local_azure.policies")

# API Management, "Emit metrics": dimensions that have a value of their own.
_DEFAULT_DIMENSIONS: Final = (
    "API ID",
    "Backend ID",
    "Client ID",
    "Gateway ID",
    "Location",
    "Operation ID",
    "Product ID",
    "Subscription ID",
    "User ID",
)
_MOST_DIMENSIONS: Final = 10  # the same page, "Limits"
_said: set[str] = set()


def _passed_over(element: Element, values: list[Value], what: str) -> Action:
    if element.name not in _said:
        _said.add(element.name)
        logger.warning("'%s' is checked and passed over by the local Azure: %s", element.name, what)

    async def evaluate(exchange: Exchange) -> None:
        # What fails to evaluate fails in Azure too.
        for read in values:
            read(exchange)

    return evaluate


def _emit_metric(element: Element, _: Place) -> Action:
    values = [attribute(element, name) for name in element.attributes if name != "id"]
    for child in element.children:
        if child.name != "dimension":
            refuse(child, f"not allowed in '{element.name}'")
        check_shape(child, ("name",), ("value",))
        name = constant(child, "name") or ""
        if "value" in child.attributes:
            values.append(attribute(child, "value"))
        elif name not in _DEFAULT_DIMENSIONS:
            refuse(child, f"the dimension '{name}' needs a value")
    if not element.children:
        refuse(element, "needs a dimension")
    if (count := len(element.children)) > _MOST_DIMENSIONS:
        refuse(element, f"has {count} dimensions, and at most {_MOST_DIMENSIONS} are allowed")
    return _passed_over(element, values, "no metric is recorded")


def _trace(element: Element, _: Place) -> Action:
    values = [attribute(element, name) for name in element.attributes if name != "id"]
    for child in element.children:
        if child.name == "message":
            check_shape(child, text=True)
            values.append(value(child, child.text))
        elif child.name == "metadata":
            check_shape(child, ("name", "value"))
            values.append(attribute(child, "value"))
        else:
            refuse(child, "not allowed in 'trace'")
    return _passed_over(element, values, "no trace is recorded")


def _log_to_eventhub(element: Element, _: Place) -> Action:
    return _passed_over(element, [value(element, element.text)], "no event is sent")


def _cache_lookup(element: Element, _: Place) -> Action:
    parts_of_key = {"vary-by-header": True, "vary-by-query-parameter": True}
    values = [attribute(element, name) for name in element.attributes if name != "id"]
    for child in element.children:
        if child.name not in parts_of_key:
            refuse(child, f"not allowed in '{element.name}'")
        check_shape(child, text=True)
        values.append(value(child, child.text))
    return _passed_over(element, values, "nothing is cached, each look-up misses")


def _semantic_cache_lookup(element: Element, _: Place) -> Action:
    values = [attribute(element, name) for name in element.attributes if name != "id"]
    for child in element.children:
        if child.name != "vary-by":
            refuse(child, f"not allowed in '{element.name}'")
        check_shape(child, text=True)
        values.append(value(child, child.text))
    return _passed_over(element, values, "nothing is cached, each look-up misses")


def _cache_store(element: Element, _: Place) -> Action:
    values = [attribute(element, name) for name in element.attributes if name != "id"]
    return _passed_over(element, values, "nothing is cached")


_NOT_RECORDED: Final = "checked and evaluated; nothing is recorded"
_NOT_CACHED: Final = "checked and evaluated; nothing is cached, so that each look-up misses"
_TOKEN_METRIC: Final = Statement(
    compile=_emit_metric,
    optional=("namespace",),
    sections=INBOUND,
    children=True,
    note=_NOT_RECORDED,
)
_SEMANTIC_LOOKUP: Final = Statement(
    compile=_semantic_cache_lookup,
    required=("score-threshold", "embeddings-backend-id"),
    optional=("embeddings-backend-auth", "ignore-system-messages", "max-message-count"),
    sections=INBOUND,
    children=True,
    note=_NOT_CACHED,
)
_SEMANTIC_STORE: Final = Statement(
    compile=_cache_store,
    required=("duration",),
    sections=frozenset({"outbound"}),
    note=_NOT_CACHED,
)

PASSED_OVER: Final[Mapping[str, Statement]] = {
    "azure-openai-emit-token-metric": _TOKEN_METRIC,
    "azure-openai-semantic-cache-lookup": _SEMANTIC_LOOKUP,
    "azure-openai-semantic-cache-store": _SEMANTIC_STORE,
    "cache-lookup": Statement(
        compile=_cache_lookup,
        optional=(
            "vary-by-developer",
            "vary-by-developer-groups",
            "caching-type",
            "downstream-caching-type",
            "must-revalidate",
            "allow-private-response-caching",
        ),
        sections=INBOUND,
        children=True,
        note=_NOT_CACHED,
    ),
    "cache-store": Statement(
        compile=_cache_store,
        required=("duration",),
        optional=("cache-response", "caching-type"),
        sections=frozenset({"outbound"}),
        note=_NOT_CACHED,
    ),
    "emit-metric": Statement(
        compile=_emit_metric,
        required=("name",),
        optional=("namespace", "value"),
        children=True,
        note=_NOT_RECORDED,
    ),
    "llm-emit-token-metric": _TOKEN_METRIC,
    "llm-semantic-cache-lookup": _SEMANTIC_LOOKUP,
    "llm-semantic-cache-store": _SEMANTIC_STORE,
    "log-to-eventhub": Statement(
        compile=_log_to_eventhub,
        required=("logger-id",),
        optional=("partition-id", "partition-key"),
        text=True,
        note=_NOT_RECORDED,
    ),
    "trace": Statement(
        compile=_trace,
        required=("source",),
        optional=("severity",),
        children=True,
        note=_NOT_RECORDED,
    ),
}
