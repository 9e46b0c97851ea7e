"""What the program declares, property by property: what a user relies on after `pulumi up`."""

import itertools
import json
import re
from xml.etree import ElementTree as ET

import pulumi
import pytest
import recording
from recording import APIM, CUSTOMER, KEY, PRINCIPAL, SUBSCRIPTION, is_secret, unwrap

from components.contract import digest
from components.inference_api import policy_mistakes
from components.keys import TIERS
from components.settings import parse

REGIONS = {"foundry1": "uksouth", "foundry2": "eastus", "foundry3": "norwayeast"}
GROUP = "rg-openai-gateway-abcd1234"
SERVICE = SUBSCRIPTION + APIM.format(resourceGroupName=GROUP, serviceName="apim-abcd1234")
POOL = "inference-backend-pool"
BACKEND = "azure-native:apimanagement:Backend"
STACK_URN = "urn:pulumi:dev::openai-gateway::"


FOLLOWS = '@((string)context.Variables["id"] != "")'
TWO = [{"name": "east", "location": "eastus"}, {"name": "west", "location": "westus"}]
MODELS = [
    {"name": name, "model": "m", "version": "1", "sku": "GlobalStandard", "capacity": 7 + index}
    for index, name in enumerate(["chat", "small", "embed"])
]


@pytest.fixture
def custom(declare):
    """Every setting other than its default, in one run of the program."""
    return declare(
        models=MODELS,
        gateway={"sku": "StandardV2", "capacity": 3, "location": "swedencentral"},
        resourceSuffix="team7",
        breaker={
            "count": 9,
            "interval": "PT5M",
            "tripDuration": "PT30S",
            "acceptRetryAfter": True,
        },
        revealBackend=False,
    )


def policy_of(program) -> ET.Element:
    return ET.fromstring(program.one("ApiPolicy", "inference-policy").inputs["value"])


# Accounts


def test_three_accounts_each_in_its_own_location(dev):
    assert {account.name: account.inputs["location"] for account in dev.all("Account")} == REGIONS


@pytest.mark.parametrize("name", REGIONS)
def test_an_account_takes_entra_tokens_only_at_its_own_subdomain(dev, name):
    account = dev.one("Account", name).inputs
    assert account["kind"] == "OpenAI"
    assert account["sku"] == {"name": "S0"}
    assert account["accountName"] == f"{name}-abcd1234"
    assert account["resourceGroupName"] == GROUP
    assert account["properties"] == {
        "customSubDomainName": f"{name}-abcd1234",
        "disableLocalAuth": True,
    }


def test_the_suffix_is_random_lower_case_letters_and_digits(dev):
    suffix = dev.one("RandomString", "suffix").inputs
    assert suffix == {"length": 8, "special": False, "upper": False}


def test_a_given_suffix_is_used_and_none_is_generated(custom):
    program = custom
    assert program.all("RandomString") == []
    assert program.one("Account", "foundry1").inputs["accountName"] == "foundry1-team7"
    assert program.one("ApiManagementService", "gateway").inputs["serviceName"] == "apim-team7"
    assert unwrap(program.outputs["resource_group"]) == "rg-openai-gateway-team7"


def test_what_takes_tags_has_those_of_the_config_and_none_where_there_are_none(declare, dev):
    tags = {"team": "search", "cost center": "7/8"}
    tagged = declare(tags=tags)
    for kind in ("ResourceGroup", "Account", "ApiManagementService"):
        assert [each.inputs["tags"] for each in tagged.all(kind)] == [tags] * len(tagged.all(kind))
        assert all("tags" not in each.inputs for each in dev.all(kind))


# Deployments


@pytest.mark.parametrize("region", REGIONS)
def test_the_deployments_of_an_account_are_made_one_after_another(custom, region):
    before = custom.one("Account", region)
    for model in MODELS:
        deployment = custom.one("Deployment", f"{region}-{model['name']}")
        assert before.urn in deployment.depends_on
        assert deployment.inputs["accountName"] == f"{region}-team7"
        assert deployment.inputs["resourceGroupName"] == "rg-openai-gateway-team7"
        assert deployment.inputs["deploymentName"] == model["name"]
        assert deployment.inputs["sku"] == {"name": "GlobalStandard", "capacity": model["capacity"]}
        assert deployment.inputs["properties"] == {
            "model": {"format": "OpenAI", "name": "m", "version": "1"},
            "versionUpgradeOption": "OnceCurrentVersionExpired",
        }
        before = deployment
    assert len(custom.all("Deployment")) == 9


def test_upgrades_and_content_filter_of_a_deployment_come_from_config(declare):
    model = {**MODELS[0], "versionUpgrade": "NoAutoUpgrade", "raiPolicy": "strict"}
    for deployment in declare(models=[model]).all("Deployment"):
        assert deployment.inputs["properties"]["versionUpgradeOption"] == "NoAutoUpgrade"
        assert deployment.inputs["properties"]["raiPolicyName"] == "strict"


# Roles


@pytest.mark.parametrize("region", REGIONS)
def test_the_gateway_may_use_each_account_and_nothing_else(dev, region):
    account = dev.one("Account", region)
    role = dev.one("RoleAssignment", f"{region}-openai-user").inputs
    assert role == {
        "scope": account.id,
        "principalId": PRINCIPAL,
        "principalType": "ServicePrincipal",
        "roleAssignmentName": f"uuid-of-{region}-openai-user",
        "roleDefinitionId": "/providers/Microsoft.Authorization/roleDefinitions/"
        "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd",
    }


def test_every_account_has_exactly_one_role_assignment(dev):
    scopes = [role.inputs["scope"] for role in dev.all("RoleAssignment")]
    assert sorted(scopes) == sorted(account.id for account in dev.all("Account"))


# Gateway


def test_the_service_has_an_identity_of_its_own(dev):
    service = dev.one("ApiManagementService", "gateway").inputs
    assert service["identity"] == {"type": "SystemAssigned"}
    assert service["sku"] == {"name": "BasicV2", "capacity": 1}
    assert service["location"] == "uksouth"
    assert service["serviceName"] == "apim-abcd1234"
    assert "@" in service["publisherEmail"]
    assert service["publisherName"]


def test_the_gateway_s_tier_and_place_come_from_config(custom):
    service = custom.one("ApiManagementService", "gateway").inputs
    assert service["sku"] == {"name": "StandardV2", "capacity": 3}
    assert service["location"] == "swedencentral"


@pytest.mark.parametrize("tier", TIERS)
def test_client_certificates_are_on_where_azure_takes_nothing_else(declare, tier):
    # Developer, Basic, Standard and Premium refuse false; elsewhere true would ask clients for one.
    program = declare(gateway={"sku": tier}, breaker=None, streaming=False, monitoring=None)
    service = program.one("ApiManagementService", "gateway").inputs
    is_classic = tier in {"Developer", "Basic", "Standard", "Premium"}
    assert service["enableClientCertificate"] is is_classic


# Backends


@pytest.mark.parametrize("name", REGIONS)
def test_a_backend_forwards_to_its_own_region(dev, name):
    backend = dev.one("Backend", name).inputs
    assert backend["backendId"] == name
    assert backend["url"] == f"https://{name}-abcd1234.openai.azure.com/openai"
    assert (backend["type"], backend["protocol"]) == ("Single", "http")
    assert backend["serviceName"] == "apim-abcd1234"
    assert backend["resourceGroupName"] == GROUP
    assert "pool" not in backend


@pytest.mark.parametrize("name", REGIONS)
def test_a_backend_has_the_one_breaker_rule_that_the_service_allows(dev, name):
    assert dev.one("Backend", name).inputs["circuitBreaker"] == {
        "rules": [
            {
                "name": "throttled-or-failing",
                "failureCondition": {
                    "count": 10,
                    "interval": "PT10S",
                    "statusCodeRanges": [{"min": 429, "max": 429}, {"min": 500, "max": 599}],
                },
                "tripDuration": "PT10S",
                "acceptRetryAfter": False,
            }
        ]
    }


def test_the_breaker_comes_from_config_and_can_be_off(custom, declare):
    (found,) = custom.one("Backend", "foundry2").inputs["circuitBreaker"]["rules"]
    assert found["failureCondition"]["count"] == 9
    assert found["failureCondition"]["interval"] == "PT5M"
    assert found["tripDuration"] == "PT30S"
    assert found["acceptRetryAfter"] is True
    off = declare(breaker=None, regions=TWO)
    assert "circuitBreaker" not in off.one("Backend", "east").inputs


# The pool


def test_the_pool_is_a_round_robin_over_every_backend_by_its_full_id(dev):
    pool = dev.one("Backend", POOL).inputs
    assert pool["type"] == "Pool"
    assert pool["backendId"] == POOL
    assert pool["pool"] == {
        "services": [
            {"id": f"{SERVICE}/backends/{name}", "priority": 1, "weight": 1} for name in REGIONS
        ]
    }


def test_the_pool_has_neither_url_nor_protocol_nor_breaker(dev):
    assert set(dev.one("Backend", POOL).inputs) == {
        "backendId",
        "description",
        "pool",
        "resourceGroupName",
        "serviceName",
        "type",
    }


def test_the_pool_waits_for_each_of_its_members(dev):
    members = {dev.one("Backend", name).urn for name in REGIONS}
    assert members <= dev.one("Backend", POOL).property_dependencies["pool"]


def test_the_incident_s_pool_differs_in_the_pool_and_in_what_is_expected_of_it(declare, dev):
    incident = declare("incident")
    services = incident.one("Backend", POOL).inputs["pool"]["services"]
    assert [(each["priority"], each["weight"]) for each in services] == [(1, 100), (2, 50), (2, 50)]

    def rest(program):
        return {
            each.urn: each.inputs
            for each in program.resources
            if each.custom and each.name not in {POOL, *watching(program)}
        }

    assert rest(incident) == rest(dev)


def test_each_further_model_has_backends_and_a_pool_of_its_own(custom):
    service = custom.one("Backend", POOL).inputs["serviceName"]
    for model in ("small", "embed"):
        services = custom.one("Backend", f"{POOL}-{model}").inputs["pool"]["services"]
        first = custom.one("Backend", POOL).inputs["pool"]["services"]
        assert services == [{**each, "id": f"{each['id']}-{model}"} for each in first]
        for name in REGIONS:
            own, of_first = custom.one("Backend", f"{name}-{model}"), custom.one("Backend", name)
            assert own.inputs == {**of_first.inputs, "backendId": f"{name}-{model}"}
    assert len(custom.all("Backend")) == 3 * (3 + 1)
    assert unwrap(custom.outputs["pools"]) == [
        {
            "deployment": model["name"],
            "name": name,
            "id": f"{SUBSCRIPTION}{APIM}/backends/{name}".format(
                resourceGroupName="rg-openai-gateway-team7", serviceName=service
            ),
        }
        for model, name in zip(MODELS, (POOL, f"{POOL}-small", f"{POOL}-embed"), strict=True)
    ]
    assert unwrap(custom.outputs["pool"])["name"] == POOL
    policy = custom.one("ApiPolicy", "inference-policy")
    pools = {each.urn for each in custom.all("Backend") if each.name.startswith(POOL)}
    assert pools <= policy.depends_on
    assert len(pools) == 3


# API


def test_the_api_answers_where_the_openai_sdk_calls_it(dev):
    api = dev.one("Api", "inference").inputs
    assert api["path"] == "inference/openai"
    assert api["protocols"] == ["https"]
    assert api["subscriptionRequired"] is True
    assert api["subscriptionKeyParameterNames"]["header"] == "api-key"
    assert exposed(dev) == {*CHAT, *EMBEDDINGS, *MODEL_LISTS, *RESPONSES, *FILES, *ELSEWHERE}


def exposed(program) -> set[tuple[str, str]]:
    operations = [each.inputs for each in program.all("ApiOperation")]
    found = {(each["method"], each["urlTemplate"]) for each in operations}
    assert len(found) == len(operations)
    return found


def by_deployment(*paths: str) -> set[tuple[str, str]]:
    begins = ("/deployments/{deployment-id}", "/v1")
    return {("POST", f"{begin}/{path}") for begin in begins for path in paths}


CHAT, EMBEDDINGS = by_deployment("chat/completions"), by_deployment("embeddings")
AUDIO = ("audio/transcriptions", "audio/translations", "audio/speech")
FILES = by_deployment("images/generations", "images/edits", *AUDIO)
MODEL_LISTS = {
    ("GET", f"{begin}/models{end}") for begin in ("", "/v1") for end in ("", "/{model-id}")
}
RESPONSES = {
    (method, f"{begin}/responses{path}")
    for begin in ("", "/v1")
    for method, path in (
        ("POST", ""),
        ("GET", "/{response-id}"),
        ("DELETE", "/{response-id}"),
        ("POST", "/{response-id}/cancel"),
        ("GET", "/{response-id}/input_items"),
    )
}
ELSEWHERE = {("GET", "/*"), ("POST", "/*"), ("DELETE", "/*")}


def test_the_config_chooses_what_is_exposed(declare):
    assert exposed(declare(apis=["models", "responses"])) == MODEL_LISTS | RESPONSES | ELSEWHERE
    assert exposed(declare(apis=["audio"])) == by_deployment(*AUDIO) | ELSEWHERE


def test_every_template_parameter_is_declared(dev):
    for operation in dev.all("ApiOperation"):
        declared = [each["name"] for each in operation.inputs.get("templateParameters", [])]
        assert declared == re.findall(r"{([^}]+)}", operation.inputs["urlTemplate"])
        assert operation.inputs["apiId"] == "inference"


def test_the_subscription_opens_this_api_and_no_other(dev):
    subscription = dev.one("Subscription", "inference-clients").inputs
    assert subscription["scope"] == "/apis/inference"
    assert subscription["state"] == "active"


# Policy


def test_the_policy_is_xml_on_the_api(dev):
    policy = dev.one("ApiPolicy", "inference-policy").inputs
    assert policy["format"] == "xml"
    assert policy["policyId"] == "policy"
    assert policy["apiId"] == "inference"
    assert "${" not in policy["value"]
    sections = [section.tag for section in policy_of(dev)]
    assert sections == ["inbound", "backend", "outbound", "on-error"]


def test_the_policy_sends_to_the_pool_in_each_attempt(dev):
    policy = policy_of(dev)
    to_the_pool, to_one = [s.get("backend-id") for s in policy.iter("set-backend-service")]
    assert to_the_pool == POOL
    assert 'context.Variables["order"]' in to_one
    steps = [step.tag for step in policy.find("backend/retry")]
    assert steps == [
        "choose",
        *["set-variable"] * 3,
        "set-backend-service",
        *["choose"] * 2,
        "set-variable",
    ]
    assert [each.tag for each in policy.find("backend")] == ["retry"]  # Azure takes one statement


def test_with_several_models_the_policy_chooses_the_pool_by_the_deployment(custom):
    policy = policy_of(custom)
    assert [s.get("backend-id") for s in policy.iter("set-backend-service")][:-1] == [
        POOL,
        f"{POOL}-small",
        f"{POOL}-embed",
    ]
    retry = policy.find("backend/retry")
    chosen = [when for when in retry.iter("when") if when.find("set-backend-service") is not None]
    compared = '@((string)context.Variables["deployment"] == "{}")'
    assert [each.get("condition") for each in chosen] == [
        compared.format("small"),
        compared.format("embed"),
        FOLLOWS,
    ]
    named = {each.get("name"): each.get("value") for each in policy.iter("set-variable")}
    assert 'MatchedParameters.GetValueOrDefault("deployment-id"' in named["deployment"]
    assert "As<string>(preserveContent: true)" in named["deployment"]
    assert 'new [] { "small", "embed" }.Contains(' in named["ending"]


def test_one_model_s_policy_chooses_nothing(dev):
    names = {each.get("name") for each in policy_of(dev).iter("set-variable")}
    assert not names & {"deployment", "ending"}


def test_an_attempt_first_notes_what_the_one_before_it_met(dev):
    when = policy_of(dev).find("backend/retry/choose/when")
    assert when.get("condition") == '@((int)context.Variables["attempts"] > 0)'
    note, *_ = when
    for part in ("Request.Url.Host", 'Response == null ? "none"', "StatusCode.ToString()"):
        assert part in note.get("value")


def test_the_policy_waits_for_the_pool(dev):
    assert dev.one("Backend", POOL).urn in dev.one("ApiPolicy", "inference-policy").depends_on


def test_the_policy_repeats_what_no_region_has_executed(dev):
    (retry,) = policy_of(dev).iter("retry")
    assert (retry.get("count"), retry.get("interval")) == ("5", "0")
    assert retry.get("first-fast-retry") == "true"
    condition = retry.get("condition")
    statuses = ("== 401", "== 403", "== 429", ">= 500")
    unanswered = ("status == 0) { return false || 21 > ", "status == 504 ? false")
    for part in (*unanswered, *(f"status {each}" for each in statuses)):
        assert part in condition
    assert "if (attempts > 5) { return false; }" in condition
    assert "TotalSeconds >= 240" in condition
    kept, large = retry.iter("forward-request")
    assert (kept.get("buffer-request-body"), large.get("buffer-request-body")) == ("true", "false")
    for forward in (kept, large):
        assert forward.get("buffer-response") == "false"  # streams pass as they arrive
        assert forward.get("timeout") == '@((int)context.Variables["wait"])'
    (wait,) = [each for each in retry.iter("set-variable") if each.get("name") == "wait"]
    assert "240 - (int)context.Elapsed.TotalSeconds" in wait.get("value")
    assert "more ? 100 : left" in wait.get("value")


def test_what_is_repeated_comes_from_config(declare):
    program = declare(retries={"count": 0, "timeout": 9, "deadline": 50, "repeatUnanswered": True})
    (retry,) = policy_of(program).iter("retry")
    condition = retry.get("condition")
    assert retry.get("count") == "2"  # for the ids alone: each region is asked
    assert "if (attempts > 0) { return false; }" in condition
    for part in ("TotalSeconds >= 50", "return true || 8 > ", "status == 504 ? true"):
        assert part in condition


@pytest.mark.parametrize(
    ("tier", "streaming", "largest", "buffered"),
    [
        ("Consumption", False, 2, "true"),
        ("BasicV2", True, 2, "false"),
        ("StandardV2", False, 2, "true"),
        ("Developer", True, 500, "false"),
        ("Premium", True, 500, "false"),
    ],
)
def test_what_is_kept_of_a_call_is_what_the_tier_can_keep(
    declare, tier, streaming, largest, buffered
):
    off = {"breaker": None, "monitoring": None} if tier == "Consumption" else {}
    program = declare(gateway={"sku": tier}, streaming=streaming, **off)
    named = {
        each.get("name"): each.get("value") for each in policy_of(program).iter("set-variable")
    }
    assert f"{largest * 1024 * 1024} >= long.Parse(" in named["kept"]
    forwards = policy_of(program).iter("forward-request")
    assert {each.get("buffer-response") for each in forwards} == {buffered}
    longest = 30 if tier == "Consumption" else 240
    assert f"{longest} - (int)context.Elapsed.TotalSeconds" in named["wait"]


def test_a_policy_that_consumption_does_not_take_is_a_mistake_in_the_config(declare):
    models = [{**MODELS[0], "name": f"model{number}"} for number in range(60)]
    off = {"breaker": None, "streaming": False, "monitoring": None}
    config = {"regions": TWO, "models": models, **off}
    (line,) = policy_mistakes(parse(config), "Consumption")
    assert re.fullmatch(
        r"openai-gateway:models is a list of 60, whose policy has \d{5} bytes: a Consumption "
        "service takes 16384; list fewer, or choose another tier",
        line,
    )
    assert not [*policy_mistakes(parse(config), "BasicV2")]
    with pytest.raises(pulumi.RunError) as caught:
        declare(**config, gateway={"sku": "Consumption"})
    assert str(caught.value) == line


def test_the_policy_signs_in_with_the_gateway_s_identity_and_drops_the_client_s_key(dev):
    inbound = policy_of(dev).find("inbound")
    token = inbound.find("authentication-managed-identity")
    assert token.get("resource") == "https://cognitiveservices.azure.com"
    assert token.get("ignore-error") == "false"
    headers = {each.get("name"): each for each in inbound.iter("set-header")}
    assert headers["api-key"].get("exists-action") == "delete"
    (parameter,) = inbound.iter("set-query-parameter")
    assert parameter.attrib == {"name": "api-key", "exists-action": "delete"}
    assert headers["Authorization"].get("exists-action") == "override"
    value = headers["Authorization"].findtext("value")
    assert value.startswith('@("Bearer " + ')
    assert token.get("output-token-variable-name") in value


def test_the_policy_reveals_the_backend_its_attempts_and_what_they_met(dev, custom):
    def reveals(program):
        whens = policy_of(program).find("outbound").findall("choose/when")
        return [when for when in whens if any(when.iter("set-header"))][-1]

    headers = {each.get("name"): each.findtext("value") for each in reveals(dev).iter("set-header")}
    revealed = {f"x-backend-{end}" for end in ("host", "attempts", "steps", "tried")}
    assert set(headers) == revealed
    assert headers["x-backend-host"] == "@(context.Request.Url.Host)"
    assert reveals(dev).get("condition") == "true"
    assert reveals(custom).get("condition") == "false"
    for program in (dev, custom):
        names = [each.get("name") for each in policy_of(program).iter("set-header")]
        assert len([name for name in names if name.startswith("x-backend")]) == len(revealed)


@pytest.mark.parametrize(
    ("section", "condition"),
    [
        ("outbound", 'Variables["status"] >= 500'),
        ("on-error", 'LastError.Section == "backend"'),
        ("outbound", 'Variables["status"] == 504'),
        ("on-error", 'LastError.Reason == "Timeout"'),
    ],
)
def test_what_fails_is_told_with_retry_after_and_no_name(dev, section, condition):
    whens = policy_of(dev).find(section).findall("choose/when")
    (when,) = [when for when in whens if condition in when.get("condition")]
    code = "504" if "504" in condition or "Timeout" in condition else "503"
    answer = when.find("return-response")
    assert answer.find("set-status").get("code") == code
    headers = {each.get("name"): each.findtext("value") for each in answer.iter("set-header")}
    assert int(headers["Retry-After"]) > 0
    body = answer.findtext("set-body")
    assert json.loads(body)["error"]["code"] == code
    assert not re.search("foundry|pool|openai", body)


# What a change of the regions touches


def regions_of(stack="dev"):
    return recording.config_of(stack)["regions"]


def touched(before, after) -> set[str]:
    """Names of the resources that a change of the program creates, updates or deletes."""

    def seen(program):
        return {
            each.urn: {
                key: value for key, value in each.inputs.items() if key not in each.ignore_changes
            }
            for each in program.resources
            if each.custom
        }

    old, new = seen(before), seen(after)
    return {urn.rpartition("::")[2] for urn in old | new if old.get(urn) != new.get(urn)}


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))][1:])
def test_the_order_of_the_regions_means_nothing(declare, few, order):
    shuffled = declare(regions=[regions_of()[position] for position in order])
    assert touched(few, shuffled) == set()
    assert shuffled.outputs == few.outputs


def naming(program) -> set[str]:
    """What has the declared regions in its text."""
    return {"inference-policy", *watching(program)}


def watching(program) -> set[str]:
    """What has the declared regions, and what they should get, in its queries."""
    return {"workbook", *(rule.name for rule in program.all("ScheduledQueryRule"))}


@pytest.mark.parametrize("name", REGIONS)
def test_a_region_that_is_removed_touches_its_own_and_the_pool(declare, few, name):
    fewer = declare(regions=[each for each in regions_of() if each["name"] != name])
    own = {each.name for each in few.resources if each.custom and each.name.startswith(name)}
    assert len(own) == 3
    assert touched(few, fewer) == own | {POOL} | naming(few)


@pytest.mark.parametrize("position", range(3))
def test_a_region_that_is_renamed_touches_its_own_and_the_pool(declare, few, position):
    renamed = regions_of()
    renamed[position]["name"] = "alpha"
    names = (f"foundry{position + 1}", "alpha")
    assert {
        each for each in touched(few, declare(regions=renamed)) if not each.startswith(names)
    } == {POOL} | naming(few)


def test_group_and_service_stay_where_they_are_unless_a_location_is_given(declare, dev):
    for kind, name in (("ResourceGroup", "openai"), ("ApiManagementService", "gateway")):
        kept = dev.one(kind, name)
        assert (kept.inputs["location"], kept.ignore_changes) == ("uksouth", ["location"])
        given = declare(location="Sweden Central").one(kind, name)
        assert (given.inputs["location"], given.ignore_changes) == ("swedencentral", [])


# Protection


def protected(program) -> set[str]:
    return {each.name for each in program.resources if each.protect}


def test_accounts_service_and_the_clients_key_are_protected_and_nothing_else(declare, dev):
    assert protected(dev) == {*REGIONS, "gateway", "inference-clients"}
    assert all(each.custom for each in dev.resources if each.protect)
    assert protected(declare(protect=False)) == set()
    assert protected(declare(protect={"except": ["foundry2", "gateway"]})) == {
        "foundry1",
        "foundry3",
    }


def test_what_has_a_fixed_name_says_so_itself_and_is_deleted_before_it_is_replaced(dev):
    first = {each.urn for each in dev.resources if each.delete_before_replace}
    assert first == {each.urn for each in dev.resources if each.type.startswith("azure-native:")}


def test_the_clients_key_is_the_first_to_be_deleted(dev):
    """All else has something that depends on it, so that the engine begins with what is protected.

    Values of `random` are nowhere but in the state.
    """
    needed = set()
    for each in dev.resources:
        needed |= {each.parent, *each.depends_on}
    in_azure = [each for each in dev.resources if each.type.startswith("azure-native:")]
    assert [each.name for each in in_azure if each.urn not in needed] == ["inference-clients"]


@pytest.mark.parametrize(
    ("protect", "names"),
    [(True, []), (False, []), ({"except": ["foundry2"]}, ["foundry2"])],
)
def test_what_is_unprotected_by_name_is_told_to_the_rules_and_not_to_the_stack(
    declare, protect, names
):
    program = declare(protect=protect)
    assert program.one("LoadBalancedOpenAI", "openai").outputs["unprotected"] == names
    assert "unprotected" not in program.outputs


# Order and structure


PARENTS = {
    "azure-native:resources:ResourceGroup": "openai-gateway:index:LoadBalancedOpenAI",
    "azure-native:cognitiveservices:Account": "openai-gateway:index:RegionalOpenAI",
    "azure-native:cognitiveservices:Deployment": "openai-gateway:index:RegionalOpenAI",
    "azure-native:authorization:RoleAssignment": "openai-gateway:index:RegionalOpenAI",
    "azure-native:apimanagement:ApiManagementService": "openai-gateway:index:ApiGateway",
    "azure-native:apimanagement:Backend": "openai-gateway:index:BackendPool",
    "azure-native:apimanagement:Api": "openai-gateway:index:InferenceApi",
    "azure-native:apimanagement:ApiOperation": "openai-gateway:index:InferenceApi",
    "azure-native:apimanagement:ApiPolicy": "openai-gateway:index:InferenceApi",
    "azure-native:apimanagement:Subscription": "openai-gateway:index:InferenceApi",
    "random:index/randomString:RandomString": "openai-gateway:index:LoadBalancedOpenAI",
    "random:index/randomUuid:RandomUuid": "openai-gateway:index:RegionalOpenAI",
    "azure-native:apimanagement:Logger": "openai-gateway:index:Monitoring",
    "azure-native:apimanagement:ApiDiagnostic": "openai-gateway:index:Monitoring",
    "azure-native:operationalinsights:Workspace": "openai-gateway:index:Monitoring",
    "azure-native:monitor:DiagnosticSetting": "openai-gateway:index:Monitoring",
    "azure-native:monitor:ScheduledQueryRule": "openai-gateway:index:Monitoring",
    "azure-native:applicationinsights:Workbook": "openai-gateway:index:Monitoring",
    "openai-gateway:index:RegionalOpenAI": "openai-gateway:index:LoadBalancedOpenAI",
    "openai-gateway:index:ApiGateway": "openai-gateway:index:LoadBalancedOpenAI",
    "openai-gateway:index:BackendPool": "openai-gateway:index:LoadBalancedOpenAI",
    "openai-gateway:index:InferenceApi": "openai-gateway:index:LoadBalancedOpenAI",
    "openai-gateway:index:Monitoring": "openai-gateway:index:LoadBalancedOpenAI",
}


def test_every_resource_belongs_to_its_component(dev):
    types = {each.urn: each.type for each in dev.resources}
    found = {each.type: types[each.parent] for each in dev.resources if each.type in PARENTS}
    assert found == PARENTS
    unlisted = {each.type for each in dev.resources} - set(PARENTS)
    assert unlisted == {"pulumi:pulumi:Stack", "openai-gateway:index:LoadBalancedOpenAI"}


def test_urns_stay_what_they_are(dev):
    # A changed URN is a replacement of the resource in every stack that there is.
    urns = {each.urn for each in dev.resources}
    for tail in (
        "openai-gateway:index:RegionalOpenAI$azure-native:cognitiveservices:Account::foundry1",
        "openai-gateway:index:ApiGateway$azure-native:apimanagement:ApiManagementService::gateway",
        f"openai-gateway:index:BackendPool${BACKEND}::{POOL}",
        "openai-gateway:index:InferenceApi$azure-native:apimanagement:Api::inference",
    ):
        assert STACK_URN + tail in urns


# Outputs


def test_the_outputs_are_the_contract_with_the_probe(dev):
    assert unwrap(dev.outputs) == {
        "resource_group": GROUP,
        "gateway_url": "https://apim-abcd1234.azure-api.net",
        "inference_url": "https://apim-abcd1234.azure-api.net/inference",
        "subscription_key": KEY,
        "deployment": "chat",
        "api_version": "2024-10-21",
        "pool": {"id": f"{SERVICE}/backends/{POOL}", "name": POOL},
        "routing": "round-robin",
        "backends": [
            {
                "id": name,
                "location": location,
                "region": region,
                "url": f"https://{name}-abcd1234.openai.azure.com/openai",
                "priority": 1,
                "weight": 1,
            }
            for (name, location), region in zip(
                REGIONS.items(), ["UK South", "East US", "Norway East"], strict=True
            )
        ],
        "subscription": f"{SERVICE}/subscriptions/inference-clients",
        "pools": [{"deployment": "chat", "id": f"{SERVICE}/backends/{POOL}", "name": POOL}],
        "policy": {
            "id": f"{SERVICE}/apis/inference/policies/policy",
            "digest": digest(dev.one("ApiPolicy", "inference-policy").inputs["value"]),
        },
        "workspace": {
            "id": f"{SUBSCRIPTION}/resourceGroups/{GROUP}/providers"
            "/Microsoft.OperationalInsights/workspaces/log-abcd1234",
            "customer_id": CUSTOMER,
        },
    }


def test_the_key_is_a_secret_and_stands_nowhere_else(dev):
    assert is_secret(dev.outputs["subscription_key"])
    plain = {key: value for key, value in dev.outputs.items() if key != "subscription_key"}
    assert KEY not in json.dumps(plain)
    for each in dev.resources:
        assert KEY not in json.dumps(each.inputs)
    assert all(KEY not in line for _, line in dev.log)


def test_a_key_that_is_not_exported_is_not_looked_up(declare, monkeypatch):
    monkeypatch.delitem(recording.ANSWERS, "azure-native:apimanagement:listSubscriptionSecrets")
    outputs = declare(exportKey=False, apiVersion="2025-01-01-preview").outputs
    assert "subscription_key" not in outputs
    assert outputs["subscription"].endswith("/subscriptions/inference-clients")
    assert outputs["api_version"] == "2025-01-01-preview"


# What a user is told


def told(program) -> list[tuple[str, str]]:
    return [line for line in program.log if line[0] != "DEBUG"]


def test_the_forecast_is_a_diagnostic(dev):
    assert told(dev) == [
        (
            "INFO",
            (
                "Expected traffic: UK South 33.3 %, East US 33.3 %, Norway East 33.3 % (round "
                "robin); shares are of accounts: GlobalStandard may be processed elsewhere"
            ),
        ),
        (
            "WARNING",
            "openai-gateway:monitoring: the alarm rings nowhere; set alertEmails or webhook",
        ),
    ]


def test_a_regional_deployment_type_is_processed_where_its_account_is(declare):
    regional = {**MODELS[0], "model": "text-embedding-3-large", "sku": "Standard"}
    ((_, line),) = told(declare(models=[regional], monitoring=None))
    assert line.endswith("Norway East 33.3 % (round robin)")


def test_an_unequal_pool_is_a_warning_with_its_shares(declare):
    (level, line), starved = told(declare("incident", monitoring=None))
    assert level == "WARNING"
    assert starved == (
        "WARNING",
        (
            "East US and Norway East get 0 % of the traffic while UK South is up; if that is "
            "meant, set openai-gateway:acceptStarved to [foundry2, foundry3]"
        ),
    )
    assert line.startswith(
        "Expected traffic: UK South 100.0 %, East US 0.0 %, Norway East 0.0 % (not round robin"
    )


def test_a_mistake_in_the_config_declares_nothing_and_shows_no_stack_trace(declare):
    with pytest.raises(pulumi.RunError) as caught:
        declare(regions=[])
    assert "openai-gateway:regions" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_the_recorder_refuses_what_the_engine_would_refuse():
    azure = recording.Azure()
    with pytest.raises(AssertionError, match="unknown type"):
        azure.new_resource(
            recording.mocks.MockResourceArgs(
                typ="azure-native:x:Y", name="y", inputs={}, custom=True
            )
        )
