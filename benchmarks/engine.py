"""How long the Pulumi CLI's preview of the dev stack takes, beside three programs that do less.

An empty program, one that only imports the same SDKs, and `flat/`, which declares the same
resources in one file with no components and no checks. Goal: at most 1.15 times the flat program.
All are whole commands against one local Azure, run in turn so that a machine whose speed drifts
slows all alike; a ratio is the median of the rounds' ratios. That of processor time, of all the
processes of a command, holds on a busy machine too. The benchmark ends where the flat program
declares other resources than the dev stack: the two are then not comparable.
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)

import demo  # noqa: E402
from local_azure import server  # noqa: E402
from local_azure.environment import pulumi_variables  # noqa: E402

ROUNDS = 9
PROJECT = "name: {}\nruntime: {{name: python, options: {{virtualenv: .venv}}}}\n"
DEV = "dev stack"
FLAT = "flat program"
PROGRAMS = {
    "empty program": "import pulumi\n",
    "imports alone": (
        "import pulumi_random\n"
        "from pulumi_azure_native import apimanagement, applicationinsights, authorization\n"
        "from pulumi_azure_native import cognitiveservices, monitor, operationalinsights\n"
        "from pulumi_azure_native import resources\n"
        "apimanagement.Api, applicationinsights.Workbook, authorization.RoleAssignment\n"
        "cognitiveservices.Account, monitor.ScheduledQueryRule\n"
        "operationalinsights.Workspace, resources.ResourceGroup\n"
    ),
    FLAT: (ROOT / "benchmarks" / "flat" / "__main__.py").read_text(encoding="utf-8"),
}
"""A name is taken from each module of azure-native: before that it is not loaded."""
GOALS = {FLAT: "  (goal: at most 1.15)"}


class Cost(NamedTuple):
    """Seconds of one preview, on the clock and of the processors."""

    wall: float
    processor: float


def cost(folder: Path, variables: Mapping[str, str]) -> Cost:
    """Preview once."""
    began = (time.perf_counter(), processor_seconds())
    run("pulumi preview --stack dev", folder, variables)
    return Cost(time.perf_counter() - began[0], processor_seconds() - began[1])


def processor_seconds() -> float:
    """Return what ended processes took, those that they had started included."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(command: str, folder: Path, variables: Mapping[str, str]) -> str:
    """Run a command of the CLI; return what it prints, or end with that where it fails."""
    done = subprocess.run(
        command.split(),
        cwd=folder,
        env={**os.environ, **variables},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{command}\n{done.stdout}{done.stderr}")
    return done.stdout


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
    print(f"  {'':<13}  seconds  ratio of the dev stack to it, and of processor time")
    for program in (DEV, *PROGRAMS):
        wall = statistics.median(each[program].wall for each in rounds)
        ratios = [
            statistics.median(
                getattr(each[DEV], kind) / getattr(each[program], kind) for each in rounds
            )
            for kind in Cost._fields
        ]
        told = "" if program == DEV else f"  {ratios[0]:5.2f}  {ratios[1]:5.2f}"
        print(f"  {program:<13}  {wall:7.2f}{told}{GOALS.get(program, '')}")


def measured(state: Path, variables: Mapping[str, str]) -> list[dict[str, Cost]]:
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
        cost(folder, variables)  # the first fills the caches of bytecode
    different = declared(folders[DEV], variables) ^ declared(folders[FLAT], variables)
    if different:
        sys.exit(
            f"the dev stack and benchmarks/flat differ in {sorted(different)}: make them equal"
        )
    return [
        {program: cost(folder, variables) for program, folder in folders.items()}
        for _ in range(ROUNDS)
    ]


if __name__ == "__main__":
    main()
