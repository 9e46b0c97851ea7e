"""The tree of an expression: one class a construct of C#."""

from dataclasses import dataclass


class ExpressionError(Exception):
    """An expression that cannot be compiled; `line` counts from 1 within the expression."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """Part of an expression; `depth` is that of the tree below it."""

    line: int
    depth: int


# --- expressions -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Literal(Node):
    """A constant of a type."""

    type: str
    value: object


@dataclass(frozen=True, kw_only=True, slots=True)
class Name(Node):
    """`context`, a local variable or a lambda's parameter."""

    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TypeName(Node):
    """A type where a value could stand: `string` of `string.Empty`."""

    type: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Parenthesized(Node):
    """Parentheses end a `?.` chain."""

    inner: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Member(Node):
    """`target.name`, `target?.name`."""

    target: Node
    name: str
    conditional: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Call(Node):
    """`target.name<generic>(arguments)`."""

    target: Node
    name: str
    generic: str | None
    arguments: tuple[Node, ...]
    conditional: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Index(Node):
    """`target[key]`."""

    target: Node
    key: Node
    conditional: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Lambda(Node):
    """`parameter => body`, as an argument."""

    parameter: str
    body: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Named(Node):
    """`name: value`, as an argument."""

    name: str
    value: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Out(Node):
    """`out name`, as an argument; with a type (or `var`) it declares the variable."""

    name: str
    type: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Unary(Node):
    """`!` and `-`."""

    operator: str
    operand: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Binary(Node):
    """An operator between two values."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditional(Node):
    """`condition ? yes : no`."""

    condition: Node
    yes: Node
    no: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Cast(Node):
    """`(type)operand`; of a `nullable` type, as in `(bool?)operand`, null stays null."""

    type: str
    nullable: bool
    operand: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class As(Node):
    """`operand as type`."""

    type: str
    operand: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Is(Node):
    """`operand is type name`; `type` is None for `is null`."""

    type: str | None
    operand: Node
    name: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpolated(Node):
    """`$"text {value:format}"`: text, and values with their formats, in order."""

    parts: tuple[str | tuple[Node, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class New(Node):
    """`new type(arguments) { elements }`; an element is a value, or a key with its value."""

    type: str
    arguments: tuple[Node, ...]
    elements: tuple[Node | tuple[Node, Node], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class NewArray(Node):
    """`new[] { elements }`, `new type[] { elements }` or `new type[size]`."""

    type: str | None
    size: Node | None
    elements: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class NewAnonymous(Node):
    """`new { name = value }`."""

    pairs: tuple[tuple[str, Node], ...]


# --- statements --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Declare(Node):
    """`type name = value;`; `type` is None for `var`."""

    type: str | None
    name: str
    value: Node | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Assign(Node):
    """`target = value;`, with an operator for `target += value;`."""

    target: Node
    operator: str | None
    value: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluate(Node):
    """A call for what it does."""

    value: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Block(Node):
    """Statements with a scope of their own."""

    statements: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Several(Node):
    """`type one, other;`: statements in the scope around them."""

    statements: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class If(Node):
    """`if (condition) yes else no`."""

    condition: Node
    yes: Node
    no: Node | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ForEach(Node):
    """`foreach (type name in values) body`; `type` is None for `var`."""

    type: str | None
    name: str
    values: Node
    body: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class For(Node):
    """`for (first; condition; step) body`; `while` has neither first nor step."""

    first: Node | None
    condition: Node | None
    step: Node | None
    body: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Try(Node):
    """`try body catch (type name) handler`."""

    body: Node
    name: str | None
    handler: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Switch(Node):
    """`switch (value)`: sections of labels (None is `default`) and statements."""

    value: Node
    sections: tuple[tuple[tuple[Node | None, ...], Node], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Jump(Node):
    """`break` or `continue`."""

    kind: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Return(Node):
    """`return value;`."""

    value: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Throw(Node):
    """`throw value;`."""

    value: Node
