"""What must hold of a stack's resources before they are deployed, whoever declares them.

Pure: the policy pack and the embedded preview hand in the resources, with what is not known yet
left out of their inputs; what cannot be told is never a violation.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from components.traffic import Member, forecast, not_round_robin

DECLARING: Final = ("openai-gateway:index:LoadBalancedOpenAI", "pulumi:pulumi:Stack")
"""Types with the stack's outputs: `routing` is what the pool is meant to be."""
ACCOUNT: Final = "azure-native:cognitiveservices:Account"
ROLE: Final = "azure-native:authorization:RoleAssignment"
BACKEND: Final = "azure-native:apimanagement:Backend"
POLICY: Final = "azure-native:apimanagement:ApiPolicy"

_VERSION: Final = re.compile(r"/v\d{8}\w*(?=:)")
_BACKEND_ID: Final = re.compile(r"<set-backend-service\b[^>]*?\bbackend-id=\"([^\"]*)\"")


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A declared resource: type token, name, and those of its properties that are known."""

    type: str
    name: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A rule that does not hold: its name, the resource, and what is wrong with what remedy."""

    rule: str
    resource: Resource
    message: str


Findings = Iterator[tuple[Resource, str]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule's name in the policy pack, what it asks for, and its check."""

    name: str
    description: str
    check: "Callable[[Stack], Findings]"


class Stack:
    """The resources by type."""

    def __init__(self, resources: Sequence[Resource]) -> None:
        by_type: dict[str, list[Resource]] = {}
        for resource in resources:
            by_type.setdefault(_VERSION.sub("", resource.type), []).append(resource)
        self.accounts = by_type.get(ACCOUNT, [])
        self.roles = by_type.get(ROLE, [])
        self.policies = by_type.get(POLICY, [])
        backends = by_type.get(BACKEND, [])
        self.pools = [each for each in backends if _is_pool(each)]
        self.backends = [each for each in backends if not _is_pool(each)]
        declared = (each.inputs for kind in DECLARING for each in by_type.get(kind, []))
        routings = (str(inputs["routing"]) for inputs in declared if "routing" in inputs)
        self.routing = next(routings, "round-robin")

    def shares(self, pool: Resource) -> str:
        """Return the forecast of a pool: empty where a priority or weight is not known."""
        members = _members(pool)
        return forecast(members, {}) if members is not None else ""


def violations(resources: Sequence[Resource]) -> list[Violation]:
    """Return every violation of every rule."""
    stack = Stack(resources)
    return [
        Violation(rule=rule.name, resource=resource, message=message)
        for rule in RULES
        for resource, message in rule.check(stack)
    ]


def _round_robin(stack: Stack) -> Findings:
    for pool in stack.pools:
        members = _members(pool)
        if stack.routing == "round-robin" and members is not None and not_round_robin(members):
            yield (
                pool,
                f"traffic would be: {stack.shares(pool)}; make all priorities and weights equal",
            )


def _every_region(stack: Stack) -> Findings:
    for pool in stack.pools:
        services = _services(pool)
        declared = max(len(stack.backends), len(stack.accounts))
        if services is not None and len(services) < declared:
            yield (
                pool,
                f"has {len(services)} of {declared} regions: {stack.shares(pool)}",
            )


def _once(stack: Stack) -> Findings:
    for pool in stack.pools:
        ids = [str(each["id"]) for each in _services(pool) or [] if each.get("id")]
        for member, times in Counter(map(_last, ids)).items():
            if times > 1:
                yield pool, f"{member} is a member {times} times; name each backend once"


def _apart(stack: Stack) -> Findings:
    places: dict[str, list[Resource]] = {}
    for account in stack.accounts:
        if location := account.inputs.get("location"):
            places.setdefault(str(location).replace(" ", "").lower(), []).append(account)
    for location, accounts in places.items():
        if len(accounts) > 1:
            names = " and ".join(sorted(account.name for account in accounts))
            yield (
                accounts[-1],
                f"{names} are in {location}; give each account a location of its own",
            )


def _breaker(stack: Stack) -> Findings:
    for backend in stack.backends:
        breaker = backend.inputs.get("circuitBreaker", {})
        if not (isinstance(breaker, Mapping) and breaker.get("rules")):
            yield (
                backend,
                "has no circuit breaker, and keeps its traffic when it fails; declare one rule",
            )


def _keyless(stack: Stack) -> Findings:
    for account in stack.accounts:
        properties = account.inputs.get("properties")
        if isinstance(properties, Mapping) and properties.get("disableLocalAuth") is not True:
            yield account, "takes keys; set disableLocalAuth to true"


def _taken_by_azure(stack: Stack) -> Findings:
    for backend in stack.backends:
        protocol = backend.inputs.get("protocol", "http")
        if protocol not in ("http", "soap"):
            yield backend, f"has protocol {protocol}; Azure takes http, for https URLs too"
        breaker = backend.inputs.get("circuitBreaker")
        rules = breaker.get("rules") if isinstance(breaker, Mapping) else None
        if isinstance(rules, list) and len(rules) > 1:
            yield backend, f"has {len(rules)} circuit breaker rules; Azure takes one"
    for pool in stack.pools:
        for key in ("url", "protocol"):
            if isinstance(pool.inputs.get(key), str):
                yield pool, f"is a pool and has a {key}; Azure takes it on a single backend alone"


def _known_members(stack: Stack) -> Findings:
    known = {
        str(value).lower()
        for each in stack.backends
        for value in (each.inputs.get("backendId", each.name), each.name)
    }
    for pool in stack.pools:
        for service in _services(pool) or []:
            member = _last(str(service.get("id") or ""))
            if member and known and member.lower() not in known:
                yield pool, f"{member} is no backend of this stack; did it lose its backend?"


def _policy_names_the_pool(stack: Stack) -> Findings:
    pools = {str(pool.inputs.get("backendId", pool.name)) for pool in stack.pools}
    for policy in stack.policies:
        text = policy.inputs.get("value")
        if not pools or not isinstance(text, str):
            continue
        named = _BACKEND_ID.findall(text)
        if not named:
            yield policy, f"names no backend; set-backend-service must name {min(pools)}"
        for other in sorted(set(named) - pools):
            yield policy, f"sends traffic to {other}, which is not the pool {min(pools)}"


def _signed_in(stack: Stack) -> Findings:
    missing = len(stack.accounts) - len(stack.roles)
    if missing > 0:
        yield (
            stack.accounts[-1],
            f"{missing} accounts have no role assignment; assign Cognitive Services OpenAI User",
        )


RULES: Final = (
    Rule(
        name="pool-is-round-robin",
        description="Every member of a pool has the same priority and the same weight.",
        check=_round_robin,
    ),
    Rule(
        name="pool-has-every-region",
        description="Every region that is declared is a member of the pool.",
        check=_every_region,
    ),
    Rule(
        name="members-are-different",
        description="No backend is a member of a pool twice.",
        check=_once,
    ),
    Rule(
        name="regions-are-different",
        description="No two accounts are in one region.",
        check=_apart,
    ),
    Rule(
        name="backends-have-a-breaker",
        description="Every backend of a region has a circuit breaker.",
        check=_breaker,
    ),
    Rule(
        name="accounts-take-no-keys",
        description="Local authentication is off on every account.",
        check=_keyless,
    ),
    Rule(
        name="azure-takes-the-backends",
        description="No backend is one that API Management refuses.",
        check=_taken_by_azure,
    ),
    Rule(
        name="members-are-backends",
        description="Every member of a pool is a backend of the stack.",
        check=_known_members,
    ),
    Rule(
        name="policy-names-the-pool",
        description="The API's policy sends traffic to the pool, and nowhere else.",
        check=_policy_names_the_pool,
    ),
    Rule(
        name="gateway-may-call-every-account",
        description="The gateway's identity has a role on every account.",
        check=_signed_in,
    ),
)


def _is_pool(backend: Resource) -> bool:
    return backend.inputs.get("type") == "Pool" or "pool" in backend.inputs


def _services(pool: Resource) -> list[Mapping[str, Any]] | None:
    """Return the members, or None where they are not known."""
    inner = pool.inputs.get("pool")
    services = inner.get("services") if isinstance(inner, Mapping) else None
    return services if isinstance(services, list) else None


def _members(pool: Resource) -> list[Member] | None:
    """Return the members for the arithmetic, or None where a number is not known."""
    services = _services(pool)
    if services is None:
        return None
    members = []
    for index, service in enumerate(services, 1):
        priority, weight = service.get("priority"), service.get("weight")
        if not isinstance(priority, int | float) or not isinstance(weight, int | float):
            return None
        name = _last(str(service.get("id") or "")) or f"member {index}"
        members.append(Member(name=name, priority=int(priority), weight=int(weight)))
    names = Counter(member.name for member in members)
    return members if max(names.values(), default=1) == 1 else None


def _last(resource_id: str) -> str:
    return resource_id.rstrip("/").rpartition("/")[2]
