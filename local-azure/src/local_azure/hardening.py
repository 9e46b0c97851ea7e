"""What every server of the local Azure refuses before it looks at what a request asks for.

Names that are not its own (a web page may make a browser ask under such a name: DNS rebinding),
paths that one reader takes for this and the next for that, and what is too large, too slow or too
much.
"""

import asyncio
import hmac
import ipaddress
import logging
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Self, cast
from urllib.parse import unquote_to_bytes

from aiohttp import HttpVersion10, http_exceptions, web
from multidict import CIMultiDict

logger = logging.getLogger("local_azure.connections")

ACCESS_HEADER: Final = "x-local-azure-token"
"""Carries the access token where `Authorization` has another meaning, as at a region."""

Refuse = Callable[[int, str], web.Response]
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?", re.IGNORECASE)
_ENCODED = re.compile(r"%(?:2f|5c|(?![0-9a-f]{2}))", re.IGNORECASE)
_UNCLEAR = re.compile(r"(?:^|/)\.{1,2}(?:/|$)|[\\\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a client may take of a server; sizes in bytes, times in seconds.

    `idle` is the time between two requests and until the last header of one, `body` that from there
    to the end of the body, `stalled` that until a client takes what could not be sent at once.
    """

    line: int = 8190
    header: int = 8190
    headers: int = 128
    connections: int = 2000
    idle: float = 75.0
    body: float = 60.0
    stalled: float = 60.0


LIMITS: Final = Limits()


@dataclass(frozen=True, kw_only=True)
class Front:
    """How a server meets what is refused.

    `refuse(status, message)` is its error answer, `answers_to` knows its names in Azure, in lower
    case. `unclear_path` is the status for a path that could be read in more than one way.
    """

    refuse: Refuse
    answers_to: Callable[[str], bool]
    unclear_path: int = 404


FRONT: Final = web.AppKey("FRONT", Front)


class Site:
    """An application on its sockets; `url` is that of the first.

    `connection` makes the protocol of one more connection, wherever that was accepted.
    """

    def __init__(
        self,
        runner: web.AppRunner,
        connection: Callable[[], asyncio.Protocol],
        servers: list[asyncio.Server],
        url: str,
    ) -> None:
        self._runner = runner
        self._servers = servers
        self.connection = connection
        self.url = url

    @classmethod
    async def open(
        cls,
        app: web.Application,
        *listeners: socket.socket,
        access_token: str | None = None,
        limits: Limits = LIMITS,
    ) -> Self:
        """Serve an application that says by `app[FRONT]` how it refuses.

        An access token is asked for wherever a connection came in at no loopback address.
        """
        front = app[FRONT]
        app.middlewares.insert(0, _guard(front, limits, access_token))
        runner = web.AppRunner(app, shutdown_timeout=0.5)
        await runner.setup()
        if (server := runner.server) is None:
            raise TypeError("the runner was set up and has no server")
        server.request_handler = _in_its_own_words(server.request_handler, front.refuse)

        def connection() -> asyncio.Protocol:
            if len(server.connections) >= limits.connections:
                return _Refused()
            return _Connection(server, front.refuse, limits)

        loop = asyncio.get_running_loop()
        servers = [await loop.create_server(connection, sock=each) for each in listeners]
        host, port = listeners[0].getsockname()[:2]
        return cls(runner, connection, servers, f"http://{host}:{port}")

    async def close(self) -> None:
        """Listen no more, and close every connection."""
        for server in self._servers:
            server.close()
        await self._runner.cleanup()


def _guard(front: Front, limits: Limits, access_token: str | None) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
        refused = _refused(request, front, access_token)
        if refused is not None:
            return refused
        request = _past_the_door(request, access_token)
        if request.body_exists:
            refused = await _unreadable(request, front.refuse, limits)
            if refused is not None:
                return refused
        return await handler(request)

    return guard


def _refused(request: web.Request, front: Front, access_token: str | None) -> web.Response | None:
    """Refuse a request for its line and headers; None lets it pass."""
    if request.version < HttpVersion10:  # what has no version at all
        return _last(front.refuse(400, _MALFORMED))
    hosts = request.headers.getall("Host", ())
    host = _name(hosts[0]) if len(hosts) == 1 else None
    if host is None:
        return front.refuse(400, "A request has one Host header, with a name or an address.")
    if not (_is_loopback(host) or front.answers_to(host) or host == _came_in_at(request)):
        return front.refuse(421, f"The host '{host[:80]}' is not served here.")
    if access_token is not None and not _may_enter(request, access_token):
        answer = front.refuse(401, _NO_TOKEN)
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer
    if not _is_clear(request.raw_path.partition("?")[0]):
        message = "Resource not found" if front.unclear_path == 404 else _UNCLEAR_PATH
        return front.refuse(front.unclear_path, message)
    return None


async def _unreadable(request: web.Request, refuse: Refuse, limits: Limits) -> web.Response | None:
    """Read the body, which the request keeps; refuse one that is too large, too slow or cut."""
    try:
        async with asyncio.timeout(limits.body):
            await request.read()
    except TimeoutError:
        return _last(refuse(408, f"The body did not arrive within {limits.body:g} s."))
    except web.HTTPRequestEntityTooLarge as error:
        return _last(refuse(413, f"{error.text}."))
    except web.RequestPayloadError:
        return _last(refuse(400, _MALFORMED))
    return None


def _in_its_own_words(
    handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], refuse: Refuse
) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    """Answer in the server's form what aiohttp refuses by itself, such as an unknown `Expect`."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await handle(request)
        except web.HTTPException as error:
            return _last(refuse(error.status, f"{error.text}."))

    return answer


_MALFORMED: Final = "The request is not well-formed HTTP/1.1."
_NO_TOKEN: Final = (
    f"The access token is missing or wrong: send it in the header {ACCESS_HEADER}, or as a bearer"
    " token."
)
_UNCLEAR_PATH: Final = (
    "The path holds a dot segment, an encoded slash, a backslash, a control character or what is"
    " no UTF-8."
)


def _last(answer: web.Response) -> web.Response:
    """Answer, and end the connection: where its next request begins is not known."""
    answer.force_close()
    return answer


@lru_cache(maxsize=1024)
def _name(host: str) -> str | None:
    """Return the name or address of a Host header, in lower case; None when it has none."""
    match = _HOST.fullmatch(host)
    return (match[1] or match[2]).lower() if match else None


@lru_cache(maxsize=1024)
def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback


def _came_in_at(request: web.Request) -> str:
    transport = request.transport
    return str(transport.get_extra_info("sockname")[0]) if transport else ""


def _may_enter(request: web.Request, access_token: str) -> bool:
    given = (request.headers.get(ACCESS_HEADER, ""), _bearer(request))
    # Both are compared whatever the first says: the time taken tells nothing.
    good = [_is_token(each, access_token) for each in given]
    return _is_loopback(_came_in_at(request)) or any(good)


def _past_the_door(request: web.Request, access_token: str | None) -> web.Request:
    """Take the access token off: who is behind the door takes other bearer tokens, not this one."""
    if access_token is None or not _is_token(_bearer(request), access_token):
        return request
    headers = CIMultiDict(request.headers)
    headers.popall("Authorization")
    return request.clone(headers=headers)


def _bearer(request: web.Request) -> str:
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    return bearer if scheme.lower() == "bearer" else ""


def _is_token(given: str, access_token: str) -> bool:
    return hmac.compare_digest(
        given.strip().encode(errors="surrogateescape"), access_token.encode()
    )


@lru_cache(maxsize=512)
def _is_clear(path: str) -> bool:
    """Tell whether everyone who decodes a path decodes it to the same segments."""
    if not path.startswith("/") or not path.isascii() or _ENCODED.search(path):
        return False
    try:
        return not _UNCLEAR.search(unquote_to_bytes(path).decode())
    except UnicodeDecodeError:
        return False


class _Refused(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).abort()


class _Connection(web.RequestHandler):
    """A connection that its client must keep moving."""

    def __init__(self, server: web.Server, refuse: Refuse, limits: Limits) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=limits.idle,
            logger=logger,
            access_log=None,  # type: ignore[arg-type] # none: a query may hold a key
            max_line_size=limits.line,
            max_headers=limits.headers,
            max_field_size=limits.header,
            auto_decompress=False,  # a few bytes may stand for gigabytes
        )
        self._refuse = refuse
        self._limits = limits
        self._wire: asyncio.Transport | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = cast(asyncio.Transport, transport)
        # `pause_writing` then means that something waits, and `resume_writing` that nothing does.
        self._wire.set_write_buffer_limits(high=0)
        super().connection_made(transport)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._wire is not None:
            loop = asyncio.get_running_loop()
            self._stalled = loop.call_later(self._limits.stalled, self._wire.abort)

    def resume_writing(self) -> None:
        self._forget_stall()
        super().resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._forget_stall()
        super().connection_lost(exc)

    def _forget_stall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP; what it was is neither repeated nor logged: it may be a key."""
        if isinstance(exc, http_exceptions.HttpProcessingError):
            return _last(self._refuse(400, _MALFORMED))
        if isinstance(exc, ConnectionError):
            raise exc  # the client left, which is no error of the server's
        return super().handle_error(request, status, exc, message)
