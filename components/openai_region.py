"""One region's Azure OpenAI account, its model deployments, and the gateway's role on it."""

import pulumi
from pulumi_azure_native import authorization, cognitiveservices
from pulumi_random import RandomUuid

from . import network, soft_delete
from .existing import FoundAccount
from .resource_manager import OPENAI_USER
from .settings import Region, Settings

# Built-in role "Cognitive Services OpenAI User", by its tenant-level id so that no subscription id
# has to be looked up (Azure built-in roles, AI + machine learning).
OPENAI_USER_ROLE = f"/providers/Microsoft.Authorization/roleDefinitions/{OPENAI_USER}"


class RegionalOpenAI(pulumi.ComponentResource):
    """An account that takes Entra tokens only, with the same model deployments as its peers.

    The gateway forwards to `backend_url`, `https://<subdomain>.openai.azure.com/openai`.
    `account_id` is that of an account of the stack's own, or None.
    """

    account_id: pulumi.Output[str] | None = None

    def __init__(
        self,
        region: Region,
        *,
        begins: str,
        settings: Settings,
        found: FoundAccount | None,
        resource_group_name: pulumi.Input[str],
        suffix: pulumi.Input[str],
        restored: soft_delete.Restored,
        gateway_principal_id: pulumi.Input[str],
        gateway_addresses: pulumi.Output[list[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the account `<region name>-<suffix>` and the role on it, or on one `found`."""
        name = begins + region.name
        super().__init__("openai-gateway:index:RegionalOpenAI", name, None, opts)
        own = pulumi.ResourceOptions(parent=self)
        if found:
            account_id, endpoint = map(pulumi.Output.from_input, (found.id, found.endpoint))
        else:
            subdomain = pulumi.Output.concat(region.name, "-", suffix)
            account = cognitiveservices.Account(
                name,
                account_name=subdomain,
                resource_group_name=resource_group_name,
                location=region.location,
                tags=settings.tags or None,
                kind="OpenAI",
                sku={"name": "S0"},
                properties=cognitiveservices.AccountPropertiesArgs(
                    custom_sub_domain_name=subdomain,
                    disable_local_auth=True,
                    restore=soft_delete.flag(restored, region.name),
                    **network.account_properties(settings, gateway_addresses),
                ),
                opts=pulumi.ResourceOptions(
                    parent=self, protect=region.name not in settings.unprotected
                ),
            )
            account_id = self.account_id = account.id
            endpoint = account.properties.apply(lambda properties: properties.endpoint)
            # Azure answers 409 RequestConflict when two deployments of an account change at once.
            previous: pulumi.Resource = account
            for model in settings.models:
                previous = cognitiveservices.Deployment(
                    f"{name}-{model.name}",
                    deployment_name=model.name,
                    account_name=account.name,
                    resource_group_name=resource_group_name,
                    sku={"name": model.sku, "capacity": model.capacity},
                    properties={
                        "model": {
                            "format": "OpenAI",
                            "name": model.model,
                            "version": model.version,
                        },
                        # Unset, it would let Azure upgrade one region weeks before the next.
                        "version_upgrade_option": model.version_upgrade,
                        "rai_policy_name": model.rai_policy,
                    },
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[previous]),
                )
        authorization.RoleAssignment(
            f"{name}-openai-user",
            role_assignment_name=RandomUuid(f"{name}-openai-user", own).result,
            scope=account_id,
            role_definition_id=OPENAI_USER_ROLE,
            principal_id=gateway_principal_id,
            # azure-native's default, `User`, makes Azure look the gateway up among the users.
            principal_type="ServicePrincipal",
            opts=own,
        )
        self.backend_url = endpoint.apply(lambda known: f"{known.rstrip('/')}/openai")
        self.register_outputs({"backendUrl": self.backend_url})
