"""The messages of a chat completion request: who said what, in an order that can be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from local_azure.openai_region import errors

ROLES: Final = ("system", "assistant", "user", "function", "tool", "developer")
PARTS: Final = ("text", "image_url", "refusal")


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message; `images` is how many it shows."""

    role: str
    text: str
    images: int


def read(given: object) -> list[Message]:
    """Read and check all of them. Raises ApiError."""
    if not isinstance(given, list) or not given:
        raise errors.invalid_request(
            "Invalid 'messages': expected an array with at least one message.", "messages"
        )
    read_ones = [_message(message, f"messages[{index}]") for index, message in enumerate(given)]
    _check_calls(given)
    return read_ones


def _message(message: object, where: str) -> Message:
    if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
        raise errors.invalid_request(f"Invalid '{where}': expected an object with a role.", where)
    role, content = message["role"], message.get("content")
    if role not in ROLES:
        raise errors.invalid_value(f"{where}.role", role, ROLES)
    if content is None and role == "assistant":
        return Message(role=role, text="", images=0)
    if isinstance(content, str):
        return Message(role=role, text=content, images=0)
    if not isinstance(content, list) or not all(isinstance(part, Mapping) for part in content):
        raise errors.invalid_request(
            f"Invalid '{where}.content': expected a string or an array of parts.",
            f"{where}.content",
        )
    texts = []
    for index, part in enumerate(content):
        at = f"{where}.content[{index}]"
        kind = part.get("type")
        if kind in ("input_audio", "file"):
            raise errors.not_supported_here(at)
        if kind not in PARTS:
            raise errors.invalid_value(f"{at}.type", kind, PARTS)
        held = part.get(kind)
        if not isinstance(held, Mapping if kind == "image_url" else str):
            raise errors.invalid_request(f"Missing required parameter: '{at}.{kind}'.", at)
        texts.append(held if isinstance(held, str) else "")
    images = sum(part["type"] == "image_url" for part in content)
    return Message(role=role, text="".join(texts), images=images)


def _check_calls(given: list[Any]) -> None:
    """Check that each call of a tool is answered, and that nothing else answers one."""
    open_calls: set[str] = set()
    for index, message in enumerate(given):
        where = f"messages[{index}]"
        if message["role"] == "tool":
            if message.get("tool_call_id") not in open_calls:
                raise errors.invalid_request(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceding"
                    " message with 'tool_calls'.",
                    f"{where}.role",
                )
            open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            break
        calls = message.get("tool_calls") or [] if message["role"] == "assistant" else []
        if not isinstance(calls, list) or not all(
            isinstance(call, Mapping) and isinstance(call.get("id"), str) for call in calls
        ):
            raise errors.invalid_request(
                f"Invalid '{where}.tool_calls': expected an array of calls, each with an id.",
                f"{where}.tool_calls",
            )
        open_calls = {call["id"] for call in calls}
    if open_calls:
        raise errors.invalid_request(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to"
            f" each 'tool_call_id'. The following tool_call_ids did not have response messages:"
            f" {', '.join(sorted(open_calls))[:200]}",
            "messages",
        )
