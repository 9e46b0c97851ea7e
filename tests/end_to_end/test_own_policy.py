"""The policy on a gateway: what is repeated, what clients are told, what a tier can keep."""

import asyncio
import io
import json
from functools import partial

import pytest
from aiohttp import web
from fake_resources import (
    KEY,
    LOCATIONS,
    SERVICE,
    Clock,
    breaker_rule,
)
from gateway_world import CHAT, LARGE, cut, streams_events
from gateway_world import in_world as in_any_world
from policy_runs import Services, exchange

from components.inference_api import policy_xml
from components.settings import parse
from local_azure.gateway.policy import compile_policy

REGIONS = [{"name": name, "location": location} for name, location in LOCATIONS.items()]


def own_policy(tier="BasicV2", **config) -> str:
    """Return the program's policy with such a config."""
    return policy_xml(parse({"regions": REGIONS, **config}), tier)


POLICY = own_policy()
in_world = partial(in_any_world, policy=POLICY)

# --- forwarding --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        (f"api-key={KEY}&", {}),
        (f"api-key=spare&a=1&api-key={KEY}&", {"api-key": KEY}),
        ("api-key=spare&", {"api-key": KEY}),
        (f"api%2Dkey={KEY}&", {}),
    ],
    ids=["in the query", "there twice and in the header", "another one there", "an encoded name"],
)
def test_no_region_gets_the_client_s_key_in_any_attempt(query, headers):
    async def test(world):
        world.regions["foundry1"].status = 429
        path, _, version = CHAT.partition("?")
        for _ in range(3):
            answer = await world.call(key=None, path=f"{path}?{query}{version}", headers=headers)
            assert answer.status == 200
        assert all(region.requests for region in world.regions.values())
        for got in (got for region in world.regions.values() for got in region.requests):
            assert KEY not in f"{got.path} {got.headers} {got.body!r}"
            assert "spare" not in got.path
            assert "api-key" not in got.headers
            assert got.path.endswith(version)

    in_world(test)


def test_a_response_cut_before_it_was_passed_on_is_retried_where_it_is_buffered():
    async def test(world):
        world.regions["foundry1"].respond = cut(after=b"half", length=9)
        answer = await world.call()
        assert answer.status == 200
        assert json.loads(answer.body) == {"from": "foundry2"}
        assert answer.headers["x-backend-attempts"] == "2"

    in_world(test, policy=own_policy(streaming=False))


# --- failing regions ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failing_region_is_retried_elsewhere(status):
    async def test(world):
        world.regions["foundry1"].status = status
        answer = await world.call(json={"ask": 1})
        assert answer.status == 200
        assert answer.headers["x-backend-host"] == "foundry2-test.openai.azure.com"
        assert answer.headers["x-backend-attempts"] == "2"
        assert world.regions["foundry2"].requests[0].body == b'{"ask": 1}'

    in_world(test)


def host(name: str) -> str:
    return f"{name}-test.openai.azure.com"


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_an_answer_tells_what_the_attempts_before_it_met(status):
    async def test(world):
        world.regions["foundry1"].status = world.regions["foundry2"].status = status
        answer = await world.call()
        assert (answer.status, answer.headers["x-backend-host"]) == (200, host("foundry3"))
        met = f"{host('foundry1')} {status}, {host('foundry2')} {status}"
        assert answer.headers["x-backend-tried"] == met
        # What the last attempt met is the answer itself: nothing was tried before it.
        world.regions["foundry1"].status = 200
        assert "x-backend-tried" not in (await world.call()).headers

    in_world(test)


def test_an_attempt_without_an_answer_is_told_as_none():
    hasty = own_policy(retries={"timeout": 1, "repeatUnanswered": True})

    async def test(world):
        stop = asyncio.Event()

        async def hang(_):
            await stop.wait()
            return web.Response()

        world.regions["foundry1"].respond = hang
        world.down("foundry2")
        answer = await world.call()
        stop.set()
        assert answer.status == 200
        met = f"{host('foundry1')} none, {host('foundry2')} none"
        assert answer.headers["x-backend-tried"] == met

    in_world(test, policy=hasty)


def test_a_429_that_passes_through_tells_what_each_attempt_before_it_met():
    async def test(world):
        for region in world.regions.values():
            region.status, region.headers = 429, {"Retry-After": "7"}
        answer = await world.call()
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
        assert answer.headers["x-backend-host"] == host("foundry3")
        assert answer.headers["x-backend-attempts"] == "6"
        round_of_three = [f"{host(name)} 429" for name in LOCATIONS]
        assert answer.headers["x-backend-tried"] == ", ".join((round_of_three * 2)[:5])

    in_world(test)


def test_without_reveal_backend_no_answer_names_a_host():
    discreet = own_policy(revealBackend=False)

    async def test(world):
        world.regions["foundry1"].status = 429
        for _ in range(3):
            answer = await world.call()
            assert answer.status == 200
            assert not any("foundry" in value for value in answer.headers.values())
            assert not any(name.startswith("x-backend") for name in answer.headers)

    in_world(test, policy=discreet)


def test_when_all_are_tripped_the_policy_answers_503_and_names_nothing():
    async def test(world):
        for region in world.regions.values():
            region.status = 500
        await world.call()
        before = sum(len(region.requests) for region in world.regions.values())
        answer = await world.call()
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "10"
        assert json.loads(answer.body)["error"]["code"] == "503"
        assert b"foundry" not in answer.body
        assert not any("foundry" in value for value in answer.headers.values())
        assert sum(len(region.requests) for region in world.regions.values()) == before

    in_world(test, breaker=breaker_rule(count=1))


# --- several models ----------------------------------------------------------------------------


EMBED = CHAT.replace("chat/chat/completions", "embed/embeddings")

V1 = "/inference/openai/v1/chat/completions"

TWO_MODELS = [
    {"name": name, "model": "m", "version": "1", "sku": "GlobalStandard", "capacity": 1}
    for name in ("chat", "embed")
]


def throttles_chat(world):
    """Have every region throttle the model `chat`, by whichever path it is called."""

    async def respond(request):
        body = await request.text()
        is_embed = "/deployments/embed" in request.path.lower() or '"embed"' in body.lower()
        return web.json_response({}, status=200 if is_embed else 429)

    for region in world.regions.values():
        region.respond = respond


def test_a_model_that_is_throttled_everywhere_leaves_the_other_its_regions():
    async def test(world):
        throttles_chat(world)
        await world.call()
        assert (await world.call()).status == 503  # every breaker of its own is tripped
        for path, body in ((EMBED, {}), (EMBED.replace("/embed/", "/EMBED/"), {})):
            hosts = [(await world.call(path=path, json=body)) for _ in range(3)]
            assert {each.headers["x-backend-host"] for each in hosts} == set(map(host, LOCATIONS))
        answer = await world.call(path=V1, json={"model": "Embed"})
        assert (answer.status, answer.headers["x-backend-attempts"]) == (200, "1")
        assert json.loads(world.regions["foundry1"].requests[-1].body) == {"model": "Embed"}

    in_world(
        test,
        policy=own_policy(models=TWO_MODELS),
        breaker=breaker_rule(count=1),
        endings=("", "-embed"),
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"embed"', b"{}", b'{"model": null}', b'{"model": ["embed"]}', b"\xff"],
)
def test_a_body_that_names_no_model_goes_to_the_first_pool(body):
    async def test(world):
        answer = await world.call(path=V1, data=body, json=None)
        assert answer.status == 200
        assert answer.headers["x-backend-host"] == host("foundry1")
        assert [each.body for each in world.regions["foundry1"].requests] == [body]
        models = await world.call("GET", "/inference/openai/models")
        assert (models.status, models.headers["x-backend-host"]) == (200, host("foundry2"))

    # Its own pool is the one that is there.
    in_world(test, policy=own_policy(models=TWO_MODELS))


# --- what is repeated, and what may have been executed -----------------------------------------


async def hangs(_):
    await asyncio.Event().wait()


def test_a_call_that_is_not_answered_is_not_repeated_and_told_as_perhaps_executed():
    async def test(world):
        world.regions["foundry1"].respond = hangs
        answer = await world.call()
        assert (answer.status, answer.headers["Retry-After"]) == (504, "10")
        assert "may have been executed" in json.loads(answer.body)["error"]["message"]
        assert not nameable(answer)
        assert sum(len(each.requests) for each in world.regions.values()) == 1

    in_world(test, policy=own_policy(retries={"timeout": 1}))


@pytest.mark.parametrize(("repeat", "status", "attempts"), [(False, 504, 1), (True, 200, 2)])
def test_a_region_s_own_504_may_have_been_executed_too(repeat, status, attempts):
    async def test(world):
        world.regions["foundry1"].status = 504
        assert (await world.call()).status == status
        assert sum(len(each.requests) for each in world.regions.values()) == attempts

    in_world(test, policy=own_policy(retries={"repeatUnanswered": repeat}))


@pytest.mark.parametrize(
    ("seconds", "retries", "attempts"),
    [
        (0, {}, 6),
        (0, {"count": 2}, 3),
        (0, {"count": 0}, 1),
        (100, {}, 3),
        (100, {"deadline": 100}, 1),
        (25, {"deadline": 60}, 3),
    ],
)
def test_no_attempt_begins_after_the_deadline_or_beyond_the_budget(seconds, retries, attempts):
    async def test(world):
        async def fail(_):
            world.clock.now += seconds
            return web.Response(status=500)

        for region in world.regions.values():
            region.respond = fail
        assert (await world.call()).status == 503
        assert sum(len(each.requests) for each in world.regions.values()) == attempts

    in_world(test, policy=own_policy(retries=retries))


@pytest.mark.parametrize(("seconds", "attempts"), [(20, 6), (22, 1)])
def test_a_connection_that_breaks_later_than_one_is_made_may_have_carried_the_call(
    seconds, attempts
):
    async def test(world):
        async def cut_off(request):
            world.clock.now += seconds
            request.transport.close()
            return web.Response()

        for region in world.regions.values():
            region.respond = cut_off
        assert (await world.call()).status == 503
        assert sum(len(each.requests) for each in world.regions.values()) == attempts

    in_world(test)


def waits(policy: str, *elapsed: float) -> list[float]:
    """Return the seconds that attempts wait which begin so long after the request came."""
    clock, services = Clock(), Services(*[500] * (len(elapsed) - 1), 200)
    context = exchange(services, clock=clock, started=clock.now)
    context.variables |= {"attempts": 0, "tried": "", "kept": True, "id": "", "withheld": 0}
    context.variables["missed"] = False
    began = iter(elapsed)

    async def forward(*arguments, **settings):
        response = await Services.forward(services, *arguments, **settings)
        clock.now = context.started + next(began, 0)
        return response

    services.forward = forward
    clock.now = context.started + next(began)
    asyncio.run(compile_policy(policy).backend(context))
    return [seconds for seconds, _ in services.settings]


def test_an_attempt_waits_for_the_timeout_and_in_the_end_for_all_that_the_deadline_leaves():
    by_default = own_policy()
    assert waits(by_default, 0, 50, 110, 120, 200, 239) == [100, 100, 100, 120, 40, 1]
    repeated = own_policy(retries={"repeatUnanswered": True})
    assert waits(repeated, 0, 20, 40, 60, 120) == [20, 20, 20, 20, 120]
    few = own_policy(retries={"repeatUnanswered": True, "count": 2, "timeout": 10})
    assert waits(few, 0, 10, 20) == [10, 10, 220]
    assert waits(own_policy(retries={"count": 0}), 0) == [100]
    assert waits(own_policy("Consumption", streaming=False, breaker=None), 0, 20) == [30, 10]


# --- bodies that the tier cannot keep ----------------------------------------------------------


@pytest.mark.parametrize("tier", ["BasicV2", "StandardV2", "PremiumV2", "Consumption"])
def test_a_large_body_passes_once_where_the_tier_cannot_keep_it(tier):
    async def test(world):
        answer = await world.call(path=V1, data=io.BytesIO(LARGE), json=None)
        assert (answer.status, answer.headers["x-backend-host"]) == (200, host("foundry1"))
        assert world.regions["foundry1"].requests[-1].body == LARGE
        world.regions["foundry2"].status = 429
        answer = await world.call(data=io.BytesIO(LARGE), json=None)
        assert (answer.status, answer.headers["x-backend-attempts"]) == (429, "1")
        # What keeps it, or reads it, fails there.
        for models, status in ((TWO_MODELS[:1], 503), (TWO_MODELS, 413)):
            tried = own_policy("Premium", models=models)
            world.resources.change(f"{SERVICE}/apis/inference/policies/policy", value=tried)
            answer = await world.call(path=V1, data=io.BytesIO(LARGE), json=None)
            assert (answer.status, nameable(answer)) == (status, set())

    off = {"streaming": False, "breaker": None} if tier == "Consumption" else {}
    in_world(test, policy=own_policy(tier, models=TWO_MODELS, **off), tier=tier)


def test_a_large_body_is_kept_and_sent_elsewhere_on_a_classic_tier():
    async def test(world):
        world.regions["foundry1"].status = 429
        answer = await world.call(data=io.BytesIO(LARGE), json=None)
        assert (answer.status, answer.headers["x-backend-attempts"]) == (200, "2")
        assert world.regions["foundry2"].requests[-1].body == LARGE

    in_world(test, policy=own_policy("Premium"), tier="Premium")


def test_a_body_of_a_length_that_is_not_told_passes_once():
    async def pieces():
        for _ in range(3):
            yield LARGE

    async def test(world):
        assert (await world.call(data=pieces(), json=None)).status == 200
        world.regions["foundry2"].status = 500
        assert (await world.call(data=pieces(), json=None)).status == 503
        assert world.regions["foundry2"].requests[-1].body == LARGE * 3
        assert not world.regions["foundry3"].requests

    in_world(test, tier="BasicV2")


def test_on_consumption_events_reach_the_client_as_a_whole_or_not_at_all():
    async def test(world):
        for region in world.regions.values():
            region.respond = streams_events
        answer = await world.call()
        assert (answer.status, answer.body) == (200, b"data: 1\n\ndata: [DONE]\n\n")
        assert answer.headers["Content-Length"] == str(len(answer.body))
        world.resources.change(f"{SERVICE}/apis/inference/policies/policy", value=POLICY)
        assert (await world.call()).status == 503

    in_world(test, policy=own_policy("Consumption", streaming=False), tier="Consumption")


# --- every way to fail -------------------------------------------------------------------------


INSIDE = ("foundry", "backend", "pool", "identity", "entra", "principal", "apim", "azure.com")


def nameable(answer) -> set[str]:
    """Return what an answer names of what is inside."""
    said = f"{answer.reason} {answer.headers} {answer.body!r}".lower().replace("x-backend", "")
    return {word for word in INSIDE if word in said}


def without_identity(world):
    world.resources.put(SERVICE, {**world.resources.get(SERVICE).body, "identity": None})


def all_answer(status):
    def fail(world):
        for region in world.regions.values():
            region.status = status
            region.headers = {"WWW-Authenticate": "Bearer principal"}
            region.respond = None

    return fail


def all_tripped(world):
    for name in LOCATIONS:
        world.resources.change(f"{SERVICE}/backends/{name}", circuitBreaker=breaker_rule(count=1))
    all_answer(500)(world)


def all_hang(world):
    for region in world.regions.values():
        region.respond = hangs


def all_unknown(world):
    for name in LOCATIONS:
        world.down(name)


def no_pool(world):
    world.resources.remove(f"{SERVICE}/backends/inference-backend-pool")


def no_url(world):
    for name in LOCATIONS:
        world.resources.change(f"{SERVICE}/backends/{name}", url="http://[")


def failing(section):
    """Fail in a section of an outer or inner scope, with what an expression could tell."""

    def fail(world):
        sections = dict.fromkeys(("inbound", "backend", "outbound", "on-error"), "<base/>")
        wrong = '@((string)context.Variables["foundry1 of the pool"])'
        sections[section] += f"<set-variable name=\"x\" value='{wrong}'/>"
        inner = "".join(f"<{name}>{text}</{name}>" for name, text in sections.items())
        at = f"{SERVICE}/apis/inference/operations/chat/policies/policy"
        if section == "backend":
            inner = inner.replace("<base/><set", "<choose><when condition='true'><base/><set")
            inner = inner.replace("/></backend>", "/></when></choose></backend>")
        world.resources.put(at, {"properties": {"value": f"<policies>{inner}</policies>"}})

    return fail


@pytest.mark.parametrize("reveal", [True, False])
@pytest.mark.parametrize(
    ("fail", "status"),
    [
        (without_identity, 503),
        (all_answer(500), 503),
        (all_answer(503), 503),
        (all_answer(504), 504),
        (all_answer(401), 401),
        (all_answer(403), 403),
        (all_tripped, 503),
        (all_hang, 504),
        (all_unknown, 503),
        (no_pool, 503),
        (no_url, 503),
        (failing("inbound"), 503),
        (failing("backend"), 503),
        (failing("outbound"), 504),  # of a call that was executed
    ],
)
def test_no_way_to_fail_names_what_is_inside(fail, status, reveal):
    async def test(world):
        fail(world)
        for _ in range(2):  # where breakers trip, the second is the pool's own
            answer = await world.call()
            assert answer.status == status
            for header in ("x-backend-host", "x-backend-tried") if reveal else ():
                answer.headers.popall(header, None)  # revealed on purpose
            assert not nameable(answer)
            assert json.loads(answer.body)["error"]["message"]
            assert (status in (401, 403)) is ("Retry-After" not in answer.headers)

    in_world(test, policy=own_policy(revealBackend=reveal, retries={"timeout": 1}))


def test_a_refusal_of_the_client_s_key_stays_the_gateway_s_own():
    async def test(world):
        answer = await world.call(key="wrong")
        assert (answer.status, nameable(answer)) == (401, set())
        assert b"invalid subscription key" in answer.body

    in_world(test)
