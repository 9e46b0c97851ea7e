"""The stack's config as typed settings; every mistake in it is reported at once.

`parse` reads plain values and imports no Pulumi; `load` reads them from a `pulumi.Config`. The keys
and their defaults are described in Pulumi.yaml too, which Pulumi reads and its mocks do not.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from components import regions, traffic
from components.config_reader import (
    Field,
    Report,
    WrongValueError,
    boolean,
    list_of,
    mapping,
    one_of,
    optional,
    shown,
    text,
    whole,
)

if TYPE_CHECKING:
    import pulumi

NAMESPACE: Final = "openai-gateway"
POOL_NAME: Final = "inference-backend-pool"
# How long a suffix the program generates when `resourceSuffix` is left out.
GENERATED_SUFFIX_LENGTH: Final = 8

TIERS: Final = (
    "Consumption",
    "Developer",
    "Basic",
    "Standard",
    "Premium",
    "BasicV2",
    "StandardV2",
    "PremiumV2",
)


class SettingsError(Exception):
    """The stack's config has mistakes; `problems` has a line for each: key, value and remedy."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, kw_only=True)
class ExistingAccount:
    """An Azure OpenAI account that is there already, to be taken as it is."""

    resource_group: str
    account_name: str


@dataclass(frozen=True, kw_only=True)
class Region:
    """A region of the pool: the name of its backend, and the place of its Azure OpenAI account.

    `existing` is None for an account that the stack makes.
    """

    name: str
    location: str
    priority: int
    weight: int
    existing: ExistingAccount | None = None

    @property
    def display_name(self) -> str:
        """The name Azure shows for the location, as `UK South`."""
        return regions.display_name(self.location)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model deployment made on every account; `capacity` is thousands of tokens a minute."""

    name: str
    model: str
    version: str
    sku: str
    capacity: int


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """A backend's circuit breaker: it trips after `count` failures within `interval`.

    `interval` and `trip_duration` are ISO-8601 durations. With `accept_retry_after` a response's
    `Retry-After` sets how long it stays tripped.
    """

    count: int
    interval: str
    trip_duration: str
    accept_retry_after: bool


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """The API Management service to create; `capacity` is its number of units."""

    sku: str
    capacity: int
    publisher_name: str
    publisher_email: str
    location: str


@dataclass(frozen=True, kw_only=True)
class ExistingGateway:
    """An API Management service that is there already, to be deployed into."""

    resource_group: str
    service_name: str


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A whole, valid config.

    `resource_suffix` is None when the program has to generate it, `breaker` when it is off.
    """

    regions: tuple[Region, ...]
    routing: str
    models: tuple[Model, ...]
    gateway: Gateway | ExistingGateway
    resource_suffix: str | None
    breaker: Breaker | None
    reveal_backend: bool

    @property
    def location(self) -> str:
        """Where the stack's own resource group is, if it has any resource to hold."""
        if isinstance(self.gateway, Gateway):
            return self.gateway.location
        return self.regions[0].location

    @property
    def members(self) -> tuple[traffic.Member, ...]:
        """The pool's members, in the order of the regions."""
        return tuple(
            traffic.Member(name=region.name, priority=region.priority, weight=region.weight)
            for region in self.regions
        )

    @property
    def forecast(self) -> str:
        """The share of traffic each region will get, as one line."""
        return traffic.forecast(self.members, {r.name: r.display_name for r in self.regions})


def _location(value: Any) -> str:
    return regions.normalise(_LOCATION_NAME(value))


def _weight(value: Any) -> int:
    if type(value) is int and value == 0:
        raise WrongValueError(
            "Azure does not document weight 0; write 1 to 100, or remove the region"
        )
    return whole(1, 100)(value)


# A custom subdomain is one label of a host name: RFC 1035, section 2.3.4. That is a character less
# than an account's name may have. Host names are lower case, so the parts of one have to be.
_SUBDOMAIN_LENGTH: Final = 63
# API Management REST API, service name: 1 to 50 characters.
_SUFFIX_LENGTH: Final = 50 - len("apim-")
_SUFFIX: Final = text(
    rf"(?=.{{1,{_SUFFIX_LENGTH}}}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?",
    f"write 1 to {_SUFFIX_LENGTH} lower-case letters, digits and hyphens, no hyphen first or last: "
    "it ends the accounts' subdomains and the service's name. Left out, it is random",
)
# API Management REST API, backend id: 1 to 80 characters.
_REGION_NAME: Final = text(
    r"[a-z0-9][a-z0-9-]{0,79}",
    "write 1 to 80 lower-case letters, digits and hyphens, no hyphen first: it names the backend "
    "and begins the account's subdomain",
)
_LOCATION_NAME: Final = text(
    r"[A-Za-z][A-Za-z0-9 ]*", "write the name of an Azure location, as uksouth"
)
_DEPLOYMENT_NAME: Final = text(
    r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}",
    "write 1 to 64 letters, digits, `_`, `.` and `-`, a letter or digit first",
)
_PUBLISHER_NAME: Final = text(r"(?=.*\S).{1,100}", "write a name of 1 to 100 characters")
_PUBLISHER_EMAIL: Final = text(
    r"(?=.{1,100}\Z)[^@\s]+@[^@\s.]+(\.[^@\s.]+)+",
    "write an e-mail address of at most 100 characters: Azure sends notices there",
)
_DURATION: Final = text(
    r"(?=.*[1-9])P([0-9]+D)?(T(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9]+S)?)?",
    "write an ISO-8601 duration above zero, as PT1M for a minute",
)
# Names of resources that are there already (Azure, "Naming rules and restrictions").
_GROUP_NAME: Final = text(
    r"[\w.()-]{0,89}[\w()-]",
    "write the name of its resource group: 1 to 90 letters, digits, `_`, `.`, `(`, `)` and `-`, "
    "no `.` last",
)
_SERVICE_NAME: Final = text(
    r"[A-Za-z]([A-Za-z0-9-]{0,48}[A-Za-z0-9])?",
    "write the service's name: 1 to 50 letters, digits and hyphens, a letter first",
)
_ACCOUNT_NAME: Final = text(
    r"[A-Za-z0-9][A-Za-z0-9_.-]{1,63}",
    "write the account's name: 2 to 64 letters, digits, `_`, `.` and `-`",
)
_REGIONS_REMEDY: Final = "list 2 to 30 regions, each with a name and a location"
_MODELS_REMEDY: Final = "list at least one model, each with name, model, version, sku and capacity"

# What each section may hold, and its defaults.
_TOP: Final = {
    "regions": Field(list_of(_REGIONS_REMEDY)),
    "routing": Field(one_of(traffic.ROUTINGS), "round-robin"),
    "models": Field(
        list_of(_MODELS_REMEDY),
        [
            {
                "name": "chat",
                "model": "gpt-5.4-mini",
                "version": "2026-03-17",
                "sku": "GlobalStandard",
                "capacity": 50,
            }
        ],
    ),
    "gateway": Field(mapping, {}),
    "resourceSuffix": Field(optional(_SUFFIX, None, ""), None),
    "breaker": Field(optional(mapping, None), {}),
    "revealBackend": Field(boolean, True),
}
_REGION: Final = {
    "name": Field(_REGION_NAME),
    "location": Field(_location),
    "priority": Field(whole(0, 100), 1),
    "weight": Field(_weight, 1),
    "existing": Field(optional(mapping, None), None),
}
_EXISTING_ACCOUNT: Final = {
    "resourceGroup": Field(_GROUP_NAME),
    "accountName": Field(_ACCOUNT_NAME),
}
_MODEL: Final = {
    "name": Field(_DEPLOYMENT_NAME),
    "model": Field(text(r"\S+", "write a model's name, as gpt-5.4-mini")),
    # YAML reads a bare 2026-03-17 as a date.
    "version": Field(text(r"\S+", 'write the model\'s version in quotes, as "2026-03-17"')),
    "sku": Field(text(r"[A-Za-z]+", "write a deployment type, as GlobalStandard")),
    "capacity": Field(whole(1)),
}
_GATEWAY: Final = {
    "sku": Field(one_of(TIERS), "BasicV2"),
    "capacity": Field(whole(0), None),
    "publisherName": Field(_PUBLISHER_NAME, "Platform team"),
    "publisherEmail": Field(_PUBLISHER_EMAIL, "platform-team@example.com"),
    "location": Field(_location, None),
    "existing": Field(optional(mapping, None), None),
}
_EXISTING_SERVICE: Final = {
    "resourceGroup": Field(_GROUP_NAME),
    "serviceName": Field(_SERVICE_NAME),
}
# What harmed clients least in the failover drills: docs/decisions/0013.
_BREAKER: Final = {
    "count": Field(whole(1), 10),
    "interval": Field(_DURATION, "PT10S"),
    "tripDuration": Field(_DURATION, "PT10S"),
    "acceptRetryAfter": Field(boolean, False),
}


def parse(config: Mapping[str, Any]) -> Settings:
    """Read settings from config by key without namespace; values are as JSON or YAML has them.

    Raises SettingsError with every mistake in the config.
    """
    report = Report(namespace=NAMESPACE)
    top = report.section("", config, _TOP)
    found_regions = report.entries("regions", top.get("regions"), _REGION)
    found_models = report.entries("models", top.get("models"), _MODEL)
    if "regions" in top and not 2 <= len(found_regions) <= 30:
        report.refuse("regions", f"is a list of {len(found_regions)}", _REGIONS_REMEDY)
    if "models" in top and not found_models:
        report.refuse("models", "is an empty list", _MODELS_REMEDY)
    accounts = [
        report.section(f"regions[{position}].existing", region.get("existing"), _EXISTING_ACCOUNT)
        for position, region in enumerate(found_regions)
    ]
    gateway = report.section("gateway", top.get("gateway"), _GATEWAY)
    service = report.section("gateway.existing", gateway.get("existing"), _EXISTING_SERVICE)
    breaker = report.section("breaker", top.get("breaker"), _BREAKER)

    report.unique("regions", found_regions, "name")
    report.unique("regions", found_regions, "location")
    report.unique("models", found_models, "name")
    _check_subdomains(report, found_regions, top.get("resourceSuffix"))
    _check_traffic(report, found_regions, top.get("routing"))
    if gateway.get("existing") is None:
        _check_tier(report, gateway, top.get("breaker"))
    else:
        _check_nothing_else(report, top["gateway"])

    if report.problems:
        raise SettingsError(tuple(report.problems))
    return Settings(
        regions=tuple(
            Region(**{**region, "existing": _existing_account(account)})
            for region, account in zip(found_regions, accounts, strict=True)
        ),
        routing=top["routing"],
        models=tuple(Model(**model) for model in found_models),
        gateway=ExistingGateway(
            resource_group=service["resourceGroup"], service_name=service["serviceName"]
        )
        if service
        else Gateway(
            sku=gateway["sku"],
            capacity=gateway["capacity"],
            publisher_name=gateway["publisherName"],
            publisher_email=gateway["publisherEmail"],
            location=gateway["location"] or found_regions[0]["location"],
        ),
        resource_suffix=top["resourceSuffix"],
        breaker=Breaker(
            count=breaker["count"],
            interval=breaker["interval"],
            trip_duration=breaker["tripDuration"],
            accept_retry_after=breaker["acceptRetryAfter"],
        )
        if breaker
        else None,
        reveal_backend=top["revealBackend"],
    )


def load(config: "pulumi.Config") -> Settings:
    """Read settings from a stack's config, in which Pulumi gives objects and lists as JSON text.

    Raises SettingsError with every mistake in the config, unknown keys of the namespace included.
    """
    from pulumi.runtime.config import CONFIG, get_config_env  # noqa: PLC0415 - parse goes without

    prefix = f"{config.name}:"
    present = {
        key.removeprefix(prefix)
        for key in (*CONFIG.get(), *get_config_env())
        if key.startswith(prefix)
    }
    values = {key: config.get(key) for key in sorted(present | set(_TOP))}
    return parse({key: _decode(key, text) for key, text in values.items() if text is not None})


def _decode(key: str, text: str) -> Any:
    if key in ("routing", "resourceSuffix"):
        return text
    if not text:  # what `key: null` in the stack's file becomes
        return None
    try:
        return json.loads(text)
    except ValueError:  # parse says what belongs here
        return text


def _existing_account(found: dict[str, Any]) -> ExistingAccount | None:
    if not found:
        return None
    return ExistingAccount(resource_group=found["resourceGroup"], account_name=found["accountName"])


def _check_subdomains(report: Report, found: list[dict[str, Any]], suffix: str | None) -> None:
    suffix_length = len(suffix) if suffix else GENERATED_SUFFIX_LENGTH
    for position, region in enumerate(found):
        path, name = f"regions[{position}].name", region.get("name", "")
        if name == POOL_NAME:
            report.refuse(
                path, f"is {shown(name)}", "the pool itself has this name; choose another"
            )
        excess = len(name) + len("-") + suffix_length - _SUBDOMAIN_LENGTH
        if excess > 0 and region.get("existing") is None:
            report.refuse(
                path,
                f"is {shown(name)}",
                f"with a resourceSuffix of {suffix_length} characters the account's subdomain is "
                f"{excess} longer than the {_SUBDOMAIN_LENGTH} allowed; shorten either",
            )


def _check_traffic(report: Report, found: list[dict[str, Any]], routing: str | None) -> None:
    names = {region.get("name") for region in found}
    complete = all(region.keys() == _REGION.keys() for region in found)
    if routing is None or not complete or len(names) < max(len(found), 2):
        return  # there is no forecast for regions that have mistakes, and those are reported
    members = [
        traffic.Member(name=region["name"], priority=region["priority"], weight=region["weight"])
        for region in found
    ]
    if traffic.is_as_declared(members, routing):
        return
    labels = {region["name"]: regions.display_name(region["location"]) for region in found}
    looser = traffic.ROUTINGS[traffic.ROUTINGS.index(routing) + 1 :]
    others = " or ".join(f'"{other}"' for other in looser)
    same = " and ".join(traffic.EQUAL[routing])
    report.refuse(
        "regions",
        f'would not be "{routing}", but {traffic.forecast(members, labels)}',
        f"give every region the same {same}, or set routing to {others}",
    )


def _check_nothing_else(report: Report, given: Mapping[str, Any]) -> None:
    for key in given:
        if key in _GATEWAY and key != "existing":
            remedy = "a service that exists keeps its own; leave out this key, or `existing`"
            report.refuse(f"gateway.{key}", f"is {shown(given[key])}", remedy)


def _check_tier(report: Report, gateway: dict[str, Any], breaker: Any) -> None:
    tier = gateway.get("sku")
    if tier is None:
        return
    capacity = gateway.get("capacity")
    if capacity is None:
        gateway["capacity"] = 0 if tier == "Consumption" else 1
    if tier != "Consumption":
        if capacity == 0:
            report.refuse("gateway.capacity", "is 0", f"a {tier} service has at least 1 unit")
        return
    if capacity:
        remedy = "a Consumption service has no units; write 0, or leave the key out"
        report.refuse("gateway.capacity", f"is {capacity}", remedy)
    if breaker is not None:
        remedy = "a Consumption service has none; set it to null, or choose another gateway.sku"
        report.refuse("breaker", "is on", remedy)
