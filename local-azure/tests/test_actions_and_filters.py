"""What Microsoft's SDKs ask besides PUT, GET and DELETE: PATCH, POST, filters, other versions."""

import pytest
from arm_server import (
    ACCOUNT,
    API,
    ASSIGNMENT,
    BACKEND,
    DELETED_SERVICE,
    DEPLOYMENT,
    GROUP,
    KEY,
    LEAST,
    OPENAI_USER,
    OPERATION,
    POOL,
    SERVICE,
    SUBSCRIPTION,
    serving,
)

OLD = {"api-version": "2022-08-01"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("arm")) as arm:
        yield arm


@pytest.fixture
def arm(server):
    server.reset()
    server.deploy(GROUP, ACCOUNT, DEPLOYMENT, SERVICE, BACKEND, POOL, API, OPERATION, KEY)
    return server


def patch(arm, path, body, **more):
    answer = arm.request("PATCH", path, json=body, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


# -- PATCH ----------------------------------------------------------------------------------------


def test_a_patch_changes_what_it_names_and_keeps_the_rest(arm):
    services = [{"id": BACKEND, "priority": 2, "weight": 7}]
    before = arm.get(POOL).json()
    after = patch(arm, POOL, {"properties": {"pool": {"services": services}}})
    assert after["properties"]["pool"] == {"services": services}
    assert arm.get(POOL).json() == after
    after["properties"]["pool"] = before["properties"]["pool"]
    assert after == before


@pytest.mark.parametrize("path", [GROUP, ACCOUNT, SERVICE, DEPLOYMENT])
def test_a_patch_adds_and_removes_tags(arm, path):
    assert patch(arm, path, {"tags": {"a": "1", "b": "2"}})["tags"] == {"a": "1", "b": "2"}
    patched = patch(arm, path, {"tags": {"a": None}})
    assert patched["tags"] == {"b": "2"}
    assert patched.get("identity") == arm.get(path).json().get("identity")


def test_a_patch_obeys_the_rules_of_a_put(arm):
    wrong = {"properties": {"pool": {"services": [{"id": BACKEND, "priority": 101}]}}}
    refused = arm.request("PATCH", POOL, json=wrong)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "ValidationError")
    stale = {"If-Match": '"AAAAAAAAAAA="'}
    answer = arm.request("PATCH", POOL, json={"properties": {"title": "x"}}, headers=stale)
    assert answer.status_code == 412
    assert "title" not in arm.properties(POOL)


def test_a_patch_keeps_the_keys(arm):
    keys = arm.request("POST", f"{KEY}/listSecrets").json()
    patch(arm, KEY, {"properties": {"displayName": "Renamed"}})
    assert arm.request("POST", f"{KEY}/listSecrets").json() == keys


def test_a_patch_keeps_a_value_that_is_not_shown(arm):
    named = f"{SERVICE}/namedValues/secret"
    arm.put(named, {"properties": {"displayName": "secret", "value": "v", "secret": True}})
    shown = patch(arm, named, {"properties": {"tags": ["a"]}})
    assert "value" not in shown["properties"]
    assert arm.request("POST", f"{named}/listValue").json() == {"value": "v"}
    patch(arm, named, {"properties": {"value": "w"}})
    assert arm.request("POST", f"{named}/listValue").json() == {"value": "w"}


@pytest.mark.parametrize(("sent", "status"), [("7", 200), ("1.5", 400), ("٣", 400), ("0", 400)])
def test_a_capacity_may_be_text_as_the_azure_cli_sends_it(arm, sent, status):
    sku = {"name": "GlobalStandard", "capacity": sent}
    assert arm.put(DEPLOYMENT, {**LEAST[DEPLOYMENT], "sku": sku}).status_code == status
    kept = arm.get(DEPLOYMENT).json()["sku"]["capacity"]
    assert kept == (7 if status == 200 else LEAST[DEPLOYMENT]["sku"]["capacity"])


def test_an_account_is_recovered_by_its_name_alone(arm):
    before = arm.get(ACCOUNT).json()
    another = ACCOUNT.replace("foundry1", "another")
    arm.put(another, {**LEAST[ACCOUNT], "properties": {}, "tags": {"a": "b"}})
    for path in (another, DEPLOYMENT, ACCOUNT):
        assert arm.delete(path).status_code == 202
    body = {"location": "uksouth", "properties": {"restore": True}}
    assert arm.put(ACCOUNT.replace("foundry1", "other"), body).status_code == 400
    answer = arm.put(ACCOUNT, body)
    assert answer.status_code == 201, answer.text
    after = arm.get(ACCOUNT).json()
    for each in (before, after):
        each.pop("etag")
    assert after == before


# -- actions --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "name"), [("Primary", "primaryKey"), ("Secondary", "secondaryKey")]
)
def test_a_subscription_s_key_is_renewed_alone(arm, word, name):
    before = arm.request("POST", f"{KEY}/listSecrets").json()
    assert arm.request("POST", f"{KEY}/regenerate{word}Key").status_code == 204
    after = arm.request("POST", f"{KEY}/listSecrets").json()
    assert [key for key in before if before[key] != after[key]] == [name]


def test_an_account_s_key_is_renewed_alone(arm):
    open_account = {**LEAST[ACCOUNT], "properties": {"customSubDomainName": "foundry1-abc"}}
    arm.put(ACCOUNT, open_account)
    before = arm.request("POST", f"{ACCOUNT}/listKeys").json()
    after = arm.request("POST", f"{ACCOUNT}/regenerateKey", json={"keyName": "Key2"}).json()
    assert arm.request("POST", f"{ACCOUNT}/listKeys").json() == after
    assert [key for key in before if before[key] != after[key]] == ["key2"]
    for body, code in {"Key3": "InvalidKeyName", "": "InvalidRequestContent"}.items():
        refused = arm.request("POST", f"{ACCOUNT}/regenerateKey", json={"keyName": body})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, code)


def test_names_are_taken_until_they_are_purged(arm):
    def subdomain(name):
        body = {"subdomainName": name, "type": "Microsoft.CognitiveServices/accounts"}
        check = f"{SUBSCRIPTION}/providers/Microsoft.CognitiveServices/checkDomainAvailability"
        return arm.request("POST", check, json=body).json()["isSubdomainAvailable"]

    def service(name):
        check = f"{SUBSCRIPTION}/providers/Microsoft.ApiManagement/checkNameAvailability"
        return arm.request("POST", check, json={"name": name}).json()

    assert (subdomain("foundry1-ABC"), subdomain("foundry9-abc")) == (False, True)
    assert service("free") == {"nameAvailable": True, "reason": "Valid", "message": ""}
    assert service("APIM1")["reason"] == "AlreadyExists"
    for path in (DEPLOYMENT, ACCOUNT, SERVICE):
        assert arm.delete(path).status_code in (200, 202)
    assert subdomain("foundry1-abc") is False
    assert service("apim1")["nameAvailable"] is False
    arm.delete(DELETED_SERVICE)
    assert service("apim1")["nameAvailable"] is True


def test_an_action_without_its_parameter_is_refused(arm):
    check = f"{SUBSCRIPTION}/providers/Microsoft.ApiManagement/checkNameAvailability"
    for body in ({}, [], {"name": 1}, {"name": ""}):
        refused = arm.request("POST", check, json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (
            400,
            "InvalidRequestContent",
        )
    assert arm.get(check).status_code == 405


# -- lists ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("name eq 'POOL'", ["pool"]),
        ("name ne 'pool'", ["foundry1"]),
        ("contains(name, 'o') and url ge 'https'", ["foundry1"]),
        ("startswith(name,'foun') or name eq 'pool'", ["foundry1", "pool"]),
        ("endswith(properties/url, '/openai')", ["foundry1"]),
        ("substringof('oo', name)", ["pool"]),
        ("name gt 'foundry1' and name le 'pool'", ["pool"]),
        ("(name eq 'pool' or name eq 'x') and name lt 'z'", ["pool"]),
        ("name eq 'and' or title eq 'or'", []),
    ],
)
def test_backends_are_filtered(arm, text, names):
    answer = arm.get(f"{SERVICE}/backends", params={"$filter": text})
    assert [each["name"] for each in answer.json()["value"]] == names, answer.text
    assert answer.json()["count"] == len(names)


def test_a_quote_in_a_filter_is_doubled(arm):
    arm.put(f"{SERVICE}/backends/it's", LEAST[BACKEND])
    query = {"$filter": "name eq 'it''s'"}
    (found,) = arm.get(f"{SERVICE}/backends", params=query).json()["value"]
    assert found["name"] == "it's"


def test_groups_are_filtered_by_one_tag(arm):
    patch(arm, GROUP, {"tags": {"team": "ai", "cost": "7"}})

    def found(text):
        answer = arm.get(f"{SUBSCRIPTION}/resourceGroups", params={"$filter": text})
        return len(answer.json()["value"])

    assert found("tagName eq 'team' and tagValue eq 'AI'") == 1
    assert found("tagname eq 'cost'") == 1
    assert found("tagName eq 'team' and tagValue eq '7'") == 0


def test_assignments_hold_below_their_scope_and_are_found_by_principal(arm):
    arm.deploy(ASSIGNMENT)
    other = ASSIGNMENT.replace(ACCOUNT, GROUP).replace("7a0e0f3c", "8b0e0f3c")
    principal = "99999999-2222-3333-4444-555555555555"
    properties = {**LEAST[ASSIGNMENT]["properties"], "principalId": principal}
    assert arm.put(other, {"properties": properties}).status_code == 201

    def found(scope, text=None):
        params = {"$filter": text} if text else {}
        answer = arm.get(
            f"{scope}/providers/Microsoft.Authorization/roleAssignments", params=params
        )
        return sorted(each["id"] for each in answer.json()["value"])

    assert found(ACCOUNT) == found(GROUP) == sorted([ASSIGNMENT, other])
    assert found(SERVICE) == [other]
    assert found(GROUP, "atScope()") == [other]
    assert found(ACCOUNT, "atScope()") == sorted([ASSIGNMENT, other])
    assert found(SUBSCRIPTION, "atScope()") == []
    for text in (f"principalId eq '{principal}'", f"assignedTo('{principal}')"):
        assert found(SUBSCRIPTION, text) == [other]


def test_roles_are_found_by_name(arm):
    query = {"$filter": "roleName eq 'Cognitive Services OpenAI User'"}
    for scope in (SUBSCRIPTION, ACCOUNT):
        roles = f"{scope}/providers/Microsoft.Authorization/roleDefinitions"
        (role,) = arm.get(roles, params=query).json()["value"]
        assert role["id"].endswith(OPENAI_USER)


def test_all_resources_are_listed_and_found_by_type(arm):
    for scope in (GROUP, SUBSCRIPTION):
        listed = arm.get(f"{scope}/resources").json()["value"]
        assert [each["id"] for each in listed] == [ACCOUNT, SERVICE]
        assert not any("properties" in each for each in listed)
    query = {"$expand": "createdTime,changedTime,provisioningState"}
    for each in arm.get(f"{GROUP}/resources", params=query).json()["value"]:
        assert each["provisioningState"] == "Succeeded"
        assert each["createdTime"].endswith("Z")
    assert arm.get(f"{GROUP}/resources", params={"$expand": "zones"}).status_code == 400
    for group, count in {"RG": 2, "r": 0}.items():
        query = {"$filter": f"resourceGroup eq '{group}'"}
        listed = arm.get(f"{SUBSCRIPTION}/resources", params=query).json()["value"]
        assert len(listed) == count
    query = {"$filter": "resourceType eq 'Microsoft.ApiManagement/service'"}
    (found,) = arm.get(f"{GROUP}/resources", params=query).json()["value"]
    assert found["id"] == SERVICE


# -- versions -------------------------------------------------------------------------------------


def test_an_older_version_does_not_know_of_pools(arm):
    assert "pool" in arm.properties(POOL)
    old = arm.get(POOL, params=OLD).json()["properties"]
    assert not old.keys() & {"pool", "type", "circuitBreaker"}
    (listed,) = arm.get(f"{SERVICE}/backends", params=OLD | {"$filter": "name eq 'pool'"}).json()[
        "value"
    ]
    assert listed["properties"] == old
    assert (
        patch(arm, POOL, {"properties": {"title": "x"}}, params=OLD)["properties"]["title"] == "x"
    )
    assert arm.properties(POOL)["pool"]["services"]
