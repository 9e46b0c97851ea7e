"""From the tree of an expression to one closure: types are checked here, once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import singledispatchmethod
from typing import Any, Final

from local_azure.gateway.expressions import syntax
from local_azure.gateway.expressions.bounds import (
    EvaluationError,
    TooMuchError,
    bounded,
    null_reference,
    renew_budget,
    spend,
)
from local_azure.gateway.expressions.json_values import Anonymous
from local_azure.gateway.expressions.members import (
    INDEXERS,
    METHODS,
    OBJECT_METHODS,
    PROPERTIES,
    generic_method,
)
from local_azure.gateway.expressions.operators import (
    BINARY,
    WRAPS,
    Expression,
    boolean,
    cast,
    common,
    common_type,
    convert,
)
from local_azure.gateway.expressions.parser import parse_expression
from local_azure.gateway.expressions.queries import (
    CONTAINS_FOLDED,
    QUERIES,
    Query,
    elements,
    tokens,
)
from local_azure.gateway.expressions.statics import (
    ADDERS,
    CONSTRUCTORS,
    ENTRY_ADDERS,
    STATIC_PROPERTIES,
    STATICS,
    static_generic_method,
)
from local_azure.gateway.expressions.syntax import ExpressionError, Node
from local_azure.gateway.expressions.text import format_value
from local_azure.gateway.expressions.types import (
    BASES,
    NUMBERS,
    Method,
    Overloads,
    Run,
    element_type,
    generic,
)
from local_azure.gateway.expressions.values import default_of, is_null, is_of, unbox

MAX_LOCALS: Final = 100


class Frame:
    """One evaluation of an expression that has variables: `context`, and their values."""

    __slots__ = ("context", "locals", "result")

    def __init__(self, context: Any, count: int) -> None:
        self.context = context
        self.locals: list[Any] = [None] * count
        self.result: Any = None


@dataclass(frozen=True)
class _Variable:
    type: str
    slot: int


def compile_expression(source: str) -> Expression:
    """Compile what stands between `@(` and `)`. Raises ExpressionError."""
    node = parse_expression(source)
    compiler = Compiler(framed=False)
    try:
        compiled = compiler.expression(node)
    except _NeedsFrameError:
        compiler = Compiler(framed=True)
        compiled = compiler.expression(node)
        run, count = compiled.run, compiler.slots

        def framed(context: Any) -> Any:
            renew_budget()
            return run(Frame(context, count))

        compiled = replace(compiled, run=framed)
    return replace(compiled, conditional=False, reads_response_body=compiler.reads_response_body)


class _NeedsFrameError(Exception):
    """The expression has variables: a lambda's, or those of `is` and `out`."""


def _no_member(kind: str, name: str, line: int) -> ExpressionError:
    owner = "context" if kind == "Context" else f"'{kind}'"
    base = generic(kind)[0]
    tables = (PROPERTIES, METHODS, STATICS, STATIC_PROPERTIES)
    known = sorted({name for table in tables for name in table.get(base, ())})
    return ExpressionError(
        f"{owner} has no '{name}' in the local Azure"
        + (f", which knows {', '.join(known)}" if known else ""),
        line,
    )


def find(table: dict[str, dict[str, Any]], kind: str, name: str) -> Any:
    """Look a member up by the type, its generic form, and what it derives from."""
    for owner in (kind, generic(kind)[0], BASES.get(kind, "")):
        found = table.get(owner, {}).get(name)
        if found is not None:
            return found
    return None


def by_type(table: dict[str, Any], kind: str) -> Any:
    """Look an entry up by the type, its generic form, and what it derives from."""
    for owner in (kind, generic(kind)[0], BASES.get(kind, "")):
        if owner in table:
            return table[owner]
    return None


def filled(result: str, owner: str) -> str:
    """Put the owner's type arguments in the place of T, K and V."""
    _, arguments = generic(owner)
    known = {"JObject": ["string", "JToken"], "JArray": ["JToken"]}.get(owner, arguments)
    names = {"T": known[:1], "K": known[:1], "V": known[1:2]}
    for letter, kind in names.items():
        if kind:
            if result == letter:
                return kind[0]
            result = result.replace(f"<{letter}>", f"<{kind[0]}>")
            if result == f"{letter}[]":
                result = f"{kind[0]}[]"
    return result


def _reference(get: Callable[[Any], Any], read: Run, *, conditional: bool) -> Run:
    """Return a closure that gets something of a value, which must not be null."""

    def run(frame: Any) -> Any:
        value = read(frame)
        if value is None:
            if conditional:
                return None
            raise null_reference()
        return get(value)

    return run


class Compiler:
    """Compiles one expression or block: it knows the variables in scope.

    Without `framed` closures get the exchange itself, which is quicker; with it a Frame.
    """

    def __init__(self, *, framed: bool) -> None:
        self.framed = framed
        self.slots = 0
        self.returned: list[str] = []
        self.reads_response_body = False
        self._scopes: list[dict[str, _Variable]] = [{}]
        self._loops = 0
        self._switches = 0

    # Variables

    def declare(self, name: str, kind: str, line: int) -> int:
        """Give a variable its place. Raises ExpressionError when its name is taken."""
        if not self.framed:
            raise _NeedsFrameError
        if name == "context" or self._look_up(name):
            raise ExpressionError(f"A variable named '{name}' is already defined", line)
        if self.slots == MAX_LOCALS:
            raise ExpressionError(f"more than {MAX_LOCALS} variables", line)
        self._scopes[-1][name] = _Variable(kind, self.slots)
        self.slots += 1
        return self.slots - 1

    def _look_up(self, name: str) -> _Variable | None:
        return next((scope[name] for scope in reversed(self._scopes) if name in scope), None)

    @contextmanager
    def _scope(self) -> Iterator[None]:
        self._scopes.append({})
        yield
        self._scopes.pop()

    # Expressions

    @singledispatchmethod
    def expression(self, node: Node) -> Expression:
        """Compile an expression. Raises ExpressionError."""
        raise ExpressionError(f"'{type(node).__name__}' has no value", node.line)

    def _value(self, node: Node) -> Expression:
        """Compile what has to have a value."""
        compiled = self.expression(node)
        if compiled.type == "void":
            raise ExpressionError("The call has no value", node.line)
        return compiled

    def _condition(self, node: Node, what: str) -> Run:
        value = self._value(node)
        if value.type != "bool":
            raise ExpressionError(
                f"Operator '{what}' cannot be applied to operand of type '{value.type}'"
                if what in ("!", "?:")
                else f"{what}: cannot implicitly convert type '{value.type}' to 'bool'",
                node.line,
            )
        run = value.run
        return lambda frame: boolean(run(frame))

    @expression.register
    def _(self, node: syntax.Literal) -> Expression:
        value = node.value
        return Expression(node.type, lambda _: value)

    @expression.register
    def _(self, node: syntax.Name) -> Expression:
        if node.name == "context":
            if self.framed:
                return Expression("Context", lambda frame: frame.context)
            return Expression("Context", lambda context: context)
        variable = self._look_up(node.name)
        if variable is None:
            # .NET's types begin so: Azure knows more of them.
            raise ExpressionError(
                f"The local Azure does not know the name '{node.name}'"
                if node.name[0].isupper()
                else f"The name '{node.name}' does not exist in the current context",
                node.line,
            )
        slot = variable.slot
        return Expression(variable.type, lambda frame: frame.locals[slot])

    @expression.register
    def _(self, node: syntax.TypeName) -> Expression:
        raise ExpressionError(f"'{node.type}' is a type, which has no value", node.line)

    @expression.register
    def _(self, node: syntax.Parenthesized) -> Expression:
        inner = self.expression(node.inner)
        return Expression(inner.type, inner.run)

    @expression.register
    def _(self, node: syntax.Member) -> Expression:
        if isinstance(node.target, syntax.TypeName):
            kind = node.target.type
            static = STATIC_PROPERTIES.get(kind, {}).get(node.name)
            if static is None:
                raise _no_member(kind, node.name, node.line)
            result, read_static = static
            return Expression(result, lambda _: read_static())
        target = self._value(node.target)
        found = find(PROPERTIES, target.type, node.name)
        if found is None:
            raise _no_member(target.type, node.name, node.line)
        if (target.type, node.name) == ("Response", "Body"):
            self.reads_response_body = True
        kind, get = found
        conditional = node.conditional or target.conditional
        return Expression(
            filled(kind, target.type),
            _reference(get, target.run, conditional=conditional),
            conditional,
        )

    @expression.register
    def _(self, node: syntax.Index) -> Expression:
        target = self._value(node.target)
        found = by_type(INDEXERS, target.type)
        if found is None:
            raise ExpressionError(
                f"Cannot apply indexing with [] to an expression of type '{target.type}' in the"
                " local Azure",
                node.line,
            )
        wanted, result, look_up = found
        key = convert(self._value(node.key), filled(wanted, target.type), node.line)
        read, read_key = target.run, key.run
        conditional = node.conditional or target.conditional

        def run(frame: Any) -> Any:
            value = read(frame)
            if value is None:
                if conditional:
                    return None
                raise null_reference()
            at = read_key(frame)
            if at is None:
                raise EvaluationError("Value cannot be null. (Parameter 'key')")
            return look_up(value, at)

        return Expression(filled(result, target.type), run, conditional)

    @expression.register
    def _(self, node: syntax.Call) -> Expression:
        if isinstance(node.target, syntax.TypeName):
            return self._static_call(node, node.target.type)
        target = self._value(node.target)
        conditional = node.conditional or target.conditional
        if target.type == "Variables" and node.name == "GetValueOrDefault":
            return self._variable(node, target)
        if node.generic is not None:
            method = generic_method(target.type, node.name, node.generic)
            if method is None:
                raise _no_member(target.type, f"{node.name}<{node.generic}>", node.line)
            return self._invoke(target, method, node, conditional=conditional)
        if node.name == "GetType":
            raise _no_member(target.type, node.name, node.line)
        methods = find(METHODS, target.type, node.name)
        if methods is None:
            query = self._query(node, target, conditional=conditional)
            if query is not None:
                return query
            methods = OBJECT_METHODS.get(node.name) if _is_plain(target.type) else None
        if methods is None:
            raise _no_member(target.type, node.name, node.line)
        return self._invoke(target, methods, node, conditional=conditional)

    def _static_call(self, node: syntax.Call, kind: str) -> Expression:
        if node.generic is not None:
            method = static_generic_method(kind, node.name, node.generic)
            if method is None:
                raise _no_member(kind, f"{node.name}<{node.generic}>", node.line)
            return self._invoke(None, method, node, conditional=False)
        methods = STATICS.get(kind, {}).get(node.name)
        if methods is None:
            raise _no_member(kind, node.name, node.line)
        return self._invoke(None, methods, node, conditional=False)

    def _invoke(
        self,
        target: Expression | None,
        methods: Overloads,
        node: syntax.Call | syntax.New,
        *,
        conditional: bool,
        owner: str = "",
    ) -> Expression:
        """Compile a call of the overload that takes the arguments."""
        owner = owner or (target.type if target else "")
        name = node.name if isinstance(node, syntax.Call) else node.type
        overloads = methods if isinstance(methods, tuple) else (methods,)
        chosen, reads, outs = self._overload(overloads, node, name, owner)
        do = chosen.run
        read_arguments = _reader(reads)
        result = filled(chosen.result, owner) if owner else chosen.result
        read_target = target.run if target else None

        if outs:

            def run(frame: Any) -> Any:
                given = read_arguments(frame)
                if read_target is not None:
                    value = read_target(frame)
                    if value is None:
                        raise null_reference()
                    given = [value, *given]
                answer, *made = do(*given)
                for slot, each in zip(outs, made, strict=True):
                    frame.locals[slot] = each
                return answer

            return Expression(result, run)
        if read_target is None:
            return Expression(result, lambda frame: do(*read_arguments(frame)))

        def call(frame: Any) -> Any:
            value = read_target(frame)
            if value is None:
                if conditional:
                    return None
                raise null_reference()
            return do(value, *read_arguments(frame))

        return Expression(result, call, conditional)

    def _overload(
        self, overloads: tuple[Method, ...], node: syntax.Call | syntax.New, name: str, owner: str
    ) -> tuple[Method, list[tuple[Run, bool]], list[int]]:
        given = [
            each if isinstance(each, syntax.Out) else self._argument(each)
            for each in node.arguments
        ]
        names = [each.name if isinstance(each, syntax.Named) else "" for each in node.arguments]
        refusal: ExpressionError | None = None
        for candidate in overloads:
            try:
                return candidate, *self._bind(candidate, given, names, (name, node.line), owner)
            except ExpressionError as error:
                refusal = refusal or error
        known = ", ".join(f"{name}{each.signature}" for each in overloads)
        raise ExpressionError(
            f"{refusal or 'No overload'}; the local Azure knows {known}",
            refusal.line if refusal else node.line,
        )

    def _argument(self, node: Node) -> Expression:
        if isinstance(node, syntax.Lambda):
            raise ExpressionError("No lambda is taken here by the local Azure", node.line)
        return self._value(node.value if isinstance(node, syntax.Named) else node)

    def _bind(
        self,
        method: Method,
        given: Sequence[Expression | syntax.Out],
        names: Sequence[str],
        called: tuple[str, int],
        owner: str,
    ) -> tuple[list[tuple[Run, bool]], list[int]]:
        name, line = called
        required = sum(not parameter.optional for parameter in method.parameters)
        most = len(method.parameters)
        if len(given) < required or (len(given) > most and method.rest is None):
            raise ExpressionError(
                f"No overload for method '{name}' takes {len(given)} arguments", line
            )
        reads: list[tuple[Run, bool]] = []
        outs: list[int] = []
        for position, argument in enumerate(given):
            parameter = method.parameters[position] if position < most else None
            if names[position] and (parameter is None or parameter.name != names[position]):
                raise ExpressionError(
                    f"{name}: there is no parameter '{names[position]}' here", line
                )
            kind = filled(parameter.type if parameter else method.rest or "object", owner)
            if isinstance(argument, syntax.Out):
                if parameter is None or not parameter.out:
                    raise ExpressionError(f"{name}: nothing is put out here", line)
                outs.append(self._out(argument, kind))
            elif parameter is not None and parameter.out:
                raise ExpressionError(f"{name}: write 'out' before the variable", line)
            else:
                value = convert(argument, kind, line, name)
                nullable = parameter.nullable if parameter else method.rest == "object"
                reads.append((value.run, nullable))
        return reads, outs

    def _out(self, node: syntax.Out, kind: str) -> int:
        if node.type is not None:
            declared = kind if node.type == "var" else node.type
            slot = self.declare(node.name, declared, node.line)
            if declared == kind:
                return slot
        variable = self._look_up(node.name)
        if variable is None or variable.type != kind:
            raise ExpressionError(f"out {node.name}: no variable of type '{kind}'", node.line)
        return variable.slot

    def _variable(self, node: syntax.Call, target: Expression) -> Expression:
        """Compile `context.Variables.GetValueOrDefault<T>(name, default)`."""
        name = node.name
        if not 1 <= len(node.arguments) <= 2:
            raise ExpressionError(f"{name}: takes a name and a default", node.line)
        key = convert(self._argument(node.arguments[0]), "string", node.line, name)
        otherwise = self._argument(node.arguments[1]) if len(node.arguments) == 2 else None
        # C# infers the type from the default.
        kind = node.generic or (otherwise.type if otherwise else "object")
        if kind == "null":
            kind = "object"
        if otherwise is not None:
            otherwise = convert(otherwise, kind, node.line, name)
        default = default_of(kind)
        read, read_name = target.run, key.run
        read_default = otherwise.run if otherwise else lambda _: default

        def run(frame: Any) -> Any:
            variables, at = read(frame), read_name(frame)
            return unbox(variables[at], kind) if at in variables else read_default(frame)

        return Expression(kind, run)

    def _query(
        self, node: syntax.Call, target: Expression, *, conditional: bool
    ) -> Expression | None:
        """Compile a method that every collection has."""
        inner = element_type(target.type)
        query = QUERIES.get(node.name)
        if query is None or inner is None or target.type == "string":
            return None
        if node.name == "Contains" and len(node.arguments) == 2:
            return self._invoke(target, CONTAINS_FOLDED, node, conditional=conditional)
        if len(node.arguments) != (query.takes is not None) and (
            node.arguments or not query.optional
        ):
            raise ExpressionError(
                f"No overload for method '{node.name}' takes {len(node.arguments)} arguments",
                node.line,
            )
        result = query.result
        read_argument: Run | None = None
        if node.arguments:
            read_argument, made = self._query_argument(node, query, inner)
            result = result.replace("R", made) if "R" in result else result
        result = (
            result.replace("T", inner)
            if result in ("T", "T[]")
            else result.replace("<T>", f"<{inner}>")
        )
        read, do = target.run, query.run
        list_of = tokens if target.type == "JToken" else elements

        def run(frame: Any) -> Any:
            values = read(frame)
            if values is None:
                if conditional:
                    return None
                raise null_reference()
            spend()
            listed = list_of(values)
            if read_argument is None:
                return do(listed)
            argument = read_argument(frame)
            if argument is None and query.takes in ("int", "IEnumerable<T>"):
                raise EvaluationError("Value cannot be null.")
            return do(listed, argument)

        return Expression(result, run, conditional)

    def _query_argument(self, node: syntax.Call, query: Query, inner: str) -> tuple[Run, str]:
        argument = node.arguments[0]
        if not query.is_lambda:
            kind = filled(query.takes or "object", f"IEnumerable<{inner}>")
            return convert(self._argument(argument), kind, node.line, node.name).run, kind
        if not isinstance(argument, syntax.Lambda):
            raise ExpressionError(f"{node.name}: takes a lambda", node.line)
        with self._scope():
            slot = self.declare(argument.parameter, inner, argument.line)
            body = self._value(argument.body)
        if query.takes == "bool":
            body = convert(body, "bool", argument.line, node.name)
        elif query.takes == "number" and body.type not in NUMBERS:
            raise ExpressionError(f"{node.name}: '{body.type}' is no number", argument.line)
        evaluate = body.run

        def bind(frame: Frame) -> Run:
            def apply(value: Any) -> Any:
                spend()
                frame.locals[slot] = value
                return evaluate(frame)

            return apply

        return bind, body.type

    # Operators

    @expression.register
    def _(self, node: syntax.Unary) -> Expression:
        if node.operator == "!":
            run = self._condition(node.operand, "!")
            return Expression("bool", lambda frame: not run(frame))
        operand = self._value(node.operand)
        if operand.type not in NUMBERS:
            raise ExpressionError(
                f"Operator '-' cannot be applied to operand of type '{operand.type}'", node.line
            )
        read = operand.run
        wrap = WRAPS[operand.type]

        def negated(frame: Any) -> Any:
            value = read(frame)
            return None if value is None else wrap(-value)

        return Expression(operand.type, negated)

    @expression.register
    def _(self, node: syntax.Binary) -> Expression:
        left, right = self._value(node.left), self._value(node.right)
        return BINARY[node.operator](node, left, right)

    @expression.register
    def _(self, node: syntax.Conditional) -> Expression:
        test = self._condition(node.condition, "?:")
        yes, no = self._value(node.yes), self._value(node.no)
        kind = common_type(yes, no, "?:", node.line)
        first, second = convert(yes, kind, node.line).run, convert(no, kind, node.line).run
        return Expression(kind, lambda frame: first(frame) if test(frame) else second(frame))

    @expression.register
    def _(self, node: syntax.Cast) -> Expression:
        operand, kind = self._value(node.operand), node.type
        if not node.nullable:
            return Expression(kind, cast(operand, kind, node.line))
        read = operand.run
        made = cast(replace(operand, run=lambda value: value), kind, node.line)

        def read_or_null(frame: Any) -> Any:
            value = read(frame)
            return None if is_null(value) else made(value)

        return Expression(kind, read_or_null)

    @expression.register
    def _(self, node: syntax.As) -> Expression:
        operand, kind = self._value(node.operand), node.type
        run = operand.run

        def read(frame: Any) -> Any:
            value = run(frame)
            return value if is_of(value, kind) else None

        return Expression(kind, read)

    @expression.register
    def _(self, node: syntax.Is) -> Expression:
        operand = convert(self._value(node.operand), "object", node.line)
        run, kind = operand.run, node.type
        if kind is None:
            return Expression("bool", lambda frame: run(frame) is None)
        if node.name is None:
            return Expression("bool", lambda frame: is_of(run(frame), kind))
        slot = self.declare(node.name, kind, node.line)

        def bound(frame: Frame) -> bool:
            value = run(frame)
            if not is_of(value, kind):
                return False
            frame.locals[slot] = unbox(value, kind)
            return True

        return Expression("bool", bound)

    @expression.register
    def _(self, node: syntax.Interpolated) -> Expression:
        reads: list[Run] = []
        for part in node.parts:
            if isinstance(part, str):
                reads.append(lambda _, text=part: text)  # type: ignore[misc]
            else:
                value, form = self._value(part[0]).run, part[1]
                reads.append(
                    lambda frame, value=value, form=form: format_value(value(frame), form)  # type: ignore[misc]
                )
        return Expression("string", lambda frame: bounded("".join([read(frame) for read in reads])))

    # Construction

    @expression.register
    def _(self, node: syntax.New) -> Expression:
        kind = node.type
        constructors = by_type(CONSTRUCTORS, kind)
        if constructors is None:
            raise ExpressionError(f"The local Azure cannot make a '{kind}'", node.line)
        made = self._invoke(None, constructors, node, conditional=False, owner=kind)
        if not node.elements:
            return Expression(kind, made.run)
        fillers = [self._filler(element, kind, node.line) for element in node.elements]
        create = made.run

        def run(frame: Any) -> Any:
            value = create(frame)
            for fill in fillers:
                fill(frame, value)
            return value

        return Expression(kind, run)

    def _filler(
        self, element: Node | tuple[Node, Node], kind: str, line: int
    ) -> Callable[[Any, Any], None]:
        if isinstance(element, Node):
            adder = by_type(ADDERS, kind)
            if adder is None:
                raise ExpressionError(f"'{kind}' takes no list of values", line)
            wanted, add = adder
            read = convert(self._value(element), filled(wanted, kind), element.line).run
            return lambda frame, made: add(made, read(frame))
        entry = by_type(ENTRY_ADDERS, kind)
        if entry is None:
            raise ExpressionError(f"'{kind}' takes no keys with values", line)
        wanted_key, wanted, put = entry
        read_key = convert(self._value(element[0]), filled(wanted_key, kind), line).run
        read_value = convert(self._value(element[1]), filled(wanted, kind), line).run
        return lambda frame, made: put(made, read_key(frame), read_value(frame))

    @expression.register
    def _(self, node: syntax.NewArray) -> Expression:
        values = [self._value(each) for each in node.elements]
        kind = node.type or common([value.type for value in values])
        if kind == "byte":
            return self._zeros(node)
        if node.size is not None:
            size = convert(self._value(node.size), "int", node.line).run
            default = default_of(kind)
            return Expression(f"{kind}[]", lambda frame: _blank(size(frame), default))
        reads = [convert(value, kind, node.line).run for value in values]
        return Expression(f"{kind}[]", lambda frame: [read(frame) for read in reads])

    def _zeros(self, node: syntax.NewArray) -> Expression:
        if node.size is None:
            raise ExpressionError("The local Azure makes byte arrays by their size", node.line)
        size = convert(self._value(node.size), "int", node.line).run
        return Expression("byte[]", lambda frame: bytes(_blank(size(frame), 0)))

    @expression.register
    def _(self, node: syntax.NewAnonymous) -> Expression:
        reads = [
            (name, convert(self._value(value), "object", node.line).run)
            for name, value in node.pairs
        ]
        return Expression(
            "object", lambda frame: Anonymous({name: read(frame) for name, read in reads})
        )


def _reader(reads: Sequence[tuple[Run, bool]]) -> Callable[[Any], list[Any]]:
    def read(frame: Any) -> list[Any]:
        given = []
        for run, nullable in reads:
            value = run(frame)
            if value is None and not nullable:
                raise EvaluationError("Value cannot be null.")
            given.append(value)
        return given

    return read


def _is_plain(kind: str) -> bool:
    """Tell whether a type has what every object has, and is no part of `context`."""
    return (
        kind in ("string", *NUMBERS, "bool", "object", "Guid", "Basic", "JTokenType")
        or kind in BASES
        or kind == "JToken"
        or kind.startswith("IEnumerable<")
        or kind.endswith("[]")
    )


def _blank(size: int | None, default: Any) -> list[Any]:
    if size is None or not 0 <= size <= 10_000:
        raise TooMuchError("The array is too large.")
    return [default] * size
