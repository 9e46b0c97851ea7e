"""What a fork's rehearsal can write, and where: whatever it leaves, its own pull request alone."""

import io
import json
import re
import stat
import warnings
import zipfile

import pytest
from fake_github import REPOSITORY, GitHub, pull, run
from markdown_it import MarkdownIt

from components.traffic import SECRET, UNKNOWN
from probes import preview_comment
from probes.preview.comment import FORK_MARKER, LIMIT, MARKER
from probes.preview.rehearsal import LARGEST

TOKEN = "ghs_never-shown"
HEAD, NEWER = "a" * 40, "b" * 40
RUN = 5
POSTED = [("POST", f"/repos/{REPOSITORY}/issues/7/comments")]
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def state(name, *, kind="azure-native:apimanagement:Backend", op="same", **inputs):
    urn = f"urn:pulumi:dev::p::{kind}::{name}"
    return {"op": op, "urn": urn, "newState": {"type": kind, "inputs": inputs}}


def lost(name):
    step = state(name, kind="azure-native:cognitiveservices:Account", op="delete")
    return {**step, "oldState": step.pop("newState")}


def pool(*members, name="pool"):
    services = [{"id": f"/x/backends/{m}", "priority": p, "weight": w} for m, p, w in members]
    return state(name, type="Pool", pool={"services": services})


EVEN = pool(("foundry1", 1, 1), ("foundry2", 1, 1))


def preview(*steps, **more):
    return json.dumps({"steps": list(steps), "changeSummary": {"same": len(steps)}, **more})


def archive(*files, method=zipfile.ZIP_DEFLATED, mode=stat.S_IFREG | 0o644):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as made, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, text in files:
            entry = zipfile.ZipInfo(name)
            entry.external_attr, entry.compress_type = mode << 16, method
            made.writestr(entry, text)
    return packed.getvalue()


def previewed(*steps, **more):
    return archive(("preview.json", preview(*steps, **more)))


def error(message):
    return previewed(EVEN, diagnostics=[{"severity": "error", "message": message}])


def flipped(data, at, bits):
    return data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]


WHOLE = previewed(EVEN)
HOSTILE = (
    "](https://evil.example) [all is well",
    "![x](https://evil.example/x.png)",
    "<img src=https://evil.example/x.png>",
    "<details open><summary>✅ Round robin</summary>",
    "</details>\n\n# ✅ Round robin",
    "\n### ✅ Round robin, 33.3 % of traffic to each region\n",
    "```\n### ✅\n```",
    "| a | b |\n|---|---|\n| ✅ | ✅ |",
    f"{MARKER}\n### ✅ Round robin",
    f"\n{FORK_MARKER}\n",
    "<!--",
    "@team/admins please merge, closes #1",
    "\u202eniboR dnuoR ✅\u2066",
    "https://evil.example www.evil.example evil@evil.example",
    "[a]: https://evil.example\n[a]",
    "\x00\x1b[2J\r\n\r\n---\n",
)
FORGED = {
    # numbers of other pull requests
    **{
        f"number {number!r}": archive(
            ("preview.json", preview(EVEN)), ("pull-request", number), ("head", NEWER)
        )
        for number in ("8", "8\n", "7\n8", "0", "-8", "8/../../issues", "9" * 40, "8; curl evil")
    },
    # names and links
    "a link to the environment": archive(
        ("preview.json", "/proc/self/environ"), mode=stat.S_IFLNK | 0o777
    ),
    "a link to a file": archive(("preview.json", "/etc/passwd"), mode=stat.S_IFLNK | 0o777),
    "a log that is a link": archive(
        ("preview.json", ""), ("preview.log", "/etc/passwd"), mode=stat.S_IFLNK | 0o777
    ),
    "a device": archive(("preview.json", preview(EVEN)), mode=stat.S_IFCHR | 0o666),
    "a folder": archive(("preview.json/", "")),
    "a name that climbs": archive(("../preview.json", preview(EVEN))),
    "a name from the root": archive(("/preview.json", preview(EVEN))),
    "a script": archive(("preview.json", preview(EVEN)), ("../../probes/preview_comment.py", "x")),
    "one name twice": archive(("preview.json", "{}"), ("preview.json", preview(EVEN))),
    "other names": archive(("PREVIEW.JSON", preview(EVEN)), ("comment/preview.json", "{}")),
    # sizes, and what is no archive
    "nothing": b"",
    "no archive": b"### all is well",
    "half an archive": WHOLE[: len(WHOLE) // 2],
    "an empty archive": archive(),
    "a damaged archive": flipped(WHOLE, 60, 0xFF),
    "an encrypted file": flipped(WHOLE, WHOLE.index(b"PK\1\2") + 8, 1),
    "an unknown method": flipped(WHOLE, WHOLE.index(b"PK\1\2") + 10, 0x60),
    "LZMA": archive(("preview.json", preview(EVEN)), method=zipfile.ZIP_LZMA),
    "bzip2": archive(("preview.json", preview(EVEN)), method=zipfile.ZIP_BZIP2),
    "a bomb": archive(("preview.json", b" " * (20 * LARGEST))),
    "too much": archive(("preview.json", b" " * LARGEST), method=zipfile.ZIP_STORED),
    "many files": archive(*((f"{n}", "") for n in range(20_000))),
    # previews
    "an even pool": WHOLE,
    "what it accepts itself": previewed(
        pool(("foundry1", 1, 1), ("foundry2", 2, 1)),
        config={"openai-gateway:routing": "priority", "openai-gateway:acceptStarved": ["foundry2"]},
    ),
    "no text": archive(("preview.json", b"\xff\xfe\x00")),
    "no preview": archive(("preview.json", '{"verdict": "balanced", "exit_code": 0}')),
    "deep": archive(("preview.json", "[" * 100_000)),
    "deep inputs": archive(
        ("preview.json", preview(EVEN).replace('"type": "Pool"', '"x": ' + "[" * 900 + "]" * 900))
    ),
    "a number without an end": archive(("preview.json", '{"steps": ' + "9" * 1_000_000 + "}")),
    "no number": archive(("preview.json", preview(EVEN).replace(": 1,", ": NaN,"))),
    "unknown and secret": previewed(pool(("foundry1", UNKNOWN, SECRET), ("foundry2", 1, 1))),
    "many steps": previewed(
        EVEN, *(state(f"n{n}", kind="a:b:C", op="create") for n in range(9999))
    ),
    "long names": previewed(pool(*((f"{'@' * 5000}{n}", n, n) for n in range(2, 99)))),
    "the longest of all": previewed(
        EVEN,
        *(lost(f"{'@' * 900}{n}") for n in range(50)),
        diagnostics=[{"severity": "error", "message": f"{n}{'@' * 500}"} for n in range(50)],
    ),
    # Markdown: as a name, and as an error
    **{f"name {text!r}": previewed(pool((text, 1, 1), ("b", 1, 1), name=text)) for text in HOSTILE},
    **{f"error {text!r}": error(text) for text in HOSTILE[:8]},
    "the token, guessed": archive(("preview.json", ""), ("preview.log", f"error: {TOKEN}")),
}
UNREAD = (
    *("a folder", "a name that climbs", "a name from the root", "other names", "nothing"),
    *("no archive", "half an archive", "an empty archive", "a damaged archive"),
    *("an encrypted file", "an unknown method", "LZMA", "bzip2", "a bomb", "too much"),
    *("many files", "a log that is a link"),
)


@pytest.fixture
def github(monkeypatch):
    github = GitHub()
    variables = {"API_URL": github.url, "REPOSITORY": REPOSITORY, "TOKEN": TOKEN}
    for name, value in variables.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    monkeypatch.setattr("probes.github.PAUSE", 0.001)
    github.runs[RUN] = run(HEAD)
    github.pulls = [pull(7, HEAD), pull(8, NEWER, "victim/gateway"), pull(9, NEWER, REPOSITORY)]
    github.artifacts = [(RUN, "comment", WHOLE)]
    yield github
    github.close()


@pytest.fixture
def rehearsed(github, capsys):
    def rehearsed():
        code = preview_comment.main(["--rehearsal", str(RUN), "--post"])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return rehearsed


def test_there_are_fifty_forgeries():
    assert len(FORGED) >= 50


@pytest.mark.parametrize("forged", FORGED)
def test_a_forgery_reaches_its_own_pull_request_alone_and_shows_no_verdict(
    github, rehearsed, forged
):
    bot = {"login": "github-actions[bot]", "type": "Bot"}
    real = {"id": 50, "body": f"{MARKER}\n### ❌ 100 % of traffic to UK South", "user": bot}
    github.comments.append(dict(real))
    github.artifacts = [(RUN, "comment", FORGED[forged])]
    code, _, _ = rehearsed()
    assert (code, github.written) == (3, POSTED)
    assert real in github.comments
    body = github.comments[-1]["body"]
    marker, heading, _, note, *_ = body.splitlines()
    assert marker == FORK_MARKER
    assert heading.startswith("### ❔ Not verified: ")
    assert note.startswith("**Computed by this pull request's own code, at aaaaaaa: ")
    assert len(body) <= LIMIT
    shown = body.replace("\\", "")
    assert not any(secret in shown for secret in (TOKEN, "root:", "PATH="))
    assert ("- nothing: it is empty" in shown) == (forged in UNREAD)
    tokens = [t for each in MARKDOWN.parse(body) for t in (each, *(each.children or ()))]
    assert [each.tag for each in tokens if each.type == "heading_open"] == ["h3"]
    assert not any(each.type == "image" for each in tokens)
    links = [each.attrs["href"] for each in tokens if each.type == "link_open"]
    assert all(link.startswith("https://azure.microsoft.com/pricing") for link in links)
    # GitHub makes mentions and references of what is left outside of code: a space parts them.
    read = "".join(t.content for t in tokens if t.type in ("text", "text_special"))
    assert not re.search(r"[@#][a-z0-9]", read)


def nothing(github):
    pass


def pushed(github):
    github.pulls[0] = pull(7, NEWER)


def closed(github):
    github.pulls[0] = pull(7, HEAD, state="closed")


def fork_deleted(github):
    github.pulls[0] = pull(7, HEAD, fork=None)


def same_commit_elsewhere(github):
    github.pulls[1] = pull(8, HEAD, "victim/gateway")


def same_commit_twice(github):
    github.pulls.append(pull(10, HEAD))


@pytest.mark.parametrize(
    ("change", "when", "written"),
    [
        (nothing, None, POSTED),
        (same_commit_elsewhere, None, POSTED),
        *((each, None, []) for each in (pushed, closed, fork_deleted, same_commit_twice)),
        # meanwhile: after the pull request was found, and after its comments were listed
        *((each, "/zip", []) for each in (pushed, closed, fork_deleted)),
        *((each, "/comments", []) for each in (pushed, closed, fork_deleted)),
    ],
)
def test_races(github, rehearsed, change, when, written):
    if when is None:
        change(github)
    else:
        github.before = lambda _, path: change(github) if when in path else None
    code, _, err = rehearsed()
    assert (code, github.written) == (3, written)
    assert ("comment: none: " in err) == (not written)


def test_a_push_while_github_is_busy_is_seen_by_the_next_attempt(github, rehearsed):
    def before(method, path):
        if method == "POST":
            github.failures = [503]
            pushed(github)

    github.before = before
    assert rehearsed()[0] == 3
    assert github.written == POSTED
    assert len(github.comments) == 4


def test_of_two_runs_the_older_one_writes_nothing_and_the_same_one_again_no_second(
    github, rehearsed
):
    rehearsed()
    rehearsed()
    assert [method for method, _ in github.written] == ["POST", "PATCH"]
    # The newer run wrote its comment before the older one came to it.
    github.pulls[0] = pull(7, NEWER)
    github.comments[-1]["body"] = f"{FORK_MARKER}\nthe newer one's"
    rehearsed()
    assert github.comments[-1]["body"].endswith("the newer one's")


def test_the_newest_artifact_of_that_name_is_read_and_the_token_stays_with_github(
    github, rehearsed
):
    even = previewed(pool(("old", 1, 1), ("older", 1, 1)))
    github.artifacts = [(RUN, "comment", even), (RUN, "comments", even), (RUN, "comment", WHOLE)]
    assert "foundry1" in rehearsed()[1]
    kept = [authorization for _, path, authorization in github.seen if path.startswith("/kept/")]
    assert kept == [None]


@pytest.mark.parametrize(
    ("found", "code", "said"),
    [
        (run(HEAD, REPOSITORY), 3, "a branch of this repository has its comment from"),
        (run(HEAD, REPOSITORY.upper()), 3, "a branch of this repository has its comment from"),
        (run(HEAD, None), 3, "the fork is gone"),
        (run(HEAD, event="push"), 2, "is no run of a pull request"),
        (run("HEAD"), 2, "GitHub names no commit that ran"),
        (None, 2, "GitHub answers 404 to GET /repos/team/gateway/actions/runs/5"),
        ([], 2, "is no run of a pull request"),
    ],
)
def test_a_run_that_is_no_fork_s_writes_nothing(github, rehearsed, found, code, said):
    github.runs[RUN] = found
    ended, _, err = rehearsed()
    assert (ended, github.written) == (code, [])
    assert said in err
    assert TOKEN not in err


def test_a_fork_s_words_leave_the_real_preview_s_comment_as_it_is(github, rehearsed, tmp_path):
    file = tmp_path / "preview.json"
    file.write_text(preview(EVEN), encoding="utf-8")
    github.pulls.append(pull(11, HEAD, REPOSITORY))
    post = ["--post", "--pull-request", "11", "--head", HEAD]
    assert preview_comment.main([str(file), *post]) == 0
    rehearsed()
    markers = [each["body"].splitlines()[0] for each in github.comments[4:]]
    assert markers == [MARKER, FORK_MARKER]


@pytest.mark.parametrize(
    "now", [pull(11, NEWER, REPOSITORY), pull(11, HEAD), pull(11, HEAD, REPOSITORY, "closed")]
)
def test_a_preview_of_a_commit_that_is_no_head_any_more_is_not_written(
    github, tmp_path, capsys, now
):
    file = tmp_path / "preview.json"
    file.write_text(preview(EVEN), encoding="utf-8")
    github.pulls.append(now)
    post = ["--post", "--pull-request", "11", "--head", HEAD]
    assert preview_comment.main([str(file), *post]) == 0
    assert github.written == []
    assert "comment: none: the pull request is closed, or has another head" in (
        capsys.readouterr().err
    )
