"""Statements that limit calls and tokens; each unit of the gateway counts for itself."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from local_azure.gateway.exchange import Exchange, ProxyError
from local_azure.gateway.markup import Element, ExpressionSource
from local_azure.gateway.statements.attributes import (
    Number,
    attribute,
    choice,
    condition,
    constant,
    flag,
    header_name,
    whole_number,
)
from local_azure.gateway.statements.statement import (
    INBOUND,
    ITSELF,
    Action,
    Place,
    Statement,
    refuse,
)

_MOST: Final = 2**31 - 1
_PERIODS: Final = {
    "hourly": 3600,
    "daily": 86_400,
    "weekly": 7 * 86_400,
    "monthly": 30 * 86_400,
    "yearly": 365 * 86_400,
}


@dataclass(frozen=True, kw_only=True)
class _Report:
    """Where a statement puts a number: a header of the response, a variable."""

    header: str | None
    variable: str | None

    @classmethod
    def of(cls, element: Element, what: str, header: str | None = None) -> "_Report":
        return cls(
            header=header_name(element, f"{what}-header-name", header),
            variable=constant(element, f"{what}-variable-name"),
        )

    def tell(self, exchange: Exchange, number: int) -> None:
        """Set the variable now, and the header once there is a response."""
        if self.variable:
            exchange.variables[self.variable] = number
        if self.header and exchange.response is not None:
            exchange.response.headers[self.header] = str(number)


@dataclass(frozen=True, kw_only=True)
class _Refusal:
    """What a call beyond a limit gets; `wait` is where the seconds until the next are put."""

    source: str
    status: int
    message: str
    wait: _Report

    def error(self, exchange: Exchange, seconds: float) -> ProxyError:
        """Return the error to raise; sets the variable that tells how long to wait."""
        waits = {} if seconds == math.inf else {"seconds": max(1, math.ceil(seconds))}
        if self.wait.variable and waits:
            exchange.variables[self.wait.variable] = waits["seconds"]
        return ProxyError(
            self.message.format(**waits) if waits else "Out of call volume quota.",
            source=self.source,
            reason="RateLimitExceeded" if self.status == 429 else "QuotaExceeded",
            status=self.status,
            headers={self.wait.header: str(waits["seconds"])} if self.wait.header and waits else {},
        )


# --- calls -------------------------------------------------------------------------------------


_Key = Callable[[Exchange], str | None]


def _by_subscription(exchange: Exchange) -> str | None:
    # A call without a subscription is not limited.
    subscription = exchange.subscription
    return f"{exchange.api.id}:{subscription.id}" if subscription else None


def _rate_limit(element: Element, _: Place) -> Action:
    return _limit_calls(element, _by_subscription)


def _rate_limit_by_key(element: Element, _: Place) -> Action:
    return _limit_calls(element, attribute(element, "counter-key"))


def _quota(element: Element, place: Place) -> Action:
    action = _limit_calls(element, _by_subscription, is_quota=True)
    if place.fragment != ITSELF:
        # It is a product's, of which the local Azure has none. M: azure-docs#17825 for the wording.
        refuse(element, "Policy is not allowed in the specified scope")
    return action


def _quota_by_key(element: Element, _: Place) -> Action:
    return _limit_calls(element, attribute(element, "counter-key"), is_quota=True)


def _limit_calls(element: Element, key: _Key, *, is_quota: bool = False) -> Action:
    calls = whole_number(element, "calls", "", 1, _MOST)
    if is_quota:
        period = _quota_period(element)
    else:
        period = whole_number(element, "renewal-period", "", 1, 300)
    increment = whole_number(element, "increment-count", "1", 0, _MOST)
    has_condition = "increment-condition" in element.attributes
    counts = condition(element, "increment-condition") if has_condition else None
    remaining = _Report.of(element, "remaining-calls")
    total = header_name(element, "total-calls-header-name")
    refusal = _Refusal(
        source=element.name,
        status=403 if is_quota else 429,
        message=(
            "Out of call volume quota. Quota will be replenished in {seconds} seconds."
            if is_quota
            else "Rate limit is exceeded. Try again in {seconds} seconds."
        ),
        wait=_Report.of(element, "retry-after", "Retry-After"),
    )

    async def limit(exchange: Exchange) -> None:
        found = key(exchange)
        if found is None:
            return
        limits, seconds = exchange.services.limits, period(exchange)
        name = f"{element.name}:{found}"
        most, amount = int(calls(exchange)), int(increment(exchange))
        usage = limits.usage(name, seconds)
        if usage.used >= most:
            raise refusal.error(exchange, usage.resets_in)
        if counts is None:
            limits.add(name, seconds, amount)

        def answered(exchange: Exchange) -> None:
            # A condition may ask the response: it is known only now.
            if counts is not None and counts(exchange):
                limits.add(name, seconds, amount)
            remaining.tell(exchange, max(0, most - limits.usage(name, seconds).used))
            if total and exchange.response is not None:
                exchange.response.headers[total] = str(most)

        if remaining.variable:
            exchange.variables[remaining.variable] = max(0, most - usage.used - amount)
        exchange.on_response.append(answered)

    return limit


def _quota_period(element: Element) -> Number:
    """Return the seconds of a quota, which are known when the policy is compiled; 0 has no end."""
    for name in ("calls", "renewal-period"):
        if isinstance(element.attributes[name], ExpressionSource):
            refuse(element, f"attribute '{name}': an expression is not allowed")
    if element.attributes["renewal-period"] == "0":
        return lambda _: math.inf
    return whole_number(element, "renewal-period", "", 300, _MOST)


# --- tokens ------------------------------------------------------------------------------------


def _token_limit(element: Element, _: Place) -> Action:
    key = attribute(element, "counter-key")
    limits_of_time = _token_limits(element)
    estimates = flag(element, "estimate-prompt-tokens", default=False)
    consumed = _Report.of(element, "tokens-consumed")

    async def limit(exchange: Exchange) -> None:
        found = key(exchange)
        prompt = estimate_prompt_tokens(exchange.request.body) if estimates else 0
        for each in limits_of_time:
            each.check(exchange, found, prompt)

        def count(exchange: Exchange, tokens: int) -> None:
            for each in limits_of_time:
                each.add(exchange, found, tokens)

        def answered(exchange: Exchange) -> None:
            response = exchange.response
            if response is None or response.status >= 400:
                return
            if response.stream is not None:
                tokens = estimate_prompt_tokens(exchange.request.body)
                response.stream.watch(_StreamedTokens(tokens, lambda n: count(exchange, n)))
            else:
                tokens = _used_tokens(response.body) or prompt
                count(exchange, tokens)
            consumed.tell(exchange, tokens)
            for each in limits_of_time:
                each.tell(exchange, found)

        exchange.on_response.append(answered)

    return limit


@dataclass(frozen=True, kw_only=True)
class _TokenLimit:
    """So many tokens in so many seconds."""

    name: str
    tokens: Callable[[Exchange], float]
    seconds: float
    refusal: _Refusal
    remaining: _Report

    def check(self, exchange: Exchange, key: str, prompt: int) -> None:
        """Raise ProxyError where nothing is left, or not enough for the prompt."""
        usage = exchange.services.limits.usage(self._key(key), self.seconds)
        most = int(self.tokens(exchange))
        if usage.used >= most or usage.used + prompt > most:
            raise self.refusal.error(exchange, usage.resets_in)
        self.remaining.tell(exchange, most - usage.used - prompt)

    def add(self, exchange: Exchange, key: str, tokens: int) -> None:
        """Count what a call used."""
        exchange.services.limits.add(self._key(key), self.seconds, tokens)

    def tell(self, exchange: Exchange, key: str) -> None:
        """Report what is left."""
        used = exchange.services.limits.usage(self._key(key), self.seconds).used
        self.remaining.tell(exchange, max(0, int(self.tokens(exchange)) - used))

    def _key(self, key: str) -> str:
        return f"{self.name}:{key}"


def _token_limits(element: Element) -> list[_TokenLimit]:
    def refusal(status: int, what: str) -> _Refusal:
        return _Refusal(
            source=element.name,
            status=status,
            message=f"Token {what} is exceeded. Try again in {{seconds}} seconds.",
            wait=_Report.of(element, "retry-after", "Retry-After"),
        )

    limits = []
    if "tokens-per-minute" in element.attributes:
        limits.append(
            _TokenLimit(
                name="tokens",
                tokens=whole_number(element, "tokens-per-minute", "", 1, _MOST),
                seconds=60,
                refusal=refusal(429, "limit"),
                remaining=_Report.of(element, "remaining-tokens"),
            )
        )
    if "token-quota" in element.attributes:
        period = choice(element, "token-quota-period", tuple(_PERIODS), "")
        limits.append(
            _TokenLimit(
                name=f"token-quota-{period}",
                tokens=whole_number(element, "token-quota", "", 1, _MOST),
                seconds=_PERIODS[period],
                refusal=refusal(403, "quota"),
                remaining=_Report.of(element, "remaining-quota-tokens"),
            )
        )
    if not limits:
        refuse(element, "needs tokens-per-minute, or token-quota with its period")
    return limits


def estimate_prompt_tokens(body: bytes) -> int:
    """Estimate a prompt's tokens: one for four characters of text (OpenAI's rule of thumb)."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return 0
    if not isinstance(request, dict):
        return 0
    given = [request.get(name) for name in ("messages", "prompt", "input", "instructions")]
    return math.ceil(_characters(given) / 4)


def _characters(value: Any, depth: int = 0) -> int:
    if isinstance(value, str):
        return len(value)
    if depth > 8:
        return 0
    if isinstance(value, list):
        return sum(_characters(each, depth + 1) for each in value)
    if isinstance(value, dict):
        return sum(
            _characters(each, depth + 1)
            for name, each in value.items()
            if name in ("content", "text", "input")
        )
    return 0


def _used_tokens(body: bytes) -> int:
    """Return the tokens that a response says it used; 0 when it says nothing."""
    try:
        usage = json.loads(body)["usage"]
        return max(0, int(usage["total_tokens"]))
    except (ValueError, RecursionError, KeyError, TypeError):
        return 0


class _StreamedTokens:
    """Counts a stream: what its last event says, else one token for each event of text."""

    _LONGEST: Final = 65_536  # bytes of one event that are kept to be read

    def __init__(self, prompt: int, done: Callable[[int], None]) -> None:
        self._prompt = prompt
        self._done = done
        self._events = 0
        self._said = 0
        self._rest = b""

    def __call__(self, chunk: bytes | None) -> None:
        """Take a piece of the stream; None is its end."""
        if chunk is None:
            self._done(self._said or self._prompt + self._events)
            return
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        self._rest = self._rest[-self._LONGEST :]
        for line in lines:
            if line.startswith(b"data: {"):
                self._events += b'"content":' in line
                if b'"usage":' in line:
                    self._said = _used_tokens(line.removeprefix(b"data: ")) or self._said


_CALLS: Final = (
    "remaining-calls-header-name",
    "remaining-calls-variable-name",
    "retry-after-header-name",
    "retry-after-variable-name",
    "total-calls-header-name",
)
_BY_KEY: Final = ("increment-condition", "increment-count")
_TOKEN_LIMIT: Final = Statement(
    compile=_token_limit,
    required=("counter-key", "estimate-prompt-tokens"),
    optional=(
        "tokens-per-minute",
        "token-quota",
        "token-quota-period",
        "retry-after-header-name",
        "retry-after-variable-name",
        "remaining-tokens-header-name",
        "remaining-tokens-variable-name",
        "remaining-quota-tokens-header-name",
        "remaining-quota-tokens-variable-name",
        "tokens-consumed-header-name",
        "tokens-consumed-variable-name",
    ),
    sections=INBOUND,
    note="a prompt is estimated at one token for four characters; a stream is counted by its events"
    " unless it reports its usage",
)

LIMITING: Final[Mapping[str, Statement]] = {
    "azure-openai-token-limit": _TOKEN_LIMIT,
    "llm-token-limit": _TOKEN_LIMIT,
    "quota": Statement(
        compile=_quota,
        required=("calls", "renewal-period"),
        sections=INBOUND,
        note="in a fragment alone: it is for products, and there are none",
    ),
    "quota-by-key": Statement(
        compile=_quota_by_key,
        required=("calls", "renewal-period", "counter-key"),
        optional=_BY_KEY,
        sections=INBOUND,
        note="calls only, no bandwidth",
    ),
    "rate-limit": Statement(
        compile=_rate_limit,
        required=("calls", "renewal-period"),
        optional=_CALLS,
        sections=INBOUND,
        note="in fixed windows, for each gateway instance; no `api` or `operation` within",
    ),
    "rate-limit-by-key": Statement(
        compile=_rate_limit_by_key,
        required=("calls", "renewal-period", "counter-key"),
        optional=(*_CALLS, *_BY_KEY),
        sections=INBOUND,
        note="in fixed windows, for each gateway instance",
    ),
}
