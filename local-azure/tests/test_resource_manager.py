"""What Resource Manager keeps, answers and forgets."""

import json
import logging
import os
import random
import signal
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from arm_server import (
    ACCOUNT,
    API,
    ASSIGNMENT,
    BACKEND,
    DELETED_ACCOUNT,
    DELETED_SERVICE,
    DEPLOYMENT,
    FRAGMENT,
    GROUP,
    HEADERS,
    IDENTITY,
    KEY,
    LEAST,
    NAMED_VALUE,
    OPENAI_USER,
    OPERATION,
    OPERATION_POLICY,
    POLICY,
    POOL,
    SERVICE,
    SERVICE_POLICY,
    SUBSCRIPTION,
    serving,
)

from local_azure.identity import PRINCIPAL_ID
from local_azure.locations import Locations

HOURS = 3600.0
EVERYTHING = (
    GROUP,
    ACCOUNT,
    DEPLOYMENT,
    SERVICE,
    BACKEND,
    POOL,
    API,
    OPERATION,
    POLICY,
    KEY,
    ASSIGNMENT,
)
CHILDREN = (BACKEND, API, OPERATION, POLICY, KEY)


def needed_by(path: str) -> list[str]:
    """Return what has to be there before a resource."""
    parents = [each for each in EVERYTHING if path.startswith(f"{each}/")]
    return parents + {POOL: [BACKEND], KEY: [API]}.get(path, [])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("arm")) as arm:
        yield arm


@pytest.fixture
def arm(server):
    server.reset()
    return server


@pytest.fixture
def slow(tmp_path):
    with serving(tmp_path, provisioning_seconds=10.0) as arm:
        yield arm


# -- bodies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: path.rsplit("/", 2)[-2])
def test_a_put_creates_then_updates_and_get_answers_the_same(arm, path):
    arm.deploy(*needed_by(path))
    created = arm.put(path, LEAST[path])
    assert created.status_code == 201
    assert created.json()["id"] == path
    assert created.json()["name"] == path.rsplit("/", 1)[-1]
    assert arm.get(path).json() == created.json()
    updated = arm.put(path, LEAST[path])
    assert updated.status_code == 200
    assert updated.json()["id"] == path


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: path.rsplit("/", 2)[-2])
def test_what_get_answers_can_be_put_again_and_changes_nothing(arm, path):
    arm.deploy(*EVERYTHING)
    body = arm.get(path).json()
    answer = arm.put(path, body)
    assert answer.status_code == 200, answer.text
    again = arm.get(path).json()
    for each in (body, again):
        each.pop("etag", None)
        each.get("properties", {}).pop("updatedOn", None)
    assert again == body


def test_a_put_replaces_the_whole_resource(arm):
    arm.deploy(GROUP, SERVICE)
    arm.put(BACKEND, {"properties": {**LEAST[BACKEND]["properties"], "title": "Old"}})
    arm.put(BACKEND, LEAST[BACKEND])
    assert "title" not in arm.properties(BACKEND)


def test_names_keep_their_casing_and_look_ups_ignore_it(arm):
    arm.deploy(GROUP, SERVICE)
    path = BACKEND.replace("resourceGroups", "RESOURCEGROUPS").replace("foundry1", "Foundry1")
    path = path.replace("Microsoft.ApiManagement", "microsoft.apimanagement")
    version = {"api-version": "2024-05-01"}
    first = arm.put(path, LEAST[BACKEND], params=version)
    assert first.json()["id"] == BACKEND.replace("foundry1", "Foundry1")
    second = arm.put(BACKEND.replace("/backends/", "/BACKENDS/"), LEAST[BACKEND])
    assert second.status_code == 200
    assert second.json()["id"] == first.json()["id"]
    assert second.json()["name"] == "Foundry1"
    found = arm.client.get(BACKEND.upper(), params=version)
    assert found.json()["id"] == first.json()["id"]
    assert found.json()["type"] == "Microsoft.ApiManagement/service/backends"


def test_percent_encoded_names_are_names(arm):
    arm.deploy(GROUP, SERVICE)
    assert (
        arm.put(f"{SERVICE}/backends/my%20backend", LEAST[BACKEND]).json()["name"] == "my backend"
    )
    assert arm.get(f"{SERVICE}/backends/my%20backend").status_code == 200
    assert arm.put(f"{SERVICE}/backends/a%2Fb", LEAST[BACKEND]).status_code == 400


def test_a_location_is_stored_as_azure_writes_it(arm):
    assert arm.put(GROUP, {"location": "UK South"}).json()["location"] == "uksouth"


def test_an_account_has_its_endpoint_and_two_keys_that_stay(arm):
    arm.deploy(GROUP)
    body = {**LEAST[ACCOUNT], "properties": {"customSubDomainName": "Foundry1-abc"}}
    answer = arm.put(ACCOUNT, body).json()
    assert answer["properties"]["endpoint"] == "https://foundry1-abc.openai.azure.com/"
    assert answer["properties"]["provisioningState"] == "Succeeded"
    assert answer["properties"]["disableLocalAuth"] is False
    keys = arm.request("POST", f"{ACCOUNT}/listKeys").json()
    assert set(keys) == {"key1", "key2"}
    assert len(set(keys.values())) == 2
    arm.put(ACCOUNT, body)
    assert arm.request("POST", f"{ACCOUNT}/listkeys").json() == keys
    assert arm.store.secrets(ACCOUNT) == keys


def test_an_account_without_subdomain_has_a_regional_endpoint(arm):
    arm.deploy(GROUP)
    answer = arm.put(ACCOUNT, {**LEAST[ACCOUNT], "properties": {}})
    endpoint = answer.json()["properties"]["endpoint"]
    assert endpoint == "https://uksouth.api.cognitive.microsoft.com/"


def test_a_deployment_has_limits_that_follow_from_its_capacity(arm):
    arm.deploy(GROUP, ACCOUNT, DEPLOYMENT)
    answer = arm.get(DEPLOYMENT).json()
    assert answer["sku"] == {"name": "GlobalStandard", "capacity": 10}
    assert answer["properties"]["rateLimits"] == [
        {"key": "request", "renewalPeriod": 10, "count": 10},
        {"key": "token", "renewalPeriod": 60, "count": 10_000},
    ]
    assert answer["properties"]["model"] == LEAST[DEPLOYMENT]["properties"]["model"]


def test_a_service_keeps_its_gateway_url_and_its_identity(tmp_path):
    given: list[str] = []

    def gateway_url(service_id: str) -> str:
        given.append(service_id)
        return f"http://127.0.0.1:{len(given)}"

    with serving(tmp_path, gateway_url=gateway_url) as arm:
        arm.deploy(GROUP, SERVICE)
        first = arm.get(SERVICE).json()
        arm.deploy(SERVICE)
        assert arm.put(f"{SERVICE}2", {**LEAST[SERVICE], "sku": {}}).status_code == 400
        again = arm.get(SERVICE).json()
    assert given == [SERVICE]
    assert first["properties"]["gatewayUrl"] == again["properties"]["gatewayUrl"]
    assert first["identity"] == again["identity"]
    assert first["identity"]["tenantId"] == "00000000-0000-0000-0000-000000000001"
    assert str(uuid.UUID(first["identity"]["principalId"])) == first["identity"]["principalId"]


def test_a_service_is_assigned_an_identity_that_others_may_have_too(arm):
    arm.deploy(GROUP, IDENTITY)
    identity = arm.properties(IDENTITY)
    arm.deploy(IDENTITY)
    assert arm.properties(IDENTITY) == identity
    assert len({identity["principalId"], identity["clientId"], identity["tenantId"]}) == 3
    body = {**LEAST[SERVICE], "identity": {"type": "UserAssigned", "userAssignedIdentities": {}}}
    body["identity"]["userAssignedIdentities"] = {IDENTITY: {}}
    assigned = arm.put(SERVICE, body).json()["identity"]
    assert "principalId" not in assigned
    known = {name: identity[name] for name in ("principalId", "clientId")}
    assert assigned["userAssignedIdentities"] == {IDENTITY: known}
    body["identity"]["type"] = "SystemAssigned, UserAssigned"
    both = arm.put(SERVICE, body).json()["identity"]
    assert both["userAssignedIdentities"] == {IDENTITY: known}
    assert both["principalId"] != identity["principalId"]
    assignment = {
        "properties": {"roleDefinitionId": OPENAI_USER, "principalId": identity["principalId"]}
    }
    arm.deploy(ACCOUNT)
    # Without a type, a principal has to be known.
    assert arm.put(ASSIGNMENT, assignment).status_code == 201


def test_a_service_without_identity_has_no_principal(arm):
    arm.deploy(GROUP)
    body = {key: value for key, value in LEAST[SERVICE].items() if key != "identity"}
    assert "identity" not in arm.put(SERVICE, body).json()


def test_a_pool_answers_with_null_for_url_and_protocol(arm):
    arm.deploy(GROUP, SERVICE, BACKEND, POOL)
    properties = arm.properties(POOL)
    assert properties["url"] is None
    assert properties["protocol"] is None
    assert properties["type"] == "Pool"
    assert properties["pool"]["services"] == [{"id": BACKEND, "priority": 1, "weight": 1}]
    assert arm.properties(BACKEND)["type"] == "Single"


def test_a_pool_takes_30_members_and_the_ends_of_the_ranges(arm):
    arm.deploy(GROUP, SERVICE)
    services = []
    for number in range(30):
        arm.put(f"{BACKEND}{number}", LEAST[BACKEND])
        services.append({"id": f"{BACKEND}{number}", "priority": 0, "weight": 100})
    services[0] = {"id": f"{BACKEND}0".upper(), "priority": None, "weight": 1.0}
    answer = arm.put(POOL, {"properties": {"type": "Pool", "pool": {"services": services}}})
    assert answer.status_code == 201, answer.text
    stored = answer.json()["properties"]["pool"]["services"]
    assert stored[0] == {"id": f"{BACKEND}0".upper(), "weight": 1}
    assert stored[1:] == services[1:]


def test_a_member_may_be_written_without_its_service(arm):
    arm.deploy(GROUP, SERVICE, BACKEND)
    services = [{"id": "/Backends/FOUNDRY1", "priority": 1, "weight": 1}]
    answer = arm.put(POOL, {"properties": {"type": "Pool", "pool": {"services": services}}})
    assert answer.status_code == 201, answer.text
    assert arm.properties(POOL)["pool"]["services"] == services
    assert "'pool'" in arm.delete(BACKEND).text
    services[0]["id"] = "/backends/foundry9"
    refused = arm.put(POOL, {"properties": {"type": "Pool", "pool": {"services": services}}})
    assert refused.json()["error"]["details"][0]["message"] == (
        "Backend Entity 'foundry9' not found."
    )


@pytest.mark.parametrize(
    "tier",
    ["Developer", "Basic", "Standard", "Premium", "BasicV2", "StandardV2", "PremiumV2"],
)
def test_every_tier_that_has_units_is_taken(arm, tier):
    arm.deploy(GROUP)
    answer = arm.put(SERVICE, {**LEAST[SERVICE], "sku": {"name": tier, "capacity": 1}})
    assert (answer.status_code, answer.json()["sku"]["name"]) == (201, tier)


@pytest.mark.parametrize(
    ("tier", "flags"),
    [
        ("Consumption", (False, None)),
        *((tier, (True, None)) for tier in ("Developer", "Basic", "Standard", "Premium")),
        *((tier, (False, None)) for tier in ("BasicV2", "StandardV2", "PremiumV2")),
    ],
)
def test_client_certificates_are_off_where_azure_lets_them(arm, tier, flags):
    arm.deploy(GROUP)
    sku = {"name": tier, "capacity": 0 if tier == "Consumption" else 1}
    for flag in flags:
        properties = LEAST[SERVICE]["properties"] | {"enableClientCertificate": flag}
        answer = arm.put(SERVICE, {**LEAST[SERVICE], "sku": sku, "properties": properties})
        assert answer.status_code in {200, 201}, answer.text


def test_a_breaker_is_stored_as_given(arm):
    arm.deploy(GROUP, SERVICE)
    breaker = {
        "rules": [
            {
                "name": "r",
                "failureCondition": {
                    "count": 3,
                    "interval": "PT1M",
                    "statusCodeRanges": [{"min": 200, "max": 599}],
                },
                "tripDuration": "P1DT1H0.5S",
                "acceptRetryAfter": True,
            }
        ]
    }
    arm.put(BACKEND, {"properties": {**LEAST[BACKEND]["properties"], "circuitBreaker": breaker}})
    assert arm.properties(BACKEND)["circuitBreaker"] == breaker


def test_a_consumption_service_takes_a_pool_and_no_breaker(arm):
    arm.deploy(GROUP)
    arm.put(SERVICE, {**LEAST[SERVICE], "sku": {"name": "Consumption", "capacity": 0}})
    arm.deploy(BACKEND, POOL)
    assert arm.properties(POOL)["type"] == "Pool"


def test_an_api_has_azures_defaults(arm):
    arm.deploy(GROUP, SERVICE)
    answer = arm.put(API, {"properties": {"displayName": "Inference", "path": "/inference/"}})
    properties = answer.json()["properties"]
    assert properties["path"] == "inference"
    assert properties["protocols"] == ["https"]
    assert properties["subscriptionRequired"] is True
    assert properties["subscriptionKeyParameterNames"] == {
        "header": "Ocp-Apim-Subscription-Key",
        "query": "subscription-key",
    }
    names = {"subscriptionKeyParameterNames": {"header": "api-key"}}
    arm.put(API, {"properties": {**LEAST[API]["properties"], **names}})
    assert arm.properties(API)["subscriptionKeyParameterNames"] == {
        "header": "api-key",
        "query": "subscription-key",
    }


def test_a_policy_comes_back_as_azure_writes_it(arm):
    arm.deploy(GROUP, SERVICE, BACKEND, API)
    raw = """<policies>
    <inbound>  <base/>
       <!-- each -->
       <set-header name='a'
         exists-action="override">
         <value>@{
    return "<" + context.Api.Name;
  }</value></set-header>
       <set-variable name="b" value="@(context.Variables["a"] == "x" && 1 < 2)" />
    </inbound></policies>"""
    answer = arm.put(POLICY, {"properties": {"format": "rawxml", "value": raw}})
    as_xml = (
        "<policies>\r\n\t<inbound>\r\n\t\t<base />\r\n\t\t<!-- each -->\r\n"
        '\t\t<set-header name="a" exists-action="override">\r\n\t\t\t<value>@{\n'
        '    return "&lt;" + context.Api.Name;\n  }</value>\r\n\t\t</set-header>\r\n'
        '\t\t<set-variable name="b" value="@(context.Variables[&quot;a&quot;] == &quot;x&quot;'
        ' &amp;&amp; 1 &lt; 2)" />\r\n\t</inbound>\r\n</policies>'
    )
    assert answer.json()["properties"] == arm.properties(POLICY) == {"value": as_xml}
    asked = arm.get(POLICY, params={"format": "rawxml"}).json()["properties"]
    readable = as_xml.replace("&lt;", "<").replace("&quot;", '"').replace("&amp;", "&")
    assert asked == {"format": "rawxml", "value": readable}
    arm.put(POLICY, {"properties": {"format": "xml", "value": as_xml}})
    assert arm.properties(POLICY) == {"value": as_xml}


def test_operations_of_one_template_may_differ_in_method(arm):
    arm.deploy(GROUP, SERVICE, API, OPERATION)
    body = {"properties": {**LEAST[OPERATION]["properties"], "method": "GET"}}
    assert arm.put(f"{OPERATION}2", body).status_code == 201


def test_a_role_is_answered_by_its_id_under_the_subscription(arm):
    arm.deploy(GROUP, ACCOUNT, ASSIGNMENT)
    properties = arm.properties(ASSIGNMENT)
    assert properties["roleDefinitionId"] == f"{SUBSCRIPTION}{OPENAI_USER}"
    assert properties["scope"] == ACCOUNT
    assert properties["principalType"] == "ServicePrincipal"


@pytest.mark.parametrize("scope", ["", SUBSCRIPTION])
def test_the_role_can_be_read(arm, scope):
    assert arm.properties(f"{scope}{OPENAI_USER}")["roleName"] == "Cognitive Services OpenAI User"


@pytest.mark.parametrize("who", ["the gateway", "who signs in"])
def test_a_known_principal_needs_no_type(arm, who):
    arm.deploy(GROUP, ACCOUNT, SERVICE)
    gateway = arm.get(SERVICE).json()["identity"]["principalId"]
    principal = gateway if who == "the gateway" else PRINCIPAL_ID
    body = {"properties": {"roleDefinitionId": OPENAI_USER, "principalId": principal}}
    assert arm.put(ASSIGNMENT, body).json()["properties"]["principalType"] == "ServicePrincipal"


def test_the_azure_cli_finds_the_api_versions_of_a_type_by_its_provider(arm):
    listed = arm.get(f"{SUBSCRIPTION}/providers").json()["value"]
    assert {each["registrationState"] for each in listed} == {"Registered"}
    provider = arm.get(f"{SUBSCRIPTION}/providers/microsoft.apimanagement").json()
    assert provider in listed
    versions = {each["resourceType"]: each["apiVersions"] for each in provider["resourceTypes"]}
    assert versions["service"][0] == "2024-05-01"
    assert "service/backends" in versions
    register = f"{SUBSCRIPTION}/providers/Microsoft.ApiManagement/register"
    registered = arm.request("POST", register, params={"api-version": "2024-11-01"})
    assert registered.json() == provider


def test_the_subscription_is_there(arm):
    answer = arm.get(SUBSCRIPTION).json()
    assert answer["subscriptionId"] == "00000000-0000-0000-0000-000000000000"
    assert [each["id"] for each in arm.get("/subscriptions").json()["value"]] == [SUBSCRIPTION]


def test_a_subscription_lists_its_locations(arm):
    answer = arm.get(f"{SUBSCRIPTION}/locations", params={"api-version": "2022-12-01"}).json()
    assert "nextLink" not in answer
    by_name = {each["name"]: each for each in answer["value"]}
    assert by_name["uksouth"] == {
        "id": f"{SUBSCRIPTION}/locations/uksouth",
        "name": "uksouth",
        "type": "Region",
        "displayName": "UK South",
        "regionalDisplayName": "(Europe) UK South",
        "metadata": {
            "regionType": "Physical",
            "regionCategory": "Recommended",
            "geographyGroup": "Europe",
        },
    }
    shown = {name: by_name[name]["regionalDisplayName"] for name in ("westus3", "austriaeast")}
    assert shown == {"westus3": "(US) West US 3", "austriaeast": "(Europe) Austria East"}
    for name in by_name:
        group = {"location": name}
        put = arm.put(f"{SUBSCRIPTION}/resourceGroups/in-{name}", group)
        assert put.status_code == 201, name


def test_a_location_that_is_added_is_one_like_the_others(tmp_path):
    with serving(tmp_path, locations=Locations({"marsnorth": "Mars North"})) as arm:
        arm.deploy(GROUP)
        assert arm.put(ACCOUNT, {**LEAST[ACCOUNT], "location": "Mars North"}).status_code == 201
        listed = arm.get(f"{SUBSCRIPTION}/locations").json()["value"]
        assert {"marsnorth": "Mars North"}.items() <= {
            each["name"]: each["displayName"] for each in listed
        }.items()
        refused = arm.put(SERVICE, {**LEAST[SERVICE], "location": "marssouth"})
        assert refused.json()["error"]["code"] == "LocationNotAvailableForResourceType"
        assert "marsnorth" in refused.json()["error"]["message"]


# -- subscription keys ----------------------------------------------------------------------------


def test_keys_are_made_once_and_answered_by_list_secrets_alone(arm):
    arm.deploy(GROUP, SERVICE, API)
    created = arm.put(KEY, LEAST[KEY])
    keys = arm.request("POST", f"{KEY}/listSecrets").json()
    assert set(keys) == {"primaryKey", "secondaryKey"}
    assert len(set(keys.values())) == 2
    arm.deploy(KEY)
    assert arm.request("POST", f"{KEY}/listSecrets").json() == keys
    answers = (created.text, arm.get(KEY).text, arm.get(f"{SERVICE}/subscriptions").text)
    assert not any(key in answer for key in keys.values() for answer in answers)
    assert arm.store.secrets(KEY) == keys


def test_keys_may_be_given(arm):
    arm.deploy(GROUP, SERVICE, API)
    given = {"primaryKey": "first-key", "secondaryKey": "second-key"}
    answer = arm.put(KEY, {"properties": {**LEAST[KEY]["properties"], **given}})
    assert arm.request("POST", f"{KEY}/listSecrets").json() == given
    assert "first-key" not in answer.text
    assert "first-key" not in arm.get(KEY).text


def test_a_secret_named_value_is_answered_by_list_value_alone(arm):
    arm.deploy(GROUP, SERVICE)
    plain = arm.put(NAMED_VALUE, LEAST[NAMED_VALUE]).json()["properties"]
    assert plain == {
        "displayName": "tenant-id",
        "value": "t",
        "secret": False,
        "tags": [],
        "provisioningState": "Succeeded",
    }
    secret = {"properties": {"displayName": "tenant-id", "value": "hush", "secret": True}}
    answers = (
        arm.put(NAMED_VALUE, secret),
        arm.get(NAMED_VALUE),
        arm.get(f"{SERVICE}/namedValues"),
    )
    assert all(answer.status_code == 200 for answer in answers)
    assert not any("hush" in answer.text for answer in answers)
    assert arm.request("POST", f"{NAMED_VALUE}/listValue").json() == {"value": "hush"}
    assert arm.delete(NAMED_VALUE).status_code == 200


def test_policies_of_every_scope_and_fragments_are_kept(arm):
    arm.deploy(GROUP, SERVICE, API, OPERATION, SERVICE_POLICY, POLICY, OPERATION_POLICY, FRAGMENT)
    for path in (SERVICE_POLICY, POLICY, OPERATION_POLICY):
        assert arm.properties(path) == {"value": "<policies />"}
    assert arm.properties(FRAGMENT)["value"] == "<fragment />"
    assert [each["name"] for each in arm.get(f"{SERVICE}/policyFragments").json()["value"]] == [
        "signed-in"
    ]


def test_a_subscriptions_scope_is_answered_in_full_and_its_state_is_submitted(arm):
    arm.deploy(GROUP, SERVICE, API)
    arm.put(KEY, {"properties": {"displayName": "Client", "scope": "/apis/inference"}})
    properties = arm.properties(KEY)
    assert properties["scope"] == API
    assert properties["state"] == "submitted"
    arm.put(KEY, {"properties": {"displayName": "Client", "scope": API}})
    assert arm.properties(KEY)["scope"] == API
    body = {"properties": {"displayName": "Client", "scope": f"{SERVICE.upper()}/apis/inference"}}
    assert arm.put(KEY, body).status_code == 200
    arm.put(KEY, {"properties": {"displayName": "Client", "scope": "/apis"}})
    assert arm.properties(KEY)["scope"] == f"{SERVICE}/apis"


# -- entity tags, HEAD ----------------------------------------------------------------------------


def test_an_entity_tag_guards_a_change(arm):
    arm.deploy(GROUP, SERVICE)
    tag = arm.put(BACKEND, LEAST[BACKEND]).headers["ETag"]
    assert arm.get(BACKEND).headers["ETag"] == tag
    head = arm.request("HEAD", BACKEND)
    assert (head.status_code, head.headers["ETag"], head.content) == (200, tag, b"")
    updated = arm.put(BACKEND, LEAST[BACKEND], headers={"If-Match": tag})
    assert updated.status_code == 200
    assert updated.headers["ETag"] != tag
    assert arm.delete(BACKEND, headers={"If-Match": tag}).status_code == 412
    assert arm.get(BACKEND).status_code == 200
    assert arm.put(BACKEND, LEAST[BACKEND], headers={"If-Match": "*"}).status_code == 200
    newest = arm.get(BACKEND).headers["ETag"]
    assert arm.delete(BACKEND, headers={"If-Match": f'"x", {newest}'}).status_code == 200
    assert arm.delete(BACKEND, headers={"If-Match": "*"}).status_code == 204
    assert arm.put(BACKEND, LEAST[BACKEND], headers={"If-Match": "*"}).status_code == 201


@pytest.mark.parametrize("path", [GROUP, ACCOUNT])
def test_head_tells_whether_a_resource_is_there(arm, path):
    assert arm.request("HEAD", path).status_code == 404
    arm.deploy(*{GROUP: None, path: None})
    assert arm.request("HEAD", path).status_code == 204


# -- lists ----------------------------------------------------------------------------------------


def test_a_list_comes_in_pages(arm):
    arm.deploy(GROUP, SERVICE)
    wanted = [f"b{number}" for number in (3, 1, 2, 5, 4)]
    for name in wanted:
        arm.put(f"{SERVICE}/backends/{name}", LEAST[BACKEND])
    page = arm.get(f"{SERVICE}/backends", params={"$top": "2"}).json()
    found, pages = [], 1
    assert page["count"] == 5
    found += [each["name"] for each in page["value"]]
    while "nextLink" in page:
        page = arm.follow(page["nextLink"]).json()
        found += [each["name"] for each in page["value"]]
        pages += 1
    assert (found, pages) == (wanted, 3)
    assert "nextLink" not in arm.get(f"{SERVICE}/backends", params={"$top": "5"}).json()


def test_a_list_may_skip(arm):
    arm.deploy(GROUP, SERVICE, BACKEND, POOL)
    page = arm.get(f"{SERVICE}/backends", params={"$skip": "1"}).json()
    assert [each["name"] for each in page["value"]] == ["pool"]
    assert "nextLink" not in page


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"$top": "0"}, "'$top' should be a whole number of at least 1, not '0'."),
        ({"$top": "many"}, "'$top' should be a whole number of at least 1, not 'many'."),
        ({"$skip": "-1"}, "'$skip' should be a whole number of at least 0, not '-1'."),
        ({"$skip": "²"}, "'$skip' should be a whole number of at least 0, not '²'."),
    ],
)
def test_a_page_that_is_none_is_refused(arm, query, message):
    arm.deploy(GROUP, SERVICE)
    answer = arm.get(f"{SERVICE}/backends", params=query)
    assert answer.status_code == 400
    assert answer.json()["error"] == {"code": "InvalidQueryParameterValue", "message": message}


@pytest.mark.parametrize(
    ("collection", "members"),
    [
        (f"{SUBSCRIPTION}/resourceGroups", [GROUP]),
        (f"{SUBSCRIPTION}/providers/Microsoft.CognitiveServices/accounts", [ACCOUNT]),
        (f"{GROUP}/providers/Microsoft.CognitiveServices/accounts", [ACCOUNT]),
        (f"{GROUP}/providers/Microsoft.ApiManagement/service", [SERVICE]),
        (f"{ACCOUNT}/deployments", [DEPLOYMENT]),
        (f"{ACCOUNT}/providers/Microsoft.Authorization/roleAssignments", [ASSIGNMENT]),
        (f"{SERVICE}/backends", [BACKEND, POOL]),
        (f"{API}/operations", [OPERATION]),
        (f"{API}/policies", [POLICY]),
        (f"{SUBSCRIPTION}/providers/Microsoft.CognitiveServices/deletedAccounts", []),
    ],
)
def test_a_list_has_the_resources_of_its_type(arm, collection, members):
    arm.deploy(*EVERYTHING)
    assert [each["id"] for each in arm.get(collection).json()["value"]] == members


@pytest.mark.parametrize(
    "collection",
    [
        f"{SUBSCRIPTION}/resourceGroups",
        f"{GROUP}/providers/Microsoft.CognitiveServices/accounts",
        f"{SERVICE}/backends",
    ],
)
def test_the_next_page_is_of_the_same_list(arm, collection):
    arm.deploy(*EVERYTHING)
    last = collection.rsplit("/", 1)[-1]
    if last == "resourceGroups":
        arm.put(f"{GROUP}2", LEAST[GROUP])
    elif last == "accounts":
        body = {**LEAST[ACCOUNT], "properties": {}}
        arm.put(f"{ACCOUNT}2", body)
    first = arm.get(collection, params={"$top": "1"}).json()
    assert httpx.URL(first["nextLink"]).path == collection
    second = arm.follow(first["nextLink"]).json()
    assert first["value"][0]["type"] == second["value"][0]["type"]
    assert first["value"][0]["id"] != second["value"][0]["id"]


# -- deletion -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [POOL, POLICY, OPERATION, KEY, ASSIGNMENT])
def test_a_deleted_resource_is_gone_and_can_be_deleted_again(arm, path):
    arm.deploy(*EVERYTHING)
    assert arm.delete(path).status_code == 200
    assert arm.get(path).status_code == 404
    assert arm.delete(path).status_code == 204


def test_a_backend_goes_once_no_pool_has_it(arm):
    arm.deploy(GROUP, SERVICE, BACKEND, POOL)
    assert arm.delete(BACKEND).status_code == 400
    arm.delete(POOL)
    assert arm.delete(BACKEND).status_code == 200


def test_deleting_an_api_deletes_what_is_in_it_and_nothing_else(arm):
    arm.deploy(*EVERYTHING)
    arm.put(f"{API}2", {"properties": {"displayName": "Two", "path": "two"}})
    arm.put(f"{API}2/operations/chat", LEAST[OPERATION])
    answer = arm.delete(API)
    # API Management 2024-05-01 has 202 and 204: Microsoft's SDKs raise at a 200. The Azure CLI asks
    # by 2022-08-01, which has 200 and 204, and raises at a 202.
    assert answer.status_code == 202
    assert arm.follow(answer.headers["Location"]).status_code == 204
    assert arm.delete(API).status_code == 204
    arm.deploy(API)
    assert arm.delete(API, params={"api-version": "2022-08-01"}).status_code == 200
    arm.deploy(API)
    assert arm.get(OPERATION).status_code == 404
    assert arm.get(POLICY).status_code == 404
    assert arm.get(f"{API}2/operations/chat").status_code == 200
    assert arm.get(BACKEND).status_code == 200


def test_deleting_a_resource_group_deletes_what_is_in_it(arm):
    arm.deploy(*EVERYTHING)
    answer = arm.delete(GROUP)
    assert answer.status_code == 202
    assert "Azure-AsyncOperation" not in answer.headers
    assert arm.follow(answer.headers["Location"]).status_code == 204
    assert arm.get(GROUP).status_code == 404
    arm.deploy(GROUP)
    for path in (ACCOUNT, SERVICE):
        assert arm.get(path).json()["error"]["code"] == "ResourceNotFound"
    assert arm.get(DELETED_ACCOUNT).status_code == 200
    assert arm.get(DELETED_SERVICE).status_code == 200
    arm.delete(GROUP)
    assert arm.delete(DELETED_ACCOUNT).status_code == 200
    arm.deploy(GROUP, ACCOUNT)
    assert arm.get(f"{GROUP}/providers/Microsoft.ApiManagement/service").json()["value"] == []


def test_a_soft_deleted_account_is_restored_with_its_keys(arm):
    arm.deploy(GROUP)
    body = {**LEAST[ACCOUNT], "properties": {"customSubDomainName": "foundry1-abc"}}
    arm.put(ACCOUNT, body)
    keys = arm.store.secrets(ACCOUNT)
    arm.delete(ACCOUNT)
    deleted = f"{SUBSCRIPTION}/providers/Microsoft.CognitiveServices/deletedAccounts"
    assert [each["id"] for each in arm.get(deleted).json()["value"]] == [DELETED_ACCOUNT]
    body["properties"]["restore"] = True
    restored = arm.put(ACCOUNT, body)
    assert restored.status_code == 201
    assert "restore" not in restored.json()["properties"]
    assert arm.store.secrets(ACCOUNT) == keys
    assert arm.get(DELETED_ACCOUNT).status_code == 404


def test_a_restored_account_has_neither_deployments_nor_role_assignments(arm):
    arm.deploy(GROUP, ACCOUNT, DEPLOYMENT, ASSIGNMENT)
    arm.delete(GROUP)
    arm.deploy(GROUP)
    properties = {**LEAST[ACCOUNT]["properties"], "restore": True}
    assert arm.put(ACCOUNT, {**LEAST[ACCOUNT], "properties": properties}).status_code == 201
    assert arm.get(f"{ACCOUNT}/deployments").json()["value"] == []
    assert arm.get(ASSIGNMENT).status_code == 404


def test_a_restored_service_is_as_it_was(arm):
    arm.deploy(*EVERYTHING)
    paths = (SERVICE, POOL, *CHILDREN)
    before = {path: arm.get(path).json() for path in paths}
    keys = arm.store.secrets(KEY)
    arm.delete(SERVICE)
    assert arm.get(SERVICE).status_code == 404
    properties = {**LEAST[SERVICE]["properties"], "publisherName": "Other", "restore": True}
    assert arm.put(SERVICE, {**LEAST[SERVICE], "properties": properties}).status_code == 201
    after = {path: arm.get(path).json() for path in paths}
    for each in (before, after):
        each[SERVICE].pop("etag")
    assert after == before
    assert arm.store.secrets(KEY) == keys


def test_restore_of_a_service_that_is_there_makes_azure_ignore_the_rest(arm):
    arm.deploy(GROUP, SERVICE)
    other = {**LEAST[SERVICE]["properties"], "publisherName": "Other"}
    body = {**LEAST[SERVICE], "properties": {**other, "restore": True}}
    assert arm.put(SERVICE, body).json()["properties"]["publisherName"] == "Team"
    body = {**LEAST[SERVICE], "properties": other}
    assert arm.put(SERVICE, body).json()["properties"]["publisherName"] == "Other"


def test_restore_of_an_account_that_is_there_is_refused(arm):
    arm.deploy(GROUP, ACCOUNT)
    properties = {**LEAST[ACCOUNT]["properties"], "restore": True}
    refused = arm.put(ACCOUNT, {**LEAST[ACCOUNT], "properties": properties})
    assert refused.json()["error"]["code"] == "CanNotRestoreANonSoftDeletedResource"


@pytest.mark.parametrize(
    ("path", "record"), [(ACCOUNT, DELETED_ACCOUNT), (SERVICE, DELETED_SERVICE)]
)
def test_a_purged_name_is_free(arm, path, record):
    arm.deploy(GROUP, path)
    first = arm.get(path).json()
    arm.delete(path)
    assert arm.put(path, LEAST[path]).status_code == 409
    assert arm.delete(record).status_code == 200
    assert arm.delete(record).status_code == 204
    assert arm.put(path, LEAST[path]).status_code == 201
    assert arm.get(path).json().get("identity") != first.get("identity") or path == ACCOUNT


@pytest.mark.parametrize(
    ("path", "record"), [(ACCOUNT, DELETED_ACCOUNT), (SERVICE, DELETED_SERVICE)]
)
def test_a_soft_deleted_name_is_free_after_48_hours(arm, path, record):
    arm.deploy(GROUP, path)
    arm.delete(path)
    arm.clock.now += 48 * HOURS - 1
    assert arm.get(record).json()["properties"]["scheduledPurgeDate"] > "2027"
    assert arm.put(path, LEAST[path]).status_code == 409
    arm.clock.now += 1
    assert arm.get(record).status_code == 404
    collection = record.split("/locations/")[0] + "/" + record.split("/")[-2]
    assert arm.get(collection).json()["value"] == []
    assert arm.put(path, LEAST[path]).status_code == 201


def test_an_account_may_be_made_in_another_location_while_one_is_soft_deleted(arm):
    arm.deploy(GROUP, ACCOUNT)
    arm.delete(ACCOUNT)
    body = {**LEAST[ACCOUNT], "location": "eastus", "properties": {"customSubDomainName": "other"}}
    assert arm.put(ACCOUNT, body).status_code == 201


# -- long-running operations ----------------------------------------------------------------------


@pytest.mark.parametrize(("path", "state"), [(ACCOUNT, "Accepted"), (SERVICE, "Activating")])
def test_creation_takes_its_time(slow, path, state):
    slow.deploy(GROUP)
    answer = slow.put(path, LEAST[path])
    assert answer.status_code == 201
    assert answer.json()["properties"]["provisioningState"] == state
    assert answer.headers["Retry-After"] == "10"
    assert answer.headers["x-ms-retry-after-ms"] == "10000"
    slow.clock.now += 9.5
    status = slow.follow(answer.headers["Azure-AsyncOperation"])
    assert (status.status_code, status.json()["status"]) == (200, "InProgress")
    assert status.headers["x-ms-retry-after-ms"] == "500"
    assert "Retry-After" not in status.headers
    result = slow.follow(answer.headers["Location"])
    assert (result.status_code, result.content) == (202, b"")
    assert result.headers["Location"] == answer.headers["Location"]
    assert slow.properties(path)["provisioningState"] == state
    slow.clock.now += 0.5
    status = slow.follow(answer.headers["Azure-AsyncOperation"])
    assert status.json()["status"] == "Succeeded"
    assert "x-ms-retry-after-ms" not in status.headers
    result = slow.follow(answer.headers["Location"])
    assert (result.status_code, result.json()) == (200, slow.get(path).json())
    assert slow.properties(path)["provisioningState"] == "Succeeded"


def test_an_update_takes_its_time(slow):
    slow.deploy(GROUP, SERVICE)
    slow.clock.now += 10
    answer = slow.put(SERVICE, LEAST[SERVICE])
    assert answer.status_code == 200
    assert answer.json()["properties"]["provisioningState"] == "Updating"
    assert "Azure-AsyncOperation" in answer.headers


@pytest.mark.parametrize("path", [DEPLOYMENT, ACCOUNT, SERVICE])
def test_deletion_takes_its_time(slow, path):
    slow.deploy(GROUP, ACCOUNT, SERVICE)
    slow.clock.now += 10
    if path == DEPLOYMENT:
        slow.deploy(DEPLOYMENT)
        slow.clock.now += 10
    answer = slow.delete(path)
    assert answer.status_code == 202
    assert slow.follow(answer.headers["Azure-AsyncOperation"]).json()["status"] == "InProgress"
    assert slow.follow(answer.headers["Location"]).status_code == 202
    slow.clock.now += 10
    assert slow.follow(answer.headers["Azure-AsyncOperation"]).json()["status"] == "Succeeded"
    assert slow.follow(answer.headers["Location"]).status_code == 204
    assert slow.get(path).status_code == 404


def test_deployments_one_after_another_are_taken(slow):
    slow.deploy(GROUP, ACCOUNT)
    slow.clock.now += 10
    slow.deploy(DEPLOYMENT)
    slow.clock.now += 10
    assert slow.put(f"{DEPLOYMENT}2", LEAST[DEPLOYMENT]).status_code == 201


def test_deployments_on_two_accounts_at_once_are_taken(slow):
    slow.deploy(GROUP, ACCOUNT)
    slow.put(f"{ACCOUNT}2", {**LEAST[ACCOUNT], "properties": {}})
    slow.clock.now += 10
    slow.deploy(DEPLOYMENT)
    answer = slow.put(DEPLOYMENT.replace("foundry1", "foundry12"), LEAST[DEPLOYMENT])
    assert answer.status_code == 201, answer.text


def test_the_record_of_an_operation_does_not_stay_for_ever(slow):
    slow.deploy(GROUP)
    answer = slow.put(ACCOUNT, LEAST[ACCOUNT])
    slow.clock.now += 2 * HOURS
    assert slow.follow(answer.headers["Azure-AsyncOperation"]).status_code == 404
    slow.put(f"{GROUP}2", LEAST[GROUP])
    assert slow.store.list("Microsoft.CognitiveServices/locations/operationStatuses") == []


def test_an_operation_goes_on_after_a_restart(tmp_path):
    with serving(tmp_path, provisioning_seconds=10.0) as arm:
        arm.deploy(GROUP)
        answer = arm.put(ACCOUNT, LEAST[ACCOUNT])
        path = httpx.URL(answer.headers["Azure-AsyncOperation"]).path
    with serving(tmp_path, provisioning_seconds=10.0) as arm:
        assert arm.get(path).json()["status"] == "InProgress"
        assert arm.properties(ACCOUNT)["provisioningState"] == "Accepted"
        arm.clock.now += 10
        assert arm.get(path).json()["status"] == "Succeeded"
        assert arm.properties(ACCOUNT)["provisioningState"] == "Succeeded"


# -- the server -----------------------------------------------------------------------------------


def test_everything_is_there_after_a_restart(tmp_path):
    with serving(tmp_path) as arm:
        arm.deploy(*EVERYTHING)
        before = {path: arm.get(path).json() for path in EVERYTHING}
        keys = arm.store.secrets(KEY)
    with serving(tmp_path) as arm:
        assert {path: arm.get(path).json() for path in EVERYTHING} == before
        assert arm.store.secrets(KEY) == keys


def test_a_change_is_told_once_it_is_committed_and_before_the_answer(arm):
    arm.deploy(GROUP)
    assert arm.changes == [arm.store.revision]
    arm.get(GROUP)
    arm.put(GROUP, {"location": "mars"})
    assert arm.changes == [arm.store.revision]
    arm.delete(GROUP)
    assert arm.changes[-1] == arm.store.revision
    assert len(arm.changes) == 2


def test_each_request_is_one_line_of_the_log_without_keys(arm, caplog):
    caplog.set_level(logging.INFO, logger="local_azure.requests")
    arm.deploy(GROUP, SERVICE, API)
    arm.put(KEY, {"properties": {**LEAST[KEY]["properties"], "primaryKey": "do-not-log-me"}})
    arm.put(BACKEND, {})
    entries = [json.loads(record.message) for record in caplog.records]
    assert [(entry["method"], entry["path"], entry["status"]) for entry in entries] == [
        ("PUT", GROUP, 201),
        ("PUT", SERVICE, 201),
        ("PUT", API, 201),
        ("PUT", KEY, 201),
        ("PUT", BACKEND, 400),
    ]
    assert [entry.get("error") for entry in entries[-2:]] == [None, "ValidationError"]
    assert entries[0]["apiVersion"] == "2024-03-01"
    assert "do-not-log-me" not in caplog.text


def test_requests_at_once_make_one_resource_each_and_one_wins_a_name(arm):
    arm.deploy(GROUP, SERVICE)

    def put(number: int) -> tuple[int, int]:
        own = arm.put(f"{SERVICE}/backends/own{number}", LEAST[BACKEND]).status_code
        return own, arm.put(BACKEND, LEAST[BACKEND]).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(put, range(40)))
    assert {own for own, _ in answers} == {201}
    assert sorted(shared for _, shared in answers) == [200] * 39 + [201]
    assert arm.get(f"{SERVICE}/backends").json()["count"] == 41


def test_a_refused_change_takes_no_port(tmp_path):
    asked: list[str] = []
    with serving(tmp_path, gateway_url=lambda service: asked.append(service) or "http://x") as arm:
        arm.deploy(GROUP)
        arm.put(SERVICE, {**LEAST[SERVICE], "location": "mars"})
    assert asked == []


ODD_BODIES = [
    None,
    [],
    "text",
    5,
    {"properties": None},
    {"properties": []},
    {"properties": {"pool": None, "type": "Pool"}},
    {"properties": {"pool": {"services": [None]}, "type": "Pool"}},
    {"properties": {"circuitBreaker": {"rules": [None]}}},
    {"properties": {"circuitBreaker": {"rules": [{"failureCondition": None}]}}},
    {"properties": {"urlTemplate": None, "templateParameters": [None]}},
    {"properties": {"path": None, "scope": None, "value": None}},
    {"sku": None, "location": None, "identity": None, "kind": None},
    {"sku": [], "location": [], "identity": [], "kind": [], "tags": []},
    {"location": "\ud800", "sku": {"name": "\x00", "capacity": -1}},
    {"properties": {"restore": "yes", "customSubDomainName": ["a"]}},
    {"properties": {"roleDefinitionId": "", "principalId": ""}},
]


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: path.rsplit("/", 2)[-2])
def test_odd_bodies_are_refused_or_taken_and_never_a_fault_of_the_server(arm, path):
    arm.deploy(*needed_by(path))
    chance = random.Random(7)
    answers = set()
    for body in ODD_BODIES + [spoiled(LEAST[path], chance) for _ in range(60)]:
        content = json.dumps(body)
        headers = {"Content-Type": "application/json"}
        answer = arm.request("PUT", path, content=content, headers=headers)
        assert answer.status_code in (200, 201, 400, 409), (content, answer.text)
        answers.add(answer.status_code)
    assert 400 in answers


def spoiled(value: object, chance: random.Random) -> object:
    """Return a body with some values replaced by odd ones."""
    if chance.random() < 0.12:
        return chance.choice([None, [], {}, "", "x", 0, -1, 1.5, True, [None], {"x": None}])
    if isinstance(value, dict):
        return {key: spoiled(item, chance) for key, item in value.items()}
    if isinstance(value, list):
        return [spoiled(item, chance) for item in value]
    return value


SERVER = """
import sys
from pathlib import Path
import arm_server

with arm_server.serving(Path(sys.argv[1])) as arm:
    print(arm.client.base_url, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_server_keeps_what_it_answered_and_nothing_half_written(tmp_path, seed):
    chance = random.Random(seed)
    here = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([here, *sys.path])}
    command = [sys.executable, "-c", SERVER, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as server:
        url = server.stdout.readline().strip()
        killed_after = chance.randrange(1, 25)
        answered: list[str] = []
        try:
            with httpx.Client(
                base_url=url, trust_env=False, verify=False, headers=HEADERS
            ) as client:
                version = {"api-version": "2024-05-01"}
                for path in (GROUP, SERVICE, API):
                    date = {"api-version": "2024-03-01"} if path == GROUP else version
                    client.put(path, json=LEAST[path], params=date).raise_for_status()
                    answered.append(path)
                for number in range(200):
                    if number == killed_after:
                        os.kill(server.pid, signal.SIGKILL)
                    path = f"{SERVICE}/subscriptions/client{number}"
                    client.put(path, json=LEAST[KEY], params=version).raise_for_status()
                    answered.append(path)
        except httpx.TransportError:
            pass
        server.kill()
    assert len(answered) >= 3 + killed_after
    with serving(tmp_path) as arm:
        for path in answered:
            assert arm.get(path).status_code == 200
        listed = arm.get(f"{SERVICE}/subscriptions", params={"$top": "500"}).json()["value"]
        assert len(listed) - (len(answered) - 3) in (0, 1)
        for subscription in listed:
            assert set(arm.store.secrets(subscription["id"])) == {"primaryKey", "secondaryKey"}


def test_a_deployment_without_a_version_gets_one(arm):
    arm.deploy(GROUP, ACCOUNT)
    body = changed_model(version=None)
    assert arm.put(DEPLOYMENT, body).status_code == 201
    assert arm.properties(DEPLOYMENT)["model"]["version"] == "2025-08-07"


def changed_model(**changes):
    least = LEAST[DEPLOYMENT]
    return {**least, "properties": {"model": {**least["properties"]["model"], **changes}}}


@pytest.mark.parametrize(
    "tier",
    [
        "Consumption",
        *("Developer", "Basic", "Standard", "Premium"),
        *("BasicV2", "StandardV2", "PremiumV2"),
    ],
)
def test_every_tier_can_be_had(arm, tier):
    arm.deploy(GROUP)
    sku = {"name": tier, "capacity": 0 if tier == "Consumption" else 1}
    assert arm.put(SERVICE, {**LEAST[SERVICE], "sku": sku}).status_code == 201
