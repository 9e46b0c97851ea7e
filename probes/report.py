"""The verdict on a run, its reasons and its criteria: what every form of output shows."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final, Literal, TypeVar

from components.contract import Outputs
from components.traffic import Pool, Problem, differences, listed
from probes.control_plane import Reading
from probes.evidence import CEILING, Counts, Plan, Trial, plan
from probes.exit_codes import AS_DECLARED, INCONCLUSIVE, UNBALANCED
from probes.sources import Source
from probes.tally import Answer, Tally

VERSION: Final = "0.1.0"
"""The probe's version, that of the project (pyproject.toml)."""

T = TypeVar("T")
Verdict = Literal["balanced", "imbalanced", "inconclusive"]
EXIT_CODES: Final[dict[Verdict, int]] = {
    "balanced": AS_DECLARED,
    "imbalanced": UNBALANCED,
    "inconclusive": INCONCLUSIVE,
}
_MOST_NAMED: Final = 6  # problems that a sentence names; a pool of 30 may have more


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What a stack is judged against: round robin, or the routing that it declares."""

    outputs: Outputs[str]
    round_robin: bool

    @classmethod
    def of(cls, outputs: Outputs[str], expect: str) -> "Expectation":
        """`expect` is `round-robin` or `declared`."""
        round_robin = "round-robin" in (expect, outputs.routing)
        return cls(outputs=outputs, round_robin=round_robin)

    @cached_property
    def plan(self) -> Plan:
        """What the traffic has to prove: the share that each backend should get."""
        backends = self.outputs.backends
        declared = self.outputs.declared.shares or ()
        shares = [1 / len(backends)] * len(backends) if self.round_robin else map(float, declared)
        return plan(dict(zip((b.id for b in backends), shares, strict=True)))

    @property
    def routing(self) -> str:
        return "round-robin" if self.round_robin else self.outputs.routing

    @property
    def uneven(self) -> str:
        """What is not spread by expectation: `East US gets 0 %`, or who gets more than 70 %."""
        shares = self.plan.shares
        named = [name for name, share in shares.items() if share == 0]
        named = named or [name for name, share in shares.items() if share > CEILING]
        if not named:
            return ""
        regions = listed([self.outputs.regions[name] for name in named])
        gets = "gets" if len(named) == 1 else "get"
        return f"{regions} {gets} {100 * shares[named[0]]:.3g} % by declaration"

    def equal_problems(self, live: Pool) -> list[Problem]:
        """Why a pool is no round robin of the stack's backends."""
        found = [p for p in differences(self.outputs.declared, live) if p.kind != "different"]
        return _once([*found, *live.problems("round-robin")])

    def declared_problems(self, live: Pool) -> list[Problem]:
        """Why a pool is not the one that the stack declares."""
        found = differences(self.outputs.declared, live)
        drifted = any(p.kind == "different" for p in found)  # and then unequal by that alone
        own = live.problems(self.outputs.routing)
        return _once([*found, *(p for p in own if not (drifted and p.kind == "unequal"))])

    def problems(self, live: Pool) -> list[Problem]:
        if self.routing == self.outputs.routing:
            return self.declared_problems(live)
        return self.equal_problems(live)

    def wanted(self, problems: Iterable[Problem]) -> str:
        """Say what a pool with these problems is not."""
        drifted = any(p.kind == "different" for p in problems)
        return "round robin" if self.round_robin and not drifted else "as declared"

    def remedy(self, live: Pool) -> str:
        """Say what to do about each problem, and by which command.

        A plain `pulumi up` compares with its own state, and leaves what others changed.
        """
        problems, drift = self.problems(live), differences(self.outputs.declared, live)
        if back := _once(p.remedy for p in problems if p in drift):
            return f"{_few(back)}: `pulumi up --refresh` does it"
        return f"{_few(_once(p.remedy for p in problems))} and run `pulumi up`"


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """One question with its answer; `passed` is None where nothing is known.

    The incident's acceptance is always among them; it is not `required` of a pool that is meant
    to be unequal.
    """

    name: str
    passed: bool | None
    detail: str
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class Report:
    """One run, judged. `reading` is None where the control plane was skipped.

    `duration` is in seconds. `stopped` says why the run ended without a verdict of the traffic.
    """

    source: Source
    expectation: Expectation
    tally: Tally
    reading: Reading | None
    stopped: str
    max_requests: int
    started: datetime
    duration: float

    @property
    def outputs(self) -> Outputs[str]:
        return self.source.outputs

    @property
    def plan(self) -> Plan:
        return self.expectation.plan

    @cached_property
    def counts(self) -> Counts:
        return self.tally.counts

    @property
    def verdict(self) -> Verdict:
        """Balanced needs everything known and nothing against it."""
        if self._against:
            return "imbalanced"
        return "inconclusive" if self._unknown else "balanced"

    @property
    def spread(self) -> bool:
        """Whether traffic is proved to reach every region, and none above the ceiling."""
        return self.verdict == "balanced" and not self.expectation.uneven

    @property
    def words(self) -> str:
        """The verdict for people: what is declared to be uneven is never called balanced."""
        if self.verdict == "balanced":
            return "balanced" if self.spread else "as declared, not spread"
        return "not balanced" if self.verdict == "imbalanced" else "inconclusive"

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(self._against or self._unknown or self._as_expected)

    @property
    def next_step(self) -> str:
        if self.verdict == "imbalanced":
            return self._correction
        if self.verdict == "balanced":
            return ""
        troubles = [answer for answer in self.tally.answers if answer.remedy]
        if troubles:
            return troubles[-1].remedy
        if self.reading and self.reading.unread:
            return "--skip-control-plane judges the traffic alone"
        return "run it again, with more --max-requests or a longer --timeout"

    @property
    def sentence(self) -> str:
        parts = [*self.reasons, self.next_step] if self.next_step else self.reasons
        return f"{self.words}: {'; '.join(parts)}"

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The incident's acceptance, then what the verdict needs besides."""
        answered, total = self.counts.answered, self.tally.counted
        decided, expected = self.plan.decided(self.counts), self.expectation
        regions = sum(count > 0 for count in answered.values())
        highest = max(answered, key=lambda name: answered[name])
        declared = expected.routing == self.outputs.routing
        return (
            Criterion(
                name=f"at least 2 of {len(answered)} regions answer",
                passed=regions >= 2 or (False if decided else None),
                detail=f"{regions} answered",
                required=expected.round_robin,
            ),
            Criterion(
                name=f"no region above {100 * CEILING:.0f} %",
                passed=bool(total and self.share(highest) <= CEILING)
                or (False if decided else None),
                detail=f"highest is {self.outputs.regions[highest]} with {self.percent(highest)}"
                if total
                else "no answer",
                required=expected.round_robin,
            ),
            self._pool_criterion("pool equal", equal=True, required=expected.round_robin),
            self._pool_criterion("pool as declared", equal=False, required=declared),
            Criterion(
                name="traffic as expected",
                passed=not self.proved if decided else None,
                detail="; ".join(map(self._describe, self.proved))
                or f"{'proved' if decided else 'not proved'} in {_answers(total)}",
            ),
        )

    @cached_property
    def proved(self) -> tuple[Trial, ...]:
        return self.plan.proved(self.counts)

    def is_degraded(self, trial: Trial) -> bool:
        """Whether a region answers nothing since it refuses the attempts that are made at it."""
        return trial.suspicion == "silence" and self.counts.failed_attempts[trial.backend] > 0

    def latency(self, backend: str) -> dict[str, float] | None:
        """Return p50 and p95 of a backend's answers in seconds (nearest rank); None of none."""
        times = sorted(
            answer.seconds
            for answer in self.tally.answers
            if answer.backend == backend and answer.outcome == "answered"
        )
        if not times:
            return None
        ranks = {"p50": 0.5, "p95": 0.95}
        return {p: round(times[math.ceil(q * len(times)) - 1], 4) for p, q in ranks.items()}

    def percent(self, backend: str) -> str:
        return f"{100 * self.share(backend):.1f} %"

    def share(self, backend: str) -> float:
        return self.tally.answered[backend] / (self.tally.counted or 1)

    @property
    def _live(self) -> Pool | None:
        return self.reading.pool if self.reading and not self.reading.unread else None

    @property
    def _pool_problems(self) -> list[Problem]:
        return self.expectation.problems(self._live) if self._live else []

    @property
    def _against(self) -> list[str]:
        reasons = [self._describe(trial) for trial in self.proved]
        if problems := self._pool_problems:
            wanted = self.expectation.wanted(problems)
            reasons.append(f"the pool is not {wanted}: {told(problems)}")
        return reasons

    @property
    def _unknown(self) -> list[str]:
        reasons = [self._missing_evidence] if self.plan.open(self.counts) else []
        if self.reading and self.reading.unread:
            reasons.append(f"the pool could not be read: {self.reading.unread}")
        return reasons

    @property
    def _missing_evidence(self) -> str:
        total = self.tally.counted
        words = (
            "no answer proves" if total == 0 else f"{_answers(total)} of too little evidence for"
        )
        reason = f"{words} any share"
        if self.stopped:
            reason += f", {self.stopped}"
        throttling = [
            self.outputs.regions[name]
            for name, refusals in self.tally.refusals.items()
            if refusals["throttled"] and not self.tally.answered[name]
        ]
        if throttling:
            reason += f", {listed(throttling)} only throttled"
        return reason

    @property
    def _as_expected(self) -> list[str]:
        shares = ", ".join(
            f"{region} {self.percent(name)}" for name, region in self.outputs.regions.items()
        )
        uneven = self.expectation.uneven
        declared = f"declared by routing {self.outputs.routing}"
        wanted = "round robin" if self.expectation.round_robin else declared
        return [
            *([uneven] if uneven else []),
            f"{shares} of {_answers(self.tally.counted)}, as {wanted}",
        ]

    @property
    def _correction(self) -> str:
        if self._live and self._pool_problems:
            return self.expectation.remedy(self._live)
        silent = [t for t in self.proved if t.suspicion == "silence"]
        degraded = [t for t in silent if self.is_degraded(t)]
        if degraded:
            statuses = {s for t in degraded for s in self.tally.failed_attempts[t.backend]}
            if statuses == {"429"}:
                return f"give {self._names(degraded)} more capacity: each attempt is throttled"
            return f"look at the health of {self._names(degraded)}, which the gateway still tries"
        if silent:
            step = f"look at the health, the quota and the circuit breaker of {self._names(silent)}"
            return f"{step}, which probably refuses requests" if self.tally.untold else step
        if self._live is None:
            return "read the pool: is a member's priority lower than the others'?"
        return "the pool is right, so look for tripped circuit breakers and session affinity"

    def _names(self, trials: Iterable[Trial]) -> str:
        return listed([self.outputs.regions[trial.backend] for trial in trials])

    def _pool_criterion(self, name: str, *, equal: bool, required: bool) -> Criterion:
        if self._live is None:
            return Criterion(name=name, passed=None, detail="not read", required=required)
        judge = self.expectation.equal_problems if equal else self.expectation.declared_problems
        problems = judge(self._live)
        detail = told(problems) if problems else values(self._live)
        return Criterion(name=name, passed=not problems, detail=detail, required=required)

    def _describe(self, trial: Trial) -> str:
        region = self.outputs.regions[trial.backend]
        expected = f"{100 * self.plan.shares[trial.backend]:.1f} %"
        counted = self.plan.counted(self.counts)
        hits, total = next((hits, total) for t, hits, total in counted if t == trial)
        if trial.suspicion != "silence":
            return (
                f"{region} got {hits} of {total} requests ({100 * hits / total:.1f} %) "
                f"where {expected} is expected"
            )
        chance = 100 * (1 - trial.expected) ** total
        silence = f"none of {_answers(total)} where {expected} is expected (chance {chance:.2g} %)"
        if self.is_degraded(trial):
            failed = self.tally.failed_attempts[trial.backend]
            return f"{region} is degraded: it gave {silence}, and failed {attempts(failed)}"
        if untold := self.tally.untold:
            silence += f"; {_answers(untold)} came after a retry that the gateway does not name"
        return f"{region} gave {silence}"


def told(problems: Iterable[Problem]) -> str:
    return _few([problem.message for problem in problems])


def values(pool: Pool) -> str:
    """Tell what the members have: `all backends have priority=1, weight=1`, or each of them."""
    pairs = {(m.priority, m.weight) for m in pool.members}
    if len(pairs) == 1:
        priority, weight = pairs.pop()
        return f"all backends have priority={priority}, weight={weight}"
    return ", ".join(f"{m.name} has priority={m.priority}, weight={m.weight}" for m in pool.members)


def attempts(failed: dict[str, int]) -> str:
    """Count attempts by the status that they met: `6 attempts with 429`."""
    count = sum(failed.values())
    statuses = ", ".join(
        "no answer" if each == "none" else each for each in sorted(failed, key=lambda s: -failed[s])
    )
    return f"{count} attempt{'' if count == 1 else 's'} with {statuses}"


def _answers(count: int) -> str:
    return f"{count} answer" if count == 1 else f"{count} answers"


def _few(texts: list[str]) -> str:
    more = len(texts) - _MOST_NAMED
    return ", ".join(texts[:_MOST_NAMED] + ([f"and {more} more"] if more > 0 else []))


def _once(items: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(items))


def problem(answer: Answer) -> str:
    return f"{answer.outcome}: {answer.detail}"
