"""Where the outputs come from: a file, or a stack of the Pulumi CLI."""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from components import contract
from components.contract import WITH_SECRETS, Outputs, OutputsError
from components.resource_manager import (
    API_MANAGEMENT,
    ResourceManager,
    ResourceManagerError,
    endpoint_of_environment,
    is_loopback,
)
from probes import files
from probes.exit_codes import InputError, UnreachableError

LARGEST: Final = 1_000_000  # bytes of outputs that are read; a stack of 30 regions has 10,000
VARIABLE: Final = "PROBE_OUTPUTS"  # names a file with outputs

_PROJECT: Final = Path(__file__).resolve().parent.parent
_PROJECT_FILES: Final = ("Pulumi.yaml", "Pulumi.yml", "Pulumi.json")
_LIMIT: Final = 60.0  # seconds for one command of the CLI
_OUTPUT: Final = tuple(WITH_SECRETS.split()[1:])
_SHOW_NAME: Final = ("stack", "--show-name")
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
        where = f"gateway {self.outputs.gateway_url}; Resource Manager {self.resource_manager}"
        return f"[INFO] Outputs: {self.name}; {where}"


def find(
    file: str | None,
    stack: str | None,
    *,
    key: str | None = None,
    reads_pool: bool,
    sends: bool = True,
) -> Source:
    """Read the outputs from `file`, or else from the CLI's `stack`, or from the one there is.

    That is either the stack that is selected in the CLI, or the file that PROBE_OUTPUTS names. Of
    several gateways in it, `key` is the path of one. A subscription key that is none of the outputs
    is looked up if the run `sends` requests. Raises InputError, also where gateway and Resource
    Manager are not of one Azure.
    """
    if file is not None and stack:
        raise InputError("--stack and --outputs name two stacks; give one of them")
    if file is not None:
        text, name = _of_file(file)
    else:
        text, name = _of_stack(stack) if stack else _the_one_there_is()
    source = _source(text, name, key)
    urls = gateway, manager = source.outputs.inference_url, source.resource_manager
    places = ["on this machine" if is_loopback(url) else "not on it" for url in urls]
    has_key = bool(source.outputs.subscription_key)
    if len(set(places)) > 1 and (reads_pool or not has_key):
        raise InputError(
            f"the gateway {gateway} is {places[0]}, the Resource Manager {manager} {places[1]}: "
            "set ARM_ENDPOINT to the Azure that the stack is in, or unset it for public Azure"
        )
    return source if has_key or not sends else _with_key(source)


def _with_key(source: Source) -> Source:
    try:
        manager = ResourceManager(endpoint=source.resource_manager)
        key = manager.key_of(str(source.outputs.subscription), API_MANAGEMENT)
    except ResourceManagerError as error:
        lasting = error.status in (401, 403, 404)
        raise (InputError if lasting else UnreachableError)(
            f"outputs of {source.name}: the key is none of them, and looking it up failed: {error}"
        ) from None
    return replace(source, outputs=replace(source.outputs, subscription_key=key))


def _the_one_there_is() -> tuple[str | bytes, str]:
    file = os.environ.get(VARIABLE, "")
    has_file = bool(file) and Path(file).exists()
    selected = os.environ.get("PULUMI_STACK", "")
    if not selected and shutil.which("pulumi"):
        commands = (_SHOW_NAME,) if has_file else (_OUTPUT, _SHOW_NAME)
        with ThreadPoolExecutor() as both:  # the CLI takes half a second to answer
            *outputs, name = both.map(_pulumi, commands)
        if "no stack selected" not in name.stderr:
            texts = [_said(each) for each in outputs]
            selected = _said(name).strip()
            if texts:
                return texts[0], f"stack {selected} of the Pulumi CLI"
    if selected and has_file:
        raise InputError(
            f"two stacks are there: {selected} is selected in the Pulumi CLI, and ${VARIABLE} is "
            f"{file}; choose with --stack {selected} or --outputs {file}"
        )
    if selected:
        return _of_stack(selected)
    if has_file:
        return _of_file(file, by=f" (${VARIABLE})")
    missing = f"; the file that ${VARIABLE} names is not there: {file}" if file else ""
    raise InputError(
        "no stack: choose one with `pulumi stack select NAME` or --stack NAME, or give "
        f"--outputs FILE{missing}"
    )


def _of_file(file: str, by: str = "") -> tuple[str | bytes, str]:
    name = "standard input" if file == "-" else f"{file}{by}"
    missing, excess = f"; write them with `{WITH_SECRETS}`", f"; are they of `{WITH_SECRETS}`?"
    return files.read(file, LARGEST, f"outputs of {name}", missing=missing, excess=excess), name


def _of_stack(stack: str) -> tuple[str | bytes, str]:
    if not shutil.which("pulumi"):
        raise InputError(
            f"stack {stack}: a named stack is read with the Pulumi CLI, and pulumi is not on PATH; "
            "install it, or give --outputs FILE"
        )
    said = _said(_pulumi((*_OUTPUT, f"--stack={stack}")))
    return said, f"stack {stack} of the Pulumi CLI"


def _source(text: str | bytes, name: str, key: str | None) -> Source:
    try:
        path, outputs = contract.find(text, key)
    except OutputsError as error:
        raise InputError(f"outputs of {name}: {error}") from None
    name = f"{name}, output {path}" if path else name
    return Source(outputs=outputs, name=name, resource_manager=endpoint_of_environment())


def _pulumi(command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run the CLI; outputs hold the key, so a pipe alone gets them."""
    pulumi = shutil.which("pulumi") or "pulumi"
    try:
        return subprocess.run(
            [pulumi, *command, "--non-interactive"],
            cwd=_folder(),
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


def _folder() -> Path:
    """Where the CLI finds a project: here, if it is in one, or else where this program is."""
    here = Path.cwd()
    places = (folder / name for folder in (here, *here.parents) for name in _PROJECT_FILES)
    return here if any(place.is_file() for place in places) else _PROJECT


def _said(done: subprocess.CompletedProcess[str]) -> str:
    """Return what the CLI printed; raises InputError with its reason when it failed."""
    if not done.returncode:
        return str(done.stdout)
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")] or lines or ["it said nothing"]
    reason = errors[-1].removeprefix("error: ")
    remedy = next((r for sign, r in _REMEDIES.items() if sign in reason), "or give --outputs FILE")
    raise InputError(f"`pulumi {' '.join(done.args[1:-1])}` failed: {reason}; {remedy}")
