"""Goes on probing, within a budget of requests a minute, and tells when the verdict changes."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from probes.report import Report

REQUESTS_A_MINUTE: Final = 120


class Budget:
    """How many requests may still be sent in this minute: at most `a_minute` in any 60 seconds."""

    def __init__(self, a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.a_minute = a_minute
        self._clock = clock
        self._spent: deque[tuple[float, int]] = deque()

    def left(self) -> int:
        while self._spent and self._spent[0][0] <= self._clock() - 60:
            self._spent.popleft()
        return self.a_minute - sum(requests for _, requests in self._spent)

    def spend(self, requests: int) -> None:
        self._spent.append((self._clock(), requests))

    def seconds_until(self, requests: int) -> float:
        left, until = self.left(), self._clock()
        for when, spent in self._spent:
            if left < requests:
                left, until = left + spent, when + 60
        return until - self._clock()


def watch(
    probe: Callable[[int], Report],
    *,
    interval: float,
    budget: Budget,
    fail_fast: bool,
    show: Callable[[Report, bool], None],
    say: Callable[[str], None],
    wait: Callable[[float], None] = time.sleep,
) -> int:
    """Probe each `interval` seconds until the first imbalance, or for ever without `fail_fast`.

    `probe` runs once with at most so many requests; `show` gets its report, and whether the verdict
    is a new one. An interval sends nothing while the budget has less than the last verdict took;
    `say` gets a sign of life then, and whenever the verdict has not changed. Returns the exit code.
    """
    last = ""
    needed = 1
    short = False
    while True:
        begin = time.monotonic()
        if (left := budget.left()) >= needed:
            short = False
            report = probe(left)
            needed = min(max(1, len(report.tally.answers)), budget.a_minute)
            budget.spend(len(report.tally.answers))
            show(report, report.words != last)
            if report.words == last:
                say(f"still {last}, {budget.a_minute - budget.left()} requests in the last minute")
            last = report.words
            if fail_fast and report.verdict == "imbalanced":
                return report.exit_code
        elif not short:
            short = True
            seconds = budget.seconds_until(needed)
            say(f"budget of {budget.a_minute} requests a minute used up; next in {seconds:.0f} s")
        wait(max(0.0, interval - (time.monotonic() - begin)))
