"""Policy expressions: a subset of C#, checked and compiled once to Python closures.

An expression reaches what the tables `PROPERTIES`, `METHODS`, `INDEXERS` and `STATICS` list and
nothing else: names are looked up there, at compile time, by the static type of what they are asked
of. So an unknown name is refused when the policy is deployed, as in Azure, and no expression can
reach a Python object. The grammar is `expressions.lark`; API Management documentation, "Policy
expressions", lists what `context` has.
"""

import functools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import lark

from emulator.gateway.exchange import Exchange, ProxyError

MAX_DEPTH: Final = 100
MAX_STRING: Final = 1_000_000

Run = Callable[[Any], Any]

_SCALARS: Final = {"string": str, "int": int, "double": float, "bool": bool}
_NUMBERS: Final = ("int", "double")
_CLR_NAMES: Final = {
    str: "System.String",
    int: "System.Int32",
    float: "System.Double",
    bool: "System.Boolean",
}


class ExpressionError(Exception):
    """An expression that cannot be compiled; `line` counts from 1 within the expression."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


class EvaluationError(ProxyError):
    """An expression that failed on this request; worded as .NET words it."""

    def __init__(self, message: str) -> None:
        super().__init__(
            f"Expression evaluation failed. {message}",
            source="policy-expression",
            reason="ExpressionValueEvaluationFailure",
        )


@dataclass(frozen=True)
class Expression:
    """A compiled expression: its static C# type, and the closure that evaluates it.

    `conditional` says that it is part of a `?.` chain: where the chain meets null, all of it is.
    """

    type: str
    run: Run
    depth: int = 1
    conditional: bool = False


@dataclass(frozen=True)
class Method:
    """A method of a type: parameter types, how many are required, result, and what it does.

    A parameter whose type ends in `?` may be null.
    """

    parameters: tuple[str, ...]
    required: int
    result: str
    run: Callable[..., Any]


def compile_expression(source: str) -> Expression:
    """Compile what stands between `@(` and `)`. Raises ExpressionError."""
    try:
        # The builder runs within the parser and returns the expression in place of a tree.
        return _parser().parse(source)  # type: ignore[return-value]
    except lark.UnexpectedToken as error:
        if error.token.type == "$END":
            raise _unexpected("the end of the expression", 1 + source.count("\n")) from None
        raise _unexpected(repr(str(error.token)), error.line) from None
    except lark.UnexpectedCharacters as error:
        raise _unexpected(repr(error.char), error.line) from None


def _unexpected(what: str, line: int) -> ExpressionError:
    return ExpressionError(
        f"{what} was not expected: the local Azure reads a subset of C# expressions"
        " (members of context, operators, casts and method calls)",
        line,
    )


def to_string(value: object) -> str:
    """Write a value as C#'s string concatenation and `ToString()` do; null is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, float):
        return _double_to_string(value)
    if isinstance(value, list):
        return "System.String[]"
    return str(value)


def _double_to_string(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    text = repr(value).replace("e", "E")
    return text.removesuffix(".0")


# --- what the types have -----------------------------------------------------------------------


def _null_reference() -> EvaluationError:
    return EvaluationError("Object reference not set to an instance of an object.")


def _headers_get(headers: Any, name: str, default: str | None = None) -> str | None:
    return ",".join(headers.getall(name)) if name in headers else default


def _values_get(values: Mapping[str, Any], name: str, default: str | None = None) -> str | None:
    if name not in values:
        return default
    value = values[name]
    return value if isinstance(value, str) else ",".join(value)


def _index(values: Mapping[str, Any], name: str) -> Any:
    try:
        return values[name]
    except KeyError:
        raise EvaluationError(
            f"The given key '{name}' was not present in the dictionary."
        ) from None


def _element(values: Sequence[str], index: int) -> str:
    if not 0 <= index < len(values):
        raise EvaluationError("Index was outside the bounds of the array.")
    return values[index]


def _substring(text: str, start: int, length: int | None = None) -> str:
    end = len(text) if length is None else start + length
    if not 0 <= start <= end <= len(text):
        raise EvaluationError("Index and length must refer to a location within the string.")
    return text[start:end]


def _replace(text: str, old: str, new: str | None) -> str:
    if not old:
        raise EvaluationError("String cannot be of zero length. (Parameter 'oldValue')")
    if len(text) + text.count(old) * len(new or "") > MAX_STRING:
        raise _too_long()
    return text.replace(old, new or "")


def _too_long() -> EvaluationError:
    return EvaluationError(f"The string is longer than {MAX_STRING} characters.")


def _parse_int(text: str) -> int:
    # Bounded before it is converted: Python refuses thousands of digits with an error of its own.
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,30}\s*", text):
        raise EvaluationError("Input string was not in a correct format.")
    value = int(text)
    if not -(2**31) <= value < 2**31:
        raise EvaluationError("Value was either too large or too small for an Int32.")
    return value


def _get(path: str, result: str) -> tuple[str, Run]:
    return result, attrgetter(path)


PROPERTIES: Final[dict[str, dict[str, tuple[str, Run]]]] = {
    "Context": {
        "Api": _get("api", "Api"),
        "Deployment": _get("deployment", "Deployment"),
        "Elapsed": _get("elapsed", "TimeSpan"),
        "LastError": _get("last_error", "LastError"),
        "Operation": _get("operation", "Operation"),
        "Request": _get("request", "Request"),
        "RequestId": _get("request_id", "Guid"),
        "Response": _get("response", "Response"),
        "Subscription": _get("subscription", "Subscription"),
        "Variables": _get("variables", "Variables"),
    },
    "Request": {
        "Headers": _get("headers", "Headers"),
        "IpAddress": _get("ip_address", "string"),
        "MatchedParameters": _get("parameters", "Values"),
        "Method": _get("method", "string"),
        "OriginalUrl": _get("original_url", "Url"),
        "Url": _get("url", "Url"),
    },
    "Response": {
        "Headers": _get("headers", "Headers"),
        "StatusCode": _get("status", "int"),
        "StatusReason": _get("reason", "string"),
    },
    "Url": {
        "Host": _get("host", "string"),
        "Path": _get("path", "string"),
        "Port": _get("port", "int"),
        "Query": _get("parameters", "Query"),
        "QueryString": ("string", lambda url: f"?{url.query}" if url.query else ""),
        "Scheme": _get("scheme", "string"),
    },
    "LastError": {
        "Message": _get("message", "string"),
        "Reason": _get("reason", "string"),
        "Scope": _get("scope", "string"),
        "Section": _get("section", "string"),
        "Source": _get("source", "string"),
    },
    "Api": {
        "Id": _get("id", "string"),
        "Name": _get("name", "string"),
        "Path": _get("path", "string"),
    },
    "Operation": {
        "Id": _get("id", "string"),
        "Method": _get("method", "string"),
        "Name": _get("name", "string"),
        "UrlTemplate": _get("url_template", "string"),
    },
    "Subscription": {"Id": _get("id", "string"), "Name": _get("name", "string")},
    "Deployment": {
        "Region": _get("region", "string"),
        "ServiceName": _get("service_name", "string"),
    },
    "TimeSpan": {
        "TotalMilliseconds": ("double", lambda seconds: seconds * 1000.0),
        "TotalSeconds": ("double", float),
    },
    "string": {"Length": ("int", len)},
    "string[]": {"Length": ("int", len)},
}

METHODS: Final[dict[str, dict[str, Method]]] = {
    "Headers": {
        "ContainsKey": Method(("string",), 1, "bool", lambda headers, name: name in headers),
        "GetValueOrDefault": Method(("string", "string?"), 1, "string", _headers_get),
    },
    "Query": {
        "ContainsKey": Method(("string",), 1, "bool", lambda values, name: name in values),
        "GetValueOrDefault": Method(("string", "string?"), 1, "string", _values_get),
    },
    "Values": {
        "ContainsKey": Method(("string",), 1, "bool", lambda values, name: name in values),
        "GetValueOrDefault": Method(("string", "string?"), 1, "string", _values_get),
    },
    "Variables": {
        "ContainsKey": Method(("string",), 1, "bool", lambda values, name: name in values),
        # GetValueOrDefault<T> is generic: see _Builder.generic_call.
    },
    "string": {
        "Contains": Method(("string",), 1, "bool", lambda text, part: part in text),
        "EndsWith": Method(("string",), 1, "bool", str.endswith),
        "Equals": Method(("string?",), 1, "bool", lambda text, other: text == other),
        "IndexOf": Method(("string",), 1, "int", str.find),
        "Replace": Method(("string", "string?"), 2, "string", _replace),
        "Split": Method(
            ("string",), 1, "string[]", lambda text, at: text.split(at) if at else [text]
        ),
        "StartsWith": Method(("string",), 1, "bool", str.startswith),
        "Substring": Method(("int", "int"), 1, "string", _substring),
        "ToLower": Method((), 0, "string", str.lower),
        "ToLowerInvariant": Method((), 0, "string", str.lower),
        "ToUpper": Method((), 0, "string", str.upper),
        "ToUpperInvariant": Method((), 0, "string", str.upper),
        "Trim": Method((), 0, "string", str.strip),
    },
}
_TO_STRING: Final = Method((), 0, "string", to_string)
_PRINTABLE: Final = (*_SCALARS, "object", "Guid")

# type -> (type of the index, type of the result, what it does)
INDEXERS: Final[dict[str, tuple[str, str, Callable[[Any, Any], Any]]]] = {
    "Variables": ("string", "object", _index),
    "Headers": (
        "string",
        "string[]",
        lambda headers, name: headers.getall(name) if name in headers else _index({}, name),
    ),
    "Query": ("string", "string[]", _index),
    "Values": ("string", "string", _index),
    "string[]": ("int", "string", _element),
    "string": ("int", "string", _element),
}

STATICS: Final[dict[str, dict[str, Method]]] = {
    "string": {
        "IsNullOrEmpty": Method(("string?",), 1, "bool", lambda text: not text),
        "IsNullOrWhiteSpace": Method(
            ("string?",), 1, "bool", lambda text: not (text or "").strip()
        ),
    },
    "int": {"Parse": Method(("string",), 1, "int", _parse_int)},
}


# --- operators ---------------------------------------------------------------------------------


def _int32(value: int) -> int:
    # C# wraps around; without it an expression could grow a number without end.
    return (value + 2**31) % 2**32 - 2**31


def _divide(left: float, right: float) -> float:
    if isinstance(left, int) and isinstance(right, int):
        if right == 0:
            raise EvaluationError("Attempted to divide by zero.")
        quotient = abs(left) // abs(right)
        return _int32(quotient if (left < 0) == (right < 0) else -quotient)
    if right == 0:
        return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left)
    return left / right


def _remainder(left: float, right: float) -> float:
    if right == 0:
        if isinstance(left, int) and isinstance(right, int):
            raise EvaluationError("Attempted to divide by zero.")
        return math.nan
    return (
        int(math.fmod(left, right))
        if isinstance(left, int) and isinstance(right, int)
        else (math.nan if math.isinf(left) else math.fmod(left, right))
    )


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


def _boolean(value: Any) -> bool:
    if value is None:
        raise EvaluationError("Nullable object must have a value.")
    return bool(value)


def _concatenate(left: object, right: object) -> str:
    text = to_string(left) + to_string(right)
    if len(text) > MAX_STRING:
        raise _too_long()
    return text


def _cast(value: Any, kind: str) -> Any:
    if kind == "object":
        return value
    if value is None:
        if kind == "string":
            return None
        raise _null_reference()
    wanted = _SCALARS[kind]
    if type(value) is wanted:
        return value
    raise EvaluationError(
        f"Unable to cast object of type '{_CLR_NAMES.get(type(value), 'System.Object')}' to type"
        f" '{_CLR_NAMES[wanted]}'."
    )


def _convert_number(value: Any, kind: str) -> Any:
    if value is None:
        raise EvaluationError("Nullable object must have a value.")
    if kind == "double":
        return float(value)
    return _int32(int(value)) if math.isfinite(value) else -(2**31)


# --- from the grammar to closures --------------------------------------------------------------


def _fits(given: str, wanted: str) -> bool:
    return (
        given == wanted
        or (given == "null" and wanted == "string")
        or wanted == "object"
        or (given, wanted) == ("int", "double")
    )


def _depth(*parts: Expression) -> int:
    depth = 1 + max(part.depth for part in parts)
    if depth > MAX_DEPTH:
        raise ExpressionError(f"the expression is nested more than {MAX_DEPTH} deep")
    return depth


_ESCAPES: Final = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "0": "\0",
    '"': '"',
    "'": "'",
    "\\": "\\",
}


def _unescape(token: lark.Token) -> str:
    def replace(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] == "u" and len(code) == 5:
            return chr(int(code[1:], 16))
        if code not in _ESCAPES:
            raise ExpressionError(f"unrecognized escape sequence \\{code}", token.line or 1)
        return _ESCAPES[code]

    return re.sub(r"\\(u[0-9A-Fa-f]{4}|.)", replace, token[1:-1], flags=re.DOTALL)


class _Builder(lark.Transformer[lark.Token, Expression]):
    """One method a rule of the grammar; each gets its parts compiled."""

    # Literals

    def integer(self, parts: list[lark.Token]) -> Expression:
        text = str(parts[0])
        if len(text) > 10 or int(text) >= 2**31:
            raise ExpressionError(f"{text} does not fit an int", parts[0].line or 1)
        return _constant("int", int(text))

    def double(self, parts: list[lark.Token]) -> Expression:
        return _constant("double", float(parts[0]))

    def text(self, parts: list[lark.Token]) -> Expression:
        return _constant("string", _unescape(parts[0]))

    def verbatim(self, parts: list[lark.Token]) -> Expression:
        return _constant("string", parts[0][2:-1].replace('""', '"'))

    def true(self, _: list[lark.Token]) -> Expression:
        return _constant("bool", True)

    def false(self, _: list[lark.Token]) -> Expression:
        return _constant("bool", False)

    def null(self, _: list[lark.Token]) -> Expression:
        return _constant("null", None)

    # Names, members and calls

    def name(self, parts: list[lark.Token]) -> Expression:
        if parts[0] != "context":
            raise ExpressionError(
                f"The name '{parts[0]}' does not exist in the current context", parts[0].line or 1
            )
        return Expression("Context", lambda context: context)

    def parenthesized(self, parts: list[Expression]) -> Expression:
        inner = parts[0]
        return Expression(inner.type, inner.run, inner.depth)

    def member(self, parts: list[Any]) -> Expression:
        return _member(parts[0], parts[1], conditional=parts[0].conditional)

    def conditional_member(self, parts: list[Any]) -> Expression:
        return _member(parts[0], parts[1], conditional=True)

    def call(self, parts: list[Any]) -> Expression:
        target, name, arguments = parts
        return _call(target, name, arguments, conditional=target.conditional)

    def conditional_call(self, parts: list[Any]) -> Expression:
        target, name, arguments = parts
        return _call(target, name, arguments, conditional=True)

    def generic_call(self, parts: list[Any]) -> Expression:
        target, name, generic, arguments = parts
        kind = _type_name(generic[1:-1].strip())
        if (target.type, str(name)) != ("Variables", "GetValueOrDefault"):
            raise _no_member(target.type, f"{name}<{kind}>", name.line)
        return _variable(target, name, kind, arguments)

    def static_call(self, parts: list[Any]) -> Expression:
        type_token, name, arguments = parts
        kind = _type_name(type_token)
        method = STATICS.get(kind, {}).get(name)
        if method is None:
            raise _no_member(kind, name, name.line)
        return _invoke(None, method, name, arguments, conditional=False)

    def index(self, parts: list[Expression]) -> Expression:
        target, key = parts
        if target.type not in INDEXERS:
            raise ExpressionError(
                f"Cannot apply indexing with [] to an expression of type '{target.type}'"
            )
        wanted, result, look_up = INDEXERS[target.type]
        if not _fits(key.type, wanted):
            raise ExpressionError(f"Cannot convert from '{key.type}' to '{wanted}'")
        read, read_key, conditional = target.run, key.run, target.conditional

        def run(context: Exchange) -> Any:
            value = read(context)
            if value is None:
                if conditional:
                    return None
                raise _null_reference()
            at = read_key(context)
            if at is None:
                raise EvaluationError("Value cannot be null. (Parameter 'key')")
            return look_up(value, at)

        return Expression(result, run, _depth(target, key), conditional)

    def arguments(self, parts: list[Expression]) -> list[Expression]:
        return parts

    # Operators

    def cast(self, parts: list[Any]) -> Expression:
        token, operand = parts
        kind = _type_name(token)
        run = operand.run
        if kind in (operand.type, "object"):
            return Expression(kind, run, _depth(operand))
        if operand.type in _NUMBERS and kind in _NUMBERS:
            return Expression(
                kind, lambda context: _convert_number(run(context), kind), _depth(operand)
            )
        if operand.type != "object" and not _fits(operand.type, kind):
            raise ExpressionError(
                f"Cannot convert type '{operand.type}' to '{kind}'", token.line or 1
            )
        return Expression(kind, lambda context: _cast(run(context), kind), _depth(operand))

    def negate(self, parts: list[Expression]) -> Expression:
        operand = _one_of(parts[0], _NUMBERS, "-")
        run, whole = operand.run, operand.type == "int"

        def negated(context: Exchange) -> Any:
            value = run(context)
            if value is None:
                return None
            return _int32(-value) if whole else -value

        return Expression(operand.type, negated, _depth(operand))

    def invert(self, parts: list[Expression]) -> Expression:
        run = _one_of(parts[0], ("bool",), "!").run
        return Expression("bool", lambda context: not _boolean(run(context)), _depth(*parts))

    def binary(self, parts: list[Any]) -> Expression:
        left, operator, right = parts
        return _BINARY[str(operator)](left, operator, right)

    def coalesce(self, parts: list[Expression]) -> Expression:
        left, right = parts
        kind = _common_type(left, right, "??")
        first, second = left.run, right.run

        def run(context: Exchange) -> Any:
            value = first(context)
            return second(context) if value is None else value

        return Expression(kind, run, _depth(left, right))

    def ternary(self, parts: list[Expression]) -> Expression:
        condition, yes, no = parts
        kind = _common_type(yes, no, "?:")
        test = _one_of(condition, ("bool",), "?:").run
        first, second = yes.run, no.run
        return Expression(
            kind,
            lambda context: first(context) if _boolean(test(context)) else second(context),
            _depth(condition, yes, no),
        )


def _constant(kind: str, value: object) -> Expression:
    return Expression(kind, lambda _: value)


def _type_name(token: str) -> str:
    return {"String": "string", "Int32": "int", "Boolean": "bool", "Double": "double"}.get(
        str(token), str(token)
    )


def _no_member(kind: str, name: str, line: int | None) -> ExpressionError:
    owner = "context" if kind == "Context" else f"'{kind}'"
    known = sorted({*PROPERTIES.get(kind, {}), *METHODS.get(kind, {}), *STATICS.get(kind, {})})
    return ExpressionError(
        f"{owner} has no '{name}' in the local Azure"
        + (f", which knows {', '.join(known)}" if known else ""),
        line or 1,
    )


def _member(target: Expression, name: lark.Token, *, conditional: bool) -> Expression:
    found = PROPERTIES.get(target.type, {}).get(str(name))
    if found is None:
        raise _no_member(target.type, name, name.line)
    kind, get = found
    read = target.run

    def run(context: Exchange) -> Any:
        value = read(context)
        if value is None:
            if conditional:
                return None
            raise _null_reference()
        return get(value)

    return Expression(kind, run, _depth(target), conditional)


def _call(
    target: Expression, name: lark.Token, arguments: list[Expression], *, conditional: bool
) -> Expression:
    if target.type == "Variables" and name == "GetValueOrDefault" and len(arguments) == 2:
        # C# infers the type from the default.
        return _variable(target, name, arguments[1].type, arguments)
    method = METHODS.get(target.type, {}).get(str(name))
    if method is None and name == "ToString" and target.type in _PRINTABLE:
        method = _TO_STRING
    if method is None:
        raise _no_member(target.type, name, name.line)
    return _invoke(target, method, name, arguments, conditional=conditional)


def _invoke(
    target: Expression | None,
    method: Method,
    name: lark.Token,
    arguments: list[Expression],
    *,
    conditional: bool,
) -> Expression:
    read_arguments = _arguments(method, name, arguments)
    do = method.run
    if target is None:
        return Expression(
            method.result, lambda context: do(*read_arguments(context)), _depth(*arguments)
        )
    read_target = target.run

    def run(context: Exchange) -> Any:
        value = read_target(context)
        if value is None:
            if conditional:
                return None
            raise _null_reference()
        return do(value, *read_arguments(context))

    return Expression(method.result, run, _depth(target, *arguments), conditional)


def _arguments(
    method: Method, name: lark.Token, arguments: list[Expression]
) -> Callable[[Exchange], list[Any]]:
    """Check a method's arguments; the closure returned evaluates them."""
    if not method.required <= len(arguments) <= len(method.parameters):
        raise ExpressionError(
            f"No overload for method '{name}' takes {len(arguments)} arguments", name.line or 1
        )
    reads = []
    for argument, wanted in zip(arguments, method.parameters, strict=False):
        if not _fits(argument.type, wanted.removesuffix("?")):
            raise ExpressionError(
                f"{name}: cannot convert from '{argument.type}' to '{wanted}'", name.line or 1
            )
        reads.append((argument.run, wanted.endswith("?")))

    def read(context: Exchange) -> list[Any]:
        given = []
        for run, nullable in reads:
            value = run(context)
            if value is None and not nullable:
                raise EvaluationError("Value cannot be null.")
            given.append(value)
        return given

    return read


def _variable(
    target: Expression, name: lark.Token, kind: str, arguments: list[Expression]
) -> Expression:
    """Compile `context.Variables.GetValueOrDefault<T>(name, default)`."""
    if kind not in (*_SCALARS, "object"):
        raise ExpressionError(f"{name}: '{kind}' is no type of a variable", name.line or 1)
    if not 1 <= len(arguments) <= 2 or arguments[0].type != "string":
        raise ExpressionError(f"{name}: takes a name and a default", name.line or 1)
    if len(arguments) == 2 and not _fits(arguments[1].type, kind):
        raise ExpressionError(
            f"{name}: cannot convert from '{arguments[1].type}' to '{kind}'", name.line or 1
        )
    read, read_name = target.run, arguments[0].run
    default = {"int": 0, "double": 0.0, "bool": False}.get(kind)
    read_default = arguments[1].run if len(arguments) == 2 else lambda _: default

    def run(context: Exchange) -> Any:
        variables, key = read(context), read_name(context)
        return _cast(variables[key], kind) if key in variables else read_default(context)

    return Expression(kind, run, _depth(target, *arguments))


def _one_of(operand: Expression, kinds: Sequence[str], operator: str) -> Expression:
    if operand.type not in kinds:
        raise ExpressionError(
            f"Operator '{operator}' cannot be applied to operand of type '{operand.type}'"
        )
    return operand


def _cannot_apply(operator: str, left: Expression, right: Expression) -> ExpressionError:
    return ExpressionError(
        f"Operator '{operator}' cannot be applied to operands of type '{left.type}' and"
        f" '{right.type}'",
        getattr(operator, "line", None) or 1,
    )


def _common_type(left: Expression, right: Expression, operator: str) -> str:
    if left.type == "null":
        return right.type
    if right.type == "null" or _fits(right.type, left.type):
        return left.type
    if _fits(left.type, right.type):
        return right.type
    raise _cannot_apply(operator, left, right)


def _logical(left: Expression, operator: lark.Token, right: Expression) -> Expression:
    if (left.type, right.type) != ("bool", "bool"):
        raise _cannot_apply(operator, left, right)
    first, second = left.run, right.run
    if operator == "&&":
        return Expression(
            "bool",
            lambda context: _boolean(first(context)) and _boolean(second(context)),
            _depth(left, right),
        )
    return Expression(
        "bool",
        lambda context: _boolean(first(context)) or _boolean(second(context)),
        _depth(left, right),
    )


def _equality(left: Expression, operator: lark.Token, right: Expression) -> Expression:
    kinds = {left.type, right.type}
    if not (len(kinds) == 1 or kinds & {"object"} or kinds == set(_NUMBERS) or kinds & {"null"}):
        raise _cannot_apply(operator, left, right)
    first, second = left.run, right.run
    equal = operator == "=="

    def run(context: Exchange) -> bool:
        one, other = first(context), second(context)
        if one is None or other is None:
            return (one is other) is equal
        # To Python True equals 1; to C# a boxed bool equals no int.
        same = isinstance(one, bool) is isinstance(other, bool) and one == other
        return same is equal

    return Expression("bool", run, _depth(left, right))


def _relation(left: Expression, operator: lark.Token, right: Expression) -> Expression:
    if left.type not in _NUMBERS or right.type not in _NUMBERS:
        raise _cannot_apply(operator, left, right)
    first, second, compare = left.run, right.run, _RELATIONS[str(operator)]

    def run(context: Exchange) -> bool:
        one, other = first(context), second(context)
        # A comparison with null is false, whichever it is.
        return one is not None and other is not None and compare(one, other)

    return Expression("bool", run, _depth(left, right))


def _arithmetic(left: Expression, operator: lark.Token, right: Expression) -> Expression:
    first, second = left.run, right.run
    if operator == "+" and "string" in (left.type, right.type):
        return Expression(
            "string",
            lambda context: _concatenate(first(context), second(context)),
            _depth(left, right),
        )
    if left.type not in _NUMBERS or right.type not in _NUMBERS:
        raise _cannot_apply(operator, left, right)
    whole = left.type == right.type == "int"
    compute = _ARITHMETIC[str(operator)]

    def run(context: Exchange) -> Any:
        one, other = first(context), second(context)
        if one is None or other is None:
            return None
        value = compute(one, other)
        return _int32(value) if whole else value

    return Expression("int" if whole else "double", run, _depth(left, right))


_BINARY: Final[dict[str, Callable[[Expression, lark.Token, Expression], Expression]]] = {
    "&&": _logical,
    "||": _logical,
    "==": _equality,
    "!=": _equality,
    **dict.fromkeys(_RELATIONS, _relation),
    **dict.fromkeys(_ARITHMETIC, _arithmetic),
}


@functools.cache
def _parser() -> lark.Lark:
    grammar = Path(__file__).with_name("expressions.lark").read_text(encoding="utf-8")
    return lark.Lark(grammar, parser="lalr", transformer=_Builder(), maybe_placeholders=False)
