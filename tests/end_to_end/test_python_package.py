"""The distribution for programs in Python: what is in it, and that it works where it is alone."""

import email
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import grpc
import pytest
import recording
from packaging.requirements import Requirement
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

import components
from docs import reference

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
NAME = "azure_openai_gateway"
BUILD = "import sys; from setuptools import build_meta as b; b.build_{}(sys.argv[1])"
PROGRAM = """
import pulumi
from {package} import LoadBalancedOpenAI

ai = LoadBalancedOpenAI(
    "ai",
    {{
        "regions": [
            {{"name": "foundry1", "location": "uksouth"}},
            {{"name": "foundry2", "location": "norwayeast"}},
        ],
        "monitoring": {{"alert_emails": ["team@example.com"]}},
    }},
)
pulumi.export("gateway", ai.stack_outputs)
"""
DECLARE = """
import importlib.util, json, recording
from pathlib import Path

assert importlib.util.find_spec("components") is None
declared = recording.declare({}, Path.cwd()).resources
print(json.dumps([[each.urn, each.inputs] for each in declared]))
"""
MYPY = """
[mypy]
strict = True
[mypy-pulumi_azure_native.*,pulumi_random.*]
follow_imports = skip
"""


def run(*command: object, cwd: Path, **environment: str) -> str:
    """Run a command without what this process was told of paths; return what it wrote."""
    known = ("PATH", "HOME", "LANG", "SSL_CERT_FILE")
    done = subprocess.run(
        [str(each) for each in command],
        cwd=cwd,
        env={**{key: os.environ[key] for key in known if key in os.environ}, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(what: str, source: Path, target: Path) -> Path:
    code = BUILD.format(what)
    path = os.environ.get("PYTHONPATH", "")
    run(sys.executable, "-c", code, target, cwd=source, PYTHONPATH=path)
    (built,) = target.glob("*.whl" if what == "wheel" else "*.tar.gz")
    return built


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as files:
        return set(files.namelist())


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A copy of the repository, as building writes into it."""
    others = shutil.ignore_patterns(".*", "__pycache__", "node_modules", "build", "*.egg-info")
    folder = tmp_path_factory.mktemp("source") / "repository"
    return shutil.copytree(ROOT, folder, ignore=others)


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory) -> Path:
    return build("wheel", source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(source, tmp_path_factory) -> Path:
    return build("sdist", source, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """Python of an environment with the wheel alone; what it needs is found where it is here."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    python = folder / "bin" / "python"
    install = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    pip = [sys.executable, "-m", "pip", "--python", python, "install"]
    run(*pip, *install, wheel, cwd=folder)
    where = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    path = Path(where.strip()) / "needed.pth"
    path.write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.fixture
def empty(tmp_path) -> Path:
    """A folder that holds nothing but what records a program's resources."""
    return Path(shutil.copy(recording.__file__, tmp_path)).parent


def test_the_wheel_holds_the_components_and_nothing_else(wheel):
    found = [each.relative_to(ROOT / "components") for each in (ROOT / "components").rglob("*.*")]
    files = [each for each in found if each.parts[0] != ".venv"]  # `package add` makes one there
    kinds = (".py", ".typed", ".xml", ".kql")
    expected = {f"{NAME}/{each.as_posix()}" for each in files if each.suffix in kinds}
    about = f"{NAME}-{components.__version__}.dist-info"
    of_it = ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE", "top_level.txt")
    assert wheel.name == f"{NAME}-{components.__version__}-py3-none-any.whl"
    assert names(wheel) == expected | {f"{about}/{each}" for each in of_it}
    assert {"py.typed", "policies/inference.xml", "queries/starved.kql"} <= {
        each.partition("/")[2] for each in expected
    }


def test_the_source_distribution_holds_what_the_wheel_is_built_from(sdist, wheel, tmp_path):
    with tarfile.open(sdist) as files:
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # not before 3.11.4
        files.extractall(tmp_path, **safe)
    (folder,) = tmp_path.iterdir()
    assert {each.name for each in folder.iterdir()} == {
        *("components", "pyproject.toml", "README.md", "LICENSE"),
        *("PKG-INFO", "setup.cfg", f"{NAME}.egg-info"),
    }
    (tmp_path / "again").mkdir()
    assert names(build("wheel", folder, tmp_path / "again")) == names(wheel)


def test_its_metadata_is_the_projects(wheel):
    with zipfile.ZipFile(wheel) as files:
        (name,) = [each for each in files.namelist() if each.endswith("/METADATA")]
        found = email.message_from_bytes(files.read(name))
    lines = (ROOT / "components" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    needed = {Requirement(line.partition("#")[0]) for line in lines if not line.startswith("#")}
    assert {Requirement(each) for each in found.get_all("Requires-Dist")} == needed
    assert found["Version"] == components.__version__
    assert (found["License-Expression"], found["License-File"]) == ("MIT", "LICENSE")
    assert found["Requires-Python"] == ">=3.11"
    assert found["Summary"]
    assert found.get_payload().startswith("# ")


def test_a_program_in_an_empty_folder_declares_what_it_does_here(python, empty, tmp_path_factory):
    (empty / "__main__.py").write_text(PROGRAM.format(package=NAME))
    (empty / "declare.py").write_text(DECLARE)
    declared = json.loads(run(python, "-W", "error", "declare.py", cwd=empty))
    here = tmp_path_factory.mktemp("here")
    (here / "__main__.py").write_text(PROGRAM.format(package="components"))
    expected = [[each.urn, each.inputs] for each in recording.declare({}, here).resources]
    assert len(expected) > 30
    assert sorted(declared, key=str) == sorted(json.loads(json.dumps(expected)), key=str)
    read = {"apimanagement:ApiPolicy", "monitor:ScheduledQueryRule", "applicationinsights:Workbook"}
    assert {kind for kind in read if f"azure-native:{kind}" in str(declared)} == read


def test_a_type_checker_reads_the_installed_types(python, empty):
    (empty / "mypy.ini").write_text(MYPY)
    right, wrong = empty / "right.py", empty / "wrong.py"
    right.write_text(PROGRAM.format(package=NAME))
    wrong.write_text(PROGRAM.format(package=NAME).replace('"location"', '"place"', 1))
    command = [sys.executable, "-m", "mypy", "--python-executable", python]
    assert run(*command, right, cwd=empty).startswith("Success")
    with pytest.raises(AssertionError, match=r"wrong.py:\d+: error: .*LoadBalancedOpenAIArgs"):
        run(*command, wrong, cwd=empty)


@pytest.mark.parametrize("is_installed", [True, False])
def test_the_engine_gets_the_schema_from_the_package(python, empty, is_installed):
    command = [python, "-m", NAME] if is_installed else [sys.executable, ROOT / "components"]
    with subprocess.Popen(
        [*command, "127.0.0.1:9"], cwd=empty, stdout=subprocess.PIPE, text=True
    ) as plugin:
        try:
            port = int(plugin.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub = provider_pb2_grpc.ResourceProviderStub(channel)
                schema = stub.GetSchema(provider_pb2.GetSchemaRequest(), timeout=60).schema
        finally:
            plugin.kill()
    assert json.loads(schema) == json.loads(reference.PACKAGE.read_text(encoding="utf-8"))
