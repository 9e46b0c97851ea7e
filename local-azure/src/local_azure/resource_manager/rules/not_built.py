"""What Azure has and the local Azure has not: refused by name, never taken silently."""

from dataclasses import dataclass
from typing import Any

from local_azure.resource_manager import resource_types as types
from local_azure.resource_manager.request import Request
from local_azure.resource_manager.rules.rule import Rule, Violations
from local_azure.resource_manager.rules.services import tier_family


@dataclass(frozen=True, kw_only=True)
class NotBuilt:
    """A property that would change what Azure does, and that the local Azure does not act upon.

    Any value is refused but those in `taken`, on services of one of the `tiers` if there are any.
    """

    of: str
    path: str
    taken: tuple[object, ...] = ()
    tiers: tuple[str, ...] = ()


NOT_BUILT = (
    NotBuilt(of=types.ACCOUNT, path="identity.type", taken=("None", "SystemAssigned")),
    NotBuilt(of=types.ACCOUNT, path="properties.allowProjectManagement", taken=(False,)),
    NotBuilt(of=types.ACCOUNT, path="properties.dynamicThrottlingEnabled", taken=(False,)),
    NotBuilt(of=types.ACCOUNT, path="properties.locations"),
    NotBuilt(of=types.ACCOUNT, path="properties.networkAcls.virtualNetworkRules", taken=([],)),
    NotBuilt(of=types.ACCOUNT, path="properties.networkInjections", taken=([],)),
    NotBuilt(of=types.DEPLOYMENT, path="properties.capacitySettings"),
    NotBuilt(of=types.DEPLOYMENT, path="properties.parentDeploymentName"),
    NotBuilt(of=types.DEPLOYMENT, path="properties.scaleSettings"),
    NotBuilt(of=types.DEPLOYMENT, path="properties.spilloverDeploymentName"),
    NotBuilt(of=types.ROLE_ASSIGNMENT, path="properties.condition"),
    NotBuilt(of=types.ROLE_ASSIGNMENT, path="properties.delegatedManagedIdentityResourceId"),
    NotBuilt(of=types.SERVICE, path="properties.additionalLocations", taken=([],)),
    NotBuilt(of=types.SERVICE, path="properties.certificates", taken=([],)),
    NotBuilt(of=types.SERVICE, path="properties.disableGateway", taken=(False,)),
    # Classic tiers ask for certificates by host name (`hostnameConfigurations`), whatever it says.
    NotBuilt(
        of=types.SERVICE,
        path="properties.enableClientCertificate",
        taken=(False,),
        tiers=("Consumption", "v2"),
    ),
    NotBuilt(of=types.SERVICE, path="properties.hostnameConfigurations", taken=([],)),
    NotBuilt(of=types.SERVICE, path="properties.publicNetworkAccess", taken=("Enabled",)),
    NotBuilt(of=types.SERVICE, path="properties.virtualNetworkType", taken=("None", "External")),
    NotBuilt(of=types.BACKEND, path="properties.credentials.certificate", taken=([],)),
    NotBuilt(of=types.BACKEND, path="properties.credentials.certificateIds", taken=([],)),
    NotBuilt(of=types.BACKEND, path="properties.properties", taken=({},)),
    NotBuilt(of=types.BACKEND, path="properties.proxy"),
    NotBuilt(of=types.BACKEND, path="properties.resourceId"),
    NotBuilt(of=types.API, path="properties.apiRevision", taken=("1",)),
    NotBuilt(of=types.API, path="properties.apiType", taken=("http",)),
    NotBuilt(of=types.API, path="properties.apiVersion", taken=("",)),
    NotBuilt(of=types.API, path="properties.apiVersionSet"),
    NotBuilt(of=types.API, path="properties.apiVersionSetId"),
    NotBuilt(of=types.API, path="properties.authenticationSettings"),
    NotBuilt(of=types.API, path="properties.format"),
    NotBuilt(of=types.API, path="properties.isCurrent", taken=(True,)),
    NotBuilt(of=types.API, path="properties.sourceApiId"),
    NotBuilt(of=types.API, path="properties.type", taken=("http",)),
    NotBuilt(of=types.API, path="properties.value"),
    NotBuilt(of=types.API, path="properties.wsdlSelector"),
    NotBuilt(of=types.OPERATION, path="properties.policies"),
    *(
        NotBuilt(of=kind, path="properties.format", taken=("xml", "rawxml"))
        for kind in types.POLICIES
    ),
    NotBuilt(of=types.NAMED_VALUE, path="properties.keyVault"),
)


def _not_built(request: Request) -> Violations:
    for entry in NOT_BUILT:
        if entry.of != request.path.type:
            continue
        if entry.tiers and tier_family(request.body["sku"]["name"]) not in entry.tiers:
            continue
        value: Any = request.body
        for name in entry.path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None and value not in entry.taken:
            yield {"path": entry.path}


def _revision_in_name(request: Request) -> Violations:
    if ";rev=" in request.path.name:
        yield {"path": "name"}


def _service_fabric(request: Request) -> Violations:
    if str(request.properties.get("url", "")).lower().startswith("fabric:"):
        yield {"path": "properties.url"}


def _named_value_in_credentials(request: Request) -> Violations:
    credentials = request.properties.get("credentials") or {}
    if "{{" in str(credentials):
        yield {"path": "properties.credentials"}


def _percentage(request: Request) -> Violations:
    breaker = request.properties.get("circuitBreaker") or {}
    for rule in breaker.get("rules", []):
        condition = rule["failureCondition"]
        if "percentage" in condition and "count" not in condition:
            yield {"path": "properties.circuitBreaker.rules.failureCondition.percentage"}


NOT_BUILT_RULES = tuple(
    Rule(
        check=check,
        code="NotSupportedByLocalAzure",
        message="The local Azure does not support this value of '{path}' of a '{type}'.",
        source="local Azure",
    )
    for check in (
        _not_built,
        _revision_in_name,
        _service_fabric,
        _named_value_in_credentials,
        _percentage,
    )
)
