"""Which settings harm clients least: nine drills at 1, 10 and 50 requests a second, and noise.

Simulated in virtual time: the program's own policy, on the local Azure's own balancer and circuit
breaker, with regions that are made up (`simulation.py`); the drills then show the winner over real
sockets. Settings are ordered by what clients see: failures while a region lives, then failures
after every region is back, then the time they waited in all, then requests sent in vain.
"""

import argparse
import itertools
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.drills.scenarios import DAY, DRILLS, REGIONS, Drill
from benchmarks.drills.simulation import Settings, Weather, own, simulate

WITH_DRILL = (
    (Weather(), 1),
    (Weather(per_second=1.0), 1),
    (Weather(per_second=50.0, after=10.0, failing=0.01), 1),
    (Weather(per_second=50.0, after=10.0), 4),
)
"""In which each drill is run, on so many gateway instances."""
WITHOUT_DRILL = (
    (Weather(failing=0.01), 1),
    (Weather(failing=0.05), 1),
    (Weather(per_second=50.0, after=10.0, failing=0.01), 1),
    (Weather(slow=0.01), 1),
)
"""In which nothing else happens."""
NOTHING = Drill(name="nothing fails", regions=())
SIMULATED = (
    *(
        each
        for each in DRILLS
        if each.name
        in {
            "500",
            "hangs",
            "429, Retry-After 2 s",
            "role lost",
            "two ports closed",
            "two answer 429",
            "all ports closed",
            "all answer 429, Retry-After 2 s",
        }
    ),
    Drill(
        name="all answer 429, Retry-After a day",
        regions=REGIONS,
        fault={"status": 429, "retry_after": DAY},
    ),
)
"""To the simulation the others are like one of these, or as harmless with any settings."""
GRID: dict[str, tuple[Any, ...]] = {
    "count": (3, 10, 50),
    "trip_duration": (10.0, 60.0),
    "retries": (2, 5),
}
ASIDE: dict[str, tuple[Any, ...]] = {
    "interval": (5.0, 10.0, 60.0),
    "retries": (0, 1, 2, 3, 5, 8),
    "timeout": (10, 20, 30, 60, 100, 120),
    "deadline": (120, 240),
    "trip_duration": (5.0, 10.0, 20.0),
    "accept_retry_after": (True, False),
    "count_denials": (True, False),
}
"""Varied one at a time on the grid's best."""
BEST: Final = own(repeat_unanswered=True)
"""Not the default: what is told as unanswered on purpose would count as a failure."""
NAMED: Final = {
    "the program": own(),
    "with `repeatUnanswered`": BEST,
    "Microsoft's breaker": replace(
        BEST, count=1, interval=60.0, trip_duration=60.0, accept_retry_after=True
    ),
    "Microsoft's breaker and two retries": replace(
        BEST, count=1, interval=60.0, trip_duration=60.0, accept_retry_after=True, retries=2
    ),
    "as it was: 120 s, but for the deadline": replace(BEST, timeout=120),
}
"""Scored by name; Microsoft's is that of Azure-Samples/AI-Gateway."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """What clients saw with some settings; less is better, the first field counts most."""

    harmed: int
    prolonged: int
    waited: float
    in_vain: int
    settings: Settings

    @property
    def key(self) -> tuple[float, ...]:
        """What settings are ordered by."""
        return self.harmed, self.prolonged, self.waited, self.in_vain


def score(settings: Settings) -> Score:
    """Run every drill in every weather."""
    harmed = prolonged = in_vain = 0
    waited = 0.0
    runs = [
        *itertools.product(SIMULATED, WITH_DRILL),
        *((NOTHING, each) for each in WITHOUT_DRILL),
    ]
    for drill, (weather, instances) in runs:
        outcome, asked = simulate(drill, settings, weather=weather, instances=instances)
        in_vain += asked - sum(not each.failed for each in outcome.samples)
        if drill.one_lives:
            harmed += outcome.failures
            waited += sum(each.seconds for each in outcome.samples)
        else:
            prolonged += sum(e.failed and e.sent >= outcome.ended for e in outcome.samples)
    return Score(
        harmed=harmed,
        prolonged=prolonged,
        waited=waited,
        in_vain=in_vain,
        settings=settings,
    )


def ranked(settings: Sequence[Settings]) -> list[Score]:
    """Score settings on every core, the best first."""
    scores: list[Score] = []
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for each in pool.imap_unordered(score, settings):
            print(f"{len(scores) + 1} of {len(settings)}: {each}", file=sys.stderr, flush=True)
            scores.append(each)
    return sorted(scores, key=lambda each: each.key)


def markdown(scores: Sequence[Score], called: Mapping[Settings, str] | None = None) -> str:
    """Return a table, with what some settings are `called` if any are."""
    names = [each.name for each in fields(Settings)]
    named = ["settings"] if called else []
    header = (*named, "failures", "after recovery", "waited", "in vain", *names)
    rows = [header, tuple("-" for _ in header)]
    for each in scores:
        values = (_shown(getattr(each.settings, name)) for name in names)
        rows.append(
            (
                *([called[each.settings]] if called else []),
                str(each.harmed),
                str(each.prolonged),
                f"{each.waited / 3600:.1f} h",
                str(each.in_vain),
                *values,
            )
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _shown(value: float) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def main() -> None:
    """Print the grid's table, and the best one's with retries and timeout varied."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="write the tables to this file as well")
    options = parser.parse_args()
    grid = [
        replace(BEST, **dict(zip(GRID, values, strict=True)))
        for values in itertools.product(*GRID.values())
    ]
    by_name = ranked([*NAMED.values()])
    scores = ranked(grid)
    best = scores[0].settings
    varied = [replace(best, **{name: value}) for name, values in ASIDE.items() for value in values]
    called = {settings: name for name, settings in NAMED.items()}
    aside = ranked(list(dict.fromkeys(varied)))
    text = (
        f"# The sweep\n\n{__doc__}\n## By name\n\n{markdown(by_name, called)}\n"
        f"## Breakers and budgets, with `repeatUnanswered`\n\n"
        f"{markdown(scores)}\n## One at a time, on the best\n\n{markdown(aside)}"
    )
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
