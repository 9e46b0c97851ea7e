"""The policy statements the gateway knows: one entry of `STATEMENTS` each.

Each has a compiler from its element to an action, an async function on the exchange. What a
statement does not take (an attribute, a child, a section) is refused when the policy is compiled,
by name and line. API Management documentation, "API Management policy reference".
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from local_azure.gateway.markup import Element
from local_azure.gateway.statements.attributes import after_the_body_is_whole
from local_azure.gateway.statements.flow import FLOW
from local_azure.gateway.statements.messages import MESSAGES
from local_azure.gateway.statements.more import MORE
from local_azure.gateway.statements.routing import FORWARD, ROUTING
from local_azure.gateway.statements.statement import (
    ITSELF,
    SECTIONS,
    Action,
    Place,
    Statement,
    check_shape,
    compile_block,
    refuse,
)

__all__ = [
    "FORWARD",
    "ITSELF",
    "REFUSED",
    "SECTIONS",
    "STATEMENTS",
    "Action",
    "Place",
    "Statement",
    "check_shape",
    "compile_block",
    "refuse",
]

_THEMES: Final = {**FLOW, **ROUTING, **MESSAGES, **MORE}
_NAMES: Final = frozenset(_THEMES)


def _waiting(name: str, statement: Statement) -> Statement:
    def compile_(element: Element, place: Place) -> Action:
        action = statement.compile(element, place)
        return after_the_body_is_whole(element, action, statements=_NAMES)

    # `retry` asks its condition after the children: it waits itself.
    return statement if name == "retry" else replace(statement, compile=compile_)


STATEMENTS: Final[Mapping[str, Statement]] = {
    name: _waiting(name, statement) for name, statement in _THEMES.items()
}

_CALLS_OUT: Final = "calls another service, which the local Azure does not"
# What Azure has and the local one has not, each with its reason.
REFUSED: Final[Mapping[str, str]] = {
    "authentication-certificate": "client certificates are not known to the local Azure",
    "get-authorization-context": f"{_CALLS_OUT}: credential managers are none of its resources",
    "llm-content-safety": f"{_CALLS_OUT}: content would pass unchecked",
    "send-one-way-request": _CALLS_OUT,
    "send-request": _CALLS_OUT,
    "wait": f"waits for send-request, which {_CALLS_OUT}",
}
