"""A gateway and accounts that are there: what is declared around them, and what they must be."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pulumi
import pytest
import recording
from bad_configs import CHAT
from recording import PRINCIPAL, SUBSCRIPTION, TOKEN, unwrap

GROUP = f"{SUBSCRIPTION}/resourceGroups/rg-ai/providers"
SERVICE = f"{GROUP}/Microsoft.ApiManagement/service/apim-team"
ACCOUNTS = f"{GROUP}/Microsoft.CognitiveServices/accounts"
NAMES = {"foundry1": "uksouth", "foundry2": "eastus", "foundry3": "norwayeast"}
CONFIG: dict[str, Any] = {
    "apis": ["chat"],
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
        "id": SERVICE,
        "name": "apim-team",
        "sku": {"name": "StandardV2", "capacity": 1},
        "properties": {"gatewayUrl": "https://api.example.com"},
        "identity": {"type": "SystemAssigned", "principalId": PRINCIPAL},
    },
    **{
        f"{ACCOUNTS}/{name}-ai": {
            "id": f"{ACCOUNTS}/{name}-ai",
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
            "properties": {
                "model": {"format": "OpenAI", "name": CHAT["model"], "version": CHAT["version"]}
            },
        }
        for name in NAMES
    },
}
FIRST = f"{ACCOUNTS}/foundry1-ai"
DELETED_ACCOUNTS = f"{SUBSCRIPTION}/providers/Microsoft.CognitiveServices/deletedAccounts"
OWN_GROUP = "rg-openai-gateway-abcd1234"
DELETED_SERVICES = f"{SUBSCRIPTION}/providers/Microsoft.ApiManagement/deletedservices"
IS_SERVICE = 'gateway.existing.serviceName is "apim-team"'
IS_FIRST = 'regions[0].existing.accountName is "foundry1-ai"'


class Refusal(NamedTuple):
    """What Azure answers instead of a resource."""

    status: int
    code: str


class Asked(NamedTuple):
    path: str
    version: str
    token: str | None


class ResourceManager(ThreadingHTTPServer):
    """Resource Manager on loopback: what is `there` by its id, lists in pages of two."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[Asked] = []
        self.there: dict[str, Any] = {}
        self.apis = {"billing": "billing", "echo": "", "users": "users"}

    def answer(self, path: str, skip: int) -> tuple[int, Any]:
        found = self.there.get(path, Refusal(404, "ResourceNotFound"))
        if path.endswith(("/apis", "/deployments")) and path not in self.there:
            items = self._items(path)
            page: dict[str, Any] = {"value": items[skip : skip + 2]}
            if skip + 2 < len(items):
                page["nextLink"] = f"{self.endpoint}{path}?$skip={skip + 2}"
            return 200, page
        if isinstance(found, Refusal):
            return found.status, {"error": {"code": found.code, "message": "So it is."}}
        return 200, found

    def _items(self, path: str) -> list[Any]:
        if path.endswith("/apis"):
            return [{"name": n, "properties": {"path": at}} for n, at in self.apis.items()]
        return [each for key, each in self.there.items() if key.startswith(f"{path}/") and each]


class Handler(BaseHTTPRequestHandler):
    server: ResourceManager

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        version = query.get("api-version", [""])[0]
        self.server.asked.append(Asked(parts.path, version, self.headers["Authorization"]))
        status, body = self.server.answer(parts.path, int(query.get("$skip", ["0"])[0]))
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[ResourceManager]:
    with ResourceManager() as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.01,))
        thread.start()
        yield served
        served.shutdown()
        thread.join()


@pytest.fixture
def azure(server, monkeypatch) -> ResourceManager:
    server.there = dict(THERE)
    server.apis = {"billing": "billing", "echo": "", "users": "users"}
    server.asked.clear()
    monkeypatch.setenv("ARM_ENDPOINT", server.endpoint)
    return server


def declare(**config: Any) -> recording.Program:
    return recording.declare({**CONFIG, **config})


def refused(**config: Any) -> list[str]:
    with pytest.raises(pulumi.RunError) as caught:
        declare(**config)
    lines = str(caught.value).split("\n")
    assert all(line.startswith("openai-gateway:") for line in lines)
    return [line.removeprefix("openai-gateway:") for line in lines]


def altered(path: str, **values: Any) -> dict[str, Any]:
    return {path: {**THERE[path], **values}}


# What is declared


def test_only_what_goes_into_the_service_and_the_roles_is_declared(azure):
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


@pytest.mark.parametrize(("tier", "own"), [("Premium", ["203.0.113.9"]), ("StandardV2", [])])
def test_accounts_answer_to_a_service_that_is_there_by_its_own_addresses(azure, tier, own):
    properties = {**THERE[SERVICE]["properties"], "publicIPAddresses": ["203.0.113.9"]}
    azure.there |= altered(SERVICE, sku={"name": tier}, properties=properties)
    regions = [{"name": name, "location": location} for name, location in NAMES.items()]
    network = {"allowedIps": ["203.0.113.8"]}
    program = declare(regions=regions, network=network, monitoring=None)
    for account in program.all("Account"):
        rules = account.inputs["properties"]["networkAcls"]["ipRules"]
        assert [each["value"] for each in rules] == ["203.0.113.8", *own]
    assert [level for level, _ in program.log if level == "WARNING"] == []


def test_the_outputs_are_the_same_contract(azure):
    outputs = unwrap(declare().outputs)
    assert outputs["resource_group"] == "rg-ai"
    assert outputs["gateway_url"] == "https://api.example.com"
    assert outputs["inference_url"] == "https://api.example.com/inference"
    assert [each["url"] for each in outputs["backends"]] == [
        f"https://{name}-ai.openai.azure.com/openai" for name in NAMES
    ]


def test_a_pool_may_be_of_both_kinds_of_accounts(azure):
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
    # What answered is known again by its host: of a new account by what its name begins with.
    hosts = [f"{name} {name}-ai.openai.azure.com" for name in ("foundry1", "foundry2")]
    policy = program.one("ApiPolicy", "inference-policy").inputs["value"]
    assert ", ".join(f'"{each}"' for each in [*hosts, "foundry3 foundry3-"]) in policy


def test_a_service_of_its_own_may_have_accounts_that_are_there(azure):
    program = declare(gateway={})
    assert len(program.all("ApiManagementService")) == len(program.all("ResourceGroup")) == 1
    assert program.all("Account") == program.all("Deployment") == []
    assert {asked.path.split("/")[7] for asked in azure.asked[:-1]} == {"accounts"}
    assert azure.asked[-1].path == DELETED_SERVICES


OWN: dict[str, Any] = {
    "gateway": {},
    "regions": [{"name": name, "location": location} for name, location in NAMES.items()],
}


def test_a_stack_that_makes_all_of_its_own_asks_for_no_more_than_what_is_deleted(azure):
    declare(**OWN)
    assert [asked.path for asked in azure.asked] == [DELETED_ACCOUNTS, DELETED_SERVICES]


def test_a_stack_that_makes_nothing_of_its_own_has_no_name_to_lose(azure):
    declare()
    assert not {asked.path for asked in azure.asked} & {DELETED_ACCOUNTS, DELETED_SERVICES}


def test_an_account_of_kind_ai_services_answers_at_its_openai_endpoint(azure):
    properties = {
        "customSubDomainName": "foundry1-ai",
        "endpoint": "https://foundry1-ai.cognitiveservices.azure.com/",
        "endpoints": {
            "OpenAI Language Model Instance API": "https://foundry1-ai.openai.azure.com/"
        },
    }
    azure.there |= altered(FIRST, kind="AIServices", properties=properties)
    program = declare()
    url = program.one("Backend", "foundry1").inputs["url"]
    assert url == "https://foundry1-ai.openai.azure.com/openai"


def test_the_stack_s_own_api_is_not_in_its_way(azure):
    azure.apis |= {"inference": "inference/openai", "inference;rev=2": "inference/openai"}
    declare()
    assert len([asked for asked in azure.asked if asked.path.endswith("/apis")]) == 3  # every page


def test_azure_is_asked_as_the_identity_that_deploys_and_by_its_versions(azure):
    declare()
    assert {asked.token for asked in azure.asked} == {f"Bearer {TOKEN}"}
    asked = {asked.path: asked.version for asked in azure.asked if asked.version}
    assert asked == {
        SERVICE: "2024-05-01",
        f"{SERVICE}/apis": "2024-05-01",
        **{f"{ACCOUNTS}/{name}-ai": "2025-06-01" for name in NAMES},
        **{f"{ACCOUNTS}/{name}-ai/deployments": "2025-06-01" for name in NAMES},
    }


# What is refused, all of it at once, before anything is declared


def test_every_problem_is_reported_at_once_and_nothing_is_declared(azure, monkeypatch):
    declared = []
    monkeypatch.setattr(
        recording.Recorder,
        "RegisterResource",
        lambda self, request, register=recording.Recorder.RegisterResource: (
            declared.append(request.type) or register(self, request)
        ),
    )
    azure.there |= altered(SERVICE, sku={"name": "Consumption"}, identity=None)
    azure.there |= altered(FIRST, kind="SpeechServices")
    azure.apis["chat"] = "/Inference/OpenAI/"
    assert refused() == [
        (
            'breaker is on, and "apim-team" is a Consumption service: set it to null, or choose a '
            "service of another tier"
        ),
        (
            'streaming is on, and "apim-team" is a Consumption service: set it to false, or choose '
            "a service of another tier"
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


def test_a_consumption_service_without_a_breaker_is_good(azure):
    azure.there |= altered(SERVICE, sku={"name": "Consumption", "capacity": 0})
    policy = declare(breaker=None, streaming=False).one("ApiPolicy", "inference-policy")
    assert "2097152 >= long.Parse(" in policy.inputs["value"]


def test_the_policy_is_for_the_tier_that_is_there(azure):
    azure.there |= altered(SERVICE, sku={"name": "Premium", "capacity": 1})
    policy = declare().one("ApiPolicy", "inference-policy").inputs["value"]
    assert "524288000 >= long.Parse(" in policy


def test_an_identity_that_a_user_assigned_is_not_the_service_s_own(azure):
    azure.there |= altered(SERVICE, identity={"type": "UserAssigned"})
    (line,) = refused()
    assert line.startswith(f"{IS_SERVICE}, which has no system-assigned identity: ")


def test_an_api_of_the_name_at_another_path_is_refused(azure):
    azure.apis["inference"] = "ai"
    assert refused() == [
        (
            f'{IS_SERVICE}, which has an API "inference" at "ai" already: rename that API, or '
            "choose another service"
        )
    ]


MISSING = Refusal(404, "ResourceGroupNotFound")
DENIED = Refusal(403, "AuthorizationFailed")
MAY_NOT = "AuthorizationFailed: this identity may not read it; give it the role Reader"


@pytest.mark.parametrize(
    ("path", "found", "line"),
    [
        (
            SERVICE,
            MISSING,
            (
                f'{IS_SERVICE}, and there is no such API Management service in "rg-ai": correct '
                "either, or leave `existing` out for a new one"
            ),
        ),
        (SERVICE, DENIED, f"{IS_SERVICE}, which cannot be looked up: {MAY_NOT}"),
        (f"{SERVICE}/apis", DENIED, f"{IS_SERVICE}, which cannot be looked up: {MAY_NOT}"),
        (
            FIRST,
            MISSING,
            (
                f'{IS_FIRST}, and there is no such account in "rg-ai": correct either, or leave '
                "`existing` out for a new one"
            ),
        ),
        (FIRST, DENIED, f"{IS_FIRST}, which cannot be looked up: {MAY_NOT}"),
        (
            FIRST,
            {"kind": None, "properties": None},
            f"{IS_FIRST}, which is of kind None: choose an account of kind OpenAI or AIServices",
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
            None,
            (
                f'{IS_FIRST}, whose deployment "chat" is missing: deploy gpt-5.4-mini 2026-03-17 '
                "under that name, or change models"
            ),
        ),
        (
            f"{FIRST}/deployments/chat",
            {"name": "chat", "properties": {"model": {"name": "gpt-4o", "version": "2024-11-20"}}},
            (
                f'{IS_FIRST}, whose deployment "chat" is of gpt-4o 2024-11-20: deploy gpt-5.4-mini '
                "2026-03-17 under that name, or change models"
            ),
        ),
        (
            f"{FIRST}/deployments/chat",
            {
                "name": "chat",
                "properties": {"model": {"name": CHAT["model"], "version": "2027-01-01"}},
            },
            (
                f'{IS_FIRST}, whose deployment "chat" is of gpt-5.4-mini 2027-01-01: deploy '
                "gpt-5.4-mini 2026-03-17 under that name, or change models"
            ),
        ),
        (f"{FIRST}/deployments", DENIED, f"{IS_FIRST}, which cannot be looked up: {MAY_NOT}"),
    ],
)
def test_what_cannot_be_deployed_into_is_one_line_with_its_remedy(azure, path, found, line):
    azure.there |= {path: found}
    assert refused() == [line]


def test_another_subscription_s_absence_is_not_taken_for_a_free_name(azure):
    azure.there[FIRST] = Refusal(404, "SubscriptionNotFound")
    (line,) = refused()
    assert line.startswith(f"{IS_FIRST}, which cannot be looked up: SubscriptionNotFound: ")


def test_no_token_goes_where_others_could_read_it(azure, monkeypatch):
    monkeypatch.setenv("ARM_ENDPOINT", "http://management.example")
    lines = refused()
    assert len(lines) == 4
    assert all("http://management.example: is no https URL" in line for line in lines)
    assert azure.asked == []


# Names that something deleted keeps


def deleted_account(name: str, location: str, subdomain: str = "", group: str = OWN_GROUP):
    place = f"locations/{location}/resourceGroups/{group}/deletedAccounts/{name}"
    return {
        "id": f"{SUBSCRIPTION}/providers/Microsoft.CognitiveServices/{place}",
        "name": name,
        "location": location,
        "properties": {
            "customSubDomainName": subdomain or name,
            "scheduledPurgeDate": "2026-11-28T05:41:00.0000000Z",
        },
    }


def deleted_service(name: str, location: str):
    service = f"{SUBSCRIPTION}/resourceGroups/{OWN_GROUP}/providers/Microsoft.ApiManagement/service"
    return {
        "id": f"{DELETED_SERVICES}/{name}",
        "name": name,
        "location": location,
        "properties": {"serviceId": f"{service}/{name}"},
    }


@pytest.fixture
def deleted(azure):
    """What has the names of the stack's first account and of its service, and was deleted."""
    account = deleted_account("foundry1-abcd1234", "uksouth")
    azure.there[DELETED_ACCOUNTS] = {"value": [account]}
    azure.there[DELETED_SERVICES] = {"value": [deleted_service("apim-abcd1234", "UK South")]}
    return azure.there


PURGE_ACCOUNT = (
    "purge it: az cognitiveservices account purge --location uksouth --resource-group "
    f"{OWN_GROUP} --name foundry1-abcd1234"
)


@pytest.mark.parametrize("suffix", ["", "abcd1234"])
def test_a_name_that_something_deleted_keeps_is_told_before_anything_is_created(deleted, suffix):
    with pytest.raises(pulumi.RunError) as caught:
        declare(**OWN, resourceSuffix=suffix)
    assert str(caught.value).split("\n") == [
        (
            "the account foundry1-abcd1234 was deleted in uksouth, and keeps its name until "
            f"2026-11-28: set openai-gateway:restore to true, or {PURGE_ACCOUNT}"
        ),
        (
            "the service apim-abcd1234 was deleted in uksouth, and keeps its name: set "
            "openai-gateway:restore to true, or purge it: az apim deletedservice purge --location "
            "uksouth --service-name apim-abcd1234"
        ),
    ]


def test_nothing_is_created_where_a_name_is_taken(deleted, monkeypatch):
    created = []
    new = recording.Azure.new_resource
    monkeypatch.setattr(
        recording.Azure,
        "new_resource",
        lambda self, args: created.append(args.typ) or new(self, args),
    )
    with pytest.raises(pulumi.RunError):
        declare(**OWN)
    assert not [kind for kind in created if kind.startswith("azure-native:")]


def test_what_is_deleted_comes_back_where_the_config_says_so_and_the_rest_is_new(deleted):
    program = declare(**OWN, restore=True, monitoring=None)
    restored = {
        each.name: each.inputs["properties"].get("restore") for each in program.all("Account")
    }
    assert restored == {"foundry1": True, "foundry2": None, "foundry3": None}
    assert program.one("ApiManagementService", "gateway").inputs["restore"] is True
    warnings = [line for level, line in program.log if level == "WARNING"]
    assert [line.partition(" comes back as it was deleted;")[0] for line in warnings] == [
        "foundry1",
        "gateway",
    ]


def test_a_stack_whose_names_are_free_passes_no_restore(azure):
    program = declare(**OWN, restore=True)
    assert all("restore" not in each.inputs["properties"] for each in program.all("Account"))
    assert "restore" not in program.one("ApiManagementService", "gateway").inputs


@pytest.mark.parametrize(
    "record",
    [
        deleted_account("foundry1-abcd1234", "ukwest"),
        deleted_account("foundry1-abcd1234", "uksouth", group="rg-of-others"),
        deleted_account("another", "uksouth", "foundry1-abcd1234"),
    ],
)
def test_what_was_deleted_elsewhere_can_only_be_purged(azure, record):
    if record["name"] == "another":
        record = {**record, "id": record["id"].replace(OWN_GROUP, "rg")}
    azure.there[DELETED_ACCOUNTS] = {"value": [record]}
    with pytest.raises(pulumi.RunError, match=r"2026-11-28: purge it: az cognitiveservices "):
        declare(**OWN, restore=True)


def test_another_s_deleted_account_of_a_like_name_takes_no_subdomain_of_ours(azure):
    record = deleted_account("foundry1-abcd1234", "uksouth", "theirs")
    azure.there[DELETED_ACCOUNTS] = {"value": [record]}
    declare(**OWN)


def test_an_identity_that_may_not_list_what_is_deleted_deploys(azure):
    azure.there[DELETED_ACCOUNTS] = azure.there[DELETED_SERVICES] = DENIED
    assert len(declare(**OWN).all("Account")) == 3


# Locations that the table does not have


def moved(location: str) -> list[dict[str, Any]]:
    return [{"name": "foundry1", "location": location}, *CONFIG["regions"][1:]]


def test_a_location_newer_than_the_table_is_known_by_the_subscription_s_own_list(azure):
    listed = [{"name": "marsnorth", "displayName": "Mars North"}]
    azure.there[f"{SUBSCRIPTION}/locations"] = {"value": listed}
    program = declare(regions=moved("Mars North"))
    assert program.one("Account", "foundry1").inputs["location"] == "marsnorth"
    assert program.outputs["backends"][0]["region"] == "Mars North"
    assert [asked.path for asked in azure.asked].count(f"{SUBSCRIPTION}/locations") == 1
    (line,) = refused(regions=moved("marssouth"))
    assert line.startswith('regions[0].location is "marssouth": there is no such Azure location; ')
    assert line.endswith("did you mean marsnorth?")


def test_a_list_of_locations_that_cannot_be_read_is_told_with_the_mistake(azure):
    azure.there[f"{SUBSCRIPTION}/locations"] = DENIED
    (line,) = refused(regions=moved("uksoth"))
    assert line.startswith('regions[0].location is "uksoth": there is no such Azure location; ')
    assert line.endswith(
        f"did you mean uksouth? (the subscription's own list cannot be read: {MAY_NOT})"
    )


# A workspace that is there

LOGS = f"{SUBSCRIPTION}/resourceGroups/rg-logs/providers/Microsoft.OperationalInsights/workspaces"
MONITORING = {"workspace": {"resourceGroup": "rg-logs", "name": "log-team"}}
WORKSPACE = {
    "id": f"{LOGS}/log-team",
    "location": "West Europe",
    "properties": {"customerId": "the-workspace"},
}


def test_a_service_that_is_there_keeps_its_own_setting_and_gets_the_alarm(azure):
    azure.there[f"{LOGS}/log-team"] = WORKSPACE
    program = declare(monitoring={**MONITORING, "alertEmails": ["team@example.com"]})
    own = [each for each in program.resources if "index:Monitoring::" in each.parent]
    assert {each.type.rpartition(":")[2] for each in own} == {
        "ActionGroup",
        "ScheduledQueryRule",
        "Workbook",
    }
    assert {each.inputs["resourceGroupName"] for each in own} == {"rg-ai"}
    for rule in program.all("ScheduledQueryRule"):
        assert rule.inputs["ruleName"] == f"{rule.name}-apim-team"
        assert (rule.inputs["location"], rule.ignore_changes) == ("westeurope", [])
        assert rule.inputs["scopes"] == [f"{LOGS}/log-team"]
        assert f'_ResourceId =~ "{SERVICE}"' in rule.inputs["criteria"]["allOf"][0]["query"]
    expected = {"id": f"{LOGS}/log-team", "customer_id": "the-workspace"}
    assert program.outputs["workspace"] == expected
    (asked,) = [each for each in azure.asked if each.path == f"{LOGS}/log-team"]
    assert asked.version == "2023-09-01"


def test_without_a_workspace_a_service_that_is_there_is_not_watched_and_a_line_says_so(azure):
    program = declare()
    assert not [each for each in program.resources if "Monitoring" in each.type]
    assert "workspace" not in program.outputs
    ((_, line),) = [each for each in program.log if each[0] == "WARNING"]
    assert line == (
        "openai-gateway:monitoring watches nothing: a service that exists keeps its own "
        "diagnostic setting; set workspace to the one that its logs go to, or monitoring to null"
    )


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (
            None,
            (
                'and there is no such workspace in "rg-logs": correct either, or leave '
                "`workspace` out for a new one"
            ),
        ),
        (
            {**WORKSPACE, "properties": {}},
            "which is not ready: it has no customerId: try again later",
        ),
    ],
)
def test_a_workspace_that_is_not_there_is_a_mistake_with_its_remedy(azure, there, told):
    if there:
        azure.there[f"{LOGS}/log-team"] = there
    (line,) = refused(monitoring=MONITORING)
    separator = ", " if there or told.startswith("and") else ""
    assert line == f'monitoring.workspace.name is "log-team"{separator}{told}'
