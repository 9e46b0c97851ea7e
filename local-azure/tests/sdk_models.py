"""What Microsoft's SDK models say of a body: names, types, what is required, read-only, listed."""

import importlib
import inspect
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

_KEY = re.compile(r"(?<!\\)\.")
_SCALARS = {
    "str": str,
    "int": int,
    "bool": bool,
    "float": float,
    "iso-8601": str,
    "rfc-1123": str,
    "duration": str,
}


@dataclass(kw_only=True)
class Described:
    """A value of a body. `kind` is `object`, `list`, `map`, `any` or the name of a scalar.

    `values` are an enumeration's; `limits` have the SDK's own names: max_length, minimum, ...
    """

    kind: str
    required: bool = False
    read_only: bool = False
    values: frozenset[str] = frozenset()
    limits: Mapping[str, Any] = field(default_factory=dict)
    members: dict[str, "Described"] = field(default_factory=dict)
    of: "Described | None" = None


def described(model: str) -> Described:
    """Describe a model by its dotted name: `azure.mgmt.apimanagement.models:BackendContract`."""
    module, _, name = model.partition(":")
    return _object(name, importlib.import_module(module), ())


def _object(name: str, module: Any, outer: tuple[str, ...]) -> Described:
    model = getattr(module, name)
    whole = Described(kind="object")
    if name in outer:  # a model that holds itself
        return Described(kind="any")
    if not hasattr(model, "_attribute_map"):
        return _newer_object(model, module, (*outer, name))
    annotations = inspect.signature(model.__init__).parameters
    for attribute, how in model._attribute_map.items():
        *parents, leaf = [part.replace("\\.", ".") for part in _KEY.split(how["key"])]
        rules = dict(model._validation.get(attribute, {}))
        node = _typed(how["type"], module, (*outer, name))
        node.required = bool(rules.pop("required", False))
        node.read_only = bool(rules.pop("readonly", False))
        node.limits = rules
        if attribute in annotations:
            holder = node.of if node.kind == "list" and node.of else node
            holder.values = _enumerated(annotations[attribute].annotation, module)
        target = whole
        for parent in parents:
            target = target.members.setdefault(parent, Described(kind="object"))
            target.required |= node.required
        target.members[leaf] = node
    return whole


def _typed(kind: str, module: Any, outer: tuple[str, ...]) -> Described:
    if kind.startswith("["):
        return Described(kind="list", of=_typed(kind[1:-1], module, outer))
    if kind.startswith("{"):
        return Described(kind="map", of=_typed(kind[1:-1], module, outer))
    if kind in _SCALARS:
        return Described(kind=_SCALARS[kind].__name__)
    if kind == "object":
        return Described(kind="any")
    found = getattr(module, kind, None)
    if isinstance(found, type) and issubclass(found, Enum):
        return Described(kind="str", values=frozenset(each.value for each in found))
    return _object(kind, module, outer)


def _newer_object(model: Any, module: Any, outer: tuple[str, ...]) -> Described:
    """Describe a model of a generator that says by annotations what a body has."""
    whole = Described(kind="object")
    for owner in reversed(model.__mro__):
        for attribute, annotation in vars(owner).get("__annotations__", {}).items():
            rest = vars(owner).get(attribute)
            if not hasattr(rest, "_rest_name_input"):
                continue
            node = _annotated(annotation, module, outer)
            node.read_only = rest._visibility == ["read"]
            node.required = type(None) not in typing.get_args(annotation) and not node.read_only
            whole.members[rest._rest_name_input or attribute] = node
    return whole


def _annotated(annotation: Any, module: Any, outer: tuple[str, ...]) -> Described:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Union:
        return _annotated(next(each for each in arguments if each is not type(None)), module, outer)
    if origin in (dict, list):
        of = _annotated(arguments[-1], module, outer)
        return Described(kind="map" if origin is dict else "list", of=of)
    if isinstance(annotation, typing.ForwardRef):
        name = annotation.__forward_arg__.rpartition(".")[2]
        return _object(name, module, outer)
    return Described(kind={str: "str", int: "int", bool: "bool"}.get(annotation, "any"))


def _enumerated(annotation: Any, module: Any) -> frozenset[str]:
    """Return the values of `Optional[Union[str, "_models.Name"]]`."""
    for part in typing.get_args(annotation):
        if typing.get_args(part):
            if found := _enumerated(part, module):
                return found
            continue
        name = part.__forward_arg__ if isinstance(part, typing.ForwardRef) else part
        if isinstance(name, str) and name.startswith("_models."):
            found = getattr(module, name.rpartition(".")[2], None)
            if isinstance(found, type) and issubclass(found, Enum):
                return frozenset(each.value for each in found)
    return frozenset()


def misfits(value: Any, model: Described, path: str = "") -> list[str]:
    """Return where a body is not what a model describes; a null is as good as nothing."""
    if value is None or model.kind == "any":
        return []
    if model.kind == "object" and isinstance(value, dict):
        return [
            misfit
            for name, inner in value.items()
            for misfit in (
                misfits(inner, model.members[name], f"{path}.{name}".lstrip("."))
                if name in model.members
                else [f"{path}.{name}".lstrip(".") + ": not of the model"]
            )
        ]
    if model.kind == "map" and isinstance(value, dict) and model.of:
        return [m for k, v in value.items() for m in misfits(v, model.of, f"{path}.{k}")]
    if model.kind == "list" and isinstance(value, list) and model.of:
        return [m for n, v in enumerate(value) for m in misfits(v, model.of, f"{path}[{n}]")]
    kinds = {"str": str, "int": int, "bool": bool, "float": (int, float)}
    if model.kind not in kinds or not isinstance(value, kinds[model.kind]):
        return [f"{path}: {type(value).__name__}, not {model.kind}"]
    if model.kind != "bool" and isinstance(value, bool):
        return [f"{path}: bool, not {model.kind}"]
    if model.values and value not in model.values:
        return [f"{path}: {value!r} is none of {', '.join(sorted(model.values))}"]
    return []
