"""What the fuzzer makes its cases of: valid documents with a few edits, and words in odd order."""

import copy
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Final

ODD_TEXTS: Final = [
    "",
    " ",
    "a",
    "..",
    "/",
    "\x00",
    "\n",
    "\u2028",
    "\ud800",
    "\U0001f600",
    "é",
    "{0}",
    "{",
    "}",
    "%s",
    "*",
    "'",
    '"',
    "<",
    "&",
    "@(1)",
    "[secret]",
    "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
    "1e999",
    "-1",
    "NaN",
    "true",
    "null",
    "PT1M",
    "P99999999999D",
    "https://x.example/openai",
    "http://[",
    "http://a:b@c:99999/",
    "2026-03-17",
    "a" * 300,
    "=" * 3000,
]
_VALUES: Final = [
    *(None, True, False, 0, 1, -1, 101, 2**31, 2**63, 10**40, 0.5, 1.0, -0.0, 1e308),
    *(float("inf"), float("nan"), [], {}, [[]], [None], {"": None}),
    *ODD_TEXTS,
]
_COUNTS: Final = (0, 1, 1, 1, 2, 2, 4)
"""How many edits a document gets: with one it is still taken, often, or nearly so."""


def text(rng: Random) -> str:
    """An odd text, or a short one of any characters."""
    if rng.random() < 0.7:
        return rng.choice(ODD_TEXTS)
    return "".join(chr(rng.choice((rng.randrange(0x80), rng.randrange(0x110000)))) for _ in "abc")


def words(rng: Random, vocabulary: Sequence[str], *, most: int = 20) -> list[str]:
    """Words in any order, few of them odd."""
    return [
        rng.choice(vocabulary) if rng.random() < 0.9 else text(rng)
        for _ in range(rng.randint(0, most))
    ]


def edited(rng: Random, *documents: Any) -> Any:
    """One of some JSON documents, changed in a few places."""
    holder = {"": copy.deepcopy(rng.choice(documents))}
    for _ in range(rng.choice(_COUNTS)):
        container, key = rng.choice(list(_places(holder)))
        value, inner = copy.deepcopy(rng.choice(_VALUES)), container[key]
        match rng.choice(("set", "drop", "add", "twice", "deep")):
            case "drop" if container is not holder:
                del container[key]
            case "add" if isinstance(inner, dict):
                inner[text(rng)] = value
            case "add" if isinstance(inner, list):
                inner.insert(rng.randint(0, len(inner)), value)
            case "twice" if isinstance(container, list):
                container.append(copy.deepcopy(inner))
            case "deep":
                container[key] = rng.choice(([[[inner]]], {"properties": {"value": inner}}))
            case _:
                container[key] = value
    return holder[""]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a document, as its container and the key or the index within it."""
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(each, (dict, list)):
            yield from _places(each)


def spliced(rng: Random, *originals: str) -> str:
    """One of some texts, with a few pieces cut out, put in or repeated."""
    found = rng.choice(originals)
    for _ in range(rng.choice(_COUNTS)):
        start, copied = rng.randint(0, len(found)), rng.randint(0, len(found))
        piece = rng.choice(("", text(rng), found[copied : copied + rng.randint(1, 40)]))
        found = found[:start] + piece + found[start + rng.randint(0, 12) :]
    return found


def smaller(case: Any) -> Iterator[Any]:
    """Cases like this one with less in them, those with the least first."""
    if isinstance(case, (str, bytes, list)):
        size = len(case)
        while size:
            for start in range(0, len(case), size):
                yield case[:start] + case[start + size :]
            size //= 2
    if isinstance(case, dict):
        for key in case:
            yield {name: value for name, value in case.items() if name != key}
        for key, value in case.items():
            yield from ({**case, key: less} for less in smaller(value))
    if isinstance(case, (list, tuple)):
        for index, value in enumerate(case):
            for less in smaller(value):
                yield type(case)((*case[:index], less, *case[index + 1 :]))
