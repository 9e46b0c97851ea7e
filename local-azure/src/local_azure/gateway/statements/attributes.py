"""Reading a statement's attributes and text: constants now, expressions as closures."""

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from local_azure.gateway.exchange import Exchange, ProxyError
from local_azure.gateway.expressions import (
    Expression,
    ExpressionError,
    compile_block,
    compile_expression,
    to_string,
)
from local_azure.gateway.expressions.values import Int64
from local_azure.gateway.markup import Element, ExpressionSource, PolicyError
from local_azure.gateway.statements.statement import Action, check_shape, refuse

Value = Callable[[Exchange], str]
Number = Callable[[Exchange], float]
Condition = Callable[[Exchange], bool]

HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
EXISTS_ACTIONS: Final = ("override", "skip", "append", "delete")
_NONE: Final[Mapping[str, tuple[str, ...]]] = {}
# As many as a policy's longest document could hold.
_compiled = functools.lru_cache(maxsize=2048)(
    lambda text, block: compile_block(text) if block else compile_expression(text)
)


def expression(element: Element, source: ExpressionSource) -> Expression:
    """Compile an expression. Raises PolicyError with the line in the document."""
    try:
        compiled: Expression = _compiled(source.text, source.block)
    except ExpressionError as error:
        raise PolicyError(
            f"Error in element '{element.name}': {error.message}",
            source.line + error.line - 1,
            element.name,
        ) from None
    return compiled


def value(element: Element, source: str | ExpressionSource) -> Value:
    """Compile a value that is used as text."""
    if isinstance(source, ExpressionSource):
        run = expression(element, source).run
        return lambda exchange: to_string(run(exchange))
    return lambda _: source


def typed(element: Element, name: str) -> Callable[[Exchange], Any]:
    """Compile an attribute whose value keeps its type."""
    source = element.attributes[name]
    if not isinstance(source, ExpressionSource):
        return lambda _: source
    compiled = expression(element, source)
    read = compiled.run
    # A `long` stays one: it is cast back as one.
    return (lambda exchange: Int64(read(exchange))) if compiled.type == "long" else read


def attribute(element: Element, name: str, default: str = "") -> Value:
    """Compile an attribute that may be an expression."""
    return value(element, element.attributes.get(name, default))


def optional(element: Element, name: str) -> Value | None:
    """Compile an attribute that may be left out."""
    return attribute(element, name) if name in element.attributes else None


def constant(element: Element, name: str, default: str | None = None) -> str | None:
    """Return an attribute that has to be known when the policy is compiled."""
    found = element.attributes.get(name, default)
    if isinstance(found, ExpressionSource):
        refuse(element, f"attribute '{name}': an expression is not known to the local Azure here")
    return found


def header_name(element: Element, name: str, default: str | None = None) -> str | None:
    """Return an attribute that names a header."""
    found = constant(element, name, default)
    if found is not None and not HEADER_NAME.fullmatch(found):
        refuse(element, f"attribute '{name}': '{found}' is no header name")
    return found


def choice(element: Element, name: str, choices: tuple[str, ...], default: str) -> str:
    """Return an attribute that is one of some words."""
    found = constant(element, name, default) or ""
    if found.lower() not in choices:
        refuse(element, f"attribute '{name}': '{found}' is none of {', '.join(choices)}")
    return found.lower()


def flag(element: Element, name: str, *, default: bool) -> bool:
    """Return an attribute that is true or false."""
    return choice(element, name, ("true", "false"), str(default).lower()) == "true"


def constant_number(element: Element, name: str, default: str, low: float, high: float) -> float:
    """Return a number that has to be known when the policy is compiled."""
    return _checked(element, name, constant(element, name, default) or "", low, high)


def _checked(element: Element, name: str, text: str, low: float, high: float) -> float:
    if not re.fullmatch(r"[0-9]{1,10}(\.[0-9]{1,9})?", text) or not low <= float(text) <= high:
        refuse(element, f"attribute '{name}': '{text}' is no number from {low:.12g} to {high:.12g}")
    return float(text)


def number(element: Element, name: str, default: str, low: float, high: float) -> Number:
    """Compile a number that may be an expression; out of its bounds it is an error then."""
    source = element.attributes.get(name, default)
    if not isinstance(source, ExpressionSource):
        known = _checked(element, name, source, low, high)
        return lambda _: known
    run = expression(element, source).run
    where = element.name

    def read(exchange: Exchange) -> float:
        found = run(exchange)
        text = to_string(found)
        try:
            amount = float(text)
        except ValueError:
            amount = -1.0
        if not low <= amount <= high:
            raise ProxyError(
                f"'{name}' is '{text[:40]}', no number from {low:.12g} to {high:.12g}", source=where
            )
        return amount

    return read


def whole_number(element: Element, name: str, default: str, low: int, high: int) -> Number:
    """Compile a whole number that may be an expression."""
    source = element.attributes.get(name, default)
    if not isinstance(source, ExpressionSource) and "." in source:
        refuse(element, f"attribute '{name}': {source} is no whole number")
    return number(element, name, default, low, high)


def condition(element: Element, name: str = "condition") -> Condition:
    """Compile an expression that is true or false."""
    source = element.attributes[name]
    if not isinstance(source, ExpressionSource):
        if source.strip().lower() not in ("true", "false"):
            refuse(element, f"attribute '{name}': '{source}' is no expression")
        truth = source.strip().lower() == "true"
        return lambda _: truth
    compiled = expression(element, source)
    if compiled.type != "bool":
        raise PolicyError(
            f"Error in element '{element.name}': Cannot implicitly convert type"
            f" '{compiled.type}' to 'bool'",
            source.line,
            element.name,
        )
    run = compiled.run
    return lambda exchange: bool(run(exchange))


def printable(text: str, what: str, source: str) -> str:
    """Return text for a line of the response. Raises ProxyError for what would end the line."""
    if not text.isprintable():
        raise ProxyError(f"Invalid value for {what}", source=source)
    return text


def texts(element: Element, child_name: str = "value") -> list[Value]:
    """Compile the text of each child; all of them have one name."""
    for child in element.children:
        if child.name != child_name:
            refuse(child, f"not allowed in '{element.name}'")
        check_shape(child, text=True)
    return [value(child, child.text) for child in element.children]


def parts(
    element: Element, names: tuple[str, ...], attributes: Mapping[str, tuple[str, ...]] = _NONE
) -> dict[str, Element]:
    """Return the children by name; each may be there once, in the order of `names`.

    They hold nothing but children, and by their name the `attributes`.
    """
    found: dict[str, Element] = {}
    left = names
    for child in element.children:
        if child.name not in names:
            refuse(child, f"not allowed in '{element.name}'")
        if child.name in found:
            refuse(child, f"is twice in '{element.name}'")
        if child.name not in left:
            expected = ", ".join(f"'{name}'" for name in left)
            refuse(
                element,
                f"has invalid child element '{child.name}'. List of possible elements expected:"
                f" {expected}.",
            )
        check_shape(child, optional=attributes.get(child.name, ()), children=True)
        left = left[left.index(child.name) + 1 :]
        found[child.name] = child
    return found


def after_the_body_is_whole(
    element: Element, action: Action, *, statements: frozenset[str]
) -> Action:
    """Return an action that waits for a response that is still arriving where it comes to its body.

    `statements` are the names of children that see to it themselves.
    """
    if not _reads_response_body(element, statements):
        return action

    async def run(exchange: Exchange) -> None:
        await exchange.with_body(action)

    return run


def _reads_response_body(element: Element, statements: frozenset[str]) -> bool:
    sources = [*element.attributes.values(), element.text]
    return any(
        expression(element, source).reads_response_body
        for source in sources
        if isinstance(source, ExpressionSource)
    ) or any(
        _reads_response_body(child, statements)
        for child in element.children
        if child.name not in statements
    )
