"""Several gateways and parts in one program: what each declares, and that they share nothing."""

import json
import re

import pulumi
import pytest
import recording
from bad_configs import CHAT
from hypothesis import given, settings
from hypothesis import strategies as st
from recording import unwrap
from test_component_arguments import MEMBERS, POOL, SERVICE, SERVICE_ID, WATCH, snake

from components.backend_pool import BackendPool
from components.load_balanced_openai import LoadBalancedOpenAI
from components.monitoring import Monitoring

WHOLE = "LoadBalancedOpenAI"
KIND = f"openai-gateway:index:{WHOLE}"
STACK = "pulumi:pulumi:Stack"
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True)
CONFIGS = {
    "dev": {},
    "models": {
        "models": [CHAT, {**CHAT, "name": "small"}],
        "apis": ["chat", "responses"],
        "protect": {"except": ["foundry2", "gateway"]},
        "location": "swedencentral",
        "tags": {"my_tag": "a"},
    },
    "bare": {
        "gateway": {"sku": "Consumption"},
        "breaker": None,
        "streaming": False,
        "monitoring": None,
        "apis": ["chat"],
        "resourceSuffix": "team7",
    },
    "subnets": {
        "gateway": {"sku": "StandardV2"},
        "network": {
            "endpointSubnet": "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network"
            "/virtualNetworks/v/subnets/a",
            "gatewaySubnet": "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network"
            "/virtualNetworks/v/subnets/b",
        },
        "apis": ["chat"],
    },
    "incident": {
        "regions": [
            {"name": "foundry1", "location": "uksouth", "weight": 100},
            {"name": "foundry2", "location": "eastus", "priority": 2, "weight": 50},
            {"name": "foundry3", "location": "norwayeast", "priority": 2, "weight": 50},
        ],
        "routing": "priority",
        "acceptStarved": ["foundry2", "foundry3"],
        "apis": ["chat"],
    },
}
TWO = {
    "eu": {
        "regions": [
            {"name": "foundry1", "location": "uksouth"},
            {"name": "foundry2", "location": "norwayeast"},
        ],
        "apis": ["chat"],
        "protect": {"except": ["foundry2"]},
        "monitoring": {"alert_emails": ["team@example.com"]},
    },
    "us": {
        "regions": [
            {"name": "foundry1", "location": "eastus", "weight": 3},
            {"name": "foundry2", "location": "westus3"},
            {"name": "foundry3", "location": "eastus2"},
        ],
        "routing": "weighted",
        "apis": ["chat"],
        "models": [CHAT, {**CHAT, "name": "small"}],
        "monitoring": {"enabled": False},
    },
}


def facts(program, name="openai"):
    """What is declared, in the words of a component with the name of its kind, by type and name."""
    begins = "" if name == "openai" else f"{name}-"

    def plain(urn):
        head, _, own = urn.rpartition("::")
        return f"{head}::{plain_name(own)}"

    def plain_name(own):
        return "openai" if own == name else own.removeprefix(begins)

    found = {}
    for each in program.resources:
        if each.type == STACK:
            continue
        # A name in Azure that the mocks make of the logical one.
        text = json.dumps(each.inputs, sort_keys=True).replace(f"uuid-of-{begins}", "uuid-of-")
        key = (each.type, plain_name(each.name))
        assert key not in found
        found[key] = {
            "inputs": json.loads(text) if each.type != KIND else {},
            "parent": plain(each.parent),
            "depends_on": {plain(urn) for urn in each.depends_on},
            "property_dependencies": {
                key: {plain(urn) for urn in urns}
                for key, urns in each.property_dependencies.items()
                if each.type != KIND
            },
            "protect": each.protect,
            "ignore_changes": each.ignore_changes,
            "delete_before_replace": each.delete_before_replace,
            "id": plain_name(each.id).replace(f"uuid-of-{begins}", "uuid-of-"),
        }
    return found


def one(name, arguments):
    def program():
        component = LoadBalancedOpenAI(name, arguments)
        for key, value in component.stack_outputs.items():
            pulumi.export(key, value)

    return recording.run(program)


@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS)
def test_a_program_of_somebody_else_s_declares_what_this_one_does(changes, declare):
    config = {**recording.config_of("dev"), **changes}
    own = declare(**changes) if changes else declare()
    expected = facts(own)
    assert {(WHOLE, "openai"), ("ApiManagementService", "gateway")} <= {
        (kind.rpartition(":")[2], name) for kind, name in expected
    }
    for arguments in (config, snake(config)):
        other = one("openai", arguments)
        assert facts(other) == expected
        assert other.outputs == own.outputs
        assert told(other) == sorted(line.replace("openai-gateway:", "") for line in told(own))


def told(program):
    return sorted(line for level, line in program.log if level in ("INFO", "WARNING"))


@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS)
def test_another_name_changes_logical_names_and_nothing_in_azure(changes, declare):
    config = {**recording.config_of("dev"), **changes}
    plain, named = one("openai", config), one("ai", config)
    assert facts(named, "ai") == facts(plain)
    assert all(
        each.name in ("ai", "openai-gateway-dev") or each.name.startswith("ai-")
        for each in named.resources
    )
    assert json.dumps(named.outputs) == json.dumps(plain.outputs)


@settings(max_examples=4)
@given(first=NAMES, second=NAMES)
def test_names_of_children_differ_by_what_they_begin_with(first, second):
    config = {**recording.config_of("dev"), "apis": ["chat"], "monitoring": None}

    def children(name):
        begins = name.removesuffix("openai") if name.endswith("openai") else f"{name}-"
        found = [each for each in one(name, config).resources if each.type not in (STACK, KIND)]
        return sorted(
            (each.type, each.name.removeprefix(begins) if each.name != name else "itself")
            for each in found
        )

    assert children(first) == children(second)


# Two in one program


@pytest.fixture(scope="module")
def two():
    def program():
        eu = LoadBalancedOpenAI("eu", TWO["eu"])
        us = LoadBalancedOpenAI("us", {**TWO["us"], "breaker": {"enabled": False}})
        BackendPool("extra", {**POOL, "regions": MEMBERS[:2]})
        pulumi.export("gateways", {"eu": eu.stack_outputs, "us": us.stack_outputs})

    return recording.run(program)


def owner(program, resource):
    """The component that a resource is of, or the stack."""
    by_urn = {each.urn: each for each in program.resources}
    while resource.type not in (KIND, STACK) and resource.parent:
        resource = by_urn[resource.parent]
    return resource.name


def test_two_gateways_and_a_pool_of_neither_are_declared_side_by_side(two):
    owners = {each.urn: owner(two, each) for each in two.resources}
    assert set(owners.values()) == {"eu", "us", "openai-gateway-dev"}
    accounts = {each.name: each.inputs["location"] for each in two.all("Account")}
    assert accounts == {
        "eu-foundry1": "uksouth",
        "eu-foundry2": "norwayeast",
        "us-foundry1": "eastus",
        "us-foundry2": "westus3",
        "us-foundry3": "eastus2",
    }
    for each in two.all("Account"):
        assert owners[each.urn] == each.name[:2]


def test_nothing_of_one_gateway_waits_for_anything_of_the_other(two):
    owners = {each.urn: owner(two, each) for each in two.resources}
    for each in two.resources:
        waits = {
            *each.depends_on,
            *(u for urns in each.property_dependencies.values() for u in urns),
        }
        assert {owners[urn] for urn in waits} <= {owners[each.urn]}, each.name


def test_each_gateway_has_its_own_pool_breaker_protection_and_alarm(two):
    def members(pool):
        services = two.one("Backend", pool).inputs["pool"]["services"]
        return [
            (each["id"].rpartition("/")[2], each["priority"], each["weight"]) for each in services
        ]

    assert members("eu-inference-backend-pool") == [("foundry1", 1, 1), ("foundry2", 1, 1)]
    assert members("us-inference-backend-pool") == [
        ("foundry1", 1, 3),
        ("foundry2", 1, 1),
        ("foundry3", 1, 1),
    ]
    assert members("us-inference-backend-pool-small") == [
        ("foundry1-small", 1, 3),
        ("foundry2-small", 1, 1),
        ("foundry3-small", 1, 1),
    ]
    assert members("extra-second") == [("foundry1", 1, 1), ("foundry2", 1, 1)]
    with_breaker = {each.name for each in two.all("Backend") if "circuitBreaker" in each.inputs}
    assert with_breaker == {"eu-foundry1", "eu-foundry2", "extra-foundry1", "extra-foundry2"}
    protected = {each.name for each in two.resources if each.protect}
    assert protected == {
        "eu-foundry1",
        "eu-gateway",
        "eu-inference-clients",
        "us-foundry1",
        "us-foundry2",
        "us-foundry3",
        "us-gateway",
        "us-inference-clients",
    }
    rules = two.all("ScheduledQueryRule")
    assert len(rules) == 6
    assert all(each.name.startswith("eu-") for each in rules)


def test_each_gateway_says_its_own_traffic(two):
    expected = [line for line in told(two) if line.startswith("Expected traffic: ")]
    assert sorted(line.partition(" (")[0] for line in expected) == [
        "Expected traffic: East US 60.0 %, West US 3 20.0 %, East US 2 20.0 %",
        "Expected traffic: UK South 50.0 %, East US 50.0 %",
        "Expected traffic: UK South 50.0 %, Norway East 50.0 %",
    ]


def test_the_same_name_twice_is_refused():
    def program():
        for _ in range(2):
            BackendPool("extra", POOL)

    with pytest.raises(Exception, match="declared twice"):
        recording.run(program)


# The parts alone


def later(text):
    return pulumi.Output.from_input(text)


def test_a_pool_alone_declares_its_backends_and_itself():
    def program():
        named = {"resource_group": later("rg"), "service_name": later("apim-team")}
        members = [{**each, "url": later(each["url"])} for each in MEMBERS]
        pool = BackendPool("ai", {"service": named, "regions": members})
        pulumi.export("pool", pool.outputs.pool_id)

    found = recording.run(program)
    assert sorted((each.type.rpartition(":")[2], each.name) for each in found.resources[1:]) == [
        ("Backend", "ai-foundry1"),
        ("Backend", "ai-foundry2"),
        ("Backend", "ai-foundry3"),
        ("Backend", "ai-inference-backend-pool"),
        ("BackendPool", "ai"),
    ]
    for each in MEMBERS:
        backend = found.one("Backend", f"ai-{each['name']}").inputs
        assert (backend["url"], backend["backendId"]) == (each["url"], each["name"])
        assert (backend["resourceGroupName"], backend["serviceName"]) == ("rg", "apim-team")
        assert backend["circuitBreaker"]["rules"][0]["failureCondition"]["count"] == 10
    path = f"{recording.SUBSCRIPTION}{recording.APIM}/backends/".format(
        resourceGroupName="rg", serviceName="apim-team"
    )
    assert found.one("Backend", "ai-inference-backend-pool").inputs["pool"]["services"] == [
        {"id": path + each["name"], "priority": 1, "weight": 1} for each in MEMBERS
    ]
    assert found.outputs == {"pool": f"{path}inference-backend-pool"}


@pytest.mark.parametrize("off", [None, {"enabled": False}])
def test_a_pool_alone_without_a_breaker_has_none(off):
    found = recording.run(lambda: BackendPool("ai", {**POOL, "breaker": off}))
    assert [each.name for each in found.all("Backend") if "circuitBreaker" in each.inputs] == []
    assert len(found.all("Backend")) == 4


def test_a_pool_alone_tells_the_policy_pack_what_it_declares():
    regions = [{**each, "priority": 1 + n} for n, each in enumerate(MEMBERS)]
    given = {**POOL, "regions": regions, "routing": "priority", "acceptStarved": ["foundry3"]}
    (itself,) = recording.run(lambda: BackendPool("ai", given)).all("BackendPool")
    assert itself.inputs["routing"] == "priority"
    assert itself.inputs["accept_starved"] == ["foundry3"]
    assert [(each["id"], each["priority"]) for each in itself.inputs["backends"]] == [
        ("foundry1", 1),
        ("foundry2", 2),
        ("foundry3", 3),
    ]


UNLOGGED = {key: each for key, each in WATCH.items() if key not in ("apiName", "nameSuffix")}


def watched(**changes):
    return recording.run(lambda: Monitoring("watch", {**UNLOGGED, **changes}))


def test_a_monitoring_alone_makes_rules_and_workbook_on_the_workspace_that_is_named():
    def program():
        given = {
            **UNLOGGED,
            "service": {**SERVICE, "id": later(SERVICE_ID)},
            "workspace": {key: later(each) for key, each in WATCH["workspace"].items()},
            "regions": [{**each, "url": later(each["url"])} for each in MEMBERS],
            "webhook": later(WATCH["webhook"]),
        }
        Monitoring("watch", given)

    found = recording.run(program)
    kinds = [each.type.rpartition(":")[2] for each in found.resources[1:]]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "Monitoring": 1,
        "ActionGroup": 1,
        "ScheduledQueryRule": 6,
        "Workbook": 1,
    }
    assert all(
        each.name == "watch" or each.name.startswith("watch-") for each in found.resources[1:]
    )
    rule = found.one("ScheduledQueryRule", "watch-starved-region-hourly").inputs
    assert rule["scopes"] == [WATCH["workspace"]["id"]]
    assert rule["ruleName"] == "starved-region-hourly-apim-team"
    query = rule["criteria"]["allOf"][0]["query"]
    assert SERVICE_ID.lower() in query.lower()
    for each in MEMBERS:
        assert each["url"].partition("//")[2].partition("/")[0] in query
    assert "Expected: UK South 33.3 %, East US 33.3 %, Norway East 33.3 %" in rule["description"]
    (receiver,) = unwrap(found.one("ActionGroup", "watch-alarm").inputs["webhookReceivers"])
    assert receiver["serviceUri"] == WATCH["webhook"]
    # The same as plain texts would have it.
    plain = watched(service={**SERVICE, "id": SERVICE_ID})
    for each in found.all("ScheduledQueryRule"):
        assert each.inputs == plain.one("ScheduledQueryRule", each.name).inputs


LOGGING = {"Logger", "ApiDiagnostic", "DiagnosticSetting"}


def test_only_with_an_api_s_name_is_anything_logged_that_was_not():
    def kinds(program):
        return {each.type.rpartition(":")[2] for each in program.resources}

    assert not kinds(watched()) & LOGGING
    logging = watched(apiName="inference")
    assert kinds(logging) >= LOGGING
    assert logging.one("ApiDiagnostic", "watch-api-diagnostic").inputs["apiId"] == "inference"
    setting = logging.one("DiagnosticSetting", "watch-gateway-logs").inputs
    assert setting["resourceUri"] == SERVICE_ID
    assert setting["workspaceId"] == WATCH["workspace"]["id"]


def test_without_a_workspace_one_is_made_and_queried():
    found = watched(workspace=None, retentionDays=60)
    workspace = found.one("Workspace", "watch-logs")
    assert workspace.inputs["retentionInDays"] == 60
    assert workspace.inputs["workspaceName"] == "log-apim-team"
    assert workspace.inputs["tags"] == WATCH["tags"]
    for rule in found.all("ScheduledQueryRule"):
        assert rule.inputs["scopes"] == [workspace.id]
    (itself,) = found.all("Monitoring")
    assert itself.outputs == {"workspaceId": workspace.id}


def azure_names(program):
    keys = re.compile(r"^(ruleName|actionGroupName|workspaceName|resourceName)$")
    return sorted(
        value
        for each in program.resources
        for key, value in each.inputs.items()
        if each.custom and keys.match(key)
    )


def test_a_suffix_ends_every_name_in_azure_so_that_a_service_may_have_two():
    one_, other = azure_names(watched()), azure_names(watched(nameSuffix="second"))
    assert len(one_) == len(other) == 8
    assert not set(one_) & set(other)
    ends = [name for name in other if name.endswith("-second")]
    assert len(ends) == 7  # all but the workbook, whose name is an id
    assert [name for name in one_ if name.endswith("-apim-team")] == [
        name.replace("-second", "-apim-team") for name in ends
    ]


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({}, []),
        (
            {"alertEmails": [], "webhook": None},
            ["the alarm rings nowhere; set alertEmails or webhook"],
        ),
        (
            {"ceiling": 0.3},
            ["ceiling is 0.3, and every region is declared above it; write a higher one"],
        ),
    ],
)
def test_a_monitoring_alone_warns_if_nobody_would_hear_it(changes, warned):
    found = watched(**changes)
    assert [line for level, line in found.log if level == "WARNING"] == warned


def test_a_monitoring_within_a_gateway_is_warned_of_once():
    found = one("ai", {**recording.config_of("dev"), "apis": ["chat"], "monitoring": {}})
    heard = [line for line in told(found) if "rings nowhere" in line]
    assert heard == ["monitoring: the alarm rings nowhere; set alertEmails or webhook"]


def test_a_workbook_has_no_query_of_tokens_where_the_tier_logs_none():
    def serialized(sku):
        (book,) = watched(service={**WATCH["service"], "sku": sku}).all("Workbook")
        return book.inputs["serializedData"]

    assert "GatewayLlmLog" in serialized("BasicV2")
    assert "GatewayLlmLog" not in serialized("Developer")
