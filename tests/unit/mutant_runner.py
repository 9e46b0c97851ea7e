"""Run the unit tests of one folder after another, each in a fork of this process.

Importing Pulumi's SDKs takes longer than the tests do, so they are imported once. A folder a line
on standard input; the exit code of its tests a line on standard output, their report in out.txt.
"""

import gc
import os
import sys
from pathlib import Path

import pulumi_random
import pytest
import yaml  # noqa: F401
from pulumi.runtime import mocks  # noqa: F401
from pulumi_azure_native import (
    apimanagement,
    authorization,
    cognitiveservices,
    resources,
)

# A module of azure-native loads when a name is first taken from it.
LOADED = (
    apimanagement.Backend,
    authorization.RoleAssignment,
    cognitiveservices.Account,
    resources.ResourceGroup,
    pulumi_random.RandomString,
)

# Plain and without tracebacks: explaining a failure takes longer than finding it.
ARGUMENTS = ["-x", "--tb=line", "--assert=plain", "tests/unit/test_program.py"]
for plugin in ("randomly", "cacheprovider", "xdist", "hypothesispytest", "timeout"):
    ARGUMENTS += ["-p", f"no:{plugin}"]


class CheapestFirst:
    """Runs the tests that need the plain dev stack first: they notice most changes."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: "dev" not in item.fixturenames or "custom" in item.fixturenames)


def run(folder: Path) -> int:
    """The exit code of the folder's tests; this is the child, which never returns."""
    os.chdir(folder)
    report = os.open("out.txt", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(report, 1)
    os.dup2(report, 2)
    return int(pytest.main(ARGUMENTS, plugins=[CheapestFirst()]))


def main() -> None:
    sys.path.pop(0)  # the tests of the folder, not those beside this file
    gc.freeze()  # a fork then shares these pages
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = run(Path(line.strip()))
            finally:
                sys.stdout.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
