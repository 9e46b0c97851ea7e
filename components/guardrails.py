"""What must hold of a stack's resources before they are deployed, whoever declares them.

Pure: the policy pack and the embedded preview hand in the resources, with what is not known yet
left out of their inputs; what cannot be told is never a violation.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from components import regions
from components.traffic import EQUAL, Member, forecast, is_as_declared, not_round_robin

DECLARING: Final = ("openai-gateway:index:LoadBalancedOpenAI", "pulumi:pulumi:Stack")
"""Types with the stack's outputs: `routing` is what the pool is meant to be."""
ACCOUNT: Final = "azure-native:cognitiveservices:Account"
ROLE: Final = "azure-native:authorization:RoleAssignment"
BACKEND: Final = "azure-native:apimanagement:Backend"
POLICY: Final = "azure-native:apimanagement:ApiPolicy"

_VERSION: Final = re.compile(r"/v\d{8}\w*(?=:)")
_XML_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_SET_BACKEND: Final = re.compile(
    r"""<set-backend-service\b[^>]*?\b(backend-id|base-url)\s*=\s*(["'])(.*?)\2""", re.DOTALL
)
# Azure built-in roles: "Cognitive Services OpenAI User".
_OPENAI_USER: Final = "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd"


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A declared resource: type token, name, and those of its properties that are known."""

    type: str
    name: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A rule that does not hold: its name, the resource, and what is wrong with what remedy.

    `moves_traffic` says that it changes where traffic goes, whatever priorities and weights say.
    """

    rule: str
    resource: Resource
    message: str
    moves_traffic: bool = False


Findings = Iterator[tuple[Resource, str]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule's name in the policy pack, what it asks for, and its check.

    A rule with `of` looks at each resource of these types alone, so that the engine can ask before
    it makes one.
    """

    name: str
    description: str
    check: "Callable[[Stack], Findings]"
    of: tuple[str, ...] = ()
    moves_traffic: bool = False


class Stack:
    """The resources by type."""

    def __init__(self, resources: Sequence[Resource]) -> None:
        by_type: dict[str, list[Resource]] = {}
        for resource in resources:
            by_type.setdefault(unversioned(resource.type), []).append(resource)
        self.accounts = by_type.get(ACCOUNT, [])
        self.roles = [each for each in by_type.get(ROLE, []) if _is_openai_user(each)]
        self.policies = by_type.get(POLICY, [])
        backends = by_type.get(BACKEND, [])
        self.pools = [each for each in backends if _is_pool(each)]
        self.backends = [each for each in backends if not _is_pool(each)]
        declared = (each.inputs for kind in DECLARING for each in by_type.get(kind, []))
        routings = (str(inputs["routing"]) for inputs in declared if "routing" in inputs)
        self.routing = next(routings, "round-robin")


def unversioned(token: str) -> str:
    """Return a type token without its API version: `a:b/v20240501:C` is `a:b:C`."""
    return _VERSION.sub("", token)


def violations(resources: Sequence[Resource]) -> list[Violation]:
    """Return every violation of every rule."""
    stack = Stack(resources)
    return [
        Violation(
            rule=rule.name,
            resource=resource,
            message=message,
            moves_traffic=rule.moves_traffic,
        )
        for rule in RULES
        for resource, message in rule.check(stack)
    ]


def _round_robin(stack: Stack) -> Findings:
    for pool in stack.pools:
        members = _members(pool)
        if not members or not not_round_robin(members):
            continue
        # An unknown routing is none that was opted into.
        routing = stack.routing if stack.routing in EQUAL else "round-robin"
        if is_as_declared(members, routing):
            continue
        equal = EQUAL[routing]
        yield (
            pool,
            f"traffic would be: {_shares(pool)}; give every member the same {' and '.join(equal)}"
            if equal
            else f"traffic would be: {_shares(pool)}; add a member",
        )


def _every_region(stack: Stack) -> Findings:
    for pool in stack.pools:
        services = _services(pool)
        declared = max(len(stack.backends), len(stack.accounts))
        if services is not None and len(services) < declared:
            yield (
                pool,
                f"has {len(services)} of {declared} regions{_would_be(pool)}; add the others",
            )


def _once(stack: Stack) -> Findings:
    for pool in stack.pools:
        ids = [str(each["id"]) for each in _services(pool) or [] if each.get("id")]
        for member, times in Counter(_last(each).lower() for each in ids).items():
            if times > 1:
                yield (
                    pool,
                    f"{member} is a member {times} times{_would_be(pool)}; name each backend once",
                )


def _apart(stack: Stack) -> Findings:
    places: dict[str, list[Resource]] = {}
    for account in stack.accounts:
        if location := account.inputs.get("location"):
            places.setdefault(regions.normalise(str(location)), []).append(account)
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
        str(value).lower() for each in stack.backends for value in (_backend_id(each), each.name)
    }
    for pool in stack.pools:
        for service in _services(pool) or []:
            member = _last(str(service.get("id") or ""))
            if member and known and member.lower() not in known:
                what = f"is no backend of this stack{_would_be(pool)}"
                yield pool, f"{member} {what}; name one that it declares"


def _policy_names_the_pool(stack: Stack) -> Findings:
    pools = {_backend_id(pool) for pool in stack.pools}
    for policy in stack.policies:
        text = policy.inputs.get("value")
        if not pools or not isinstance(text, str):
            continue
        named = {
            (kind, value) for kind, _, value in _SET_BACKEND.findall(_XML_COMMENT.sub("", text))
        }
        if not named:
            yield policy, f"names no backend; set-backend-service must name {min(pools)}"
        for kind, value in sorted(named):
            # What an expression or a named value gives is known to the gateway alone.
            if value not in pools and not value.startswith(("@(", "@{", "{{")):
                what = f"{kind} {value} would get what passes here, and the pool none of it"
                yield policy, f"{what}; name the pool {min(pools)}"


def _signed_in(stack: Stack) -> Findings:
    names = [
        account.inputs.get("accountName", account.inputs.get("name")) for account in stack.accounts
    ]
    scopes = [role.inputs.get("scope") for role in stack.roles]
    missing = len(names) - len(scopes)
    if None not in names:
        # A scope that is not known yet may be any account's.
        named = {_last(str(scope)).lower() for scope in scopes if scope is not None}
        missing = sum(str(name).lower() not in named for name in names) - scopes.count(None)
    if missing > 0:
        what = f"{missing} of {len(names)} accounts would answer 401 for want of a role assignment"
        yield stack.accounts[-1], f"{what}; assign Cognitive Services OpenAI User on each"


RULES: Final = (
    Rule(
        name="pool-is-round-robin",
        description="Every member of a pool has the same priority and the same weight.",
        check=_round_robin,
        moves_traffic=True,
    ),
    Rule(
        name="pool-has-every-region",
        description="Every region that is declared is a member of the pool.",
        check=_every_region,
        moves_traffic=True,
    ),
    Rule(
        name="members-are-different",
        description="No backend is a member of a pool twice.",
        check=_once,
        moves_traffic=True,
    ),
    Rule(
        name="regions-are-different",
        description="No two accounts are in one region.",
        check=_apart,
        moves_traffic=True,
    ),
    Rule(
        name="backends-have-a-breaker",
        description="Every backend of a region has a circuit breaker.",
        check=_breaker,
        of=(BACKEND,),
    ),
    Rule(
        name="accounts-take-no-keys",
        description="Local authentication is off on every account.",
        check=_keyless,
        of=(ACCOUNT,),
    ),
    Rule(
        name="azure-takes-the-backends",
        description="No backend is one that API Management refuses.",
        check=_taken_by_azure,
        of=(BACKEND,),
    ),
    Rule(
        name="members-are-backends",
        description="Every member of a pool is a backend of the stack.",
        check=_known_members,
        moves_traffic=True,
    ),
    Rule(
        name="policy-names-the-pool",
        description="The API's policy sends traffic to the pool, and nowhere else.",
        check=_policy_names_the_pool,
        moves_traffic=True,
    ),
    Rule(
        name="gateway-may-call-every-account",
        description="The gateway's identity has a role on every account.",
        check=_signed_in,
    ),
)


def _is_pool(backend: Resource) -> bool:
    return backend.inputs.get("type") == "Pool" or "pool" in backend.inputs


def _backend_id(backend: Resource) -> str:
    """Return the id; in what Azure answered, it is the name."""
    inputs = backend.inputs
    return str(inputs.get("backendId") or inputs.get("name") or backend.name)


def _is_openai_user(role: Resource) -> bool:
    """Whether a role assignment is of the role that asks a model; one not known may be."""
    definition = role.inputs.get("roleDefinitionId")
    return definition is None or _last(str(definition)).lower() == _OPENAI_USER


def _services(pool: Resource) -> list[Mapping[str, Any]] | None:
    """Return the members, or None where they are not known; nothing is known of an empty one."""
    inner = pool.inputs.get("pool")
    services = inner.get("services") if isinstance(inner, Mapping) else None
    if not isinstance(services, list):
        return None
    return [each if isinstance(each, Mapping) else {} for each in services]


def _members(pool: Resource) -> list[Member] | None:
    """Return the members for the arithmetic, or None where a number is not known."""
    services = _services(pool)
    if services is None:
        return None
    members: list[Member] = []
    for index, service in enumerate(services, 1):
        priority, weight = _whole(service.get("priority")), _whole(service.get("weight"))
        if priority is None or weight is None:
            return None
        name = _last(str(service.get("id") or "")) or f"member {index}"
        if any(member.name == name for member in members):
            name = f"{name} (member {index})"
        members.append(Member(name=name, priority=priority, weight=weight))
    return members


def _whole(value: object) -> int | None:
    """Return a number of Azure's, from 0 up; the engine's are floats, and others are not known."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value >= 0 and value % 1 == 0 else None


def _shares(pool: Resource) -> str:
    """Return the forecast of a pool: empty where a priority or weight is not known."""
    members = _members(pool)
    return forecast(members, {}) if members else ""


def _would_be(pool: Resource) -> str:
    shares = _shares(pool)
    return f": traffic would be {shares}" if shares else ""


def _last(resource_id: str) -> str:
    return resource_id.rstrip("/").rpartition("/")[2]
