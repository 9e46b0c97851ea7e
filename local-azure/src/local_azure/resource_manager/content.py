"""Request bodies: JSON that means the same to everyone who reads it, and ends."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from local_azure.resource_manager.request import Unreadable

MAX_DEPTH: Final = 64  # of .NET's own readers (System.Text.Json, `JsonReaderOptions.MaxDepth`)
_MAX_DIGITS: Final = 19  # an Int64, the largest number that Azure's specifications have

_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


def decode(content: bytes) -> Any:
    """Read a request body; what cannot be read is an Unreadable."""
    try:
        document = json.loads(
            content,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_fraction,
            parse_int=_whole,
        )
        _check(document)
    except RecursionError:
        return Unreadable(reason="it is nested too deeply")
    except ValueError as error:
        return Unreadable(reason=str(error))
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the property {json.dumps(twice[:80])} is there twice")
    return found


def _constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _fraction(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def _whole(text: str) -> int:
    if len(text.lstrip("-")) > _MAX_DIGITS:
        raise ValueError(f"the number {text[:40]} is too large")
    return int(text)


def _check(document: Any) -> None:
    """Refuse what is nested too deeply, and text that no encoding or no file name can hold."""
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for each in level for inner in _within(each)]
        if not level:
            return
    raise ValueError("it is nested too deeply")


def _within(value: Any) -> Iterable[Any]:
    match value:
        case dict():
            return (*value, *value.values())
        case list():
            return value
        case str() if _NO_TEXT.search(value):
            raise ValueError("a text holds a NUL or half a surrogate pair")
        case _:
            return ()
