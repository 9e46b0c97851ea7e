"""Goes on probing, within a budget of requests a minute, and tells when the verdict changes."""

import time
from argparse import Namespace
from collections import deque
from collections.abc import Callable
from typing import Final

from probes.formats.lines import Ticker
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
    options: Namespace,
    probe: Callable[[int], Report],
    write_files: Callable[[Report], None],
    ticker: Ticker,
    *,
    wait: Callable[[float], None] = time.sleep,
) -> int:
    """Probe every `options.watch` seconds until the first imbalance, or for ever without fail_fast.

    `probe` runs once with at most so many requests. An interval sends nothing while the budget has
    less than the last verdict took. The ticker shows new verdicts, and otherwise, unless it should
    be quiet, that the watch still runs. Returns the exit code.
    """
    budget = Budget(options.max_requests or REQUESTS_A_MINUTE)
    last, needed, short = "", 1, False
    while True:
        begin = time.monotonic()
        if (left := budget.left()) >= needed:
            short = False
            report = probe(left)
            needed = min(max(1, report.tally.requests), budget.a_minute)
            budget.spend(report.tally.requests)
            if report.words != last:
                ticker.news(report.sentence)
            write_files(report)
            if report.words == last and not options.quiet:
                sent = budget.a_minute - budget.left()
                ticker.life(f"still {last}, {sent} requests in the last minute")
            last = report.words
            if options.fail_fast and report.verdict == "imbalanced":
                return report.exit_code
        elif not short and not options.quiet:
            short = True
            used_up = f"budget of {budget.a_minute} requests a minute used up"
            ticker.life(f"{used_up}; next in {budget.seconds_until(needed):.0f} s")
        wait(max(0.0, options.watch - (time.monotonic() - begin)))
