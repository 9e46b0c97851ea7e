"""In a terminal: live progress, colours only where they are wanted, and the same last lines."""

import json
import os
import pty
import re
import subprocess

import pytest
from fake_gateway import completion

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def in_terminal(gateway, warm_probe, tmp_path):
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(gateway.outputs()), encoding="utf-8")

    def run(*arguments, **environment):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [*warm_probe, "--outputs", path.name, *arguments],
            cwd=tmp_path,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={
                **{k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")},
                "TERM": "xterm-256color",
                "COLUMNS": "120",
                **environment,
            },
        )
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 65536):
                shown += chunk
        except OSError:  # the terminal's other end is closed: the process has ended
            pass
        os.close(ours)
        return process.wait(30), shown.decode().replace("\r\n", "\n")

    return run


def test_a_terminal_shows_bars_and_evidence_while_it_runs(in_terminal):
    code, shown = in_terminal()
    assert code == 0
    assert COLOUR.search(shown)
    plain = ESCAPE.sub("", shown)
    assert "12 requests, 12 answered" in plain
    assert re.search(r"East US +[━╸╺ ]+33\.3 % +as expected", plain)
    assert re.search(r" 0\.0 % +no answer\? \d+ % of the proof", plain)
    assert plain.rstrip().endswith("of 12 answers, as round robin")
    assert "[OK] Load balancing test complete!\n" in plain


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("arguments", [[], ["--quiet"], ["--watch", "0.01", "--fail-fast"]])
def test_no_line_is_wider_than_the_terminal_and_no_word_is_broken(
    gateway, in_terminal, columns, arguments
):
    gateway.answer = lambda n: completion(n % 3 + 1 if n < 24 else 1)
    if "--watch" not in arguments:
        gateway.answer = lambda _n: completion(1)
    code, shown = in_terminal(*arguments, COLUMNS=str(columns))
    assert code == 1
    lines = [ESCAPE.sub("", line).rpartition("\r")[2] for line in shown.split("\n")]
    assert max(map(len, lines)) <= columns
    words = " ".join(" ".join(lines).split())
    assert "UK South got 6 of 6 requests (100.0 %) where 33.3 % is expected" in words
    assert "the pool is right, so look for tripped circuit breakers and session" in words


def test_a_watch_in_a_terminal_overwrites_its_signs_of_life(gateway, in_terminal):
    gateway.answer = lambda n: completion(n % 3 + 1 if n < 36 else 1)
    code, shown = in_terminal("--watch", "0.01", "--fail-fast")
    assert code == 1
    assert shown.count("still balanced, ") == 2
    assert shown.count("\r\x1b[K") == 2
    assert shown.count("\n") <= 5  # the source, and two verdicts that may be wrapped


def test_no_color_is_respected(in_terminal):
    code, shown = in_terminal(NO_COLOR="1")
    assert code == 0
    assert not {"\x1b[32m", "\x1b[1;32m", "\x1b[31m"} & set(COLOUR.findall(shown))


@pytest.mark.parametrize(("arguments", "term"), [(["--quiet"], "xterm"), ([], "dumb")])
def test_quiet_and_a_dumb_terminal_get_no_escape_codes(in_terminal, arguments, term):
    code, shown = in_terminal(*arguments, TERM=term)
    assert code == 0
    assert "\x1b" not in shown
    assert "balanced: UK South 33.3 %" in shown
