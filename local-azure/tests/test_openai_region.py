"""A regional endpoint on a real socket."""

import base64
import json
import struct
from types import SimpleNamespace

import aiohttp
import pytest
from fake_resources import (
    GROUP,
    OPENAI_USER,
    PRINCIPAL,
    SUBSCRIPTION,
    Clock,
    FakeResources,
    account_id,
    deploy_account,
    grant,
    run,
    serve,
)
from hypothesis import given
from hypothesis import strategies as st

from local_azure.faults import Fault, Faults
from local_azure.identity import Tokens
from local_azure.openai_region import answers, create_app
from local_azure.openai_region.limits import Limiter
from local_azure.resource_manager.request import timestamp

AUDIENCE = "https://cognitiveservices.azure.com"
ACCOUNT = account_id("foundry1")
CHAT = "/openai/deployments/chat/chat/completions?api-version=2024-10-21"
EMBED = "/openai/deployments/embed/embeddings?api-version=2024-10-21"
HELLO = {"messages": [{"role": "user", "content": "Hello, how are you?"}]}


class World:
    """One region, a principal with the role, and a client."""

    def __init__(self) -> None:
        self.resources = FakeResources()
        self.tokens = Tokens(b"secret")
        self.faults = Faults()
        self.clock = Clock()
        self.asked_latency: list[str] = []

    async def start(self, stack, *, propagation=0.0, **account):
        deploy_account(self.resources, "foundry1", "uksouth", **account)
        self.assignment = grant(self.resources, ACCOUNT)
        app = create_app(
            self.resources,
            ACCOUNT,
            tokens=self.tokens,
            faults=self.faults,
            latency=lambda location: self.asked_latency.append(location) or 0.0,
            clock=self.clock,
            propagation=propagation,
            now=self.clock,
        )
        self.url = await serve(stack, app)
        self.session = await stack.enter_async_context(aiohttp.ClientSession())

    async def call(self, path=CHAT, body=HELLO, *, method="POST", headers=None, data=None):
        if headers is None:
            headers = {"Authorization": f"Bearer {self.tokens.issue(PRINCIPAL, AUDIENCE)}"}
        settings = {} if method == "GET" else {"data": data} if data is not None else {"json": body}
        async with self.session.request(
            method, self.url + path, headers=headers, **settings
        ) as answer:
            text = await answer.text()
            is_json = answer.content_type == "application/json"
            return SimpleNamespace(
                status=answer.status,
                headers=answer.headers.copy(),
                text=text,
                json=json.loads(text) if is_json else None,
                type=answer.content_type,
            )


def in_world(test, **account):
    async def body(stack):
        world = World()
        await world.start(stack, **account)
        await test(world)

    run(body)


# --- answers -----------------------------------------------------------------------------------


def test_a_chat_completion():
    async def test(world):
        answer = await world.call()
        assert answer.status == 200
        assert answer.headers["x-ms-region"] == "UK South"
        assert len(answer.headers["apim-request-id"]) == 36
        assert answer.json["object"] == "chat.completion"
        assert answer.json["model"] == "gpt-5-mini-2025-08-07"
        [choice] = answer.json["choices"]
        assert choice["finish_reason"] == "stop"
        assert choice["message"]["role"] == "assistant"
        assert choice["message"]["content"] == (
            "Hello from UK South. You said: Hello, how are you?"
        )
        usage = answer.json["usage"]
        assert usage["prompt_tokens"] == 14
        assert usage["completion_tokens"] == 17
        assert usage["total_tokens"] == 31
        assert world.asked_latency == ["uksouth"]
        again = await world.call()
        assert again.json["choices"] == answer.json["choices"]
        assert again.json["usage"] == usage
        assert again.headers["apim-request-id"] != answer.headers["apim-request-id"]

    in_world(test)


def test_max_completion_tokens_cuts_the_answer():
    async def test(world):
        answer = await world.call(body={**HELLO, "max_completion_tokens": 4})
        [choice] = answer.json["choices"]
        assert choice["finish_reason"] == "length"
        assert choice["message"]["content"] == "Hello from UK"
        assert answer.json["usage"]["completion_tokens"] == 4
        exact = await world.call(body={**HELLO, "max_completion_tokens": 17})
        assert exact.json["choices"][0]["finish_reason"] == "stop"

    in_world(test)


def test_several_choices_and_parts():
    async def test(world):
        parts = [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "u"}}]
        body = {"messages": [{"role": "user", "content": parts}], "n": 2}
        answer = await world.call(body=body)
        assert [choice["index"] for choice in answer.json["choices"]] == [0, 1]
        assert answer.json["usage"]["prompt_tokens"] == 3 + 4 + 1 + 85
        one = await world.call(body={**body, "n": 1})
        assert answer.json["usage"]["completion_tokens"] == (
            2 * one.json["usage"]["completion_tokens"]
        )

    in_world(test)


@pytest.mark.parametrize("include_usage", [False, True])
def test_a_streamed_completion_says_the_same(include_usage):
    async def test(world):
        body = {**HELLO, "stream": True}
        if include_usage:
            body["stream_options"] = {"include_usage": True}
        answer = await world.call(body=body)
        assert answer.type == "text/event-stream"
        assert answer.headers["x-ms-region"] == "UK South"
        events = answer.text.split("\n\n")
        assert events[-2:] == ["data: [DONE]", ""]
        chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
        assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
        assert len({chunk["id"] for chunk in chunks}) == 1
        choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
        assert choices[0]["delta"] == {"role": "assistant", "content": ""}
        text = "".join(choice["delta"].get("content", "") for choice in choices)
        assert text == "Hello from UK South. You said: Hello, how are you?"
        assert [choice["finish_reason"] for choice in choices[-2:]] == [None, "stop"]
        whole = await world.call()
        usages = [chunk["usage"] for chunk in chunks if "usage" in chunk]
        nulls = [None] * (len(chunks) - 1)
        assert usages == ([*nulls, whole.json["usage"]] if include_usage else [])

    in_world(test)


def test_embeddings_are_unit_vectors_equal_for_equal_texts():
    async def test(world):
        answer = await world.call(EMBED, {"input": ["one", "two", "one"]})
        assert answer.json["object"] == "list"
        vectors = [each["embedding"] for each in answer.json["data"]]
        assert [each["index"] for each in answer.json["data"]] == [0, 1, 2]
        assert vectors[0] == vectors[2] != vectors[1]
        assert len(vectors[0]) == 1536
        assert sum(value * value for value in vectors[0]) == pytest.approx(1)
        assert answer.json["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
        short = await world.call(EMBED, {"input": "one", "dimensions": 8})
        assert len(short.json["data"][0]["embedding"]) == 8
        coded = await world.call(
            EMBED, {"input": "one", "dimensions": 8, "encoding_format": "base64"}
        )
        raw = base64.b64decode(coded.json["data"][0]["embedding"])
        assert list(struct.unpack("<8f", raw)) == pytest.approx(
            short.json["data"][0]["embedding"], abs=1e-6
        )
        tokens = await world.call(EMBED, {"input": [[1, 2], [3]]})
        assert tokens.json["usage"]["prompt_tokens"] == 3
        assert len((await world.call(EMBED, {"input": [1, 2]})).json["data"]) == 1

    in_world(test)


def test_the_v1_paths_take_the_deployment_from_the_body_and_need_no_version():
    async def test(world):
        answer = await world.call("/openai/v1/chat/completions", {**HELLO, "model": "chat"})
        assert (answer.status, answer.json["model"]) == (200, "gpt-5-mini-2025-08-07")
        answer = await world.call("/openai/v1/embeddings", {"input": "a", "model": "embed"})
        assert answer.status == 200
        preview = "/openai/v1/chat/completions?api-version=preview"
        assert (await world.call(preview, {**HELLO, "model": "CHAT"})).status == 200
        answer = await world.call("/openai/v1/chat/completions", HELLO)
        assert (answer.status, answer.json["error"]["param"]) == (400, "model")
        answer = await world.call("/openai/v1/chat/completions", {**HELLO, "model": "nope"})
        assert (answer.status, answer.json["error"]["code"]) == (404, "DeploymentNotFound")

    in_world(test)


@pytest.mark.parametrize("path", ["/openai/models?api-version=2024-10-21", "/openai/v1/models"])
def test_models_are_those_deployed_and_cost_nothing(path):
    async def test(world):
        for _ in range(20):
            answer = await world.call(path, method="GET")
        assert answer.status == 200
        assert [model["id"] for model in answer.json["data"]] == [
            "gpt-5-mini-2025-08-07",
            "gpt-4o-2024-11-20",
            "text-embedding-3-small-1",
        ]

    in_world(test, capacity=1)


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/openai/deployments/chat/chat/completions", 404, "404"),
        ("/openai/deployments/chat/chat/completions?api-version=2020-01-01", 404, "404"),
        ("/openai/deployments/chat/completions?api-version=2024-10-21", 404, "404"),
        ("/openai/deployments/chat/chat/completions?api-version=preview", 404, "404"),
        ("/openai/v1/chat/completions?api-version=2020-01-01", 404, "404"),
        ("/", 404, "404"),
        (CHAT.replace("chat/chat", "nope/chat"), 404, "DeploymentNotFound"),
        (CHAT.replace("chat/chat", "embed/chat"), 400, "OperationNotSupported"),
        (EMBED.replace("embed/", "chat/"), 400, "OperationNotSupported"),
    ],
)
def test_paths_that_are_not_there(path, status, code):
    async def test(world):
        answer = await world.call(path)
        assert (answer.status, answer.json["error"]["code"]) == (status, code)
        assert answer.headers["x-ms-region"] == "UK South"

    in_world(test)


def test_gpt5_takes_no_max_tokens_and_older_models_do():
    async def test(world):
        answer = await world.call(body={**HELLO, "max_tokens": 5})
        assert answer.status == 400
        assert answer.json == {
            "error": {
                "message": "Unsupported parameter: 'max_tokens' is not supported with this model."
                " Use 'max_completion_tokens' instead.",
                "type": "invalid_request_error",
                "param": "max_tokens",
                "code": "unsupported_parameter",
            }
        }
        answer = await world.call(
            CHAT.replace("chat/chat", "classic/chat"), {**HELLO, "max_tokens": 5}
        )
        assert answer.json["usage"]["completion_tokens"] == 5

    in_world(test)


@pytest.mark.parametrize(
    ("data", "parameter"),
    [
        (b"{", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
        (b"[]", None),
        (b"{}", "messages"),
        (b'{"messages":[]}', "messages"),
        (b'{"messages":"hi"}', "messages"),
        (b'{"messages":["hi"]}', "messages[0]"),
        (b'{"messages":[{"role":"user","content":5}]}', "messages[0].content"),
        (b'{"messages":[{"role":"user","content":["a"]}]}', "messages[0].content"),
        (b'{"messages":[{"role":"user"}]}', "messages[0].content"),
        (b'{"messages":[{"role":"user","content":""}],"n":0}', "n"),
        (b'{"messages":[{"role":"user","content":""}],"n":1e99}', "n"),
        (b'{"messages":[{"role":"user","content":""}],"stream":1}', "stream"),
        (b'{"messages":[{"role":"user","content":""}],"stream_options":1}', None),
        (
            b'{"messages":[{"role":"user","content":""}],"max_completion_tokens":true}',
            "max_completion_tokens",
        ),
    ],
)
def test_bodies_that_cannot_be_used(data, parameter):
    async def test(world):
        answer = await world.call(data=data)
        assert answer.status == 400
        assert answer.json["error"]["type"] == "invalid_request_error"
        assert answer.json["error"]["param"] == parameter

    in_world(test)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": []},
        {"input": ""},
        {"input": [""]},
        {"input": [1, "a"]},
        {"input": [[]]},
        {"input": [True]},
        {"input": ["a"] * 2049},
        {"input": "a", "encoding_format": "xml"},
        {"input": "a", "dimensions": 1537},
    ],
)
def test_embeddings_bodies_that_cannot_be_used(body):
    async def test(world):
        assert (await world.call(EMBED, body)).status == 400

    in_world(test)


# --- access ------------------------------------------------------------------------------------


def test_a_principal_without_the_role_is_told_so():
    async def test(world):
        world.resources.remove(world.assignment)
        answer = await world.call()
        assert answer.status == 401
        assert answer.json == {
            "error": {
                "code": "PermissionDenied",
                "message": "Principal does not have access to API/Operation.",
            }
        }

    in_world(test)


@pytest.mark.parametrize(
    ("scope", "role", "status"),
    [
        (ACCOUNT.upper(), OPENAI_USER, 200),
        (GROUP, OPENAI_USER, 200),
        (SUBSCRIPTION, OPENAI_USER, 200),
        (ACCOUNT[:-1], OPENAI_USER, 401),
        (account_id("foundry2"), OPENAI_USER, 401),
        (f"{SUBSCRIPTION}/resourceGroups/rg", OPENAI_USER, 401),
        (ACCOUNT, "acdd72a7-3385-48ef-bd42-f606fba81ae7", 401),  # Reader
        (ACCOUNT, "a97b65f3-24c7-4388-baec-2e87135dc908", 200),  # Cognitive Services User
    ],
)
def test_the_role_counts_on_the_account_or_above(scope, role, status):
    async def test(world):
        world.resources.remove(world.assignment)
        grant(world.resources, scope, role=role)
        assert (await world.call()).status == status

    in_world(test)


def test_a_role_works_once_it_has_spread():
    async def test(world):
        world.clock.now = 1_800_000_000.0
        world.resources.change(world.assignment, createdOn=timestamp(world.clock.now))
        answer = await world.call()
        assert (answer.status, answer.json["error"]["code"]) == (401, "PermissionDenied")
        world.clock.now += 1799
        assert (await world.call()).status == 401
        world.clock.now += 1
        assert (await world.call()).status == 200

    in_world(test, propagation=1800.0)


def test_a_new_deployment_is_not_found_until_it_has_spread_and_a_changed_one_is():
    async def test(world):
        world.clock.now = 1_800_000_000.0
        deployment = f"{ACCOUNT}/deployments/chat"
        world.resources.made(deployment, pending="Creating", ready_at=world.clock.now)
        answer = await world.call()
        assert (answer.status, answer.json["error"]["code"]) == (404, "DeploymentNotFound")
        world.clock.now += 300
        assert (await world.call()).status == 200
        world.resources.made(deployment, pending="Accepted", ready_at=world.clock.now)
        assert (await world.call()).status == 200

    in_world(test, propagation=300.0)


def test_tokens_for_others_expired_or_made_up_are_refused():
    async def test(world):
        issue = world.tokens.issue
        for token in (
            issue(PRINCIPAL, "https://management.azure.com"),
            issue(PRINCIPAL, AUDIENCE, lifetime=-1),
            Tokens(b"another").issue(PRINCIPAL, AUDIENCE),
            "made-up",
        ):
            answer = await world.call(headers={"Authorization": f"Bearer {token}"})
            assert (answer.status, answer.json["error"]["code"]) == (401, "Unauthorized")
        other = await world.call(headers={"Authorization": f"Bearer {issue('else', AUDIENCE)}"})
        assert other.json["error"]["code"] == "PermissionDenied"
        answer = await world.call(headers={})
        assert (answer.status, answer.json["error"]["code"]) == (401, "401")

    in_world(test)


def test_a_key_is_refused_while_local_auth_is_disabled():
    async def test(world):
        answer = await world.call(headers={"api-key": "account-key-1"})
        assert answer.status == 403
        assert answer.json == {
            "error": {
                "code": "AuthenticationTypeDisabled",
                "message": "Key based authentication is disabled for this resource.",
            }
        }

    in_world(test)


def test_either_key_opens_where_local_auth_is_on():
    async def test(world):
        for key, status in (("account-key-1", 200), ("account-key-2", 200), ("wrong", 401)):
            assert (await world.call(headers={"api-key": key})).status == status

    in_world(test, local_auth=True)


# --- limits ------------------------------------------------------------------------------------


def test_the_seventh_request_of_a_minute_is_too_many_for_a_capacity_of_one():
    async def test(world):
        remaining = []
        for _ in range(6):
            answer = await world.call(body={**HELLO, "max_completion_tokens": 1})
            assert answer.status == 200
            remaining.append(int(answer.headers["x-ratelimit-remaining-requests"]))
        assert remaining == [5, 4, 3, 2, 1, 0]
        world.clock.now += 20.5
        answer = await world.call()
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "40"
        assert answer.json["error"]["code"] == "429"
        assert answer.json["error"]["message"].startswith(
            "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version"
            " 2024-10-21 have exceeded call rate limit"
        )
        assert "Please retry after 40 seconds." in answer.json["error"]["message"]
        # Deployments have their own limits.
        assert (await world.call(CHAT.replace("chat/chat", "classic/chat"))).status == 200
        world.clock.now += 40
        assert (await world.call()).status == 200

    in_world(test, capacity=1)


def test_tokens_run_out_before_requests_do():
    async def test(world):
        ask = {**HELLO, "max_completion_tokens": 600}
        answer = await world.call(body=ask)
        assert answer.headers["x-ratelimit-remaining-tokens"] == str(1000 - 14 - 600)
        answer = await world.call(body=ask)
        assert (answer.status, answer.headers["Retry-After"]) == (429, "60")
        assert "exceeded token rate limit" in answer.json["error"]["message"]
        assert (await world.call()).status == 200

    in_world(test, capacity=1)


def test_a_changed_capacity_counts_at_once():
    async def test(world):
        for _ in range(6):
            await world.call()
        assert (await world.call()).status == 429
        deployment = world.resources.get(f"{ACCOUNT}/deployments/chat")
        body = {**deployment.body, "sku": {"name": "GlobalStandard", "capacity": 2}}
        world.resources.put(deployment.id, body)
        assert (await world.call()).status == 200

    in_world(test, capacity=1)


@given(
    capacity=st.integers(1, 5),
    uses=st.lists(st.tuples(st.integers(0, 3000), st.floats(0, 30)), max_size=60),
)
def test_no_minute_gives_more_than_the_capacity(capacity, uses):
    clock = Clock()
    limiter = Limiter(capacity, clock=clock)
    minute, tokens, requests = None, 0, 0
    for wanted, pause in uses:
        clock.now += pause
        if minute is None or clock.now - minute >= 60:
            minute, tokens, requests = clock.now, 0, 0
        exceeded = limiter.use(wanted)
        if exceeded is None:
            tokens, requests = tokens + wanted, requests + 1
        else:
            assert 1 <= exceeded.retry_after <= 60
            assert tokens + wanted > capacity * 1000 or requests == capacity * 6
        assert tokens <= capacity * 1000
        assert requests <= capacity * 6


@given(st.text())
def test_tokens_join_to_the_text(text):
    assert "".join(answers.tokens(text)) == text


# --- faults ------------------------------------------------------------------------------------


def test_a_rehearsed_status_has_azures_body():
    async def test(world):
        world.faults.set("foundry1", Fault(status=429, retry_after=5))
        answer = await world.call()
        assert (answer.status, answer.headers["Retry-After"]) == (429, "5")
        assert "Please retry after 5 seconds." in answer.json["error"]["message"]
        assert answer.headers["x-ms-region"] == "UK South"
        world.faults.set("foundry1", Fault(status=429))
        assert "Retry-After" not in (await world.call()).headers
        world.faults.set("foundry1", Fault(status=503, retry_after=86_400))
        answer = await world.call()
        assert (answer.status, answer.headers["Retry-After"]) == (503, "86400")
        world.faults.clear("foundry1")
        assert (await world.call()).status == 200

    in_world(test)


def test_a_region_that_is_down_closes_the_connection_at_once():
    async def test(world):
        world.faults.set("foundry1", Fault(down=True))
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await world.call()

    in_world(test)


@pytest.mark.parametrize("body", [HELLO, {**HELLO, "stream": True}])
def test_a_reset_cuts_the_answer_in_the_middle(body):
    async def test(world):
        world.faults.set("foundry1", Fault(reset=True))
        headers = {"Authorization": f"Bearer {world.tokens.issue(PRINCIPAL, AUDIENCE)}"}
        async with world.session.post(world.url + CHAT, json=body, headers=headers) as answer:
            assert answer.status == 200
            received = await answer.content.readany()
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.content.read()
        assert received
        assert b"[DONE]" not in received

    in_world(test)


def test_latency_delays_the_answer(monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("local_azure.openai_region.app.asyncio", SimpleNamespace(sleep=sleep))

    async def test(world):
        world.faults.set("foundry1", Fault(latency=2.0))
        assert (await world.call()).status == 200
        assert slept == [2.0]

    in_world(test)


def test_an_account_that_is_gone_answers_nothing():
    async def test(world):
        world.resources.remove(ACCOUNT)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await world.call()

    in_world(test)
