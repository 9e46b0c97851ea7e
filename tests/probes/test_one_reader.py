"""Policy pack, comment and probe read one pool alike: as declared, or not."""

import json
import random
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pulumi_policy
import pytest
from pulumi_policy.proxy import unknown_checking_proxy

from components import contract
from components.traffic import ROUTINGS, Pool
from probes import control_plane, preview_comment
from probes.report import Expectation

ROOT = Path(__file__).resolve().parents[2]
POOLS = 500
BACKEND = "azure-native:apimanagement:Backend"
STACK = "pulumi:pulumi:Stack"
PREFIX = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ApiManagement/service/a/backends/"
PLACES = ("uksouth", "eastus", "norwayeast", "swedencentral")
NUMBERS = (None, "1", "", "many", 1.0, 1.5, 0, 0.0, -1, 101, 1e9, True, [1], {"a": 1}, 2, 7, ...)


def regions(rng, routing):
    """Regions as the config has them, and as the routing allows."""
    priority, weight = rng.choice([0, 1, 2]), rng.choice([1, 1, 9])
    return [
        {
            "name": f"foundry{n}",
            "location": place,
            "priority": rng.choice([1, 2]) if routing == "priority" else priority,
            "weight": weight if routing == "round-robin" else rng.choice([1, 2, 50]),
        }
        for n, place in enumerate(PLACES[: rng.choice([2, 3, 4])], 1)
    ]


def numbered(rng, services):
    rng.choice(services)[rng.choice(["priority", "weight"])] = rng.choice(NUMBERS)


def swapped(rng, services):
    rng.shuffle(services)


def in_another_case(rng, services):
    service = rng.choice(services)
    service["id"] = str(service["id"]).upper()


def in_short(rng, services):
    service = rng.choice(services)
    service["id"] = f"/backends/{str(service['id']).rpartition('/')[2]}"


def as_floats(_, services):
    for service in services:
        for key in ("priority", "weight"):
            if type(service[key]) is int:
                service[key] = float(service[key])


def doubled(rng, services):
    services.append(dict(rng.choice(services)))


def dropped(rng, services):
    services.remove(rng.choice(services))


def added(rng, services):
    extra = rng.choice(["spare", "foundry9"])
    services.append({"id": f"{PREFIX}{extra}", "priority": 1, "weight": 1})


def unnamed(rng, services):
    rng.choice(services)["id"] = rng.choice([None, "", "/", 7, ...])


CHANGES = (numbered, numbered, swapped, in_another_case, in_another_case, in_short, in_short)
CHANGES += (as_floats, as_floats, doubled, dropped, added, unnamed)


def pool(rng, declared):
    """What Azure holds for these regions, changed at random; `...` stands for what is absent."""
    services = [
        {"id": f"{PREFIX}{r['name']}", "priority": r["priority"], "weight": r["weight"]}
        for r in declared
    ]
    for change in rng.sample(CHANGES, rng.choice([0, 1, 1, 2, 3])):
        if services:
            change(rng, services)
    if rng.random() < 0.03:
        return {"services": rng.choice([[], None, "x", [None], [7], {}])}
    kept = [{k: v for k, v in each.items() if v is not ...} for each in services]
    return {"services": kept}


@pytest.fixture(scope="module")
def pack():
    """The rules of the policy pack that stop a preview."""
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulumi_policy, "PolicyPack", lambda **arguments: made.append(arguments))
        patch.setattr("sys.path", list(sys.path))
        runpy.run_path(str(ROOT / "policies" / "__main__.py"))
    return [
        each
        for each in made[0]["policies"]
        if each.enforcement_level is pulumi_policy.EnforcementLevel.MANDATORY
    ]


def outputs(declared, routing):
    return {
        "resource_group": "rg",
        "gateway_url": "https://a.example",
        "inference_url": "https://a.example/inference",
        "subscription_key": "k" * 32,
        "deployment": "chat",
        "api_version": "2024-10-21",
        "pool": {"id": f"{PREFIX}pool", "name": "pool"},
        "routing": routing,
        "backends": [
            {
                "id": each["name"],
                "location": each["location"],
                "region": each["location"],
                "url": f"https://{each['name']}.example/openai",
                "priority": each["priority"],
                "weight": each["weight"],
            }
            for each in declared
        ],
    }


def resources(declared, live):
    breaker = {"circuitBreaker": {"rules": [{"name": "breaker"}]}}
    names = [*(each["name"] for each in declared), "spare"]
    yield from ((name, {"backendId": name, **breaker}) for name in names)
    yield "pool", {"backendId": "pool", "type": "Pool", "pool": live}


def by_pack(pack, declared, routing, live):
    found = []
    stack = [
        SimpleNamespace(
            resource_type=kind,
            name=name,
            urn=name,
            props=unknown_checking_proxy(inputs),
            opts=SimpleNamespace(protect=True),
            parent=None,
        )
        for kind, name, inputs in (
            (STACK, "stack", {**outputs(declared, routing), "unwatched": True}),
            *((BACKEND, name, inputs) for name, inputs in resources(declared, live)),
        )
    ]
    for kind, asked in (  # the engine asks of each resource first
        (pulumi_policy.ResourceValidationPolicy, stack),
        (pulumi_policy.StackValidationPolicy, [SimpleNamespace(resources=stack)]),
    ):
        for rule in (each for each in pack if isinstance(each, kind)):
            for arguments in asked:
                rule.validate(arguments, lambda *said: found.append(said))
    return not found


def by_comment(declared, routing, live):
    steps = [
        {"op": "same", "urn": f"urn::{name}", "newState": {"type": BACKEND, "inputs": inputs}}
        for name, inputs in resources(declared, live)
    ]
    given = [{key: value for key, value in each.items() if value != 1} for each in declared]
    config = {"openai-gateway:regions": json.dumps(given), "openai-gateway:routing": routing}
    document = {"steps": steps, "changeSummary": {"same": len(steps)}, "config": config}
    return preview_comment._judged(json.dumps(document), round_robin=False)[1].code == 0


def by_probe(declared, routing, live, monkeypatch):
    class Azure:
        def __init__(self, **_):
            pass

        def get_all(self, *_):
            return [json.loads(json.dumps({"properties": {"pool": live}}))]

    monkeypatch.setattr(control_plane, "ResourceManager", Azure)
    document = json.dumps(outputs(declared, routing)).encode()
    stack = contract.read(document)
    reading = control_plane.read(stack, "https://a.example", limit=1)
    (found,) = reading.pools
    return not found.unread and not Expectation.of(stack, "declared").problems(found)


def readings(pack, monkeypatch):
    """What each says of each generated pool, with the pool."""
    for seed in range(POOLS):
        rng = random.Random(seed)
        routing = rng.choice(ROUTINGS)
        declared = regions(rng, routing)
        live = pool(rng, declared)
        said = {
            "pack": by_pack(pack, declared, routing, live),
            "comment": by_comment(declared, routing, live),
            "probe": by_probe(declared, routing, live, monkeypatch),
        }
        yield said, (seed, routing, declared, live)


def test_pack_comment_and_probe_agree_on_generated_pools(pack, monkeypatch):
    found = [*readings(pack, monkeypatch)]
    assert [each for each in found if len({*each[0].values()}) > 1] == []
    as_declared = sum(said["probe"] for said, _ in found)
    assert POOLS / 5 < as_declared < POOLS * 4 / 5  # both answers are asked for


class Lenient(Pool):
    """A reader that fills in what is absent."""

    @classmethod
    def read(cls, services):
        if isinstance(services, list) and all(isinstance(each, dict) for each in services):
            services = [{**each, "weight": each.get("weight") or 1} for each in services]
        return Pool.read(services)


@pytest.mark.parametrize(
    "reader", ["components.guardrails.Pool", "probes.control_plane.Pool", "probes.preview.model"]
)
def test_they_disagree_once_one_of_them_reads_otherwise(pack, monkeypatch, reader):
    if reader == "probes.preview.model":
        monkeypatch.setattr(f"{reader}.as_services", lambda found: [dict(each) for each in found])
    else:
        monkeypatch.setattr(reader, Lenient)
    assert any(len({*said.values()}) > 1 for said, _ in readings(pack, monkeypatch))
