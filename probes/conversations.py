"""Whether a conversation stays in the region that began it: a few turns of the Responses API.

A response is kept by the account that made it, for 30 days; a turn that names it has to reach that
account again (Azure OpenAI, "Responses API"; docs/responses.md).
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx

from components.contract import Outputs
from probes.interpretation import interpret
from probes.tally import Answer

TURNS: Final = 3
QUESTION: Final = {"input": "Say OK.", "max_output_tokens": 16}  # the least that Azure accepts
_REFUSALS: Final = (401, 403, 408, 429)  # of a region that may well have the response


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """Turns that began at a backend: how many were answered there, and what ended them early.

    `lost` says that a turn was answered as if there were no such response, or elsewhere; `unknown`
    that a turn was not answered. `steps` is how many backends were asked in vain.
    """

    backend: str
    turns: int = 1
    steps: int = 0
    tokens: int = 0
    lost: str = ""
    unknown: str = ""

    @property
    def held(self) -> bool | None:
        return None if self.unknown else not self.lost


def begun(answers: Iterable[Answer]) -> dict[str, Answer]:
    """Return the first response of each backend."""
    made = [each for each in answers if each.response and each.backend]
    return {str(each.backend): each for each in reversed(made)}


async def hold(
    client: httpx.AsyncClient, outputs: Outputs[str], answers: Iterable[Answer], limit: float
) -> tuple[Conversation, ...]:
    """Continue the first response of each backend, all at once, for `limit` seconds at most.

    Whatever was made is deleted in the end, as far as that goes.
    """
    answers = [answer for answer in answers if answer.response]
    first, responses = begun(answers), [answer.response for answer in answers]
    try:
        found = await asyncio.gather(
            *(_continued(client, outputs, each, responses, limit) for each in first.values())
        )
    finally:
        deleted = (client.delete(f"{outputs.responses_url}/{each}") for each in responses)
        await asyncio.gather(*deleted, return_exceptions=True)
    return tuple(sorted(found, key=lambda each: [*outputs.regions].index(each.backend)))


async def _continued(
    client: httpx.AsyncClient,
    outputs: Outputs[str],
    begun: Answer,
    responses: list[str],
    limit: float,
) -> Conversation:
    conversation = Conversation(backend=str(begun.backend))
    previous = begun.response
    try:
        async with asyncio.timeout(limit):
            for turn in range(2, TURNS + 1):
                body = {**QUESTION, "model": outputs.deployment, "previous_response_id": previous}
                response = await client.post(outputs.responses_url, json=body)
                answer = interpret(
                    outputs, response.status_code, response.headers, response.content
                )
                if answer.response:
                    responses.append(answer.response)
                if ended := _ending(answer, response.status_code, conversation.backend, turn):
                    return replace(conversation, **ended)
                previous = answer.response
                conversation = replace(
                    conversation,
                    turns=turn,
                    steps=conversation.steps + len(answer.tried),
                    tokens=conversation.tokens + answer.tokens,
                )
    except TimeoutError:
        return replace(conversation, unknown=f"no whole answer within {limit:g} s")
    except httpx.HTTPError as error:
        reason = outputs.redact(str(error)) or type(error).__name__
        return replace(conversation, unknown=f"no connection: {reason}")
    return conversation


def _ending(answer: Answer, status: int, backend: str, turn: int) -> dict[str, Any]:
    """Say why a turn was the last one; nothing where it was not."""
    if answer.response and answer.backend == backend:
        return {}
    if answer.response:
        return {"lost": f"turn {turn} was answered by {answer.backend or 'nobody known'}"}
    if 400 <= status < 500 and status not in _REFUSALS:
        return {"lost": f"turn {turn} ended with {answer.detail}"}
    return {"unknown": f"turn {turn} ended with {answer.detail or status}"}
