"""A response as a stream of typed events, in OpenAI's order ("Streaming API responses")."""

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from local_azure.openai_region import answers
from local_azure.openai_region.responses_store import unfinished


def events(response: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the events of a response that is complete, each with its place in the stream."""
    numbers = count()
    for event in _unnumbered(response):
        yield {**event, "sequence_number": next(numbers)}


def _unnumbered(response: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    begun = unfinished(response, "in_progress")
    if response["background"]:
        queued = {"response": unfinished(response, "queued")}
        yield {"type": "response.created", **queued}
        yield {"type": "response.queued", **queued}
    else:
        yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(response["output"]):
        at = {"output_index": index}
        match item["type"]:
            case "message":
                bare = {"status": "in_progress", "content": []}
                inner = _text(item["content"][0], {**at, "item_id": item["id"]})
            case "function_call":
                bare = {"status": "in_progress", "arguments": ""}
                inner = _arguments(item["arguments"], {**at, "item_id": item["id"]})
            case _:
                bare, inner = {}, iter(())
        yield {"type": "response.output_item.added", **at, "item": {**item, **bare}}
        yield from inner
        yield {"type": "response.output_item.done", **at, "item": item}
    yield {"type": f"response.{response['status']}", "response": response}


def _text(part: Mapping[str, Any], where: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    at = {**where, "content_index": 0}
    bare = {**part, "text": "", "logprobs": []}
    sure = iter(part["logprobs"])
    yield {"type": "response.content_part.added", **at, "part": bare}
    for token in answers.tokens(part["text"]):
        logprobs = [each for each in (next(sure, None),) if each]
        yield {"type": "response.output_text.delta", **at, "delta": token, "logprobs": logprobs}
    told = {"text": part["text"], "logprobs": part["logprobs"]}
    yield {"type": "response.output_text.done", **at, **told}
    yield {"type": "response.content_part.done", **at, "part": part}


def _arguments(arguments: str, at: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for token in answers.tokens(arguments):
        yield {"type": "response.function_call_arguments.delta", **at, "delta": token}
    yield {"type": "response.function_call_arguments.done", **at, "arguments": arguments}
