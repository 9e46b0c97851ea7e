"""A conversation of three turns by LiteLLM's client, awaited and not; prints each turn's text."""

import asyncio
import os

import litellm

url, key = os.environ["INFERENCE_URL"], os.environ["KEY"]
litellm.num_retries = 0
litellm.suppress_debug_info = True  # it would print where its providers are
forms = (
    {
        "model": "openai/chat",
        "api_base": f"{url}/openai/v1",
        "extra_headers": {"api-key": key},
    },
    {"model": "azure/chat", "api_base": url, "api_version": "2025-04-01-preview"},
)


def text(response: object) -> str:
    return "".join(
        part.text for item in response.output if item.type == "message" for part in item.content
    )


async def awaited(form: dict) -> None:
    previous = {}
    for turn in range(3):
        response = await litellm.aresponses(
            input=f"Question {turn + 1}", api_key=key, **form, **previous
        )
        previous = {"previous_response_id": response.id}
        print(text(response))


for form in forms:
    for _ in range(4):
        previous = {}
        for turn in range(3):
            response = litellm.responses(
                input=f"Question {turn + 1}", api_key=key, **form, **previous
            )
            previous = {"previous_response_id": response.id}
            print(text(response))
    asyncio.run(awaited(form))
