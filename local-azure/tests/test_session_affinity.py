"""Session affinity of a pool: deployed, and kept by a cookie; `context.Backend`."""

import pytest
from arm_server import BACKEND, GROUP, POOL, SERVICE, serving
from fake_resources import SERVICE as DEPLOYED
from fake_resources import breaker_rule
from gateway_world import in_world

NEW = {"api-version": "2025-03-01-preview"}
AFFINITY = {"sessionId": {"source": "cookie", "name": "SessionId"}}
INBOUND_POOL = f"{DEPLOYED}/backends/inference-backend-pool"
POLICY = """<policies><inbound><set-backend-service backend-id="inference-backend-pool"/></inbound>
 <backend><base/></backend><outbound><set-header name="x-backend"><value>@(context.Backend.Type
 + " " + context.Backend.Id + " " + context.Backend.AzureRegion + " " + context.Request.Url.Host)
 </value></set-header></outbound><on-error/></policies>"""


@pytest.fixture(scope="module")
def arm(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("arm")) as arm:
        arm.deploy(GROUP, SERVICE, BACKEND)
        yield arm


def pool(affinity=AFFINITY, **more):
    services = [{"id": BACKEND, "priority": 1, "weight": 1}]
    made = {"services": services, "sessionAffinity": affinity}
    return {"properties": {"type": "Pool", "pool": made, **more}}


def test_a_pool_has_it_from_the_api_version_on_that_brings_it(arm):
    assert arm.put(POOL, pool(azureRegion="uksouth"), params=NEW).status_code == 201
    new = arm.get(POOL, params=NEW).json()["properties"]
    assert (new["pool"]["sessionAffinity"], new["azureRegion"]) == (AFFINITY, "uksouth")
    old = arm.get(POOL, params={"api-version": "2024-05-01"}).json()["properties"]
    assert (list(old["pool"]), "azureRegion" in old) == (["services"], False)
    assert "pool" not in arm.get(POOL, params={"api-version": "2022-08-01"}).json()["properties"]
    refused = arm.put(POOL, pool(), params={"api-version": "2024-05-01"})
    assert refused.status_code == 400
    assert "'Could not find member 'sessionAffinity' of api-version 2024-05-01." in refused.text
    assert "Path 'properties.pool.sessionAffinity'" in refused.text


@pytest.mark.parametrize(
    ("session", "why"),
    [
        ({"source": "header", "name": "a"}, "'source' should be 'cookie', not 'header'."),
        ({"source": "Cookie", "name": "a b"}, "'name' should be a cookie's name, not 'a b'."),
        ({"source": "cookie"}, "'name' should not be empty"),
    ],
)
def test_a_session_is_a_cookie_with_a_name(arm, session, why):
    refused = arm.put(POOL, pool({"sessionId": session}), params=NEW)
    assert refused.status_code == 400
    assert why in refused.text


def region(answer):
    return answer.headers["x-backend"].split()[-1].partition("-")[0]


def keep(world):
    services = world.resources.get(INBOUND_POOL).body["properties"]["pool"]["services"]
    world.resources.change(INBOUND_POOL, pool={"services": services, "sessionAffinity": AFFINITY})


def test_a_client_that_sends_the_cookie_back_stays_with_its_member_on_every_unit():
    turns = iter(range(100))

    async def test(world):
        keep(world)
        for _ in range(3):
            first = await world.call()
            cookie = first.headers["Set-Cookie"].partition(";")[0]
            assert cookie.startswith("SessionId=")
            assert region(first) not in cookie
            later = [await world.call(headers={"Cookie": f"a=b; {cookie}"}) for _ in range(4)]
            assert {region(each) for each in later} == {region(first)}
            assert not any("Set-Cookie" in each.headers for each in later)
        strange = [await world.call(headers={"Cookie": "SessionId=x"}) for _ in range(6)]
        assert all("Set-Cookie" in each.headers for each in strange)
        assert len({region(each) for each in strange}) == 3

    in_world(test, policy=POLICY, instances=2, choose=lambda count: next(turns) % count)


def test_a_session_moves_on_while_its_member_is_tripped():
    async def test(world):
        keep(world)
        first = await world.call()
        cookie = first.headers["Set-Cookie"].partition(";")[0]
        world.regions[region(first)].status = 500
        assert (await world.call(headers={"Cookie": cookie})).status == 500
        moved = await world.call(headers={"Cookie": cookie})
        assert region(moved) != region(first)
        assert moved.headers["Set-Cookie"].partition(";")[0] not in ("", cookie)

    in_world(test, policy=POLICY, breaker=breaker_rule(count=1))


def test_a_pool_without_it_sets_no_cookie():
    async def test(world):
        answer = await world.call()
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["x-backend"].startswith("Pool inference-backend-pool  ")

    in_world(test, policy=POLICY)


def test_context_backend_is_what_the_policy_named():
    async def test(world):
        world.resources.change(f"{DEPLOYED}/backends/foundry2", azureRegion="eastus")
        answer = await world.call()
        assert answer.headers["x-backend"].startswith("Single foundry2 eastus foundry2-")

    in_world(test, policy=POLICY.replace("inference-backend-pool", "foundry2"))
