"""What a run does, as it happens: the steps and the messages that a display shows."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, Self

from local_azure.deployment.state import ResourceState
from local_azure.deployment.values import Change, Json

Op = Literal["refresh", "same", "create", "update", "replace", "delete"]
Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """What becomes of one resource: from its old state, if any, to its new one, if any."""

    op: Op
    urn: str
    old: ResourceState | None = None
    new: ResourceState | None = None
    changes: tuple[Change, ...] = ()
    replaces: frozenset[str] = frozenset()  # paths of those changes that need a new resource
    failed: bool = False
    seconds: float = 0.0

    @property
    def state(self) -> ResourceState:
        """The new state, or the old one of what is deleted."""
        state = self.new or self.old
        if state is None:
            raise ValueError(f"a step without a state: {self.urn}")
        return state


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """A message to the user, about one resource or about the whole stack."""

    severity: Severity
    message: str
    urn: str = ""


class Progress(Protocol):
    """Whoever wants to see steps while they run; called from several threads."""

    def began(self, step: Step) -> None:
        """Take note that a request is about to be sent."""

    def ended(self, step: Step) -> None:
        """Take note that the step is done, or `failed`."""


@dataclass
class Journal:
    """The record of one run; safe for threads. Errors among the diagnostics mean that it failed."""

    progress: Progress | None = None
    steps: list[Step] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    outputs: dict[str, Json] = field(default_factory=dict)
    old_outputs: dict[str, Json] = field(default_factory=dict)
    states: dict[str, ResourceState] = field(default_factory=dict)
    """What the program's resources will be, in a preview as far as that is known."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def failed(self) -> bool:
        """Whether anything went wrong."""
        return any(entry.severity == "error" for entry in list(self.diagnostics))

    @property
    def counts(self) -> Counter[Op]:
        """How many resources took each course; to be read again is none."""
        return Counter(step.op for step in self.steps if not step.failed and step.op != "refresh")

    def say(self, severity: Severity, message: str, urn: str = "") -> None:
        """Add a message, once."""
        entry = Diagnostic(severity=severity, message=message, urn=urn)
        with self._lock:
            if entry not in self.diagnostics:
                self.diagnostics.append(entry)

    def add(self, step: Step) -> None:
        """Add a step that takes no time: one of a preview, or an unchanged resource."""
        with self._lock:
            self.steps.append(step)

    def run(self, step: Step) -> "Running":
        """Return a context manager around a step's requests."""
        return Running(self, step)


class Running:
    """A step under way: `ended` on success, `failed` when an exception leaves the `with`."""

    def __init__(self, journal: Journal, step: Step) -> None:
        self._journal = journal
        self._step = step
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        if self._journal.progress:
            self._journal.progress.began(self._step)
        return self

    def becomes(self, new: ResourceState) -> None:
        """Put the state that was reached in place of the one that was planned."""
        self._step = replace(self._step, new=new)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        step = replace(
            self._step, failed=kind is not None, seconds=time.monotonic() - self._started
        )
        self._journal.add(step)
        if self._journal.progress:
            self._journal.progress.ended(step)
