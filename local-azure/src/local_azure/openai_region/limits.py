"""Token and request limits of a deployment.

Azure OpenAI documentation, "Manage quota": a capacity of 1 is 1,000 tokens per minute, and 6
requests per minute come with every 1,000 tokens. A minute begins with the first request after the
last one ended.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

TOKENS_PER_CAPACITY: Final = 1000
REQUESTS_PER_CAPACITY: Final = 6
_MINUTE: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Exceeded:
    """What is used up, "token" or "call", and how many whole seconds until it is there again."""

    limit: str
    retry_after: int


class Limiter:
    """The use of one deployment of a given capacity; `clock` gives seconds, never going back."""

    def __init__(self, capacity: int, *, clock: Callable[[], float]) -> None:
        self.capacity = capacity
        self._clock = clock
        self._began = -math.inf
        self.remaining_tokens = 0
        self.remaining_requests = 0

    def use(self, tokens: int) -> Exceeded | None:
        """Take one request and its tokens; take nothing when that is more than what is left."""
        now = self._clock()
        if now - self._began >= _MINUTE:
            self._began = now
            self.remaining_tokens = self.capacity * TOKENS_PER_CAPACITY
            self.remaining_requests = self.capacity * REQUESTS_PER_CAPACITY
        if self.remaining_requests < 1 or self.remaining_tokens < tokens:
            return Exceeded(
                limit="call" if self.remaining_requests < 1 else "token",
                retry_after=max(1, math.ceil(_MINUTE - (now - self._began))),
            )
        self.remaining_requests -= 1
        self.remaining_tokens -= tokens
        return None
