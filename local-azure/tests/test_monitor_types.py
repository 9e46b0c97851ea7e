"""Workspaces, diagnostic settings, query rules, workbooks: what Azure takes of them and refuses."""

import re

import pytest
from arm_server import (
    ALARM,
    API,
    DIAGNOSTIC,
    GROUP,
    LEAST,
    LOGGER,
    SERVICE,
    SETTING,
    WORKBOOK,
    WORKSPACE,
    serving,
)
from arm_server import QUERY_RULE as RULE

from local_azure.resource_manager.rules.monitor import MONITOR_RULES

ALL = (WORKSPACE, SETTING, LOGGER, DIAGNOSTIC, ALARM, RULE, WORKBOOK)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("arm")) as arm:
        yield arm


@pytest.fixture
def arm(served):
    served.reset()
    served.deploy(GROUP, SERVICE, API)
    return served


def put(arm, *paths):
    for path in paths:
        answer = arm.put(path, LEAST[path])
        assert answer.status_code in (200, 201), answer.text
    return answer.json()


def changed(path, **properties):
    return {**LEAST[path], "properties": {**LEAST[path]["properties"], **properties}}


def test_all_are_made_read_back_listed_and_deleted(arm):
    put(arm, *ALL)
    for path in ALL:
        found = arm.get(path).json()
        assert found["id"].lower() == path.lower()
        for name, value in LEAST[path]["properties"].items():
            assert found["properties"][name] == value or isinstance(value, dict)
        listed = arm.get(path.rpartition("/")[0]).json()["value"]
        assert [each["id"] for each in listed] == [found["id"]]
    for path in reversed(ALL):
        assert arm.delete(path).status_code in (200, 202, 204)
        assert arm.get(path).status_code == 404


def test_a_workspace_has_an_id_for_queries_that_stays(arm):
    first = put(arm, WORKSPACE)["properties"]["customerId"]
    assert put(arm, WORKSPACE)["properties"]["customerId"] == first
    assert len(first) == 36


def test_a_second_setting_of_one_category_and_workspace_is_a_conflict(arm):
    put(arm, WORKSPACE, SETTING)
    other = SETTING.replace("gateway-logs", "another")
    answer = arm.put(other, LEAST[SETTING])
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "Conflict")
    assert "'gateway-logs' for category 'GatewayLogs'" in answer.json()["error"]["message"]
    llm = changed(SETTING, logs=[{"category": "GatewayLlmLogs", "enabled": True}])
    assert arm.put(other, llm).status_code in (200, 201)


def test_a_classic_tier_has_no_log_of_tokens(arm):
    put(arm, WORKSPACE)
    classic = {**LEAST[SERVICE], "sku": {"name": "Developer", "capacity": 1}}
    other = SERVICE.replace("apim1", "apim-classic")
    assert arm.put(other, classic).status_code in (200, 201)
    setting = SETTING.replace(SERVICE, other)
    llm = changed(SETTING, logs=[{"category": "GatewayLlmLogs", "enabled": True}])
    assert "Category 'GatewayLlmLogs' is not supported" in arm.put(setting, llm).text
    assert arm.put(setting, LEAST[SETTING]).status_code == 201


CONDITION = LEAST[RULE]["properties"]["criteria"]["allOf"][0]
SEVEN = [{"name": f"d{n}", "operator": "Include", "values": ["*"]} for n in range(7)]


def criteria(**changes):
    return {"criteria": {"allOf": [{**CONDITION, **changes}]}}


REFUSED = [
    (WORKSPACE, {"retentionInDays": 29}, "30 to 730 days, not 29"),
    (WORKSPACE, {"retentionInDays": 731}, "30 to 730 days, not 731"),
    (WORKSPACE, {"sku": {"name": "PerGb2018"}}, "should be one of"),
    (SETTING, {"workspaceId": None}, "At least one data sink"),
    (SETTING, {"logs": []}, "At least one log or metric"),
    (SETTING, {"workspaceId": WORKSPACE + "2"}, "was not found"),
    (
        SETTING,
        {"logs": [{"category": "Gateway", "enabled": True}]},
        "Category 'Gateway'",
    ),
    (SETTING, {"logs": [{"categoryGroup": "all", "enabled": True}]}, "Category 'all' is not"),
    (SETTING, {"logAnalyticsDestinationType": "dedicated"}, "should be one of"),
    (LOGGER, {"loggerType": "azuremonitor"}, "should be one of"),
    (LOGGER, {"loggerType": "applicationInsights"}, "Credentials"),
    (DIAGNOSTIC, {"loggerId": LOGGER + "2"}, "Logger Id 'azuremonitor2' does not exist"),
    (DIAGNOSTIC, {"sampling": {"percentage": 101}}, "between 0 and 100"),
    (DIAGNOSTIC, {"frontend": {"response": {"body": {"bytes": 8193}}}}, "8192"),
    (ALARM, {"groupShortName": "openai-gateway"}, "between 1 and 12"),
    (ALARM, {"enabled": None}, "should not be empty"),
    (RULE, {"windowSize": "PT7H"}, "windowSize 'PT7H' is not supported"),
    (RULE, {"evaluationFrequency": "PT2M"}, "evaluationFrequency 'PT2M' is not supported"),
    (RULE, {"windowSize": "PT30M"}, "at least the evaluation frequency"),
    (RULE, {"windowSize": "P3D"}, "1440, 2880"),
    (RULE, {"scopes": [], "skipQueryValidation": False}, "scopes needs an entry"),
    (RULE, {"criteria": {"allOf": []}}, "criteria.allOf needs an entry"),
    (RULE, {"severity": 5}, "between 0 and 4"),
    (RULE, {"scopes": [WORKSPACE + "2"]}, "was not found"),
    (RULE, {"actions": {"actionGroups": [ALARM + "2"]}}, "was not found"),
    (RULE, {"muteActionsDuration": "PT1H"}, "can't be set together"),
    (RULE, criteria(timeAggregation="Average"), "metricMeasureColumn is required"),
    (RULE, criteria(dimensions=SEVEN), "at most 6"),
    (RULE, criteria(operator="Above"), "should be one of"),
]


@pytest.mark.parametrize(("path", "properties", "said"), REFUSED)
def test_what_azure_refuses_is_refused(arm, path, properties, said):
    put(arm, WORKSPACE, LOGGER, ALARM)
    answer = arm.put(path, changed(path, **properties))
    assert answer.status_code in (400, 404), answer.text
    assert said in answer.text


def test_names_are_azures(arm):
    put(arm, LOGGER)
    workbook = WORKBOOK.rpartition("/")[0] + "/regions"
    assert "GUID" in arm.put(workbook, LEAST[WORKBOOK]).text
    diagnostic = f"{API}/diagnostics/monitor"
    assert "'monitor'" in arm.put(diagnostic, LEAST[DIAGNOSTIC]).text


def test_a_diagnostic_of_the_service_is_taken_as_well(arm):
    put(arm, LOGGER)
    body = {"properties": {"loggerId": "/loggers/azuremonitor"}}
    assert arm.put(f"{SERVICE}/diagnostics/azuremonitor", body).status_code == 201


def test_a_setting_of_what_is_not_there_has_no_parent(arm):
    put(arm, WORKSPACE)
    path = SETTING.replace("apim1", "apim2")
    answer = arm.put(path, LEAST[SETTING])
    assert answer.json()["error"]["code"] == "ParentResourceNotFound"


def test_settings_go_with_their_service(arm):
    put(arm, WORKSPACE, SETTING)
    arm.delete(SERVICE)
    arm.clock.now += 60
    assert arm.get(SETTING).status_code == 404


def test_every_rule_refuses_something(arm):
    put(arm, WORKSPACE, LOGGER, ALARM, SETTING)
    nothing = changed(RULE, skipQueryValidation=False, **criteria(query="Nothing | take 1"))
    attempts = [
        *((path, changed(path, **properties)) for path, properties, _ in REFUSED),
        (SETTING + "2", LEAST[SETTING]),
        (WORKBOOK + "2", LEAST[WORKBOOK]),
        (DIAGNOSTIC + "2", LEAST[DIAGNOSTIC]),
        (RULE, nothing),
    ]
    said = "\n".join(arm.put(path, body).text for path, body in attempts)
    for rule in MONITOR_RULES:
        constant = max(re.split(r"\{\w+\}", rule.message), key=len)
        assert constant in said, rule.check.__name__
