"""The gateway on real sockets, in front of regions that answer what a test says."""

import asyncio
import gzip
import io
import json
import socket
from collections import Counter
from itertools import cycle

import aiohttp
import pytest
from aiohttp import web
from fake_resources import (
    KEY,
    LOCATIONS,
    SERVICE,
    account_id,
    breaker_rule,
    deploy_account,
    deploy_service,
    grant,
    run,
    serve,
)
from gateway_world import (
    CHAT,
    LARGE,
    POLICY,
    World,
    cut,
    hear_first_event_before_the_second,
    in_world,
    streams_events,
)

from local_azure import openai_region
from local_azure.faults import Fault, Faults

TO_POOL = """<policies><inbound><set-backend-service backend-id="{}"/></inbound>
<backend><base/></backend><outbound/><on-error/></policies>"""

# --- keys and paths ----------------------------------------------------------------------------


def test_without_a_key_and_with_a_wrong_one():
    async def test(world):
        missing = await world.call(key=None)
        assert missing.status == 401
        assert missing.body == (
            b'{"statusCode":401,"message":"Access denied due to missing subscription key. Make sure'
            b' to include subscription key when making requests to an API."}'
        )
        assert missing.headers["Content-Type"] == "application/json"
        wrong = await world.call(key="wrong")
        assert wrong.status == 401
        assert wrong.body == (
            b'{"statusCode":401,"message":"Access denied due to invalid subscription key. Make sure'
            b' to provide a valid key for an active subscription."}'
        )
        assert not any(region.requests for region in world.regions.values())

    in_world(test)


def test_either_key_opens_in_the_header_or_in_the_query():
    async def test(world):
        assert (await world.call(key="the-secondary-key")).status == 200
        assert (await world.call(key=None, path=f"{CHAT}&api-key={KEY}")).status == 200
        default_header = {"Ocp-Apim-Subscription-Key": KEY}
        assert (await world.call(key=None, headers=default_header)).status == 401

    in_world(test)


@pytest.mark.parametrize(
    ("properties", "status"),
    [
        ({"state": "suspended"}, 401),
        ({"scope": f"{SERVICE}/apis/other"}, 401),
        ({"scope": f"{SERVICE}/products/inference"}, 401),
        ({"scope": "/apis/inference"}, 200),
        ({"scope": f"{SERVICE.upper()}/apis/INFERENCE"}, 200),
        ({"scope": f"{SERVICE}/apis"}, 200),
        ({"scope": f"{SERVICE}/"}, 200),
    ],
)
def test_only_an_active_subscription_to_the_api_opens_it(properties, status):
    async def test(world):
        world.resources.change(f"{SERVICE}/subscriptions/clients", **properties)
        assert (await world.call()).status == status

    in_world(test)


def test_an_api_without_subscription_needs_no_key():
    async def test(world):
        world.resources.change(f"{SERVICE}/apis/inference", subscriptionRequired=False)
        assert (await world.call(key=None)).status == 200

    in_world(test)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", CHAT),
        ("POST", "/inference/openai/models"),
        ("POST", "/inference/openai/deployments/chat/completions"),
        ("POST", "/inference/openai/deployments/a/b/chat/completions"),
        ("POST", "/inference/openai"),
        ("POST", "/inference/openaix/deployments/chat/chat/completions"),
        ("POST", "/deployments/chat/chat/completions"),
        ("GET", "/inference/openai/x/../models"),
        ("GET", "/inference/openai/%2e%2e/models"),
        ("POST", "/inference/openai/deployments/a%2fb/chat/completions"),
        ("POST", "/inference/openai/deployments/../chat/completions"),
        ("GET", "/"),
    ],
)
def test_what_is_not_declared_is_not_found_even_with_a_key(method, path):
    async def test(world):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(world.url.rpartition(":")[2])
        )
        # Sent as it is: a client library would tidy the path up.
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\napi-key: {KEY}\r\n"
            "Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 404")
        assert answer.endswith(b'{"statusCode":404,"message":"Resource not found"}')
        assert not any(region.requests for region in world.regions.values())

    in_world(test)


def test_a_deleted_service_has_nothing():
    async def test(world):
        world.resources.remove(SERVICE)
        assert (await world.call()).status == 404

    in_world(test)


@pytest.mark.parametrize(
    ("template", "path", "matched"),
    [
        ("/files/{name}", "/files/a%20b", True),
        ("/files/{name}", "/FILES/a", True),
        ("/files/{name}", "/files/a/", True),
        ("/files/{name}", "/files/a/b", False),
        ("/files/{name}", "/files/", False),
        ("/files/{*rest}", "/files/a/b", True),
        ("/files/*", "/files/a/b", True),
        ("/*", "/", True),
        ("files.txt", "/files.txt", True),
        ("files.txt", "/filesXtxt", False),
        ("/{a}-{b}", "/x-y", True),
        ("/{a}-{b}", "/x", False),
        ("/" + "-".join(f"{{p{n}}}" for n in range(30)) + "!", "/" + "a-" * 2000, False),
        ("/find?id={id}", "/find?id=1", True),
        ("/find?id={id}", "/find", False),
        ("/find?kind=a", "/find?kind=a&more=1", True),
        ("/find?kind=a", "/find?kind=b", False),
    ],
)
def test_url_templates(template, path, matched):
    async def test(world):
        world.resources.put(
            f"{SERVICE}/apis/inference/operations/get",
            {"properties": {"displayName": "Get", "method": "GET", "urlTemplate": template}},
        )
        answer = await world.call("GET", f"/inference/openai{path}")
        assert answer.status == (200 if matched else 404)

    in_world(test)


def test_what_is_spelt_out_goes_before_a_parameter_and_a_longer_api_path_before_a_shorter():
    policy = """<policies><inbound><return-response><set-body>@(context.Api.Id + " "
      + context.Operation.Id + " "
      + context.Request.MatchedParameters.GetValueOrDefault("any", "-"))</set-body>
      </return-response></inbound></policies>"""

    async def test(world):
        for api, path in (("root", ""), ("short", "shop"), ("long", "shop/items")):
            world.resources.put(
                f"{SERVICE}/apis/{api}",
                {"properties": {"path": path, "subscriptionRequired": False}},
            )
            world.resources.put(
                f"{SERVICE}/apis/{api}/policies/policy", {"properties": {"value": policy}}
            )
            for name, template in (("any", "/{any}"), ("one", "/one")):
                world.resources.put(
                    f"{SERVICE}/apis/{api}/operations/{name}",
                    {"properties": {"method": "GET", "urlTemplate": template}},
                )
        for path, expected in (
            ("/shop/one", b"short one -"),
            ("/shop/two%21", b"short any two!"),
            ("/shop/items", b'{"statusCode":404,"message":"Resource not found"}'),
            ("/shop/items/one", b"long one -"),
            ("/shopping", b"root any shopping"),
        ):
            answer = await world.call("GET", path)
            assert answer.body == expected

    in_world(test)


# --- forwarding --------------------------------------------------------------------------------


def test_what_a_region_gets_and_what_the_client_gets():
    async def test(world):
        region = world.regions["foundry1"]
        region.headers = {"x-ms-region": "UK South", "Connection": "x-hop", "X-Hop": "1"}
        answer = await world.call(
            data=b'{"a": 1}',
            json=None,
            headers={"Content-Type": "application/json", "X-Own": "1", "TE": "trailers"},
        )
        assert answer.status == 200
        assert json.loads(answer.body) == {"from": "foundry1"}
        assert answer.headers["x-ms-region"] == "UK South"
        assert answer.headers["x-backend-host"] == "foundry1-test.openai.azure.com"
        assert answer.headers["x-backend-attempts"] == "1"
        assert "X-Hop" not in answer.headers
        [got] = region.requests
        assert got.path == "/openai/deployments/chat/chat/completions?api-version=2024-10-21"
        assert got.body == b'{"a": 1}'
        assert got.headers["Host"] == "foundry1-test.openai.azure.com"
        assert got.headers["X-Own"] == "1"
        assert "api-key" not in got.headers
        assert "TE" not in got.headers
        token = got.headers["Authorization"].removeprefix("Bearer ")
        principal = world.tokens.principal(token, "https://cognitiveservices.azure.com")
        assert principal == "11111111-2222-3333-4444-555555555555"

    in_world(test)


def test_an_encoded_path_is_sent_on_as_it_came():
    async def test(world):
        path = "/inference/openai/deployments/a%20b%3F%E2%82%AC/chat/completions?x=%26&y=a+b"
        await world.call(path=path)
        assert world.regions["foundry1"].requests[0].path == path.removeprefix("/inference")

    in_world(test)


def test_responses_pass_unchanged_compressed_empty_or_redirecting():
    async def compressed(_):
        return web.Response(body=gzip.compress(b"text"), headers={"Content-Encoding": "gzip"})

    async def empty(_):
        return web.Response(status=204)

    async def redirect(_):
        return web.Response(status=302, headers={"Location": "http://192.0.2.1/"})

    async def test(world):
        region = world.regions["foundry1"]
        region.respond = compressed
        answer = await world.call()
        assert (answer.body, answer.headers["Content-Encoding"]) == (b"text", "gzip")
        region.respond = empty
        assert (await world.call()).status == 204
        region.respond = redirect
        answer = await world.call(allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (302, "http://192.0.2.1/")

    in_world(test, members={"foundry1": (1, 1)})


@pytest.mark.parametrize("buffer", ["", 'buffer-response="false"'])
def test_events_reach_the_client_while_the_region_is_still_speaking(buffer):
    policy = TO_POOL.format("inference-backend-pool").replace(
        "<base/>", f"<forward-request {buffer}/>"
    )

    async def test(world):
        await hear_first_event_before_the_second(world, "foundry1")

    in_world(test, policy=policy)


def test_a_large_response_of_unknown_length_passes_whole():
    async def large(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(64):
            await response.write(bytes([number]) * 65_536)
        await response.write_eof()
        return response

    async def test(world):
        world.regions["foundry1"].respond = large
        answer = await world.call()
        assert answer.body == b"".join(bytes([number]) * 65_536 for number in range(64))

    in_world(test)


def test_a_response_cut_in_the_middle_is_cut_for_the_client_too():
    async def test(world):
        for region in world.regions.values():
            region.respond = cut(after=b"half", length=9)
        with pytest.raises(aiohttp.ClientPayloadError):
            await world.call()

    in_world(test)


def test_a_client_that_leaves_in_the_middle_frees_the_region():
    async def test(world):
        left = asyncio.Event()

        async def speak(request):
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            try:
                while True:
                    await response.write(b"data: more\n\n")
                    await asyncio.sleep(0.001)
            except ConnectionError:
                left.set()
                raise

        world.regions["foundry1"].respond = speak
        async with world.session.post(
            world.url + CHAT, json={}, headers={"api-key": KEY}
        ) as answer:
            await answer.content.readuntil(b"\n\n")
            answer.close()
        await left.wait()

    in_world(test)


def test_a_service_url_is_used_where_no_backend_is_set():
    async def test(world):
        world.resources.change(
            f"{SERVICE}/apis/inference", serviceUrl="https://foundry2-test.openai.azure.com/base/"
        )
        assert (await world.call()).status == 200
        [got] = world.regions["foundry2"].requests
        assert got.path.startswith("/base/deployments/chat/")
        assert got.headers["api-key"] == KEY

    in_world(test, policy=None)


# --- pools -------------------------------------------------------------------------------------


def test_equal_members_alternate_strictly_on_one_instance():
    async def test(world):
        hosts = await world.hosts(9)
        assert hosts[:3] == hosts[3:6] == hosts[6:]
        assert set(hosts) == set(LOCATIONS)

    in_world(test)


def test_the_incident():
    async def test(world):
        assert set(await world.hosts(12)) == {"foundry1"}

    in_world(test, members={"foundry1": (1, 100), "foundry2": (2, 50), "foundry3": (2, 50)})


def test_a_pool_that_is_updated_is_followed_from_the_next_request_on():
    async def test(world):
        assert set(await world.hosts(3)) == {"foundry1"}
        pool = f"{SERVICE}/backends/inference-backend-pool"
        members = [
            {"id": f"{SERVICE}/backends/{name}", "priority": 1, "weight": 1} for name in LOCATIONS
        ]
        world.resources.change(pool, pool={"services": members})
        assert Counter(await world.hosts(6)) == dict.fromkeys(LOCATIONS, 2)

    in_world(test, members={"foundry1": (1, 100), "foundry2": (2, 50), "foundry3": (2, 50)})


def test_another_change_does_not_disturb_the_rotation_or_the_breakers():
    async def test(world):
        world.regions["foundry1"].status = 500
        await world.call()
        world.regions["foundry1"].status = 200
        before = await world.hosts(1)
        world.resources.put(f"{SERVICE}/backends/another", {"properties": {"url": "http://a/"}})
        after = await world.hosts(3)
        assert before + after == ["foundry3", "foundry2", "foundry3", "foundry2"]

    in_world(test, breaker=breaker_rule(count=1))


def test_each_instance_rotates_on_its_own():
    async def test(world):
        assert await world.hosts(8) == [name for name in (*LOCATIONS, "foundry1") for _ in range(2)]

    turns = cycle([0, 1])
    in_world(test, instances=2, choose=lambda _: next(turns))


def test_breakers_belong_to_one_instance():
    async def test(world):
        world.regions["foundry1"].status = 500
        await world.call()
        await world.call()
        # Both instances had to find out.
        assert len(world.regions["foundry1"].requests) == 2

    turns = cycle([0, 1])
    in_world(test, instances=2, choose=lambda _: next(turns), breaker=breaker_rule(count=1))


def test_requests_are_spread_over_the_instances_at_random():
    async def test(world):
        hosts = await world.hosts(30)
        assert hosts != [name for _ in range(10) for name in LOCATIONS]
        assert set(hosts) == set(LOCATIONS)

    in_world(test, instances=4)


# --- failing regions ---------------------------------------------------------------------------


def test_a_region_without_a_name_and_one_with_a_closed_port_are_retried_elsewhere():
    async def test(world):
        world.down("foundry1")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            closed = taken.getsockname()[1]
        world.addresses["foundry2-test.openai.azure.com"] = f"http://127.0.0.1:{closed}"
        answer = await world.call()
        assert answer.status == 200
        assert answer.headers["x-backend-host"] == "foundry3-test.openai.azure.com"
        assert answer.headers["x-backend-attempts"] == "3"

    in_world(test)


def test_a_region_that_is_deployed_anew_is_found_at_its_new_address():
    async def test(world):
        await world.hosts(3)
        for old, new in (("foundry1", "foundry2"), ("foundry2", "foundry3")):
            world.addresses[f"{old}-test.openai.azure.com"] = world.addresses[
                f"{new}-test.openai.azure.com"
            ]
        world.resources.revision += 1
        await world.hosts(3)
        assert {name: len(region.requests) for name, region in world.regions.items()} == {
            "foundry1": 1,
            "foundry2": 2,
            "foundry3": 3,
        }

    in_world(test)


def test_a_tripped_region_gets_nothing_until_the_trip_ends():
    async def test(world):
        broken = world.regions["foundry1"]
        broken.status = 500
        assert set(await world.hosts(9)) == {"foundry2", "foundry3"}
        assert len(broken.requests) == 3
        broken.status = 200
        world.clock.now += 59.9
        assert set(await world.hosts(6)) == {"foundry2", "foundry3"}
        world.clock.now += 0.2
        assert set(await world.hosts(6)) == set(LOCATIONS)

    in_world(test, breaker=breaker_rule(count=3, trip="PT1M"))


def test_retry_after_of_the_region_sets_the_trip():
    async def test(world):
        throttled = world.regions["foundry1"]
        throttled.status, throttled.headers = 429, {"Retry-After": "5"}
        assert set(await world.hosts(4)) == {"foundry2", "foundry3"}
        throttled.status = 200
        world.clock.now += 5.1
        assert "foundry1" in await world.hosts(3)

    in_world(test, breaker=breaker_rule(count=1, trip="PT1M"))


def test_a_region_that_cannot_be_reached_trips_too():
    async def test(world):
        world.down("foundry1")
        assert set(await world.hosts(6)) == {"foundry2", "foundry3"}
        world.down("foundry1", down=False)
        assert set(await world.hosts(6)) == {"foundry2", "foundry3"}
        world.clock.now += 60.1
        assert set(await world.hosts(6)) == set(LOCATIONS)

    in_world(test, breaker=breaker_rule(count=2))


def test_a_lower_group_serves_only_once_all_of_the_higher_are_tripped():
    async def test(world):
        for name in ("foundry1", "foundry2"):
            world.regions[name].status = 500
        # The first two have to fail once each before the third is asked.
        assert set(await world.hosts(4)) == {"foundry3"}
        assert len(world.regions["foundry1"].requests) == 1
        assert len(world.regions["foundry2"].requests) == 1

    members = {"foundry1": (1, 1), "foundry2": (1, 1), "foundry3": (2, 1)}
    in_world(test, members=members, breaker=breaker_rule(count=1))


def test_when_all_are_tripped_and_no_policy_speaks_the_gateway_answers_503_itself():
    async def test(world):
        world.regions["foundry1"].status = 500
        assert (await world.call()).status == 500
        answer = await world.call()
        assert answer.status == 503
        # As a response that names what is inside: no error, so that `on-error` is not asked.
        assert answer.reason == f"Backend pool {target} is temporarily unavailable"
        assert json.loads(answer.body) == {"statusCode": 503, "message": answer.reason}
        assert "x-error" not in answer.headers

    # Of one backend, and of a pool of one.
    for target in ("foundry1", "inference-backend-pool"):
        in_world(
            test,
            policy=TO_POOL.format(target).replace(
                "<on-error/>",
                "<on-error><set-header name='x-error'><value>1</value></set-header></on-error>",
            ),
            members={"foundry1": (1, 1)},
            breaker=breaker_rule(count=1),
        )


def test_on_error_sees_what_went_wrong_and_where():
    policy = TO_POOL.format("inference-backend-pool").replace(
        "<on-error/>",
        """<on-error><set-header name="x-error"><value>@(context.LastError.Source + "/"
        + context.LastError.Reason + "/" + context.LastError.Section + "/"
        + context.Response.StatusCode)</value></set-header></on-error>""",
    )

    async def test(world):
        for name in LOCATIONS:
            world.down(name)
        answer = await world.call()
        assert answer.status == 500
        assert answer.headers["x-error"] == "forward-request/BackendConnectionFailure/backend/500"
        assert json.loads(answer.body)["message"] == "Internal server error"
        answer = await world.call(key=None)
        assert answer.status == 401
        assert answer.headers["x-error"] == "authorization/SubscriptionKeyNotFound/inbound/401"

    in_world(test, policy=policy, members={"foundry1": (1, 1)}, breaker=breaker_rule(count=1))


def test_a_slow_region_times_out_as_one_that_gives_no_response():
    policy = TO_POOL.format("foundry1").replace("<base/>", '<forward-request timeout="1"/>')

    async def test(world):
        stop = asyncio.Event()

        async def hang(_):
            await stop.wait()
            return web.Response()

        world.regions["foundry1"].respond = hang
        answer = await world.call()
        stop.set()
        assert answer.status == 504
        assert json.loads(answer.body)["message"] == "Gateway timeout"
        # One timeout counts as one failure.
        assert (await world.call()).status == 503

    in_world(test, policy=policy, breaker=breaker_rule(count=1))


def test_a_failing_expression_is_a_500_that_shows_nothing_of_the_policy():
    policy = """<policies><inbound>
    <set-variable name="a" value="@((int)context.Variables["nope"])"/></inbound>
    <on-error><set-header name="x-reason"><value>@(context.LastError.Reason)</value>
    </set-header></on-error></policies>"""

    async def test(world):
        answer = await world.call()
        assert answer.status == 500
        assert answer.headers["x-reason"] == "ExpressionValueEvaluationFailure"
        assert json.loads(answer.body)["message"] == "Internal server error"

    in_world(test, policy=policy)


def test_on_error_knows_each_section():
    policy = """<policies><inbound/><backend/><outbound><set-variable name="a" value="@(1 / 0)"/>
    </outbound><on-error><set-header name="x-section"><value>@(context.LastError.Section)</value>
    </set-header></on-error></policies>"""

    async def test(world):
        assert (await world.call()).headers["x-section"] == "outbound"

    in_world(test, policy=policy)


def test_an_on_error_that_fails_itself_is_a_plain_500():
    policy = """<policies><inbound><set-backend-service backend-id="nope"/></inbound>
    <backend><base/></backend>
    <on-error><set-header name="a"><value>@(1 / 0)</value></set-header></on-error>
    </policies>"""

    async def test(world):
        answer = await world.call()
        assert (answer.status, json.loads(answer.body)["message"]) == (500, "Internal server error")

    in_world(test, policy=policy)


def test_a_service_without_an_identity_cannot_get_a_token():
    async def test(world):
        service = world.resources.get(SERVICE)
        world.resources.put(SERVICE, {**service.body, "identity": None})
        answer = await world.call()
        assert answer.status == 503
        assert not any(region.requests for region in world.regions.values())

    in_world(test)


def test_a_backend_that_is_gone_counts_as_tripped_and_an_unknown_one_is_an_error():
    async def test(world):
        world.resources.remove(f"{SERVICE}/backends/foundry1")
        answers = [await world.call() for _ in range(4)]
        assert {answer.headers["x-backend-attempts"] for answer in answers} == {"1"}
        assert not world.regions["foundry1"].requests
        world.resources.remove(f"{SERVICE}/backends/inference-backend-pool")
        assert (await world.call()).status == 503

    in_world(test)


@pytest.mark.parametrize(
    "properties",
    [
        {"url": "http://["},
        {"url": "http://:80/"},
        {"url": "https://a:99999/"},
        {
            "url": "https://a/",
            "circuitBreaker": {
                "rules": [
                    {
                        "failureCondition": {"percentage": 50, "interval": "PT1M"},
                        "tripDuration": "PT1M",
                    }
                ]
            },
        },
    ],
)
def test_a_backend_that_cannot_be_run_leaves_the_others_running(properties):
    async def test(world):
        world.resources.put(f"{SERVICE}/backends/foundry1", {"properties": properties})
        assert set(await world.hosts(4)) == {"foundry2", "foundry3"}
        policy = f"{SERVICE}/apis/inference/policies/policy"
        world.resources.change(policy, value=TO_POOL.format("foundry1"))
        assert (await world.call()).status == 500

    in_world(test)


@pytest.mark.parametrize("url", [None, "", "ftp://a/", "http://["])
def test_a_service_url_that_is_none_is_a_500(url):
    async def test(world):
        world.resources.change(f"{SERVICE}/apis/inference", serviceUrl=url)
        answer = await world.call()
        assert (answer.status, json.loads(answer.body)["statusCode"]) == (500, 500)

    in_world(test, policy=None)


def test_strange_header_bytes_are_no_crash():
    async def test(world):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(world.url.rpartition(":")[2])
        )
        writer.write(
            f"POST {CHAT} HTTP/1.1\r\nHost: a:b:c\r\napi-key: {KEY}\r\n".encode()
            + b"X-Odd: \xff\xfe\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
        )
        answer = await reader.read()
        writer.close()
        assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))

    in_world(test)


# --- bodies that the tier cannot keep ----------------------------------------------------------


@pytest.mark.parametrize(
    ("tier", "status"),
    [
        ("BasicV2", 503),
        ("StandardV2", 503),
        ("PremiumV2", 503),
        ("Consumption", 503),
        ("Basic", 200),
        ("Premium", 200),
    ],
)
def test_a_body_that_is_kept_for_a_retry_has_to_fit_the_tier(tier, status):
    async def test(world):
        assert (await world.call(data=io.BytesIO(LARGE), json=None)).status == status
        assert len(world.regions["foundry1"].requests) == (status == 200)
        # What passes as it comes is not kept.
        world.resources.change(
            f"{SERVICE}/apis/inference/policies/policy", value=TO_POOL.format("foundry2")
        )
        assert (await world.call(data=io.BytesIO(LARGE), json=None)).status == 200
        assert world.regions["foundry2"].requests[-1].body == LARGE
        reads = TO_POOL.format("foundry3").replace(
            "<inbound>",
            '<inbound><set-variable name="a" value="@(context.Request.Body.As<string>(true))"/>',
        )
        world.resources.change(f"{SERVICE}/apis/inference/policies/policy", value=reads)
        answer = await world.call(data=io.BytesIO(LARGE), json=None)
        assert answer.status == (200 if status == 200 else 413)

    in_world(test, policy=POLICY.replace('buffer-response="false"', ""), tier=tier)


def test_on_consumption_events_come_as_a_whole_or_not_at_all():
    async def test(world):
        for region in world.regions.values():
            region.respond = streams_events
        answer = await world.call()
        assert (answer.status, answer.body) == (200, b"data: 1\n\ndata: [DONE]\n\n")
        assert answer.headers["Content-Length"] == str(len(answer.body))
        world.resources.change(f"{SERVICE}/apis/inference/policies/policy", value=POLICY)
        assert (await world.call()).status == 503

    in_world(test, policy=POLICY.replace('buffer-response="false"', ""), tier="Consumption")


# --- policies of every scope, and what they refer to -------------------------------------------


GLOBAL_POLICY = f"{SERVICE}/policies/policy"

CHAT_POLICY = f"{SERVICE}/apis/inference/operations/chat/policies/policy"


def says(name: str, text: str) -> str:
    """Return a policy that adds a header to the response, to what the outer scopes do."""
    return (
        "<policies><inbound><base/></inbound><backend><base/></backend><outbound><base/>"
        f'<set-header name="x-{name}"><value>{text}</value></set-header></outbound></policies>'
    )


def test_a_request_runs_through_the_policies_of_the_service_the_api_and_the_operation():
    async def test(world):
        put = world.resources.put
        put(GLOBAL_POLICY, {"properties": {"value": says("global", "1")}})
        put(CHAT_POLICY, {"properties": {"value": says("operation", "2")}})
        chat = await world.call()
        assert (chat.headers["x-global"], chat.headers["x-operation"]) == ("1", "2")
        models = await world.call("GET", "/inference/openai/models")
        assert models.headers["x-global"] == "1"
        assert "x-operation" not in models.headers
        world.resources.remove(GLOBAL_POLICY)
        assert "x-global" not in (await world.call()).headers

    policy = TO_POOL.format("inference-backend-pool").replace(
        "<outbound/>", "<outbound><base/></outbound>"
    )
    in_world(test, policy=policy)


def test_a_named_value_and_a_fragment_are_followed_when_they_change():
    fragment = f"{SERVICE}/policyFragments/mine"
    value = f"{SERVICE}/namedValues/id-of-it"

    async def test(world):
        def deploy(text: str, region: str) -> None:
            put = world.resources.put
            body = {"properties": {"displayName": "text", "secret": True}}
            put(value, body, {"value": text})
            content = f'<fragment><set-backend-service backend-id="{region}"/></fragment>'
            put(fragment, {"properties": {"value": content}})

        deploy("first", "foundry1")
        world.resources.change(
            f"{SERVICE}/apis/inference/policies/policy",
            value='<policies><inbound><include-fragment fragment-id="mine"/></inbound>'
            '<backend><base/></backend><outbound><set-header name="x-text"><value>{{text}}</value>'
            "</set-header></outbound></policies>",
        )
        answers = [await world.call()]
        deploy("second", "foundry2")
        answers.append(await world.call())
        assert [answer.headers["x-text"] for answer in answers] == ["first", "second"]
        assert [json.loads(answer.body)["from"] for answer in answers] == ["foundry1", "foundry2"]

    in_world(test)


def test_a_policy_that_does_not_compile_any_more_fails_its_own_requests_alone():
    async def test(world):
        world.resources.put(CHAT_POLICY, {"properties": {"value": says("a", "{{gone}}")}})
        answer = await world.call()
        assert answer.status == 500
        assert b"gone" not in answer.body
        assert (await world.call("GET", "/inference/openai/models")).status == 200

    in_world(test)


def test_a_limit_answers_429_with_the_seconds_to_wait():
    policy = TO_POOL.format("inference-backend-pool").replace(
        "<inbound>",
        '<inbound><rate-limit calls="2" renewal-period="30"'
        ' remaining-calls-header-name="x-remaining"/>',
    )

    async def test(world):
        answers = [await world.call() for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert answers[0].headers["x-remaining"] == "1"
        assert answers[2].headers["Retry-After"] == "30"
        assert json.loads(answers[2].body) == {
            "statusCode": 429,
            "message": "Rate limit is exceeded. Try again in 30 seconds.",
        }
        world.clock.now += 30.1
        assert (await world.call()).status == 200

    in_world(test, policy=policy)


def test_the_tokens_of_a_stream_count_against_the_limit_of_the_next_call():
    policy = TO_POOL.format("inference-backend-pool").replace(
        "<inbound>",
        '<inbound><llm-token-limit counter-key="a" tokens-per-minute="50"'
        ' estimate-prompt-tokens="false" remaining-tokens-header-name="x-remaining"/>',
    )
    last = b'data: {"usage": {"total_tokens": 60}}\n\ndata: [DONE]\n\n'

    async def stream(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n')
        await response.write(last)
        await response.write_eof()
        return response

    async def test(world):
        for region in world.regions.values():
            region.respond = stream
        first = await world.call()
        assert first.status == 200
        assert first.body.endswith(last)
        assert (await world.call()).status == 429

    in_world(test, policy=policy)


def test_a_streamed_response_that_a_policy_reads_reaches_the_client_whole():
    policy = TO_POOL.format("inference-backend-pool").replace(
        "<outbound/>",
        "<outbound><set-body>@{ return context.Response.Body.As<string>().ToUpper(); }</set-body>"
        "</outbound>",
    )

    async def stream(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in (b"one ", b"two"):
            await response.write(piece)
        await response.write_eof()
        return response

    async def test(world):
        for region in world.regions.values():
            region.respond = stream
        answer = await world.call()
        assert (answer.status, answer.body) == (200, b"ONE TWO")
        assert answer.headers["Content-Length"] == "7"

    in_world(test, policy=policy)


def test_the_identitys_own_token_passes_validate_azure_ad_token():
    policy = TO_POOL.format("inference-backend-pool").replace(
        "<inbound>",
        '<inbound><validate-azure-ad-token tenant-id="x"><audiences><audience>https://a'
        "</audience></audiences></validate-azure-ad-token>",
    )

    async def test(world):
        for audience, status in (("https://a", 200), ("https://b", 401)):
            token = world.tokens.issue("someone", audience)
            answer = await world.call(headers={"Authorization": f"Bearer {token}"})
            assert answer.status == status
        answer = await world.call(headers={"Authorization": f"Bearer {token}x"})
        assert answer.status == 401
        assert (await world.call()).status == 401

    in_world(test, policy=policy)


def test_a_preflight_request_is_answered_without_a_key_and_only_where_cors_says_so():
    cors = "<inbound><cors><allowed-origins><origin>https://a</origin></allowed-origins></cors>"
    asked = {"Origin": "https://a", "Access-Control-Request-Method": "POST"}

    async def test(world):
        answer = await world.call("OPTIONS", key=None, headers=asked)
        assert answer.status == 404
        world.resources.change(
            f"{SERVICE}/apis/inference/policies/policy",
            value=TO_POOL.format("inference-backend-pool").replace("<inbound>", cors),
        )
        answer = await world.call("OPTIONS", key=None, headers=asked)
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "https://a"
        other = {**asked, "Access-Control-Request-Method": "DELETE"}
        assert (await world.call("OPTIONS", key=None, headers=other)).status == 404
        assert (await world.call("OPTIONS", key=None)).status == 404
        assert not any(region.requests for region in world.regions.values())
        answer = await world.call(headers={"Origin": "https://a"})
        assert answer.headers["Access-Control-Allow-Origin"] == "https://a"

    in_world(test)


def test_an_assigned_identity_is_told_by_its_client_id():
    policy = TO_POOL.format("inference-backend-pool").replace(
        "<inbound>",
        '<inbound><authentication-managed-identity resource="https://a" client-id="{}"/>',
    )

    async def test(world):
        known = {"principalId": "the-principal", "clientId": "the-client"}
        service = world.resources.get(SERVICE).body
        identity = {"type": "UserAssigned", "userAssignedIdentities": {"an id": known}}
        world.resources.put(SERVICE, {**service, "identity": identity})
        for client, status in (("THE-CLIENT", 200), ("another", 500)):
            world.resources.change(
                f"{SERVICE}/apis/inference/policies/policy", value=policy.format(client)
            )
            assert (await world.call()).status == status
        (request,) = [each for region in world.regions.values() for each in region.requests]
        token = request.headers["Authorization"].removeprefix("Bearer ")
        claims = world.tokens.claims(token, "https://a")
        assert (claims["oid"], claims["appid"]) == ("the-principal", "the-client")

    in_world(test)


# --- with the regional endpoints ---------------------------------------------------------------


def test_a_pool_s_policy_in_front_of_the_regional_endpoints():
    async def test(stack):
        world = World()
        deploy_service(world.resources, POLICY, breaker=breaker_rule(count=1))
        faults = Faults()
        for name, location in LOCATIONS.items():
            deploy_account(world.resources, name, location)
            grant(world.resources, account_id(name))
            app = openai_region.create_app(
                world.resources,
                account_id(name),
                tokens=world.tokens,
                faults=faults,
                latency=lambda _: 0.0,
            )
            world.addresses[f"{name}-test.openai.azure.com"] = await serve(stack, app)
        await world.open(stack)
        ask = {"messages": [{"role": "user", "content": "Hello"}]}

        regions = [(await world.call(json=ask)).headers["x-ms-region"] for _ in range(3)]
        assert sorted(regions) == ["East US", "Norway East", "UK South"]

        answer = await world.call(json={**ask, "stream": True})
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert answer.body.endswith(b"data: [DONE]\n\n")

        faults.set("foundry2", Fault(down=True))
        faults.set("foundry3", Fault(status=429, retry_after=86_400))
        answers = [await world.call(json=ask) for _ in range(5)]
        assert {answer.status for answer in answers} == {200}
        assert {answer.headers["x-ms-region"] for answer in answers} == {"UK South"}

        faults.set("foundry1", Fault(status=503))
        assert [(await world.call(json=ask)).status for _ in range(2)] == [503, 503]

        faults.clear()
        world.clock.now += 60.1
        regions = {(await world.call(json=ask)).headers["x-ms-region"] for _ in range(6)}
        # The day that foundry3 asked for is not over.
        assert regions == {"UK South", "East US"}

        world.resources.remove(f"{account_id('foundry1')}/providers")
        answers = [await world.call(json=ask) for _ in range(2)]
        assert {answer.status for answer in answers} == {200}
        assert {answer.headers["x-ms-region"] for answer in answers} == {"East US"}

        # With no role anywhere the region's own word is what there is to say.
        world.resources.remove(f"{account_id('foundry2')}/providers")
        denied = await world.call(json=ask)
        assert denied.status == 401
        assert b"PermissionDenied" in denied.body

    run(test)


def test_a_backend_s_credentials_go_to_it_alone():
    """Source of the shapes: API Management 2024-05-01, BackendCredentialsContract."""
    policy = """<policies><inbound><set-backend-service backend-id="foundry1"/></inbound><backend>
<retry condition="@(context.Response.StatusCode == 500)" count="1" interval="0">
<choose><when condition="@(context.Variables.ContainsKey("again"))">
<set-backend-service backend-id="foundry2"/></when></choose>
<set-variable name="again" value="1"/><forward-request buffer-request-body="true"/></retry>
</backend><outbound/><on-error/></policies>"""

    async def test(world):
        world.resources.change(
            f"{SERVICE}/backends/foundry1",
            credentials={
                "header": {"x-team": ["a", "b"], "api-key": ["secret"]},
                "query": {"code": ["1 2"]},
                "authorization": {"scheme": "Basic", "parameter": "abc"},
            },
        )
        world.regions["foundry1"].status = 500
        await world.call(headers={"Authorization": "Bearer client"})
        [first], [second] = (world.regions[f"foundry{n}"].requests for n in (1, 2))
        assert first.headers.getall("x-team") == ["a", "b"]
        assert first.headers["Authorization"] == "Basic abc"
        assert first.headers["api-key"] == "secret"
        assert first.path.endswith("?api-version=2024-10-21&code=1%202")
        assert second.headers["Authorization"] == "Bearer client"
        assert "x-team" not in second.headers
        assert second.path.endswith("?api-version=2024-10-21")

    in_world(test, policy=policy)
