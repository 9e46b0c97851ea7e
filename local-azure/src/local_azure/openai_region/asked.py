"""Answers of another kind than text: a structure, or the call of a tool."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from local_azure.openai_region import errors
from local_azure.openai_region.parameters import NAME
from local_azure.openai_region.structured import SchemaError
from local_azure.openai_region.structured import fitting as fitting_value

_ANY_OBJECT: Final = {"type": "object", "properties": {"answer": {"type": "string"}}}
_MOST_TOOLS: Final = 128


def fitting(schema: Any, text: str, parameter: str) -> str:
    """Return JSON that fits a schema. Raises ApiError where the local Azure makes none."""
    try:
        return json.dumps(fitting_value(schema, text))
    except SchemaError as error:
        raise errors.not_supported_here(parameter, f"its schema: {error}") from None


def schema(wanted: Any, said: Sequence[str], *, at: str = "response_format") -> Any:
    """Return what a format asks the answer to fit; None for text. Raises ApiError.

    A chat keeps the schema in `json_schema`; a response, whose format is `text.format`, does not.
    """
    in_chat = at == "response_format"
    if wanted is None:
        return None
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if kind not in ("text", "json_object", "json_schema"):
        values = ("json_object", "json_schema", "text")
        raise errors.invalid_value(f"{at}.type", kind, values)
    if kind == "text":
        return None
    if kind == "json_object":
        source = "messages" if in_chat else "input"
        if not any("json" in text.lower() for text in said):
            raise errors.invalid_request(
                f"'{source}' must contain the word 'json' in some form, to use '{at}' of type"
                " 'json_object'.",
                source,
            )
        return _ANY_OBJECT
    where = f"{at}.json_schema" if in_chat else at
    named = _named(wanted.get("json_schema") if in_chat else wanted, where)
    if "schema" not in named:
        raise _missing(f"{where}.schema")
    return _object(named["schema"], at)


def tools(body: Mapping[str, Any], *, in_chat: bool = True) -> list[Mapping[str, Any]]:
    """Return the functions that may be called, which a chat keeps in `function`.

    Raises ApiError.
    """
    functions = []
    given = body.get("tools")
    if given is None:
        return []
    if not isinstance(given, list) or not 1 <= len(given) <= _MOST_TOOLS:
        raise errors.invalid_request(
            f"Invalid 'tools': expected an array of 1 to {_MOST_TOOLS} tools.", "tools"
        )
    for index, each in enumerate(given):
        if not isinstance(each, Mapping) or not isinstance(each.get("type"), str):
            raise errors.invalid_request(
                f"Invalid 'tools[{index}]': expected an object with a type.", f"tools[{index}]"
            )
        if each["type"] != "function":
            raise errors.not_supported_here(f"tools[{index}].type")
        where = f"tools[{index}].function" if in_chat else f"tools[{index}]"
        functions.append(_named(each.get("function") if in_chat else each, where))
        _object(functions[-1].get("parameters") or {}, f"{where}.parameters")
    return functions


def tool(
    body: Mapping[str, Any],
    listed: Sequence[Mapping[str, Any]],
    *,
    last_role: str,
    in_chat: bool = True,
) -> Mapping[str, Any] | None:
    """Return the tool to call, and whether it was named; None for an answer. Raises ApiError.

    A model that may choose calls the first tool, until it has been told what came of it.
    """
    choice = body.get("tool_choice")
    if not listed:
        # A response has both without tools too, and says so in its answer.
        without = (None, "none") if in_chat else (None, "none", "auto", True, False)
        for name in ("tool_choice", "parallel_tool_calls"):
            if body.get(name) not in without:
                raise errors.invalid_request(
                    f"'{name}' is only allowed when 'tools' are specified.", name
                )
        return None
    functions = {each["name"]: each for each in listed}
    name = next(iter(functions))
    if isinstance(choice, Mapping):
        if choice.get("type") != "function":
            raise errors.not_supported_here("tool_choice.type")
        name = _named(choice.get("function") if in_chat else choice, "tool_choice.function")["name"]
        if name not in functions:
            raise errors.invalid_request(
                "Invalid value for 'tool_choice': it names no function of 'tools'.", "tool_choice"
            )
    elif choice not in (None, "none", "auto", "required"):
        raise errors.invalid_value("tool_choice", choice, ("none", "auto", "required"))
    elif choice == "none" or (choice != "required" and last_role == "tool"):
        return None
    return {
        "name": name,
        "parameters": functions[name].get("parameters") or {"type": "object"},
        "by_name": isinstance(choice, Mapping),
    }


def _named(given: object, where: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise _missing(where)
    name = given.get("name")
    if not isinstance(name, str):
        raise _missing(f"{where}.name")
    if not NAME.fullmatch(name):
        raise errors.invalid_request(
            f"Invalid '{where}.name': string does not match pattern. Expected a string that matches"
            " the pattern '^[a-zA-Z0-9_-]+$', of at most 64 characters.",
            f"{where}.name",
            "invalid_value",
        )
    return given


def _object(given: object, where: str) -> Mapping[str, Any]:
    """Check that a schema is that of an object; one that says nothing else is any."""
    if not isinstance(given, Mapping) or given.get("type", "object") != "object":
        raise errors.invalid_request(
            f"Invalid schema for '{where}': schema must be a JSON Schema of 'type: \"object\"'.",
            where,
            "invalid_function_parameters" if where.startswith("tools") else None,
        )
    return {"type": "object", **given}


def _missing(where: str) -> errors.ApiError:
    return errors.invalid_request(
        f"Missing required parameter: '{where}'.", where, "missing_required_parameter"
    )
