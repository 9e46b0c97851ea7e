"""The demo: the incident as it happened, the one change that mends it, and the proof.

It runs the same commands that a person would type, against a local Azure of its own in a folder
that is deleted at the end: nothing of it stays, no process, no port, no file.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator import identity, server
from emulator.local import STATE_VARIABLE, LocalAzureError, pulumi_variables

# The incident's own response times, in seconds (its report, "Cell 47 Output").
LATENCY = {"uksouth": 0.75, "eastus": 0.82, "norwayeast": 0.91}


def run(project: Path) -> int:
    """Run the story in `project`; return 0 when each command ends as it should."""
    began = time.monotonic()
    cli = shutil.which("pulumi")
    print(f"Deploying by {'the Pulumi CLI' if cli else 'the embedded deployment: no Pulumi CLI'}.")
    with tempfile.TemporaryDirectory(prefix="local-azure-") as folder:
        state = Path(folder)
        options = server.Options(port=0, latency=LATENCY, providers=cli is not None)
        with server.running(state, options) as endpoint:
            commands = _pulumi(project, state) if cli else _embedded(project)
            variables = {
                STATE_VARIABLE: str(state),
                "ARM_ENDPOINT": endpoint,
                **identity.variables(state, endpoint),
            }
            story = _Story(project, variables, commands)
            story.tell()
    print(f"\nDemo done in {time.monotonic() - began:.0f} s; nothing was left behind.")
    return 0


@dataclass(frozen=True, kw_only=True)
class _Commands:
    """What deploys and what shows the outputs, the folder and the variables they need."""

    begin: tuple[str, ...] = ()
    up: str
    outputs: str
    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)


def _embedded(project: Path) -> _Commands:
    return _Commands(
        up="python -m emulator up --stack dev",
        outputs="python -m emulator output --stack dev --show-secrets",
        folder=project,
    )


def _pulumi(project: Path, state: Path) -> _Commands:
    folder = state / "project"
    copy_program(project, folder)
    (state / "pulumi").mkdir()
    return _Commands(
        begin=("pulumi stack init dev",),
        up="pulumi up --stack dev --yes --skip-preview",
        outputs="pulumi stack output --stack dev --json --show-secrets",
        folder=folder,
        variables=pulumi_variables(state),
    )


def copy_program(project: Path, folder: Path) -> None:
    """Copy what the CLI runs: it writes the salt of its secrets into the stack's file."""
    folder.mkdir()
    for path in [*project.glob("Pulumi*.yaml"), project / "__main__.py"]:
        shutil.copy(path, folder)
    shutil.copytree(project / "components", folder / "components")
    (folder / ".venv").symlink_to(sys.prefix)


class _Story:
    def __init__(self, project: Path, variables: Mapping[str, str], commands: _Commands) -> None:
        self._project = project
        self._commands = commands
        self._environment = {
            **os.environ,
            **variables,
            **commands.variables,
            "PYTHONUNBUFFERED": "1",
        }

    def tell(self) -> None:
        _title("1. The incident: priorities 1, 2, 2. It deploys without an error.")
        for command in self._commands.begin:
            self._command(command)
        self._command(f"{self._commands.up} --config-file Pulumi.incident.yaml")
        _title("2. Every request gets an answer. From where?")
        self._probe("--expect round-robin", expected_exit=1)
        _title("3. The fix: equal priority and weight. One resource changes.")
        self._command(self._commands.up)
        _title("4. The proof: the live pool, read back, and the traffic.")
        self._probe("", expected_exit=0)

    def _command(self, command: str) -> None:
        print(f"$ {command}", flush=True)
        done = self._start(command, self._commands.folder)
        _expect(command, done.returncode, 0)

    def _probe(self, flags: str, *, expected_exit: int) -> None:
        """Pipe the outputs into the probe, so that the key is in no file and no argument."""
        read = self._commands.outputs
        probe = f"python probes/distribution.py --outputs - {flags}".rstrip()
        print(f"$ {read} | {probe}", flush=True)
        outputs = self._start(read, self._commands.folder, stdout=subprocess.PIPE)
        _expect(read, outputs.returncode, 0, quiet=True)
        done = self._start(probe, self._project, input=outputs.stdout)
        _expect(probe, done.returncode, expected_exit)

    def _start(self, command: str, folder: Path, **more: Any) -> subprocess.CompletedProcess[bytes]:
        name, *arguments = shlex.split(command)
        program = sys.executable if name == "python" else name
        return subprocess.run(
            [program, *arguments], cwd=folder, env=self._environment, check=False, **more
        )


def _title(text: str) -> None:
    print(f"\n== {text}\n", flush=True)


def _expect(command: str, code: int, expected: int, *, quiet: bool = False) -> None:
    if code != expected:
        raise LocalAzureError(f"`{command}` ended with {code}, not with {expected}")
    if not quiet:
        print(f"(exit {code})", flush=True)
