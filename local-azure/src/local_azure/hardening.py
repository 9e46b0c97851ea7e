"""What every server of the local Azure refuses before it looks at what a request asks for.

Names that are not its own (a web page may make a browser ask under such a name: DNS rebinding),
paths that one reader takes for this and the next for that, and what is too large. The rest of HTTP
is aiohttp's, by its own limits.
"""

import asyncio
import hmac
import ipaddress
import logging
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final, Self
from urllib.parse import unquote_to_bytes

from aiohttp import HttpVersion10, http_exceptions, web
from multidict import CIMultiDict

logger = logging.getLogger("local_azure.connections")

ACCESS_HEADER: Final = "x-local-azure-token"
"""Carries the access token where `Authorization` has another meaning, as at a region."""

Refuse = Callable[[int, str], web.Response]
_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?", re.IGNORECASE)
_ENCODED = re.compile(r"%(?:2f|5c|(?![0-9a-f]{2}))", re.IGNORECASE)
_UNCLEAR = re.compile(r"(?:^|/)\.{1,2}(?:/|$)|[\\\x00-\x1f\x7f-\x9f]")


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
        cls, app: web.Application, *listeners: socket.socket, access_token: str | None = None
    ) -> Self:
        """Serve an application that says by `app[FRONT]` how it refuses.

        An access token is asked for wherever a connection came in at no loopback address.
        """
        front = app[FRONT]
        runner = web.AppRunner(app, shutdown_timeout=0.5)
        await runner.setup()
        if (server := runner.server) is None:
            raise TypeError("the runner was set up and has no server")
        server.request_handler = _guarded(server.request_handler, front, access_token)
        loop = asyncio.get_running_loop()
        connection = partial(
            _Connection,
            server,
            front.refuse,
            loop=loop,
            logger=logger,
            access_log=None,  # a query may hold a key
            auto_decompress=False,  # a few bytes may stand for gigabytes
        )
        servers = [await loop.create_server(connection, sock=each) for each in listeners]
        host, port = listeners[0].getsockname()[:2]
        return cls(runner, connection, servers, f"http://{host}:{port}")

    async def close(self) -> None:
        """Listen no more, and close every connection."""
        for server in self._servers:
            server.close()
        await self._runner.cleanup()


def _guarded(handle: _Handler, front: Front, access_token: str | None) -> _Handler:
    async def guard(request: web.BaseRequest) -> web.StreamResponse:
        refused = _refused(request, front, access_token)
        if refused is not None:
            return refused
        request = _past_the_door(request, access_token)
        try:
            if request.body_exists:
                await request.read()  # which it keeps; too large a one is refused
            return await handle(request)
        except web.HTTPException as error:  # as aiohttp refuses an unknown `Expect`, too
            return _last(front.refuse(error.status, f"{error.text}."))

    return guard


def _refused(
    request: web.BaseRequest, front: Front, access_token: str | None
) -> web.Response | None:
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


def _came_in_at(request: web.BaseRequest) -> str:
    transport = request.transport
    return str(transport.get_extra_info("sockname")[0]) if transport else ""


def _may_enter(request: web.BaseRequest, access_token: str) -> bool:
    given = (request.headers.get(ACCESS_HEADER, ""), _bearer(request))
    # Both are compared whatever the first says: the time taken tells nothing.
    good = [_is_token(each, access_token) for each in given]
    return _is_loopback(_came_in_at(request)) or any(good)


def _past_the_door(request: web.BaseRequest, access_token: str | None) -> web.BaseRequest:
    """Take the access token off: who is behind the door takes other bearer tokens, not this one."""
    if access_token is None or not _is_token(_bearer(request), access_token):
        return request
    headers = CIMultiDict(request.headers)
    headers.popall("Authorization")
    return request.clone(headers=headers)


def _bearer(request: web.BaseRequest) -> str:
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


class _Connection(web.RequestHandler):
    def __init__(self, server: web.Server, refuse: Refuse, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._refuse = refuse

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP; what it was is neither repeated nor logged: it may be a key."""
        if isinstance(exc, http_exceptions.HttpProcessingError | web.RequestPayloadError):
            return _last(self._refuse(400, _MALFORMED))
        if isinstance(exc, ConnectionError):
            raise exc  # the client left, which is no error of the server's
        return super().handle_error(request, status, exc, message)
