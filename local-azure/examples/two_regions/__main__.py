"""A gateway over two Azure OpenAI accounts: three quarters of the traffic go to the first."""

import pulumi
from pulumi_azure_native import apimanagement, authorization, cognitiveservices, resources

OPENAI_USER = "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd"
SHARES = {"swedencentral": 75, "francecentral": 25}
POLICY = """
<policies>
  <inbound>
    <base />
    <set-backend-service backend-id="models" />
    <authentication-managed-identity resource="https://cognitiveservices.azure.com" />
    <set-header name="api-key" exists-action="delete" />
  </inbound>
  <backend><base /></backend>
  <outbound><base /></outbound>
  <on-error><base /></on-error>
</policies>
"""

group = resources.ResourceGroup("ai", resource_group_name="rg-ai", location="swedencentral")
gateway = apimanagement.ApiManagementService(
    "gateway",
    service_name="apim-two-regions",
    resource_group_name=group.name,
    location=group.location,
    publisher_name="AI platform",
    publisher_email="ai@example.com",
    sku={"name": "StandardV2", "capacity": 1},
    identity={"type": "SystemAssigned"},
)
in_gateway = {"resource_group_name": group.name, "service_name": gateway.name}
members = []
for location, share in SHARES.items():
    account = cognitiveservices.Account(
        location,
        account_name=f"models-{location}",
        resource_group_name=group.name,
        location=location,
        kind="OpenAI",
        sku={"name": "S0"},
        properties={"custom_sub_domain_name": f"models-{location}", "disable_local_auth": True},
    )
    cognitiveservices.Deployment(
        f"{location}-chat",
        deployment_name="chat",
        account_name=account.name,
        resource_group_name=group.name,
        sku={"name": "GlobalStandard", "capacity": 10},
        properties={
            "model": {"format": "OpenAI", "name": "gpt-5.4-mini", "version": "2026-03-17"},
            "version_upgrade_option": "OnceCurrentVersionExpired",
        },
    )
    authorization.RoleAssignment(
        location,
        scope=account.id,
        role_definition_id=f"/providers/Microsoft.Authorization/roleDefinitions/{OPENAI_USER}",
        principal_id=gateway.identity.apply(lambda identity: identity.principal_id),
        principal_type="ServicePrincipal",
    )
    backend = apimanagement.Backend(
        location,
        backend_id=location,
        url=account.properties.apply(lambda properties: f"{properties.endpoint}openai"),
        protocol="http",
        **in_gateway,
    )
    members.append({"id": backend.id, "priority": 1, "weight": share})
pool = apimanagement.Backend(
    "models", backend_id="models", type="Pool", pool={"services": members}, **in_gateway
)
api = apimanagement.Api(
    "models",
    api_id="models",
    display_name="Models",
    path="models/openai",
    protocols=["https"],
    subscription_required=True,
    subscription_key_parameter_names={"header": "api-key", "query": "api-key"},
    **in_gateway,
)
apimanagement.ApiOperation(
    "chat",
    operation_id="chat",
    api_id=api.name,
    display_name="Chat completions",
    method="POST",
    url_template="/v1/chat/completions",
    **in_gateway,
)
apimanagement.ApiPolicy(
    "models",
    policy_id="policy",
    api_id=api.name,
    format="xml",
    value=POLICY,
    **in_gateway,
    opts=pulumi.ResourceOptions(depends_on=[pool]),
)
key = apimanagement.Subscription(
    "clients", sid="clients", display_name="Clients", scope=api.id, state="active", **in_gateway
)
secrets = apimanagement.list_subscription_secrets_output(sid=key.name, **in_gateway)
pulumi.export("url", pulumi.Output.concat(gateway.gateway_url, "/models/openai/v1/"))
pulumi.export("key", pulumi.Output.secret(secrets.primary_key))
