"""The verdict from the gateway's logs: the live probe's, and nothing is sent."""

import json
import random
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from fake_gateway import SERVICE, TOKEN, Reply, as_json, completion
from jsonschema import validate
from log_analytics import WORKSPACE, LogAnalytics, Row

from benchmarks.verdicts import CASES, replay_of_log

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "probes" / "report.schema.json").read_text("utf-8"))


@pytest.fixture
def logs(gateway) -> LogAnalytics:
    return LogAnalytics(gateway)


@pytest.fixture
def judge(gateway, logs, probe):
    """Judge rows of the log, as `probe --from-logs` does."""

    def run(rows, *arguments, window="24h", **outputs):
        logs.table.fill(rows)
        document = gateway.outputs(workspace=WORKSPACE, **outputs)
        return probe("--from-logs", window, *arguments, outputs=document)

    return run


def spread(number: int, *backends: int, **more: object) -> list[Row]:
    backends = backends or (1, 2, 3)
    return [Row(backends[n % len(backends)], **more) for n in range(number)]


def test_spread_traffic_is_balanced_and_nothing_is_sent(judge, logs):
    result = judge(spread(60))
    assert result.code == 0
    assert logs.sent == []
    assert logs.asked == ["PT86400.0S"]
    assert logs.tokens == {f"Bearer {TOKEN}"}
    assert "[INFO] The gateway's log of the last 24h; no request is sent\n" in result.out
    assert "  East US: 20 requests (33.3%), 0.25s on average\n" in result.out
    assert "Average response time: 0.25s\n" in result.out
    assert "  Spent: nothing; these 60 requests are those of the last 24h\n" in result.out
    assert result.verdict.startswith("balanced: UK South 33.3 %, East US 33.3 %")


def test_the_incident_is_condemned_and_what_is_silent_named(judge):
    result = judge(spread(40, 1))
    assert result.code == 1
    assert "East US gave none of 40 answers where 33.3 % is expected" in result.verdict
    assert "Norway East gave none" in result.verdict


def test_the_pool_is_read_as_ever(judge, gateway):
    gateway.members[1]["priority"] = 2
    result = judge(spread(60))
    assert result.code == 1
    assert "the pool is not as declared: foundry2 has priority 2" in result.verdict
    assert judge(spread(60), "--skip-control-plane").code == 0


def test_too_few_requests_are_inconclusive_and_the_next_step_is_a_longer_window(judge):
    result = judge(spread(6), window="1h")
    assert result.code == 3
    assert "6 answers of too little evidence for any share" in result.verdict
    assert "read more of the log with --from-logs 24h" in result.verdict
    assert "--from-logs" in judge(spread(6), window="7d").verdict


def test_an_empty_log_is_inconclusive(judge):
    result = judge([])
    assert result.code == 3
    assert "no answer proves any share, the log of the last 24h has none" in result.verdict


def test_only_requests_of_the_window_and_of_the_inference_api_count(judge):
    rows = [*spread(30), *spread(30, 1, hours_ago=2), *spread(30, 1, api="other")]
    assert "  UK South: 10 requests" in judge(rows, window="1h").out
    assert "  UK South: 40 requests" in judge(rows, window="24h").out


def test_the_log_of_another_service_is_another_services(gateway, logs, probe):
    logs.table.fill(spread(60), service=f"{SERVICE}2")
    result = probe("--from-logs", "24h", outputs=gateway.outputs(workspace=WORKSPACE))
    assert (result.code, "no answer proves any share" in result.verdict) == (3, True)


def test_refusals_are_told_and_make_no_region_silent(judge, tmp_path):
    rows = [*spread(60, 1, 2), *spread(20, 3, status=429), *spread(5, 3, status=503)]
    result = judge(rows, "--json", str(tmp_path / "json"))
    assert result.code == 3
    assert "Norway East only throttled" in result.verdict
    assert "  Norway East: 0 requests (0.0%), 5 failed, 20 throttled\n" in result.out
    requests = json.loads((tmp_path / "json").read_text("utf-8"))["requests"]
    assert (requests["total"], requests["throttled"], requests["failed"]) == (85, 20, 5)


def test_retries_are_told_as_the_header_in_the_log_has_them(judge):
    result = judge([*spread(40, 1, 2), *spread(20, 1, 2, attempts=2)])
    assert result.code == 1
    assert "  Retries: 20 answers came after another region had failed\n" in result.out
    assert "20 answers came after a retry that the gateway does not name" in result.verdict
    assert "which probably refuses requests" in result.verdict


def incident(began: int = 4) -> list[Row]:
    """Traffic of ten hours, of which the last ones had one region alone."""
    hours = range(9, -1, -1)
    return [
        row
        for hour in hours
        for row in spread(30, *((1,) if hour < began else ()), hours_ago=hour + 0.25)
    ]


def test_by_hour_the_incident_has_the_hour_it_began(judge, tmp_path):
    paths = {form: tmp_path / form for form in ("json", "markdown", "picture")}
    flags = (flag for form, path in paths.items() for flag in (f"--{form}", str(path)))
    result = judge(incident(), "--by", "hour", *flags)
    lines = result.out.splitlines()
    assert "2026-11-25 11:00       30     33.3%    33.3%        33.3%" in lines
    assert "2026-11-25 12:00       30    100.0%        -            -" in lines
    told = "East US is silent since 2026-11-25 12:00 UTC: none of 120 answers"
    assert f"✗ {told}" in lines
    assert "✗ UK South" not in result.out
    document = json.loads(paths["json"].read_text("utf-8"))
    validate(document, SCHEMA)
    assert document["by_hour"]["silent_since"] == {
        "foundry2": "2026-11-25T12:00:00+00:00",
        "foundry3": "2026-11-25T12:00:00+00:00",
    }
    assert document["by_hour"]["hours"][0]["answered"] == {
        "foundry1": 10,
        "foundry2": 10,
        "foundry3": 10,
    }
    assert "East US is silent since" in paths["markdown"].read_text("utf-8")
    picture = paths["picture"].read_text("utf-8")
    ET.fromstring(picture)
    assert told in picture
    assert picture.count('class="over"') == 2 * 4 + 1  # hours of two regions, and the legend
    assert "2026-11-25 12:00: 0 of 30 answers" in picture


def test_a_region_that_is_back_is_not_called_silent(judge):
    rows = [*incident(), *spread(30, hours_ago=0)]
    assert "is silent since" not in judge(rows, "--by", "hour").out


def test_few_answers_without_a_region_prove_no_silence(judge):
    rows = [*spread(60, hours_ago=2), *spread(8, 1, 2)]
    assert "is silent since" not in judge(rows, "--by", "hour").out


def test_a_region_that_refuses_is_not_called_silent(judge):
    rows = [*spread(60, 1, 2), *spread(3, 3, status=429)]
    assert "is silent since" not in judge(rows, "--by", "hour").out


def test_a_region_that_never_answered_is_silent_since_the_log_begins(judge):
    rows = [*spread(30, 1, 2, hours_ago=5), *spread(30, 1, 2)]
    since = "Norway East is silent since 2026-11-25 10:00 UTC or longer: none of 60 answers"
    assert since in judge(rows, "--by", "hour").out


def test_every_form_has_the_verdict(judge, tmp_path):
    forms = ("json", "junit", "markdown", "svg")
    flags = [flag for form in forms for flag in (f"--{form}", str(tmp_path / form))]
    assert judge(spread(60), *flags).code == 0
    document = json.loads((tmp_path / "json").read_text("utf-8"))
    validate(document, SCHEMA)
    assert (document["source"]["log"], document["tokens"], document["by_hour"]) == ("24h", 0, None)
    assert document["by_backend"]["foundry1"]["latency"] == {"average": 0.25}
    assert ET.parse(tmp_path / "junit").getroot().get("failures") == "0"
    assert "| 20 | 33.3 % | 33.3 % |" in (tmp_path / "markdown").read_text("utf-8")
    assert "Requests over time" not in (tmp_path / "svg").read_text("utf-8")
    assert judge(spread(60), "--quiet").out.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--max-requests", "9"), "--max-requests is for requests"),
        (("--concurrency", "9"), "--concurrency is for requests"),
        (("--wait-ready", "9"), "--wait-ready is for requests"),
        (("--watch", "9"), "--watch is for requests"),
        (("--zero-tokens",), "--zero-tokens is for requests"),
        (("--fail-fast",), "--fail-fast is for requests"),
        (("--deployment", "chat"), "--deployment is for requests"),
        (("--picture", "x.svg"), "give --by hour as well"),
        (("--picture", "/nowhere/x.svg", "--by", "hour"), "--picture /nowhere/x.svg: the folder"),
    ],
)
def test_what_makes_no_sense_with_a_log_is_refused(judge, logs, capsys, arguments, told):
    try:
        result = judge([], *arguments)
    except SystemExit as end:
        assert (end.code, told in capsys.readouterr().err) == (2, True)
    else:
        assert (result.code, told in result.err) == (2, True)
    assert logs.asked == []


@pytest.mark.parametrize("arguments", [("--by", "hour"), ("--picture", "x.svg")])
def test_hours_without_a_log_are_refused(probe, gateway, capsys, arguments):
    with pytest.raises(SystemExit) as end:
        probe(*arguments)
    assert end.value.code == 2
    assert "give --from-logs as well" in capsys.readouterr().err
    assert gateway.requests == []


def test_a_stack_that_logs_nowhere_is_told_how_to(gateway, probe):
    result = probe("--from-logs", "24h", outputs=gateway.outputs())
    assert (result.code, gateway.requests) == (2, [])
    assert "no `workspace`" in result.err
    assert "set openai-gateway:monitoring and run `pulumi up`" in result.err
    assert result.err.count("\n") == 1


def test_no_key_is_looked_up(judge, gateway):
    assert judge(spread(60), subscription_key=...).code == 0
    assert not [seen for seen in gateway.reads if seen.method == "POST"]


def error(status: int, code: str, message: str, **inner: object) -> Reply:
    reply = as_json({"error": {"code": code, "message": message, **inner}})
    reply.status, reply.headers["content-type"] = status, "application/json"
    return reply


# As Azure answers it (CDCgov/prime-reportstream#11773).
NO_TABLE = {
    "code": "SemanticError",
    "message": "A semantic error occurred.",
    "innererror": {
        "code": "SEM0100",
        "message": "'where' operator: Failed to resolve table or column expression named "
        "'ApiManagementGatewayLogs'",
    },
}


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (error(403, "InsufficientAccessError", "no"), "give it the role Log Analytics Reader"),
        (error(401, "InvalidTokenError", "no"), "`az login`"),
        (error(404, "WorkspaceNotFoundError", "no"), "there is no such workspace"),
        (error(400, "BadArgumentError", "no", innererror=NO_TABLE), "may take up to 2 hours"),
        (error(503, "ServiceUnavailable", "no"), "503 ServiceUnavailable: try again later"),
        (as_json({"tables": []}), "answers with no table of counts"),
        (as_json([1]), "answers with no table of counts"),
        (Reply(raw=b""), "does not answer"),
    ],
)
def test_a_log_that_cannot_be_read_is_never_a_pass(judge, logs, refusal, told):
    refusal.headers.setdefault("content-type", "application/json")
    logs.refusal = refusal
    result = judge(spread(60))
    assert result.code == 3
    assert told in result.err
    assert "the logs in log-abc: " in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        (as_json({}), "names no https URL to read them at"),
        (as_json({"logAnalyticsResourceId": "http://logs.example"}), "names no https URL"),
        (Reply(status=503, body=b"{}"), "where they are is not known"),
    ],
)
def test_where_the_logs_are_must_be_known_and_private(judge, logs, metadata, told):
    logs.metadata = metadata
    result = judge(spread(60))
    assert (result.code, logs.asked) == (3, [])
    assert told in result.err


def test_the_verdict_is_the_live_probes_on_the_same_traffic(judge, gateway, probe):
    """What a live run was answered, as rows: each case through both."""
    for backends in ((1, 2, 3), (1,), (1, 2)):
        gateway.requests.clear()
        logs = LogAnalytics(gateway)
        logs._other = lambda n, backends=backends: completion(backends[n % len(backends)])
        live = probe(outputs=gateway.outputs())
        rows = spread(len(logs.sent), *backends)
        logs.table.fill(rows)
        logged = probe("--from-logs", "1h", outputs=gateway.outputs(workspace=WORKSPACE))
        assert (live.code, live.verdict) == (logged.code, logged.verdict)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_whole_log_is_judged_as_the_verdict_table_says(case):
    rng = random.Random(case.name)
    verdicts = [replay_of_log(case, rng, length) for length in (500, 500, 500, 5000)]
    assert verdicts.count(case.right) >= 3
    assert set(verdicts) <= {case.right, "inconclusive"}


def test_help_and_a_live_run_load_nothing_of_the_logs():
    loaded = (
        "import sys; from probes import distribution, session\n"
        "print([m for m in sys.modules if m in ('probes.logs', 'azure.monitor', 'duckdb')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert done.stdout == "[]\n"
