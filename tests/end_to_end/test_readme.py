"""The README's commands do what it says: they are read out of it and run."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README, STACK = (
    (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/stack.md")
)


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)


def lines(*blocks: str) -> list[str]:
    found = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in found if line]


TWO, SERVE, REHEARSAL, IN_AZURE = blocks(README, "sh")
(APPLICATION,) = blocks(STACK, "python")
AZURE = [line for line in lines(IN_AZURE) if line.startswith("pulumi ")]
ACTIVATE = "source .venv/bin/activate"


def test_the_two_commands():
    assert lines(TWO) == ["make demo", "make test"]


def test_readme_is_for_ten_minutes_and_names_no_page_that_is_not_there():
    assert len(README.splitlines()) <= 150
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", path.read_text(encoding="utf-8"))
        missing = [link for link in links if not (path.parent / link).exists()]
        assert not missing, (path, missing)


def bash(script: str, environment: dict[str, str], timeout: float) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


@pytest.fixture
def environment(shell):
    # `python` is this environment's, as after `source .venv/bin/activate`.
    path = f"{Path(sys.executable).parent}{os.pathsep}{shell.environment['PATH']}"
    return {**shell.environment, "PATH": path}


@pytest.fixture
def warm(shell, tmp_path, environment):
    """That environment, whose commands find loaded what they load."""
    for name, start in (("python", []), ("local-azure", ["-m", "local_azure"])):
        command = tmp_path / name
        command.write_text(f'#!/bin/sh\nexec {shlex.join([*shell.python, *start])} "$@"\n')
        command.chmod(0o755)
    return environment | {"PATH": f"{tmp_path}{os.pathsep}{environment['PATH']}"}


@pytest.mark.thorough
def test_make_demo(environment):
    venv = sys.prefix
    # The environment that runs this test stands in for .venv; setting it up is CI's first step.
    demo = f"make -o {venv}/.ready VENV={venv} demo"
    result = bash(demo, environment, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    incident, fixed = result.stdout.split("up --stack dev\n")
    assert "CONFIRMED" not in incident
    assert "[OK] Load balancing test complete!" not in incident
    for said in (
        "Expected traffic: UK South 100.0 %",
        "  UK South: 6 requests (100.0%)",
        "not balanced: ",
    ):
        assert said in incident, said
    updated = re.findall(r"^ ~ .*$", fixed, re.MULTILINE)
    pools = [line for line in updated if "apimanagement" in line]
    assert [line.split()[-3:-1] for line in pools] == [["inference-backend-pool", "updated"]]
    # The rules and the workbook name the shares that are expected.
    assert re.search(r"~ 8 updated\s+65 unchanged", fixed)
    assert re.search("Fired .*starved-region-hourly.* Region: East US", incident)
    assert re.search("Resolved .*starved-region-hourly.* Region: East US", fixed)
    assert "Fired" not in fixed
    for said in (
        "Expected traffic: UK South 33.3 %, East US 33.3 %, Norway East 33.3 % (round robin)",
        "  ✓ ROUND-ROBIN CONFIRMED: all backends have priority=1, weight=1",
        "  UK South: 4 requests (33.3%)",
        "  East US: 4 requests (33.3%)",
        "  Norway East: 4 requests (33.3%)",
        "[OK] Load balancing test complete!",
    ):
        assert said in fixed, said


def test_make_test_is_this_suite(environment):
    result = bash(f"make -n -o {sys.prefix}/.ready VENV={sys.prefix} test", environment, timeout=20)
    workers = (os.cpu_count() or 1) + 1
    wanted = f"{sys.prefix}/bin/python -m pytest -n {workers} --dist worksteal"
    assert result.stdout.strip() == wanted


def test_the_steps_on_a_laptop(warm, shell):
    activate, serve = lines(SERVE)
    first, *steps = lines(REHEARSAL)
    assert activate == first == ACTIVATE
    assert serve == "local-azure serve"
    server = shell.start("-m", "local_azure", "serve", "--port", "0", "--provisioning", "0")
    try:
        server.stdout.readline()
        result = bash("\n".join(steps), warm, timeout=120)
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=20)
    assert result.returncode == 0, result.stdout + result.stderr
    healthy, faulty = result.stdout.split("[OK] Load balancing test complete!")
    assert "balanced: UK South 33.3 %, East US 33.3 %, Norway East 33.3 %" in faulty
    assert "ROUND-ROBIN CONFIRMED" in healthy
    assert "East US" in faulty.split("not balanced: ")[1]
    assert "exit code 1" in faulty
    assert "- 73 deleted" in faulty


def test_the_application_calls_the_gateway(environment, deployed, tmp_path):
    program, cli = tmp_path / "application.py", tmp_path / "pulumi"
    program.write_text(APPLICATION, encoding="utf-8")
    # Answers as the Pulumi CLI would, from the stack that is deployed here without it.
    cli.write_text(
        f'#!/bin/sh\ntest "$*" = "stack output --json --show-secrets" || exit 9\n'
        f"exec {sys.executable} -m local_azure output --show-secrets\n"
    )
    cli.chmod(0o755)
    environment |= {
        "LOCAL_AZURE_STATE": str(deployed.state),
        "PATH": f"{tmp_path}{os.pathsep}{environment['PATH']}",
    }
    with deployed.serving():
        result = bash(f"python {program}", environment, timeout=60)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.split()) > 1


@pytest.mark.skipif(shutil.which("pulumi") is None, reason="the Pulumi CLI is not on PATH")
@pytest.mark.parametrize("command", AZURE)
def test_the_pulumi_cli_knows_the_commands(command, environment):
    words = re.match(r"pulumi((?: [a-z]+)+)", command)[1].split()
    known = ["stack init", "config set", "stack output", "preview", "up"]
    verb = next(verb for verb in known if " ".join(words).startswith(verb))
    environment |= {"PATH": os.environ["PATH"]}  # the other tests of a shell go without the CLI
    result = bash(f"pulumi {verb} --help", environment, timeout=20)
    assert result.returncode == 0
    for flag in re.findall(r" (--[a-z-]+)", command.split("|")[0]):
        assert flag in result.stdout


def test_its_figures_are_those_of_the_generated_documents():
    requests = {
        row[0]: row[3]
        for line in (ROOT / "docs" / "verdicts.md").read_text("utf-8").splitlines()
        if len(row := [cell.strip() for cell in line.strip("|").split("|")]) > 3
    }
    rotation, one = requests["strict rotation of 3"], requests["all to one"]
    assert f"{float(rotation):g} requests\nconfirm a three-region round robin" in README
    assert f"{float(one):g} detect a pool that uses one region" in README
    speed = (ROOT / "docs" / "speed.md").read_text("utf-8")
    slowest = re.search(r"of the slowest request \(.*?\) +(\S+)", speed)
    assert 1.5 < float(slowest[1]) < 2.5  # "about as long as two requests"


def test_the_table_of_outputs_names_every_one(dev_outputs):
    rows = STACK.split("## Outputs")[1].split("## ")[0]
    assert set(re.findall(r"`([a-z_]+)`", rows.replace("`api-key`", ""))) == set(dev_outputs)


@pytest.fixture
def dev_outputs(deployed):
    return json.loads(deployed.local_azure("output").stdout)
