from collections import Counter
from pathlib import Path

import httpx
import pytest

PROJECT = Path(__file__).parent
QUESTION = {"model": "chat", "messages": [{"role": "user", "content": "Where are you?"}]}


@pytest.fixture
def ask(local_azure):
    stack = local_azure.up(PROJECT)

    def send(count: int) -> Counter[int]:
        headers = {"api-key": stack["key"]}
        with httpx.Client(base_url=stack["url"], headers=headers, trust_env=False) as client:
            answers = [client.post("chat/completions", json=QUESTION) for _ in range(count)]
        return Counter(answer.status_code for answer in answers)

    return send


def answered(local_azure) -> Counter[str]:
    calls = [seen for seen in local_azure.requests if seen.path.endswith("/chat/completions")]
    return Counter(seen.to for seen in calls if seen.to != "apim-two-regions")


def test_three_quarters_go_to_the_first_region(local_azure, ask):
    assert ask(40) == {200: 40}
    assert answered(local_azure) == {"models-swedencentral": 30, "models-francecentral": 10}


def test_no_region_sees_a_client_s_key(local_azure, ask):
    ask(4)
    regions = [seen for seen in local_azure.requests if seen.to.startswith("models-")]
    assert regions
    assert not any("api-key" in seen.headers for seen in regions)


def test_a_region_that_throttles_is_seen_by_clients(local_azure, ask):
    local_azure.fault("models-francecentral", status=429, retry_after=1)
    assert ask(40) == {200: 30, 429: 10}
