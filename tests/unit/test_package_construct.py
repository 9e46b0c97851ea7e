"""What the package constructs when a program in any language asks for a component."""

import json
import threading

import pulumi
import pytest
import recording
from bad_configs import CHAT
from recording import CUSTOMER, KEY, is_secret, unwrap
from test_component_arguments import MEMBERS, POOL, SERVICE, WATCH, WORKSPACE_ID
from test_existing import CONFIG, THERE, ResourceManager

from components import contract, package
from components.load_balanced_openai import LoadBalancedOpenAI
from components.package import Package

PACKAGE = Package()
UNKNOWN = pulumi.output.Unknown()
# As the engine sends them: every number is a floating one.
REGIONS = [
    {"name": "foundry1", "location": "uksouth", "priority": 1.0, "weight": 3.0},
    {"name": "foundry2", "location": "eastus", "priority": 1.0, "weight": 1.0},
]
ARGUMENTS = {
    "regions": REGIONS,
    "routing": "weighted",
    "models": [{**CHAT, "capacity": 50.0}],
    "apis": ["chat"],
    "monitoring": {"alertEmails": ["team@example.com"], "starvedBelow": 0.2, "webhook": UNKNOWN},
}


def construct(kind, arguments, name="ai", opts=None, *, preview=False):
    """Have the package construct a component in a program whose outputs are the state."""

    def program():
        token = f"openai-gateway:index:{kind}"
        result = PACKAGE.construct(name, token, arguments, opts)
        for key, value in {"urn": result.urn, **result.state}.items():
            pulumi.export(key, value)

    return recording.run(program, preview=preview)


def known(arguments):
    """The arguments with a text for what is not known in a preview."""
    if isinstance(arguments, dict):
        return {key: known(each) for key, each in arguments.items()}
    if isinstance(arguments, list):
        return [known(each) for each in arguments]
    return "https://hooks.example.com/T0" if arguments is UNKNOWN else arguments


@pytest.fixture(scope="module")
def whole():
    return construct("LoadBalancedOpenAI", known(ARGUMENTS))


# Components


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [("LoadBalancedOpenAI", known(ARGUMENTS)), ("BackendPool", POOL), ("Monitoring", WATCH)],
)
def test_a_component_is_made_by_its_token(kind, arguments):
    program = construct(kind, arguments)
    (itself,) = program.all(kind)[:1]
    assert (itself.name, program.outputs.pop("urn")) == ("ai", itself.urn)
    token = f"openai-gateway:index:{kind}"
    schema = package.schema()["resources"][token]
    state = program.outputs
    assert set(state) <= set(schema["properties"])
    assert set(schema["required"]) <= set(state)


def test_the_package_has_the_schema_and_the_version_of_the_components():
    assert json.loads(PACKAGE.schema) == package.schema()
    assert PACKAGE.version == package.schema()["version"]


@pytest.mark.parametrize(
    "token", ["openai-gateway:index:LoadBalancedOpenAi", "openai-gateway:index:ApiGateway", "x"]
)
def test_a_token_of_no_component_is_told_with_those_that_there_are(token):
    with pytest.raises(pulumi.RunError) as caught:
        PACKAGE.construct("ai", token, {})
    assert str(caught.value) == (
        f"{token}: there is no such component; the package has LoadBalancedOpenAI, BackendPool, "
        "Monitoring"
    )


# Arguments


def test_whole_numbers_are_whole_however_they_are_sent(whole):
    services = whole.one("Backend", "ai-inference-backend-pool").inputs["pool"]["services"]
    assert [(each["priority"], each["weight"]) for each in services] == [(1, 3), (1, 1)]
    assert {each.inputs["sku"]["capacity"] for each in whole.all("Deployment")} == {50}
    (hourly,) = [
        each for each in whole.all("ScheduledQueryRule") if each.name.endswith("region-hourly")
    ]
    assert hourly.inputs["criteria"]["allOf"][0]["threshold"] == 20


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (1.0, 1),
        (0.0, 0),
        (-3.0, -3),
        (0.25, 0.25),
        (True, True),
        ("1.0", "1.0"),
        (None, None),
        ([1.0, {"a": [2.0, 0.5]}], [1, {"a": [2, 0.5]}]),
        ({"a": {"b": 1.0}}, {"a": {"b": 1}}),
    ],
)
def test_a_number_without_a_fraction_is_a_whole_one_at_any_depth(given, taken):
    found = package._arguments(given)
    assert found == taken
    assert json.dumps(found) == json.dumps(taken)  # which tells 1 from 1.0 and from true


def test_a_number_with_a_fraction_is_no_weight():
    half = [{**REGIONS[0], "weight": 1.5}, REGIONS[1]]
    (error,) = refused("LoadBalancedOpenAI", {**known(ARGUMENTS), "regions": half})
    assert error["property_path"] == "regions[0].weight"
    assert error["reason"] == "is 1.5: write a whole number from 1 to 100"


def test_what_is_not_known_in_a_preview_is_an_output():
    members = [{**MEMBERS[0], "url": UNKNOWN}, *MEMBERS[1:]]
    program = construct("BackendPool", {**POOL, "regions": members}, preview=True)
    unknown = program.one("Backend", "ai-foundry1").inputs["url"]
    assert isinstance(unknown, pulumi.output.Unknown)
    assert program.one("Backend", "ai-foundry2").inputs["url"] == MEMBERS[1]["url"]
    (itself,) = program.all("BackendPool")
    assert (
        itself.inputs["backends"][0]["id"] == "foundry1"
    )  # what is declared is known all the same


def test_an_unknown_webhook_rings_and_the_preview_is_told_all_else():
    program = construct("LoadBalancedOpenAI", ARGUMENTS, preview=True)
    (group,) = program.all("ActionGroup")
    (receiver,) = unwrap(group.inputs["webhookReceivers"])
    assert isinstance(receiver["serviceUri"], pulumi.output.Unknown)
    assert len(program.all("ScheduledQueryRule")) == 6


def refused(kind, arguments, **more):
    with pytest.raises(pulumi.InputPropertiesError) as caught:
        construct(kind, arguments, **more)
    assert caught.value.message == "what is wrong with the arguments of ai:"
    return caught.value.errors


def test_what_decides_what_is_declared_may_not_be_unknown():
    errors = refused("LoadBalancedOpenAI", {**ARGUMENTS, "routing": UNKNOWN}, preview=True)
    assert [each["property_path"] for each in errors] == ["routing"]
    assert errors[0]["reason"].startswith("is an output, not known before a deployment: ")


# State


def test_the_state_is_the_contract_in_camel_case(whole):
    state = whole.outputs
    assert set(state) == {
        "resourceGroup",
        "gatewayUrl",
        "inferenceUrl",
        "subscriptionKey",
        "deployment",
        "apiVersion",
        "pool",
        "routing",
        "backends",
        "subscription",
        "pools",
        "policy",
        "workspace",
        "stackOutputs",
        "urn",
    }
    assert is_secret(state["subscriptionKey"])
    assert unwrap(state["workspace"])["customerId"] == CUSTOMER
    assert [(each["id"], each["weight"]) for each in state["backends"]] == [
        ("foundry1", 3),
        ("foundry2", 1),
    ]
    # A probe reads it, too, in these spellings.
    text = json.dumps({key: unwrap(each) for key, each in state.items() if key != "stackOutputs"})
    assert (
        contract.read(text).declared.shares == contract.read(stack_outputs(whole)).declared.shares
    )


def stack_outputs(program) -> str:
    return json.dumps(unwrap(program.outputs["stackOutputs"]))


def test_the_stack_outputs_are_a_secret_as_a_whole_and_the_probe_reads_them(whole):
    given = whole.outputs["stackOutputs"]
    assert is_secret(given)
    read = contract.read(stack_outputs(whole))
    assert read.subscription_key == KEY
    assert read.routing == "weighted"
    assert [str(share) for share in read.declared.shares] == ["3/4", "1/4"]
    assert read.workspace.customer_id == CUSTOMER
    assert unwrap(given).keys() == set(contract.Outputs.__dataclass_fields__)


def test_no_secret_is_left_within_a_mapping_of_the_state():
    """It would reach not every language whole."""

    def program():
        token = "openai-gateway:index:LoadBalancedOpenAI"
        state.update(PACKAGE.construct("ai", token, known(ARGUMENTS)).state)

    state = {}
    recording.run(program)
    assert isinstance(state["subscriptionKey"], pulumi.Output)
    assert isinstance(state["stackOutputs"], pulumi.Output)


def test_without_the_key_nothing_of_the_outputs_is_secret():
    program = construct("LoadBalancedOpenAI", {**known(ARGUMENTS), "exportKey": False})
    state = program.outputs
    assert "subscriptionKey" not in state
    assert not is_secret(state["stackOutputs"])
    assert "4dabf18193072939515e22adb298388d" not in json.dumps(state)
    assert contract.read(stack_outputs(program)).subscription_key is None


def test_the_component_has_in_the_state_what_it_declares(whole):
    (itself,) = whole.all("LoadBalancedOpenAI")
    assert itself.inputs == {
        "routing": "weighted",
        "backends": [
            {
                "id": "foundry1",
                "location": "uksouth",
                "region": "UK South",
                "priority": 1,
                "weight": 3,
            },
            {
                "id": "foundry2",
                "location": "eastus",
                "region": "East US",
                "priority": 1,
                "weight": 1,
            },
        ],
        "pools": [{"deployment": "chat"}],
        "unprotected": [],
        "accept_starved": [],
        "unwatched": False,
    }


def test_the_parts_give_what_their_outputs_say():
    pool = construct("BackendPool", POOL).outputs
    del pool["urn"]
    assert pool == {"poolId": f"{recording.SUBSCRIPTION}{path_of('second')}", "poolName": "second"}
    watch = construct("Monitoring", WATCH).outputs
    del watch["urn"]
    assert watch == {
        "workspace": {"id": WORKSPACE_ID, "customerId": WATCH["workspace"]["customerId"]}
    }


def path_of(backend):
    return recording.APIM.format(resourceGroupName="rg", serviceName="apim-team") + (
        f"/backends/{backend}"
    )


# Mistakes


@pytest.mark.parametrize(
    ("kind", "arguments", "told"),
    [
        (
            "LoadBalancedOpenAI",
            {
                "regions": [REGIONS[0], {"name": "foundry2", "location": "eastuss"}],
                "routing": "roundrobin",
                "breaker": {"count": 0.0},
                "tags": {"my_tag": 1.0},
            },
            {
                "regions[1].location": 'is "eastuss": there is no such Azure location; did',
                "routing": 'is "roundrobin": write one of round-robin, weighted, priority',
                "breaker.count": "is 0: write a whole number of at least 1",
                "tags.my_tag": "is 1: write a text of 0 to 256 characters, in quotes",
            },
        ),
        (
            "BackendPool",
            {
                "service": {**SERVICE, "resourceGroup": "rg."},
                "regions": [{**each, "url": "ftp://a"} for each in MEMBERS],
            },
            {
                "service.resourceGroup": 'is "rg.": write the name of its resource group',
                **{f"regions[{n}].url": 'is "ftp://a": write the account' for n in range(3)},
            },
        ),
        (
            "Monitoring",
            {**WATCH, "webhok": "https://hooks.example.com/T0"},
            {"webhok": "is [secret], but there is no such key: did you mean `webhook`?"},
        ),
    ],
)
def test_every_mistake_is_an_error_of_its_property(kind, arguments, told):
    errors = refused(kind, arguments)
    found = {each["property_path"]: each["reason"] for each in errors}
    assert found.keys() == told.keys()
    assert len(errors) == len(told)
    for path, reason in told.items():
        assert found[path].startswith(reason)


def test_nothing_is_declared_where_something_is_wrong():
    def program():
        with pytest.raises(pulumi.InputPropertiesError):
            PACKAGE.construct("ai", "openai-gateway:index:LoadBalancedOpenAI", {"regions": []})

    assert [each.type for each in recording.run(program).resources] == ["pulumi:pulumi:Stack"]


def test_a_problem_of_no_key_is_told_as_one_of_the_whole():
    assert package._property("as it is") == {"property_path": "", "reason": "as it is"}


# Providers


@pytest.fixture
def azure(monkeypatch):
    """A Resource Manager that has a service and three accounts."""
    with ResourceManager() as server:
        server.there = dict(THERE)
        monkeypatch.setenv("ARM_ENDPOINT", server.endpoint)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def provider(name="own"):
    return pulumi.ProviderResource("azure-native", name, {"location": "uksouth"})


OPTIONS = {
    "a list": lambda: pulumi.ResourceOptions(providers=[provider()]),
    "a mapping": lambda: pulumi.ResourceOptions(providers={"azure-native": provider()}),
    "one": lambda: pulumi.ResourceOptions(provider=provider()),
    "its parent's": lambda: pulumi.ResourceOptions(
        parent=pulumi.ComponentResource(
            "app:index:Team", "team", opts=pulumi.ResourceOptions(providers=[provider()])
        )
    ),
}


@pytest.mark.parametrize("given", OPTIONS)
def test_a_program_s_own_provider_makes_all_and_is_asked_for_all(given, azure):
    def declare():
        LoadBalancedOpenAI("ai", CONFIG, OPTIONS[given]())

    program = recording.run(declare)
    own = {each.provider for each in program.all("Backend")}
    assert len(own) == 1
    (reference,) = own
    assert reference.endswith("pulumi:providers:azure-native::own::id-of-own")
    azure_native = [each for each in program.resources if each.type.startswith("azure-native:")]
    assert {each.provider for each in azure_native} == {reference}
    functions = {function.rpartition(":")[2] for function, _ in program.asked}
    assert functions == {"getClientToken", "getClientConfig", "listSubscriptionSecrets"}
    assert {asked for _, asked in program.asked} == {reference}
    assert azure.asked


def test_the_package_hands_the_options_of_a_component_on(azure):
    def program():
        team = pulumi.ComponentResource("app:index:Team", "team")
        opts = pulumi.ResourceOptions(parent=team, providers={"azure-native": provider()})
        PACKAGE.construct("ai", "openai-gateway:index:LoadBalancedOpenAI", CONFIG, opts)

    declared = recording.run(program)
    (itself,), (team,) = declared.all("LoadBalancedOpenAI"), declared.all("Team")
    assert itself.parent == team.urn
    assert all("azure-native::own" in asked for _, asked in declared.asked)
    assert all("azure-native::own" in each.provider for each in declared.all("Backend"))


def test_without_one_the_default_is_asked(azure):
    program = recording.run(lambda: LoadBalancedOpenAI("ai", CONFIG))
    assert len(program.asked) == 3
    assert {asked for _, asked in program.asked} == {""}


def test_a_provider_of_another_package_is_not_asked(azure):
    def declare():
        dice = pulumi.ProviderResource("random", "dice", {})
        opts = pulumi.ResourceOptions(providers=[dice, provider()])
        LoadBalancedOpenAI("ai", CONFIG, opts)

    assert all("azure-native::own" in asked for _, asked in recording.run(declare).asked)


def test_what_is_there_and_does_not_fit_is_an_error_of_its_property(azure):
    del azure.there[next(path for path in azure.there if path.endswith("/foundry2-ai"))]
    errors = refused("LoadBalancedOpenAI", CONFIG)
    (error,) = errors
    assert error["property_path"] == "regions[1].existing.accountName"
    assert error["reason"].startswith('is "foundry2-ai", and there is no such account')
