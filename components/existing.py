"""What is there already and is deployed into: looked up and checked before anything is declared."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from . import regions
from .inference_api import API_NAME, OPENAI_PATH, policy_mistakes
from .keys import CLASSIC_TIERS
from .mistakes import SettingsError, mistake, shown
from .resource_manager import (
    API_MANAGEMENT,
    COGNITIVE_SERVICES,
    OPERATIONAL_INSIGHTS,
    Deployer,
    ResourceManagerError,
    at,
)
from .settings import Region, Settings

KINDS: Final = ("OpenAI", "AIServices")  # whose accounts have Azure OpenAI's deployments

# Azure's codes for a resource that is not there. Others, as SubscriptionNotFound, are told as sent.
_MISSING: Final = ("ResourceNotFound", "ResourceGroupNotFound")
# Under what an account of kind AIServices, whose own endpoint is another, names Azure OpenAI's.
_OPENAI_ENDPOINT: Final = "OpenAI Language Model Instance API"

# What it is called, its type, and the API version that reads it.
_WORKSPACE: Final = (
    "workspace",
    "Microsoft.OperationalInsights/workspaces",
    OPERATIONAL_INSIGHTS,
)
_SERVICE: Final = ("API Management service", "Microsoft.ApiManagement/service", API_MANAGEMENT)
_ACCOUNT: Final = ("account", "Microsoft.CognitiveServices/accounts", COGNITIVE_SERVICES)


@dataclass(frozen=True, kw_only=True)
class FoundService:
    """An API Management service by its ARM id; `principal_id` is the object id of its own identity.

    `tier` is the name of its sku, `addresses` those that it calls from, where they are its own.
    """

    id: str
    resource_group: str
    name: str
    gateway_url: str
    principal_id: str
    tier: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FoundAccount:
    """An Azure OpenAI account: its ARM id, and `https://<subdomain>.openai.azure.com/`."""

    id: str
    endpoint: str


@dataclass(frozen=True, kw_only=True)
class FoundWorkspace:
    """A Log Analytics workspace: its ARM id, the id that queries name it by, and its location."""

    id: str
    customer_id: str
    location: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """The service and the workspace, if there, and the accounts that are, by their region's name.

    `tier` is the service's, there or to be made.
    """

    service: FoundService | None
    accounts: Mapping[str, FoundAccount]
    tier: str
    workspace: FoundWorkspace | None = None


def look_up(settings: Settings, azure: Deployer) -> Found:
    """Find what `settings` says is there; nothing is asked of Azure if that is nothing.

    Raises SettingsError with every way in which what is there cannot be deployed into.
    """
    problems, service, accounts = list[str](), None, {}
    workspace = None
    if its := settings.gateway.existing:
        key = "gateway.existing.serviceName"
        named = _Named(azure, problems, key, its.resource_group, its.service_name, _SERVICE)
        service = _service(named, settings)
    for region in settings.regions:
        if of_it := region.existing:
            key = f"{settings.path(region)}.existing.accountName"
            named = _Named(azure, problems, key, of_it.resource_group, of_it.account_name, _ACCOUNT)
            if account := _account(named, region, settings):
                accounts[region.name] = account
    if settings.monitoring and (logs := settings.monitoring.workspace):
        key = "monitoring.workspace.name"
        workspace = _workspace(
            _Named(azure, problems, key, logs.resource_group, logs.name, _WORKSPACE)
        )
    tier = service.tier if service else settings.gateway.sku
    problems += policy_mistakes(settings, tier)
    if problems:
        raise SettingsError(problems)
    return Found(service=service, accounts=accounts, tier=tier, workspace=workspace)


@dataclass(frozen=True)
class _Named:
    """A resource that the config names at `key`; what is wrong with it is noted in `problems`."""

    azure: Deployer
    problems: list[str]
    key: str
    group: str
    name: str
    kind: tuple[str, str, str]

    def read(self, part: str = "") -> Any:
        """Return the resource, or a list that is part of it; None where it cannot be read."""
        what, kind, api_version = self.kind
        try:
            group = f"/subscriptions/{self.azure.subscription}/resourceGroups/{self.group}"
            path = f"{group}/providers/{kind}/{self.name}{part}"
            if part:
                return list(self.azure.pages(path, api_version))
            return self.azure.get(path, api_version)
        except ResourceManagerError as error:
            if error.code in _MISSING:
                found = f"and there is no such {what} in {shown(self.group)}"
                section = self.key.split(".")[-2]  # `existing`, or `workspace`
                self.refuse(found, f"correct either, or leave `{section}` out for a new one")
            else:
                self.refuse("which cannot be looked up", error)
        return None

    def refuse(self, found: str, remedy: object) -> None:
        self.problems.append(mistake(self.key, f"is {shown(self.name)}, {found}", remedy))


def _service(named: _Named, settings: Settings) -> FoundService | None:
    if (there := named.read()) is None:
        return None
    tier = str(at(there, "sku", "name"))
    for key, off in settings.beyond_consumption if tier == "Consumption" else ():
        found = f"is on, and {shown(named.name)} is a Consumption service"
        remedy = f"set it to {off}, or choose a service of another tier"
        named.problems.append(mistake(key, found, remedy))
    principal_id = at(there, "identity", "principalId")
    if not principal_id:
        named.refuse(
            "which has no system-assigned identity",
            "the regions must know it; switch it on: "
            f"az apim update -g {named.group} -n {named.name} --enable-managed-identity true",
        )
    for api in named.read("/apis") or ():
        name, path = str(api.get("name")), str(at(api, "properties", "path") or "").strip("/")
        is_ours = name.partition(";")[0].lower() == API_NAME  # `;rev=2` is a revision
        if is_ours == (path.lower() == OPENAI_PATH):
            continue
        found = f"whose API {shown(name)} has the path {shown(path)}"
        remedy = "give that API another path"
        if is_ours:
            found = f"which has an API {shown(name)} at {shown(path)} already"
            remedy = "rename that API"
        named.refuse(found, f"{remedy}, or choose another service")
        break
    return FoundService(
        id=str(there.get("id")),
        resource_group=named.group,
        name=there.get("name", named.name),
        gateway_url=at(there, "properties", "gatewayUrl") or "",
        principal_id=principal_id or "",
        tier=tier,
        addresses=tuple(at(there, "properties", "publicIPAddresses") or ())
        if tier in CLASSIC_TIERS
        else (),
    )


def _workspace(named: _Named) -> FoundWorkspace | None:
    if (there := named.read()) is None:
        return None
    customer_id = at(there, "properties", "customerId")
    if not customer_id:
        named.refuse("which is not ready: it has no customerId", "try again later")
    return FoundWorkspace(
        id=str(there.get("id")),
        customer_id=str(customer_id),
        location=regions.normalise(there.get("location", "")),
    )


def _account(named: _Named, region: Region, settings: Settings) -> FoundAccount | None:
    if (there := named.read()) is None:
        return None
    if there.get("kind") not in KINDS:
        remedy = f"choose an account of kind {' or '.join(KINDS)}"
        named.refuse(f"which is of kind {there.get('kind')}", remedy)
        return None  # another kind has neither deployments nor such an endpoint
    if not at(there, "properties", "customSubDomainName"):
        named.refuse(
            "which has no custom subdomain",
            "the gateway's tokens need one: az cognitiveservices account update "
            f"-g {named.group} -n {named.name} --custom-domain {named.name}",
        )
    location = regions.normalise(there.get("location", ""))
    if location != region.location:
        found = f"is {shown(region.location)}, and the account {shown(named.name)} is in {location}"
        remedy = f"write {location}, or choose another account"
        named.problems.append(mistake(f"{settings.path(region)}.location", found, remedy))
    deployments = named.read("/deployments")
    deployed = {
        str(each.get("name")).lower(): at(each, "properties", "model") or {}
        for each in deployments or ()
    }
    for model in settings.models if deployments is not None else ():
        has, wanted = deployed.get(model.name.lower()), f"{model.model} {model.version}"
        is_of = has and f"{has.get('name')} {has.get('version')}"
        if is_of != wanted:
            state = f"is of {is_of}" if is_of else "is missing"
            remedy = f"deploy {wanted} under that name, or change models"
            named.refuse(f"whose deployment {shown(model.name)} {state}", remedy)
    endpoint = at(there, "properties", "endpoints", _OPENAI_ENDPOINT)
    return FoundAccount(
        id=there.get("id", ""), endpoint=endpoint or at(there, "properties", "endpoint") or ""
    )
