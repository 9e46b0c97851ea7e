"""The policy statements the gateway knows: one entry of `STATEMENTS` each.

Each has a compiler from its element to an action, an async function on the exchange. What a
statement does not take (an attribute, a child, a section) is refused when the policy is compiled,
by name and line. API Management documentation, "API Management policy reference".
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from emulator.gateway.exchange import (
    Exchange,
    ProxyError,
    Request,
    Response,
    ReturnedResponse,
    Url,
)
from emulator.gateway.expressions import (
    Expression,
    ExpressionError,
    compile_expression,
    to_string,
)
from emulator.gateway.expressions import (
    compile_block as compile_statements,
)
from emulator.gateway.markup import Element, ExpressionSource, PolicyError

Action = Callable[[Exchange], Awaitable[None]]
Value = Callable[[Exchange], str]

DEFAULT_TIMEOUT: Final = 300.0  # seconds; API Management documentation, "forward-request"

_NAMED_VALUE = re.compile(r"\{\{[A-Za-z0-9._-]+\}\}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_EXISTS_ACTIONS: Final = ("override", "skip", "append", "delete")
_EVERYWHERE: Final = frozenset({"inbound", "backend", "outbound", "on-error"})


@dataclass(frozen=True)
class Place:
    """Where a statement stands: its section, and whether it shapes a response."""

    section: str
    on_response: bool

    def message(self, exchange: Exchange) -> Request | Response:
        """Return what `set-header` and `set-body` change here."""
        return self.response(exchange) if self.on_response else exchange.request

    def response(self, exchange: Exchange) -> Response:
        """Return the response, an empty 200 where nothing was forwarded."""
        if exchange.response is None:
            exchange.response = Response(status=200)
        return exchange.response


@dataclass(frozen=True)
class Statement:
    """A statement's compiler, the attributes it takes, and where it may stand."""

    compile: Callable[[Element, Place], Action]
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    sections: frozenset[str] = _EVERYWHERE
    children: bool = False
    text: bool = False


def compile_block(elements: list[Element], place: Place) -> Action:
    """Compile statements that run one after another. Raises PolicyError."""
    actions = [compile_statement(element, place) for element in elements]
    if len(actions) == 1:
        return actions[0]

    async def run(exchange: Exchange) -> None:
        for action in actions:
            await action(exchange)

    return run


def compile_statement(element: Element, place: Place) -> Action:
    """Compile one statement. Raises PolicyError, by name and line, for what is not known."""
    statement = STATEMENTS.get(element.name)
    if statement is None:
        _refuse(
            element, f"not known to the local Azure, which knows {', '.join(sorted(STATEMENTS))}"
        )
    if place.section not in statement.sections:
        _refuse(element, f"not allowed in the section '{place.section}'")
    check_shape(
        element,
        statement.required,
        statement.optional,
        children=statement.children,
        text=statement.text,
    )
    return statement.compile(element, place)


def check_shape(
    element: Element,
    required: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
    *,
    children: bool = False,
    text: bool = False,
) -> None:
    """Refuse attributes, children and text that an element does not take."""
    known = (*required, *optional)
    for name in element.attributes:
        if name not in known:
            _refuse(
                element,
                f"attribute '{name}' is not known to the local Azure, which knows"
                f" {', '.join(known) or 'none here'}",
            )
    for name in required:
        if name not in element.attributes:
            _refuse(element, f"attribute '{name}' is missing")
    if not children and element.children:
        _refuse(element.children[0], f"not allowed in '{element.name}'")
    if not text and (isinstance(element.text, ExpressionSource) or element.text.strip()):
        _refuse(element, "takes no text")


def _refuse(element: Element, why: str) -> NoReturn:
    raise PolicyError(f"Error in element '{element.name}': {why}", element.line)


# --- values ------------------------------------------------------------------------------------


def _expression(element: Element, source: ExpressionSource) -> Expression:
    try:
        return compile_statements(source.text) if source.block else compile_expression(source.text)
    except ExpressionError as error:
        raise PolicyError(
            f"Error in element '{element.name}': {error.message}", source.line + error.line - 1
        ) from None


def _literal(element: Element, text: str) -> str:
    if match := _NAMED_VALUE.search(text):
        _refuse(element, f"named values such as {match[0]} are not known to the local Azure")
    return text


def _value(element: Element, source: str | ExpressionSource) -> Value:
    """Compile a value that is used as text."""
    if isinstance(source, ExpressionSource):
        run = _expression(element, source).run
        return lambda exchange: to_string(run(exchange))
    text = _literal(element, source)
    return lambda _: text


def _attribute(element: Element, name: str) -> Value:
    return _value(element, element.attributes[name])


def _constant(element: Element, name: str, default: str | None = None) -> str | None:
    """Return an attribute that has to be known when the policy is compiled."""
    value = element.attributes.get(name, default)
    if isinstance(value, ExpressionSource):
        _refuse(element, f"attribute '{name}': an expression is not known to the local Azure here")
    return value if value is None else _literal(element, value)


def _choice(element: Element, name: str, choices: tuple[str, ...], default: str) -> str:
    value = _constant(element, name, default) or ""
    if value.lower() not in choices:
        _refuse(element, f"attribute '{name}': '{value}' is none of {', '.join(choices)}")
    return value.lower()


def _flag(element: Element, name: str, *, default: bool) -> bool:
    return _choice(element, name, ("true", "false"), str(default).lower()) == "true"


def _number(element: Element, name: str, default: str, low: float, high: float) -> float:
    text = _constant(element, name, default) or ""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or not low <= float(text) <= high:
        _refuse(element, f"attribute '{name}': '{text}' is no number from {low:g} to {high:g}")
    return float(text)


def _condition(element: Element) -> Callable[[Exchange], bool]:
    source = element.attributes["condition"]
    if not isinstance(source, ExpressionSource):
        if source.strip().lower() not in ("true", "false"):
            _refuse(element, f"attribute 'condition': '{source}' is no expression")
        truth = source.strip().lower() == "true"
        return lambda _: truth
    expression = _expression(element, source)
    if expression.type != "bool":
        raise PolicyError(
            f"Error in element '{element.name}': Cannot implicitly convert type"
            f" '{expression.type}' to 'bool'",
            source.line,
        )
    run = expression.run
    return lambda exchange: bool(run(exchange))


# --- statements, in the order of the table -----------------------------------------------------


def _set_backend_service(element: Element, _: Place) -> Action:
    if len(element.attributes) != 1:
        _refuse(element, "takes one of backend-id and base-url")
    name = next(iter(element.attributes))
    value = _attribute(element, name)

    async def by_id(exchange: Exchange) -> None:
        exchange.backend_id, exchange.base_url = value(exchange), None

    async def by_url(exchange: Exchange) -> None:
        url = value(exchange)
        try:
            Url.parse(url)
        except ValueError as error:
            raise ProxyError(str(error), source="set-backend-service") from None
        exchange.backend_id, exchange.base_url = None, url

    return by_id if name == "backend-id" else by_url


def _authentication_managed_identity(element: Element, _: Place) -> Action:
    resource = _attribute(element, "resource")
    variable = _constant(element, "output-token-variable-name")
    ignore_error = _flag(element, "ignore-error", default=False)

    async def authenticate(exchange: Exchange) -> None:
        token: str | None
        try:
            token = exchange.services.identity_token(resource(exchange))
        except ProxyError:
            if not ignore_error:
                raise
            token = None
        if variable is not None:
            exchange.variables[variable] = token
        elif token is not None:
            exchange.request.headers["Authorization"] = f"Bearer {token}"

    return authenticate


def _set_header(element: Element, place: Place) -> Action:
    name = _constant(element, "name") or ""
    if not _HEADER_NAME.fullmatch(name):
        _refuse(element, f"attribute 'name': '{name}' is no header name")
    action = _choice(element, "exists-action", _EXISTS_ACTIONS, "override")
    values = _values(element)
    if bool(values) is (action == "delete"):
        _refuse(
            element, "takes no value to delete" if values else "needs a value, or exists-action"
        )

    async def set_header(exchange: Exchange) -> None:
        headers = place.message(exchange).headers
        if action == "skip" and name in headers:
            return
        texts = [value(exchange) for value in values]
        for text in texts:
            if not text.isprintable():
                raise ProxyError(f"Invalid value for the header '{name}'", source="set-header")
        if action != "append":
            headers.popall(name, None)
        for text in texts:
            headers.add(name, text)

    return set_header


def _set_query_parameter(element: Element, _: Place) -> Action:
    name = _attribute(element, "name")
    action = _choice(element, "exists-action", _EXISTS_ACTIONS, "override")
    values = _values(element)
    if bool(values) is (action == "delete"):
        _refuse(
            element, "takes no value to delete" if values else "needs a value, or exists-action"
        )

    async def set_query_parameter(exchange: Exchange) -> None:
        exchange.request.set_query_parameter(
            name(exchange), [value(exchange) for value in values], action
        )

    return set_query_parameter


def _values(element: Element) -> list[Value]:
    for child in element.children:
        if child.name != "value":
            _refuse(child, f"not allowed in '{element.name}'")
        check_shape(child, text=True)
    return [_value(child, child.text) for child in element.children]


def _set_variable(element: Element, _: Place) -> Action:
    name = _constant(element, "name") or ""
    source = element.attributes["value"]
    if isinstance(source, ExpressionSource):
        run = _expression(element, source).run
    else:
        run = _value(element, source)

    async def set_variable(exchange: Exchange) -> None:
        exchange.variables[name] = run(exchange)

    return set_variable


def _forward_request(element: Element, _: Place) -> Action:
    timeout = _number(element, "timeout", str(DEFAULT_TIMEOUT), 1, 86_400)
    buffer_request = _flag(element, "buffer-request-body", default=False)
    buffer_response = _flag(element, "buffer-response", default=True)
    fail_on_error = _flag(element, "fail-on-error-status-code", default=False)

    async def forward(exchange: Exchange) -> None:
        if exchange.body_sent and not buffer_request:
            raise ProxyError(
                "The request body was not buffered (buffer-request-body) and is sent already",
                source="forward-request",
                reason="BackendConnectionFailure",
            )
        exchange.respond(None)
        exchange.body_sent = bool(exchange.request.body)
        response = await exchange.services.forward(
            exchange, header_timeout=timeout, buffer_response=buffer_response
        )
        exchange.respond(response)
        if fail_on_error and response.status >= 400:
            raise ProxyError(
                f"The backend answered {response.status}",
                source="forward-request",
                response=response,
            )

    return forward


# `<base/>` in `backend` is what API Management's own global policy has there.
FORWARD: Final = _forward_request(Element("forward-request", 0, {}, ""), Place("backend", False))


def _retry(element: Element, place: Place) -> Action:
    condition = _condition(element)
    count = _number(element, "count", "", 1, 50)
    if count != int(count):
        _refuse(element, f"attribute 'count': {count:g} is no whole number")
    interval = _number(element, "interval", "", 0, 3600)
    fast_first = _flag(element, "first-fast-retry", default=False)
    if not element.children:
        _refuse(element, "has nothing to retry")
    body = compile_block(element.children, place)

    async def retry(exchange: Exchange) -> None:
        # The children run once, then the condition is asked; `count` is of what comes after.
        for attempt in range(int(count) + 1):
            fault: ProxyError | None = None
            try:
                await body(exchange)
            except ProxyError as raised:
                fault = raised
            last = attempt == int(count)
            if last or not _asks_for_more(condition, exchange, fault):
                if fault is not None:
                    raise fault
                return
            if interval and not (fast_first and attempt == 0):
                await exchange.services.sleep(interval)

    return retry


def _asks_for_more(
    condition: Callable[[Exchange], bool], exchange: Exchange, fault: ProxyError | None
) -> bool:
    try:
        return condition(exchange)
    except ProxyError:
        # `context.Response.StatusCode` has no answer where there was no response: what went wrong
        # first is the error, not the question about it.
        if fault is not None:
            return False
        raise


def _choose(element: Element, place: Place) -> Action:
    branches: list[tuple[Callable[[Exchange], bool], Action]] = []
    otherwise: Action | None = None
    for child in element.children:
        if child.name == "when" and otherwise is None:
            check_shape(child, ("condition",), children=True)
            branches.append((_condition(child), compile_block(child.children, place)))
        elif child.name == "otherwise" and otherwise is None:
            check_shape(child, children=True)
            otherwise = compile_block(child.children, place)
        else:
            _refuse(child, "not allowed in 'choose' here")
    if not branches:
        _refuse(element, "needs a 'when'")

    async def choose(exchange: Exchange) -> None:
        for condition, action in branches:
            if condition(exchange):
                await action(exchange)
                return
        if otherwise is not None:
            await otherwise(exchange)

    return choose


def _return_response(element: Element, place: Place) -> Action:
    for child in element.children:
        if child.name not in ("set-status", "set-header", "set-body"):
            _refuse(child, "not allowed in 'return-response'")
    # Whatever the section, what is shaped here is the response.
    body = compile_block(element.children, Place(place.section, on_response=True))

    async def return_response(exchange: Exchange) -> None:
        exchange.respond(Response(status=200))
        await body(exchange)
        raise ReturnedResponse

    return return_response


def _set_status(element: Element, place: Place) -> Action:
    if not place.on_response:
        _refuse(element, f"not allowed in the section '{place.section}'")
    code = int(_number(element, "code", "", 100, 599))
    reason = _attribute(element, "reason") if "reason" in element.attributes else None

    async def set_status(exchange: Exchange) -> None:
        response = place.response(exchange)
        response.status = code
        response.reason = reason(exchange) if reason else None

    return set_status


def _set_body(element: Element, place: Place) -> Action:
    body = _value(element, element.text)

    async def set_body(exchange: Exchange) -> None:
        message = place.message(exchange)
        text = body(exchange).encode("utf-8", errors="replace")
        if isinstance(message, Response) and message.stream is not None:
            message.stream.close()
            message.stream = None
        message.body = text
        # It described the old body.
        message.headers.popall("Content-Encoding", None)

    return set_body


def _base(_: Element, place: Place) -> Action:
    async def nothing(_: Exchange) -> None:
        """No product or global policy of a local Azure adds anything but the forwarding."""

    return FORWARD if place.section == "backend" else nothing


STATEMENTS: Final[Mapping[str, Statement]] = {
    "set-backend-service": Statement(
        _set_backend_service,
        optional=("backend-id", "base-url"),
        sections=frozenset({"inbound", "backend"}),
    ),
    "authentication-managed-identity": Statement(
        _authentication_managed_identity,
        required=("resource",),
        optional=("output-token-variable-name", "ignore-error"),
        sections=frozenset({"inbound"}),
    ),
    "set-header": Statement(
        _set_header, required=("name",), optional=("exists-action",), children=True
    ),
    "set-query-parameter": Statement(
        _set_query_parameter,
        required=("name",),
        optional=("exists-action",),
        sections=frozenset({"inbound", "backend"}),
        children=True,
    ),
    "set-variable": Statement(_set_variable, required=("name", "value")),
    "forward-request": Statement(
        _forward_request,
        optional=(
            "timeout",
            "buffer-request-body",
            "buffer-response",
            "fail-on-error-status-code",
        ),
        sections=frozenset({"backend"}),
    ),
    "retry": Statement(
        _retry,
        required=("condition", "count", "interval"),
        optional=("first-fast-retry",),
        children=True,
    ),
    "choose": Statement(_choose, children=True),
    "return-response": Statement(_return_response, children=True),
    "set-status": Statement(_set_status, required=("code",), optional=("reason",)),
    "set-body": Statement(_set_body, text=True),
    "base": Statement(_base),
}
