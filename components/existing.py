"""What is there already and is deployed into: looked up and checked before anything is declared.

It is read from Resource Manager as the identity that deploys, azure-native's own.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeVar

from pulumi_azure_native import authorization

from components import regions
from components.inference_api import API_NAME, OPENAI_PATH
from components.resource_manager import (
    API_MANAGEMENT,
    COGNITIVE_SERVICES,
    ResourceManager,
    ResourceManagerError,
)
from components.settings import (
    AccountReference,
    Region,
    Report,
    ServiceReference,
    Settings,
    SettingsError,
    shown,
)

KINDS: Final = ("OpenAI", "AIServices")  # whose accounts have Azure OpenAI's deployments

# Azure's codes for a resource that is not there. Others, as SubscriptionNotFound, are told as sent.
_MISSING: Final = ("ResourceNotFound", "ResourceGroupNotFound")
# Under what an account of kind AIServices, whose own endpoint is another, names Azure OpenAI's.
_OPENAI_ENDPOINT: Final = "OpenAI Language Model Instance API"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class FoundService:
    """An API Management service; `principal_id` is the object id of its own identity."""

    resource_group: str
    name: str
    gateway_url: str
    principal_id: str


@dataclass(frozen=True, kw_only=True)
class FoundAccount:
    """An Azure OpenAI account: its ARM id, and `https://<subdomain>.openai.azure.com/`."""

    id: str
    endpoint: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """The service, if it is there, and the accounts that are, by their region's name."""

    service: FoundService | None
    accounts: Mapping[str, FoundAccount]


def look_up(settings: Settings) -> Found:
    """Find what `settings` says is there; nothing is asked of Azure if that is nothing.

    Raises SettingsError with every way in which what is there cannot be deployed into.
    """
    look = _LookUp(settings)
    wanted = settings.gateway.existing
    service = look.service(wanted) if wanted else None
    accounts = {
        region.name: look.account(region, region.existing)
        for region in settings.regions
        if region.existing
    }
    if look.report.problems:
        raise SettingsError(look.report.problems)
    return Found(
        service=service, accounts={name: found for name, found in accounts.items() if found}
    )


class _Azure(ResourceManager):
    """Resource Manager, in the subscription and with the token that azure-native deploys by."""

    def __init__(self) -> None:
        super().__init__(lambda: _told(authorization.get_client_token).token)

    @cached_property
    def subscription(self) -> str:
        return _told(authorization.get_client_config).subscription_id

    def one(self, path: str, api_version: str) -> dict[str, Any]:
        return self.get(f"/subscriptions/{self.subscription}{path}", api_version)

    def all(self, path: str, api_version: str) -> list[dict[str, Any]]:
        return list(self.pages(f"/subscriptions/{self.subscription}{path}", api_version))


class _LookUp:
    """Looks things up; what cannot be, or does not fit `settings`, is noted in `report`."""

    def __init__(self, settings: Settings) -> None:
        self.report = Report()
        self._settings = settings
        self._azure = _Azure()

    def service(self, wanted: ServiceReference) -> FoundService | None:
        group, name = wanted.resource_group, wanted.service_name
        path, found = "gateway.existing.serviceName", f"is {shown(name)}"
        scope = f"/resourceGroups/{group}/providers/Microsoft.ApiManagement/service/{name}"
        what = f"API Management service in {shown(group)}"
        there = self._ask(path, found, what, lambda: self._azure.one(scope, API_MANAGEMENT))
        if there is None:
            return None
        if self._settings.breaker and _of(there, "sku").get("name") == "Consumption":
            remedy = "set it to null, or choose a service of another tier"
            self.report.refuse(
                "breaker", f"is on, and {shown(name)} is a Consumption service", remedy
            )
        principal_id = _of(there, "identity").get("principalId")
        if not principal_id:
            self.report.refuse(
                path,
                f"{found}, which has no system-assigned identity",
                "the regions must know it; switch it on: "
                f"az apim update -g {group} -n {name} --enable-managed-identity true",
            )
        apis = self._ask(
            path, found, what, lambda: self._azure.all(f"{scope}/apis", API_MANAGEMENT)
        )
        if taken := _taken(apis or ()):
            self.report.refuse(path, f"{found}, {taken[0]}", taken[1])
        return FoundService(
            resource_group=group,
            name=there.get("name", name),
            gateway_url=_of(there, "properties").get("gatewayUrl", ""),
            principal_id=principal_id or "",
        )

    def account(self, region: Region, wanted: AccountReference) -> FoundAccount | None:
        group, name = wanted.resource_group, wanted.account_name
        key, found = f"{self._settings.path(region)}.existing.accountName", f"is {shown(name)}"
        scope = f"/resourceGroups/{group}/providers/Microsoft.CognitiveServices/accounts/{name}"
        what = f"account in {shown(group)}"
        there = self._ask(key, found, what, lambda: self._azure.one(scope, COGNITIVE_SERVICES))
        if there is None:
            return None
        if there.get("kind") not in KINDS:
            remedy = f"choose an account of kind {' or '.join(KINDS)}"
            self.report.refuse(key, f"{found}, which is of kind {there.get('kind')}", remedy)
            return None  # another kind has neither deployments nor such an endpoint
        properties = _of(there, "properties")
        if not properties.get("customSubDomainName"):
            self.report.refuse(
                key,
                f"{found}, which has no custom subdomain",
                "the gateway's tokens need one: "
                f"az cognitiveservices account update -g {group} -n {name} --custom-domain {name}",
            )
        location = regions.normalise(there.get("location", ""))
        if location != region.location:
            self.report.refuse(
                f"{self._settings.path(region)}.location",
                f"is {shown(region.location)}, and the account {shown(name)} is in {location}",
                f"write {location}, or choose another account",
            )
        self._check_models(key, found, what, f"{scope}/deployments")
        return FoundAccount(
            id=there.get("id", ""),
            endpoint=_of(properties, "endpoints").get(_OPENAI_ENDPOINT)
            or properties.get("endpoint", ""),
        )

    def _check_models(self, key: str, found: str, what: str, path: str) -> None:
        deployments = self._ask(key, found, what, lambda: self._azure.all(path, COGNITIVE_SERVICES))
        if deployments is None:
            return
        deployed = {
            str(each.get("name")).lower(): _of(_of(each, "properties"), "model").get("name")
            for each in deployments
        }
        for model in self._settings.models:
            has = deployed.get(model.name.lower())
            if has != model.model:
                self.report.refuse(
                    key,
                    f"{found}, whose deployment {shown(model.name)} "
                    + (f"is of {has}" if has else "is missing"),
                    f"deploy {model.model} under that name, or change models",
                )

    def _ask(self, key: str, found: str, what: str, read: Callable[[], T]) -> T | None:
        """Return what is read; None, with the reason in `report`, where nothing is."""
        try:
            return read()
        except ResourceManagerError as error:
            if error.code in _MISSING:
                remedy = "correct either, or leave `existing` out for a new one"
                self.report.refuse(key, f"{found}, and there is no such {what}", remedy)
            else:
                self.report.refuse(key, f"{found}, which cannot be looked up", error)
        return None


def _told(look: Callable[[], T]) -> T:
    """Return what azure-native says of itself. Raises ResourceManagerError."""
    try:
        return look()
    except Exception as error:  # noqa: BLE001 - what the SDK raises is of no narrower type
        raise ResourceManagerError(None, "", " ".join(str(error).split())[:300]) from None


def _of(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return what stands under a key, which Azure may give as null."""
    return document.get(key) or {}


def _taken(apis: Iterable[Mapping[str, Any]]) -> tuple[str, str] | None:
    """Say which API has the path, or the name, that this stack's has to have, and the remedy."""
    for api in apis:
        name, path = str(api.get("name")), str(_of(api, "properties").get("path") or "").strip("/")
        is_ours = name.partition(";")[0].lower() == API_NAME  # `;rev=2` is a revision
        has_path = path.lower() == OPENAI_PATH
        if has_path and not is_ours:
            return (
                f"whose API {shown(name)} has the path {shown(path)}",
                "give that API another path, or choose another service",
            )
        if is_ours and not has_path:
            return (
                f"which has an API {shown(name)} at {shown(path)} already",
                "rename that API, or choose another service",
            )
    return None
