"""Text of anyone's making in Markdown that is ours."""

import re
from collections.abc import Sequence
from typing import Final

_WIDTH: Final = 20
# What begins a construct of Markdown, a mention or a reference of GitHub, or HTML; a colon when a
# scheme, an address or an emoji may be around it.
_SPECIAL: Final = re.compile(r"[\\`*_{}\[\]()<>#+\-.!|~$@&]|:(?=\S)")
# Control characters, and those that turn the direction of text around (Unicode's "bidi" set).
_INVISIBLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+"
)
_BREAK: Final = "&#8203;"  # a zero-width space


def escape(text: str) -> str:
    """Return a text that cannot leave its place in the document, be it a paragraph or a cell.

    GitHub looks for mentions, references, addresses and emoji in what is left once Markdown has
    been rendered, where no escape is left to stop it: a zero-width space parts them.
    """
    return _SPECIAL.sub(_escaped, _INVISIBLE.sub(" ", text))


def fenced(lines: Sequence[str], language: str, longest: int) -> list[str]:
    """Return lines of anyone's making as a block of code that none of them can end."""
    shown = [_INVISIBLE.sub(" ", line)[:longest] for line in lines]
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", "\n".join(shown)))])
    return [f"{fence}{language}", *shown, fence]


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character in "@#:":
        return f"&#{ord(character)};{_BREAK}"
    return f"&#{ord(character)};" if character in "&<>|" else f"\\{character}"


def bar(share: float) -> str:
    """Return a share from 0 to 1 as a bar of text."""
    filled = round(_WIDTH * share)
    return f"`{'█' * filled}{'░' * (_WIDTH - filled)}`"
