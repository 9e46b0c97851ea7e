"""Resources in memory, and the deployments the tests of the data planes start from."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, TypeVar

from aiohttp import web

from local_azure.hardening import FRONT, Site
from local_azure.store import Resource

T = TypeVar("T")

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg-test"
SERVICE = f"{GROUP}/providers/Microsoft.ApiManagement/service/apim-test"
PRINCIPAL = "11111111-2222-3333-4444-555555555555"
OPENAI_USER = "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd"
KEY = "the-primary-key"
LOCATIONS = {"foundry1": "uksouth", "foundry2": "eastus", "foundry3": "norwayeast"}


class FakeResources:
    """`local_azure.store.Resources` without a store."""

    def __init__(self) -> None:
        self.revision = 0
        self._resources: dict[str, Resource] = {}
        self._secrets: dict[str, Mapping[str, str]] = {}

    def put(
        self, resource_id: str, body: Mapping[str, Any], secrets: Mapping[str, str] | None = None
    ):
        self.revision += 1
        segments = resource_id.rpartition("/providers/")[2].split("/")
        self._resources[resource_id.lower()] = Resource(
            id=resource_id,
            type="/".join([segments[0], *segments[1::2]]),
            body={"id": resource_id, "name": segments[-1], **body},
            etag=f'"{self.revision}"',
        )
        if secrets:
            self._secrets[resource_id.lower()] = secrets

    def change(self, resource_id: str, **properties: Any) -> None:
        resource = self._resources[resource_id.lower()]
        body = {**resource.body, "properties": {**resource.body["properties"], **properties}}
        self.revision += 1
        self._resources[resource_id.lower()] = replace(resource, body=body)

    def made(self, resource_id: str, **operation: Any) -> None:
        """Say which operation made a resource, and when it ended."""
        resource = self._resources[resource_id.lower()]
        self._resources[resource_id.lower()] = replace(resource, **operation)

    def remove(self, resource_id: str) -> None:
        self.revision += 1
        for key in [key for key in self._resources if key.startswith(resource_id.lower())]:
            del self._resources[key]

    def get(self, resource_id: str) -> Resource | None:
        return self._resources.get(resource_id.lower())

    def list(self, type: str, under: str = "") -> list[Resource]:  # noqa: A002
        return [
            resource
            for key, resource in self._resources.items()
            if resource.type.lower() == type.lower() and key.startswith(under.lower())
        ]

    def secrets(self, resource_id: str) -> Mapping[str, str]:
        return self._secrets.get(resource_id.lower(), {})


def account_id(name: str) -> str:
    return f"{GROUP}/providers/Microsoft.CognitiveServices/accounts/{name}-test"


MORE_KINDS = (
    ("image", "gpt-image-1", "2025-04-15"),
    ("dalle", "dall-e-3", "3.0"),
    ("whisper", "whisper", "001"),
    ("scribe", "gpt-4o-transcribe", "2025-03-20"),
    ("voice", "gpt-4o-mini-tts", "2025-03-20"),
    ("tts", "tts", "001"),
)


def deploy_account(
    resources: FakeResources,
    name: str,
    location: str,
    *,
    capacity: int = 100,
    local_auth=False,
    every_kind=False,
) -> None:
    account = account_id(name)
    resources.put(
        account,
        {
            "location": location,
            "properties": {
                "endpoint": f"https://{name}-test.openai.azure.com/",
                "disableLocalAuth": not local_auth,
            },
        },
        {"key1": "account-key-1", "key2": "account-key-2"},
    )
    for deployment, model, version in (
        ("chat", "gpt-5-mini", "2025-08-07"),
        ("classic", "gpt-4o", "2024-11-20"),
        ("embed", "text-embedding-3-small", "1"),
        *(MORE_KINDS if every_kind else ()),
    ):
        resources.put(
            f"{account}/deployments/{deployment}",
            {
                "sku": {"name": "GlobalStandard", "capacity": capacity},
                "properties": {"model": {"format": "OpenAI", "name": model, "version": version}},
            },
        )


def grant(resources: FakeResources, scope: str, *, role: str = OPENAI_USER) -> str:
    assignment = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{role}"
    definitions = "/providers/Microsoft.Authorization/roleDefinitions"
    resources.put(
        assignment,
        {
            "properties": {
                "principalId": PRINCIPAL,
                "roleDefinitionId": f"{definitions}/{role}",
                "scope": scope,
            }
        },
    )
    return assignment


def breaker_rule(count: int = 3, trip: str = "PT1M", *, accept_retry_after: bool = True) -> Any:
    return {
        "rules": [
            {
                "name": "rule",
                "failureCondition": {
                    "count": count,
                    "interval": "PT1M",
                    "statusCodeRanges": [{"min": 429, "max": 429}, {"min": 500, "max": 599}],
                },
                "tripDuration": trip,
                "acceptRetryAfter": accept_retry_after,
            }
        ]
    }


def deploy_service(
    resources: FakeResources,
    policy: str | None,
    *,
    members: Mapping[str, tuple[int, int]] | None = None,
    breaker: Any = None,
    tier: str = "BasicV2",
    endings: tuple[str, ...] = ("",),
    operations: Mapping[str, tuple[str, str, str]] | None = None,
) -> None:
    """Deploy the service, its API at /inference/openai, and a pool of (priority, weight).

    Each of `endings` is that of a model's backends and pool; further `operations` are (title,
    method, template).
    """
    members = members or dict.fromkeys(LOCATIONS, (1, 1))
    resources.put(
        SERVICE,
        {
            "location": "uksouth",
            "sku": {"name": tier},
            "identity": {"type": "SystemAssigned", "principalId": PRINCIPAL},
            "properties": {},
        },
    )
    for ending in endings:
        for name in members:
            resources.put(
                f"{SERVICE}/backends/{name}{ending}",
                {
                    "properties": {
                        "url": f"https://{name}-test.openai.azure.com/openai",
                        "protocol": "http",
                        "circuitBreaker": breaker,
                    }
                },
            )
        services = [
            {"id": f"{SERVICE}/backends/{name}{ending}", "priority": priority, "weight": weight}
            for name, (priority, weight) in members.items()
        ]
        resources.put(
            f"{SERVICE}/backends/inference-backend-pool{ending}",
            {"properties": {"type": "Pool", "pool": {"services": services}}},
        )
    api = f"{SERVICE}/apis/inference"
    resources.put(
        api,
        {
            "properties": {
                "displayName": "Inference",
                "path": "inference/openai",
                "subscriptionRequired": True,
                "subscriptionKeyParameterNames": {"header": "api-key", "query": "api-key"},
            }
        },
    )
    for name, method, template in (
        ("chat", "POST", "/deployments/{deployment-id}/chat/completions"),
        ("embeddings", "POST", "/deployments/{deployment-id}/embeddings"),
        ("models", "GET", "/models"),
        ("v1-chat", "POST", "/v1/chat/completions"),
        *((name, method, path) for name, (_, method, path) in (operations or {}).items()),
    ):
        resources.put(
            f"{api}/operations/{name}",
            {"properties": {"displayName": name, "method": method, "urlTemplate": template}},
        )
    if policy is not None:
        resources.put(
            f"{api}/policies/policy", {"properties": {"format": "rawxml", "value": policy}}
        )
    resources.put(
        f"{SERVICE}/subscriptions/clients",
        {"properties": {"scope": f"{SERVICE}/apis/inference", "state": "active"}},
        {"primaryKey": KEY, "secondaryKey": "the-secondary-key"},
    )


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def serve(stack: AsyncExitStack, app: web.Application) -> str:
    """Listen on a loopback port until the stack closes; gives the url."""
    if FRONT in app:
        site = await Site.open(app, socket.create_server(("127.0.0.1", 0)))
        stack.push_async_callback(site.close)
        return site.url
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


def run(test: Callable[[AsyncExitStack], Coroutine[Any, Any, T]]) -> T:
    """Run an async test; what it puts on the stack is closed with it, in the same loop."""

    async def body() -> T:
        async with asyncio.timeout(20), AsyncExitStack() as stack:
            return await test(stack)

    return asyncio.run(body())
