"""How many answers it takes to say that traffic is spread, or that it is not.

Every suspicion about a backend is one likelihood-ratio test of "its share is as expected" against a
suspected share, after A. Wald, "Sequential Tests of Statistical Hypotheses", Annals of Mathematical
Statistics 16 (1945). Its bounds are those of J. Ville, "Étude critique de la notion de collectif"
(1939): at the expected share the ratio ever exceeds 1/a with a probability of at most a. So a
verdict depends on the counts alone, holds whenever one looks, and is wrong in at most 5 % of runs
either way; Bonferroni's inequality divides that error among the suspicions.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

CEILING: Final = 0.7
"""No region may get more: the incident's acceptance, and what round robin is tested against."""
TOLERANCE: Final = 0.2
"""Deviation from unequal expectations that is not as declared: the incident's ±15-20 points."""
ERROR: Final = 0.05  # greatest probability of a wrong verdict, either way
EXCESS_ERROR: Final = 0.035
"""Part of it for a share that is off; with the rest for silence, 6 requests to one of three do."""
CERTAINTY: Final = 0.98
"""The greatest share that is tested for, and its complement the least: a retry may stray."""
MOST_REQUESTS: Final = 500
"""What a run may send without being told to, however rare a region's traffic is."""

Suspicion = Literal["excess", "lack", "silence"]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What each backend did: requests it answered, refused, and let another one answer.

    A refusal is what the client saw; `failed_attempts` are what the gateway's policy tried again
    elsewhere.
    """

    answered: Mapping[str, int]
    refused: Mapping[str, int]
    failed_attempts: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.answered.values())


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One suspicion about one backend: that its share is `suspected` instead of `expected`."""

    backend: str
    suspicion: Suspicion
    expected: float
    suspected: float
    condemns_at: float
    clears_at: float = math.log(ERROR)

    def evidence(self, hits: int, total: int) -> float:
        """Log likelihood ratio, suspected to expected, of `hits` in `total`; minus infinity too."""
        a_hit, a_miss = self._weights
        own = hits * a_hit if hits else 0.0  # 0 times infinity is no number
        return own + (total - hits) * a_miss

    def condemns(self, hits: int, total: int) -> bool:
        return self.evidence(hits, total) >= self.condemns_at

    def clears(self, hits: int, total: int) -> bool:
        return self.evidence(hits, total) <= self.clears_at

    @property
    def usual_requests(self) -> float:
        """Answers it takes to refute it at the expected share (Wald's expectation), or silence."""
        a_hit, a_miss = self._weights
        if self.suspicion == "silence":
            return self.condemns_at / a_miss
        return self.clears_at / (self.expected * a_hit + (1 - self.expected) * a_miss)

    @cached_property
    def _weights(self) -> tuple[float, float]:
        """Log likelihood ratio of a hit, and of a miss."""
        a_hit = math.log(self.suspected / self.expected) if self.suspected else -math.inf
        return a_hit, math.log((1 - self.suspected) / (1 - self.expected))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All suspicions about a pool, for the share that each backend is expected to have.

    Refutation takes answers. A refusal never speaks against a pool: to prove a suspicion it counts
    in favour, so a region whose throttling the client sees is never called silent. An attempt that
    was retried elsewhere shows that the pool did choose that region: nobody else got too much by
    it. It is no answer, so the region is silent, and why is known: `Report` calls it degraded.
    """

    shares: Mapping[str, float]
    trials: tuple[Trial, ...]

    def counted(self, counts: Counts) -> Iterator[tuple[Trial, int, int]]:
        """Each suspicion with the hits and the total by which it is proved."""
        total = counts.total
        elsewhere = sum(counts.refused.values()) + sum(counts.failed_attempts.values())
        for trial in self.trials:
            hits, own = counts.answered[trial.backend], counts.refused[trial.backend]
            if trial.suspicion == "excess":
                others = elsewhere - own - counts.failed_attempts[trial.backend]
                yield trial, hits, total + others
            else:
                yield trial, hits + own, total + own

    def proved(self, counts: Counts) -> tuple[Trial, ...]:
        """Suspicions that are proved so far: any of them condemns the pool."""
        return tuple(t for t, hits, total in self.counted(counts) if t.condemns(hits, total))

    def open(self, counts: Counts) -> tuple[Trial, ...]:
        """Suspicions that the answers so far do not refute: none is left of a balanced pool."""
        total = counts.total
        return tuple(t for t in self.trials if not t.clears(counts.answered[t.backend], total))

    def decided(self, counts: Counts) -> bool:
        return bool(self.proved(counts)) or not self.open(counts)

    def least_needed(self, counts: Counts, *, at_most: int) -> int:
        """Further answers without which no verdict is possible, whatever they are.

        0 with a verdict. So many requests may be in flight: not one of them is sent in vain.
        """
        if self.decided(counts):
            return 0
        for more in range(1, at_most):
            for trial, hits, total in self.counted(counts):
                if trial.condemns(hits + more, total + more) or trial.condemns(hits, total + more):
                    return more
            if self._can_clear(counts, more):
                return more
        return at_most

    @property
    def most_requests(self) -> int:
        """Requests after which a run without a verdict is better called inconclusive."""
        silence = (t.usual_requests for t in self.trials if t.suspicion == "silence")
        shares = (6 * t.usual_requests for t in self.trials if t.suspicion != "silence")
        return min(MOST_REQUESTS, math.ceil(max((*silence, *shares))))

    def _can_clear(self, counts: Counts, more: int) -> bool:
        total = counts.total + more
        least = greatest = 0
        for backend, answered in counts.answered.items():
            trials = [t for t in self.trials if t.backend == backend]
            hits = [
                count
                for count in range(answered, answered + more + 1)
                if all(t.clears(count, total) for t in trials)
            ]
            if not hits:
                return False
            least += hits[0]
            greatest += hits[-1]
        return least <= total <= greatest


def plan(shares: Mapping[str, float]) -> Plan:
    """Suspicions to test for these expected shares of at least two backends; they sum to 1.

    Equal shares are tested against the incident's ceiling, unequal ones against its tolerance; in
    either case every backend that should answer is suspected of silence.
    """
    if len(shares) < 2 or not math.isclose(sum(shares.values()), 1):
        raise ValueError(f"Two or more shares that sum to 1 are needed: {dict(shares)}")
    certain = {name: min(max(p, 1 - CERTAINTY), CERTAINTY) for name, p in shares.items()}
    suspected: list[tuple[str, Suspicion, float]] = []
    if len(set(shares.values())) == 1:
        suspected += [(name, "excess", CEILING) for name in shares]
    else:
        for name, share in certain.items():
            if share + TOLERANCE < 1:
                suspected.append((name, "excess", share + TOLERANCE))
            if share - TOLERANCE > 1 - CERTAINTY:
                suspected.append((name, "lack", share - TOLERANCE))
    bound = math.log(len(suspected) / EXCESS_ERROR)
    silent: list[tuple[str, Suspicion, float]]
    silent = [(name, "silence", 0.0) for name, share in shares.items() if share > 0]
    bound_of_silence = math.log(len(silent) / (ERROR - EXCESS_ERROR))
    trials = (
        Trial(
            backend=name,
            suspicion=suspicion,
            expected=certain[name],
            suspected=share,
            condemns_at=bound_of_silence if suspicion == "silence" else bound,
        )
        for name, suspicion, share in (*suspected, *silent)
    )
    return Plan(shares=dict(shares), trials=tuple(trials))
