"""Sends requests through the gateway until the evidence is in, and says how each of them ended."""

import asyncio
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final
from urllib.parse import urlsplit

import httpx

from components.contract import Outputs
from components.resource_manager import connection
from probes.conversations import QUESTION, Conversation, begun, hold
from probes.interpretation import interpret
from probes.report import Expectation
from probes.tally import Answer, Tally

USER_AGENT: Final = "distribution-probe"
LARGEST: Final = 1_000_000  # bytes of an answer that are read; a short completion has 1,000
GIVE_UP: Final = 5  # requests that may fail before the run gives up, when none has been answered
FIRST_BACKOFF: Final = 1.0  # seconds to wait after a 429 that does not say how long; then doubled
LEAVING: Final = 0.2  # seconds that a run which ends waits for the requests that are under way

CHAT: Final = {
    "messages": [{"role": "user", "content": "Say OK."}],
    # gpt-5 models take no max_tokens; 16 is the least that all of them accept.
    "max_completion_tokens": 16,
}
UNREADY: Final = "not ready"  # why a round has stopped that is not the one to judge
BETWEEN_ROUNDS: Final = 10.0  # seconds at most from one to the next
SIGN_OF_LIFE: Final = 60.0  # seconds between two lines that say so


@dataclass(kw_only=True)
class TrafficRun:
    """One run: `await run.send()`, then `tally` has the answers and `stopped` why it ended early.

    Of the options it uses api, concurrency, timeout and wait_ready. No request is retried,
    no redirect followed, no cookie kept, and every request opens a connection of its own, which any
    instance of the gateway may take. While `wait_ready` lasts, a round ends at the first answer
    that is unready, `on_wait` is told now and then, and another one begins; what the last round met
    is judged, `waited` seconds after the first began. Of responses, `conversations` has what became
    of one begun at each backend.
    """

    options: Namespace
    expectation: Expectation
    max_requests: int
    on_answer: Callable[[Answer], None]
    on_wait: Callable[[str], None] = print
    stopped: str = ""
    waited: float = 0.0
    conversations: tuple[Conversation, ...] = ()

    def __post_init__(self) -> None:
        self.under_way = asyncio.Event()  # set once the first request has been sent, or has failed
        self._outputs = self.expectation.outputs
        self._limit: float = self.options.timeout
        self._is_judged = True
        self._forget()

    def _forget(self) -> None:
        self.tally = Tally(self.expectation.plan.shares)
        self.stopped = self._why = ""
        self._resume = 0.0
        self._backoff = FIRST_BACKOFF
        self._useless = 0

    async def send(self) -> None:
        wait, begin, told_at = self.options.wait_ready or 0.0, time.monotonic(), -SIGN_OF_LIFE
        self._is_judged = not wait
        await self._round()
        while self.stopped == UNREADY:
            left = begin + wait - time.monotonic()
            if self.waited >= told_at + SIGN_OF_LIFE:
                told_at = self.waited
                why = next(a.unready for a in self.tally.answers if a.unready)
                for_long = f"{left / 60:.0f} min" if left >= 120 else f"{max(0.0, left):.0f} s"
                self.on_wait(f"{why}; asking for {for_long} more")
            await asyncio.sleep(max(0.0, min(BETWEEN_ROUNDS, wait / 10, left)))
            self._forget()
            self.waited = time.monotonic() - begin
            self._is_judged = self.waited >= wait
            await self._round()
        if not self._is_judged:
            for answer in self.tally.answers:
                self.on_answer(answer)
        if self.options.api == "responses":
            self.conversations = tuple(  # what Ctrl-C leaves of them
                Conversation(backend=each, unknown="the run was interrupted")
                for each in begun(self.tally.answers)
            )
            async with self._client() as client:
                left = max(1.0, self._limit - self._now())
                self.conversations = await hold(client, self._outputs, self.tally.answers, left)

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            **connection(self._outputs.inference_url),
            timeout=self._limit,
            limits=httpx.Limits(max_keepalive_connections=0),
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=())),
            headers={"api-key": str(self._outputs.subscription_key), "user-agent": USER_AGENT},
        )

    async def _round(self) -> None:
        self._begin = time.monotonic()
        in_flight: set[asyncio.Task[Answer]] = set()
        async with self._client() as client:
            try:
                while not self.stopped:
                    room = self._room() - len(in_flight)
                    now = self._now()
                    if now >= self._resume:
                        in_flight |= {asyncio.create_task(self._ask(client)) for _ in range(room)}
                    if in_flight:
                        in_flight = await self._collect(in_flight)
                    elif room <= 0:
                        break
                    elif self._resume >= self._limit:
                        beyond = f"beyond the time limit of {self._limit:g} s"
                        self.stopped = f"{self._why} for {self._resume - now:.0f} s more, {beyond}"
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
        at_most = self.options.concurrency
        needed = self.expectation.plan.least_needed(self.tally.counts, at_most=at_most)
        left = self.max_requests - self.tally.requests
        if needed and left <= 0:
            self.stopped = f"{self.max_requests} requests were the most allowed"
        return min(needed, left)

    async def _collect(self, in_flight: set[asyncio.Task[Answer]]) -> set[asyncio.Task[Answer]]:
        left = max(0.0, self._limit - self._now())
        done, pending = await asyncio.wait(
            in_flight, timeout=left, return_when=asyncio.FIRST_COMPLETED
        )
        for task in done:
            self._take(task.result())
        if not done:
            self.stopped = f"the time limit of {self._limit:g} s was reached"
        return pending

    def _take(self, answer: Answer) -> None:
        self.under_way.set()
        self.tally.add(answer)
        if self._is_judged:
            self.on_answer(answer)
        elif answer.unready:
            self.stopped = UNREADY
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
        gives_up = self._useless >= GIVE_UP and not self.tally.outcomes["answered"]
        if answer.hopeless or gives_up:
            self.stopped = self.stopped or answer.detail

    async def _ask(self, client: httpx.AsyncClient) -> Answer:
        started = self._now()
        # One request that hangs must leave time for others.
        limit = self._limit / 3
        hooks = {"trace": self._trace}
        if self.options.api == "models":
            request = client.stream("GET", self._outputs.models_url, extensions=hooks)
        else:
            is_chat, outputs = self.options.api == "chat", self._outputs
            question = {**(CHAT if is_chat else QUESTION), "model": outputs.deployment}
            url = outputs.chat_url if is_chat else outputs.responses_url
            request = client.stream("POST", url, json=question, extensions=hooks)
        body = b""
        try:
            async with asyncio.timeout(limit), request as response:
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > LARGEST:
                        break
        except (TimeoutError, httpx.HTTPError) as error:
            answer = _failed(error, self._outputs, limit)
        else:
            answer = interpret(self._outputs, response.status_code, response.headers, body)
        return replace(answer, started=started, seconds=self._now() - started)

    async def _trace(self, event: str, _info: object) -> None:
        if event.endswith("send_request_body.complete"):
            self.under_way.set()


def _failed(error: Exception, outputs: Outputs[str], limit: float) -> Answer:
    gateway = urlsplit(outputs.inference_url).netloc
    reason = outputs.redact(str(error)) or type(error).__name__
    detail = f"no connection to {gateway}: {reason}"
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        detail = f"no whole answer within {limit:g} s"
        remedy = "is the gateway overloaded? --timeout SECONDS allows more"
    elif not isinstance(error, httpx.ConnectError):
        detail = f"the connection to {gateway} was cut: {reason}"
        remedy = "is inference_url the gateway's, and is the gateway healthy?"
    elif "SSL" in reason:
        remedy = "the gateway's certificate must be one this machine trusts; see SSL_CERT_FILE"
    else:
        remedy = "is the gateway deployed and running, and does this network reach it?"
    return Answer(outcome="failed", detail=detail, remedy=remedy)
