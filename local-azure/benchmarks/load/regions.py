"""Three regions without latency: `python -m benchmarks.load.regions PORT PORT PORT`.

Each answers every request with the same chat completion, as fast as Python can.
"""

import asyncio
import sys

_ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":0,"model":"gpt-5-mini",'
    b'"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant",'
    b'"content":"Here."}}],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}}'
)
_EVENTS = 100
_EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"Here."}}]}\n\n'


class Region(asyncio.Protocol):
    """One connection to a region."""

    def __init__(self, name: str, *, pause: float = 1.0) -> None:
        """Answer as `name`; `pause` is the time between two events of a stream, in seconds."""
        self._pause = pause
        self._response = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-ms-region: {name}\r\n"
            f"Content-Length: {len(_ANSWER)}\r\n\r\n"
        ).encode() + _ANSWER
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers go out by."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer once the whole request is there."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._received = b""
        if b'"stream":true' in body.replace(b" ", b""):
            asyncio.get_running_loop().create_task(self._stream())
        else:
            self._transport.write(self._response)

    async def _stream(self) -> None:
        """Send events until the client is gone."""
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(_EVENTS):
            if self._transport.is_closing():
                return
            self._transport.write(b"%x\r\n%s\r\n" % (len(_EVENT), _EVENT))
            await asyncio.sleep(self._pause)
        self._transport.write(b"0\r\n\r\n")


async def _serve(ports: list[int]) -> None:
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda port=port: Region(str(port)), "127.0.0.1", port)  # type: ignore[misc]
        for port in ports
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(_serve([int(port) for port in sys.argv[1:]]))
