"""The built-in cache of a gateway: values by key, for a time.

API Management documentation, "Caching overview": it is volatile, and all units of a service in a
region share it; Consumption has none.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

MAX_ENTRIES: Final = 100_000
MAX_SIZE: Final = 50 * 1024 * 1024
"""Bytes of keys and values. Azure's sizes go by tier, from 10 MB (Developer) up."""


class Cache:
    """Values of any type by key; where there are too many, the oldest make room.

    `clock` gives seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: OrderedDict[str, tuple[Any, float, int]] = OrderedDict()
        self._size = 0

    def get(self, key: str) -> Any:
        """Return a value that is there and has not expired; None is none."""
        value, until, _ = self._entries.get(key, (None, 0.0, 0))
        if value is not None and until <= self._clock():
            self.remove(key)
            return None
        return value

    def put(self, key: str, value: Any, seconds: float, *, size: int) -> None:
        """Keep a value of `size` bytes for some seconds: one that is there is replaced."""
        self.remove(key)
        size += len(key)
        if size > MAX_SIZE:
            return
        self._entries[key] = value, self._clock() + seconds, size
        self._size += size
        while self._size > MAX_SIZE or len(self._entries) > MAX_ENTRIES:
            self.remove(next(iter(self._entries)))

    def remove(self, key: str) -> None:
        """Forget a value, if it is there."""
        self._size -= self._entries.pop(key, (None, 0.0, 0))[2]
