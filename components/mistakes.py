"""Mistakes in a config or in a component's arguments, as lines: key, value and remedy."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any, Final, Self

import pydantic

from .keys import is_output
from .traffic import SECRET

NAMESPACE: Final = "openai-gateway"

Path = tuple[int | str, ...]  # of a value in the config, as ("regions", 0, "name")


class Mistake(str):
    """A line about a value: `path` is where it stands, `reason` the value and the remedy."""

    __slots__ = ("path", "reason")
    path: str
    reason: str

    def __new__(cls, path: str, reason: str) -> Self:
        line = super().__new__(cls, f"{NAMESPACE}:{path} {reason}")
        line.path, line.reason = path, reason
        return line


class SettingsError(Exception):
    """The stack's config has mistakes; `problems` has a line for each: key, value and remedy."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def mistake(path: str, found: str, remedy: object) -> Mistake:
    return Mistake(path, f"{found}: {remedy}")


def shown(value: Any) -> str:
    line = _printable(json.dumps(value, default=_told, ensure_ascii=False))
    return line if len(line) <= 60 else f"{line[:57]}..."


def _told(value: object) -> str:
    return "an output" if is_output(value) else str(value)


def _printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()  # JSON may hold half a surrogate pair


def line_of(of: type[pydantic.BaseModel], error: Any) -> Mistake:
    kind, path, value = error["type"], error["loc"], error["input"]
    if is_output(value):
        remedy = "what is declared depends on it; write a plain value"
        return mistake(_written(path), "is an output, not known before a deployment", remedy)
    declared = _declared(of, path)
    near = nearest(str(path[-1])[:60], declared.get("properties", ()), "the keys are")
    # A webhook's URL is its key, wherever it is written by mistake.
    is_webhook = path[-1] == "webhook" or "`webhook`" in near
    is_open = not is_webhook and (path[-1] == "url" or "://" not in shown(value))
    found = "is missing" if kind == "missing" else f"is {shown(value) if is_open else SECRET}"
    remedy = error["msg"] if kind == "remedy" else _remedy(declared)
    if kind == "extra_forbidden":
        found += ", but there is no such key"
        remedy = near
    elif kind == "int_type" and isinstance(value, str):
        remedy += ", without quotes"
    return mistake(_written(path), found, remedy + _json_fault(value))


@cache
def _schema(of: type[pydantic.BaseModel]) -> dict[str, Any]:
    return of.model_json_schema()


def _declared(of: type[pydantic.BaseModel], path: Path) -> dict[str, Any]:
    """Find in the schema what a path leads to, or its section where there is no such key."""
    part = _schema(of)

    def resolved(part: dict[str, Any]) -> dict[str, Any]:
        return _schema(of)["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part

    for step in path:
        if isinstance(step, int):
            part = resolved(part["items"])
        else:
            choices = map(resolved, (part, *part.get("anyOf", ())))
            section = next(
                each for each in choices if each.keys() & {"properties", "propertyNames"}
            )
            free = section.get("additionalProperties") or section
            part = section.get("properties", {}).get(step, free)
    return part


def _remedy(declared: dict[str, Any]) -> str:
    if "properties" in declared:
        return f"write a mapping with the keys {', '.join(declared['properties'])}"
    for choice in (declared, *declared.get("anyOf", ())):
        if "errorMessage" in choice:
            return str(choice["errorMessage"])
    is_switch = declared.get("type") == "boolean"
    return "write true or false" if is_switch else "write a mapping of keys to values"


def nearest(name: str, valid: Collection[str], all_of_them: str) -> str:
    by_lower = {key.lower(): key for key in valid}
    near = get_close_matches(name.lower(), by_lower, n=1)
    return f"did you mean `{by_lower[near[0]]}`?" if near else f"{all_of_them} {', '.join(valid)}"


def _written(path: Path) -> str:
    """Write a path as `regions[0].name`; a key that is no word is quoted."""
    words = [key if re.fullmatch(r"[\w.-]{1,60}", str(key)) else shown(key) for key in path]
    steps = [f"[{key}]" if isinstance(key, int) else f".{key}" for key in words]
    return "".join(steps).removeprefix(".")


def _json_fault(value: Any) -> str:
    """Say where JSON breaks off: `pulumi config set` stores any text."""
    if isinstance(value, str) and value.startswith(("[", "{")):
        try:
            json.loads(value)
        except json.JSONDecodeError as fault:
            return f" (as JSON: {fault.msg} at character {fault.pos + 1})"
    return ""


def readable(value: Any, path: Path, wrong: Collection[Path]) -> Any:
    """Copy a config without what is wrong in it; a wrong entry of a list becomes an empty one."""
    if isinstance(value, Mapping):
        items = {_printable(str(key)): each for key, each in value.items()}.items()
        return {k: readable(v, (*path, k), wrong) for k, v in items if (*path, k) not in wrong}
    if isinstance(value, list):
        entries = ((each, (*path, position)) for position, each in enumerate(value))
        return [{} if at in wrong else readable(each, at, wrong) for each, at in entries]
    return value
