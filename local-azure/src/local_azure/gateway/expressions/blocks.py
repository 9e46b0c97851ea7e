"""From the statements between `@{` and `}` to one closure."""

from collections.abc import Callable, Sequence
from functools import singledispatchmethod
from typing import Any, Final

from local_azure.gateway.expressions import syntax
from local_azure.gateway.expressions.bounds import (
    EvaluationError,
    TooMuchError,
    null_reference,
    renew_budget,
    spend,
)
from local_azure.gateway.expressions.compiler import Compiler, Frame, by_type, filled, find
from local_azure.gateway.expressions.members import INDEX_SETTERS, PROPERTY_SETTERS
from local_azure.gateway.expressions.operators import Expression, cast, common, convert
from local_azure.gateway.expressions.parser import parse_block
from local_azure.gateway.expressions.queries import elements, tokens
from local_azure.gateway.expressions.syntax import ExpressionError, Node
from local_azure.gateway.expressions.types import Run, element_type
from local_azure.gateway.expressions.values import default_of

# How a statement ends, other than by going on to the next.
_BREAK: Final = "break"


_CONTINUE: Final = "continue"


_RETURN: Final = "return"


Step = Callable[[Frame], str | None]


def compile_block(source: str) -> Expression:
    """Compile what stands between `@{` and `}`. Raises ExpressionError."""
    compiler = _Blocks(framed=True)
    block = parse_block(source)
    body, ends = compiler.statement(block)
    if not ends:
        raise ExpressionError("not all code paths return a value", 1 + source.rstrip().count("\n"))
    count = compiler.slots

    def run(context: Any) -> Any:
        renew_budget()
        frame = Frame(context, count)
        body(frame)
        return frame.result

    return Expression(
        common(compiler.returned), run, reads_response_body=compiler.reads_response_body
    )


class _Blocks(Compiler):
    """Compiles statements; each gives its step, and whether it always leaves the block."""

    @singledispatchmethod
    def statement(self, node: Node) -> tuple[Step, bool]:
        """Compile a statement. Raises ExpressionError."""
        raise ExpressionError(f"'{type(node).__name__}' is no statement", node.line)

    @statement.register
    def _block_statement(self, node: syntax.Block) -> tuple[Step, bool]:
        with self._scope():
            return self._in_turn(node.statements)

    @statement.register
    def _several_statement(self, node: syntax.Several) -> tuple[Step, bool]:
        return self._in_turn(node.statements)

    def _in_turn(self, statements: Sequence[Node]) -> tuple[Step, bool]:
        compiled = [self.statement(each) for each in statements]
        steps = [step for step, _ in compiled]
        ends = any(end for _, end in compiled)
        if len(steps) == 1:
            return steps[0], ends

        def run(frame: Frame) -> str | None:
            for step in steps:
                signal = step(frame)
                if signal is not None:
                    return signal
            return None

        return run, ends

    @statement.register
    def _declare_statement(self, node: syntax.Declare) -> tuple[Step, bool]:
        if node.value is None:
            if node.type is None:
                raise ExpressionError(f"var {node.name}: needs a value", node.line)
            default = default_of(node.type)
            value = Expression(node.type, lambda _: default)
        else:
            value = self._value(node.value)
        if node.type is not None:
            value = convert(value, node.type, node.line)
        elif value.type == "null":
            raise ExpressionError(f"Cannot assign null to 'var {node.name}'", node.line)
        slot = self.declare(node.name, value.type, node.line)
        return _storing(slot, value.run), False

    @statement.register
    def _assign_statement(self, node: syntax.Assign) -> tuple[Step, bool]:
        value: Node = node.value
        if node.operator is not None:
            value = syntax.Binary(
                operator=node.operator,
                left=node.target,
                right=node.value,
                line=node.line,
                depth=node.depth,
            )
        compiled = self._value(value)
        target = node.target
        match target:
            case syntax.Name():
                variable = self._look_up(target.name)
                if variable is None:
                    raise ExpressionError(
                        f"The name '{target.name}' does not exist in the current context"
                        if target.name != "context"
                        else "Cannot assign to 'context'",
                        node.line,
                    )
                if node.operator is not None and compiled.type != variable.type:
                    compiled = Expression(variable.type, cast(compiled, variable.type, node.line))
                compiled = convert(compiled, variable.type, node.line)
                return _storing(variable.slot, compiled.run), False
            case syntax.Index():
                return self._assign_index(target, compiled), False
            case syntax.Member():
                return self._assign_member(target, compiled), False
        raise ExpressionError("The left-hand side of an assignment is a variable", node.line)

    def _assign_index(self, target: syntax.Index, value: Expression) -> Step:
        owner = self._value(target.target)
        setter = by_type(INDEX_SETTERS, owner.type)
        if setter is None:
            raise ExpressionError(f"'{owner.type}' is read-only", target.line)
        wanted_key, wanted, put = setter
        read = owner.run
        read_key = convert(self._value(target.key), filled(wanted_key, owner.type), target.line).run
        read_value = convert(value, filled(wanted, owner.type), target.line).run

        def run(frame: Frame) -> None:
            made, key = read(frame), read_key(frame)
            if made is None:
                raise null_reference()
            if key is None:
                raise EvaluationError("Value cannot be null. (Parameter 'key')")
            put(made, key, read_value(frame))

        return run

    def _assign_member(self, target: syntax.Member, value: Expression) -> Step:
        owner = self._value(target.target)
        setter = find(PROPERTY_SETTERS, owner.type, target.name)
        if setter is None:
            raise ExpressionError(f"'{owner.type}.{target.name}' is read-only", target.line)
        wanted, put = setter
        read, read_value = owner.run, convert(value, wanted, target.line).run

        def run(frame: Frame) -> None:
            made = read(frame)
            if made is None:
                raise null_reference()
            put(made, read_value(frame))

        return run

    @statement.register
    def _evaluate_statement(self, node: syntax.Evaluate) -> tuple[Step, bool]:
        value = node.value
        while isinstance(value, syntax.Parenthesized):
            value = value.inner
        if not isinstance(value, (syntax.Call, syntax.New)):
            raise ExpressionError("Only assignments and calls are statements", node.line)
        run = self.expression(node.value).run

        def evaluate(frame: Frame) -> None:
            run(frame)

        return evaluate, False

    @statement.register
    def _if_statement(self, node: syntax.If) -> tuple[Step, bool]:
        condition = self._condition(node.condition, "if")
        with self._scope():
            yes, yes_ends = self.statement(node.yes)
        if node.no is None:
            return (lambda frame: yes(frame) if condition(frame) else None), False
        with self._scope():
            no, no_ends = self.statement(node.no)
        return (lambda frame: yes(frame) if condition(frame) else no(frame)), yes_ends and no_ends

    @statement.register
    def _foreach_statement(self, node: syntax.ForEach) -> tuple[Step, bool]:
        values = self._value(node.values)
        inner = element_type(values.type)
        if inner is None:
            raise ExpressionError(
                f"foreach: '{values.type}' is no collection that the local Azure knows", node.line
            )
        with self._scope():
            kind = node.type or inner
            slot = self.declare(node.name, kind, node.line)
            element = Expression(inner, lambda frame: frame.locals[slot])
            read_as = cast(element, kind, node.line) if kind != inner else None
            body = self._loop(node.body)
        read = values.run
        list_of = tokens if values.type == "JToken" else elements

        def run(frame: Frame) -> str | None:
            found = read(frame)
            if found is None:
                raise null_reference()
            for each in list_of(found):
                spend()
                frame.locals[slot] = each
                if read_as is not None:
                    frame.locals[slot] = read_as(frame)
                signal = body(frame)
                if signal == _BREAK:
                    return None
                if signal == _RETURN:
                    return signal
            return None

        return run, False

    def _loop(self, body: Node) -> Step:
        self._loops += 1
        step, _ = self.statement(body)
        self._loops -= 1
        return step

    @statement.register
    def _for_statement(self, node: syntax.For) -> tuple[Step, bool]:
        with self._scope():
            first = self.statement(node.first)[0] if node.first else None
            condition = self._condition(node.condition, "for") if node.condition else None
            step = self.statement(node.step)[0] if node.step else None
            body = self._loop(node.body)

        def run(frame: Frame) -> str | None:
            if first is not None:
                first(frame)
            while condition is None or condition(frame):
                spend()
                signal = body(frame)
                if signal == _BREAK:
                    return None
                if signal == _RETURN:
                    return signal
                if step is not None:
                    step(frame)
            return None

        return run, False

    @statement.register
    def _try_statement(self, node: syntax.Try) -> tuple[Step, bool]:
        body, body_ends = self.statement(node.body)
        with self._scope():
            slot = self.declare(node.name, "Exception", node.line) if node.name else None
            handler, handler_ends = self.statement(node.handler)

        def run(frame: Frame) -> str | None:
            try:
                return body(frame)
            except TooMuchError:
                raise
            except EvaluationError as error:
                if slot is not None:
                    frame.locals[slot] = error
                return handler(frame)

        return run, body_ends and handler_ends

    @statement.register
    def _switch_statement(self, node: syntax.Switch) -> tuple[Step, bool]:
        value = self._value(node.value)
        read = value.run
        sections: list[tuple[list[Run], Step]] = []
        otherwise: Step | None = None
        all_end = True
        self._switches += 1
        for labels, body in node.sections:
            step, ends = self.statement(body)
            if not ends:
                raise ExpressionError("Control cannot fall through a case", body.line)
            all_end = all_end and not _breaks(body)
            tests = [
                convert(self._value(label), value.type, label.line).run
                for label in labels
                if label is not None
            ]
            sections.append((tests, step))
            if None in labels:
                otherwise = step
        self._switches -= 1

        def run(frame: Frame) -> str | None:
            found = read(frame)
            step = next(
                (step for tests, step in sections if any(test(frame) == found for test in tests)),
                otherwise,
            )
            signal = step(frame) if step else None
            return None if signal == _BREAK else signal

        return run, all_end and otherwise is not None

    @statement.register
    def _jump_statement(self, node: syntax.Jump) -> tuple[Step, bool]:
        kind = node.kind
        if not self._loops and not (kind == _BREAK and self._switches):
            raise ExpressionError(f"No loop to {kind}", node.line)
        return (lambda _: kind), True

    @statement.register
    def _return_statement(self, node: syntax.Return) -> tuple[Step, bool]:
        value = self._value(node.value)
        self.returned.append(value.type)
        # What is returned is an object in the end: a long is boxed as one.
        run = convert(value, "object", node.line).run if value.type == "long" else value.run

        def leave(frame: Frame) -> str:
            frame.result = run(frame)
            return _RETURN

        return leave, True

    @statement.register
    def _throw_statement(self, node: syntax.Throw) -> tuple[Step, bool]:
        run = convert(self._value(node.value), "Exception", node.line).run

        def throw(frame: Frame) -> str | None:
            raise run(frame) or null_reference()

        return throw, True


def _breaks(node: Node) -> bool:
    """Tell whether a switch's section can leave by `break`."""
    match node:
        case syntax.Jump():
            return node.kind == _BREAK
        case syntax.Block():
            return any(map(_breaks, node.statements))
        case syntax.If():
            return _breaks(node.yes) or (node.no is not None and _breaks(node.no))
        case syntax.Try():
            return _breaks(node.body) or _breaks(node.handler)
    return False


def _storing(slot: int, run: Run) -> Step:
    def store(frame: Frame) -> None:
        frame.locals[slot] = run(frame)

    return store
