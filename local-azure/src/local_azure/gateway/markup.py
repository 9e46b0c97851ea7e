"""Policy XML to a tree of elements with line numbers, expressions cut out.

Policies are written as `rawxml`: an expression may hold quotes, `<` and `&&` that no XML parser
takes, or the same as entities. So expressions are found first, by their own brackets and string
literals, and replaced; what is left is XML.
"""

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from lxml import etree

MAX_CHARACTERS: Final = 262_144  # API Management limits: a policy document has at most 256 KiB
MAX_ATTRIBUTES: Final = 100
_ENTITY = re.compile(r"&(#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6}|lt|gt|amp|quot|apos);")
_SKIPPED = {"<!--": "-->", "<![CDATA[": "]]>"}
# An expression is the whole of an attribute's value or of an element's text: it starts one.
_NEXT = re.compile(r"<!--|<!\[CDATA\[|(?:=\s*[\"']|>)\s*(?=@[({])")
# In well-formed XML, once what may hold any `<` is skipped over.
_START_TAG = re.compile(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<([^\s/>!?]+)", re.DOTALL)
_MARK = "\ue000"  # of the private use area: no policy holds it
PLACEHOLDER = re.compile(rf"@\({_MARK}(\d+){_MARK}\s*\)")
# A named value's display name (API Management, "Named Value - Create Or Update").
_NAMED_VALUE = re.compile(r"\{\{([A-Za-z0-9._-]{1,256})\}\}")
# All of it an expression: its own brackets are the outermost.
_CDATA = re.compile(r"<!\[CDATA\[\s*(@\(.*\)|@\{.*\})\s*\]\]>", re.DOTALL)
_CLOSING = {"(": ")", "{": "}"}
_QUOTES = ("'", '"')
_MAX_NESTED_STRINGS: Final = 10


class PolicyError(Exception):
    """A policy that cannot be compiled; `line` counts from 1 in the document.

    `element` names the statement it is about, where it is about one.
    """

    def __init__(self, message: str, line: int, element: str = "") -> None:
        super().__init__(f"{message} (line {line})")
        self.message = message
        self.line = line
        self.element = element


@dataclass(frozen=True)
class ExpressionSource:
    """What stands between `@(` and `)`, with the line it starts on; `block` for `@{ }`."""

    text: str
    line: int
    block: bool

    @property
    def whole(self) -> str:
        """The expression with its brackets."""
        return f"@{{{self.text}}}" if self.block else f"@({self.text})"


@dataclass(frozen=True)
class Element:
    """An element of the policy; a value is text, or the expression that stands for it."""

    name: str
    line: int
    attributes: dict[str, str | ExpressionSource]
    text: str | ExpressionSource
    children: list["Element"] = field(default_factory=list)


def parse(document: str, named_values: Mapping[str, str] | None = None) -> Element:
    """Read a policy document, named values put in. Raises PolicyError."""
    if len(document) > MAX_CHARACTERS:
        raise PolicyError(f"The policy is longer than {MAX_CHARACTERS} characters", 1)
    if _MARK in document:
        raise PolicyError("The policy holds the character U+E000", 1)
    xml, sources = cut_expressions(document)
    if "<!DOCTYPE" in xml:
        # Refused unread: entities declared there could grow without end, or name files.
        raise PolicyError("A policy has no document type declaration", 1)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(xml.encode("utf-8"), parser)
    except (etree.XMLSyntaxError, UnicodeEncodeError) as error:
        line = getattr(error, "lineno", None) or 1
        reason = str(getattr(error, "msg", None) or error)
        raise PolicyError(f"The policy is not well-formed XML: {reason}", line) from None
    for beside in (*root.itersiblings(), *root.itersiblings(preceding=True)):
        _refuse_instruction(beside)
    return _element(root, _Reader(sources, named_values or {}, _lines(xml)))


class _Reader:
    """Puts expressions back in the place of their marks, and values in that of their names.

    `lines` gives the line each element begins on, in their order.
    """

    def __init__(
        self,
        sources: list[ExpressionSource],
        named_values: Mapping[str, str],
        lines: Iterator[int],
    ) -> None:
        self.lines = lines
        self._sources = sources
        self._named_values = named_values

    def value(self, text: str, name: str, line: int) -> str | ExpressionSource:
        """Return what stands in an attribute or a text of the element `name`."""
        stripped = text.strip()
        if match := PLACEHOLDER.fullmatch(stripped):
            source = self._sources[int(match[1])]
            if "{{" not in source.text:
                return source
            return replace(source, text=self._filled(source.text, name, source.line))
        if _MARK in text or stripped.startswith(("@(", "@{")):
            raise PolicyError("An expression must be all of the value", line)
        if "{{" not in text:
            return text
        text = self._filled(text, name, line)
        stripped = text.strip()
        # API Management, "Use named values": one may hold an expression.
        for block, (start, end) in enumerate((("@(", ")"), ("@{", "}"))):
            if stripped.startswith(start) and stripped.endswith(end):
                return ExpressionSource(stripped[2:-1], line, bool(block))
        return text

    def _filled(self, text: str, name: str, line: int) -> str:
        def fill(match: re.Match[str]) -> str:
            if match[1] not in self._named_values:
                at = line + text.count("\n", 0, match.start())
                raise PolicyError(
                    f"Error in element '{name}': Cannot find a property '{match[1]}'", at, name
                )
            return self._named_values[match[1]]

        return _NAMED_VALUE.sub(fill, text)


def _lines(xml: str) -> Iterator[int]:
    """Give the line of each start tag: the parser knows that of its end alone."""
    position, line = 0, 1
    for tag in _START_TAG.finditer(xml):
        if tag[1]:
            line += xml.count("\n", position, tag.start())
            position = tag.start()
            yield line


def _refuse_instruction(node: "etree._Element") -> None:
    if node.tag is not etree.Comment:
        raise PolicyError("Only elements, text and comments are read here", node.sourceline or 1)


def _element(node: "etree._Element", reader: _Reader) -> Element:
    line = next(reader.lines)
    if len(node.attrib) > MAX_ATTRIBUTES:  # the parser looks each up among all the others
        raise PolicyError(f"Error in element '{node.tag}': more attributes than any has", line)
    children = []
    text = node.text or ""
    for child in node:
        if isinstance(child.tag, str):
            children.append(_element(child, reader))
        else:
            _refuse_instruction(child)
        text += child.tail or ""
    tag = str(node.tag)
    return Element(
        name=tag,
        line=line,
        attributes={
            str(name): reader.value(str(value), tag, line) for name, value in node.attrib.items()
        },
        text=reader.value(text, tag, line),
        children=children,
    )


def cut_expressions(document: str) -> tuple[str, list[ExpressionSource]]:
    """Put a `PLACEHOLDER`, with its number, in the place of each expression: the rest is XML."""
    sources: list[ExpressionSource] = []
    pieces = []
    position, line = 0, 1
    for start, end in _expressions(document):
        line += document.count("\n", position, start)
        sources.append(_source(document[start:end], line))
        # As many lines as before, so that the XML parser counts them right.
        lines = "\n" * document.count("\n", start, end)
        line += len(lines)
        pieces += [document[position:start], f"@({_MARK}{len(sources) - 1}{_MARK}{lines})"]
        position = end
    return "".join([*pieces, document[position:]]), sources


def _source(text: str, line: int) -> ExpressionSource:
    """Return an expression that begins on a line; in CDATA nothing stands for anything else."""
    inner = _CDATA.fullmatch(text)
    if inner is None:
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    else:
        line += text.count("\n", 0, inner.start(1))
        text = inner[1]
    return ExpressionSource(text[2:-1], line, text[1] == "{")


def _expressions(document: str) -> Iterator[tuple[int, int]]:
    """Find where expressions start and end; a comment holds none, CDATA may be one."""
    position = 0
    while found := _NEXT.search(document, position):
        closing = _SKIPPED.get(found[0])
        if closing is None:
            position = _expression_end(document, found.end())
            yield found.end(), position
            continue
        end = document.find(closing, found.end())
        if end < 0:
            return  # the XML parser says what is not closed
        end += len(closing)
        if _CDATA.fullmatch(document, found.start(), end):
            yield found.start(), end
        # A comment's own `>` may stand before an expression.
        position = end - 1


def _expression_end(document: str, start: int) -> int:
    """Return where the expression at `start`, which reads `@(` or `@{`, ends."""
    expected: list[str] = []
    characters = _characters(document, start + 1)
    for character, end in characters:
        if character in _CLOSING:
            expected.append(_CLOSING[character])
        elif character in _CLOSING.values():
            if expected.pop() != character:
                break
            if not expected:
                return end
        else:
            _skip_token(characters, document, character, end)
    raise PolicyError("The expression does not end", 1 + document.count("\n", 0, start))


def _skip_token(
    characters: Iterator[tuple[str, int]],
    document: str,
    character: str,
    end: int,
    *,
    depth: int = 0,
) -> None:
    """Go past the literal or comment that begins with `character`, if one does."""
    if depth > _MAX_NESTED_STRINGS:
        raise PolicyError(
            "Interpolated strings are nested too deeply", 1 + document.count("\n", 0, end)
        )
    following = _peek(document, end)
    if character in _QUOTES:
        _skip_literal(characters, character)
    elif character == "/" and following in ("/", "*"):
        _skip_comment(characters, document)
    elif character == "@" and following == '"':
        next(characters)
        _skip_verbatim(characters, document)
    elif character == "$" and following == '"':
        next(characters)
        _skip_interpolated(characters, document, verbatim=False, depth=depth)
    elif character + following in ("$@", "@$"):
        _, after = next(characters)
        if _peek(document, after) == '"':
            next(characters)
            _skip_interpolated(characters, document, verbatim=True, depth=depth)


def _characters(document: str, position: int) -> Iterator[tuple[str, int]]:
    """Give each character, entities decoded, with the position after it."""
    while position < len(document):
        match = _ENTITY.match(document, position)
        text = html.unescape(match[0]) if match else document[position]
        position = match.end() if match else position + 1
        yield text, position


def _peek(document: str, position: int) -> str:
    return next(_characters(document, position), ("", 0))[0]


def _skip_literal(characters: Iterator[tuple[str, int]], quote: str) -> None:
    for character, _ in characters:
        if character == "\\":
            next(characters, None)
        elif character == quote:
            return


def _skip_comment(characters: Iterator[tuple[str, int]], document: str) -> None:
    ends_line = next(characters)[0] == "/"
    for character, end in characters:
        if ends_line and character == "\n":
            return
        if not ends_line and character == "*" and _peek(document, end) == "/":
            next(characters)
            return


def _skip_verbatim(characters: Iterator[tuple[str, int]], document: str) -> None:
    for character, end in characters:
        if character == '"':
            if _peek(document, end) != '"':
                return
            next(characters)


def _skip_interpolated(
    characters: Iterator[tuple[str, int]], document: str, *, verbatim: bool, depth: int
) -> None:
    for character, end in characters:
        following = _peek(document, end)
        if character == "\\" and not verbatim:
            next(characters, None)
        elif character in "{}" and following == character:
            next(characters)
        elif character == "{":
            _skip_hole(characters, document, depth + 1)
        elif character == '"':
            if not (verbatim and following == '"'):
                return
            next(characters)


def _skip_hole(characters: Iterator[tuple[str, int]], document: str, depth: int) -> None:
    open_braces = 1
    for character, end in characters:
        open_braces += {"{": 1, "}": -1}.get(character, 0)
        if not open_braces:
            return
        _skip_token(characters, document, character, end, depth=depth)


def named_values(document: str) -> frozenset[str]:
    """Return the names of the named values that a document asks for."""
    return frozenset(_NAMED_VALUE.findall(document))
