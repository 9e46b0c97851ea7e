import pytest
from pulumi_azure_native import apimanagement

from local_azure.deployment import translate
from local_azure.deployment.translate import TranslationError
from local_azure.deployment.values import UNKNOWN, Change, is_secret, secret

SUBSCRIPTION = "s"
GROUP = "/subscriptions/s/resourceGroups/rg"
SERVICE = f"{GROUP}/providers/Microsoft.ApiManagement/service/apim"
ACCOUNT = f"{GROUP}/providers/Microsoft.CognitiveServices/accounts/foundry1"
NETWORK = ACCOUNT.partition("/providers/")[0] + "/providers/Microsoft.Network"
IN_SERVICE = {"resourceGroupName": "rg", "serviceName": "apim"}


def request(token, inputs):
    kind = translate.resource_type(f"azure-native:{token}")
    checked = kind.check("name", inputs, None)
    return kind.resource_id(checked, SUBSCRIPTION), kind.api_version, kind.body(checked)


REQUESTS = {
    "resources:ResourceGroup": (
        {"resourceGroupName": "rg", "location": "uksouth", "tags": {"a": "b"}},
        (GROUP, "2024-03-01", {"location": "uksouth", "tags": {"a": "b"}}),
    ),
    "cognitiveservices:Account": (
        {
            "resourceGroupName": "rg",
            "accountName": "foundry1",
            "location": "uksouth",
            "kind": "OpenAI",
            "sku": {"name": "S0"},
            "properties": {"customSubDomainName": "foundry1", "disableLocalAuth": True},
        },
        (
            ACCOUNT,
            "2025-06-01",
            {
                "location": "uksouth",
                "kind": "OpenAI",
                "sku": {"name": "S0"},
                "properties": {"customSubDomainName": "foundry1", "disableLocalAuth": True},
            },
        ),
    ),
    "cognitiveservices:Deployment": (
        {
            "resourceGroupName": "rg",
            "accountName": "foundry1",
            "deploymentName": "chat",
            "sku": {"name": "GlobalStandard", "capacity": 50},
            "properties": {"model": {"name": "m", "version": "1", "format": "OpenAI"}},
        },
        (
            f"{ACCOUNT}/deployments/chat",
            "2025-06-01",
            {
                "sku": {"name": "GlobalStandard", "capacity": 50},
                "properties": {"model": {"name": "m", "version": "1", "format": "OpenAI"}},
            },
        ),
    ),
    "authorization:RoleAssignment": (
        {
            "scope": ACCOUNT,
            "roleAssignmentName": "guid",
            "principalId": "p",
            "principalType": "ServicePrincipal",
            "roleDefinitionId": "/r",
        },
        (
            f"{ACCOUNT}/providers/Microsoft.Authorization/roleAssignments/guid",
            "2022-04-01",
            {
                "properties": {
                    "principalId": "p",
                    "principalType": "ServicePrincipal",
                    "roleDefinitionId": "/r",
                }
            },
        ),
    ),
    "network:PrivateEndpoint": (
        {
            "resourceGroupName": "rg",
            "privateEndpointName": "e",
            "location": "uksouth",
            "subnet": {"id": "/s"},
            "privateLinkServiceConnections": [
                {"name": "account", "groupIds": ["account"], "privateLinkServiceId": "/a"}
            ],
        },
        (
            f"{NETWORK}/privateEndpoints/e",
            "2024-05-01",
            {
                "location": "uksouth",
                "properties": {
                    "subnet": {"id": "/s"},
                    "privateLinkServiceConnections": [
                        {
                            "name": "account",
                            "properties": {"groupIds": ["account"], "privateLinkServiceId": "/a"},
                        }
                    ],
                },
            },
        ),
    ),
    "network:PrivateDnsZoneGroup": (
        {
            "resourceGroupName": "rg",
            "privateEndpointName": "e",
            "privateDnsZoneGroupName": "default",
            "privateDnsZoneConfigs": [{"name": "openai", "privateDnsZoneId": "/z"}],
        },
        (
            f"{NETWORK}/privateEndpoints/e/privateDnsZoneGroups/default",
            "2024-05-01",
            {
                "properties": {
                    "privateDnsZoneConfigs": [
                        {"name": "openai", "properties": {"privateDnsZoneId": "/z"}}
                    ]
                }
            },
        ),
    ),
    "privatedns:PrivateZone": (
        {"resourceGroupName": "rg", "privateZoneName": "z", "location": "Global"},
        (f"{NETWORK}/privateDnsZones/z", "2024-06-01", {"location": "Global"}),
    ),
    "privatedns:VirtualNetworkLink": (
        {
            "resourceGroupName": "rg",
            "privateZoneName": "z",
            "virtualNetworkLinkName": "l",
            "location": "Global",
            "registrationEnabled": False,
            "virtualNetwork": {"id": "/v"},
        },
        (
            f"{NETWORK}/privateDnsZones/z/virtualNetworkLinks/l",
            "2024-06-01",
            {
                "location": "Global",
                "properties": {"registrationEnabled": False, "virtualNetwork": {"id": "/v"}},
            },
        ),
    ),
    "apimanagement:ApiManagementService": (
        {
            **IN_SERVICE,
            "serviceName": "apim",
            "location": "uksouth",
            "sku": {"name": "BasicV2", "capacity": 1},
            "identity": {"type": "SystemAssigned"},
            "publisherName": "P",
            "publisherEmail": "p@example.com",
        },
        (
            SERVICE,
            "2024-05-01",
            {
                "location": "uksouth",
                "sku": {"name": "BasicV2", "capacity": 1},
                "identity": {"type": "SystemAssigned"},
                "properties": {"publisherName": "P", "publisherEmail": "p@example.com"},
            },
        ),
    ),
    "apimanagement:Backend": (
        {
            **IN_SERVICE,
            "backendId": "pool",
            "type": "Pool",
            "pool": {"services": [{"id": "/b", "priority": 1, "weight": 1}]},
        },
        (
            f"{SERVICE}/backends/pool",
            "2024-05-01",
            {
                "properties": {
                    "type": "Pool",
                    "pool": {"services": [{"id": "/b", "priority": 1, "weight": 1}]},
                }
            },
        ),
    ),
    "apimanagement:Api": (
        {
            **IN_SERVICE,
            "apiId": "inference",
            "path": "inference/openai",
            "apiType": "http",
            "soapApiType": "http",
        },
        (
            f"{SERVICE}/apis/inference",
            "2024-05-01",
            {"properties": {"path": "inference/openai", "type": "http", "apiType": "http"}},
        ),
    ),
    "apimanagement:ApiOperation": (
        {
            **IN_SERVICE,
            "apiId": "inference",
            "operationId": "chat",
            "method": "POST",
            "urlTemplate": "/chat",
            "displayName": "Chat",
        },
        (
            f"{SERVICE}/apis/inference/operations/chat",
            "2024-05-01",
            {"properties": {"method": "POST", "urlTemplate": "/chat", "displayName": "Chat"}},
        ),
    ),
    "apimanagement:ApiPolicy": (
        {
            **IN_SERVICE,
            "apiId": "inference",
            "policyId": "policy",
            "format": "rawxml",
            "value": "<policies/>",
        },
        (
            f"{SERVICE}/apis/inference/policies/policy",
            "2024-05-01",
            {"properties": {"format": "rawxml", "value": "<policies/>"}},
        ),
    ),
    "apimanagement:Logger": (
        {**IN_SERVICE, "loggerId": "azuremonitor", "loggerType": "azureMonitor"},
        (
            f"{SERVICE}/loggers/azuremonitor",
            "2024-05-01",
            {"properties": {"loggerType": "azureMonitor"}},
        ),
    ),
    "apimanagement:Diagnostic": (
        {**IN_SERVICE, "diagnosticId": "azuremonitor", "loggerId": "l"},
        (
            f"{SERVICE}/diagnostics/azuremonitor",
            "2024-05-01",
            {"properties": {"loggerId": "l"}},
        ),
    ),
    "apimanagement:ApiDiagnostic": (
        {**IN_SERVICE, "apiId": "inference", "diagnosticId": "azuremonitor", "loggerId": "l"},
        (
            f"{SERVICE}/apis/inference/diagnostics/azuremonitor",
            "2024-05-01",
            {"properties": {"loggerId": "l"}},
        ),
    ),
    "operationalinsights:Workspace": (
        {
            "resourceGroupName": "rg",
            "workspaceName": "logs",
            "location": "uksouth",
            "sku": {"name": "PerGB2018"},
            "retentionInDays": 30,
        },
        (
            f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/logs",
            "2023-09-01",
            {
                "location": "uksouth",
                "properties": {"sku": {"name": "PerGB2018"}, "retentionInDays": 30},
            },
        ),
    ),
    "monitor:DiagnosticSetting": (
        {"resourceUri": SERVICE, "name": "logs", "workspaceId": "w", "logs": []},
        (
            f"{SERVICE}/providers/Microsoft.Insights/diagnosticSettings/logs",
            "2021-05-01-preview",
            {"properties": {"workspaceId": "w", "logs": []}},
        ),
    ),
    "monitor:ActionGroup": (
        {
            "resourceGroupName": "rg",
            "actionGroupName": "alarm",
            "location": "global",
            "groupShortName": "a",
            "enabled": True,
        },
        (
            f"{GROUP}/providers/Microsoft.Insights/actionGroups/alarm",
            "2024-10-01-preview",
            {"location": "global", "properties": {"groupShortName": "a", "enabled": True}},
        ),
    ),
    "monitor:ScheduledQueryRule": (
        {
            "resourceGroupName": "rg",
            "ruleName": "silent",
            "location": "uksouth",
            "kind": "LogAlert",
            "windowSize": "PT1H",
        },
        (
            f"{GROUP}/providers/Microsoft.Insights/scheduledQueryRules/silent",
            "2025-01-01-preview",
            {"location": "uksouth", "kind": "LogAlert", "properties": {"windowSize": "PT1H"}},
        ),
    ),
    "applicationinsights:Workbook": (
        {
            "resourceGroupName": "rg",
            "resourceName": "w",
            "location": "uksouth",
            "kind": "shared",
            "displayName": "W",
        },
        (
            f"{GROUP}/providers/Microsoft.Insights/workbooks/w",
            "2023-06-01",
            {"location": "uksouth", "kind": "shared", "properties": {"displayName": "W"}},
        ),
    ),
    "apimanagement:Subscription": (
        {
            **IN_SERVICE,
            "sid": "clients",
            "displayName": "C",
            "scope": "/apis/inference",
            "state": "active",
        },
        (
            f"{SERVICE}/subscriptions/clients",
            "2024-05-01",
            {"properties": {"displayName": "C", "scope": "/apis/inference", "state": "active"}},
        ),
    ),
}


@pytest.mark.parametrize("token", REQUESTS)
def test_inputs_become_the_request_that_azure_documents(token):
    inputs, expected = REQUESTS[token]
    assert request(token, inputs) == expected


def test_every_type_of_the_table_has_its_request_tested():
    assert {f"azure-native:{token}" for token in REQUESTS} == set(translate.RESOURCE_TYPES)


def test_a_query_parameter_is_no_part_of_the_body():
    kind = translate.resource_type("azure-native:apimanagement:Subscription")
    inputs = {**IN_SERVICE, "sid": "s", "displayName": "D", "notify": True}
    assert kind.body(inputs) == {"properties": {"displayName": "D"}}
    assert kind.query_parameters(inputs) == {"api-version": "2024-05-01", "notify": "True"}


def test_a_flattened_answer_is_lifted_and_the_resources_own_type_wins():
    kind = translate.resource_type("azure-native:apimanagement:Backend")
    outputs = kind.outputs(
        {
            "id": "/x",
            "name": "pool",
            "type": "Microsoft.ApiManagement/service/backends",
            "properties": {"type": "Pool", "url": None, "pool": {"services": []}},
        }
    )
    assert outputs == {
        "name": "pool",
        "type": "Microsoft.ApiManagement/service/backends",
        "pool": {"services": []},
        "azureApiVersion": "2024-05-01",
    }


def test_an_answer_that_azure_native_does_not_flatten_stays_whole():
    kind = translate.resource_type("azure-native:cognitiveservices:Account")
    outputs = kind.outputs({"id": "/x", "name": "a", "properties": {"endpoint": "https://e/"}})
    assert outputs["properties"] == {"endpoint": "https://e/"}


def test_the_wire_name_of_an_output_is_translated_back():
    kind = translate.resource_type("azure-native:apimanagement:Api")
    body = {"type": "Microsoft.ApiManagement/service/apis", "properties": {"type": "http"}}
    assert kind.outputs(body)["apiType"] == "http"


def test_subscription_keys_among_the_outputs_are_secrets():
    kind = translate.resource_type("azure-native:apimanagement:Subscription")
    outputs = kind.outputs({"name": "s", "properties": {"primaryKey": "k", "scope": "/apis/a"}})
    assert is_secret(outputs["primaryKey"])
    assert outputs["scope"] == "/apis/a"


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (
            "azure-native:apimanagement:Backnd",
            (
                "resource type 'azure-native:apimanagement:Backnd' is not known to the local Azure:"
                " did you mean 'azure-native:apimanagement:Backend'?"
            ),
        ),
        ("aws:s3:Bucket", "resource type 'aws:s3:Bucket' is not known to the local Azure"),
    ],
)
def test_an_unknown_type_is_refused_by_name(token, message):
    with pytest.raises(TranslationError) as refusal:
        translate.resource_type(token)
    assert str(refusal.value) == message


def test_an_unknown_function_is_refused_by_name():
    with pytest.raises(TranslationError, match="getClientConfig"):
        translate.function("azure-native:authorization:getClientConfig")


@pytest.mark.parametrize(
    ("token", "api_version"),
    [
        ("azure-native:apimanagement/v20220801:Backend", "2022-08-01"),
        ("azure-native:apimanagement/v20240601preview:Backend", "2024-06-01-preview"),
    ],
)
def test_a_version_in_the_token_is_the_api_version(token, api_version):
    assert translate.resource_type(token).api_version == api_version


BACKEND = {**IN_SERVICE, "backendId": "b"}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({**BACKEND, "ulr": "https://x"}, "unexpected property 'ulr': did you mean 'url'?"),
        (
            {**BACKEND, "pool": {"services": [{"id": "/b"}, {"id": "/b", "prioirty": 1}]}},
            "unexpected property 'pool.services[1].prioirty': did you mean 'priority'?",
        ),
        (
            {**BACKEND, "pool": secret({"services": [], "sessionAffinity": {}})},
            "unexpected property 'pool.sessionAffinity'",
        ),
        (
            {"backendId": "b", "resourceGroupName": "rg"},
            "missing required property 'serviceName'",
        ),
        (
            {"backendId": "b", "serviceName": "apim", "titel": "x"},
            (
                "unexpected property 'titel': did you mean 'title'?;"
                " missing required property 'resourceGroupName'"
            ),
        ),
    ],
)
def test_properties_that_the_type_does_not_have_are_refused(inputs, message):
    with pytest.raises(TranslationError) as refusal:
        translate.resource_type("azure-native:apimanagement:Backend").check("b", inputs, None)
    assert str(refusal.value) == message


def test_nulls_are_left_out_as_azure_native_does():
    kind = translate.resource_type("azure-native:apimanagement:Backend")
    checked = kind.check("b", {**BACKEND, "url": None, "pool": {"services": None}}, None)
    assert checked == {**BACKEND, "pool": {}}


def test_a_name_is_made_up_once_and_then_kept():
    kind = translate.resource_type("azure-native:resources:ResourceGroup")
    made_up = kind.check("rg", {}, None)["resourceGroupName"]
    assert made_up.startswith("rg")
    assert len(made_up) == len("rg") + 8
    assert kind.check("rg", {}, {"resourceGroupName": made_up})["resourceGroupName"] == made_up
    child = translate.resource_type("azure-native:apimanagement:Backend")
    assert child.check("b", IN_SERVICE, None)["backendId"] == "b"
    assignment = translate.resource_type("azure-native:authorization:RoleAssignment")
    assert len(assignment.check("r", {"scope": "/x"}, None)["roleAssignmentName"]) == 36


@pytest.mark.parametrize(
    ("token", "path", "expected"),
    [
        ("cognitiveservices:Account", "location", True),
        ("cognitiveservices:Account", "properties.customSubDomainName", True),
        ("cognitiveservices:Account", "properties", True),
        ("cognitiveservices:Account", "properties.disableLocalAuth", False),
        ("cognitiveservices:Account", "accountName", True),
        ("cognitiveservices:Deployment", "sku.capacity", False),
        ("authorization:RoleAssignment", "principalType", True),
        ("apimanagement:Backend", "resourceGroupName", True),
        ("apimanagement:Backend", "pool.services[0].weight", False),
        ("apimanagement:ApiManagementService", "location", True),
        ("apimanagement:ApiManagementService", "sku.capacity", False),
    ],
)
def test_what_needs_a_new_resource(token, path, expected):
    kind = translate.resource_type(f"azure-native:{token}")
    assert kind.needs_replacement(Change(path=path, kind="update")) is expected


def test_two_spellings_of_a_location_are_no_change():
    kind = translate.resource_type("azure-native:cognitiveservices:Account")
    same = Change(path="location", kind="update", old="UK South", new="uksouth")
    other = Change(path="location", kind="update", old="UK South", new="ukwest")
    assert not kind.is_change(same)
    assert kind.is_change(other)


def test_a_preview_knows_the_inputs_and_marks_the_rest_unknown_at_every_depth():
    kind = translate.resource_type("azure-native:cognitiveservices:Account")
    outputs = kind.preview_outputs(
        {"location": "uksouth", "properties": {"customSubDomainName": "foundry1"}}
    )
    assert outputs["location"] == "uksouth"
    assert outputs["name"] == UNKNOWN
    assert outputs["properties"]["customSubDomainName"] == "foundry1"
    assert outputs["properties"]["endpoint"] == UNKNOWN


def test_a_preview_of_an_update_knows_what_never_changes():
    kind = translate.resource_type("azure-native:apimanagement:Backend")
    outputs = kind.preview_outputs({"type": "Pool"}, {"name": "pool", "url": "https://old"})
    assert outputs["name"] == "pool"
    assert outputs["url"] == UNKNOWN
    assert outputs["type"] == UNKNOWN  # the resource's type, which no input tells


def test_a_function_is_a_post_and_its_arguments_are_checked():
    function = translate.function("azure-native:apimanagement:listSubscriptionSecrets")
    assert function.request({**IN_SERVICE, "sid": "c"}, "s") == (
        f"{SERVICE}/subscriptions/c/listSecrets",
        {"api-version": "2024-05-01"},
    )
    with pytest.raises(TranslationError) as refusal:
        function.request({**IN_SERVICE, "sids": "c"}, "s")
    assert str(refusal.value) == (
        "unexpected argument 'sids': did you mean 'sid'?; missing argument 'sid'"
    )


def test_a_lookup_is_a_get_and_returns_what_azure_native_calls_it():
    function = translate.function(
        "azure-native:apimanagement/v20230501preview:getApiManagementService"
    )
    assert function.method == "GET"
    assert function.request(IN_SERVICE, "s") == (SERVICE, {"api-version": "2023-05-01-preview"})
    answer = {"id": SERVICE, "name": "a", "properties": {"gatewayUrl": "https://a"}}
    assert (
        function.result(answer).items()
        >= {
            "id": SERVICE,
            "name": "a",
            "gatewayUrl": "https://a",
        }.items()
    )


def test_every_input_of_the_sdk_has_a_place_in_the_request():
    """What the SDK takes for a backend goes into the path or below `properties`."""
    names = set(translate.sdk_types.input_type_types(apimanagement.BackendArgs))
    inputs = dict.fromkeys(names, "x")
    body = translate.resource_type("azure-native:apimanagement:Backend").body(inputs)
    assert set(body) == {"properties"}
    assert set(body["properties"]) == names - {"backendId", "serviceName", "resourceGroupName"}


def test_a_refresh_follows_a_list_entry_by_entry():
    """azure-native, `applyValueDiff`: what Azure had added before is still no input."""
    backend = translate.resource_type("azure-native:apimanagement:Backend")

    def pool(*services):
        return {"pool": {"services": list(services)}}

    one, other = {"id": "a", "weight": 1}, {"id": "b", "weight": 2}
    assert backend.followed(pool({"id": "a"}), pool(one), pool(one)) == pool({"id": "a"})
    assert backend.followed(pool({"id": "a"}), pool(one), pool(one, other)) == pool(
        {"id": "a"}, other
    )
    assert backend.followed(pool({"id": "a"}, other), pool(one, other), pool(one)) == pool(
        {"id": "a"}
    )
