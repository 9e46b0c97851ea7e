"""What one unit of a gateway counts: calls and tokens in windows of time, and calls under way."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

MAX_KEYS: Final = 10_000
_LONG_KEY: Final = 100  # characters; a longer key is kept as its digest


@dataclass
class _Window:
    ends: float
    used: int = 0


@dataclass(frozen=True)
class Usage:
    """What a window has seen: `used`, and the seconds until it starts anew."""

    used: int
    resets_in: float


class Limits:
    """Counters by key, in fixed windows that begin with the first call.

    Units do not synchronise. There are at most MAX_KEYS: the one that was not used for the longest
    time makes room, so that no client can make them grow. `clock` gives seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._under_way: dict[str, int] = {}

    def usage(self, key: str, seconds: float) -> Usage:
        """Return what the window of a key has seen."""
        window = self._window(key, seconds)
        return Usage(window.used, window.ends - self._clock())

    def add(self, key: str, seconds: float, amount: int) -> None:
        """Count."""
        self._window(key, seconds).used += amount

    def enter(self, key: str, most: int) -> bool:
        """Count a call that begins; False when `most` are under way."""
        count = self._under_way.get(key, 0)
        if count >= most:
            return False
        self._under_way[key] = count + 1
        return True

    def leave(self, key: str) -> None:
        """Count a call that has ended."""
        self._under_way[key] -= 1
        if not self._under_way[key]:
            del self._under_way[key]

    def _window(self, key: str, seconds: float) -> _Window:
        if len(key) > _LONG_KEY:
            key = sha256(key.encode(errors="replace")).hexdigest()
        now = self._clock()
        window = self._windows.get(key)
        if window is None or window.ends <= now:
            window = self._windows[key] = _Window(now + seconds)
        self._windows.move_to_end(key)
        if len(self._windows) > MAX_KEYS:
            self._windows.popitem(last=False)
        return window
