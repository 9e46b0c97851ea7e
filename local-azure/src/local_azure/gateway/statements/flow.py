"""Statements that decide what runs: conditions, repetition, variables, parts of other documents."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from local_azure.gateway.exchange import Exchange, ProxyError, Response, ReturnedResponse
from local_azure.gateway.markup import Element, PolicyError
from local_azure.gateway.statements.attributes import (
    Condition,
    condition,
    constant,
    flag,
    number,
    typed,
    whole_number,
)
from local_azure.gateway.statements.attributes import attribute as text_of
from local_azure.gateway.statements.statement import (
    Action,
    Place,
    Statement,
    check_shape,
    compile_block,
    refuse,
)


def _set_variable(element: Element, _: Place) -> Action:
    name = constant(element, "name") or ""
    read = typed(element, "value")

    async def set_variable(exchange: Exchange) -> None:
        exchange.variables[name] = read(exchange)

    return set_variable


def _choose(element: Element, place: Place) -> Action:
    branches: list[tuple[Condition, Action]] = []
    otherwise: Action | None = None
    for child in element.children:
        if child.name == "when" and otherwise is None:
            check_shape(child, ("condition",), children=True)
            branches.append((condition(child), compile_block(child.children, place)))
        elif child.name == "otherwise" and otherwise is None:
            check_shape(child, children=True)
            otherwise = compile_block(child.children, place)
        else:
            refuse(child, "not allowed in 'choose' here")
    if not branches:
        refuse(element, "needs a 'when'")

    async def choose(exchange: Exchange) -> None:
        for holds, action in branches:
            if holds(exchange):
                await action(exchange)
                return
        if otherwise is not None:
            await otherwise(exchange)

    return choose


def _retry(element: Element, place: Place) -> Action:
    again = condition(element)
    count = whole_number(element, "count", "", 1, 50)
    interval = number(element, "interval", "", 0, 3600)
    delta = number(element, "delta", "0", 0, 3600)
    longest = number(element, "max-interval", "3600", 0, 3600)
    grows = "max-interval" in element.attributes
    fast_first = flag(element, "first-fast-retry", default=False)
    if not element.children:
        refuse(element, "has nothing to retry")
    body = compile_block(element.children, place)

    async def retry(exchange: Exchange) -> None:
        # The children run once, then the condition is asked; `count` is of what comes after.
        attempts = int(count(exchange))
        for attempt in range(attempts + 1):
            fault: ProxyError | None = None
            try:
                await body(exchange)
            except ProxyError as raised:
                fault = raised
            if attempt == attempts or not await exchange.with_body(_asking(again, fault)):
                if fault is not None:
                    raise fault
                return
            if fast_first and attempt == 0:
                continue
            # API Management, "Retry": linear with a delta alone, exponential with a longest.
            more = (2**attempt if grows else attempt) * delta(exchange)
            pause = min(interval(exchange) + more, longest(exchange))
            if pause:
                await exchange.services.sleep(pause)

    return retry


def _asking(again: Condition, fault: ProxyError | None) -> Callable[[Exchange], Awaitable[bool]]:
    async def ask(exchange: Exchange) -> bool:
        try:
            return again(exchange)
        except ProxyError:
            # `context.Response.StatusCode` has no answer where there was no response: what went
            # wrong first is the error, not the question about it.
            if fault is not None:
                return False
            raise

    return ask


def _return_response(element: Element, place: Place) -> Action:
    for child in element.children:
        if child.name not in ("set-status", "set-header", "set-body"):
            refuse(child, "not allowed in 'return-response'")
    from_variable = constant(element, "response-variable-name")
    # Whatever the section, what is shaped here is the response.
    body = compile_block(element.children, replace(place, on_response=True))

    async def return_response(exchange: Exchange) -> None:
        kept = exchange.variables.get(from_variable) if from_variable else None
        if isinstance(kept, Response):
            exchange.respond(replace(kept, headers=kept.headers.copy()))
        else:
            exchange.respond(Response(status=200))
        await body(exchange)
        raise ReturnedResponse

    return return_response


def _base(element: Element, place: Place) -> Action:
    if place.fragment:
        refuse(element, "not allowed in a policy fragment")
    if place.base is None:
        raise TypeError("every section of a policy has an outer scope")
    return place.base


def _include_fragment(element: Element, place: Place) -> Action:
    name = constant(element, "fragment-id") or ""
    if place.fragment:
        # API Management, "Reuse policy configurations": a fragment cannot nest another.
        refuse(element, "not allowed in a policy fragment")
    fragment = place.fragments.get(name.lower())
    if fragment is None:
        refuse(element, f"Policy fragment with id '{name}' could not be found.")
    try:
        return compile_block(fragment.children, replace(place, fragment=name))
    except PolicyError as error:
        refuse(element, f"in the policy fragment '{name}', line {error.line}: {error.message}")


def _limit_concurrency(element: Element, place: Place) -> Action:
    key = text_of(element, "key")
    most = whole_number(element, "max-count", "", 1, 10_000)
    if not element.children:
        refuse(element, "has nothing to limit")
    body = compile_block(element.children, place)

    async def limit(exchange: Exchange) -> None:
        limits, name = exchange.services.limits, f"concurrency:{key(exchange)}"
        if not limits.enter(name, int(most(exchange))):
            raise ProxyError(
                "Too many requests",
                source="limit-concurrency",
                reason="RateLimitExceeded",
                status=429,
            )
        try:
            await body(exchange)
        finally:
            limits.leave(name)

    return limit


FLOW: Final[Mapping[str, Statement]] = {
    "base": Statement(compile=_base),
    "choose": Statement(compile=_choose, children=True),
    "include-fragment": Statement(compile=_include_fragment, required=("fragment-id",)),
    "limit-concurrency": Statement(
        compile=_limit_concurrency, required=("key", "max-count"), children=True
    ),
    "retry": Statement(
        compile=_retry,
        required=("condition", "count", "interval"),
        optional=("max-interval", "delta", "first-fast-retry"),
        children=True,
        note="an exponential pause is the middle of Azure's random one",
    ),
    "return-response": Statement(
        compile=_return_response, optional=("response-variable-name",), children=True
    ),
    "set-variable": Statement(compile=_set_variable, required=("name", "value")),
}
