"""A policy as API Management gives it back: XML again, in lines and indents of its own.

What was put is not kept as a text. Source: API Management 2024-05-01, examples of "Policy - Get"
and of "Api Policy - Create Or Update" (`NonXmlEncoded`); azure-rest-api-specs#25306 and
terraform-provider-azurerm#3145 for the tabs. Assumed: where a text stands between elements, nothing
is indented, and an empty element has no end tag.
"""

import functools
import re
from collections.abc import Iterator
from typing import Final
from xml.sax.saxutils import escape

from lxml import etree

from local_azure.gateway.markup import PLACEHOLDER, PolicyError, cut_expressions

_LINE: Final = "\r\n"
_IN_ATTRIBUTES: Final = {'"': "&quot;", "\n": "&#xA;", "\r": "&#xD;", "\t": "&#x9;"}
_EXPRESSION: Final = re.compile(r"\s*@[({]")
_PARSER: Final = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


@functools.lru_cache(maxsize=64)
def exported(document: str, *, given: str, wanted: str = "xml") -> str:
    """Return a policy, `given` in a format, in the `wanted` one: `xml` or `rawxml`.

    Raises PolicyError for what is no XML; in `xml` that is any expression that is not escaped.
    """
    xml, expressions = cut_expressions(document) if given == "rawxml" else (document, [])
    try:
        root = etree.fromstring(xml.encode("utf-8"), _PARSER)
    except (etree.XMLSyntaxError, UnicodeEncodeError) as error:
        line, column = getattr(error, "position", (1, 1))
        reason = str(getattr(error, "msg", None) or error).partition(", line ")[0]
        raise PolicyError(f"{reason}. Line {line}, position {column}.", line) from None

    def value(text: str, also: dict[str, str]) -> str:
        whole = PLACEHOLDER.sub(lambda match: expressions[int(match[1])].whole, text)
        is_raw = wanted == "rawxml" and _EXPRESSION.match(whole)
        return whole if is_raw else escape(whole, also)

    def written(node: "etree._Element", depth: int) -> Iterator[str]:
        if not isinstance(node.tag, str):
            yield f"<!--{node.text or ''}-->"
            return
        attributes = "".join(
            f' {name}="{value(str(text), _IN_ATTRIBUTES)}"' for name, text in node.attrib.items()
        )
        texts = [node.text or "", *(child.tail or "" for child in node)]
        is_mixed = any(map(str.strip, texts))
        if not is_mixed and len(node) == 0:
            yield f"<{node.tag}{attributes} />"
            return
        yield f"<{node.tag}{attributes}>"
        yield value(texts[0], {}) if is_mixed else ""
        for child, tail in zip(node, texts[1:], strict=True):
            yield "" if is_mixed else _LINE + "\t" * (depth + 1)
            yield from written(child, depth + 1)
            yield value(tail, {}) if is_mixed else ""
        yield "" if is_mixed else _LINE + "\t" * depth
        yield f"</{node.tag}>"

    before = [*root.itersiblings(preceding=True)][::-1]
    return _LINE.join("".join(written(node, 0)) for node in (*before, root, *root.itersiblings()))
