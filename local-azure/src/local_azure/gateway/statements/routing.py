"""Statements that say where a request goes, and send it."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode

from local_azure.gateway.exchange import Exchange, ProxyError, Url
from local_azure.gateway.markup import Element
from local_azure.gateway.statements.attributes import (
    attribute,
    choice,
    constant,
    flag,
    number,
    optional,
    value,
)
from local_azure.gateway.statements.statement import (
    BEFORE,
    INBOUND,
    Action,
    Place,
    Statement,
    refuse,
)

DEFAULT_TIMEOUT: Final = 300.0  # seconds; API Management documentation, "forward-request"
_PATH_CHARACTERS: Final = "/%-._~!$&'()*+,;=:@"  # RFC 3986, 3.3, and what is encoded already


def _set_backend_service(element: Element, _: Place) -> Action:
    given = [name for name in element.attributes if name != "id"]
    if len(given) != 1:
        refuse(element, "takes one of backend-id and base-url")
    name = given[0]
    read = attribute(element, name)

    async def by_id(exchange: Exchange) -> None:
        exchange.backend_id, exchange.base_url = read(exchange), None

    async def by_url(exchange: Exchange) -> None:
        url = read(exchange)
        try:
            Url.parse(url)
        except ValueError as error:
            raise ProxyError(str(error), source="set-backend-service") from None
        exchange.backend_id, exchange.base_url = None, url

    return by_id if name == "backend-id" else by_url


def _forward_request(element: Element, _: Place) -> Action:
    in_milliseconds = "timeout-ms" in element.attributes
    if in_milliseconds and "timeout" in element.attributes:
        refuse(element, "takes one of timeout and timeout-ms")
    timeout = number(
        element,
        "timeout-ms" if in_milliseconds else "timeout",
        str(DEFAULT_TIMEOUT),
        1,
        86_400_000 if in_milliseconds else 86_400,
    )
    # The local gateway speaks HTTP/1.1 to its backends, and follows no redirect.
    choice(element, "http-version", ("1", "2or1"), "1")
    choice(element, "follow-redirects", ("false",), "false")
    buffer_request = flag(element, "buffer-request-body", default=False)
    buffer_response = flag(element, "buffer-response", default=True)
    fail_on_error = flag(element, "fail-on-error-status-code", default=False)

    async def forward(exchange: Exchange) -> None:
        if exchange.body_sent and not buffer_request:
            raise ProxyError(
                "The request body was not buffered (buffer-request-body) and is sent already",
                source="forward-request",
                reason="BackendConnectionFailure",
            )
        if buffer_request:
            exchange.request.buffered("forward-request")
        exchange.respond(None)
        exchange.body_sent = bool(exchange.request.body)
        seconds = timeout(exchange)
        response = await exchange.services.forward(
            exchange,
            header_timeout=seconds / 1000 if in_milliseconds else seconds,
            buffer_response=buffer_response,
        )
        exchange.respond(response)
        if fail_on_error and response.status >= 400:
            raise ProxyError(
                f"The backend answered {response.status}",
                source="forward-request",
                response=response,
            )

    return forward


_PARAMETER = re.compile(r"\{([^{}]{1,256})\}")


def _rewrite_uri(element: Element, _: Place) -> Action:
    template = attribute(element, "template")
    copy_unmatched = flag(element, "copy-unmatched-params", default=True)

    async def rewrite(exchange: Exchange) -> None:
        request = exchange.request
        used = set()

        def fill(match: re.Match[str]) -> str:
            used.add(match[1])
            return request.parameters.get(match[1], match[0])

        path, _, query = _PARAMETER.sub(fill, template(exchange)).partition("?")
        pairs = parse_qsl(query, keep_blank_values=True)
        if copy_unmatched:
            taken = used | {name for name, _ in pairs}
            pairs += [
                pair
                for pair in parse_qsl(request.query, keep_blank_values=True)
                if pair[0] not in taken
            ]
        request.relative_path = "/" + quote(path.lstrip("/"), safe=_PATH_CHARACTERS)
        request.query = urlencode(pairs, quote_via=quote)

    return rewrite


def _set_method(element: Element, _: Place) -> Action:
    read = value(element, element.text)

    async def set_method(exchange: Exchange) -> None:
        method = read(exchange).strip().upper()
        if not re.fullmatch(r"[A-Z]{1,20}", method):
            raise ProxyError(f"{method[:40]!r} is no method", source="set-method")
        exchange.request.method = method

    return set_method


def _authentication_managed_identity(element: Element, _: Place) -> Action:
    client_id = optional(element, "client-id")
    resource = attribute(element, "resource")
    variable = constant(element, "output-token-variable-name")
    ignore_error = flag(element, "ignore-error", default=False)

    async def authenticate(exchange: Exchange) -> None:
        token: str | None
        try:
            token = exchange.services.identity_token(
                resource(exchange), client_id(exchange) if client_id else None
            )
        except ProxyError:
            if not ignore_error:
                raise
            token = None
        if variable is not None:
            exchange.variables[variable] = token
        elif token is not None:
            exchange.request.headers["Authorization"] = f"Bearer {token}"

    return authenticate


ROUTING: Final[Mapping[str, Statement]] = {
    "authentication-managed-identity": Statement(
        compile=_authentication_managed_identity,
        required=("resource",),
        optional=("output-token-variable-name", "ignore-error", "client-id"),
        sections=INBOUND,
    ),
    "forward-request": Statement(
        compile=_forward_request,
        optional=(
            "timeout",
            "timeout-ms",
            "http-version",
            "follow-redirects",
            "buffer-request-body",
            "buffer-response",
            "fail-on-error-status-code",
        ),
        sections=frozenset({"backend"}),
        note="HTTP/1.1, without following redirects",
    ),
    "rewrite-uri": Statement(
        compile=_rewrite_uri,
        required=("template",),
        optional=("copy-unmatched-params",),
        # The documentation has `inbound` alone; a landing zone that Azure publishes has `backend`.
        sections=BEFORE,
    ),
    "set-backend-service": Statement(
        compile=_set_backend_service, optional=("backend-id", "base-url"), sections=BEFORE
    ),
    "set-method": Statement(
        compile=_set_method, text=True, sections=frozenset({"inbound", "on-error"})
    ),
}

# What API Management's own global policy has in `backend`.
FORWARD: Final = _forward_request(
    Element("forward-request", 0, {}, ""),
    Place(section="backend", on_response=False, statements=ROUTING),
)
