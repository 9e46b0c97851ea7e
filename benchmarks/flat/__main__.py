"""The dev stack as a flat program: one file, the same SDKs, no components, no config and no checks.

`benchmarks/engine.py` compares the program with it. It is the least that declares the same
resources of Azure, so what it lacks is the price of the program's structure.
"""

import re

import pulumi
from pulumi_azure_native import (
    apimanagement,
    applicationinsights,
    authorization,
    cognitiveservices,
    monitor,
    operationalinsights,
    resources,
)
from pulumi_random import RandomString, RandomUuid

REGIONS = {"foundry1": "uksouth", "foundry2": "eastus", "foundry3": "norwayeast"}
BY_DEPLOYMENT = {
    "chat-completions": "chat/completions",
    "embeddings": "embeddings",
    "images-generations": "images/generations",
    "images-edits": "images/edits",
    "audio-transcriptions": "audio/transcriptions",
    "audio-translations": "audio/translations",
    "audio-speech": "audio/speech",
}
WHOLE = {
    "models": ("GET", "/models"),
    "model": ("GET", "/models/{model-id}"),
    "responses": ("POST", "/responses"),
    "responses-get": ("GET", "/responses/{response-id}"),
    "responses-delete": ("DELETE", "/responses/{response-id}"),
    "responses-cancel": ("POST", "/responses/{response-id}/cancel"),
    "responses-input-items": ("GET", "/responses/{response-id}/input_items"),
}
OPERATIONS = {
    **{
        name: ("POST", f"/deployments/{{deployment-id}}/{path}")
        for name, path in BY_DEPLOYMENT.items()
    },
    **{f"v1-{name}": ("POST", f"/v1/{path}") for name, path in BY_DEPLOYMENT.items()},
    **WHOLE,
    **{f"v1-{name}": (method, f"/v1{path}") for name, (method, path) in WHOLE.items()},
    **{f"elsewhere-{method.lower()}": (method, "/*") for method in ("GET", "POST", "DELETE")},
}
ROLE = "/providers/Microsoft.Authorization/roleDefinitions/5e0bd9bd-7b93-4f28-af87-19fc36ad61bd"
RULES = {
    "starved-region-hourly": ("PT1H", "PT1H", 2),
    "starved-region-daily": ("P1D", "PT1H", 2),
    "region-above-ceiling-hourly": ("PT1H", "PT1H", 2),
    "region-above-ceiling-daily": ("P1D", "PT1H", 2),
    "no-region-answers": ("PT15M", "PT15M", 1),
    "no-logs": ("P2D", "PT1H", 3),
}
WORKBOOK = "9d0c1b0e-5f0e-5d55-8d53-6f7f3a3f8c11"
POLICY = """<policies>
  <inbound><base /><set-backend-service backend-id="inference-backend-pool" /></inbound>
  <backend><base /></backend>
  <outbound><base /></outbound>
  <on-error><base /></on-error>
</policies>"""

suffix = RandomString("suffix", length=8, upper=False, special=False).result
group = resources.ResourceGroup(
    "openai",
    resource_group_name=pulumi.Output.concat("rg-openai-gateway-", suffix),
    location="uksouth",
)
service = apimanagement.ApiManagementService(
    "gateway",
    service_name=pulumi.Output.concat("apim-", suffix),
    resource_group_name=group.name,
    location="uksouth",
    sku=apimanagement.ApiManagementServiceSkuPropertiesArgs(name="BasicV2", capacity=1),
    publisher_name="Platform team",
    publisher_email="platform-team@example.com",
    identity=apimanagement.ApiManagementServiceIdentityArgs(type="SystemAssigned"),
)
backends = []
for name, location in REGIONS.items():
    subdomain = pulumi.Output.concat(name, "-", suffix)
    account = cognitiveservices.Account(
        name,
        account_name=subdomain,
        resource_group_name=group.name,
        location=location,
        kind="OpenAI",
        sku=cognitiveservices.SkuArgs(name="S0"),
        properties=cognitiveservices.AccountPropertiesArgs(
            custom_sub_domain_name=subdomain, disable_local_auth=True
        ),
    )
    cognitiveservices.Deployment(
        f"{name}-chat",
        deployment_name="chat",
        account_name=account.name,
        resource_group_name=group.name,
        sku=cognitiveservices.SkuArgs(name="GlobalStandard", capacity=50),
        properties=cognitiveservices.DeploymentPropertiesArgs(
            model=cognitiveservices.DeploymentModelArgs(
                format="OpenAI", name="gpt-5.4-mini", version="2026-03-17"
            )
        ),
    )
    authorization.RoleAssignment(
        f"{name}-openai-user",
        role_assignment_name=RandomUuid(f"{name}-openai-user").result,
        scope=account.id,
        role_definition_id=ROLE,
        principal_id=service.identity.apply(lambda each: each.principal_id if each else ""),
        principal_type="ServicePrincipal",
    )
    backends.append(
        apimanagement.Backend(
            name,
            backend_id=name,
            resource_group_name=group.name,
            service_name=service.name,
            url=account.properties.apply(lambda properties: f"{properties.endpoint}openai"),
            protocol="http",
            circuit_breaker=apimanagement.BackendCircuitBreakerArgs(
                rules=[
                    apimanagement.CircuitBreakerRuleArgs(
                        name="throttled-or-failing",
                        failure_condition=apimanagement.CircuitBreakerFailureConditionArgs(
                            count=10,
                            interval="PT10S",
                            status_code_ranges=[
                                apimanagement.FailureStatusCodeRangeArgs(min=429, max=429),
                                apimanagement.FailureStatusCodeRangeArgs(min=500, max=599),
                            ],
                        ),
                        trip_duration="PT10S",
                        accept_retry_after=False,
                    )
                ]
            ),
        )
    )
pool = apimanagement.Backend(
    "inference-backend-pool",
    backend_id="inference-backend-pool",
    resource_group_name=group.name,
    service_name=service.name,
    type="Pool",
    pool=apimanagement.BackendBaseParametersPoolArgs(
        services=[
            apimanagement.BackendPoolItemArgs(id=backend.id, priority=1, weight=1)
            for backend in backends
        ]
    ),
)
api = apimanagement.Api(
    "inference",
    api_id="inference",
    resource_group_name=group.name,
    service_name=service.name,
    display_name="Azure OpenAI, all regions",
    path="inference/openai",
    protocols=["https"],
    subscription_required=True,
    subscription_key_parameter_names=apimanagement.SubscriptionKeyParameterNamesContractArgs(
        header="api-key", query="api-key"
    ),
)
for operation, (method, path) in OPERATIONS.items():
    apimanagement.ApiOperation(
        f"inference-{operation}",
        operation_id=operation,
        api_id=api.name,
        resource_group_name=group.name,
        service_name=service.name,
        display_name=operation,
        method=method,
        url_template=path,
        template_parameters=[
            apimanagement.ParameterContractArgs(name=name, type="string", required=True)
            for name in re.findall("{(.*?)}", path)
        ],
    )
apimanagement.ApiPolicy(
    "inference-policy",
    policy_id="policy",
    api_id=api.name,
    resource_group_name=group.name,
    service_name=service.name,
    format="xml",
    value=POLICY,
)
workspace = operationalinsights.Workspace(
    "logs",
    workspace_name=pulumi.Output.concat("log-", suffix),
    resource_group_name=group.name,
    location="uksouth",
    sku=operationalinsights.WorkspaceSkuArgs(name="PerGB2018"),
    retention_in_days=30,
)
logger = apimanagement.Logger(
    "azuremonitor",
    logger_id="azuremonitor",
    logger_type="azureMonitor",
    resource_group_name=group.name,
    service_name=service.name,
)
apimanagement.ApiDiagnostic(
    "api-diagnostic",
    diagnostic_id="azuremonitor",
    api_id=api.name,
    logger_id=logger.id,
    resource_group_name=group.name,
    service_name=service.name,
    sampling=apimanagement.SamplingSettingsArgs(sampling_type="fixed", percentage=100),
)
monitor.DiagnosticSetting(
    "gateway-logs",
    name="gateway-logs",
    resource_uri=service.id,
    workspace_id=workspace.id,
    log_analytics_destination_type="Dedicated",
    logs=[
        monitor.DiagnosticsLogSettingsArgs(category=category, enabled=True)
        for category in ("GatewayLogs", "GatewayLlmLogs")
    ],
)
for rule, (window, frequency, severity) in RULES.items():
    monitor.ScheduledQueryRule(
        rule,
        rule_name=pulumi.Output.concat(rule, "-", suffix),
        resource_group_name=group.name,
        location="uksouth",
        scopes=[workspace.id],
        severity=severity,
        enabled=True,
        window_size=window,
        evaluation_frequency=frequency,
        skip_query_validation=True,
        criteria=monitor.ScheduledQueryRuleCriteriaArgs(
            all_of=[
                monitor.ConditionArgs(
                    query="ApiManagementGatewayLogs",
                    operator="GreaterThan",
                    threshold=0,
                    time_aggregation="Count",
                )
            ]
        ),
    )
applicationinsights.Workbook(
    "workbook",
    resource_name_=WORKBOOK,
    resource_group_name=group.name,
    location="uksouth",
    category="workbook",
    kind="shared",
    display_name="Azure OpenAI by region",
    serialized_data='{"items":[],"version":"Notebook/1.0"}',
    source_id=workspace.id,
)
subscription = apimanagement.Subscription(
    "inference-clients",
    sid="inference-clients",
    resource_group_name=group.name,
    service_name=service.name,
    display_name="Clients of the inference API",
    scope=api.name.apply(lambda name: f"/apis/{name}"),
    state=apimanagement.SubscriptionState.ACTIVE,
)
keys = apimanagement.list_subscription_secrets_output(
    resource_group_name=group.name, service_name=service.name, sid=subscription.name
)
pulumi.export("gateway_url", service.gateway_url)
pulumi.export("pool_id", pool.id)
pulumi.export("subscription_key", pulumi.Output.secret(keys.primary_key))
