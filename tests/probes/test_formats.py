"""Every form of a report: valid, whole, and without the key."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest
from fake_gateway import KEY, completion, refusal
from hypothesis import given
from hypothesis import strategies as st

from probes.formats import svg_format
from probes.tally import Answer

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "probes" / "report.schema.json").read_text(encoding="utf-8")
)
VALID = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


@pytest.fixture(autouse=True)
def no_summary(monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def balanced(_gateway):
    pass


def imbalanced(gateway):
    gateway.answer = lambda _n: completion(2)
    gateway.members[0]["priority"] = None


def inconclusive(gateway):
    gateway.answer = lambda _n: refusal(401, f"no <b> | {KEY}")
    gateway.pool = lambda: refusal(403, KEY)


RUNS = {balanced: 0, imbalanced: 1, inconclusive: 3}


@pytest.mark.parametrize("prepare", RUNS)
def test_one_run_writes_every_form_and_each_says_the_same(gateway, probe, tmp_path, prepare):
    prepare(gateway)
    paths = {form: tmp_path / form for form in ("json", "junit", "markdown", "svg")}
    flags = [flag for form, path in paths.items() for flag in (f"--{form}", str(path))]
    result = probe(*flags)
    assert result.code == RUNS[prepare]
    for path in paths.values():
        assert KEY not in path.read_text(encoding="utf-8")

    report = json.loads(paths["json"].read_text(encoding="utf-8"))
    VALID.validate(report)
    assert report["verdict"] == prepare.__name__
    for reason in report["reasons"]:
        assert reason in result.verdict

    suite = ET.parse(paths["junit"]).getroot()
    cases = suite.findall("testcase")
    assert int(suite.get("tests")) == len(cases) == len(report["criteria"]) + 1
    assert bool(int(suite.get("failures"))) == (prepare is imbalanced)
    assert bool(int(suite.get("errors"))) == (prepare is inconclusive)

    markdown = paths["markdown"].read_text(encoding="utf-8")
    assert markdown.startswith("### Traffic")
    assert "| East US | foundry2 |" in markdown
    assert "<b>" not in markdown.replace("\\<b>", "")

    picture = ET.parse(paths["svg"]).getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(picture.findall(".//{*}rect[@class='track']")) == 3
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_json_counts_shares_latency_and_tokens(gateway, probe, tmp_path):
    probe("--json", str(tmp_path / "report.json"))
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["requests"] == {
        "total": 12,
        "at_most": 64,
        "retried": 0,
        "answered": 12,
        "throttled": 0,
        "failed": 0,
        "denied": 0,
        "unattributed": 0,
    }
    assert report["tokens"] == 12 * 20
    backend = report["by_backend"]["foundry3"]
    assert (backend["count"], backend["share"], backend["expected_share"]) == (4, 0.3333, 0.3333)
    assert 0 < backend["latency"]["p50"] <= backend["latency"]["p95"]
    assert report["pool"]["members"][2] == {"name": "foundry3", "priority": 1, "weight": 1}
    assert {e["suspicion"] for e in report["evidence"]} == {"excess", "silence"}


def test_json_on_standard_output_is_alone_there(probe):
    result = probe("--json", "-")
    VALID.validate(json.loads(result.out))
    assert "[OK] Load balancing test complete!" in result.err


def test_quiet_prints_the_verdict_alone(probe):
    assert probe("--quiet").out.count("\n") == 1
    result = probe("--quiet", "--json", "-")
    assert json.loads(result.out)["verdict"] == "balanced"
    assert result.err.startswith("balanced: ")


def test_markdown_is_appended_to_the_job_summary(probe, tmp_path, monkeypatch):
    summary = tmp_path / "summary"
    summary.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    probe("--markdown", str(tmp_path / "report.md"))
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert summary.read_text(encoding="utf-8") == f"before\n{report}"


@pytest.mark.parametrize("form", ["json", "junit", "markdown", "svg"])
def test_a_file_that_cannot_be_written_is_refused_before_any_request(
    gateway, probe, tmp_path, form
):
    result = probe(f"--{form}", str(tmp_path / "none" / "report"))
    assert result.code == 2
    assert "is missing or not writable" in result.err
    assert probe(f"--{form}", str(tmp_path)).code == 2
    assert not gateway.requests


def test_zero_tokens_lists_models_through_the_same_api(gateway, probe):
    result = probe("--zero-tokens")
    assert result.code == 0
    assert {(seen.method, seen.path) for seen in gateway.requests} == {
        ("GET", "/inference/openai/v1/models")
    }
    assert "[INFO] At most 64 requests and no tokens" in result.out


def test_a_file_that_cannot_be_replaced_is_told_and_leaves_nothing_behind(gateway, probe, tmp_path):
    target = tmp_path / "report.json"

    def in_the_way(n):
        target.mkdir(exist_ok=True)
        return completion(n % 3 + 1)

    gateway.answer = in_the_way
    result = probe("--json", str(target))
    assert result.code == 2
    assert f"{target} cannot be written: is a directory" in result.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outputs.json", "report.json"]


def test_a_job_summary_that_cannot_be_written_is_told(probe, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    result = probe("--markdown", str(tmp_path / "report.md"))
    assert result.code == 2
    assert "cannot be written: is a directory" in result.err


TIMES = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=1, max_size=20)


@given(TIMES)
def test_requests_that_are_under_way_at_once_have_a_lane_each_and_no_lane_is_wasted(times):
    answers = [
        Answer(outcome="answered", detail="", started=begin, seconds=seconds)
        for begin, seconds in sorted(times)
    ]
    lanes = svg_format._lanes(answers)
    under_way = [
        [lane for lane, each in zip(lanes, answers, strict=True) if each.started <= now < end(each)]
        for now in range(40)
    ]
    assert all(len(at_once) == len(set(at_once)) for at_once in under_way)
    assert max(lanes) + 1 == max(map(len, under_way))


def end(answer):
    return answer.started + answer.seconds
