"""Networks: what joins to them, and who reaches an account."""

import pytest
from arm_server import ACCOUNT, GROUP, LEAST, SERVICE, serving

from local_azure import network

PROVIDER = f"{GROUP}/providers/Microsoft.Network"
VNET = f"{PROVIDER}/virtualNetworks/v"
ENDPOINT = f"{PROVIDER}/privateEndpoints/e"
ZONE = f"{PROVIDER}/privateDnsZones/privatelink.openai.azure.com"
LINK = f"{ZONE}/virtualNetworkLinks/gateway"
ZONES = f"{ENDPOINT}/privateDnsZoneGroups/default"
DELEGATED = {"name": "apim", "properties": {"serviceName": "Microsoft.Web/serverFarms"}}
BODIES = {
    VNET: {
        "location": "uksouth",
        "properties": {
            "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
            "subnets": [
                {"name": "endpoints", "properties": {"addressPrefix": "10.0.1.0/24"}},
                {
                    "name": "gateway",
                    "properties": {"addressPrefix": "10.0.2.0/24", "delegations": [DELEGATED]},
                },
            ],
        },
    },
    ENDPOINT: {
        "location": "uksouth",
        "properties": {
            "subnet": {"id": f"{VNET}/subnets/endpoints"},
            "privateLinkServiceConnections": [
                {
                    "name": "account",
                    "properties": {"groupIds": ["account"], "privateLinkServiceId": ACCOUNT},
                }
            ],
        },
    },
    ZONE: {"location": "Global"},
    LINK: {
        "location": "Global",
        "properties": {"registrationEnabled": False, "virtualNetwork": {"id": VNET}},
    },
    ZONES: {
        "properties": {
            "privateDnsZoneConfigs": [{"name": "openai", "properties": {"privateDnsZoneId": ZONE}}]
        }
    },
}
JOINED = {
    **LEAST[SERVICE],
    "sku": {"name": "StandardV2", "capacity": 1},
    "properties": {
        **LEAST[SERVICE]["properties"],
        "virtualNetworkType": "External",
        "virtualNetworkConfiguration": {"subnetResourceId": f"{VNET}/subnets/gateway"},
    },
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("arm")) as arm:
        yield arm


@pytest.fixture
def arm(served):
    served.reset()
    served.deploy(GROUP)
    return served


def account(**properties):
    return {**LEAST[ACCOUNT], "properties": {**LEAST[ACCOUNT]["properties"], **properties}}


def put(arm, path, body=None):
    answer = arm.put(path, body or BODIES[path])
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def reached(arm):
    return network.reaches(arm.store, arm.store.get(SERVICE), arm.store.get(ACCOUNT))


def test_a_closed_account_is_reached_once_its_name_leads_to_its_endpoint(arm):
    for path in (VNET, ZONE):
        put(arm, path)
    put(arm, SERVICE, JOINED)
    put(arm, ACCOUNT, account(publicNetworkAccess="Disabled"))
    for path in (ENDPOINT, ZONES, LINK):
        assert not reached(arm)
        put(arm, path)
    assert reached(arm)
    connection = arm.properties(ENDPOINT)["privateLinkServiceConnections"][0]["properties"]
    assert connection["privateLinkServiceConnectionState"]["status"] == "Approved"
    arm.delete(LINK)
    assert not reached(arm)


def test_a_service_outside_of_the_network_does_not_reach_a_closed_account(arm):
    for path in (VNET, ZONE):
        put(arm, path)
    put(arm, SERVICE, LEAST[SERVICE])
    put(arm, ACCOUNT, account(publicNetworkAccess="Disabled"))
    for path in (ENDPOINT, ZONES, LINK):
        put(arm, path)
    assert not reached(arm)


def test_an_account_answers_to_the_addresses_in_its_rules(arm):
    (address,) = put(arm, SERVICE, LEAST[SERVICE])["properties"]["publicIPAddresses"]

    def rules(*values):
        acls = {"defaultAction": "Deny", "ipRules": [{"value": each} for each in values]}
        put(arm, ACCOUNT, account(networkAcls=acls))
        return reached(arm)

    put(arm, ACCOUNT, account())
    assert reached(arm)
    assert not rules()
    assert not rules("198.51.100.0/24")
    assert rules("198.51.100.0/24", address)
    assert rules("203.0.113.0/24")


def refused(arm, path, body):
    answer = arm.put(path, body)
    assert answer.status_code == 400, answer.text
    return answer.json()["error"]


def test_what_is_referred_to_is_there_and_in_the_same_place(arm):
    arm.deploy(ACCOUNT)
    missing = refused(arm, ENDPOINT, BODIES[ENDPOINT])
    assert missing["code"] == "InvalidResourceReference"
    assert missing["message"] == (
        f"Resource {VNET}/subnets/endpoints referenced by resource {ENDPOINT} was not found. "
        "Please make sure that the referenced resource exists, and that both resources are in the "
        "same region."
    )
    put(arm, VNET)
    elsewhere = {**BODIES[ENDPOINT], "location": "eastus"}
    assert refused(arm, ENDPOINT, elsewhere)["code"] == "InvalidResourceReference"
    put(arm, ENDPOINT)
    put(arm, f"{VNET}/subnets/more", {"properties": {"addressPrefix": "10.0.3.0/24"}})
    put(
        arm,
        ENDPOINT,
        {**BODIES[ENDPOINT], "properties": {"subnet": {"id": f"{VNET}/subnets/more"}}},
    )
    assert refused(arm, ZONES, BODIES[ZONES])["code"] == "InvalidResourceReference"
    arm.delete(ACCOUNT)
    assert refused(arm, ENDPOINT, BODIES[ENDPOINT])["code"] == "InvalidResourceReference"


@pytest.mark.parametrize("sku", ["BasicV2", "Basic", "Standard"])
def test_a_tier_that_reaches_no_network_is_not_joined_to_one(arm, sku):
    put(arm, VNET)
    error = refused(arm, SERVICE, {**JOINED, "sku": {"name": sku, "capacity": 1}})
    assert error["details"][0]["target"] == "virtualNetworkType"
    assert sku in error["details"][0]["message"]


def test_a_v2_service_takes_a_subnet_that_is_delegated_to_it(arm):
    put(arm, VNET)
    properties = {
        **JOINED["properties"],
        "virtualNetworkConfiguration": {"subnetResourceId": f"{VNET}/subnets/endpoints"},
    }
    error = refused(arm, SERVICE, {**JOINED, "properties": properties})
    assert error["code"] == "VirtualNetworkSubnetHasIncorrectDelegation"
    put(
        arm,
        SERVICE,
        {**JOINED, "sku": {"name": "Developer", "capacity": 1}, "properties": properties},
    )
