"""Which stack is judged: one that is named, or the one there is; and never one on another Azure."""

import json
import os
import sys
from pathlib import Path

import pytest
from fake_gateway import KEY

from probes import distribution

ROOT = Path(__file__).parents[2]
CLI = """#!{python}
import json, os, sys
said = json.loads(open({state!r}).read())
assert os.getcwd() == said["folder"], os.getcwd()
assert sys.argv[-1] == "--non-interactive", sys.argv
asked = [each for each in sys.argv[1:-1] if not each.startswith("--stack=")]
named = [each.partition("=")[2] for each in sys.argv if each.startswith("--stack=")]
stack = named[0] if named else os.environ.get("PULUMI_STACK") or said["selected"]
if said["failure"]:
    sys.exit(said["failure"])
if stack not in said["stacks"]:
    sys.exit(f"error: no stack named '{{stack}}' found" if named else
        "error: no stack selected; please use `pulumi stack select` to choose one")
if asked == ["stack", "--show-name"]:
    print(stack)
else:
    assert asked == ["stack", "output", "--json", "--show-secrets"], sys.argv
    print(json.dumps(said["stacks"][stack]))
"""


class Pulumi:
    """A Pulumi CLI on PATH: its stacks, which one is selected, and how it fails."""

    def __init__(self, folder, gateway):
        self._state = folder / "state.json"
        self.stacks = {"dev": gateway.outputs()}
        self.is_told()
        program = folder / "pulumi"
        text = CLI.format(python=sys.executable, state=str(self._state))
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)

    def is_told(self, *, selected="", failure="", folder=ROOT):
        """It insists on being run in `folder`."""
        state = {"stacks": self.stacks, "selected": selected, "failure": failure}
        state["folder"] = str(folder)
        self._state.write_text(json.dumps(state), encoding="utf-8")


@pytest.fixture
def pulumi(gateway, tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return Pulumi(folder, gateway)


@pytest.fixture
def no_pulumi(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")


@pytest.fixture
def kept(gateway, tmp_path, monkeypatch):
    """The file that PROBE_OUTPUTS names."""
    path = tmp_path / "kept" / "dev.json"
    path.parent.mkdir()
    path.write_text(json.dumps(gateway.outputs()), encoding="utf-8")
    monkeypatch.setenv("PROBE_OUTPUTS", str(path))
    return path


@pytest.fixture
def judge(gateway, capsys):
    """Run the probe; returns its exit code, and the first line that it printed."""

    def run(*arguments):
        code = distribution.main([*arguments])
        out, err = capsys.readouterr()
        assert KEY not in out + err
        assert err.count("\n") == (code == 2)
        if code == 2:
            assert (out, gateway.requests, gateway.reads, gateway.tokens) == ("", [], [], [])
        return code, (out or err).splitlines()[0]

    return run


def test_bare_it_judges_the_stack_that_is_selected_from_any_folder(
    gateway, pulumi, judge, tmp_path, monkeypatch
):
    pulumi.is_told(selected="dev")
    monkeypatch.chdir(tmp_path)
    code, first = judge()
    assert code == 0
    assert first == (
        f"[INFO] Outputs: stack dev of the Pulumi CLI; gateway {gateway.url}; "
        f"Resource Manager {gateway.url}"
    )


@pytest.mark.parametrize("name", ["Pulumi.yaml", "Pulumi.yml", "Pulumi.json"])
def test_in_the_folder_of_another_program_or_below_it_that_programs_stack_is_judged(
    pulumi, judge, tmp_path, monkeypatch, name
):
    (tmp_path / name).write_text("name: mine\nruntime: python\n", encoding="utf-8")
    inner = tmp_path / "src" / "app"
    inner.mkdir(parents=True)
    pulumi.stacks["dev"] = {"gateway": pulumi.stacks["dev"]}
    for here, arguments in ((tmp_path, []), (inner, []), (inner, ["--stack", "dev"])):
        monkeypatch.chdir(here)
        pulumi.is_told(selected="dev", folder=here)
        code, first = judge(*arguments)
        assert code == 0
        assert first.startswith("[INFO] Outputs: stack dev of the Pulumi CLI, output gateway; ")


def test_a_folder_that_is_named_like_a_project_makes_none(pulumi, judge, tmp_path, monkeypatch):
    (tmp_path / "Pulumi.yaml").mkdir()
    monkeypatch.chdir(tmp_path)
    pulumi.is_told(selected="dev")
    assert judge()[0] == 0


def test_of_two_gateways_of_a_stack_the_flag_chooses(gateway, pulumi, judge):
    east, west = gateway.outputs(), gateway.outputs(resource_group="west")
    pulumi.stacks["prod"] = {"east": east, "groups": [{"openai": west}], "other": "x"}
    pulumi.is_told(selected="prod")
    code, told = judge()
    assert code == 2
    assert told == (
        "distribution.py: error: outputs of stack prod of the Pulumi CLI: there are 2 gateways: "
        "east, groups[0].openai; choose with --outputs-key PATH"
    )
    code, told = judge("--outputs-key", "groups[0].openal")
    assert code == 2
    assert told == (
        "distribution.py: error: outputs of stack prod of the Pulumi CLI: `groups[0].openal` is "
        "no gateway; --outputs-key PATH takes east, groups[0].openai; did you mean "
        "groups[0].openai?"
    )
    for arguments in ([], ["--stack", "prod"]):
        code, first = judge(*arguments, "--outputs-key", "groups[0].openai")
        assert code == 0
        name = "stack prod of the Pulumi CLI, output groups[0].openai"
        assert first.startswith(f"[INFO] Outputs: {name}; gateway ")


def test_the_report_names_the_output_that_was_judged(gateway, probe, tmp_path):
    report = tmp_path / "report.json"
    document = {"gateway": gateway.outputs(), "other": 3}
    result = probe("--json", str(report), outputs=document)
    assert result.code == 0
    name = f"{tmp_path / 'outputs.json'}, output gateway"
    assert json.loads(report.read_text("utf-8"))["source"]["name"] == name
    assert result.out.startswith(f"[INFO] Outputs: {name}; gateway {gateway.url}; ")


def test_the_flag_chooses_in_the_file_that_the_environment_names(gateway, no_pulumi, kept, judge):
    kept.write_text(json.dumps({"a": gateway.outputs(), "b": gateway.outputs()}), encoding="utf-8")
    assert judge()[0] == 2
    code, first = judge("--outputs-key", "b")
    assert code == 0
    assert first.startswith(f"[INFO] Outputs: {kept} ($PROBE_OUTPUTS), output b; gateway ")


def test_bare_without_the_cli_it_judges_the_outputs_that_the_environment_names(
    gateway, no_pulumi, kept, judge
):
    code, first = judge()
    assert code == 0
    assert first.startswith(f"[INFO] Outputs: {kept} ($PROBE_OUTPUTS); gateway {gateway.url}; ")


def test_a_cli_in_which_no_stack_is_selected_leaves_the_outputs_of_the_environment(
    pulumi, kept, judge
):
    assert judge()[0] == 0


def test_pulumi_stack_counts_as_selected(pulumi, judge, monkeypatch):
    monkeypatch.setenv("PULUMI_STACK", "dev")
    code, first = judge()
    assert code == 0
    assert "Outputs: stack dev of the Pulumi CLI; " in first


@pytest.mark.parametrize("by", ["selection", "environment", "environment, without a CLI"])
def test_two_stacks_that_are_there_are_refused_and_both_named(pulumi, kept, judge, monkeypatch, by):
    if by == "selection":
        pulumi.is_told(selected="dev")
    else:
        monkeypatch.setenv("PULUMI_STACK", "dev")
    if "without" in by:
        monkeypatch.setenv("PATH", "/nowhere")
    code, told = judge()
    assert code == 2
    assert "two stacks are there: dev is selected in the Pulumi CLI, and $PROBE_OUTPUTS is" in told
    assert told.endswith(f"choose with --stack dev or --outputs {kept}")


def test_a_choice_between_two_stacks_is_followed(pulumi, kept, judge):
    pulumi.is_told(selected="dev")
    assert "stack dev of the Pulumi CLI" in judge("--stack", "dev")[1]
    assert f"[INFO] Outputs: {kept};" in judge("--outputs", str(kept))[1]


def test_a_named_stack_is_read_by_the_cli_alone(pulumi, kept, judge, monkeypatch):
    code, told = judge("--stack", "prod")
    assert code == 2
    assert "failed: no stack named 'prod' found; `pulumi stack ls` lists those there are" in told
    monkeypatch.setenv("PATH", "/nowhere")
    code, told = judge("--stack", "dev")
    assert code == 2
    assert "stack dev: a named stack is read with the Pulumi CLI, and pulumi is not on PATH" in told


def test_a_stack_in_the_environment_that_is_none_is_not_replaced_by_another(
    pulumi, judge, monkeypatch
):
    monkeypatch.setenv("PULUMI_STACK", "prod")
    pulumi.is_told(selected="dev")
    code, told = judge()
    assert code == 2
    assert "no stack named 'prod' found" in told


@pytest.mark.parametrize("has_cli", [True, False])
def test_without_any_stack_it_says_what_to_write(pulumi, judge, monkeypatch, has_cli):
    if not has_cli:
        monkeypatch.setenv("PATH", "/nowhere")
    code, told = judge()
    assert code == 2
    assert told == (
        "distribution.py: error: no stack: choose one with `pulumi stack select NAME` or "
        "--stack NAME, or give --outputs FILE"
    )


def test_a_missing_file_of_the_environment_counts_as_none_and_is_told_when_nothing_else_is_there(
    pulumi, judge, monkeypatch
):
    monkeypatch.setenv("PROBE_OUTPUTS", "/nowhere/dev.json")
    code, told = judge()
    assert code == 2
    assert "the file that $PROBE_OUTPUTS names is not there: /nowhere/dev.json" in told
    pulumi.is_told(selected="dev")
    assert judge()[0] == 0


@pytest.mark.parametrize(
    ("failure", "remedy"),
    [
        (
            "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions",
            "run `pulumi login`, or give --outputs FILE",
        ),
        (
            "error: getting secrets manager: passphrase must be set with PULUMI_CONFIG_PASSPHRASE",
            "set PULUMI_CONFIG_PASSPHRASE, or give --outputs FILE",
        ),
        ("warning: a\nerror: the lock is held\n  by another", "the lock is held; or give --out"),
        ("", "failed: it said nothing; or give --outputs FILE"),
    ],
)
def test_a_cli_that_fails_is_told_in_a_line_with_the_remedy(pulumi, judge, failure, remedy):
    pulumi.is_told(selected="dev", failure=failure or 9)
    code, told = judge()
    assert code == 2
    assert told.startswith("distribution.py: error: `pulumi stack output --json --show-secrets`")
    assert remedy in told


def test_a_stack_that_is_not_deployed_is_told(pulumi, judge):
    pulumi.stacks["dev"] = {}
    pulumi.is_told(selected="dev")
    code, told = judge()
    assert code == 2
    assert "stack dev of the Pulumi CLI: `backends` is missing; is the stack deployed?" in told


AZURE = {
    "gateway_url": "https://apim-abc.azure-api.net",
    "inference_url": "https://apim-abc.azure-api.net/inference",
}


def test_a_gateway_in_azure_with_a_resource_manager_on_this_machine_is_refused(gateway, probe):
    result = probe(outputs=gateway.outputs(**AZURE))
    assert result.code == 2
    assert "azure-api.net/inference is not on it, the Resource Manager http://127" in result.err
    assert "on this machine: set ARM_ENDPOINT to the Azure that the stack is in" in result.err
    assert (gateway.requests, gateway.reads, gateway.tokens) == ([], [], [])


@pytest.mark.parametrize("endpoint", ["", "https://management.azure.com"])
def test_a_gateway_on_this_machine_with_the_resource_manager_of_azure_is_refused(
    gateway, probe, monkeypatch, endpoint
):
    monkeypatch.setenv("ARM_ENDPOINT", endpoint)
    result = probe()
    assert result.code == 2
    assert (
        "/inference is on this machine, the Resource Manager https://management.azu" in result.err
    )
    assert (gateway.requests, gateway.reads, gateway.tokens) == ([], [], [])


def test_traffic_alone_is_judged_wherever_a_resource_manager_is(probe, monkeypatch):
    monkeypatch.delenv("ARM_ENDPOINT")
    assert probe("--skip-control-plane").code == 0
