"""Other people's clients hold conversations through four gateway units, unchanged.

What they need has to be there: `make clients` downloads it, no test does.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from shell import Shell

from components import contract

PROGRAMS = Path(__file__).parent / "programs"
PYTHON = PROGRAMS / ".venv" / "bin" / "python"
TEXT = re.compile(
    r"Hello from (?P<region>UK South|East US|Norway East)(, turn (?P<turn>\d))?\. You said: .*"
)


def python(name: str) -> list[str]:
    if not PYTHON.exists():
        pytest.skip(f"{name} is not there: `make clients` installs it in {PYTHON.parents[1]}")
    return [str(PYTHON), str(PROGRAMS / f"with_{name}.py")]


def javascript(_: str) -> list[str]:
    if shutil.which("node") is None:
        pytest.skip("node is not on PATH: https://nodejs.org")
    if not (PROGRAMS / "node_modules").is_dir():
        pytest.skip(f"JavaScript's packages are not there: npm ci --prefix {PROGRAMS}")
    return ["node", str(PROGRAMS / "responses.mjs")]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """What a program is told: where the gateway is, and its key."""
    shell = Shell(tmp_path_factory.mktemp("clients") / "state")
    with shell.serving("--provisioning", "0", "--gateway-instances", "4"):
        up = shell.local_azure("up")
        assert up.returncode == 0, up.stdout + up.stderr
        outputs = contract.read(shell.local_azure("output", "--show-secrets").stdout)
        yield {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", ""),
            "INFERENCE_URL": outputs.inference_url,
            "KEY": str(outputs.subscription_key),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks the network for prices
        }


@pytest.mark.clients
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("command", "name"), [(python, "langchain"), (python, "litellm"), (javascript, "openai")]
)
def test_a_client_s_conversations_of_three_turns_hold(command, name, environment):
    done = subprocess.run(
        command(name), env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    texts = [TEXT.fullmatch(line) for line in done.stdout.splitlines() if line]
    assert all(texts), done.stdout
    assert len(texts) >= 9 * 3  # so that one of four units has begun three, one a region
    for first, second, third in zip(texts[::3], texts[1::3], texts[2::3], strict=True):
        assert (first["turn"], second["turn"], third["turn"]) == (None, "2", "3")
        assert first["region"] == second["region"] == third["region"]
    assert {each["region"] for each in texts} == {"UK South", "East US", "Norway East"}
