"""What must hold of a stack's resources before they are deployed, whoever declares them.

Pure: the policy pack and the preview comment hand in the resources. A value that a preview does not
tell is UNKNOWN or SECRET in their inputs, and never a violation; a value that is left out is.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from components.regions import Locations, normalise
from components.traffic import (
    SECRET,
    UNKNOWN,
    Kind,
    Pool,
    Problem,
    differences,
    last_segment,
    percent,
)

STACK: Final = "pulumi:pulumi:Stack"
DECLARING: Final = ("openai-gateway:index:LoadBalancedOpenAI", STACK)
"""Types with the stack's outputs: `routing` and `backends` are what the pool is meant to be,
`unprotected` and `accept_starved` the names that are allowed to be so."""
ACCOUNT: Final = "azure-native:cognitiveservices:Account"
SERVICE: Final = "azure-native:apimanagement:ApiManagementService"
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
    """A declared resource: type token, name, properties, and whether it is protected."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    protect: bool = False

    def told(self, key: str) -> Any:
        """Return a property, or None where it is left out or a preview does not tell it."""
        value = self.inputs.get(key)
        return None if _is_untold(value) else value


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
Check = Callable[["Stack"], Findings]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule's name in the policy pack, what it asks for, and its check.

    A rule with `of` looks at each resource of these types alone, so that the engine can ask before
    it makes one. What an `advisory` one finds stops nothing.
    """

    name: str
    description: str
    check: Check
    of: tuple[str, ...] = ()
    moves_traffic: bool = False
    advisory: bool = False


class Stack:
    """The resources by type, and what the stack's outputs declare of them."""

    def __init__(self, resources: Sequence[Resource]) -> None:
        by_type: dict[str, list[Resource]] = {}
        for resource in resources:
            by_type.setdefault(unversioned(resource.type), []).append(resource)
        self.accounts = by_type.get(ACCOUNT, [])
        self.services = by_type.get(SERVICE, [])
        self.roles = [each for each in by_type.get(ROLE, []) if _is_openai_user(each)]
        self.policies = by_type.get(POLICY, [])
        backends = by_type.get(BACKEND, [])
        self.pools = [(each, pool_of(each)) for each in backends if _is_pool(each)]
        self.backends = [each for each in backends if not _is_pool(each)]
        self._declaring = [each for kind in DECLARING for each in by_type.get(kind, [])]
        self.routing = str(self._output("routing") or "round-robin")
        declared = Pool.read(self._output("backends"))
        self.declared = None if declared.unread else declared
        self.vouched = {
            str(each.get("location")) for each in self.names("backends") if _has_display_name(each)
        }

    def _output(self, key: str) -> Any:
        return next((v for each in self._declaring if (v := each.told(key)) is not None), None)

    def names(self, key: str) -> list[Any]:
        """Return an output that is a list."""
        value = self._output(key)
        return [*value] if isinstance(value, Sequence) and not isinstance(value, str) else []

    def wrong(self, pool: Pool) -> list[Problem]:
        """Return what keeps a pool from spreading traffic as declared, each once."""
        found = pool.problems(self.routing)
        if self.declared is not None and not pool.unread:
            found += [each for each in differences(self.declared, pool) if each not in found]
        return found


def unversioned(token: str) -> str:
    """Return a type token without its API version: `a:b/v20240501:C` is `a:b:C`."""
    return _VERSION.sub("", token)


def violations(resources: Sequence[Resource]) -> list[Violation]:
    """Return every violation of every rule that is not advisory."""
    stack = Stack(resources)
    return [
        Violation(
            rule=rule.name,
            resource=resource,
            message=message,
            moves_traffic=rule.moves_traffic,
        )
        for rule in RULES
        if not rule.advisory
        for resource, message in rule.check(stack)
    ]


RULES: Final[list[Rule]] = []


def _rule(name: str, description: str, **more: Any) -> Callable[[Check], Check]:
    def add(check: Check) -> Check:
        RULES.append(Rule(name=name, description=description, check=check, **more))
        return check

    return add


def _pools(*kinds: Kind) -> Check:
    """Return a check that finds problems of these kinds in a pool."""

    def check(stack: Stack) -> Findings:
        for resource, pool in stack.pools:
            found = [each for each in stack.wrong(pool) if each.kind in kinds]
            if found:
                what = "; ".join(each.message for each in found)
                remedies = "; ".join(dict.fromkeys(each.remedy for each in found))
                yield resource, f"{what}{_would_be(pool)}; {remedies}"

    return check


_rule(
    "pool-is-round-robin",
    "Every member of a pool has the same priority and the same weight.",
    moves_traffic=True,
)(_pools("empty", "alone", "unset", "invalid", "unequal"))
_rule(
    "pool-is-as-declared",
    "A pool has the members, priorities and weights that the stack declares.",
    moves_traffic=True,
)(_pools("extra", "different"))
_rule("members-are-different", "No backend is a member of a pool twice.", moves_traffic=True)(
    _pools("repeated")
)


@_rule(
    "pool-has-every-region",
    "Every region that is declared is a member of the pool.",
    moves_traffic=True,
)
def _every_region(stack: Stack) -> Findings:
    yield from _pools("missing")(stack)
    backends, accounts = len(stack.backends), len(stack.accounts)
    for resource, pool in stack.pools if stack.declared is None else ():
        if not pool.unread and len(pool.members) < (declared := max(backends, accounts)):
            what = f"has {len(pool.members)} of {declared} regions{_would_be(pool)}"
            yield resource, f"{what}; add the others"


@_rule(
    "no-region-is-starved",
    "No region gets 0 % of the traffic, unless the config accepts it by name.",
    advisory=True,
)
def _starved(stack: Stack) -> Findings:
    for resource, pool in stack.pools:
        accepted = {str(each).lower() for each in stack.names("accept_starved")}
        starved = [name for name in pool.starved if name.lower() not in accepted]
        if starved and not stack.wrong(pool):
            what = f"{', '.join(starved)} would get no traffic as long as all is well"
            remedy = f"to accept it, write acceptStarved: [{', '.join(starved)}]"
            yield resource, f"{what}{_would_be(pool)}; {remedy}"


@_rule(
    "accounts-and-gateway-are-protected",
    "No change of config deletes or replaces an account or the service.",
)
def _protected(stack: Stack) -> Findings:
    allowed = {str(each) for each in stack.names("unprotected")}
    for each in (*stack.accounts, *stack.services):
        if not each.protect and each.name not in allowed:
            what = "is not protected: a change of config can delete or replace it"
            yield each, f"{what}; set protect, or name it in the config's protect.except"


@_rule(
    "locations-are-azure-s",
    "Accounts and service are in locations that Azure has.",
    moves_traffic=True,
)
def _in_azure(stack: Stack) -> Findings:
    for each in (*stack.accounts, *stack.services):
        location = each.told("location")
        if location is None:
            continue
        fault = Locations().fault(str(location))
        if fault and normalise(str(location)) not in stack.vouched:
            yield each, f"is in {location}: {fault}"


@_rule("regions-are-different", "No two accounts are in one region.", moves_traffic=True)
def _apart(stack: Stack) -> Findings:
    places: dict[str, list[Resource]] = {}
    for account in stack.accounts:
        if location := account.told("location"):
            places.setdefault(normalise(str(location)), []).append(account)
    for location, accounts in places.items():
        if len(accounts) > 1:
            names = " and ".join(sorted(account.name for account in accounts))
            yield (
                accounts[-1],
                f"{names} are in {location}; give each account a location of its own",
            )


@_rule("backends-have-a-breaker", "Every backend of a region has a circuit breaker.", of=(BACKEND,))
def _breaker(stack: Stack) -> Findings:
    for backend in stack.backends:
        breaker = backend.inputs.get("circuitBreaker")
        if not (_is_untold(breaker) or (isinstance(breaker, Mapping) and breaker.get("rules"))):
            yield (
                backend,
                "has no circuit breaker, and keeps its traffic when it fails; declare one rule",
            )


@_rule("accounts-take-no-keys", "Local authentication is off on every account.", of=(ACCOUNT,))
def _keyless(stack: Stack) -> Findings:
    for account in stack.accounts:
        properties = account.inputs.get("properties")
        value = properties.get("disableLocalAuth") if isinstance(properties, Mapping) else None
        if value is not True and not _is_untold(properties) and not _is_untold(value):
            yield account, "takes keys; set disableLocalAuth to true"


@_rule("azure-takes-the-backends", "No backend is one that API Management refuses.", of=(BACKEND,))
def _taken_by_azure(stack: Stack) -> Findings:
    for backend in stack.backends:
        protocol = backend.told("protocol")
        if protocol not in (None, "http", "soap"):
            yield backend, f"has protocol {protocol}; Azure takes http, for https URLs too"
        breaker = backend.inputs.get("circuitBreaker")
        rules = breaker.get("rules") if isinstance(breaker, Mapping) else None
        if isinstance(rules, list) and len(rules) > 1:
            yield backend, f"has {len(rules)} circuit breaker rules; Azure takes one"
    for pool, _ in stack.pools:
        for key in ("url", "protocol"):
            if isinstance(pool.told(key), str):
                yield pool, f"is a pool and has a {key}; Azure takes it on a single backend alone"


@_rule(
    "members-are-backends", "Every member of a pool is a backend of the stack.", moves_traffic=True
)
def _known_members(stack: Stack) -> Findings:
    known = {
        str(value).lower() for each in stack.backends for value in (_backend_id(each), each.name)
    }
    for resource, pool in stack.pools:
        for member in pool.members:
            if known and member.id == "told" and member.name.lower() not in known:
                what = f"is no backend of this stack{_would_be(pool)}"
                yield resource, f"{member.name} {what}; name one that it declares"


@_rule(
    "policy-names-the-pool",
    "The API's policy sends traffic to the pool, and nowhere else.",
    moves_traffic=True,
)
def _policy_names_the_pool(stack: Stack) -> Findings:
    pools = {_backend_id(pool) for pool, _ in stack.pools}
    for policy in stack.policies:
        text = policy.told("value")
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


@_rule("gateway-may-call-every-account", "The gateway's identity has a role on every account.")
def _signed_in(stack: Stack) -> Findings:
    names = [account.told("accountName") or account.told("name") for account in stack.accounts]
    scopes = [role.told("scope") for role in stack.roles]
    missing = len(names) - len(scopes)
    if None not in names:
        # A scope that is not known yet may be any account's.
        named = {last_segment(str(scope)).lower() for scope in scopes if scope is not None}
        missing = sum(str(name).lower() not in named for name in names) - scopes.count(None)
    if missing > 0:
        what = f"{missing} of {len(names)} accounts would answer 401 for want of a role assignment"
        yield stack.accounts[-1], f"{what}; assign Cognitive Services OpenAI User on each"


def _is_untold(value: object) -> bool:
    return isinstance(value, str) and value in (UNKNOWN, SECRET)


def _has_display_name(backend: object) -> bool:
    """Whether a declared backend's location was found in the subscription's own list."""
    if not isinstance(backend, Mapping):
        return False
    location, region = str(backend.get("location")), str(backend.get("region"))
    return region != location and normalise(region) == location


def _is_pool(backend: Resource) -> bool:
    return backend.inputs.get("type") == "Pool" or backend.inputs.get("pool") is not None


def pool_of(backend: Resource) -> Pool:
    """Return the pool of a backend of type Pool."""
    inner = backend.inputs.get("pool")
    return Pool.read(inner.get("services") if isinstance(inner, Mapping) else inner)


def _backend_id(backend: Resource) -> str:
    """Return the id; in what Azure answered, it is the name."""
    return str(backend.told("backendId") or backend.told("name") or backend.name)


def _is_openai_user(role: Resource) -> bool:
    """Whether a role assignment is of the role that asks a model; one not known may be."""
    definition = role.told("roleDefinitionId")
    return definition is None or last_segment(str(definition)).lower() == _OPENAI_USER


def _would_be(pool: Pool) -> str:
    shares = ", ".join(f"{name} {percent(each)}" for name, each in pool.by_label({}).items())
    return f": traffic would be {shares}" if shares else ""
