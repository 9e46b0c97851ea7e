"""What is logged, which alarms ring when, who hears them, and the workbook."""

import json
import uuid

import duckdb_kql
import pytest
from bad_configs import at
from recording import APIM, CUSTOMER, SUBSCRIPTION, is_secret, unwrap
from test_queries import Log

from components.keys import CLASSIC_TIERS
from components.monitoring import rules
from components.settings import parse

GROUP = "rg-openai-gateway-abcd1234"
SERVICE = SUBSCRIPTION + APIM.format(resourceGroupName=GROUP, serviceName="apim-abcd1234")
INSIGHTS = f"{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Insights"
WORKSPACE = (
    f"{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.OperationalInsights/workspaces"
    "/log-abcd1234"
)
HOOK = "https://hooks.example.com/the-hook-s-key"
FORECAST = "UK South 33.3 %, East US 33.3 %, Norway East 33.3 % (round robin)"
PROBE = "python probes/distribution.py"


@pytest.fixture
def heard(declare):
    emails = ["team@example.com", "night@example.com", "team@example.com"]
    return declare(monitoring={"alertEmails": emails, "webhook": HOOK, "retentionDays": 90})


def condition(program, name):
    (found,) = program.one("ScheduledQueryRule", name).inputs["criteria"]["allOf"]
    return found


# What is logged


def test_the_workspace_is_the_stack_s_own_and_stays_where_it_is(dev, heard):
    workspace = dev.one("Workspace", "logs")
    assert workspace.inputs == {
        "workspaceName": "log-abcd1234",
        "resourceGroupName": GROUP,
        "location": "uksouth",
        "sku": {"name": "PerGB2018"},
        "retentionInDays": 30,
    }
    assert workspace.ignore_changes == ["location"]
    assert heard.one("Workspace", "logs").inputs["retentionInDays"] == 90


def test_every_request_is_logged_without_bodies_and_with_the_headers_of_attempts(dev):
    assert dev.one("Logger", "azuremonitor").inputs == {
        "loggerId": "azuremonitor",
        "loggerType": "azureMonitor",
        "isBuffered": True,
        "resourceGroupName": GROUP,
        "serviceName": "apim-abcd1234",
    }
    diagnostic = dev.one("ApiDiagnostic", "api-diagnostic").inputs
    assert (diagnostic["diagnosticId"], diagnostic["apiId"]) == ("azuremonitor", "inference")
    assert diagnostic["loggerId"] == f"{SERVICE}/loggers/azuremonitor"
    assert diagnostic["sampling"] == {"samplingType": "fixed", "percentage": 100}
    assert (diagnostic["alwaysLog"], diagnostic["logClientIp"]) == ("allErrors", False)
    sides = [diagnostic[end][side] for end in ("frontend", "backend") for side in ("request",)]
    sides += [diagnostic[end]["response"] for end in ("frontend", "backend")]
    assert {side["body"]["bytes"] for side in sides} == {0}
    names = ["x-backend-host", "x-backend-attempts", "x-backend-steps"]
    assert diagnostic["frontend"]["response"]["headers"] == names
    assert sum(len(side["headers"]) for side in sides) == len(names)  # no key, no token
    for end in ("frontend", "backend"):  # a client may send its key in the URL
        masked = diagnostic[end]["request"]["dataMasking"]
        assert masked == {"queryParams": [{"value": "*", "mode": "Hide"}]}


def test_the_logs_go_to_the_workspace_in_tables_of_their_own(dev):
    setting = dev.one("DiagnosticSetting", "gateway-logs")
    assert setting.inputs == {
        "name": "gateway-logs",
        "resourceUri": SERVICE,
        "workspaceId": WORKSPACE,
        "logAnalyticsDestinationType": "Dedicated",
        "logs": [
            {"category": "GatewayLogs", "enabled": True},
            {"category": "GatewayLlmLogs", "enabled": True},
        ],
    }
    assert dev.one("ApiDiagnostic", "api-diagnostic").urn in setting.depends_on


@pytest.mark.parametrize("tier", CLASSIC_TIERS)
def test_classic_tiers_log_no_tokens_and_show_none(declare, tier):
    program = declare(gateway={"sku": tier})
    (log,) = program.one("DiagnosticSetting", "gateway-logs").inputs["logs"]
    assert log["category"] == "GatewayLogs"
    assert "tokens" not in [each["name"] for each in items(program)]


# The alarm


@pytest.mark.parametrize(
    ("name", "when", "severity", "then"),
    [
        ("starved-region-hourly", ("PT1H", "PT1H"), 2, f"{PROBE} --from-logs 1h"),
        ("starved-region-daily", ("P1D", "PT1H"), 2, f"{PROBE} --from-logs 24h"),
        ("region-above-ceiling-hourly", ("PT1H", "PT1H"), 2, f"{PROBE} --from-logs 1h"),
        ("region-above-ceiling-daily", ("P1D", "PT1H"), 2, f"{PROBE} --from-logs 24h"),
        ("no-region-answers", ("PT15M", "PT15M"), 1, f"{PROBE} --from-logs 1h"),
        ("no-logs", ("P2D", "PT1H"), 3, PROBE),
    ],
)
def test_a_rule_says_what_it_means_what_was_expected_and_what_to_run(
    dev, name, when, severity, then
):
    rule = dev.one("ScheduledQueryRule", name)
    found = rule.inputs
    assert found["ruleName"] == f"{name}-abcd1234"
    assert (found["windowSize"], found["evaluationFrequency"]) == when
    assert (found["severity"], found["enabled"], found["kind"]) == (severity, True, "LogAlert")
    assert (found["autoMitigate"], found["skipQueryValidation"]) == (True, True)
    assert (found["scopes"], found["location"]) == ([WORKSPACE], "uksouth")
    assert found["description"].endswith(f" Expected: {FORECAST}. Next: {then}")
    assert len(found["description"]) <= 4096  # Azure Monitor service limits
    assert found["actions"] == {
        "actionGroups": [],
        "customProperties": {"expected": FORECAST, "next": then},
    }
    (each,) = found["criteria"]["allOf"]
    assert each["failingPeriods"] == {"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1}
    assert len(json.dumps(found)) < 64_000  # the same


def test_there_are_six_rules(dev):
    assert len(dev.all("ScheduledQueryRule")) == len(rules(parse(at({})).monitoring)) == 6


@pytest.mark.parametrize("window", ["hourly", "daily"])
@pytest.mark.parametrize(
    ("rule", "operator", "threshold"),
    [
        ("starved-region", "LessThanOrEqual", 25),
        ("region-above-ceiling", "GreaterThanOrEqual", 70),
    ],
)
def test_each_region_has_an_alert_of_its_own_with_its_share(dev, rule, window, operator, threshold):
    found = condition(dev, f"{rule}-{window}")
    every = {"operator": "Include", "values": ["*"]}
    assert found["dimensions"] == [{"name": each, **every} for each in ("Region", "Expected")]
    assert (found["metricMeasureColumn"], found["timeAggregation"]) == ("Share", "Average")
    assert (found["operator"], found["threshold"]) == (operator, threshold)


def test_the_others_fire_for_the_gateway(dev):
    found = condition(dev, "no-region-answers")
    assert (found["metricMeasureColumn"], found["operator"]) == ("Share", "GreaterThanOrEqual")
    assert found["threshold"] == 5
    none = condition(dev, "no-logs")
    assert (none["timeAggregation"], none["operator"]) == ("Count", "GreaterThan")
    assert none["threshold"] == 0
    assert "metricMeasureColumn" not in none
    assert "dimensions" not in found | none


def rows(query, log):
    return duckdb_kql.query(log.connection, query).fetchall()


@pytest.fixture
def log():
    """A table of requests to the service that the mocks make."""
    return Log()


def test_a_rule_s_query_finds_what_its_threshold_takes(dev, declare, log):
    for backend, count in (("foundry1", 71), ("foundry2", 29)):
        log.add(backend, count, service=SERVICE)
    log.connection.execute(
        "UPDATE ApiManagementGatewayLogs SET BackendUrl = replace(BackendUrl, '-a.', '-abcd1234.')"
    )
    starved = rows(condition(dev, "starved-region-hourly")["query"], log)
    assert starved == [("Norway East (foundry3)", "33.3 %", 0.0, 100)]
    above = rows(condition(dev, "region-above-ceiling-daily")["query"], log)
    assert above == [("UK South (foundry1)", "33.3 %", 71.0, 100)]
    # Under `priority` the incident is as declared, and its alarm says so.
    by_declaration = declare("incident", acceptStarved=["foundry2"])
    assert rows(condition(by_declaration, "starved-region-daily")["query"], log) == [
        ("Norway East (foundry3)", "0.0 %, starved by declaration", 0.0, 100)
    ]
    assert rows(condition(by_declaration, "region-above-ceiling-daily")["query"], log) == []


def test_the_bounds_are_the_config_s(declare):
    program = declare(monitoring={"starvedBelow": 0.5, "ceiling": 0.9})
    starved, above = (
        condition(program, name) for name in ("starved-region-hourly", "region-above-ceiling-daily")
    )
    assert (starved["threshold"], above["threshold"]) == (50, 90)
    assert "Share < 0.5 * Fair" in starved["query"]
    assert "Share > 0.9 and Expected <= 0.9" in above["query"]
    text = program.one("ScheduledQueryRule", "starved-region-hourly").inputs["description"]
    assert "less than 50% of its expected share" in text


# Who hears it


def test_people_and_a_webhook_hear_every_rule_in_the_common_schema(heard):
    group = heard.one("ActionGroup", "alarm")
    found = unwrap(group.inputs)
    assert (found["actionGroupName"], found["groupShortName"]) == ("alarm-abcd1234", "openai-gw")
    assert (found["location"], found["enabled"]) == ("global", True)
    assert [(each["name"], each["emailAddress"]) for each in found["emailReceivers"]] == [
        ("team@example.com", "team@example.com"),
        ("night@example.com", "night@example.com"),
    ]
    (hook,) = found["webhookReceivers"]
    assert hook["serviceUri"] == HOOK
    receivers = [*found["emailReceivers"], hook]
    assert all(each["useCommonAlertSchema"] is True for each in receivers)
    for rule in heard.all("ScheduledQueryRule"):
        assert rule.inputs["actions"]["actionGroups"] == [f"{INSIGHTS}/actionGroups/alarm-abcd1234"]


def test_the_webhook_s_url_is_a_secret(heard):
    group = heard.one("ActionGroup", "alarm")
    assert is_secret(group.inputs["webhookReceivers"]) or is_secret(
        group.inputs["webhookReceivers"][0]["serviceUri"]
    )
    others = [each.inputs for each in heard.resources if each is not group]
    assert HOOK not in json.dumps([others, heard.outputs, heard.log])


def test_an_alarm_that_nobody_hears_is_a_warning(dev, heard):
    line = "openai-gateway:monitoring: the alarm rings nowhere; set alertEmails or webhook"
    assert ("WARNING", line) in dev.log
    assert ("WARNING", line) not in heard.log
    assert dev.all("ActionGroup") == []


def test_a_ceiling_below_every_share_is_a_warning():
    (line,) = parse(at({"monitoring.ceiling": 0.3})).warnings
    assert line == (
        "openai-gateway:monitoring.ceiling is 0.3, and every region is declared above it; write a "
        "higher one"
    )
    assert parse(at({"monitoring.ceiling": 0.34})).warnings == ()


# None, or another's workspace


def test_null_is_none_and_the_stack_says_so(declare):
    program = declare(monitoring=None)
    assert not [each for each in program.resources if "Monitoring" in each.type]
    assert {each.type.split(":")[1] for each in program.resources if each.custom} == {
        "apimanagement",
        "authorization",
        "cognitiveservices",
        "index/randomString",
        "index/randomUuid",
        "resources",
    }
    assert "workspace" not in program.outputs
    (component,) = program.all("LoadBalancedOpenAI")
    assert component.outputs["unwatched"] is True


def test_a_stack_that_is_watched_says_so_too(dev):
    (component,) = dev.all("LoadBalancedOpenAI")
    assert component.outputs["unwatched"] is False
    assert dev.outputs["workspace"] == {"id": WORKSPACE, "customer_id": CUSTOMER}


# The workbook


def items(program):
    document = json.loads(program.one("Workbook", "workbook").inputs["serializedData"])
    assert document["version"] == "Notebook/1.0"
    assert document["fallbackResourceIds"] == [WORKSPACE]
    return document["items"]


def test_the_workbook_begins_with_words_tiles_and_shares(dev):
    found = dev.one("Workbook", "workbook").inputs
    assert found["resourceName"] == str(uuid.uuid5(uuid.NAMESPACE_URL, SERVICE.lower()))
    assert (found["kind"], found["category"]) == ("shared", "workbook")
    assert found["sourceId"] == WORKSPACE.lower()
    words, hour, day, time, shares, *others = items(dev)
    assert f"Declared: **{FORECAST}**" in words["content"]["json"]
    assert f"`{PROBE} --from-logs 24h`" in words["content"]["json"]
    assert time["content"]["parameters"][0]["name"] == "TimeRange"
    for tiles, hours in ((hour, 1), (day, 24)):  # as the rules look at
        assert tiles["content"]["visualization"] == "tiles"
        assert tiles["content"]["timeContext"] == {"durationMs": hours * 3_600_000}
    assert (shares["name"], shares["content"]["visualization"]) == ("shares_over_time", "areachart")
    assert [each["name"] for each in others] == ["failures", "latency", "tokens", "retries"]


def test_every_query_of_the_workbook_runs_and_takes_its_time_from_the_parameter(dev, log):
    log.add("foundry1", 40, service=SERVICE, tokens=9).add("foundry2", 3, 429, service=SERVICE)
    log.connection.execute(
        "UPDATE ApiManagementGatewayLogs SET BackendUrl = replace(BackendUrl, '-a.', '-abcd1234.')"
    )
    asked = [each["content"] for each in items(dev) if each["type"] == 3]
    for content in asked:
        assert content.get("timeContextFromParameter") == (
            "TimeRange" if content["visualization"] != "tiles" else None
        )
        assert rows(content["query"].replace("{TimeRange:grain}", "1h"), log), content["title"]
        drawn = content.get("chartSettings", {})
        result = duckdb_kql.query(
            log.connection, content["query"].replace("{TimeRange:grain}", "1h")
        )
        columns = [drawn[key] for key in ("xAxis", "group") if key in drawn]
        assert {*columns, *drawn.get("yAxis", ())} <= set(result.columns)
    tiles = asked[0]
    named = [each["columnMatch"] for each in tiles["tileSettings"].values() if each is not True]
    result = duckdb_kql.query(log.connection, tiles["query"])
    assert set(named) <= set(result.columns)


def test_the_workbook_is_the_same_text_each_time(declare, dev):
    again = declare(acceptStarved=[])  # another run of the program
    texts = [each.one("Workbook", "workbook").inputs["serializedData"] for each in (dev, again)]
    assert texts[0] == texts[1]
