"""What a policy statement is: its place, its shape, and how blocks of them are compiled."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn

from local_azure.gateway.exchange import Exchange, Request, Response
from local_azure.gateway.markup import Element, ExpressionSource, PolicyError

Action = Callable[[Exchange], Awaitable[None]]

SECTIONS: Final = ("inbound", "backend", "outbound", "on-error")
EVERYWHERE: Final = frozenset(SECTIONS)
BEFORE: Final = frozenset({"inbound", "backend"})
INBOUND: Final = frozenset({"inbound"})
ITSELF: Final = "itself"
"""The name of the fragment that is compiled when it is no part of a policy."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement's compiler, the attributes it takes, and where it may stand.

    `note` says what of Azure's statement the local one does not do; `caveat` is that in a log.
    """

    compile: "Callable[[Element, Place], Action]"
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    sections: frozenset[str] = EVERYWHERE
    children: bool = False
    text: bool = False
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a statement stands, and what it may refer to there.

    `base` is what the outer scope does in this section; `fragment` names the policy fragment the
    statement is part of.
    """

    section: str
    on_response: bool
    statements: Mapping[str, Statement]
    refused: Mapping[str, str] = field(default_factory=dict)
    fragments: Mapping[str, Element] = field(default_factory=dict)
    base: Action | None = None
    fragment: str = ""

    def message(self, exchange: Exchange) -> Request | Response:
        """Return what `set-header` and `set-body` change here."""
        return self.response(exchange) if self.on_response else exchange.request

    def response(self, exchange: Exchange) -> Response:
        """Return the response, an empty 200 where nothing was forwarded."""
        if exchange.response is None:
            exchange.response = Response(status=200)
        return exchange.response


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
    statement = place.statements.get(element.name)
    if statement is None:
        why = place.refused.get(element.name)
        refuse(
            element,
            why
            or f"not known to the local Azure, which knows {', '.join(sorted(place.statements))}",
        )
    if place.section not in statement.sections:
        refuse(element, f"not allowed in the section '{place.section}'")
    check_shape(
        element,
        statement.required,
        # Every statement may be given an id, which errors report.
        (*statement.optional, "id"),
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
            refuse(
                element,
                f"attribute '{name}' is not known to the local Azure, which knows"
                f" {', '.join(known) or 'none here'}",
            )
    for name in required:
        if name not in element.attributes:
            refuse(element, f"attribute '{name}' is missing")
    if not children and element.children:
        refuse(element.children[0], f"not allowed in '{element.name}'")
    if not text and (isinstance(element.text, ExpressionSource) or element.text.strip()):
        refuse(element, "takes no text")


def refuse(element: Element, why: str) -> NoReturn:
    """Raise PolicyError about an element."""
    raise PolicyError(f"Error in element '{element.name}': {why}", element.line, element.name)
