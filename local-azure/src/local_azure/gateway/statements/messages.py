"""Statements that change the request or the response."""

from collections.abc import Mapping
from typing import Final

from local_azure.gateway.exchange import Exchange, ProxyError, Response
from local_azure.gateway.expressions.bounds import MAX_STRING
from local_azure.gateway.markup import Element, ExpressionSource
from local_azure.gateway.statements.attributes import (
    EXISTS_ACTIONS,
    HEADER_NAME,
    Value,
    attribute,
    choice,
    optional,
    printable,
    texts,
    value,
    whole_number,
)
from local_azure.gateway.statements.statement import BEFORE, Action, Place, Statement, refuse


def _values(element: Element, action: str) -> list[Value]:
    values = texts(element)
    if bool(values) is (action == "delete"):
        refuse(element, "takes no value to delete" if values else "needs a value, or exists-action")
    return values


def _set_header(element: Element, place: Place) -> Action:
    known = element.attributes["name"]
    is_known = not isinstance(known, ExpressionSource)
    if is_known and not HEADER_NAME.fullmatch(str(known)):
        refuse(element, f"attribute 'name': '{known}' is no header name")
    read_name = attribute(element, "name")
    action = choice(element, "exists-action", EXISTS_ACTIONS, "override")
    values = _values(element, action)

    async def set_header(exchange: Exchange) -> None:
        headers, name = place.message(exchange).headers, read_name(exchange)
        if not (is_known or HEADER_NAME.fullmatch(name)):
            raise ProxyError(f"{name[:40]!r} is no header name", source="set-header")
        if action == "skip" and name in headers:
            return
        texts = [
            printable(value(exchange), f"the header '{name}'", "set-header") for value in values
        ]
        if action != "append":
            headers.popall(name, None)
        for text in texts:
            headers.add(name, text)

    return set_header


def _set_query_parameter(element: Element, _: Place) -> Action:
    name = attribute(element, "name")
    action = choice(element, "exists-action", EXISTS_ACTIONS, "override")
    values = _values(element, action)

    async def set_query_parameter(exchange: Exchange) -> None:
        exchange.request.set_query_parameter(
            name(exchange), [value(exchange) for value in values], action
        )

    return set_query_parameter


def _set_status(element: Element, place: Place) -> Action:
    if not place.on_response:
        refuse(element, f"not allowed in the section '{place.section}'")
    code = whole_number(element, "code", "", 100, 599)
    reason = optional(element, "reason")

    async def set_status(exchange: Exchange) -> None:
        response = place.response(exchange)
        response.status = int(code(exchange))
        response.reason = printable(reason(exchange), "reason", "set-status") if reason else None

    return set_status


def _set_body(element: Element, place: Place) -> Action:
    if element.attributes.get("template", "none") != "none":
        refuse(element, "attribute 'template': no template is known to the local Azure")
    read = value(element, element.text)

    async def set_body(exchange: Exchange) -> None:
        _replace_body(place.message(exchange), read(exchange), exchange)

    return set_body


def _replace_body(message: object, text: str, exchange: Exchange) -> None:
    body = text.encode("utf-8", errors="replace")
    if isinstance(message, Response):
        if message.stream is not None:
            message.stream.close()
            message.stream = None
        message.body = body
        # It described the old body.
        message.headers.popall("Content-Encoding", None)
    else:
        exchange.request.body = body
        exchange.request.headers.popall("Content-Encoding", None)


def _find_and_replace(element: Element, place: Place) -> Action:
    old, new = attribute(element, "from"), attribute(element, "to")

    async def find_and_replace(exchange: Exchange) -> None:
        if place.on_response:
            await exchange.read_response()
        message, sought, put = place.message(exchange), old(exchange), new(exchange)
        text = message.body.decode(errors="replace")
        if not sought or sought not in text:
            return
        if len(text) + text.count(sought) * len(put) > MAX_STRING:
            raise ProxyError("The body would grow too long", source="find-and-replace")
        _replace_body(message, text.replace(sought, put), exchange)

    return find_and_replace


MESSAGES: Final[Mapping[str, Statement]] = {
    "find-and-replace": Statement(compile=_find_and_replace, required=("from", "to")),
    "set-body": Statement(
        compile=_set_body, optional=("template",), text=True, note="no liquid templates"
    ),
    "set-header": Statement(
        compile=_set_header, required=("name",), optional=("exists-action",), children=True
    ),
    "set-query-parameter": Statement(
        compile=_set_query_parameter,
        required=("name",),
        optional=("exists-action",),
        sections=BEFORE,
        children=True,
    ),
    "set-status": Statement(compile=_set_status, required=("code",), optional=("reason",)),
}
