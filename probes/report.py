"""The verdict on a run, its reasons and its criteria: what every form of output shows."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final, Literal

from components.contract import Outputs
from components.traffic import Pool, Problem, differences, listed
from probes.control_plane import FoundPool, Reading
from probes.conversations import TURNS, Conversation
from probes.evidence import CEILING, Counts, Plan, Trial, plan
from probes.exit_codes import AS_DECLARED, INCONCLUSIVE, UNBALANCED
from probes.hours import Hours
from probes.sources import Source
from probes.tally import Tally

Verdict = Literal["balanced", "imbalanced", "inconclusive"]
LONGER: Final = {"1h": "24h", "24h": "7d"}  # the next longer window of the log
_MOST_NAMED: Final = 6  # problems that a sentence names; a pool of 30 may have more


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What a stack is judged against: round robin, or the routing that it declares."""

    outputs: Outputs[str]
    round_robin: bool

    @classmethod
    def of(cls, outputs: Outputs[str], expect: str) -> "Expectation":
        """`expect` is `round-robin` or `declared`."""
        return cls(outputs=outputs, round_robin="round-robin" in (expect, outputs.routing))

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
        gets = "gets" if len(named) == 1 else "get"
        if not named:
            return ""
        return f"{self.names(named)} {gets} {100 * shares[named[0]]:.3g} % by declaration"

    def names(self, backends: Iterable[str]) -> str:
        return listed([self.outputs.regions[name] for name in backends])

    def problems(self, read: FoundPool, *, equal: bool | None = None) -> list[Problem]:
        """Why a pool is not as expected, or as `equal` says: no round robin, or not as declared."""
        live, found = read.pool, differences(read.declared, read.pool)
        if self.routing != self.outputs.routing if equal is None else equal:
            found = [p for p in found if p.kind != "different"]
            own = live.problems("round-robin")
        else:
            own = live.problems(self.outputs.routing)
            if any(p.kind == "different" for p in found):  # and then unequal by that alone
                own = [p for p in own if p.kind != "unequal"]
        return [*dict.fromkeys(found + own)]

    def wanted(self, problems: Iterable[Problem]) -> str:
        """Say what a pool with these problems is not."""
        drifted = any(p.kind == "different" for p in problems)
        return "round robin" if self.round_robin and not drifted else "as declared"

    def remedy(self, reading: Reading) -> str:
        """Say what to do about each problem, and by which command; empty where there is none.

        A plain `pulumi up` compares with its own state, and leaves what others changed.
        """
        problems = [(each, p) for each in reading.live for p in self.problems(each)]
        back = [p.remedy for each, p in problems if p in differences(each.declared, each.pool)]
        if reading.policy and reading.policy.differs:
            back.append("put the declared policy back")
        if back:
            return f"{_few(back)}: `pulumi up --refresh` does it"
        return f"{_few(p.remedy for _, p in problems)} and run `pulumi up`" if problems else ""


@dataclass(frozen=True)
class Criterion:
    """One question with its answer; `passed` is None where nothing is known.

    The incident's acceptance is always among them; it is not `required` of a pool that is meant
    to be unequal.
    """

    name: str
    passed: bool | None
    required: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """One run, judged. `reading` is None where the control plane was skipped.

    `duration` is in seconds. `stopped` says why the run ended without a verdict of the traffic.
    `conversations` were held where responses were asked for.
    `window` is how much of the gateway's log was read instead, as `24h`, and `hours` are those of
    it, where they were asked for.
    """

    source: Source
    expectation: Expectation
    tally: Tally
    reading: Reading | None
    stopped: str
    max_requests: int
    started: datetime
    duration: float
    window: str = ""
    hours: Hours | None = None
    conversations: tuple[Conversation, ...] = ()

    @property
    def outputs(self) -> Outputs[str]:
        return self.source.outputs

    @property
    def plan(self) -> Plan:
        return self.expectation.plan

    @property
    def tokens(self) -> int:
        return self.tally.tokens + sum(each.tokens for each in self.conversations)

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
        codes = {"balanced": AS_DECLARED, "imbalanced": UNBALANCED, "inconclusive": INCONCLUSIVE}
        return codes[self.verdict]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the verdict is what it is, most telling first."""
        return tuple(self._against or self._unknown or self._as_expected)

    @property
    def next_step(self) -> str:
        if self.verdict == "imbalanced":
            return self._correction
        if self.verdict == "balanced":
            return ""
        if remedies := [answer.remedy for answer in self.tally.answers if answer.remedy]:
            return remedies[-1]
        if self._unread:
            return "--skip-control-plane judges the traffic alone"
        if not self.window:
            return "run it again, with more --max-requests or a longer --timeout"
        longer = LONGER.get(self.window)
        read_more = f"read more of the log with --from-logs {longer}, or " if longer else ""
        return f"{read_more}leave out --from-logs to send requests"

    @property
    def sentence(self) -> str:
        return f"{self.words}: {'; '.join(filter(None, (*self.reasons, self.next_step)))}"

    @property
    def silences(self) -> list[str]:
        """Say since when each region that is silent now has been so, where hours are known."""
        told = []
        for each in self.hours.silences if self.hours else ():
            since = f"{each.since:%Y-%m-%d %H:%M} UTC"
            since = f"{since} or longer" if each.whole else since
            none = f"none of {counted(each.answers, 'answer')}"
            told.append(f"{self.outputs.regions[each.backend]} is silent since {since}: {none}")
        return told

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The incident's acceptance, then what the verdict needs besides."""
        answered, total = self.counts.answered, self.counts.total
        decided, expected = self.plan.decided(self.counts), self.expectation
        equal, declared = expected.round_robin, expected.routing == self.outputs.routing
        regions = sum(count > 0 for count in answered.values())
        highest = max(answered, key=lambda name: answered[name])
        most = f"highest is {self.outputs.regions[highest]} with {self.percent(highest)}"
        most = most if total else "no answer"
        reached = f"at least 2 of {len(answered)} regions answer"
        within = bool(total and self.share(highest) <= CEILING)
        unmet = False if decided else None
        proof = f"{'proved' if decided else 'not proved'} in {counted(total, 'answer')}"
        proof = "; ".join(map(self._describe, self.proved)) or proof
        return (
            Criterion(reached, regions >= 2 or unmet, equal, f"{regions} answered"),
            Criterion(f"no region above {100 * CEILING:.0f} %", within or unmet, equal, most),
            self._judged_pool("pool equal", required=equal, equal=True),
            self._judged_pool("pool as declared", required=declared, equal=False),
            *self._judged_policy,
            Criterion("traffic as expected", not self.proved if decided else None, True, proof),
            *self._judged_conversations,
        )

    @cached_property
    def proved(self) -> tuple[Trial, ...]:
        return self.plan.proved(self.counts)

    def is_degraded(self, trial: Trial) -> bool:
        """Whether a region answers nothing since it refuses the attempts that are made at it."""
        return trial.suspicion == "silence" and self.counts.failed_attempts[trial.backend] > 0

    def latency(self, backend: str) -> dict[str, float] | None:
        """Return p50 and p95 of a backend's answers in seconds (nearest rank); None of none.

        Of a log it is the average.
        """
        if backend in self.tally.averages:
            return {"average": round(self.tally.averages[backend], 4)}
        times = sorted(
            answer.seconds
            for answer in self.tally.answers
            if answer.backend == backend and answer.outcome == "answered"
        )
        if not times:
            return None
        ranks = {"p50": 0.5, "p95": 0.95}
        return {p: round(times[math.ceil(q * len(times)) - 1], 4) for p, q in ranks.items()}

    @property
    def average(self) -> float | None:
        """Return the average time of all answers, in seconds; None of none."""
        times = [a.seconds for a in self.tally.answers if a.outcome == "answered"]
        if times:
            return sum(times) / len(times)
        answered, averages = self.tally.answered, self.tally.averages
        timed = sum(answered[name] for name in averages)
        return (
            sum(answered[n] * average for n, average in averages.items()) / timed if timed else None
        )

    def percent(self, backend: str) -> str:
        return f"{100 * self.share(backend):.1f} %"

    def share(self, backend: str) -> float:
        """Return the share of the answers that a backend gave; 0 of no answers."""
        return self.tally.answered[backend] / (self.counts.total or 1)

    @property
    def _live(self) -> list[FoundPool]:
        return self.reading.live if self.reading else []

    @property
    def _unread(self) -> dict[str, list[str]]:
        """What could not be read, by the reason."""
        unread: dict[str, list[str]] = {}
        for found in self.reading.all if self.reading else ():
            if found.unread:
                unread.setdefault(found.unread, []).append(found.label)
        return unread

    @property
    def _against(self) -> list[str]:
        reasons = [self._describe(trial) for trial in self.proved]
        for found in self._live:
            if problems := self.expectation.problems(found):
                wanted = self.expectation.wanted(problems)
                reasons.append(f"{found.label} is not {wanted}: {told(problems)}")
        if self.reading and self.reading.policy and self.reading.policy.differs:
            reasons.append("the policy is not as declared")
        return reasons + [
            f"a conversation of {self.outputs.regions[each.backend]} is lost: {each.lost}"
            for each in self.conversations
            if each.lost
        ]

    @property
    def _unknown(self) -> list[str]:
        reasons = []
        if self.plan.open(self.counts):
            little = f"{counted(self.counts.total, 'answer')} of too little evidence for any share"
            throttling = [
                name
                for name, refusals in self.tally.refusals.items()
                if refusals["throttled"] and not self.tally.answered[name]
            ]
            only = f"{self.expectation.names(throttling)} only throttled" if throttling else ""
            known = little if self.counts.total else "no answer proves any share"
            reasons.append(", ".join(filter(None, (known, self.stopped, only))))
        for reason, labels in self._unread.items():
            reasons.append(f"{listed(labels)} could not be read: {reason}")
        return reasons + [
            f"whether a conversation of {self.outputs.regions[each.backend]} holds is not known: "
            f"{each.unknown}"
            for each in self.conversations
            if each.unknown
        ]

    @property
    def _as_expected(self) -> list[str]:
        regions = self.outputs.regions.items()
        shares = ", ".join(f"{region} {self.percent(name)}" for name, region in regions)
        declared = f"declared by routing {self.outputs.routing}"
        wanted = "round robin" if self.expectation.round_robin else declared
        spread = f"{shares} of {counted(self.counts.total, 'answer')}, as {wanted}"
        return [*filter(None, (self.expectation.uneven, spread))]

    @property
    def _correction(self) -> str:
        if self.reading and (remedy := self.expectation.remedy(self.reading)):
            return remedy
        silent = [t.backend for t in self.proved if t.suspicion == "silence"]
        failed = self.tally.failed_attempts
        if degraded := [name for name in silent if failed[name]]:
            names = self.expectation.names(degraded)
            if {status for name in degraded for status in failed[name]} == {"429"}:
                return f"give {names} more capacity: each attempt is throttled"
            return f"look at the health of {names}, which the gateway still tries"
        if silent:
            names = self.expectation.names(silent)
            step = f"look at the health, the quota and the circuit breaker of {names}"
            return f"{step}, which probably refuses requests" if self.tally.untold else step
        if any(each.lost for each in self.conversations):
            return "is the policy the stack's own? `pulumi up --refresh` puts it back"
        if not self._live:
            return "read the pool: is a member's priority lower than the others'?"
        return "the pool is right, so look for tripped circuit breakers and session affinity"

    def _judged_pool(self, name: str, *, required: bool, equal: bool) -> Criterion:
        problems = [p for each in self._live for p in self.expectation.problems(each, equal=equal)]
        if problems:
            return Criterion(name, False, required, told(problems))
        if not self.reading or len(self._live) < len(self.reading.pools):
            return Criterion(name, None, required, "not read")
        return Criterion(name, True, required, values(self._live[0].pool))

    @property
    def _judged_policy(self) -> list[Criterion]:
        """Of stacks whose outputs tell what the policy was declared as."""
        if not self.outputs.policy:
            return []
        found = self.reading and self.reading.policy
        name = "policy as declared"
        if not found or found.unread:
            return [Criterion(name, None, bool(found), "not read")]
        detail = "Azure has another policy" if found.differs else "white space aside"
        return [Criterion(name, not found.differs, True, detail)]

    @property
    def _judged_conversations(self) -> list[Criterion]:
        """Of runs that held some."""
        held = [each.held for each in self.conversations]
        if not held:
            return []
        detail = f"{held.count(True)} of {len(held)} had {TURNS} turns in the region they began in"
        passed = False if False in held else None if None in held else True
        return [Criterion("conversations hold", passed, True, detail)]

    def _describe(self, trial: Trial) -> str:
        region = self.outputs.regions[trial.backend]
        expected = f"{100 * self.plan.shares[trial.backend]:.1f} %"
        seen = self.plan.counted(self.counts)
        hits, total = next((hits, total) for t, hits, total in seen if t == trial)
        if trial.suspicion != "silence":
            got = f"{hits} of {total} requests ({100 * hits / total:.1f} %)"
            return f"{region} got {got} where {expected} is expected"
        chance = f"(chance {100 * (1 - trial.expected) ** total:.2g} %)"
        silence = f"none of {counted(total, 'answer')} where {expected} is expected {chance}"
        if self.is_degraded(trial):
            failed = self.tally.failed_attempts[trial.backend]
            return f"{region} is degraded: it gave {silence}, and failed {attempts(failed)}"
        if untold := self.tally.untold:
            retried = f"{counted(untold, 'answer')} came after a retry"
            silence += f"; {retried} that the gateway does not name"
        return f"{region} gave {silence}"


def told(problems: Iterable[Problem]) -> str:
    return _few(problem.message for problem in problems)


def values(pool: Pool) -> str:
    """Tell what the members have: `all backends have priority=1, weight=1`, or each of them."""
    pairs = {(m.priority, m.weight) for m in pool.members}
    if len(pairs) == 1:
        priority, weight = pairs.pop()
        return f"all backends have priority={priority}, weight={weight}"
    return ", ".join(f"{m.name} has priority={m.priority}, weight={m.weight}" for m in pool.members)


def attempts(failed: dict[str, int]) -> str:
    """Count attempts by the status that they met: `6 attempts with 429`."""
    often_first = sorted(failed, key=lambda status: -failed[status])
    statuses = ", ".join("no answer" if each == "none" else each for each in often_first)
    return f"{counted(sum(failed.values()), 'attempt')} with {statuses}"


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _few(texts: Iterable[str]) -> str:
    once = [*dict.fromkeys(texts)]
    more = [f"and {len(once) - _MOST_NAMED} more"] if len(once) > _MOST_NAMED else []
    return ", ".join(once[:_MOST_NAMED] + more)
