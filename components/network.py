"""Private endpoints of the accounts, and the DNS zone by which the gateway finds them."""

from typing import Any, Final

import pulumi
from pulumi_azure_native import network, privatedns

from .settings import Network, Settings

# "Azure Private Endpoint private DNS zone values": of accounts at *.openai.azure.com.
ZONE: Final = "privatelink.openai.azure.com"
_GROUP_ID: Final = "account"  # the only part of an account that an endpoint can stand for


def account_properties(
    settings: Settings, gateway_addresses: pulumi.Output[list[str]]
) -> dict[str, Any]:
    """Return what an account's properties say of its network; nothing for a public one."""
    its = settings.network
    if its is None:
        return {}
    if its.endpoint_subnet is not None:
        return {"public_network_access": "Disabled"}
    rules = gateway_addresses.apply(
        lambda known: [{"value": each} for each in dict.fromkeys((*its.allowed_ips, *known))]
    )
    acls = {"default_action": "Deny", "ip_rules": rules}
    return {"public_network_access": "Enabled", "network_acls": acls}


def service_arguments(settings: Settings) -> dict[str, Any]:
    """Return the arguments that join the gateway to its subnet; it stays public to clients."""
    subnet = settings.network and settings.network.gateway_subnet
    if subnet is None:
        return {}
    return {
        "virtual_network_type": "External",
        "virtual_network_configuration": {"subnet_resource_id": subnet},
    }


class PrivateEndpoints(pulumi.ComponentResource):
    """One endpoint for each account, all in the network's location, whatever the accounts' own."""

    def __init__(
        self,
        *,
        begins: str,
        settings: Settings,
        its: Network,
        account_ids: dict[str, pulumi.Output[str]],
        resource_group_name: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        name = f"{begins}network"
        super().__init__("openai-gateway:index:PrivateEndpoints", name, None, opts)
        own = pulumi.ResourceOptions(parent=self)
        shared: dict[str, Any] = {"resource_group_name": resource_group_name}
        tags = settings.tags or None
        zone_id: pulumi.Input[str] | None = its.dns_zone
        ready: list[pulumi.Resource] = []
        if zone_id is None:
            zone = privatedns.PrivateZone(
                begins + ZONE, own, private_zone_name=ZONE, location="Global", tags=tags, **shared
            )
            subnet = its.endpoint_subnet if its.gateway_subnet is None else its.gateway_subnet
            network_id = pulumi.Output.from_input(subnet).apply(
                lambda known: str(known).partition("/subnets/")[0]
            )
            link = privatedns.VirtualNetworkLink(
                name,
                own,
                virtual_network_link_name="gateway",
                private_zone_name=zone.name,
                location="Global",
                registration_enabled=False,
                virtual_network={"id": network_id},
                tags=tags,
                **shared,
            )
            zone_id, ready = zone.id, [link]
        for region, account_id in account_ids.items():
            endpoint = network.PrivateEndpoint(
                f"{begins}{region}-endpoint",
                private_endpoint_name=f"{region}-endpoint",
                location=settings.own_location,
                subnet={"id": its.endpoint_subnet},
                private_link_service_connections=[
                    {
                        "name": _GROUP_ID,
                        "group_ids": [_GROUP_ID],
                        "private_link_service_id": account_id,
                    }
                ],
                tags=tags,
                opts=pulumi.ResourceOptions(parent=self, ignore_changes=settings.kept),
                **shared,
            )
            network.PrivateDnsZoneGroup(
                f"{begins}{region}-zone",
                pulumi.ResourceOptions(parent=self, depends_on=ready),
                private_endpoint_name=endpoint.name,
                private_dns_zone_group_name="default",
                private_dns_zone_configs=[{"name": "openai", "private_dns_zone_id": zone_id}],
                **shared,
            )
        self.register_outputs({})
