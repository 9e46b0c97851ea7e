"""The gateway as a server: matches a request, checks its key, runs the policy, sends it on."""

import json
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final
from urllib.parse import parse_qs

from aiohttp import web

from local_azure import hardening
from local_azure.gateway import configuration
from local_azure.gateway.cache import Cache
from local_azure.gateway.configuration import Configuration, DeployedApi, Match
from local_azure.gateway.exchange import (
    Exchange,
    LastError,
    ProxyError,
    Request,
    Response,
    ReturnedResponse,
    Subscription,
    Url,
)
from local_azure.gateway.forwarding import Client, forwardable, relay
from local_azure.gateway.instance import Instance
from local_azure.gateway.services import PolicyServices
from local_azure.identity import Tokens
from local_azure.locations import PUBLIC, Locations
from local_azure.store import Resources

MAX_BODY: Final = 32 * 1024 * 1024
# What a client is told where the error itself would name what is inside.
_PUBLIC_MESSAGES: Final = {
    500: "Internal server error",
    503: "Service unavailable",
    504: "Gateway timeout",
}
_MISSING_KEY: Final = (
    "Access denied due to missing subscription key. Make sure to include subscription key when"
    " making requests to an API."
)
_INVALID_KEY: Final = (
    "Access denied due to invalid subscription key. Make sure to provide a valid key for an active"
    " subscription."
)


def create_app(
    resources: Resources,
    service_id: str,
    *,
    instances: int = 1,
    resolve: Callable[[str], str | None],
    tokens: Tokens,
    clock: Callable[[], float] = time.monotonic,
    choose: Callable[[int], int] = random.randrange,
    locations: Locations = PUBLIC,
    answered: Callable[[Exchange], None] = lambda _: None,
    ended: Callable[[Exchange, int, Mapping[str, str]], None] = lambda *_: None,
) -> web.Application:
    """Return the gateway of one API Management service.

    `instances` are its units, which do not synchronise: `choose(instances)` says which of them gets
    a request, as the load balancer in front of them does. `resolve` gives the loopback url behind a
    backend's host name, or None where DNS has no such name; nothing else is ever contacted. `clock`
    gives seconds. `answered` is told of each request before its answer is passed on, `ended` when
    that is done, with the client's status and headers.
    """
    cache = Cache(clock)  # of all units
    gateway = _Gateway(
        resources,
        service_id,
        units=[Instance(clock, cache) for _ in range(instances)],
        resolve=resolve,
        tokens=tokens,
        clock=clock,
        choose=choose,
        locations=locations,
        answered=answered,
        ended=ended,
    )
    app = web.Application(client_max_size=MAX_BODY)
    host = host_name(service_id)
    app[hardening.FRONT] = hardening.Front(refuse=_refuse, answers_to=lambda name: name == host)
    app.router.add_route("*", "/{path:.*}", gateway.handle)
    app.cleanup_ctx.append(gateway.lifetime)
    return app


def host_name(service_id: str) -> str:
    """Return the host name that Azure gives a service, in lower case."""
    return f"{service_id.rpartition('/')[2].lower()}.azure-api.net"


class _Gateway:
    """The state of one service's gateway."""

    def __init__(
        self,
        resources: Resources,
        service_id: str,
        *,
        units: list[Instance],
        resolve: Callable[[str], str | None],
        tokens: Tokens,
        clock: Callable[[], float],
        choose: Callable[[int], int],
        locations: Locations,
        answered: Callable[[Exchange], None],
        ended: Callable[[Exchange, int, Mapping[str, str]], None],
    ) -> None:
        self._resources = resources
        self._service_id = service_id
        self._units = units
        self._resolve = resolve
        self._tokens = tokens
        self._clock = clock
        self._choose = choose
        self._locations = locations
        self._answered = answered
        self._ended = ended
        self._revision: int | None = None
        self._configuration: Configuration | None = None
        self._client: Client

    async def lifetime(self, _: web.Application) -> AsyncIterator[None]:
        """Keep one client for as long as the server runs."""
        self._client = Client(self._resolve)
        yield
        await self._client.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        running = self._current()
        path, _, query = request.raw_path.partition("?")
        match = running.match(request.method, path, query) if running else None
        # No operation is of the method OPTIONS: what is about to be asked is what counts.
        asked = request.headers.get("Access-Control-Request-Method", "")
        if running is not None and match is None and request.method == "OPTIONS":
            match = running.match(asked.upper(), path, query)
        if running is None or match is None:
            return await relay(request, _error_response(404, "Resource not found"))
        exchange = Exchange(
            services=PolicyServices(self._client, self._tokens, running, self._unit()),
            request=await _request(request, match, path, query, running.max_buffered),
            deployment=running.deployment,
            request_id=str(uuid.uuid4()),
            api=match.api.context,
            operation=match.operation.context,
            started=self._clock(),
            clock=self._clock,
        )
        try:
            if exchange.request.is_preflight and match.operation.context.method != "OPTIONS":
                await _answer_preflight(exchange, match)
            else:
                await _run(exchange, running, match)
            response = exchange.response or Response(status=200)
            self._answered(exchange)
            answer = await relay(request, response)
            self._ended(exchange, response.status, response.headers)
            return answer
        finally:
            exchange.respond(None)

    def _unit(self) -> Instance:
        count = len(self._units)
        return self._units[self._choose(count) if count > 1 else 0]

    def _current(self) -> Configuration | None:
        revision = self._resources.revision
        if revision != self._revision:
            self._configuration = configuration.read(
                self._resources, self._service_id, self._locations
            )
            self._client.forget_addresses()
            self._revision = revision
        return self._configuration


async def _request(
    request: web.Request, match: Match, path: str, query: str, max_buffered: int
) -> Request:
    host, _, port = request.host.partition(":")
    url = Url(
        scheme=request.scheme,
        host=host,
        port=int(port) if port.isdigit() else 443 if request.scheme == "https" else 80,
        path=path,
        query=query,
    )
    headers = forwardable(request.headers)
    for framing in {"Content-Length", "Transfer-Encoding"} & request.headers.keys():
        headers[framing] = request.headers[framing]  # for policies to read; not sent on
    return Request(
        method=request.method,
        url=url,
        original_url=url,
        ip_address=request.remote or "",
        headers=headers,
        body=await request.read() if request.body_exists else b"",
        parameters=match.parameters,
        relative_path=match.relative_path,
        query=query,
        max_buffered=max_buffered,
    )


async def _answer_preflight(exchange: Exchange, match: Match) -> None:
    """Let `cors` answer, without a key: a browser sends none. Without `cors` there is no answer."""
    try:
        await match.operation.policy.inbound(exchange)
    except ReturnedResponse:
        return
    except ProxyError:
        pass
    exchange.respond(_error_response(404, "Resource not found"))


async def _run(exchange: Exchange, running: Configuration, match: Match) -> None:
    """Run an operation's policy; afterwards the exchange has the response for the client."""
    policy = match.operation.policy
    section = "inbound"
    try:
        exchange.subscription = _subscription(exchange.request, running, match.api)
        await policy.inbound(exchange)
        section = "backend"
        await policy.backend(exchange)
        for told in exchange.on_response:
            told(exchange)
        section = "outbound"
        await policy.outbound(exchange)
    except ReturnedResponse:
        return
    except ProxyError as error:
        _enter_on_error(exchange, error, section)
        try:
            await policy.on_error(exchange)
        except ReturnedResponse:
            return
        except ProxyError as second:
            _enter_on_error(exchange, second, "on-error")


def _subscription(
    request: Request, running: Configuration, api: DeployedApi
) -> Subscription | None:
    """Check the client's key. Raises ProxyError, a 401, without a good one."""
    if api.key_header is None:
        return None
    key = request.headers.get(api.key_header)
    if not key:
        key = parse_qs(request.query).get(api.key_query, [""])[0]
    if not key:
        raise ProxyError(
            _MISSING_KEY, source="authorization", reason="SubscriptionKeyNotFound", status=401
        )
    subscription = running.subscription(key, api)
    if subscription is None:
        raise ProxyError(
            _INVALID_KEY, source="authorization", reason="SubscriptionKeyInvalid", status=401
        )
    return subscription


def _enter_on_error(exchange: Exchange, error: ProxyError, section: str) -> None:
    exchange.last_error = LastError(
        source=error.source, reason=error.reason, message=error.message, section=section
    )
    if error.response is not None:
        exchange.respond(error.response)
        return
    response = _error_response(
        error.status, _PUBLIC_MESSAGES.get(error.status, error.message), exchange.request_id
    )
    response.headers.update(error.headers)
    exchange.respond(response)


def _refuse(status: int, message: str) -> web.Response:
    refusal = _error_response(status, message)
    return web.Response(status=status, headers=refusal.headers, body=refusal.body)


def _error_response(status: int, message: str, activity_id: str | None = None) -> Response:
    """Return the gateway's own error, in the form API Management gives it."""
    body: dict[str, object] = {"statusCode": status, "message": message}
    if activity_id is not None and status >= 500:
        body["activityId"] = activity_id
    response = Response(status=status, body=json.dumps(body, separators=(",", ":")).encode())
    response.headers["Content-Type"] = "application/json"
    return response
