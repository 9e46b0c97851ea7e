"""The `openai` SDK as applications use it: through the gateway by key, at a region by token."""

import asyncio
import importlib
import uuid
from contextlib import contextmanager

import httpx
import pytest

from local_azure.identity import PRINCIPAL_ID, authorization

SCOPE = "https://cognitiveservices.azure.com/.default"
OPENAI_USER = "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd"
QUESTION = [{"role": "user", "content": "Where are you?"}]


@pytest.fixture(params=["plain http", "by name"])
def inference_url(request, azure, hosts) -> str:
    """Where the API is: as the stack's outputs have it, and by its name in Azure."""
    if request.param == "plain http":
        return azure.outputs["inference_url"]
    return azure.named(f"https://{azure.service}.azure-api.net") + "/inference"


@pytest.fixture
def region_url(azure, hosts) -> str:
    return azure.named(f"https://{azure.account('foundry1')}.openai.azure.com")


@pytest.fixture
def role(azure):
    """The service principal may use the first region."""
    account = (
        f"/subscriptions/{azure.variables['ARM_SUBSCRIPTION_ID']}/resourceGroups/{azure.group}"
        f"/providers/Microsoft.CognitiveServices/accounts/{azure.account('foundry1')}"
    )
    assignment = (
        f"{azure.endpoint}{account}/providers/Microsoft.Authorization/roleAssignments"
        f"/{uuid.uuid4()}?api-version=2022-04-01"
    )
    properties = {
        "principalId": PRINCIPAL_ID,
        "principalType": "ServicePrincipal",
        "roleDefinitionId": "/providers/Microsoft.Authorization/roleDefinitions/" + OPENAI_USER,
    }
    with httpx.Client(headers=authorization(azure.shell.state)) as portal:
        answer = portal.put(assignment, json={"properties": properties})
        assert answer.status_code == 201, answer.text
        yield
        assert portal.delete(assignment).status_code == 200


@pytest.fixture
def provider(credential, identity):
    """Gives a token to a region, as applications with no key ask for it."""
    return identity.get_bearer_token_provider(credential, SCOPE)


def ask(client, model="chat"):
    return client.chat.completions.create(model=model, messages=QUESTION)


def whole(client):
    completion = ask(client)
    assert completion.choices[0].message.content
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.total_tokens > 0


def streamed(client):
    with client.chat.completions.create(
        model="chat",
        messages=QUESTION,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert len(text.split()) > 1
    assert sum(bool(c.choices and c.choices[0].delta.content) for c in chunks) > 1
    assert chunks[-1].usage.total_tokens > 0


async def awaited(client):
    completion = await ask(client)
    assert completion.choices[0].message.content
    stream = await client.chat.completions.create(model="chat", messages=QUESTION, stream=True)
    async with stream:
        chunks = [chunk async for chunk in stream]
    assert sum(bool(c.choices and c.choices[0].delta.content) for c in chunks) > 1


def azure_form(kind, azure, url, **more):
    key = {} if more else {"api_key": azure.outputs["subscription_key"]}
    version = azure.outputs["api_version"]
    return kind(azure_endpoint=url, api_version=version, max_retries=0, **key, **more)


def v1_form(kind, url, api_key, **headers):
    return kind(
        base_url=f"{url}/openai/v1", api_key=api_key, default_headers=headers, max_retries=0
    )


def test_azure_openai_by_key_to_the_gateway(azure, inference_url, openai):
    with azure_form(openai.AzureOpenAI, azure, inference_url) as client:
        whole(client)
        streamed(client)
        assert [model.id for model in client.models.list()]


def test_the_v1_form_by_key_to_the_gateway(azure, inference_url, openai):
    key = azure.outputs["subscription_key"]
    with v1_form(openai.OpenAI, inference_url, "unused", **{"api-key": key}) as client:
        whole(client)
        streamed(client)
        assert [model.id for model in client.models.list()]


def test_both_forms_awaited(azure, inference_url, openai):
    key = azure.outputs["subscription_key"]

    async def run():
        async with azure_form(openai.AsyncAzureOpenAI, azure, inference_url) as client:
            await awaited(client)
        v1 = v1_form(openai.AsyncOpenAI, inference_url, "unused", **{"api-key": key})
        async with v1 as client:
            await awaited(client)

    asyncio.run(run())


def test_many_at_once_are_spread_over_the_regions(azure, inference_url, openai):
    async def run():
        async with azure_form(openai.AsyncAzureOpenAI, azure, inference_url) as client:
            create = client.chat.completions.with_raw_response.create
            asked = [create(model="chat", messages=QUESTION) for _ in range(12)]
            return [answer.headers["x-backend-host"] for answer in await asyncio.gather(*asked)]

    hosts = asyncio.run(run())
    assert sorted(hosts.count(host) for host in set(hosts)) == [4, 4, 4]


def test_errors_are_the_sdk_s_own(azure, inference_url, openai):
    key = azure.outputs["subscription_key"]
    with v1_form(openai.OpenAI, inference_url, "wrong", **{"api-key": "wrong"}) as client:
        with pytest.raises(openai.AuthenticationError, match="invalid subscription key") as caught:
            ask(client)
        assert key not in str(caught.value)
    with azure_form(openai.AzureOpenAI, azure, inference_url) as client:
        with pytest.raises(openai.NotFoundError) as caught:
            ask(client, model="no-such-deployment")
        assert caught.value.code == "DeploymentNotFound"
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="chat", messages=[])


@contextmanager
def throttled(azure, *regions):
    for region in regions:
        azure.shell.local_azure("fault", region, "--status", "429", "--retry-after", "1")
    yield
    azure.shell.local_azure("fault", "--clear")


def test_a_throttled_region_is_told_to_who_asks_it(azure, region_url, provider, role, openai):
    form = azure_form(openai.AzureOpenAI, azure, region_url, azure_ad_token_provider=provider)
    with form as client, throttled(azure, "foundry1"):
        with pytest.raises(openai.RateLimitError) as caught:
            ask(client)
        assert caught.value.response.headers["Retry-After"] == "1"


def test_an_entra_token_opens_a_region_once_it_has_the_role(
    azure, region_url, provider, request, openai
):
    form = azure_form(openai.AzureOpenAI, azure, region_url, azure_ad_token_provider=provider)
    with form as client, v1_form(openai.OpenAI, region_url, provider) as v1:
        for each in (client, v1):
            with pytest.raises(openai.AuthenticationError) as caught:
                ask(each)
            assert caught.value.code == "PermissionDenied"
        request.getfixturevalue("role")
        for each in (client, v1):
            whole(each)
            streamed(each)


def test_an_entra_token_awaited(azure, region_url, role, openai):
    async def run():
        names = ("ARM_TENANT_ID", "ARM_CLIENT_ID", "ARM_CLIENT_SECRET")
        principal = [azure.variables[name] for name in names]
        # aiohttp reads the environment's roots when it is imported: before this test's was set.
        roots = azure.variables["SSL_CERT_FILE"]
        aio = importlib.import_module("azure.identity.aio")
        async with aio.ClientSecretCredential(
            *principal, disable_instance_discovery=True, connection_verify=roots
        ) as credential:
            provider = aio.get_bearer_token_provider(credential, SCOPE)
            more = {"azure_ad_token_provider": provider}
            async with azure_form(openai.AsyncAzureOpenAI, azure, region_url, **more) as client:
                await awaited(client)
            async with v1_form(openai.AsyncOpenAI, region_url, provider) as client:
                await awaited(client)

    asyncio.run(run())


def test_a_key_does_not_open_a_region_that_takes_none(azure, region_url, openai):
    with azure_form(openai.AzureOpenAI, azure, region_url) as client:
        with pytest.raises(openai.PermissionDeniedError) as caught:
            ask(client)
        assert caught.value.code == "AuthenticationTypeDisabled"
