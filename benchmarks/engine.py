"""How long the Pulumi CLI's preview of the dev stack takes, beside three programs that do less.

An empty program, one that only imports the same SDKs, and `flat/`, which declares the same
resources in one file with no components and no checks. Goal: at most 1.15 times the flat program.
All are whole commands against one local Azure, run in turn so that a machine whose speed drifts
slows all alike; a ratio is the median of the rounds' ratios. A preview whose resources differ from
the dev stack's ends the benchmark: what is compared is then not the same.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)

from emulator import demo, server  # noqa: E402
from emulator.local import pulumi_variables  # noqa: E402

ROUNDS = 9
PROJECT = "name: {}\nruntime: {{name: python, options: {{virtualenv: .venv}}}}\n"
DEV = "dev stack"
FLAT = "flat program"
PROGRAMS = {
    "empty program": "import pulumi\n",
    "imports alone": (
        "import pulumi_random\n"
        "from pulumi_azure_native import apimanagement, authorization\n"
        "from pulumi_azure_native import cognitiveservices, resources\n"
        "apimanagement.Api, authorization.RoleAssignment\n"
        "cognitiveservices.Account, resources.ResourceGroup\n"
    ),
    FLAT: (ROOT / "benchmarks" / "flat" / "__main__.py").read_text(encoding="utf-8"),
}
"""A name is taken from each module of azure-native: before that it is not loaded."""
GOALS = {FLAT: "  (goal: at most 1.15)"}


def seconds(folder: Path, variables: Mapping[str, str]) -> float:
    """Wall time of one preview."""
    began = time.perf_counter()
    run("pulumi preview --stack dev", folder, variables)
    return time.perf_counter() - began


def run(command: str, folder: Path, variables: Mapping[str, str]) -> str:
    """Run a command of the CLI; return what it prints."""
    environment = {**os.environ, **variables}
    return subprocess.run(
        command.split(),
        cwd=folder,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


def declared(folder: Path, variables: Mapping[str, str]) -> set[tuple[str, str]]:
    """Type and name of each resource of Azure, and of each random value, that a preview creates."""
    steps = json.loads(run("pulumi preview --json --stack dev", folder, variables))["steps"]
    resources = [tuple(each["urn"].split("::")[2:]) for each in steps if each["op"] == "create"]
    return {
        (kind.rpartition("$")[2], name)
        for kind, name in resources
        if kind.rpartition("$")[2].startswith(("azure-native:", "random:"))
    }


def main() -> None:
    """Print the times, and the ratios to the dev stack's."""
    if shutil.which("pulumi") is None:
        print("preview by the Pulumi CLI: not measured, the CLI is not on PATH")
        return
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        with server.running(state, server.Options(port=0, providers=True)) as endpoint:
            variables = {**pulumi_variables(state), "ARM_ENDPOINT": endpoint}
            rounds = measured(state, variables)
    print(f"preview by the Pulumi CLI, {ROUNDS} rounds of whole commands, medians:")
    dev = [each[DEV] for each in rounds]
    print(f"  {DEV}            {statistics.median(dev):.2f} s")
    for program in PROGRAMS:
        times = [each[program] for each in rounds]
        ratio = statistics.median(a / b for a, b in zip(dev, times, strict=True))
        print(f"  {program:<14}       {statistics.median(times):.2f} s")
        print(f"    ratio to it        {ratio:.2f}{GOALS.get(program, '')}")


def measured(state: Path, variables: Mapping[str, str]) -> list[dict[str, float]]:
    """Make a project of each program, and time the previews of all of them."""
    folders = {DEV: state / "project"}
    demo.copy_program(ROOT, folders[DEV])
    for program, text in PROGRAMS.items():
        folder = folders[program] = state / program.split()[0]
        folder.mkdir()
        (folder / "Pulumi.yaml").write_text(PROJECT.format(folder.name), encoding="utf-8")
        (folder / "__main__.py").write_text(text, encoding="utf-8")
        (folder / ".venv").symlink_to(sys.prefix)
    for folder in folders.values():
        run("pulumi stack init dev", folder, variables)
        seconds(folder, variables)  # the first fills the caches of bytecode
    different = declared(folders[DEV], variables) ^ declared(folders[FLAT], variables)
    if different:
        sys.exit(
            f"the dev stack and benchmarks/flat differ in {sorted(different)}: make them equal"
        )
    return [
        {program: seconds(folder, variables) for program, folder in folders.items()}
        for _ in range(ROUNDS)
    ]


if __name__ == "__main__":
    main()
