"""The plain Pulumi CLI against the local Azure, by the commands that a user types."""

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from emulator.demo import copy_program

ROOT = Path(__file__).parents[2]
CHANCE = (
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "GUID"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)", "TIME"),
    (r'\\"[A-Za-z0-9+/=]+\\"', "ETAG"),
    (r"127\.0\.0\.1:\d+", "GATEWAY"),
)
"""What differs between any two deployments."""
DRIFT = 7
"""The CLI's exit code when changes were not expected."""
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(shutil.which("pulumi") is None, reason="the Pulumi CLI is not on PATH"),
    pytest.mark.timeout(300),
]


class Cli:
    """Runs `pulumi` in a copy of the program: it writes its salt into the stack's file."""

    def __init__(self, shell, folder: Path) -> None:
        self.folder = folder
        copy_program(ROOT, folder)
        shutil.copytree(ROOT / "policies", folder / "policies")
        exports = shell.emulator("env").stdout
        self.environment = {
            **shell.environment,
            "PATH": os.environ["PATH"],
            "PULUMI_HOME": str(folder / "home"),
            **dict(
                line.removeprefix("export ").split("=", 1)
                for line in shlex.split(exports.replace("\n", " "))
                if "=" in line
            ),
        }

    def __call__(self, command: str, expected: int = 0) -> str:
        done = subprocess.run(
            ["pulumi", *shlex.split(command)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == expected, f"pulumi {command}\n{done.stdout}{done.stderr}"
        return done.stdout


def judge(shell, cli, expected: int) -> str:
    outputs = cli("stack output --stack dev --json --show-secrets")
    result = shell.run("probes/distribution.py", "--outputs", "-", text=outputs)
    assert result.returncode == expected, result.stdout + result.stderr
    return result.stdout


def test_the_commands_of_a_user_from_init_to_destroy(shell, tmp_path):
    with shell.serving("--provisioning", "0") as endpoint:
        cli = Cli(shell, tmp_path / "project")
        cli("stack init dev")
        assert "+ 36 to create" in cli("preview")
        up = cli("up --yes --skip-preview --config-file Pulumi.incident.yaml")
        assert "+ 36 created" in up
        assert "Expected traffic: UK South 100.0 %" in up
        fixed = cli("up --yes --skip-preview")
        assert re.search(r"~ 1 updated\s+35 unchanged", fixed)
        assert "CONFIRMED" in judge(shell, cli, 0)
        assert "36 unchanged" in cli("refresh --yes --skip-preview")
        cli("preview --refresh --expect-no-changes")
        outputs = json.loads(cli("stack output --json"))
        assert outputs["subscription_key"] == "[secret]"
        change_weight(f"{endpoint}{outputs['pool']['id']}?api-version=2024-05-01")
        cli("preview --refresh --expect-no-changes", expected=DRIFT)
        assert "foundry2 has weight 7" in judge(shell, cli, 1)
        assert "~ 1 updated" in cli("up --refresh --yes --skip-preview")
        judge(shell, cli, 0)
        assert "- 36 deleted" in cli("destroy --yes --skip-preview")


def test_the_policy_pack_stops_a_preview_and_names_the_rule(shell, tmp_path):
    with shell.serving():
        cli = Cli(shell, tmp_path / "project")
        cli("stack init dev")
        assert "openai-gateway@" in cli("preview --policy-pack policies")
        region = cli.folder / "components" / "openai_region.py"
        text = region.read_text("utf-8")
        region.write_text(text.replace("local_auth=True", "local_auth=False"), "utf-8")
        stopped = cli("preview --policy-pack policies", expected=1)
    for name in ("foundry1", "foundry2", "foundry3"):
        assert f"{name}: takes keys; set disableLocalAuth to true" in stopped


def test_both_ways_to_deploy_make_the_same_resources_by_the_same_requests(shell, tmp_path):
    log = tmp_path / "requests.jsonl"
    with shell.serving("--provisioning", "0", "--request-log", str(log)):
        cli = Cli(shell, tmp_path / "project")
        cli("stack init dev")
        cli("up --yes --skip-preview")
        by_engine = described(json.loads(cli("stack export --show-secrets"))["deployment"])
        sent = changes_in(log)
        up = shell.emulator("up", "--stack", "dev")
        assert up.returncode == 0, up.stdout + up.stderr
        embedded = described(json.loads((shell.state / "stacks" / "dev.json").read_text()))
    assert len(embedded) == 36
    assert by_engine.keys() == embedded.keys()
    for urn, state in embedded.items():
        assert by_engine[urn] == state, urn
    assert sorted(changes_in(log)[len(sent) :]) == sorted(sent)
    assert len(sent) == 25  # the resources that are Azure's, and the key


def described(deployment) -> dict:
    """Type, id, inputs, outputs, parent and dependencies of each resource, without chance."""
    resources = [each for each in deployment["resources"] if ":providers:" not in each["type"]]
    (suffix,) = [
        plain(each["outputs"])["result"] for each in resources if each["urn"].endswith("::suffix")
    ]
    described = {}
    for each in resources:
        state = {
            key: plain(each.get(key) or empty)
            for key, empty in (("type", ""), ("id", ""), ("inputs", {}), ("parent", ""))
        }
        state["outputs"] = plain(each.get("outputs") or {}) if each["custom"] else {}
        state["dependencies"] = sorted(each.get("dependencies") or [])
        text = json.dumps(state, sort_keys=True).replace(suffix, "SUFFIX")
        for pattern, word in CHANCE:
            text = re.sub(pattern, word, text)
        described[each["urn"]] = json.loads(text)
    return described


def plain(value):
    """The value without Pulumi's secret wrappers, and keys as they are drawn."""
    if isinstance(value, dict):
        if "4dabf18193072939515e22adb298388d" in value:
            return plain(value["value"] if "value" in value else json.loads(value["plaintext"]))
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def changes_in(log: Path) -> list[tuple[str, ...]]:
    """What was sent to change something, without the generated parts of names."""
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [
        (
            each["method"],
            re.sub(r"-[a-z0-9]{8}(?=/|$)", "-SUFFIX", re.sub(CHANCE[0][0], "GUID", each["path"])),
            each["apiVersion"],
            str(each["status"]),
        )
        for each in entries
        if each["method"] != "GET"
    ]


def change_weight(url: str) -> None:
    """What one can do in the portal."""
    with httpx.Client(trust_env=False) as portal:
        pool = portal.get(url).json()["properties"]
        pool["pool"]["services"][1]["weight"] = 7
        answer = portal.put(url, json={"properties": {"type": "Pool", "pool": pool["pool"]}})
        assert answer.status_code == 200, answer.text
