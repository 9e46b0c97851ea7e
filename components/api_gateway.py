"""The API Management service that all clients call."""

import pulumi
from pulumi_azure_native import apimanagement

from components.existing import FoundService
from components.settings import Settings


class ApiGateway(pulumi.ComponentResource):
    """An API Management service with a system-assigned identity, which the regions trust.

    Outputs: `resource_group_name` and `service_name`, `gateway_url`
    (`https://<service>.azure-api.net`) and `principal_id`, the object id of the identity.
    """

    resource_group_name: pulumi.Output[str]
    service_name: pulumi.Output[str]
    gateway_url: pulumi.Output[str]
    principal_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        found: FoundService | None,
        resource_group_name: pulumi.Input[str],
        suffix: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the service `apim-<suffix>`, or nothing where one is `found`.

        `name` is that by which `protect` may leave it out.
        """
        super().__init__("openai-gateway:index:ApiGateway", name, None, opts)

        if found:
            self.resource_group_name = pulumi.Output.from_input(found.resource_group)
            self.service_name = pulumi.Output.from_input(found.name)
            self.gateway_url = pulumi.Output.from_input(found.gateway_url)
            self.principal_id = pulumi.Output.from_input(found.principal_id)
        else:
            gateway = settings.gateway
            service = apimanagement.ApiManagementService(
                name,
                service_name=pulumi.Output.concat("apim-", suffix),
                resource_group_name=resource_group_name,
                location=settings.location or settings.default_location,
                sku=apimanagement.ApiManagementServiceSkuPropertiesArgs(
                    name=gateway.sku, capacity=gateway.capacity
                ),
                publisher_name=gateway.publisher_name,
                publisher_email=gateway.publisher_email,
                identity=apimanagement.ApiManagementServiceIdentityArgs(type="SystemAssigned"),
                opts=pulumi.ResourceOptions(
                    parent=self,
                    protect=name not in settings.unprotected,
                    # One that is deployed stays where it is.
                    ignore_changes=None if settings.location else ["location"],
                ),
            )
            self.resource_group_name = pulumi.Output.from_input(resource_group_name)
            self.service_name = service.name
            self.gateway_url = service.gateway_url
            self.principal_id = service.identity.apply(
                lambda identity: identity.principal_id if identity else ""
            )
        self.register_outputs(
            {
                "serviceName": self.service_name,
                "gatewayUrl": self.gateway_url,
                "principalId": self.principal_id,
            }
        )
