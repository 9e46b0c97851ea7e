"""The rules before the merge: the program keeps all of them, and each mistake breaks its own."""

import copy
import json

import pytest
import recording
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.guardrails import RULES, Resource, violations

POLICIES = recording.ROOT / "policies"


def declared(program) -> list[Resource]:
    """What a policy pack gets: the stack's properties are its outputs."""
    return [
        Resource(
            type=each.type,
            name=each.name,
            inputs=copy.deepcopy(
                program.outputs
                if each.type == "pulumi:pulumi:Stack"
                else recording.unwrap(each.inputs)
            ),
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


def with_another_role(resources):
    of(resources, "RoleAssignment")["roleDefinitionId"] = "/x/acdd72a7-3385-48ef-bd42-f606fba81ae7"


def role_elsewhere(resources):
    of(resources, "RoleAssignment")["scope"] += "9"


def around_the_pool(resources):
    policy = of(resources, "ApiPolicy")
    set_url = "<set-backend-service base-url='https://a.example' />"
    policy["value"] = policy["value"].replace("<outbound>", f"{set_url}<outbound>")


def commented_out(resources):
    policy = of(resources, "ApiPolicy")
    policy["value"] = f"<!-- {policy['value'].replace('<!--', '').replace('-->', '')} -->"


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
    dropped: (
        "pool-has-every-region",
        "has 2 of 3 regions: traffic would be foundry1 50.0 %, foundry2 50.0 %",
    ),
    twice: (
        "members-are-different",
        "foundry1 is a member 2 times: traffic would be foundry1 33.3 %, ",
    ),
    together: ("regions-are-different", "foundry1 and foundry2 are in uksouth"),
    fragile: ("backends-have-a-breaker", "has no circuit breaker"),
    with_keys: ("accounts-take-no-keys", "set disableLocalAuth to true"),
    astray: ("members-are-backends", "foundry9 is no backend of this stack"),
    elsewhere: (
        "policy-names-the-pool",
        "backend-id a would get what passes here, and the pool none of it",
    ),
    nowhere: ("policy-names-the-pool", "names no backend"),
    around_the_pool: ("policy-names-the-pool", "base-url https://a.example would get"),
    commented_out: ("policy-names-the-pool", "names no backend"),
    with_another_role: ("gateway-may-call-every-account", "1 of 3 accounts would answer 401"),
    role_elsewhere: ("gateway-may-call-every-account", "1 of 3 accounts would answer 401"),
    without_role: ("gateway-may-call-every-account", "1 of 3 accounts would answer 401"),
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


def test_routing_weighted_asks_for_one_priority_and_an_unknown_routing_for_round_robin(resources):
    stack = next(each for each in resources if each.type == "pulumi:pulumi:Stack")
    heavier(resources)
    stack.inputs["routing"] = "weighted"
    assert violations(resources) == []
    stack.inputs["routing"] = "anything"
    assert {each.rule for each in violations(resources)} == {"pool-is-round-robin"}
    preferred(resources)
    stack.inputs["routing"] = "weighted"
    (found,) = violations(resources)
    assert found.message.endswith("give every member the same priority")


def test_a_mistake_that_moves_traffic_says_so(resources):
    dropped(resources)
    fragile(resources)
    assert {each.rule: each.moves_traffic for each in violations(resources)} == {
        "pool-has-every-region": True,
        "backends-have-a-breaker": False,
    }


def as_single_quoted(policy):
    return policy.replace('"inference-backend-pool"', "'inference-backend-pool'")


def with_another_in_a_comment(policy):
    return f'<!-- <set-backend-service backend-id="old" /> -->{policy}'


def with_an_expression(policy):
    return f"{policy}<set-backend-service backend-id='@(context.Api.Id)' />"


@pytest.mark.parametrize(
    "harmless", [as_single_quoted, with_another_in_a_comment, with_an_expression]
)
def test_a_policy_may_be_written_otherwise(resources, harmless):
    policy = of(resources, "ApiPolicy")
    policy["value"] = harmless(policy["value"])
    assert violations(resources) == []


STRANGE = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(STRANGE, st.sampled_from(["id", "priority", "weight", "services", "pool"]))
def test_values_of_any_kind_are_judged_or_left_alone(value, key):
    services = [{"id": f"/b/{n}", "priority": 1, "weight": 1} for n in range(2)]
    inputs = {"type": "Pool", "pool": {"services": services}}
    place = {"services": inputs["pool"], "pool": inputs}.get(key, services[0])
    place[key] = value
    kind = "azure-native:apimanagement:Backend"
    assert isinstance(violations([Resource(type=kind, name="pool", inputs=inputs)]), list)


def test_what_is_not_known_is_no_violation_but_a_breaker_never_is_unknown(resources):
    nothing = [Resource(type=each.type, name=each.name, inputs={}) for each in resources]
    assert {each.rule for each in violations(nothing)} == {"backends-have-a-breaker"}
    assert violations([]) == []


def test_the_pack_is_one_that_the_engine_can_start():
    pack = yaml.safe_load((POLICIES / "PulumiPolicy.yaml").read_text(encoding="utf-8"))
    assert pack["runtime"]["name"] == "python"
    assert json.dumps(pack["description"])
    assert (POLICIES / "__main__.py").is_file()
