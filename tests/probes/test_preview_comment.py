"""The comment on a preview: what it says first, what it never guesses, and how it is posted."""

import json
import re
from pathlib import Path

import pytest
from fake_github import GitHub
from hypothesis import given
from hypothesis import strategies as st

from probes import preview_comment
from probes.forms.markdown_text import escape
from probes.preview.comment import LIMIT, MARKER
from probes.preview.model import SECRET, UNKNOWN

PREVIEWS = Path(__file__).with_name("previews")
TOKEN = "ghs_never-shown"


def step(members, *, before=None, op="update", name="pool"):
    def state(values):
        services = [
            {"id": f"/x/backends/{each[0]}", "priority": each[1], "weight": each[2]}
            for each in values
        ]
        kind = "azure-native:apimanagement/v20240501:Backend"
        return {"type": kind, "inputs": {"type": "Pool", "pool": {"services": services}}}

    return {
        "op": op,
        "urn": f"urn:pulumi:dev::p::azure-native:apimanagement:Backend::{name}",
        "newState": state(members) if members is not None else None,
        "oldState": state(before) if before is not None else None,
    }


def preview(*steps, **more):
    return {"steps": list(steps), "changeSummary": {"update": len(steps)}, **more}


ROUND = [("foundry1", 1, 1), ("foundry2", 1, 1), ("foundry3", 1, 1)]
INCIDENT = [("foundry1", 1, 100), ("foundry2", 2, 50), ("foundry3", 2, 50)]


@pytest.fixture
def comment(tmp_path, capsys):
    def run(document, *flags):
        path = tmp_path / "preview.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
        code = preview_comment.main([str(path), *flags])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


def first(text: str) -> str:
    """The first line that a reader sees."""
    return text.splitlines()[1]


@pytest.mark.parametrize(
    ("file", "code", "said"),
    [
        ("first-deploy", 0, "Round robin, 33\\.3 % of traffic to each region"),
        ("no-changes-show-sames", 0, "Round robin, 33\\.3 % of traffic to each region"),
        ("pool-update", 0, "Round robin, 33\\.3 % of traffic to each region"),
        ("policy-violation", 3, "The preview failed: where traffic would go cannot be told"),
        ("program-error", 3, "The preview failed: where traffic would go cannot be told"),
        ("secret-weight", 3, "Where traffic would go cannot be told"),
    ],
)
def test_the_engines_own_previews(comment, file, code, said):
    found, text, _ = comment((PREVIEWS / f"{file}.json").read_text("utf-8"))
    assert text.startswith(f"{MARKER}\n### ")
    assert said in first(text)
    assert found == code


def test_the_engine_s_words_are_told_of_a_program_that_failed(comment):
    _, text, _ = comment((PREVIEWS / "program-error.json").read_text("utf-8"))
    assert "RuntimeError: boom" in text


def test_a_secret_weight_is_named_and_not_guessed(comment):
    code, text, _ = comment(preview(step([("foundry1", 1, SECRET), ("foundry2", 1, 1)])))
    assert code == 3
    assert "- weight of foundry1 is secret" in text
    code, text, _ = comment(preview(step([("foundry1", UNKNOWN, 1), ("foundry2", 1, None)])))
    assert code == 3
    assert "- priority of foundry1 is not known yet" in text
    assert "- weight of foundry2 is not set" in text


def test_the_incident_is_the_first_line_and_the_table_shows_before_and_after(comment):
    code, text, _ = comment(preview(step(INCIDENT, before=ROUND)))
    assert code == 1
    assert first(text) == "### ❌ 100 % of traffic to foundry1"
    assert f"| foundry1 | 1 / 1 | 33.3 % | 1 / 100 | 100.0 % | `{'█' * 20}` |" in text
    assert f"| foundry2 | 1 / 1 | 33.3 % | 2 / 50 | 0.0 % | `{'░' * 20}` |" in text


def test_what_the_stack_declares_is_no_mistake_unless_round_robin_is_expected(comment):
    declared = preview(step(INCIDENT), config={"openai-gateway:routing": "priority"})
    code, text, _ = comment(declared)
    assert code == 0
    assert first(text) == "### ✅ 100 % of traffic to foundry1 \\(declared: routing is priority\\)"
    assert comment(declared, "--expect", "round-robin")[0] == 1


def test_unequal_weights_name_every_share(comment):
    code, text, _ = comment(preview(step([("a", 1, 2), ("b", 1, 1), ("c", 1, 1)])))
    assert code == 1
    assert "Unequal traffic: a 50\\.0 %, b 25\\.0 %, c 25\\.0 %" in first(text)


def test_a_region_s_name_comes_from_its_account(comment):
    account = {
        "op": "same",
        "urn": "urn:pulumi:dev::p::azure-native:cognitiveservices:Account::foundry1",
        "newState": {
            "type": "azure-native:cognitiveservices:Account",
            "inputs": {"location": "uksouth"},
        },
    }
    assert "100 % of traffic to UK South" in comment(preview(account, step(INCIDENT)))[1]


def test_ids_that_are_unknown_are_named_by_the_program_s_forecast(comment):
    pool = step(INCIDENT)
    for service in pool["newState"]["inputs"]["pool"]["services"]:
        service["id"] = UNKNOWN
    forecast = "warning: Expected traffic: UK South 100.0 %, East US 0.0 %, Norway East 0.0 % (not "
    said = [{"severity": "warning", "message": f"{forecast}round robin: because)\n"}]
    assert "100 % of traffic to UK South" in first(comment(preview(pool, diagnostics=said))[1])
    assert "100 % of traffic to member 1" in first(comment(preview(pool))[1])


def test_a_pool_that_goes_away_is_unbalanced_and_no_pool_cannot_be_told(comment):
    code, text, _ = comment(preview(step(None, before=ROUND, op="delete")))
    assert (code, "would be gone" in first(text)) == (1, True)
    assert comment(preview(step([])))[0] == 1
    other = {"op": "create", "urn": "a::b", "newState": {"type": "x:y:Z"}}
    code, text, _ = comment(preview(other))
    assert (code, "has no pool" in first(text)) == (3, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nothing: it is empty"),
        ("error: no stack selected", "no JSON: it begins with 'error: no stack selected'"),
        ("[]", "JSON, but no preview"),
        ("{}", "JSON, but no preview"),
        ("[" * 100_000, "no JSON"),
        ('{"steps": []}', "--show-sames"),
    ],
)
def test_what_is_no_preview_is_said_as_such(comment, text, said):
    code, out, _ = comment(text)
    assert code == 3
    assert said in out.replace("\\", "")


def test_wrong_usage_is_exit_2(capsys, comment):
    for arguments in ([], ["--run", "x"], ["x", "--expect", "all"]):
        with pytest.raises(SystemExit) as caught:
            preview_comment.main(arguments)
        assert caught.value.code == 2
    assert preview_comment.main(["/nowhere/preview.json"]) == 2
    assert "/nowhere/preview.json: no such file or directory" in capsys.readouterr().err


def test_a_long_comment_is_cut_between_lines_and_stays_whole_markdown(comment):
    changes = [
        {"op": "create", "urn": f"urn::{'n' * 300}{index}", "newState": {"type": "a:b:C"}}
        for index in range(2_000)
    ]
    code, text, _ = comment(preview(step(ROUND), *changes))
    assert code == 0
    assert len(text) <= LIMIT
    assert text.count("<details>") == text.count("</details>") == 1
    assert re.search(r"\*\d+ lines are left out", text)
    assert all(line.endswith("|") for line in text.splitlines() if line.startswith("| + "))


HOSTILE = st.text(alphabet=st.sampled_from("ab|`<>&@#[](){}*_!\\\n\r\u202e~-.$1"), max_size=30)


@given(HOSTILE)
def test_no_name_leaves_its_cell(name):
    text = escape(name)
    assert not re.search(r"[|<>@#\n\r\u202e]", re.sub(r"&#\d+;", "", text))
    # Every character that means something is preceded by a backslash of ours.
    assert not re.search(r"(?<!\\)[`*_\[\](){}!~$]", re.sub(r"\\\\", "", text))


@pytest.fixture
def github(monkeypatch):
    github = GitHub()
    for name, value in {
        "GITHUB_API_URL": github.url,
        "GITHUB_REPOSITORY": "team/gateway",
        "GITHUB_TOKEN": TOKEN,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GITHUB_EVENT_PATH", raising=False)
    monkeypatch.setattr("probes.preview.github.PAUSE", 0.001)
    yield github
    github.close()


def test_a_second_run_changes_its_own_comment_on_whichever_page_it_is(github, comment):
    code, _, err = comment(preview(step(INCIDENT)), "--post", "--pull-request", "7")
    assert code == 1
    assert err == "comment: https://example/99\n"
    assert comment(preview(step(ROUND)), "--post", "--pull-request", "7")[0] == 0
    own = [each["body"] for each in github.comments if each["body"].startswith(MARKER)]
    assert len(own) == 1
    assert "Round robin" in own[0]
    assert {authorization for *_, authorization in github.seen} == {f"Bearer {TOKEN}"}


def test_the_pull_request_is_the_event_s(github, comment, tmp_path, monkeypatch):
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 12}}), "utf-8")
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(event))
    comment(preview(step(ROUND)), "--post")
    assert "/repos/team/gateway/issues/12/comments" in github.seen[-1][1]


def test_a_busy_github_is_asked_again_and_a_refusal_is_one_line(github, comment):
    github.failures = [503, 502]
    assert comment(preview(step(ROUND)), "--post", "--pull-request", "7")[0] == 0
    github.failures = [403]
    code, _, err = comment(preview(step(ROUND)), "--post", "--pull-request", "7")
    assert code == 2
    assert "GitHub answers 403 to GET /repos/team/gateway/issues/7/comments: no" in err
    assert TOKEN not in err
    assert err.count("\n") == 1


def test_posting_without_what_it_needs_says_so(comment, monkeypatch):
    for name in ("GITHUB_TOKEN", "GITHUB_REPOSITORY", "GITHUB_EVENT_PATH"):
        monkeypatch.delenv(name, raising=False)
    code, _, err = comment(preview(step(ROUND)), "--post")
    assert code == 2
    assert err == "error: --post: GITHUB_TOKEN and GITHUB_REPOSITORY must be set\n"
