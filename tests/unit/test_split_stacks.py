"""Rules on a program that declares several things: what is judged together, and by whose word."""

import dataclasses
from types import SimpleNamespace

import pulumi_policy
import pytest
import recording
from pulumi_policy.proxy import unknown_checking_proxy
from test_component_arguments import MEMBERS, POOL
from test_policy_pack import pack, policy, said
from test_several_gateways import TWO

from components import guardrails
from components.backend_pool import BackendPool
from components.guardrails import BACKEND, STACK, WHOLE, Resource, Stack, split, violations
from components.load_balanced_openai import LoadBalancedOpenAI

assert pack  # a fixture
EU, US = "eu-inference-backend-pool", "us-inference-backend-pool"
OWN_POOL = "openai-gateway:index:BackendPool"


def owners(program):
    """The LoadBalancedOpenAI that each resource is of, by URN."""
    by_urn = {each.urn: each for each in program.resources}

    def owner(each):
        while each.type != WHOLE and each.parent:
            each = by_urn[each.parent]
        return each.name if each.type == WHOLE else ""

    return {urn: owner(each) for urn, each in by_urn.items()}


def declared(program):
    within = owners(program)
    return [
        Resource(
            each.type,
            each.name,
            recording.unwrap(program.outputs if each.type == STACK else each.inputs),
            each.protect,
            within[each.urn],
        )
        for each in program.resources
    ]


def gateways():
    for name, its in TWO.items():
        LoadBalancedOpenAI(name, its)


def pools():
    BackendPool("near", {**POOL, "regions": MEMBERS[:2], "poolName": "near-pool"})
    far = [
        {**each, "name": f"far-{each['name']}", "weight": 1 + n} for n, each in enumerate(MEMBERS)
    ]
    BackendPool("far", {**POOL, "regions": far, "routing": "weighted", "poolName": "far-pool"})


def both():
    gateways()
    pools()


@pytest.fixture(scope="module")
def two():
    return recording.run(gateways)


@pytest.fixture(scope="module")
def all_four():
    return recording.run(both)


def changed(resources, name, kind, **inputs):
    """The resources with other inputs of one of them."""
    found = [
        dataclasses.replace(each, inputs={**each.inputs, **inputs})
        if (each.name, each.type.rpartition(":")[2]) == (name, kind)
        else each
        for each in resources
    ]
    assert found != resources
    return found


def services(resources, name):
    (pool,) = [each for each in resources if (each.type, each.name) == (BACKEND, name)]
    return [dict(each) for each in pool.inputs["pool"]["services"]]


def resource(kind, name, *, within="", **inputs):
    return Resource(kind, name, inputs, within=within, protect=True)


def names(stack):
    return sorted(each.name for each, _ in stack.pools)


# What is judged together


def test_a_component_with_what_is_of_none_is_one_stack():
    alone = resource("azure-native:storage:StorageAccount", "own")
    pool = resource(BACKEND, "openai-pool", within="ai", type="Pool")
    whole = resource(WHOLE, "ai", within="ai", routing="weighted")
    (stack,) = split([resource(STACK, "app-dev"), alone, whole, pool])
    assert names(stack) == ["openai-pool"]
    assert stack.routing == "weighted"


def test_what_is_of_no_component_at_all_is_one_stack():
    (stack,) = split([resource(STACK, "app-dev"), resource(BACKEND, "pool", type="Pool")])
    assert names(stack) == ["pool"]
    assert len(split([])) == 1


def test_each_component_is_a_stack_of_its_own(two):
    eu, us = sorted(split(declared(two)), key=names)
    assert (names(eu), names(us)) == ([EU], [US, f"{US}-small"])
    assert (eu.routing, us.routing) == ("round-robin", "weighted")
    assert (eu.is_unwatched, us.is_unwatched) == (False, True)
    assert {each.name for each in eu.accounts} == {"eu-foundry1", "eu-foundry2"}
    assert len(us.accounts) == 3
    assert (eu.names("unprotected"), us.names("unprotected")) == (["foundry2"], [])
    assert [eu.has("eu"), eu.has("us"), eu.has("")] == [True, False, True]


def test_what_is_of_no_component_counts_for_each_but_for_a_pool():
    own = resource(guardrails.ALERT, "own-alert")
    parts = [resource(WHOLE, name, within=name, routing="priority") for name in ("eu", "us")]
    pool = resource(BACKEND, "own-pool", type="Pool")
    eu, us = split([own, *parts])
    assert [each.name for each in (*eu.alerts, *us.alerts)] == ["own-alert"] * 2
    eu, us, rest = split([own, *parts, pool])
    assert (names(eu), names(us), names(rest)) == ([], [], ["own-pool"])
    assert [each.name for each in rest.alerts] == ["own-alert"]
    assert rest.routing == "round-robin"  # what the components declare is no word about it


def test_one_component_and_a_pool_of_none():
    ai = resource(WHOLE, "ai", within="ai", routing="priority")
    own, other = (
        resource(BACKEND, name, within=within, type="Pool")
        for name, within in (("ai-pool", "ai"), ("pool", ""))
    )
    of_ai, rest = split([ai, own, other])
    assert (names(of_ai), names(rest)) == (["ai-pool"], ["pool"])
    assert (of_ai.routing, rest.routing) == ("priority", "round-robin")


@pytest.mark.parametrize(
    ("name", "within", "plain"),
    [
        ("eu-foundry2", "eu", "foundry2"),
        ("us-eu-foundry2", "us", "eu-foundry2"),
        ("eu-foundry2", "", "eu-foundry2"),
        ("foundry2", "openai", "foundry2"),
        ("openai-foundry2", "openai", "openai-foundry2"),
        ("ai-foundry2", "ai-openai", "foundry2"),
    ],
)
def test_a_plain_name_is_what_the_component_s_arguments_call_it(name, within, plain):
    assert Stack([]).plain(resource(guardrails.ACCOUNT, name, within=within)) == plain


# What holds, and what does not


def test_what_the_components_declare_breaks_no_rule(two, all_four):
    assert violations(declared(two)) == []
    found = [each for each in violations(declared(all_four)) if "alarm" not in each.rule]
    assert found == []


def test_a_pool_of_no_component_has_no_alarm_of_its_own(all_four):
    """Each pool that is declared alone asks for one, until a Monitoring is there."""
    found = [each for each in violations(declared(all_four)) if "alarm" in each.rule]
    assert sorted(each.resource.name for each in found) == ["far-far-pool", "near-near-pool"]


def test_two_pools_of_no_component_are_each_what_they_declare():
    resources = declared(recording.run(pools))
    assert {each.rule for each in violations(resources)} == {"pools-have-an-alarm"}
    members = services(resources, "far-far-pool")
    members[0]["weight"] = 9
    wrong = changed(resources, "far-far-pool", "Backend", pool={"services": members})
    found = [each for each in violations(wrong) if each.moves_traffic]
    assert {(each.rule, each.resource.name) for each in found} == {
        ("pool-is-as-declared", "far-far-pool")
    }
    members = services(resources, "near-near-pool")
    members[0]["weight"] = 9
    wrong = changed(resources, "near-near-pool", "Backend", pool={"services": members})
    found = [each for each in violations(wrong) if each.moves_traffic]
    assert {each.resource.name for each in found} == {"near-near-pool"}
    assert {each.rule for each in found} == {"pool-is-round-robin", "pool-is-as-declared"}


@pytest.mark.parametrize(
    ("pool", "rules"),
    [
        (EU, {"pool-is-round-robin", "pool-is-as-declared"}),
        (US, {"pool-is-as-declared"}),
        (f"{US}-small", {"pool-is-as-declared"}),
    ],
)
def test_a_pool_is_judged_by_what_its_own_component_declares(two, pool, rules):
    resources = declared(two)
    members = services(resources, pool)
    members[1]["weight"] = 7
    found = violations(changed(resources, pool, "Backend", pool={"services": members}))
    assert {each.rule for each in found} == rules
    assert {each.resource.name for each in found} == {pool}


def test_a_violation_of_what_is_of_no_component_is_found_once(two):
    stray = resource(
        guardrails.ACCOUNT,
        "stray",
        accountName="stray",
        location="uksoth",
        properties={"disableLocalAuth": False},
    )
    found = violations([*declared(two), stray])
    of_it = [each for each in found if each.resource.name == "stray"]
    told = [(each.rule, each.message) for each in of_it]
    assert len(told) == len(set(told))
    assert {"accounts-take-no-keys", "locations-are-azure-s"} <= {each.rule for each in of_it}


@pytest.mark.parametrize(
    ("name", "is_allowed"),
    [
        ("eu-foundry1", False),
        ("eu-foundry2", True),
        ("us-foundry1", False),
        ("us-foundry2", False),  # which the other component allows of its own
        ("us-gateway", False),
    ],
)
def test_what_is_left_unprotected_is_so_by_its_component_s_word(two, name, is_allowed):
    resources = [
        dataclasses.replace(each, protect=each.protect and each.name != name)
        for each in declared(two)
    ]
    found = violations(resources)
    assert [each.resource.name for each in found] == ([] if is_allowed else [name])
    assert {each.rule for each in found} <= {"accounts-and-gateway-are-protected"}


# The pack


def of_the_pack(program):
    """The resources as the pack gets them, with their parents."""
    made = {}
    for each in program.resources:
        made[each.urn] = SimpleNamespace(
            resource_type=each.type,
            name=each.name,
            urn=each.urn,
            props=unknown_checking_proxy(recording.unwrap(each.inputs)),
            opts=SimpleNamespace(protect=each.protect),
            parent=made.get(each.parent),
        )
    return list(made.values())


def asked(pack, resources):
    """All that the pack says: of each resource first, and of all of them at the end."""
    found = {}
    for each in pack["policies"]:
        if isinstance(each, pulumi_policy.ResourceValidationPolicy):
            found[each.name] = [one for one_ in resources for one in said(each, one_)]
    for each in pack["policies"]:
        if not isinstance(each, pulumi_policy.ResourceValidationPolicy):
            found[each.name] = said(each, SimpleNamespace(resources=resources))
    return {name: told for name, told in found.items() if told}


def test_the_pack_finds_nothing_wrong_with_two_gateways(pack, two):
    assert asked(pack, of_the_pack(two)) == {}


def test_the_pack_judges_each_component_by_its_parents(pack, two):
    resources = of_the_pack(two)
    (pool,) = [each for each in resources if each.name == EU and each.resource_type == BACKEND]
    members = [dict(each) for each in services(declared(two), EU)]
    members[1]["priority"] = 2
    inputs = {"type": "Pool", "backendId": "inference-backend-pool", "pool": {"services": members}}
    pool.props = unknown_checking_proxy(inputs)
    found = asked(pack, resources)
    assert set(found) == {"pool-is-round-robin", "pool-is-as-declared"}
    ((message, urn),) = found["pool-is-round-robin"]
    assert message.startswith(f"{EU}: foundry2 has priority 2, foundry1 has priority 1")
    assert urn == pool.urn


def test_the_pack_goes_by_the_exceptions_of_a_resource_s_own_component(pack, two):
    rule = policy(pack, "accounts-and-gateway-are-protected")
    resources = of_the_pack(two)
    for each in resources:
        each.opts.protect = each.opts.protect and not each.name.endswith("-foundry2")
    ((message, urn),) = said(rule, SimpleNamespace(resources=resources))
    assert message.startswith("us-foundry2: is not protected")
    assert urn.endswith("::us-foundry2")


def test_the_pack_judges_a_component_within_one_of_somebody_else_s(pack, two):
    rule = policy(pack, "accounts-and-gateway-are-protected")
    resources = of_the_pack(two)
    team = SimpleNamespace(resource_type="app:index:Team", name="team", parent=resources[0])
    for each in resources:
        each.opts.protect = each.opts.protect and each.name != "us-foundry2"
        if each.resource_type == WHOLE:
            each.parent = team
    ((message, _),) = said(rule, SimpleNamespace(resources=resources))
    assert message.startswith("us-foundry2: is not protected")


# A policy of one's own


def own_policy(*pools):
    ways = "".join(f"<set-backend-service backend-id='{each}' />" for each in pools)
    text = f"<policies><inbound>{ways}</inbound></policies>"
    return resource(guardrails.POLICY, "own", policyId="policy", value=text)


@pytest.mark.parametrize(
    "named",
    [["near-pool"], ["far-pool"], ["near-pool", "far-pool"], ["inference-backend-pool"]],
)
def test_a_policy_of_no_component_may_name_any_pool_of_the_program(all_four, named):
    found = violations([*declared(all_four), own_policy(*named)])
    assert [
        each for each in found if each.resource.name == "own" and "names no" not in each.message
    ] == []


def test_a_policy_of_no_component_that_names_one_region_is_found(all_four):
    found = violations([*declared(all_four), own_policy("far-foundry1")])
    assert ("policy-names-the-pool", "own") in {(each.rule, each.resource.name) for each in found}


def test_a_policy_of_a_component_names_its_own_pool(all_four):
    resources = declared(all_four)
    (text,) = [
        each.inputs["value"]
        for each in resources
        if each.type == guardrails.POLICY and each.within == "eu"
    ]
    elsewhere = text.replace('backend-id="inference-backend-pool"', 'backend-id="near-pool"')
    assert elsewhere != text
    found = violations(changed(resources, "eu-inference-policy", "ApiPolicy", value=elsewhere))
    (moving,) = [each for each in found if each.moves_traffic]
    assert (moving.rule, moving.resource.name) == ("policy-names-the-pool", "eu-inference-policy")
