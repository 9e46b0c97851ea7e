"""Property values as Pulumi passes them: JSON in which a secret is wrapped and an unknown marked.

Inputs, outputs and the checkpoint all hold values of this one form.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from google.protobuf import struct_pb2

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # what a preview cannot know yet
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - Pulumi's mark, not a secret
REDACTED = "[secret]"

Json: TypeAlias = Any


def secret(value: Json) -> Json:
    """Wrap a value as a secret; a secret stays as it is."""
    return value if is_secret(value) else {SIGNATURE: SECRET_SIGNATURE, "value": value}


def is_secret(value: Json) -> bool:
    """Whether the value itself is a secret (one inside it does not count)."""
    return isinstance(value, dict) and value.get(SIGNATURE) == SECRET_SIGNATURE


def plain(value: Json) -> Json:
    """Return the value with every secret in the clear: for a request, never for display."""
    return _replace_secrets(value, plain)


def redacted(value: Json) -> Json:
    """Return the value with `[secret]` in place of every secret: for display."""
    return _replace_secrets(value, lambda _: REDACTED)


def _replace_secrets(value: Json, replace: Callable[[Json], Json]) -> Json:
    if is_secret(value):
        return replace(value["value"])
    if isinstance(value, dict):
        return {key: _replace_secrets(item, replace) for key, item in value.items()}
    if isinstance(value, list):
        return [_replace_secrets(item, replace) for item in value]
    return value


def has_secret(value: Json) -> bool:
    """Whether a secret is anywhere in the value."""
    return is_secret(value) or any(has_secret(item) for item in _items(value))


def marked(
    outputs: Mapping[str, Json], inputs: Mapping[str, Json], also: frozenset[str] = frozenset()
) -> dict[str, Json]:
    """Wrap as secrets the outputs that echo a secret input, and those in `also`."""
    return {
        key: secret(value) if key in also or has_secret(inputs.get(key)) else value
        for key, value in outputs.items()
    }


def has_unknown(value: Json) -> bool:
    """Whether an unknown is anywhere in the value."""
    return value == UNKNOWN or any(has_unknown(item) for item in _items(value))


def _items(value: Json) -> Sequence[Json]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else ()


def from_struct(struct: struct_pb2.Struct) -> dict[str, Json]:
    """Return a protobuf struct as JSON, its keys sorted.

    Its numbers are doubles: whole ones become integers.
    """
    return {key: _from_value(value) for key, value in sorted(struct.fields.items())}


def _from_value(value: struct_pb2.Value) -> Json:
    match value.WhichOneof("kind"):
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return from_struct(value.struct_value)
        case "list_value":
            return [_from_value(item) for item in value.list_value.values]
    return None


def to_struct(value: Mapping[str, Json]) -> struct_pb2.Struct:
    """Return JSON as a protobuf struct."""
    struct = struct_pb2.Struct()
    struct.update(value)
    return struct


@dataclass(frozen=True, kw_only=True)
class Change:
    """One property that differs; `path` as in `pool.services[0].weight`."""

    path: str
    kind: Literal["add", "delete", "update"]
    old: Json = None
    new: Json = None


def changes(old: Json, new: Json) -> list[Change]:
    """Return what differs between two property values, deepest properties first named.

    A change of secrecy alone is no change; an unknown differs from every known value. `old` and
    `new` of a change that touches a secret are `[secret]`.
    """
    return list(_changes("", old, new, hidden=False))


def _changes(path: str, old: Json, new: Json, *, hidden: bool) -> Iterator[Change]:
    hidden = hidden or is_secret(old) or is_secret(new)
    old = old["value"] if is_secret(old) else old
    new = new["value"] if is_secret(new) else new
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _member(
                f"{path}.{key}" if path else key,
                *((key in side, side.get(key)) for side in (old, new)),
                hidden=hidden,
            )
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from _member(
                f"{path}[{index}]",
                *(
                    (index < len(side), side[index] if index < len(side) else None)
                    for side in (old, new)
                ),
                hidden=hidden,
            )
    elif old != new or isinstance(old, bool) is not isinstance(new, bool):  # True == 1 in Python
        yield _change(path, "update", old, new, hidden=hidden)


def _member(
    path: str, old: tuple[bool, Json], new: tuple[bool, Json], *, hidden: bool
) -> Iterator[Change]:
    if old[0] and new[0]:
        yield from _changes(path, old[1], new[1], hidden=hidden)
    elif old[0]:
        yield _change(path, "delete", old[1], None, hidden=hidden)
    else:
        yield _change(path, "add", None, new[1], hidden=hidden)


def _change(
    path: str, kind: Literal["add", "delete", "update"], old: Json, new: Json, *, hidden: bool
) -> Change:
    if hidden:
        old, new = (None if kind == "add" else REDACTED), (None if kind == "delete" else REDACTED)
    return Change(path=path, kind=kind, old=redacted(old), new=redacted(new))


def within(path: str, ancestor: str) -> bool:
    """Whether a property path is the other one or lies below it; `*` is above all."""
    return ancestor in ("*", path) or path.startswith((f"{ancestor}.", f"{ancestor}["))
