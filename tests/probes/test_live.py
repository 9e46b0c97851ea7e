"""In a terminal: live progress, colours only where they are wanted, and the same last lines."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "probes" / "distribution.py"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def in_terminal(gateway, tmp_path):
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(gateway.outputs()), encoding="utf-8")

    def run(*arguments, **environment):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, SCRIPT, "--outputs", path, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={
                **{k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")},
                "ARM_ENDPOINT": gateway.url,
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
    assert re.search(r"East US +[━╸╺ ]+33\.3 % +excess refuted, silence refuted", plain)
    assert plain.rstrip().endswith("of 12 answers, as round robin")
    assert "[OK] Load balancing test complete!\n" in plain


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
