"""The stack's config as typed settings; every mistake in it is reported at once.

A class declares a section's keys, each once: type, range, default, what to write instead of a wrong
value, and the description that editors, README.md and the package's schema show. Only `load` needs
Pulumi.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

import pydantic
from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr
from pydantic.alias_generators import to_camel

from . import checks, keys, models, traffic
from .mistakes import NAMESPACE, Path, SettingsError, line_of, readable, shown
from .regions import Locations

if TYPE_CHECKING:
    import pulumi


class AccountReference(keys.Section):
    """Names an Azure OpenAI account that is there already, to be taken as it is."""

    resource_group: keys.GroupName = Field(description="Resource group of the account.")
    account_name: keys.AccountName = Field(description="Name of the account.")


class ServiceReference(keys.Section):
    """Names an API Management service that is there already, to be deployed into."""

    resource_group: keys.GroupName = Field(description="Resource group of the service.")
    service_name: keys.ServiceName = Field(description="Name of the service.")


class _Place(keys.Section):
    name: keys.RegionName = Field(description="Name of the backend; also begins the account's.")
    location: keys.Location = Field(description="Azure location of the account.")
    priority: int = keys.whole(0, 100, default=1, description="Lower numbers are preferred.")
    weight: Annotated[int, BeforeValidator(keys.no_zero)] = keys.whole(
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

    url: keys.BackendUrl = Field(
        description="URL of the backend: the account's endpoint, and /openai."
    )


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


class Model(keys.Section):
    """A model deployment made on every account."""

    name: keys.DeploymentName = Field(
        description="Name of the deployment, by which clients call it."
    )
    model: keys.ModelName = Field(description="Name of the model.")
    version: keys.Version = Field(description="Version of the model, in quotes.")
    sku: keys.DeploymentType = Field(
        description="Deployment type. GlobalStandard may be processed in any place of the world, "
        "DataZoneStandard in any of the EU or the US, Standard where the account is. One that a "
        "location has not got is refused."
    )
    capacity: int = keys.whole(1, description="Thousands of tokens a minute.")
    version_upgrade: str = keys.one_of(
        keys.UPGRADES,
        default="OnceCurrentVersionExpired",
        description="When Azure may change the version, region by region: one of "
        f"{', '.join(keys.UPGRADES)}.",
    )
    rai_policy: keys.RaiPolicyName | None = Field(
        None,
        description="Name of a content filter: one of Microsoft's, as Microsoft.DefaultV2, or one "
        "that every account has already. Without it, Azure's default.",
    )


_CHAT: Final = Model.model_construct(
    name="chat", model="gpt-5.4-mini", version="2026-03-17", sku="GlobalStandard", capacity=50
)


class Gateway(keys.Section):
    """The API Management service to create, or the `existing` one to deploy into."""

    sku: str = keys.one_of(
        keys.TIERS, default="BasicV2", description=f"One of {', '.join(keys.TIERS)}."
    )
    capacity: int = keys.whole(
        0,
        default_factory=lambda data: 0 if data.get("sku") == "Consumption" else 1,
        description="Number of units; by default 1, or 0 on Consumption.",
    )
    publisher_name: keys.Publisher = Field("Platform team", description="Shown to developers.")
    publisher_email: keys.EMail = Field(
        "platform-team@example.com", description="Azure sends its notices there."
    )
    location: keys.Location | None = Field(None, description="Same as the top-level `location`.")
    existing: ServiceReference | None = Field(
        None, description="A service to deploy into, with a system-assigned identity."
    )


def _switch(what: str) -> Any:
    """Declare what switches a section off, also in languages that do not tell null from nothing."""
    return Field(
        default=True, description=f"`false` for no {what}; the other keys then say nothing."
    )


class Breaker(keys.Section):
    """A backend's circuit breaker: it trips after `count` failures within `interval`."""

    enabled: bool = _switch("breaker")

    # What harmed clients least in the failover drills: docs/decisions/0013.
    count: int = keys.whole(
        1, default=10, description="Number of failures (429 or 5xx) that trip it."
    )
    interval: keys.Duration = Field("PT10S", description="Period over which failures count.")
    trip_duration: keys.Duration = Field("PT10S", description="How long it stays tripped.")
    accept_retry_after: bool = Field(
        default=False, description="Whether a response's `Retry-After` decides how long instead."
    )


class Retries(keys.Section):
    """What is tried again elsewhere, and for how long; times are in whole seconds."""

    # By the failover drills and the sweep: docs/decisions/0020.
    count: int = keys.whole(
        0, 10, default=5, description="Further attempts of a request, however large the pool is."
    )
    repeat_unanswered: bool = Field(
        default=False,
        description="Whether a call that a region took and did not answer is sent to another one: "
        "it may be executed, and billed, more than once.",
    )
    timeout: int = keys.whole(
        1,
        240,
        default_factory=lambda data: 20 if data.get("repeat_unanswered") else 100,
        description="How long an attempt waits for its answer to begin; by default 100, or 20 with "
        "`repeatUnanswered`. Once half of the deadline has passed, an attempt gets all that is "
        "left.",
    )
    deadline: int = keys.whole(
        1,
        240,
        default=240,
        description="How long all attempts of a request may take; at most 30 on Consumption.",
    )


class Protection(keys.Section):
    """Accounts and service are neither deleted nor replaced, but for those named here."""

    enabled: bool = _switch("protection")
    unprotected: Annotated[tuple[keys.RegionName, ...], keys.Listed] = keys.key(
        keys.LIST_NAMES,
        alias="except",
        default=(),
        description="Names of regions, and `gateway` for the service.",
    )


class Network(keys.Section):
    """Who reaches the accounts: addresses, or a virtual network that the gateway is joined to."""

    allowed_ips: Annotated[tuple[keys.Addresses, ...], keys.Listed] = keys.key(
        "list public IPv4 addresses and ranges",
        default=(),
        description="Addresses that the accounts answer to. Those of a Developer, Basic, Standard "
        "or Premium gateway are added; list those of a v2 tier's yourself.",
    )
    endpoint_subnet: keys.SubnetId | None = Field(
        None, description="Id of the subnet in which each account gets a private endpoint."
    )
    gateway_subnet: keys.SubnetId | None = Field(
        None,
        description="Id of the subnet that the gateway is joined to, in its location and of its "
        f"own. Its tier is {', '.join(keys.NETWORK_TIERS[:-1])} or {keys.NETWORK_TIERS[-1]}.",
    )
    dns_zone: keys.ZoneId | None = Field(
        None,
        description="Id of a private DNS zone that is there and linked to the network. Without it, "
        "the stack makes and links one.",
    )


class WorkspaceReference(keys.Section):
    """Names a Log Analytics workspace that is there already, to be logged to."""

    resource_group: keys.GroupName = Field(description="Resource group of the workspace.")
    name: keys.WorkspaceName = Field(description="Name of the workspace.")


class Alarm(keys.Section):
    """When the alarm on a region's share rings, and who hears it."""

    alert_emails: Annotated[tuple[keys.EMail, ...], keys.Listed] = keys.key(
        "list e-mail addresses, as [team@example.com]",
        default=(),
        description="Who gets an e-mail when an alert fires, and when it resolves.",
    )
    webhook: keys.Webhook | None = Field(
        None,
        description="URL that gets each alert in the common alert schema; a secret in the state.",
    )
    starved_below: float = keys.part(
        default=0.25,
        description="Part of its expected share below which a region is starved.",
    )
    ceiling: float = keys.part(
        default=0.7,
        description="Share of all requests above which no region may be that is not declared to.",
    )
    retention_days: int = keys.whole(
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
    return keys.key(
        keys.LIST_REGIONS,
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
    return keys.key(
        "write a mapping of names to texts, as {team: search}",
        {
            "maxProperties": keys.MOST_TAGS,
            "propertyNames": {"pattern": keys.TAG_NAME, "maxLength": 512},
        },
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


class Pooled(keys.Section):
    """What shares traffic, and how."""

    regions: tuple[_Place, ...]
    routing: str = keys.one_of(
        traffic.ROUTINGS,
        default="round-robin",
        description="`round-robin`: every region has the same priority and weight. `weighted`: "
        "weights may differ. `priority`: both may differ.",
    )
    accept_starved: Annotated[tuple[keys.RegionName, ...], keys.Listed] = keys.key(
        keys.LIST_NAMES,
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

    regions: Annotated[tuple[Region, ...], keys.Listed, keys.ByName] = _regions()
    models: Annotated[tuple[Model, ...], keys.Listed] = keys.key(
        keys.LIST_MODELS,
        {"minItems": 1},
        default=(_CHAT,),
        description="Deployed on every account.",
    )
    apis: Annotated[tuple[keys.Api, ...], keys.Listed] = keys.key(
        f"list some of {', '.join(keys.APIS)}",
        {"minItems": 1, "uniqueItems": True},
        default=keys.APIS,
        description="What the gateway exposes of Azure OpenAI. docs/responses.md says how a "
        "response is continued in the region that has it, and what is not offered.",
    )
    gateway: Gateway = Field(
        default_factory=Gateway.model_construct, description="The API Management service."
    )
    location: Annotated[keys.Location | None, AfterValidator(keys.or_gateways)] = Field(
        default=None,
        validate_default=True,
        description="Location of the resource group and the service. Without it, a new stack uses "
        "that of the first region, and a deployed one stays where it is.",
    )
    protect: Annotated[
        Protection | None,
        BeforeValidator(keys.exceptions, json_schema_input_type=bool | Protection),
        AfterValidator(keys.unless_off),
    ] = keys.key(
        "write true, false, or a mapping whose `except` lists names",
        default_factory=lambda: Protection.model_construct(unprotected=()),
        description="Whether accounts, service and the clients' key are protected from deletion "
        "and replacement: "
        "`true`, `false` or `{enabled: false}`, or `{except: [foundry2, gateway]}`.",
    )
    resource_suffix: Annotated[
        keys.Suffix | None, BeforeValidator(lambda text: None if text == "" else text)
    ] = Field(
        default=None,
        description="End of every name that must be unique in all of Azure. Without it, the stack "
        "generates one and keeps it.",
    )
    breaker: Annotated[Breaker | None, AfterValidator(keys.unless_off)] = _breaker()
    monitoring: Annotated[MonitoringConfig | None, AfterValidator(keys.unless_off)] = Field(
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
        BeforeValidator(keys.or_public, json_schema_input_type=Literal["public"] | Network),
    ] = keys.key(
        "write public, or a mapping with allowedIps, or one with endpointSubnet and gatewaySubnet",
        default=None,
        description="`public`, or who reaches the accounts: docs/network.md has costs and tiers.",
    )
    tags: dict[str, keys.TagValue] = _tags(
        "Azure tags of the resource group, the accounts, the service, and whatever else of the "
        "stack takes them."
    )
    api_version: keys.ApiVersion = Field(
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
        return checks.beyond_consumption(on=own)

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


class PoolService(keys.Section):
    """Names the API Management service that the backends are of."""

    resource_group: Annotated[keys.GroupName, keys.Eventual()] = Field(
        description="Resource group of the service."
    )
    service_name: Annotated[keys.ServiceName, keys.Eventual()] = Field(
        description="Name of the service."
    )

    @property
    def within(self) -> dict[str, Any]:
        """What names it as an argument of a resource within it."""
        return {"resource_group_name": self.resource_group, "service_name": self.service_name}


class PoolSettings(Pooled):
    """Backends of accounts that are there already, and the pool over them."""

    service: PoolService = Field(description="The API Management service.")
    regions: Annotated[tuple[Member, ...], keys.Listed, keys.ByName] = _regions()
    breaker: Annotated[Breaker | None, AfterValidator(keys.unless_off)] = _breaker()
    pool_name: keys.PoolName = Field(
        traffic.POOL_NAME, description="Name of the pool, by which a policy sends traffic to it."
    )


class WatchedService(PoolService):
    """Names the API Management service that is watched."""

    id: keys.ServiceId = Field(description="Azure Resource Manager id of the service.")
    sku: str = keys.one_of(
        keys.TIERS, default="BasicV2", description=f"One of {', '.join(keys.TIERS)}."
    )


class WorkspaceIds(keys.Section):
    """Names a Log Analytics workspace that the gateway's requests are logged to."""

    id: keys.WorkspaceId = Field(description="Azure Resource Manager id of the workspace.")
    customer_id: Annotated[
        str, keys.text(r"\S+", "write the workspace's customerId"), keys.Eventual()
    ] = Field(description="The workspace's own id, by which queries name it: `customerId`.")


class MonitoringSettings(Pooled, Alarm):
    """What watches a pool that is there already."""

    service: WatchedService = Field(description="The API Management service that is watched.")
    regions: Annotated[tuple[Member, ...], keys.Listed, keys.ByName] = _regions()
    location: keys.Location = Field(description="Azure location of what is made.")
    workspace: WorkspaceIds | None = Field(
        None, description="The workspace that the gateway logs to. Without it, one is made."
    )
    api_name: Annotated[keys.ApiName, keys.Eventual()] | None = Field(
        None,
        description="Name of the API whose requests are to be logged. Without it the service keeps "
        "its own diagnostic setting, which has to log to `workspace`.",
    )
    name_suffix: Annotated[keys.Suffix, keys.Eventual()] | None = Field(
        None,
        description="End of what is named in Azure, by default the service's name. A second "
        "Monitoring of one service needs its own.",
    )
    tags: dict[str, keys.TagValue] = _tags("Azure tags of whatever takes them.")

    @property
    def warnings(self) -> tuple[str, ...]:
        return (*super().warnings, *_unheard(self, self.pool, ""))


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
    wrong: frozenset[Path] = frozenset()
    known = Locations(locations)
    config = readable(config, (), wrong)  # whose keys are all text, as in JSON
    try:
        settings: Found = kind.model_validate(config, context=known, by_name=False)
    except pydantic.ValidationError as error:
        errors = error.errors(include_url=False)
        errors.sort(key=lambda each: each["type"] != "extra_forbidden")
        errors.sort(key=lambda each: sum(isinstance(step, str) for step in each["loc"]))
        skipped = "default_factory_not_called"  # since a key before it is wrong
        problems = [line_of(kind, each) for each in errors if each["type"] != skipped]
        wrong = frozenset(each["loc"] for each in errors if each["type"] != skipped)
    problems += checks.check(readable(config, (), wrong), wrong, known, is_whole=kind is Settings)
    if problems:
        raise SettingsError(problems)
    return settings


def _named(given: Any) -> Any:
    """Copy arguments with their names as config has them; what a tag is called stays.

    A name that is there in both spellings stays in snake_case, which is no key.
    """
    if isinstance(given, Mapping):
        return {
            key if to_camel(key) in given else to_camel(key): each
            if key == "tags"
            else _named(each)
            for key, each in given.items()
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
