"""The Pulumi package `openai-gateway`: the components for programs in every Pulumi language.

Its schema is what settings.py and contract.py declare, so that a description has one home; docs/
package-schema.json keeps it. Why it is not inferred from annotations: docs/decisions/0035.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

import pulumi
import pydantic
from pulumi.provider import ConstructResult, Provider
from pydantic.alias_generators import to_camel

from . import __version__
from .backend_pool import BackendPool
from .contract import (
    MonitoringOutputs,
    Outputs,
    PoolOutputs,
    declared_type,
    export,
)
from .load_balanced_openai import LoadBalancedOpenAI
from .mistakes import NAMESPACE, Mistake, SettingsError, shown
from .monitoring import Monitoring
from .settings import MonitoringSettings, PoolSettings, Settings

NAME: Final = NAMESPACE
COMPONENTS: Final[dict[Any, tuple[type[pydantic.BaseModel], Any]]] = {
    LoadBalancedOpenAI: (Settings, Outputs),
    BackendPool: (PoolSettings, PoolOutputs),
    Monitoring: (MonitoringSettings, MonitoringOutputs),
}
"""Each with what declares its arguments and its outputs."""
_TYPES: Final = {str: "string", int: "integer"}
_LANGUAGES: Final = ("csharp", "go", "java", "nodejs", "python")

Json = dict[str, Any]


class Package(Provider):
    """Constructs the components, whatever the language of the program that asks for one."""

    def __init__(self) -> None:
        super().__init__(__version__, json.dumps(schema()))

    def construct(
        self,
        name: str,
        resource_type: str,
        inputs: pulumi.Inputs,
        options: pulumi.ResourceOptions | None = None,
    ) -> ConstructResult:
        """Declare a component. Raises InputPropertiesError with every mistake in its arguments."""
        by_token = {_token(each.__name__): each for each in COMPONENTS}
        if (component := by_token.get(resource_type)) is None:
            named = ", ".join(each.__name__ for each in COMPONENTS)
            told = f"{resource_type}: there is no such component; the package has {named}"
            raise pulumi.RunError(told)
        try:
            declared: Any = component(name, _arguments(inputs), options)
        except SettingsError as error:
            raise pulumi.InputPropertiesError(
                f"what is wrong with the arguments of {name}:",
                [_property(each) for each in error.problems],
            ) from None
        state = _camel(export(declared.outputs))
        if component is LoadBalancedOpenAI:
            # A secret within a mapping reaches not every language whole (docs/decisions/0035).
            state["stackOutputs"] = pulumi.Output.from_input(declared.stack_outputs)
        return ConstructResult(declared.urn, state)


def _property(problem: str) -> pulumi.InputPropertyErrorDetails:
    if isinstance(problem, Mistake):
        return {"property_path": problem.path, "reason": problem.reason}
    return {"property_path": "", "reason": problem}


def _arguments(value: Any) -> Any:
    """Copy arguments: whole numbers as such, and an output for what is not known yet."""
    if isinstance(value, Mapping):
        return {key: _arguments(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_arguments(each) for each in value]
    if isinstance(value, float) and value.is_integer():  # as the engine sends every number
        return int(value)
    is_unknown = isinstance(value, pulumi.output.Unknown)
    return pulumi.Output.from_input(value) if is_unknown else value


def _camel(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {to_camel(key): _camel(each) for key, each in value.items()}
    return [_camel(each) for each in value] if isinstance(value, list) else value


def _token(name: str) -> str:
    return f"{NAME}:index:{name}"


def schema() -> Json:
    """Return the package's schema, as the Pulumi CLI generates SDKs from it.

    What an argument decides is plain: an output cannot stand for it. What nothing is decided by may
    be one.
    """
    resources, types = {}, {}
    for component, (arguments, outputs) in COMPONENTS.items():
        declared = arguments.model_json_schema()
        for name, section in declared.get("$defs", {}).items():
            types[_token(name)] = _object(section, description=section["description"])
        inputs = _object(declared)
        given = _outputs(outputs, types)
        if component is LoadBalancedOpenAI:
            given["properties"]["stackOutputs"] = {
                "type": "object",
                "additionalProperties": {"$ref": "pulumi.json#/Any"},
                "description": "All of it as the probe reads it: export it under any name. A "
                "secret as a whole where it has the key.",
            }
            given["required"] = sorted([*given["required"], "stackOutputs"])
        resources[_token(component.__name__)] = {
            "isComponent": True,
            "description": _text(component.__doc__),
            "inputProperties": inputs["properties"],
            "requiredInputs": inputs["required"],
            **given,
        }
    return {
        "name": NAME,
        "displayName": "Azure OpenAI gateway",
        "version": __version__,
        "description": "Azure OpenAI in several regions behind one API Management endpoint, with "
        "traffic that is really spread.",
        "keywords": ["pulumi", "azure", "openai", "category/infrastructure", "kind/component"],
        "license": "MIT",
        "language": {each: {"respectSchemaVersion": True} for each in _LANGUAGES},
        "resources": resources,
        "types": types,
    }


def _text(docstring: str | None) -> str:
    return "\n".join(line.strip() for line in (docstring or "").strip().splitlines())


def _object(section: Json, **more: Any) -> Json:
    """Translate a section of the config's JSON Schema."""
    return {
        "type": "object",
        "properties": {
            name: {**_input(key), "description": described(key)}
            for name, key in section["properties"].items()
        },
        **({"required": sorted(section["required"])} if "required" in section else {}),
        **more,
    }


def described(key: Json) -> str:
    """Return a key's description, and its default where that is one value."""
    value, text = key.get("default"), str(key["description"])
    is_one = value is not None and not isinstance(value, dict | list)
    return f"{text} Default: {shown(value)}." if is_one else text


def _input(key: Json) -> Json:
    """Translate a key's type; of several, that which a program in any language can write."""
    if choices := key.get("anyOf"):
        written = [each for each in choices if "$ref" in each] or choices
        return _input(written[0])
    if "$ref" in key:
        return {"$ref": f"#/types/{_token(key['$ref'].rpartition('/')[2])}", "plain": True}
    found: Json = {"type": key["type"]}
    if key["type"] == "array":
        found["items"] = _input(key["items"])
    if key["type"] == "object":
        found["additionalProperties"] = _input(key["additionalProperties"])
    return found if key.get("eventual") else {**found, "plain": True}


def _outputs(of: Any, types: Json) -> Json:
    """Translate a dataclass of the contract; the types that it names go to `types`."""
    properties, required = {}, []
    for each in fields(of):
        name, description = to_camel(each.name), get_args(each.type)[1]
        properties[name] = {
            **_output(declared_type(each.type), types),
            "description": description,
        }
        if each.default is MISSING:
            required.append(name)
    return {"type": "object", "properties": properties, "required": sorted(required)}


def _output(kind: Any, types: Json) -> Json:
    of: Any = get_origin(kind)
    if of in (Union, UnionType):  # with None: of a generic class, `|` makes the older of the two
        return _output(get_args(kind)[0], types)
    if of is tuple:
        return {"type": "array", "items": _output(get_args(kind)[0], types)}
    if not is_dataclass(of):
        return {"type": _TYPES.get(kind, "string")}
    token = _token(kind.__name__)
    types[token] = {**_outputs(of, types), "description": _text(of.__doc__)}
    return {"$ref": f"#/types/{token}"}
