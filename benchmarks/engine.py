"""How long the Pulumi CLI's preview of the dev stack takes, beside that of an empty program.

Goal: at most 1.3 times. A third program imports the SDKs of the dev stack and declares nothing,
which parts the rest. All are whole commands against one local Azure, run in turn so that a machine
whose speed drifts slows all alike; a ratio is the median of the rounds' ratios.
"""

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

ROUNDS = 7
PROJECT = "name: {}\nruntime: {{name: python, options: {{virtualenv: .venv}}}}\n"
PROGRAMS = {
    "empty program": "import pulumi\n",
    "imports alone": (
        "import pulumi_random\n"
        "from pulumi_azure_native import apimanagement, authorization\n"
        "from pulumi_azure_native import cognitiveservices, resources\n"
        "apimanagement.Api, authorization.RoleAssignment\n"
        "cognitiveservices.Account, resources.ResourceGroup\n"
    ),
}
"""A name is taken from each module of azure-native: before that it is not loaded."""


def seconds(folder: Path, variables: Mapping[str, str]) -> float:
    """Wall time of one preview."""
    began = time.perf_counter()
    run("pulumi preview --stack dev", folder, variables)
    return time.perf_counter() - began


def run(command: str, folder: Path, variables: Mapping[str, str]) -> None:
    """Run a command of the CLI; what it prints is not shown."""
    environment = {**os.environ, **variables}
    subprocess.run(
        command.split(), cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL
    )


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
    dev = [each["dev stack"] for each in rounds]
    print(f"  dev stack            {statistics.median(dev):.2f} s")
    for program, goal in (("empty program", "  (goal: at most 1.3)"), ("imports alone", "")):
        times = [each[program] for each in rounds]
        ratio = statistics.median(a / b for a, b in zip(dev, times, strict=True))
        print(f"  {program}        {statistics.median(times):.2f} s")
        print(f"    ratio to it        {ratio:.2f}{goal}")


def measured(state: Path, variables: Mapping[str, str]) -> list[dict[str, float]]:
    """Make a project of each program, and time the previews of all of them."""
    (state / "pulumi").mkdir()
    folders = {"dev stack": state / "project"}
    demo.copy_program(ROOT, folders["dev stack"])
    for program, text in PROGRAMS.items():
        folder = folders[program] = state / program.split()[0]
        folder.mkdir()
        (folder / "Pulumi.yaml").write_text(PROJECT.format(folder.name), encoding="utf-8")
        (folder / "__main__.py").write_text(text, encoding="utf-8")
        (folder / ".venv").symlink_to(sys.prefix)
    for folder in folders.values():
        run("pulumi stack init dev", folder, variables)
        seconds(folder, variables)  # the first fills the caches of bytecode
    return [
        {program: seconds(folder, variables) for program, folder in folders.items()}
        for _ in range(ROUNDS)
    ]


if __name__ == "__main__":
    main()
