"""What the models answer: always the same for the same question, with plausible token counts.

Every function that reads a request raises ApiError where Azure OpenAI refuses it.
"""

import base64
import hashlib
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from local_azure.openai_region import errors

# About four characters a token, as OpenAI's own rule of thumb has it; the pieces join to the text.
_TOKEN = re.compile(r"\s*\w{1,4}|\s*[^\w\s]|\s+")
# "How to count tokens with tiktoken" (OpenAI cookbook): each message, and the primed reply.
_TOKENS_PER_MESSAGE: Final = 3
_TOKENS_PER_REPLY: Final = 3
_TOKENS_PER_IMAGE: Final = 85
_ASSUMED_COMPLETION: Final = 16
_MAX_CHOICES: Final = 128
_DIMENSIONS: Final = {"text-embedding-3-large": 3072}
_DEFAULT_DIMENSIONS: Final = 1536
_MAX_INPUTS: Final = 2048


@dataclass(frozen=True, kw_only=True)
class Chat:
    """A chat completion request, read and checked."""

    prompt_tokens: int
    said: str
    max_tokens: int | None
    choices: int
    stream: bool
    include_usage: bool

    @property
    def expected_tokens(self) -> int:
        """What the request counts against the limit before it is answered."""
        return self.prompt_tokens + self.choices * (self.max_tokens or _ASSUMED_COMPLETION)


@dataclass(frozen=True, kw_only=True)
class Completion:
    """An answer: its tokens in order, why it ends, and how often it is given."""

    tokens: Sequence[str]
    finish_reason: str
    choices: int
    prompt_tokens: int

    @property
    def usage(self) -> dict[str, Any]:
        """The `usage` object."""
        completion = len(self.tokens) * self.choices
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }


def tokens(text: str) -> list[str]:
    """Cut a text into pieces that stand for tokens."""
    return _TOKEN.findall(text)


def read_chat(body: Mapping[str, Any], model: str) -> Chat:
    """Read a chat completion request for a model such as `gpt-5-mini`."""
    # Reasoning models count what they think against the limit, and so renamed it.
    if "max_tokens" in body and re.match(r"gpt-5|o\d", model):
        raise errors.unsupported_parameter("max_tokens", "max_completion_tokens")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise errors.invalid_request(
            "Invalid 'messages': expected an array with at least one message.", "messages"
        )
    texts = [_message_text(message, index) for index, message in enumerate(messages)]
    limits = [
        _integer(body, name, 1, 1_000_000) for name in ("max_completion_tokens", "max_tokens")
    ]
    options = body.get("stream_options") or {}
    if not isinstance(options, Mapping):
        raise errors.invalid_request("Invalid 'stream_options': expected an object.")
    return Chat(
        prompt_tokens=_TOKENS_PER_REPLY
        + sum(_TOKENS_PER_MESSAGE + 1 + count for _, count in texts),
        said=texts[-1][0],
        max_tokens=limits[0] if limits[0] is not None else limits[1],
        choices=_integer(body, "n", 1, _MAX_CHOICES) or 1,
        stream=_boolean(body, "stream"),
        include_usage=_boolean(options, "include_usage"),
    )


def complete(chat: Chat, region: str) -> Completion:
    """Answer, from a region by its display name."""
    answer = tokens(f"Hello from {region}. You said: {chat.said}")
    limit = chat.max_tokens
    cut = limit is not None and len(answer) > limit
    return Completion(
        tokens=answer[:limit] if cut else answer,
        finish_reason="length" if cut else "stop",
        choices=chat.choices,
        prompt_tokens=chat.prompt_tokens,
    )


def completion_body(completion: Completion, envelope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole `chat.completion`; `envelope` has id, model and creation time."""
    return {
        **envelope,
        "object": "chat.completion",
        "choices": [
            {
                "index": index,
                "finish_reason": completion.finish_reason,
                "logprobs": None,
                "message": {
                    "role": "assistant",
                    "content": "".join(completion.tokens),
                    "refusal": None,
                },
                "content_filter_results": {},
            }
            for index in range(completion.choices)
        ],
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
        "usage": completion.usage,
    }


def completion_chunks(
    completion: Completion, envelope: Mapping[str, Any], *, include_usage: bool
) -> Iterator[dict[str, Any]]:
    """Give the `chat.completion.chunk`s of a streamed answer, one token each."""
    base = {**envelope, "object": "chat.completion.chunk"}

    def chunk(index: int, delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return {**base, "choices": [choice]}

    yield {
        **base,
        "choices": [],
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
    }
    for index in range(completion.choices):
        yield chunk(index, {"role": "assistant", "content": ""}, None)
        for token in completion.tokens:
            yield chunk(index, {"content": token}, None)
        yield chunk(index, {}, completion.finish_reason)
    if include_usage:
        yield {**base, "choices": [], "usage": completion.usage}


@dataclass(frozen=True, kw_only=True)
class Embeddings:
    """An embeddings request, read and checked: one digest an input stands for its meaning."""

    inputs: Sequence[bytes]
    prompt_tokens: int
    dimensions: int
    as_base64: bool


def read_embeddings(body: Mapping[str, Any], model: str) -> Embeddings:
    """Read an embeddings request: a text, texts, token ids, or lists of them."""
    given = body.get("input")
    if isinstance(given, str) or (isinstance(given, list) and given and _is_token(given[0])):
        given = [given]
    if not isinstance(given, list) or not 1 <= len(given) <= _MAX_INPUTS:
        raise errors.invalid_request(
            f"Invalid 'input': expected a string or an array of 1 to {_MAX_INPUTS}.", "input"
        )
    count = 0
    for each in given:
        if isinstance(each, str) and each:
            count += len(tokens(each))
        elif isinstance(each, list) and each and all(_is_token(item) for item in each):
            count += len(each)
        else:
            raise errors.invalid_request("Invalid 'input': expected non-empty text.", "input")
    form = body.get("encoding_format", "float")
    if form not in ("float", "base64"):
        raise errors.invalid_request(
            "Invalid 'encoding_format': expected float or base64.", "encoding_format"
        )
    most = _DIMENSIONS.get(model, _DEFAULT_DIMENSIONS)
    return Embeddings(
        inputs=[repr(each).encode("utf-8", errors="replace") for each in given],
        prompt_tokens=count,
        dimensions=_integer(body, "dimensions", 1, most) or most,
        as_base64=form == "base64",
    )


def embeddings_body(request: Embeddings, model: str) -> dict[str, Any]:
    """Return the list of embeddings: unit vectors, equal for equal inputs."""
    usage = {"prompt_tokens": request.prompt_tokens, "total_tokens": request.prompt_tokens}
    return {
        "object": "list",
        "model": model,
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _vector(text, request.dimensions, as_base64=request.as_base64),
            }
            for index, text in enumerate(request.inputs)
        ],
        "usage": usage,
    }


def _vector(text: bytes, dimensions: int, *, as_base64: bool) -> list[float] | str:
    noise = hashlib.shake_256(text).digest(2 * dimensions)
    raw = struct.unpack(f"<{dimensions}h", noise)
    length = sum(value * value for value in raw) ** 0.5 or 1.0
    vector = [value / length for value in raw]
    if as_base64:
        return base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode()
    return vector


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _message_text(message: object, index: int) -> tuple[str, int]:
    """Return a message's text and its number of tokens."""
    where = f"messages[{index}]"
    if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
        raise errors.invalid_request(f"Invalid '{where}': expected an object with a role.", where)
    content = message.get("content")
    if content is None and message["role"] == "assistant":
        return "", 0
    if isinstance(content, str):
        return content, len(tokens(content))
    if not isinstance(content, list) or not all(isinstance(part, Mapping) for part in content):
        raise errors.invalid_request(
            f"Invalid '{where}.content': expected a string or an array of parts.",
            f"{where}.content",
        )
    text = "".join(part["text"] for part in content if isinstance(part.get("text"), str))
    images = sum(part.get("type") == "image_url" for part in content)
    return text, len(tokens(text)) + images * _TOKENS_PER_IMAGE


def _integer(body: Mapping[str, Any], name: str, low: int, high: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if not _is_token(value) or not low <= value <= high:
        raise errors.invalid_request(
            f"Invalid '{name}': expected an integer from {low} to {high}.", name
        )
    return int(value)


def _boolean(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if not isinstance(value, bool | None):
        raise errors.invalid_request(f"Invalid '{name}': expected a boolean.", name)
    return bool(value)
