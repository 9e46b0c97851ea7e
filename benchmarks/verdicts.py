"""How often the probe's verdict is wrong, and how many requests it takes: seeded replays.

`python benchmarks/verdicts.py` prints the table, `--write` puts it into docs/verdicts.md. No
request is sent: each case draws the backend of every answer and asks `probes/evidence.py`.
"""

import argparse
import itertools
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from probes.evidence import Counts, Plan, plan  # noqa: E402 - a script finds the repository first

SEED = 20_251_117
RUNS = 10_000
SHARE_OF_WRONG_VERDICTS = 0.05
LOOPS = (20, 100)
"""Requests of the loops in use today, judged as the incident's report does."""
LOOP_TOLERANCE = 0.15
DOCUMENT = ROOT / "docs" / "verdicts.md"


class Request(NamedTuple):
    """The backend that a request ended at, and whether it throttled it.

    `tried` are the backends that refused it before, so that the gateway's policy went elsewhere.
    """

    backend: int
    throttled: bool = False
    tried: tuple[int, ...] = ()


Traffic = Callable[[random.Random], Iterator[Request]]


def rotation(regions: int, *, instances: int = 1, throttled: float = 0.0) -> Traffic:
    """Strict rotation on each gateway instance, from any start; requests meet any instance."""

    def traffic(rng: random.Random) -> Iterator[Request]:
        turns = [rng.randrange(regions) for _ in range(instances)]
        while True:
            instance = rng.randrange(instances)
            turns[instance] += 1
            yield Request(turns[instance] % regions, rng.random() < throttled)

    return traffic


def drawn(*weights: float) -> Traffic:
    """Each request goes to a region by chance."""

    def traffic(rng: random.Random) -> Iterator[Request]:
        while True:
            yield from map(Request, rng.choices(range(len(weights)), weights, k=50))

    return traffic


def one_down(regions: int) -> Traffic:
    """Strict rotation whose first region is down: the gateway's retry takes the next one."""

    def traffic(rng: random.Random) -> Iterator[Request]:
        turn = rng.randrange(regions)
        while True:
            turn += 1
            if turn % regions == 0:
                turn += 1
            yield Request(turn % regions)

    return traffic


def behind_the_policy(regions: int, *, refusing: float, instances: int = 1) -> Traffic:
    """Rotation whose first region refuses attempts: the policy tries again until one answers."""

    def traffic(rng: random.Random) -> Iterator[Request]:
        turns = [rng.randrange(regions) for _ in range(instances)]
        while True:
            instance, tried = rng.randrange(instances), []
            for _ in range(2 * regions):
                turns[instance] += 1
                backend = turns[instance] % regions
                if backend or rng.random() >= refusing:
                    break
                tried.append(backend)
            yield Request(backend, tried=tuple(tried))

    return traffic


@dataclass(frozen=True, kw_only=True)
class Case:
    """Traffic and the right verdict on it; `shares` are those in the long run.

    `declared` are the shares that the stack promises (equal ones by default), `pool` is the verdict
    of the control plane, `silent` the region that must be named, and `degraded` says that it must
    be as one that refuses attempts.
    """

    name: str
    traffic: Traffic
    shares: tuple[float, ...]
    right: str
    pool: str = "balanced"
    silent: int | None = None
    degraded: bool = False
    declared: tuple[float, ...] = ()

    @property
    def expected(self) -> tuple[float, ...]:
        """The shares that the traffic is judged by."""
        return self.declared or equal(len(self.shares))


def equal(regions: int) -> tuple[float, ...]:
    """Equal shares."""
    return (1 / regions,) * regions


def but_one(regions: int) -> tuple[float, ...]:
    """Equal shares of all but the first."""
    return (0.0, *equal(regions - 1))


THREE = equal(3)
CASES = (
    Case(name="strict rotation of 3", traffic=rotation(3), shares=THREE, right="balanced"),
    *(
        Case(
            name=f"rotation on each of {n} instances",
            traffic=rotation(3, instances=n),
            shares=THREE,
            right="balanced",
        )
        for n in (2, 4, 8)
    ),
    Case(name="uniformly random", traffic=drawn(1, 1, 1), shares=THREE, right="balanced"),
    *(
        Case(
            name=f"strict rotation, {share:.0%} throttled".replace("%", " %"),
            traffic=rotation(3, throttled=share),
            shares=THREE,
            right="balanced",
        )
        for share in (0.1, 0.3)
    ),
    Case(name="all to one", traffic=drawn(1, 0, 0), shares=(1, 0, 0), right="imbalanced"),
    Case(name="80/10/10", traffic=drawn(8, 1, 1), shares=(0.8, 0.1, 0.1), right="imbalanced"),
    Case(name="70/15/15", traffic=drawn(14, 3, 3), shares=(0.7, 0.15, 0.15), right="imbalanced"),
    Case(
        name="50/50/0, the silent one named",
        traffic=drawn(0, 1, 1),
        shares=but_one(3),
        right="imbalanced",
        silent=0,
    ),
    Case(
        name="100:50:50 by weight, pool read",
        traffic=drawn(2, 1, 1),
        shares=(0.5, 0.25, 0.25),
        right="imbalanced",
        pool="imbalanced",
    ),
    Case(
        name="one region of 3 down",
        traffic=one_down(3),
        shares=but_one(3),
        right="imbalanced",
        silent=0,
    ),
    *(
        Case(
            name=f"one region of 3 throttled behind the policy, {n} instances, named".replace(
                "1 instances", "1 instance"
            ),
            traffic=behind_the_policy(3, refusing=1, instances=n),
            shares=but_one(3),
            right="imbalanced",
            silent=0,
            degraded=True,
        )
        for n in (1, 2, 4)
    ),
    Case(
        name="one region of 3 throttles half of its attempts behind the policy",
        traffic=behind_the_policy(3, refusing=0.5),
        shares=(1 / 5, 2 / 5, 2 / 5),
        right="balanced",
    ),
    Case(name="strict rotation of 2", traffic=rotation(2), shares=equal(2), right="balanced"),
    Case(name="strict rotation of 30", traffic=rotation(30), shares=equal(30), right="balanced"),
    Case(
        name="30 regions, uniformly random",
        traffic=drawn(*repeat(1, 30)),
        shares=equal(30),
        right="balanced",
    ),
    Case(
        name="one region of 30 down",
        traffic=one_down(30),
        shares=but_one(30),
        right="imbalanced",
        silent=0,
    ),
    Case(
        name="100:50:50 declared, and so by weight",
        traffic=drawn(2, 1, 1),
        shares=(0.5, 0.25, 0.25),
        declared=(0.5, 0.25, 0.25),
        right="balanced",
    ),
    Case(
        name="80:10:10 declared, evenly spread",
        traffic=rotation(3),
        shares=THREE,
        declared=(0.8, 0.1, 0.1),
        right="imbalanced",
    ),
    Case(
        name="priority declared, all to the first",
        traffic=drawn(1, 0, 0),
        shares=(1, 0, 0),
        declared=(1, 0, 0),
        right="balanced",
    ),
    Case(
        name="priority declared, all to the second",
        traffic=drawn(0, 1, 0),
        shares=(0, 1, 0),
        declared=(1, 0, 0),
        right="imbalanced",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Result:
    """Requests of each run, and the shares of wrong and of inconclusive verdicts.

    `loops` are the shares of wrong verdicts of loops of so many requests on the same traffic.
    """

    requests: list[int]
    wrong: float
    inconclusive: float
    loops: dict[int, float]


def replay(case: Case, runs: int = RUNS) -> Result:
    """Run a case so many times; the seed is the case's own, so the order of cases is free."""
    rng = random.Random(f"{SEED} {case.name}")
    subject = _plan(case)
    verdicts: dict[tuple[int, ...], str] = {}
    requests, wrong, inconclusive = [], 0, 0
    for _ in range(runs):
        sent, verdict = _run(case, subject, rng, verdicts)
        requests.append(sent)
        if case.pool == "imbalanced":
            verdict = "imbalanced"
        inconclusive += verdict == "inconclusive"
        wrong += verdict not in (case.right, "inconclusive")
    return Result(
        requests=requests,
        wrong=wrong / runs,
        inconclusive=inconclusive / runs,
        loops={length: _loop(case, length, runs) for length in LOOPS},
    )


def _loop(case: Case, length: int, runs: int) -> float:
    """Return how often a loop of so many requests, without a look at the pool, is wrong."""
    rng = random.Random(f"{SEED} {case.name} loop of {length}")
    wrong = 0
    for _ in range(runs):
        requests = itertools.islice(case.traffic(rng), length)
        counts = Counter(request.backend for request in requests if not request.throttled)
        spread = all(
            abs(counts[backend] / length - share) <= LOOP_TOLERANCE
            for backend, share in enumerate(case.expected)
        )
        wrong += ("balanced" if spread else "imbalanced") != case.right
    return wrong / runs


def _replay(index: int) -> Result:
    return replay(CASES[index])


def _plan(case: Case) -> Plan:
    return plan({str(i): share for i, share in enumerate(case.expected)})


def _run(
    case: Case, subject: Plan, rng: random.Random, verdicts: dict[tuple[int, ...], str]
) -> tuple[int, str]:
    answered, refused, failed = ([0] * len(case.shares) for _ in range(3))
    most = subject.most_requests
    for sent, request in enumerate(case.traffic(rng), 1):
        (refused if request.throttled else answered)[request.backend] += 1
        for backend in request.tried:
            failed[backend] += 1
        # Without refusals, and at equal expectations, the extremes are all that a verdict needs.
        named = case.silent is None or answered[case.silent] == 0
        extremes = not case.declared and not any(refused) and not any(failed)
        key = (
            (max(answered), min(answered), sent, named)
            if extremes
            else (*answered, *refused, *failed)
        )
        if key not in verdicts:
            verdicts[key] = _verdict(case, subject, answered, refused, failed)
        verdict = verdicts[key]
        if verdict or sent == most:
            return sent, verdict or "inconclusive"
    raise AssertionError("traffic never ends")


def replay_of_log(case: Case, rng: random.Random, length: int) -> str:
    """Return the verdict on so many requests, counted whole as a log does.

    A row is a request's last attempt: whom the gateway tried before is not in it.
    """
    answered, refused = ([0] * len(case.shares) for _ in range(2))
    for request in itertools.islice(case.traffic(rng), length):
        (refused if request.throttled else answered)[request.backend] += 1
    untold = replace(case, degraded=False)
    verdict = _verdict(untold, _plan(case), answered, refused, [0] * len(case.shares))
    return case.pool if case.pool == "imbalanced" else verdict or "inconclusive"


def _verdict(
    case: Case, subject: Plan, answered: list[int], refused: list[int], failed: list[int]
) -> str:
    counts = Counts(
        answered=_by_name(answered), refused=_by_name(refused), failed_attempts=_by_name(failed)
    )
    if proved := subject.proved(counts):
        named = [t.backend for t in proved if t.suspicion == "silence"]
        if case.silent is not None and named and str(case.silent) not in named:
            return "imbalanced, but for a wrong reason"
        if case.degraded and not (named and failed[int(named[0])]):
            return "imbalanced, but not called degraded"
        return "imbalanced"
    return "" if subject.open(counts) else "balanced"


def _by_name(counts: list[int]) -> dict[str, int]:
    return {str(i): count for i, count in enumerate(counts)}


def bound(case: Case) -> float:
    """Answers that Wald's tests take on average at the case's shares, overshoot left aside."""
    condemning, clearing = [], []
    for trial in _plan(case).trials:
        share = case.shares[int(trial.backend)]
        if trial.suspicion == "silence":
            if share == 0:
                condemning.append(trial.usual_requests)
            continue
        unit = 1_000_000  # the drift of one answer, in the trial's own arithmetic
        drift = trial.evidence(round(share * unit), unit) / unit
        if drift > 0:
            condemning.append(trial.condemns_at / drift)
        else:
            clearing.append(trial.clears_at / drift)
    return min(condemning) if condemning else max(clearing, default=0.0)


def table(results: list[Result]) -> str:
    """Return the table as Markdown."""
    lines = [
        "| traffic | right verdict | Wald | mean | p95 | most | wrong | inconclusive "
        + "".join(f"| loop of {length}, wrong " for length in LOOPS)
        + "|",
        "|---|---|--:|--:|--:|--:|--:|--:|" + "--:|" * len(LOOPS),
    ]
    for case, result in zip(CASES, results, strict=True):
        ordered = sorted(result.requests)
        lines.append(
            f"| {case.name} | {case.right} | {bound(case):.1f} | {statistics.mean(ordered):.1f} "
            f"| {ordered[int(0.95 * len(ordered))]} | {ordered[-1]} | {100 * result.wrong:.2f} % "
            f"| {100 * result.inconclusive:.2f} % |"
            + "".join(f" {100 * wrong:.0f} % |" for wrong in result.loops.values())
        )
    return "\n".join(lines)


def main() -> int:
    """Print the table; exit code 1 when a case has more wrong verdicts than promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {DOCUMENT.name} as well")
    options = parser.parse_args()
    begin = time.monotonic()
    with ProcessPoolExecutor() as processes:
        results = list(processes.map(_replay, range(len(CASES))))
    text = table(results)
    print(text)
    print(f"\n{len(CASES)} cases of {RUNS:,} runs in {time.monotonic() - begin:.0f} s")
    if options.write:
        DOCUMENT.write_text(_document(text), encoding="utf-8")
    return int(any(result.wrong > SHARE_OF_WRONG_VERDICTS for result in results))


def _document(text: str) -> str:
    return f"""# How sure a verdict is, and what it costs

Generated by `python benchmarks/verdicts.py --write`: {RUNS:,} seeded runs a case, seed {SEED}.
At most {100 * SHARE_OF_WRONG_VERDICTS:.0f} % of the verdicts may be wrong; inconclusive ones
are counted apart.
"Wald" is what his tests of a region's share take on average, without the overshoot of whole
answers; balanced needs besides that every region has answered, hence 30 requests for 30 regions.
A region that throttles behind this program's policy answers nothing, since the gateway tries again
elsewhere and lists each failed attempt in `x-backend-tried`. It is proved by the bound of silence,
so the error stays what it is, and it is called degraded, with a next step of its own. A failed
attempt shows that the pool chose the region: it never makes another one's share look too great.
The loops are today's practice: a fixed count, accepted when each region's share of all requests is
within {100 * LOOP_TOLERANCE:.0f} points of what is expected.

{text}
"""


if __name__ == "__main__":
    sys.exit(main())
