"""The probe as a user runs it: its verdicts, its exit codes and the incident's own format."""

import gc
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fake_gateway import KEY, POOL_ID, Reply, completion, refusal

SCRIPT = Path(__file__).parents[2] / "probes" / "distribution.py"
SPREAD = "UK South 33.3 %, East US 33.3 %, Norway East 33.3 % of 12 answers, as round robin"
INCIDENT = ((1, 100), (2, 50), (2, 50))


def incident(gateway) -> dict:
    for member, (priority, weight) in zip(gateway.members, INCIDENT, strict=True):
        member.update(priority=priority, weight=weight)
    gateway.answer = lambda _n: completion(1)
    return gateway.outputs(INCIDENT, routing="priority")


def test_a_strict_rotation_is_balanced_after_exactly_12_requests(gateway, probe):
    result = probe()
    assert (result.code, len(gateway.requests)) == (0, 12)
    assert result.verdict == f"balanced: {SPREAD}"
    assert len(gateway.reads) == 1


@pytest.mark.parametrize("concurrency", ["1", "3", "10", "50"])
def test_concurrency_never_sends_a_request_that_the_evidence_does_not_need(
    gateway, probe, concurrency
):
    assert probe("--concurrency", concurrency).code == 0
    assert len(gateway.requests) == 12
    gateway.requests.clear()
    gateway.answer = lambda _n: completion(2)
    assert probe("--concurrency", concurrency).code == 1
    assert len(gateway.requests) == 6


def test_balanced_output_is_in_the_incidents_format(probe):
    out = probe().out
    head = """\
[*] Verification GET status: 200
  [OK] Pool has 3 services:
    - foundry1: priority=1, weight=1
    - foundry2: priority=1, weight=1
    - foundry3: priority=1, weight=1
  ✓ ROUND-ROBIN CONFIRMED: all backends have priority=1, weight=1

Testing load balancing across 3 regions...
"""
    assert head in out
    lines = out.split(head)[1].splitlines()
    request = re.compile(
        r"Request (\d+): \d\.\d\ds - Region: (UK South|East US|Norway East) - Backend: foundry[123]"
    )
    assert [request.fullmatch(line)[1] for line in lines[:12]] == [str(n) for n in range(1, 13)]
    assert re.fullmatch(r"Average response time: \d\.\d\ds", lines[13])
    assert lines[15:19] == [
        "Region Distribution:",
        "  UK South: 4 requests (33.3%)",
        "  East US: 4 requests (33.3%)",
        "  Norway East: 4 requests (33.3%)",
    ]
    assert lines[19] == "  Spent: 12 requests, 240 tokens"
    assert lines[21:] == [
        "Acceptance:",
        "  ✓ at least 2 of 3 regions answer: 3 answered",
        "  ✓ no region above 70 %: highest is UK South with 33.3 %",
        "  ✓ pool equal: all backends have priority=1, weight=1",
        "  ✓ traffic as expected: proved in 12 answers",
        "",
        "[OK] Load balancing test complete!",
        f"balanced: {SPREAD}",
    ]


def test_the_pool_is_shown_before_the_traffic_however_late_it_answers(gateway, probe):
    twelve = threading.Event()

    def answer(n):
        if n == 11:
            twelve.set()
        return completion(n % 3 + 1)

    at_once = gateway.pool
    gateway.answer = answer
    gateway.pool = lambda: at_once() if twelve.wait(20) else Reply(status=500)
    result = probe()
    assert result.code == 0
    first = result.out.index("Request 1: ")
    assert result.out.index("CONFIRMED") < result.out.index("Testing load") < first
    assert result.out.count("\nRequest ") == 12


def test_the_incident_is_condemned_by_six_requests_when_round_robin_is_expected(gateway, probe):
    result = probe("--expect", "round-robin", outputs=incident(gateway))
    assert (result.code, len(gateway.requests)) == (1, 6)
    assert (
        "  ✗ NOT ROUND-ROBIN: foundry2 and foundry3 have priority 2, foundry1 has priority 1, "
        "foundry2 and foundry3 have weight 50, foundry1 has weight 100\n"
        "  Expected traffic: UK South 100.0 %, East US 0.0 %, Norway East 0.0 %\n"
    ) in result.out
    assert "  ✗ at least 2 of 3 regions answer: 1 answered\n" in result.out
    assert "  ✗ no region above 70 %: highest is UK South with 100.0 %\n" in result.out
    assert "[OK] Load balancing" not in result.out
    assert result.verdict.startswith(
        "not balanced: UK South got 6 of 6 requests (100.0 %) where 33.3 % is expected; "
        "the pool is not round robin: foundry2 and foundry3 have priority 2, "
    )
    assert result.verdict.endswith(
        "give every member the same priority and weight and run `pulumi up`"
    )


def test_the_incident_is_as_declared_when_the_stack_opted_in(gateway, probe):
    result = probe(outputs=incident(gateway))
    assert result.code == 0
    assert "  ✓ AS DECLARED by routing priority\n" in result.out
    assert "  ✗ at least 2 of 3 regions answer: 1 answered (not required)\n" in result.out


def test_traffic_that_is_spread_does_not_pass_an_unequal_pool(gateway, probe):
    gateway.members[1]["weight"] = 50
    result = probe()
    assert result.code == 1
    assert "foundry2 has weight 50" in result.verdict or "have weight 1" in result.verdict
    assert "  ✓ traffic as expected" in result.out
    assert "  ✗ pool equal" in result.out


def test_half_and_half_passes_the_incidents_traffic_criteria_and_names_the_silent_region(
    gateway, probe
):
    gateway.answer = lambda n: completion(n % 2 + 1)
    result = probe()
    assert result.code == 1
    assert "  ✓ at least 2 of 3 regions answer: 2 answered\n" in result.out
    assert "  ✓ no region above 70 %" in result.out
    assert "Norway East gave none of 14 answers where 33.3 % is expected" in result.verdict
    assert "circuit breaker of Norway East" in result.verdict


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m.pop(), "foundry3 is not in the pool"),
        (
            lambda m: m.append({"id": "/x/foundry4", "priority": 1, "weight": 1}),
            "foundry4 is in the pool, not in the stack",
        ),
        (lambda m: m.append(m[0]), "a backend is in the pool twice"),
        (lambda m: m[0].pop("priority"), "foundry1 has no priority"),
        (lambda m: m[1].update(weight=None), "foundry2 has no weight"),
        (lambda m: m.clear(), "the pool has no members"),
        (lambda m: m[2].update(priority=2), "foundry3 has priority 2"),
    ],
)
@pytest.mark.parametrize("expect", ["declared", "round-robin"])
def test_a_pool_that_is_not_the_stacks_condemns_spread_traffic(
    gateway, probe, change, reason, expect
):
    change(gateway.members)
    result = probe("--expect", expect)
    assert result.code == 1
    assert reason in result.verdict
    assert "CONFIRMED" not in result.out


def test_a_declared_weighted_pool_is_compared_member_by_member(gateway, probe):
    outputs = gateway.outputs(((1, 2), (1, 1), (1, 1)), routing="weighted")
    gateway.answer = lambda n: completion((1, 2, 1, 3)[n % 4])
    gateway.members[0]["weight"] = 2
    assert probe(outputs=outputs).code == 0
    gateway.members[0]["weight"] = 3
    result = probe(outputs=outputs)
    assert result.code == 1
    assert "the pool is not as declared: foundry1 has weight 3, declared is 2" in result.verdict


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_pool_that_cannot_be_read_makes_spread_traffic_inconclusive(gateway, probe, status):
    gateway.pool = lambda: refusal(status, "no")
    result = probe()
    assert result.code == 3
    assert f"[*] Verification GET status: {status}\n" in result.out
    assert "inconclusive: the pool could not be read: " in result.verdict
    assert "[OK] Load balancing" not in result.out
    gateway.answer = lambda _n: completion(1)
    assert probe().code == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"properties": {"pool": null}}'])
def test_a_pool_answer_without_a_pool_is_unread(gateway, probe, body):
    gateway.pool = lambda: Reply(body=body)
    result = probe()
    assert result.code == 3
    assert "the answer for inference-backend-pool holds no pool" in result.verdict


def test_skipping_the_control_plane_reads_nothing_and_judges_the_traffic(gateway, probe):
    result = probe("--skip-control-plane")
    assert (result.code, gateway.reads) == (0, [])
    assert "  ? pool equal: not read\n" in result.out


def test_resource_manager_on_loopback_gets_no_token_and_the_right_api_version(gateway, probe):
    probe()
    (read,) = gateway.reads
    assert read.path == f"{POOL_ID}?api-version=2024-05-01"
    assert "authorization" not in {name.lower() for name in read.headers}


def test_resource_manager_over_plain_http_elsewhere_is_never_asked(probe, monkeypatch):
    monkeypatch.setenv("ARM_ENDPOINT", "http://management.example")
    result = probe()
    assert result.code == 3
    assert "is no https URL" in result.verdict


def test_a_request_is_the_shortest_chat_completion_with_the_key_in_api_key(gateway, probe):
    probe("--skip-control-plane")
    for seen in gateway.requests:
        assert seen.path == (
            "/inference/openai/deployments/chat/chat/completions?api-version=2024-10-21"
        )
        headers = {name.lower(): value for name, value in seen.headers.items()}
        assert headers["api-key"] == KEY
        assert "cookie" not in headers
        body = json.loads(seen.body)
        assert body["max_completion_tokens"] == 16
        assert "max_tokens" not in body


def test_cookies_of_the_gateway_are_not_kept(gateway, probe):
    gateway.answer = lambda n: completion(n % 3 + 1, **{"set-cookie": "affinity=foundry1"})
    assert probe("--concurrency", "1").code == 0
    assert not any("cookie" in map(str.lower, seen.headers) for seen in gateway.requests)


def test_a_proxy_in_the_environment_is_not_used_on_loopback(gateway, probe, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert probe().code == 0


def test_a_region_that_differs_from_the_backends_is_a_note_only(gateway, probe):
    gateway.answer = lambda n: completion(n % 3 + 1, **{"x-ms-region": "Sweden Central"})
    result = probe()
    assert result.code == 0
    assert " - Region: East US - Backend: foundry2 - x-ms-region: Sweden Central\n" in result.out


def test_retries_of_the_gateway_are_shown_and_count_for_the_region_that_answered(gateway, probe):
    gateway.answer = lambda n: completion(n % 3 + 1, **{"x-backend-attempts": "2"})
    result = probe()
    assert result.code == 0
    assert " - Backend: foundry1 - attempts: 2\n" in result.out
    assert "  Retries: 12 answers came after another region had failed\n" in result.out


def test_the_run_ends_inconclusive_at_the_most_requests_allowed(gateway, probe):
    result = probe("--max-requests", "5")
    assert (result.code, len(gateway.requests)) == (3, 5)
    assert "5 requests were the most allowed" in result.verdict


def test_throttled_answers_are_counted_apart_and_are_no_evidence(gateway, probe):
    gateway.answer = lambda n: (
        refusal(429, "slow", backend=2, **{"Retry-After": "0"})
        if n % 4 == 3
        else completion((n - n // 4) % 3 + 1)
    )
    result = probe()
    assert result.code == 0
    assert "12 answers" in result.verdict
    assert re.search(r"  East US: 4 requests \(33.3%\), \d throttled\n", result.out)
    assert re.search(r"  Not counted: \d throttled\n", result.out)


def test_a_region_that_only_throttles_is_throttled_and_not_silent(gateway, probe):
    gateway.answer = lambda n: (
        refusal(429, "slow", backend=3, **{"Retry-After": "0"})
        if n % 3 == 2
        else completion(n % 3 + 1)
    )
    result = probe()
    assert result.code == 3
    assert "Norway East only throttled" in result.verdict
    assert len(gateway.requests) == 64


def test_outputs_come_from_standard_input_and_the_script_runs_from_anywhere(gateway, tmp_path):
    run = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT), "--outputs", "-"],
        input=json.dumps(gateway.outputs()).encode(),
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "ARM_ENDPOINT": gateway.url, "PYTHONUTF8": "1"},
        check=False,
        timeout=30,
    )
    assert (run.returncode, run.stderr) == (0, b"")
    assert b"[OK] Load balancing test complete!" in run.stdout
    assert b"\x1b" not in run.stdout


def test_who_is_not_signed_in_to_azure_is_told_in_a_line(gateway, tmp_path):
    run = subprocess.run(
        [sys.executable, str(SCRIPT), "--outputs", "-"],
        input=json.dumps(gateway.outputs()).encode(),
        capture_output=True,
        cwd=tmp_path,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("AZURE_")},
            "ARM_ENDPOINT": "https://management.azure.invalid",
            "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",  # which asks nobody
        },
        check=False,
        timeout=30,
    )
    assert (run.returncode, run.stderr) == (3, b"")
    (line,) = [each for each in run.stdout.splitlines() if b"Pool not read: " in each]
    assert b"no Azure credential gives a token; `az login`, or set AZURE_CLIENT_ID" in line


def test_ctrl_c_shows_what_was_seen_and_exits_130(gateway, tmp_path):
    released = threading.Event()

    def answer(n):
        if n == 5:  # and whoever comes later waits at the gateway's lock
            started.set()
            released.wait(30)
        return completion(n % 3 + 1)

    started = threading.Event()
    gateway.answer = answer
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(gateway.outputs()))
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), "--outputs", str(path), "--skip-control-plane"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert started.wait(30)
    seen = iter(process.stdout.readline, b"")
    assert any(line.startswith(b"Request 5: ") for line in seen)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    released.set()
    assert (process.returncode, err) == (130, b"")
    assert b"Region Distribution:" in out
    assert b"inconclusive: 5 answers" in out
    assert b"interrupted" in out


def test_ctrl_c_before_the_first_request_warns_of_nothing(gateway, probe, monkeypatch):
    def interrupted(_run):
        raise KeyboardInterrupt

    monkeypatch.setattr("probes.session.asyncio.run", interrupted)
    result = probe()
    assert result.code == 130
    gc.collect()  # a coroutine that never ran is an error here
    assert gateway.requests == []


def test_an_encoding_without_the_check_mark_and_a_reader_that_leaves_cause_no_trace(
    gateway, tmp_path
):
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(gateway.outputs()))
    command = f"{sys.executable} {SCRIPT} --outputs {path}"
    environment = {**os.environ, "ARM_ENDPOINT": gateway.url, "PYTHONIOENCODING": "ascii"}
    for reader, expected in (("cat", b"[OK] Load balancing"), ("true", b"")):
        run = subprocess.run(
            ["bash", "-c", f"{command} | {reader}"],
            capture_output=True,
            env=environment,
            check=False,
            timeout=30,
        )
        assert run.stderr == b""
        assert expected in run.stdout


def test_help_and_wrong_usage_import_no_http_client():
    code = (
        "import sys; sys.argv = ['x', '--help']\n"
        "from probes import distribution\n"
        "try: distribution.main()\n"
        "except SystemExit: pass\n"
        "assert not {'httpx', 'asyncio', 'rich', 'pulumi'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=SCRIPT.parents[1], stdout=-3)
    wrong = subprocess.run([sys.executable, SCRIPT, "--nope"], check=False, stderr=-3)
    assert wrong.returncode == 2
