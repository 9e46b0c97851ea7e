"""The Responses API: what is asked, and the response to it.

Azure OpenAI in Foundry Models REST API reference, "Responses"; the fields as the `openai` package
declares them.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from local_azure.openai_region import answers, asked, errors, parameters, response_input
from local_azure.openai_region.response_input import new_id
from local_azure.openai_region.responses_store import Context, Responses, Stored

# Microsoft Q&A 5845444, of April 2026.
_NOT_OFFERED_IN: Final = frozenset({"westeurope"})
_LEAST_OUTPUT: Final = 16
_MOST_OUTPUT: Final = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request for a response, read and checked, with all that it goes on from.

    `lasting_tokens` are those that a response after this one goes on from: instructions and tools
    are for one answer.
    """

    chat: answers.Chat
    input: Sequence[Mapping[str, Any]]
    turns: int
    says_json: bool
    lasting_tokens: int
    body: Mapping[str, Any]
    encrypted: bool
    size: int

    @property
    def is_stored(self) -> bool:
        return self.body.get("store") is not False

    @property
    def is_background(self) -> bool:
        return bool(self.body.get("background"))


def check_offered(location: str) -> None:
    """Refuse a location without the Responses API. Raises ApiError."""
    if location in _NOT_OFFERED_IN:
        raise errors.responses_not_offered()


def read(body: Mapping[str, Any], model: str, responses: Responses) -> Asked:
    """Read a request for a model such as `gpt-5-mini`, of an account that keeps `responses`.

    Raises ApiError.
    """
    parameters.check(body, parameters.RESPONSES, model)
    stored = body.get("store") is not False
    if body.get("background") and not stored:
        # ? the words
        raise errors.invalid_request(
            "Background mode requires 'store' to be true.", "background", "invalid_value"
        )
    include = body.get("include") or []
    encrypted = "reasoning.encrypted_content" in include
    if encrypted and not parameters.reasons(model):
        raise errors.invalid_request(
            "Encrypted content is not supported with this model.", "include"
        )
    before = _before(body, responses)
    given = response_input.read(body.get("input"), before, responses, stored=stored)
    before = before or Context()
    instructions = body.get("instructions") or ""
    tools = asked.tools(body, in_chat=False)
    says_json = before.says_json or any(
        "json" in text.lower() for text in (*given.texts, instructions)
    )
    lasting = before.tokens + answers.prompt_tokens(given.texts, given.images)
    format_ = (body.get("text") or {}).get("format")
    told = parameters.integer(body, "top_logprobs", 0, 20)
    return Asked(
        chat=answers.Chat(
            prompt_tokens=lasting
            + len(answers.tokens(instructions))
            + len(answers.tokens(json.dumps(tools) if tools else "")),
            said=given.said,
            max_tokens=parameters.integer(body, "max_output_tokens", _LEAST_OUTPUT, _MOST_OUTPUT),
            choices=1,
            stream=parameters.boolean(body, "stream"),
            include_usage=True,
            schema=asked.schema(format_, ["json"] if says_json else [], at="text.format"),
            tool=asked.tool(body, tools, last_role=given.role, in_chat=False),
            top_logprobs=(told or 0) if "message.output_text.logprobs" in include else None,
        ),
        input=given.items,
        turns=before.turns + 1,
        says_json=says_json,
        lasting_tokens=lasting,
        body=body,
        encrypted=encrypted,
        size=len(json.dumps(body)),
    )


def _before(body: Mapping[str, Any], responses: Responses) -> Context | None:
    conversation = body.get("conversation")
    if conversation is not None:
        name = conversation.get("id") if isinstance(conversation, Mapping) else conversation
        raise errors.no_such("Conversation", str(name))
    name = body.get("previous_response_id")
    if name is None:
        return None
    previous = responses.get(name) if isinstance(name, str) else None
    if previous is None:
        raise errors.previous_response_not_found(str(name))
    return previous.context


def respond(request: Asked, model: str, region: str, responses: Responses) -> Stored:
    """Answer, from a region by its display name; it is for the caller to keep it.

    Raises ApiError for a schema nothing fits.
    """
    whence = f"{region}, turn {request.turns}" if request.turns > 1 else region
    completion = answers.complete(request.chat, whence, format_at="text.format")
    given, now = request.body, responses.now()
    is_cut = completion.finish_reason == "length"
    status = "incomplete" if is_cut else "completed"
    output = [_answer(completion, status)]
    if parameters.reasons(model):
        output.insert(0, _reasoning(request, responses))
    text = given.get("text") or {}
    reasoning = given.get("reasoning") or {}
    # The input is checked: what is missing is what Azure takes for it.
    body = {
        "id": new_id("resp"),
        "object": "response",
        "created_at": int(now),
        "completed_at": int(now),
        "status": status,
        "background": request.is_background,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "instructions": given.get("instructions"),
        "max_output_tokens": given.get("max_output_tokens"),
        "max_tool_calls": given.get("max_tool_calls"),
        "metadata": given.get("metadata") or {},
        "model": model,
        "output": output,
        "parallel_tool_calls": given.get("parallel_tool_calls") is not False,
        "previous_response_id": given.get("previous_response_id"),
        "prompt_cache_key": given.get("prompt_cache_key"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "safety_identifier": given.get("safety_identifier"),
        "service_tier": given.get("service_tier") or "default",
        "store": request.is_stored,
        "temperature": _or(given.get("temperature"), 1.0),
        "text": {
            "format": text.get("format") or {"type": "text"},
            "verbosity": text.get("verbosity") or "medium",
        },
        "tool_choice": given.get("tool_choice") or "auto",
        "tools": [{"strict": True, **each} for each in given.get("tools") or []],
        "top_logprobs": given.get("top_logprobs") or 0,
        "top_p": _or(given.get("top_p"), 1.0),
        "truncation": given.get("truncation") or "disabled",
        "usage": {
            "input_tokens": request.chat.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": len(completion.tokens),
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": request.chat.prompt_tokens + len(completion.tokens),
        },
        "user": given.get("user"),
        "content_filters": None,
    }
    return Stored(
        body=body,
        input=request.input,
        context=Context(
            turns=request.turns,
            tokens=request.lasting_tokens + len(completion.tokens),
            open_calls=frozenset(each["call_id"] for each in output if "call_id" in each),
            says_json=request.says_json,
        ),
        size=request.size + len(json.dumps(body)),
        is_streamed=request.chat.stream,
        done=now,
    )


def _or(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


def _answer(completion: answers.Completion, status: str) -> dict[str, Any]:
    text = "".join(completion.tokens)
    if completion.tool:
        return {
            "id": new_id("fc"),
            "type": "function_call",
            "status": status,
            "call_id": new_id("call")[:29],
            "name": completion.tool,
            "arguments": text,
        }
    logprobs = completion.logprobs(completion.tokens) or {"content": []}
    part = {"type": "output_text", "text": text, "annotations": []}
    return {
        "id": new_id("msg"),
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [part | {"logprobs": logprobs["content"]}],
    }


def _reasoning(request: Asked, responses: Responses) -> dict[str, Any]:
    item: dict[str, Any] = {"id": new_id("rs"), "type": "reasoning", "summary": []}
    if request.encrypted:
        item["encrypted_content"] = responses.encrypt(f"turn {request.turns}")
    return item


def input_items(response: Stored, query: Mapping[str, str]) -> dict[str, Any]:
    """Return a page of what was put in. Raises ApiError."""
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise errors.invalid_value("order", order, ("asc", "desc"))
    given = query.get("limit", "20")
    limit = int(given) if re.fullmatch(r"[0-9]{1,3}", given) else 0
    if not 1 <= limit <= 100:
        raise errors.invalid_request("Invalid 'limit': expected an integer from 1 to 100.", "limit")
    items = list(response.input if order == "asc" else reversed(response.input))
    if after := query.get("after"):
        names = [item["id"] for item in items]
        if after not in names:
            raise errors.no_such("Item", after)  # ? the status
        items = items[names.index(after) + 1 :]
    page = items[:limit]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(items) > limit,
    }


def starting_after(response: Stored, query: Mapping[str, str]) -> int:
    """Return the number of the last event that the client has, -1 for none. Raises ApiError."""
    if not (response.body["background"] and response.is_streamed):
        # ? the words
        raise errors.invalid_request(
            "Only a response that was created with 'background' and 'stream' can be streamed.",
            "stream",
        )
    given = query.get("starting_after", "-1")
    if not re.fullmatch(r"-1|[0-9]{1,9}", given):
        raise errors.invalid_request(
            "Invalid 'starting_after': expected the number of an event.", "starting_after"
        )
    return int(given)


def cancel(response: Stored, now: float) -> dict[str, Any]:
    """Cancel one in background, once; what is done stays as it is. Raises ApiError."""
    if not response.body["background"]:
        raise errors.invalid_request("Cannot cancel a synchronous response.")
    if response.status(now) in ("queued", "in_progress"):
        response.is_cancelled = True
    return response.shown(now)
