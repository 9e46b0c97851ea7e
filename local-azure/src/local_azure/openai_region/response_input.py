"""What a response is asked: items of a conversation, given whole or by what the account keeps."""

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from local_azure.openai_region import errors
from local_azure.openai_region.responses_store import Context, Responses

_ROLES: Final = ("assistant", "system", "developer", "user")
# What an id of each begins with.
_PREFIXES: Final = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fc",
}
_NOT_HERE: Final = ("input_audio", "input_file")


@dataclass(frozen=True, kw_only=True)
class Read:
    """Items as they are kept, with all their texts and how many images they show.

    `said` is the text of the last, and `role` whose it is: that of a message, or `tool`.
    """

    items: Sequence[Mapping[str, Any]]
    texts: Sequence[str]
    images: int
    said: str
    role: str


def new_id(prefix: str) -> str:
    """Return an id such as `msg_` and hexadecimal digits."""
    return f"{prefix}_{secrets.token_hex(24)}"


def read(given: object, before: Context | None, responses: Responses, *, stored: bool) -> Read:
    """Read and check the input that follows a context. Raises ApiError.

    `stored` says whether the request wants to be kept: an unknown item is told in other words then.
    """
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    elif given is None and before is None:
        raise errors.invalid_request(
            "Missing required parameter: 'input'.", "input", "missing_required_parameter"
        )
    elif given is None:
        given = []
    if not isinstance(given, list) or not (given or before):
        raise errors.invalid_request(
            "Invalid 'input': expected a string or an array with at least one item.", "input"
        )
    items = [
        _item(each, f"input[{index}]", responses, stored=stored) for index, each in enumerate(given)
    ]
    _check_calls([each.body for each in items], before.open_calls if before else ())
    last = items[-1] if items else None
    return Read(
        items=[each.body for each in items],
        texts=[each.text for each in items],
        images=sum(each.images for each in items),
        said=last.text if last else "",
        role=last.role if last else "",
    )


@dataclass(frozen=True, kw_only=True)
class _Item:
    body: dict[str, Any]
    text: str = ""
    images: int = 0
    role: str = ""


def _item(given: object, at: str, responses: Responses, *, stored: bool) -> _Item:
    body = dict(_resolved(given, at, responses, stored=stored))
    kind = body.setdefault("type", "message")
    if not (isinstance(kind, str) and kind in _PREFIXES):
        raise errors.not_supported_here(f"{at}.type")
    text, images, role = "", 0, ""
    match kind:
        case "message":
            text, images, role = _message(body, at)
        case "reasoning":
            _check_reasoning(body, at, responses, stored=stored)
        case "function_call":
            _text(body, "call_id", at)
            text = _text(body, "name", at) + _text(body, "arguments", at)
        case "function_call_output":
            role = "tool"
            _text(body, "call_id", at)
            text, images = _parts(body.get("output"), f"{at}.output")
    if body.get("id") is None:
        body["id"] = new_id(_PREFIXES[kind])
    _text(body, "id", at)
    return _Item(body=body, text=text, images=images, role=role)


def _message(body: dict[str, Any], at: str) -> tuple[str, int, str]:
    """Complete a message in place; return its text, how many images it shows, and its role."""
    role, content = body.get("role"), body.get("content")
    if role not in _ROLES:
        raise errors.invalid_value(f"{at}.role", role, _ROLES)
    text, images = _parts(content, f"{at}.content")
    if isinstance(content, str):
        said = "output_text" if role == "assistant" else "input_text"
        body["content"] = [{"type": said, "text": content}]
    body.setdefault("status", "completed")
    return text, images, role


def _check_calls(items: Sequence[Mapping[str, Any]], before: Iterable[str]) -> None:
    """Check that each call of a tool is answered, and that nothing else answers one."""
    open_calls = set(before)
    for item in items:
        if item["type"] == "function_call":
            open_calls.add(item["call_id"])
        elif item["type"] == "function_call_output":
            if item["call_id"] not in open_calls:
                raise errors.invalid_request(
                    "No tool call found for function call output with call_id"
                    f" {item['call_id'][:80]}.",
                    "input",
                )
            open_calls.remove(item["call_id"])
    if open_calls:
        raise errors.invalid_request(
            f"No tool output found for function call {min(open_calls)[:80]}.", "input"
        )


def _resolved(given: object, at: str, responses: Responses, *, stored: bool) -> Mapping[str, Any]:
    """Return an item; one that is only named is the one that the account keeps."""
    if not isinstance(given, Mapping):
        raise errors.invalid_request(f"Invalid '{at}': expected an object.", at)
    kind = given.get("type")
    # A reference need not say what it is.
    if not (kind == "item_reference" or (kind is None and set(given) - {"type"} == {"id"})):
        return given
    name = _text(given, "id", at)
    item = responses.item(name)
    if item is None:
        raise errors.item_not_found(name, stored=stored)
    return item


def _check_reasoning(
    item: Mapping[str, Any], at: str, responses: Responses, *, stored: bool
) -> None:
    content = item.get("encrypted_content")
    if content is None:
        name = _text(item, "id", at)
        if responses.item(name) is None:
            raise errors.item_not_found(name, stored=stored)
    elif not isinstance(content, str) or not responses.reads(content):
        raise errors.invalid_encrypted_content(str(content))


def _parts(content: object, at: str) -> tuple[str, int]:
    """Return a text, or those of some parts in one, and how many images they show."""
    if isinstance(content, str):
        return content, 0
    if not isinstance(content, list):
        raise errors.invalid_request(
            f"Invalid '{at}': expected a string or an array of parts.", at, "invalid_type"
        )
    said, images = [], 0
    for index, part in enumerate(content):
        where = f"{at}[{index}]"
        match part:
            case {"type": "input_text" | "output_text" | "text", "text": str(text)}:
                said.append(text)
            case {"type": "refusal", "refusal": str(text)}:
                said.append(text)
            case {"type": "input_image", "image_url": str(url)} if url.startswith(
                ("http://", "https://", "data:image/")
            ):
                images += 1
            case {"type": "input_image", "file_id": str()}:
                raise errors.not_supported_here(f"{where}.file_id")
            case {"type": "input_image"}:
                raise errors.invalid_request(
                    f"Invalid '{where}.image_url': expected the URL of an image, or its data.",
                    f"{where}.image_url",
                    "invalid_value",
                )
            case {"type": kind} if kind in _NOT_HERE:
                raise errors.not_supported_here(where)
            case _:
                kind = part.get("type") if isinstance(part, Mapping) else json.dumps(part)
                known = ("input_text", "input_image", "output_text", "refusal", *_NOT_HERE)
                raise errors.invalid_value(f"{where}.type", kind, known)
    return "".join(said), images


def _text(item: Mapping[str, Any], name: str, at: str) -> str:
    value = item.get(name)
    if not isinstance(value, str):
        raise errors.invalid_request(
            f"Missing required parameter: '{at}.{name}'.",
            f"{at}.{name}",
            "missing_required_parameter",
        )
    return value
