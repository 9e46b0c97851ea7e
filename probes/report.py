"""The verdict on a run, its reasons and its criteria: what every form of output shows."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from probes.evidence import CEILING, Plan, Trial
from probes.outputs import Stack
from probes.pool import Pool
from probes.tally import Answer, Tally

VERSION: Final = "0.1.0"
"""The probe's version, that of the project (pyproject.toml)."""

Verdict = Literal["balanced", "imbalanced", "inconclusive"]
WORDS: Final[dict[Verdict, str]] = {
    "balanced": "balanced",
    "imbalanced": "not balanced",
    "inconclusive": "inconclusive",
}
EXIT_CODES: Final[dict[Verdict, int]] = {"balanced": 0, "imbalanced": 1, "inconclusive": 3}


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
    """One run, judged. `pool` is None where the control plane was skipped; `duration` in seconds.

    `stopped` says why the run ended without a verdict of the traffic.
    """

    stack: Stack
    round_robin: bool
    plan: Plan
    tally: Tally
    pool: Pool | None
    stopped: str
    max_requests: int
    started: datetime
    duration: float

    @property
    def verdict(self) -> Verdict:
        """Balanced needs everything known and nothing against it."""
        if self._against:
            return "imbalanced"
        return "inconclusive" if self._unknown else "balanced"

    @property
    def exit_code(self) -> int:
        """Exit code of the probe: 0 balanced, 1 not balanced, 3 inconclusive."""
        return EXIT_CODES[self.verdict]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the verdict is what it is, most telling first."""
        return tuple(self._against or self._unknown or [self._as_expected])

    @property
    def next_step(self) -> str:
        """What to do now; nothing where all is well."""
        if self.verdict == "imbalanced":
            return self._correction
        if self.verdict == "balanced":
            return ""
        troubles = [answer for answer in self.tally.answers if answer.remedy]
        if troubles:
            return troubles[-1].remedy
        if self.pool and self.pool.unread:
            return "--skip-control-plane judges the traffic alone"
        return "run it again, with more --max-requests or a longer --timeout"

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        parts = [*self.reasons, self.next_step] if self.next_step else self.reasons
        return f"{WORDS[self.verdict]}: {'; '.join(parts)}"

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The incident's acceptance, then what the verdict needs besides."""
        counted, total = self.tally.answered, self.tally.counted
        decided = self.plan.decided(counted, self.tally.refused)
        regions = sum(count > 0 for count in counted.values())
        highest = max(counted, key=lambda name: counted[name])
        traffic = not self.proved if decided else None
        criteria = [
            Criterion(
                name=f"at least 2 of {len(counted)} regions answer",
                passed=regions >= 2 or (False if decided else None),
                detail=f"{regions} answered",
                required=self.round_robin,
            ),
            Criterion(
                name=f"no region above {CEILING:.0%}".replace("%", " %"),
                passed=bool(total and counted[highest] <= CEILING * total)
                or (False if decided else None),
                detail=f"highest is {self.stack.regions[highest]} with {self.percent(highest)}"
                if total
                else "no answer",
                required=self.round_robin,
            ),
            self._pool_criterion("pool equal", round_robin=True),
        ]
        if not self.round_robin:
            criteria.append(self._pool_criterion("pool as declared", round_robin=False))
        evidence = Criterion(
            name="traffic as expected",
            passed=traffic,
            detail="; ".join(map(self._describe, self.proved))
            or f"{'proved' if decided else 'not proved'} in {_answers(total)}",
        )
        return (*criteria, evidence)

    @property
    def proved(self) -> tuple[Trial, ...]:
        """Suspicions that the traffic proves."""
        return self.plan.proved(self.tally.answered, self.tally.refused)

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
        """Write the share of the answers that a backend gave as `33.3 %`."""
        return f"{100 * self.share(backend):.1f} %"

    def share(self, backend: str) -> float:
        """Return the share of the answers that a backend gave; 0 of no answers."""
        return self.tally.answered[backend] / (self.tally.counted or 1)

    @property
    def _differences(self) -> list[str]:
        if self.pool is None or self.pool.unread:
            return []
        return self.pool.differences(self.stack, round_robin=self.round_robin)

    @property
    def _against(self) -> list[str]:
        reasons = [self._describe(trial) for trial in self.proved]
        if differences := self._differences:
            wanted = "round robin" if self.round_robin else "as declared"
            reasons.append(f"the pool is not {wanted}: {', '.join(differences)}")
        return reasons

    @property
    def _unknown(self) -> list[str]:
        reasons = []
        counted = self.tally.answered
        if self.plan.open(counted):
            reasons.append(self._missing_evidence)
        if self.pool and self.pool.unread:
            reasons.append(f"the pool could not be read: {self.pool.unread}")
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
            self.stack.regions[name]
            for name, refusals in self.tally.refusals.items()
            if refusals["throttled"] and not self.tally.answered[name]
        ]
        if throttling:
            reason += f", {' and '.join(throttling)} only throttled"
        return reason

    @property
    def _as_expected(self) -> str:
        shares = ", ".join(
            f"{region} {self.percent(name)}" for name, region in self.stack.regions.items()
        )
        wanted = "round robin" if self.round_robin else f"declared by routing {self.stack.routing}"
        return f"{shares} of {_answers(self.tally.counted)}, as {wanted}"

    @property
    def _correction(self) -> str:
        if self._differences:
            return (
                "give every member the same priority and weight and run `pulumi up`"
                if self.round_robin
                else "run `pulumi up` so that the pool is what the stack declares"
            )
        silent = [t for t in self.proved if t.suspicion == "silence"]
        if silent:
            names = " and ".join(self.stack.regions[t.backend] for t in silent)
            return f"look at the health, the quota and the circuit breaker of {names}"
        if self.pool is None or self.pool.unread:
            return "read the pool: is a member's priority lower than the others'?"
        return "the pool is right, so look for tripped circuit breakers and session affinity"

    def _pool_criterion(self, name: str, *, round_robin: bool) -> Criterion:
        required = self.round_robin == round_robin
        if self.pool is None or self.pool.unread:
            detail = "not read" if self.pool is None else self.pool.unread
            return Criterion(name=name, passed=None, detail=detail, required=required)
        differences = self.pool.differences(self.stack, round_robin=round_robin)
        detail = ", ".join(differences) or self.pool.values
        return Criterion(name=name, passed=not differences, detail=detail, required=required)

    def _describe(self, trial: Trial) -> str:
        region = self.stack.regions[trial.backend]
        expected = f"{100 * self.plan.shares[trial.backend]:.1f} %"
        counts = self.plan.counts(self.tally.answered, self.tally.refused)
        hits, total = next((hits, total) for t, hits, total in counts if t == trial)
        if trial.suspicion == "silence":
            chance = 100 * (1 - trial.expected) ** total
            return (
                f"{region} gave none of {_answers(total)} where {expected} is expected "
                f"(chance {chance:.2g} %)"
            )
        return (
            f"{region} got {hits} of {total} requests ({100 * hits / total:.1f} %) "
            f"where {expected} is expected"
        )


def _answers(count: int) -> str:
    return f"{count} answer" if count == 1 else f"{count} answers"


def problem(answer: Answer) -> str:
    """Say in a few words how a request ended that was not answered."""
    return f"{answer.outcome}: {answer.detail}"
