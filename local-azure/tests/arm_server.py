"""Resource Manager on a real socket, in a thread, and a client that knows its paths."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from local_azure.gateway.export import exported
from local_azure.gateway.markup import PolicyError
from local_azure.hardening import Site
from local_azure.identity import CLIENT_ID, RESOURCE_MANAGER, Tokens
from local_azure.locations import PUBLIC, Locations
from local_azure.resource_manager import create_app
from local_azure.store import Store

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg"
ACCOUNT = f"{GROUP}/providers/Microsoft.CognitiveServices/accounts/foundry1"
DEPLOYMENT = f"{ACCOUNT}/deployments/chat"
SERVICE = f"{GROUP}/providers/Microsoft.ApiManagement/service/apim1"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/gateway"
BACKEND = f"{SERVICE}/backends/foundry1"
POOL = f"{SERVICE}/backends/pool"
API = f"{SERVICE}/apis/inference"
OPERATION = f"{API}/operations/chat"
POLICY = f"{API}/policies/policy"
OPERATION_POLICY = f"{OPERATION}/policies/policy"
SERVICE_POLICY = f"{SERVICE}/policies/policy"
FRAGMENT = f"{SERVICE}/policyFragments/signed-in"
NAMED_VALUE = f"{SERVICE}/namedValues/tenant"
KEY = f"{SERVICE}/subscriptions/client"
ASSIGNMENT = (
    f"{ACCOUNT}/providers/Microsoft.Authorization/roleAssignments"
    "/7a0e0f3c-3f0e-4e60-9a53-0d3e1c6f7a11"
)
OPENAI_USER = (
    "/providers/Microsoft.Authorization/roleDefinitions/5e0bd9bd-7b93-4f28-af87-19fc36ad61bd"
)
DELETED_ACCOUNT = (
    f"{SUBSCRIPTION}/providers/Microsoft.CognitiveServices/locations/uksouth"
    "/resourceGroups/rg/deletedAccounts/foundry1"
)
DELETED_SERVICE = (
    f"{SUBSCRIPTION}/providers/Microsoft.ApiManagement/locations/uksouth/deletedservices/apim1"
)

INSIGHTS = f"{GROUP}/providers/Microsoft.Insights"
WORKSPACE = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/logs"
SETTING = f"{SERVICE}/providers/Microsoft.Insights/diagnosticSettings/gateway-logs"
LOGGER = f"{SERVICE}/loggers/azuremonitor"
DIAGNOSTIC = f"{API}/diagnostics/azuremonitor"
ALARM = f"{INSIGHTS}/actionGroups/alarm"
QUERY_RULE = f"{INSIGHTS}/scheduledQueryRules/silent"
WORKBOOK = f"{INSIGHTS}/workbooks/2f0b6f1e-52ad-4a55-8f5c-6a2c8a3d7f10"

TOKEN_SECRET = b"secret"
FOREVER = 1e10  # seconds: tests move the clock


def token(resource: str, client_id: str = CLIENT_ID) -> str:
    """A token that Resource Manager takes here, at any time."""
    return Tokens(TOKEN_SECRET).of_application(resource, FOREVER, client_id=client_id)


HEADERS = {"Authorization": f"Bearer {token(RESOURCE_MANAGER)}"}
_VERSIONS = {
    "Microsoft.Network": "2024-05-01",
    "Microsoft.CognitiveServices": "2025-06-01",
    "Microsoft.ApiManagement": "2024-05-01",
    "Microsoft.Authorization": "2022-04-01",
    "Microsoft.ManagedIdentity": "2023-01-31",
    "Microsoft.Network/privateDnsZones": "2024-06-01",
    "Microsoft.OperationalInsights": "2023-09-01",
    "Microsoft.Insights/diagnosticSettings": "2021-05-01-preview",
    "Microsoft.Insights/actionGroups": "2024-10-01-preview",
    "Microsoft.Insights/scheduledQueryRules": "2025-01-01-preview",
    "Microsoft.Insights/workbooks": "2023-06-01",
}


def version_of(path: str) -> str:
    """Return the api-version the program uses for what a path names."""
    _, provider, rest = path.rpartition("/providers/")
    kind = "/".join(rest.split("/")[:2])
    if kind in _VERSIONS:
        return _VERSIONS[kind]
    return _VERSIONS.get(rest.split("/")[0], "2024-03-01") if provider else "2024-03-01"


class Clock:
    """Wall time that a test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def compile_policy(xml, *, named_values, fragments, is_fragment=False) -> object:
    """Stand in for the gateway's compiler, which knows no statement `unknown`."""
    for name, value in named_values.items():
        xml = xml.replace("{{" + name + "}}", value)
    for name, fragment in fragments.items():
        xml = xml.replace(f'<include-fragment fragment-id="{name}" />', fragment)
    if "<unknown" in xml:
        line = xml.count("\n", 0, xml.index("<unknown")) + 1
        raise PolicyError("Policy 'unknown' is not known.", line)
    return exported(xml, given="rawxml")


class Arm:
    """A client of Resource Manager; the bodies are the least that Azure takes."""

    def __init__(self, client: httpx.Client, store: Store, clock: Clock) -> None:
        self.client = client
        self.store = store
        self.clock = clock
        self.changes: list[int] = []

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        params = {"api-version": version_of(path)} | more.pop("params", {})
        return self.client.request(method, path, params=params, **more)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def put(self, path: str, body: Any, **more: Any) -> httpx.Response:
        return self.request("PUT", path, json=body, **more)

    def delete(self, path: str, **more: Any) -> httpx.Response:
        return self.request("DELETE", path, **more)

    def reset(self) -> None:
        """Make everything as it was before anything was deployed."""
        with self.store.transaction() as transaction:
            for row in list(transaction.live.values()):
                if row.resource.etag:
                    transaction.delete(row.resource.id)
        self.clock.now = Clock().now
        self.changes.clear()

    def follow(self, url: str) -> httpx.Response:
        return self.client.get(url)

    def properties(self, path: str) -> Mapping[str, Any]:
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()["properties"]

    def deploy(self, *paths: str) -> None:
        """Deploy resources, each with its least body."""
        for path in paths:
            answer = self.put(path, LEAST[path])
            assert answer.status_code in (200, 201), answer.text


LEAST: Mapping[str, Mapping[str, Any]] = {
    GROUP: {"location": "uksouth"},
    ACCOUNT: {
        "location": "uksouth",
        "kind": "OpenAI",
        "sku": {"name": "S0"},
        "properties": {"customSubDomainName": "foundry1-abc", "disableLocalAuth": True},
    },
    DEPLOYMENT: {
        "sku": {"name": "GlobalStandard", "capacity": 10},
        "properties": {
            "model": {"format": "OpenAI", "name": "gpt-5-mini", "version": "2025-08-07"}
        },
    },
    IDENTITY: {"location": "uksouth"},
    SERVICE: {
        "location": "uksouth",
        "sku": {"name": "BasicV2", "capacity": 1},
        "identity": {"type": "SystemAssigned"},
        "properties": {"publisherEmail": "team@example.com", "publisherName": "Team"},
    },
    BACKEND: {
        "properties": {"url": "https://foundry1-abc.openai.azure.com/openai", "protocol": "http"}
    },
    POOL: {
        "properties": {
            "type": "Pool",
            "pool": {"services": [{"id": BACKEND, "priority": 1, "weight": 1}]},
        }
    },
    API: {"properties": {"displayName": "Inference", "path": "inference"}},
    OPERATION: {
        "properties": {
            "displayName": "Chat",
            "method": "POST",
            "urlTemplate": "/deployments/{deployment}/chat/completions",
            "templateParameters": [{"name": "deployment", "type": "string", "required": True}],
        }
    },
    **{
        path: {"properties": {"format": "rawxml", "value": "<policies />"}}
        for path in (POLICY, OPERATION_POLICY, SERVICE_POLICY)
    },
    FRAGMENT: {"properties": {"format": "rawxml", "value": "<fragment />"}},
    NAMED_VALUE: {"properties": {"displayName": "tenant-id", "value": "t", "secret": False}},
    KEY: {"properties": {"displayName": "Client", "scope": "/apis/inference", "state": "active"}},
    ASSIGNMENT: {
        "properties": {
            "roleDefinitionId": OPENAI_USER,
            "principalId": "11111111-2222-3333-4444-555555555555",
            "principalType": "ServicePrincipal",
        }
    },
    WORKSPACE: {"location": "uksouth", "properties": {"retentionInDays": 60}},
    SETTING: {
        "properties": {
            "workspaceId": WORKSPACE,
            "logAnalyticsDestinationType": "Dedicated",
            "logs": [{"category": "GatewayLogs", "enabled": True}],
        }
    },
    LOGGER: {"properties": {"loggerType": "azureMonitor"}},
    DIAGNOSTIC: {"properties": {"loggerId": LOGGER, "sampling": {"percentage": 100}}},
    ALARM: {
        "location": "global",
        "properties": {
            "groupShortName": "openai",
            "enabled": True,
            "webhookReceivers": [{"name": "hook", "serviceUri": "http://127.0.0.1:1/"}],
        },
    },
    QUERY_RULE: {
        "location": "uksouth",
        "properties": {
            "severity": 2,
            "scopes": [WORKSPACE],
            "evaluationFrequency": "PT1H",
            "windowSize": "PT1H",
            "skipQueryValidation": True,
            "criteria": {
                "allOf": [
                    {
                        "query": "ApiManagementGatewayLogs | take 1",
                        "timeAggregation": "Count",
                        "operator": "GreaterThan",
                        "threshold": 0,
                    }
                ]
            },
            "actions": {"actionGroups": [ALARM]},
        },
    },
    WORKBOOK: {
        "location": "uksouth",
        "kind": "shared",
        "properties": {"displayName": "Regions", "serializedData": "{}", "category": "workbook"},
    },
}


def gateway_url(service_id: str) -> str:
    return f"http://127.0.0.1:1/{service_id.rsplit('/', 1)[-1]}"


@contextmanager
def serving(
    folder: Path,
    *,
    provisioning_seconds: float = 0.0,
    gateway_url: Callable[[str], str] = gateway_url,
    locations: Locations = PUBLIC,
) -> Iterator[Arm]:
    """Run Resource Manager on a free port for the length of a `with`."""
    store = Store(folder / "azure.sqlite3")
    clock = Clock()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    urls: list[str] = []
    listening = threading.Event()
    changes: list[int] = []

    async def changed() -> None:
        changes.append(store.revision)

    async def serve() -> None:
        app = create_app(
            store,
            gateway_url=gateway_url,
            compile_policy=compile_policy,
            check_query=lambda _, query: "no such table" if query.startswith("Nothing") else "",
            tokens=Tokens(TOKEN_SECRET, clock=clock),
            provisioning_seconds=provisioning_seconds,
            clock=clock,
            on_change=changed,
            locations=locations,
        )
        site = await Site.open(app, socket.create_server(("127.0.0.1", 0)))
        urls.append(site.url)
        listening.set()
        await stop.wait()
        await site.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert listening.wait(10)
        with httpx.Client(
            base_url=urls[0], trust_env=False, verify=False, headers=HEADERS
        ) as client:
            arm = Arm(client, store, clock)
            arm.changes = changes
            yield arm
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
        store.close()
