"""A conversation of three turns by LangChain, asked and streamed; prints each turn's text."""

import os

from langchain_core.messages import HumanMessage
from langchain_openai import AzureChatOpenAI, ChatOpenAI

url, key = os.environ["INFERENCE_URL"], os.environ["KEY"]
forms = (
    ChatOpenAI(
        model="chat",
        base_url=f"{url}/openai/v1/",
        api_key=key,
        default_headers={"api-key": key},
        use_responses_api=True,
        use_previous_response_id=True,
        max_retries=0,
    ),
    AzureChatOpenAI(
        azure_deployment="chat",
        azure_endpoint=url,
        api_version="2025-04-01-preview",
        api_key=key,
        use_responses_api=True,
        use_previous_response_id=True,
        max_retries=0,
    ),
)
for model in forms:
    for _ in range(5):
        history = []
        for turn in range(3):
            history.append(HumanMessage(f"Question {turn + 1}"))
            if turn == 1:
                chunks = [*model.stream(history)]
                answer = chunks[0]
                for chunk in chunks[1:]:
                    answer += chunk
            else:
                answer = model.invoke(history)
            history.append(answer)
            print(answer.text)
