"""Run the unit tests on one changed program after another, each in a fork of this process.

Loading Pulumi's SDKs and collecting the tests takes longer than the tests do: both happen once.
A folder that holds a program a line on standard input; the exit code of its tests a line on
standard output, their report in the folder's out.txt.
"""

import gc
import inspect
import os
import sys
from pathlib import Path

import pytest
import recording

# Plain and without tracebacks: explaining a failure takes longer than finding it.
ANSWERS = os.dup(1)  # what pytest says meanwhile is no answer
ARGUMENTS = ["-s", "--tb=line", "--assert=plain", str(Path(__file__).with_name("test_program.py"))]
for plugin in ("randomly", "cacheprovider", "xdist", "hypothesispytest", "timeout"):
    ARGUMENTS += ["-p", f"no:{plugin}"]


class OnePerFolder:
    """Runs the collected tests in one fork per folder."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        # Those that need the plain dev stack alone first: they notice most changes.
        items.sort(key=lambda item: _stacks(item) != {"dev"})

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        recording.declare(recording.config_of("dev"))  # what the SDKs load and work out once
        for name in [name for name in sys.modules if name.partition(".")[0] == "components"]:
            del sys.modules[name]
        gc.freeze()  # a fork then shares these pages
        for line in sys.stdin:
            child = os.fork()
            if child == 0:
                code = 70
                try:
                    code = run(session, Path(line.strip()))
                finally:
                    sys.stdout.flush()
                    os._exit(code)
            _, status = os.waitpid(child, 0)
            os.write(ANSWERS, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        return True


def _stacks(item: pytest.Item) -> set[str]:
    """Return by what a test asks for stacks: each of these runs the program once more."""
    return {"dev", "custom", "declare"} & set(inspect.signature(item.function).parameters)


def run(session: pytest.Session, folder: Path) -> int:
    """The exit code of the tests of the folder's program; this is the child."""
    sys.path[:] = [entry for entry in sys.path if Path(entry) != recording.ROOT]
    os.chdir(folder)
    recording.ROOT = folder
    report = os.open("out.txt", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(report, 1)
    os.dup2(report, 2)
    for item in session.items:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        if session.testsfailed:
            return int(pytest.ExitCode.TESTS_FAILED)
    return int(pytest.ExitCode.OK)


if __name__ == "__main__":
    os.dup2(2, 1)
    sys.exit(pytest.main(ARGUMENTS, plugins=[OnePerFolder()]))
