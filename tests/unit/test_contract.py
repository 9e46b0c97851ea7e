"""The stack outputs: what the program exports is what the probe reads."""

import asyncio
import json
import re
from dataclasses import replace

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    find,
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


PLAIN = export(outputs(str))


def camel(document):
    """The document as a program in TypeScript or Go exports it; values are as they are."""
    if isinstance(document, dict):
        names = {re.sub("_(.)", lambda found: found[1].upper(), name): name for name in document}
        return {written: camel(document[name]) for written, name in names.items()}
    return [camel(each) for each in document] if isinstance(document, list) else document


def said(document, key=None):
    """What a document that is refused is told."""
    with pytest.raises(OutputsError) as caught:
        read(json.dumps(document), key)
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_names_may_be_written_as_in_typescript_and_values_stay_as_they_are():
    document = camel(PLAIN)
    assert {"inferenceUrl", "apiVersion"} < {*document}
    assert [*document["workspace"]] == ["id", "customerId"]
    document["deployment"] = document["pools"][0]["deployment"] = "myChat_model"
    assert read(json.dumps(document)).deployment == "myChat_model"
    assert read(json.dumps({**PLAIN, "workspace": document["workspace"]})) == outputs(str)


@pytest.mark.parametrize(
    ("path", "name", "twice"),
    [([], "resource_group", "resourceGroup"), (["workspace"], "customer_id", "customerId")],
)
def test_a_name_in_both_spellings_is_a_mistake(path, name, twice):
    document = json.loads(json.dumps(PLAIN))
    change(document, [*path, twice], "x")
    problem = f"`{'.'.join([*path, name])}` is there as `{twice}` too; export one of the two"
    assert said(document) == problem
    assert said({"gateway": document}) == f"output gateway: {problem}"


printable = st.text(min_size=1, max_size=8).filter(str.isprintable)  # others print as spaces
names = st.one_of(st.sampled_from(["gateway", "a.b", "c[0]", "pools", "backends"]), printable)
others = st.recursive(
    st.one_of(st.integers(), st.text(max_size=5), st.just({"pool": {}, "inferenceUrl": "x"})),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=5,
)
steps = st.one_of(
    st.tuples(printable, st.dictionaries(names, others, max_size=3)),
    st.lists(others, max_size=3),
)


@given(way=st.lists(steps, max_size=5), in_camel=st.booleans(), data=st.data())
def test_outputs_are_read_wherever_they_are_and_by_the_path_that_is_told(way, in_camel, data):
    document = camel(PLAIN) if in_camel else PLAIN
    for step in way:
        if isinstance(step, list):
            at = data.draw(st.integers(0, len(step)))
            document = [*step[:at], document, *step[at:]]
        else:
            document = {**step[1], step[0]: document}
    if isinstance(document, list):
        document = {"gateways": document}
    text = json.dumps(document)
    path, found = find(text)
    assert found == outputs(str)
    assert (path == "") == (document in (PLAIN, camel(PLAIN)))
    if path:
        assert find(text, path) == (path, found)


def test_the_top_level_goes_first():
    assert find(json.dumps({**PLAIN, "staging": PLAIN})) == ("", outputs(str))
    other = {**PLAIN, "deployment": "other", "pools": []}
    assert read(json.dumps({**PLAIN, "staging": other}), "staging").deployment == "other"


def test_of_several_one_is_chosen_by_its_path():
    document = {
        "prod": {"openai": camel(PLAIN)},
        "pools": [{**PLAIN, "deployment": name, "pools": []} for name in ("a", "b")],
        "other": 3,
    }
    assert said(document) == (
        "there are 3 gateways: pools[0], pools[1], prod.openai; choose with --outputs-key PATH"
    )
    text = json.dumps(document)
    assert find(text, "prod.openai") == ("prod.openai", outputs(str))
    assert read(text, "pools[1]").deployment == "b"


def test_a_name_may_hold_dots_and_brackets_and_an_exact_name_goes_first():
    first, second = ({**PLAIN, "deployment": name, "pools": []} for name in ("exact", "deeper"))
    for name in ("a.b", "a[0]", "a.b[0].c"):
        assert find(json.dumps({name: PLAIN, "other": PLAIN}), name) == (name, outputs(str))
    document = json.dumps({"a": {"b": second}, "a.b": first})
    assert read(document, "a.b").deployment == "exact"


@pytest.mark.parametrize(
    ("document", "key", "told"),
    [
        (
            {"gateway": PLAIN, "west": PLAIN},
            "gatway",
            "`gatway` is no gateway; --outputs-key PATH takes gateway, west; did you mean gateway?",
        ),
        (
            {"prod": {"openai": PLAIN}},
            "prod",
            "`prod` is no gateway; --outputs-key PATH takes prod.openai",
        ),
        (
            {"gateway": PLAIN, "other": 3},
            "other",
            "`other` is no gateway; --outputs-key PATH takes gateway",
        ),
        (
            {"gateway": PLAIN},
            "gateway.pool",
            "`gateway.pool` is no gateway; --outputs-key PATH takes gateway; did you mean gateway?",
        ),
        (
            PLAIN,
            "west",
            "`west` is no gateway; the only one is at the top level: leave out --outputs-key PATH",
        ),
        ({}, "gateway", "`gateway` is no gateway; is the stack deployed? run `pulumi up`"),
        ({"a": {"pool": 1}}, "a", "`a` is no gateway; is the stack deployed? run `pulumi up`"),
    ],
)
def test_a_path_that_leads_to_no_gateway_is_told_with_what_is_there(document, key, told):
    assert said(document, key) == told


@pytest.mark.parametrize(
    ("document", "key", "hidden"),
    [
        ({"gateway": "[secret]"}, None, "gateway"),
        ({"gateway": "[secret]", "west": PLAIN}, "gateway", "gateway"),
        ({"gateway": "[secret]"}, "gateway.openai", "gateway"),
        ({"pools": [1, "[secret]"]}, None, "pools[1]"),
        ({"prod": {"openai": "[secret]"}}, "prod.openai", "prod.openai"),
    ],
)
def test_a_hidden_gateway_is_told_with_the_flag_that_shows_it(document, key, hidden):
    command = "pulumi stack output --json --show-secrets"
    assert said(document, key) == f'`{hidden}` is "[secret]"; use --show-secrets: `{command}`'


def test_a_mistake_below_the_top_level_names_the_output():
    document = {"prod": [json.loads(json.dumps(PLAIN))]}
    document["prod"][0]["backends"][1]["weight"] = 101
    assert said(document).startswith("output prod[0]: `backends[1].weight` is 101 outside of ")
    document["prod"][0]["backends"][1]["weight"] = 2
    document["prod"][0]["inference_url"] = "http://apim.azure-api.net/inference"
    assert said(document).startswith("output prod[0]: `inference_url` is plain http")


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"subscription_key": "[secret]"},
        {"inference_url": "https://a.example", "pool": {}, "a": [{"b": None}]},
    ],
)
def test_where_there_is_none_the_message_is_that_of_the_top_level(document):
    missing = "`backends` is missing; is the stack deployed? run `pulumi up`"
    assert said(document) == missing


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"other": 3, "b": 1}, "other, b"),
        ({"gateway": {"pool": {}, "backends": []}}, "gateway"),
        ({"a\x1b[2J": ""}, "a [2J"),
    ],
)
def test_a_program_that_exports_none_is_told_what_to_export(document, named):
    assert said(document) == (
        f"no gateway is in the outputs {named}; export the component's stackOutputs (stack_outputs "
        "in Python), under any name"
    )


def test_many_gateways_and_names_for_no_terminal_make_one_short_line():
    assert said({f"gateway{n}": PLAIN for n in range(300)}).startswith("there are 300 gateways: ")
    assert said({"a\n\x1b[2J": PLAIN, "\ud800": PLAIN}).startswith(
        "there are 2 gateways:  , a  [2J; "
    )
    assert "is no gateway" in said({"gateway": PLAIN}, "x\n" * 1000)
    said({"x" * 100_000: ["[secret]"] * 1000})
