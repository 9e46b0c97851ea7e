import aiohttp
import pytest
from aiohttp import web
from fake_resources import run, serve

from local_azure.faults import Fault, FaultError, Faults, add_routes


def test_a_fault_is_found_by_backend_and_by_account_name():
    faults = Faults()
    fault = Fault(down=True)
    faults.set("Foundry2", fault)
    assert faults.of("foundry2-abc12") == fault
    assert faults.of("foundry2") == fault
    assert faults.of("foundry20-abc12") is None
    assert faults.of("foundry1-abc12") is None


def test_the_name_that_fits_most_closely_counts():
    faults = Faults()
    faults.set("foundry2", Fault(status=500))
    faults.set("foundry2-b", Fault(status=503))
    assert faults.of("foundry2-b").status == 503
    assert faults.of("foundry2-c").status == 500
    assert faults.of("foundry2-bc").status == 500


def test_faults_are_listed_and_cleared():
    faults = Faults()
    faults.set("foundry1", Fault(status=500))
    faults.set("foundry2", Fault(down=True))
    faults.clear("FOUNDRY1")
    faults.clear("not-there")
    assert faults.list() == {"foundry2": Fault(down=True)}
    faults.clear()
    assert faults.list() == {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "no fault given"),
        ({"status": 200}, "status: 200 is not a number from 400 to 599"),
        ({"status": True}, "status: True is not a number from 400 to 599"),
        ({"status": "429"}, "status: '429' is not a number from 400 to 599"),
        ({"status": 429, "retry_after": -1}, "retry_after: -1"),
        ({"retry_after": 5}, "retry_after: needs a status"),
        ({"latency": float("nan")}, "latency: nan is not a number from 0 to 3600"),
        ({"down": 1}, "down: 1 is neither true nor false"),
        ({"reset": False}, "no fault given"),
        ({"statuss": 500}, "statuss: unknown"),
    ],
)
def test_a_wrong_fault_is_refused_by_name_and_value(settings, message):
    with pytest.raises(FaultError, match=f"^{message}"):
        Fault.from_json(settings)


def test_a_fault_survives_json():
    fault = Fault(status=429, retry_after=0, latency=1.5, reset=True)
    assert fault.to_json() == {"status": 429, "retry_after": 0, "latency": 1.5, "reset": True}
    assert Fault.from_json(fault.to_json()) == fault


def test_faults_over_http():
    async def test(stack):
        faults = Faults()
        app = web.Application()
        changes = []

        async def on_change() -> None:
            changes.append(dict(faults.list()))

        there = ["foundry2-abc", "foundry20-abc"]
        add_routes(
            app, faults, on_change=on_change, accounts=lambda: there, guarded=lambda answer: answer
        )
        url = await serve(stack, app) + "/_local-azure/faults"
        session = await stack.enter_async_context(aiohttp.ClientSession())

        async with session.put(f"{url}/foundry2", json={"status": 429, "retry_after": 5}) as answer:
            assert answer.status == 200
            assert (await answer.json())["accounts"] == ["foundry2-abc"]
        for send in (
            session.put(f"{url}/foundry9", json={"down": True}),
            session.delete(f"{url}/x"),
        ):
            async with send as answer:
                assert answer.status == 404
                said = (await answer.json())["error"]["message"]
                assert said.endswith("; deployed are foundry2-abc, foundry20-abc")
        async with session.put(f"{url}/foundry1", data="{") as answer:
            assert answer.status == 400
        async with session.put(f"{url}/foundry1", json=["down"]) as answer:
            assert (await answer.json())["error"]["code"] == "InvalidFault"
        async with session.get(url) as answer:
            assert await answer.json() == {"foundry2": {"status": 429, "retry_after": 5}}
        async with session.delete(f"{url}/foundry2") as answer:
            assert answer.status == 204
        assert faults.list() == {}
        assert changes == [{"foundry2": Fault(status=429, retry_after=5)}, {}]
        faults.set("foundry3", Fault(down=True))
        async with session.delete(url) as answer:
            assert answer.status == 204
        assert faults.list() == {}

    run(test)
