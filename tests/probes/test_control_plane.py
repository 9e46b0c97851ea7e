"""What the probe reads back beside the first pool: the policy, further models' pools, the key."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fake_gateway import CLIENTS_ID, KEY, POLICY_ID, Reply, completion, refusal

EMBED = "inference-backend-pool-embed"


def further(weights=(1, 1, 1)) -> list[dict]:
    return [
        {"id": f"/x/backends/foundry{n}-embed", "priority": 1, "weight": weight}
        for n, weight in enumerate(weights, 1)
    ]


def test_a_policy_that_azure_lays_out_anew_is_as_declared(gateway, probe):
    gateway.policy_xml = (
        "<policies>\r\n\t<inbound>\r\n\t\t<base />\r\n\t\t"
        "<rewrite-uri\r\n template='/x' />\r\n\t</inbound>\r\n</policies>"
    )
    result = probe()
    assert result.code == 0
    assert "  ✓ policy: as declared\n" in result.out


def test_a_policy_that_somebody_changed_is_not_as_declared_in_any_report(gateway, probe, tmp_path):
    gateway.policy_xml = gateway.policy_xml.replace("/x", "/y")
    paths = {form: tmp_path / form for form in ("json", "junit", "markdown", "svg")}
    result = probe(*(flag for form, path in paths.items() for flag in (f"--{form}", str(path))))
    assert result.code == 1
    assert "  ✗ policy: NOT AS DECLARED\n" in result.out
    assert result.verdict == (
        "not balanced: the policy is not as declared; "
        "put the declared policy back: `pulumi up --refresh` does it"
    )
    report = json.loads(paths["json"].read_text("utf-8"))
    assert report["policy"]["id"] == POLICY_ID
    assert report["policy"]["live"] != report["policy"]["declared"]
    for path in paths.values():
        assert "policy" in path.read_text("utf-8")


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (refusal(403, "no"), "403: this identity may not read it"),
        (refusal(404, "no"), "404: there is no such resource"),
        (Reply(body=b"{}"), "the policy is no well-formed XML"),
        (Reply(body=b'{"properties": {"value": "<a>"}}'), "the policy is no well-formed XML"),
    ],
)
def test_a_policy_that_cannot_be_read_is_never_a_pass(gateway, probe, reply, problem):
    gateway.policy = lambda: reply
    result = probe()
    assert result.code == 3
    assert f"inconclusive: the policy could not be read: {problem}" in result.verdict


def test_a_stack_that_was_deployed_earlier_is_judged_by_its_pool(gateway, probe):
    outputs = gateway.outputs(pools=..., policy=..., subscription=...)
    result = probe(outputs=outputs)
    assert (result.code, len(gateway.reads)) == (0, 1)
    assert "policy" not in result.out


def test_every_models_pool_is_compared(gateway, probe, tmp_path):
    gateway.further[EMBED] = further()
    result = probe("--json", str(tmp_path / "json"))
    assert (result.code, len(gateway.reads)) == (0, 3)
    assert f"  ✓ pool {EMBED}: all backends have priority=1, weight=1\n" in result.out
    (embed,) = json.loads((tmp_path / "json").read_text("utf-8"))["further_pools"]
    assert [member["name"] for member in embed["members"]] == [
        "foundry1-embed",
        "foundry2-embed",
        "foundry3-embed",
    ]


def test_a_further_pool_that_differs_condemns_a_first_one_that_is_right(gateway, probe):
    gateway.further[EMBED] = further((1, 7, 1))
    result = probe()
    assert result.code == 1
    assert f"  ✗ pool {EMBED}: foundry2-embed has weight 7, declared is 1\n" in result.out
    assert result.verdict == (
        f"not balanced: the pool {EMBED} is not as declared: foundry2-embed has weight 7, declared "
        "is 1; set the weight of foundry2-embed to 1: `pulumi up --refresh` does it"
    )


def test_another_deployment_is_asked_for_by_its_name(gateway, probe):
    gateway.further[EMBED] = further()
    assert probe("--deployment", "embed").code == 0
    assert {json.loads(seen.body)["model"] for seen in gateway.requests} == {"embed"}


def test_a_deployment_that_the_stack_has_not_got_is_refused_with_those_it_has(gateway, probe):
    gateway.further[EMBED] = further()
    result = probe("--deployment", "chatt")
    assert (result.code, gateway.requests) == (2, [])
    assert "--deployment chatt: the stack has chat, embed\n" in result.err


def test_a_key_that_is_not_exported_is_looked_up_by_the_probes_own_identity(gateway, probe):
    result = probe(outputs=gateway.outputs(subscription_key=...))
    assert result.code == 0
    (asked,) = [seen for seen in gateway.reads if seen.method == "POST"]
    assert asked.path == f"{CLIENTS_ID}/listSecrets?api-version=2024-05-01"
    assert {dict(seen.headers).get("api-key") for seen in gateway.requests} == {KEY}


@pytest.mark.parametrize(
    ("reply", "code", "problem"),
    [
        (refusal(403, "no"), 2, "subscriptions/listSecrets/action"),
        (refusal(404, "no"), 2, "there is no such resource"),
        (refusal(503, "no"), 3, "try again later"),
        (Reply(body=b"{}"), 3, "the answer has no key"),
    ],
)
def test_a_key_that_cannot_be_looked_up_is_told_and_nothing_is_sent(
    gateway, probe, reply, code, problem
):
    gateway.secrets = reply
    result = probe(outputs=gateway.outputs(subscription_key=...))
    assert (result.code, result.out, gateway.requests) == (code, "", [])
    assert "the key is none of them, and looking it up failed: " in result.err
    assert problem in result.err
    assert result.err.count("\n") == 1


def test_a_400_that_a_region_answered_proves_the_route(gateway, probe):
    too_few = "Could not finish the message because max_tokens or model output limit was reached."
    gateway.answer = lambda n: refusal(400, too_few, backend=n % 3 + 1)
    result = probe()
    assert (result.code, len(gateway.requests)) == (0, 12)
    assert f" - answered: 400 {too_few} - Region: UK South - Backend: foundry1\n" in result.out


def test_a_400_of_the_gateway_itself_is_no_answer(gateway, probe):
    gateway.answer = lambda _n: refusal(400, "Bad request")
    result = probe()
    assert result.code == 3
    assert "does deployment chat take such a request?" in result.verdict


DENIED = refusal(401, "Principal does not have access to API/Operation.", backend=2)
MISSING = Reply(
    status=404,
    body=b'{"error": {"code": "DeploymentNotFound", "message": "It does not exist."}}',
    headers={"x-backend-host": "foundry3-abc.openai.azure.com"},
)
RETRIED = completion(
    1,
    **{"x-backend-attempts": "2", "x-backend-tried": "foundry2-abc.openai.azure.com 403"},
)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (DENIED, "foundry2 answers 401 Principal does not have access to API/Operation"),
        (MISSING, "foundry3 answers 404 It does not exist"),
        (RETRIED, "foundry2 answers 403"),
    ],
)
def test_a_stack_that_is_not_ready_is_asked_again_and_judged_by_fresh_counts(
    gateway, probe, reply, why
):
    gateway.answer = lambda n: reply if n < 7 else completion(n % 3 + 1)
    result = probe("--wait-ready", "1s", "--concurrency", "3")
    assert result.code == 0
    assert f"[INFO] Not ready: {why}; asking for 1 s more\n" in result.out
    assert result.out.count("Not ready") == 1
    assert result.out.count("\nRequest ") == 12
    assert "of 12 answers, as round robin" in result.verdict


def test_a_stack_that_never_gets_ready_is_judged_once_its_time_is_over(gateway, probe):
    gateway.answer = lambda _n: DENIED
    result = probe("--wait-ready", "0.05s")
    assert result.code == 3
    assert "give the gateway's identity the role Cognitive Services OpenAI User" in result.verdict


def test_ctrl_c_ends_a_wait_at_once(gateway, tmp_path):
    gateway.answer = lambda _n: DENIED
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(gateway.outputs()))
    process = subprocess.Popen(
        [sys.executable, "probes/distribution.py", "--outputs", str(path), "--wait-ready", "35m"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    seen = iter(process.stdout.readline, b"")
    assert any(b"; asking for 35 min more" in line for line in seen)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, b"")
    assert b"interrupted" in out


def test_no_other_trouble_is_waited_for(gateway, probe):
    gateway.answer = lambda _n: refusal(401, "wrong key")
    result = probe("--wait-ready", "1h")
    assert result.code == 3
    assert "Not ready" not in result.out


@pytest.mark.parametrize("time", ["35", "35x", "0m", "-1s", "m", ""])
def test_a_time_to_wait_is_a_number_with_a_unit(probe, capsys, time):
    if time == "35":
        assert probe("--wait-ready", time).code == 0
        return
    with pytest.raises(SystemExit):
        probe(f"--wait-ready={time}")
    assert "invalid number above 0 value" in capsys.readouterr().err


def test_waiting_is_for_one_run(probe, capsys):
    with pytest.raises(SystemExit):
        probe("--wait-ready", "35m", "--watch", "60")
    assert "--wait-ready is for a first run" in capsys.readouterr().err
