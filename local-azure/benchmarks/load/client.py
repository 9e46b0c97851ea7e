"""Clients that ask as fast as they are answered, each on a connection of its own.

Written on asyncio's protocols: with a client library most of what is measured would be the client.
"""

import asyncio
import re
import time
from array import array
from dataclasses import dataclass
from urllib.parse import urlsplit

BODY = b'{"messages":[{"role":"user","content":"Where are you?"}],"max_completion_tokens":20}'
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END_OF_CHUNKS = b"0\r\n\r\n"


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is asked: an absolute url, and the headers that open it."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 80

    def request(self, body: bytes = BODY) -> bytes:
        """Return the request as it is sent."""
        parts = urlsplit(self.url)
        lines = [
            f"POST {parts.path}?{parts.query} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass(frozen=True, kw_only=True)
class Result:
    """Requests a second, and percentiles of what each took, in milliseconds."""

    per_second: float
    p50: float
    p99: float
    failed: int


class _Connection(asyncio.Protocol):
    def __init__(self, run: "_Run") -> None:
        self._run = run
        self._received = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(self._received, 0, head + 2)
        if length is not None:
            if len(self._received) < head + 4 + int(length[1]):
                return
        elif not self._received.endswith(_END_OF_CHUNKS):
            return
        self._run.answered(self._sent, ok=self._received.startswith(b"HTTP/1.1 200"))
        self._received = b""
        self._ask()

    def connection_lost(self, _: Exception | None) -> None:
        self._run.lost()

    def _ask(self) -> None:
        if self._run.left <= 0:
            self._transport.close()
            return
        self._run.left -= 1
        self._sent = time.perf_counter()
        self._transport.write(self._run.request)


class _Run:
    def __init__(self, target: Target, requests: int, connections: int) -> None:
        self.request = target.request()
        self.left = requests
        self.times = array("d")
        self.failed = 0
        self.done = asyncio.Event()
        self._open = connections

    def answered(self, sent: float, *, ok: bool) -> None:
        self.times.append(time.perf_counter() - sent)
        self.failed += not ok

    def lost(self) -> None:
        self._open -= 1
        if self._open == 0:
            self.done.set()


async def measure(target: Target, *, requests: int, connections: int) -> Result:
    """Send `requests` over `connections`; a connection that is lost counts what it had not sent."""
    loop = asyncio.get_running_loop()
    run = _Run(target, requests, connections)
    began = time.perf_counter()
    for _ in range(connections):
        await loop.create_connection(lambda: _Connection(run), *target.address)
    await run.done.wait()
    seconds = time.perf_counter() - began
    ordered = sorted(run.times)
    return Result(
        per_second=len(ordered) / seconds,
        p50=1000 * ordered[len(ordered) // 2],
        p99=1000 * ordered[len(ordered) * 99 // 100],
        failed=run.failed + requests - len(ordered),
    )


class _Stream(asyncio.Protocol):
    """Asks for a stream, and counts its events."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.events = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.events += data.count(b"data: ")

    def close(self) -> None:
        self._transport.abort()


async def open_streams(target: Target, count: int, *, seconds: float) -> int:
    """Open `count` streams at once; return how many still receive, `seconds` after all are open."""
    request = target.request(BODY.replace(b"}]", b'}],"stream":true'))
    loop = asyncio.get_running_loop()
    streams = []
    for _ in range(count):
        _, stream = await loop.create_connection(lambda: _Stream(request), *target.address)
        streams.append(stream)
    await asyncio.sleep(seconds)
    before = [stream.events for stream in streams]
    await asyncio.sleep(seconds)
    alive = sum(stream.events > events > 0 for stream, events in zip(streams, before, strict=True))
    for stream in streams:
        stream.close()
    return alive
