"""The Azure CLI against the deployed stack: signed in by what `env` prints, and then as always."""

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from local_azure.identity import PRINCIPAL_ID

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "local-azure" / "docs" / "clients.md").read_text(encoding="utf-8")
POOL = "inference-backend-pool"

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(shutil.which("az") is None, reason="the Azure CLI is not on PATH"),
    pytest.mark.timeout(300),
]

# Words in capitals stand for what the stack has; each command is in the document as it is here.
SIGN_IN = """
    az cloud register --name LocalAzure --endpoint-resource-manager "$LOCAL_AZURE_HTTPS"
    az cloud set --name LocalAzure
    az login --service-principal --username "$ARM_CLIENT_ID"\
 --password "$ARM_CLIENT_SECRET" --tenant "$ARM_TENANT_ID"
"""


class Az:
    """Runs `az` as a user does whose shell has evaluated `env`."""

    def __init__(self, azure) -> None:
        self.azure = azure
        self.ran: list[str] = []
        self._words = {
            **azure.variables,
            "GROUP": azure.group,
            "SERVICE": azure.service,
            "ACCOUNT": azure.account("foundry1"),
            "SCRATCH": azure.account("scratch"),
            "POOL": azure.outputs["pool"]["id"],
        }

    def __call__(self, command: str, expected: int = 0) -> object:
        """What the command prints, read as JSON; or what it says when it is to fail."""
        self.ran.append(command)
        words = shlex.split(command)
        for name in sorted(self._words, key=len, reverse=True):
            words = [word.replace(f"${name}", self._words[name]) for word in words]
        done = subprocess.run(
            words,
            env={**self.azure.shell.environment, **self.azure.variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == expected, f"{command}\n{done.stdout}{done.stderr}"
        if expected:
            return done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None


@pytest.fixture(scope="session")
def signed_in(deployed_azure) -> Az:
    az = Az(deployed_azure)
    for command in SIGN_IN.strip().splitlines():
        az(command.strip())
    return az


@pytest.fixture
def az(signed_in):
    yield signed_in
    missing = [command for command in signed_in.ran if command not in DOCUMENT]
    assert not missing, f"docs/clients.md does not tell of {missing}"


def test_who_is_signed_in(az):
    shown = az("az account show")
    assert shown["user"]["type"] == "servicePrincipal"
    assert shown["environmentName"] == "LocalAzure"
    assert az('az account list --query "[].name"') == ["Local Azure"]
    assert "uksouth" in az('az account list-locations --query "[].name"')
    token = az("az account get-access-token --resource https://cognitiveservices.azure.com")
    assert token["tokenType"] == "Bearer"
    # The user's own logins and clouds are elsewhere.
    assert az.azure.variables["AZURE_CONFIG_DIR"].startswith(str(az.azure.shell.state))


def test_groups(az):
    kinds = az('az resource list --resource-group $GROUP --query "[].type"')
    assert kinds.count("Microsoft.CognitiveServices/accounts") >= 3
    assert az.azure.group in az('az group list --query "[].name"')
    assert az("az group show --name $GROUP")["location"] == "uksouth"
    made = az("az group create --name scratch --location uksouth --tags team=ai")
    assert made["properties"]["provisioningState"] == "Succeeded"
    assert az('az group list --tag team=ai --query "[].name"') == ["scratch"]
    updated = az("az group update --name scratch --set tags.cost=7")
    assert updated["tags"] == {"team": "ai", "cost": "7"}
    assert az("az group delete --name scratch --yes") is None
    assert az("az group exists --name scratch") is False
    assert "(ResourceGroupNotFound)" in az("az group show --name scratch", expected=3)


def test_api_management(az):
    assert az('az apim list --query "[].name"') == [az.azure.service]
    shown = az("az apim show --name $SERVICE --resource-group $GROUP")
    assert (shown["sku"]["name"], shown["identity"]["type"]) == ("BasicV2", "SystemAssigned")
    assert az("az apim check-name --name $SERVICE")["reason"] == "AlreadyExists"
    inside = "--resource-group $GROUP --service-name $SERVICE"
    assert az(f'az apim api list {inside} --query "[].name"') == ["inference"]
    api = az(f"az apim api show {inside} --api-id inference")
    assert api["path"] == "inference/openai"
    operations = az(f'az apim api operation list {inside} --api-id inference --query "[].name"')
    assert "chat-completions" in operations
    backends = az(f'az apim backend list {inside} --query "[].name"')
    assert set(backends) == {"foundry1", "foundry2", "foundry3", POOL}
    backend = az(f"az apim backend show {inside} --backend-id foundry1")
    assert backend["url"] == f"https://{az.azure.account('foundry1')}.openai.azure.com/openai"
    assert az("az apim deletedservice list") == []


def test_cognitive_services(az):
    accounts = az('az cognitiveservices account list --query "[].name"')
    assert set(accounts) == {az.azure.account(f"foundry{n}") for n in (1, 2, 3)}
    inside = "--name $ACCOUNT --resource-group $GROUP"
    shown = az(f"az cognitiveservices account show {inside}")
    assert shown["properties"]["disableLocalAuth"] is True
    refused = az(f"az cognitiveservices account keys list {inside}", expected=1)
    assert "disableLocalAuth is set to be true" in refused
    deployments = az(f'az cognitiveservices account deployment list {inside} --query "[].name"')
    assert deployments == ["chat"]


def test_an_api_and_a_backend_live_and_die(az):
    inside = "--resource-group $GROUP --service-name $SERVICE"
    backend = f"{inside} --backend-id scratch"
    az(f"az apim backend create {backend} --url https://example.com --protocol http")
    updated = az(f"az apim backend update {backend} --description changed")
    assert (updated["description"], updated["url"]) == ("changed", "https://example.com")
    az(f"az apim backend delete {backend} --yes")
    value = f"{inside} --named-value-id scratch"
    az(f"az apim nv create {value} --display-name scratch --value first --secret true")
    assert az(f"az apim nv show-secret {value}") == {"value": "first"}
    az(f"az apim nv update {value} --value second")
    assert az(f"az apim nv show-secret {value}") == {"value": "second"}
    az(f"az apim nv delete {value} --yes")
    api = f"{inside} --api-id scratch"
    az(f"az apim api create {api} --path scratch --display-name Scratch")
    assert az(f"az apim api update {api} --description changed")["description"] == "changed"
    operation = f"{api} --operation-id get"
    az(f"az apim api operation create {operation} --url-template / --method GET --display-name Get")
    assert az(f'az apim api operation list {api} --query "[].name"') == ["get"]
    az(f"az apim api operation delete {operation}")
    az(f"az apim api delete {api} --yes")
    assert "(ResourceNotFound)" in az(f"az apim api show {api}", expected=3)


def test_a_resource_is_shown_by_its_id_and_its_provider(az):
    namespace = "--namespace Microsoft.ApiManagement"
    registered = az(f"az provider show {namespace} --query registrationState")
    assert registered == "Registered"
    az(f"az provider register {namespace}")
    listed = az('az provider list --query "[].namespace"')
    assert {"Microsoft.ApiManagement", "Microsoft.CognitiveServices"} <= set(listed)
    shown = az("az resource show --ids $POOL")
    assert shown["properties"]["type"] == "Pool"


def test_an_import_is_refused_for_what_it_is(az, tmp_path):
    file = tmp_path / "api.json"
    file.write_text('{"openapi": "3.0.1", "info": {"title": "x", "version": "1"}, "paths": {}}')
    az._words["FILE"] = str(file)
    refused = az(
        "az apim api import --resource-group $GROUP --service-name $SERVICE --path scratch"
        " --specification-format OpenApiJson --specification-path $FILE",
        expected=1,
    )
    assert "The local Azure does not support this value of 'properties.format'" in refused


def test_roles(az):
    role = '--name "Cognitive Services OpenAI User"'
    (found,) = az(f"az role definition list {role}")
    scope = "--scope /subscriptions/$ARM_SUBSCRIPTION_ID/resourceGroups/$GROUP"
    principal = f"--assignee-object-id {PRINCIPAL_ID} --assignee-principal-type ServicePrincipal"
    made = az(f"az role assignment create {principal} --role {found['name']} {scope}")
    assert made["principalType"] == "ServicePrincipal"
    assert made["scope"].endswith(az.azure.group)
    listed = az(f"az role assignment list {scope} --fill-principal-name false")
    assert [each["name"] for each in listed] == [made["name"]]
    az._words["ASSIGNMENT"] = made["id"]
    az("az role assignment delete --ids $ASSIGNMENT")


def test_an_account_lives_dies_and_is_purged(az):
    inside = "--name $SCRATCH --resource-group $GROUP"
    made = az(
        f"az cognitiveservices account create {inside} --location uksouth --kind OpenAI --sku S0"
        " --custom-domain $SCRATCH --yes"
    )
    assert made["properties"]["provisioningState"] == "Succeeded"
    keys = az(f"az cognitiveservices account keys list {inside}")
    renewed = az(f"az cognitiveservices account keys regenerate {inside} --key-name key1")
    assert (renewed["key1"] != keys["key1"], renewed["key2"] == keys["key2"]) == (True, True)
    deployment = f"az cognitiveservices account deployment create {inside}"
    model = "--model-format OpenAI --model-name gpt-5-mini --model-version 2025-08-07"
    sku = "--sku-name GlobalStandard --sku-capacity 1"
    az(f"{deployment} --deployment-name chat {model} {sku}")
    refused = az(f"az cognitiveservices account delete {inside}", expected=1)
    assert "(CannotDeleteResource)" in refused
    az(f"az cognitiveservices account deployment delete {inside} --deployment-name chat")
    az(f"az cognitiveservices account delete {inside}")
    deleted = az('az cognitiveservices account list-deleted --query "[].name"')
    assert deleted == [az.azure.account("scratch")]
    az(f"az cognitiveservices account recover {inside} --location uksouth")
    recovered = az("az cognitiveservices account show --name $SCRATCH --resource-group $GROUP")
    assert recovered["properties"]["customSubDomainName"] == az.azure.account("scratch")
    az(f"az cognitiveservices account delete {inside}")
    az(f"az cognitiveservices account purge {inside} --location uksouth")
    assert az('az cognitiveservices account list-deleted --query "[].name"') == []


def test_the_pool_is_changed_and_the_probe_notices(az, azure, apim):
    pool = apim.backend.get(azure.group, azure.service, POOL)
    assert [each.priority for each in pool.pool.services] == [1, 1, 1]
    code, said = azure.judge()
    assert code == 0, said

    read = az('az rest --url "$POOL?api-version=2024-05-01"')
    services = read["properties"]["pool"]["services"]
    for service in services[1:]:
        service["priority"] = 2
    az._words["BODY"] = json.dumps({"properties": {"pool": {"services": services}}})
    az('az rest --method patch --url "$POOL?api-version=2024-05-01" --body "$BODY"')
    changed = apim.backend.get(azure.group, azure.service, POOL)
    assert [each.priority for each in changed.pool.services] == [1, 2, 2]
    code, said = azure.judge()
    assert (code, "not balanced: " in said) == (1, True), said
    apim.backend.create_or_update(azure.group, azure.service, POOL, pool)
    assert azure.judge()[0] == 0
