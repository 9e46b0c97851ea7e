"""Where the outputs come from: a file, the Pulumi CLI's stack, or the local Azure's."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from probes import outputs

_ROOT: Final = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Source:
    """A stack and where its outputs came from; `endpoint` is its Resource Manager, if known."""

    stack: outputs.Stack
    name: str
    endpoint: str | None = None


def find(file: str | None, stack: str | None, standard_input: BinaryIO) -> Source:
    """Read the outputs from the first source that is given or there. Raises InputError.

    In order: `file`, `stack` of the Pulumi CLI when that is on PATH, the local Azure's stack.
    """
    if file is not None:
        name = "standard input" if file == "-" else file
        return Source(stack=outputs.read(file, standard_input), name=name)
    pulumi = shutil.which("pulumi")
    if stack and pulumi:
        command = [pulumi, "stack", "output", "--json", "--show-secrets", f"--stack={stack}"]
        return Source(
            stack=outputs.parse(_run(command), f"of stack {stack}"),
            name=f"stack {stack} by pulumi",
        )
    return _local(stack)


def _local(stack: str | None) -> Source:
    state = Path(os.environ.get("LOCAL_AZURE_STATE") or _ROOT / ".local-azure").absolute()
    stacks = sorted(path.stem for path in (state / "stacks").glob("*.json"))
    if stack is None and len(stacks) == 1:
        stack = stacks[0]
    if stack is None or stack not in stacks:
        here = f"has {', '.join(stacks)}" if stacks else "has none"
        raise outputs.InputError(
            f"no outputs of stack {stack or '(not named)'}: give --outputs FILE, or --stack NAME "
            f"with pulumi on PATH; the local Azure in {state} {here}"
        )
    emulator = [sys.executable, "-m", "emulator"]
    text = _run([*emulator, "output", f"--stack={stack}", "--show-secrets"], state)
    variables = dict(
        line.removeprefix("export ").split("=", 1)
        for line in _run([*emulator, "env"], state).decode().splitlines()
    )
    return Source(
        stack=outputs.parse(text, f"of stack {stack}"),
        name=f"stack {stack} of the local Azure",
        endpoint=variables.get("ARM_ENDPOINT"),
    )


def _run(command: list[str], state: Path | None = None) -> bytes:
    """Return what a command prints; its outputs hold the key, so they go through a pipe alone."""
    local = {"LOCAL_AZURE_STATE": str(state)} if state else {}
    done = subprocess.run(
        command,
        cwd=_ROOT,
        env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "1", **local},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        what = " ".join([Path(command[0]).name, *command[1:]])
        raise outputs.InputError(f"`{what}` failed: {said[-1]}")
    return done.stdout
