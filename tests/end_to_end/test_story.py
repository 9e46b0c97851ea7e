"""What begins with a deployed stack; the incident, the fix and the proof are test_readme's."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import jsonschema

ROOT = Path(__file__).parents[2]

INCIDENT = ("up", "--stack", "dev", "--config-file", "Pulumi.incident.yaml")
DEV = ("up", "--stack", "dev")


def probe(shell, *flags):
    outputs = shell.local_azure("output", "--stack", "dev", "--show-secrets")
    assert outputs.returncode == 0, outputs.stderr
    key = json.loads(outputs.stdout)["subscription_key"]
    result = shell.run("probes/distribution.py", "--outputs", "-", *flags, text=outputs.stdout)
    assert key not in result.stdout + result.stderr
    return result


def test_up_without_a_server_starts_one_and_leaves_nothing_running(first_up):
    shell, up = first_up
    assert up.returncode == 0, up.stdout + up.stderr
    assert re.search(r"\+ 73 created", up.stdout)
    assert (shell.state / "server.json").read_text() == ""
    url = json.loads(shell.local_azure("output").stdout)["gateway_url"]
    port = int(url.rpartition(":")[2])
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0


def test_units_of_the_gateway_that_comes_back_do_not_break_the_proof(
    deployed,
):
    with deployed.serving("--gateway-instances", "4"):
        result = probe(deployed, "--max-requests", "200")
    assert result.returncode == 0, result.stdout


def test_a_second_up_changes_nothing(deployed):
    again = deployed.local_azure(*DEV)
    assert again.returncode == 0, again.stdout + again.stderr
    assert re.search(r"Resources:\s+73 unchanged", again.stdout), again.stdout


def test_a_region_that_is_down_is_no_proof(deployed):
    with deployed.serving():
        fault = deployed.local_azure("fault", "foundry2", "--down")
        assert (fault.returncode, fault.stderr) == (0, "")
        one_down = probe(deployed)
    assert one_down.returncode != 0
    answered = set(re.findall(r"Backend: (\S+)", one_down.stdout))
    assert answered == {"foundry1", "foundry3"}, one_down.stdout


def test_a_region_whose_port_closes_costs_no_answer_and_is_back_when_it_opens(deployed):
    outputs = json.loads(deployed.local_azure("output", "--show-secrets").stdout)
    url = f"{outputs['inference_url']}/openai/models?api-version={outputs['api_version']}"

    def ask() -> list[tuple[int, str, str]]:
        """Three requests; three failures of a region would trip its breaker."""
        with httpx.Client(headers={"api-key": outputs["subscription_key"]}) as client:
            answers = [client.get(url) for _ in range(3)]
        names = ("x-backend-host", "x-backend-attempts")
        return [(each.status_code, *(each.headers[name] for name in names)) for each in answers]

    with deployed.serving():
        assert deployed.local_azure("fault", "foundry2", "--closed").returncode == 0
        closed = ask()
        assert deployed.local_azure("fault", "--clear").returncode == 0
        opened = ask()
    assert [status for status, _, _ in closed + opened] == [200] * 6
    assert {host.partition("-")[0] for _, host, _ in closed} == {"foundry1", "foundry3"}
    assert "2" in {attempts for _, _, attempts in closed}
    assert {host.partition("-")[0] for _, host, _ in opened} == {"foundry1", "foundry2", "foundry3"}
    assert {attempts for _, _, attempts in opened} == {"1"}


def test_one_run_writes_every_form(deployed, tmp_path):
    paths = {form: tmp_path / f"report.{form}" for form in ("json", "junit", "markdown", "svg")}
    flags = [str(each) for form, path in paths.items() for each in (f"--{form}", path)]
    with deployed.serving():
        result = deployed.run("probes/distribution.py", *flags)
    assert result.returncode == 0, result.stdout + result.stderr
    outputs = json.loads(deployed.local_azure("output").stdout)
    first_line = result.stdout.splitlines()[0]
    assert "dev.json" in first_line
    assert outputs["gateway_url"] in first_line
    key = json.loads(deployed.local_azure("output", "--show-secrets").stdout)["subscription_key"]
    texts = {form: path.read_text(encoding="utf-8") for form, path in paths.items()}
    assert not any(key in text for text in texts.values())

    report = json.loads(texts["json"])
    schema = json.loads((ROOT / "probes" / "report.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, schema)
    assert report["verdict"] == "balanced"
    assert [each["count"] for each in report["by_backend"].values()] == [4, 4, 4]
    assert [member["priority"] for member in report["pool"]["members"]] == [1, 1, 1]
    suite = ET.fromstring(texts["junit"])
    assert suite.find(".//testcase") is not None
    assert suite.find(".//failure") is None
    picture = ET.fromstring(texts["svg"])
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    said = "".join(picture.itertext()) + texts["markdown"]
    for region in ("UK South", "East US", "Norway East"):
        assert said.count(region) >= 2


def test_outputs_show_the_key_only_when_asked(deployed):
    shown = deployed.local_azure("output")
    assert json.loads(shown.stdout)["subscription_key"] == "[secret]"
    key = json.loads(deployed.local_azure("output", "--show-secrets").stdout)["subscription_key"]
    assert len(key) >= 32


def test_a_stack_that_is_not_there_is_one_line(shell):
    result = shell.local_azure("output", "--stack", "nowhere")
    assert result.returncode == 1
    assert "nowhere" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_the_second_up_says_who_holds_the_stack_and_the_log_what_the_first_one_sent(
    deployed, tmp_path
):
    log = tmp_path / "requests.jsonl"
    lock = deployed.state / "stacks" / "dev.lock"
    lock.unlink()
    with deployed.serving("--provisioning", "3", "--request-log", str(log)):
        deployed.python = [sys.executable]  # whose number is that of the deployment
        first = deployed.start("-m", "local_azure", *INCIDENT)
        try:
            while not lock.exists():
                assert first.poll() is None, first.communicate()
            second = deployed.local_azure(*INCIDENT)
        finally:
            first.communicate(timeout=60)
        assert first.returncode == 0
        assert second.returncode == 1
        message = second.stdout + second.stderr
        assert str(first.pid) in message
        assert "Traceback" not in message
    entries = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    written = [each["path"].rpartition("/")[2] for each in entries if each["method"] == "PUT"]
    # Rules and workbook name the expected shares; they are not of the gateway.
    assert [each for each in written if each.startswith("inference")] == ["inference-backend-pool"]


def test_ctrl_c_in_the_demo_leaves_no_process_and_no_port(shell):
    shell.python = [sys.executable]  # whose children are the demo's
    demo = shell.start("-m", "demo")
    lines = []
    for line in demo.stdout:
        lines.append(line)
        if line.startswith("$ python"):
            break
    demo.send_signal(signal.SIGINT)
    _, errors = demo.communicate(timeout=30)
    assert demo.returncode == 130, errors
    assert "Traceback" not in errors
    left = subprocess.run(["ps", "-eo", "ppid,args"], capture_output=True, text=True, check=True)
    assert str(demo.pid) not in [row.split()[0] for row in left.stdout.splitlines()]
