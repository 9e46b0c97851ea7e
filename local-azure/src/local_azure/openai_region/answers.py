"""What the models answer: always the same for the same question, with plausible token counts.

Every function that reads a request raises ApiError where Azure OpenAI refuses it.
"""

import base64
import hashlib
import json
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from local_azure.openai_region import asked, errors, messages, parameters

# About four characters a token, as OpenAI's own rule of thumb has it; the pieces join to the text.
_TOKEN = re.compile(r"\s*\w{1,4}|\s*[^\w\s]|\s+")
# "How to count tokens with tiktoken" (OpenAI cookbook): each message, and the primed reply.
_TOKENS_PER_MESSAGE: Final = 3
_TOKENS_PER_REPLY: Final = 3
TOKENS_PER_IMAGE: Final = 85
_ASSUMED_COMPLETION: Final = 16
_MAX_CHOICES: Final = 128
_DIMENSIONS: Final = {"text-embedding-3-large": 3072}
_DEFAULT_DIMENSIONS: Final = 1536
_MAX_INPUTS: Final = 2048
SURE: Final = -0.01  # natural logarithm of a probability


@dataclass(frozen=True, kw_only=True)
class Chat:
    """A chat completion request, read and checked.

    `schema` is what the answer has to fit, `tool` the one it calls and `top_logprobs` how many
    alternatives are told of each token; None where that was not asked.
    """

    prompt_tokens: int
    said: str
    max_tokens: int | None
    choices: int
    stream: bool
    include_usage: bool
    stop: Sequence[str] = ()
    schema: Any = None
    tool: Mapping[str, Any] | None = None
    top_logprobs: int | None = None

    @property
    def expected_tokens(self) -> int:
        """What the request counts against the limit before it is answered."""
        return self.prompt_tokens + self.choices * (self.max_tokens or _ASSUMED_COMPLETION)


@dataclass(frozen=True, kw_only=True)
class Completion:
    """An answer: its tokens in order, why it ends, and how often it is given.

    With `tool`, the name of one, they are the arguments of its call.
    """

    tokens: Sequence[str]
    finish_reason: str
    choices: int
    prompt_tokens: int
    tool: str = ""
    top_logprobs: int | None = None

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

    def call(self, arguments: str) -> dict[str, Any]:
        """Return the call of the tool; its id is the same for the same call."""
        digest = hashlib.sha256(f"{self.tool}{''.join(self.tokens)}".encode()).hexdigest()
        return {
            "id": f"call_{digest[:24]}",
            "type": "function",
            "function": {"name": self.tool, "arguments": arguments},
        }

    def logprobs(self, tokens: Sequence[str]) -> dict[str, Any] | None:
        """Say how sure a model was of some tokens: as sure of each, and of none beside it."""
        if self.top_logprobs is None:
            return None

        def told(token: str, logprob: float) -> dict[str, Any]:
            return {
                "token": token,
                "logprob": logprob,
                "bytes": list(token.encode("utf-8", "replace")),
            }

        content = [
            {
                **told(token, SURE),
                "top_logprobs": [
                    told(token if n == 0 else f"{token}{n}", SURE - 5 * n)
                    for n in range(self.top_logprobs)
                ],
            }
            for token in tokens
        ]
        return {"content": content, "refusal": None}


def tokens(text: str) -> list[str]:
    """Cut a text into pieces that stand for tokens."""
    return _TOKEN.findall(text)


def prompt_tokens(texts: Sequence[str], images: int, tools: str = "") -> int:
    """Count what a model is told: a text each message, how many images, and its tools as JSON."""
    told = sum(_TOKENS_PER_MESSAGE + 1 + len(tokens(text)) for text in texts)
    return _TOKENS_PER_REPLY + told + images * TOKENS_PER_IMAGE + len(tokens(tools))


def read_chat(body: Mapping[str, Any], model: str) -> Chat:
    """Read a chat completion request for a model such as `gpt-5-mini`."""
    # Reasoning models count what they think against the limit, and so renamed it.
    if "max_tokens" in body and parameters.reasons(model):
        raise errors.unsupported_parameter("max_tokens", "max_completion_tokens")
    parameters.check(body, parameters.CHAT, model)
    said = messages.read(body.get("messages"))
    limits = [
        parameters.integer(body, name, 1, 1_000_000)
        for name in ("max_completion_tokens", "max_tokens")
    ]
    options = body.get("stream_options") or {}
    if not isinstance(options, Mapping):
        raise errors.invalid_request("Invalid 'stream_options': expected an object.")
    if options and not body.get("stream"):
        raise errors.invalid_request(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            "stream_options",
        )
    stop = body.get("stop") or ()
    listed_tools = asked.tools(body)
    shown = json.dumps(listed_tools) if listed_tools else ""
    return Chat(
        prompt_tokens=prompt_tokens(
            [each.text for each in said], sum(each.images for each in said), shown
        ),
        said=said[-1].text,
        max_tokens=limits[0] if limits[0] is not None else limits[1],
        choices=parameters.integer(body, "n", 1, _MAX_CHOICES) or 1,
        stream=parameters.boolean(body, "stream"),
        include_usage=parameters.boolean(options, "include_usage"),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        schema=asked.schema(body.get("response_format"), [each.text for each in said]),
        tool=asked.tool(body, listed_tools, last_role=said[-1].role),
        top_logprobs=_top_logprobs(body),
    )


def _top_logprobs(body: Mapping[str, Any]) -> int | None:
    most = parameters.integer(body, "top_logprobs", 0, 20)
    if most is not None and not body.get("logprobs"):
        raise errors.invalid_request(
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
            "top_logprobs",
        )
    return (most or 0) if body.get("logprobs") else None


def complete(chat: Chat, region: str, *, format_at: str = "response_format") -> Completion:
    """Answer, from a region by its display name. Raises ApiError for a schema nothing fits."""
    greeting = f"Hello from {region}."
    text, reason = f"{greeting} You said: {chat.said}", "stop"
    if chat.tool is not None:
        text = asked.fitting(chat.tool["parameters"], greeting, "tools")
        # A call that was asked for by its name ends as any text does (API reference).
        reason = "stop" if chat.tool["by_name"] else "tool_calls"
    elif chat.schema is not None:
        text = asked.fitting(chat.schema, greeting, format_at)
    elif chat.stop:
        ends = [text.find(each) for each in chat.stop if each]
        text = text[: min((end for end in ends if end >= 0), default=len(text))]
    answer = tokens(text)
    limit = chat.max_tokens
    cut = limit is not None and len(answer) > limit
    return Completion(
        tokens=answer[:limit] if cut else answer,
        finish_reason="length" if cut else reason,
        choices=chat.choices,
        prompt_tokens=chat.prompt_tokens,
        tool=chat.tool["name"] if chat.tool is not None else "",
        top_logprobs=chat.top_logprobs,
    )


def completion_body(completion: Completion, envelope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole `chat.completion`; `envelope` has id, model and creation time."""
    text = "".join(completion.tokens)
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if completion.tool:
        message |= {"content": None, "tool_calls": [completion.call(text)]}
    return {
        **envelope,
        "object": "chat.completion",
        "choices": [
            {
                "index": index,
                "finish_reason": completion.finish_reason,
                "logprobs": None if completion.tool else completion.logprobs(completion.tokens),
                "message": message,
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
    if include_usage:
        # API reference, `stream_options`: all chunks have the field, and but for the last a null.
        base["usage"] = None

    def chunk(
        index: int, delta: dict[str, Any], finish_reason: str | None, token: str | None = None
    ) -> dict[str, Any]:
        logprobs = completion.logprobs([token]) if token is not None else None
        choice = {"index": index, "delta": delta, "finish_reason": finish_reason}
        return {**base, "choices": [choice | {"logprobs": logprobs}]}

    yield {
        **base,
        "choices": [],
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
    }
    for index in range(completion.choices):
        if completion.tool:
            call = {"index": 0, **completion.call("")}
            yield chunk(index, {"role": "assistant", "content": None, "tool_calls": [call]}, None)
        else:
            yield chunk(index, {"role": "assistant", "content": ""}, None)
        for token in completion.tokens:
            if completion.tool:
                more = {"index": 0, "function": {"arguments": token}}
                yield chunk(index, {"tool_calls": [more]}, None)
            else:
                yield chunk(index, {"content": token}, None, token)
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
    parameters.check(body, parameters.EMBEDDINGS, model)
    given = body.get("input")
    if isinstance(given, str) or (
        isinstance(given, list) and given and parameters.is_integer(given[0])
    ):
        given = [given]
    if not isinstance(given, list) or not 1 <= len(given) <= _MAX_INPUTS:
        raise errors.invalid_request(
            f"Invalid 'input': expected a string or an array of 1 to {_MAX_INPUTS}.", "input"
        )
    count = 0
    for each in given:
        if isinstance(each, str) and each:
            count += len(tokens(each))
        elif isinstance(each, list) and each and all(parameters.is_integer(item) for item in each):
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
        dimensions=parameters.integer(body, "dimensions", 1, most) or most,
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
