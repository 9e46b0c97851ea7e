"""Rules for what joins a service or an account to a virtual network."""

from collections.abc import Iterator
from typing import Any

from local_azure.resource_manager import resource_types as types
from local_azure.resource_manager.request import Request
from local_azure.resource_manager.rules.rule import Rule, Violations

# API Management, "Use a virtual network": tiers that reach one. ? the others' wording.
_TIERS = ("Developer", "Premium", "Isolated", "StandardV2", "PremiumV2")
_DELEGATED_TO = "microsoft.web/serverfarms"


def _subnet(request: Request, subnet_id: str) -> dict[str, Any] | None:
    """Return the properties of a subnet: one of its own, or written with its network."""
    if found := request.find(subnet_id):
        return dict(found.body.get("properties") or {})
    network_id, _, name = subnet_id.rpartition("/subnets/")
    network = request.find(network_id) if network_id else None
    for each in network.body["properties"].get("subnets") or () if network else ():
        if str(each.get("name")).lower() == name.lower():
            return dict(each.get("properties") or {})
    return None


def _references(request: Request) -> Iterator[str]:
    properties = request.properties
    if request.path.type == types.SERVICE:
        if its := properties.get("virtualNetworkConfiguration"):
            yield str(its.get("subnetResourceId"))
    elif request.path.type == types.PRIVATE_ENDPOINT:
        yield str(properties["subnet"].get("id"))
    elif request.path.type == types.DNS_ZONE_LINK:
        yield str((properties.get("virtualNetwork") or {}).get("id"))
    else:
        for each in properties.get("privateDnsZoneConfigs") or ():
            yield str(each["properties"]["privateDnsZoneId"])


def _missing_reference(request: Request) -> Violations:
    for each in _references(request):
        is_subnet = "/subnets/" in each
        if (_subnet(request, each) if is_subnet else request.find(each)) is None:
            yield {"reference": each}
        elif request.kind and request.kind.tracked and is_subnet:
            network = request.find(each.partition("/subnets/")[0])
            if network and network.body["location"] != request.location:
                yield {"reference": each}


def _missing_target(request: Request) -> Violations:
    for each in request.properties.get("privateLinkServiceConnections") or ():
        target = str(each["properties"]["privateLinkServiceId"])
        if not request.find(target):
            yield {"target": target}


def _unknown_group(request: Request) -> Violations:
    for each in request.properties.get("privateLinkServiceConnections") or ():
        groups = each["properties"].get("groupIds") or []
        if groups != ["account"]:
            yield {"groups": ", ".join(map(str, groups))}


def _tier_without_network(request: Request) -> Violations:
    wanted, sku = request.properties.get("virtualNetworkType", "None"), request.body["sku"]["name"]
    if wanted != "None" and sku not in _TIERS:
        yield {"wanted": wanted, "sku": sku}


def _not_delegated(request: Request) -> Violations:
    if not request.body["sku"]["name"].endswith("V2"):
        return
    for each in _references(request):
        subnet = _subnet(request, each) or {}
        names = [
            str((delegation.get("properties") or {}).get("serviceName")).lower()
            for delegation in subnet.get("delegations") or ()
        ]
        if _DELEGATED_TO not in names:
            yield {"subnet": each}


NETWORK_RULES = (
    Rule(
        check=_tier_without_network,
        of=(types.SERVICE,),
        message="Virtual network type '{wanted}' is not supported for {sku} SKU.",
        target="virtualNetworkType",
        source="? the wording; H: Use a virtual network, supported tiers",
    ),
    Rule(
        check=_missing_reference,
        of=(types.SERVICE, types.PRIVATE_ENDPOINT, types.DNS_ZONE_GROUP, types.DNS_ZONE_LINK),
        code="InvalidResourceReference",
        message="Resource {reference} referenced by resource {id} was not found. Please make sure"
        " that the referenced resource exists, and that both resources are in the same region.",
        source="M: azure-cli#13614, foundry-samples#657 for endpoints; ? zones and API Management",
    ),
    Rule(
        check=_not_delegated,
        of=(types.SERVICE,),
        code="VirtualNetworkSubnetHasIncorrectDelegation",
        message="The subnet {subnet} is not delegated to Microsoft.Web/serverFarms.",
        source="M: the code, terraform-azurerm-avm-ptn-aiml-landing-zone#93; ? the wording",
    ),
    Rule(
        check=_missing_target,
        of=(types.PRIVATE_ENDPOINT,),
        code="InvalidResourceReference",
        message="Resource {target} referenced by resource {id} was not found. Please make sure"
        " that the referenced resource exists, and that both resources are in the same region.",
        source="? for a target",
    ),
    Rule(
        check=_unknown_group,
        of=(types.PRIVATE_ENDPOINT,),
        code="PrivateLinkServiceGroupIdInvalid",
        message="The group ids '{groups}' are none of the resource's: account.",
        source="? code and wording; H: Private-link resource, Azure OpenAI has `account`",
    ),
)
