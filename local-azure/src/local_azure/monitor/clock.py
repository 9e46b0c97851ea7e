"""The clock of logs and alert rules, which can be moved forward; nothing else goes by it."""

import time
from collections.abc import Callable


class Clock:
    """Wall time in seconds since the epoch, and what it was moved forward by."""

    def __init__(self, *, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self.ahead = 0.0

    def now(self) -> float:
        """Return seconds since the epoch."""
        return self._wall() + self.ahead

    def move(self, seconds: float) -> None:
        """Move it forward. Raises ValueError for a step back: a log has no rows of the future."""
        if not 0 <= seconds <= 400 * 86_400:
            raise ValueError(f"{seconds:g} s is not from 0 to 400 days")
        self.ahead += seconds
