"""How long the examples, which use the package, take by the Pulumi CLI, beside this program.

Whole commands against one local Azure, run in turn so that a machine whose speed drifts slows all
alike; a ratio is the median of the rounds' ratios. The package runs in a process of its own, which
imports the SDKs, beside the program's own. That of TypeScript is left out where npm is not on PATH.
"""

import os
import shutil
import site
import statistics
import sys
import tempfile
import time
import venv
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)

import demo  # noqa: E402
from benchmarks import engine  # noqa: E402
from local_azure import server  # noqa: E402
from local_azure.environment import pulumi_variables  # noqa: E402

ROUNDS = 3
OWN = "this program"
COMMANDS = {
    "preview": "preview",
    "up": "up --yes --skip-preview",
    "up, unchanged": "up --yes --skip-preview",
    "destroy": "destroy --yes --skip-preview --ignore-protect",
}


def checkout(folder: Path) -> None:
    """Copy the package, with an environment that borrows what is installed here."""
    ignored = shutil.ignore_patterns(".venv", "__pycache__")
    shutil.copytree(ROOT / "components", folder, ignore=ignored)
    venv.create(folder / ".venv", with_pip=True)
    (packages,) = (folder / ".venv").glob("lib/python*/site-packages")
    here = [each for each in site.getsitepackages() if Path(each).is_dir()]
    (packages / "borrowed.pth").write_text("\n".join(here), encoding="utf-8")


def python_first(path: str) -> str:
    """Return a PATH by which the CLI makes environments of the Python that runs this."""
    return f"{sys.base_prefix}/bin{os.pathsep}{path}"


def provide_plugins(home: Path) -> None:
    """Have the CLI take the resource providers for installed: it is attached to others."""
    for name in ("azure-native", "random"):
        plugin = home / "plugins" / f"resource-{name}-v{version(f'pulumi-{name}')}"
        plugin.mkdir(parents=True, exist_ok=True)


def run(command: str, folder: Path, variables: Mapping[str, str]) -> float:
    """Run a command of the CLI; return its seconds, or end with what it prints where it fails."""
    began = time.perf_counter()
    engine.run(f"pulumi {command}", folder, variables)
    return time.perf_counter() - began


def main() -> None:
    """Print the times, and the ratios to this program's."""
    if shutil.which("pulumi") is None:
        print("the package by the Pulumi CLI: not measured, the CLI is not on PATH")
        return
    languages = ["yaml", "python", *(["typescript"] if shutil.which("npm") else [])]
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        options = server.Options(port=0, providers=True, provisioning_seconds=0)
        with server.running(state, options) as endpoint:
            variables = {
                **pulumi_variables(state),
                "ARM_ENDPOINT": endpoint,
                "PULUMI_HOME": str(state / "home"),
                "PATH": python_first(os.environ["PATH"]),
            }
            provide_plugins(state / "home")
            checkout(state / "components")
            folders = {OWN: state / "project"}
            demo.copy_program(ROOT, folders[OWN])
            for language in languages:
                folders[language] = state / "examples" / language
                shutil.copytree(ROOT / "examples" / language, folders[language])
                run("install", folders[language], variables)
            for folder in folders.values():
                run("stack init dev", folder, variables)
            for folder in folders.values():  # fills the caches of bytecode
                run("preview", folder, variables)
            rounds = [
                {
                    program: {
                        title: run(f"{command} --stack dev", folder, variables)
                        for title, command in COMMANDS.items()
                    }
                    for program, folder in folders.items()
                }
                for _ in range(ROUNDS)
            ]
    print(
        f"the examples by the Pulumi CLI, {ROUNDS} rounds, medians: seconds, ratio to this program"
    )
    print(f"  {'':<13}{''.join(f'{title:>18}' for title in COMMANDS)}")
    for program in folders:
        cells = []
        for title in COMMANDS:
            wall = statistics.median(each[program][title] for each in rounds)
            ratio = statistics.median(each[program][title] / each[OWN][title] for each in rounds)
            cells.append(f"{wall:.2f}" + ("" if program == OWN else f" ({ratio:.2f})"))
        print(f"  {program:<13}{''.join(f'{cell:>18}' for cell in cells)}")


if __name__ == "__main__":
    main()
