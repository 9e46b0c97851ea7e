"""What a request may ask beside its messages: one entry a parameter, with what it may be.

Azure OpenAI in Foundry Models REST API reference; "Azure OpenAI reasoning models". What would
change an answer, and does not here, is refused by name: nothing that is asked is passed over but
how the text is chosen, of which there is one.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from local_azure.openai_region import errors

Check = Callable[[str, Any], None]

NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def _between(low: float, high: float) -> Check:
    def check(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise errors.invalid_request(
                f"Invalid type for '{name}': expected a number.", name, "invalid_type"
            )
        if not low <= value <= high:
            over = "above_max" if value > high else "below_min"
            raise errors.invalid_request(
                f"Invalid '{name}': expected a number from {low:g} to {high:g}, but got"
                f" {value:g} instead.",
                name,
                f"decimal_{over}_value",
            )

    return check


def _kind(kind: type | tuple[type, ...], what: str) -> Check:
    def check(name: str, value: Any) -> None:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise errors.invalid_request(
                f"Invalid type for '{name}': expected {what}.", name, "invalid_type"
            )

    return check


def _one_of(*values: str) -> Check:
    def check(name: str, value: Any) -> None:
        if value not in values:
            raise errors.invalid_value(name, value, values)

    return check


def _refused(name: str, _: Any) -> None:
    raise errors.not_supported_here(name)


def _only(*values: Any) -> Check:
    def check(name: str, value: Any) -> None:
        if value not in values:
            raise errors.not_supported_here(name)

    return check


def _logit_bias(name: str, value: Any) -> None:
    _kind(dict, "an object")(name, value)
    for token, bias in value.items():
        _between(-100, 100)(f"{name}.{token[:20]}", bias)


def _stop(name: str, value: Any) -> None:
    texts = [value] if isinstance(value, str) else value
    is_good = isinstance(texts, list) and len(texts) <= 4
    if not is_good or not all(isinstance(each, str) for each in texts):
        raise errors.invalid_request(
            f"Invalid '{name}': expected a string or an array of up to 4 strings.", name
        )


def _read_elsewhere(_: str, __: Any) -> None:
    """Leave it to who answers by it."""


_BOOLEAN: Final = _kind(bool, "a boolean")
_TEXT: Final = _kind(str, "a string")

CHAT: Final[Mapping[str, Check]] = {
    **dict.fromkeys(
        (
            "max_completion_tokens",
            "max_tokens",
            "messages",
            "model",
            "n",
            "response_format",
            "stream",
            "stream_options",
            "tool_choice",
            "tools",
            "top_logprobs",
        ),
        _read_elsewhere,
    ),
    "audio": _refused,
    "data_sources": _refused,
    "frequency_penalty": _between(-2, 2),
    "function_call": _refused,  # before tools
    "functions": _refused,
    "logit_bias": _logit_bias,
    "logprobs": _BOOLEAN,
    "metadata": _kind(dict, "an object"),
    "modalities": _only(["text"]),
    "parallel_tool_calls": _BOOLEAN,
    "prediction": _kind(dict, "an object"),
    "presence_penalty": _between(-2, 2),
    "prompt_cache_key": _TEXT,
    "reasoning_effort": _one_of("none", "minimal", "low", "medium", "high", "xhigh"),
    "safety_identifier": _TEXT,
    "seed": _kind(int, "an integer"),
    "service_tier": _one_of("auto", "default", "flex", "priority"),
    "stop": _stop,
    "store": _BOOLEAN,
    "temperature": _between(0, 2),
    "top_p": _between(0, 1),
    "user": _TEXT,
    "user_security_context": _kind(dict, "an object"),
    "verbosity": _one_of("low", "medium", "high"),
    "web_search_options": _refused,
}
EMBEDDINGS: Final[Mapping[str, Check]] = {
    **dict.fromkeys(("dimensions", "encoding_format", "input", "model"), _read_elsewhere),
    "input_type": _TEXT,
    "user": _TEXT,
}

# Reasoning models ("Azure OpenAI reasoning models", not supported): those that reason always; from
# gpt-5.1 on a model need not.
_REASONS: Final = re.compile(r"(gpt-5|o\d)(?![.\d])")
_ALWAYS: Final = {
    "temperature": 1,
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
}
_NEVER: Final = ("logprobs", "top_logprobs", "logit_bias")


def check(body: Mapping[str, Any], known: Mapping[str, Check], model: str) -> None:
    """Check each parameter by itself. Raises ApiError: a 400 that names it."""
    if unknown := [name for name in body if name not in known]:
        plural = "" if len(unknown) == 1 else "s"
        listed = ", ".join(name[:80] for name in unknown[:5])
        raise errors.invalid_request(
            f"Unrecognized request argument{plural} supplied: {listed}", None
        )
    given = {name: value for name, value in body.items() if value is not None}
    for name, value in given.items():
        known[name](name, value)
    if not _REASONS.match(model):
        return
    for name in _NEVER:
        if given.get(name):
            raise errors.unsupported_parameter(name)
    for name, value in _ALWAYS.items():
        if given.get(name, value) != value:
            raise errors.unsupported_value(name, given[name], value)
