"""The circuit breaker of one backend on one gateway instance.

API Management documentation, "Backends", circuit breaker: `count` failures within `interval` trip
the backend for `tripDuration`, or for what the tripping response's `Retry-After` says. No half-open
state is documented, so there is none: after the trip it counts from zero.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from local_azure import durations


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A backend's `circuitBreaker.rules[0]`; `interval` and `trip_duration` in seconds.

    `statuses` are inclusive ranges; `reasons` are values of `context.LastError.Reason`, lower case.
    """

    count: int
    interval: float
    statuses: tuple[tuple[int, int], ...]
    reasons: frozenset[str]
    trip_duration: float
    accept_retry_after: bool

    @classmethod
    def of(cls, backend: Mapping[str, Any]) -> Self | None:
        """Read the rule of a backend's `properties`; None when it has no circuit breaker.

        Raises ValueError for a rule without a count: the local Azure trips by count alone.
        """
        rules = (backend.get("circuitBreaker") or {}).get("rules") or []
        if not rules:
            return None
        condition = rules[0].get("failureCondition") or {}
        if not condition.get("count"):
            raise ValueError("circuitBreaker.rules[0].failureCondition.count: missing")
        return cls(
            count=int(condition["count"]),
            interval=durations.iso_8601(condition["interval"]),
            statuses=tuple(
                (int(each["min"]), int(each["max"]))
                for each in condition.get("statusCodeRanges") or []
            ),
            reasons=frozenset(each.lower() for each in condition.get("errorReasons") or []),
            trip_duration=durations.iso_8601(rules[0]["tripDuration"]),
            accept_retry_after=bool(rules[0].get("acceptRetryAfter")),
        )


class Breaker:
    """Counts failures by one rule; `clock` gives seconds, on a clock that never goes back."""

    def __init__(self, rule: Rule, *, clock: Callable[[], float]) -> None:
        self.rule = rule
        self._clock = clock
        # Older failures than the last `count` cannot matter.
        self._failures: deque[float] = deque(maxlen=rule.count)
        self._tripped_until = float("-inf")

    @property
    def tripped(self) -> bool:
        """Whether requests are kept away from the backend now."""
        return self._clock() < self._tripped_until

    def answered(self, status: int, *, retry_after: Callable[[], float | None]) -> None:
        """Count a response; `retry_after` reads its header, in seconds, when it matters."""
        if any(low <= status <= high for low, high in self.rule.statuses):
            self._failed(retry_after)

    def failed(self, reason: str) -> None:
        """Count a request that got no response, by its `context.LastError.Reason`.

        Azure does not document whether that counts as a status; it counts as the 500 that API
        Management answers with.
        """
        if reason.lower() in self.rule.reasons:
            self._failed(lambda: None)
        else:
            self.answered(500, retry_after=lambda: None)

    def _failed(self, retry_after: Callable[[], float | None]) -> None:
        now = self._clock()
        # What was under way when it tripped tells nothing about the backend's recovery.
        if now < self._tripped_until:
            return
        self._failures.append(now)
        oldest = self._failures[0]
        if len(self._failures) < self.rule.count or now - oldest > self.rule.interval:
            return
        told = retry_after() if self.rule.accept_retry_after else None
        self._tripped_until = now + (self.rule.trip_duration if told is None else told)
        self._failures.clear()
