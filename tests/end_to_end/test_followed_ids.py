"""The policy's second way: a request with an id goes to the region that has it, or is told why not.

The regions here keep ids, and answer as Azure OpenAI does where an id is not theirs.
"""

import asyncio
import io
import json
from uuid import uuid4

import pytest
from aiohttp import web
from fake_resources import KEY, LOCATIONS, breaker_rule
from gateway_world import CHAT, cut, in_world

from components.inference_api import operations, policy_xml
from components.keys import APIS
from components.settings import parse

REGIONS = [{"name": name, "location": location} for name, location in LOCATIONS.items()]
RESPONSES = "/inference/openai/v1/responses"
CHANCES = 8  # who is asked first is chance: so often is one thing asked
OTHERS = ["foundry1", "foundry3"]
LARGE = "x" * 2 * 1024 * 1024


def own_policy(tier="BasicV2", **config) -> str:
    return policy_xml(parse({"regions": REGIONS, **config}), tier)


def failed(status: int, message: str, code: str | None = None) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return web.json_response({"error": error}, status=status)


class Keeper:
    """A region that makes responses and knows its own alone."""

    def __init__(self, region) -> None:
        self.region = region
        self.known: set[str] = set()
        self.refuses: web.Response | None = None
        self.hangs = False
        region.respond = self.respond

    async def respond(self, request: web.Request) -> web.StreamResponse:
        if self.hangs:
            await asyncio.sleep(60)
        if (refusal := self.refuses) is not None:
            return web.Response(
                status=refusal.status, body=refusal.body, headers={**refusal.headers}
            )
        asked = request.path.partition("/responses/")[2].partition("/")[0]
        if not asked:
            return await self._made(request)
        if asked not in self.known:
            return failed(404, f"Response with id '{asked}' not found.")
        if request.method == "DELETE":
            self.known.remove(asked)
        return web.json_response({"from": self.region.name})

    async def _made(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        if refusal := self._refusal(body):
            return refusal
        made = f"resp_{uuid4().hex}"
        self.known.add(made)
        if body.get("stream"):
            return await self._stream(request, made)
        return web.json_response({"id": made, "from": self.region.name})

    def _refusal(self, body) -> web.Response | None:
        if body.get("temperature") == 9:
            return failed(400, "Invalid 'temperature': decimal above maximum value.")
        if (previous := body.get("previous_response_id")) and previous not in self.known:
            message = f"Previous response with id '{previous}' not found."
            return failed(400, message, "previous_response_not_found")
        for item in body["input"] if isinstance(body.get("input"), list) else ():
            encrypted, own = item.get("encrypted_content"), item.get("id", "")
            if encrypted not in (None, self.region.name):
                message = "The encrypted content gAAA...xx== could not be verified."
                return failed(400, message, "invalid_encrypted_content")
            if encrypted is None and own.startswith("rs_") and own not in self.known:
                return failed(400, f"Item with id '{own}' not found.")
        conversation = body.get("conversation")
        name = conversation["id"] if isinstance(conversation, dict) else conversation
        if name is not None and name not in self.known:
            return failed(404, f"Conversation with id '{name}' not found.")
        return None

    async def _stream(self, request: web.Request, made: str) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(json.dumps({"id": made, "from": self.region.name}).encode())
        await answer.write_eof()
        return answer


def with_keepers(test, config=None, tier="BasicV2", **settings):
    """Run a test of the gateway and its three keepers."""
    policy = own_policy(tier, **(config or {}))

    async def body(world):
        await test(world, {name: Keeper(each) for name, each in world.regions.items()})

    in_world(body, policy=policy, tier=tier, operations=operations(APIS), **settings)


def region(answer) -> str:
    return answer.headers["x-backend-host"].partition("-")[0]


def steps(answer) -> int:
    return int(answer.headers["x-backend-steps"])


async def ask(world, previous=None, **body):
    more = {"previous_response_id": previous} if previous else {}
    text = json.dumps({"model": "chat", "input": "hi", **more, **body})
    kind = {"Content-Type": "application/json"}
    return await world.call(path=RESPONSES, data=io.BytesIO(text.encode()), json=None, headers=kind)


async def begin(world, keepers, name="foundry2"):
    """Return the id of a response that a region has, and no gateway remembers."""
    made = f"resp_{uuid4().hex}"
    keepers[name].known.add(made)
    return made


BY_PATH = {
    "retrieve": ("GET", "{}"),
    "delete": ("DELETE", "{}"),
    "cancel": ("POST", "{}/cancel"),
    "input items": ("GET", "{}/input_items?limit=5"),
}


@pytest.mark.parametrize("base", [RESPONSES, "/inference/openai/responses"])
@pytest.mark.parametrize("way", BY_PATH)
def test_what_has_the_id_in_its_path_goes_where_the_response_is(way, base):
    method, path = BY_PATH[way]

    async def test(world, keepers):
        for _ in range(CHANCES):
            answer = await world.call(method, f"{base}/{path.format(await begin(world, keepers))}")
            assert (answer.status, region(answer)) == (200, "foundry2")
            assert answer.headers["x-backend-attempts"] == "1"  # a step is no retry
            assert 1 <= steps(answer) <= 3
        for each in world.regions.values():
            asked = [got.path for got in each.requests]
            assert len(asked) == len(set(asked))  # each once

    with_keepers(test)


CARRIED = {
    "previous response": lambda made: {"previous_response_id": made},
    "item reference": lambda made: {"input": [{"type": "item_reference", "id": made}]},
    "reference without a type": lambda made: {"input": [{"id": made}]},
    "reasoning": lambda made: {
        "input": [{"role": "user", "content": "hi"}, {"type": "reasoning", "id": made}]
    },
    "encrypted reasoning": lambda _: {
        "input": [{"type": "reasoning", "encrypted_content": "foundry2"}]
    },
    "conversation": lambda made: {"conversation": made},
    "conversation as an object": lambda made: {"conversation": {"id": made}},
}


@pytest.mark.parametrize("way", CARRIED)
def test_what_carries_an_id_in_its_body_goes_where_that_is(way):
    async def test(world, keepers):
        made = f"rs_{uuid4().hex}"
        keepers["foundry2"].known.add(made)
        for _ in range(CHANCES):
            answer = await ask(world, **CARRIED[way](made))
            assert (answer.status, region(answer)) == (200, "foundry2")

    with_keepers(test)


@pytest.mark.parametrize(
    "body",
    [
        {"input": "hi"},
        {"input": [{"role": "user", "content": "hi"}, {"type": "message", "id": "msg_1"}]},
        {"input": [{"type": "function_call", "id": "fc_1", "call_id": "call_1"}]},
        {"input": None, "previous_response_id": None, "conversation": None},
        {"previous_response_id": ""},
        {"store": False},
    ],
)
def test_a_new_response_is_spread_by_the_pool(body):
    async def test(world, keepers):
        answers = [await ask(world, **body) for _ in range(6)]
        assert [region(each) for each in answers] == [*LOCATIONS] * 2
        assert not any("x-backend-steps" in each.headers for each in answers)

    with_keepers(test)


def test_following_leaves_the_pool_s_turn_alone():
    async def test(world, keepers):
        made = await begin(world, keepers)
        turns = []
        for _ in range(6):
            turns.append(region(await ask(world)))
            await ask(world, made)
        assert turns == [*LOCATIONS] * 2

    with_keepers(test)


@pytest.mark.parametrize("instances", [1, 8])
def test_a_conversation_holds_on_any_number_of_gateway_instances(instances):
    async def test(world, keepers):
        for stream in (False, True, True, False):
            made, at = None, set()
            for turn in range(5):
                answer = await ask(world, made, stream=stream)
                assert answer.status == 200, answer.body
                at.add(region(answer))
                made = json.loads(answer.body)["id"]
                # What was not streamed is remembered: nobody is asked in vain.
                assert turn == 0 or stream or steps(answer) == 1
            assert len(at) == 1

    with_keepers(test, instances=instances)


def test_what_is_remembered_of_an_id_is_as_long_as_an_id_is():
    async def test(world, keepers):
        begins = "resp_" + "0" * 95
        keepers["foundry2"].known |= {f"{begins}{number}" for number in range(CHANCES)}
        answers = [
            await world.call("GET", f"{RESPONSES}/{begins}{number}") for number in range(CHANCES)
        ]
        assert [steps(each) for each in answers[1:]] == [1] * (CHANCES - 1)

    with_keepers(test)


def test_what_is_remembered_wrongly_costs_a_step_and_no_answer():
    async def test(world, keepers):
        made = json.loads((await ask(world)).body)["id"]
        keepers["foundry1"].known.remove(made)  # the first of the pool made it
        keepers["foundry3"].known.add(made)
        answers = [await ask(world, made) for _ in range(2)]
        assert [region(each) for each in answers] == ["foundry3"] * 2
        assert steps(answers[0]) > 1

    with_keepers(test)


def test_a_conversation_goes_on_through_a_gateway_that_was_started_anew():
    async def test(world, _):
        made = json.loads((await ask(world)).body)["id"]  # by the first of the pool
        stepped = []
        for _ in range(2 * CHANCES):
            await world.restart()
            answer = await ask(world, made)
            assert (answer.status, region(answer)) == (200, "foundry1")
            stepped.append(steps(answer))
        assert max(stepped) > 1  # nothing was remembered

    with_keepers(test)


def test_consumption_has_no_cache_and_asks_each_time():
    off = {"breaker": None, "streaming": False, "monitoring": None}

    async def test(world, keepers):
        asked = []
        made = None
        for _ in range(30):
            answer = await ask(world, made)
            assert answer.status == 200
            made = json.loads(answer.body)["id"]
            asked.append(int(answer.headers.get("x-backend-steps", 0)))
        assert max(asked) > 1

    with_keepers(test, off, "Consumption")


# --- who cannot be asked -----------------------------------------------------------------------


def refusal(status, **headers) -> web.Response:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response({"error": {"message": "foundry2"}}, status=status, headers=headers)


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_a_region_that_fails_is_told_as_that_and_never_as_not_found(status):
    async def test(world, keepers):
        made = await begin(world, keepers)
        keepers["foundry2"].refuses = refusal(status)
        for _ in range(CHANCES):
            for answer in (await ask(world, made), await world.call("GET", f"{RESPONSES}/{made}")):
                assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
                assert b"foundry" not in answer.body
        keepers["foundry2"].refuses = None
        assert (await ask(world, made)).status == 200  # no later than that

    with_keepers(test)


def test_a_closed_region_is_told_as_that():
    async def test(world, keepers):
        made = await begin(world, keepers)
        world.down("foundry2")
        for _ in range(CHANCES):
            answer = await ask(world, made)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
        assert {region(await ask(world)) for _ in range(4)} == {*OTHERS}  # new ones go on
        world.down("foundry2", down=False)
        assert region(await ask(world, made)) == "foundry2"

    with_keepers(test)


@pytest.mark.parametrize(("header", "told"), [({"Retry_After": "17"}, "17"), ({}, "10")])
def test_a_throttled_region_is_told_with_its_own_retry_after_or_is_given_one(header, told):
    async def test(world, keepers):
        made = await begin(world, keepers)
        keepers["foundry2"].refuses = refusal(429, **header)
        for _ in range(CHANCES):
            answer = await ask(world, made)
            assert (answer.status, answer.headers["Retry-After"]) == (429, told)

    with_keepers(test)


def test_the_worst_that_was_met_is_told():
    async def test(world, keepers):
        made = await begin(world, keepers)
        keepers["foundry2"].refuses = refusal(429, Retry_After="17")
        keepers["foundry3"].refuses = refusal(500)
        told = {(await ask(world, made)).status for _ in range(CHANCES)}
        assert told == {503}

    with_keepers(test)


def test_another_region_that_is_closed_is_nothing_to_one_whose_response_is_found():
    async def test(world, keepers):
        for name in OTHERS:
            world.down(name)
        for _ in range(CHANCES):
            answer = await ask(world, await begin(world, keepers))
            assert (answer.status, region(answer)) == (200, "foundry2")

    with_keepers(test)


@pytest.mark.thorough  # as long as five calls hang
def test_what_may_have_been_executed_stays_that_when_the_others_are_closed():
    async def test(world, keepers):
        for name in OTHERS:
            world.down(name)
        keepers["foundry2"].hangs = True
        for _ in range(5):
            assert (await ask(world, await begin(world, keepers))).status == 504

    with_keepers(test, {"retries": {"timeout": 1, "deadline": 240}})


def test_another_region_s_failure_is_nothing_to_one_whose_response_is_found():
    async def test(world, keepers):
        for name in OTHERS:
            keepers[name].refuses = refusal(500)
        for _ in range(CHANCES):
            answer = await ask(world, await begin(world, keepers))
            assert (answer.status, region(answer)) == (200, "foundry2")

    with_keepers(test)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_id_that_nobody_has_is_one_refusal_as_azure_writes_it(method):
    async def test(world, _):
        if method == "GET":
            answer = await world.call("GET", f"{RESPONSES}/resp_nobody")
            assert answer.status == 404
        else:
            answer = await ask(world, "resp_nobody")
            assert answer.status == 400
            assert json.loads(answer.body)["error"]["code"] == "previous_response_not_found"
        assert b"with id 'resp_nobody' not found." in answer.body
        assert steps(answer) == 3
        assert [len(each.requests) for each in world.regions.values()] == [1, 1, 1]

    with_keepers(test)


def test_what_is_refused_for_another_reason_is_answered_at_once():
    async def test(world, keepers):
        answer = await ask(world, await begin(world, keepers), temperature=9)
        assert (answer.status, steps(answer)) == (400, 1)

    with_keepers(test)


def test_a_walk_s_misses_trip_no_breaker_and_a_tripped_one_is_told_as_a_failure():
    async def test(world, keepers):
        made = await begin(world, keepers)
        for _ in range(12):
            assert (await world.call("GET", f"{RESPONSES}/resp_{uuid4().hex}")).status == 404
        assert {region(await ask(world)) for _ in range(3)} == {*LOCATIONS}
        keepers["foundry2"].refuses = refusal(500)
        for _ in range(4):
            await ask(world, made)
        keepers["foundry2"].refuses = None
        answer = await ask(world, made)  # its breaker is open
        assert (answer.status, answer.headers["Retry-After"]) == (503, "10")

    with_keepers(test, breaker=breaker_rule(count=3))


@pytest.mark.parametrize("hanging", [["foundry2"], ["foundry2", "foundry3"]])
def test_a_call_that_may_have_been_executed_is_told_as_that(hanging):
    async def test(world, keepers):
        made = await begin(world, keepers)
        for name in hanging:
            keepers[name].hangs = True
        answer = await ask(world, made)
        assert answer.status == 504
        assert b"may have been executed" in answer.body

    with_keepers(test, {"retries": {"timeout": 1, "deadline": 240}})


def test_what_another_region_does_not_answer_keeps_nobody_from_his_own():
    async def test(world, keepers):
        made = await begin(world, keepers)
        keepers["foundry1"].hangs = True
        answers = [await ask(world, made) for _ in range(2)]
        assert [region(each) for each in answers] == ["foundry2"] * 2

    with_keepers(test, {"retries": {"timeout": 1, "deadline": 240}})


def test_a_response_that_is_cut_may_have_been_executed_and_is_told_as_that():
    async def test(world, keepers):
        world.regions["foundry1"].respond = cut(
            after=b'{"id": ', length=90, content_type="application/json"
        )
        answer = await ask(world)
        assert (answer.status, answer.headers["Retry-After"]) == (504, "10")
        assert b"may have been executed" in answer.body
        assert not any(each.requests for each in list(world.regions.values())[1:])

    with_keepers(test)


ANSWERS = {
    "above what the tier keeps": ("application/json", {"Content-Length": str(len(LARGE) + 11)}),
    "of a length that is not told": ("application/json", {}),
    "a stream that tells its length": ("text/event-stream", {"Content-Length": "10"}),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_that_cannot_be_read_passes_unread(kind):
    content_type, length = ANSWERS[kind]
    text = b"data: {}\n\n" if "stream" in kind else b'{"id": "' + LARGE.encode() + b'x"}'

    async def respond(request):
        response = web.StreamResponse(headers={"Content-Type": content_type, **length})
        await response.prepare(request)
        await response.write(text)
        await response.write_eof()
        return response

    async def test(world, _):
        world.regions["foundry1"].respond = respond
        answer = await ask(world)
        assert (answer.status, answer.body) == (200, text)

    with_keepers(test)


# --- what cannot be read, and what is not offered ------------------------------------------------


def test_a_follow_up_that_is_too_large_to_read_is_told_so_where_it_is_not_found():
    async def test(world, keepers):
        statuses = []
        made = await begin(world, keepers)
        for _ in range(3):
            answer = await ask(world, made, instructions=LARGE)
            statuses.append(answer.status)
            if answer.status == 413:
                assert b"can have 2 MiB here" in answer.body
        assert sorted(statuses) == [200, 413, 413]
        assert (await ask(world, instructions=LARGE)).status == 200
        # What a region says of a new one is its answer.
        for each in keepers.values():
            each.refuses = refusal(404)
        assert (await ask(world, instructions=LARGE)).status == 404

    with_keepers(test)


def test_a_classic_tier_reads_larger_ones():
    async def test(world, keepers):
        made = await begin(world, keepers)
        for _ in range(3):
            answer = await ask(world, made, instructions=LARGE)
            assert (answer.status, region(answer)) == (200, "foundry2")

    with_keepers(test, tier="Standard")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/files"),
        ("POST", "/v1/files"),
        ("DELETE", "/v1/vector_stores/vs_1"),
        ("POST", "/batches"),
        ("POST", "/v1/conversations"),
        ("GET", "/realtime?model=chat"),
        ("POST", "/fine_tuning/jobs"),
    ],
)
def test_what_one_account_keeps_is_refused_with_what_to_do(method, path):
    async def test(world, _):
        answer = await world.call(method, f"/inference/openai{path}")
        error = json.loads(answer.body)["error"]
        assert (answer.status, error["code"]) == (404, "404")
        assert "use the endpoint of one account" in error["message"]
        assert not any(each.requests for each in world.regions.values())
        # Whoever has no key is not told more.
        assert (await world.call(method, f"/inference/openai{path}", key=None)).status == 401

    with_keepers(test)


def test_a_further_model_s_follow_ups_meet_its_own_breakers():
    models = [
        {"name": n, "model": "gpt-5.4-mini", "version": "2026-03-17", "sku": s, "capacity": 1}
        for n, s in (("chat", "GlobalStandard"), ("Small", "GlobalStandard"))
    ]

    async def test(world, keepers):
        made = await begin(world, keepers)
        for name in LOCATIONS:  # of the first model
            world.regions[name].respond = None
            world.regions[name].status = 500
        for _ in range(3):
            await world.call(path=CHAT)
        for name, each in world.regions.items():
            each.respond = keepers[name].respond
        answer = await ask(world, made, model="Small")
        assert (answer.status, region(answer)) == (200, "foundry2")
        assert (await ask(world, made)).status == 503

    with_keepers(test, {"models": models}, endings=("", "-Small"), breaker=breaker_rule(count=1))


def test_a_form_s_model_chooses_its_pool():
    models = [
        {"name": n, "model": "gpt-5.4-mini", "version": "2026-03-17", "sku": s, "capacity": 1}
        for n, s in (("chat", "GlobalStandard"), ("whisper", "GlobalStandard"))
    ]
    form = (
        '--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper\r\n'
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n--b--'
    )

    async def test(world, _):
        for each in world.regions.values():
            each.respond, each.status = None, 500
        await world.call(path=CHAT)  # trips the first model's breakers
        for each in world.regions.values():
            each.status = 200
        sent = {"data": form.encode(), "json": None}
        path = "/inference/openai/v1/audio/transcriptions"
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        assert (await world.call(path=path, headers=kind, **sent)).status == 200
        assert (await world.call(path=CHAT)).status == 503

    with_keepers(test, {"models": models}, endings=("", "-whisper"), breaker=breaker_rule(count=1))


@pytest.mark.parametrize("name", ["reveals", "hides"])
def test_the_header_of_steps_is_one_of_those_that_reveal(name):
    async def test(world, keepers):
        answer = await ask(world, await begin(world, keepers))
        assert ("x-backend-steps" in answer.headers) is (name == "reveals")

    with_keepers(test, {"revealBackend": name == "reveals"})


def test_no_region_gets_the_client_s_key_on_a_walk():
    async def test(world, keepers):
        await world.call("GET", f"{RESPONSES}/resp_nobody?api-key={KEY}")
        for got in (got for each in world.regions.values() for got in each.requests):
            assert KEY not in f"{got.path} {got.headers} {got.body!r}"

    with_keepers(test)
