"""The responses an account keeps, and what only that account can read.

Azure keeps them for 30 days ("Azure OpenAI Responses API", learn.microsoft.com).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken

KEPT_SECONDS: Final = 30 * 24 * 3600.0
_MOST: Final = 20_000
_MOST_BYTES: Final = 256 * 1024 * 1024
# Guessed: how long a response in background takes; half of it in the queue.
_BACKGROUND_SECONDS: Final = 1.0

Item = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a response goes on from: all that an answer depends on of the items before.

    `open_calls` are the calls of tools whose output is still to come.
    """

    turns: int = 0
    tokens: int = 0
    open_calls: frozenset[str] = frozenset()
    says_json: bool = False


@dataclass(kw_only=True)
class Stored:
    """A response: its body once complete, what was put in, and the context that it leaves.

    One in background is `done` at a time of the region's clock.
    """

    body: dict[str, Any]
    input: Sequence[Item]
    context: Context
    size: int
    is_streamed: bool = False
    done: float = 0.0
    is_cancelled: bool = field(default=False, init=False)

    @property
    def id(self) -> str:
        return str(self.body["id"])

    def wait(self, now: float) -> None:
        """Have it done as much later as a response in background takes."""
        self.done = now + _BACKGROUND_SECONDS

    def status(self, now: float) -> str:
        """Return its status at a time."""
        if self.is_cancelled:
            return "cancelled"
        if now >= self.done:
            return str(self.body["status"])
        return "queued" if self.done - now > _BACKGROUND_SECONDS / 2 else "in_progress"

    def shown(self, now: float) -> dict[str, Any]:
        """Return the body as it is at a time: without an answer until it is done."""
        status = self.status(now)
        return self.body if status == self.body["status"] else unfinished(self.body, status)


def unfinished(body: Mapping[str, Any], status: str) -> dict[str, Any]:
    """Return the body of a response that has no answer yet, or will have none."""
    return {
        **body,
        "status": status,
        "completed_at": None,
        "incomplete_details": None,
        "output": [],
        "usage": None,
    }


class Responses:
    """What one account keeps; in memory, and bounded: beyond that the oldest go.

    `now` gives seconds of the time of day.
    """

    def __init__(self, now: Callable[[], float], *, most: int = _MOST) -> None:
        self.now = now
        self._most = most
        self._size = 0
        self._kept: dict[str, Stored] = {}
        self._items: dict[str, tuple[str, Item]] = {}
        self._cipher = Fernet(Fernet.generate_key())

    def keep(self, response: Stored) -> None:
        """Keep a response and its items."""
        self._kept[response.id] = response
        self._size += response.size
        for item in (*response.input, *response.body["output"]):
            self._items[item["id"]] = response.id, item
        while len(self._kept) > self._most or self._size > _MOST_BYTES:
            self.delete(next(iter(self._kept)))

    def get(self, name: str) -> Stored | None:
        """Return a response, None when it is not there or no longer."""
        self._forget()
        return self._kept.get(name)

    def item(self, name: str) -> Item | None:
        """Return what was put in or came out of a response that is kept."""
        self._forget()
        return self._items.get(name, ("", None))[1]

    def delete(self, name: str) -> bool:
        """Delete a response and its items; tell whether it was there."""
        response = self._kept.pop(name, None)
        if response is None:
            return False
        self._size -= response.size
        for item in (*response.input, *response.body["output"]):
            # What was sent again belongs to the response that had it last.
            if self._items.get(item["id"], ("",))[0] == name:
                del self._items[item["id"]]
        return True

    def encrypt(self, text: str) -> str:
        """Return a text as only this account reads it."""
        return self._cipher.encrypt(text.encode()).decode()

    def reads(self, content: str) -> bool:
        """Tell whether this account has encrypted it."""
        try:
            self._cipher.decrypt(content.encode("utf-8", "replace"))
        except InvalidToken:
            return False
        return True

    def _forget(self) -> None:
        while self._kept:
            oldest = next(iter(self._kept.values()))
            if self.now() - oldest.body["created_at"] < KEPT_SECONDS:
                return
            self.delete(oldest.id)
