"""One region's Azure OpenAI account, its model deployments, and the gateway's role on it."""

from collections.abc import Sequence

import pulumi
from pulumi_azure_native import authorization, cognitiveservices
from pulumi_random import RandomUuid

from components.existing import FoundAccount
from components.resource_manager import OPENAI_USER
from components.settings import Model, Region

# Built-in role "Cognitive Services OpenAI User", by its tenant-level id so that no subscription id
# has to be looked up (Azure built-in roles, AI + machine learning).
OPENAI_USER_ROLE = f"/providers/Microsoft.Authorization/roleDefinitions/{OPENAI_USER}"


class RegionalOpenAI(pulumi.ComponentResource):
    """An account that takes Entra tokens only, with the same model deployments as its peers.

    Output: `backend_url`, what a gateway forwards to
    (`https://<subdomain>.openai.azure.com/openai`).
    """

    backend_url: pulumi.Output[str]

    def __init__(
        self,
        region: Region,
        *,
        found: FoundAccount | None,
        resource_group_name: pulumi.Input[str],
        suffix: pulumi.Input[str],
        models: Sequence[Model],
        gateway_principal_id: pulumi.Input[str],
        protect: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the account `<region name>-<suffix>` in the region's location, and the role.

        Where an account is `found` it is the role alone: that account is not the stack's.
        """
        super().__init__("openai-gateway:index:RegionalOpenAI", region.name, None, opts)
        children = pulumi.ResourceOptions(parent=self)

        account_id: pulumi.Input[str]
        endpoint: pulumi.Input[str]
        if found:
            account_id, endpoint = found.id, found.endpoint
        else:
            account = self._account(
                region,
                resource_group_name=resource_group_name,
                suffix=suffix,
                models=models,
                protect=protect,
            )
            account_id = account.id
            endpoint = account.properties.apply(lambda properties: properties.endpoint)

        authorization.RoleAssignment(
            f"{region.name}-openai-user",
            role_assignment_name=RandomUuid(f"{region.name}-openai-user", opts=children).result,
            scope=account_id,
            role_definition_id=OPENAI_USER_ROLE,
            principal_id=gateway_principal_id,
            # azure-native's default, `User`, makes Azure look the gateway up among the users.
            principal_type="ServicePrincipal",
            opts=children,
        )

        self.backend_url = pulumi.Output.from_input(endpoint).apply(
            lambda known: f"{known.rstrip('/')}/openai"
        )
        self.register_outputs({"backendUrl": self.backend_url})

    def _account(
        self,
        region: Region,
        *,
        resource_group_name: pulumi.Input[str],
        suffix: pulumi.Input[str],
        models: Sequence[Model],
        protect: bool,
    ) -> cognitiveservices.Account:
        """Declare the account and its model deployments."""
        subdomain = pulumi.Output.concat(region.name, "-", suffix)
        account = cognitiveservices.Account(
            region.name,
            account_name=subdomain,
            resource_group_name=resource_group_name,
            location=region.location,
            kind="OpenAI",
            sku=cognitiveservices.SkuArgs(name="S0"),
            properties=cognitiveservices.AccountPropertiesArgs(
                custom_sub_domain_name=subdomain,
                disable_local_auth=True,
            ),
            opts=pulumi.ResourceOptions(parent=self, protect=protect),
        )

        # Azure answers 409 RequestConflict when two deployments of one account are changed at once.
        previous: pulumi.Resource = account
        for model in models:
            previous = cognitiveservices.Deployment(
                f"{region.name}-{model.name}",
                deployment_name=model.name,
                account_name=account.name,
                resource_group_name=resource_group_name,
                sku=cognitiveservices.SkuArgs(name=model.sku, capacity=model.capacity),
                properties=cognitiveservices.DeploymentPropertiesArgs(
                    model=cognitiveservices.DeploymentModelArgs(
                        format="OpenAI", name=model.model, version=model.version
                    )
                ),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[previous]),
            )
        return account
