"""The workflows: pinned, with the least of rights, and each command in them is one that runs."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from fake_github import REPOSITORY, GitHub, pull
from fake_github import run as run_of

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in FILES}
STEPS = [
    (name, step)
    for name, workflow in WORKFLOWS.items()
    for job in workflow["jobs"].values()
    for step in job.get("steps", ())
]
JOBS = {f"{name}/{key}": job for name, w in WORKFLOWS.items() for key, job in w["jobs"].items()}
IN_AZURE = {key: job for key, job in JOBS.items() if job.get("permissions", {}).get("id-token")}
CALLED = "./.github/workflows/issue.yml"
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
    uses = [action for action in uses if not action.startswith(CALLED)]
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
        assert job["permissions"]
        if job.get("uses") == CALLED:
            assert job["permissions"] == WORKFLOWS["issue"]["jobs"]["issue"]["permissions"]
            continue
        assert 0 < job["timeout-minutes"] <= 120
        checkouts = [s for s in job["steps"] if s.get("uses", "").startswith("actions/checkout@")]
        assert [s["with"]["persist-credentials"] for s in checkouts] == [False]


def test_what_a_fork_can_run_has_no_secret_and_no_right_to_write():
    text = (ROOT / ".github" / "workflows" / "pull-request.yml").read_text("utf-8")
    assert "secrets." not in text
    assert WORKFLOWS["pull-request"]["jobs"]["rehearse"]["permissions"] == {"contents": "read"}
    # The one that signs in to Azure does not run for a fork, the one that comments on a rehearsal
    # for nobody else: a pull request has one writer.
    (job,) = WORKFLOWS["preview"]["jobs"].values()
    same = "github.event.pull_request.head.repo.full_name == github.repository"
    assert job["if"] == f"{same} && vars.PULUMI_STACK != ''"
    (job,) = WORKFLOWS["comment"]["jobs"].values()
    run = "github.event.workflow_run"
    assert job["if"] == (
        f"{run}.event == 'pull_request' && {run}.head_repository.full_name != github.repository"
    )
    # It takes the default branch's scripts: it checks out no other ref, and unpacks no artifact.
    uses = [step for w, step in STEPS if w == "comment" and "uses" in step]
    assert [set(each["with"]) for each in uses] == [{"persist-credentials"}, {"python-version"}]
    assert not any("secrets." in path.read_text("utf-8") for path in FILES)


def test_no_command_has_a_value_pasted_into_it():
    assert not [step["run"] for _, step in STEPS if "${{" in step.get("run", "")]


def test_who_may_write_what():
    rights = {
        right: {key for key, job in JOBS.items() if job["permissions"].get(right) == "write"}
        for right in ("issues", "pull-requests", "id-token", "contents", "actions")
    }
    assert rights == {
        "issues": {"issue/issue", "deploy/issue", "drift/issue"},
        "pull-requests": {"comment/comment", "preview/preview"},
        "id-token": {"deploy/deploy", "drift/drift", "preview/preview"},
        "contents": set(),
        "actions": set(),
    }


def test_each_job_in_azure_has_an_environment_of_its_own_and_what_the_state_needs():
    environments = [job["environment"] for job in IN_AZURE.values()]
    assert sorted(environments) == ["drift", "preview", "production"]
    for job in IN_AZURE.values():
        assert "vars.PULUMI_STACK != ''" in job["if"]
        assert job["env"] == {
            "PULUMI_BACKEND_URL": "${{ vars.PULUMI_BACKEND_URL }}",
            "PULUMI_STACK": "${{ vars.PULUMI_STACK }}",
            "AZURE_STORAGE_ACCOUNT": "${{ vars.AZURE_STORAGE_ACCOUNT }}",
            "ARM_USE_OIDC": "true",
            "ARM_CLIENT_ID": "${{ vars.AZURE_CLIENT_ID }}",
            "ARM_TENANT_ID": "${{ vars.AZURE_TENANT_ID }}",
            "ARM_SUBSCRIPTION_ID": "${{ vars.AZURE_SUBSCRIPTION_ID }}",
        }


@pytest.mark.parametrize("key", IN_AZURE)
def test_sign_in_is_directly_before_its_use_and_again_before_the_probe(key):
    did = [
        "sign in"
        if step.get("uses", "").startswith("azure/login@")
        else next((w for w in ("pulumi", "distribution.py") if w in step.get("run", "")), "")
        for step in IN_AZURE[key]["steps"]
    ]
    first = did.index("sign in")
    assert "pulumi" not in did[:first]
    assert did[first + 1] == "pulumi"
    if "distribution.py" in did:
        assert did[did.index("distribution.py") - 1] == "sign in"


def test_deployments_and_the_nightly_look_take_turns_and_none_is_dropped():
    turns = [JOBS[key]["concurrency"] for key in ("deploy/deploy", "drift/drift")]
    assert turns == [{"group": "deployment", "queue": "max"}] * 2
    groups = [w["concurrency"]["group"] for w in WORKFLOWS.values() if "concurrency" in w]
    assert "deployment" not in groups


@pytest.mark.parametrize("name", ["deploy", "drift"])
def test_every_run_leaves_its_reports_and_one_issue_is_told(name):
    runs = [step["run"] for w, step in STEPS if w == name and "distribution.py" in str(step)]
    for flag in ("--markdown verdict.md", "--junit verdict.xml", "--svg verdict.svg"):
        assert [flag in run for run in runs] == [True]
    upload = JOBS[f"{name}/{name}"]["steps"][-1]
    assert upload["uses"].startswith("actions/upload-artifact@")
    assert upload["if"] == "success() || failure()"
    assert upload["with"] == {"name": "reports", "path": "drift.md\nverdict.*\n"}
    told = JOBS[f"{name}/issue"]
    assert (told["uses"], told["needs"]) == (CALLED, name)
    assert told["if"] == f"always() && needs.{name}.result != 'skipped'"
    assert told["with"] == {"result": f"${{{{ needs.{name}.result }}}}"}


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
    summary = tmp_path / "summary.md"
    run(rehearse, checkout, shell.environment | {"GITHUB_STEP_SUMMARY": str(summary)})
    assert json.loads((checkout / "comment" / "preview.json").read_text("utf-8"))["steps"]
    assert "Round robin, 33\\.3 % of traffic to each region" in summary.read_text("utf-8")

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in (checkout / "comment").iterdir():
            archive.write(path, path.name)
    github = GitHub()
    github.runs[5] = run_of("a" * 40)
    github.pulls = [pull(7, "a" * 40)]
    github.artifacts = [(5, "comment", packed.getvalue())]
    try:
        environment = {
            **shell.environment,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{shell.environment['PATH']}",
            "RUN": "5",
            "GITHUB_API_URL": github.url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_TOKEN": "made-up",
        }
        run(step_of("comment", "comment"), ROOT, environment)
        body = github.comments[-1]["body"]
        assert "Not verified: Round robin, 33\\.3 % of traffic to each region" in body
        assert github.written == [("POST", f"/repos/{REPOSITORY}/issues/7/comments")]
        # What GitHub does not take is red.
        github.failures = [403]
        with pytest.raises(subprocess.CalledProcessError):
            run(step_of("comment", "comment"), ROOT, environment)
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
