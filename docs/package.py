"""The components for programs: their part of docs/package.md, and components/args.py.

The tables show the package's schema. The types of a Python program's arguments come from where that
comes from, the settings, as Python can write what a schema for every language leaves out: `protect`
is a section or `False`, `breaker` may be `None`.
"""

import re
import textwrap
from collections.abc import Iterator
from typing import Any, Final

from pydantic.alias_generators import to_snake

from components import package

Json = dict[str, Any]
_WIDTH: Final = 100
_KEYWORD: Final = "except"  # a key of Protection, which no class in Python can declare
_CONSTANTS: Final = {"true": "True", "false": "False", "null": "None"}
_SIMPLE: Final = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
}


def components() -> str:
    """Return the components and types of the package as tables."""
    schema = package.schema()
    parts = []
    for token, section in schema["resources"].items():
        parts += [
            f"## {_name(token)}",
            f"`{token}`: {_sentences(section)}",
            _table("input", section["inputProperties"], section["requiredInputs"]),
            _table("output", section["properties"], section["required"]),
        ]
    taken = {
        name
        for section in schema["resources"].values()
        for name in _reached(section["inputProperties"], schema)
    }
    for what in ("input", "output"):
        parts.append(f"## Types of {what}s")
        for token, section in sorted(schema["types"].items()):
            if (_name(token) in taken) == (what == "input"):
                parts += [
                    f"### {_name(token)}",
                    _sentences(section),
                    _table(what, section["properties"], section.get("required", ())),
                ]
    return "\n\n".join(parts)


def _name(token: str) -> str:
    return token.rpartition(":")[2]


def _sentences(section: Json) -> str:
    return str(section["description"]).replace("\n\n", " ").replace("\n", " ")


def _reached(properties: Json, schema: Json) -> Iterator[str]:
    """Name the types that some properties are made of, and those that these are made of."""
    for each in properties.values():
        token = each.get("items", each).get("$ref", "").removeprefix("#/types/")
        if token in schema["types"]:
            yield _name(token)
            yield from _reached(schema["types"][token]["properties"], schema)


def _table(what: str, properties: Json, required: list[str]) -> str:
    rows = [f"| {what} | type | required | description |", "|---|---|---|---|"]
    for name, each in properties.items():
        is_needed = "yes" if name in required else ""
        description = each["description"].replace("|", r"\|")
        rows.append(f"| `{name}` | {_type(each, what)} | {is_needed} | {description} |")
    return "\n".join(rows)


def _type(each: Json, what: str) -> str:
    if "items" in each:
        return f"list of {_type(each['items'], what)}"
    if "additionalProperties" in each:
        return f"map of {_type(each['additionalProperties'], what)}"
    if reference := each.get("$ref"):
        name = _name(reference)
        return f"[{name}](#{name.lower()})" if reference.startswith("#") else "anything"
    is_eventual = what == "input" and not each.get("plain")
    return f"{each['type']} or output" if is_eventual else str(each["type"])


def arguments() -> str:
    """Return components/args.py."""
    classes: dict[str, str] = {}  # each after those that it names
    for component, (settings, _) in package.COMPONENTS.items():
        name = component.__name__
        declared = settings.model_json_schema()
        sections = {**declared["$defs"], name: declared}
        sections[name]["description"] = f"Arguments of {name}."
        _add(classes, name, sections)
    return "\n\n\n".join([_HEAD, *classes.values()]) + "\n"


_HEAD: Final = '''\
"""What the components take, for type checkers and editors.

Generated from components/settings.py by `python -m docs.reference`; do not edit.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict

import pulumi'''


def _add(classes: dict[str, str], name: str, sections: Json) -> None:
    """Add a section's class, after those of the sections that it names."""
    properties = sections[name]["properties"]
    for each in _references(properties):
        _add(classes, each, sections)
    required = sections[name].get("required", ())
    base, before, keys = "TypedDict", [], []
    for key, declared in properties.items():
        kind = _python_type(declared)
        kind = kind if key in required else f"NotRequired[{kind}]"
        text = _in_python(package.described(declared), sections)
        if key == _KEYWORD:
            base = f"_{name}Base"
            text = f"`{key}`, which is a keyword of Python: {text[0].lower()}{text[1:]}"
            before = [f'{base} = TypedDict("{base}", {{"{key}": {kind}}})', *_quoted(text), "", ""]
        else:
            keys += [f"    {to_snake(key)}: {kind}", *_quoted(text, "    ")]
    head = [f"class {name}Args({base}):", *_quoted(sections[name]["description"], "    "), ""]
    classes[name] = "\n".join([*before, *head, *keys])


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield _last(part["$ref"])
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from _references(each)


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]


def _python_type(key: Json) -> str:
    if choices := key.get("anyOf"):
        return " | ".join(_python_type(each) for each in choices)
    if "$ref" in key:
        return f"{_last(key['$ref'])}Args"
    if "const" in key:
        return f'Literal["{key["const"]}"]'
    if key["type"] == "array":
        return f"Sequence[{_python_type(key['items'])}]"
    if key["type"] == "object":
        return f"Mapping[str, {_python_type(key['additionalProperties'])}]"
    kind = _SIMPLE[key["type"]]
    return f"pulumi.Input[{kind}]" if key.get("eventual") else kind


def _in_python(text: str, sections: Json) -> str:
    """Write the names and constants in a description as a Python program has them."""
    names = {key for section in sections.values() for key in section["properties"]}
    words = {**{name: to_snake(name) for name in names}, **_CONSTANTS}

    def written(found: re.Match[str]) -> str:
        return re.sub(r"\w+", lambda word: words.get(word[0], word[0]), found[0])

    return re.sub(r"`[^`]+`|Default: \w+", written, text)


def _quoted(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        f'"""{text}"""',
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
