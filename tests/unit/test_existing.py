"""A gateway and accounts that are there: what is declared around them, and what they must be."""

import copy
from typing import Any

import httpx
import pulumi
import pytest
import recording
from bad_configs import CHAT
from recording import PRINCIPAL, unwrap

from components import existing

GROUP = "/resourceGroups/rg-ai/providers"
SERVICE = f"{GROUP}/Microsoft.ApiManagement/service/apim-team"
ACCOUNTS = f"{GROUP}/Microsoft.CognitiveServices/accounts"
NAMES = {"foundry1": "uksouth", "foundry2": "eastus", "foundry3": "norwayeast"}
CONFIG: dict[str, Any] = {
    "gateway": {"existing": {"resourceGroup": "rg-ai", "serviceName": "apim-team"}},
    "models": [CHAT],
    "regions": [
        {
            "name": name,
            "location": location,
            "existing": {"resourceGroup": "rg-ai", "accountName": f"{name}-ai"},
        }
        for name, location in NAMES.items()
    ],
}
THERE: dict[str, Any] = {
    SERVICE: {
        "name": "apim-team",
        "sku": {"name": "StandardV2", "capacity": 1},
        "gatewayUrl": "https://api.example.com",
        "identity": {"type": "SystemAssigned", "principalId": PRINCIPAL},
    },
    **{
        f"{ACCOUNTS}/{name}-ai": {
            "name": f"{name}-ai",
            "kind": "OpenAI",
            "location": location,
            "properties": {
                "customSubDomainName": f"{name}-ai",
                "endpoint": f"https://{name}-ai.openai.azure.com/",
            },
        }
        for name, location in NAMES.items()
    },
    **{
        f"{ACCOUNTS}/{name}-ai/deployments/chat": {
            "name": "chat",
            "properties": {"model": {"format": "OpenAI", "name": CHAT["model"]}},
        }
        for name in NAMES
    },
}
FIRST = f"{ACCOUNTS}/foundry1-ai"
IS_SERVICE = 'gateway.existing.serviceName is "apim-team"'
IS_FIRST = 'regions[0].existing.accountName is "foundry1-ai"'


class Apis:
    """Resource Manager's list of the service's APIs, in pages of two."""

    def __init__(self) -> None:
        self.apis = {"billing": "billing", "echo": "", "users": "users"}
        self.host = "127.0.0.1:8700"
        self.status = 200
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        skip = int(request.url.params.get("$skip", 0))
        page = list(self.apis.items())[skip : skip + 2]
        value = [{"name": name, "properties": {"path": path}} for name, path in page]
        body: dict[str, Any] = {"value": value}
        if skip + 2 < len(self.apis):
            body["nextLink"] = f"http://{self.host}{request.url.path}?$skip={skip + 2}"
        return httpx.Response(self.status, json=body, request=request)


@pytest.fixture
def apis(monkeypatch) -> Apis:
    served = Apis()
    client = httpx.Client

    def connected(**options: Any) -> httpx.Client:
        return client(**options, transport=httpx.MockTransport(served))

    monkeypatch.setattr(httpx, "Client", connected)
    monkeypatch.setenv("ARM_ENDPOINT", "http://127.0.0.1:8700")
    return served


def declare(changes: dict[str, Any] | None = None, **config: Any) -> recording.Program:
    there = copy.deepcopy({**THERE, **(changes or {})})
    return recording.declare({**CONFIG, **config}, there=there)


def refused(changes: dict[str, Any] | None = None, **config: Any) -> list[str]:
    with pytest.raises(pulumi.RunError) as caught:
        declare(changes, **config)
    lines = str(caught.value).split("\n")
    assert all(line.startswith("openai-gateway:") for line in lines)
    return [line.removeprefix("openai-gateway:") for line in lines]


def altered(path: str, **values: Any) -> dict[str, Any]:
    return {path: {**THERE[path], **values}}


# What is declared


def test_only_what_goes_into_the_service_and_the_roles_is_declared(apis):
    program = declare()
    assert sorted({each.type for each in program.resources if each.custom}) == [
        "azure-native:apimanagement:Api",
        "azure-native:apimanagement:ApiOperation",
        "azure-native:apimanagement:ApiPolicy",
        "azure-native:apimanagement:Backend",
        "azure-native:apimanagement:Subscription",
        "azure-native:authorization:RoleAssignment",
        "random:index/randomUuid:RandomUuid",
    ]
    for each in program.resources:
        if "serviceName" in each.inputs:
            assert each.inputs["serviceName"] == "apim-team"
            assert each.inputs["resourceGroupName"] == "rg-ai"
    for name in NAMES:
        role = program.one("RoleAssignment", f"{name}-openai-user")
        assert role.inputs["scope"] == f"{ACCOUNTS}/{name}-ai"
        assert role.inputs["principalId"] == PRINCIPAL
        assert role.parent.endswith(f"openai-gateway:index:RegionalOpenAI::{name}")
        backend = program.one("Backend", name)
        assert backend.inputs["url"] == f"https://{name}-ai.openai.azure.com/openai"
        assert backend.parent.endswith("BackendPool::inference-backend-pool")
    members = program.one("Backend", "inference-backend-pool").inputs["pool"]["services"]
    assert [(each["priority"], each["weight"]) for each in members] == [(1, 1)] * 3


def test_the_outputs_are_the_same_contract(apis):
    outputs = unwrap(declare().outputs)
    assert outputs["resource_group"] == "rg-ai"
    assert outputs["gateway_url"] == "https://api.example.com"
    assert outputs["inference_url"] == "https://api.example.com/inference"
    assert [each["url"] for each in outputs["backends"]] == [
        f"https://{name}-ai.openai.azure.com/openai" for name in NAMES
    ]


def test_a_pool_may_be_of_both_kinds_of_accounts(apis):
    own = {"name": "foundry3", "location": "norwayeast"}
    program = declare(regions=[*CONFIG["regions"][:2], own])
    (account,) = program.all("Account")
    assert account.inputs["accountName"] == "foundry3-abcd1234"
    (group,) = program.all("ResourceGroup")
    assert group.inputs["location"] == "uksouth"
    assert account.inputs["resourceGroupName"] == group.inputs["resourceGroupName"]
    assert [each.name for each in program.all("Deployment")] == ["foundry3-chat"]
    assert len(program.all("RoleAssignment")) == 3
    assert program.one("RoleAssignment", "foundry3-openai-user").inputs["scope"] == account.id
    assert program.one("Backend", "foundry3").inputs["serviceName"] == "apim-team"


def test_a_service_of_its_own_may_have_accounts_that_are_there(apis):
    program = declare(gateway={})
    assert len(program.all("ApiManagementService")) == len(program.all("ResourceGroup")) == 1
    assert program.all("Account") == program.all("Deployment") == []
    assert apis.asked == []


def test_an_account_of_kind_ai_services_answers_at_its_openai_endpoint(apis):
    properties = {
        "customSubDomainName": "foundry1-ai",
        "endpoint": "https://foundry1-ai.cognitiveservices.azure.com/",
        "endpoints": {
            "OpenAI Language Model Instance API": "https://foundry1-ai.openai.azure.com/"
        },
    }
    program = declare(altered(FIRST, kind="AIServices", properties=properties))
    url = program.one("Backend", "foundry1").inputs["url"]
    assert url == "https://foundry1-ai.openai.azure.com/openai"


def test_the_stack_s_own_api_is_not_in_its_way(apis):
    apis.apis |= {"inference": "inference/openai", "inference;rev=2": "inference/openai"}
    declare()
    assert len(apis.asked) == 3  # every page was read
    assert str(apis.asked[0].url) == (f"http://127.0.0.1:8700{SERVICE}/apis?api-version=2024-05-01")
    assert "authorization" not in apis.asked[0].headers  # on loopback nobody asks for a token


# What is refused, all of it at once, before anything is declared


def test_every_problem_is_reported_at_once_and_nothing_is_declared(apis, monkeypatch):
    declared = []
    monkeypatch.setattr(
        recording.Recorder,
        "RegisterResource",
        lambda self, request, register=recording.Recorder.RegisterResource: (
            declared.append(request.type) or register(self, request)
        ),
    )
    changes = altered(SERVICE, sku={"name": "Consumption"}, identity=None)
    changes |= altered(FIRST, kind="SpeechServices")
    apis.apis["chat"] = "/Inference/OpenAI/"
    assert refused(changes) == [
        (
            'breaker is on, and "apim-team" is a Consumption service: set it to null, or choose a '
            "service of another tier"
        ),
        (
            f"{IS_SERVICE}, which has no system-assigned identity: the regions must know it; "
            "switch it on: az apim update -g rg-ai -n apim-team --enable-managed-identity true"
        ),
        (
            f'{IS_SERVICE}, whose API "chat" has the path "Inference/OpenAI": give that API '
            "another path, or choose another service"
        ),
        (
            f"{IS_FIRST}, which is of kind SpeechServices: choose an account of kind OpenAI or "
            "AIServices"
        ),
    ]
    assert declared == ["pulumi:pulumi:Stack"]


def test_a_consumption_service_without_a_breaker_is_good(apis):
    declare(altered(SERVICE, sku={"name": "Consumption", "capacity": 0}), breaker=None)


def test_an_identity_that_a_user_assigned_is_not_the_service_s_own(apis):
    (line,) = refused(altered(SERVICE, identity={"type": "UserAssigned"}))
    assert line.startswith(f"{IS_SERVICE}, which has no system-assigned identity: ")


def test_an_api_of_the_name_at_another_path_is_refused(apis):
    apis.apis["inference"] = "ai"
    assert refused() == [
        (
            f'{IS_SERVICE}, which has an API "inference" at "ai" already: rename that API, or '
            "choose another service"
        )
    ]


MISSING = "404 ResourceGroupNotFound: Resource group 'rg-ai' could not be found."
DENIED = "403 AuthorizationFailed: The client\n  has no authorization."


@pytest.mark.parametrize(
    ("path", "found", "line"),
    [
        (
            SERVICE,
            MISSING,
            (
                f'{IS_SERVICE}, and there is no such API Management service in "rg-ai": correct '
                "either, or leave `existing` out for a new service"
            ),
        ),
        (
            SERVICE,
            DENIED,
            (
                f"{IS_SERVICE}, which cannot be looked up: invoke of "
                "azure-native:apimanagement:getApiManagementService failed: 403 "
                "AuthorizationFailed: The client has no authorization."
            ),
        ),
        (
            FIRST,
            MISSING,
            (
                f'{IS_FIRST}, and there is no such account in "rg-ai": correct either, or leave '
                "`existing` out for a new account"
            ),
        ),
        (
            FIRST,
            DENIED,
            (
                f"{IS_FIRST}, which cannot be looked up: invoke of "
                "azure-native:cognitiveservices:getAccount failed: 403 "
                "AuthorizationFailed: The client has no authorization."
            ),
        ),
        (
            FIRST,
            {**THERE[FIRST], "properties": {"endpoint": "https://uksouth.api/"}},
            (
                f"{IS_FIRST}, which has no custom subdomain: the gateway's tokens need one: az "
                "cognitiveservices account update -g rg-ai -n foundry1-ai --custom-domain "
                "foundry1-ai"
            ),
        ),
        (
            FIRST,
            {**THERE[FIRST], "location": "UK West"},
            (
                'regions[0].location is "uksouth", and the account "foundry1-ai" is in ukwest: '
                "write ukwest, or choose another account"
            ),
        ),
        (
            f"{FIRST}/deployments/chat",
            "404 ResourceNotFound: no such deployment.",
            (
                f'{IS_FIRST}, whose deployment "chat" is missing: deploy gpt-5.4-mini under that '
                "name, or change models"
            ),
        ),
        (
            f"{FIRST}/deployments/chat",
            {"name": "chat", "properties": {"model": {"name": "gpt-4o"}}},
            (
                f'{IS_FIRST}, whose deployment "chat" is of gpt-4o: deploy gpt-5.4-mini under that '
                "name, or change models"
            ),
        ),
        (
            f"{FIRST}/deployments/chat",
            "404 SubscriptionNotFound: no such subscription.",
            (
                f"{IS_FIRST}, which cannot be looked up: invoke of "
                "azure-native:cognitiveservices:getDeployment failed: 404 SubscriptionNotFound: no "
                "such subscription."
            ),
        ),
    ],
)
def test_what_cannot_be_deployed_into_is_one_line_with_its_remedy(apis, path, found, line):
    assert refused({path: found}) == [line]


# The one request that no function of azure-native makes


def of(lines: list[str]) -> str:
    (line,) = lines
    return line.partition("cannot be looked up: ")[2]


def test_a_list_that_cannot_be_read_is_not_taken_for_a_free_path(apis):
    apis.status = 403
    assert of(refused()).startswith("Client error '403 Forbidden' for url 'http://127.0.0.1:8700")


def test_a_token_is_sent_to_azure_over_https_alone(apis, monkeypatch):
    monkeypatch.setattr(
        existing.authorization,
        "get_client_token",
        lambda: type("Found", (), {"token": "made-up"}),
    )
    monkeypatch.setenv("ARM_ENDPOINT", "http://management.example")
    assert of(refused()) == (
        "ARM_ENDPOINT http://management.example is no https URL; a token would be readable"
    )
    assert apis.asked == []
    monkeypatch.delenv("ARM_ENDPOINT")
    apis.host = "elsewhere.example"
    assert of(refused()).startswith("the list of its APIs goes on at another host: http://else")
    (asked,) = apis.asked
    assert asked.url.host == "management.azure.com"
    assert asked.headers["Authorization"] == "Bearer made-up"
    apis.host = "management.azure.com"
    assert of(refused()).startswith("the list of its APIs goes on at another host: http://man")
