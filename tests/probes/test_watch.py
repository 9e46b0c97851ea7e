"""Watching: what is printed when, the budget, and how it ends."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from fake_gateway import completion

from probes.watch import Budget, watch

SCRIPT = Path(__file__).parents[2] / "probes" / "distribution.py"


def words(line: str) -> str:
    """A line without its time, up to its first colon or comma."""
    return line.split(" ", 1)[1].split(":", maxsplit=1)[0].split(",", maxsplit=1)[0]


def test_fail_fast_ends_at_the_first_imbalance_and_changes_are_printed_once(gateway, probe):
    gateway.answer = lambda n: completion(n % 3 + 1 if n < 36 else 1)
    result = probe("--watch", "0.001", "--fail-fast", "--json", "-")
    assert result.code == 1
    reports = [json.loads(line) for line in result.out.splitlines()]
    assert [report["verdict"] for report in reports] == ["balanced"] * 3 + ["imbalanced"]
    source, *lines = result.err.splitlines()
    assert source.startswith("[INFO] Outputs: ")
    assert [words(line) for line in lines] == [
        "balanced",
        "still balanced",
        "still balanced",
        "not balanced",
    ]
    assert lines[2].endswith("Z still balanced, 36 requests in the last minute")
    assert len(gateway.requests) == 42


def test_without_fail_fast_only_ctrl_c_ends_it(gateway, tmp_path):
    gateway.answer = lambda _n: completion(1)
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(gateway.outputs()), encoding="utf-8")
    command = [sys.executable, SCRIPT, "--outputs", path, "--watch", "0.01", "--json", "-"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    verdicts = [json.loads(process.stdout.readline())["verdict"] for _ in range(2)]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert verdicts == ["imbalanced"] * 2
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert err.count(b" not balanced: ") == 1


def test_no_minute_has_more_requests_than_the_budget():
    now = 0.0
    budget = Budget(30, clock=lambda: now)
    assert budget.seconds_until(30) == 0
    budget.spend(12)
    now = 20.0
    assert budget.left() == 18
    budget.spend(18)
    assert budget.left() == 0
    assert (budget.seconds_until(1), budget.seconds_until(13)) == (40, 60)
    now = 59.9
    assert budget.left() == 0
    now = 60.0
    assert budget.left() == 12
    now = 80.0
    assert budget.left() == 30


def test_a_watch_whose_budget_is_used_up_sends_nothing_and_says_so_once(
    gateway, probe, monkeypatch
):
    gateway.answer = lambda n: completion(n % 3 + 1 if n < 12 else 1)
    waits = []

    def wait(seconds):
        waits.append(seconds)
        if len(waits) == 5:
            raise KeyboardInterrupt

    monkeypatch.setitem(watch.__kwdefaults__, "wait", wait)
    result = probe("--watch", "0.001", "--max-requests", "15", "--fail-fast")
    assert result.code == 130
    assert len(gateway.requests) == 12
    _, verdict, life = result.out.splitlines()
    assert words(verdict) == "balanced"
    assert life.endswith("Z budget of 15 requests a minute used up; next in 60 s")


def test_a_quiet_watch_prints_changes_alone(gateway, probe):
    gateway.answer = lambda n: completion(n % 3 + 1 if n < 24 else 1)
    result = probe("--watch", "0.001", "--fail-fast", "--quiet")
    assert [words(line) for line in result.out.splitlines()] == ["balanced", "not balanced"]


def test_a_full_disk_ends_a_watch_with_a_line(gateway, tmp_path):
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(gateway.outputs()), encoding="utf-8")
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        run = subprocess.run(
            [sys.executable, SCRIPT, "--outputs", path, "--watch", "0.01"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=os.environ,
            check=False,
            timeout=30,
        )
    assert run.returncode == 2
    assert run.stderr.count(b"\n") == 1
    assert b"output cannot be written: no space left on device" in run.stderr
