"""The policy pack through pulumi-policy's own classes: what the engine would ask it, and hear."""

import runpy
import sys
from types import SimpleNamespace

import pulumi_policy
import pytest
import recording
from pulumi_policy.proxy import unknown_checking_proxy

from components.guardrails import RULES

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
BACKEND = "azure-native:apimanagement:Backend"


@pytest.fixture(scope="module")
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


def resource(kind, name, props):
    """A resource as the pack gets it: reading what is not known raises an error."""
    return SimpleNamespace(
        resource_type=kind,
        name=name,
        urn=f"urn:pulumi:dev::p::{kind}::{name}",
        props=unknown_checking_proxy(props),
    )


def said(policy, arguments):
    found = []
    policy.validate(arguments, lambda message, urn=None: found.append((message, urn)))
    return found


def pool(*services):
    return resource(BACKEND, "pool", {"type": "Pool", "pool": {"services": list(services)}})


def member(name, priority, weight):
    return {"id": name, "priority": priority, "weight": weight}


def test_every_rule_is_mandatory_and_the_pack_s(pack):
    assert pack["enforcement_level"] is pulumi_policy.EnforcementLevel.MANDATORY
    assert [each.name for each in pack["policies"]] == [rule.name for rule in RULES]
    kinds = {type(each).__name__ for each in pack["policies"]}
    assert kinds == {"ResourceValidationPolicy", "StackValidationPolicy"}


def test_a_rule_of_the_stack_names_the_shares_and_the_resource(pack):
    incident = pool(member("/b/one", 1.0, 100.0), member("/b/two", 2.0, 50.0))
    ((message, urn),) = said(
        policy(pack, "pool-is-round-robin"), SimpleNamespace(resources=[incident])
    )
    assert message.startswith("pool: traffic would be: one 100.0 %, two 0.0 % (not round robin")
    assert urn == incident.urn


def test_what_is_not_known_yet_is_no_violation(pack):
    new = pool(member(UNKNOWN, 1.0, 1.0), member(UNKNOWN, UNKNOWN, 1.0))
    later = resource(BACKEND, "pool", {"type": "Pool", "pool": {"services": UNKNOWN}})
    for stack in ([new], [later]):
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
