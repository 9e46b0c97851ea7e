"""Text of anyone's making in Markdown that is ours."""

import re
from typing import Final

_WIDTH: Final = 20
# What begins a construct of Markdown, a mention or a reference of GitHub, or HTML.
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$@&])")
# Control characters, and those that turn the direction of text around (Unicode's "bidi" set).
_INVISIBLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+"
)


def escape(text: str) -> str:
    """Return a text that cannot leave its place in the document, be it a paragraph or a cell."""
    return _SPECIAL.sub(_escaped, _INVISIBLE.sub(" ", text))


def _escaped(match: re.Match[str]) -> str:
    character = match[1]
    # A backslash before @ or # does not keep GitHub from reading a mention or a reference.
    return f"&#{ord(character)};" if character in "@&<>|#" else f"\\{character}"


def bar(share: float) -> str:
    """Return a share from 0 to 1 as a bar of text."""
    filled = round(_WIDTH * share)
    return f"`{'█' * filled}{'░' * (_WIDTH - filled)}`"
