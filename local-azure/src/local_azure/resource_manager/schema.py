"""What a request body may hold: kinds of values, and reading a body by them.

A kind reports problems and returns the value as it is stored: without nulls and without the
read-only properties that a client sends back from an earlier GET.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing wrong with a body.

    With `malformed` the body does not have the shape of its type (unknown property, wrong kind of
    value), otherwise a value is outside what its property allows.
    """

    path: str
    message: str
    malformed: bool


class Kind(Protocol):
    """A kind of value."""

    def read(self, value: Any, path: str, problems: list[Problem]) -> Any:
        """Return the value as it is stored; append what is wrong with it."""


def _wrong_kind(value: Any, path: str, wanted: str) -> Problem:
    return Problem(
        path=path,
        message=f"Error converting value {_shown(value)} to type '{wanted}'. Path '{path}'.",
        malformed=True,
    )


def _shown(value: Any) -> str:
    match value:
        case bool() | int() | float():
            return str(value)
        case str():
            return f'"{value[:80]}"'
        case list():
            return "of an array"
        case _:
            return "of an object"


def _out_of_range(path: str, message: str) -> Problem:
    return Problem(path=path, message=f"'{_leaf(path)}' {message}", malformed=False)


def _leaf(path: str) -> str:
    return path.rsplit(".", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class Text:
    """A string: length in characters, and the values or the form it is limited to."""

    shortest: int = 0
    longest: int = 1_000_000
    one_of: tuple[str, ...] = ()
    form: re.Pattern[str] | None = None
    form_is: str = ""

    def read(self, value: Any, path: str, problems: list[Problem]) -> Any:
        """Read a string."""
        if not isinstance(value, str):
            problems.append(_wrong_kind(value, path, "String"))
        elif self.one_of and value not in self.one_of:
            allowed = ", ".join(f"'{each}'" for each in self.one_of)
            problems.append(_out_of_range(path, f"should be one of {allowed}, not '{value[:80]}'."))
        elif not value and self.shortest:
            problems.append(_out_of_range(path, "should not be empty"))
        elif not self.shortest <= len(value) <= self.longest:
            limits = f"between {self.shortest} and {self.longest}"
            problems.append(
                _out_of_range(path, f"should be {limits} characters long, not {len(value)}.")
            )
        elif self.form and not self.form.fullmatch(value):
            problems.append(_out_of_range(path, f"should be {self.form_is}, not '{value[:80]}'."))
        return value


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A whole number; 1.0 is one, as clients that know only floating point write it.

    With `or_text` so is "1", as the Azure CLI writes the capacity of a deployment.
    """

    least: int = -(2**31)
    most: int = 2**31 - 1
    or_text: bool = False

    def read(self, value: Any, path: str, problems: list[Problem]) -> Any:
        """Read a whole number."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if self.or_text and isinstance(value, str) and re.fullmatch(r"\d{1,10}", value, re.ASCII):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            problems.append(_wrong_kind(value, path, "Int32"))
        elif not self.least <= value <= self.most:
            problems.append(
                _out_of_range(path, f"should be between {self.least} and {self.most}, not {value}.")
            )
        return value


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number, whole or not."""

    least: float = -math.inf
    most: float = math.inf

    def read(self, value: Any, path: str, problems: list[Problem]) -> Any:
        """Read a number."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            problems.append(_wrong_kind(value, path, "Double"))
        elif not self.least <= value <= self.most:
            problems.append(
                _out_of_range(path, f"should be between {self.least} and {self.most}, not {value}.")
            )
        return value


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def read(self, value: Any, path: str, problems: list[Problem]) -> Any:
        """Read a boolean."""
        if not isinstance(value, bool):
            problems.append(_wrong_kind(value, path, "Boolean"))
        return value


@dataclass(frozen=True)
class Anything:
    """Any JSON value."""

    def read(self, value: Any, path: str, problems: list[Problem]) -> Any:  # noqa: ARG002
        """Read any value."""
        return value


@dataclass(frozen=True, kw_only=True)
class Items:
    """An array of at most `most` values of one kind."""

    of: Kind
    most: int = 10_000

    def read(self, value: Any, path: str, problems: list[Problem]) -> Any:
        """Read an array."""
        if not isinstance(value, list):
            problems.append(_wrong_kind(value, path, "Array"))
            return value
        if len(value) > self.most:
            problems.append(
                _out_of_range(path, f"should have at most {self.most} items, not {len(value)}.")
            )
        return [self.of.read(item, f"{path}[{n}]", problems) for n, item in enumerate(value)]


@dataclass(frozen=True, kw_only=True)
class Named:
    """An object with names of the caller's choice and values of one kind."""

    of: Kind

    def read(self, value: Any, path: str, problems: list[Problem]) -> Any:
        """Read an object."""
        if not isinstance(value, dict):
            problems.append(_wrong_kind(value, path, "Object"))
            return value
        return {
            name: self.of.read(item, f"{path}.{name}", problems)
            for name, item in value.items()
            if item is not None
        }


@dataclass(frozen=True, kw_only=True)
class Shape:
    """An object with the properties of a definition in Azure's specification.

    `read_only` properties are taken and dropped; a null counts as absent.
    """

    name: str
    properties: Mapping[str, Kind]
    required: frozenset[str] = field(default_factory=frozenset)
    read_only: frozenset[str] = field(default_factory=frozenset)

    def read(self, value: Any, path: str, problems: list[Problem]) -> Any:
        """Read an object of the definition's properties."""
        if not isinstance(value, dict):
            problems.append(_wrong_kind(value, path, self.name))
            return value
        problems.extend(self._unknown(value, path))
        given = {name: item for name, item in value.items() if item is not None}
        problems.extend(
            Problem(
                path=_join(path, name), message=f"'{name}' should not be empty", malformed=False
            )
            for name in sorted(self.required - given.keys())
        )
        return {
            name: self.properties[name].read(item, _join(path, name), problems)
            for name, item in given.items()
            if name in self.properties
        }

    def _unknown(self, value: Mapping[str, Any], path: str) -> Iterator[Problem]:
        for name in value:
            if name not in self.properties and name not in self.read_only:
                at = _join(path, name)
                yield Problem(
                    path=at,
                    message=f"Could not find member '{name}' on object of type '{self.name}'."
                    f" Path '{at}'.",
                    malformed=True,
                )


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
