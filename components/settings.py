"""The stack's config as typed settings; every mistake in it is reported at once.

`parse` reads plain values and imports no Pulumi, so the probe and the tests can use it; `load`
reads them from a `pulumi.Config`. The keys and their defaults are described in Pulumi.yaml.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from components import regions, traffic

if TYPE_CHECKING:
    import pulumi

NAMESPACE: Final = "openai-gateway"
POOL_NAME: Final = "inference-backend-pool"
# How long a suffix the program generates when `resourceSuffix` is left out.
GENERATED_SUFFIX_LENGTH: Final = 8

ROUTINGS: Final = ("round-robin", "weighted", "priority")
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

# A custom subdomain is one label of a host name: RFC 1035, section 2.3.4. That is shorter than the
# 64 characters of an account's name.
_SUBDOMAIN_LENGTH: Final = 63
# API Management REST API, service name: 1 to 50 characters.
_SUFFIX_LENGTH: Final = 50 - len("apim-")


class SettingsError(Exception):
    """The stack's config has mistakes; `problems` has a line for each: key, value and remedy."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, kw_only=True)
class Region:
    """A region of the pool: the name of its backend, and the place of its Azure OpenAI account."""

    name: str
    location: str
    priority: int = 1
    weight: int = 1

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

    count: int = 3
    interval: str = "PT1M"
    trip_duration: str = "PT1M"
    accept_retry_after: bool = True


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """The API Management service to create; `capacity` is its number of units."""

    sku: str
    capacity: int
    publisher_name: str
    publisher_email: str
    location: str


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A whole, valid config.

    `resource_suffix` is None when the program has to generate it, `breaker` when it is off.
    """

    regions: tuple[Region, ...]
    routing: str
    models: tuple[Model, ...]
    gateway: Gateway
    resource_suffix: str | None
    breaker: Breaker | None
    reveal_backend: bool

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

    @property
    def deployment(self) -> str:
        """The deployment to try the gateway with: `chat`, or the first where none has that name."""
        names = [model.name for model in self.models]
        return "chat" if "chat" in names else names[0]


def parse(config: Mapping[str, Any]) -> Settings:
    """Read settings from config by key without namespace; values are as JSON or YAML has them.

    Raises SettingsError with every mistake in the config.
    """
    report = _Report()
    top = report.section("", config, _TOP)
    found_regions = report.entries("regions", top.get("regions"), _REGION)
    found_models = report.entries("models", top.get("models"), _MODEL)
    if "regions" in top and not 2 <= len(found_regions) <= 30:
        report.refuse("regions", f"has {len(found_regions)} of them", _REGIONS_REMEDY)
    if "models" in top and not found_models:
        report.refuse("models", "has none", _MODELS_REMEDY)
    gateway = report.section("gateway", top.get("gateway"), _GATEWAY)
    breaker = report.section("breaker", top.get("breaker"), _BREAKER)

    report.unique("regions", found_regions, "name")
    report.unique("regions", found_regions, "location")
    report.unique("models", found_models, "name")
    _check_subdomains(report, found_regions, top.get("resourceSuffix"))
    _check_traffic(report, found_regions, top.get("routing"))
    _check_tier(report, gateway, breaker)

    if report.problems:
        raise SettingsError(tuple(report.problems))
    return Settings(
        regions=tuple(Region(**region) for region in found_regions),
        routing=top["routing"],
        models=tuple(Model(**model) for model in found_models),
        gateway=Gateway(
            sku=gateway["sku"],
            capacity=gateway["capacity"],
            publisher_name=gateway["publisherName"],
            publisher_email=gateway["publisherEmail"],
            location=gateway["location"] or found_regions[0]["location"],
        ),
        resource_suffix=top["resourceSuffix"] or None,
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


class _WrongValueError(Exception):
    """What to write instead of the value."""


_REQUIRED: Final = object()


@dataclass(frozen=True)
class _Field:
    """A key of a section; `read` returns the value, or raises _WrongValueError with the remedy."""

    read: Callable[[Any], Any]
    default: Any = _REQUIRED


@dataclass(frozen=True)
class _Report:
    """Reads sections of config and gathers their mistakes; a bad value is left out of a result."""

    problems: list[str] = field(default_factory=list)

    def refuse(self, path: str, found: str, remedy: object) -> None:
        self.problems.append(f"{NAMESPACE}:{path} {found}: {remedy}")

    def section(self, path: str, value: Any, fields: Mapping[str, _Field]) -> dict[str, Any]:
        if value is None:
            return {}
        values = {}
        for name in value:
            if name not in fields:
                remedy = _NOT_BUILT.get((path.partition("[")[0], name)) or _nearest(name, fields)
                self.refuse(_join(path, name), _is(value[name]), remedy)
        for name, entry in fields.items():
            if name not in value and entry.default is not _REQUIRED:
                values[name] = entry.default
                continue
            try:
                values[name] = entry.read(value.get(name))
            except _WrongValueError as remedy:
                found = _is(value[name]) if name in value else "is missing"
                self.refuse(_join(path, name), found, remedy)
        return values

    def entries(self, path: str, value: Any, fields: Mapping[str, _Field]) -> list[dict[str, Any]]:
        sections = []
        for position, entry in enumerate(value or ()):
            key = f"{path}[{position}]"
            if isinstance(entry, Mapping):
                sections.append(self.section(key, entry, fields))
            else:
                sections.append({})
                self.refuse(key, _is(entry), f"write a mapping with the keys {', '.join(fields)}")
        return sections

    def unique(self, path: str, sections: list[dict[str, Any]], name: str) -> None:
        first: dict[str, int] = {}
        for position, section in enumerate(sections):
            if name not in section:
                continue
            earlier = first.setdefault(section[name].lower(), position)
            if earlier != position:
                self.refuse(
                    f"{path}[{position}].{name}",
                    _is(section[name]),
                    f"{path}[{earlier}] has this {name} already; give each its own",
                )


def _check_subdomains(report: _Report, found: list[dict[str, Any]], suffix: str | None) -> None:
    suffix_length = len(suffix) if suffix else GENERATED_SUFFIX_LENGTH
    for position, name in enumerate(region.get("name", "") for region in found):
        path = f"regions[{position}].name"
        if name == POOL_NAME:
            report.refuse(path, _is(name), "the pool itself has this name; choose another")
        excess = len(name) + len("-") + suffix_length - _SUBDOMAIN_LENGTH
        if excess > 0:
            report.refuse(
                path,
                _is(name),
                f"with a resourceSuffix of {suffix_length} characters the account's subdomain is "
                f"{excess} longer than the {_SUBDOMAIN_LENGTH} allowed; shorten either",
            )


def _check_traffic(report: _Report, found: list[dict[str, Any]], routing: str | None) -> None:
    names = {region.get("name") for region in found}
    whole = all(region.keys() == _REGION.keys() for region in found)
    if not whole or len(names) < max(len(found), 2) or routing not in _EQUAL:
        return  # there is no forecast for regions that have mistakes, and they are reported already
    equal = _EQUAL[routing]
    if all(len({region[key] for region in found}) == 1 for key in equal):
        return
    members = [
        traffic.Member(name=region["name"], priority=region["priority"], weight=region["weight"])
        for region in found
    ]
    labels = {region["name"]: regions.display_name(region["location"]) for region in found}
    others = " or ".join(f'"{other}"' for other in ROUTINGS[ROUTINGS.index(routing) + 1 :])
    report.refuse(
        "regions",
        f'would not be "{routing}", but {traffic.forecast(members, labels)}',
        f"give every region the same {' and '.join(equal)}, or set routing to {others}",
    )


def _check_tier(report: _Report, gateway: dict[str, Any], breaker: Any) -> None:
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
        report.refuse("gateway.capacity", _is(capacity), remedy)
    if breaker is not None:
        remedy = "a Consumption service has none; set it to null, or choose another gateway.sku"
        report.refuse("breaker", "is on", remedy)


def _join(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def _is(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return f"is {text if len(text) <= 60 else text[:57] + '...'}"


def _nearest(name: object, valid: Collection[str]) -> str:
    by_lower = {key.lower(): key for key in valid}
    near = get_close_matches(str(name).lower(), by_lower, n=1)
    choice = ", ".join(valid)
    return f"did you mean `{by_lower[near[0]]}`?" if near else f"the valid keys are {choice}"


def _mapping(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise _WrongValueError(f"write a mapping of keys to values{_json_fault(value)}")
    return value


def _list(remedy: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, list):
            raise _WrongValueError(f"{remedy}{_json_fault(value)}")
        return value

    return read


def _json_fault(value: Any) -> str:
    """Say where JSON text breaks off: `pulumi config set` takes any."""
    if isinstance(value, str) and value.startswith(("[", "{")):
        try:
            json.loads(value)
        except json.JSONDecodeError as fault:
            return f" (as JSON: {fault.msg} at character {fault.pos + 1})"
    return ""


def _whole(low: int, high: int | None = None) -> Callable[[Any], int]:
    meant = f"of at least {low}" if high is None else f"from {low} to {high}"

    def read(value: Any) -> int:
        if type(value) is not int or value < low or (high is not None and value > high):
            quotes = ", without quotes" if isinstance(value, str) else ""
            raise _WrongValueError(f"write a whole number {meant}{quotes}")
        return value

    return read


def _weight(value: Any) -> int:
    if value == 0 and type(value) is int:
        raise _WrongValueError(
            "Azure does not document weight 0; write 1 to 100, or remove the region"
        )
    return _whole(1, 100)(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _WrongValueError("write true or false")
    return value


def _one_of(choice: Collection[str]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if isinstance(value, str) and value in choice:
            return value
        raise _WrongValueError(f"write one of {', '.join(choice)}")

    return read


def _text(pattern: str, remedy: str) -> Callable[[Any], str]:
    """Text that a pattern matches as a whole."""
    compiled = re.compile(pattern)

    def read(value: Any) -> str:
        if isinstance(value, str) and compiled.fullmatch(value):
            return value
        raise _WrongValueError(remedy)

    return read


def _optional(read: Callable[[Any], Any], absent: Collection[Any]) -> Callable[[Any], Any]:
    """Read a value that may also be written as one of `absent`, and is None then."""
    return lambda value: None if value in absent else read(value)


_DURATION: Final = _text(
    r"(?=.*[1-9])P([0-9]+D)?(T(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9]+S)?)?",
    "write an ISO-8601 duration above zero, as PT1M for a minute",
)
_LOCATION_NAME: Final = _text(
    r"[A-Za-z][A-Za-z0-9 ]*", "write the name of an Azure location, as uksouth"
)


def _location(value: Any) -> str:
    return regions.normalise(_LOCATION_NAME(value))


_REGIONS_REMEDY: Final = "list 2 to 30 regions, each with a name and a location"
_MODELS_REMEDY: Final = "list at least one model, each with name, model, version, sku and capacity"

_TOP: Final = {
    "regions": _Field(_list(_REGIONS_REMEDY)),
    "routing": _Field(_one_of(ROUTINGS), "round-robin"),
    "models": _Field(
        _list(_MODELS_REMEDY),
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
    "gateway": _Field(_mapping, {}),
    # The host names in which it stands are lower case, whatever is written in config.
    "resourceSuffix": _Field(
        _optional(
            _text(
                rf"(?=.{{1,{_SUFFIX_LENGTH}}}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?",
                f"write 1 to {_SUFFIX_LENGTH} lower-case letters, digits and hyphens, no hyphen "
                "first or last: it ends the accounts' subdomains and the service's name; or leave "
                "the key out for a random one",
            ),
            (None, ""),
        ),
        None,
    ),
    "breaker": _Field(_optional(_mapping, (None,)), {}),
    "revealBackend": _Field(_boolean, True),
}
_REGION: Final = {
    # API Management REST API, backend id: 1 to 80 characters.
    "name": _Field(
        _text(
            r"[a-z0-9][a-z0-9-]{0,79}",
            "write 1 to 80 lower-case letters, digits and hyphens, no hyphen first: it names the "
            "backend and begins the account's subdomain",
        )
    ),
    "location": _Field(_location),
    "priority": _Field(_whole(0, 100), 1),
    "weight": _Field(_weight, 1),
}
_MODEL: Final = {
    "name": _Field(
        _text(
            r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}",
            "write 1 to 64 letters, digits, `_`, `.` and `-`, a letter or digit first",
        )
    ),
    "model": _Field(_text(r"\S+", "write a model's name, as gpt-5.4-mini")),
    # YAML reads a bare 2026-03-17 as a date.
    "version": _Field(_text(r"\S+", 'write the model\'s version in quotes, as "2026-03-17"')),
    "sku": _Field(_text(r"[A-Za-z]+", "write a deployment type, as GlobalStandard")),
    "capacity": _Field(_whole(1)),
}
_GATEWAY: Final = {
    "sku": _Field(_one_of(TIERS), "BasicV2"),
    "capacity": _Field(_whole(0), None),
    "publisherName": _Field(
        _text(r"(?=.*\S).{1,100}", "write a name of 1 to 100 characters"), "Platform team"
    ),
    "publisherEmail": _Field(
        _text(
            r"(?=.{1,100}\Z)[^@\s]+@[^@\s.]+(\.[^@\s.]+)+",
            "write an e-mail address of at most 100 characters: Azure sends notices there",
        ),
        "platform-team@example.com",
    ),
    "location": _Field(_location, None),
}
_BREAKER: Final = {
    "count": _Field(_whole(1), 3),
    "interval": _Field(_DURATION, "PT1M"),
    "tripDuration": _Field(_DURATION, "PT1M"),
    "acceptRetryAfter": _Field(_boolean, True),
}

_NOT_BUILT: Final = {
    ("gateway", "existing"): "deploying into a service that exists is not built yet; leave "
    "`existing` out, and the stack makes its own",
    ("regions", "existing"): "using an account that exists is not built yet; leave `existing` "
    "out, and the stack makes its own",
}
# Which keys must be the same in every region for a routing to be what it is called.
_EQUAL: Final[dict[str, tuple[str, ...]]] = {
    "round-robin": ("priority", "weight"),
    "weighted": ("priority",),
    "priority": (),
}
