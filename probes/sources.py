"""Where the outputs come from: a file, or a stack of the Pulumi CLI."""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from components.contract import WITH_SECRETS, Outputs, OutputsError, read
from components.resource_manager import endpoint_of_environment, is_loopback
from probes.exit_codes import InputError

LARGEST: Final = 1_000_000
"""Bytes of outputs that are read; a stack of 30 regions has 10,000."""
VARIABLE: Final = "PROBE_OUTPUTS"
"""Names a file with outputs."""

_PROJECT: Final = Path(__file__).resolve().parent.parent
_LIMIT: Final = 60.0  # seconds for one command of the CLI
_NONE_SELECTED: Final = "no stack selected"
_REMEDIES: Final = {
    "PULUMI_ACCESS_TOKEN": "run `pulumi login`, or give --outputs FILE",
    "passphrase": "set PULUMI_CONFIG_PASSPHRASE, or give --outputs FILE",
    "no stack named": "`pulumi stack ls` lists those there are",
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Outputs, where they came from, and the Resource Manager at which their pool is read."""

    outputs: Outputs[str]
    name: str
    resource_manager: str

    @property
    def description(self) -> str:
        """A line for people: which stack, which gateway and which Resource Manager."""
        where = f"gateway {self.outputs.gateway_url}; Resource Manager {self.resource_manager}"
        return f"[INFO] Outputs: {self.name}; {where}"


def find(
    file: str | None, stack: str | None, standard_input: BinaryIO, *, reads_pool: bool = True
) -> Source:
    """Read the outputs from `file`, or else from the CLI's `stack`, or from the one there is.

    That is either the stack that is selected in the CLI, or the file that PROBE_OUTPUTS names.
    Raises InputError, also where gateway and Resource Manager are not of one Azure.
    """
    if file is not None:
        if stack:
            raise InputError("--stack and --outputs name two stacks; give one of them")
        source = _of_file(file, standard_input)
    else:
        source = _of_stack(stack) if stack else _the_one_there_is(standard_input)
    local = "on this machine", "not on it"
    places = [is_loopback(source.outputs.inference_url), is_loopback(source.resource_manager)]
    if reads_pool and places[0] != places[1]:
        gateway, manager = (local[not place] for place in places)
        raise InputError(
            f"the gateway {source.outputs.inference_url} is {gateway}, the Resource Manager "
            f"{source.resource_manager} {manager}: set ARM_ENDPOINT to the Azure that the stack is "
            "in, or unset it for public Azure"
        )
    return source


def _the_one_there_is(standard_input: BinaryIO) -> Source:
    file = os.environ.get(VARIABLE, "")
    has_file = bool(file) and Path(file).exists()
    named = os.environ.get("PULUMI_STACK", "")
    if not has_file and not named and shutil.which("pulumi"):
        with ThreadPoolExecutor() as both:  # the CLI takes half a second to answer
            outputs, name = both.map(_pulumi, (_output(), _SHOW_NAME))
        if _NONE_SELECTED not in outputs.stderr:
            return _source(_said(outputs), f"stack {_said(name).strip()} of the Pulumi CLI")
    selected = named or (_selected() if has_file else "")
    if selected and has_file:
        raise InputError(
            f"two stacks are there: {selected} is selected in the Pulumi CLI, and ${VARIABLE} is "
            f"{file}; choose with --stack {selected} or --outputs {file}"
        )
    if selected:
        return _of_stack(selected)
    if has_file:
        return _of_file(file, standard_input, by=f" (${VARIABLE})")
    missing = f"; the file that ${VARIABLE} names is not there: {file}" if file else ""
    raise InputError(
        "no stack: choose one with `pulumi stack select NAME` or --stack NAME, or give "
        f"--outputs FILE{missing}"
    )


def _selected() -> str:
    """Name the stack that is selected in the Pulumi CLI; nothing without either."""
    if not shutil.which("pulumi"):
        return ""
    done = _pulumi(_SHOW_NAME)
    return "" if _NONE_SELECTED in done.stderr else _said(done).strip()


def _of_file(file: str, standard_input: BinaryIO, by: str = "") -> Source:
    name = "standard input" if file == "-" else f"{file}{by}"
    try:
        if file == "-":
            text = standard_input.read(LARGEST + 1)
        else:
            with Path(file).open("rb") as opened:
                text = opened.read(LARGEST + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"outputs of {name}: {reason}; write them with `{WITH_SECRETS}`") from None
    if len(text) > LARGEST:
        raise InputError(
            f"outputs of {name}: more than {LARGEST:,} bytes; are they of `{WITH_SECRETS}`?"
        )
    return _source(text, name)


def _of_stack(stack: str) -> Source:
    if not shutil.which("pulumi"):
        raise InputError(
            f"stack {stack}: a named stack is read with the Pulumi CLI, and pulumi is not on PATH; "
            "install it, or give --outputs FILE"
        )
    return _source(_said(_pulumi(_output(stack))), f"stack {stack} of the Pulumi CLI")


def _source(text: str | bytes, name: str) -> Source:
    try:
        outputs = read(text)
    except OutputsError as error:
        raise InputError(f"outputs of {name}: {error}") from None
    return Source(outputs=outputs, name=name, resource_manager=endpoint_of_environment())


_SHOW_NAME: Final = ("stack", "--show-name")


def _output(stack: str = "") -> tuple[str, ...]:
    return (*WITH_SECRETS.split()[1:], *((f"--stack={stack}",) if stack else ()))


def _pulumi(command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run the CLI in the project's folder; outputs hold the key, so a pipe alone gets them."""
    pulumi = shutil.which("pulumi") or "pulumi"
    try:
        return subprocess.run(
            [pulumi, *command, "--non-interactive"],
            cwd=_PROJECT,
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
            errors="replace",
            timeout=_LIMIT,
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"`pulumi {' '.join(command)}` took more than {_LIMIT:g} s") from None
    except OSError as error:
        raise InputError(f"{pulumi} cannot be run: {error.strerror or error}") from None


def _said(done: subprocess.CompletedProcess[str]) -> str:
    """Return what the CLI printed; raises InputError with its reason when it failed."""
    if not done.returncode:
        return str(done.stdout)
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")] or lines or ["it said nothing"]
    reason = errors[-1].removeprefix("error: ")
    remedy = next((r for sign, r in _REMEDIES.items() if sign in reason), "or give --outputs FILE")
    command = " ".join(done.args[1:-1])
    raise InputError(f"`pulumi {command}` failed: {reason}; {remedy}")
