import shutil
import subprocess

import pytest
import recording
from shell import Shell


@pytest.fixture
def shell(tmp_path) -> Shell:
    return Shell(tmp_path / "state")


@pytest.fixture(scope="session")
def first_up(tmp_path_factory) -> tuple[Shell, subprocess.CompletedProcess[str]]:
    """The dev stack, deployed once for all that begin with it; `up` started a server of its own."""
    shell = Shell(tmp_path_factory.mktemp("deployed") / "state")
    return shell, shell.local_azure("up", "--stack", "dev")


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
