"""The Responses API of a region, over a real socket: by plain requests, and by the SDK."""

import asyncio
import json
import re

import aiohttp
import openai
import pytest
from arm_server import ACCOUNT, DEPLOYMENT, GROUP, LEAST, SUBSCRIPTION, version_of
from fake_resources import PRINCIPAL, account_id, deploy_account, run, serve
from pydantic import BaseModel
from test_openai_region import AUDIENCE, World, in_world

from local_azure.faults import Fault
from local_azure.identity import RESOURCE_MANAGER
from local_azure.openai_region import Responses, create_app
from local_azure.openai_region.responses_store import KEPT_SECONDS, Context, Stored
from local_azure.server import LocalAzure, Options

V1 = "/openai/v1/responses"
ASK = {"model": "chat", "input": "Hello"}
WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"place": {"type": "string"}},
        "required": ["place"],
    },
}
UNKNOWN = "resp_x"


async def ask(world, path=V1, /, **more):
    return await world.call(path, {**ASK, **more})


async def get(world, name, rest="", *, method="GET"):
    return await world.call(f"{V1}/{name}{rest}", method=method)


def text_of(response):
    return next(
        item["content"][0]["text"] for item in response["output"] if item["type"] == "message"
    )


def events_of(answer):
    assert answer.type == "text/event-stream"
    blocks = [block.split("\n") for block in answer.text.split("\n\n") if block]
    events = [json.loads(data.removeprefix("data: ")) for _, data in blocks]
    assert [name.removeprefix("event: ") for name, _ in blocks] == [e["type"] for e in events]
    return events


def error(answer, status=400):
    assert answer.status == status, answer.text
    return answer.json["error"]


# --- one response ------------------------------------------------------------------------------


def test_a_response():
    async def test(world):
        answer = await ask(world)
        assert answer.status == 200
        assert answer.headers["x-ms-region"] == "UK South"
        assert answer.headers["Content-Length"] == str(len(answer.text))
        told = answer.json
        assert re.fullmatch(r"resp_[0-9a-f]+", told["id"])
        assert (told["object"], told["status"], told["store"]) == ("response", "completed", True)
        assert told["model"] == "gpt-5-mini-2025-08-07"
        assert [re.sub("_.*", "", item["id"]) for item in told["output"]] == ["rs", "msg"]
        assert "encrypted_content" not in told["output"][0]
        assert text_of(told) == "Hello from UK South. You said: Hello"
        assert told["usage"] == {
            "input_tokens": 3 + 4 + 2,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 12,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 21,
        }
        classic = await ask(world, model="classic")
        assert [item["type"] for item in classic.json["output"]] == ["message"]

    in_world(test)


def test_the_dated_paths_begin_with_a_version():
    async def test(world):
        for version, status in (
            ("2024-10-21", 404),
            ("2025-02-01-preview", 404),
            ("2025-03-01-preview", 200),
            ("2025-04-01-preview", 200),
        ):
            answer = await ask(world, f"/openai/responses?api-version={version}")
            assert answer.status == status
        path = f"/openai/responses/{answer.json['id']}?api-version="
        assert (await world.call(f"{path}{version}", method="GET")).json == answer.json
        assert (await world.call(f"{path}2024-10-21", method="GET")).status == 404

    in_world(test)


def test_what_was_asked_is_told_again():
    async def test(world):
        given = {
            "instructions": "Be brief.",
            "max_output_tokens": 400,
            "metadata": {"a": "b"},
            "parallel_tool_calls": False,
            "prompt_cache_key": "k",
            "reasoning": {"effort": "low"},
            "safety_identifier": "s",
            "text": {"verbosity": "low"},
            "truncation": "auto",
            "user": "u",
        }
        told = (await ask(world, **given)).json
        plain = (await ask(world)).json
        assert {name: told[name] for name in given} == {
            **given,
            "reasoning": {"effort": "low", "summary": None},
            "text": {"format": {"type": "text"}, "verbosity": "low"},
        }
        assert told["usage"]["input_tokens"] == plain["usage"]["input_tokens"] + 4
        assert (plain["temperature"], plain["top_p"], plain["parallel_tool_calls"]) == (1, 1, True)

    in_world(test)


def test_a_response_is_cut_at_its_most_tokens():
    async def test(world):
        answer = await ask(world, input="word " * 30, max_output_tokens=16)
        assert answer.json["status"] == "incomplete"
        assert answer.json["incomplete_details"] == {"reason": "max_output_tokens"}
        assert answer.json["output"][-1]["status"] == "incomplete"
        assert answer.json["usage"]["output_tokens"] == 16
        streamed = await ask(world, input="word " * 30, max_output_tokens=16, stream=True)
        assert events_of(streamed)[-1]["type"] == "response.incomplete"

    in_world(test)


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 1}, "input"),
        ({"input": ["a"]}, "input[0]"),
        ({"input": [{"role": "tool", "content": "a"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "x"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [3]}]}, "input[0].content[0].type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].image_url",
        ),
        ({"input": [{"role": "user", "content": "a", "id": 3}]}, "input[0].id"),
        ({"input": [{"type": "function_call", "name": "a"}]}, "input[0].call_id"),
        ({"input": [{"type": "item_reference"}]}, "input[0].id"),
        ({"max_output_tokens": 15}, "max_output_tokens"),
        ({"background": True, "store": False}, "background"),
        ({"include": ["x"]}, "include"),
        ({"include": ["reasoning.encrypted_content"], "model": "classic"}, "include"),
        ({"instructions": 1}, "instructions"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"reasoning": {"x": 1}}, "reasoning"),
        ({"text": {"format": {"type": "x"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "json_object"}}}, "input"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "x"}}, "tool_choice"),
        ({"truncation": "all"}, "truncation"),
        ({"temperature": 0.5}, "temperature"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"model": 3}, "model"),
        ({"n": 2}, None),
    ],
)
def test_what_is_wrong_is_named(given, parameter):
    async def test(world):
        told = error(await ask(world, **given))
        assert (told["type"], told["param"]) == ("invalid_request_error", parameter)
        assert await ask(world) is not None

    in_world(test)


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        *(
            ({"tools": [{"type": kind}]}, "tools[0].type")
            for kind in ("web_search", "file_search", "code_interpreter", "mcp", "image_generation")
        ),
        ({"tools": [WEATHER], "tool_choice": {"type": "allowed_tools"}}, "tool_choice.type"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input[0].type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file"}]}]},
            "input[0].content[0]",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].file_id",
        ),
    ],
)
def test_what_is_not_here_is_refused_by_name(given, parameter):
    async def test(world):
        told = error(await ask(world, **given))
        assert (told["code"], told["param"]) == ("not_supported_by_local_azure", parameter)

    in_world(test)


def test_a_model_made_for_something_else_does_not_respond():
    async def test(world):
        told = error(await ask(world, model="embed"))
        assert told["code"] == "OperationNotSupported"
        assert error(await ask(world, model="nope"), 404)["code"] == "DeploymentNotFound"

    in_world(test)


def test_a_location_may_not_have_it():
    async def test(world):
        deploy_account(world.resources, "foundry1", "westeurope")
        for answer in (await ask(world), await get(world, UNKNOWN)):
            told = error(answer, 404)
            assert told["code"] == "NotFound"
            assert "not enabled in this region" in told["message"]
        assert (await world.call()).status == 200

    in_world(test)


def test_a_body_is_read_and_told_again_or_refused_for_its_depth():
    async def test(world):
        headers = {"Authorization": f"Bearer {world.tokens.issue(PRINCIPAL, AUDIENCE)}"}
        found = set()
        for depth in range(900, 1010):
            nested = "[" * depth + "]" * depth
            data = f'{{"model":"chat","input":"a","metadata":{{"a":{nested}}}}}'
            found.add((await world.call(V1, data=data, headers=headers)).status)
        assert found == {200, 400}

    in_world(test)


# --- what follows ------------------------------------------------------------------------------


def test_a_chain_has_all_before_it_as_its_context():
    async def test(world):
        first = (await ask(world, instructions="Be very brief.")).json
        second = (await ask(world, input="And?", previous_response_id=first["id"])).json
        third = (await ask(world, input="So?", previous_response_id=second["id"])).json
        assert text_of(second) == "Hello from UK South, turn 2. You said: And?"
        assert text_of(third) == "Hello from UK South, turn 3. You said: So?"
        assert third["previous_response_id"] == second["id"]
        # Of the first its instructions are no longer told.
        lasting = 9 + first["usage"]["output_tokens"]
        assert second["usage"]["input_tokens"] == lasting + 3 + 4 + 2
        assert third["usage"]["input_tokens"] == second["usage"]["total_tokens"] + 3 + 4 + 2
        # Each is kept whole: one that is deleted is not missed by what came after.
        await get(world, first["id"], method="DELETE")
        again = (await ask(world, input="So?", previous_response_id=second["id"])).json
        assert text_of(again) == text_of(third)

    in_world(test)


def test_an_unknown_id_is_told_as_azure_does_and_costs_nothing():
    async def test(world):
        for _ in range(3):
            answer = await ask(world, previous_response_id=UNKNOWN)
            assert answer.status == 400
            assert answer.json == {
                "error": {
                    "message": "Previous response with id 'resp_x' not found.",
                    "type": "invalid_request_error",
                    "param": "previous_response_id",
                    "code": "previous_response_not_found",
                }
            }
            assert "x-ratelimit-remaining-requests" not in answer.headers
        assert (await ask(world)).headers["x-ratelimit-remaining-requests"] == "599"
        assert world.asked_latency == ["uksouth"] * 4

    in_world(test)


@pytest.mark.parametrize(
    ("path", "method"),
    [
        (f"{V1}/resp_x", "GET"),
        (f"{V1}/resp_x", "DELETE"),
        (f"{V1}/resp_x/cancel", "POST"),
        (f"{V1}/resp_x/input_items", "GET"),
    ],
)
def test_no_such_response(path, method):
    async def test(world):
        answer = await world.call(path, method=method)
        assert error(answer, 404) == {
            "message": "Response with id 'resp_x' not found.",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }
        assert world.asked_latency == ["uksouth"]

    in_world(test)


@pytest.mark.parametrize("conversation", ["conv_x", {"id": "conv_x"}])
def test_there_are_no_conversations(conversation):
    async def test(world):
        told = error(await ask(world, conversation=conversation), 404)
        assert told["message"] == "Conversation with id 'conv_x' not found."

    in_world(test)


def test_a_response_is_kept_until_it_is_deleted():
    async def test(world):
        first = (await ask(world)).json
        assert (await get(world, first["id"])).json == first
        gone = await get(world, first["id"], method="DELETE")
        assert gone.json == {"id": first["id"], "object": "response", "deleted": True}
        for method in ("GET", "DELETE"):
            assert (await get(world, first["id"], method=method)).status == 404
        assert error(await ask(world, previous_response_id=first["id"]))["param"]
        reference = [{"type": "item_reference", "id": first["output"][0]["id"]}]
        assert "not found" in error(await ask(world, input=reference))["message"]

    in_world(test)


def test_a_response_is_kept_for_30_days():
    async def test(world):
        first = (await ask(world)).json
        world.clock.now += KEPT_SECONDS - 1
        assert (await get(world, first["id"])).status == 200
        world.clock.now += 1
        assert (await get(world, first["id"])).status == 404

    in_world(test)


def test_what_is_not_stored_is_nowhere():
    async def test(world):
        first = (await ask(world, store=False)).json
        assert first["store"] is False
        assert (await get(world, first["id"])).status == 404
        assert error(await ask(world, previous_response_id=first["id"]))["param"]

    in_world(test)


def test_another_account_has_none_of_it():
    async def body(stack):
        worlds = [World(), World()]
        for world in worlds:
            await world.start(stack)
        include = ["reasoning.encrypted_content"]
        first = (await ask(worlds[0], include=include)).json
        reasoning = first["output"][0]
        assert reasoning["encrypted_content"].startswith("gAAAA")
        reference = {"type": "item_reference", "id": first["output"][1]["id"]}
        bare = {"type": "reasoning", "id": reasoning["id"], "summary": []}
        user = {"role": "user", "content": "And?"}
        for given in (
            [reference, user],
            [bare, user],
            [reasoning, user],
            [{"id": reference["id"]}],
        ):
            assert (await ask(worlds[0], input=given)).status == 200
        for given, name in ((reference, reference["id"]), (bare, bare["id"])):
            told = error(await ask(worlds[1], input=[given, user]))
            assert told == {
                "message": f"Item with id '{name}' not found.",
                "type": "invalid_request_error",
                "param": "input",
                "code": None,
            }
            longer = error(await ask(worlds[1], input=[given, user], store=False))["message"]
            assert longer.startswith(f"{told['message']} Items are not persisted when `store`")
        told = error(await ask(worlds[1], input=[reasoning, user]))
        content = reasoning["encrypted_content"]
        assert told == {
            "message": f"The encrypted content gAAA...{content[-4:]} could not be verified.",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_encrypted_content",
        }

    run(body)


def test_the_oldest_goes_when_there_is_no_room():
    responses = Responses(lambda: 0.0, most=2)
    given = {"type": "message", "id": "msg_in"}
    for n in range(3):
        body = {"id": f"resp_{n}", "created_at": 0, "output": [{"id": f"msg_{n}"}]}
        body["status"] = "completed"
        responses.keep(Stored(body=body, input=[given], context=Context(), size=1))
    assert [responses.get(f"resp_{n}") is not None for n in range(3)] == [False, True, True]
    assert [responses.item(f"msg_{n}") is not None for n in range(3)] == [False, True, True]
    assert responses.item("msg_in") == given  # sent again: it is the last one's
    big = Stored(body=dict(body, id="resp_3"), input=[], context=Context(), size=2**28)
    responses.keep(big)
    assert responses.get("resp_2") is None
    assert responses.get("resp_3") is big


def test_room_is_for_many_conversations():
    assert Responses(lambda: 0.0)._most >= 2 * 5 * 2000


def test_what_an_account_keeps_outlives_its_endpoint():
    async def body(stack):
        world = World()
        await world.start(stack)
        kept = Responses(world.clock)
        settings = {"tokens": world.tokens, "faults": world.faults, "latency": lambda _: 0.0}
        for n in range(2):
            app = create_app(world.resources, account_id("foundry1"), kept=kept, **settings)
            world.url = await serve(stack, app)
            if n == 0:
                first = (await ask(world)).json
        assert (await get(world, first["id"])).json == first

    run(body)


def test_what_an_account_keeps_outlives_a_closed_port_and_goes_with_the_account(tmp_path):
    async def body(stack):
        azure = LocalAzure(tmp_path, Options(port=0, provisioning_seconds=0))
        stack.push_async_callback(azure.stop)
        await azure.start()
        signed = {"Authorization": f"Bearer {azure.tokens.of_application(RESOURCE_MANAGER)}"}
        session = await stack.enter_async_context(aiohttp.ClientSession())
        bodies = {
            path: json.loads(json.dumps(LEAST[path])) for path in (GROUP, ACCOUNT, DEPLOYMENT)
        }
        bodies[ACCOUNT]["properties"]["disableLocalAuth"] = False

        async def manage(method, path, body=None):
            url = f"{azure.endpoint}{path}?api-version={version_of(path)}"
            async with session.request(method, url, json=body, headers=signed) as answer:
                assert answer.status < 300, await answer.text()
                return await answer.json() if method == "POST" else None

        async def ask(method, path, body=None):
            key = (await manage("POST", f"{ACCOUNT}/listKeys"))["key1"]
            url = azure._sites[ACCOUNT.lower()].url + path
            async with session.request(method, url, json=body, headers={"api-key": key}) as answer:
                return answer.status, await answer.json()

        for path, made in bodies.items():
            await manage("PUT", path, made)
        status, first = await ask("POST", V1, ASK)
        assert status == 200, first
        await manage("PUT", "/_local-azure/faults/foundry1", {"closed": True})
        assert ACCOUNT.lower() not in azure._sites
        await manage("DELETE", "/_local-azure/faults")
        assert (await ask("GET", f"{V1}/{first['id']}")) == (200, first)
        await manage("DELETE", DEPLOYMENT)
        await manage("DELETE", ACCOUNT)
        deleted = "/providers/Microsoft.CognitiveServices/locations/uksouth/resourceGroups/rg"
        await manage("DELETE", f"{SUBSCRIPTION}{deleted}/deletedAccounts/foundry1")
        for path, made in bodies.items():
            await manage("PUT", path, made)
        assert (await ask("GET", f"{V1}/{first['id']}"))[0] == 404

    run(body)


# --- input items -------------------------------------------------------------------------------


def test_input_items_come_by_pages():
    async def test(world):
        image = {"type": "input_image", "image_url": "https://example.com/a.png"}
        given = [
            {"role": "system", "content": "s"},
            {"role": "user", "content": [{"type": "input_text", "text": "u"}, image]},
            {"role": "assistant", "content": "a"},
            {"role": "user", "content": "v"},
        ]
        first = (await ask(world, input=given)).json
        assert first["usage"]["input_tokens"] == 3 + 4 * 5 + 85
        page = (await get(world, first["id"], "/input_items")).json
        assert (page["object"], page["has_more"]) == ("list", False)
        assert [item["role"] for item in page["data"]] == ["user", "assistant", "user", "system"]
        assert all(item["id"].startswith("msg_") for item in page["data"])
        assert {item["status"] for item in page["data"]} == {"completed"}
        assert page["data"][1]["content"] == [{"type": "output_text", "text": "a"}]
        names = [item["id"] for item in page["data"]]
        assert (page["first_id"], page["last_id"]) == (names[0], names[-1])
        page = (await get(world, first["id"], "/input_items?order=asc&limit=2")).json
        assert [item["id"] for item in page["data"]] == [names[3], names[2]]
        assert page["has_more"] is True
        page = (await get(world, first["id"], f"/input_items?order=asc&after={names[2]}")).json
        assert [item["id"] for item in page["data"]] == [names[1], names[0]]
        for wrong in ("limit=0", "limit=101", "limit=x", "order=up", "limit=%C2%B2"):
            error(await get(world, first["id"], f"/input_items?{wrong}"))
        error(await get(world, first["id"], "/input_items?after=msg_x"), 404)

    in_world(test)


# --- streams -----------------------------------------------------------------------------------


def test_the_events_of_a_stream_are_in_order_and_say_the_same():
    async def test(world):
        events = events_of(await ask(world, model="classic", stream=True))
        assert [each["sequence_number"] for each in events] == list(range(len(events)))
        kinds = [each["type"].removeprefix("response.") for each in events]
        deltas = kinds.count("output_text.delta")
        assert kinds == [
            *("created", "in_progress", "output_item.added", "content_part.added"),
            *["output_text.delta"] * deltas,
            *("output_text.done", "content_part.done", "output_item.done", "completed"),
        ]
        text = "".join(each["delta"] for each in events if "delta" in each)
        response = events[-1]["response"]
        assert text == text_of(response) == "Hello from UK South. You said: Hello"
        assert deltas == response["usage"]["output_tokens"]
        begun = events[0]["response"]
        assert (begun["status"], begun["output"], begun["usage"]) == ("in_progress", [], None)
        assert (await get(world, response["id"])).json == response

    in_world(test)


def test_logprobs_are_told_where_they_are_asked_for():
    async def test(world):
        include = ["message.output_text.logprobs"]
        given = {"model": "classic", "include": include, "top_logprobs": 2}
        [item] = (await ask(world, **given)).json["output"]
        logprobs = item["content"][0]["logprobs"]
        assert "".join(each["token"] for each in logprobs) == item["content"][0]["text"]
        assert {len(each["top_logprobs"]) for each in logprobs} == {2}
        events = events_of(await ask(world, **given, stream=True))
        assert [each["logprobs"][0] for each in events if "delta" in each] == logprobs

    in_world(test)


def test_a_reset_cuts_a_stream_and_a_fault_is_as_it_is_for_a_chat():
    async def test(world):
        world.faults.set("foundry1", Fault(reset=True))
        headers = {"Authorization": f"Bearer {world.tokens.issue(PRINCIPAL, AUDIENCE)}"}
        body, received = {**ASK, "stream": True}, bytearray()

        async def receive(answer):
            while part := await answer.content.readany():
                received.extend(part)

        async with world.session.post(world.url + V1, json=body, headers=headers) as answer:
            with pytest.raises(aiohttp.ClientPayloadError):
                await receive(answer)
        assert b"response.created" in received
        assert b"response.completed" not in received
        world.faults.set("foundry1", Fault(status=429, retry_after=7))
        answer = await ask(world)
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")

    in_world(test)


def test_the_limit_of_a_deployment():
    async def test(world):
        answer = await ask(world)
        assert answer.headers["x-ratelimit-remaining-tokens"] == str(1000 - 9 - 16)
        for _ in range(5):
            await ask(world)
        told = await ask(world)
        assert error(told, 429)["code"] == "429"
        assert "Responses_Create" in told.json["error"]["message"]
        assert (await get(world, answer.json["id"])).status == 200

    in_world(test, capacity=1)


# --- background --------------------------------------------------------------------------------


def test_a_response_in_background():
    async def test(world):
        first = (await ask(world, background=True)).json
        assert (first["status"], first["output"], first["usage"]) == ("queued", [], None)
        world.clock.now += 0.6
        assert (await get(world, first["id"])).json["status"] == "in_progress"
        world.clock.now += 0.6
        done = (await get(world, first["id"])).json
        assert done["status"] == "completed"
        assert text_of(done) == "Hello from UK South. You said: Hello"
        cancelled = await world.call(f"{V1}/{first['id']}/cancel")
        assert cancelled.json == done

    in_world(test)


def test_a_response_in_background_is_cancelled_once():
    async def test(world):
        first = (await ask(world, background=True)).json
        told = [(await world.call(f"{V1}/{first['id']}/cancel")).json for _ in range(2)]
        assert [each["status"] for each in told] == ["cancelled"] * 2
        world.clock.now += 5
        again = (await get(world, first["id"])).json
        assert (again["status"], again["output"]) == ("cancelled", [])
        whole = (await ask(world)).json
        told = error(await world.call(f"{V1}/{whole['id']}/cancel"))
        assert told["message"] == "Cannot cancel a synchronous response."

    in_world(test)


def test_a_stream_in_background_goes_on_where_it_was_cut():
    async def test(world):
        events = events_of(await ask(world, background=True, stream=True))
        assert [each["type"] for each in events[:3]] == [
            "response.created",
            "response.queued",
            "response.in_progress",
        ]
        name = events[0]["response"]["id"]
        assert (await get(world, name)).json == events[-1]["response"]
        assert events_of(await get(world, name, "?stream=true")) == events
        rest = events_of(await get(world, name, "?stream=true&starting_after=4"))
        assert rest == events[5:]
        error(await get(world, name, "?stream=true&starting_after=x"))
        plain = (await ask(world, background=True)).json
        error(await get(world, plain["id"], "?stream=true"))

    in_world(test)


# --- tools and structures ----------------------------------------------------------------------


def test_a_tool_is_called_and_told_what_came_of_it():
    async def test(world):
        first = (await ask(world, tools=[WEATHER])).json
        call = first["output"][-1]
        assert (call["type"], call["name"]) == ("function_call", "weather")
        assert re.fullmatch("fc_[0-9a-f]+", call["id"])
        assert json.loads(call["arguments"]) == {"place": "Hello from UK South."}
        result = {
            "type": "function_call_output",
            "call_id": call["call_id"],
            "output": "rain",
        }
        chained = await ask(
            world, tools=[WEATHER], input=[result], previous_response_id=first["id"]
        )
        assert text_of(chained.json) == "Hello from UK South, turn 2. You said: rain"
        whole = [{"role": "user", "content": "Hello"}, *first["output"], result]
        assert text_of((await ask(world, tools=[WEATHER], input=whole)).json)
        told = error(await ask(world, input=[result]))
        assert told["message"] == (
            f"No tool call found for function call output with call_id {call['call_id']}."
        )
        told = error(await ask(world, previous_response_id=first["id"]))
        assert told["message"] == f"No tool output found for function call {call['call_id']}."

    in_world(test)


def test_the_choice_of_a_tool():
    async def test(world):
        clock = {"type": "function", "name": "clock", "parameters": None}
        tools = [WEATHER, clock]
        named = {"type": "function", "name": "clock"}
        called = (await ask(world, tools=tools, tool_choice=named)).json["output"][-1]
        assert called["name"] == "clock"
        none = (await ask(world, tools=tools, tool_choice="none")).json
        assert text_of(none)
        assert (await ask(world, tool_choice="auto", parallel_tool_calls=True)).status == 200

    in_world(test)


def test_the_call_of_a_tool_is_streamed():
    async def test(world):
        given = {"model": "classic", "tools": [WEATHER], "stream": True}
        events = events_of(await ask(world, **given))
        arguments = "".join(each["delta"] for each in events if "delta" in each)
        [done] = [e for e in events if e["type"] == "response.function_call_arguments.done"]
        assert done["arguments"] == arguments == events[-1]["response"]["output"][0]["arguments"]
        [added] = [e for e in events if e["type"] == "response.output_item.added"]
        assert added["item"]["arguments"] == ""

    in_world(test)


def test_an_answer_that_fits():
    async def test(world):
        answer = await ask(world, input="As JSON", text={"format": {"type": "json_object"}})
        assert isinstance(json.loads(text_of(answer.json)), dict)
        chained = await ask(
            world,
            text={"format": {"type": "json_object"}},
            previous_response_id=answer.json["id"],
        )
        assert chained.status == 200

    in_world(test)


# --- the SDK -----------------------------------------------------------------------------------


class Place(BaseModel):
    name: str
    days: int


def by_sdk(test):
    async def body(stack):
        world = World()
        await world.start(stack)
        settings = {
            "base_url": f"{world.url}/openai/v1/",
            "api_key": world.tokens.issue(PRINCIPAL, AUDIENCE),
            "max_retries": 0,
        }
        async with openai.AsyncOpenAI(**settings) as client:
            await test(client, world)

    run(body)


def test_the_sdk_waits_for_a_response_synchronously():
    async def body(stack):
        world = World()
        await world.start(stack)

        def converse():
            with openai.OpenAI(
                base_url=f"{world.url}/openai/v1/",
                api_key=world.tokens.issue(PRINCIPAL, AUDIENCE),
                max_retries=0,
            ) as client:
                first = client.responses.create(model="chat", input="Hello")
                second = client.responses.create(
                    model="chat", input="And?", previous_response_id=first.id
                )
                assert second.output_text == "Hello from UK South, turn 2. You said: And?"
                assert client.responses.retrieve(first.id) == first
                with client.responses.stream(model="chat", input="Hello") as stream:
                    text = "".join(
                        each.delta for each in stream if each.type == "response.output_text.delta"
                    )
                    assert text == stream.get_final_response().output_text == first.output_text
                items = list(client.responses.input_items.list(first.id))
                assert [item.type for item in items] == ["message"]
                client.responses.delete(first.id)
                with pytest.raises(openai.NotFoundError, match="not found"):
                    client.responses.retrieve(first.id)
                waiting = client.responses.create(model="chat", input="Hello", background=True)
                assert client.responses.cancel(waiting.id).status == "cancelled"

        await asyncio.to_thread(converse)

    run(body)


def test_the_sdk_parses_all_of_it():
    async def test(client, world):
        parsed = await client.responses.parse(model="chat", input="Hello", text_format=Place)
        assert isinstance(parsed.output_parsed, Place)
        events = [
            each
            async for each in await client.responses.create(model="chat", input="Hi", stream=True)
        ]
        assert [each.sequence_number for each in events] == list(range(len(events)))
        assert type(events[-1]).__name__ == "ResponseCompletedEvent"
        for each in events:
            type(each).model_validate(each.to_dict())  # whatever the SDK leaves unchecked
        response = events[-1].response
        assert response.output_text == "Hello from UK South. You said: Hi"
        async with client.responses.stream(
            model="classic",
            input="Hi",
            tools=[openai.pydantic_function_tool(Place)],
        ) as stream:
            final = await stream.get_final_response()
        assert isinstance(final.output[0].parsed_arguments, Place)
        waiting = await client.responses.create(model="chat", input="Hi", background=True)
        assert waiting.status == "queued"
        world.clock.now += 2
        assert (await client.responses.retrieve(waiting.id)).status == "completed"
        seen = await client.responses.create(model="chat", input="Hi", background=True, stream=True)
        first = await anext(aiter(seen))
        rest = await client.responses.retrieve(
            first.response.id, stream=True, starting_after=first.sequence_number
        )
        numbers = [each.sequence_number async for each in rest]
        assert numbers == list(range(1, len(numbers) + 1))
        items = [item async for item in client.responses.input_items.list(response.id, limit=1)]
        assert [item.content[0].text for item in items] == ["Hi"]
        with pytest.raises(openai.BadRequestError) as refused:
            await client.responses.create(model="chat", input="Hi", previous_response_id="resp_x")
        assert refused.value.code == "previous_response_not_found"
        name = (await client.models.list()).data[0].id
        assert (await client.models.retrieve(name)).id == name
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("nope")

    by_sdk(test)
