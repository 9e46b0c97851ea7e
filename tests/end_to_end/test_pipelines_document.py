"""docs/pipelines.md sets up what the workflows ask for, by commands that are there."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from components.resource_manager import OPENAI_USER

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "pipelines.md").read_text("utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = "\n".join(BLOCKS)
WORKFLOWS = {
    path.name: path.read_text("utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml")
}
JOBS = {
    key: job
    for text in WORKFLOWS.values()
    for key, job in yaml.safe_load(text)["jobs"].items()
    if "steps" in job
}
ENVIRONMENTS = {job["environment"] for job in JOBS.values() if "environment" in job}
FLAG = r"(?<!\S)(--[a-z][a-z-]+)"


def calls(program: str) -> list[str]:
    """Each command line of a program, with what it is continued by."""
    whole = COMMANDS.replace("\\\n", " ")
    return [
        re.split(r"\)|<<<", line)[0].strip()
        for line in re.findall(rf"(?:^ *|\$\(){program} (.*)$", whole, re.MULTILINE)
    ]


def test_the_blocks_are_bash():
    assert len(BLOCKS) > 6
    bash = ["bash", "-n", "-euo", "pipefail"]
    for block in BLOCKS:
        done = subprocess.run(bash, input=block, text=True, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), block


def test_each_name_is_given_before_it_is_used():
    given = {"RANDOM", "PATH", "@"}
    for line in COMMANDS.splitlines():
        names = re.findall(r"\b(?:export )?([A-Z_]{3,})=|^(me)=|^ *(client)=|^for (\w+)", line)
        for name in re.findall(r"\$\{?([A-Za-z_]{2,})", line):
            assert name in given | {each for found in names for each in found}, line
        given |= {each for found in names for each in found}


def test_every_variable_and_environment_of_the_workflows_is_set():
    wanted = {name for text in WORKFLOWS.values() for name in re.findall(r"vars\.(\w+)", text)}
    assert set(re.findall(r"gh variable set (\w+)", COMMANDS)) == wanted
    assert set(re.findall(r"environments/(\w+)\" --input", COMMANDS)) == ENVIRONMENTS
    for loop in re.findall(r"for name in ([a-z ]+); do\n(?:.*\n)*?done", COMMANDS):
        assert set(loop.split()) <= ENVIRONMENTS
    assert "for name in preview drift production; do\n  az identity create" in COMMANDS
    # Of those that any branch can use, none deploys.
    assert "for name in drift production; do\n  gh api --method POST" in COMMANDS


def test_every_workflow_is_told_of():
    assert set(re.findall(r"^\| `([\w-]+\.yml)`", TEXT, re.MULTILINE)) == set(WORKFLOWS)


def test_the_rules_for_main_ask_for_jobs_that_are_there():
    checks = re.findall(r'"context": "(\w+)"', COMMANDS)
    assert checks == ["rehearse", "preview"]
    assert set(checks) <= set(JOBS)


def test_the_one_role_that_may_be_given_is_the_program_s():
    condition = re.search(r'--condition "(.*?)"', COMMANDS, re.DOTALL)[1]
    assert set(re.findall(r"GuidEquals \{(.*?)\}", condition)) == {OPENAI_USER}
    assert condition.count("(") == condition.count(")")
    assert re.findall(r"(@\w+)\[[\w./]+:(\w+)\]", condition) == [
        (source, what)
        for source in ("@Request", "@Resource")
        for what in ("RoleDefinitionId", "PrincipalType")
    ]


def test_a_branch_cannot_read_the_gateway_s_key():
    given = re.findall(
        r'assign "\$\(principal (\S+?)\)" ServicePrincipal "?([\w ]+?)"? "', COMMANDS
    )
    assert len(given) == 7
    assert {name for name, role in given if role == "API Management Key Reader"} == {"drift"}
    assert {name for name, role in given if role == "Contributor"} == {"production"}
    assert "openai-gateway:exportKey: false" in COMMANDS


@pytest.mark.clients
@pytest.mark.skipif(shutil.which("az") is None, reason="the Azure CLI is not on PATH")
@pytest.mark.timeout(300)
def test_every_command_of_the_azure_cli_is_there_with_its_flags(tmp_path):
    wanted: dict[str, set[str]] = {}
    for call in calls("az"):
        name = re.split(r" -| \"", call)[0]
        wanted.setdefault(name, set()).update(re.findall(FLAG, call))
    given = re.findall(r"^assign .*(?:\n  .*)*", COMMANDS, re.MULTILINE)
    wanted["role assignment create"].update(re.findall(FLAG, "\n".join(given)))
    assert "--condition" in wanted["role assignment create"]
    assert len(wanted) > 10
    for name, flags in wanted.items():
        done = subprocess.run(
            ["az", *name.split(), "--help"],
            env={"PATH": f"{Path(shutil.which('az')).parent}:/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, name
        missing = {flag for flag in flags if not re.search(rf"{flag}\b", done.stdout)}
        assert not missing, name


@pytest.mark.engine
@pytest.mark.skipif(shutil.which("pulumi") is None, reason="the Pulumi CLI is not on PATH")
def test_every_command_of_the_pulumi_cli_is_there_with_its_flags():
    told = [line for line in COMMANDS.splitlines() if line.startswith("pulumi ")]
    run = [s["run"] for job in JOBS.values() for s in job["steps"] if "pulumi " in s.get("run", "")]
    lines = [line.strip() for text in (*told, *run) for line in text.splitlines()]
    lines = [line for line in lines if line.startswith("pulumi ")]
    assert len(lines) == 5
    for line in lines:
        command = re.match(r"pulumi ([a-z ]+?) [^a-z]", line)[1].split()
        done = subprocess.run(
            ["pulumi", *command, "--help"], capture_output=True, text=True, check=True
        )
        for flag in re.findall(FLAG, line):
            assert flag in done.stdout, line
