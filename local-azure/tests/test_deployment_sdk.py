"""The SDK loaded on demand is the SDK: each in a process of its own, since modules stay loaded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(code: str) -> str:
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            f"from local_azure import deployment\ndeployment.run\n{code}",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


NAMES = (
    "apimanagement.Backend",
    "apimanagement.BackendArgs",
    "apimanagement.BackendPoolItemArgs",
    "apimanagement.BackendPoolItemArgsDict",
    "apimanagement.BackendProtocol",
    "apimanagement.list_subscription_secrets_output",
    "apimanagement.get_api_management_service",
    "apimanagement.outputs.BackendPoolItemResponse",
    "pulumi_azure_native.Provider",
    "pulumi.automation.LocalWorkspace",
    "pulumi_azure_native.apimanagement.api.Api",
)


@pytest.fixture(scope="module")
def found() -> dict:
    """What one process finds: a class, all names, one that is not there, and who collects."""
    return json.loads(
        run(
            "import json, sys\n"
            "from pulumi_azure_native import apimanagement\n"
            "apimanagement.Backend, apimanagement.BackendPoolItemArgs\n"
            "package = 'pulumi_azure_native.apimanagement.'\n"
            "loaded = sum(name.startswith(package) for name in sys.modules)\n"
            "import pulumi, pulumi_azure_native, pulumi_azure_native.apimanagement.api\n"
            f"names = [found.__name__ for found in ({', '.join(NAMES)})]\n"
            "try:\n    apimanagement.Backnd\n"
            "except AttributeError as error:\n    missing = str(error)\n"
            "import gc\nfrom local_azure.deployment import sdk\n"
            "before = gc.isenabled()\n"
            "with sdk.unobserved():\n    inside = gc.isenabled()\n"
            "found = {'loaded': loaded, 'names': names, 'missing': missing}\n"
            "print(json.dumps(found | {'garbage': [before, inside, gc.isenabled()]}))"
        )
    )


def test_a_class_loads_no_more_than_its_own_submodules(found):
    assert found["loaded"] < 6


def test_every_name_is_found(found):
    assert found["names"] == [name.rsplit(".", 1)[-1] for name in NAMES]


def test_a_name_that_is_not_there_is_an_attribute_error(found):
    message = "module 'pulumi_azure_native.apimanagement' has no attribute 'Backnd'"
    assert found["missing"] == message


def test_all_that_a_module_exports_is_there():
    code = (
        "import pulumi_azure_native.authorization as module\n"
        "module.RoleAssignment\n"  # Pulumi's own lazy module has no names before the first
        "print(*sorted(name for name in dir(module) if name[0].isupper()))"
    )
    plain = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    star = "from pulumi_azure_native.authorization import *\n"
    starred = run(f"{code}\n{star}print(RoleAssignment.__name__, RoleAssignmentArgs.__name__)")
    assert starred == f"{plain}\nRoleAssignment RoleAssignmentArgs"


def test_garbage_is_collected_again_after_a_run(found):
    assert found["garbage"] == [True, False, True]


def test_the_program_declares_the_same_with_the_sdk_as_it_is(tmp_path):
    preview = (
        "import io, json\n"
        "from pathlib import Path\n"
        "out = io.StringIO()\n"
        "deployment.run('preview', project_dir=Path.cwd(), stack='dev', json=True,\n"
        f"    state_dir=Path({str(tmp_path)!r}), arm_endpoint=str, out=out)\n"
        "document = json.loads(out.getvalue())\n"
        "steps = sorted(document['steps'], key=lambda step: step['urn'])\n"
        "print(json.dumps([steps, document['diagnostics'], document['changeSummary']]))\n"
    )
    as_it_is = (
        "import sys, contextlib\n"
        "sys.meta_path[:] = [each for each in sys.meta_path if type(each).__name__ != '_Finder']\n"
        "for name in [name for name in sys.modules if name.startswith('pulumi_azure_native')]:\n"
        "    del sys.modules[name]\n"
        "deployment.sdk.unobserved = contextlib.nullcontext\n"
        "import pulumi_azure_native.apimanagement as module\n"
        "module.Backend\n"
        "assert 'pulumi_azure_native.apimanagement.user' in sys.modules\n"
    )
    assert run(preview) == run(as_it_is + preview)
