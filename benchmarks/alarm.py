"""Which alarm fires when: the rules of `components/queries` over weeks of synthetic traffic.

`python benchmarks/alarm.py` prints the table, `--write` puts it into docs/alarm.md. Nothing is sent
and no query runs: the rules are arithmetic here, and tests/unit/test_alarm_agrees.py compares it
with the queries. Exit code 1 where a goal is missed.
"""

import argparse
import math
import random
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Final, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "alarm.md"
SEED = 20_261_126
WEEKS = 10  # of each row of the table
BALANCED_WEEKS = 1_000

STARVED_BELOW: Final = 0.25  # of the share that a region should get
CEILING: Final = 0.7  # of all answers
CHANCE: Final = 1e-4  # that a region which gets its share rings in one evaluation, at most
FAILED: Final = (5, 0.05)  # requests that no region answered: so many, and this part of all

_HEAD: Final = """# Which alarm rings when

Made by `make alarm`, of [the rules](monitoring.md#the-four-alarms) and weeks of synthetic traffic:
requests come by Poisson's law, `an hour` of them on average, and who answers is decided as the row
says. Hours are from the event to the first alert, the median and the most of all weeks and regions.
An alert that fires and was not due is a false one. A region that throttles half of its attempts is
not due and is starved in some hours: these are counted. Region 1 is the first of the config.
"""

STEP: Final = 4  # of an hour: the shortest window has 15 minutes
DAY, WEEK = 24 * STEP, 7 * 24 * STEP
WINDOWS: Final = {"hourly": STEP, "daily": DAY}  # both are evaluated each hour
SILENT_LOG: Final = 2 * DAY
_LEAST: Final = 1e-9  # the queries' stand-in for the logarithm of nothing


def evidence(share: float, fair: float, total: int) -> float:
    """Return Chernoff's exponent of a share so far from the fair one among so many answers."""
    rest = max(1 - share, _LEAST) / max(1 - fair, _LEAST)
    return total * (share * math.log(max(share, _LEAST) / fair) + (1 - share) * math.log(rest))


def starved(
    answered: Sequence[int], expected: Sequence[float], watched: Sequence[bool]
) -> set[int]:
    """Return the regions that the starved rule names; who should get nothing has an even share."""
    total = sum(answered)
    return {
        n
        for n, count in enumerate(answered)
        if watched[n]
        and count < STARVED_BELOW * (fair := expected[n] or 1 / len(answered)) * max(total, 1)
        and evidence(count / max(total, 1), fair, total) > -math.log(CHANCE)
    }


def above(answered: Sequence[int], expected: Sequence[float]) -> set[int]:
    """Return the regions above the ceiling that are not declared to be."""
    total = sum(answered)
    return {
        n
        for n, count in enumerate(answered)
        if count > CEILING * max(total, 1)
        and expected[n] <= CEILING
        and evidence(count / total, expected[n] or 1 / len(answered), total) > -math.log(CHANCE)
    }


def unanswered(failed: int, total: int) -> bool:
    return failed >= FAILED[0] and failed >= FAILED[1] * max(total, 1)


class Alert(NamedTuple):
    """A rule, and the number of the region that it names, where it names one."""

    rule: str
    region: int | None = None


Traffic = Callable[[random.Random, int], list[int]]
"""Who answers so many requests: counts by region, and those that nobody answered as the last."""


def rotation(regions: Sequence[int], of: int, instances: int = 1) -> Traffic:
    """Strict rotation among some of the regions on each of so many instances, from any start."""
    turns: list[int] = []

    def traffic(rng: random.Random, number: int) -> list[int]:
        if len(turns) < instances:
            turns.extend(rng.randrange(len(regions)) for _ in range(instances))
        counts = [0] * (of + 1)
        for instance, own in enumerate(split(rng, number, [1 / instances] * instances)):
            each, more = divmod(own, len(regions))
            for place, region in enumerate(regions):
                counts[region] += each + ((place - turns[instance]) % len(regions) < more)
            turns[instance] = (turns[instance] + more) % len(regions)
        return counts

    return traffic


def drawn(*shares: float) -> Traffic:
    """Each request goes to a region by chance, as by weight; the last share is of nobody."""
    return lambda rng, number: split(rng, number, shares)


def split(rng: random.Random, number: int, shares: Sequence[float]) -> list[int]:
    """Throw so many into places by their shares."""
    if len(shares) == 1:
        return [number]
    if number <= 60:
        counts = Counter(rng.choices(range(len(shares)), shares, k=number)) if number else {}
        return [counts.get(place, 0) for place in range(len(shares))]
    found, left, rest = [], number, 1.0
    for share in shares[:-1]:
        part = min(share / rest, 1.0) if rest > 0 else 0.0
        mean, spread = left * part, math.sqrt(left * part * (1 - part))
        found.append(min(max(round(rng.gauss(mean, spread)), 0), left))
        left, rest = left - found[-1], rest - share
    return [*found, left]


def arrivals(rng: random.Random, mean: float) -> int:
    """Draw Poisson's number; from 60 on by the normal distribution."""
    if mean > 60:
        return max(round(rng.gauss(mean, math.sqrt(mean))), 0)
    number, chance, limit = 0, rng.random(), math.exp(-mean)
    while chance > limit:
        number, chance = number + 1, chance * rng.random()
    return number


ALWAYS = "day and night"
OFFICE = "weekdays, 8 to 18 h"
NIGHTLESS = "8 to 18 h"


def is_open(profile: str, step: int) -> bool:
    hour = step // STEP
    return profile == ALWAYS or (
        8 <= hour % 24 < 18 and not (profile == OFFICE and hour // 24 % 7 >= 5)
    )


@dataclass(frozen=True, kw_only=True)
class Case:
    """A kind of week. `then` is the traffic from `since` hours on, for `hours`; None logs nothing.

    `makes` builds traffic afresh, as rotations have a state. `due` are the alerts that should fire
    from then on; every other one is a false alarm.
    """

    name: str
    an_hour: float
    makes: Callable[[], Traffic]
    expected: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3)
    then: Callable[[], Traffic] | None = None
    logs: bool = True
    since: float = 0.0
    hours: float = 168.0
    profile: str = ALWAYS
    due: frozenset[Alert] = frozenset()
    tolerated: frozenset[Alert] = frozenset()
    accepted: frozenset[int] = frozenset()
    goal: float | None = None


@dataclass(kw_only=True)
class Week:
    """What fired: hours from the event to the first alert of each that was due, by rule."""

    first: dict[Alert, float] = field(default_factory=dict)
    window: dict[Alert, str] = field(default_factory=dict)
    false: list[Alert] = field(default_factory=list)


def live(case: Case, rng: random.Random) -> Week:  # noqa: C901 - one step after the other
    """Go through a week, evaluate each rule when it is due, and note when it begins to fire."""
    expected = [float(f"{share:.6f}") for share in case.expected]  # as the queries have it
    watched = [n not in case.accepted for n in range(len(expected))]
    before, after = case.makes(), case.then() if case.then else None
    event, end = case.since * STEP, (case.since + case.hours) * STEP
    width = len(expected) + 1
    steps: list[list[int]] = []
    sums = {name: [0] * width for name in WINDOWS}
    week, firing, last_row = Week(), set[tuple[str, Alert]](), 0
    for step in range(WEEK):
        eventful = event <= step < end
        number = arrivals(rng, case.an_hour / STEP) if is_open(case.profile, step) else 0
        counts = [0] * width
        if number and (case.logs or not eventful):
            counts = (after if after and eventful else before)(rng, number)
        steps.append(counts)
        last_row = step + 1 if any(counts) else last_row
        for name, length in WINDOWS.items():
            old = steps[step - length] if step >= length else [0] * width
            sums[name] = [
                s + new - gone for s, new, gone in zip(sums[name], counts, old, strict=True)
            ]
        now = (
            {("quarterly", Alert("no region answers"))}
            if unanswered(counts[-1], sum(counts))
            else set()
        )
        if (step + 1) % STEP == 0:
            for name, total in sums.items():
                answered = total[:-1]
                now |= {(name, Alert("starved", n)) for n in starved(answered, expected, watched)}
                now |= {(name, Alert("above the ceiling", n)) for n in above(answered, expected)}
            if step + 1 - last_row >= SILENT_LOG:
                now.add(("two days", Alert("no logs")))
        else:
            now |= {each for each in firing if each[0] != "quarterly"}
        for name, alert in now - firing:
            if alert in case.due and step >= event:
                if alert not in week.first:
                    week.first[alert] = (step + 1 - event) / STEP
                    week.window[alert] = name
            elif alert not in case.tolerated or step < event:
                week.false.append(alert)
        firing = now
    return week


def alerts(rule: str, *regions: int) -> frozenset[Alert]:
    return frozenset(Alert(rule, region) for region in regions)


def quick(an_hour: float, regions: int = 3) -> float | None:
    """Return how many hours detection may take; None where there is too little traffic for any."""
    two_evaluations, a_day = 2.0, 24.0
    if an_hour >= 10 * regions:
        return two_evaluations
    return a_day if an_hour * 24 >= 50 * regions / 3 else None


def cases() -> Iterator[Case]:  # noqa: C901, PLR0912 - a table
    """Give every row of the table."""
    an_hour: float
    for instances, an_hour in product((1, 2, 4, 8), (5, 30, 500, 50_000)):
        yield Case(
            name=f"balanced on {instances} instance{'s' * (instances > 1)}",
            an_hour=an_hour,
            makes=lambda n=instances: rotation(range(3), 3, n),  # type: ignore[misc]
        )
    for an_hour, profile in product((50 / 10, 30, 500), (NIGHTLESS, OFFICE)):
        office = profile == OFFICE
        yield Case(
            name=f"balanced on 4 instances, {profile}",
            an_hour=an_hour,
            makes=lambda: rotation(range(3), 3, 4),
            profile=profile,
            due=frozenset({Alert("no logs")} if office else ()),
        )
    for an_hour in (5, 30, 500, 50_000):
        yield Case(
            name="balanced by chance", an_hour=an_hour, makes=lambda: drawn(1 / 3, 1 / 3, 1 / 3, 0)
        )

    def balanced() -> Traffic:
        return rotation(range(3), 3, 4)

    incident = alerts("starved", 1, 2) | alerts("above the ceiling", 0)
    for an_hour in (50 / 24, 5, 15, 30, 60, 500, 50_000):
        yield Case(
            name="the incident, from an hour on",
            an_hour=an_hour,
            makes=balanced,
            then=lambda: rotation([0], 3),
            since=58,
            due=incident,
            goal=quick(an_hour),
        )
    for an_hour in (5, 30, 500):
        yield Case(
            name=f"the incident from the first day on, {NIGHTLESS}",
            an_hour=an_hour,
            makes=balanced,
            then=lambda: rotation([0], 3),
            since=8,
            profile=NIGHTLESS,
            due=incident,
            goal=quick(an_hour) or 24,
        )
    silent = alerts("starved", 2)
    for an_hour in (50 / 24, 5, 15, 30, 60, 500, 50_000):
        yield Case(
            name="a region starved from an hour on",
            an_hour=an_hour,
            makes=balanced,
            then=lambda: rotation([0, 1], 3, 4),
            since=58,
            due=silent,
            goal=quick(an_hour),
        )
    for an_hour in (30, 60, 500):
        yield Case(
            name="a region starved from half past on",
            an_hour=an_hour,
            makes=balanced,
            then=lambda: rotation([0, 1], 3, 4),
            since=58.5,
            due=silent,
            goal=quick(an_hour),
        )
    for an_hour in (5, 30, 500):
        yield Case(
            name=f"a region starved on a day's eve, {OFFICE}",
            an_hour=an_hour,
            makes=balanced,
            then=lambda: rotation([0, 1], 3, 4),
            since=40,
            profile=OFFICE,
            due=silent | {Alert("no logs")},
        )
    for part, an_hour in product((0.5, 0.95), (30, 60, 500, 50_000)):
        left = (1 - part) / (3 - part)
        others = (1 - left) / 2
        yield Case(
            name=f"a region throttles {100 * part:.0f} % of its attempts",
            an_hour=an_hour,
            makes=balanced,
            then=lambda left=left, others=others: drawn(others, others, left, 0),  # type: ignore[misc]
            since=58,
            due=silent if part > 0.9 else frozenset(),
        )
    for hours, an_hour in product((3, 110), (30, 500)):
        yield Case(
            name=f"a region down and retried, for {hours} hours",
            an_hour=an_hour,
            makes=balanced,
            then=lambda: rotation([0, 1], 3, 4),
            since=58,
            hours=hours,
            due=silent,
            goal=quick(an_hour),
        )
    for an_hour in (5, 30, 500):
        yield Case(
            name="no region answers, for 2 hours",
            an_hour=an_hour,
            makes=balanced,
            then=lambda: drawn(0, 0, 0, 1),
            since=58,
            hours=2,
            due=frozenset({Alert("no region answers")}),
        )
    for an_hour in (30, 500):
        yield Case(
            name="one request of ten ends without a region",
            an_hour=an_hour,
            makes=balanced,
            then=lambda: drawn(0.3, 0.3, 0.3, 0.1),
            since=58,
            due=frozenset({Alert("no region answers")}),
        )
        yield Case(
            name="no logs from an hour on",
            an_hour=an_hour,
            makes=balanced,
            logs=False,
            since=58,
            due=frozenset({Alert("no logs")}),
        )
    for an_hour in (30, 500, 50_000):
        weights = (0.5, 0.3, 0.2)
        yield Case(
            name="weights 50, 30 and 20",
            an_hour=an_hour,
            makes=lambda: drawn(0.5, 0.3, 0.2, 0),
            expected=weights,
        )
        yield Case(
            name="weights 50, 30 and 20; the last starved from an hour on",
            an_hour=an_hour,
            makes=lambda: drawn(0.5, 0.3, 0.2, 0),
            then=lambda: drawn(0.625, 0.375, 0, 0),
            expected=weights,
            since=58,
            due=silent,
            goal=quick(an_hour, 5),
        )
    first = (1.0, 0.0, 0.0)
    for an_hour in (30, 500):
        yield Case(
            name="priority: two regions starved by declaration",
            an_hour=an_hour,
            makes=lambda: rotation([0], 3),
            expected=first,
            due=alerts("starved", 1, 2),
        )
        yield Case(
            name="priority, with acceptStarved",
            an_hour=an_hour,
            makes=lambda: rotation([0], 3),
            expected=first,
            accepted=frozenset({1, 2}),
        )
        yield Case(
            name="priority, with acceptStarved; the second takes over",
            an_hour=an_hour,
            makes=lambda: rotation([0], 3),
            then=lambda: rotation([1], 3),
            since=58,
            expected=first,
            accepted=frozenset({1, 2}),
            due=alerts("starved", 0) | alerts("above the ceiling", 1),
            goal=quick(an_hour),
        )
    for regions, an_hour in ((2, 30), (6, 60), (26, 300), (26, 5)):
        yield Case(
            name=f"balanced on 8 instances, {regions} regions",
            an_hour=an_hour,
            makes=lambda n=regions: rotation(range(n), n, 8),  # type: ignore[misc]
            expected=(1 / regions,) * regions,
        )
        yield Case(
            name=f"one of {regions} regions starved from an hour on",
            an_hour=an_hour,
            makes=lambda n=regions: rotation(range(n), n, 8),  # type: ignore[misc]
            then=lambda n=regions: rotation(range(n - 1), n, 8),  # type: ignore[misc]
            since=58,
            expected=(1 / regions,) * regions,
            due=alerts("starved", regions - 1),
            tolerated=alerts("above the ceiling", 0) if regions == 2 else frozenset(),
            goal=quick(an_hour, regions),
        )


CASES: Final = tuple(cases())


def balanced_week(number: int) -> int:
    """Return the false alarms of one balanced week of a kind drawn by its number."""
    rng = random.Random(f"{SEED} balanced {number}")
    regions, instances = rng.randint(2, 6), rng.randint(1, 8)
    case = Case(
        name="balanced",
        an_hour=math.exp(rng.uniform(math.log(2), math.log(50_000))),
        makes=lambda: rotation(range(regions), regions, instances),
        expected=(1 / regions,) * regions,
        profile=rng.choice((ALWAYS, NIGHTLESS)),
    )
    return len(live(case, rng).false)


def weeks_of(number: int) -> list[Week]:
    case = CASES[number]
    return [
        live(case, random.Random(f"{SEED} {case.name} {case.an_hour} {week}"))
        for week in range(WEEKS)
    ]


def row(case: Case, weeks: list[Week]) -> str:
    """Return a line of the table."""
    fired = {alert: [week.first.get(alert) for week in weeks] for alert in case.due}
    told, hours = [], []
    for alert, times in sorted(fired.items(), key=lambda each: str(each[0])):
        known = [each for each in times if each is not None]
        hours += known
        name = alert.rule if alert.region is None else f"{alert.rule} {alert.region + 1}"
        windows = {week.window[alert] for week in weeks if alert in week.window}
        how = " or ".join(sorted(windows)) or "never"
        if 0 < len(known) < len(weeks):
            how += f", in {len(known)} of {len(weeks)} weeks"
        told.append(f"{name} ({how})")
    cells = (
        case.name,
        f"{case.an_hour:,.3g}" if case.an_hour < 1000 else f"{case.an_hour:,.0f}",
        "; ".join(told) or "nothing",
        f"{statistics.median(hours):.3g}" if hours else "-",
        f"{max(hours):.3g}" if hours else "-",
        f"{case.goal:g}" if case.goal else "-",
        f"{sum(len(week.false) for week in weeks) / len(weeks):g}",
    )
    return f"| {' | '.join(cells)} |"


def missed(case: Case, weeks: list[Week]) -> bool:
    """Whether a starved region was told later than the goal in any of the weeks."""
    watched = [alert for alert in case.due if alert.rule == "starved"]
    return case.goal is not None and any(
        week.first.get(alert, math.inf) > case.goal for week in weeks for alert in watched
    )


def main() -> int:
    """Print the table, and write it if asked to; return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/alarm.md as well")
    options = parser.parse_args()
    with ProcessPoolExecutor() as processes:
        found = list(processes.map(weeks_of, range(len(CASES))))
        false = sum(processes.map(balanced_week, range(BALANCED_WEEKS), chunksize=50))
    late = [case.name for case, weeks in zip(CASES, found, strict=True) if missed(case, weeks)]
    heads = ("traffic", "an hour", "fires", "median h", "most h", "goal h", "false a week")
    lines = [
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
        *(row(case, weeks) for case, weeks in zip(CASES, found, strict=True)),
        "",
        (
            f"{len(CASES)} kinds of weeks, {WEEKS} of each. {false} false alarms in"
            f" {BALANCED_WEEKS:,} balanced weeks (goal: none). Later than the goal:"
            f" {', '.join(late) or 'nothing'}."
        ),
    ]
    text = "\n".join(lines)
    print(text)
    if options.write:
        DOCUMENT.write_text(f"{_HEAD}\n{text}\n", encoding="utf-8")
    return int(bool(late or false))


if __name__ == "__main__":
    sys.exit(main())
