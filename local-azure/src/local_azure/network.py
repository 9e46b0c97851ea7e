"""Who reaches an account: by its address, or by a private endpoint that its name leads to."""

import ipaddress
from typing import Any, Final

from local_azure.store import Resource, Resources

SERVICE: Final = "Microsoft.ApiManagement/service"
ENDPOINT: Final = "Microsoft.Network/privateEndpoints"
ZONE_GROUP: Final = f"{ENDPOINT}/privateDnsZoneGroups"
ZONE_LINK: Final = "Microsoft.Network/privateDnsZones/virtualNetworkLinks"
ZONE: Final = "/privatednszones/privatelink.openai.azure.com"


def is_closed(account: Resource) -> bool:
    """Tell whether an account takes calls over a private endpoint alone."""
    return bool(account.body["properties"].get("publicNetworkAccess") == "Disabled")


def takes_address(account: Resource, address: str) -> bool:
    """Tell whether an account's firewall lets an address in (Cognitive Services, networkAcls)."""
    acls = account.body["properties"].get("networkAcls") or {}
    if acls.get("defaultAction", "Allow") != "Deny":
        return True
    rules = [str(each.get("value")) for each in acls.get("ipRules") or ()]
    try:
        return any(
            ipaddress.ip_address(address) in ipaddress.ip_network(each, strict=False)
            for each in rules
        )
    except ValueError:
        return False


def reaches(resources: Resources, service: Resource, account: Resource) -> bool:
    """Tell whether a service's calls arrive at an account in a way that it takes."""
    if _by_endpoint(resources, service, account):
        return True
    if is_closed(account):
        return False
    addresses = service.body["properties"].get("publicIPAddresses") or [""]
    return any(takes_address(account, each) for each in addresses)


def _by_endpoint(resources: Resources, service: Resource, account: Resource) -> bool:
    """Tell whether the account's name leads the service to a private endpoint of it.

    It does where a zone of that endpoint is linked to the network that the service is joined to. A
    network of the endpoint's own is taken to be peered with that one.
    """
    its = service.body["properties"].get("virtualNetworkConfiguration") or {}
    network = str(its.get("subnetResourceId", "")).lower().partition("/subnets/")[0]
    return bool(network) and any(
        _stands_for(endpoint, account) and network in _networks(resources, endpoint)
        for endpoint in resources.list(ENDPOINT)
    )


def _stands_for(endpoint: Resource, account: Resource) -> bool:
    connections: list[Any] = endpoint.body["properties"].get("privateLinkServiceConnections") or []
    ids = [str(each["properties"].get("privateLinkServiceId", "")).lower() for each in connections]
    return account.id.lower() in ids


def _networks(resources: Resources, endpoint: Resource) -> set[str]:
    """Return the networks in which the name of what an endpoint stands for leads to it."""
    zones = {
        str(each["properties"]["privateDnsZoneId"]).lower()
        for group in resources.list(ZONE_GROUP, under=endpoint.id)
        for each in group.body["properties"].get("privateDnsZoneConfigs") or ()
    }
    return {
        str(link.body["properties"]["virtualNetwork"]["id"]).lower()
        for zone in zones
        if zone.endswith(ZONE)
        for link in resources.list(ZONE_LINK, under=zone)
    }
