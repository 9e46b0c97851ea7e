"""From the text of an expression to its tree, by `grammar.lark`."""

import functools
import importlib.util
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import lark

from local_azure.gateway.expressions.syntax import (
    As,
    Assign,
    Binary,
    Block,
    Call,
    Cast,
    Conditional,
    Declare,
    Evaluate,
    ExpressionError,
    For,
    ForEach,
    If,
    Index,
    Interpolated,
    Is,
    Jump,
    Lambda,
    Literal,
    Member,
    Name,
    Named,
    New,
    NewAnonymous,
    NewArray,
    Node,
    Out,
    Parenthesized,
    Return,
    Several,
    Switch,
    Throw,
    Try,
    TypeName,
    Unary,
)
from local_azure.gateway.expressions.types import TYPE_NAMES, TYPE_PATTERN

MAX_DEPTH: Final = 100


def parse_expression(source: str) -> Node:
    """Read what stands between `@(` and `)`. Raises ExpressionError."""
    return _parse(source, "conditional")


def parse_block(source: str) -> Block:
    """Read what stands between `@{` and `}`. Raises ExpressionError."""
    return _parse(source, "body")  # type: ignore[return-value]


def _parse(source: str, start: str) -> Node:
    try:
        # The builder runs within the parser and returns the node in place of a tree.
        return _parser().parse(source, start=start)  # type: ignore[return-value]
    except lark.UnexpectedToken as error:
        if error.token.type == "$END":
            raise _unexpected("the end of the expression", 1 + source.count("\n")) from None
        raise _unexpected(repr(str(error.token)[:80]), error.line) from None
    except lark.UnexpectedCharacters as error:
        raise _unexpected(repr(error.char), error.line) from None


def _unexpected(what: str, line: int) -> ExpressionError:
    return ExpressionError(f"{what} was not expected: the local Azure reads a subset of C#", line)


def type_name(text: str, line: int = 1) -> str:
    """Return the one name of a type, however it is written. Raises ExpressionError."""
    text = re.sub(r"\s+", "", text).removesuffix("?")
    if text.endswith("[]"):
        return f"{type_name(text[:-2], line)}[]"
    name, angle, rest = text.partition("<")
    known = TYPE_NAMES.get(name.rpartition(".")[2])
    if known is None:
        raise ExpressionError(f"The local Azure does not know the type '{name}'", line)
    if not angle:
        return known
    arguments = [type_name(part, line) for part in _split_generic(rest[:-1])]
    return f"{known}<{','.join(arguments)}>"


def _split_generic(text: str) -> list[str]:
    parts, open_brackets = [""], 0
    for character in text:
        open_brackets += {"<": 1, ">": -1}.get(character, 0)
        if character == "," and not open_brackets:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _line(part: Any) -> int:
    return part.line or 1


def _at(where: Any, *parts: Node | None) -> dict[str, int]:
    """Return line and depth of a node over `parts`."""
    depth = 1 + max((part.depth for part in parts if part is not None), default=0)
    if depth > MAX_DEPTH:
        raise ExpressionError(f"the expression is nested more than {MAX_DEPTH} deep", _line(where))
    return {"line": _line(where), "depth": depth}


_ESCAPES: Final = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "0": "\0",
    '"': '"',
    "'": "'",
    "\\": "\\",
}


def _unescape(text: str, line: int) -> str:
    def replace(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] == "u" and len(code) == 5:
            return chr(int(code[1:], 16))
        if code not in _ESCAPES:
            raise ExpressionError(f"unrecognized escape sequence \\{code}", line)
        return _ESCAPES[code]

    return re.sub(r"\\(u[0-9A-Fa-f]{4}|.)", replace, text, flags=re.DOTALL)


# A hole of an interpolated string, or an escaped brace.
_HOLE = re.compile(r'\{\{|\}\}|\{((?:[^{}"]|"(?:\\.|[^"\\\n])*")*)\}')


class _Builder(lark.Transformer[lark.Token, Node]):
    """One method a rule of the grammar; each gets its parts built."""

    # Literals

    def integer(self, parts: list[lark.Token]) -> Node:
        token = parts[0]
        digits = token.rstrip("lL")
        bits = 31 if len(digits) == len(token) else 63
        kind = "int" if bits == 31 else "long"
        if len(digits) > 20 or int(digits) >= 2**63:
            raise ExpressionError(f"{token} does not fit a long", _line(token))
        if int(digits) >= 2**bits:
            # A literal too long for an int is a long to C#.
            kind = "long"
        return Literal(type=kind, value=int(digits), **_at(token))

    def double(self, parts: list[lark.Token]) -> Node:
        return Literal(type="double", value=float(parts[0].rstrip("dDmMfF")), **_at(parts[0]))

    def text(self, parts: list[lark.Token]) -> Node:
        token = parts[0]
        return Literal(type="string", value=_unescape(token[1:-1], _line(token)), **_at(token))

    def verbatim(self, parts: list[lark.Token]) -> Node:
        return Literal(type="string", value=parts[0][2:-1].replace('""', '"'), **_at(parts[0]))

    def true(self, _: list[lark.Token]) -> Node:
        return Literal(type="bool", value=True, line=1, depth=1)

    def false(self, _: list[lark.Token]) -> Node:
        return Literal(type="bool", value=False, line=1, depth=1)

    def null(self, _: list[lark.Token]) -> Node:
        return Literal(type="null", value=None, line=1, depth=1)

    def interpolated(self, parts: list[lark.Token]) -> Node:
        token = parts[0]
        prefix, _, text = token.partition('"')
        line = _line(token)

        def literal(piece: str) -> str:
            return piece.replace('""', '"') if "@" in prefix else _unescape(piece, line)

        text = text[:-1]
        pieces: list[str | tuple[Node, str]] = []
        position = 0
        for hole in _HOLE.finditer(text):
            pieces.append(literal(text[position : hole.start()]))
            position = hole.end()
            if hole[1] is None:
                pieces.append(hole[0][0])
                continue
            value, form = _split_format(hole[1])
            # The lines before it, so that what is wrong in it is found on its own.
            pieces.append((parse_expression("\n" * (line - 1) + value), form))
        pieces.append(literal(text[position:]))
        values = [piece[0] for piece in pieces if not isinstance(piece, str)]
        kept = tuple(piece for piece in pieces if piece != "")
        return Interpolated(parts=kept, **_at(token, *values))

    # Names, members and calls

    def name(self, parts: list[lark.Token]) -> Node:
        return Name(name=str(parts[0]), **_at(parts[0]))

    def type(self, parts: list[lark.Token]) -> Node:
        return TypeName(type=type_name(parts[0], _line(parts[0])), **_at(parts[0]))

    def parenthesized(self, parts: list[Node]) -> Node:
        inner = parts[0]
        if isinstance(inner, Parenthesized):
            return inner
        # Parentheses alone are no depth.
        return Parenthesized(inner=inner, line=inner.line, depth=inner.depth)

    def member(self, parts: list[Any], *, conditional: bool = False) -> Node:
        target, name = parts
        return Member(target=target, name=str(name), conditional=conditional, **_at(name, target))

    def conditional_member(self, parts: list[Any]) -> Node:
        return self.member(parts, conditional=True)

    def call(self, parts: list[Any], *, conditional: bool = False) -> Node:
        target, name, arguments = parts
        return self._call(target, name, None, arguments, conditional=conditional)

    def conditional_call(self, parts: list[Any]) -> Node:
        return self.call(parts, conditional=True)

    def generic_call(self, parts: list[Any], *, conditional: bool = False) -> Node:
        target, name, generic, arguments = parts
        kind = type_name(generic.strip()[1:-1], _line(name))
        if name == "Value" and generic.strip()[1:-1].strip().endswith("?"):
            kind += "?"  # `Value<bool?>("a")` is null where `Value<bool>("a")` is false
        return self._call(target, name, kind, arguments, conditional=conditional)

    def conditional_generic_call(self, parts: list[Any]) -> Node:
        return self.generic_call(parts, conditional=True)

    def _call(
        self,
        target: Node,
        name: lark.Token,
        generic: str | None,
        arguments: Sequence[Node],
        *,
        conditional: bool,
    ) -> Node:
        return Call(
            target=target,
            name=str(name),
            generic=generic,
            arguments=tuple(arguments),
            conditional=conditional,
            **_at(name, target, *arguments),
        )

    def index(self, parts: list[Node], *, conditional: bool = False) -> Node:
        target, key = parts
        return Index(target=target, key=key, conditional=conditional, **_at(key, target, key))

    def conditional_index(self, parts: list[Node]) -> Node:
        return self.index(parts, conditional=True)

    def arguments(self, parts: list[Node]) -> list[Node]:
        return parts

    def named_argument(self, parts: list[Any]) -> Node:
        return Named(name=str(parts[0]), value=parts[1], **_at(parts[0], parts[1]))

    def lambda_(self, parts: list[Any]) -> Node:
        return Lambda(parameter=str(parts[0]), body=parts[1], **_at(parts[0], parts[1]))

    def out(self, parts: list[lark.Token]) -> Node:
        kind = str(parts[0]) if len(parts) == 2 else None
        if kind not in (None, "var"):
            kind = type_name(parts[0], _line(parts[0]))
        return Out(name=str(parts[-1]), type=kind, **_at(parts[-1]))

    # Operators

    def cast(self, parts: list[Any]) -> Node:
        kind = type_name(parts[0], _line(parts[0]))
        nullable = parts[0].endswith("?")
        return Cast(type=kind, nullable=nullable, operand=parts[1], **_at(parts[0], parts[1]))

    def as_(self, parts: list[Any]) -> Node:
        kind = type_name(parts[1], _line(parts[1]))
        return As(type=kind, operand=parts[0], **_at(parts[1], parts[0]))

    def is_(self, parts: list[Any]) -> Node:
        kind = type_name(parts[1], _line(parts[1]))
        name = str(parts[2]) if len(parts) == 3 else None
        return Is(type=kind, operand=parts[0], name=name, **_at(parts[1], parts[0]))

    def is_null(self, parts: list[Node]) -> Node:
        return Is(type=None, operand=parts[0], name=None, **_at(parts[0], parts[0]))

    def negate(self, parts: list[Node]) -> Node:
        return Unary(operator="-", operand=parts[0], **_at(parts[0], parts[0]))

    def invert(self, parts: list[Node]) -> Node:
        return Unary(operator="!", operand=parts[0], **_at(parts[0], parts[0]))

    def binary(self, parts: list[Any]) -> Node:
        left, operator, right = parts
        return Binary(operator=str(operator), left=left, right=right, **_at(operator, left, right))

    def coalesce(self, parts: list[Node]) -> Node:
        left, right = parts
        return Binary(operator="??", left=left, right=right, **_at(left, left, right))

    def conditional(self, parts: list[Node]) -> Node:
        condition, yes, no = parts
        return Conditional(condition=condition, yes=yes, no=no, **_at(condition, *parts))

    # Construction

    def new(self, parts: list[Any]) -> Node:
        token, arguments, *initializer = parts
        elements = initializer[0] if initializer else []
        inside = [*arguments, *_flat(elements)]
        return New(
            type=type_name(token, _line(token)),
            arguments=tuple(arguments),
            elements=tuple(elements),
            **_at(token, *inside),
        )

    def new_with(self, parts: list[Any]) -> Node:
        token, elements = parts
        if token.endswith("]"):
            kind = type_name(token, _line(token)).removesuffix("[]")
            return self._array(token, kind, None, elements)
        return self.new([token, [], elements])

    def new_array(self, parts: list[Any]) -> Node:
        token, size = parts
        return self._array(token, type_name(token, _line(token)), size, [])

    def new_array_of(self, parts: list[Any]) -> Node:
        return self._array(None, None, None, parts[0])

    def _array(
        self,
        token: lark.Token | None,
        kind: str | None,
        size: Node | None,
        elements: Sequence[Node | tuple[Node, Node]],
    ) -> Node:
        values = [each for each in elements if isinstance(each, Node)]
        where = token or size or next(iter(values), None) or Name(name="", line=1, depth=1)
        if len(values) != len(elements):
            raise ExpressionError("An array takes values, not keys", _line(where))
        return NewArray(type=kind, size=size, elements=tuple(values), **_at(where, size, *values))

    def new_anonymous(self, parts: list[Any]) -> Node:
        nodes = [value for _, value in parts]
        where = nodes[0] if nodes else Name(name="", line=1, depth=1)
        return NewAnonymous(pairs=tuple(parts), **_at(where, *nodes))

    def initializer(self, parts: list[Any]) -> list[Any]:
        return parts

    def entry(self, parts: list[Node]) -> tuple[Node, Node]:
        return parts[0], parts[1]

    def pair(self, parts: list[Any]) -> tuple[str, Node]:
        name = parts[0]
        return str(name), parts[1] if len(parts) == 2 else self.name([name])

    # Statements

    def body(self, parts: list[Node]) -> Node:
        where = parts[0] if parts else Name(name="", line=1, depth=1)
        return Block(statements=tuple(parts), **_at(where, *parts))

    def scope(self, parts: list[Node]) -> Node:
        return parts[0]

    def nothing(self, _: list[Node]) -> Node:
        return Block(statements=(), line=1, depth=1)

    def declarator(self, parts: list[Any]) -> tuple[lark.Token, Node | None]:
        return parts[0], parts[1] if len(parts) == 2 else None

    def declaration(self, parts: list[Any]) -> Node:
        kind = _declared(parts[0])
        made = [
            Declare(type=kind, name=str(name), value=value, **_at(name, value))
            for name, value in parts[1:]
        ]
        return made[0] if len(made) == 1 else Several(statements=tuple(made), **_at(made[0], *made))

    def declaration_of_unknown(self, parts: list[Any]) -> Node:
        raise ExpressionError(
            f"The local Azure does not know the type '{parts[0]}'", _line(parts[0])
        )

    def assign(self, parts: list[Node]) -> Node:
        target, value = parts
        return Assign(target=target, operator=None, value=value, **_at(target, target, value))

    def assign_compound(self, parts: list[Any]) -> Node:
        target, operator, value = parts
        return Assign(
            target=target, operator=operator[0], value=value, **_at(operator, target, value)
        )

    def increment(self, parts: list[Any]) -> Node:
        token = next(part for part in parts if isinstance(part, lark.Token))
        target = next(part for part in parts if isinstance(part, Node))
        one = Literal(type="int", value=1, line=_line(token), depth=1)
        return Assign(target=target, operator=str(token)[0], value=one, **_at(token, target))

    def evaluate(self, parts: list[Node]) -> Node:
        return Evaluate(value=parts[0], **_at(parts[0], parts[0]))

    def if_(self, parts: list[Node]) -> Node:
        condition, yes, *no = parts
        return If(condition=condition, yes=yes, no=no[0] if no else None, **_at(condition, *parts))

    def foreach(self, parts: list[Any]) -> Node:
        token, name, values, body = parts
        return ForEach(
            type=_declared(token),
            name=str(name),
            values=values,
            body=body,
            **_at(name, values, body),
        )

    def for_part(self, parts: list[Node]) -> Node | None:
        return parts[0] if parts else None

    for_condition = for_part

    def for_(self, parts: list[Any]) -> Node:
        first, condition, step, body = parts
        return For(first=first, condition=condition, step=step, body=body, **_at(body, *parts))

    def while_(self, parts: list[Node]) -> Node:
        condition, body = parts
        return For(first=None, condition=condition, step=None, body=body, **_at(body, *parts))

    def using(self, parts: list[Node]) -> Node:
        return Block(statements=tuple(parts), **_at(parts[0], *parts))

    def try_(self, parts: list[Any]) -> Node:
        body, *caught, handler = parts
        for kind in caught[:1]:
            if type_name(kind, _line(kind)) != "Exception":
                raise ExpressionError(
                    f"catch: '{kind}' is no exception that the local Azure knows", _line(kind)
                )
        name = str(caught[1]) if len(caught) == 2 else None
        return Try(body=body, name=name, handler=handler, **_at(body, body, handler))

    def label(self, parts: list[Node]) -> tuple[Node | None]:
        return (parts[0] if parts else None,)

    def section(self, parts: list[Any]) -> tuple[tuple[Node | None, ...], Node]:
        labels = tuple(part[0] for part in parts if isinstance(part, tuple))
        statements = [part for part in parts if isinstance(part, Node)]
        return labels, self.body(statements)

    def switch(self, parts: list[Any]) -> Node:
        value, *sections = parts
        nodes = [node for labels, body in sections for node in (*labels, body)]
        return Switch(value=value, sections=tuple(sections), **_at(value, value, *nodes))

    def break_(self, _: list[Node]) -> Node:
        return Jump(kind="break", line=1, depth=1)

    def continue_(self, _: list[Node]) -> Node:
        return Jump(kind="continue", line=1, depth=1)

    def return_(self, parts: list[Node]) -> Node:
        return Return(value=parts[0], **_at(parts[0], parts[0]))

    def throw(self, parts: list[Node]) -> Node:
        return Throw(value=parts[0], **_at(parts[0], parts[0]))


def _flat(elements: Sequence[Node | tuple[Node, Node]]) -> list[Node]:
    return [node for each in elements for node in ((each,) if isinstance(each, Node) else each)]


def _declared(token: lark.Token) -> str | None:
    return None if token.type == "VAR" else type_name(token, _line(token))


def _split_format(hole: str) -> tuple[str, str]:
    """Split `value:format` at the colon that is no operator's and in no brackets or quotes."""
    open_brackets = 0
    quoted = False
    question = 0
    for position, character in enumerate(hole):
        if character == '"' and hole[position - 1 : position] != "\\":
            quoted = not quoted
        elif quoted:
            continue
        elif character in "([":
            open_brackets += 1
        elif character in ")]":
            open_brackets -= 1
        elif character == "?" and hole[position + 1 : position + 2] not in (".", "?", "["):
            question += hole[position - 1 : position] != "?"
        elif character == ":" and not open_brackets and not question:
            return hole[:position], hole[position + 1 :]
    return hole, ""


@functools.cache
def _parser() -> lark.Lark:
    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return lark.Lark(
        grammar.replace("TYPE_NAMES", TYPE_PATTERN),
        parser="lalr",
        start=["body", "conditional"],
        transformer=_Builder(),
        maybe_placeholders=False,
        cache=False if sys.dont_write_bytecode else _tables(),
    )


def _tables() -> str:
    """Return where the grammar's tables are kept: where Python keeps what it compiled.

    They are a pickle, to be trusted as far as the modules that are compiled there.
    Working them out takes a third of a second; lark does it again when they do not fit the grammar,
    are broken or could not be written.
    """
    kept = Path(importlib.util.cache_from_source(str(Path(__file__).with_name("grammar.py"))))
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
    return str(kept.with_suffix(".lark"))
