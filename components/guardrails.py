"""What must hold of a stack's resources before they are deployed, whoever declares them.

Pure: the policy pack and the preview comment hand in the resources. A value that a preview does not
tell is UNKNOWN or SECRET in their inputs, and never a violation; a value that is left out is.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any, Final

from .naming import prefix
from .regions import Locations, normalise
from .resource_manager import OPENAI_USER
from .traffic import (
    POOL_NAME,
    UNTOLD,
    Kind,
    Member,
    Pool,
    Problem,
    differences,
    last_segment,
    name_end,
    percent,
)

STACK: Final = "pulumi:pulumi:Stack"
WHOLE: Final = "openai-gateway:index:LoadBalancedOpenAI"
PART: Final = "openai-gateway:index:BackendPool"
DECLARING: Final = (WHOLE, PART, STACK)
"""Types with the stack's outputs: `routing` and `backends` are what a pool is meant to be, `pools`
the models that have one; `unprotected` and `accept_starved` name what is allowed to be so, and
`unwatched` says that no alarm is wanted."""
ACCOUNT: Final = "azure-native:cognitiveservices:Account"
DEPLOYMENT: Final = "azure-native:cognitiveservices:Deployment"
SERVICE: Final = "azure-native:apimanagement:ApiManagementService"
ROLE: Final = "azure-native:authorization:RoleAssignment"
BACKEND: Final = "azure-native:apimanagement:Backend"
POLICY: Final = "azure-native:apimanagement:ApiPolicy"
ALERT: Final = "azure-native:monitor:ScheduledQueryRule"
ACTION_GROUP: Final = "azure-native:monitor:ActionGroup"

_VERSION: Final = re.compile(r"/v\d{8}\w*(?=:)")
# The second way of a policy that declares it: what carries an id goes where that id is known. It
# stands alone in a `when` that no request without an id meets, as policies/follow.xml reads them.
_FOLLOWS: Final = '@((string)context.Variables["id"] != "")'
_WHEN: Final = re.compile(
    r"""<when\s+condition\s*=\s*(["'])((?:(?!\1).)*)\1\s*>\s*(<set-backend-service\b[^<]*?/>)\s*</when>""",
    re.DOTALL,
)
_SET_ID: Final = re.compile(r"""<set-variable\s+name\s*=\s*(["'])id\1.*?/>""", re.DOTALL)
_TEXT: Final = re.compile(r'"([^"]*)"')
_XML_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_SET_BACKEND: Final = re.compile(
    r"""<set-backend-service\b[^>]*?\b(backend-id|base-url)\s*=\s*(["'])(.*?)\2""", re.DOTALL
)


@dataclass(frozen=True)
class Resource:
    """A declared resource: type token, name, properties, and whether it is protected.

    `within` is the name of the LoadBalancedOpenAI that declares it, or empty.
    """

    type: str
    name: str
    inputs: Mapping[str, Any]
    protect: bool = False
    within: str = ""

    def told(self, key: str) -> Any:
        """Return a property, or None where it is left out or a preview does not tell it."""
        value = self.inputs.get(key)
        return None if value in UNTOLD else value


@dataclass(frozen=True)
class Violation:
    """A rule that does not hold: its name, the resource, and what is wrong with what remedy."""

    rule: str
    resource: Resource
    message: str
    moves_traffic: bool


Findings = Iterator[tuple[Resource, str]]
Check = Callable[["Stack"], Findings]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule's name in the policy pack, what it asks for, and its check.

    A rule with `of` looks at each resource of these types alone, so that the engine can ask before
    it makes one. What an `advisory` one finds stops nothing; what one that `moves_traffic` finds
    changes where traffic goes, whatever priorities and weights say.
    """

    name: str
    description: str
    check: Check
    of: tuple[str, ...] = ()
    moves_traffic: bool = False
    advisory: bool = False


class Stack:
    """The resources by type, and what the stack's outputs declare of them.

    `split` gives one for each LoadBalancedOpenAI of a program. `beside` names pools of others, to
    which a policy that is of no component may send.
    """

    def __init__(self, resources: Sequence[Resource], beside: Iterable[str] = ()) -> None:
        self.beside = frozenset(beside)
        self._owners = {each.within for each in resources if each.within}
        by_type: dict[str, list[Resource]] = {}
        for resource in resources:
            by_type.setdefault(unversioned(resource.type), []).append(resource)
        self.accounts = by_type.get(ACCOUNT, [])
        self.kept = [*self.accounts, *by_type.get(SERVICE, [])]
        self.roles = by_type.get(ROLE, [])
        self.deployments = by_type.get(DEPLOYMENT, [])
        self.policies = by_type.get(POLICY, [])
        self.alerts = by_type.get(ALERT, [])
        self._declaring = [each for kind in DECLARING for each in by_type.get(kind, [])]
        self.is_unwatched = self._output("unwatched") is True
        self.routing = str(self._output("routing") or "round-robin")
        declared = Pool.read(self._output("backends"))
        self.declared = None if declared.unread else declared
        ends = [name_end(mapping(each).get("deployment")) for each in self.names("pools")[1:]]
        self.further = {(POOL_NAME + end).lower(): end for end in ends}
        self.backends: list[Resource] = []
        self.pools: list[tuple[Resource, Pool]] = []
        for each in by_type.get(BACKEND, []):
            if _is_pool(each):
                self.pools.append((each, self.pool(each.inputs)))
            else:
                self.backends.append(each)

    def has(self, component: str) -> bool:
        """Tell whether it has what is of a component, or of none."""
        return not component or component in self._owners

    def judges(self, pool: str) -> bool:
        """Tell whether it has a pool of that name."""
        return any(each.name == pool for each, _ in self.pools)

    def plain(self, resource: Any) -> str:
        """Return a resource's name without what begins all names of its component."""
        begins = prefix(resource.within, "openai") if resource.within else ""
        return str(resource.name).removeprefix(begins)

    def _output(self, key: str) -> Any:
        return next((v for each in self._declaring if (v := each.told(key)) is not None), None)

    def pool(self, inputs: Mapping[str, Any]) -> Pool:
        """Return the pool of a backend; what is declared names members without a known id.

        Members of a further model's pool are called by their regions, as those of the first are.
        """
        pool = members_of(inputs)
        if ending := self.further.get(str(inputs.get("backendId") or inputs.get("name")).lower()):
            pool = replace(pool, members=tuple(_by_region(each, ending) for each in pool.members))
        return pool if self.declared is None else pool.named(self.declared)

    def names(self, key: str) -> list[Any]:
        value = self._output(key)
        return [*value] if isinstance(value, Sequence) and not isinstance(value, str) else []

    def wrong(self, pool: Pool) -> list[Problem]:
        """Return what keeps a pool from spreading traffic as declared, each once."""
        found = pool.problems(self.routing)
        if self.declared is not None and not pool.unread:
            found += [each for each in differences(self.declared, pool) if each not in found]
        return found

    def starved(self, pool: Pool) -> list[str]:
        accepted = {str(each).lower() for each in self.names("accept_starved")}
        return [name for name in pool.starved if name.lower() not in accepted]


def members_of(inputs: Mapping[str, Any]) -> Pool:
    inner = inputs.get("pool")
    return Pool.read(inner.get("services") if isinstance(inner, Mapping) else inner)


def _by_region(member: Member, ending: str) -> Member:
    """Call a member by its region; one of another pool is none of this one's."""
    if member.id != "told":
        return member
    is_own = member.name.lower().endswith(ending.lower())
    return replace(member, name=member.name[: -len(ending)] if is_own else f"/{member.name}")


def unversioned(token: str) -> str:
    """Return a type token without its API version: `a:b/v20240501:C` is `a:b:C`."""
    return _VERSION.sub("", token)


def split(resources: Sequence[Resource]) -> list[Stack]:
    """Return what is judged together: each component's resources, with what is of none of them.

    A pool of no component is judged with that alone, and by its own BackendPool where it has one.
    """
    owners = dict.fromkeys(each.within for each in resources if each.within)
    rest = [each for each in resources if not each.within]
    others = [each for each in rest if unversioned(each.type) != BACKEND]
    if len(owners) == 1 and len(others) == len(rest):
        return [Stack(resources)]
    found = [[each for each in resources if each.within == o] + others for o in owners]
    found += [] if owners and len(others) == len(rest) else _by_part(rest)
    pools = {_backend_id(each) for each in resources if _is_pool(each)}
    return [Stack(each, pools) for each in found]


def _by_part(resources: Sequence[Resource]) -> list[list[Resource]]:
    """Split what is of no LoadBalancedOpenAI by the pools that a BackendPool declares."""
    pools = [each for each in resources if _is_pool(each)]
    if len(pools) < 2:
        return [[*resources]]
    parts = [each.name for each in resources if each.type == PART and each.told("backends")]
    of = {each.name: next((n for n in parts if _declares(n, each)), "") for each in pools}
    # What no BackendPool declares stays together.
    return [
        [
            each
            for each in resources
            if (each.type != PART or each.name == name)
            and (not _is_pool(each) or of[each.name] == name)
        ]
        for name in dict.fromkeys(of.values())
    ]


def _declares(part: str, pool: Resource) -> bool:
    """Tell by the names whether a pool is that of a BackendPool."""
    name = _backend_id(pool)
    return pool.name == prefix(part, name) + name


def _is_pool(resource: Resource) -> bool:
    is_told = isinstance(resource.inputs.get("pool"), Mapping)
    return unversioned(resource.type) == BACKEND and (
        resource.inputs.get("type") == "Pool" or is_told
    )


def found(stacks: Sequence[Stack], rule: Rule) -> list[tuple[Resource, str]]:
    """Return what a rule finds, each once: some resources are of several."""
    each = [pair for stack in stacks for pair in rule.check(stack)]
    return [*{(id(resource), message): (resource, message) for resource, message in each}.values()]


def violations(resources: Sequence[Resource]) -> list[Violation]:
    return violations_of(split(resources))


def violations_of(stacks: Sequence[Stack]) -> list[Violation]:
    return [
        Violation(rule.name, resource, message, rule.moves_traffic)
        for rule in RULES
        if not rule.advisory
        for resource, message in found(stacks, rule)
    ]


RULES: Final[list[Rule]] = []


def _rule(description: str, **more: Any) -> Callable[[Check], Check]:
    def add(check: Check) -> Check:
        name = check.__name__.replace("_", "-")
        RULES.append(Rule(name=name, description=description, check=check, **more))
        return check

    return add


def _of_pools(stack: Stack, *kinds: Kind) -> Findings:
    for resource, pool in stack.pools:
        if found := [each for each in stack.wrong(pool) if each.kind in kinds]:
            what = "; ".join(each.message for each in found)
            remedies = "; ".join(dict.fromkeys(each.remedy for each in found))
            yield resource, f"{what}{_would_be(pool)}; {remedies}"


@_rule("Every member of a pool has the same priority and the same weight.", moves_traffic=True)
def pool_is_round_robin(stack: Stack) -> Findings:
    return _of_pools(stack, "invalid", "unequal")


@_rule(
    "A pool has the members, priorities and weights that the stack declares.", moves_traffic=True
)
def pool_is_as_declared(stack: Stack) -> Findings:
    return _of_pools(stack, "extra", "different")


@_rule("No backend is a member of a pool twice.", moves_traffic=True)
def members_are_different(stack: Stack) -> Findings:
    return _of_pools(stack, "repeated")


@_rule("Every region that is declared is a member of the pool.", moves_traffic=True)
def pool_has_every_region(stack: Stack) -> Findings:
    yield from _of_pools(stack, "missing")
    declared = max(len(stack.backends) // max(1, len(stack.pools)), len(stack.accounts))
    for resource, pool in stack.pools if stack.declared is None else ():
        if not pool.unread and len(pool.members) < declared:
            what = f"has {len(pool.members)} of {declared} regions{_would_be(pool)}"
            yield resource, f"{what}; add the others"


@_rule("No region gets 0 % of the traffic, unless the config accepts it by name.", advisory=True)
def no_region_is_starved(stack: Stack) -> Findings:
    for resource, pool in stack.pools:
        if (starved := ", ".join(stack.starved(pool))) and not stack.wrong(pool):
            what = f"{starved} would get no traffic as long as all is well{_would_be(pool)}"
            yield resource, f"{what}; to accept it, write acceptStarved: [{starved}]"


@_rule("A pool has an alarm on its regions' shares, unless monitoring is null by declaration.")
def pools_have_an_alarm(stack: Stack) -> Findings:
    if not stack.is_unwatched and not any(map(_looks_at_the_gateway, stack.alerts)):
        for resource, _ in stack.pools:
            what = "has no alarm: nobody would notice a region that gets no traffic"
            remedy = "name monitoring.workspace in the config, or set monitoring to null"
            yield resource, f"{what}; {remedy}"


def _looks_at_the_gateway(alert: Resource) -> bool:
    """Tell whether a rule reads the gateway's log; what a preview does not tell may be that."""
    criteria = alert.inputs.get("criteria")
    conditions = mapping(criteria).get("allOf") or ()
    texts = [mapping(each).get("query") for each in conditions if each not in UNTOLD]
    is_told = criteria not in UNTOLD and conditions not in UNTOLD
    reads = any(text in UNTOLD or "ApiManagementGatewayLogs" in str(text) for text in texts)
    return alert.inputs.get("enabled") is not False and (reads or not is_told)


@_rule("No change of config deletes or replaces an account or the service.")
def accounts_and_gateway_are_protected(stack: Stack) -> Findings:
    allowed = {str(each) for each in stack.names("unprotected")}
    what = "is not protected: a change of config can delete or replace it"
    for each in stack.kept:
        if not each.protect and stack.plain(each) not in allowed:
            yield each, f"{what}; set protect, or name it in the config's protect.except"


@_rule("Accounts and service are in locations that Azure has.", moves_traffic=True)
def locations_are_azure_s(stack: Stack) -> Findings:
    # A location whose display name is told was found in the subscription's own list.
    found = map(mapping, stack.names("backends"))
    told = ((str(each.get("location")), str(each.get("region"))) for each in found)
    listed = {location for location, region in told if region != location == normalise(region)}
    for each in stack.kept:
        if (location := each.told("location")) is not None:
            fault = Locations().fault(str(location))
            if fault and normalise(str(location)) not in listed:
                yield each, f"is in {location}: {fault}"


@_rule("No two accounts are in one region.", moves_traffic=True)
def regions_are_different(stack: Stack) -> Findings:
    places: dict[str, list[Resource]] = {}
    for account in stack.accounts:
        if location := account.told("location"):
            places.setdefault(normalise(str(location)), []).append(account)
    for location, accounts in places.items():
        if len(accounts) > 1:
            what = f"{' and '.join(sorted(each.name for each in accounts))} are in {location}"
            yield accounts[-1], f"{what}; give each account a location of its own"


@_rule("Every backend of a region has a circuit breaker.", of=(BACKEND,))
def backends_have_a_breaker(stack: Stack) -> Findings:
    what = "has no circuit breaker, and keeps its traffic when it fails; declare one rule"
    for backend in stack.backends:
        breaker, kind = backend.inputs.get("circuitBreaker"), backend.inputs.get("type")
        if not (breaker in UNTOLD or kind in UNTOLD or mapping(breaker).get("rules")):
            yield backend, what


@_rule("Local authentication is off on every account.", of=(ACCOUNT,))
def accounts_take_no_keys(stack: Stack) -> Findings:
    for account in stack.accounts:
        properties = account.inputs.get("properties")
        value = mapping(properties).get("disableLocalAuth")
        if value is not True and properties not in UNTOLD and value not in UNTOLD:
            yield account, "takes keys; set disableLocalAuth to true"


@_rule("Deployments of one name are of one model and version in every region.")
def regions_have_the_same_models(stack: Stack) -> Findings:
    by_name: dict[str, dict[str, list[Resource]]] = {}
    for each in stack.deployments:
        model = mapping(mapping(each.inputs.get("properties")).get("model"))
        parts = [model.get(key) for key in ("name", "version")]
        if model and not any(part in UNTOLD for part in parts):
            name = str(each.told("deploymentName") or each.told("name") or each.name).lower()
            of = " ".join(map(str, parts))
            by_name.setdefault(name, {}).setdefault(of, []).append(each)
    for found in by_name.values():
        if len(found) > 1:
            contrast = ", ".join(
                sorted(
                    f"{' and '.join(sorted(each.name for each in those))} of {of}"
                    for of, those in found.items()
                )
            )
            yield [*found.values()][-1][-1], f"would answer otherwise: {contrast}; deploy one model"


@_rule("No backend is one that API Management refuses.", of=(BACKEND,))
def azure_takes_the_backends(stack: Stack) -> Findings:
    for backend in stack.backends:
        protocol = backend.told("protocol")
        if protocol not in (None, "http", "soap"):
            yield backend, f"has protocol {protocol}; Azure takes http, for https URLs too"
        rules = mapping(backend.inputs.get("circuitBreaker")).get("rules")
        if isinstance(rules, list) and len(rules) > 1:
            yield backend, f"has {len(rules)} circuit breaker rules; Azure takes one"
    for pool, _ in stack.pools:
        for key in ("url", "protocol"):
            if isinstance(pool.told(key), str):
                yield pool, f"is a pool and has a {key}; Azure takes it on a single backend alone"


@_rule("Every member of a pool is a backend of the stack.", moves_traffic=True)
def members_are_backends(stack: Stack) -> Findings:
    known = {name.lower() for each in stack.backends for name in (_backend_id(each), each.name)}
    for resource, pool in stack.pools:
        for member in members_of(resource.inputs).members:
            if known and member.id == "told" and member.name.lower() not in known:
                what = f"{member.name} is no backend of this stack{_would_be(pool)}"
                yield resource, f"{what}; name one that it declares"


@_rule("The API's policy sends traffic to each model's pool, and nowhere else.", moves_traffic=True)
def policy_names_the_pool(stack: Stack) -> Findings:
    pools = {_backend_id(pool) for pool, _ in stack.pools}
    further = {each for each in pools if each.lower() in stack.further}
    alone = {_backend_id(backend) for backend in stack.backends}
    for policy in stack.policies if pools else ():
        text = policy.told("value")
        if not isinstance(text, str):
            continue
        found = _destinations(text)
        if not found:
            yield policy, f"names no backend; set-backend-service must name {min(pools)}"
        for kind, value in sorted(found):
            texts = {*_TEXT.findall(value)}
            # What a named value gives is known to the gateway alone.
            known = pools if policy.within else pools | stack.beside
            if value.startswith("{{") or value in known or (pools & texts and not alone & texts):
                continue
            what = f"{kind} {value} would get what passes here, and the pool none of it"
            if value.startswith(("@(", "@{")):
                what = f"{kind} {value} could send what carries no id past the pool"
            yield policy, f"{what}; name the pool {min(pools)}"
        for name in sorted(further - {value for _, value in found}) if found else ():
            what = f"names no {name}: its model's calls go to another model's pool"
            yield policy, f"{what}, and share its circuit breakers; name it as well"


def _destinations(policy: str) -> set[tuple[str, str]]:
    """Return kind and value of each set-backend-service that a request without an id can meet."""
    text = _without_following(_XML_COMMENT.sub("", policy))
    return {(kind, unescape(value)) for kind, _, value in _SET_BACKEND.findall(text)}


def follows(policy: str) -> bool:
    """Tell whether a policy sends what carries an id where that is known."""
    text = _XML_COMMENT.sub("", policy)
    return _without_following(text) != text


def _without_following(text: str) -> str:
    if [_plain(found[0]) for found in _SET_ID.finditer(text)] != [_declared_id()]:
        return text  # an id may be anything here
    return _WHEN.sub(lambda it: "" if unescape(it[2]).strip() == _FOLLOWS else it[0], text)


@cache
def _declared_id() -> str:
    text = Path(__file__).with_name("policies").joinpath("follow.xml").read_text("utf-8")
    found = _SET_ID.search(text)
    return _plain(found[0]) if found else ""


def _plain(xml: str) -> str:
    """Drop what Azure writes otherwise: white space, quotes, and what is escaped."""
    return re.sub(r"""[\s"']""", "", unescape(xml))


@_rule("The gateway's identity has a role on every account.")
def gateway_may_call_every_account(stack: Stack) -> Findings:
    names = [account.told("accountName") or account.told("name") for account in stack.accounts]
    roles = [(each.told("scope"), each.told("roleDefinitionId")) for each in stack.roles]
    # A role that is not known yet may be this one, and a scope any account's.
    right = (None, OPENAI_USER)
    scopes = [at for at, role in roles if (role and last_segment(str(role)).lower()) in right]
    missing = len(names) - len(scopes)
    if None not in names:
        known = {last_segment(str(scope)).lower() for scope in scopes if scope is not None}
        missing = sum(str(name).lower() not in known for name in names) - scopes.count(None)
    if missing > 0:
        what = f"{missing} of {len(names)} accounts would answer 401 for want of a role assignment"
        yield stack.accounts[-1], f"{what}; assign Cognitive Services OpenAI User on each"


def mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _backend_id(backend: Resource) -> str:
    """Return the id; in what Azure answered, it is the name."""
    return str(backend.told("backendId") or backend.told("name") or backend.name)


def _would_be(pool: Pool) -> str:
    shares = ", ".join(f"{name} {percent(each)}" for name, each in pool.by_label({}).items())
    return f": traffic would be {shares}" if shares else ""
