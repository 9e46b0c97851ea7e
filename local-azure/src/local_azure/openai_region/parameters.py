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


def _each_of(*values: str) -> Check:
    def check(name: str, value: Any) -> None:
        _kind(list, "an array")(name, value)
        for each in value:
            _one_of(*values)(name, each)

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


def _members(**known: Check) -> Check:
    def check(name: str, value: Any) -> None:
        _kind(dict, "an object")(name, value)
        for key, inner in value.items():
            if key not in known:
                raise errors.invalid_request(
                    f"Unknown parameter: '{name}.{key[:80]}'.", name, "unknown_parameter"
                )
            if inner is not None:
                known[key](f"{name}.{key}", inner)

    return check


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

RESPONSES: Final[Mapping[str, Check]] = {
    **dict.fromkeys(
        (
            "conversation",
            "input",
            "max_output_tokens",
            "model",
            "previous_response_id",
            "stream",
            "tool_choice",
            "tools",
            "top_logprobs",
        ),
        _read_elsewhere,
    ),
    "background": _BOOLEAN,
    "context_management": _refused,
    "include": _each_of(
        "code_interpreter_call.outputs",
        "computer_call_output.output.image_url",
        "file_search_call.results",
        "message.input_image.image_url",
        "message.output_text.logprobs",
        "reasoning.encrypted_content",
        "web_search_call.action.sources",
    ),
    "instructions": _TEXT,
    "max_tool_calls": _kind(int, "an integer"),
    "metadata": _kind(dict, "an object"),
    "moderation": _refused,
    "parallel_tool_calls": _BOOLEAN,
    "prompt": _refused,
    "prompt_cache_key": _TEXT,
    "prompt_cache_retention": _one_of("in_memory", "24h"),
    "reasoning": _members(
        effort=CHAT["reasoning_effort"],
        summary=_one_of("auto", "concise", "detailed"),
        generate_summary=_one_of("auto", "concise", "detailed"),
    ),
    "safety_identifier": _TEXT,
    "service_tier": CHAT["service_tier"],
    "store": _BOOLEAN,
    "stream_options": _members(include_obfuscation=_BOOLEAN),
    "temperature": CHAT["temperature"],
    "text": _members(format=_read_elsewhere, verbosity=CHAT["verbosity"]),
    "top_p": CHAT["top_p"],
    "truncation": _one_of("auto", "disabled"),
    "user": _TEXT,
}

IMAGES: Final[Mapping[str, Check]] = {
    **dict.fromkeys(("model", "n", "partial_images", "prompt", "stream"), _read_elsewhere),
    "background": _only("auto", "opaque"),
    "input_fidelity": _one_of("high", "low"),
    "moderation": _one_of("auto", "low"),
    "output_compression": _between(0, 100),
    "output_format": _only("png"),
    "quality": _one_of("auto", "low", "medium", "high", "standard", "hd"),
    "response_format": _one_of("url", "b64_json"),
    "size": _one_of(
        "auto", "1024x1024", "1024x1536", "1536x1024", "1024x1792", "1792x1024", "512x512"
    ),
    "style": _one_of("vivid", "natural"),
    "user": _TEXT,
}
TRANSLATIONS: Final[Mapping[str, Check]] = {
    "model": _read_elsewhere,
    "prompt": _TEXT,
    "response_format": _one_of("json", "text", "srt", "verbose_json", "vtt"),
    "temperature": _between(0, 1),
}
TRANSCRIPTIONS: Final[Mapping[str, Check]] = {
    **TRANSLATIONS,
    "chunking_strategy": _only("auto"),
    "include": _refused,
    "language": _TEXT,
    "stream": _read_elsewhere,
    "timestamp_granularities": _each_of("word", "segment"),
}
SPEECH: Final[Mapping[str, Check]] = {
    **dict.fromkeys(("input", "model"), _read_elsewhere),
    "instructions": _TEXT,
    "response_format": _only("mp3", "wav", "pcm"),
    "speed": _between(0.25, 4),
    "stream_format": _one_of("audio", "sse"),
    "voice": _TEXT,
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
_REASONING_FAMILY: Final = re.compile(r"gpt-5|o\d")
_NEVER: Final = ("logprobs", "top_logprobs", "logit_bias")


def reasons(model: str) -> bool:
    """Tell whether a model thinks before it answers, or can."""
    return _REASONING_FAMILY.match(model) is not None


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


def is_integer(value: object) -> bool:
    """Tell a whole number from a truth value, which Python takes for one."""
    return isinstance(value, int) and not isinstance(value, bool)


def integer(body: Mapping[str, Any], name: str, low: int, high: int) -> int | None:
    """Return a whole number, None where it is not given. Raises ApiError."""
    value = body.get(name)
    if value is None:
        return None
    if not is_integer(value) or not low <= value <= high:
        raise errors.invalid_request(
            f"Invalid '{name}': expected an integer from {low} to {high}.", name
        )
    return int(value)


def boolean(body: Mapping[str, Any], name: str) -> bool:
    """Return a truth value, False where it is not given. Raises ApiError."""
    value = body.get(name)
    if not isinstance(value, bool | None):
        raise errors.invalid_request(f"Invalid '{name}': expected a boolean.", name)
    return bool(value)
