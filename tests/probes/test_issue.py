"""The one issue of a stack: opened while it is not proved, kept up to date, closed when it is."""

import pytest
from fake_github import REPOSITORY, GitHub

from probes import issue

TOKEN = "ghs_never-shown"
BOT = {"login": "github-actions[bot]", "type": "Bot"}
MARKER = "<!-- openai-gateway: issue of stack prod -->"


@pytest.fixture
def github(monkeypatch):
    github = GitHub()
    variables = {
        "API_URL": github.url,
        "REPOSITORY": REPOSITORY,
        "TOKEN": TOKEN,
        "SERVER_URL": "https://github.example",
        "RUN_ID": "77",
        "SHA": "c" * 40,
        "WORKFLOW": "drift",
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    monkeypatch.setattr("probes.github.PAUSE", 0.001)
    yield github
    github.close()


@pytest.fixture
def ended(github, capsys):
    def ended(result, *reports, stack="prod"):
        code = issue.main(["--stack", stack, "--result", result, *map(str, reports)])
        out, err = capsys.readouterr()
        assert TOKEN not in out + err
        return code, out + err

    return ended


@pytest.fixture
def report(tmp_path):
    path = tmp_path / "drift.md"
    path.write_text("- Changed in Azure: pool (Backend): services[1].priority\n", encoding="utf-8")
    return path


def test_one_issue_is_opened_brought_up_to_date_and_closed(github, ended, report):
    assert ended("failure", report) == (0, "issue: 20 is new\n")
    (made,) = github.issues
    assert made["title"] == "Stack prod: not as declared, or not proved"
    run = "https://github.example/team/gateway/actions/runs/77"
    assert made["body"].splitlines()[:2] == [
        MARKER,
        f"[drift]({run}) at `ccccccc` ended in failure, without the proof: stack `prod`.",
    ]
    assert "pool (Backend): services[1].priority" in made["body"]
    report.write_text("- Changed in Azure: another\n", encoding="utf-8")
    assert ended("cancelled", report) == (0, "issue: 20 has the newest report\n")
    assert len(github.issues) == 1
    assert "another" in made["body"]
    assert "services[1]" not in made["body"]
    assert ended("success", report) == (0, "issue: 20 is closed\n")
    assert (made["state"], made["state_reason"]) == ("closed", "completed")
    assert "proved that it is as declared" in github.comments[-1]["body"]
    written = len(github.written)
    assert ended("success") == (0, "issue: none is open, and all is well\n")
    assert len(github.written) == written
    assert ended("failure", report)[1] == "issue: 21 is new\n"  # what is closed is over


@pytest.mark.parametrize(
    "other",
    [
        {"body": f"{MARKER}\nmine", "user": {"login": "someone", "type": "User"}},
        {"body": "<!-- openai-gateway: issue of stack dev -->", "user": BOT},
        {"body": None, "user": BOT},
        {"body": f"seen: {MARKER}", "user": BOT},
    ],
)
def test_what_is_another_s_is_left_alone(github, ended, report, other):
    other |= {"number": 3, "state": "open"}
    github.issues = [dict(other)]
    assert ended("failure", report)[1] == "issue: 21 is new\n"
    ended("success")
    assert github.issues[0] == other


def test_an_issue_whose_answer_was_lost_is_not_opened_twice(github, ended, report):
    github.lost = ["POST"]
    assert ended("failure", report)[1] == "issue: 20 has the newest report\n"
    assert len(github.issues) == 1


def test_a_report_is_whole_lines_without_secrets_and_one_that_is_missing_is_said(
    github, ended, report
):
    lines = [f"- property {n}: https://user:word@example/?sig=abc {TOKEN}" for n in range(2_000)]
    report.write_text("\n".join(lines), encoding="utf-8")
    ended("failure", report, report, report.with_name("verdict.md"))
    body = github.issues[0]["body"]
    assert len(body) < 65_536
    assert "There is no verdict.md: the run did not come that far." in body
    assert body.count("\n\n*The rest is in the run's artifact.*") == 2
    assert not any(secret in body for secret in (TOKEN, "word@", "sig=abc"))
    shown = [line for line in body.splitlines() if line.startswith("- property")]
    assert all(line.endswith(" [secret]") for line in shown)


@pytest.mark.parametrize(
    ("stack", "failures", "said"),
    [
        ("a --> b", [], "error: --stack is 'a --> b': no name of a stack"),
        ("", [], "no name of a stack"),
        ("prod", [403], "no; GITHUB_TOKEN needs `issues: write` on the repository"),
        ("prod", [410], "GitHub answers 410 to GET /repos/team/gateway/issues: no"),
    ],
)
def test_what_cannot_be_written_is_one_line(github, ended, stack, failures, said):
    github.failures = failures
    code, told = ended("failure", stack=stack)
    assert code == 2
    assert said in told
    assert told.count("\n") == 1


def test_without_a_token_nothing_is_asked(github, ended, monkeypatch):
    monkeypatch.delenv("GITHUB_TOKEN")
    assert ended("failure") == (2, "issue.py: error: GITHUB_TOKEN must be set\n")
    assert github.seen == []


def test_the_run_s_own_word_is_asked_for(capsys):
    with pytest.raises(SystemExit) as caught:
        issue.main(["--stack", "prod", "--result", "fine"])
    assert caught.value.code == 2
    assert "choose from" in capsys.readouterr().err
