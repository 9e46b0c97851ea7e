"""Goes on probing, within a budget of requests a minute, and tells when the verdict changes."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from probes.report import Report, Verdict

REQUESTS_A_MINUTE: Final = 120


class Budget:
    """How many requests may still be sent in this minute: at most `a_minute` in any 60 seconds."""

    def __init__(self, a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._a_minute = a_minute
        self._clock = clock
        self._spent: deque[tuple[float, int]] = deque()

    def left(self) -> int:
        """Return what is left now."""
        while self._spent and self._spent[0][0] <= self._clock() - 60:
            self._spent.popleft()
        return self._a_minute - sum(requests for _, requests in self._spent)

    def spend(self, requests: int) -> None:
        """Count requests as sent now."""
        self._spent.append((self._clock(), requests))


def watch(
    probe: Callable[[int], Report],
    *,
    interval: float,
    budget: Budget,
    fail_fast: bool,
    show: Callable[[Report, bool], None],
    wait: Callable[[float], None] = time.sleep,
) -> int:
    """Probe each `interval` seconds until the first imbalance, or for ever without `fail_fast`.

    `probe` runs once with at most so many requests; `show` gets its report, and whether the verdict
    is a new one. An interval sends nothing while the budget has less than the last verdict took.
    Returns the exit code.
    """
    last: Verdict | None = None
    needed = 1
    while True:
        begin = time.monotonic()
        if (left := budget.left()) >= needed:
            report = probe(left)
            needed = max(1, len(report.tally.answers))
            budget.spend(needed)
            show(report, report.verdict != last)
            last = report.verdict
            if fail_fast and last == "imbalanced":
                return report.exit_code
        wait(max(0.0, interval - (time.monotonic() - begin)))
