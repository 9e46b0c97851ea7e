"""The types that expressions know, and how a table describes a method of one.

A signature such as `string, [int], object...` names the parameters' types: `[ ]` may be left out,
`?` may be null, `out` is a variable to set, and `...` stands for any number. A type `T` is the
element of the collection, `K` and `V` those of a dictionary.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Run = Callable[[Any], Any]


# A type's name as it is written -> its one name here. A character is a string of one.
TYPE_NAMES: Final[Mapping[str, str]] = {
    "string": "string",
    "String": "string",
    "char": "string",
    "Char": "string",
    "int": "int",
    "Int32": "int",
    "long": "long",
    "Int64": "long",
    "uint": "long",
    "double": "double",
    "Double": "double",
    "float": "double",
    "decimal": "double",
    "bool": "bool",
    "Boolean": "bool",
    "byte": "byte",
    "object": "object",
    "Object": "object",
    "Guid": "Guid",
    "DateTime": "DateTime",
    "DateTimeOffset": "DateTimeOffset",
    "TimeSpan": "TimeSpan",
    "JToken": "JToken",
    "JObject": "JObject",
    "JArray": "JArray",
    "JValue": "JValue",
    "JProperty": "JProperty",
    "JTokenType": "JTokenType",
    "JsonConvert": "JsonConvert",
    "Formatting": "Formatting",
    "Jwt": "Jwt",
    "BasicAuthCredentials": "Basic",
    "IResponse": "Response",
    "IUrl": "Url",
    "List": "List",
    "IList": "List",
    "IEnumerable": "IEnumerable",
    "HashSet": "HashSet",
    "Dictionary": "Dictionary",
    "IDictionary": "Dictionary",
    "KeyValuePair": "KeyValuePair",
    "StringComparison": "StringComparison",
    "StringComparer": "StringComparison",
    "StringSplitOptions": "StringSplitOptions",
    "Convert": "Convert",
    "Encoding": "Encoding",
    "Math": "Math",
    "Random": "Random",
    "Uri": "Uri",
    "WebUtility": "WebUtility",
    "Exception": "Exception",
    "SHA256": "SHA256",
    "HMACSHA256": "HMACSHA256",
    "BitConverter": "BitConverter",
    "Enumerable": "Enumerable",
    "Array": "Array",
}


_NAMES = "|".join(sorted(TYPE_NAMES, key=len, reverse=True))


_NAME_PATTERN = (
    r"(?:System\.(?:[A-Z][A-Za-z0-9]*\.)*|Newtonsoft\.Json\.(?:Linq\.)?)?"
    rf"(?:{_NAMES})(?![A-Za-z0-9_])"
)


_ARGUMENTS = rf"(?:<\s*{_NAME_PATTERN}(?:\[\])?(?:\s*,\s*{_NAME_PATTERN}(?:\[\])?)?\s*>)?"


# `int?` before a name or a closing bracket, and not the `?` of a condition.
TYPE_PATTERN: Final = (
    rf"{_NAME_PATTERN}{_ARGUMENTS}(?:\[\s*\])*(?:\?(?=\s+[A-Za-z_]\w*\s*[=;)]|\s*[)>]))?"
)


BASES: Final[Mapping[str, str]] = {
    "JObject": "JToken",
    "JArray": "JToken",
    "JValue": "JToken",
    "JProperty": "JToken",
}


NUMBERS: Final = ("int", "long", "double")


_WIDENED: Final = (("int", "double"), ("int", "long"), ("long", "double"), ("byte", "int"))


# Which become JSON by themselves.
_JSON_SCALARS: Final = (
    "string",
    *NUMBERS,
    "bool",
    "DateTime",
    "DateTimeOffset",
    "Guid",
    "TimeSpan",
)


def generic(kind: str) -> tuple[str, list[str]]:
    """Split `List<int>` and `int[]` into a name and arguments; an array's name is `[]`."""
    if kind.endswith("[]"):
        return "[]", [kind[:-2]]
    name, angle, rest = kind.partition("<")
    if not angle:
        return kind, []
    parts, open_brackets = [""], 0
    for character in rest[:-1]:
        open_brackets += {"<": 1, ">": -1}.get(character, 0)
        if character == "," and not open_brackets:
            parts.append("")
        else:
            parts[-1] += character
    return name, parts


def element_type(kind: str) -> str | None:
    """Return the type of a collection's elements; None for what is no collection."""
    name, arguments = generic(kind)
    if name in ("[]", "List", "IEnumerable", "HashSet"):
        return arguments[0] if arguments else "object"
    if name == "Dictionary":
        return f"KeyValuePair<{','.join(arguments)}>"
    return {
        "JArray": "JToken",
        "JToken": "JToken",
        **dict.fromkeys(("Claims", "Headers", "Query"), "KeyValuePair<string,string[]>"),
        "JObject": "KeyValuePair<string,JToken>",
        "string": "string",
    }.get(kind)


def fits(given: str, wanted: str) -> bool:
    """Tell whether a value of a type is taken, unchanged or converted, where one is wanted."""
    if wanted in (given, "object"):
        return True
    if given == "null":
        return wanted not in (*NUMBERS, "bool", "DateTime", "DateTimeOffset", "TimeSpan", "Guid")
    if (given, wanted) in _WIDENED:
        return True
    if wanted == "JToken":
        return given in BASES or given in _JSON_SCALARS
    if wanted == "JValue":
        return False
    if (given, wanted) == ("DateTime", "DateTimeOffset"):
        return True
    name, arguments = generic(wanted)
    if name == "IEnumerable":
        inner = element_type(given)
        return inner is not None and given != "string" and arguments[0] in (inner, "object")
    return False


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method."""

    type: str
    name: str = ""
    optional: bool = False
    nullable: bool = False
    out: bool = False


@dataclass(frozen=True)
class Method:
    """A method of a type, by its signature: what it takes, what it gives, what it does."""

    parameters: tuple[Parameter, ...]
    rest: str | None
    result: str
    run: Callable[..., Any]

    @property
    def signature(self) -> str:
        """What it takes: `(string, [int])`, in brackets what may be left out."""
        kinds = [
            f"[{each.type}]" if each.optional else f"{'out ' if each.out else ''}{each.type}"
            for each in self.parameters
        ]
        return f"({', '.join(kinds + ([f'params {self.rest}[]'] if self.rest else []))})"


def method(signature: str, result: str, run: Callable[..., Any]) -> Method:
    """Return a method; this module's docstring has the form of a signature."""
    parameters = []
    rest = None
    for text in filter(None, re.split(r", (?![^<]*>)", signature)):
        if text.endswith("..."):
            rest = text.removesuffix("...")
            continue
        optional = text.startswith("[")
        kind, _, name = (text[1:-1] if optional else text.removeprefix("out ")).partition(" ")
        parameters.append(
            Parameter(
                type=kind.removesuffix("?"),
                name=name,
                optional=optional,
                nullable=kind.endswith("?"),
                out=text.startswith("out "),
            )
        )
    return Method(tuple(parameters), rest, result, run)


Overloads = Method | tuple[Method, ...]
