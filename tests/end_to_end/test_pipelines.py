"""The pipelines' own steps, in order, with the Pulumi CLI: from an empty state to a mended drift.

GitHub's part is played here: the expressions of a workflow, its conditions, and the artifacts.
Sign-in to Azure, and what installs something, are left out.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from fake_github import REPOSITORY, GitHub, pull
from test_engine import Cli
from test_engine import pytestmark as NEEDS_THE_CLI  # noqa: N812

from local_azure.identity import APPLICATIONS

pytestmark = NEEDS_THE_CLI
ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "pipelines.md"
INSTALLS = ("make .venv/.ready", "pip install ")
HEAD = "a" * 40
READER = next(each.client_id for each in APPLICATIONS.values() if each.role == "Reader")


class Runner:
    """Runs jobs as GitHub does, in a checkout; what they upload is in `reports`."""

    def __init__(self, checkout: Path, environment: dict[str, str], variables: dict[str, str]):
        self.checkout = checkout
        self.environment = environment
        self.variables = variables
        self.reports = checkout.parent / "reports"
        self.said: dict[str, str] = {}
        """What each workflow printed, the last time."""

    def run(self, workflow: str, job: str, **contexts) -> str:
        """The job's result, as `needs` has it."""
        text = (ROOT / ".github" / "workflows" / f"{workflow}.yml").read_text("utf-8")
        declared = yaml.safe_load(text)["jobs"][job]
        contexts = {"vars": self.variables, "steps": {}, **contexts}
        if not self._holds(declared.get("if", "success()"), "success", contexts):
            return "skipped"
        result, self.said[workflow] = "success", ""
        for step in declared["steps"]:
            if not self._holds(step.get("if", "success()"), result, contexts):
                continue
            outcome, said = self._step(step, declared.get("env", {}), contexts)
            self.said[workflow] += said
            if "id" in step:
                contexts["steps"][step["id"]] = {"outcome": outcome}
            if outcome == "failure" and not step.get("continue-on-error"):
                result = "failure"
        return result

    def ended(self, workflow: str) -> str:
        """The result of the workflow's job, once the issue has been told of it."""
        result = self.run(workflow, workflow)
        told = {"inputs": {"result": result}, "github": {"token": "made-up"}}
        assert self.run("issue", "issue", **told) == "success", self.said["issue"]
        return result

    def previewed(self) -> str:
        head = {"sha": HEAD, "repo": {"full_name": REPOSITORY}}
        event = {"pull_request": {"number": 7, "head": head}}
        context = {"token": "made-up", "repository": REPOSITORY, "event": event}
        return self.run("preview", "preview", github=context)

    def _step(self, step, job_environment, contexts) -> tuple[str, str]:
        action = step.get("uses", "").partition("@")[0]
        if action == "actions/upload-artifact":
            shutil.rmtree(self.reports, ignore_errors=True)
            self.reports.mkdir()
            for pattern in step["with"]["path"].split():
                for path in self.checkout.glob(pattern):
                    shutil.move(path, self.reports)  # each job has a checkout of its own
        elif action == "actions/download-artifact":
            shutil.copytree(self.reports, self.checkout / step["with"]["path"], dirs_exist_ok=True)
        if action or step["run"].startswith(INSTALLS):
            return "success", ""
        declared = {**job_environment, **step.get("env", {})}
        environment = {name: self._filled(str(v), contexts) for name, v in declared.items()}
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.checkout,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        return "failure" if done.returncode else "success", done.stdout + done.stderr

    def _filled(self, text: str, contexts) -> str:
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda m: str(_value(m[1], contexts)), text)

    def _holds(self, condition: str, result: str, contexts) -> bool:
        functions = {
            "success": lambda: result == "success",
            "failure": lambda: result == "failure",
            "always": lambda: True,
        }
        text = condition.replace("&&", " and ").replace("||", " or ")
        text = re.sub(
            r"\b[a-z]+(?:\.\w+)+", lambda m: repr(_value(m[0], contexts)), text, flags=re.IGNORECASE
        )
        holds = bool(eval(text, {"__builtins__": {}}, functions))
        # Without a function of the kind, GitHub asks for success as well.
        return holds and ("()" in condition or result == "success")


def _value(path: str, contexts):
    found = contexts
    for key in path.split("."):
        found = found.get(key, "") if isinstance(found, dict) else ""
    return found


@pytest.fixture
def github(monkeypatch):
    github = GitHub()
    github.pulls = [pull(7, HEAD, REPOSITORY)]
    yield github
    github.close()


@pytest.fixture
def pipelines(shell, tmp_path, github):
    """The document's stack on an empty state, at the local Azure, with its pipelines."""
    with shell.serving("--provisioning", "0"):
        cli = Cli(shell, tmp_path / "checkout")
        (backend := tmp_path / "backend").mkdir()
        variables = {
            "PULUMI_STACK": "prod",
            "PULUMI_BACKEND_URL": f"file://{backend}",
            **{
                name: cli.environment[name.replace("AZURE", "ARM")]
                for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_SUBSCRIPTION_ID")
            },
        }
        environment = {
            **cli.environment,
            "PULUMI_CONFIG_PASSPHRASE": "stands for the vault",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{cli.environment['PATH']}",
            "GITHUB_API_URL": github.url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        }
        runner = Runner(cli.folder, environment, variables)
        set_up = environment | variables | {"SECRETS_PROVIDER": "passphrase"}
        for wanted in ("cp Pulumi.dev.yaml", "pulumi stack init"):
            commands = [
                line
                for block in re.findall(
                    r"```bash\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL
                )
                if wanted in block
                for line in block.splitlines()
                if not line.startswith(("make ", "az ", ".venv/bin/local-azure"))
            ]
            subprocess.run(
                ["bash", "-euc", "\n".join(commands)], cwd=cli.folder, env=set_up, check=True
            )
        assert (cli.folder / "Pulumi.prod.yaml").is_file()
        (cli.folder / ".github").symlink_to(ROOT / ".github")
        yield SimpleNamespace(cli=cli, runner=runner, backend=backend)


def plain(text: str) -> str:
    """Markdown without its escapes."""
    return text.replace("\\", "")


def pool_of(pipelines) -> str:
    """Where the live pool is."""
    done = subprocess.run(
        ["pulumi", "stack", "output", "--stack", "prod", "pool"],
        cwd=pipelines.cli.folder,
        env=pipelines.runner.environment | pipelines.runner.variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return f"{yaml.safe_load(done.stdout)['id']}?api-version=2024-05-01"


@pytest.mark.timeout(900)
def test_from_an_empty_state_to_a_mended_drift(pipelines, github):
    runner, config = pipelines.runner, pipelines.cli.folder / "Pulumi.prod.yaml"
    assert runner.ended("deploy") == "success", runner.said
    reports = {path.name for path in runner.reports.iterdir()}
    assert reports == {"verdict.md", "verdict.xml", "verdict.svg"}
    assert list(pipelines.backend.rglob("*.json"))  # the state, where the variable says
    assert github.issues == []

    # A priority is changed in the portal.
    url = pool_of(pipelines)
    with pipelines.cli.portal() as portal:
        live = portal.get(url).raise_for_status().json()
        for member in live["properties"]["pool"]["services"][1:]:
            member["priority"] = 2
        portal.put(url, json={"properties": live["properties"]}).raise_for_status()

    # The pull request of an unrelated change says so.
    before = config.read_text("utf-8")
    content = yaml.safe_load(before)
    content["config"]["openai-gateway:breaker"] = {"count": 7}
    merged = yaml.safe_dump(content, sort_keys=False)
    # As an identity that may read, and not look the gateway's key up.
    content["config"]["azure-native:clientId"] = READER
    config.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    assert runner.previewed() == "success", runner.said
    comment = plain(github.comments[-1]["body"])
    for said in (
        "Changed in Azure: inference-backend-pool (Backend)",
        "pool.services[1].priority, pool.services[2].priority",
        "traffic: UK South 100.0 %, East US 0.0 %, Norway East 0.0 %",
        "then: Round robin, 33.3 % of traffic to each region",
        "| region | priority / weight declared | share | live | share | after | share | |",
        "| East US | 1 / 1 | 33.3 % | 2 / 1 | 0.0 % | 1 / 1 | 33.3 % |",
        "circuitBreaker.rules[0].failureCondition.count",
    ):
        assert said in comment, said

    # The night before the merge finds it, twice, and tells it in one issue.
    config.write_text(before, encoding="utf-8")
    for _ in range(2):
        assert runner.ended("drift") == "failure"
        assert "~ priority: 1 => 2" in runner.said["drift"]
        assert {path.name for path in runner.reports.iterdir()} == reports | {"drift.md"}
        (issue,) = github.issues
        for said in (
            "inference-backend-pool (Backend): pool.services[1].priority, pool.services[2]",
            "traffic: UK South 100.0 %",
            "foundry2 has priority 2",
        ):
            assert said in plain(issue["body"]), said

    # The merge puts it back, and closes the issue.
    config.write_text(merged, encoding="utf-8")
    assert runner.ended("deploy") == "success", runner.said
    with pipelines.cli.portal() as portal:
        members = portal.get(url).json()["properties"]["pool"]["services"]
    assert [member["priority"] for member in members] == [1, 1, 1]
    assert issue["state"] == "closed"
    assert runner.ended("drift") == "success", runner.said
    assert len(github.issues) == 1


def test_without_the_variable_nothing_signs_in(tmp_path):
    runner = Runner(tmp_path, {}, {})
    event = {"pull_request": {"head": {"repo": {"full_name": REPOSITORY}}}}
    context = {"repository": REPOSITORY, "event": event}
    for name in ("deploy", "drift", "preview"):
        assert runner.run(name, name, github=context) == "skipped"
