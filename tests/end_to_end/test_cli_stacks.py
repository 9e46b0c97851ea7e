"""The Pulumi CLI's stacks on the local Azure leave the repository, and the user's login, alone."""

import os
import shutil
import subprocess
from pathlib import Path

from test_engine import ROOT, Cli
from test_engine import pytestmark as NEEDS_THE_CLI  # noqa: N812

pytestmark = NEEDS_THE_CLI


def tracked(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("Pulumi*.yaml")}


def test_a_rehearsal_leaves_the_stack_s_file_as_it_is(shell, tmp_path):
    with shell.serving("--provisioning", "0"):
        cli = Cli(shell, tmp_path / "project")
        before = tracked(cli.folder)
        cli("stack init dev")
        cli("up --yes --skip-preview --config-file Pulumi.incident.yaml")
        cli("preview --expect-no-changes --config-file Pulumi.incident.yaml")
        assert "73 unchanged" in cli("refresh --yes --skip-preview")
        assert cli("stack ls").split("\n")[1].startswith("dev*")
        cli("destroy --yes --skip-preview --ignore-protect")
        cli("stack rm --yes dev")
    assert tracked(cli.folder) == before == tracked(ROOT)
    assert not (cli.folder / "home" / "credentials.json").exists()

    # And the stack of that name is made elsewhere as if nothing had been.
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        ["pulumi", "stack", "init", "dev"],
        cwd=cli.folder,
        env={
            **os.environ,
            "PULUMI_HOME": str(cli.folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{tmp_path / 'elsewhere'}",
            "PULUMI_CONFIG_PASSPHRASE": "another",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_without_a_server_the_cli_fails_at_once(shell, tmp_path):
    with shell.serving():
        cli = Cli(shell, tmp_path / "project")
        cli("stack init dev")
    done = subprocess.run(
        ["pulumi", "preview"],
        cwd=cli.folder,
        env=cli.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    assert done.returncode != 0
    assert "connection refused" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert shutil.which("pulumi")
