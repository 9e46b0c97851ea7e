import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import recording

ROOT = Path(__file__).parents[2]


# What the one who runs the tests has set, and a user's shell has not: proxies, and make's own.
_INHERITED = re.compile("PROXY|^MAKE|^MFLAGS", re.IGNORECASE)


class Shell:
    """Runs the project's commands as a user does, with a state folder of the test's own."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.served = ""
        """What the last server wrote to its terminal."""
        self.environment = {
            **{name: value for name, value in os.environ.items() if not _INHERITED.search(name)},
            "PATH": os.pathsep.join(
                folder
                for folder in os.environ["PATH"].split(os.pathsep)
                if not (Path(folder) / "pulumi").exists()  # the tests of the CLI take it back
            ),
            "LOCAL_AZURE_STATE": str(state),
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
            "COLUMNS": "120",
        }

    def run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def emulator(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "emulator", *arguments)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def serving(self, *flags: str):
        """A server for the length of a `with`: gives its endpoint."""
        server = self.start("-m", "emulator", "serve", "--port", "0", *flags)
        try:
            line = server.stdout.readline()
            assert "Resource Manager at http://127.0.0.1:" in line, server.stderr.read()
            endpoint = line.split(" at ")[1].split(",")[0]
            self.environment["ARM_ENDPOINT"] = endpoint
            yield endpoint
        finally:
            server.send_signal(signal.SIGTERM)
            out, err = server.communicate(timeout=20)
            self.served = line + out + err
        assert server.returncode == 0, err
        assert err == ""


@pytest.fixture
def shell(tmp_path) -> Shell:
    return Shell(tmp_path / "state")


@pytest.fixture(scope="session")
def first_up(tmp_path_factory) -> tuple[Shell, subprocess.CompletedProcess[str]]:
    """The dev stack, deployed once for all that begin with it; `up` started a server of its own."""
    shell = Shell(tmp_path_factory.mktemp("deployed") / "state")
    return shell, shell.emulator("up", "--stack", "dev")


@pytest.fixture
def deployed(first_up, tmp_path) -> Shell:
    """A copy of the deployed stack and its Azure."""
    original, up = first_up
    assert up.returncode == 0, up.stdout + up.stderr
    return Shell(shutil.copytree(original.state, tmp_path / "deployed"))


@pytest.fixture
def declare_dev() -> recording.Program:
    """What Pulumi's own mocks record of the dev stack."""
    return recording.declare(recording.config_of("dev"))
