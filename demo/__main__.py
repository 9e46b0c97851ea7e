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

from demo import LATENCY
from local_azure import identity, server
from local_azure.environment import pulumi_variables
from local_azure.local import STATE_VARIABLE, LocalAzureError, outputs_file


def main(project: Path) -> int:
    """Run the story in `project`; return 0 when each command ends as it should."""
    began = time.monotonic()
    cli = shutil.which("pulumi")
    print(f"Deploying by {'the Pulumi CLI' if cli else 'the embedded deployment: no Pulumi CLI'}.")
    with tempfile.TemporaryDirectory(prefix="local-azure-") as folder:
        state = Path(folder)
        options = server.Options(port=0, latency=LATENCY, providers=cli is not None)
        with server.running(state, options) as endpoint:
            commands = _pulumi(state) if cli else _embedded(state)
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
    """What deploys, and the variables by which this and the probe find their way."""

    begin: tuple[str, ...] = ()
    up: str
    variables: Mapping[str, str] = field(default_factory=dict)


def _embedded(state: Path) -> _Commands:
    return _Commands(
        up="local-azure up --stack dev",
        variables={"PROBE_OUTPUTS": str(outputs_file(state, "dev"))},
    )


def _pulumi(state: Path) -> _Commands:
    return _Commands(
        begin=("pulumi stack init dev",),
        up="pulumi up --stack dev --yes --skip-preview",
        # The CLI notes in its home which stack is selected.
        variables={**pulumi_variables(state), "PULUMI_HOME": str(state / "home")},
    )


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
        self._command("python probes/distribution.py --expect round-robin", expected_exit=1)
        _title("3. Nobody asks? The alarm in Azure does, from the logs of an hour's traffic.")
        self._command("python -m demo.traffic 60")
        self._command("local-azure alerts --in 1h")
        _title("4. The fix: equal priority and weight.")
        self._command(self._commands.up)
        _title("5. The proof: the live pool, read back, and the traffic.")
        self._command("python probes/distribution.py --expect round-robin")
        _title("6. The alarm is over: two evaluations later it resolves by itself.")
        self._command("python -m demo.traffic 60")
        self._command("local-azure alerts --in 2h")

    def _command(self, command: str, expected_exit: int = 0) -> None:
        print(f"$ {command}", flush=True)
        name, *arguments = shlex.split(command)
        # As in a shell whose virtual environment is active.
        own = {"python": [sys.executable], "local-azure": [sys.executable, "-m", "local_azure"]}
        program = [*own.get(name, [name]), *arguments]
        done = subprocess.run(program, cwd=self._project, env=self._environment, check=False)
        if done.returncode != expected_exit:
            raise LocalAzureError(f"`{command}` ended with {done.returncode}, not {expected_exit}")
        print(f"(exit {expected_exit})", flush=True)


def _title(text: str) -> None:
    print(f"\n== {text}\n", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(Path(__file__).resolve().parent.parent))
    except LocalAzureError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
