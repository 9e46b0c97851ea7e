"""Reading config by table: the value of each key, or a line that says how to correct it.

A section of config is described by a table of `Field`s. `Report` reads sections by such tables, and
notes every mistake it meets instead of stopping at the first.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

REQUIRED: Final = object()


class WrongValueError(Exception):
    """A value is not what belongs to its key; the message says what does."""


@dataclass(frozen=True)
class Field:
    """A key of a section; `read` returns its value, or raises WrongValueError."""

    read: Callable[[Any], Any]
    default: Any = REQUIRED


@dataclass(frozen=True, kw_only=True)
class Report:
    """Reads sections and gathers their mistakes in `problems`; a wrong value is left out."""

    namespace: str
    problems: list[str] = field(default_factory=list)

    def refuse(self, path: str, found: str, remedy: object) -> None:
        """Note a mistake: the key, what was found there, and what to do about it."""
        self.problems.append(f"{self.namespace}:{path} {found}: {remedy}")

    def section(self, path: str, value: Any, fields: Mapping[str, Field]) -> dict[str, Any]:
        """Read a mapping; None, for a section that is off or is wrong itself, has no values."""
        values: dict[str, Any] = {}
        if value is None:
            return values
        prefix = f"{path}." if path else ""
        for name in value:
            if name not in fields:
                found = f"is {shown(value[name])}, but there is no such key"
                key = name if re.fullmatch(r"[\w.-]{1,60}", str(name)) else shown(name)
                self.refuse(f"{prefix}{key}", found, _nearest(str(name)[:60], fields))
        for name, entry in fields.items():
            if name not in value and entry.default is not REQUIRED:
                values[name] = entry.default
                continue
            try:
                values[name] = entry.read(value.get(name))
            except WrongValueError as remedy:
                found = f"is {shown(value[name])}" if name in value else "is missing"
                self.refuse(f"{prefix}{name}", found, remedy)
        return values

    def entries(self, path: str, value: Any, fields: Mapping[str, Field]) -> list[dict[str, Any]]:
        """Read a list of mappings; each keeps its position, a wrong one as an empty mapping."""
        sections = []
        for position, entry in enumerate(value or ()):
            key = f"{path}[{position}]"
            if isinstance(entry, Mapping):
                sections.append(self.section(key, entry, fields))
            else:
                sections.append({})
                remedy = f"write a mapping with the keys {', '.join(fields)}"
                self.refuse(key, f"is {shown(entry)}", remedy)
        return sections

    def unique(self, path: str, sections: list[dict[str, Any]], name: str) -> None:
        """Refuse a text that two entries of a list share; Azure's names ignore case."""
        first: dict[str, int] = {}
        for position, section in enumerate(sections):
            if name not in section:
                continue
            earlier = first.setdefault(section[name].lower(), position)
            if earlier != position:
                self.refuse(
                    f"{path}[{position}].{name}",
                    f"is {shown(section[name])}",
                    f"{path}[{earlier}] has this {name} already; give each its own",
                )


def shown(value: Any) -> str:
    """Write a value as JSON, short enough for a line."""
    line = json.dumps(value, default=str, ensure_ascii=False)
    return line if len(line) <= 60 else f"{line[:57]}..."


def mapping(value: Any) -> Any:
    """Read a mapping; `Report.section` reads what is in it."""
    if not isinstance(value, Mapping):
        raise WrongValueError(f"write a mapping of keys to values{_json_fault(value)}")
    return value


def list_of(remedy: str) -> Callable[[Any], Any]:
    """Read a list; `Report.entries` reads what is in it."""

    def read(value: Any) -> Any:
        if not isinstance(value, list):
            raise WrongValueError(f"{remedy}{_json_fault(value)}")
        return value

    return read


def whole(low: int, high: int | None = None) -> Callable[[Any], int]:
    """Read a whole number in a range; neither `true` nor 1.0 nor "1" is one."""
    meant = f"of at least {low}" if high is None else f"from {low} to {high}"

    def read(value: Any) -> int:
        if type(value) is not int or value < low or (high is not None and value > high):
            quotes = ", without quotes" if isinstance(value, str) else ""
            raise WrongValueError(f"write a whole number {meant}{quotes}")
        return value

    return read


def boolean(value: Any) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise WrongValueError("write true or false")
    return value


def one_of(choice: Collection[str]) -> Callable[[Any], str]:
    """Read one of a few words."""

    def read(value: Any) -> str:
        if isinstance(value, str) and value in choice:
            return value
        raise WrongValueError(f"write one of {', '.join(choice)}")

    return read


def text(pattern: str, remedy: str) -> Callable[[Any], str]:
    """Read text that a pattern matches as a whole."""
    compiled = re.compile(pattern)

    def read(value: Any) -> str:
        if isinstance(value, str) and compiled.fullmatch(value):
            return value
        raise WrongValueError(remedy)

    return read


def optional(read: Callable[[Any], Any], *absent: Any) -> Callable[[Any], Any]:
    """Read a value that may also be written as one of `absent`, and is None then."""
    return lambda value: None if value in absent else read(value)


def _nearest(name: str, valid: Collection[str]) -> str:
    by_lower = {key.lower(): key for key in valid}
    near = get_close_matches(name.lower(), by_lower, n=1)
    return f"did you mean `{by_lower[near[0]]}`?" if near else f"the keys are {', '.join(valid)}"


def _json_fault(value: Any) -> str:
    """Say where JSON breaks off: `pulumi config set` stores any text."""
    if isinstance(value, str) and value.startswith(("[", "{")):
        try:
            json.loads(value)
        except json.JSONDecodeError as fault:
            return f" (as JSON: {fault.msg} at character {fault.pos + 1})"
    return ""
