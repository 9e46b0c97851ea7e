"""Into a service and accounts that were there before: nothing of theirs is written or deleted."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import yaml
from bad_configs import CHAT
from recording import ROOT, config_of
from test_engine import Cli, judge
from test_engine import pytestmark as NEEDS_THE_CLI  # noqa: N812

from local_azure import deployment
from local_azure.identity import authorization
from local_azure.local import outputs_file

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-platform"
SERVICE = f"{GROUP}/providers/Microsoft.ApiManagement/service/apim-platform"
ACCOUNTS = f"{GROUP}/providers/Microsoft.CognitiveServices/accounts"
REGIONS = [  # two accounts that are there, one that is made
    {
        "name": "foundry1",
        "location": "uksouth",
        "existing": {"resourceGroup": "rg-platform", "accountName": "team-uk"},
    },
    {
        "name": "foundry2",
        "location": "eastus",
        "existing": {"resourceGroup": "rg-platform", "accountName": "team-us"},
    },
    {"name": "foundry3", "location": "norwayeast"},
]


@pytest.fixture
def stack(tmp_path) -> str:
    """A stack's file: a gateway and two accounts that are there."""
    config = {
        **config_of("dev"),
        "regions": REGIONS,
        "models": [CHAT],
        "protect": False,  # of the account that the stack makes: it is destroyed again
        "gateway": {
            "existing": {"resourceGroup": "rg-platform", "serviceName": "apim-platform"},
        },
    }
    path = tmp_path / "Pulumi.platform.yaml"
    named = {f"openai-gateway:{key}": value for key, value in config.items()}
    path.write_text(yaml.safe_dump({"config": named}), encoding="utf-8")
    return str(path)


def embedded(shell, stack: str, _folder: Path) -> Callable[..., str]:
    """The embedded deployment, in this process: it has loaded what takes the commands longest."""

    def run(command: str, expected: int = 0) -> str:
        if command == "probe":
            outputs = outputs_file(shell.state, "dev")
            done = shell.run("probes/distribution.py", "--outputs", str(outputs))
            assert done.returncode == expected, done.stdout + done.stderr
            return done.stdout
        out = io.StringIO()
        code = deployment.run(
            command,
            project_dir=ROOT,
            stack="dev",
            config_file=Path(stack),
            state_dir=shell.state,
            arm_endpoint=lambda: shell.environment["ARM_ENDPOINT"],
            out=out,
        )
        assert code == expected, out.getvalue()
        return out.getvalue()

    return run


def engine(shell, stack: str, folder: Path) -> Callable[..., str]:
    """The Pulumi CLI's."""
    cli = Cli(shell, folder / "project")
    shutil.copy(stack, cli.folder)
    cli("stack init dev")
    commands = {
        "up": "up --yes --skip-preview --config-file Pulumi.platform.yaml",
        "destroy": "destroy --yes --skip-preview",
    }

    def run(command: str, expected: int = 0) -> str:
        if command != "probe":
            return cli(commands[command], expected)
        cli("preview --refresh --expect-no-changes --config-file Pulumi.platform.yaml")
        return judge(cli, expected)

    return run


def put(portal: httpx.Client, path: str, version: str, body: dict) -> None:
    answer = portal.put(path, params={"api-version": version}, json=body)
    assert answer.status_code in (200, 201), answer.text


def platform(portal: httpx.Client, *, billing: str) -> None:
    """What another team made, by plain requests, with its API at the path `billing`."""
    put(portal, GROUP, "2024-03-01", {"location": "uksouth"})
    put(
        portal,
        SERVICE,
        "2024-05-01",
        {
            "location": "uksouth",
            "sku": {"name": "StandardV2", "capacity": 1},
            "identity": {"type": "SystemAssigned"},
            "properties": {"publisherName": "Platform", "publisherEmail": "us@example.com"},
        },
    )
    api = {"path": billing, "displayName": "Billing", "protocols": ["https"]}
    put(portal, f"{SERVICE}/apis/billing", "2024-05-01", {"properties": api})
    model = {"format": "OpenAI", "name": CHAT["model"], "version": CHAT["version"]}
    deployment = {
        "sku": {"name": CHAT["sku"], "capacity": CHAT["capacity"]},
        "properties": {"model": model},
    }
    for name, location in (("team-uk", "uksouth"), ("team-us", "eastus")):
        account = {
            "kind": "OpenAI",
            "location": location,
            "sku": {"name": "S0"},
            "properties": {"customSubDomainName": name, "disableLocalAuth": True},
        }
        put(portal, f"{ACCOUNTS}/{name}", "2025-06-01", account)
        put(portal, f"{ACCOUNTS}/{name}/deployments/chat", "2025-06-01", deployment)


def snapshot(portal: httpx.Client) -> dict[str, dict]:
    """What was there, as Resource Manager has it now."""
    versions = {SERVICE: "2024-05-01", f"{SERVICE}/apis/billing": "2024-05-01"}
    for name in ("team-uk", "team-us"):
        versions[f"{ACCOUNTS}/{name}"] = "2025-06-01"
        versions[f"{ACCOUNTS}/{name}/deployments/chat"] = "2025-06-01"
    return {
        path: portal.get(path, params={"api-version": version}).raise_for_status().json()
        for path, version in versions.items()
    }


def changes(log: Path) -> list[tuple[str, str]]:
    """Resource Manager's log of requests, those that only read left out."""
    lines = map(json.loads, log.read_text(encoding="utf-8").splitlines())
    return [
        (line["method"], line["path"].lower())
        for line in lines
        if line["method"] in ("PUT", "DELETE")
    ]


@pytest.mark.parametrize("way", [embedded, pytest.param(engine, marks=[*NEEDS_THE_CLI])])
def test_nothing_that_was_there_is_written_or_deleted(shell, stack, tmp_path, way, monkeypatch):
    log = tmp_path / "requests.jsonl"
    with (
        shell.serving("--request-log", str(log), "--provisioning", "0") as endpoint,
        httpx.Client(
            base_url=endpoint, headers=authorization(shell.state), trust_env=False, timeout=20
        ) as portal,
    ):
        monkeypatch.setenv("ARM_ENDPOINT", endpoint)  # as the commands find it
        platform(portal, billing="Inference/openai")
        made_by_hand = len(changes(log))
        run = way(shell, stack, tmp_path)
        assert (
            'error: openai-gateway:gateway.existing.serviceName is "apim-platform", whose API '
            '"billing" has the path "Inference/openai": give that API another path, or choose '
            "another service\n"
        ) in run("up", expected=1)
        assert changes(log)[made_by_hand:] == []  # and nothing was created

        platform(portal, billing="billing")
        before = snapshot(portal)
        made_by_hand = len(changes(log))
        run("up")
        run("probe")
        run("destroy")
        assert snapshot(portal) == before

    ours = changes(log)[made_by_hand:]
    written = {path for method, path in ours if method == "PUT"}
    deleted = {path for method, path in ours if method == "DELETE"}
    assert written == deleted
    assert written.isdisjoint(path.lower() for path in (GROUP, *before))
    inside = {path for path in written if path.startswith(GROUP.lower())}
    assert {path.split("/")[-2] for path in inside} == {
        "apis",
        "backends",
        "operations",
        "policies",
        "roleassignments",
        "subscriptions",
    }
    assert any("/accounts/foundry3-" in path for path in written - inside)
