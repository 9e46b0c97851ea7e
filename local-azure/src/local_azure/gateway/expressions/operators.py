"""Conversions, casts and the operators, by the types of their operands."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from local_azure.gateway.expressions import syntax
from local_azure.gateway.expressions.bounds import EvaluationError, bounded
from local_azure.gateway.expressions.dates import offset
from local_azure.gateway.expressions.json_values import JToken, token
from local_azure.gateway.expressions.syntax import ExpressionError
from local_azure.gateway.expressions.types import BASES, NUMBERS, Run, fits
from local_azure.gateway.expressions.values import (
    FROM_TOKEN,
    Int64,
    default_of,
    from_token,
    int32,
    int64,
    to_string,
    unbox,
)


@dataclass(frozen=True)
class Expression:
    """A compiled expression: its static C# type, and the closure that evaluates it.

    `conditional` says that it is part of a `?.` chain: where the chain meets null, all of it is.
    `reads_response_body` says that the response has to be whole before it is evaluated.
    """

    type: str
    run: Run
    conditional: bool = False
    reads_response_body: bool = False


def common(kinds: Sequence[str]) -> str:
    """Return the one type of all that a block returns, else object."""
    known = {kind for kind in kinds if kind != "null"}
    return known.pop() if len(known) == 1 else ("object" if known else "null")


def convert(value: Expression, wanted: str, line: int, what: str = "") -> Expression:
    """Return a value as a type wants it, converted where C# does so. Raises ExpressionError."""
    given = value.type
    if given == wanted and given != "object":
        return value
    if not fits(given, wanted):
        raise ExpressionError(
            (f"{what}: c" if what else "C") + f"annot convert from '{given}' to '{wanted}'", line
        )
    run = value.run
    if wanted == "double":
        return Expression(wanted, lambda frame: _real(run(frame)), value.conditional)
    if wanted == "object" and given == "long":
        return Expression(wanted, lambda frame: _boxed(run(frame)), value.conditional)
    if wanted == "JToken" and given not in BASES:
        return Expression(wanted, lambda frame: _json(run(frame)))
    if (given, wanted) == ("DateTime", "DateTimeOffset"):
        return Expression(wanted, lambda frame: _with_offset(run(frame)))
    return Expression(wanted, run, value.conditional)


def _real(value: Any) -> Any:
    return None if value is None else float(value)


def _boxed(value: Any) -> Any:
    return None if value is None else Int64(value)


def _json(value: Any) -> Any:
    return None if value is None else token(value)


def _with_offset(value: Any) -> Any:
    return None if value is None else offset(value)


def boolean(value: Any) -> bool:
    """Return a bool. Raises EvaluationError for null."""
    if value is None:
        raise EvaluationError("Nullable object must have a value.")
    return bool(value)


def cast(operand: Expression, kind: str, line: int) -> Run:
    """Compile `(kind)operand`. Raises ExpressionError."""
    run, given = operand.run, operand.type
    if given == kind:
        return run
    if kind == "object":
        return convert(operand, kind, line).run
    if given in NUMBERS and kind in NUMBERS:
        return lambda frame: _convert_number(run(frame), kind)
    if given == "JToken" or given in BASES:
        if kind in FROM_TOKEN or kind in BASES or kind == "JToken":
            return lambda frame: _from_token(run(frame), kind)
    elif given == "object":
        return lambda frame: unbox(run(frame), kind)
    elif fits(given, kind):
        return convert(operand, kind, line).run
    elif fits(kind, given) and kind not in NUMBERS:
        return lambda frame: unbox(run(frame), kind)
    raise ExpressionError(f"Cannot convert type '{given}' to '{kind}'", line)


def _from_token(node: JToken | None, kind: str) -> Any:
    if node is None and default_of(kind) is not None:
        raise EvaluationError("Value cannot be null. (Parameter 'value')")
    return from_token(node, kind)


def _convert_number(value: Any, kind: str) -> Any:
    if value is None:
        raise EvaluationError("Nullable object must have a value.")
    if kind == "double":
        return float(value)
    if not math.isfinite(value):
        return -(2**31) if kind == "int" else -(2**63)
    return WRAPS[kind](int(value))


def _unchanged(value: Any) -> Any:
    return value


WRAPS: Final[dict[str, Callable[[Any], Any]]] = {
    "int": int32,
    "long": int64,
    "double": _unchanged,
}


def _divide(left: float, right: float) -> float:
    if isinstance(left, int) and isinstance(right, int):
        if right == 0:
            raise EvaluationError("Attempted to divide by zero.")
        quotient = abs(left) // abs(right)
        return quotient if (left < 0) == (right < 0) else -quotient
    if right == 0:
        return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left)
    return left / right


def _remainder(left: float, right: float) -> float:
    if isinstance(left, int) and isinstance(right, int):
        if right == 0:
            raise EvaluationError("Attempted to divide by zero.")
        return abs(left) % abs(right) * (-1 if left < 0 else 1)
    return math.nan if right == 0 or math.isinf(left) else math.fmod(left, right)


_ARITHMETIC: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divide,
    "%": _remainder,
}


_RELATIONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": lambda left, right: left < right,
    ">": lambda left, right: left > right,
    "<=": lambda left, right: left <= right,
    ">=": lambda left, right: left >= right,
}


_TIMES: Final = ("DateTime", "DateTimeOffset", "TimeSpan")


_TOKENS: Final = ("JToken", *BASES)


# Of these the local Azure has every operator; of others C# may have more.
_COMPLETE: Final = frozenset({"string", "int", "long", "double", "bool", "null"})


def _cannot_apply(node: syntax.Binary, left: Expression, right: Expression) -> ExpressionError:
    is_limit = not {left.type, right.type} <= _COMPLETE
    return ExpressionError(
        f"Operator '{node.operator}' cannot be applied to operands of type '{left.type}' and"
        f" '{right.type}'{' in the local Azure' if is_limit else ''}",
        node.line,
    )


def common_type(left: Expression, right: Expression, operator: str, line: int) -> str:
    """Return the type two alternatives have in common. Raises ExpressionError."""
    if left.type == "null":
        return right.type
    if right.type == "null" or fits(right.type, left.type):
        return left.type
    if fits(left.type, right.type):
        return right.type
    raise ExpressionError(
        f"Operator '{operator}' cannot be applied to operands of type '{left.type}' and"
        f" '{right.type}'",
        line,
    )


def _coalesce(node: syntax.Binary, left: Expression, right: Expression) -> Expression:
    kind = common_type(left, right, "??", node.line)
    first, second = convert(left, kind, node.line).run, convert(right, kind, node.line).run

    def run(frame: Any) -> Any:
        value = first(frame)
        return second(frame) if value is None else value

    return Expression(kind, run)


def _logical(node: syntax.Binary, left: Expression, right: Expression) -> Expression:
    if (left.type, right.type) != ("bool", "bool"):
        raise _cannot_apply(node, left, right)
    first, second = left.run, right.run
    if node.operator == "&&":
        return Expression("bool", lambda frame: boolean(first(frame)) and boolean(second(frame)))
    return Expression("bool", lambda frame: boolean(first(frame)) or boolean(second(frame)))


def _equality(node: syntax.Binary, left: Expression, right: Expression) -> Expression:
    kinds = {left.type, right.type}
    known = (
        len(kinds) == 1
        or kinds & {"object", "null"}
        or kinds <= set(NUMBERS)
        # Two tokens are the same one or not; text is never a token, as C# sees it.
        or kinds <= {*_TOKENS, "string"}
        or kinds == {"DateTime", "DateTimeOffset"}
    )
    if not known:
        raise _cannot_apply(node, left, right)
    first, second = left.run, right.run
    equal = node.operator == "=="

    def run(frame: Any) -> bool:
        one, other = first(frame), second(frame)
        if one is None or other is None:
            return (one is other) is equal
        # To Python True equals 1; to C# a boxed bool equals no int.
        same = isinstance(one, bool) is isinstance(other, bool) and one == other
        return same is equal

    return Expression("bool", run)


def _relation(node: syntax.Binary, left: Expression, right: Expression) -> Expression:
    both_numbers = left.type in NUMBERS and right.type in NUMBERS
    if not both_numbers and not (left.type == right.type and left.type in _TIMES):
        raise _cannot_apply(node, left, right)
    first, second, compare = left.run, right.run, _RELATIONS[node.operator]

    def run(frame: Any) -> bool:
        one, other = first(frame), second(frame)
        # A comparison with null is false, whichever it is.
        return one is not None and other is not None and compare(one, other)

    return Expression("bool", run)


def _concatenate(left: object, right: object) -> str:
    return bounded(to_string(left) + to_string(right))


# The result of arithmetic with times.
_TIME_ARITHMETIC: Final = {
    ("DateTime", "-", "DateTime"): "TimeSpan",
    ("DateTimeOffset", "-", "DateTimeOffset"): "TimeSpan",
    ("DateTime", "+", "TimeSpan"): "DateTime",
    ("DateTime", "-", "TimeSpan"): "DateTime",
    ("DateTimeOffset", "+", "TimeSpan"): "DateTimeOffset",
    ("DateTimeOffset", "-", "TimeSpan"): "DateTimeOffset",
    ("TimeSpan", "+", "TimeSpan"): "TimeSpan",
    ("TimeSpan", "-", "TimeSpan"): "TimeSpan",
}


def _arithmetic(node: syntax.Binary, left: Expression, right: Expression) -> Expression:
    first, second = left.run, right.run
    if node.operator == "+" and "string" in (left.type, right.type):
        return Expression("string", lambda frame: _concatenate(first(frame), second(frame)))
    kind = _TIME_ARITHMETIC.get((left.type, node.operator, right.type))
    wrap: Run = _unchanged
    if left.type in NUMBERS and right.type in NUMBERS:
        kind = max(left.type, right.type, key=NUMBERS.index)
        wrap = WRAPS[kind]
    if kind is None:
        raise _cannot_apply(node, left, right)
    compute = _ARITHMETIC[node.operator]

    def run(frame: Any) -> Any:
        one, other = first(frame), second(frame)
        if one is None or other is None:
            return None
        try:
            return wrap(compute(one, other))
        except OverflowError:
            raise EvaluationError("Arithmetic operation resulted in an overflow.") from None

    return Expression(kind, run)


BINARY: Final[dict[str, Callable[[syntax.Binary, Expression, Expression], Expression]]] = {
    "??": _coalesce,
    "&&": _logical,
    "||": _logical,
    "==": _equality,
    "!=": _equality,
    **dict.fromkeys(_RELATIONS, _relation),
    **dict.fromkeys(_ARITHMETIC, _arithmetic),
}
