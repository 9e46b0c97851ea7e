"""The comment on a preview of a program with two gateways, as the engine wrote it.

`eu` is a round robin of two regions, of which foundry2 may be deleted. `us` is weighted 3, 1 and 1,
without circuit breakers and without an alarm.
"""

import copy
import json
from pathlib import Path

import pytest

from components import guardrails
from probes import preview_comment
from probes.preview import model
from probes.preview.comment import MARKER

PREVIEW = Path(__file__).with_name("previews") / "two-gateways.json"
EU, US = "eu-inference-backend-pool", "us-inference-backend-pool"
EU_SAYS = f"{EU}: Round robin, 50.0 % of traffic to each region"
US_SAYS = (
    f"{US}: Unequal traffic: East US 60.0 %, West US 3 20.0 %, East US 2 20.0 % "
    "(declared: routing is weighted)"
)


@pytest.fixture
def first_preview():
    return json.loads(PREVIEW.read_text("utf-8"))


@pytest.fixture
def deployed(first_preview):
    """The same program once it is deployed: names are known, and nothing would change."""
    for each in first_preview["steps"]:
        inputs, name = each["newState"].get("inputs", {}), each["urn"].rpartition("::")[2]
        owner, _, plain = name.partition("-")
        inputs |= {
            key: value
            for key, value in (
                ("serviceName", f"apim-{owner}"),
                ("accountName", f"{plain}-{owner}"),
            )
            if key in inputs
        }
        for position, service in enumerate(inputs.get("pool", {}).get("services", ()), 1):
            service["id"] = f"/subscriptions/s/apim-{owner}/backends/foundry{position}"
        each |= {"op": "same", "oldState": copy.deepcopy(each["newState"])}
    first_preview["changeSummary"] = {"same": len(first_preview["steps"])}
    return first_preview


@pytest.fixture
def comment(tmp_path, capsys):
    """Give the exit code and the lines, without their escapes."""

    def run(document):
        path = tmp_path / "preview.json"
        path.write_text(json.dumps(document), "utf-8")
        code = preview_comment.main([str(path)])
        out, err = capsys.readouterr()
        assert not err
        text = out.replace("\\", "").replace("&#64;&#8203;", "@")
        marker, *lines = text.splitlines()
        assert marker == MARKER
        return code, lines

    return run


def step(document, name, kind):
    """The one step of a resource, by its type's last word."""
    (found,) = [
        each
        for each in document["steps"]
        if each["urn"].endswith(f":{kind}::{name}")  # urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME
    ]
    return found


def member(document, pool, position):
    inputs = step(document, pool, "Backend")["newState"]["inputs"]
    return inputs["pool"]["services"][position]


def component(document, name):
    return step(document, name, "LoadBalancedOpenAI")["newState"]["inputs"]


def lossy(document, name):
    """The step of an account or of the service."""
    return step(document, name, "ApiManagementService" if name.endswith("way") else "Account")


def replaced(document, name):
    """Have a resource replaced, as the engine tells it of an account that moves."""
    found = lossy(document, name)
    found |= {"op": "replace", "detailedDiff": {"location": {"kind": "UPDATE_REPLACE"}}}
    return document


def deleted(document, name):
    found = lossy(document, name)
    found["op"] = "delete"
    del found["newState"]
    return document


def accepted(lines):
    """What one is told to write, with where: each in a block of code below a sentence."""
    return [
        (lines[n - 1], lines[n + 1]) for n, each in enumerate(lines) if each.startswith("```yaml")
    ]


# As it was told


def test_the_headline_has_both_pools_with_their_shares(comment, first_preview):
    code, (head, *_) = comment(first_preview)
    assert code == 0  # both as declared
    assert head == f"### ⚠️ {EU_SAYS}; {US_SAYS}"


def test_each_pool_has_a_table_in_the_names_of_its_own_regions(comment, first_preview):
    _, lines = comment(first_preview)
    rows = [line for line in lines if " %" in line and line.startswith("| ")]
    assert [[cell.strip() for cell in row.split("|")[1:6:2]] for row in rows] == [
        ["UK South", "-", "50.0 %"],
        ["Norway East", "-", "50.0 %"],
        ["East US", "-", "60.0 %"],
        ["West US 3", "-", "20.0 %"],
        ["East US 2", "-", "20.0 %"],
    ]
    at = [lines.index(f"**Pool {pool}**") for pool in (EU, US)]
    assert at[0] < lines.index(rows[0]) < at[1] < lines.index(rows[2])


def test_the_one_gateway_s_missing_breakers_are_told_and_the_other_s_are_there(
    comment, first_preview
):
    _, lines = comment(first_preview)
    (line,) = [each for each in lines if each.startswith("- backends-have-a-breaker: ")]
    names, _, message = line.removeprefix("- backends-have-a-breaker: ").partition(": ")
    assert sorted(names.split(", ")) == ["us-foundry1", "us-foundry2", "us-foundry3"]
    assert message.startswith("has no circuit breaker")
    rules = {rule.name for rule in guardrails.RULES}
    broken = [each[2:].partition(":")[0] for each in lines if each.startswith("- ")]
    assert [rule for rule in broken if rule in rules] == ["backends-have-a-breaker"]


def test_the_one_gateway_s_alarm_is_told(comment, first_preview):
    _, lines = comment(first_preview)
    assert "**Alarm:** 6 rules, heard by team@example.com" in lines


def test_once_deployed_it_says_the_same_of_a_preview_without_changes(comment, deployed):
    code, (head, *lines) = comment(deployed)
    assert (code, head) == (0, f"### ⚠️ {EU_SAYS}; {US_SAYS}")
    assert not [line for line in lines if "change(s)" in line]


# Traffic


def test_a_member_that_is_preferred_is_unbalanced_and_the_other_gateway_is_not_blamed(
    comment, deployed
):
    member(deployed, EU, 1)["priority"] = 2
    code, (head, *lines) = comment(deployed)
    assert code == 1
    assert head == "### ❌ 100 % of traffic to UK South"
    reasons = [line for line in lines if line.startswith("- foundry")]
    assert [line.partition(";")[0] for line in reasons] == [
        "- foundry2 has priority 2, foundry1 has priority 1",
        "- foundry2 has priority 2, declared is 1",
    ]
    told = [line for line in lines if "pool-is-round-robin" in line]
    assert [line.partition(": ")[2].partition(":")[0] for line in told] == [EU]


def test_the_weights_of_the_weighted_one_are_held_to_what_it_declares(comment, deployed):
    member(deployed, US, 0)["weight"] = 1
    code, (head, *lines) = comment(deployed)
    assert code == 1
    assert head == "### ❌ Not as declared: foundry1 has weight 1, declared is 3"
    (told,) = [line for line in lines if "pool-is-as-declared" in line]
    assert told.startswith(f"- pool-is-as-declared: {US}: ")


def test_which_member_of_a_new_pool_is_which_is_not_guessed(comment, first_preview):
    member(first_preview, EU, 1)["priority"] = 2
    code, (head, *_) = comment(first_preview)
    assert (code, head) == (1, "### ❌ 100 % of traffic to member 1")


def test_both_pools_that_are_wrong_are_told(comment, deployed):
    member(deployed, EU, 1)["priority"] = 2
    member(deployed, US, 0)["weight"] = 100
    code, (head, *_) = comment(deployed)
    assert code == 1
    assert head.startswith(f"### ❌ {EU}: 100 % of traffic to UK South; {US}: Unequal traffic: ")
    assert "East US 98.0 %" in head


def test_a_region_that_is_dropped_is_missed_in_its_own_gateway(comment, deployed):
    inputs = step(deployed, US, "Backend")["newState"]["inputs"]
    inputs["pool"]["services"].pop()
    code, lines = comment(deployed)
    assert code == 1
    assert [line for line in lines if "foundry3 is not in the pool" in line]
    assert not [line for line in lines if EU in line and "not in the pool" in line]


def starving(document, name, pool):
    """Declare that the last region is preferred by nobody, in one gateway."""
    declared = component(document, name)
    declared["routing"] = "priority"
    declared["backends"][-1]["priority"] = 2
    member(document, pool, -1)["priority"] = 2
    return declared


@pytest.mark.parametrize(
    ("pool", "region", "label"), [(EU, "foundry2", "Norway East"), (US, "foundry3", "East US 2")]
)
def test_a_region_without_traffic_is_accepted_in_its_component_s_arguments(
    comment, first_preview, pool, region, label
):
    name = pool[:2]
    declared = starving(first_preview, name, pool)
    code, lines = comment(first_preview)
    assert code == 0
    assert f"- {label} would get nothing as long as all is well" in lines
    assert accepted(lines) == [
        ("To accept that, write in the component's arguments:", f"acceptStarved: [{region}]")
    ]

    # What the other gateway accepts is no word about this one.
    other = component(first_preview, {"eu": "us", "us": "eu"}[name])
    other["accept_starved"] = [region]
    assert accepted(comment(first_preview)[1]) == accepted(lines)

    declared["accept_starved"] = [region]
    code, lines = comment(first_preview)
    assert (code, accepted(lines)) == (0, [])
    assert not [line for line in lines if "would get nothing" in line]


def test_of_two_pools_that_starve_a_region_each_has_its_line(comment, first_preview):
    starving(first_preview, "eu", EU)
    starving(first_preview, "us", US)
    code, lines = comment(first_preview)
    how = "To accept that, write in the component's arguments:"
    assert code == 0
    assert accepted(lines) == [
        (f"{EU}: {how}", "acceptStarved: [foundry2]"),
        (f"{US}: {how}", "acceptStarved: [foundry3]"),
    ]


# What goes down


def test_an_account_whose_deletion_is_allowed_goes_down_and_nothing_is_to_be_written(
    comment, deployed
):
    code, (head, *lines) = comment(replaced(deployed, "eu-foundry2"))
    assert code == 0
    assert head.startswith("### ⚠️ Downtime: eu-foundry2 (Norway East) would be replaced; then: ")
    assert head.endswith(US_SAYS)
    assert accepted(lines) == []
    assert [each for each in lines if "**eu-foundry2 (Norway East) would go down until" in each]


HOW = "To allow it, write in the component's arguments:"


@pytest.mark.parametrize(
    ("resource", "who", "names"),
    [
        ("eu-foundry1", "eu-foundry1 (UK South)", "foundry2, foundry1"),
        ("us-foundry1", "us-foundry1 (East US)", "foundry1"),
        # The other gateway allows it of its own foundry2.
        ("us-foundry2", "us-foundry2 (West US 3)", "foundry2"),
        ("us-gateway", "API Management service apim-us", "gateway"),
        ("eu-gateway", "API Management service apim-eu", "foundry2, gateway"),
    ],
)
def test_what_is_not_allowed_is_to_be_written_in_its_component_s_arguments(
    comment, deployed, resource, who, names
):
    for change in (replaced, deleted):
        code, (head, *lines) = comment(change(deployed, resource))
        assert code == 1
        assert head.startswith(f"### ❌ Downtime: {who} would be {change.__name__}; then: ")
        assert accepted(lines) == [(HOW, f"protect: {{except: [{names}]}}")]


def test_of_what_two_components_lose_each_has_a_line_of_its_own(comment, deployed):
    for resource in ("eu-foundry1", "us-foundry2", "us-foundry3"):
        replaced(deployed, resource)
    code, lines = comment(deployed)
    assert code == 1
    assert accepted(lines) == [
        (
            "To allow it, write in the arguments of eu:",
            "protect: {except: [foundry2, foundry1]}",
        ),
        (
            "To allow it, write in the arguments of us:",
            "protect: {except: [foundry2, foundry3]}",
        ),
    ]


def test_what_one_component_allows_is_not_asked_for_again(comment, deployed):
    for resource in ("eu-foundry2", "us-foundry2"):
        replaced(deployed, resource)
    code, lines = comment(deployed)
    assert code == 1
    assert accepted(lines) == [(HOW, "protect: {except: [foundry2]}")]
    component(deployed, "us")["unprotected"] = ["foundry2"]
    code, lines = comment(deployed)
    assert (code, accepted(lines)) == (0, [])


def test_a_protected_account_that_the_engine_refuses_to_delete(comment, deployed):
    urn = step(deployed, "us-foundry2", "Account")["urn"]
    said = (
        f'error: resource "{urn}" cannot be deleted\nbecause it is protected. To unprotect the '
        "resource, remove the `protect` flag"
    )
    deployed["diagnostics"].append({"urn": urn, "message": said, "severity": "error"})
    deleted(deployed, "us-foundry2")
    code, (head, *lines) = comment(deployed)
    assert code == 1
    assert head == "### ❌ Refused, as protected: us-foundry2 (West US 3) would be deleted"
    assert accepted(lines) == [
        (
            "To allow it, write in the component's arguments, and deploy that before this change:",
            "protect: {except: [foundry2]}",
        )
    ]


@pytest.mark.parametrize(
    ("name", "names"),
    [("us", "foundry1, foundry2, foundry3, gateway"), ("eu", "foundry2, foundry1, gateway")],
)
def test_a_gateway_that_is_taken_out_of_the_program(comment, deployed, name, names):
    """Its accounts are called by their own regions, and not by those of the one that stays."""
    for each in deployed["steps"]:
        if each["urn"].rpartition("::")[2].partition("-")[0] == name:
            each["op"] = "delete"
            del each["newState"]
    code, (head, *lines) = comment(deployed)
    assert code == 1
    place = {"us": "us-foundry1 (East US)", "eu": "eu-foundry1 (UK South)"}[name]
    assert place in head
    assert f"The pool {name}-inference-backend-pool would be gone" in head
    ((how, line),) = accepted(lines)
    assert how == HOW
    assert sorted(line[len("protect: {except: [") : -2].split(", ")) == sorted(names.split(", "))


def test_the_only_gateway_that_is_taken_out_of_a_program(comment, deployed):
    """What it declared was said in its arguments, and in no config."""
    names = [each["urn"].rpartition("::")[2] for each in deployed["steps"]]
    us = [name == "us" or name.startswith("us-") for name in names]
    steps = [each for each, is_other in zip(deployed["steps"], us, strict=True) if not is_other]
    for each in steps:
        each["op"] = "delete"
        del each["newState"]
    code, lines = comment({**deployed, "steps": steps, "changeSummary": {"delete": len(steps)}})
    assert code == 1
    ((how, line),) = accepted(lines)
    assert (how, line.partition(":")[0]) == (HOW, "protect")
    assert "eu-" not in line


def with_a_pool_of_its_own(document, name="near", weights=(3, 1)):
    """Add a BackendPool that is of no gateway."""
    stack = "urn:pulumi:dev::two::pulumi:pulumi:Stack::two-dev"
    kind, backend = "openai-gateway:index:BackendPool", "azure-native:apimanagement:Backend"
    itself = f"urn:pulumi:dev::two::{kind}::{name}"
    places = {f"{name}1": "swedencentral", f"{name}2": "francecentral"}
    members = [
        {"id": each, "location": place, "priority": 1, "weight": weight}
        for (each, place), weight in zip(places.items(), weights, strict=True)
    ]
    pool = {
        "backendId": f"{name}-pool",
        "type": "Pool",
        "pool": {"services": [{**each, "id": f"/x/backends/{each['id']}"} for each in members]},
    }
    declared = {"routing": "weighted", "backends": members, "accept_starved": []}
    for urn, token, inputs, parent in (
        (itself, kind, declared, stack),
        (f"urn:pulumi:dev::two::{kind}${backend}::{name}-{name}-pool", backend, pool, itself),
    ):
        state = {"custom": token == backend, "type": token, "inputs": inputs, "parent": parent}
        step = {"op": "create", "urn": urn, "newState": state, "detailedDiff": None}
        document["steps"].append(step)
    return pool["pool"]["services"]


def test_pools_of_no_gateway_are_judged_by_what_each_declares(comment, first_preview):
    with_a_pool_of_its_own(first_preview)
    services = with_a_pool_of_its_own(first_preview, "far", (1, 1))
    code, (head, *lines) = comment(first_preview)
    assert code == 0
    assert "far-far-pool: Round robin, 50.0 % of traffic to each region" in head
    near = "near-near-pool: Unequal traffic: Sweden Central 75.0 %, France Central 25.0 % (declared"
    assert near in head
    assert not [line for line in lines if line.startswith(("- pool-", "- members-"))]
    services[0]["weight"] = 9
    code, (head, *lines) = comment(first_preview)
    traffic = "Sweden Central 90.0 %, France Central 10.0 %"
    assert (code, head) == (1, f"### ❌ Unequal traffic: {traffic}")
    assert [line for line in lines if line.startswith("- far1 has weight 9, declared is 1; ")]


def test_a_resource_is_of_the_component_at_the_end_of_its_parents_however_many():
    """Forks write previews: each resource is looked at once, or this would take ten minutes."""
    length = 20_000
    urns = [f"urn:pulumi:dev::p::a:b:C::n{n}" for n in range(length)]
    urns.append(f"urn:pulumi:dev::p::{guardrails.WHOLE}::eu")
    circle = [f"urn:pulumi:dev::p::a:b:C::c{n}" for n in range(length)]
    parents = zip([*urns, *circle], [*urns[1:], "", *circle[1:], circle[0]], strict=True)
    steps = [
        {"op": "same", "urn": urn, "newState": {"parent": parent, "type": "a:b:C"}}
        for urn, parent in parents
    ]
    found = model.parse(json.dumps({"steps": steps})).resources
    assert [each.within for each in found] == ["eu"] * (length + 1) + [""] * length
