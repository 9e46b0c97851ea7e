"""Accounts that are reachable by what is declared alone: what the program declares for it."""

import pytest
from bad_configs import VNET, at
from recording import SUBSCRIPTION

from components.settings import parse

GROUP = f"{SUBSCRIPTION}/resourceGroups/rg-openai-gateway-abcd1234/providers/Microsoft.Network"
PRIVATE = {"endpointSubnet": f"{VNET}/endpoints", "gatewaySubnet": f"{VNET}/gateway"}
NAMES = ["foundry1", "foundry2", "foundry3"]


def closed(declare, sku="StandardV2", **network):
    return declare(gateway={"sku": sku}, network=network or PRIVATE)


def test_a_public_network_leaves_it_to_azure(declare, dev):
    assert declare(network="public").one("Account", "foundry1").inputs == (
        dev.one("Account", "foundry1").inputs
    )
    assert "publicNetworkAccess" not in dev.one("Account", "foundry1").inputs["properties"]
    assert dev.one("ApiManagementService", "gateway").inputs["virtualNetworkType"] == "None"
    assert dev.all("PrivateEndpoint") == dev.all("PrivateZone") == []


@pytest.mark.parametrize(("sku", "own"), [("Standard", ["203.0.113.7"]), ("StandardV2", [])])
def test_accounts_answer_to_the_addresses_listed_and_to_a_classic_gateway_s_own(declare, sku, own):
    program = closed(declare, sku, allowedIps=["198.51.100.0/24", "203.0.113.8"])
    for account in program.all("Account"):
        properties = account.inputs["properties"]
        assert properties["publicNetworkAccess"] == "Enabled"
        assert properties["networkAcls"] == {
            "defaultAction": "Deny",
            "ipRules": [{"value": each} for each in ("198.51.100.0/24", "203.0.113.8", *own)],
        }
    assert program.all("PrivateEndpoint") == []


def test_addresses_of_a_v2_gateway_are_asked_for_in_a_warning():
    network = {"allowedIps": ["203.0.113.8"]}
    (line,) = parse(at({"network": network, "gateway": {"sku": "StandardV2"}})).warnings
    assert line.startswith("openai-gateway:network.allowedIps: a StandardV2 service has no fixed")
    assert parse(at({"network": network, "gateway": {"sku": "Standard"}})).warnings == ()


def test_each_account_has_an_endpoint_in_the_subnet_and_no_other_way_in(declare):
    program = closed(declare)
    for name in NAMES:
        account = program.one("Account", name)
        assert account.inputs["properties"]["publicNetworkAccess"] == "Disabled"
        endpoint = program.one("PrivateEndpoint", f"{name}-endpoint")
        assert endpoint.inputs["subnet"] == {"id": f"{VNET}/endpoints"}
        assert endpoint.inputs["location"] == "uksouth"  # the network's, not the account's
        assert endpoint.ignore_changes == ["location"]
        assert endpoint.inputs["privateLinkServiceConnections"] == [
            {"name": "account", "groupIds": ["account"], "privateLinkServiceId": account.id}
        ]
        zones = program.one("PrivateDnsZoneGroup", f"{name}-zone")
        assert zones.inputs["privateEndpointName"] == f"{name}-endpoint"
        assert zones.inputs["privateDnsZoneConfigs"] == [
            {
                "name": "openai",
                "privateDnsZoneId": f"{GROUP}/privateDnsZones/privatelink.openai.azure.com",
            }
        ]
        assert program.one("VirtualNetworkLink", "network").urn in zones.depends_on
    assert len(program.all("PrivateEndpoint")) == 3


def test_the_zone_is_linked_to_the_gateway_s_network_and_the_gateway_joined_to_its_subnet(declare):
    program = closed(declare)
    (zone,), (link,) = program.all("PrivateZone"), program.all("VirtualNetworkLink")
    assert zone.inputs["privateZoneName"] == "privatelink.openai.azure.com"
    assert link.inputs["privateZoneName"] == "privatelink.openai.azure.com"
    assert link.inputs["virtualNetwork"] == {"id": VNET.removesuffix("/subnets")}
    assert link.inputs["registrationEnabled"] is False
    service = program.one("ApiManagementService", "gateway").inputs
    assert service["virtualNetworkType"] == "External"
    assert service["virtualNetworkConfiguration"] == {"subnetResourceId": f"{VNET}/gateway"}


def test_a_zone_that_is_there_is_used_and_none_is_made(declare):
    zone = VNET.replace("virtualNetworks/v/subnets", "privateDnsZones/privatelink.openai.azure.com")
    program = closed(declare, **PRIVATE, dnsZone=zone)
    assert program.all("PrivateZone") == program.all("VirtualNetworkLink") == []
    for each in program.all("PrivateDnsZoneGroup"):
        assert each.inputs["privateDnsZoneConfigs"][0]["privateDnsZoneId"] == zone


def test_what_takes_tags_takes_them_here_too(declare):
    program = declare(gateway={"sku": "StandardV2"}, network=PRIVATE, tags={"team": "ai"})
    for kind in ("PrivateEndpoint", "PrivateZone", "VirtualNetworkLink"):
        assert all(each.inputs["tags"] == {"team": "ai"} for each in program.all(kind))
