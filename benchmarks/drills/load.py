"""The clients of a drill: a steady stream of requests, each with what became of it."""

import asyncio
import json
import math
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import aiohttp

PER_SECOND = 20
STREAMED_OF = 4
"""One request of so many asks for a stream."""
RESPONSES_OF, CONTINUED_OF = 4, 8
"""Of so many requests, one asks for a new response, and one continues a response."""
LATEST = 400
"""So many of the latest responses are continued."""
PATIENCE = aiohttp.ClientTimeout(total=600)
"""The openai SDK's own default."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One request; times in seconds from the load's beginning.

    `status` is None where no answer came. `cut` says that it began and did not end. `region` and
    `attempts` are as the gateway reveals them. `told` says that a refusal named a time to come back
    and nothing that is inside. `home` is the region of the response that it continues.
    """

    sent: float
    seconds: float
    status: int | None = None
    cut: bool = False
    region: str = ""
    attempts: int = 0
    told: bool = False
    home: str = ""

    @property
    def answered(self) -> bool:
        """Whether the client has what it asked for."""
        return self.status == 200 and not self.cut

    @property
    def failed(self) -> bool:
        """Whether the client saw a failure before an answer began."""
        return self.status != 200


@dataclass
class Load:
    """Sends `PER_SECOND` requests a second, whatever the answers do, until it is stopped."""

    session: aiohttp.ClientSession
    url: str
    key: str
    deployment: str
    began: float = field(default_factory=time.monotonic)
    samples: list[Sample] = field(default_factory=list)
    _stopped: bool = False
    _made: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=LATEST))
    """Responses by id, with their region."""

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def stop(self) -> None:
        """Send no more."""
        self._stopped = True

    async def run(self) -> None:
        """Send until stopped, then wait for what is under way."""
        async with asyncio.TaskGroup() as group:
            for number in count():
                await asyncio.sleep(max(0.0, number / PER_SECOND - self.now))
                if self._stopped:
                    return
                group.create_task(self._ask(number))

    async def _ask(self, number: int) -> None:
        sent = self.now
        seen: dict[str, Any] = {}
        try:
            if number % RESPONSES_OF == 1:
                await self._respond(seen)
            elif number % CONTINUED_OF == 2 and self._made:
                await self._respond(seen, *random.choice(self._made))
            else:
                await self._exchange(seen, stream=number % STREAMED_OF == 0)
        except (aiohttp.ClientError, TimeoutError, OSError):
            seen["cut"] = "status" in seen
        self.samples.append(Sample(sent=sent, seconds=self.now - sent, **seen))

    async def _respond(self, seen: dict[str, Any], previous: str = "", home: str = "") -> None:
        body = {"model": self.deployment, "input": "Where are you?"}
        if previous:
            seen["home"], body["previous_response_id"] = home, previous
        async with self.session.post(
            f"{self.url}/openai/v1/responses",
            json=body,
            headers={"api-key": self.key},
            timeout=PATIENCE,
        ) as answer:
            text = await self._note(seen, answer)
            if answer.status == 200:
                self._made.append((json.loads(text)["id"], seen["region"]))

    async def _note(self, seen: dict[str, Any], answer: aiohttp.ClientResponse) -> str:
        seen["status"] = answer.status
        seen["region"] = answer.headers.get("x-backend-host", "").partition("-")[0]
        seen["attempts"] = int(answer.headers.get("x-backend-attempts", 0))
        body = await answer.text()
        if answer.status != 200:
            seen["told"] = "Retry-After" in answer.headers and "foundry" not in body
        return body

    async def _exchange(self, seen: dict[str, Any], *, stream: bool) -> None:
        path = f"openai/deployments/{self.deployment}/chat/completions?api-version=2024-10-21"
        async with self.session.post(
            f"{self.url}/{path}",
            json={
                "messages": [{"role": "user", "content": "Where are you?"}],
                "max_completion_tokens": 20,
                "stream": stream,
            },
            headers={"api-key": self.key},
            timeout=PATIENCE,
        ) as answer:
            body = await self._note(seen, answer)
            if answer.status == 200 and stream:
                seen["cut"] = not body.endswith("data: [DONE]\n\n")
            elif answer.status == 200:
                json.loads(body)


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that `share` of all do not exceed; None of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


@dataclass(frozen=True, kw_only=True)
class Phase:
    """What clients saw of the requests sent within a time."""

    samples: Sequence[Sample]

    def latency(self, share: float) -> float | None:
        """Return a percentile of the answers' times, in seconds."""
        return percentile([each.seconds for each in self.samples if each.answered], share)

    def share(self, region: str) -> float:
        """Return a region's share of the answers, 0 to 1."""
        answered = [each for each in self.samples if each.answered]
        return sum(each.region == region for each in answered) / max(1, len(answered))

    def count(self, what: Callable[[Sample], bool]) -> int:
        """Return how many requests ended so."""
        return sum(map(what, self.samples))
