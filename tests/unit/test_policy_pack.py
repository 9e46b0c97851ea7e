"""The policy pack through pulumi-policy's own classes: what the engine would ask it, and hear."""

import runpy
import sys
from types import SimpleNamespace

import pulumi_policy
import pytest
import recording
from pulumi_policy.proxy import unknown_checking_proxy

from components.guardrails import RULES
from components.traffic import UNKNOWN

BACKEND = "azure-native:apimanagement:Backend"


@pytest.fixture
def pack():
    """The arguments of PolicyPack, which would serve for ever."""
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulumi_policy, "PolicyPack", lambda **arguments: made.append(arguments))
        patch.setattr("sys.path", list(sys.path))
        runpy.run_path(str(recording.ROOT / "policies" / "__main__.py"))
    return made[0]


def policy(pack, name):
    return next(each for each in pack["policies"] if each.name == name)


def resource(kind, name, props, *, protect=True):
    """A resource as the pack gets it: reading what is not known raises an error."""
    return SimpleNamespace(
        resource_type=kind,
        name=name,
        urn=f"urn:pulumi:dev::p::{kind}::{name}",
        props=unknown_checking_proxy(props),
        opts=SimpleNamespace(protect=protect),
        parent=None,
    )


def said(policy, arguments):
    found = []
    policy.validate(arguments, lambda message, urn=None: found.append((message, urn)))
    return found


def pool(*services):
    return resource(BACKEND, "pool", {"type": "Pool", "pool": {"services": list(services)}})


def member(name, priority, weight):
    return {"id": name, "priority": priority, "weight": weight}


def test_every_rule_is_the_pack_s_and_mandatory_unless_it_is_advisory(pack):
    levels = {each.name: each.enforcement_level.value for each in pack["policies"]}
    assert levels == {each.name: "advisory" if each.advisory else "mandatory" for each in RULES}
    assert [each.name for each in pack["policies"]] == [rule.name for rule in RULES]
    kinds = {type(each).__name__ for each in pack["policies"]}
    assert kinds == {"ResourceValidationPolicy", "StackValidationPolicy"}


def test_a_rule_of_the_stack_names_the_shares_and_the_resource(pack):
    incident = pool(member("/b/one", 1.0, 100.0), member("/b/two", 2.0, 50.0))
    ((message, urn),) = said(
        policy(pack, "pool-is-round-robin"), SimpleNamespace(resources=[incident])
    )
    assert message.startswith("pool: two has priority 2, one has priority 1; two has weight 50, ")
    assert ": traffic would be one 100.0 %, two 0.0 %; give every member the same" in message
    assert urn == incident.urn


def test_what_is_not_known_yet_is_no_violation(pack):
    new = pool(member(UNKNOWN, 1.0, 1.0), member(UNKNOWN, UNKNOWN, 1.0))
    later = resource(BACKEND, "pool", {"type": "Pool", "pool": {"services": UNKNOWN}})
    alarm = resource("azure-native:monitor:ScheduledQueryRule", "a", {"criteria": UNKNOWN})
    for stack in ([new, alarm], [later, alarm]):
        for each in pack["policies"]:
            if isinstance(each, pulumi_policy.StackValidationPolicy):
                assert said(each, SimpleNamespace(resources=stack)) == []
    ids_unknown = pool(member(UNKNOWN, 1.0, 1.0), member(UNKNOWN, 2.0, 1.0))
    ((message, _),) = said(
        policy(pack, "pool-is-round-robin"), SimpleNamespace(resources=[ids_unknown])
    )
    assert "member 1 100.0 %, member 2 0.0 %" in message


def test_a_rule_of_a_resource_is_asked_before_it_is_made(pack):
    breaker = policy(pack, "backends-have-a-breaker")
    versioned = "azure-native:apimanagement/v20240501:Backend"
    ((message, urn),) = said(breaker, resource(versioned, "foundry1", {"url": UNKNOWN}))
    assert message.startswith("foundry1: has no circuit breaker")
    assert urn is None
    assert said(breaker, resource(versioned, "foundry1", {"circuitBreaker": {"rules": [{}]}})) == []
    assert said(breaker, resource("azure-native:apimanagement:Api", "api", {})) == []


def test_the_protection_of_an_account_is_the_engine_s(pack):
    rule = policy(pack, "accounts-and-gateway-are-protected")
    account = "azure-native:cognitiveservices:Account"
    stack = [resource(account, "one", {}), resource(account, "two", {}, protect=False)]
    ((message, urn),) = said(rule, SimpleNamespace(resources=stack))
    assert message.startswith("two: is not protected")
    assert urn == stack[1].urn


def test_a_value_that_is_left_out_is_a_violation_and_one_not_known_yet_is_none(pack):
    rule = policy(pack, "pool-is-round-robin")
    absent = pool(member("/b/one", 1.0, 1.0), {"id": "/b/two", "priority": 1.0})
    ((message, _),) = said(rule, SimpleNamespace(resources=[absent]))
    assert message.startswith("pool: two has no weight")
    later = pool(member("/b/one", 1.0, 1.0), member("/b/two", 1.0, UNKNOWN))
    assert said(rule, SimpleNamespace(resources=[later])) == []


def test_what_was_left_out_is_seen_though_the_outputs_have_it_as_not_known_yet(pack):
    """As the engine asks: each resource with its inputs, and all with their outputs at the end."""
    inputs = [{"id": UNKNOWN, "priority": 1.0} for _ in range(2)]
    outputs = [{**each, "weight": UNKNOWN} for each in inputs]
    for each in pack["policies"]:
        if isinstance(each, pulumi_policy.ResourceValidationPolicy):
            assert said(each, pool(*inputs)) == []
    rule = policy(pack, "pool-is-round-robin")
    ((message, _),) = said(rule, SimpleNamespace(resources=[pool(*outputs)]))
    assert message.startswith("pool: member 1 has no weight; member 2 has no weight")


def test_members_of_a_new_pool_have_the_names_that_are_declared(pack):
    backends = [
        {"id": name, "priority": p, "weight": 1} for name, p in (("one", 1.0), ("two", 2.0))
    ]
    outputs = {"routing": "priority", "backends": backends}
    new = pool(member(UNKNOWN, 1.0, 1.0), member(UNKNOWN, 2.0, 1.0))
    new.urn += "-new"
    stack = SimpleNamespace(resources=[resource("pulumi:pulumi:Stack", "dev", outputs), new])
    ((message, _),) = said(policy(pack, "no-region-is-starved"), stack)
    assert message.endswith("to accept it, write acceptStarved: [two]")
