"""What a policy can ask of the gateway instance it runs on: a token, a pause, an answer."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, Final, Protocol

import aiohttp

from local_azure import durations
from local_azure.gateway.breaker import Breaker
from local_azure.gateway.cache import Cache
from local_azure.gateway.configuration import CONSUMPTION, Configuration, Pool, Unusable
from local_azure.gateway.exchange import (
    MAX_READ_RESPONSE,
    Exchange,
    ProxyError,
    Request,
    Response,
    Url,
)
from local_azure.gateway.instance import Instance
from local_azure.gateway.limits import Limits
from local_azure.identity import Reason, TokenError, Tokens

CONSUMPTION_SECONDS: Final = 30.0
"""How long a request may take on Consumption (API Management, limits, "Maximum total request
duration")."""


class Wire(Protocol):
    """What carries requests to backends; `forwarding.Client` does it over sockets."""

    async def send(self, request: Request, *, buffer: bool) -> Response:
        """Send a request, and take its response.

        Raises aiohttp.ClientError or OSError when there is none.
        """


class PolicyServices:
    """What one request's policy can ask for, on one instance: `exchange.Services`."""

    def __init__(self, wire: Wire, tokens: Tokens, running: Configuration, unit: Instance) -> None:
        self._wire = wire
        self._tokens = tokens
        self._running = running
        self._unit = unit

    @property
    def limits(self) -> Limits:
        """What the unit counts."""
        return self._unit.limits

    @property
    def cache(self) -> Cache | None:
        """The built-in cache; None on Consumption."""
        return None if self._running.tier == CONSUMPTION else self._unit.cache

    def entra_claims(self, token: str) -> Mapping[str, Any]:
        """Return what a token of Entra says. Raises ProxyError when it is no good."""
        try:
            return self._tokens.verified(token)
        except TokenError as error:
            raise ProxyError(
                "The token is no good",
                source="validate-azure-ad-token",
                reason="TokenExpired" if error.reason is Reason.EXPIRED else "TokenInvalid",
                status=401,
            ) from None

    def now(self) -> float:
        """Return the seconds since the epoch."""
        return time.time()

    def identity_token(self, resource: str, client_id: str | None = None) -> str:
        """Return a token of the service's own identity, or of an assigned one.

        Raises ProxyError when it has none such.
        """
        principal_id = self._running.principal(client_id)
        if principal_id is None:
            of = f" of the client id '{client_id}'" if client_id is not None else ""
            raise ProxyError(
                f"The service has no managed identity{of}",
                source="authentication-managed-identity",
            )
        return self._unit.token(
            self._tokens, principal_id, resource, client_id=(client_id or "").lower()
        )

    async def sleep(self, seconds: float) -> None:
        """Wait, as between two attempts."""
        await asyncio.sleep(seconds)

    async def forward(
        self, exchange: Exchange, *, header_timeout: float, buffer_response: bool
    ) -> Response:
        """Pick a backend, send the request, and tell its breaker. Raises ProxyError."""
        target = self._target(exchange)
        if isinstance(target, Response):
            return target
        url, breaker, cookie = target
        is_consumption = self._running.tier == CONSUMPTION
        if is_consumption:
            header_timeout = min(header_timeout, CONSUMPTION_SECONDS - exchange.elapsed)
        request = exchange.request
        request.url = Url(
            scheme=url.scheme,
            host=url.host,
            port=url.port,
            path=url.path.rstrip("/") + request.relative_path,
            query=request.query,
        )
        began = exchange.elapsed
        exchange.backend_url, exchange.backend_status = request.url, None
        try:
            async with asyncio.timeout(header_timeout):
                sent = exchange.credentials(request) if exchange.credentials else request
                response = await self._wire.send(sent, buffer=buffer_response)
        except TimeoutError:
            failure = ProxyError(
                f"No response within {header_timeout:g} seconds",
                source="forward-request",
                reason="Timeout",
                status=504,
            )
        except (aiohttp.ClientError, OSError) as error:
            failure = ProxyError(
                str(error), source="forward-request", reason="BackendConnectionFailure"
            )
        else:
            exchange.backend_status = response.status
            if breaker is not None:
                header = response.headers.get("Retry-After")
                breaker.answered(response.status, retry_after=lambda: durations.retry_after(header))
            if cookie:
                response.headers.add("Set-Cookie", cookie)
            if is_consumption and response.stream is not None:
                await _without_events(response, is_buffered=buffer_response)
            return response
        finally:
            exchange.backend_seconds = exchange.elapsed - began
        if breaker is not None:
            breaker.failed(failure.reason or "")
        raise failure

    def _target(self, exchange: Exchange) -> tuple[Url, Breaker | None, str] | Response:
        """Return the url of a backend, its breaker, and the cookie that its answer sets."""
        exchange.credentials = exchange.backend = None
        if exchange.backend_id is None:
            base = exchange.base_url or exchange.api.service_url
            try:
                return Url.parse(base or ""), None, ""
            except ValueError as error:
                raise ProxyError(str(error), source="forward-request") from None
        target = self._running.backend(exchange.backend_id)
        if target is None:
            raise ProxyError(
                f"Backend with id '{exchange.backend_id}' could not be found.",
                source="set-backend-service",
            )
        if isinstance(target, Unusable):
            raise ProxyError(f"{target.name}: {target.reason}", source="forward-request")
        exchange.backend = target
        name = target.cookie if isinstance(target, Pool) else ""
        session = _cookie(exchange.request, name) if name else ""
        backend = self._unit.pick(target, self._running, session)
        if backend is None:
            # A response, not an error (Azure-Samples/AI-Gateway#262), whose reason phrase names the
            # pool in samples that match it; its body is assumed to do so as well.
            reason = f"Backend pool {target.name} is temporarily unavailable"
            body = json.dumps({"statusCode": 503, "message": reason}).encode()
            response = Response(status=503, reason=reason, body=body)
            response.headers["Content-Type"] = "application/json"
            return response
        exchange.credentials = backend.credentials.added
        cookie = ""
        if isinstance(target, Pool) and name and session != target.session(backend.name):
            # Its attributes are assumed.
            cookie = f"{name}={target.session(backend.name)}; Path=/; HttpOnly"
        return backend.url, self._unit.breaker(backend), cookie


def _cookie(request: Request, name: str) -> str:
    """Return the value of a cookie; nothing where there is none."""
    pairs = (
        pair.strip() for each in request.headers.getall("Cookie", ()) for pair in each.split(";")
    )
    return next((pair[len(name) + 1 :] for pair in pairs if pair.startswith(f"{name}=")), "")


async def _without_events(response: Response, *, is_buffered: bool) -> None:
    """Refuse server-sent events, or wait for the whole of what is buffered, as Consumption does.

    Source: API Management, "Configure API for server-sent events": not available in Consumption;
    what a client sees of them there is not documented.
    """
    is_events = response.headers.get("Content-Type", "").startswith("text/event-stream")
    if response.stream is None or not (is_buffered or is_events):
        return
    stream, response.stream = response.stream, None
    if not is_buffered:
        stream.close()
        raise ProxyError(
            "Server-sent events are not supported in the Consumption tier",
            source="forward-request",
            reason="BackendConnectionFailure",
        )
    response.body = await stream.read(MAX_READ_RESPONSE)
