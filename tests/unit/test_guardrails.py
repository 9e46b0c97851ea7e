"""The rules before the merge: the program keeps all of them, and each mistake breaks its own."""

import copy
import dataclasses
import html
import json
import re

import pytest
import recording
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.guardrails import RULES, Resource, Stack, violations
from components.traffic import UNKNOWN

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
            protect=each.protect,
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


def bypassed(old, new):
    def mistake(resources):
        policy = of(resources, "ApiPolicy")
        assert old in policy["value"]
        policy["value"] = policy["value"].replace(old, new)

    return mistake


FOLLOWS = """<when condition='@((string)context.Variables["id"] != "")'>"""
_ORDERED = """<set-backend-service backend-id='@(((string)context.Variables["order"])"""
BYPASSES = [
    # Whoever meets the condition goes past the pool: here everybody, or who has an id or asks so.
    bypassed(FOLLOWS, '<when condition="@(true)">'),
    bypassed(FOLLOWS, FOLLOWS.replace('!= "")', '!= "" || context.Request.Method == "POST")')),
    bypassed(FOLLOWS, FOLLOWS.replace("!=", "==")),
    bypassed(FOLLOWS, FOLLOWS.replace('"id"', '"order"')),
    bypassed(_ORDERED, f"""</when><otherwise>{_ORDERED}"""),
    # What counts as an id is the declared expression, and nothing sets it otherwise.
    bypassed("var id = context", 'var id = "x" + context'),
    bypassed("<backend>", """<set-variable name='id' value="x" /><backend>"""),
    bypassed(
        'backend-id="inference-backend-pool"',
        """backend-id='@(context.Api.Id == "b" ? "foundry1" : "inference-backend-pool")'""",
    ),
]


@pytest.mark.parametrize("mistake", BYPASSES)
def test_traffic_without_an_id_that_could_go_past_the_pool_is_a_violation(resources, mistake):
    mistake(resources)
    (found,) = violations(resources)
    assert (found.rule, found.moves_traffic) == ("policy-names-the-pool", True)
    assert "could send what carries no id past the pool; name the pool" in found.message


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


def renumbered(resources):
    for service in services(resources):
        service["weight"] = 2


def without_weight(resources):
    services(resources)[1].pop("weight")


def mistyped(resources):
    of(resources, "Account", "foundry1")["location"] = "uksoth"


def unprotected(resources):
    at = next(n for n, each in enumerate(resources) if each.type.endswith(":Account"))
    resources[at] = dataclasses.replace(resources[at], protect=False)


def encrypted(resources):
    of(resources, "Backend", "foundry1")["protocol"] = "https"


def two_rules(resources):
    of(resources, "Backend", "foundry1")["circuitBreaker"]["rules"] *= 2


def pool_with_url(resources):
    of(resources, "Backend", "inference-backend-pool")["url"] = "https://a.example"


def newer_in_one_region(resources):
    of(resources, "Deployment", "foundry2-chat")["properties"]["model"]["version"] = "2027-01-01"


def deaf(resources):
    for each in resources:
        if each.type.endswith(":ScheduledQueryRule"):
            each.inputs["enabled"] = False


def of_another_log(resources):
    for each in resources:
        if each.type.endswith(":ScheduledQueryRule"):
            each.inputs["criteria"]["allOf"][0]["query"] = "AzureActivity"


MISTAKES = {
    deaf: {"pools-have-an-alarm": "has no alarm: nobody would notice a region that gets no"},
    of_another_log: {"pools-have-an-alarm": "or set monitoring to null"},
    newer_in_one_region: {
        "regions-have-the-same-models": "foundry1-chat and foundry3-chat of gpt-5.4-mini 2026-03-17"
        ", foundry2-chat of gpt-5.4-mini 2027-01-01; deploy one model"
    },
    encrypted: {"azure-takes-the-backends": "has protocol https; Azure takes http"},
    two_rules: {"azure-takes-the-backends": "has 2 circuit breaker rules; Azure takes one"},
    pool_with_url: {"azure-takes-the-backends": "is a pool and has a url"},
    preferred: {
        "pool-is-round-robin": "foundry2 and foundry3 have priority 2, foundry1 has priority 1: "
        "traffic would be foundry1 100.0 %, foundry2 0.0 %, foundry3 0.0 %; give every member",
        "pool-is-as-declared": "foundry2 has priority 2, declared is 1",
    },
    heavier: {
        "pool-is-round-robin": "foundry1 98.0 %, foundry2 1.0 %, foundry3 1.0 %",
        "pool-is-as-declared": "set the weight of foundry1 to 1",
    },
    renumbered: {"pool-is-as-declared": "foundry1 has weight 2, declared is 1"},
    without_weight: {"pool-is-round-robin": "foundry2 has no weight; write a weight for it"},
    dropped: {
        "pool-has-every-region": "foundry3 is not in the pool: traffic would be foundry1 50.0 %, "
        "foundry2 50.0 %; add foundry3 to it",
    },
    twice: {
        "members-are-different": "foundry1 is a member 2 times: traffic would be foundry1 66.7 %, ",
        "pool-has-every-region": "foundry2 is not in the pool",
    },
    together: {"regions-are-different": "foundry1 and foundry2 are in uksouth"},
    mistyped: {"locations-are-azure-s": "is in uksoth: there is no such Azure location; did you"},
    unprotected: {"accounts-and-gateway-are-protected": "is not protected"},
    fragile: {"backends-have-a-breaker": "has no circuit breaker"},
    with_keys: {"accounts-take-no-keys": "set disableLocalAuth to true"},
    astray: {
        "members-are-backends": "foundry9 is no backend of this stack",
        "pool-has-every-region": "foundry3 is not in the pool",
        "pool-is-as-declared": "foundry9 is in the pool and not declared",
    },
    elsewhere: {
        "policy-names-the-pool": "backend-id a would get what passes here, and the pool none of it"
    },
    nowhere: {"policy-names-the-pool": "names no backend"},
    around_the_pool: {"policy-names-the-pool": "base-url https://a.example would get"},
    commented_out: {"policy-names-the-pool": "names no backend"},
    with_another_role: {"gateway-may-call-every-account": "1 of 3 accounts would answer 401"},
    role_elsewhere: {"gateway-may-call-every-account": "1 of 3 accounts would answer 401"},
    without_role: {"gateway-may-call-every-account": "1 of 3 accounts would answer 401"},
}


def test_the_program_keeps_every_rule(resources):
    assert violations(resources) == []


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_breaks_its_rules_and_no_other(resources, mistake):
    mistake(resources)
    found = violations(resources)
    assert {each.rule for each in found} == MISTAKES[mistake].keys()
    assert all(MISTAKES[mistake][each.rule] in each.message for each in found)


def test_every_rule_has_a_mistake_that_breaks_it():
    advisory = {rule.name for rule in RULES if rule.advisory}
    assert advisory == {"no-region-is-starved"}
    broken = {rule for rules in MISTAKES.values() for rule in rules}
    assert {rule.name for rule in RULES} - advisory == broken


def starved(resources):
    (rule,) = (each for each in RULES if each.advisory)
    return [message for _, message in rule.check(Stack(resources))]


def outputs(resources):
    return next(each for each in resources if each.type == "pulumi:pulumi:Stack").inputs


def test_a_region_without_traffic_is_named_until_it_is_accepted_by_name(resources, declare):
    assert starved(resources) == []
    incident = declared(declare("incident"))
    (message,) = starved(incident)
    assert message.startswith("foundry2, foundry3 would get no traffic")
    assert message.endswith("to accept it, write acceptStarved: [foundry2, foundry3]")
    outputs(incident)["accept_starved"] = ["foundry2"]
    assert starved(incident)[0].startswith("foundry3 would get no traffic")
    outputs(incident)["accept_starved"] = ["foundry2", "foundry3"]
    assert starved(incident) == []


def test_what_the_config_leaves_unprotected_by_name_is_no_violation(resources):
    for position, each in enumerate(resources):
        resources[position] = dataclasses.replace(each, protect=False)
    names = {each.resource.name for each in violations(resources)}
    assert names == {"foundry1", "foundry2", "foundry3", "gateway"}
    outputs(resources)["unprotected"] = ["foundry1", "foundry2", "gateway"]
    assert [each.resource.name for each in violations(resources)] == ["foundry3"]


def test_a_location_that_the_subscription_lists_is_known(resources):
    of(resources, "Account", "foundry1")["location"] = "newplaceeast"
    (backend,) = (b for b in outputs(resources)["backends"] if b["id"] == "foundry1")
    backend |= {"location": "newplaceeast", "region": "newplaceeast"}
    assert {each.rule for each in violations(resources)} == {"locations-are-azure-s"}
    backend["region"] = "New Place East"
    assert violations(resources) == []


def test_a_stack_that_opted_in_may_have_an_unequal_pool(declare):
    assert violations(declared(declare("incident"))) == []
    mistaken = [each for each in declared(declare("incident")) if "routing" not in each.inputs]
    assert {each.rule for each in violations(mistaken)} == {"pool-is-round-robin"}


def test_routing_weighted_asks_for_one_priority_and_an_unknown_routing_for_round_robin(resources):
    stack = next(each for each in resources if each.type == "pulumi:pulumi:Stack")
    stack.inputs.pop("backends")
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


MODELS = [
    {"name": name, "model": "m", "version": "1", "sku": "GlobalStandard", "capacity": 1}
    for name in ("chat", "embed", "Small")
]
EMBED = "inference-backend-pool-embed"


@pytest.fixture
def of_models(declare) -> list[Resource]:
    """The resources of a stack with several models."""
    return declared(declare(models=MODELS))


def embed(resources):
    return of(resources, "Backend", EMBED)["pool"]["services"]


def a_member_preferred(resources):
    for service in embed(resources)[1:]:
        service["priority"] = 2


def a_member_dropped(resources):
    embed(resources).pop()


def a_member_of_the_first_pool(resources):
    embed(resources)[0]["id"] = embed(resources)[0]["id"].removesuffix("-embed")


def a_member_of_the_second_in_the_first(resources):
    services(resources)[0]["id"] += "-embed"


def a_member_of_nobody(resources):
    embed(resources)[2]["id"] = embed(resources)[2]["id"].replace("foundry3", "foundry9")


def a_pool_that_no_policy_names(resources):
    policy = of(resources, "ApiPolicy")
    policy["value"] = policy["value"].replace(f'"{EMBED}"', '"inference-backend-pool"')


WITH_MODELS = {
    a_member_preferred: {
        "pool-is-round-robin": "foundry2 and foundry3 have priority 2, foundry1 has priority 1: "
        "traffic would be foundry1 100.0 %, foundry2 0.0 %, foundry3 0.0 %",
        "pool-is-as-declared": "foundry2 has priority 2, declared is 1",
    },
    a_member_dropped: {"pool-has-every-region": "foundry3 is not in the pool"},
    a_member_of_the_first_pool: {
        "pool-has-every-region": "foundry1 is not in the pool",
        "pool-is-as-declared": "/foundry1 is in the pool and not declared",
    },
    a_member_of_the_second_in_the_first: {
        "pool-has-every-region": "foundry1 is not in the pool",
        "pool-is-as-declared": "foundry1-embed is in the pool and not declared",
    },
    a_member_of_nobody: {
        "members-are-backends": "foundry9-embed is no backend of this stack",
        "pool-has-every-region": "foundry3 is not in the pool",
        "pool-is-as-declared": "foundry9 is in the pool and not declared",
    },
    a_pool_that_no_policy_names: {"policy-names-the-pool": f"names no {EMBED}: its model's calls"},
}


def test_a_stack_of_several_models_keeps_every_rule(of_models):
    assert violations(of_models) == []
    pools = {resource.name: pool for resource, pool in Stack(of_models).pools}
    assert {*pools} == {"inference-backend-pool", EMBED, "inference-backend-pool-Small"}
    for pool in pools.values():
        assert [member.name for member in pool.members] == ["foundry1", "foundry2", "foundry3"]


@pytest.mark.parametrize("mistake", WITH_MODELS)
def test_a_mistake_in_a_further_pool_breaks_its_rules_and_no_other(of_models, mistake):
    mistake(of_models)
    found = violations(of_models)
    assert {each.rule for each in found} == WITH_MODELS[mistake].keys()
    assert all(WITH_MODELS[mistake][each.rule] in each.message for each in found)


def test_a_region_that_a_further_pool_starves_is_accepted_by_the_region_s_name(of_models):
    stack = outputs(of_models)
    stack["routing"] = "priority"
    for backend in stack["backends"][1:]:
        backend["priority"] = 2
    for name in ("inference-backend-pool", EMBED, "inference-backend-pool-Small"):
        for service in of(of_models, "Backend", name)["pool"]["services"][1:]:
            service["priority"] = 2
    assert len(starved(of_models)) == 3
    stack["accept_starved"] = ["foundry2", "foundry3"]
    assert starved(of_models) == []


def test_pools_of_several_models_are_judged_without_the_stack_s_outputs_too(of_models):
    mistaken = [
        each for each in of_models if not each.type.endswith(("LoadBalancedOpenAI", "Stack"))
    ]
    assert violations(mistaken) == []
    a_member_dropped(mistaken)
    (found,) = violations(mistaken)
    assert (found.rule, found.resource.name) == ("pool-has-every-region", EMBED)
    assert found.message.startswith("has 2 of 3 regions")


def as_single_quoted(policy):
    return policy.replace('"inference-backend-pool"', "'inference-backend-pool'")


def with_another_in_a_comment(policy):
    return f'<!-- <set-backend-service backend-id="old" /> -->{policy}'


def with_an_expression(policy):
    choice = '@(context.Api.Id == "b" ? "inference-backend-pool" : "inference-backend-pool")'
    return f"{policy}<set-backend-service backend-id='{choice}' />"


def as_azure_gives_it_back(policy):
    escaped = """'@((string)context.Variables[&quot;id&quot;] != &quot;&quot;)'"""
    assert """'@((string)context.Variables["id"] != "")'""" in policy
    policy = policy.replace("""'@((string)context.Variables["id"] != "")'""", escaped)
    own = re.search(r"""<set-variable name="id" value='(.*?)' />""", policy, re.DOTALL)
    value = html.escape(html.unescape(own[1]), quote=True)
    return policy.replace(own[0], f"""<set-variable name="id" value="{value}" />""")


@pytest.mark.parametrize(
    "harmless",
    [as_single_quoted, with_another_in_a_comment, with_an_expression, as_azure_gives_it_back],
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


def unknown(value):
    """Everything in it as a preview has it that knows nothing."""
    if isinstance(value, dict):
        return {key: unknown(each) for key, each in value.items()}
    return [unknown(each) for each in value] if isinstance(value, list) else UNKNOWN


def test_what_is_not_known_is_no_violation_and_what_is_left_out_is(resources):
    for hide in (unknown, lambda value: dict.fromkeys(value, UNKNOWN)):
        hidden = [dataclasses.replace(each, inputs=hide(each.inputs)) for each in resources]
        assert violations(hidden) == []
    nothing = [dataclasses.replace(each, inputs={}) for each in resources]
    assert {each.rule for each in violations(nothing)} == {
        "backends-have-a-breaker",
        "accounts-take-no-keys",
    }
    assert violations([]) == []


def test_the_pack_is_one_that_the_engine_can_start():
    pack = yaml.safe_load((POLICIES / "PulumiPolicy.yaml").read_text(encoding="utf-8"))
    assert pack["runtime"]["name"] == "python"
    assert json.dumps(pack["description"])
    assert (POLICIES / "__main__.py").is_file()
