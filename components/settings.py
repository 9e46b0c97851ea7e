"""The stack's config as typed settings; every mistake in it is reported at once.

Each section is a class, and declares its keys once: type, range, default, and the description that
README.md and editors show (docs/config_reference.py). Checks across keys follow, and run over what
could be read. `parse` reads plain values and imports no Pulumi; `load` reads a `pulumi.Config`.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    Strict,
    ValidationError,
    ValidationInfo,
)
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from components import traffic
from components.regions import Locations, normalise

if TYPE_CHECKING:
    import pulumi

NAMESPACE: Final = "openai-gateway"
POOL_NAME: Final = "inference-backend-pool"
# How long a suffix the program generates when `resourceSuffix` is left out.
GENERATED_SUFFIX_LENGTH: Final = 8
# A custom subdomain is one label of a host name: RFC 1035, section 2.3.4. That is a character less
# than an account's name may have. Host names are lower case, so the parts of one have to be.
_SUBDOMAIN_LENGTH: Final = 63
_REGIONS: Final = (2, 30)
_NAMES: Final = "list names of regions, as [foundry2, foundry3]"
_Listed: Final = Strict(strict=False)  # a list in the config is a tuple in the settings

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


class _Section(BaseModel):
    """A section of the config; in the config its keys are in camel case."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        defer_build=True,  # each class would else be built for itself, and once more in the whole
    )


def _remedy(text: str, schema: Mapping[str, Any] | None = None, **field: Any) -> Any:
    """Tell what to write where a value is wrong, in the line reported and in editors."""
    return Field(json_schema_extra={"errorMessage": text, **(schema or {})}, **field)


def _text(pattern: str, remedy: str, longest: int | None = None, shortest: int = 1) -> Any:
    """Take text that a pattern matches as a whole; `{}` in the remedy stands for the lengths."""
    remedy = remedy.replace("{}", f"{shortest} to {longest}")
    return _remedy(remedy, pattern=f"^{pattern}$", min_length=shortest, max_length=longest)


def _one_of(words: Collection[str]) -> Any:
    remedy = f"write one of {', '.join(words)}"
    return _remedy(remedy, {"enum": [*words]}, pattern=f"^({'|'.join(words)})$")


def _whole(low: int, high: int | None = None) -> Any:
    """Take a whole number; neither `true` nor 1.0 nor "1" is one."""
    meant = f"of at least {low}" if high is None else f"from {low} to {high}"
    return _remedy(f"write a whole number {meant}", ge=low, le=high)


def _location(value: str, info: ValidationInfo) -> str:
    known = info.context or Locations()
    if fault := known.fault(value):
        raise PydanticCustomError("remedy", "{remedy}", {"remedy": fault})
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
    """Read `protect`: true has no exceptions; false becomes None, which nothing else may."""
    if value is None:
        raise ValueError
    return {True: {"except": []}, False: None}[value] if isinstance(value, bool) else value


def _or_gateways(value: str | None, info: ValidationInfo) -> str | None:
    gateway = info.data.get("gateway")
    return value or (gateway.location if gateway else None)


def _by_name(found: tuple["Region", ...]) -> tuple["Region", ...]:
    return tuple(sorted(found, key=lambda region: region.name))


Location = Annotated[
    str,
    _text(r"[A-Za-z][A-Za-z0-9 ]*", "write the name of an Azure location, as uksouth"),
    AfterValidator(_location),
]
# API Management REST API, backend id: 1 to 80 characters.
RegionName = Annotated[
    str,
    _text(
        r"[a-z0-9][a-z0-9-]*",
        "write {} lower-case letters, digits and hyphens, no hyphen first: it names the backend "
        "and begins the account's subdomain",
        80,
    ),
]
# API Management REST API, service name: 1 to 50 characters, of which `apim-` takes five.
Suffix = Annotated[
    str,
    _text(
        r"[a-z0-9]([a-z0-9-]*[a-z0-9])?",
        "write {} lower-case letters, digits and hyphens, no hyphen first or last: it ends the "
        "accounts' subdomains and the service's name. Left out, it is random",
        50 - len("apim-"),
    ),
]
Duration = Annotated[
    str,
    _text(
        r"P([0-9]+D)?(T([0-9]+H)?([0-9]+M)?([0-9]+S)?)?",
        "write an ISO-8601 duration above zero, as PT1M for a minute",
    ),
    AfterValidator(_above_zero),
]
# Names of resources that are there already (Azure, "Naming rules and restrictions").
GroupName = Annotated[
    str,
    _text(
        r"[\w.()-]*[\w()-]",
        "write the name of its resource group: {} letters, digits, `_`, `.`, `(`, `)` and `-`, no "
        "`.` last",
        90,
    ),
]


class AccountReference(_Section):
    """Names an Azure OpenAI account that is there already, to be taken as it is."""

    resource_group: GroupName = Field(description="The account's resource group.")
    account_name: Annotated[
        str,
        _text(
            "[A-Za-z0-9][A-Za-z0-9_.-]*",
            "write the account's name: {} letters, digits, `_`, `.` and `-`",
            64,
            shortest=2,
        ),
    ] = Field(description="The account's name.")


class ServiceReference(_Section):
    """Names an API Management service that is there already, to be deployed into."""

    resource_group: GroupName = Field(description="The service's resource group.")
    service_name: Annotated[
        str,
        _text(
            "[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?",
            "write the service's name: {} letters, digits and hyphens, a letter first",
            50,
        ),
    ] = Field(description="The service's name.")


class Region(_Section):
    """A region of the pool: the name of its backend, and the place of its Azure OpenAI account."""

    name: RegionName = Field(
        description="The backend's name, as foundry1; it also begins the account's subdomain."
    )
    location: Location = Field(description="The account's Azure location, as uksouth.")
    priority: Annotated[int, _whole(0, 100)] = Field(
        1, description="The regions with the lowest number are preferred."
    )
    weight: Annotated[int, _whole(1, 100), BeforeValidator(_no_zero)] = Field(
        1, description="The region's part of the traffic among those of its priority."
    )
    existing: AccountReference | None = Field(
        None,
        description="An account to use with its deployments; the stack adds the gateway's role on "
        "it and changes nothing else of it.",
    )
    _display_name: str = PrivateAttr("")

    def model_post_init(self, context: Any) -> None:
        """Keep the name Azure shows for the location."""
        self._display_name = (context or Locations()).display_name(self.location)

    @property
    def display_name(self) -> str:
        """The name Azure shows for the location, as `UK South`."""
        return self._display_name


class Model(_Section):
    """A model deployment made on every account."""

    name: Annotated[
        str,
        _text(
            "[A-Za-z0-9][A-Za-z0-9_.-]*",
            "write {} letters, digits, `_`, `.` and `-`, a letter or digit first",
            64,
        ),
    ] = Field(description="The deployment's name, which clients call.")
    model: Annotated[str, _text(r"\S+", "write a model's name, as gpt-5.4-mini")] = Field(
        description="The model's name."
    )
    # YAML reads a bare 2026-03-17 as a date.
    version: Annotated[
        str, _text(r"\S+", 'write the model\'s version in quotes, as "2026-03-17"')
    ] = Field(description="The model's version: text, in quotes.")
    sku: Annotated[str, _text("[A-Za-z]+", "write a deployment type, as GlobalStandard")] = Field(
        description="The deployment type."
    )
    capacity: Annotated[int, _whole(1)] = Field(description="Thousands of tokens a minute.")


class Gateway(_Section):
    """The API Management service to create, or the `existing` one to deploy into."""

    sku: Annotated[str, _one_of(TIERS)] = Field("BasicV2", description="The service's tier.")
    capacity: Annotated[int, _whole(0)] = Field(
        default_factory=lambda data: 0 if data.get("sku") == "Consumption" else 1,
        description="The number of units: 1 unless given, none on Consumption.",
    )
    publisher_name: Annotated[str, _text(r".*\S.*", "write a name of {} characters", 100)] = Field(
        "Platform team", description="The publisher that clients see."
    )
    publisher_email: Annotated[
        str,
        _text(
            r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+",
            "write an e-mail address of at most 100 characters: Azure sends notices there",
            100,
        ),
    ] = Field("platform-team@example.com", description="Azure sends its notices there.")
    location: Location | None = Field(None, description="The same as the key `location`.")
    existing: ServiceReference | None = Field(
        None,
        description="A service with a system-assigned identity, to deploy into; the other keys "
        "are then left out.",
    )


class Breaker(_Section):
    """A backend's circuit breaker: it trips after `count` failures within `interval`."""

    # What harmed clients least in the failover drills: docs/decisions/0013.
    count: Annotated[int, _whole(1)] = Field(
        10, description="So many failures (429 or 5xx) trip it."
    )
    interval: Duration = Field("PT10S", description="Failures are counted over this time.")
    trip_duration: Duration = Field("PT10S", description="A tripped backend is left out so long.")
    accept_retry_after: bool = Field(
        default=False, description="A response's Retry-After sets how long instead."
    )


class Protection(_Section):
    """Accounts and service are neither deleted nor replaced, but for those named here."""

    unprotected: Annotated[tuple[RegionName, ...], _Listed, _remedy(_NAMES)] = Field(
        alias="except", description="Names of regions, and `gateway` for the service."
    )


class Settings(_Section):
    """A whole, valid config.

    `resource_suffix` is None when the program has to generate it, `breaker` when it is off, and
    `location` when it is not given: the stack keeps the one it has, or begins with
    `default_location`. `protect` is None when nothing is protected.
    """

    regions: Annotated[
        tuple[Region, ...],
        _Listed,
        _remedy("list {} to {} regions, each with a name and a location".format(*_REGIONS)),
        AfterValidator(_by_name),
    ] = Field(
        description="The regions of the pool. Names and locations are unique; order means nothing."
    )
    routing: Annotated[str, _one_of(traffic.ROUTINGS)] = Field(
        "round-robin",
        description="round-robin: every region has the same priority and weight. weighted: weights "
        "may differ. priority: both may differ.",
    )
    accept_starved: Annotated[tuple[RegionName, ...], _Listed, _remedy(_NAMES)] = Field(
        (), description="Regions that are meant to get no traffic while others are up."
    )
    models: Annotated[
        tuple[Model, ...],
        _Listed,
        _remedy("list at least one model, each with name, model, version, sku and capacity"),
    ] = Field(
        default_factory=lambda: (
            Model.model_construct(
                name="chat",
                model="gpt-5.4-mini",
                version="2026-03-17",
                sku="GlobalStandard",
                capacity=50,
            ),
        ),
        description="The deployments made on every account.",
    )
    gateway: Gateway = Field(
        default_factory=Gateway.model_construct, description="The API Management service."
    )
    location: Annotated[Location | None, AfterValidator(_or_gateways)] = Field(
        None,
        validate_default=True,
        description="Of the resource group and the service. Left out, a new stack begins in the "
        "first region's, and a deployed one stays where it is.",
    )
    protect: Annotated[
        Protection | None,
        BeforeValidator(_exceptions, json_schema_input_type=bool | Protection),
        _remedy("write true, false, or a mapping whose `except` lists names"),
    ] = Field(
        default_factory=lambda: Protection.model_construct(unprotected=()),
        description="true: no change of the config deletes or replaces an account or the service. "
        "false: it may.",
    )
    resource_suffix: Annotated[Suffix | None, BeforeValidator(lambda text: text or None)] = Field(
        None,
        description="What the names that are unique in all of Azure end in. Left out or empty: a "
        "random one, kept in the stack's state.",
    )
    breaker: Breaker | None = Field(
        default_factory=Breaker.model_construct,
        description="Every backend's circuit breaker; null switches it off, as the Consumption "
        "tier requires.",
    )
    reveal_backend: bool = Field(
        default=True,
        description="Name the host that answered and the attempts in response headers, which the "
        "probe reads.",
    )

    _order: tuple[str, ...] = PrivateAttr(())

    def path(self, region: Region) -> str:
        """Where a region stands in the config, as `regions[0]`."""
        return f"regions[{self._order.index(region.name)}]"

    @property
    def default_location(self) -> str:
        """The location of the region that stands first in the config."""
        return next(each.location for each in self.regions if each.name == self._order[0])

    @property
    def unprotected(self) -> tuple[str, ...]:
        """Names of regions, and `gateway`, whose account or service may be deleted or replaced."""
        if self.protect is None:
            return (*(region.name for region in self.regions), "gateway")
        return self.protect.unprotected

    @property
    def pool(self) -> traffic.Pool:
        """The pool that the regions declare."""
        return traffic.read_config([vars(region) for region in self.regions])

    @property
    def forecast(self) -> str:
        """The share of traffic each region will get, as one line."""
        return self.pool.forecast({region.name: region.display_name for region in self.regions})

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the config asks for and is rarely meant, each in a line with its remedy."""
        shown_as = {region.name: region.display_name for region in self.regions}
        shares = self.pool.by_label({})
        fed = [shown_as[name] for name, share in shares.items() if share]
        starved = [name for name, share in shares.items() if not share]
        lines = [
            f"{NAMESPACE}:protect.except names {name}, which is no region: remove the name once "
            "the region's account is deleted"
            for name in self.unprotected
            if name not in {*shown_as, "gateway"}
        ]
        if not set(starved) <= set(self.accept_starved):
            lines.append(
                f"{traffic.listed([shown_as[name] for name in starved])} "
                f"{'gets' if len(starved) == 1 else 'get'} 0 % of the traffic while "
                f"{traffic.listed(fed, 'or')} is up; if that is meant, set "
                f"{NAMESPACE}:acceptStarved to [{', '.join(starved)}]"
            )
        return tuple(lines)


@dataclass(frozen=True)
class Report:
    """Gathers the mistakes in a config, a line for each."""

    problems: list[str] = field(default_factory=list)

    def refuse(self, path: str, found: str, remedy: object) -> None:
        """Note a mistake: the key, what was found there, and what to do about it."""
        self.problems.append(f"{NAMESPACE}:{path} {found}: {remedy}")


def shown(value: Any) -> str:
    """Write a value as JSON, short enough for a line."""
    line = json.dumps(value, default=str, ensure_ascii=False)
    return line if len(line) <= 60 else f"{line[:57]}..."


def parse(
    config: Mapping[str, Any],
    subscription_locations: Callable[[], Mapping[str, str]] | None = None,
) -> Settings:
    """Read settings from config by key without namespace; values are as JSON or YAML has them.

    `subscription_locations` returns the display names of the subscription's locations, and is
    called once if one is not known here. Raises SettingsError with every mistake in the config.
    """
    report, wrong = Report(), frozenset[_Path]()
    try:
        settings = Settings.model_validate(
            dict(config), context=Locations(subscription_locations), by_name=False
        )
    except ValidationError as error:
        wrong = _report(report, error)
    _check(report, _readable(config, (), wrong), wrong)
    if report.problems:
        raise SettingsError(tuple(report.problems))
    settings._order = tuple(region["name"] for region in config["regions"])  # noqa: SLF001
    return settings


def load(
    config: "pulumi.Config",
    subscription_locations: Callable[[], Mapping[str, str]] | None = None,
) -> Settings:
    """Read settings from a stack's config, in which Pulumi gives objects and lists as JSON text.

    Raises SettingsError with every mistake in the config, unknown keys of the namespace included,
    and keys of a namespace that is nearly it.
    """
    from pulumi.runtime.config import CONFIG, get_config_env  # noqa: PLC0415 - parse goes without

    given = {**get_config_env(), **CONFIG.get()}
    problems = []
    values = {}
    for full in sorted(given):
        namespace, _, key = full.partition(":")
        if namespace == config.name:
            values[key] = _decode(key, given[full])
        elif get_close_matches(namespace.lower(), [config.name], cutoff=0.8):
            found = f"{full} is {shown(_decode(key, given[full]))}, but there is no such namespace"
            problems.append(f"{found}: did you mean `{config.name}:{key}`?")
    try:
        settings = parse(values, subscription_locations)
    except SettingsError as error:
        problems += error.problems
    if problems:
        raise SettingsError(tuple(problems))
    return settings


def _decode(key: str, text: str) -> Any:
    if not text:  # what `key: null` in the stack's file becomes
        return None
    if key in ("routing", "location", "resourceSuffix"):
        return text
    try:
        return json.loads(text)
    except ValueError:  # parse says what belongs here
        return text


_Path = tuple[int | str, ...]


def _report(report: Report, error: ValidationError) -> frozenset[_Path]:
    """Report what pydantic found, outer sections first; return where it was."""
    errors = [
        e for e in error.errors(include_url=False) if e["type"] != "default_factory_not_called"
    ]
    sections = list(dict.fromkeys(each["loc"][:-1] for each in errors))

    def order(each: Any) -> tuple[int, int, bool]:
        depth = sum(isinstance(step, str) for step in each["loc"])
        return depth, sections.index(each["loc"][:-1]), each["type"] != "extra_forbidden"

    for each in sorted(errors, key=order):
        kind, path, declared = each["type"], each["loc"], _declared(each["loc"])
        found = "is missing" if kind == "missing" else f"is {shown(each['input'])}"
        remedy = each["msg"] if kind == "remedy" else _remedy_of(declared)
        if kind == "extra_forbidden":
            found += ", but there is no such key"
            remedy = _nearest(str(path[-1])[:60], _keys(declared), "the keys are")
        elif kind == "int_type" and isinstance(each["input"], str):
            remedy += ", without quotes"
        report.refuse(_written(path), found, remedy + _json_fault(each["input"]))
    return frozenset(each["loc"] for each in errors)


def _declared(path: _Path) -> Any:
    """Find the declaration that a path leads to: a key's, or of the entries of a list.

    Where there is no such key it is that of the section.
    """
    part: Any = Settings
    for step in path:
        inner = [*_inside(part)]
        if isinstance(step, int):
            part = next(get_args(each)[0] for each in inner if get_origin(each) is tuple)
        else:
            section = next(each for each in inner if hasattr(each, "model_fields"))
            part = {key.alias: key for key in section.model_fields.values()}.get(step, section)
    return part


def _inside(part: Any) -> Iterator[Any]:
    """Yield all that a declaration is made of, from the outside in."""
    yield part
    for inner in [part.annotation] if isinstance(part, FieldInfo) else get_args(part):
        yield from _inside(inner)


def _remedy_of(declared: Any) -> str:
    if isinstance(declared, type) and issubclass(declared, _Section):
        return f"write a mapping with the keys {', '.join(_keys(declared))}"
    for part in _inside(declared):
        if isinstance(part, FieldInfo) and isinstance(part.json_schema_extra, dict):
            return str(part.json_schema_extra["errorMessage"])
    return (
        "write true or false" if bool in _inside(declared) else "write a mapping of keys to values"
    )


def _keys(section: type[_Section]) -> list[str]:
    return [str(key.alias) for key in section.model_fields.values()]


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


def _readable(value: Any, path: _Path, wrong: frozenset[_Path]) -> Any:
    """Copy a config without what is wrong in it; a wrong entry of a list becomes an empty one."""
    if isinstance(value, Mapping):
        items = ((key, each, (*path, key)) for key, each in value.items())
        return {key: _readable(each, at, wrong) for key, each, at in items if at not in wrong}
    if isinstance(value, list):
        entries = ((each, (*path, position)) for position, each in enumerate(value))
        return [{} if at in wrong else _readable(each, at, wrong) for each, at in entries]
    return value


# Checks across keys, over what could be read


def _check(report: Report, config: Mapping[str, Any], wrong: frozenset[_Path]) -> None:
    found, models = config.get("regions"), config.get("models")
    if found is not None and not _REGIONS[0] <= len(found) <= _REGIONS[1]:
        remedy = _remedy_of(Settings.model_fields["regions"])
        report.refuse("regions", f"is a list of {len(found)}", remedy)
    if models is not None and not models:
        report.refuse("models", "is an empty list", _remedy_of(Settings.model_fields["models"]))
    found = [
        {**each, "location": normalise(each["location"])} if "location" in each else each
        for each in found or ()
    ]
    _check_unique(report, "regions", found, "name")
    _check_unique(report, "regions", found, "location")
    _check_unique(report, "models", models or (), "name")
    _check_subdomains(report, found, config.get("resourceSuffix"))
    if not any(path[0] in ("regions", "routing") and "existing" not in path for path in wrong):
        _check_traffic(report, found, config)
    gateway = config.get("gateway", {})
    if gateway.get("existing") is None:
        _check_tier(report, gateway, config)
    else:
        for key in [key for key in gateway if key != "existing"]:
            remedy = "a service that exists keeps its own; leave out this key, or `existing`"
            report.refuse(f"gateway.{key}", f"is {shown(gateway[key])}", remedy)
    one, other = config.get("location"), gateway.get("location")
    if one and other and normalise(one) != normalise(other):
        remedy = f"location is {shown(one)}, and is the gateway's too; leave this one out"
        report.refuse("gateway.location", f"is {shown(other)}", remedy)


def _check_unique(
    report: Report, path: str, sections: Sequence[Mapping[str, Any]], name: str
) -> None:
    """Refuse a text that two entries of a list share; Azure's names ignore case."""
    first: dict[str, int] = {}
    for position, section in enumerate(sections):
        if name not in section:
            continue
        earlier = first.setdefault(section[name].lower(), position)
        if earlier != position:
            report.refuse(
                f"{path}[{position}].{name}",
                f"is {shown(section[name])}",
                f"{path}[{earlier}] has this {name} already; give each its own",
            )


def _check_subdomains(report: Report, found: Sequence[Any], suffix: str | None) -> None:
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


def _check_traffic(report: Report, found: Sequence[Any], config: Mapping[str, Any]) -> None:
    labels = {region["name"]: Locations().display_name(region["location"]) for region in found}
    if len(labels) < max(len(found), 2):
        return  # there is no forecast for regions that have mistakes, and those are reported
    pool, routing = traffic.read_config(found), config.get("routing", "round-robin")
    if pool.problems(routing):
        looser = traffic.ROUTINGS[traffic.ROUTINGS.index(routing) + 1 :]
        others = " or ".join(f'"{other}"' for other in looser)
        same = " and ".join(traffic.EQUAL[routing])
        report.refuse(
            "regions",
            traffic.unlike(routing, pool.forecast(labels)),
            f"give every region the same {same}, or set routing to {others}",
        )
    for position, name in enumerate(config.get("acceptStarved", ())):
        path, is_name = f"acceptStarved[{position}]", f"is {shown(name)}"
        if name not in labels:
            report.refuse(path, is_name, _nearest(name, labels, "the regions are"))
        elif share := pool.by_label({})[name]:
            gets = f"{is_name}, which gets {traffic.percent(share)} of the traffic"
            report.refuse(path, gets, "leave it out")


def _check_tier(report: Report, gateway: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    tier, capacity = gateway.get("sku", "BasicV2"), gateway.get("capacity")
    if tier != "Consumption":
        if capacity == 0:
            report.refuse("gateway.capacity", "is 0", f"a {tier} service has at least 1 unit")
        return
    if capacity:
        remedy = "a Consumption service has no units; write 0, or leave the key out"
        report.refuse("gateway.capacity", f"is {capacity}", remedy)
    if config.get("breaker", "by default") is not None:
        remedy = "a Consumption service has none; set it to null, or choose another gateway.sku"
        report.refuse("breaker", "is on", remedy)
