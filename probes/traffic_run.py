"""Sends requests through the gateway until the evidence is in, and says how each of them ended."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final
from urllib.parse import urlsplit

import httpx

from components.contract import Outputs
from components.resource_manager import connection
from probes.evidence import Plan
from probes.interpretation import interpret
from probes.tally import Answer, Tally

LARGEST: Final = 1_000_000
"""Bytes of an answer that are read; a short completion has 1,000."""
GIVE_UP: Final = 5
"""Requests that may fail before the run gives up, when none has been answered."""
FIRST_BACKOFF: Final = 1.0
"""Seconds to wait after a 429 that does not say how long; doubles from one to the next."""
LEAVING: Final = 0.2
"""Seconds that a run which ends waits for the requests that are under way."""

CHAT: Final = {
    "messages": [{"role": "user", "content": "Say OK."}],
    # gpt-5 models take no max_tokens; 16 is the least that all of them accept.
    "max_completion_tokens": 16,
}


@dataclass(kw_only=True)
class TrafficRun:
    """One run: `await run.send()`, then `tally` has the answers and `stopped` why it ended early.

    Times are in seconds. No request is retried, no redirect followed, no cookie kept, and every
    request opens a connection of its own, which any instance of the gateway may take.
    """

    outputs: Outputs[str]
    plan: Plan
    max_requests: int
    concurrency: int = 10
    limit: float = 60.0
    zero_tokens: bool = False
    on_answer: Callable[[Answer], None] = lambda _answer: None
    first_backoff: float = FIRST_BACKOFF
    tally: Tally = field(init=False)
    stopped: str = field(default="", init=False)
    under_way: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """Set once the first request has been sent, or has failed."""

    def __post_init__(self) -> None:
        self.tally = Tally(self.plan.shares)
        self._begin = time.monotonic()
        self._sent = 0
        self._resume = 0.0
        self._why = ""
        self._backoff = self.first_backoff
        self._useless = 0

    async def send(self) -> None:
        """Send until there is a verdict, or no more is to be had."""
        self._begin = time.monotonic()
        in_flight: set[asyncio.Task[Answer]] = set()
        async with _client(self.outputs, self.limit) as client:
            try:
                while not self.stopped:
                    room = self._room() - len(in_flight)
                    now = self._now()
                    if now >= self._resume:
                        in_flight |= {self._start(client) for _ in range(room)}
                    if in_flight:
                        in_flight = await self._collect(in_flight)
                    elif room <= 0:
                        break
                    elif self._resume >= self.limit:
                        self.stopped = (
                            f"{self._why} for {self._resume - now:.0f} s more, "
                            f"beyond the time limit of {self.limit:g} s"
                        )
                    else:
                        await asyncio.sleep(self._resume - now)
            finally:
                # A connection that is cancelled while it is made would leave its socket open.
                if in_flight:
                    await asyncio.wait(in_flight, timeout=LEAVING)
                for task in in_flight:
                    task.cancel()
                await asyncio.gather(*in_flight, return_exceptions=True)
        await asyncio.sleep(0)  # the loop closes a cancelled request's socket on its next turn

    def _now(self) -> float:
        return time.monotonic() - self._begin

    def _room(self) -> int:
        """Return how many requests may be under way: no more than the evidence can need."""
        needed = self.plan.least_needed(self.tally.counts, at_most=self.concurrency)
        left = self.max_requests - len(self.tally.answers)
        if needed and left <= 0:
            self.stopped = f"{self.max_requests} requests were the most allowed"
        return min(needed, left)

    def _start(self, client: httpx.AsyncClient) -> asyncio.Task[Answer]:
        return asyncio.create_task(self._ask(client))

    async def _collect(self, in_flight: set[asyncio.Task[Answer]]) -> set[asyncio.Task[Answer]]:
        left = max(0.0, self.limit - self._now())
        done, pending = await asyncio.wait(
            in_flight, timeout=left, return_when=asyncio.FIRST_COMPLETED
        )
        for task in done:
            self._take(task.result())
        if not done:
            self.stopped = f"the time limit of {self.limit:g} s was reached"
        return pending

    def _take(self, answer: Answer) -> None:
        self.under_way.set()
        self.tally.add(answer)
        self.on_answer(answer)
        pause = answer.retry_after
        if pause is None and answer.outcome == "throttled":
            pause = 0.0  # others of the same burst are paused for already
            if self._now() >= self._resume:
                pause = self._backoff
                self._backoff *= 2
        if pause is not None:
            self._resume = max(self._resume, self._now() + pause)
            throttled = answer.outcome == "throttled"
            self._why = "throttled" if throttled else f"{answer.detail.rstrip('.')}, waiting"
        elif answer.outcome != "answered":
            self._useless += 1
        if answer.hopeless or (self._useless >= GIVE_UP and not self.tally.counted):
            self.stopped = answer.detail

    async def _ask(self, client: httpx.AsyncClient) -> Answer:
        started = self._now()
        # One request that hangs must leave time for others.
        limit = self.limit / 3
        try:
            async with asyncio.timeout(limit):
                async with self._request(client) as response:
                    body = await _read(response)
        except (TimeoutError, httpx.TimeoutException):
            answer = Answer(
                outcome="failed",
                detail=f"no whole answer within {limit:g} s",
                remedy="is the gateway overloaded? --timeout SECONDS allows more",
            )
        except httpx.HTTPError as error:
            answer = _cut(error, self.outputs)
        else:
            answer = interpret(self.outputs, response.status_code, response.headers, body)
        return replace(answer, started=started, seconds=self._now() - started)

    def _request(self, client: httpx.AsyncClient) -> AbstractAsyncContextManager[httpx.Response]:
        async def trace(event: str, _info: object) -> None:
            if event.endswith("send_request_body.complete"):
                self.under_way.set()

        hooks = {"trace": trace}
        if self.zero_tokens:
            return client.stream("GET", self.outputs.models_url, extensions=hooks)
        return client.stream("POST", self.outputs.chat_url, json=CHAT, extensions=hooks)


def _client(outputs: Outputs[str], limit: float) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        **connection(outputs.inference_url),
        timeout=limit,
        limits=httpx.Limits(max_keepalive_connections=0),
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=())),
        headers={"api-key": outputs.subscription_key, "user-agent": "distribution-probe"},
    )


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > LARGEST:
            break
    return bytes(body)


def _cut(error: httpx.HTTPError, outputs: Outputs[str]) -> Answer:
    gateway = urlsplit(outputs.inference_url).netloc
    reason = outputs.redact(str(error)) or type(error).__name__
    if not isinstance(error, httpx.ConnectError):
        return Answer(
            outcome="failed",
            detail=f"the connection to {gateway} was cut: {reason}",
            remedy="is inference_url the gateway's, and is the gateway healthy?",
        )
    if "SSL" in reason:
        remedy = "the gateway's certificate must be one this machine trusts; see SSL_CERT_FILE"
    else:
        remedy = "is the gateway deployed and running, and does this network reach it?"
    return Answer(outcome="failed", detail=f"no connection to {gateway}: {reason}", remedy=remedy)
