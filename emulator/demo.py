"""The demo: the incident as it happened, the one change that mends it, and the proof.

It runs the same commands that a person would type, against a local Azure of its own in a folder
that is deleted at the end: nothing of it stays, no process, no port, no file.
"""

import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from emulator import server
from emulator.local import STATE_VARIABLE, LocalAzureError

# The incident's own response times, in seconds (its report, "Cell 47 Output").
LATENCY = {"uksouth": 0.75, "eastus": 0.82, "norwayeast": 0.91}


def run(project: Path) -> int:
    """Run the story in `project`; return 0 when each command ends as it should."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="local-azure-") as folder:
        state = Path(folder)
        with server.running(state, server.Options(port=0, latency=LATENCY)) as endpoint:
            story = _Story(project, state, endpoint)
            story.tell()
    print(f"\nDemo done in {time.monotonic() - began:.0f} s; nothing was left behind.")
    return 0


class _Story:
    def __init__(self, project: Path, state: Path, endpoint: str) -> None:
        self._project = project
        self._environment = {
            **os.environ,
            STATE_VARIABLE: str(state),
            "ARM_ENDPOINT": endpoint,
            "PYTHONUNBUFFERED": "1",
        }

    def tell(self) -> None:
        _title("1. The incident: priorities 1, 2, 2. It deploys without an error.")
        self._command("-m emulator up --stack dev --config-file Pulumi.incident.yaml")
        _title("2. Every request gets an answer. From where?")
        self._probe("--expect round-robin", expected_exit=1)
        _title("3. The fix: equal priority and weight. One resource changes.")
        self._command("-m emulator up --stack dev")
        _title("4. The proof: the live pool, read back, and the traffic.")
        self._probe("", expected_exit=0)

    def _command(self, command: str) -> None:
        print(f"$ python {command}", flush=True)
        done = subprocess.run(
            [sys.executable, *shlex.split(command)],
            cwd=self._project,
            env=self._environment,
            check=False,
        )
        _expect(command, done.returncode, 0)

    def _probe(self, flags: str, *, expected_exit: int) -> None:
        """Pipe the outputs into the probe, so that the key is in no file and no argument."""
        read = "-m emulator output --stack dev --show-secrets"
        probe = f"probes/distribution.py --outputs - {flags}".rstrip()
        print(f"$ python {read} | python {probe}", flush=True)
        outputs = subprocess.run(
            [sys.executable, *shlex.split(read)],
            cwd=self._project,
            env=self._environment,
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
        done = subprocess.run(
            [sys.executable, *shlex.split(probe)],
            cwd=self._project,
            env=self._environment,
            check=False,
            input=outputs,
        )
        _expect(probe, done.returncode, expected_exit)


def _title(text: str) -> None:
    print(f"\n== {text}\n", flush=True)


def _expect(command: str, code: int, expected: int) -> None:
    if code != expected:
        raise LocalAzureError(f"`python {command}` ended with {code}, not with {expected}")
    print(f"(exit {code})", flush=True)
