"""The workflows: pinned, with the least of rights, and each command in them is one that runs."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fake_github import GitHub

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in FILES}
STEPS = [
    (name, step)
    for name, workflow in WORKFLOWS.items()
    for job in workflow["jobs"].values()
    for step in job["steps"]
]
COMMANDS = sorted(
    {line.strip() for _, step in STEPS for line in step.get("run", "").splitlines() if line.strip()}
)


def step_of(workflow: str, name: str) -> str:
    (found,) = [
        s["run"] for w, s in STEPS if w == workflow and s.get("name") == name and "run" in s
    ]
    return found


def test_every_action_is_pinned_by_its_full_hash_with_the_version_beside_it():
    lines = [line for path in FILES for line in path.read_text("utf-8").splitlines()]
    uses = [line.split("uses:")[1].strip() for line in lines if "uses:" in line]
    assert len(uses) > 10
    for action in uses:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
    pins = {}
    for action in uses:
        assert pins.setdefault(action.partition("@")[0], action) == action, "one pin an action"


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_has_no_rights_but_its_jobs_own_and_ends_in_time(name):
    workflow = WORKFLOWS[name]
    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["group"]
    for job in workflow["jobs"].values():
        assert 0 < job["timeout-minutes"] <= 90
        assert job["permissions"]
        checkouts = [s for s in job["steps"] if s.get("uses", "").startswith("actions/checkout@")]
        assert [s["with"]["persist-credentials"] for s in checkouts] == [False]


def test_what_a_fork_can_run_has_no_secret_and_no_right_to_write():
    text = (ROOT / ".github" / "workflows" / "pull-request.yml").read_text("utf-8")
    assert "secrets." not in text
    assert WORKFLOWS["pull-request"]["jobs"]["rehearse"]["permissions"] == {"contents": "read"}
    # The one that signs in to Azure does not run for a fork.
    (job,) = WORKFLOWS["preview"]["jobs"].values()
    assert job["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
    # The one that may comment takes the default branch's scripts: it checks out no other ref.
    checkout = next(s for w, s in STEPS if w == "comment" and "checkout" in s.get("uses", ""))
    assert set(checkout["with"]) == {"persist-credentials"}
    assert not any("secrets." in path.read_text("utf-8") for path in FILES)


def test_every_make_target_and_script_and_flag_is_there():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    helps: dict[str, str] = {}
    seen = 0
    for command in COMMANDS:
        for target in re.findall(r"^make ([\w./]+)", command):
            seen += 1
            assert target == ".venv/.ready" or re.search(rf"^{target}:", makefile, re.MULTILINE)
        for requirements in re.findall(r"--requirement (\S+)", command):
            seen += 1
            assert (ROOT / requirements).is_file()
        for script in re.findall(r"python (probes/\w+\.py)", command):
            seen += 1
            if script not in helps:
                helps[script] = subprocess.run(
                    [sys.executable, str(ROOT / script), "--help"],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
            for flag in re.findall(r" (--[a-z-]+)", command.split("||")[0]):
                assert flag in helps[script], command
    assert seen > 6


def test_the_comment_does_not_wait_for_lint_and_tests():
    (job,) = WORKFLOWS["pull-request"]["jobs"].values()
    runs = [step["run"] for step in job["steps"] if "run" in step]
    preview = runs.index(step_of("pull-request", "where the traffic would go"))
    assert preview < min(runs.index("make lint"), runs.index("make test"), runs.index("make demo"))
    assert job["steps"][-1]["if"] == "always()"  # the upload


@pytest.fixture
def checkout(tmp_path) -> Path:
    """What `actions/checkout` and `make .venv/.ready` leave."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for path in [*ROOT.glob("Pulumi*.yaml"), ROOT / "__main__.py"]:
        shutil.copy(path, folder)
    for part in ("components", "local_azure", "probes"):
        (folder / part).symlink_to(ROOT / part)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def test_the_rehearsal_s_preview_becomes_a_comment(shell, checkout, tmp_path):
    rehearse = step_of("pull-request", "where the traffic would go")
    rehearse = rehearse.replace("${{ github.event.pull_request.number }}", "7")
    run(rehearse, checkout, shell.environment)
    assert json.loads((checkout / "comment" / "preview.json").read_text("utf-8"))["steps"]

    github = GitHub()
    try:
        environment = {
            **shell.environment,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{shell.environment['PATH']}",
            "FOLDER": str(checkout / "comment"),
            "GITHUB_API_URL": github.url,
            "GITHUB_REPOSITORY": "team/gateway",
            "GITHUB_TOKEN": "made-up",
        }
        run(step_of("comment", "comment"), ROOT, environment)
        assert "Round robin, 33\\.3 % of traffic to each region" in github.comments[-1]["body"]
        assert "/issues/7/comments" in github.seen[-1][1]
        # What the pull request left behind is data: a number that is none goes nowhere.
        (checkout / "comment" / "pull-request").write_text("7/../../x; true\n", "utf-8")
        seen = len(github.seen)
        with pytest.raises(subprocess.CalledProcessError):
            run(step_of("comment", "comment"), ROOT, environment)
        assert len(github.seen) == seen
    finally:
        github.close()


def run(script: str, folder: Path, environment: dict[str, str]) -> None:
    """As GitHub runs a step: bash, stopping at the first error."""
    subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        check=True,
        timeout=60,
        capture_output=True,
    )
