"""Where the outputs come from, in which order, and that it is said."""

import json
import os
import sys

import pytest
from fake_gateway import KEY

from probes import distribution

PULUMI = """#!{python}
import os, sys
if "--stack=broken" in sys.argv:
    sys.exit("error: no stack named 'broken' found")
assert sys.argv[1:] == ["stack", "output", "--json", "--show-secrets", "--stack=dev"], sys.argv
sys.stdout.write({outputs!r})
"""


@pytest.fixture
def pulumi(gateway, tmp_path, monkeypatch):
    """A Pulumi CLI on PATH that knows stack dev."""
    monkeypatch.setenv("ARM_ENDPOINT", gateway.url)
    monkeypatch.setenv("LOCAL_AZURE_STATE", str(tmp_path / "none"))
    cli = tmp_path / "bin" / "pulumi"
    cli.parent.mkdir()
    outputs = json.dumps(gateway.outputs())
    cli.write_text(PULUMI.format(python=sys.executable, outputs=outputs), encoding="utf-8")
    cli.chmod(0o755)
    monkeypatch.setenv("PATH", f"{cli.parent}{os.pathsep}{os.environ['PATH']}")
    return cli


def test_a_named_stack_is_read_with_the_pulumi_cli(pulumi, capsys):
    assert distribution.main(["--stack", "dev"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("[INFO] Outputs: stack dev by pulumi\n")
    assert KEY not in out


def test_what_pulumi_says_of_a_stack_it_does_not_know_is_passed_on(pulumi, capsys):
    assert distribution.main(["--stack", "broken"]) == 2
    assert "error: no stack named 'broken' found\n" in capsys.readouterr().err


def test_an_outputs_file_goes_before_the_stack(pulumi, probe):
    result = probe("--stack", "broken")
    assert result.code == 0
    assert "[INFO] Outputs: " in result.out
    assert "outputs.json\n" in result.out


def test_without_any_source_it_says_what_to_give(pulumi, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    for arguments in ([], ["--stack", "dev"]):
        assert distribution.main(arguments) == 2
        error = capsys.readouterr().err
        assert "give --outputs FILE, or --stack NAME with pulumi on PATH" in error
        assert error.count("\n") == 1
