"""Lines for people: in a terminal none breaks a word, and a sign of life takes one line."""

import os
import shutil
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO


def in_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can go back in a line."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def wrapped(line: str, width: int) -> list[str]:
    """Break a line between words; a number stays with its unit, and an indentation is kept."""
    indent = " " * (len(line) - len(line.lstrip()))
    parts = textwrap.wrap(
        line.replace(" %", "\xa0%"),
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [part.replace("\xa0", " ") for part in parts] or [""]


def printer(stream: TextIO) -> Callable[[str], None]:
    """Return what prints a line: whole, or in a terminal broken between words."""
    if not stream.isatty():
        return lambda line: print(line, file=stream, flush=True)
    width = shutil.get_terminal_size().columns
    return lambda line: print("\n".join(wrapped(line, width)), file=stream, flush=True)


class Ticker:
    """Lines with the time. A sign of life is overwritten by what comes next, or stays in a pipe."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._clear = ""

    def news(self, line: str) -> None:
        print(self._clear, end="", file=self._stream)
        self._clear = ""
        printer(self._stream)(_stamped(line))

    def life(self, line: str) -> None:
        if in_terminal(self._stream):
            line = _stamped(line)[: shutil.get_terminal_size().columns - 1]
            print(f"{self._clear}{line}", end="", file=self._stream, flush=True)
            self._clear = "\r\x1b[K"
        else:
            self.news(line)

    def close(self) -> None:
        """Leave the last sign of life behind, and the cursor on a line of its own."""
        if self._clear:
            print(file=self._stream, flush=True)


def _stamped(line: str) -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}"
