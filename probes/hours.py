"""What each region answered in every hour of the log, and since when one answers nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from probes.evidence import Plan


@dataclass(frozen=True, kw_only=True)
class Hour:
    """One hour in which requests came, by its begin in UTC: counts by backend."""

    begin: datetime
    answered: Mapping[str, int]
    refused: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.answered.values())

    def share(self, backend: str) -> float:
        """Return the share of this hour's answers that a backend gave; 0 of no answers."""
        return self.answered[backend] / (self.total or 1)


@dataclass(frozen=True, kw_only=True)
class Silence:
    """A backend that gave none of so many `answers` since an hour, the log's first if `whole`."""

    backend: str
    since: datetime
    whole: bool
    answers: int


@dataclass(frozen=True, kw_only=True)
class Hours:
    """The hours in order of time; those in which nobody asked are left out."""

    plan: Plan
    each: tuple[Hour, ...]

    @cached_property
    def silences(self) -> tuple[Silence, ...]:
        """Backends that have been silent up to now, each proved as the verdict proves silence."""
        found = []
        for trial in self.plan.trials:
            if trial.suspicion != "silence":
                continue
            begin = len(self.each)
            while begin and not self.each[begin - 1].answered[trial.backend]:
                begin -= 1
            silent = self.each[begin:]
            refused = sum(hour.refused[trial.backend] for hour in silent)
            answers = sum(hour.total for hour in silent)
            if trial.condemns(refused, answers + refused):
                # An hour without an answer of anybody does not say who is silent.
                since = next(hour.begin for hour in silent if hour.total)
                found.append(
                    Silence(backend=trial.backend, since=since, whole=not begin, answers=answers)
                )
        return tuple(found)
