"""Rules for backends and pools of API Management."""

from collections.abc import Iterator, Mapping
from typing import Any

from local_azure.resource_manager import resource_types as types
from local_azure.resource_manager.request import Request
from local_azure.resource_manager.rules.rule import DELETE, Rule, Violations
from local_azure.store import Resource


def _is_pool(properties: Mapping[str, Any]) -> bool:
    return properties.get("type") == "Pool"


def _pool_with_url(request: Request) -> Violations:
    if _is_pool(request.properties) and "url" in request.properties:
        yield {}


def _pool_with_protocol(request: Request) -> Violations:
    if _is_pool(request.properties) and "protocol" in request.properties:
        yield {}


def _pool_with_breaker(request: Request) -> Violations:
    if _is_pool(request.properties) and "circuitBreaker" in request.properties:
        yield {}


def _pool_without_members(request: Request) -> Violations:
    if _is_pool(request.properties) and not _members(request.properties):
        yield {}


def _members_without_pool(request: Request) -> Violations:
    if not _is_pool(request.properties) and "pool" in request.properties:
        yield {}


def _no_url(request: Request) -> Violations:
    if not _is_pool(request.properties) and "url" not in request.properties:
        yield {}


def _no_protocol(request: Request) -> Violations:
    if not _is_pool(request.properties) and "protocol" not in request.properties:
        yield {}


def _unknown_protocol(request: Request) -> Violations:
    given = request.properties.get("protocol", "http")
    if not _is_pool(request.properties) and given not in ("http", "soap"):
        yield {}


def _members(properties: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    members: list[Mapping[str, Any]] = properties.get("pool", {}).get("services", [])
    return members


def _member_backends(request: Request) -> Iterator[tuple[str, Resource | None]]:
    siblings = f"{request.parent_id}/backends/".lower()
    for member in _members(request.properties):
        whole = _whole_id(request, member)
        yield member["id"], request.find(whole) if whole.startswith(siblings) else None


def _whole_id(request: Request, member: Mapping[str, Any]) -> str:
    """Return a member's ARM id in lower case; it may be written as `/backends/NAME`.

    Source: API Management documentation, "Backends", load-balanced pool.
    """
    written = str(member["id"]).lower()
    return f"{request.parent_id}{written}".lower() if written.startswith("/backends/") else written


def _unknown_member(request: Request) -> Violations:
    for member_id, backend in _member_backends(request):
        if backend is None:
            yield {"member": member_id.rsplit("/", 1)[-1]}


def _pool_as_member(request: Request) -> Violations:
    for member_id, backend in _member_backends(request):
        if backend and _is_pool(backend.body["properties"]):
            yield {"member": member_id.rsplit("/", 1)[-1]}


def _breaker_rules(request: Request) -> list[Mapping[str, Any]]:
    rules: list[Mapping[str, Any]] = request.properties.get("circuitBreaker", {}).get("rules", [])
    return rules


def _several_breaker_rules(request: Request) -> Violations:
    if len(_breaker_rules(request)) > 1:
        yield {"count": len(_breaker_rules(request))}


def _breaker_on_consumption(request: Request) -> Violations:
    service = request.find(request.parent_id)
    if _breaker_rules(request) and service and service.body["sku"]["name"] == "Consumption":
        yield {}


def _count_and_percentage(request: Request) -> Violations:
    for rule in _breaker_rules(request):
        if ("count" in rule["failureCondition"]) is ("percentage" in rule["failureCondition"]):
            yield {}


def _nothing_to_break_on(request: Request) -> Violations:
    for rule in _breaker_rules(request):
        condition = rule["failureCondition"]
        if not condition.get("statusCodeRanges") and not condition.get("errorReasons"):
            yield {}


def _inverted_range(request: Request) -> Violations:
    for rule in _breaker_rules(request):
        for span in rule["failureCondition"].get("statusCodeRanges", []):
            if span["min"] > span["max"]:
                yield {"low": span["min"], "high": span["max"]}


def _in_use_by_pool(request: Request) -> Violations:
    for pool in request.view.list(types.BACKEND, under=request.parent_id):
        ids = [_whole_id(request, member) for member in _members(pool.body["properties"])]
        if request.id.lower() in ids:
            yield {"pool": pool.body["name"]}


BACKEND_RULES = (
    Rule(
        check=_pool_with_url,
        of=(types.BACKEND,),
        message="Url is not supported for backend pool.",
        target="url",
        source="M: azure-docs#122455",
    ),
    Rule(
        check=_pool_with_protocol,
        of=(types.BACKEND,),
        message="Protocol is not supported for backend pool.",
        target="protocol",
        source="M: azure-docs#122455",
    ),
    Rule(
        check=_pool_with_breaker,
        of=(types.BACKEND,),
        message="Circuit breaker is not supported for backend pool.",
        target="circuitBreaker",
        source="?",
    ),
    Rule(
        check=_pool_without_members,
        of=(types.BACKEND,),
        message="'pool' should not be empty",
        target="pool",
        source="? the wording; H: API Management 2024-05-01, pool",
    ),
    Rule(
        check=_members_without_pool,
        of=(types.BACKEND,),
        message="Pool is not supported for backend of type 'Single'.",
        target="pool",
        source="?",
    ),
    Rule(
        check=_no_url,
        of=(types.BACKEND,),
        message="'url' should not be empty",
        target="url",
        source="M: azure-powershell#26837",
    ),
    Rule(
        check=_no_protocol,
        of=(types.BACKEND,),
        message="'protocol' should not be empty",
        target="protocol",
        source="? the wording; H: API Management 2024-05-01, protocol",
    ),
    Rule(
        check=_unknown_protocol,
        of=(types.BACKEND,),
        message="Protocol is not supported",
        target="protocol",
        source="M: bicep#14093",
    ),
    Rule(
        check=_unknown_member,
        of=(types.BACKEND,),
        message="Backend Entity '{member}' not found.",
        target="pool",
        source="M: apiops#797",
    ),
    Rule(
        check=_pool_as_member,
        of=(types.BACKEND,),
        message="Backend Entity '{member}' is a pool and cannot be a member of one.",
        target="pool",
        source="?",
    ),
    Rule(
        check=_several_breaker_rules,
        of=(types.BACKEND,),
        message="Circuit breaker supports one rule, not {count}.",
        target="circuitBreaker",
        source="? the wording; H: Backends in API Management, limitations",
    ),
    Rule(
        check=_breaker_on_consumption,
        of=(types.BACKEND,),
        message="Circuit breaker is not supported in the Consumption tier.",
        target="circuitBreaker",
        source="? the wording; H: Backends in API Management, limitations",
    ),
    Rule(
        check=_count_and_percentage,
        of=(types.BACKEND,),
        message="The failure condition should have either count or percentage.",
        target="circuitBreaker",
        source="? the wording; H: API Management 2024-05-01, failureCondition",
    ),
    Rule(
        check=_nothing_to_break_on,
        of=(types.BACKEND,),
        message="The failure condition should have statusCodeRanges or errorReasons.",
        target="circuitBreaker",
        source="?",
    ),
    Rule(
        check=_inverted_range,
        of=(types.BACKEND,),
        message="The range of status codes {low}-{high} ends before it begins.",
        target="circuitBreaker",
        source="?",
    ),
    Rule(
        check=_in_use_by_pool,
        methods=DELETE,
        of=(types.BACKEND,),
        message="Backend '{name}' cannot be deleted: it is a member of the pool '{pool}'.",
        target="pool",
        source="?",
    ),
)
