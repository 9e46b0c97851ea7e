"""The types of a Python program's arguments: what the components take, and nothing else."""

import ast
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from pydantic.alias_generators import to_camel, to_snake

import components
from components import args, package
from components.settings import PoolSettings, arguments
from docs import package as programs
from docs import reference

# Of Azure's resources the arguments name none: without their types, mypy is done in seconds.
CONFIG = """
[mypy]
strict = True
[mypy-components.*]
follow_imports = silent
[mypy-pulumi_azure_native.*,pulumi_random.*]
follow_imports = skip
"""
TAKEN = """
import pulumi
from components import BackendPool, LoadBalancedOpenAI, MemberArgs, Monitoring, RegionArgs

later: pulumi.Output[str] = pulumi.Output.from_input("made known by a deployment")
LoadBalancedOpenAI(
    "ai",
    {"regions": [{"name": "a", "location": "uksouth"}, {"name": "b", "location": "norwayeast"}]},
)
regions: list[RegionArgs] = [{"name": name, "location": "uksouth"} for name in ("a", "b")]
LoadBalancedOpenAI(
    "more",
    {
        "regions": regions,
        "protect": {"except": ["a", "gateway"]},
        "breaker": None,
        "network": {"endpoint_subnet": later},
        "tags": {"team": "search", "by": later},
        "monitoring": {"alert_emails": ["team@example.com"], "webhook": later},
    },
)
LoadBalancedOpenAI("open", {"regions": regions, "protect": False, "network": "public"})
members: list[MemberArgs] = [{"name": "a", "location": "uksouth", "url": later}]
pool = BackendPool(
    "pool",
    {"regions": members, "service": {"resource_group": later, "service_name": "gateway"}},
)
Monitoring(
    "watch",
    {
        "regions": members,
        "service": {"resource_group": "rg", "service_name": "gateway", "id": later},
        "location": "uksouth",
    },
)
pool_id: pulumi.Output[str] = pool.outputs.pool_id
"""
REFUSED = """
import pulumi
from components import LoadBalancedOpenAi  # refused
from components import BackendPoolArgs, LoadBalancedOpenAIArgs, RegionArgs

later: pulumi.Output[str] = pulumi.Output.from_input("made known by a deployment")
one: RegionArgs = {"name": "a", "location": "uksouth", "wieght": 2}  # refused
two: RegionArgs = {"name": later, "location": "uksouth"}  # refused
three: RegionArgs = {"name": "a"}  # refused
LoadBalancedOpenAIArgs(regions=[one], acceptStarved=["a"])  # refused
LoadBalancedOpenAIArgs(regions=[one], network="private")  # refused
LoadBalancedOpenAIArgs(regions=[one], protect={"exept": ["a"]})  # refused
LoadBalancedOpenAIArgs(regions=[one], retries=None)  # refused
BackendPoolArgs(regions=[one], service={"resource_group": "rg", "service_name": "g"})  # refused
"""
CALLS = """
from components import LoadBalancedOpenAI

LoadBalancedOpenAI("ai", {"regions": [{"name": "a", "locaton": "uksouth"}]})  # refused
LoadBalancedOpenAI("ai", {"regions": [], "rooting": "weighted"})  # refused
"""


PROGRAMS = {"taken": TAKEN, "refused": REFUSED, "calls": CALLS}


@pytest.fixture(scope="module")
def mistakes(tmp_path_factory):
    """The lines in which mypy finds mistakes, by program."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "mypy.ini").write_text(CONFIG)
    files = [folder / f"{name}.py" for name in PROGRAMS]
    for file, program in zip(files, PROGRAMS.values(), strict=True):
        file.write_text(program)
    command = ["-m", "mypy", "--config-file", folder / "mypy.ini", "--cache-dir", folder / "cache"]
    done = subprocess.run(
        [sys.executable, *command, "--no-error-summary", *files],
        cwd=reference.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    found = {name: set() for name in PROGRAMS}
    for file, line in re.findall(r"^(.+?):(\d+): error:", done.stdout, re.MULTILINE):
        found[Path(file).stem].add(int(line))
    return found


@pytest.mark.thorough  # mypy reads the SDKs
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_type_checker_refuses_what_the_components_do(mistakes, name):
    lines = enumerate(PROGRAMS[name].splitlines(), 1)
    assert mistakes[name] == {number for number, line in lines if line.endswith("# refused")}


def test_the_types_are_the_ones_that_the_settings_declare():
    path = reference.ARGUMENTS
    assert path.read_text(encoding="utf-8") == programs.arguments(), "`make docs` writes it"


@pytest.mark.parametrize("component", package.COMPONENTS, ids=lambda each: each.__name__)
def test_every_key_is_typed_and_required_as_the_settings_have_it(component):
    model, _ = package.COMPONENTS[component]
    found = getattr(args, f"{component.__name__}Args")
    keys = {to_snake(field.alias): field for field in model.model_fields.values()}
    assert set(found.__annotations__) == set(keys)
    assert found.__required_keys__ == {name for name, key in keys.items() if key.is_required()}
    assert component.__init__.__annotations__["args"] == model | found


def test_every_name_comes_back_from_snake_case():
    for kind in vars(args).values():
        if typing.is_typeddict(kind):
            for name in kind.__annotations__:
                assert to_snake(to_camel(name)) == name


def test_every_class_and_key_says_what_it_means():
    tree = ast.parse(reference.ARGUMENTS.read_text(encoding="utf-8"))
    classes = [each for each in tree.body if isinstance(each, ast.ClassDef)]
    assert len(classes) > 15
    for each in classes:
        assert ast.get_docstring(each).endswith(".")
        for key, text in zip(each.body[1::2], each.body[2::2], strict=True):
            assert isinstance(key, ast.AnnAssign)
            assert text.value.value.endswith("."), key.target.id


def test_what_is_typed_is_taken_in_snake_case():
    region = {"location": "uksouth", "url": "https://a.openai.azure.com/openai"}
    given = {
        "regions": [{"name": "a", **region}, {"name": "b", **region, "location": "norwayeast"}],
        "service": {"resource_group": "rg", "service_name": "gateway"},
        "breaker": {"trip_duration": "PT20S"},
        "pool_name": "of-two",
    }
    read = arguments(PoolSettings, given)
    assert (read.breaker.trip_duration, read.pool_name) == ("PT20S", "of-two")


def test_a_program_imports_the_components_and_their_arguments():
    classes = {name for name, each in vars(args).items() if typing.is_typeddict(each)}
    exported = {*(name for name in classes if name.endswith("Args")), "SettingsError"}
    exported |= {each.__name__ for each in package.COMPONENTS}
    assert set(components.__all__) == exported
    assert [
        each for each in components.__all__ if not isinstance(getattr(components, each), type)
    ] == []
    assert components.LoadBalancedOpenAI in package.COMPONENTS
    assert issubclass(components.SettingsError, Exception)
    assert set(components.__all__) <= set(dir(components))
    with pytest.raises(AttributeError, match="no attribute 'LoadBalancedOpenAi'"):
        _ = components.LoadBalancedOpenAi


def test_a_program_that_imports_none_of_them_loads_neither_pulumi_nor_pydantic():
    loaded = "{*sys.modules} & {'pulumi', 'pydantic', 'components.args'}"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, components.contract; print({loaded})"],
        cwd=reference.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "set()\n"
