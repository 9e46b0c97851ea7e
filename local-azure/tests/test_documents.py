"""The steps of the README and the example of `docs/pytest.md`, as they are written there."""

import os
import re
import shutil
import signal
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from local_azure import pytest_plugin
from local_azure.pytest_plugin import local_azure, local_azure_server

__all__ = ["local_azure", "local_azure_server"]

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "two_regions"


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[str]:
    return [line.split(" #")[0].strip() for line in block.splitlines()]


START, STEPS, TOOLS = map(commands, blocks("README.md", "sh"))


def run(*command: str, cwd: Path = EXAMPLE, **environment: str) -> str:
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PATH": here, "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_no_page_names_one_that_is_not_there():
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", path.read_text(encoding="utf-8"))
        missing = [link for link in links if not (path.parent / link).exists()]
        assert not missing, (path, missing)


def test_the_five_minutes(tmp_path):
    assert START == ["pip install local-azure pulumi-azure-native", "local-azure serve"]
    state = str(tmp_path / "state")
    server = subprocess.Popen(
        [sys.executable, "-m", "local_azure", "serve", "--port", "0", "--state", state],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        server.stdout.readline()
        said = run(
            *("bash", "-euo", "pipefail", "-c", "\n".join(STEPS)),
            cwd=shutil.copytree(EXAMPLE, tmp_path / "mine"),
            LOCAL_AZURE_STATE=state,
        )
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=20)
    assert re.search(r"\b16 created", said)
    assert "/models/openai/v1/" in said
    assert re.search(r"\b16 deleted", said)


@pytest.mark.clients
@pytest.mark.parametrize(
    ("tool", "told"), [("curl", '"displayName": "Local Azure"'), ("az", '"apim-two-regions"')]
)
def test_the_tools_find_what_is_deployed(local_azure, tmp_path, tool, told):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not on PATH")
    local_azure.up(EXAMPLE)
    port = local_azure.https_endpoint.rpartition(":")[2]
    script = ['eval "$(local-azure env)"', *(line for line in TOOLS if line.startswith(tool))]
    said = run(
        *("bash", "-euo", "pipefail", "-c", "\n".join(script).replace(":8743", f":{port}")),
        LOCAL_AZURE_STATE=str(local_azure.state),
        AZURE_CONFIG_DIR=str(tmp_path / "az"),
    )
    assert told in said


def test_the_example_of_the_pytest_plugin_is_shown_as_it_is():
    (shown,) = blocks("docs/pytest.md", "python")
    assert shown == (EXAMPLE / "test_two_regions.py").read_text(encoding="utf-8")


def test_the_example_of_the_pytest_plugin_passes(tmp_path):
    (found,) = entry_points(group="pytest11", name="local_azure")
    assert found.value == pytest_plugin.__name__
    said = run(
        *(sys.executable, "-m", "pytest", "-p", found.value, "-q", "--rootdir", "."),
        # Of its own: pytest deletes the folders of earlier runs there, however large they are.
        *("--basetemp", str(tmp_path / "temporary")),
        cwd=shutil.copytree(EXAMPLE, tmp_path / "mine"),
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )
    assert re.search(r"^3 passed", said, re.MULTILINE)
