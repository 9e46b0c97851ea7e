"""How long the embedded preview of the dev stack takes, beside importing what it needs alone.

That is Pulumi, azure-native and what of pydantic declares models. Goal: at most twice the imports.
Both are whole processes, interpreter start included, run in turn so that a machine whose speed
drifts slows both; the ratio is the median of the pairs' ratios.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAIRS = 9
IMPORT = [
    sys.executable,
    "-c",
    "import pulumi, pulumi_azure_native; from pydantic import BaseModel, Field",
]
PREVIEW = [sys.executable, "-m", "local_azure", "preview", "--stack", "dev"]


def seconds(command: list[str], state: str) -> float:
    """Wall time of one run of a command."""
    began = time.perf_counter()
    subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "LOCAL_AZURE_STATE": state},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - began


def main() -> None:
    """Print both times and their ratio."""
    with tempfile.TemporaryDirectory() as state:
        seconds(IMPORT, state)
        seconds(PREVIEW, state)
        pairs = [(seconds(PREVIEW, state), seconds(IMPORT, state)) for _ in range(PAIRS)]
    ratio = statistics.median(preview / imports for preview, imports in pairs)
    print(f"embedded preview of the dev stack, {PAIRS} pairs of whole processes, medians:")
    print(
        f"  preview                                 {statistics.median(p for p, _ in pairs):.2f} s"
    )
    print(
        f"  import pulumi, azure-native, pydantic   {statistics.median(i for _, i in pairs):.2f} s"
    )
    print(f"  ratio                                   {ratio:.2f}  (goal: at most 2)")


if __name__ == "__main__":
    main()
