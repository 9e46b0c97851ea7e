"""The two wires of the gateway: requests to backends, responses to clients."""

from collections.abc import AsyncIterator, Callable
from io import BytesIO
from typing import Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, MultiMapping
from yarl import URL

from local_azure.gateway.exchange import ProxyError, Request, Response
from local_azure.hardening import ACCESS_HEADER

MAX_BUFFERED_RESPONSE: Final = 1024 * 1024

# RFC 9110, 7.6.1, and what describes one connection's framing or its own hop.
_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        ACCESS_HEADER,
    }
)


class Client:
    """Sends requests to backends; only to the loopback urls that `resolve` gives."""

    def __init__(self, resolve: Callable[[str], str | None]) -> None:
        self._resolve = resolve
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    def forget_addresses(self) -> None:
        """Resolve every name anew."""

    async def send(self, request: Request, *, buffer: bool) -> Response:
        """Send a request and take the response, whole where it is there or meant to be waited for.

        What is read whole here can still be retried when it is cut. A response of unknown length,
        such as an event stream, never waits.
        Raises aiohttp.ClientError or OSError when there is no response.
        """
        query = f"?{request.url.query}" if request.url.query else ""
        headers = forwardable(request.headers)
        headers["Host"] = request.url.host
        answer = await self._session.request(
            request.method,
            URL(f"{self._address(request.url.host)}{request.url.path}{query}", encoded=True),
            headers=headers,
            data=BytesIO(request.body) if request.body else None,
            allow_redirects=False,
        )
        response = Response(
            status=answer.status, reason=answer.reason, headers=forwardable(answer.headers)
        )
        for framing in {"Content-Length"} & answer.headers.keys():
            response.headers[framing] = answer.headers[framing]  # for policies; not sent on
        length = answer.content_length
        wait = buffer and length is not None and length <= MAX_BUFFERED_RESPONSE
        if length is None or not (wait or answer.content.is_eof()):
            response.stream = BackendStream(answer)
            return response
        try:
            response.body = await answer.read()
        finally:
            answer.release()
        return response

    def _address(self, host: str) -> str:
        address = self._resolve(host)  # anew each time: a change of the network counts at once
        if address is None:
            # Any other name is unknown here, as to a DNS without it.
            raise OSError("Name does not resolve")
        return address


class BackendStream:
    """A backend's response body that is still arriving."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.length = response.content_length
        self._response = response
        self._watchers: list[Callable[[bytes | None], None]] = []

    def watch(self, watcher: Callable[[bytes | None], None]) -> None:
        """Have each piece told as it passes, and None at the end."""
        self._watchers.append(watcher)

    def chunks(self) -> AsyncIterator[bytes]:
        """Give the body as it arrives. Raises aiohttp.ClientError where it is cut."""
        if self._watchers:
            return self._watched()
        return self._response.content.iter_any().__aiter__()

    async def _watched(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                for watcher in self._watchers:
                    watcher(chunk)
                yield chunk
        finally:
            for watcher in self._watchers:
                watcher(None)

    async def read(self, limit: int) -> bytes:
        """Wait for all of it. Raises ProxyError when it is cut, or longer than `limit` bytes."""
        content = bytearray()
        try:
            async for chunk in self.chunks():
                content += chunk
                if len(content) > limit:
                    raise ProxyError(
                        f"The response is longer than {limit} bytes", source="policy-expression"
                    )
        except (aiohttp.ClientError, OSError) as error:
            raise ProxyError(
                str(error), source="forward-request", reason="BackendConnectionFailure"
            ) from None
        finally:
            self.close()
        return bytes(content)

    def close(self) -> None:
        """Give it up: a connection that is read to its end is kept, any other closed."""
        self._response.close()


async def relay(request: web.Request, response: Response) -> web.StreamResponse:
    """Answer the client; a body that is still arriving is passed on as it arrives."""
    stream = response.stream
    if not isinstance(stream, BackendStream):
        return web.Response(
            status=response.status,
            reason=response.reason,
            headers=forwardable(response.headers),
            body=response.body or None,
        )
    answer = web.StreamResponse(
        status=response.status, reason=response.reason, headers=forwardable(response.headers)
    )
    if stream.length is not None:
        answer.content_length = stream.length
    try:
        await answer.prepare(request)
        async for chunk in stream.chunks():
            await answer.write(chunk)
        await answer.write_eof()
    except (aiohttp.ClientError, OSError):
        # Cut by the backend, or left by the client. The answer has begun, so that all that can be
        # said is that it is not whole.
        if request.transport is not None:
            request.transport.abort()
    return answer


def forwardable(headers: MultiMapping[str]) -> CIMultiDict[str]:
    """Copy headers without those that belong to one connection."""
    copy: CIMultiDict[str] = CIMultiDict(headers)
    dropped = {
        name.strip().lower() for each in copy.getall("Connection", ()) for name in each.split(",")
    }
    for name in {name.lower() for name in copy} & (dropped | _HOP_BY_HOP):
        del copy[name]
    return copy
