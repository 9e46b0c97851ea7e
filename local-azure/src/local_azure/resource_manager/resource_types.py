"""The resource types of the local Azure: one entry a type, and what a PUT of it leaves behind."""

import secrets
import uuid
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from local_azure.resource_manager import bodies, monitor_bodies
from local_azure.resource_manager.known_models import VERSIONS
from local_azure.resource_manager.paths import (
    OPERATION_RESULT,
    PROVIDER,
    RESOURCE_GROUP,
    SUBSCRIPTION,
)
from local_azure.resource_manager.request import Azure, Built, Request, ResourceType
from local_azure.roles import ROLES, id_of
from local_azure.store import Resource

LOCATION = "Microsoft.Resources/locations"
ANY_RESOURCE = "Microsoft.Resources/resources"
ACCOUNT = "Microsoft.CognitiveServices/accounts"
DEPLOYMENT = "Microsoft.CognitiveServices/accounts/deployments"
DELETED_ACCOUNT = "Microsoft.CognitiveServices/locations/resourceGroups/deletedAccounts"
MODEL = "Microsoft.CognitiveServices/locations/models"
USAGE = "Microsoft.CognitiveServices/locations/usages"
ROLE_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
ROLE_DEFINITION = "Microsoft.Authorization/roleDefinitions"
IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"
VIRTUAL_NETWORK = "Microsoft.Network/virtualNetworks"
SUBNET = "Microsoft.Network/virtualNetworks/subnets"
PRIVATE_ENDPOINT = "Microsoft.Network/privateEndpoints"
DNS_ZONE_GROUP = "Microsoft.Network/privateEndpoints/privateDnsZoneGroups"
DNS_ZONE = "Microsoft.Network/privateDnsZones"
DNS_ZONE_LINK = "Microsoft.Network/privateDnsZones/virtualNetworkLinks"
SERVICE = "Microsoft.ApiManagement/service"
DELETED_SERVICE = "Microsoft.ApiManagement/locations/deletedservices"
BACKEND = "Microsoft.ApiManagement/service/backends"
API = "Microsoft.ApiManagement/service/apis"
OPERATION = "Microsoft.ApiManagement/service/apis/operations"
API_POLICY = "Microsoft.ApiManagement/service/apis/policies"
OPERATION_POLICY = "Microsoft.ApiManagement/service/apis/operations/policies"
SERVICE_POLICY = "Microsoft.ApiManagement/service/policies"
POLICIES = (API_POLICY, OPERATION_POLICY, SERVICE_POLICY)
POLICY_FRAGMENT = "Microsoft.ApiManagement/service/policyFragments"
NAMED_VALUE = "Microsoft.ApiManagement/service/namedValues"
APIM_SUBSCRIPTION = "Microsoft.ApiManagement/service/subscriptions"
LOGGER = "Microsoft.ApiManagement/service/loggers"
SERVICE_DIAGNOSTIC = "Microsoft.ApiManagement/service/diagnostics"
API_DIAGNOSTIC = "Microsoft.ApiManagement/service/apis/diagnostics"
DIAGNOSTICS = (SERVICE_DIAGNOSTIC, API_DIAGNOSTIC)
WORKSPACE = "Microsoft.OperationalInsights/workspaces"
DIAGNOSTIC_SETTING = "Microsoft.Insights/diagnosticSettings"
ACTION_GROUP = "Microsoft.Insights/actionGroups"
QUERY_RULE = "Microsoft.Insights/scheduledQueryRules"
WORKBOOK = "Microsoft.Insights/workbooks"
CHECK_SUBDOMAIN = "Microsoft.CognitiveServices/checkDomainAvailability"
CHECK_SERVICE_NAME = "Microsoft.ApiManagement/checkNameAvailability"

# What a list of all resources shows when asked by `$expand`, and the properties it is had from.
EXPANDED: Mapping[str, tuple[str, ...]] = {
    "provisioningState": ("provisioningState",),
    "createdTime": ("dateCreated", "createdAtUtc"),
    "changedTime": (),
}


def _resource_group(request: Request) -> Built:
    body = {**request.body, "location": request.location}
    return Built(body={**body, "properties": {"provisioningState": "Succeeded"}})


def _identity(request: Request) -> Mapping[str, Any]:
    """Return the `identity` to store: a principal stays the same for the life of its resource."""
    wanted = (request.body.get("identity") or {}).get("type", "None")
    if wanted == "None":
        return {}
    identity: dict[str, Any] = {"type": wanted, "tenantId": request.azure.tenant_id}
    if "SystemAssigned" in wanted:
        had = request.existing.body.get("identity", {}) if request.existing else {}
        identity["principalId"] = had.get("principalId") or str(uuid.uuid4())
    if "UserAssigned" in wanted:
        identity["userAssignedIdentities"] = {
            assigned: {name: found.body["properties"][name] for name in ("principalId", "clientId")}
            for assigned in request.body["identity"].get("userAssignedIdentities", {})
            if (found := request.find(assigned))
        }
    return {"identity": identity}


def _user_assigned_identity(request: Request) -> Built:
    properties = {
        "tenantId": request.azure.tenant_id,
        "principalId": _kept(request, "principalId", str(uuid.uuid4())),
        "clientId": _kept(request, "clientId", str(uuid.uuid4())),
    }
    return Built(body={**request.body, "location": request.location, "properties": properties})


def _kept(request: Request, name: str, otherwise: str) -> str:
    """Return a read-only property of the resource that is replaced, or else a new value."""
    properties = request.existing.body["properties"] if request.existing else {}
    return str(properties.get(name, otherwise))


def _account(request: Request) -> Built:
    given = {key: value for key, value in request.properties.items() if key != "restore"}
    subdomain = given.get("customSubDomainName")
    host = (
        f"{subdomain.lower()}.openai.azure.com"
        if subdomain
        else f"{request.location}.api.cognitive.microsoft.com"
    )
    properties = {
        "publicNetworkAccess": "Enabled",
        "disableLocalAuth": False,
        **given,
        "endpoint": f"https://{host}/",
        "dateCreated": _kept(request, "dateCreated", request.time),
        "provisioningState": "Succeeded",
    }
    body = {
        **request.body,
        "location": request.location,
        **_identity(request),
        "properties": properties,
    }
    keys = request.view.secrets(request.id) or new_keys("key1", "key2")
    return Built(body=body, secrets=keys)


def new_keys(*names: str) -> Mapping[str, str]:
    """Return a new key for each name."""
    return {name: secrets.token_hex(16) for name in names}


def _deployment(request: Request) -> Built:
    sku, model = {"capacity": 1, **request.body["sku"]}, request.properties["model"]
    properties = {
        "versionUpgradeOption": "OnceNewDefaultVersionAvailable",
        **request.properties,
        "model": {"version": VERSIONS.get(model["name"], ("1",))[0], **model},
        "currentCapacity": sku["capacity"],
        # A unit of capacity is 1,000 tokens a minute, and with them one request in ten seconds
        # (Azure OpenAI, "Manage quota").
        "rateLimits": [
            {"key": "request", "renewalPeriod": 10, "count": sku["capacity"]},
            {"key": "token", "renewalPeriod": 60, "count": sku["capacity"] * 1000},
        ],
        "provisioningState": "Succeeded",
    }
    return Built(body={**request.body, "sku": sku, "properties": properties})


def _role_assignment(request: Request) -> Built:
    # Azure answers with the role's id under the subscription, whatever form was sent.
    role = id_of(request.properties["roleDefinitionId"])
    properties = {
        **request.properties,
        "roleDefinitionId": role_definition_id(role, request.azure),
        "principalType": request.properties.get("principalType", "ServicePrincipal"),
        "scope": request.parent_id,
        "createdOn": _kept(request, "createdOn", request.time),
        "updatedOn": request.time,
    }
    return Built(body={"properties": properties})


def _service(request: Request) -> Built:
    given = {key: value for key, value in request.properties.items() if key != "restore"}
    properties = {
        "notificationSenderEmail": "apimgmt-noreply@mail.windowsazure.com",
        "publicNetworkAccess": "Enabled",
        "virtualNetworkType": "None",
        "developerPortalStatus": "Disabled",
        "disableGateway": False,
        **given,
        "gatewayUrl": _kept(request, "gatewayUrl", "") or request.azure.gateway_url(request.id),
        "createdAtUtc": _kept(request, "createdAtUtc", request.time),
        "provisioningState": "Succeeded",
        "targetProvisioningState": "",
    }
    if request.body["sku"]["name"] != "Consumption":
        # ? of the v2 tiers, which share theirs with other services.
        properties["publicIPAddresses"] = [_address(request.id)]
    return Built(
        body={
            **request.body,
            "location": request.location,
            **_identity(request),
            "properties": properties,
        }
    )


def _network_part(request: Request) -> Built:
    """Keep what was sent; what it is connected to is looked at when a call comes."""
    body = {key: value for key, value in request.body.items() if key != "properties"}
    if request.kind and request.kind.tracked:
        body["location"] = request.location
    ready: dict[str, Any] = {"provisioningState": "Succeeded"}
    properties = dict(request.properties)
    if request.path.type == PRIVATE_ENDPOINT:
        state = {"status": "Approved", "description": "Auto-Approved", "actionsRequired": "None"}
        connections = properties.get("privateLinkServiceConnections", [])
        for each in connections:
            own = each.setdefault("properties", {})
            own.update(ready, privateLinkServiceConnectionState=state)
        ready |= {"manualPrivateLinkServiceConnections": [], "customDnsConfigs": []}
    if request.path.type == DNS_ZONE_LINK:
        ready["virtualNetworkLinkState"] = "Completed"
    return Built(body={**body, "properties": {**ready, **properties}})


def _address(service_id: str) -> str:
    """Return the address that a service calls from: one of those kept for examples (RFC 5737)."""
    return f"203.0.113.{zlib.crc32(service_id.lower().encode()) % 254 + 1}"


def _backend(request: Request) -> Built:
    given = {"type": "Single", **request.properties}
    if given["type"] == "Pool":
        given |= {"url": None, "protocol": None}
    return Built(body={"properties": given})


def _api(request: Request) -> Built:
    given = request.properties
    names = {"header": "Ocp-Apim-Subscription-Key", "query": "subscription-key"}
    properties = {
        "apiRevision": "1",
        "isCurrent": True,
        "subscriptionRequired": True,
        "protocols": ["https"],
        "serviceUrl": None,
        "isOnline": True,
        **given,
        # A path has no slash at its ends, however it was written.
        "path": given["path"].strip("/"),
        "subscriptionKeyParameterNames": names | given.get("subscriptionKeyParameterNames", {}),
    }
    return Built(body={"properties": properties})


def _operation(request: Request) -> Built:
    properties = {"templateParameters": [], "responses": [], **request.properties}
    return Built(body={"properties": properties})


def _policy(request: Request) -> Built:
    return Built(body={"properties": {"format": "xml", **request.properties}})


def _fragment(request: Request) -> Built:
    properties = {"format": "xml", **request.properties, "provisioningState": "Succeeded"}
    return Built(body={"properties": properties})


def _named_value(request: Request) -> Built:
    given = {"secret": False, "tags": [], **request.properties}
    value = given.pop("value")
    if not given["secret"]:
        # A secret's value is had by the action listValue alone.
        given["value"] = value
    return Built(
        body={"properties": {**given, "provisioningState": "Succeeded"}}, secrets={"value": value}
    )


def _apim_subscription(request: Request) -> Built:
    keys = ("primaryKey", "secondaryKey")
    given = {key: value for key, value in request.properties.items() if key not in keys}
    scope = given["scope"]
    if scope.startswith(("/apis", "/products")):
        scope = f"{request.parent_id}{scope}"
    properties = {
        # API Management, "Subscription - Create Or Update": without a state, Submitted.
        "state": "submitted",
        "allowTracing": False,
        **given,
        "scope": scope,
        "createdDate": _kept(request, "createdDate", request.time),
    }
    known = {**new_keys(*keys), **request.view.secrets(request.id)}
    return Built(
        body={"properties": properties},
        secrets={key: request.properties.get(key, known[key]) for key in keys},
    )


def _workspace(request: Request) -> Built:
    given = request.properties
    properties = {
        # A workspace of a name that was deleted lately is the deleted one, restored.
        "customerId": str(uuid.uuid5(uuid.NAMESPACE_URL, request.id.lower())),
        "provisioningState": "Succeeded",
        "sku": {"name": "PerGB2018"},
        "retentionInDays": 30,
        "publicNetworkAccessForIngestion": "Enabled",
        "publicNetworkAccessForQuery": "Enabled",
        **given,
        "workspaceCapping": {"dailyQuotaGb": -1, **given.get("workspaceCapping", {})},
        "createdDate": _kept(request, "createdDate", request.time),
        "modifiedDate": request.time,
    }
    return Built(body={**request.body, "location": request.location, "properties": properties})


_BY_DEFAULT: Mapping[str, Mapping[str, Any]] = {
    QUERY_RULE: {"enabled": True, "autoMitigate": True, "createdWithApiVersion": "2025-01-01"},
    ACTION_GROUP: {"emailReceivers": [], "webhookReceivers": []},
    WORKBOOK: {"version": "Notebook/1.0"},
    LOGGER: {"isBuffered": True},
}


def _as_sent(request: Request) -> Built:
    """Keep what was sent, with Azure's defaults."""
    body = dict(request.body)
    if request.kind and request.kind.tracked:
        body["location"] = request.location
    properties = {**_BY_DEFAULT.get(request.path.type, {}), **request.properties}
    return Built(body={**body, "properties": properties})


# Those that the program, Microsoft's SDKs and the Azure CLI use; bodies are read as those of the
# one the program uses, and the others are the same in what is here, but for what is `newer`.
_COGNITIVE_SERVICES = ("2024-10-01", "2025-06-01", "2025-09-01", "2026-05-15-preview")
_API_MANAGEMENT = ("2022-08-01", "2024-05-01")
_NETWORK = ("2024-05-01",)
_PRIVATE_DNS = ("2024-06-01",)
_AUTHORIZATION = ("2022-04-01",)
_ROLE_DEFINITIONS = ("2022-04-01", "2022-05-01-preview")
_RESOURCES = (
    "2021-04-01",
    "2022-09-01",
    "2022-12-01",
    "2024-03-01",
    "2024-11-01",
    "2025-04-01",
)


def _apim_child(
    name: str, label: str, *, api_versions: tuple[str, ...] = _API_MANAGEMENT, **more: Any
) -> ResourceType:
    return ResourceType(name=name, label=label, api_versions=api_versions, entity_tags=True, **more)


def _part_of_path(name: str, api_versions: tuple[str, ...]) -> ResourceType:
    return ResourceType(name=name, api_versions=api_versions, routing=True)


def _for_reading(name: str, api_versions: tuple[str, ...], label: str = "") -> ResourceType:
    return ResourceType(name=name, api_versions=api_versions, label=label, read_only=True)


_TABLE = (
    _for_reading(SUBSCRIPTION, _RESOURCES),
    _for_reading(OPERATION_RESULT, _RESOURCES),
    _for_reading(LOCATION, _RESOURCES),
    _for_reading(PROVIDER, _RESOURCES),
    _for_reading(ANY_RESOURCE, _RESOURCES),
    ResourceType(
        name=RESOURCE_GROUP,
        api_versions=_RESOURCES,
        body=bodies.RESOURCE_GROUP,
        build=_resource_group,
        patched=True,
        tracked=True,
    ),
    ResourceType(
        name=ACCOUNT,
        api_versions=_COGNITIVE_SERVICES,
        body=bodies.ACCOUNT,
        build=_account,
        patched=True,
        recovered=True,
        tracked=True,
        newer=dict.fromkeys(_COGNITIVE_SERVICES[:2], frozenset({"storedCompletionsDisabled"})),
        creating="Accepted",
        updating="Accepted",
        record=DELETED_ACCOUNT,
    ),
    ResourceType(
        name=DEPLOYMENT,
        api_versions=_COGNITIVE_SERVICES,
        body=bodies.DEPLOYMENT,
        build=_deployment,
        patched=True,
        creating="Creating",
        updating="Accepted",
    ),
    _part_of_path("Microsoft.CognitiveServices/locations", _COGNITIVE_SERVICES),
    _part_of_path("Microsoft.CognitiveServices/locations/resourceGroups", _COGNITIVE_SERVICES),
    ResourceType(name=DELETED_ACCOUNT, api_versions=_COGNITIVE_SERVICES),
    _for_reading(MODEL, _COGNITIVE_SERVICES),
    _for_reading(USAGE, _COGNITIVE_SERVICES),
    _for_reading("Microsoft.CognitiveServices/locations/operationStatuses", _COGNITIVE_SERVICES),
    _for_reading("Microsoft.CognitiveServices/locations/operationResults", _COGNITIVE_SERVICES),
    ResourceType(
        name=ROLE_ASSIGNMENT,
        api_versions=_AUTHORIZATION,
        body=bodies.ROLE_ASSIGNMENT,
        build=_role_assignment,
    ),
    ResourceType(
        name=IDENTITY,
        api_versions=("2023-01-31", "2024-11-30"),
        body=bodies.USER_ASSIGNED_IDENTITY,
        build=_user_assigned_identity,
        tracked=True,
    ),
    *(
        ResourceType(
            name=name, api_versions=versions, body=body, build=_network_part, tracked=tracked
        )
        for name, versions, body, tracked in (
            (VIRTUAL_NETWORK, _NETWORK, bodies.VIRTUAL_NETWORK, True),
            (SUBNET, _NETWORK, bodies.SUBNET, False),
            (PRIVATE_ENDPOINT, _NETWORK, bodies.PRIVATE_ENDPOINT, True),
            (DNS_ZONE_GROUP, _NETWORK, bodies.DNS_ZONE_GROUP, False),
            (DNS_ZONE, _PRIVATE_DNS, bodies.DNS_ZONE, False),  # its location is `global`
            (DNS_ZONE_LINK, _PRIVATE_DNS, bodies.DNS_ZONE_LINK, False),
        )
    ),
    _for_reading(ROLE_DEFINITION, _ROLE_DEFINITIONS),
    ResourceType(
        name=SERVICE,
        api_versions=_API_MANAGEMENT,
        label="Api service",
        body=bodies.SERVICE,
        build=_service,
        patched=True,
        tracked=True,
        creating="Activating",
        updating="Updating",
        record=DELETED_SERVICE,
    ),
    _part_of_path("Microsoft.ApiManagement/locations", _API_MANAGEMENT),
    ResourceType(name=DELETED_SERVICE, api_versions=_API_MANAGEMENT),
    _for_reading("Microsoft.ApiManagement/locations/operationStatuses", _API_MANAGEMENT),
    _for_reading("Microsoft.ApiManagement/locations/operationResults", _API_MANAGEMENT),
    _apim_child(
        BACKEND,
        "Backend",
        body=bodies.BACKEND,
        build=_backend,
        patched=True,
        api_versions=(*_API_MANAGEMENT, "2025-03-01-preview"),
        newer={
            # API Management, "What's new": pools and circuit breakers came in 2023.
            "2022-08-01": frozenset({"azureRegion", "circuitBreaker", "pool", "type"}),
            # Azure's specification: BackendPool has it from 2025-03-01-preview on.
            "2024-05-01": frozenset({"azureRegion", "pool.sessionAffinity"}),
        },
    ),
    _apim_child(API, "Api", body=bodies.API, build=_api, patched=True),
    _apim_child(OPERATION, "Operation", body=bodies.OPERATION, build=_operation, patched=True),
    *(_apim_child(name, "Policy", body=bodies.POLICY, build=_policy) for name in POLICIES),
    _apim_child(POLICY_FRAGMENT, "Policy Fragment", body=bodies.POLICY_FRAGMENT, build=_fragment),
    _apim_child(NAMED_VALUE, "Property", body=bodies.NAMED_VALUE, build=_named_value, patched=True),
    _apim_child(
        APIM_SUBSCRIPTION,
        "Subscription",
        body=bodies.SUBSCRIPTION,
        build=_apim_subscription,
        patched=True,
    ),
    _apim_child(LOGGER, "Logger", body=monitor_bodies.LOGGER, build=_as_sent, patched=True),
    *(
        _apim_child(
            name, "Diagnostic", body=monitor_bodies.DIAGNOSTIC, build=_as_sent, patched=True
        )
        for name in DIAGNOSTICS
    ),
    ResourceType(
        name=WORKSPACE,
        api_versions=("2023-09-01", "2025-02-01"),
        body=monitor_bodies.WORKSPACE,
        build=_workspace,
        patched=True,
        tracked=True,
    ),
    *(
        ResourceType(name=name, api_versions=versions, body=body, build=_as_sent, tracked=tracked)
        for name, versions, body, tracked in (
            (
                DIAGNOSTIC_SETTING,
                ("2021-05-01-preview",),
                monitor_bodies.DIAGNOSTIC_SETTING,
                False,
            ),
            # Its location is `global`.
            (
                ACTION_GROUP,
                ("2023-01-01", "2024-10-01-preview"),
                monitor_bodies.ACTION_GROUP,
                False,
            ),
            (
                QUERY_RULE,
                ("2023-12-01", "2025-01-01-preview"),
                monitor_bodies.QUERY_RULE,
                True,
            ),
            (WORKBOOK, ("2023-06-01",), monitor_bodies.WORKBOOK, True),
        )
    ),
    _part_of_path(CHECK_SUBDOMAIN, _COGNITIVE_SERVICES),
    _part_of_path(CHECK_SERVICE_NAME, _API_MANAGEMENT),
)
_NAMESPACES = tuple(sorted({kind.namespace for kind in _TABLE}))
REGISTRATIONS = tuple(f"{each}/register" for each in _NAMESPACES)
# Soft-deleted resources are listed for all locations at once.
_ALIASES = {
    "Microsoft.CognitiveServices/deletedAccounts": DELETED_ACCOUNT,
    "Microsoft.ApiManagement/deletedservices": DELETED_SERVICE,
}
RESOURCE_TYPES: Mapping[str, ResourceType] = {
    kind.name.lower(): kind
    for kind in (*_TABLE, *(_part_of_path(each, _RESOURCES) for each in REGISTRATIONS))
} | {
    alias.lower(): kind for alias, name in _ALIASES.items() for kind in _TABLE if kind.name == name
}


def role_definition_id(role: str, azure: Azure) -> str:
    """Return the id of a built-in role under the subscription."""
    return f"/subscriptions/{azure.subscription_id}/providers/{ROLE_DEFINITION}/{role}"


def location(name: str, azure: Azure) -> Resource:
    """Return a location as a subscription lists it."""
    body = azure.locations.described(name, azure.subscription_id)
    return Resource(id=body["id"], type=LOCATION, body=body, etag="")


def _providers(azure: Azure) -> Iterator[Resource]:
    """Give the namespaces with their types: clients look there for the api-versions of one."""
    locations = [azure.locations.display_name(each) for each in azure.locations]
    for namespace in _NAMESPACES:
        provider_id = f"/subscriptions/{azure.subscription_id}/providers/{namespace}"
        body = {
            "id": provider_id,
            "namespace": namespace,
            "registrationPolicy": "RegistrationRequired",
            "registrationState": "Registered",
            "resourceTypes": [
                {
                    "resourceType": kind.name.partition("/")[2],
                    "locations": locations,
                    "apiVersions": sorted(kind.api_versions, reverse=True),
                }
                for kind in _TABLE
                if kind.namespace == namespace
            ],
        }
        yield Resource(id=provider_id, type=PROVIDER, body=body, etag="")


def given_resources(azure: Azure) -> list[Resource]:
    """Return what is there before anything is deployed: the subscription and the built-in roles."""
    subscription_id = f"/subscriptions/{azure.subscription_id}"
    subscription = {
        "id": subscription_id,
        "subscriptionId": azure.subscription_id,
        "tenantId": azure.tenant_id,
        "displayName": "Local Azure",
        "state": "Enabled",
    }
    resources = [
        Resource(id=subscription_id, type=SUBSCRIPTION, body=subscription, etag=""),
        *_providers(azure),
    ]
    for role, title in ROLES.items():
        properties = {
            "roleName": title,
            "type": "BuiltInRole",
            "assignableScopes": ["/"],
        }
        for scope in (subscription_id, ""):
            role_id = f"{scope}/providers/{ROLE_DEFINITION}/{role}"
            body = {"id": role_id, "name": role, "type": ROLE_DEFINITION, "properties": properties}
            resources.append(Resource(id=role_id, type=ROLE_DEFINITION, body=body, etag=""))
    return resources
