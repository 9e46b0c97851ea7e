"""What a drill showed, in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.drills.load import Phase, Sample
from benchmarks.drills.scenarios import REGIONS, Drill

QUIET = 3.0
"""A region is left alone once no request of so many seconds has tried it."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A drill's samples; `began` and `ended` are those of the fault, in seconds of the load."""

    drill: Drill
    instances: int
    samples: Sequence[Sample]
    began: float
    ended: float

    @property
    def new(self) -> list[Sample]:
        """What any region may answer: all but what continues a response."""
        return [each for each in self.samples if not each.home]

    @property
    def continued(self) -> list[Sample]:
        """What its own region alone can answer."""
        return [each for each in self.samples if each.home]

    @property
    def lost(self) -> int:
        """How many of these nobody may see: answered elsewhere, or refused for no good reason.

        That is a region which failed and a time to come back. An answer that was cut had begun.
        """
        return sum(
            each.region != each.home
            if each.answered
            else not each.told or each.home not in self.drill.regions
            for each in self.continued
            if not each.cut
        )

    @property
    def before(self) -> Phase:
        """What was sent before the fault."""
        return Phase(samples=[each for each in self.new if each.sent < self.began])

    @property
    def during(self) -> Phase:
        """What was sent while it lasted."""
        return Phase(samples=[each for each in self.new if self.began <= each.sent < self.ended])

    @property
    def after(self) -> Phase:
        """What was sent once every region that failed was back, or all that came later."""
        back = self.ended + (self.back or 0.0)
        return Phase(samples=[each for each in self.new if each.sent >= back])

    @property
    def failures(self) -> int:
        """How many clients saw a failure before an answer began, of what any region may answer."""
        return sum(each.failed for each in self.new)

    @property
    def harmed(self) -> int:
        """How many of the failures are not told as what may have been executed, by a 504."""
        return sum(each.failed and each.status != 504 for each in self.new)

    @property
    def untold(self) -> int:
        """How many of the failures named no time to come back, or what is inside."""
        return sum(each.failed and not each.told for each in self.new)

    @property
    def told(self) -> int:
        """How many that continue a response were told when to come back."""
        return sum(each.failed and each.told for each in self.continued)

    @property
    def cut(self) -> int:
        """How many answers began and did not end."""
        return sum(each.cut for each in self.samples)

    @property
    def left_alone(self) -> float | None:
        """Seconds until no request tried a failing region; None where that never came."""
        tried = sorted(
            each.sent
            for each in self.during.samples
            if each.attempts != 1 or each.region in self.drill.regions
        )
        last = self.began
        for sent in [*tried, self.ended]:
            if sent - last >= QUIET:
                return last - self.began
            last = sent
        return None

    @property
    def back(self) -> float | None:
        """Seconds from the fault's end until each region that failed had answered again."""
        firsts = []
        for region in self.drill.regions:
            answers = [
                each.sent
                for each in self.new
                if each.answered and each.region == region and each.sent >= self.ended
            ]
            if not answers:
                return None
            firsts.append(min(answers) - self.ended)
        return max(firsts, default=0.0)


HEADER = (
    "drill",
    "units",
    "requests",
    "failures",
    "cut",
    "continued: told to wait, lost",
    "p50 / p99 before",
    "during",
    "after",
    "left alone",
    "back",
    "shares before, during, after",
)


def row(outcome: Outcome) -> tuple[str, ...]:
    """Return an outcome as a row of the table."""
    phases = (outcome.before, outcome.during, outcome.after)
    failures = str(outcome.failures)
    if outcome.failures:
        failures += ", all told" if not outcome.untold else f", {outcome.untold} not told"
    return (
        outcome.drill.name,
        str(outcome.instances),
        str(len(outcome.samples)),
        failures,
        str(outcome.cut),
        f"{len(outcome.continued)}: {outcome.told}, {outcome.lost}" if outcome.continued else "-",
        *(f"{_seconds(p.latency(0.5))} / {_seconds(p.latency(0.99))}" for p in phases),
        _seconds(outcome.left_alone, never="never") if outcome.drill.regions else "-",
        _seconds(outcome.back, never="not seen") if outcome.drill.regions else "-",
        ", ".join(
            "/".join(f"{100 * phase.share(region):.0f}" for region in REGIONS) for phase in phases
        ),
    )


def _seconds(value: float | None, *, never: str = "-") -> str:
    return never if value is None else f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Return the table."""
    rows = [HEADER, tuple("-" for _ in HEADER), *map(row, outcomes)]
    return "".join(f"| {' | '.join(each)} |\n" for each in rows)
