"""The stack's config as typed settings; every mistake in it is reported at once.

A class declares a section's keys, each once: type, range, default, what to write instead of a wrong
value, and the description that editors, README.md and the package's schema show. Only `load` needs
Pulumi.
"""

import ipaddress
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from itertools import product
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeVar

import pydantic
from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, ValidationInfo
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError, core_schema

from . import models, traffic
from .regions import Locations, normalise
from .traffic import SECRET

if TYPE_CHECKING:
    import pulumi

NAMESPACE: Final = "openai-gateway"
POOL_NAME: Final = traffic.POOL_NAME
APIS: Final = ("chat", "embeddings", "models", "responses", "images", "audio")
CLASSIC_TIERS: Final = ("Developer", "Basic", "Standard", "Premium")
UPGRADES: Final = (
    "OnceNewDefaultVersionAvailable",
    "OnceCurrentVersionExpired",
    "NoAutoUpgrade",
)
TIERS: Final = ("Consumption", *CLASSIC_TIERS, "BasicV2", "StandardV2", "PremiumV2")
# API Management, "Use a virtual network": tiers whose gateway reaches a network and stays public.
NETWORK_TIERS: Final = ("Developer", "Premium", "StandardV2", "PremiumV2")
# API Management, "Pricing" and "v2 service tiers": most units of a service in one region.
MOST_UNITS: Final = {
    "Developer": 1,
    "Basic": 2,
    "Standard": 4,
    "Premium": 12,
    "BasicV2": 10,
    "StandardV2": 10,
    "PremiumV2": 30,
}
GENERATED_SUFFIX_LENGTH: Final = 8  # where `resourceSuffix` is left out
_BACKEND_LENGTH: Final = 80  # API Management REST API
# Azure, "Use tags to organize your Azure resources": 50, and API Management takes 15 of them.
MOST_TAGS: Final = 50
MOST_TAGS_OF_A_SERVICE: Final = 15
TAG_NAME: Final = r"^[^<>%&\\?/]+$"
_SUBDOMAIN_LENGTH: Final = 63  # one label of a host name: RFC 1035, section 2.3.4
_LIST_REGIONS: Final = "list 2 to 30 regions, each with a name and a location"
_LIST_MODELS: Final = "list at least one model, each with name, model, version, sku and capacity"
_LIST_NAMES: Final = "list names of regions, as [foundry2, foundry3]"

_Path = tuple[int | str, ...]  # of a value in the config, as ("regions", 0, "name")
_Listed: Final = pydantic.Strict(strict=False)  # a list in the config is a tuple in the settings
_ByName: Final = AfterValidator(lambda found: tuple(sorted(found, key=attrgetter("name"))))


class Mistake(str):
    """A line about a value: `path` is where it stands, `reason` the value and the remedy."""

    __slots__ = ("path", "reason")
    path: str
    reason: str

    def __new__(cls, path: str, reason: str) -> Self:
        line = super().__new__(cls, f"{NAMESPACE}:{path} {reason}")
        line.path, line.reason = path, reason
        return line


class SettingsError(Exception):
    """The stack's config has mistakes; `problems` has a line for each: key, value and remedy."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,  # by this program; `parse` goes by the alias alone
        validate_by_alias=True,
        defer_build=True,  # each class would else be built for itself, and once more in the whole
    )


def _key(remedy: str, schema: Mapping[str, Any] | None = None, **field: Any) -> Any:
    """Declare a key; the line about a wrong value tells the remedy, and so do editors."""
    return Field(json_schema_extra={"errorMessage": remedy, **(schema or {})}, **field)


def _text(pattern: str, remedy: str, low: int = 1, high: int | None = None, **field: Any) -> Any:
    """Declare text that a pattern matches as a whole; `{}` in the remedy stands for the lengths."""
    remedy = remedy.replace("{}", f"{low} to {high}")
    return _key(remedy, pattern=f"^{pattern}$", min_length=low, max_length=high, **field)


def _one_of(words: Collection[str], **field: Any) -> Any:
    pattern = f"^({'|'.join(words)})$"
    return _key(f"write one of {', '.join(words)}", {"enum": [*words]}, pattern=pattern, **field)


def _whole(low: int, high: int | None = None, **field: Any) -> Any:
    """Declare a whole number; neither `true` nor 1.0 nor "1" is one."""
    meant = f"of at least {low}" if high is None else f"from {low} to {high}"
    return _key(f"write a whole number {meant}", ge=low, le=high, **field)


def _part(**field: Any) -> Any:
    """Declare a part of a whole: a number above 0 and below 1."""
    return _key("write a number above 0 and below 1, as 0.25", gt=0, lt=1, **field)


def _is_output(value: object) -> bool:
    """Tell a `pulumi.Output`, which a program that uses the components may write for a text."""
    return hasattr(value, "apply")


def _later(value: Any, check: Callable[[Any], Any]) -> Any:
    return value if _is_output(value) else check(value)


class _Eventual:
    """Marks what nothing is decided by: an output stands for it, until a deployment knows it."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_wrap_validator_function(_later, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        return {**handler(schema), "eventual": True}


def _unless_off(section: Any) -> Any:
    return section if section is None or section.enabled else None


def _location(value: str, info: ValidationInfo) -> str:
    if fault := (info.context or Locations()).fault(value):
        raise PydanticCustomError("remedy", "{fault}", {"fault": fault})
    return normalise(value)


def _no_zero(weight: Any) -> Any:
    if type(weight) is int and weight == 0:
        remedy = "Azure does not document weight 0; write 1 to 100, or remove the region"
        raise PydanticCustomError("remedy", remedy)
    return weight


def _above_zero(duration: str) -> str:
    if not re.search("[1-9]", duration) or duration.endswith("T"):
        raise ValueError
    return duration


def _exceptions(value: Any) -> Any:
    """Read `protect`: true has no exceptions; false becomes None, and nothing else may be that."""
    if value is None:
        raise ValueError
    return ({"except": []} if value else None) if isinstance(value, bool) else value


_PRIVATE_RANGES: Final = tuple(
    map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
)


def _public_addresses(value: str) -> str:
    """Check an address or range as an account's firewall takes it: IPv4, public, /30 or larger."""
    range_ = ipaddress.IPv4Network(value)
    if any(range_.overlaps(each) for each in _PRIVATE_RANGES) or value.endswith(("/31", "/32")):
        raise ValueError
    return value


def _or_public(value: Any) -> Any:
    """Read `network`: `public` becomes None, and nothing else may be that."""
    if value is None:
        raise ValueError
    return None if value == "public" else value


def _or_gateways(value: str | None, info: ValidationInfo) -> str | None:
    gateway = info.data.get("gateway")
    return value or (gateway.location if gateway else None)


# The lengths of names: API Management REST API (service 50, backend 80 characters); Azure, "Naming
# rules and restrictions".
_PLACE = "write the name of an Azure location, as uksouth"
_NAME = (
    "write {} lower-case letters, digits and hyphens, no hyphen first: it names the backend and "
    "begins the account's subdomain"
)
_SUFFIX = (
    "write {} lower-case letters, digits and hyphens, no hyphen first or last: it ends the "
    "accounts' subdomains and the service's name. Left out, it is random"
)
_GROUP = (
    "write the name of its resource group: {} letters, digits, `_`, `.`, `(`, `)` and `-`, no `.` "
    "last"
)
_ACCOUNT = "write the account's name: {} letters, digits, `_`, `.` and `-`"
_SERVICE = "write the service's name: {} letters, digits and hyphens, a letter first"
_DEPLOYMENT = "write {} letters, digits, `_`, `.` and `-`, a letter or digit first"
_VERSION = 'write the model\'s version in quotes, as "2026-03-17"'  # else YAML reads a date
_API_VERSION = 'write a version in quotes, as "2024-10-21" or "2025-04-01-preview"'
_E_MAIL = "write an e-mail address of at most 100 characters: Azure sends notices there"
_WORKSPACE = "write the workspace's name: {} letters, digits and hyphens, no hyphen first or last"
_WEBHOOK = "write the http or https URL that takes alerts"
_DURATION = "write an ISO-8601 duration above zero, as PT1M for a minute"
Location = Annotated[str, _text("[A-Za-z][A-Za-z0-9 ]*", _PLACE), AfterValidator(_location)]
RegionName = Annotated[str, _text("[a-z0-9][a-z0-9-]*", _NAME, high=80)]
Suffix = Annotated[str, _text("[a-z0-9]([a-z0-9-]*[a-z0-9])?", _SUFFIX, high=50 - len("apim-"))]
GroupName = Annotated[str, _text(r"[\w.()-]*[\w()-]", _GROUP, high=90)]
AccountName = Annotated[str, _text("[A-Za-z0-9][A-Za-z0-9_.-]*", _ACCOUNT, low=2, high=64)]
ServiceName = Annotated[str, _text("[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?", _SERVICE, high=50)]
DeploymentName = Annotated[str, _text("[A-Za-z0-9][A-Za-z0-9_.-]*", _DEPLOYMENT, high=64)]
RaiPolicyName = Annotated[
    str, _text(r"[A-Za-z0-9][\w.-]*", "write the name of a content filter, as Microsoft.DefaultV2")
]
ModelName = Annotated[str, _text(r"\S+", "write a model's name, as gpt-5.4-mini")]
Version = Annotated[str, _text(r"\S+", _VERSION)]
DeploymentType = Annotated[str, _text("[A-Za-z]+", "write a deployment type, as GlobalStandard")]
TagValue = Annotated[
    str, _text(".*", "write a text of {} characters, in quotes", low=0, high=256), _Eventual()
]
ApiVersion = Annotated[str, _text("[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?", _API_VERSION, 10, 18)]
_NETWORK_ID = "/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft.Network"
SubnetId = Annotated[
    str,
    _text(
        f"{_NETWORK_ID}/virtualNetworks/[^/]+/subnets/[^/]+",
        "write a subnet's id: /subscriptions/.../virtualNetworks/NAME/subnets/NAME",
    ),
    _Eventual(),
]
ZoneId = Annotated[
    str,
    _text(
        f"{_NETWORK_ID}/privateDnsZones/privatelink.openai.azure.com",
        "write the id of a zone privatelink.openai.azure.com",
    ),
    _Eventual(),
]
PoolName = Annotated[
    str, _text(r"[\w][\w-]*", "write {} letters, digits and hyphens", high=_BACKEND_LENGTH)
]
ApiName = Annotated[str, _text(r"[^*#&+:<>?\s]+", "write the API's name", high=256)]
ServiceId = Annotated[
    str,
    _text(
        "/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft.ApiManagement/service/[^/]+",
        "write a service's id: /subscriptions/.../Microsoft.ApiManagement/service/NAME",
    ),
    _Eventual(),
]
WorkspaceId = Annotated[
    str,
    _text(
        "/subscriptions/[^/]+/resource[gG]roups/[^/]+/providers/"
        "Microsoft.OperationalInsights/workspaces/[^/]+",
        "write a workspace's id: /subscriptions/.../Microsoft.OperationalInsights/workspaces/NAME",
    ),
    _Eventual(),
]
Addresses = Annotated[
    str,
    _text("[0-9./]+", "write a public IPv4 address, or a range of them as 198.51.100.0/24"),
    AfterValidator(_public_addresses),
]
Api = Annotated[str, _one_of(APIS)]
Publisher = Annotated[str, _text(r".*\S.*", "write a name of {} characters", high=100)]
EMail = Annotated[str, _text(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+", _E_MAIL, high=100)]
WorkspaceName = Annotated[
    str, _text("[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]", _WORKSPACE, low=4, high=63)
]
_BACKEND_URL = "write the account's endpoint with /openai: https://NAME.openai.azure.com/openai"
BackendUrl = Annotated[str, _text(r"https?://[!-~]+", _BACKEND_URL, high=2048), _Eventual()]
Webhook = Annotated[str, _text(r"https?://[!-~]+", _WEBHOOK, high=2048), _Eventual()]
_AnyDuration = _text("P([0-9]+D)?(T([0-9]+H)?([0-9]+M)?([0-9]+S)?)?", _DURATION)
Duration = Annotated[str, _AnyDuration, AfterValidator(_above_zero)]


class AccountReference(_Section):
    """Names an Azure OpenAI account that is there already, to be taken as it is."""

    resource_group: GroupName = Field(description="Resource group of the account.")
    account_name: AccountName = Field(description="Name of the account.")


class ServiceReference(_Section):
    """Names an API Management service that is there already, to be deployed into."""

    resource_group: GroupName = Field(description="Resource group of the service.")
    service_name: ServiceName = Field(description="Name of the service.")


class _Place(_Section):
    name: RegionName = Field(description="Name of the backend; also begins the account's.")
    location: Location = Field(description="Azure location of the account.")
    priority: int = _whole(0, 100, default=1, description="Lower numbers are preferred.")
    weight: Annotated[int, BeforeValidator(_no_zero)] = _whole(
        1, 100, default=1, description="Part of the traffic, among regions of the same priority."
    )
    _display_name: str = PrivateAttr("")

    def model_post_init(self, context: Any) -> None:
        self._display_name = (context or Locations()).display_name(self.location)

    @property
    def display_name(self) -> str:
        return self._display_name

    @property
    def backend(self) -> dict[str, Any]:
        """What `contract.Backend` has of it; a deployment knows the url."""
        return {
            "id": self.name,
            "location": self.location,
            "region": self.display_name,
            "priority": self.priority,
            "weight": self.weight,
        }


class Member(_Place):
    """A member of a pool: a backend by its name, its URL, and the place of its account."""

    url: BackendUrl = Field(description="URL of the backend: the account's endpoint, and /openai.")


class Region(_Place):
    """A region of the pool: the name of its backend, and the place of its Azure OpenAI account."""

    existing: AccountReference | None = Field(
        None, description="An account to use as it is, with its deployments."
    )

    def member(self, url: Any, ending: str = "") -> Member:
        """Return it as a member of a model's pool; `url` is an output of a text."""
        own = {"name": self.name + ending, "location": self.location, "url": url}
        found = Member.model_construct(priority=self.priority, weight=self.weight, **own)
        found._display_name = self._display_name  # noqa: SLF001
        return found


class Model(_Section):
    """A model deployment made on every account."""

    name: DeploymentName = Field(description="Name of the deployment, by which clients call it.")
    model: ModelName = Field(description="Name of the model.")
    version: Version = Field(description="Version of the model, in quotes.")
    sku: DeploymentType = Field(
        description="Deployment type. GlobalStandard may be processed in any place of the world, "
        "DataZoneStandard in any of the EU or the US, Standard where the account is. One that a "
        "location has not got is refused."
    )
    capacity: int = _whole(1, description="Thousands of tokens a minute.")
    version_upgrade: str = _one_of(
        UPGRADES,
        default="OnceCurrentVersionExpired",
        description="When Azure may change the version, region by region: one of "
        f"{', '.join(UPGRADES)}.",
    )
    rai_policy: RaiPolicyName | None = Field(
        None,
        description="Name of a content filter: one of Microsoft's, as Microsoft.DefaultV2, or one "
        "that every account has already. Without it, Azure's default.",
    )


_CHAT: Final = Model.model_construct(
    name="chat", model="gpt-5.4-mini", version="2026-03-17", sku="GlobalStandard", capacity=50
)


class Gateway(_Section):
    """The API Management service to create, or the `existing` one to deploy into."""

    sku: str = _one_of(TIERS, default="BasicV2", description=f"One of {', '.join(TIERS)}.")
    capacity: int = _whole(
        0,
        default_factory=lambda data: 0 if data.get("sku") == "Consumption" else 1,
        description="Number of units; by default 1, or 0 on Consumption.",
    )
    publisher_name: Publisher = Field("Platform team", description="Shown to developers.")
    publisher_email: EMail = Field(
        "platform-team@example.com", description="Azure sends its notices there."
    )
    location: Location | None = Field(None, description="Same as the top-level `location`.")
    existing: ServiceReference | None = Field(
        None, description="A service to deploy into, with a system-assigned identity."
    )


def _switch(what: str) -> Any:
    """Declare what switches a section off, also in languages that do not tell null from nothing."""
    return Field(
        default=True, description=f"`false` for no {what}; the other keys then say nothing."
    )


class Breaker(_Section):
    """A backend's circuit breaker: it trips after `count` failures within `interval`."""

    enabled: bool = _switch("breaker")

    # What harmed clients least in the failover drills: docs/decisions/0013.
    count: int = _whole(1, default=10, description="Number of failures (429 or 5xx) that trip it.")
    interval: Duration = Field("PT10S", description="Period over which failures count.")
    trip_duration: Duration = Field("PT10S", description="How long it stays tripped.")
    accept_retry_after: bool = Field(
        default=False, description="Whether a response's `Retry-After` decides how long instead."
    )


class Retries(_Section):
    """What is tried again elsewhere, and for how long; times are in whole seconds."""

    # By the failover drills and the sweep: docs/decisions/0020.
    count: int = _whole(
        0, 10, default=5, description="Further attempts of a request, however large the pool is."
    )
    repeat_unanswered: bool = Field(
        default=False,
        description="Whether a call that a region took and did not answer is sent to another one: "
        "it may be executed, and billed, more than once.",
    )
    timeout: int = _whole(
        1,
        240,
        default_factory=lambda data: 20 if data.get("repeat_unanswered") else 100,
        description="How long an attempt waits for its answer to begin; by default 100, or 20 with "
        "`repeatUnanswered`. Once half of the deadline has passed, an attempt gets all that is "
        "left.",
    )
    deadline: int = _whole(
        1,
        240,
        default=240,
        description="How long all attempts of a request may take; at most 30 on Consumption.",
    )


class Protection(_Section):
    """Accounts and service are neither deleted nor replaced, but for those named here."""

    enabled: bool = _switch("protection")
    unprotected: Annotated[tuple[RegionName, ...], _Listed] = _key(
        _LIST_NAMES,
        alias="except",
        default=(),
        description="Names of regions, and `gateway` for the service.",
    )


class Network(_Section):
    """Who reaches the accounts: addresses, or a virtual network that the gateway is joined to."""

    allowed_ips: Annotated[tuple[Addresses, ...], _Listed] = _key(
        "list public IPv4 addresses and ranges",
        default=(),
        description="Addresses that the accounts answer to. Those of a Developer, Basic, Standard "
        "or Premium gateway are added; list those of a v2 tier's yourself.",
    )
    endpoint_subnet: SubnetId | None = Field(
        None, description="Id of the subnet in which each account gets a private endpoint."
    )
    gateway_subnet: SubnetId | None = Field(
        None,
        description="Id of the subnet that the gateway is joined to, in its location and of its "
        f"own. Its tier is {', '.join(NETWORK_TIERS[:-1])} or {NETWORK_TIERS[-1]}.",
    )
    dns_zone: ZoneId | None = Field(
        None,
        description="Id of a private DNS zone that is there and linked to the network. Without it, "
        "the stack makes and links one.",
    )


class WorkspaceReference(_Section):
    """Names a Log Analytics workspace that is there already, to be logged to."""

    resource_group: GroupName = Field(description="Resource group of the workspace.")
    name: WorkspaceName = Field(description="Name of the workspace.")


class Alarm(_Section):
    """When the alarm on a region's share rings, and who hears it."""

    alert_emails: Annotated[tuple[EMail, ...], _Listed] = _key(
        "list e-mail addresses, as [team@example.com]",
        default=(),
        description="Who gets an e-mail when an alert fires, and when it resolves.",
    )
    webhook: Webhook | None = Field(
        None,
        description="URL that gets each alert in the common alert schema; a secret in the state.",
    )
    starved_below: float = _part(
        default=0.25,
        description="Part of its expected share below which a region is starved.",
    )
    ceiling: float = _part(
        default=0.7,
        description="Share of all requests above which no region may be that is not declared to.",
    )
    retention_days: int = _whole(
        30,
        730,
        default=30,
        description="How long the stack's own workspace keeps the logs, in days.",
    )


class MonitoringConfig(Alarm):
    """Logs of the gateway, the alarm on a region's share, and a workbook: docs/monitoring.md."""

    enabled: bool = _switch("monitoring")
    workspace: WorkspaceReference | None = Field(
        None, description="A Log Analytics workspace to use. Without it, the stack makes one."
    )


def _regions() -> Any:
    return _key(
        _LIST_REGIONS,
        {"minItems": 2, "maxItems": 30},
        description="2 to 30 members of the pool. Names and locations are unique; the order has no "
        "meaning.",
    )


def _breaker() -> Any:
    return Field(
        default_factory=Breaker.model_construct,
        description="Circuit breaker of each backend; `null`, or `enabled: false`, switches it "
        "off, as Consumption requires.",
    )


def _tags(description: str) -> Any:
    return _key(
        "write a mapping of names to texts, as {team: search}",
        {"maxProperties": MOST_TAGS, "propertyNames": {"pattern": TAG_NAME, "maxLength": 512}},
        default={},
        description=description,
    )


def _unheard(its: Alarm, pool: traffic.Pool, path: str) -> Iterator[str]:
    """Say why an alarm that is asked for would not be heard."""
    if not its.alert_emails and its.webhook is None:
        yield f"{path}: the alarm rings nowhere; set alertEmails or webhook".removeprefix(": ")
    if all(float(share) > its.ceiling for share in pool.shares or (0,)):
        yield (
            f"{path}.ceiling is {its.ceiling}, and every region is declared above it; write a "
            "higher one"
        ).removeprefix(".")


class Pooled(_Section):
    """What shares traffic, and how."""

    regions: tuple[_Place, ...]
    routing: str = _one_of(
        traffic.ROUTINGS,
        default="round-robin",
        description="`round-robin`: every region has the same priority and weight. `weighted`: "
        "weights may differ. `priority`: both may differ.",
    )
    accept_starved: Annotated[tuple[RegionName, ...], _Listed] = _key(
        _LIST_NAMES,
        default=(),
        description="Names of regions that may get no traffic while others are up; the preview "
        "warns of any other.",
    )

    @property
    def pool(self) -> traffic.Pool:
        return traffic.read_config([vars(region) for region in self.regions])

    @property
    def forecast(self) -> str:
        return self.pool.forecast({region.name: region.display_name for region in self.regions})

    @property
    def prefix(self) -> str:
        """What stands before a key where it is named: the namespace, in a stack's config."""
        return ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is asked for and rarely meant, each in a line with its remedy."""
        labels = {region.name: region.display_name for region in self.regions}
        starved = self.pool.starved
        if set(starved) <= set(self.accept_starved):
            return ()
        fed = [label for name, label in labels.items() if name not in starved]
        verb = "gets" if len(starved) == 1 else "get"
        line = (
            f"{traffic.listed([labels[name] for name in starved])} {verb} 0 % of the traffic "
            f"while {traffic.listed(fed, 'or')} is up; if that is meant, set "
            f"{self.prefix}acceptStarved to [{', '.join(starved)}]"
        )
        return (line,)

    @property
    def declared(self) -> dict[str, Any]:
        """What `guardrails.DECLARING` types have, of what is known before a deployment."""
        backends = [each.backend for each in self.regions]
        return {"routing": self.routing, "backends": backends, **self.accepted}

    @property
    def accepted(self) -> dict[str, Any]:
        """What the policy pack accepts since it is said by name."""
        return {"accept_starved": [*self.accept_starved]}


class Settings(Pooled):
    """A whole, valid config.

    `resource_suffix` is None when the program has to generate it, `breaker` when it is off, and
    `location` when it is not given: the stack keeps the one it has, or begins with
    `default_location`. `protect` is None when nothing is protected.
    """

    regions: Annotated[tuple[Region, ...], _Listed, _ByName] = _regions()
    models: Annotated[tuple[Model, ...], _Listed] = _key(
        _LIST_MODELS, {"minItems": 1}, default=(_CHAT,), description="Deployed on every account."
    )
    apis: Annotated[tuple[Api, ...], _Listed] = _key(
        f"list some of {', '.join(APIS)}",
        {"minItems": 1, "uniqueItems": True},
        default=APIS,
        description="What the gateway exposes of Azure OpenAI. docs/responses.md says how a "
        "response is continued in the region that has it, and what is not offered.",
    )
    gateway: Gateway = Field(
        default_factory=Gateway.model_construct, description="The API Management service."
    )
    location: Annotated[Location | None, AfterValidator(_or_gateways)] = Field(
        default=None,
        validate_default=True,
        description="Location of the resource group and the service. Without it, a new stack uses "
        "that of the first region, and a deployed one stays where it is.",
    )
    protect: Annotated[
        Protection | None,
        BeforeValidator(_exceptions, json_schema_input_type=bool | Protection),
        AfterValidator(_unless_off),
    ] = _key(
        "write true, false, or a mapping whose `except` lists names",
        default_factory=lambda: Protection.model_construct(unprotected=()),
        description="Whether accounts, service and the clients' key are protected from deletion "
        "and replacement: "
        "`true`, `false` or `{enabled: false}`, or `{except: [foundry2, gateway]}`.",
    )
    resource_suffix: Annotated[
        Suffix | None, BeforeValidator(lambda text: None if text == "" else text)
    ] = Field(
        default=None,
        description="End of every name that must be unique in all of Azure. Without it, the stack "
        "generates one and keeps it.",
    )
    breaker: Annotated[Breaker | None, AfterValidator(_unless_off)] = _breaker()
    monitoring: Annotated[MonitoringConfig | None, AfterValidator(_unless_off)] = Field(
        default_factory=MonitoringConfig.model_construct,
        description="Logs, alerts and a workbook in Azure; `null`, or `enabled: false`, for none, "
        "as Consumption requires. docs/monitoring.md has what is made and what it costs.",
    )
    retries: Retries = Field(
        default_factory=Retries.model_construct,
        description="Attempts of a request whose region refuses it, fails or cannot be reached.",
    )
    streaming: bool = Field(
        default=True,
        description="Whether answers pass as they arrive; `false` has the gateway wait for the "
        "whole of each, as Consumption requires.",
    )
    reveal_backend: bool = Field(
        default=True,
        description="Whether response headers name the host that answered and what each attempt "
        "met; the probe needs them.",
    )
    restore: bool = Field(
        default=False,
        description="Whether a deleted account or service that still has a name of this stack is "
        "restored. If not, the deployment stops and prints the command that purges it.",
    )
    network: Annotated[
        Network | None,
        BeforeValidator(_or_public, json_schema_input_type=Literal["public"] | Network),
    ] = _key(
        "write public, or a mapping with allowedIps, or one with endpointSubnet and gatewaySubnet",
        default=None,
        description="`public`, or who reaches the accounts: docs/network.md has costs and tiers.",
    )
    tags: dict[str, TagValue] = _tags(
        "Azure tags of the resource group, the accounts, the service, and whatever else of the "
        "stack takes them."
    )
    api_version: ApiVersion = Field(
        default="2024-10-21",
        description="Version of the data plane that the stack's outputs tell clients to use; the "
        "`/v1` paths need none. o-series models need 2024-12-01-preview or newer.",
    )
    export_key: bool = Field(
        default=True,
        description="Whether the clients' key is a stack output, as a secret. Without it, whoever "
        "needs the key looks it up, as the probe does with its own identity.",
    )
    _order: tuple[str, ...] = PrivateAttr(())
    _prefix: str = PrivateAttr(f"{NAMESPACE}:")

    @property
    def prefix(self) -> str:
        return self._prefix

    def path(self, region: Region) -> str:
        """Where a region stands in the config, as `regions[0]`."""
        return f"regions[{self._order.index(region.name)}]"

    @property
    def name_ends(self) -> dict[str, str]:
        """What ends the names of a model's pool and backends, by deployment: not of the first's."""
        names = [model.name for model in self.models]
        return {names[0]: "", **{name: traffic.name_end(name) for name in names[1:]}}

    @property
    def beyond_consumption(self) -> list[tuple[str, str]]:
        """Keys of what is on and Consumption has not got, and what switches each off."""
        own = {"breaker": self.breaker, "streaming": self.streaming, "monitoring": self.watched}
        return _beyond_consumption(on=own)

    @property
    def watched(self) -> MonitoringConfig | None:
        """What is monitored: nothing where the logs of a service that exists are not named."""
        is_told = self.monitoring and (self.monitoring.workspace or not self.gateway.existing)
        return self.monitoring if is_told else None

    @property
    def own_location(self) -> str:
        """Where a new stack's group, service and private endpoints are made."""
        return self.location or self.default_location

    @property
    def kept(self) -> list[str] | None:
        """What of them stays as it was deployed: the location, unless the config gives one."""
        return None if self.location else ["location"]

    @property
    def default_location(self) -> str:
        return next(each.location for each in self.regions if each.name == self._order[0])

    @property
    def declared(self) -> dict[str, Any]:
        return {**super().declared, "pools": [{"deployment": each.name} for each in self.models]}

    @property
    def accepted(self) -> dict[str, Any]:
        """What the policy pack accepts, by name: `protect: false` names nothing."""
        return {
            "unprotected": [*(self.protect.unprotected if self.protect else ())],
            **super().accepted,
            "unwatched": self.monitoring is None,
        }

    @property
    def unprotected(self) -> tuple[str, ...]:
        """Names of regions, and `gateway`, whose account or service may be deleted or replaced."""
        everything = (*(region.name for region in self.regions), "gateway")
        return self.protect.unprotected if self.protect else everything

    @property
    def shares_of(self) -> str:
        """What the forecast's shares are shares of, where that is not places; empty otherwise."""
        skus = sorted({m.sku for m in self.models if m.sku.startswith(("Global", "DataZone"))})
        if not skus:
            return ""
        return f"; shares are of accounts: {traffic.listed(skus)} may be processed elsewhere"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the config asks for and is rarely meant, each in a line with its remedy."""
        names = {*(region.name for region in self.regions), "gateway"}
        lines = [
            f"{self.prefix}protect.except names {name}, which is no region: remove the name once "
            "the region's account is deleted"
            for name in self.unprotected
            if name not in names
        ]
        lines += super().warnings
        is_v2 = self.gateway.sku.endswith("V2") and not self.gateway.existing
        if self.network and self.network.allowed_ips and is_v2:
            lines.append(
                f"{self.prefix}network.allowedIps: a {self.gateway.sku} service has no fixed "
                "addresses; the accounts answer it only if those it calls from are listed"
            )
        if self.watched:
            lines += _unheard(self.watched, self.pool, f"{self.prefix}monitoring")
        elif self.monitoring:
            lines.append(
                f"{self.prefix}monitoring watches nothing: a service that exists keeps its own "
                "diagnostic setting; set workspace to the one that its logs go to, or monitoring "
                "to null"
            )
        without = [each.location for each in self.regions if each.location in models.NO_RESPONSES]
        if without and "responses" in self.apis:
            lines.append(
                f"{self.prefix}apis: responses are not offered in {traffic.listed(without)} "
                f"({models.NO_RESPONSES_ON}), whose share of them would get 404; list apis without "
                "responses, or choose other locations"
            )
        for position, model in enumerate(self.models):
            path = f"{self.prefix}models[{position}]"
            if fault := models.unknown(model.model, model.version):
                lines.append(f"{path}.{fault}; `python probes/models.py` asks Azure")
            if told := models.retirement(model.model, model.version):
                lines.append(f"{path}: {told}; choose a newer version or model")
            unknown = [
                region.location
                for region in self.regions
                if not region.existing
                and models.offered(model.sku, model.model, region.location) is None
            ]
            if unknown:
                lines.append(
                    f"{path}.sku: whether {model.sku} of {model.model} is offered in "
                    f"{traffic.listed(unknown)} is not known here; `python probes/models.py` asks "
                    "Azure"
                )
        return tuple(lines)


class PoolService(_Section):
    """Names the API Management service that the backends are of."""

    resource_group: Annotated[GroupName, _Eventual()] = Field(
        description="Resource group of the service."
    )
    service_name: Annotated[ServiceName, _Eventual()] = Field(description="Name of the service.")

    @property
    def within(self) -> dict[str, Any]:
        """What names it as an argument of a resource within it."""
        return {"resource_group_name": self.resource_group, "service_name": self.service_name}


class PoolSettings(Pooled):
    """Backends of accounts that are there already, and the pool over them."""

    service: PoolService = Field(description="The API Management service.")
    regions: Annotated[tuple[Member, ...], _Listed, _ByName] = _regions()
    breaker: Annotated[Breaker | None, AfterValidator(_unless_off)] = _breaker()
    pool_name: PoolName = Field(
        POOL_NAME, description="Name of the pool, by which a policy sends traffic to it."
    )


class WatchedService(PoolService):
    """Names the API Management service that is watched."""

    id: ServiceId = Field(description="Azure Resource Manager id of the service.")
    sku: str = _one_of(TIERS, default="BasicV2", description=f"One of {', '.join(TIERS)}.")


class WorkspaceIds(_Section):
    """Names a Log Analytics workspace that the gateway's requests are logged to."""

    id: WorkspaceId = Field(description="Azure Resource Manager id of the workspace.")
    customer_id: Annotated[str, _text(r"\S+", "write the workspace's customerId"), _Eventual()] = (
        Field(description="The workspace's own id, by which queries name it: `customerId`.")
    )


class MonitoringSettings(Pooled, Alarm):
    """What watches a pool that is there already."""

    service: WatchedService = Field(description="The API Management service that is watched.")
    regions: Annotated[tuple[Member, ...], _Listed, _ByName] = _regions()
    location: Location = Field(description="Azure location of what is made.")
    workspace: WorkspaceIds | None = Field(
        None, description="The workspace that the gateway logs to. Without it, one is made."
    )
    api_name: Annotated[ApiName, _Eventual()] | None = Field(
        None,
        description="Name of the API whose requests are to be logged. Without it the service keeps "
        "its own diagnostic setting, which has to log to `workspace`.",
    )
    name_suffix: Annotated[Suffix, _Eventual()] | None = Field(
        None,
        description="End of what is named in Azure, by default the service's name. A second "
        "Monitoring of one service needs its own.",
    )
    tags: dict[str, TagValue] = _tags("Azure tags of whatever takes them.")

    @property
    def warnings(self) -> tuple[str, ...]:
        return (*super().warnings, *_unheard(self, self.pool, ""))


def _beyond_consumption(on: Mapping[str, object]) -> list[tuple[str, str]]:
    off = {"breaker": "null", "streaming": "false", "monitoring": "null"}
    return [(key, how) for key, how in off.items() if on[key]]


def mistake(path: str, found: str, remedy: object) -> Mistake:
    return Mistake(path, f"{found}: {remedy}")


def shown(value: Any) -> str:
    line = _printable(json.dumps(value, default=_told, ensure_ascii=False))
    return line if len(line) <= 60 else f"{line[:57]}..."


def _told(value: object) -> str:
    return "an output" if _is_output(value) else str(value)


def _printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()  # JSON may hold half a surrogate pair


Locate = Callable[[], Mapping[str, str]]  # raises ResourceManagerError
Found = TypeVar("Found", bound=Pooled)


def parse(config: Mapping[str, Any], locations: Locate | None = None) -> Settings:
    """Read settings from config by key without namespace; values are as JSON or YAML has them.

    `locations` returns the display names of the subscription's locations, by name; it is called
    once, and only for a location that is not known here. Raises SettingsError with every mistake.
    """
    settings = _parse(Settings, config, locations)
    settings._order = tuple(region["name"] for region in config["regions"])  # noqa: SLF001
    return settings


def arguments(
    kind: type[Found], given: Found | Mapping[str, Any], locations: Locate | None = None
) -> Found:
    """Read a component's arguments, as `parse` reads config; keys may be in snake_case as well."""
    if isinstance(given, kind):
        return given
    named = _named(given)
    if kind is not Settings:
        return _parse(kind, named, locations)
    settings: Any = parse(named, locations)
    settings._prefix = ""  # noqa: SLF001
    return settings  # type: ignore[no-any-return]


def _parse(kind: type[Found], config: Mapping[str, Any], locations: Locate | None) -> Found:
    problems: list[str] = []
    wrong: frozenset[_Path] = frozenset()
    known = Locations(locations)
    config = _readable(config, (), wrong)  # whose keys are all text, as in JSON
    try:
        settings: Found = kind.model_validate(config, context=known, by_name=False)
    except pydantic.ValidationError as error:
        errors = error.errors(include_url=False)
        errors.sort(key=lambda each: each["type"] != "extra_forbidden")
        errors.sort(key=lambda each: sum(isinstance(step, str) for step in each["loc"]))
        skipped = "default_factory_not_called"  # since a key before it is wrong
        problems = [_line(kind, each) for each in errors if each["type"] != skipped]
        wrong = frozenset(each["loc"] for each in errors if each["type"] != skipped)
    problems += _check(kind, _readable(config, (), wrong), wrong, known)
    if problems:
        raise SettingsError(problems)
    return settings


def _named(given: Any) -> Any:
    """Copy arguments with their names as config has them; what a tag is called stays."""
    if isinstance(given, Mapping):
        return {
            to_camel(key): each if key == "tags" else _named(each) for key, each in given.items()
        }
    return [_named(each) for each in given] if isinstance(given, list | tuple) else given


def load(config: "pulumi.Config", locations: Locate | None = None) -> Settings:
    """Read settings from a stack's config, in which Pulumi gives objects and lists as JSON text.

    Raises SettingsError as `parse` does; a key of a namespace that is nearly this one is a mistake.
    """
    from pulumi.runtime.config import CONFIG, get_config_env  # noqa: PLC0415 - parse goes without

    values, problems = {}, []
    for full, text in sorted({**get_config_env(), **CONFIG.get()}.items()):
        namespace, _, key = full.partition(":")
        value = _decode(key, text)
        if namespace == config.name:
            values[key] = value
        elif get_close_matches(namespace.lower(), [config.name], cutoff=0.8):
            found = f"{full} is {shown(value)}, but there is no such namespace"
            problems.append(f"{found}: did you mean `{config.name}:{key}`?")
    try:
        settings = parse(values, locations)
    except SettingsError as error:
        problems += error.problems
    if problems:
        raise SettingsError(problems)
    return settings


def _decode(key: str, text: str) -> Any:
    if not text:  # what `key: null` in the stack's file becomes
        return None
    if key in ("routing", "location", "resourceSuffix", "apiVersion") and text[0] not in "[{":
        return text
    try:
        return json.loads(text)
    except ValueError:  # parse says what belongs here
        return text


def _line(of: type[Pooled], error: Any) -> Mistake:
    kind, path, value = error["type"], error["loc"], error["input"]
    if _is_output(value):
        remedy = "what is declared depends on it; write a plain value"
        return mistake(_written(path), "is an output, not known before a deployment", remedy)
    declared = _declared(of, path)
    # A webhook's URL is its key, wherever it is written by mistake.
    is_open = path[-1] != "webhook" and (path[-1] == "url" or "://" not in shown(value))
    found = "is missing" if kind == "missing" else f"is {shown(value) if is_open else SECRET}"
    remedy = error["msg"] if kind == "remedy" else _remedy(declared)
    if kind == "extra_forbidden":
        found += ", but there is no such key"
        remedy = _nearest(str(path[-1])[:60], declared["properties"], "the keys are")
    elif kind == "int_type" and isinstance(value, str):
        remedy += ", without quotes"
    return mistake(_written(path), found, remedy + _json_fault(value))


@cache
def _schema(of: type[Pooled]) -> dict[str, Any]:
    return of.model_json_schema()


def _declared(of: type[Pooled], path: _Path) -> dict[str, Any]:
    """Find in the schema what a path leads to, or its section where there is no such key."""
    part = _schema(of)

    def resolved(part: dict[str, Any]) -> dict[str, Any]:
        return _schema(of)["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part

    for step in path:
        if isinstance(step, int):
            part = resolved(part["items"])
        else:
            choices = map(resolved, (part, *part.get("anyOf", ())))
            section = next(
                each for each in choices if each.keys() & {"properties", "propertyNames"}
            )
            free = section.get("additionalProperties") or section
            part = section.get("properties", {}).get(step, free)
    return part


def _remedy(declared: dict[str, Any]) -> str:
    if "properties" in declared:
        return f"write a mapping with the keys {', '.join(declared['properties'])}"
    for choice in (declared, *declared.get("anyOf", ())):
        if "errorMessage" in choice:
            return str(choice["errorMessage"])
    is_switch = declared.get("type") == "boolean"
    return "write true or false" if is_switch else "write a mapping of keys to values"


def _nearest(name: str, valid: Collection[str], all_of_them: str) -> str:
    by_lower = {key.lower(): key for key in valid}
    near = get_close_matches(name.lower(), by_lower, n=1)
    return f"did you mean `{by_lower[near[0]]}`?" if near else f"{all_of_them} {', '.join(valid)}"


def _written(path: _Path) -> str:
    """Write a path as `regions[0].name`; a key that is no word is quoted."""
    words = [key if re.fullmatch(r"[\w.-]{1,60}", str(key)) else shown(key) for key in path]
    steps = [f"[{key}]" if isinstance(key, int) else f".{key}" for key in words]
    return "".join(steps).removeprefix(".")


def _json_fault(value: Any) -> str:
    """Say where JSON breaks off: `pulumi config set` stores any text."""
    if isinstance(value, str) and value.startswith(("[", "{")):
        try:
            json.loads(value)
        except json.JSONDecodeError as fault:
            return f" (as JSON: {fault.msg} at character {fault.pos + 1})"
    return ""


def _readable(value: Any, path: _Path, wrong: Collection[_Path]) -> Any:
    """Copy a config without what is wrong in it; a wrong entry of a list becomes an empty one."""
    if isinstance(value, Mapping):
        items = {_printable(str(key)): each for key, each in value.items()}.items()
        return {k: _readable(v, (*path, k), wrong) for k, v in items if (*path, k) not in wrong}
    if isinstance(value, list):
        entries = ((each, (*path, position)) for position, each in enumerate(value))
        return [{} if at in wrong else _readable(each, at, wrong) for each, at in entries]
    return value


def _check(
    of: type[Pooled], config: Mapping[str, Any], wrong: Collection[_Path], known: Locations
) -> Iterator[str]:
    regions = [
        {**each, "location": normalise(each["location"])} if "location" in each else each
        for each in config.get("regions", ())
    ]
    if "regions" in config and not 2 <= len(regions) <= 30:
        yield mistake("regions", f"is a list of {len(regions)}", _LIST_REGIONS)
    if config.get("models") == []:
        yield mistake("models", "is an empty list", _LIST_MODELS)
    yield from _check_unique("regions", regions, "name")
    yield from _check_unique("regions", regions, "location")
    if of is Settings:
        yield from _check_unique("models", config.get("models", ()), "name")
        yield from _check_apis(config.get("apis"))
        yield from _check_offers(regions, config.get("models", ()))
        suffix = config.get("resourceSuffix") or "x" * GENERATED_SUFFIX_LENGTH
        yield from _check_names(regions, suffix)
    yield from _check_backends(
        regions, config.get("models", ()), str(config.get("poolName", POOL_NAME))
    )
    labels = {
        each["name"]: known.display_name(each["location"])
        for each in regions
        if "name" in each and "location" in each
    }
    unread = any(path[0] in ("regions", "routing") and "existing" not in path for path in wrong)
    if not unread and len(labels) == len(regions) > 1:
        yield from _check_traffic(config, traffic.read_config(regions), labels)
    yield from _check_tags(config)
    if of is Settings:
        yield from _check_gateway(config, wrong)
        yield from _check_network(config, wrong)
        yield from _check_monitoring(config.get("monitoring"), "monitoring.")
    if of is MonitoringSettings:
        yield from _check_monitoring(config)


def _check_apis(apis: Any) -> Iterator[str]:
    if isinstance(apis, list) and (not apis or len(set(map(str, apis))) < len(apis)):
        yield mistake("apis", f"is {shown(apis)}", f"list some of {', '.join(APIS)}, each once")


def _check_monitoring(monitoring: Any, path: str = "") -> Iterator[str]:
    its = monitoring if isinstance(monitoring, Mapping) else {}
    if its.get("workspace") and "retentionDays" in its:
        remedy = "a workspace that exists keeps its own; leave this key out"
        yield mistake(f"{path}retentionDays", f"is {shown(its['retentionDays'])}", remedy)


def _check_network(config: Mapping[str, Any], wrong: Collection[_Path]) -> Iterator[str]:
    network, gateway = config.get("network"), config.get("gateway", {})
    if not isinstance(network, Mapping) or any(path[0] == "network" for path in wrong):
        return
    tier, is_ours = gateway.get("sku", "BasicV2"), gateway.get("existing") is None
    addresses = network.get("allowedIps") or ()
    subnets = [key for key in ("endpointSubnet", "gatewaySubnet", "dnsZone") if network.get(key)]
    if bool(addresses) is bool(subnets):
        remedy = "write either allowedIps, or endpointSubnet and gatewaySubnet"
        yield mistake("network", "has both" if addresses else "names nobody", remedy)
    elif addresses and is_ours and tier == "Consumption":
        remedy = "a Consumption service has no addresses of its own; choose another gateway.sku"
        yield mistake("network.allowedIps", f"is {shown(addresses)}", remedy)
    elif subnets:
        needed = ("endpointSubnet", "gatewaySubnet") if is_ours else ("endpointSubnet",)
        for key in needed:
            if key not in subnets:
                yield mistake(f"network.{key}", "is missing", "write the subnet's id")
        if "gatewaySubnet" in subnets and not is_ours:
            remedy = "a service that exists keeps its network; leave the key out, and join it there"
            yield mistake("network.gatewaySubnet", "is given", remedy)
        is_read = {("gateway",), ("gateway", "sku")}.isdisjoint(wrong)
        if is_ours and tier not in NETWORK_TIERS and is_read:
            remedy = f"a {tier} service reaches no network; choose {' or '.join(NETWORK_TIERS)}"
            yield mistake("gateway.sku", f"is {shown(tier)}, and network has subnets", remedy)


def _is_on(section: Any) -> bool:
    return section is not None and not (
        isinstance(section, Mapping) and section.get("enabled") is False
    )


def _check_tags(config: Mapping[str, Any]) -> Iterator[str]:
    tags = config.get("tags", {})
    service = config.get("service") or config.get("gateway", {}).get("existing")
    is_ours = service is None
    most = MOST_TAGS_OF_A_SERVICE if is_ours else MOST_TAGS
    if len(tags) > most:
        who = "an API Management service" if is_ours else "Azure"
        yield mistake("tags", f"has {len(tags)} entries", f"{who} takes {most}; remove some")
    for name in tags:
        if len(name) > 512 or not re.match(TAG_NAME, name):
            remedy = "a tag's name has 1 to 512 characters, and none of < > % & \\ ? /"
            yield mistake("tags", f"names {shown(name)}", remedy)


def _check_offers(regions: Sequence[Any], wanted: Sequence[Any]) -> Iterator[str]:
    for position, model in enumerate(wanted):
        sku, name = model.get("sku", ""), model.get("model", "")
        without = [
            each["location"]
            for each in regions
            if "location" in each
            and each.get("existing") is None
            and models.offered(sku, name, each["location"]) is False
        ]
        if without:
            found = (
                f"is {shown(sku)}, which is not offered for {name} in {traffic.listed(without)} "
                f"(Microsoft's documentation, {models.OFFERED_ON})"
            )
            remedy = "choose another type, as GlobalStandard, or other locations"
            yield mistake(f"models[{position}].sku", found, remedy)


def _check_unique(path: str, entries: Sequence[Any], name: str) -> Iterator[str]:
    """Refuse a text that two entries of a list share; Azure's names ignore case."""
    first: dict[str, int] = {}
    for position, text in ((n, each[name]) for n, each in enumerate(entries) if name in each):
        earlier = first.setdefault(text.lower(), position)
        if earlier != position:
            remedy = f"{path}[{earlier}] has this {name} already; give each its own"
            yield mistake(f"{path}[{position}].{name}", f"is {shown(text)}", remedy)


def _check_names(regions: Sequence[Any], suffix: str) -> Iterator[str]:
    for position, region in enumerate(regions):
        path, name = f"regions[{position}].name", region.get("name", "")
        found = f"is {shown(name)}"
        excess = len(f"{name}-{suffix}") - _SUBDOMAIN_LENGTH
        if excess > 0 and region.get("existing") is None:
            longer = f"{excess} longer than the {_SUBDOMAIN_LENGTH} allowed; shorten either"
            given = f"a resourceSuffix of {len(suffix)} characters"
            yield mistake(path, found, f"with {given} the account's subdomain is {longer}")


def _check_backends(regions: Sequence[Any], models: Sequence[Any], pool_name: str) -> Iterator[str]:
    """Refuse names of backends and pools that are too long, or another's."""
    too_long = f"longer than the {_BACKEND_LENGTH} allowed; shorten"
    named = [(n, each["name"]) for n, each in enumerate(models) if n and "name" in each]
    of_models = [(n, traffic.name_end(name)) for n, name in named]
    for position, end in of_models:
        if (excess := len(pool_name + end) - _BACKEND_LENGTH) > 0:
            remedy = f"the name of its pool is {excess} {too_long} it"
            yield mistake(f"models[{position}].name", f"is {shown(end[1:])}", remedy)
    ends = ["", *(end for _, end in of_models)]
    owners = {(pool_name + end).lower(): "the pool itself" for end in ends}
    for end, (position, name) in product(ends, enumerate(each.get("name") for each in regions)):
        path, found = f"regions[{position}].name", f"is {shown(name)}"
        what = f"the name of its backend for {shown(end[1:])}" if end else "this name"
        if name and owners.setdefault((name + end).lower(), shown(name)) != shown(name):
            yield mistake(path, found, f"{owners[(name + end).lower()]} has {what}; choose another")
        if name and end and (excess := len(name + end) - _BACKEND_LENGTH) > 0:
            yield mistake(path, found, f"{what} is {excess} {too_long} either")


def _check_traffic(
    config: Mapping[str, Any], pool: traffic.Pool, labels: Mapping[str, str]
) -> Iterator[str]:
    routing = config.get("routing", "round-robin")
    if pool.problems(routing):
        looser = traffic.ROUTINGS[traffic.ROUTINGS.index(routing) + 1 :]
        others = traffic.listed([f'"{other}"' for other in looser], "or")
        same = " and ".join(traffic.EQUAL[routing])
        found = traffic.unlike(routing, pool.forecast(labels))
        remedy = f"give every region the same {same}, or set routing to {others}"
        yield mistake("regions", found, remedy)
    for position, name in enumerate(config.get("acceptStarved", ())):
        share = pool.by_label({}).get(name)
        if share is None:
            remedy = _nearest(name, labels, "the regions are")
            yield mistake(f"acceptStarved[{position}]", f"is {shown(name)}", remedy)
        elif share:
            gets = f"is {shown(name)}, which gets {traffic.percent(share)} of the traffic"
            yield mistake(f"acceptStarved[{position}]", gets, "leave it out")


def _check_gateway(config: Mapping[str, Any], wrong: Collection[_Path]) -> Iterator[str]:
    gateway = config.get("gateway", {})
    tier, capacity = gateway.get("sku", "BasicV2"), gateway.get("capacity")
    one, other = config.get("location"), gateway.get("location")
    if gateway.get("existing") is not None:
        for key in [key for key in gateway if key != "existing"]:
            remedy = "a service that exists keeps its own; leave out this key, or `existing`"
            yield mistake(f"gateway.{key}", f"is {shown(gateway[key])}", remedy)
    elif tier != "Consumption" and capacity == 0 and ("gateway", "sku") not in wrong:
        yield mistake("gateway.capacity", "is 0", f"a {tier} service has at least 1 unit")
    elif isinstance(capacity, int) and capacity > MOST_UNITS.get(tier, capacity):
        most = f"a {tier} service has at most {MOST_UNITS[tier]}"
        remedy = f"{most}{' in a region' * (tier == 'Premium')}; write fewer, or choose another sku"
        yield mistake("gateway.capacity", f"is {capacity}", remedy)
    elif tier == "Consumption":
        if capacity:
            remedy = "a Consumption service has no units; write 0, or leave the key out"
            yield mistake("gateway.capacity", f"is {capacity}", remedy)
        on = {key: _is_on(config.get(key, ())) for key in ("breaker", "monitoring")}
        for key, off in _beyond_consumption({**on, "streaming": config.get("streaming", True)}):
            if (key,) not in wrong:
                has_none = f"a Consumption service has none; set it to {off}"
                yield mistake(key, "is on", f"{has_none}, or choose another gateway.sku")
    if one and other and normalise(one) != normalise(other):
        remedy = f"location is {shown(one)}, and both mean the same; leave this one out"
        yield mistake("gateway.location", f"is {shown(other)}", remedy)
