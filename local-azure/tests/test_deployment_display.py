import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fake_arm import FakeArm, serving
from stack_project import SERVICE, StackProject

from local_azure import deployment
from local_azure.deployment import display
from local_azure.deployment.display import LiveProgress
from local_azure.deployment.journal import Journal, Step
from local_azure.deployment.state import ROOT_TYPE, ResourceState
from local_azure.deployment.values import UNKNOWN

ROOT = Path(__file__).parents[2]


@pytest.fixture
def arm():
    with serving(FakeArm()) as arm:
        yield arm


@pytest.fixture
def project(tmp_path, arm):
    project = StackProject(tmp_path, arm.url)
    project.config(names=["foundry1"])
    return project


def settled(text: str) -> str:
    """The text without what depends on how fast the machine is."""
    return re.sub(r"\d+(\.\d)?s\b", "Ns", text)


def test_a_preview_looks_as_a_pulumi_user_knows_it(project):
    assert (
        settled(project.run("preview").text)
        == """\
Previewing update (dev):
     Type                                                Name         Plan
 +   pulumi:pulumi:Stack                                 gateway-dev  create
 +   ├─ azure-native:resources:ResourceGroup             rg           create
 +   ├─ azure-native:apimanagement:ApiManagementService  apim         create
 +   ├─ azure-native:apimanagement:Backend               foundry1     create
 +   └─ azure-native:apimanagement:Backend               pool         create

Outputs:
  + gateway: [unknown]
  + pool   : [unknown]

Resources:
    + 5 to create

Duration: Ns
"""
    )


def test_an_update_shows_what_changes_and_what_it_is_part_of(project):
    project.up()
    project.config(names=["foundry1"], weight=3)
    assert (
        settled(project.up().text)
        == f"""\
Updating (dev):
     Type                                   Name         Status
 =   pulumi:pulumi:Stack                    gateway-dev
 ~   └─ azure-native:apimanagement:Backend  pool         updated (Ns)
            ~ pool.services[0].weight: 1 => 3

Outputs:
    gateway: "https://apim.azure-api.net"
    pool   : "{SERVICE}/backends/pool"

Resources:
    ~ 1 updated
    4 unchanged

Duration: Ns
"""
    )


def test_what_is_unchanged_is_shown_on_request(project):
    project.up()
    assert " =   ├─ azure-native:resources" not in project.run("preview").text
    text = project.run("preview", show_sames=True).text
    assert " =   ├─ azure-native:resources:ResourceGroup             rg\n" in text


def test_a_destruction_looks_as_a_pulumi_user_knows_it(project):
    project.up()
    text = settled(project.run("destroy").text)
    assert text.startswith("Destroying (dev):\n")
    assert (
        " -   └─ azure-native:resources:ResourceGroup             rg           deleted (Ns)\n"
        "\n"
        "Resources:\n"
        "    - 5 deleted\n"
    ) in text
    assert "Outputs" not in text


def test_changed_outputs_are_marked(tmp_path):
    project = StackProject(tmp_path, endpoint="")
    program = "import pulumi\nfor name, value in {}.items(): pulumi.export(name, value)"
    project.program(program.replace("{}", "{'a': 1, 'b': [{'c': 'd'}], 'gone': True}"))
    project.up()
    project.program(program.replace("{}", "{'a': 2, 'b': [{'c': 'e'}], 'new': {}}"))
    outputs = project.run("preview").text.split("Outputs:\n")[1].split("\nResources")[0]
    assert outputs == (
        "  ~ a   : 1 => 2\n"
        "  ~ b   : [\n"
        "        [0]: {\n"
        '            c: "e"\n'
        "        }\n"
        "    ]\n"
        "  - gone: true\n"
        "  + new : {}\n"
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        (100, "├─ azure-native:apimanagement:ApiManagementService  apim         created (Ns)"),
        (62, "├─ ApiManagementService  apim         created (Ns)"),
        (50, "├─ ApiManagementService  apim         created"),
    ],
)
def test_the_table_leaves_out_what_a_narrow_terminal_has_no_room_for(
    project, monkeypatch, columns, row
):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    text = display.Text(out)
    journal = Journal()
    root = ResourceState(urn="u::pulumi:pulumi:Stack::gateway-dev", type=ROOT_TYPE, custom=False)
    journal.add(Step(op="create", urn=root.urn, new=root))
    for name, kind in (("apim", "apimanagement:ApiManagementService"), ("rg", "r:ResourceGroup")):
        state = ResourceState(
            urn=f"u::{kind}::{name}", type=f"azure-native:{kind}", custom=True, parent=root.urn
        )
        journal.add(Step(op="create", urn=state.urn, new=state, seconds=1))
    text.summary(display.Run(operation="up", stack="dev", journal=journal, config={}))
    table = settled(out.getvalue()).split("\n\n")[0].splitlines()
    assert table[2] == f" +   {row}"
    assert max(map(len, table)) <= columns


def test_a_change_of_text_shows_the_lines_that_change(project):
    program = (project.folder / "__main__.py").read_text()
    project.program(program.replace('type="Pool",', r'type="Pool", title="a\nb\nc",'))
    project.up()
    project.program(program.replace('type="Pool",', r'type="Pool", title="a\nB\nc",'))
    shown = [line.strip() for line in project.up().text.splitlines()]
    start = shown.index("~ title:")
    assert shown[start + 1 : start + 4] == ["- b", "+ B", ""]


def test_a_long_value_is_cut(project):
    project.program(
        (project.folder / "__main__.py")
        .read_text()
        .replace('type="Pool",', 'type="Pool", title="t" * 500,')
    )
    project.up()
    text = (project.folder / "__main__.py").read_text()
    project.program(text.replace('"t" * 500', '"u" * 500'))
    line = next(line for line in project.up().text.splitlines() if "title" in line)
    assert (
        line.strip() == f'~ title: "{"t" * 69}… (502 characters) => "{"u" * 69}… (502 characters)'
    )


# The preview's JSON has the shape that the Pulumi CLI's has: the keys that its samples show.
STEP_KEYS = {"op", "urn", "provider", "oldState", "newState", "diffReasons", "detailedDiff"}
STATE_KEYS = {
    "urn", "custom", "id", "type", "inputs", "outputs", "parent", "dependencies", "provider",
    "propertyDependencies",
}  # fmt: skip


def test_the_json_of_a_new_stack_has_the_clis_shape(tmp_path):
    project = StackProject(tmp_path, endpoint="")
    document = project.preview()
    assert list(document) == ["steps", "diagnostics", "duration", "changeSummary"]
    root, group, *_, pool = document["steps"]
    stack_urn = "urn:pulumi:dev::gateway::pulumi:pulumi:Stack::gateway-dev"
    assert root == {
        "op": "create",
        "urn": stack_urn,
        "newState": {"urn": stack_urn, "custom": False, "type": "pulumi:pulumi:Stack"},
        "detailedDiff": None,
    }
    provider = "urn:pulumi:dev::gateway::pulumi:providers:azure-native::default_3_29_0::" + UNKNOWN
    group_urn = "urn:pulumi:dev::gateway::azure-native:resources:ResourceGroup::rg"
    provider = re.sub(r"default_[\d_]+", re.search(r"default_[\d_]+", str(group))[0], provider)
    assert group == {
        "op": "create",
        "urn": group_urn,
        "provider": provider,
        "newState": {
            "urn": group_urn,
            "custom": True,
            "type": "azure-native:resources:ResourceGroup",
            "inputs": {"location": "uksouth", "resourceGroupName": "rg"},
            "parent": stack_urn,
            "provider": provider,
            "propertyDependencies": {"location": [], "resourceGroupName": []},
        },
        "detailedDiff": None,
    }
    member = {"id": UNKNOWN, "priority": 1, "weight": 1}
    assert pool["newState"]["inputs"]["pool"] == {"services": [member, member]}
    assert group_urn in pool["newState"]["dependencies"]
    assert pool["newState"]["propertyDependencies"]["pool"] == [
        f"urn:pulumi:dev::gateway::azure-native:apimanagement:Backend::foundry{n}" for n in (1, 2)
    ]
    assert document["diagnostics"] == []
    assert isinstance(document["duration"], int)


def test_the_json_of_a_deployed_stack_has_the_clis_shape(project):
    project.up()
    project.config(names=["foundry1"], weight=3)
    short = project.run("preview", json=True).json
    long = project.preview()
    assert list(short) == ["config", "steps", "diagnostics", "duration", "changeSummary"]
    assert short["config"] == {"gateway:names": '["foundry1"]', "gateway:weight": "3"}
    assert [step["op"] for step in short["steps"]] == ["same", "update"]
    assert short["changeSummary"] == long["changeSummary"] == {"same": 4, "update": 1}
    assert len(long["steps"]) == 5
    for step in long["steps"]:
        assert set(step) <= STEP_KEYS
        for state in (step["oldState"], step["newState"]):
            assert set(state) <= STATE_KEYS
        assert not {"id", "outputs"} & set(step["newState"])
    root, update = short["steps"]
    assert root["oldState"]["outputs"]["gateway"] == "https://apim.azure-api.net"
    assert update["oldState"]["id"] == f"{SERVICE}/backends/pool"
    assert update["oldState"]["inputs"]["pool"]["services"][0]["weight"] == 1
    assert update["newState"]["inputs"]["pool"]["services"][0]["weight"] == 3


def test_a_failed_preview_prints_its_json_too(tmp_path):
    project = StackProject(tmp_path, endpoint="")
    project.program("import pulumi\nraise pulumi.RunError('no')")
    result = project.run("preview", json=True)
    assert result.code == 1
    assert result.json["diagnostics"] == [{"message": "error: no\n", "severity": "error"}]


def test_an_error_before_the_program_is_one_line_on_standard_error(tmp_path, capsys):
    out = io.StringIO()
    code = deployment.run(
        "preview",
        project_dir=tmp_path,
        stack="dev",
        state_dir=tmp_path,
        arm_endpoint=str,
        out=out,
    )
    assert code == 1
    assert out.getvalue() == ""
    assert capsys.readouterr().err == (
        f"error: no Pulumi.yaml in {tmp_path}: run this in the project's folder\n"
    )


def test_a_terminal_gets_colours_and_live_progress(project, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    out = Terminal()
    deployment.run(
        "up",
        project_dir=project.folder,
        stack="dev",
        state_dir=project.state,
        arm_endpoint=project.arm_endpoint,
        out=out,
    )
    text = out.getvalue()
    assert "\x1b[32m +   ├─ azure-native:resources:ResourceGroup" in text
    assert "azure-native:apimanagement:Backend pool  created" in text  # the progress's own line


def test_a_failure_shows_while_it_runs():
    out = Terminal()
    state = ResourceState(urn="u", type="t", custom=True)
    with LiveProgress(out) as progress:
        progress.began(Step(op="create", urn="u", new=state))
        progress.ended(Step(op="create", urn="u", new=state, failed=True))
    assert "create failed" in out.getvalue()


def test_a_preview_loads_neither_server_nor_http_client_nor_rich(tmp_path):
    project = StackProject(tmp_path, endpoint="")
    code = f"""
import sys
from pathlib import Path
from local_azure import deployment
code = deployment.run("preview", project_dir=Path({str(project.folder)!r}), stack="dev",
    state_dir=Path({str(tmp_path)!r}), arm_endpoint=lambda: 1 / 0, json=True)
print(code, sorted({{"aiohttp", "httpx", "rich", "pulumi.automation._stack"}} & set(sys.modules)),
      file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr == "0 []\n"
    assert json.loads(done.stdout)["changeSummary"] == {"create": 6}
