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
from urllib.parse import unquote

import pytest
from fake_gateway import KEY, POLICY_ID, POOL_ID, TOKEN, Reply, completion, refusal, retried

from components import contract
from probes import distribution, exit_codes, interpretation

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
    assert sorted(seen.path for seen in gateway.reads) == [
        f"{POLICY_ID}?api-version=2024-05-01",
        f"{POOL_ID}?api-version=2024-05-01",
    ]


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
  ✓ policy: as declared

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
        "  ✓ pool as declared: all backends have priority=1, weight=1",
        "  ✓ policy as declared: white space aside",
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


def test_the_incident_is_as_declared_and_not_called_balanced_when_the_stack_opted_in(
    gateway, probe
):
    result = probe(outputs=incident(gateway))
    assert result.code == 0
    assert "  ✓ AS DECLARED by routing priority\n" in result.out
    assert "  ✗ at least 2 of 3 regions answer: 1 answered (not required)\n" in result.out
    assert "[OK] Load balancing test complete!" not in result.out
    assert result.verdict == (
        "as declared, not spread: East US and Norway East get 0 % by declaration; UK South 100.0 %,"
        " East US 0.0 %, Norway East 0.0 % of 14 answers, as declared by routing priority"
    )


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ((7, 2, 1), "balanced"),
        ((71, 19, 10), "as declared, not spread: UK South gets 71 % by declaration"),
    ],
)
def test_a_share_above_70_percent_by_declaration_is_not_spread_and_exactly_70_is(
    gateway, probe, weights, words
):
    for member, weight in zip(gateway.members, weights, strict=True):
        member["weight"] = weight
    gateway.answer = lambda n: completion((1, 1, 2, 1, 1, 3, 1, 1, 2, 1)[n % 10])
    outputs = gateway.outputs([(1, weight) for weight in weights], routing="weighted")
    result = probe("--max-requests", "400", outputs=outputs)
    assert result.code == 0
    assert result.verdict.startswith(f"{words}")
    assert ("[OK] Load balancing" in result.out) == (words == "balanced")


def test_equal_members_that_are_not_the_declared_ones_are_drift(gateway, probe):
    """Priority 7 and weight 9 on each member spread traffic, and are not what is declared."""
    for member in gateway.members:
        member.update(priority=7, weight=9)
    result = probe()
    assert result.code == 1
    assert "  ✓ pool equal: all backends have priority=7, weight=9\n" in result.out
    assert "  ✗ NOT AS DECLARED: foundry1 has priority 7, declared is 1, " in result.out
    assert "the pool is not as declared: foundry1 has priority 7, declared is 1" in result.verdict
    assert result.verdict.endswith(
        "set the priority of foundry1 to 1, set the weight of foundry1 "
        "to 1, set the priority of foundry2 to 1, set the weight of foundry2 to 1, set the "
        "priority of foundry3 to 1, set the weight of foundry3 to 1: `pulumi up --refresh` does it"
    )


def test_a_pool_that_differs_in_many_ways_is_told_in_few_words(gateway, probe):
    for member in gateway.members:
        member.update(priority=7, weight=9)
    gateway.members.append({"id": "/x/backends/foundry4"})
    result = probe()
    assert result.code == 1
    assert "foundry4 is in the pool and not declared, foundry4 has no priority" in result.verdict
    assert ", and 3 more; remove foundry4, " in result.verdict


def test_ids_are_compared_without_case_as_azure_does(gateway, probe):
    for member in gateway.members:
        member["id"] = member["id"].upper()
    assert probe().code == 0


@pytest.mark.parametrize("value", [1.0, 1])
def test_a_whole_number_is_the_same_however_azure_writes_it(gateway, probe, value):
    for member in gateway.members:
        member.update(priority=value, weight=value)
    result = probe()
    assert result.code == 0
    assert "priority=1, weight=1\n" in result.out


def test_a_missing_member_is_to_be_added_and_not_to_be_made_equal(gateway, probe):
    gateway.members.pop()
    result = probe()
    assert result.verdict.endswith("; add foundry3 to it: `pulumi up --refresh` does it")


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
            "foundry4 is in the pool and not declared",
        ),
        (lambda m: m.append(m[0]), "foundry1 is a member 2 times"),
        (lambda m: m[0].pop("priority"), "foundry1 has no priority"),
        (lambda m: m[1].update(weight=None), "foundry2 has no weight"),
        (lambda m: m.clear(), "no members"),
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


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "the answer is no JSON object"),
        (b"[]", "the answer is no JSON object"),
        (b"<html>", "the answer is no JSON object"),
        (b"{}", "the answer for inference-backend-pool holds no pool"),
        (b'{"properties": []}', "the answer for inference-backend-pool holds no pool"),
        (b'{"properties": {"pool": null}}', "the answer for inference-backend-pool holds no pool"),
        (b'{"properties": {"pool": {"services": "x"}}}', "inference-backend-pool holds no pool"),
    ],
)
def test_a_pool_answer_without_a_pool_is_unread(gateway, probe, body, problem):
    gateway.pool = lambda: Reply(body=body)
    result = probe()
    assert result.code == 3
    assert problem in result.verdict


def test_skipping_the_control_plane_reads_nothing_and_judges_the_traffic(gateway, probe):
    result = probe("--skip-control-plane")
    assert (result.code, gateway.reads) == (0, [])
    assert "  ? pool equal: not read\n" in result.out


def test_resource_manager_on_loopback_gets_a_token_as_azure_does(gateway, probe):
    probe()
    assert [read.headers["Authorization"] for read in gateway.reads] == [f"Bearer {TOKEN}"] * 2
    (asked,) = gateway.tokens
    assert "resource=https://management.azure.com" in unquote(asked.path)


def test_resource_manager_over_plain_http_elsewhere_is_never_asked(gateway, probe, monkeypatch):
    monkeypatch.setenv("ARM_ENDPOINT", "http://management.example")
    outputs = gateway.outputs(inference_url="https://apim-abc.invalid/inference")
    result = probe(outputs=outputs)
    assert result.code == 3
    assert "is no https URL" in result.verdict
    assert gateway.tokens == []


def test_a_token_that_resource_manager_refuses_leaves_the_pool_unread(gateway, probe):
    gateway.token = lambda: Reply(
        body=b'{"access_token": "of another tenant", "expires_on": "4102444800"}'
    )
    result = probe()
    assert result.code == 3
    assert "401: the token is refused; sign in to the right tenant with `az login`" in result.out


def test_a_request_is_the_shortest_chat_completion_with_the_key_in_api_key(gateway, probe):
    probe("--skip-control-plane")
    for seen in gateway.requests:
        assert seen.path == "/inference/openai/v1/chat/completions"
        headers = {name.lower(): value for name, value in seen.headers.items()}
        assert headers["api-key"] == KEY
        assert "cookie" not in headers
        body = json.loads(seen.body)
        assert (body["model"], body["max_completion_tokens"]) == ("chat", 16)
        assert "max_tokens" not in body


def test_cookies_of_the_gateway_are_not_kept(gateway, probe):
    gateway.answer = lambda n: completion(n % 3 + 1, **{"set-cookie": "affinity=foundry1"})
    assert probe("--concurrency", "1").code == 0
    assert not any("cookie" in map(str.lower, seen.headers) for seen in gateway.requests)


def test_a_proxy_in_the_environment_is_not_used_on_loopback(gateway, probe, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert probe("--skip-control-plane").code == 0


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


def throttled(n, *, statuses=(429,)):
    """A rotation of three behind the policy, which tries again elsewhere what foundry2 refuses."""
    if n % 3 == 1:
        return retried(3 if n % 2 else 1, (2, statuses[n % len(statuses)]))
    return completion(n % 3 + 1)


def test_a_region_that_throttles_behind_the_policy_is_degraded_and_never_silent(gateway, probe):
    gateway.answer = throttled
    result = probe()
    assert (result.code, len(gateway.requests)) == (1, 14)
    assert result.verdict.startswith(
        "not balanced: East US is degraded: it gave none of 14 answers where 33.3 % is expected "
        "(chance 0.34 %), and failed 5 attempts with 429; "
        "give East US more capacity: each attempt is throttled"
    )
    assert "  East US: 0 requests (0.0%), 5 attempts with 429 tried again elsewhere\n" in result.out
    assert " - Backend: foundry1 - attempts: 2 (before: foundry2 429)\n" in result.out


def test_a_region_that_fails_behind_the_policy_is_degraded_with_the_statuses_it_gave(
    gateway, probe
):
    gateway.answer = lambda n: throttled(n, statuses=(500, "none"))
    result = probe()
    assert result.code == 1
    assert "East US is degraded: " in result.verdict
    assert "and failed 5 attempts with 500, no answer; look at the health of East US" in (
        result.verdict.replace("no answer, 500", "500, no answer")
    )


def test_two_regions_that_throttle_accuse_the_third_of_nothing(gateway, probe):
    gateway.answer = lambda n: completion(1) if n % 3 == 0 else retried(1, (2, 429), (3, 429))
    result = probe()
    assert result.code == 1
    assert "East US is degraded" in result.verdict
    assert "Norway East is degraded" in result.verdict
    assert "UK South got" not in result.verdict
    assert "give East US and Norway East more capacity" in result.verdict


def test_a_region_that_is_partly_throttled_is_told_and_clears(gateway, probe):
    gateway.answer = lambda n: retried(1, (2, 429)) if n == 1 else completion(n % 3 + 1)
    result = probe()
    assert result.code == 0
    assert "%), 1 attempt with 429 tried again elsewhere\n" in result.out
    assert "  Retries: 1 answers came after another region had failed\n" in result.out


def test_retries_that_the_gateway_does_not_name_are_told_with_the_silent_region(gateway, probe):
    gateway.answer = lambda n: (
        completion(3, **{"x-backend-attempts": "2"}) if n % 3 == 1 else completion(n % 3 + 1)
    )
    result = probe()
    assert result.code == 1
    assert (
        "East US gave none of 14 answers where 33.3 % is expected (chance 0.34 %); 5 answers came "
        "after a retry that the gateway does not name"
    ) in result.verdict
    assert result.verdict.endswith("circuit breaker of East US, which probably refuses requests")


@pytest.mark.parametrize(
    ("header", "tried"),
    [
        ("foundry2-abc.openai.azure.com 429", (("foundry2", "429"),)),
        (
            "FOUNDRY2-abc.openai.azure.com 429,foundry3-abc.openai.azure.com none",
            (("foundry2", "429"), ("foundry3", "none")),
        ),
        ("foundry2-abc.openai.azure.com", ()),
        ("foundry2-abc.openai.azure.com 42", ()),
        ("foundry2-abc.openai.azure.com 4 29", ()),
        ("foundry2-abc.openai.azure.com \u0664\u0662\u0669", ()),
        ("elsewhere.example 429, foundry2-abc.openai.azure.com 503", (("foundry2", "503"),)),
        (",, ,", ()),
        ("foundry2-abc.openai.azure.com 429," * 10_000, (("foundry2", "429"),) * 100),
        ("x" * 1_000_000, ()),
    ],
)
def test_the_list_of_attempts_is_read_as_far_as_it_is_one(gateway, header, tried):
    outputs = contract.read(json.dumps(gateway.outputs()))
    assert interpretation.tried(outputs, header) == tried


def test_outputs_come_from_standard_input_and_the_script_runs_from_anywhere(gateway, tmp_path):
    run = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT), "--outputs", "-"],
        input=json.dumps(gateway.outputs()).encode(),
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONUTF8": "1"},
        check=False,
        timeout=30,
    )
    assert (run.returncode, run.stderr) == (0, b"")
    assert b"[OK] Load balancing test complete!" in run.stdout
    assert b"\x1b" not in run.stdout


def test_who_is_not_signed_in_to_azure_is_told_in_a_line(gateway, warm_probe, tmp_path):
    run = subprocess.run(
        [*warm_probe, "--outputs", "-"],
        input=json.dumps(gateway.outputs()).encode(),
        capture_output=True,
        cwd=tmp_path,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("AZURE_")},
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
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
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


@pytest.mark.parametrize("arguments", [["--skip-control-plane"], ["--help"], ["--json", "-"]])
def test_a_full_disk_is_one_line_and_no_trace(gateway, tmp_path, arguments):
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(gateway.outputs()))
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        run = subprocess.run(
            [sys.executable, SCRIPT, "--outputs", path, *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            # Without a buffer argparse overlooks the error itself.
            env={name: v for name, v in os.environ.items() if name != "PYTHONUNBUFFERED"},
            check=False,
            timeout=30,
        )
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1] == (
        b"distribution.py: error: output cannot be written: no space left on device"
    )
    assert b"Traceback" not in run.stderr
    assert b"Exception ignored" not in run.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--fail-fast"], "--fail-fast stops --watch SECONDS; give both"),
        (["--stack", "dev"], "--stack and --outputs name two stacks; give one of them"),
        (["--watch", "0"], "invalid number above 0 value: '0'"),
    ],
)
def test_flags_that_would_be_ignored_are_wrong_usage(gateway, probe, capsys, arguments, problem):
    try:
        result = probe(*arguments)
        code, told = result.code, result.err
    except SystemExit as ended:
        code, told = ended.code, capsys.readouterr().err
    assert code == 2
    assert problem in told
    assert not gateway.requests


def test_every_exit_code_is_told_by_help(capsys):
    with pytest.raises(SystemExit):
        distribution.main(["--help"])
    shown = capsys.readouterr().out
    for code, meaning in exit_codes.PROBE.items():
        assert f"  {code:<4} {meaning}\n" in shown


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
