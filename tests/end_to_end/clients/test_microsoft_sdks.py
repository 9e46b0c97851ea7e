"""Microsoft's own SDKs manage the deployed stack, over HTTPS and with tokens, as they come."""

import uuid

import pytest

from local_azure.identity import PRINCIPAL_ID

AUTHORIZATION = "azure.mgmt.authorization:AuthorizationManagementClient"
COGNITIVE = "azure.mgmt.cognitiveservices:CognitiveServicesManagementClient"
RESOURCES = "azure.mgmt.resource.resources:ResourceManagementClient"
POOL = "inference-backend-pool"


@pytest.fixture
def cognitive(client):
    return client(COGNITIVE)


@pytest.fixture
def resources(client):
    return client(RESOURCES)


def refused(error: type[Exception], ask) -> tuple[int, str]:
    with pytest.raises(error) as caught:
        ask()
    return caught.value.status_code, caught.value.error.code


def test_the_pool_is_read_back_and_changed_and_the_probe_notices(azure, apim):
    pool = apim.backend.get(azure.group, azure.service, POOL)
    members = pool.pool.services
    assert [(each.priority, each.weight) for each in members] == [(1, 1)] * 3
    code, said = azure.judge()
    assert (code, "ROUND-ROBIN CONFIRMED" in said) == (0, True), said

    members[1].priority = 2
    apim.backend.update(azure.group, azure.service, POOL, "*", {"pool": pool.pool})
    try:
        code, said = azure.judge()
        assert (code, "not balanced: " in said, "priority=2" in said) == (1, True, True), said
    finally:
        members[1].priority = 1
        apim.backend.create_or_update(azure.group, azure.service, POOL, pool)
    assert azure.judge()[0] == 0


def test_the_probe_reads_the_pool_over_https_as_well(azure, monkeypatch):
    monkeypatch.setitem(azure.shell.environment, "ARM_ENDPOINT", azure.endpoint)
    monkeypatch.setitem(azure.shell.environment, "SSL_CERT_FILE", azure.variables["SSL_CERT_FILE"])
    code, said = azure.judge()
    assert (code, "ROUND-ROBIN CONFIRMED" in said) == (0, True), said
    monkeypatch.delitem(azure.shell.environment, "SSL_CERT_FILE")
    code, said = azure.judge()
    assert (code, "CERTIFICATE_VERIFY_FAILED" in said) == (3, True), said


def test_lists_come_in_pages(azure, apim):
    pages = apim.backend.list_by_service(azure.group, azure.service, top=3).by_page()
    sizes = [len(list(page)) for page in pages]
    assert sizes == [3, 1]
    found = apim.backend.list_by_service(azure.group, azure.service, filter=f"name eq '{POOL}'")
    assert [each.name for each in found] == [POOL]
    operations = apim.api_operation.list_by_api(azure.group, azure.service, "inference")
    assert "chat-completions" in {each.name for each in operations}


def test_entity_tags_guard_against_lost_changes(azure, apim, errors):
    def tag():
        seen = {}
        apim.backend.get_entity_tag(
            azure.group,
            azure.service,
            "scratch",
            cls=lambda response, _, headers: seen.update(headers),
        )
        return seen["ETag"]

    backend = {"properties": {"url": "https://example.com/openai", "protocol": "http"}}
    apim.backend.create_or_update(azure.group, azure.service, "scratch", backend)
    old = tag()
    backend["properties"]["title"] = "changed"
    apim.backend.create_or_update(azure.group, azure.service, "scratch", backend, if_match=old)
    assert tag() != old
    for ask in (
        lambda: apim.backend.create_or_update(
            azure.group, azure.service, "scratch", backend, if_match=old
        ),
        lambda: apim.backend.update(azure.group, azure.service, "scratch", old, backend),
        lambda: apim.backend.delete(azure.group, azure.service, "scratch", old),
    ):
        assert refused(errors.HttpResponseError, ask) == (412, "PreconditionFailed")
    apim.backend.delete(azure.group, azure.service, "scratch", tag())
    with pytest.raises(errors.HttpResponseError) as gone:
        tag()
    assert gone.value.status_code == 404


def test_keys_are_listed_and_renewed(azure, apim):
    (subscription,) = apim.subscription.list(azure.group, azure.service)
    where = (azure.group, azure.service, subscription.name)
    keys = apim.subscription.list_secrets(*where)
    assert keys.primary_key == azure.outputs["subscription_key"]
    apim.subscription.regenerate_secondary_key(*where)
    after = apim.subscription.list_secrets(*where)
    assert after.primary_key == keys.primary_key
    assert after.secondary_key != keys.secondary_key


def test_named_values_and_fragments_come_and_go(azure, apim):
    where = (azure.group, azure.service)
    value = {"properties": {"displayName": "scratch", "value": "first", "secret": True}}
    made = apim.named_value.begin_create_or_update(*where, "scratch", value).result()
    assert (made.display_name, made.value) == ("scratch", None)
    assert apim.named_value.list_value(*where, "scratch").value == "first"
    changed = {"properties": {"value": "second"}}
    apim.named_value.begin_update(*where, "scratch", "*", changed).result()
    assert apim.named_value.list_value(*where, "scratch").value == "second"
    assert [each.name for each in apim.named_value.list_by_service(*where)] == ["scratch"]
    xml = "<fragment><set-variable name='a' value='{{scratch}}' /></fragment>"
    fragment = {"properties": {"value": xml, "format": "rawxml"}}
    apim.policy_fragment.begin_create_or_update(*where, "scratch", fragment).result()
    apim.policy_fragment.delete(*where, "scratch", "*")
    apim.named_value.delete(*where, "scratch", "*")
    assert list(apim.named_value.list_by_service(*where)) == []


def test_an_account_lives_dies_and_is_purged(azure, cognitive, errors):
    name = azure.account("scratch")
    account = {
        "location": "swedencentral",
        "kind": "OpenAI",
        "sku": {"name": "S0"},
        "properties": {"customSubDomainName": name},
    }
    checked = {"subdomain_name": name, "type": "Microsoft.CognitiveServices/accounts"}
    assert cognitive.check_domain_availability(**checked).is_subdomain_available
    made = cognitive.accounts.begin_create(azure.group, name, account).result()
    assert made.properties.provisioning_state == "Succeeded"
    assert made.properties.endpoint == f"https://{name}.openai.azure.com/"
    assert not cognitive.check_domain_availability(**checked).is_subdomain_available

    model = {"format": "OpenAI", "name": "gpt-5-mini", "version": "2025-08-07"}
    deployment = {"sku": {"name": "GlobalStandard", "capacity": 1}, "properties": {"model": model}}
    deployments = cognitive.deployments
    begun = deployments.begin_create_or_update(azure.group, name, "chat", deployment)
    assert begun.result().properties.model.name == "gpt-5-mini"
    assert [each.name for each in deployments.list(azure.group, name)] == ["chat"]

    keys = cognitive.accounts.list_keys(azure.group, name)
    renewed = cognitive.accounts.regenerate_key(azure.group, name, key_name="Key1")
    assert (renewed.key1 != keys.key1, renewed.key2 == keys.key2) == (True, True)
    tagged = cognitive.accounts.begin_update(azure.group, name, {"tags": {"a": "b"}}).result()
    assert (tagged.tags, tagged.kind) == ({"a": "b"}, "OpenAI")

    def delete():
        cognitive.accounts.begin_delete(azure.group, name).result()

    assert refused(errors.ResourceExistsError, delete) == (409, "CannotDeleteResource")
    deployments.begin_delete(azure.group, name, "chat").result()
    delete()
    missing = refused(
        errors.ResourceNotFoundError, lambda: cognitive.accounts.get(azure.group, name)
    )
    assert missing == (404, "ResourceNotFound")
    assert name in {each.name for each in cognitive.deleted_accounts.list()}

    def create():
        cognitive.accounts.begin_create(azure.group, name, account).result()

    assert refused(errors.ResourceExistsError, create) == (409, "FlagMustBeSetForRestore")
    cognitive.deleted_accounts.begin_purge("swedencentral", azure.group, name).result()
    assert name not in {each.name for each in cognitive.deleted_accounts.list()}
    create()
    delete()
    cognitive.deleted_accounts.begin_purge("swedencentral", azure.group, name).result()


def test_a_service_lives_dies_and_is_purged(azure, apim):
    services, name = apim.api_management_service, f"scratch-{azure.suffix}"
    service = {
        "location": "swedencentral",
        "sku": {"name": "BasicV2", "capacity": 1},
        "properties": {"publisherEmail": "team@example.com", "publisherName": "Team"},
    }
    assert services.check_name_availability({"name": name}).name_available
    made = services.begin_create_or_update(azure.group, name, service).result()
    assert made.provisioning_state == "Succeeded"
    assert not services.check_name_availability({"name": name}).name_available
    updated = services.begin_update(azure.group, name, {"tags": {"a": "b"}}).result()
    assert (updated.tags, updated.sku.name) == ({"a": "b"}, "BasicV2")
    assert {each.name for each in services.list()} >= {name, azure.service}
    services.begin_delete(azure.group, name).result()
    assert name in {each.name for each in apim.deleted_services.list_by_subscription()}
    apim.deleted_services.begin_purge(name, "swedencentral").result()
    assert name not in {each.name for each in apim.deleted_services.list_by_subscription()}


def test_errors_are_models_with_their_details(azure, apim, cognitive, errors):
    pool = {"properties": {"type": "Pool", "url": "https://example.com", "pool": {"services": []}}}
    with pytest.raises(errors.HttpResponseError) as caught:
        apim.backend.create_or_update(azure.group, azure.service, "wrong", pool)
    assert caught.value.error.code == "ValidationError"
    assert "url" in {each.target for each in caught.value.error.details}
    first = azure.account("foundry1")
    with pytest.raises(errors.HttpResponseError) as caught:
        cognitive.accounts.list_keys(azure.group, first)
    assert "disableLocalAuth" in caught.value.error.message


def test_groups_and_what_is_in_them(azure, resources):
    groups = resources.resource_groups
    assert groups.check_existence(azure.group)
    assert not groups.check_existence("no-such-group")
    groups.create_or_update("scratch", {"location": "uksouth", "tags": {"team": "ai"}})
    assert {each.name for each in groups.list()} >= {azure.group, "scratch"}
    found = groups.list(filter="tagName eq 'team' and tagValue eq 'ai'")
    assert [each.name for each in found] == ["scratch"]
    assert groups.update("scratch", {"tags": {"team": "web"}}).tags == {"team": "web"}
    groups.begin_delete("scratch").result()
    assert not groups.check_existence("scratch")
    kinds = [each.type for each in resources.resources.list_by_resource_group(azure.group)]
    assert kinds.count("Microsoft.CognitiveServices/accounts") == 3
    assert "Microsoft.ApiManagement/service" in kinds


def test_roles_are_given_found_and_taken(azure, client, cognitive, errors):
    assignments = client(AUTHORIZATION).role_assignments
    definitions = client(AUTHORIZATION).role_definitions
    scope = cognitive.accounts.get(azure.group, azure.account("foundry1")).id
    (role,) = definitions.list(scope, filter="roleName eq 'Cognitive Services OpenAI User'")
    wanted = {
        "properties": {
            "roleDefinitionId": role.id,
            "principalId": PRINCIPAL_ID,
            "principalType": "ServicePrincipal",
        }
    }
    name = str(uuid.uuid4())
    assignments.create(scope, name, wanted)
    again = refused(
        errors.ResourceExistsError, lambda: assignments.create(scope, str(uuid.uuid4()), wanted)
    )
    assert again == (409, "RoleAssignmentExists")
    mine = assignments.list_for_scope(scope, filter=f"principalId eq '{PRINCIPAL_ID}'")
    assert [each.name for each in mine] == [name]
    in_group = {each.name for each in assignments.list_for_resource_group(azure.group)}
    assert name in in_group
    assert len(in_group) == 4  # and the gateway's, on each account
    assignments.delete(scope, name)
    assert name not in {each.name for each in assignments.list_for_subscription()}


def test_whoever_signs_in_by_the_environment_is_let_in(azure, client, identity):
    with identity.DefaultAzureCredential() as credential:
        groups = client(RESOURCES, credential).resource_groups
        assert azure.group in {each.name for each in groups.list()}


def test_a_wrong_secret_gets_no_token(azure, client, errors, identity):
    tenant, application = azure.variables["ARM_TENANT_ID"], azure.variables["ARM_CLIENT_ID"]
    wrong = identity.ClientSecretCredential(
        tenant, application, "wrong", disable_instance_discovery=True
    )
    with wrong, pytest.raises(errors.ClientAuthenticationError, match="AADSTS7000215"):
        list(client(RESOURCES, wrong).resource_groups.list())


def test_a_name_is_as_good_as_localhost(azure, client, hosts):
    groups = client(RESOURCES, base_url=azure.named("https://management.azure.com")).resource_groups
    assert azure.group in {each.name for each in groups.list()}
