"""What a key of the config may hold: texts, numbers and names, each with its remedy."""

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping
from operator import attrgetter
from typing import Annotated, Any, Final

import pydantic
from pydantic import AfterValidator, Field, ValidationInfo
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError, core_schema

from .regions import Locations, normalise

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
BACKEND_LENGTH: Final = 80  # API Management REST API
# Azure, "Use tags to organize your Azure resources": 50, and API Management takes 15 of them.
MOST_TAGS: Final = 50
MOST_TAGS_OF_A_SERVICE: Final = 15
TAG_NAME: Final = r"^[^<>%&\\?/]+$"
SUBDOMAIN_LENGTH: Final = 63  # one label of a host name: RFC 1035, section 2.3.4
LIST_REGIONS: Final = "list 2 to 30 regions, each with a name and a location"
LIST_MODELS: Final = "list at least one model, each with name, model, version, sku and capacity"
LIST_NAMES: Final = "list names of regions, as [foundry2, foundry3]"

Listed: Final = pydantic.Strict(strict=False)  # a list in the config is a tuple in the settings
ByName: Final = AfterValidator(lambda found: tuple(sorted(found, key=attrgetter("name"))))


class Section(pydantic.BaseModel):
    """Keys that are known, each of its type, and nothing else."""

    model_config = pydantic.ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,  # by this program; `parse` goes by the alias alone
        validate_by_alias=True,
        defer_build=True,  # each class would else be built for itself, and once more in the whole
    )


def key(remedy: str, schema: Mapping[str, Any] | None = None, **field: Any) -> Any:
    """Declare a key; the line about a wrong value tells the remedy, and so do editors."""
    return Field(json_schema_extra={"errorMessage": remedy, **(schema or {})}, **field)


def text(pattern: str, remedy: str, low: int = 1, high: int | None = None, **field: Any) -> Any:
    """Declare text that a pattern matches as a whole; `{}` in the remedy stands for the lengths."""
    remedy = remedy.replace("{}", f"{low} to {high}")
    return key(remedy, pattern=f"^{pattern}$", min_length=low, max_length=high, **field)


def one_of(words: Collection[str], **field: Any) -> Any:
    pattern = f"^({'|'.join(words)})$"
    return key(f"write one of {', '.join(words)}", {"enum": [*words]}, pattern=pattern, **field)


def whole(low: int, high: int | None = None, **field: Any) -> Any:
    """Declare a whole number; neither `true` nor 1.0 nor "1" is one."""
    meant = f"of at least {low}" if high is None else f"from {low} to {high}"
    return key(f"write a whole number {meant}", ge=low, le=high, **field)


def part(**field: Any) -> Any:
    """Declare a part of a whole: a number above 0 and below 1."""
    return key("write a number above 0 and below 1, as 0.25", gt=0, lt=1, **field)


def is_output(value: object) -> bool:
    """Tell a `pulumi.Output`, which a program that uses the components may write for a text."""
    return hasattr(value, "apply")


def _later(value: Any, check: Callable[[Any], Any]) -> Any:
    return value if is_output(value) else check(value)


class Eventual:
    """Marks what nothing is decided by: an output stands for it, until a deployment knows it."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_wrap_validator_function(_later, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        return {**handler(schema), "eventual": True}


def unless_off(section: Any) -> Any:
    return section if section is None or section.enabled else None


def _location(value: str, info: ValidationInfo) -> str:
    if fault := (info.context or Locations()).fault(value):
        raise PydanticCustomError("remedy", "{fault}", {"fault": fault})
    return normalise(value)


def no_zero(weight: Any) -> Any:
    if type(weight) is int and weight == 0:
        remedy = "Azure does not document weight 0; write 1 to 100, or remove the region"
        raise PydanticCustomError("remedy", remedy)
    return weight


def _above_zero(duration: str) -> str:
    if not re.search("[1-9]", duration) or duration.endswith("T"):
        raise ValueError
    return duration


def exceptions(value: Any) -> Any:
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


def or_public(value: Any) -> Any:
    """Read `network`: `public` becomes None, and nothing else may be that."""
    if value is None:
        raise ValueError
    return None if value == "public" else value


def or_gateways(value: str | None, info: ValidationInfo) -> str | None:
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
Location = Annotated[str, text("[A-Za-z][A-Za-z0-9 ]*", _PLACE), AfterValidator(_location)]
RegionName = Annotated[str, text("[a-z0-9][a-z0-9-]*", _NAME, high=80)]
Suffix = Annotated[str, text("[a-z0-9]([a-z0-9-]*[a-z0-9])?", _SUFFIX, high=50 - len("apim-"))]
GroupName = Annotated[str, text(r"[\w.()-]*[\w()-]", _GROUP, high=90)]
AccountName = Annotated[str, text("[A-Za-z0-9][A-Za-z0-9_.-]*", _ACCOUNT, low=2, high=64)]
ServiceName = Annotated[str, text("[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?", _SERVICE, high=50)]
DeploymentName = Annotated[str, text("[A-Za-z0-9][A-Za-z0-9_.-]*", _DEPLOYMENT, high=64)]
RaiPolicyName = Annotated[
    str, text(r"[A-Za-z0-9][\w.-]*", "write the name of a content filter, as Microsoft.DefaultV2")
]
ModelName = Annotated[str, text(r"\S+", "write a model's name, as gpt-5.4-mini")]
Version = Annotated[str, text(r"\S+", _VERSION)]
DeploymentType = Annotated[str, text("[A-Za-z]+", "write a deployment type, as GlobalStandard")]
TagValue = Annotated[
    str, text(".*", "write a text of {} characters, in quotes", low=0, high=256), Eventual()
]
ApiVersion = Annotated[str, text("[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?", _API_VERSION, 10, 18)]
_NETWORK_ID = "/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft.Network"
SubnetId = Annotated[
    str,
    text(
        f"{_NETWORK_ID}/virtualNetworks/[^/]+/subnets/[^/]+",
        "write a subnet's id: /subscriptions/.../virtualNetworks/NAME/subnets/NAME",
    ),
    Eventual(),
]
ZoneId = Annotated[
    str,
    text(
        f"{_NETWORK_ID}/privateDnsZones/privatelink.openai.azure.com",
        "write the id of a zone privatelink.openai.azure.com",
    ),
    Eventual(),
]
PoolName = Annotated[
    str, text(r"[\w][\w-]*", "write {} letters, digits and hyphens", high=BACKEND_LENGTH)
]
ApiName = Annotated[str, text(r"[^*#&+:<>?\s]+", "write the API's name", high=256)]
ServiceId = Annotated[
    str,
    text(
        "/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft.ApiManagement/service/[^/]+",
        "write a service's id: /subscriptions/.../Microsoft.ApiManagement/service/NAME",
    ),
    Eventual(),
]
WorkspaceId = Annotated[
    str,
    text(
        "/subscriptions/[^/]+/resource[gG]roups/[^/]+/providers/"
        "Microsoft.OperationalInsights/workspaces/[^/]+",
        "write a workspace's id: /subscriptions/.../Microsoft.OperationalInsights/workspaces/NAME",
    ),
    Eventual(),
]
Addresses = Annotated[
    str,
    text("[0-9./]+", "write a public IPv4 address, or a range of them as 198.51.100.0/24"),
    AfterValidator(_public_addresses),
]
Api = Annotated[str, one_of(APIS)]
Publisher = Annotated[str, text(r".*\S.*", "write a name of {} characters", high=100)]
EMail = Annotated[str, text(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+", _E_MAIL, high=100)]
WorkspaceName = Annotated[
    str, text("[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]", _WORKSPACE, low=4, high=63)
]
_BACKEND_URL = "write the account's endpoint with /openai: https://NAME.openai.azure.com/openai"
BackendUrl = Annotated[str, text(r"https?://[!-~]+", _BACKEND_URL, high=2048), Eventual()]
Webhook = Annotated[str, text(r"https?://[!-~]+", _WEBHOOK, high=2048), Eventual()]
_AnyDuration = text("P([0-9]+D)?(T([0-9]+H)?([0-9]+M)?([0-9]+S)?)?", _DURATION)
Duration = Annotated[str, _AnyDuration, AfterValidator(_above_zero)]
