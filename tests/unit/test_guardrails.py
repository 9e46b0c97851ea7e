"""The rules before the merge: the program keeps all of them, and each mistake breaks its own."""

import copy
import json

import pytest
import recording
import yaml

from components.guardrails import RULES, Resource, violations

POLICIES = recording.ROOT / "policies"


def declared(program) -> list[Resource]:
    """What a policy pack gets: the stack's properties are its outputs."""
    return [
        Resource(
            type=each.type,
            name=each.name,
            inputs=program.outputs
            if each.type == "pulumi:pulumi:Stack"
            else copy.deepcopy(recording.unwrap(each.inputs)),
        )
        for each in program.resources
    ]


@pytest.fixture
def resources(dev) -> list[Resource]:
    return declared(dev)


def of(resources, kind, name=None):
    found = [
        each
        for each in resources
        if each.type.rpartition(":")[2] == kind and (name is None or each.name == name)
    ]
    return found[0].inputs


def services(resources):
    return of(resources, "Backend", "inference-backend-pool")["pool"]["services"]


def preferred(resources):
    for service in services(resources)[1:]:
        service["priority"] = 2


def heavier(resources):
    services(resources)[0]["weight"] = 100


def dropped(resources):
    services(resources).pop()


def twice(resources):
    services(resources)[1]["id"] = services(resources)[0]["id"]


def together(resources):
    of(resources, "Account", "foundry2")["location"] = "UK South"


def fragile(resources):
    of(resources, "Backend", "foundry3").pop("circuitBreaker")


def with_keys(resources):
    of(resources, "Account", "foundry1")["properties"]["disableLocalAuth"] = False


def astray(resources):
    services(resources)[2]["id"] = services(resources)[2]["id"].replace("foundry3", "foundry9")


def elsewhere(resources):
    policy = of(resources, "ApiPolicy")
    policy["value"] = policy["value"].replace(
        'backend-id="inference-backend-pool"', 'backend-id="a"'
    )


def nowhere(resources):
    of(resources, "ApiPolicy")["value"] = "<policies />"


def without_role(resources):
    resources.remove(next(each for each in resources if each.type.endswith(":RoleAssignment")))


def encrypted(resources):
    of(resources, "Backend", "foundry1")["protocol"] = "https"


def two_rules(resources):
    of(resources, "Backend", "foundry1")["circuitBreaker"]["rules"] *= 2


def pool_with_url(resources):
    of(resources, "Backend", "inference-backend-pool")["url"] = "https://a.example"


MISTAKES = {
    encrypted: ("azure-takes-the-backends", "has protocol https; Azure takes http"),
    two_rules: ("azure-takes-the-backends", "has 2 circuit breaker rules; Azure takes one"),
    pool_with_url: ("azure-takes-the-backends", "is a pool and has a url"),
    preferred: (
        "pool-is-round-robin",
        "traffic would be: foundry1 100.0 %, foundry2 0.0 %, foundry3 0.0 % (not round robin:",
    ),
    heavier: ("pool-is-round-robin", "foundry1 98.0 %, foundry2 1.0 %, foundry3 1.0 %"),
    dropped: ("pool-has-every-region", "has 2 of 3 regions: foundry1 50.0 %, foundry2 50.0 %"),
    twice: ("members-are-different", "foundry1 is a member 2 times"),
    together: ("regions-are-different", "foundry1 and foundry2 are in uksouth"),
    fragile: ("backends-have-a-breaker", "has no circuit breaker"),
    with_keys: ("accounts-take-no-keys", "set disableLocalAuth to true"),
    astray: ("members-are-backends", "foundry9 is no backend of this stack"),
    elsewhere: ("policy-names-the-pool", "sends traffic to a, which is not the pool"),
    nowhere: ("policy-names-the-pool", "names no backend"),
    without_role: ("gateway-may-call-every-account", "1 accounts have no role assignment"),
}


def test_the_program_keeps_every_rule(resources):
    assert violations(resources) == []


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_breaks_its_rule_and_no_other(resources, mistake):
    mistake(resources)
    rule, message = MISTAKES[mistake]
    found = violations(resources)
    assert {each.rule for each in found} == {rule}
    assert all(message in each.message for each in found)


def test_every_rule_has_a_mistake_that_breaks_it():
    assert {rule.name for rule in RULES} == {rule for rule, _ in MISTAKES.values()}


def test_a_stack_that_opted_in_may_have_an_unequal_pool(declare):
    assert violations(declared(declare("incident"))) == []
    mistaken = [each for each in declared(declare("incident")) if "routing" not in each.inputs]
    assert {each.rule for each in violations(mistaken)} == {"pool-is-round-robin"}


def test_what_is_not_known_is_no_violation_but_a_breaker_never_is_unknown(resources):
    nothing = [Resource(type=each.type, name=each.name, inputs={}) for each in resources]
    assert {each.rule for each in violations(nothing)} == {"backends-have-a-breaker"}
    assert violations([]) == []


def test_the_pack_is_one_that_the_engine_can_start():
    pack = yaml.safe_load((POLICIES / "PulumiPolicy.yaml").read_text(encoding="utf-8"))
    assert pack["runtime"]["name"] == "python"
    assert json.dumps(pack["description"])
    assert (POLICIES / "__main__.py").is_file()
