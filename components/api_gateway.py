"""The API Management service that all clients call."""

import pulumi
from pulumi_azure_native import apimanagement

from . import network, soft_delete
from .existing import FoundService
from .keys import CLASSIC_TIERS
from .settings import Settings


class ApiGateway(pulumi.ComponentResource):
    """An API Management service with a system-assigned identity, which the regions trust.

    `service` names it and its resource group, as arguments of what is in it, and `service_id` is
    its ARM id. `gateway_url` is `https://<service>.azure-api.net`, `principal_id` the object id of
    the identity, and `addresses` are those that it calls from, where they are its own.
    """

    service_id: pulumi.Output[str]
    gateway_url: pulumi.Output[str]
    principal_id: pulumi.Output[str]

    def __init__(
        self,
        *,
        begins: str,
        settings: Settings,
        found: FoundService | None,
        resource_group_name: pulumi.Output[str],
        suffix: pulumi.Output[str],
        restored: soft_delete.Restored,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare `apim-<suffix>`, or nothing where one is `found`; `protect` may name it."""
        name = f"{begins}gateway"
        super().__init__("openai-gateway:index:ApiGateway", name, None, opts)
        self.addresses = pulumi.Output.from_input([*found.addresses] if found else [])
        if found:
            resource_group_name = pulumi.Output.from_input(found.resource_group)
            service_name = pulumi.Output.from_input(found.name)
            self.service_id = pulumi.Output.from_input(found.id)
            self.gateway_url = pulumi.Output.from_input(found.gateway_url)
            self.principal_id = pulumi.Output.from_input(found.principal_id)
        else:
            gateway = settings.gateway
            service = apimanagement.ApiManagementService(
                name,
                service_name=suffix.apply(soft_delete.service_name),
                resource_group_name=resource_group_name,
                location=settings.own_location,
                tags=settings.tags or None,
                sku={"name": gateway.sku, "capacity": gateway.capacity},
                publisher_name=gateway.publisher_name,
                publisher_email=gateway.publisher_email,
                identity={"type": "SystemAssigned"},
                # False is refused on classic tiers, where true asks no client for a certificate.
                enable_client_certificate=gateway.sku in CLASSIC_TIERS,
                restore=soft_delete.flag(restored, "gateway"),
                **network.service_arguments(settings),
                opts=pulumi.ResourceOptions(
                    parent=self,
                    protect="gateway" not in settings.unprotected,
                    # One that is deployed stays where it is.
                    ignore_changes=settings.kept,
                ),
            )
            service_name, self.gateway_url = service.name, service.gateway_url
            self.service_id = service.id
            if gateway.sku in CLASSIC_TIERS:  # others share theirs with other customers
                self.addresses = service.public_ip_addresses.apply(lambda known: list(known or ()))
            self.principal_id = service.identity.apply(
                lambda identity: identity.principal_id if identity else ""
            )
        self.service = {"resource_group_name": resource_group_name, "service_name": service_name}
        self.register_outputs(
            {
                "serviceName": service_name,
                "gatewayUrl": self.gateway_url,
                "principalId": self.principal_id,
            }
        )
