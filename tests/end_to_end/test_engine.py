"""The plain Pulumi CLI against the local Azure, by the commands that a user types."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import azure_and_state
import httpx
import pytest
from shell import Shell

from docs import changing_regions
from docs.changing_regions import PROTECT, REGIONS, Project
from local_azure.identity import authorization

ROOT = Path(__file__).parents[2]
CHANCE = (
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "GUID"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)", "TIME"),
    (r'\\"[A-Za-z0-9+/=]+\\"', "ETAG"),
    (r"127\.0\.0\.1:\d+", "GATEWAY"),
    (r"203\.0\.113\.\d+", "ADDRESS"),
)
"""What differs between any two deployments."""
DRIFT = 7
"""The CLI's exit code when changes were not expected."""
REFUSED = 1
"""Its exit code when the program or the engine refused a change."""
UP = "up --yes --skip-preview"
SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"
DELETED = {
    "Microsoft.CognitiveServices/deletedAccounts": "2025-06-01",
    "Microsoft.ApiManagement/deletedservices": "2024-05-01",
}
"""What keeps its name for 48 hours."""
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(shutil.which("pulumi") is None, reason="the Pulumi CLI is not on PATH"),
    pytest.mark.timeout(300),
]


class Cli(Project):
    """Runs `pulumi`, and the probes, in a copy of the program: a stack's file is written to."""

    def __init__(self, shell, folder: Path) -> None:
        new = not folder.exists()
        exports = shell.local_azure("env").stdout
        variables = dict(
            line.removeprefix("export ").split("=", 1)
            for line in shlex.split(exports.replace("\n", " "))
            if "=" in line
        )
        self.shell = shell
        self.probes = folder / "probes"
        super().__init__(folder, {**shell.environment, "PATH": os.environ["PATH"], **variables})
        self.drifted = False  # whether somebody changed what the state does not know of
        known = azure_and_state.in_states(shell.state)
        found = azure_and_state.in_azure(shell.state, self.environment["ARM_ENDPOINT"])
        self.before = {key: each for key, each in found.items() if key not in known}
        if new:
            for name in ("policies", "probes"):
                shutil.copytree(ROOT / name, folder / name)

    def __call__(self, command: str, expected: int = 0) -> str:
        done = self.pulumi(command)
        assert done.returncode == expected, f"pulumi {command}\n{done.stdout}{done.stderr}"
        if command.startswith(("up ", "destroy ", "refresh ")):
            if not expected and ("--refresh" in command or command.startswith("refresh ")):
                self.drifted = False
            if not self.drifted:
                unlike = azure_and_state.differences(
                    self.shell.state,
                    self.environment["ARM_ENDPOINT"],
                    before=self.before,
                    values=not expected,
                )
                assert not unlike, "\n".join((f"after `pulumi {command}`:", *unlike))
        return done.stdout

    def run(self, script: str, *flags: str, expected: int, folder=None, text=None, **variables):
        """What a script of the project prints, on both streams."""
        done = subprocess.run(
            [sys.executable, str(self.probes / script), *flags],
            cwd=folder or self.folder,
            env={**self.environment, **variables},
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == expected, done.stdout + done.stderr
        return done.stdout + done.stderr

    def probe(self, *flags: str, expected: int, **more) -> str:
        return self.run("distribution.py", *flags, expected=expected, **more)

    def portal(self) -> httpx.Client:
        """Resource Manager, as one who is signed in sees it."""
        return httpx.Client(
            base_url=self.environment["ARM_ENDPOINT"],
            headers=authorization(self.shell.state),
            trust_env=False,
        )

    def change_weight(self) -> None:
        """What one can do in the portal."""
        self.drifted = True
        url = f"{json.loads(self('stack output --json'))['pool']['id']}?api-version=2024-05-01"
        with self.portal() as portal:
            pool = portal.get(url).raise_for_status().json()["properties"]["pool"]
            pool["services"][1]["weight"] = 7
            portal.put(url, json={"properties": {"type": "Pool", "pool": pool}}).raise_for_status()

    def comment(self, preview: str, *flags: str, expected: int) -> str:
        (self.folder / "preview.json").write_text(preview, encoding="utf-8")
        return self.run("preview_comment.py", "preview.json", *flags, expected=expected)


def judge(cli, expected: int) -> str:
    """The verdict on outputs that are piped into the probe."""
    outputs = cli("stack output --stack dev --json --show-secrets")
    return cli.probe("--outputs", "-", expected=expected, text=outputs)


@pytest.fixture(scope="module")
def up_once(tmp_path_factory) -> Path:
    """A folder with the dev stack as `pulumi up` deploys it, for all tests that begin with it."""
    folder = tmp_path_factory.mktemp("engine")
    shell = Shell(folder / "state")
    with shell.serving("--provisioning", "0"):
        Cli(shell, folder / "project").deploy()
    return folder


@pytest.fixture
def cli(up_once, tmp_path):
    """A copy of the deployed stack and of its Azure."""
    folder = shutil.copytree(up_once, tmp_path / "copy", symlinks=True)
    shell = Shell(folder / "state")
    with shell.serving("--provisioning", "0"):
        copy = Cli(shell, folder / "project")
        copy("stack select dev")
        yield copy


def test_the_commands_of_a_user_from_init_to_destroy(shell, tmp_path):
    with shell.serving("--provisioning", "0"):
        cli = Cli(shell, tmp_path / "project")
        cli("stack init dev")
        assert "+ 73 to create" in cli("preview")
        up = cli(f"{UP} --config-file Pulumi.incident.yaml")
        assert "+ 73 created" in up
        assert "Expected traffic: UK South 100.0 %" in up
        fixed = cli(UP)
        assert re.search(r"~ 8 updated\s+65 unchanged", fixed)
        assert "CONFIRMED" in judge(cli, 0)
        assert "73 unchanged" in cli("refresh --yes --skip-preview")
        cli("preview --refresh --expect-no-changes")
        quiet = cli("preview")  # of the key, too, which only `up` looks up
        assert "73 unchanged" in quiet
        assert "Outputs:" not in quiet
        outputs = json.loads(cli("stack output --json"))
        assert outputs["subscription_key"] == "[secret]"
        cli.change_weight()
        cli("preview --refresh --expect-no-changes", expected=DRIFT)
        assert "foundry2 has weight 7" in judge(cli, 1)
        assert "73 unchanged" in cli(UP)
        judge(cli, 1)
        assert "~ 1 updated" in cli(f"{UP} --refresh")
        judge(cli, 0)
        for command in ("destroy --yes", "destroy --yes --skip-preview"):
            assert "cannot be deleted" in cli(command, expected=REFUSED)
        assert "73 unchanged" in cli("refresh --yes --skip-preview")
        cli.set(PROTECT, False)
        assert "73 unchanged" in cli(UP)
        assert "- 73 deleted" in cli("destroy --yes --skip-preview")


def test_the_policy_pack_stops_a_preview_and_names_the_rule(shell, tmp_path):
    with shell.serving():
        cli = Cli(shell, tmp_path / "project")
        cli("stack init dev")
        assert "openai-gateway@" in cli("preview --policy-pack policies")
        region = cli.folder / "components" / "openai_region.py"
        text, taken = re.subn(r"(disable_local_auth\W+)True", r"\1False", region.read_text("utf-8"))
        assert taken == 1
        region.write_text(text, "utf-8")
        stopped = cli("preview --policy-pack policies", expected=1)
    for name in ("foundry1", "foundry2", "foundry3"):
        assert f"{name}: takes keys; set disableLocalAuth to true" in stopped


def test_both_ways_to_deploy_make_the_same_resources_by_the_same_requests(shell, tmp_path):
    log = tmp_path / "requests.jsonl"
    with shell.serving("--provisioning", "0", "--request-log", str(log)):
        cli = Cli(shell, tmp_path / "project")
        cli("stack init dev")
        cli(UP)
        by_engine = described(json.loads(cli("stack export --show-secrets"))["deployment"])
        sent = changes_in(log)
        up = shell.local_azure("up", "--stack", "dev")
        assert up.returncode == 0, up.stdout + up.stderr
        embedded = described(json.loads((shell.state / "stacks" / "dev.json").read_text()))
    assert len(embedded) == 73
    assert by_engine.keys() == embedded.keys()
    for urn, state in embedded.items():
        assert by_engine[urn] == state, urn
    assert sorted(changes_in(log)[len(sent) :]) == sorted(sent)
    assert len(sent) == 61  # the resources that are Azure's, and the key


@pytest.mark.timeout(1800)
def test_a_change_of_the_regions_touches_those_regions_alone():
    rows = changing_regions.previews()
    for row in rows:
        for outcome in (row.protected, row.unprotected):
            assert not outcome.strangers(row.change), row.change.title
        title, done = row.change.title, row.unprotected.touched
        if title.startswith("order"):
            assert not any(done.values()), title
            assert not row.protected.refused, title
        elif "location mistyped" in title:
            assert "did you mean" in row.unprotected.refused, title
            assert "did you mean" in row.protected.refused, title
        elif row.change.takes_away:
            assert "protect" in row.protected.refused, title
            assert not row.unprotected.refused, title
            assert done["deleted"] or done["replaced"], title
        else:
            assert row.protected == row.unprotected, title
            assert ("Account", row.change.regions and next(iter(row.change.own))) in done["created"]
    document = changing_regions.DOCUMENT.read_text(encoding="utf-8")
    assert changing_regions.filled(document, rows) == document


def test_azure_has_what_the_state_says_after_every_up_that_changes_the_regions(cli):
    one, two, three = cli.regions
    cli.set(REGIONS, [two, one, three])
    assert "73 unchanged" in cli(UP)
    cli("preview --refresh --expect-no-changes")
    cli.set(REGIONS, [one, two, three])
    assert "73 unchanged" in cli(UP)

    cli.set(REGIONS, [{"name": "alpha", "location": "swedencentral"}, one, two, three])
    assert re.search(r"\+ 6 created\s+~ 9 updated", cli(UP))
    cli("preview --refresh --expect-no-changes")
    cli.probe(expected=0)

    cli.set(REGIONS, [{"name": "alpha", "location": "swedencentral"}, two, three])
    refused = cli("up --yes", expected=REFUSED)
    assert re.search(r"foundry1\" cannot be deleted\s+because it is protected", refused)

    cli.set(REGIONS, [{"name": "alpha", "location": "swedencentral"}, one, two, three])
    cli.set(PROTECT, {"except": ["foundry1"]})
    assert "79 unchanged" in cli(UP)
    cli.set(REGIONS, [{"name": "alpha", "location": "swedencentral"}, two, three])
    assert re.search(r"~ 9 updated\s+- 6 deleted", cli("up --yes"))
    cli("preview --refresh --expect-no-changes")
    cli.probe(expected=0)


@pytest.mark.parametrize("moved", ["one account", "everything"])
def test_a_replacement_that_azure_refused_is_made_good_by_the_next_up(cli, moved):
    """What is deleted and cannot be made again stays in the state, as pending."""
    cli.set(PROTECT, False)
    cli(UP)
    before = cli.file.read_text(encoding="utf-8")
    if moved == "everything":
        cli.set("openai-gateway:location", "francecentral")
    else:
        one, two, three = cli.regions
        cli.set(REGIONS, [one, {**two, "location": "francecentral"}, three])
    assert "purge" in cli(UP, expected=REFUSED)
    cli.file.write_text(before, encoding="utf-8")
    with cli.portal() as portal:
        for kind, version in DELETED.items():
            for deleted in listed(cli, f"{SUBSCRIPTION}/providers/{kind}", version):
                portal.delete(deleted, params={"api-version": version}).raise_for_status()
    cli(UP)
    cli("preview --refresh --expect-no-changes")
    cli.probe(expected=0)


def listed(cli, path: str, version: str) -> set[str]:
    with cli.portal() as portal:
        page = portal.get(path, params={"api-version": version}).raise_for_status().json()
    assert not page.get("nextLink")
    return {each["id"].lower() for each in page["value"]}


def test_the_bare_probe_judges_the_selected_stack_from_any_folder(cli, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for folder in (cli.folder, elsewhere):
        assert "CONFIRMED" in cli.probe(expected=0, folder=folder)
    cli(f"{UP} --config-file Pulumi.incident.yaml")
    declared = cli.probe(expected=0, folder=elsewhere)
    assert "Load balancing test complete" not in declared
    assert "0 %" in declared
    cli.probe("--expect", "round-robin", expected=1)
    cli("stack init empty")
    assert "empty" in cli.probe(expected=2)
    cli.probe("--expect", "round-robin", expected=1, PULUMI_STACK="dev")


def test_the_bare_probe_refuses_two_stacks_of_one_name_and_names_both(cli):
    cli.set(PROTECT, False)  # the embedded deployment's, which is destroyed again
    up = cli.shell.local_azure("up", "--stack", "dev", "--config-file", str(cli.file))
    assert up.returncode == 0, up.stdout + up.stderr
    cli(f"{UP} --config-file Pulumi.incident.yaml")
    refused = cli.probe(expected=2)
    assert "--stack" in refused
    assert cli.environment["PROBE_OUTPUTS"] in refused
    cli.probe("--outputs", cli.environment["PROBE_OUTPUTS"], expected=0)
    cli.probe("--stack", "dev", "--expect", "round-robin", expected=1)
    down = cli.shell.local_azure("destroy", "--stack", "dev")
    assert down.returncode == 0, down.stdout + down.stderr
    cli.probe("--expect", "round-robin", expected=1)


def test_a_refresh_preview_of_a_healthy_stack_is_no_fault_and_drift_is(cli):
    command = "preview --refresh --json --show-sames"
    healthy = cli.comment(cli(command), expected=0)
    assert "33.3 %" in healthy
    cli.change_weight()
    assert "33.3 %" in cli.comment(cli(command), expected=0)
    assert "73 unchanged" in cli(UP)
    told = cli.probe(expected=1)
    assert "pulumi up --refresh" in told
    assert "~ 1 updated" in cli(f"{UP} --refresh")
    cli.probe(expected=0)


def test_every_mistake_in_the_config_is_told_at_once(cli):
    cli.set(REGIONS, {"name": "foundry1"})
    cli.set("openai-gateway:routing", ["round-robin"])
    cli.set("openai-gateway:models", "chat")
    cli.set("openai-gatway:breaker", None)
    told = cli("preview", expected=REFUSED)
    for key in ("regions", "routing", "models"):
        assert f"openai-gateway:{key}" in told
    assert "did you mean" in told
    assert "Traceback" not in told


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
