"""What the gateway answered, request by request or as its log counts it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from probes.evidence import Counts

Outcome = Literal["answered", "throttled", "failed", "denied", "unattributed"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One request's end. Times are in seconds; `started` counts from the start of the run.

    `backend` is None where the gateway did not say which one answered. `region` is the display
    name that the answer itself gave. `attempts` above 1 means that the gateway tried others before;
    `tried` names each of those and the status it met, where the gateway says so. `response` is the
    id of one that can be continued. `detail` says what
    went wrong, `remedy` what to do; `hopeless` is what goes wrong every time. `unready` says what a
    new role or deployment may mend by itself.
    """

    outcome: Outcome
    started: float = 0.0
    seconds: float = 0.0
    backend: str | None = None
    region: str | None = None
    attempts: int = 1
    tried: tuple[tuple[str, str], ...] = ()
    response: str = ""
    tokens: int = 0
    retry_after: float | None = None
    detail: str = ""
    remedy: str = ""
    hopeless: bool = False
    unready: str = ""


class Tally:
    """Counts by backend and outcome, kept up to date as answers arrive.

    A log gives counts alone, without `answers`: `averages` are then seconds, by backend.
    """

    def __init__(self, backends: Iterable[str]) -> None:
        self.answers: list[Answer] = []
        self.answered = dict.fromkeys(backends, 0)  # answers that prove a share, by backend
        self.outcomes: Counter[Outcome] = Counter()
        self.refusals: dict[str, Counter[Outcome]] = {name: Counter() for name in self.answered}
        """Requests that a backend throttled, failed or denied, by backend and outcome."""
        self.failed_attempts: dict[str, Counter[str]] = {n: Counter() for n in self.answered}
        """Attempts after which another backend was tried, by backend and the status it gave."""
        self.averages: dict[str, float] = {}
        self._retried = 0

    def add(self, answer: Answer) -> None:
        self.answers.append(answer)
        self.outcomes[answer.outcome] += 1
        for backend, status in answer.tried:
            self.failed_attempts[backend][status] += 1
        if answer.backend is None:
            return
        if answer.outcome == "answered":
            self.answered[answer.backend] += 1
        else:
            self.refusals[answer.backend][answer.outcome] += 1

    def count(
        self,
        backend: str,
        *,
        answered: int,
        throttled: int,
        failed: int,
        retried: int,
        average: float | None,
    ) -> None:
        """Add what a log has of one backend; of those answered, so many had been `retried`."""
        self.answered[backend] += answered
        self.refusals[backend] += Counter({"throttled": throttled, "failed": failed})
        self.outcomes += Counter({"answered": answered, "throttled": throttled, "failed": failed})
        self._retried += retried
        if average is not None:
            self.averages[backend] = average

    @property
    def requests(self) -> int:
        return self.outcomes.total()

    @property
    def counts(self) -> Counts:
        return Counts(
            answered=self.answered,
            refused={name: each.total() for name, each in self.refusals.items()},
            failed_attempts={name: each.total() for name, each in self.failed_attempts.items()},
        )

    @property
    def tokens(self) -> int:
        return sum(answer.tokens for answer in self.answers)

    @property
    def retried(self) -> int:
        """Number of answers that came only after the gateway had tried another backend."""
        return self._retried + sum(answer.attempts > 1 for answer in self.answers)

    @property
    def untold(self) -> int:
        """Number of those of which the gateway does not say whom it had tried."""
        untold = sum(answer.attempts > 1 and not answer.tried for answer in self.answers)
        return self._retried + untold
