"""One request on its way through the gateway: what a policy reads and changes."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import parse_qs, quote, unquote_plus, urlencode, urlsplit

from multidict import CIMultiDict

from local_azure.gateway.cache import Cache
from local_azure.gateway.limits import Limits

T = TypeVar("T")

MAX_READ_RESPONSE: Final = 8 * 1024 * 1024  # bytes a policy reads of a response
MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Url:
    """A url in parts, `path` and `query` as they are sent; a policy's `IUrl`."""

    scheme: str
    host: str
    port: int
    path: str
    query: str = ""

    @classmethod
    def parse(cls, text: str) -> "Url":
        """Read an absolute http or https url. Raises ValueError."""
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{text!r} is no absolute http or https url")
        return cls(
            scheme=parts.scheme,
            host=parts.hostname,
            port=parts.port or (443 if parts.scheme == "https" else 80),
            path=parts.path,
            query=parts.query,
        )

    def __str__(self) -> str:
        usual = {"https": 443, "http": 80}.get(self.scheme) == self.port
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{self.host}{'' if usual else f':{self.port}'}{self.path}{query}"

    @property
    def parameters(self) -> Mapping[str, list[str]]:
        """The query's values by name, decoded."""
        return parse_qs(self.query, keep_blank_values=True)


@dataclass(kw_only=True)
class Request:
    """The client's request, then what is sent on: `url` is the resolved backend's once it is.

    `max_buffered` has the bytes of a body that the tier can keep (`Configuration.max_buffered`).
    """

    method: str
    url: Url
    original_url: Url
    ip_address: str
    headers: CIMultiDict[str]
    body: bytes
    parameters: Mapping[str, str] = field(default_factory=dict)
    relative_path: str = ""
    query: str = ""
    max_buffered: int = 500 * MEBIBYTE

    def buffered(self, source: str) -> bytes:
        """Return the body, kept for another use. Raises ProxyError where the tier cannot keep it.

        Azure documents the limit, and neither status nor reason of what is above it.
        """
        if len(self.body) > self.max_buffered:
            limit = f"{self.max_buffered // MEBIBYTE} MiB that this tier can buffer"
            raise ProxyError(
                f"The request body is larger than the {limit}", source=source, status=413
            )
        return self.body

    @property
    def is_preflight(self) -> bool:
        """Whether a browser asks what it may ask (Fetch standard, "CORS-preflight request")."""
        return (
            self.method == "OPTIONS"
            and "Origin" in self.headers
            and "Access-Control-Request-Method" in self.headers
        )

    def set_query_parameter(self, name: str, values: list[str], exists_action: str) -> None:
        """Change a parameter of the request that is sent on, as the policy of that name does.

        All others stay as they are written.
        """
        pairs = self.query.split("&") if self.query else []
        others = [pair for pair in pairs if unquote_plus(pair.partition("=")[0]) != name]
        if exists_action == "skip" and others != pairs:
            return
        kept = pairs if exists_action == "append" else others
        added = [urlencode({name: value}, quote_via=quote) for value in values]
        self.query = "&".join(kept + added)


class Stream(Protocol):
    """The rest of a backend's response, relayed as it arrives."""

    async def read(self, limit: int) -> bytes:
        """Wait for all of it. Raises ProxyError when it is cut, or longer than `limit` bytes."""

    def watch(self, watcher: Callable[[bytes | None], None]) -> None:
        """Have each piece told as it passes, and None at the end."""

    def close(self) -> None:
        """Give the response up."""


@dataclass(kw_only=True)
class Response:
    """The backend's response, or the gateway's own; `stream` carries the body when it is set.

    `on_demand` says that reading the body of a stream raises BodyNeededError.
    """

    status: int
    reason: str | None = None
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)
    body: bytes = b""
    stream: Stream | None = None
    on_demand: bool = False

    def whole(self) -> bytes:
        """Return the body. Raises BodyNeededError when it is still arriving and `on_demand`."""
        if self.on_demand and self.stream is not None:
            raise BodyNeededError
        return self.body


@dataclass(frozen=True, kw_only=True)
class LastError:
    """`context.LastError`: where a request went wrong and why."""

    source: str
    reason: str | None
    message: str
    section: str
    scope: str = "api"


@dataclass(frozen=True, kw_only=True)
class Api:
    """`context.Api`."""

    id: str
    name: str
    path: str
    service_url: str | None


@dataclass(frozen=True, kw_only=True)
class Operation:
    """`context.Operation`."""

    id: str
    name: str
    method: str
    url_template: str


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """`context.Subscription`; no policy sees its keys."""

    id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """`context.Deployment`: the gateway itself; `region` is a display name such as "UK South"."""

    region: str
    service_name: str


@dataclass(frozen=True, kw_only=True)
class BackendEntity:
    """`context.Backend`: a backend or a pool that a policy named."""

    name: str
    type: str = "Single"
    azure_region: str | None = None


class ProxyError(Exception):
    """A request that cannot go on: processing jumps to `on-error`, with this as `LastError`.

    The name is API Management's own for it. `reason` is Azure's where its documentation has one
    (API Management, "Error handling"), `status` what the client sees unless `on-error` says
    otherwise, with `headers`. `response` is a backend's response that counts as the error.
    """

    def __init__(
        self,
        message: str,
        *,
        source: str,
        reason: str | None = None,
        status: int = 500,
        response: Response | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.source = source
        self.reason = reason
        self.status = status
        self.response = response
        self.headers = headers or {}


class BodyNeededError(Exception):
    """An expression has come to a response's body that is still arriving."""


class ReturnedResponse(Exception):  # noqa: N818 - no error: `return-response` ends the pipeline
    """The pipeline ends here; the response is the exchange's."""


class Services(Protocol):
    """What a policy needs of the gateway that runs it."""

    async def forward(
        self, exchange: "Exchange", *, header_timeout: float, buffer_response: bool
    ) -> Response:
        """Send the request to the exchange's backend; `header_timeout` in seconds.

        Raises ProxyError when there is no response.
        """

    @property
    def limits(self) -> Limits:
        """What the gateway's unit counts."""

    @property
    def cache(self) -> Cache | None:
        """The built-in cache; None on a tier without one."""

    def identity_token(self, resource: str, client_id: str | None = None) -> str:
        """Return a token of the service's own identity, or of an assigned one.

        Raises ProxyError when it has none such.
        """

    def entra_claims(self, token: str) -> Mapping[str, Any]:
        """Return what a token of Entra says. Raises ProxyError when it is no good."""

    def now(self) -> float:
        """Return the seconds since the epoch."""

    async def sleep(self, seconds: float) -> None:
        """Wait between retries."""


@dataclass(kw_only=True)
class Exchange:
    """`context`: one request and everything known about it.

    `backend_id` names the backend or pool that a policy chose, `base_url` one it gave as a url;
    without either the API's own service url is used. `backend` is what the last attempt found by
    that name. `credentials` adds what the backend that was
    picked asks of a request. What is in `on_response` is called once the
    backend has answered. For logs: what the last attempt asked, met and took, and what tells the
    tokens used once the answer has passed.
    """

    services: Services
    request: Request
    deployment: Deployment
    request_id: str
    api: Api
    operation: Operation
    subscription: Subscription | None = None
    response: Response | None = None
    variables: dict[str, object] = field(default_factory=dict)
    last_error: LastError | None = None
    backend_id: str | None = None
    base_url: str | None = None
    backend: BackendEntity | None = None
    body_sent: bool = False
    credentials: "Callable[[Request], Request] | None" = None
    on_response: list[Callable[["Exchange"], None]] = field(default_factory=list)
    backend_url: Url | None = None
    backend_status: int | None = None
    backend_seconds: float = 0.0
    usage: "Callable[[], dict[str, Any] | None] | None" = None
    started: float = field(default_factory=time.monotonic)
    clock: Callable[[], float] = time.monotonic

    @property
    def elapsed(self) -> float:
        """Seconds since the request arrived."""
        return self.clock() - self.started

    def respond(self, response: Response | None) -> None:
        """Replace the response, giving up one that is still arriving."""
        old = self.response
        if old is not None and old is not response and old.stream is not None:
            old.stream.close()
        self.response = response

    async def with_body(self, action: "Callable[[Exchange], Awaitable[T]]") -> T:
        """Run what may read the response's body: one that is still arriving is read only then.

        Policies read it at once. Here `action` starts again with the whole body: what an expression
        changes before it comes to the body, it changes twice.
        """
        response = self.response
        if response is None or response.stream is None:
            return await action(self)
        response.on_demand = True
        try:
            return await action(self)
        except BodyNeededError:
            await self.read_response()
            return await action(self)
        finally:
            response.on_demand = False

    async def read_response(self) -> None:
        """Wait for the whole of a response that is still arriving. Raises ProxyError.

        A tier keeps no more of a response than of a request (assumed: the limit names payloads).
        """
        response = self.response
        if response is not None and response.stream is not None:
            stream, response.stream = response.stream, None
            response.body = await stream.read(min(MAX_READ_RESPONSE, self.request.max_buffered))
