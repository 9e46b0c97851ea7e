"""What is there already and is deployed into: looked up and checked before anything is declared.

Reads alone. The lookups are azure-native's own functions, so they ask as the identity that deploys;
but no function of azure-native lists the APIs of a service, so that one request is made here.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from pulumi_azure_native import apimanagement, authorization, cognitiveservices

from components import regions
from components.endpoints import PUBLIC_AZURE, connection, is_loopback
from components.inference_api import API_NAME, OPENAI_PATH
from components.settings import (
    AccountReference,
    Gateway,
    Model,
    Region,
    Report,
    ServiceReference,
    Settings,
    SettingsError,
    shown,
)

KINDS: Final = ("OpenAI", "AIServices")  # whose accounts have Azure OpenAI's deployments

_APIS_VERSION: Final = "2024-05-01"  # azure-native 3's own for API Management
_LIMIT: Final = 60.0  # seconds for one page of APIs
# Azure's codes for a resource that is not there. Others, as SubscriptionNotFound, are told as sent.
_MISSING: Final = re.compile(r"\b(Resource|ResourceGroup|Deployment)NotFound\b")
# Under what an account of kind AIServices, whose own endpoint is another, names Azure OpenAI's.
_OPENAI_ENDPOINT: Final = "OpenAI Language Model Instance API"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Service:
    """An API Management service; `principal_id` is the object id of its own identity."""

    resource_group: str
    name: str
    gateway_url: str
    principal_id: str


@dataclass(frozen=True, kw_only=True)
class Account:
    """An Azure OpenAI account: its name, its ARM id and `https://<subdomain>.openai.azure.com/`."""

    name: str
    id: str
    endpoint: str


@dataclass(frozen=True, kw_only=True)
class Existing:
    """The service that is there, or the one to make; accounts that are, by their region's name."""

    gateway: Service | Gateway
    accounts: Mapping[str, Account]


class _UnreadableError(Exception):
    """Azure, or the way there, refused a lookup; the message is its reason, in one line."""


def look_up(settings: Settings) -> Existing:
    """Find what `settings` says is there; nothing is asked of Azure if that is nothing.

    Raises SettingsError with every way in which what is there cannot be deployed into.
    """
    report = Report()
    gateway: Service | Gateway | None
    if settings.gateway.existing:
        gateway = _service(
            settings.gateway.existing, report, has_breaker=settings.breaker is not None
        )
    else:
        gateway = settings.gateway
    accounts = {}
    for region in settings.regions:
        if region.existing:
            path = settings.path(region)
            found = _account(path, region, region.existing, settings.models, report)
            if found:
                accounts[region.name] = found
    if gateway is None or report.problems:
        raise SettingsError(tuple(report.problems))
    return Existing(gateway=gateway, accounts=accounts)


def _service(wanted: ServiceReference, report: Report, *, has_breaker: bool) -> Service | None:
    group, name = wanted.resource_group, wanted.service_name
    path, found = "gateway.existing.serviceName", f"is {shown(name)}"
    try:
        there = _found(
            lambda: apimanagement.get_api_management_service(
                resource_group_name=group, service_name=name
            )
        )
        taken = _taken(there.id) if there else None
    except _UnreadableError as reason:
        report.refuse(path, f"{found}, which cannot be looked up", reason)
        return None
    if there is None:
        missing = f"{found}, and there is no such API Management service in {shown(group)}"
        report.refuse(path, missing, "correct either, or leave `existing` out for a new service")
        return None
    if has_breaker and there.sku.name == "Consumption":
        remedy = "set it to null, or choose a service of another tier"
        report.refuse("breaker", f"is on, and {shown(name)} is a Consumption service", remedy)
    principal_id = there.identity.principal_id if there.identity else None
    if not principal_id:
        report.refuse(
            path,
            f"{found}, which has no system-assigned identity",
            "the regions must know it; switch it on: "
            f"az apim update -g {group} -n {name} --enable-managed-identity true",
        )
    if taken:
        report.refuse(path, f"{found}, {taken[0]}", taken[1])
    return Service(
        resource_group=group,
        name=there.name,
        gateway_url=there.gateway_url,
        principal_id=principal_id or "",
    )


def _taken(service_id: str) -> tuple[str, str] | None:
    """Say which API has the path, or the name, that this stack's has to have, and the remedy."""
    for api in _apis(service_id):
        name, path = str(api["name"]), str(api["properties"]["path"]).strip("/")
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


def _apis(service_id: str) -> Iterator[dict[str, Any]]:
    """Yield the APIs of a service, read at ARM_ENDPOINT, which is public Azure unless set."""
    import httpx  # noqa: PLC0415 - a stack that makes its own service does without

    endpoint = os.environ.get("ARM_ENDPOINT", PUBLIC_AZURE).rstrip("/")
    local = is_loopback(endpoint)
    if not local and not endpoint.startswith("https://"):
        raise _UnreadableError(
            f"ARM_ENDPOINT {endpoint} is no https URL; a token would be readable"
        )
    headers = {} if local else {"Authorization": f"Bearer {_token()}"}
    url = f"{endpoint}{service_id}/apis?api-version={_APIS_VERSION}"
    try:
        with httpx.Client(headers=headers, timeout=_LIMIT, **connection(endpoint)) as client:
            while url:
                answer = client.get(url)
                answer.raise_for_status()
                page = answer.json()
                yield from page["value"]
                url = page.get("nextLink") or ""
                if url and _origin(url) != _origin(endpoint):
                    raise _UnreadableError(f"the list of its APIs goes on at another host: {url}")
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise _UnreadableError(_one_line(error)) from None


def _token() -> str:
    try:
        return authorization.get_client_token().token
    except Exception as error:  # noqa: BLE001 - what the SDK raises is of no narrower type
        raise _UnreadableError(_one_line(error)) from None


def _account(
    path: str,
    region: Region,
    wanted: AccountReference,
    models: tuple[Model, ...],
    report: Report,
) -> Account | None:
    group, name = wanted.resource_group, wanted.account_name
    key, found = f"{path}.existing.accountName", f"is {shown(name)}"
    try:
        there = _found(
            lambda: cognitiveservices.get_account(resource_group_name=group, account_name=name)
        )
        if there is None:
            missing = f"{found}, and there is no such account in {shown(group)}"
            report.refuse(key, missing, "correct either, or leave `existing` out for a new account")
            return None
        if there.kind not in KINDS:
            remedy = f"choose an account of kind {' or '.join(KINDS)}"
            report.refuse(key, f"{found}, which is of kind {there.kind}", remedy)
            return None  # another kind has neither deployments nor such an endpoint
        deployed = {model.name: _model_of(wanted, model.name) for model in models}
    except _UnreadableError as reason:
        report.refuse(key, f"{found}, which cannot be looked up", reason)
        return None
    properties = there.properties
    if not properties.custom_sub_domain_name:
        report.refuse(
            key,
            f"{found}, which has no custom subdomain",
            "the gateway's tokens need one: "
            f"az cognitiveservices account update -g {group} -n {name} --custom-domain {name}",
        )
    location = regions.normalise(there.location or "")
    if location != region.location:
        report.refuse(
            f"{path}.location",
            f"is {shown(region.location)}, and the account {shown(name)} is in {location}",
            f"write {location}, or choose another account",
        )
    for model in models:
        if deployed[model.name] != model.model:
            has = f"is of {deployed[model.name]}" if deployed[model.name] else "is missing"
            report.refuse(
                key,
                f"{found}, whose deployment {shown(model.name)} {has}",
                f"deploy {model.model} under that name, or change models",
            )
    return Account(
        name=there.name,
        id=there.id,
        endpoint=(properties.endpoints or {}).get(_OPENAI_ENDPOINT) or properties.endpoint,
    )


def _model_of(account: AccountReference, deployment: str) -> str | None:
    """Return the model of an account's deployment; None where there is no such deployment."""
    there = _found(
        lambda: cognitiveservices.get_deployment(
            resource_group_name=account.resource_group,
            account_name=account.account_name,
            deployment_name=deployment,
        )
    )
    model = there.properties.model if there else None
    return model.name if model else None


def _found(look: Callable[[], T]) -> T | None:
    """Return what a function of azure-native finds; None where Azure has no such resource."""
    try:
        return look()
    except Exception as error:  # noqa: BLE001 - what the SDK raises is of no narrower type
        if _MISSING.search(str(error)):
            return None
        raise _UnreadableError(_one_line(error)) from None


def _origin(url: str) -> tuple[str, str | None]:
    """Return what must stay for a token to stay safe; Azure's links may name the port, too."""
    return urlsplit(url).scheme, urlsplit(url).hostname


def _one_line(error: Exception) -> str:
    # Pulumi's SDK appends the property that a provider blames; these lookups have none.
    line = " ".join(str(error).removesuffix(" ()").split()) or type(error).__name__
    return line if len(line) <= 300 else f"{line[:297]}..."
