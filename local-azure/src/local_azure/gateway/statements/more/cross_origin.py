"""`cors`: what a page of another origin may ask, as the Fetch standard has browsers check it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from local_azure.gateway.exchange import Exchange, Request, Response, ReturnedResponse
from local_azure.gateway.markup import Element
from local_azure.gateway.statements.attributes import (
    Value,
    constant_number,
    flag,
    parts,
    printable,
    texts,
)
from local_azure.gateway.statements.statement import (
    INBOUND,
    Action,
    Place,
    Statement,
    refuse,
)

_DEFAULT_METHODS: Final = ("GET", "POST")  # API Management, "CORS"


@dataclass(frozen=True, kw_only=True)
class _Cors:
    """What pages of other origins may ask; `max_age` is how long a browser may go by it."""

    origins: list[Value]
    methods: list[Value]
    headers: list[Value]
    exposed: list[Value]
    with_credentials: bool
    terminates: bool
    max_age: str | None

    async def run(self, exchange: Exchange) -> None:
        """Answer a preflight request, or see to the headers of the response."""
        request = exchange.request
        origin = request.headers.get("Origin")
        if origin is None:
            return
        given = self._for_origin(origin, exchange)
        if request.is_preflight:
            if given and self._may_ask(request, given, exchange):
                _end(exchange, given)
            if self.terminates:
                _end(exchange, {})
        elif given:
            if self.exposed:
                names = [
                    printable(value(exchange), "expose-headers", "cors") for value in self.exposed
                ]
                given["Access-Control-Expose-Headers"] = ",".join(names)
            exchange.on_response.append(lambda exchange: _set(exchange, given))
        elif self.terminates and request.method in ("GET", "HEAD"):
            _end(exchange, {})

    def _for_origin(self, origin: str, exchange: Exchange) -> dict[str, str]:
        """Return the headers that let an origin in; none for one that may not."""
        allowed = {value(exchange).strip() for value in self.origins}
        if self.with_credentials and (origin in allowed or "*" in allowed):
            # A wildcard is none with credentials (Fetch standard, 3.2.5).
            return {
                "Access-Control-Allow-Origin": origin,
                "Vary": "Origin",
                "Access-Control-Allow-Credentials": "true",
            }
        if "*" in allowed:
            return {"Access-Control-Allow-Origin": "*"}
        if origin in allowed:
            return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        return {}

    def _may_ask(self, request: Request, given: dict[str, str], exchange: Exchange) -> bool:
        """Tell whether a method and headers may be sent, and add to `given` what says so."""
        method = request.headers["Access-Control-Request-Method"]
        methods = [value(exchange) for value in self.methods] or list(_DEFAULT_METHODS)
        asked = request.headers.get("Access-Control-Request-Headers", "")
        headers = {value(exchange).lower() for value in self.headers}
        unknown = {each.strip().lower() for each in asked.split(",") if each.strip()} - headers
        if ("*" not in methods and method not in methods) or (unknown and "*" not in headers):
            return False
        given["Access-Control-Allow-Methods"] = method
        if asked:
            given["Access-Control-Allow-Headers"] = asked
        if self.max_age is not None:
            given["Access-Control-Max-Age"] = self.max_age
        return True


def _end(exchange: Exchange, given: Mapping[str, str]) -> NoReturn:
    exchange.respond(Response(status=200))
    _set(exchange, given)
    raise ReturnedResponse


def _set(exchange: Exchange, given: Mapping[str, str]) -> None:
    if exchange.response is not None:
        exchange.response.headers.update(given)


def _cors(element: Element, _: Place) -> Action:
    found = parts(
        element,
        ("allowed-origins", "allowed-methods", "allowed-headers", "expose-headers"),
        {"allowed-methods": ("preflight-result-max-age",)},
    )
    if "allowed-origins" not in found:
        refuse(element, "needs allowed-origins")

    def words(name: str, child: str) -> list[Value]:
        return texts(found[name], child) if name in found else []

    return _Cors(
        origins=words("allowed-origins", "origin"),
        methods=words("allowed-methods", "method"),
        headers=words("allowed-headers", "header"),
        exposed=words("expose-headers", "header"),
        with_credentials=flag(element, "allow-credentials", default=False),
        terminates=flag(element, "terminate-unmatched-request", default=True),
        max_age=_max_age(found.get("allowed-methods")),
    ).run


def _max_age(methods: Element | None) -> str | None:
    name = "preflight-result-max-age"
    if methods is None or name not in methods.attributes:
        return None
    return str(int(constant_number(methods, name, "", 0, 86_400)))


CROSS_ORIGIN: Final[Mapping[str, Statement]] = {
    "cors": Statement(
        compile=_cors,
        optional=("allow-credentials", "terminate-unmatched-request"),
        sections=INBOUND,
        children=True,
        note="what stands before it in `inbound` runs for a preflight request too",
    ),
}
