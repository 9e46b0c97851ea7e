"""The product and the local Azure: two houses, of which neither is built on the other."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = ("components", "probes", "demo", "local-azure/src")
PRODUCT = (
    *("Pulumi.yaml", "__main__.py", "requirements.txt"),
    *("components", "policies", "probes", "tests/unit", "tests/probes"),
)
COLLECTED = """
import sys
sys.modules["local_azure"] = None  # whoever imports it fails
import pytest
code = pytest.main(["tests/unit", "tests/probes", "--collect-only", "-qq", "-p", "no:xdist"])
files = [str(getattr(module, "__file__", "")) for module in [*sys.modules.values()]]
sys.exit(code or [file for file in files if "/local-azure/" in file] or 0)
"""


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


def texts(*parts: str, kinds: str = "*") -> dict[Path, str]:
    """Return what stands in some files and in those of some folders."""
    paths = [ROOT / part for part in parts]
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob(kinds))]
    others = {"__pycache__", "node_modules", ".venv"}  # `package add` makes one in components
    ours = [file for file in files if file.is_file() and not others & {*file.parts}]
    return {file: file.read_text(encoding="utf-8") for file in ours}


def test_the_product_does_not_name_the_local_azure():
    product = texts(*PRODUCT)
    assert len(product) > 50
    assert [
        file for file, text in product.items() if re.search("local.azure", text, re.IGNORECASE)
    ] == []


def test_the_local_azure_and_its_tests_import_nothing_of_the_product():
    parts = [f"local-azure/{name}" for name in ("src", "tests", "benchmarks", "docs", "examples")]
    tool = texts(*parts, kinds="*.py")
    assert len(tool) > 50
    ours = re.compile(r"^ *(?:from|import) (?:components|probes|demo|policies)\b", re.MULTILINE)
    assert [file for file, text in tool.items() if ours.search(text)] == []


def test_the_imports_are_drawn_as_they_are():
    drawn = run(sys.executable, "-c", "from docs import imports; print(imports.graph())")
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    edges = re.findall(r"^  (\S+) --> (\S+)$", drawn.stdout, re.MULTILINE)
    assert len(edges) > 30
    ours = ("components", "probes")
    assert [
        edge for edge in edges if edge[0].startswith(ours) and not edge[1].startswith(ours)
    ] == []


def test_no_two_test_files_share_a_name():
    """They are no packages: `make test` collects both houses, and a module has one name."""
    names = [file.name for file in texts("tests", "local-azure/tests", kinds="*.py")]
    assert [name for name, count in Counter(names).items() if count > 1] == ["conftest.py"]


def test_the_products_own_tests_are_collected_without_the_local_azure():
    done = run(sys.executable, "-c", COLLECTED)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("houses")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for path in CODE:
        ignored = shutil.ignore_patterns("__pycache__", ".venv")
        shutil.copytree(ROOT / path, folder / path, ignore=ignored)
    return folder


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        (None, "", None),
        ("components/traffic.py", "import local_azure.local", "The product does not know"),
        ("local-azure/src/local_azure/local.py", "import probes.files", "The local Azure does not"),
    ],
)
def test_an_import_in_either_direction_breaks_the_contract(copy, monkeypatch, file, line, broken):
    monkeypatch.setenv("PYTHONPATH", str(copy / "local-azure" / "src"))
    if file:
        path = copy / file
        before = path.read_text(encoding="utf-8")
        path.write_text(f"{before}\n{line}\n", encoding="utf-8")
    done = run(str(Path(sys.executable).with_name("lint-imports")), "--no-cache", cwd=copy)
    if file:
        path.write_text(before, encoding="utf-8")
    assert done.returncode == (1 if broken else 0), done.stdout + done.stderr
    assert f"{broken}" in done.stdout or not broken
