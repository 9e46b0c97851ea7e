"""A gateway that alone reaches its accounts: deployed to the local Azure, proved, and cut off."""

import json

import httpx
import pytest
import yaml
from recording import config_of

from local_azure.identity import authorization

pytestmark = pytest.mark.thorough
SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg-network"
VNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/v"
DELEGATED = {"name": "apim", "properties": {"serviceName": "Microsoft.Web/serverFarms"}}
SUBNETS = [
    {"name": "endpoints", "properties": {"addressPrefix": "10.0.1.0/24"}},
    {"name": "gateway", "properties": {"addressPrefix": "10.0.2.0/24", "delegations": [DELEGATED]}},
]


@pytest.fixture
def azure(shell):
    with shell.serving("--provisioning", "0", "--https-port", "0") as endpoint:
        client = httpx.Client(
            base_url=endpoint, headers=authorization(shell.state), trust_env=False
        )
        with client:
            yield client


def put(azure, path, body, version="2024-05-01"):
    azure.put(path, params={"api-version": version}, json=body).raise_for_status()


def up(shell, tmp_path, *, code=0, **config):
    file = tmp_path / "Pulumi.network.yaml"
    whole = {**config_of("dev"), "resourceSuffix": "closed", **config}
    content = {"config": {f"openai-gateway:{key}": value for key, value in whole.items()}}
    file.write_text(yaml.safe_dump(content))
    done = shell.local_azure("up", "--stack", "dev", "--config-file", str(file))
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def probe(shell, code):
    done = shell.run("probes/distribution.py", "--max-requests", "24", "--timeout", "30")
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def called(shell, name="foundry1-closed"):
    """What the account says to one who calls it by its name from elsewhere."""
    host = f"{name}.openai.azure.com"
    port = json.loads((shell.state / "server.json").read_text())["https_endpoint"].rpartition(":")[
        2
    ]
    with httpx.Client(verify=False, trust_env=False) as client:
        answer = client.get(
            f"https://127.0.0.1:{port}/openai/models?api-version=2024-10-21",
            headers={"Host": host},
            extensions={"sni_hostname": host},
        )
    return answer.status_code, answer.json()["error"]["message"]


def test_accounts_are_reached_over_their_private_endpoints_alone(shell, azure, tmp_path):
    put(azure, GROUP, {"location": "uksouth"}, "2024-03-01")
    addresses = {"addressPrefixes": ["10.0.0.0/16"]}
    properties = {"addressSpace": addresses, "subnets": SUBNETS}
    put(azure, VNET, {"location": "uksouth", "properties": properties})
    subnets = {
        "endpointSubnet": f"{VNET}/subnets/endpoints",
        "gatewaySubnet": f"{VNET}/subnets/gateway",
    }
    closed = {"network": subnets, "gateway": {"sku": "StandardV2"}}
    up(shell, tmp_path, **closed)
    assert "CONFIRMED" in probe(shell, 0)
    denied = (403, "Public access is disabled. Please configure private endpoint.")
    assert called(shell) == denied

    again = up(shell, tmp_path, **closed)
    assert "unchanged" in again
    assert "updated" not in again

    zone = (
        f"{SUBSCRIPTION}/resourceGroups/rg-openai-gateway-closed/providers/Microsoft.Network"
        "/privateDnsZones/privatelink.openai.azure.com"
    )
    link = f"{zone}/virtualNetworkLinks/gateway"
    azure.delete(link, params={"api-version": "2024-06-01"}).raise_for_status()
    probe(shell, 3)


def test_accounts_answer_to_a_classic_gateway_and_to_nobody_else(shell, azure, tmp_path):
    network = {"allowedIps": ["198.51.100.0/24"]}
    up(shell, tmp_path, network=network, gateway={"sku": "Standard"})
    assert "CONFIRMED" in probe(shell, 0)
    assert called(shell) == (403, "Access denied due to Virtual Network/Firewall rules.")


def test_a_v2_gateway_whose_addresses_are_not_listed_is_denied_and_the_preview_says_so(
    shell, azure, tmp_path
):
    network = {"allowedIps": ["198.51.100.0/24"]}
    told = up(shell, tmp_path, network=network, gateway={"sku": "StandardV2"})
    assert "a StandardV2 service has no fixed addresses" in told
    probe(shell, 3)
