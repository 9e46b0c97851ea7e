"""The stack outputs: what the program exports is what the probe reads."""

import asyncio
import json
from dataclasses import replace

import pulumi
import pytest

from components.contract import (
    Backend,
    ModelPool,
    Outputs,
    OutputsError,
    PolicyReference,
    PoolReference,
    Workspace,
    digest,
    export,
    read,
)
from components.traffic import Member

REGIONS = (("foundry1", "uksouth", "UK South"), ("foundry2", "eastus", "East US"))
KEY = "k3y"


def outputs(known):
    """Outputs whose values that only a deployment knows are made by `known`."""
    return Outputs(
        resource_group=known("rg"),
        gateway_url=known("https://apim.azure-api.net"),
        inference_url=known("https://apim.azure-api.net/inference"),
        subscription_key=known(KEY),
        deployment="chat",
        api_version="2024-10-21",
        pool=PoolReference(id=known("/subscriptions/0/backends/pool"), name=known("pool")),
        routing="weighted",
        backends=tuple(
            Backend(
                id=name,
                location=location,
                region=region,
                url=known(f"https://{name}-abc.openai.azure.com/openai"),
                priority=1,
                weight=n,
            )
            for n, (name, location, region) in enumerate(REGIONS, 1)
        ),
        subscription=known("/subscriptions/0/subscriptions/clients"),
        pools=(
            ModelPool(
                deployment="chat", id=known("/subscriptions/0/backends/pool"), name=known("pool")
            ),
            ModelPool(deployment="embed", id=known("/subscriptions/0/backends/e"), name=known("e")),
        ),
        policy=PolicyReference(
            id=known("/subscriptions/0/policies/policy"), digest=known("0" * 64)
        ),
        workspace=Workspace(id=known("/subscriptions/0/workspaces/log"), customer_id=known("1-2")),
    )


def test_what_the_program_exports_is_what_the_probe_reads():
    declared = outputs(str)
    exported = json.dumps(export(declared))
    assert read(exported) == declared
    assert read(exported.encode()).declared.members == (
        Member(name="foundry1", priority=1, weight=1),
        Member(name="foundry2", priority=1, weight=2),
    )


def test_values_that_only_a_deployment_knows_are_exported_as_they_are():
    async def in_a_program():  # an output belongs to an event loop
        return export(outputs(pulumi.Output.from_input))

    exported = asyncio.run(in_a_program())
    assert isinstance(exported["pool"]["id"], pulumi.Output)
    assert isinstance(exported["backends"][1]["url"], pulumi.Output)
    assert list(exported) == [
        "resource_group",
        "gateway_url",
        "inference_url",
        "subscription_key",
        "deployment",
        "api_version",
        "pool",
        "routing",
        "backends",
        "subscription",
        "pools",
        "policy",
        "workspace",
    ]


def test_outputs_of_a_stack_that_was_deployed_earlier_are_read():
    document = export(outputs(str))
    for name in ("subscription", "pools", "policy"):
        del document[name]
    stack = read(json.dumps(document))
    assert (stack.subscription, stack.policy) == (None, None)
    assert [(p.deployment, p.id, p.name) for p in stack.pools] == [
        ("chat", "/subscriptions/0/backends/pool", "pool")
    ]


def test_a_key_that_is_not_exported_is_left_out_where_the_subscription_is_named():
    declared = replace(outputs(str), subscription_key=None)
    assert "subscription_key" not in export(declared)
    assert read(json.dumps(export(declared))) == declared
    assert declared.redact("None of it") == "None of it"


def test_a_policy_is_the_same_however_it_is_laid_out_and_another_with_another_value():
    one = '<p><!-- why --><retry count="2" interval="0">\n  <value>@(1)</value></retry></p>'
    same = '<p>\r\n\t<retry interval="0"  count="2"><value> @(1) </value></retry>\r\n</p>'
    assert digest(one) == digest(same)
    assert digest(one) != digest(one.replace("@(1)", "@(2)"))
    with pytest.raises(ValueError, match="no well-formed XML"):
        digest("<policies>")


def test_the_key_is_in_no_representation():
    assert KEY not in repr(outputs(str))


def change(document, path, value):
    *folders, last = path
    for key in folders:
        document = document[key]
    if value is ...:
        del document[last]
    else:
        document[last] = value


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (["resource_group"], ..., "`resource_group` is missing; is the stack deployed?"),
        (["subscription"], None, "`subscription` must be a text, not null"),
        (["subscription"], "clients", "`subscription` must be a full Azure Resource Manager id"),
        (["pools", 1, "id"], "e", "`pools[1].id` must be a full Azure Resource Manager id"),
        (["policy", "digest"], ..., "`policy.digest` is missing"),
        (["policy", "id"], "policy", "`policy.id` must be a full Azure Resource Manager id"),
        (["subscription_key"], "[secret]", '`subscription_key` is "[secret]"; use --show-secrets'),
        (["backends", 0, "priority"], True, "`backends[0].priority` is no number"),
        (["backends", 0, "priority"], None, "`backends[0].priority` is not set"),
        (["backends", 1, "weight"], 1.5, "`backends[1].weight` is no whole number"),
        (["backends", 1, "weight"], -1, "`backends[1].weight` is -1 outside of 1 to 100"),
        (["backends", 1, "weight"], 101, "`backends[1].weight` is 101 outside of 1 to 100"),
        (["backends", 1, "id"], "FOUNDRY1", "two with one name: foundry1, foundry1"),
    ],
)
def test_an_output_that_is_none_is_named_with_its_problem(path, value, problem):
    document = export(outputs(str))
    change(document, path, value)
    with pytest.raises(OutputsError, match=problem.replace("[", r"\[").replace("?", r"\?")):
        read(json.dumps(document))


def test_whole_numbers_may_be_written_as_floats():
    document = export(outputs(str))
    change(document, ["backends", 1, "weight"], 2.0)
    assert read(json.dumps(document)) == outputs(str)
