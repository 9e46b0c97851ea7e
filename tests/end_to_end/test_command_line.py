"""`python -m emulator` itself: what it prints, and how it fails."""

import json
import signal
import socket

import pytest


def test_a_taken_port_is_one_line_with_the_remedy(shell):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = shell.emulator("serve", "--port", str(port))
    assert result.returncode == 1
    assert result.stderr == (
        f"error: port {port} on 127.0.0.1, for Resource Manager: Address already in use;"
        " stop what listens there, or choose another port with --port\n"
    )


def test_a_second_server_on_one_state_folder_is_refused(shell):
    with shell.serving() as endpoint:
        result = shell.emulator("serve", "--port", "0")
    assert result.returncode == 1
    assert endpoint in result.stderr
    assert "--state" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_server_cleanly(shell, number):
    server = shell.start("-m", "emulator", "serve", "--port", "0")
    line = server.stdout.readline()
    port = int(line.split("127.0.0.1:")[1].split(",")[0])
    server.send_signal(number)
    _, errors = server.communicate(timeout=20)
    assert (server.returncode, errors) == (0, "")
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0


def test_env_names_the_running_server_in_each_shell_s_words(shell):
    with shell.serving() as endpoint:
        lines = shell.emulator("env").stdout.splitlines()
        fish = shell.emulator("env", "--shell", "fish").stdout.splitlines()
        power = shell.emulator("env", "--shell", "powershell").stdout.splitlines()
        running = json.loads((shell.state / "server.json").read_text())
    assert f"export ARM_ENDPOINT={endpoint}" in lines
    assert f"export LOCAL_AZURE_STATE={shell.state}" in lines
    assert f"export PULUMI_BACKEND_URL=file://{shell.state}/pulumi" in lines
    ports = ",".join(f"{name}:{running['providers'][name]}" for name in ("azure-native", "random"))
    assert f"export PULUMI_DEBUG_PROVIDERS={ports}" in lines
    assert all(line.startswith("export ") for line in lines)
    assert f"set -gx ARM_ENDPOINT {endpoint};" in fish
    assert f"$env:ARM_ENDPOINT = '{endpoint}'" in power
    assert len(lines) == len(fish) == len(power)


def test_env_leaves_a_backend_that_the_user_chose_and_unset_forgets_what_is_the_local_azure_s(
    shell,
):
    shell.environment["PULUMI_BACKEND_URL"] = "file:///elsewhere"
    shown = shell.emulator("env")
    assert "PULUMI_BACKEND_URL" not in shown.stdout
    assert "start it: python -m emulator serve" in shown.stderr
    unset = shell.emulator("env", "--unset").stdout.splitlines()
    assert "unset ARM_ENDPOINT" in unset
    assert "unset PULUMI_DEBUG_PROVIDERS" in unset
    assert "unset PULUMI_BACKEND_URL" not in unset


def test_a_log_of_requests_has_a_line_for_each_and_no_body(deployed, tmp_path):
    log = tmp_path / "requests.jsonl"
    key = json.loads(deployed.emulator("output", "--show-secrets").stdout)["subscription_key"]
    with deployed.serving("--request-log", str(log)):
        changed = deployed.emulator("up", "--config-file", "Pulumi.incident.yaml")
    assert changed.returncode == 0, changed.stdout
    text = log.read_text("utf-8")
    assert key not in text
    entries = [json.loads(line) for line in text.splitlines()]
    written = [each["path"].rpartition("/")[2] for each in entries if each["method"] == "PUT"]
    assert written == ["inference-backend-pool"]
    refused = deployed.emulator("serve", "--port", "0", "--request-log", str(tmp_path / "no" / "x"))
    assert refused.returncode == 1
    assert "No such file or directory" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_fault_without_a_server_says_how_to_start_one(shell):
    result = shell.emulator("fault", "foundry1", "--down")
    assert result.returncode == 1
    assert result.stderr == (
        "error: no local Azure runs here; start it: python -m emulator serve\n"
    )


def test_a_fault_that_makes_no_sense_is_refused(shell):
    refused = {
        ("--status", "429"): "name the region",
        ("foundry1", "--down", "--clear"): "--clear heals",
        ("foundry1", "--status", "200"): "status: 200",
        ("foundry1", "--retry-after", "5"): "retry_after",
    }
    with shell.serving():
        for arguments, said in refused.items():
            result = shell.emulator("fault", *arguments)
            assert result.returncode == 1, arguments
            assert said in result.stderr
            assert "Traceback" not in result.stderr


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
def test_wrong_usage_is_exit_2(shell, arguments):
    result = shell.emulator(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_a_missing_config_file_is_one_line(shell):
    result = shell.emulator("preview", "--config-file", "Pulumi.nothing.yaml")
    assert result.returncode == 1
    assert "Pulumi.nothing.yaml" in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
