"""Clients that hold conversations through a gateway, and what became of each turn."""

import asyncio
import json
import random
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final, Self

import aiohttp

from benchmarks.drills.azure import Azure

AT_ONCE: Final = 60  # conversations
PATIENCE: Final = aiohttp.ClientTimeout(total=120)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One request; `number` counts from 1, `seconds` until its answer was whole.

    `steps` is how many backends it was sent to, 0 of a new one. `retry_after` is the header's text.
    `remembers` says that the answer knew of every turn before it.
    """

    number: int
    status: int
    region: str
    seconds: float
    steps: int
    retry_after: str
    body: str
    remembers: bool


@dataclass
class Conversation:
    """A chain of turns; `ids` has the answers' in order, `region` is that of the first.

    `session` is that of the client which holds it, -1 where any of them may.
    """

    stream: bool
    session: int = -1
    ids: list[str] = field(default_factory=list)
    region: str = ""
    turns: list[Turn] = field(default_factory=list)

    @property
    def broken(self) -> bool:
        """Whether a turn was not answered by the region that had the one before."""
        return any(
            each.status != 200 or each.region != self.region or not each.remembers
            for each in self.turns
        )


class Clients:
    """Sessions of as many processes, of which each turn takes any; with or without their cookies.

    `keep_alive` keeps connections, as SDKs do: any gateway instance may take a request all the
    same, as the local one chooses it by request.
    """

    def __init__(self, azure: Azure, *, count: int, cookies: bool, seed: int = 0) -> None:
        self._azure = azure
        self._count, self._cookies = count, cookies
        self._random = random.Random(seed)
        self._stack = AsyncExitStack()
        self.sessions: list[aiohttp.ClientSession] = []

    async def __aenter__(self) -> Self:
        for _ in range(self._count):
            jar = aiohttp.CookieJar(unsafe=True) if self._cookies else aiohttp.DummyCookieJar()
            session = aiohttp.ClientSession(
                cookie_jar=jar,
                timeout=PATIENCE,
                headers={"api-key": self._azure.key},
                connector=aiohttp.TCPConnector(limit=0),
            )
            self.sessions.append(await self._stack.enter_async_context(session))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def hold(
        self, count: int, turns: int, *, streamed: float = 0.5, alone: bool = False
    ) -> list[Conversation]:
        """Hold so many conversations, of which a part is streamed; `alone` each by one session."""
        found = [
            Conversation(
                stream=number < streamed * count, session=number % self._count if alone else -1
            )
            for number in range(count)
        ]
        self._random.shuffle(found)
        for _ in range(turns):
            await self.go_on(found)
        return found

    async def go_on(self, conversations: Sequence[Conversation]) -> None:
        """Ask each of them for one more turn, by any session or by its own."""
        waiting = iter(conversations)

        async def work(each: Iterator[Conversation]) -> None:
            for conversation in each:
                await self._turn(conversation)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work(waiting))

    async def _turn(self, conversation: Conversation) -> None:
        own = conversation.session
        client = self.sessions[own] if own >= 0 else self._random.choice(self.sessions)
        number = len(conversation.ids) + 1
        body: dict[str, object] = {
            "model": self._azure.deployment,
            "input": "Where are you?",
            "stream": conversation.stream,
        }
        if conversation.ids:
            body["previous_response_id"] = conversation.ids[-1]
        begun = time.monotonic()
        url = f"{self._azure.url}/openai/v1/responses"
        async with client.post(url, json=body) as answer:
            text = await answer.text()
        seconds = time.monotonic() - begun
        region = answer.headers.get("x-backend-host", "").partition("-")[0]
        if answer.status == 200:
            conversation.ids.append(_id(text, stream=conversation.stream))
            conversation.region = conversation.region or region
        conversation.turns.append(
            Turn(
                number=number,
                status=answer.status,
                region=region,
                seconds=seconds,
                steps=int(answer.headers.get("x-backend-steps", 0)),
                retry_after=answer.headers.get("Retry-After", ""),
                body="" if answer.status == 200 else text,
                # A region of the local Azure says which turn of a chain it answers.
                remembers=number == 1 or f"turn {number}." in text,
            )
        )


def _id(text: str, *, stream: bool) -> str:
    if not stream:
        return str(json.loads(text)["id"])
    last = re.findall(r"^event: response\.completed\ndata: (.*)$", text, re.MULTILINE)
    return str(json.loads(last[-1])["response"]["id"])
