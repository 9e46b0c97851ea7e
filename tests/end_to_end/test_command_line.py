"""`local-azure` itself: what it prints, and how it fails."""

import shlex
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local_azure import commands
from local_azure.__main__ import _parser, main
from local_azure.certificates import Authority
from local_azure.environment import TRUST_VARIABLES
from local_azure.local import ServerFile, authority_certificate, state_folder

ROOT = Path(__file__).parents[2]


def refused_serve(state: Path, capsys, *flags: str) -> str:
    """What `serve` says of why it does not start; in this process, as loading it takes longest."""
    assert main(["serve", "--state", str(state), *flags]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    return shown.err


def test_a_taken_port_is_one_line_with_the_remedy(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused_serve(tmp_path, capsys, "--port", str(port))
    assert said == (
        f"error: port {port} on 127.0.0.1, for Resource Manager: Address already in use;"
        " stop what listens there, or choose another port with --port\n"
    )


def test_a_second_server_on_one_state_folder_is_refused(shell, capsys):
    with shell.serving() as endpoint:
        said = refused_serve(shell.state, capsys, "--port", "0")
    assert endpoint in said
    assert "--state" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_server_cleanly(shell, number):
    server = shell.start("-m", "local_azure", "serve", "--port", "0")
    line = server.stdout.readline()
    port = int(line.split("127.0.0.1:")[1].split(",")[0])
    server.send_signal(number)
    _, errors = server.communicate(timeout=20)
    assert (server.returncode, errors) == (0, "")
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def announced(state: Path) -> Iterator[None]:
    """A server that runs on a state folder, as far as other commands can tell."""
    with ServerFile(state) as running:
        running.announce("http://127.0.0.1:8700", {"azure-native": 1, "random": 2})
        yield


def test_env_names_the_running_server_in_each_shell_s_words(tmp_path, monkeypatch, capsys):
    for name in ("BACKEND_URL", "ACCESS_TOKEN", "CREDENTIALS_PATH"):
        monkeypatch.delenv(f"PULUMI_{name}", raising=False)

    def env(*flags):
        assert main(["env", "--state", str(tmp_path), *flags]) == 0
        return capsys.readouterr().out.splitlines()

    with announced(tmp_path):
        lines, fish, power = env(), env("--shell", "fish"), env("--shell", "powershell")
    assert "export ARM_ENDPOINT=http://127.0.0.1:8700" in lines
    assert f"export LOCAL_AZURE_STATE={tmp_path}" in lines
    assert f"export PROBE_OUTPUTS={tmp_path}/outputs/dev.json" in lines
    assert "export PULUMI_BACKEND_URL=http://127.0.0.1:8700" in lines
    assert f"export PULUMI_CREDENTIALS_PATH={tmp_path}/pulumi" in lines
    assert "export PULUMI_DEBUG_PROVIDERS=azure-native:1,random:2" in lines
    assert all(line.startswith("export ") for line in lines)
    assert "set -gx ARM_ENDPOINT http://127.0.0.1:8700;" in fish
    assert "$env:ARM_ENDPOINT = 'http://127.0.0.1:8700'" in power
    assert len(lines) == len(fish) == len(power)


def test_env_leaves_a_backend_that_the_user_chose_and_forgets_only_its_own(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///elsewhere")
    with announced(tmp_path):
        assert main(["env", "--state", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "PULUMI_BACKEND_URL" not in shown
    assert "PULUMI_ACCESS_TOKEN" not in shown
    assert main(["env", "--state", str(tmp_path), "--unset"]) == 0
    unset = set(capsys.readouterr().out.splitlines())
    assert {"unset ARM_ENDPOINT", "unset PULUMI_DEBUG_PROVIDERS", "unset PROBE_OUTPUTS"} <= unset
    assert "unset PULUMI_BACKEND_URL" not in unset


def test_env_without_a_server_leads_the_pulumi_cli_nowhere(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    assert main(["env", "--state", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert shown.err == (f"error: no local Azure runs on {tmp_path}; start it: local-azure serve\n")
    # Without it `pulumi up` would go on to wherever the user is signed in.
    (name, value) = shlex.split(shown.out)[1].split("=", 1)
    assert name == "PULUMI_BACKEND_URL"
    assert not Path(value.removeprefix("file://")).exists()
    monkeypatch.setenv(name, value)
    with announced(tmp_path):
        assert main(["env", "--state", str(tmp_path)]) == 0
        assert f"{name}=http://127.0.0.1:8700\n" in capsys.readouterr().out
        monkeypatch.setenv(name, "file:///elsewhere")
        assert main(["env", "--state", str(tmp_path), "--stack", "prod"]) == 0
        assert f"PROBE_OUTPUTS={tmp_path}/outputs/prod.json\n" in capsys.readouterr().out
    monkeypatch.setenv(name, value)
    assert main(["env", "--state", str(tmp_path), "--unset"]) == 0
    assert f"unset {name}\n" in capsys.readouterr().out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("command", [["env", "--unset"], ["output"]])
def test_a_full_disk_is_one_line(first_up, command):
    shell, _ = first_up
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "local_azure", *command],
            cwd=ROOT,
            env=shell.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    said = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert (done.returncode, said) == (1, ["error: standard output: No space left on device"])


def test_env_gives_the_user_s_own_pulumi_token_back(tmp_path, monkeypatch, capsys):
    name = "PULUMI_ACCESS_TOKEN"
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    monkeypatch.setenv(name, "pul-of-the-user")
    for _ in range(2):  # evaluated twice
        with announced(tmp_path):
            assert main(["env", "--state", str(tmp_path)]) == 0
        shown = dict(line[7:].split("=", 1) for line in capsys.readouterr().out.splitlines())
        assert shown[name].startswith("local-azure-")
        for each, value in shown.items():
            monkeypatch.setenv(each, value)
    assert main(["env", "--state", str(tmp_path), "--unset"]) == 0
    assert f"export {name}=pul-of-the-user\n" in capsys.readouterr().out


def in_bash(script, shell):
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(
        command, env=shell.environment, capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout.splitlines()


@pytest.fixture
def own_roots(shell, tmp_path) -> Path:
    """A shell whose user trusts one authority more for one kind of client."""
    Authority(tmp_path)
    roots = authority_certificate(tmp_path)
    for name in TRUST_VARIABLES:
        shell.environment.pop(name, None)
    shell.environment["REQUESTS_CA_BUNDLE"] = str(roots)
    Authority(state_folder(str(shell.state)))
    return roots


def test_env_adds_the_local_azure_to_what_is_trusted_and_takes_it_back(shell, own_roots):
    python = shlex.quote(sys.executable)
    show = "; ".join(f'echo "${{{name}-}}"' for name in TRUST_VARIABLES)
    evaluate = f'eval "$({python} -m local_azure env)"'
    with announced(shell.state):
        once = in_bash(f"{evaluate}; {show}", shell)
        trust = ssl.create_default_context(cafile=once[0])
        twice = in_bash(f"{evaluate}; {evaluate}; {show}", shell)
    assert once == twice == [str(shell.state / "trusted-roots.pem")] * 4

    subjects = [dict(each[0] for each in root["subject"]) for root in trust.get_ca_certs()]
    assert sum(each.get("organizationName") == "Local Azure" for each in subjects) == 2
    assert len(subjects) > 50  # the internet's

    unset = f'eval "$({python} -m local_azure env --unset)"'
    with announced(shell.state):
        back = in_bash(f"{evaluate}; {evaluate}; {unset}; {show}; env", shell)
    assert back[:4] == ["", str(own_roots), "", ""]
    assert not any(line.startswith("LOCAL_AZURE_BEFORE_") for line in back)
    assert in_bash(f"{unset}; {show}", shell) == ["", str(own_roots), "", ""]  # it never was set


def test_env_before_the_first_serve_changes_no_trust(tmp_path, capsys):
    with announced(tmp_path):
        assert main(["env", "--state", str(tmp_path)]) == 0
    assert not any(name in capsys.readouterr().out for name in TRUST_VARIABLES)


def test_a_taken_https_port_is_one_line_with_the_remedy(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused_serve(tmp_path, capsys, "--port", "0", "--https-port", str(port))
    assert said == (
        f"error: port {port} on 127.0.0.1, for HTTPS: Address already in use; stop what listens"
        " there, or choose another port with --https-port\n"
    )


@pytest.mark.parametrize(
    ("flags", "port"),
    [([], 8743), (["--port", "8800"], 8843), (["--port", "0"], 0), (["--port", "65500"], 0)],
)
def test_the_https_port_is_beside_the_other(flags, port):
    assert commands._https_port(_parser().parse_args(["serve", *flags])) == port
    chosen = _parser().parse_args(["serve", *flags, "--https-port", "9000"])
    assert commands._https_port(chosen) == 9000


def test_a_log_that_cannot_be_written_is_one_line(tmp_path, capsys):
    path = str(tmp_path / "no" / "x")
    said = refused_serve(tmp_path, capsys, "--port", "0", "--request-log", path)
    assert said == f"error: --request-log {path}: No such file or directory\n"


def test_fault_without_a_server_says_how_to_start_one(tmp_path, capsys):
    assert main(["fault", "foundry1", "--down", "--state", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        "error: no local Azure runs here; start it: local-azure serve\n"
    )


def test_a_fault_that_makes_no_sense_is_refused(shell, capsys):
    refused = {
        ("--status", "429"): "name the region",
        ("foundry1", "--down", "--clear"): "--clear heals",
        ("foundry1", "--status", "200"): "status: 200",
        ("foundry1", "--retry-after", "5"): "retry_after",
    }
    with shell.serving():
        for arguments, said in refused.items():
            assert main(["fault", "--state", str(shell.state), *arguments]) == 1
            error = capsys.readouterr().err
            assert said in error
            assert error.count("\n") == 1
        for more in ("--down", "--clear"):
            assert main(["fault", "--state", str(shell.state), "foundry9", more]) == 1
            assert capsys.readouterr().err == (
                "error: no account is called 'foundry9'; no account is deployed\n"
            )


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["deploy"],
        ["up", "--stack", "../x"],
        ["serve", "--port", "x"],
        ["serve", "--port", "70000"],
        ["serve", "--gateway-instances", "0"],
        ["serve", "--latency", "uksouth=soon"],
    ],
)
def test_wrong_usage_is_exit_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: local-azure")


def test_a_missing_config_file_is_one_line(shell):
    result = shell.local_azure("preview", "--config-file", "Pulumi.nothing.yaml")
    assert result.returncode == 1
    assert "Pulumi.nothing.yaml" in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
