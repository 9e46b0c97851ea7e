"""Rules for logs and alerts: workspaces, diagnostic settings, query rules, workbooks, loggers."""

from collections.abc import Mapping
from typing import Any

from local_azure import durations
from local_azure.resource_manager import resource_types as types
from local_azure.resource_manager.monitor_bodies import GUID
from local_azure.resource_manager.request import Request
from local_azure.resource_manager.rules.rule import Rule, Violations

# API Management, "Monitoring data reference": resource logs.
CATEGORIES = (
    "GatewayLogs",
    "WebSocketConnectionLogs",
    "DeveloperPortalAuditLogs",
    "GatewayLlmLogs",
)
_GROUPS = ("allLogs", "audit")
_TOKENS = "GatewayLlmLogs"
_SINKS = ("workspaceId", "storageAccountId", "eventHubAuthorizationRuleId", "marketplacePartnerId")
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_MINUTES = (*(each * _MINUTE for each in (5, 10, 15, 30, 45)), *(n * _HOUR for n in range(1, 7)))
# azure-rest-api-specs#20341: a minute is taken of a query that Azure can optimise.
_FREQUENCIES = (_MINUTE, *_MINUTES, _DAY)
_WINDOWS = (_MINUTE, *_MINUTES, _DAY, 2 * _DAY)
_RETENTION = {"PerGB2018": (30, 730), "Free": (7, 7)}


def _retention(request: Request) -> Violations:
    sku = (request.properties.get("sku") or {}).get("name", "PerGB2018")
    days = request.properties.get("retentionInDays", 30)
    least, most = _RETENTION.get(sku, (7, 730))
    if not least <= days <= most and sku != "Free":
        yield {"days": days, "sku": sku, "least": least, "most": most}


def _no_sink(request: Request) -> Violations:
    if not any(request.properties.get(each) for each in _SINKS):
        yield {}


def _nothing_to_send(request: Request) -> Violations:
    if not (request.properties.get("logs") or request.properties.get("metrics")):
        yield {}


def _unknown_category(request: Request) -> Violations:
    scope = request.path.steps[-2].type if len(request.path.steps) > 1 else ""
    for each in request.properties.get("logs") or () if scope == types.SERVICE else ():
        category, group = each.get("category"), each.get("categoryGroup")
        if (category and category not in CATEGORIES) or (group and group not in _GROUPS):
            yield {"category": category or group}


def _tokens_of_a_classic_tier(request: Request) -> Violations:
    service = request.find(request.parent_id)
    if not service or service.type != types.SERVICE:
        return
    tier = service.body["sku"]["name"]
    if not tier.endswith("V2") and any(
        each.get("category") == _TOKENS for each in request.properties.get("logs") or ()
    ):
        yield {"category": _TOKENS}


def _sink_used_twice(request: Request) -> Violations:
    mine = _sent(request.properties)
    for other in request.view.list(types.DIAGNOSTIC_SETTING, under=request.parent_id):
        if other.id.lower() == request.id.lower():
            continue
        for sink, category in sorted(mine & _sent(other.body["properties"])):
            yield {"sink": sink, "other": other.body["name"], "category": category}


def _sent(properties: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {
        (str(properties[sink]).lower(), str(log.get("category") or log.get("categoryGroup")))
        for sink in _SINKS
        if properties.get(sink)
        for log in properties.get("logs") or ()
        if log.get("enabled")
    }


def _no_workspace(request: Request) -> Violations:
    if (wanted := request.properties.get("workspaceId")) and not request.find(wanted):
        yield {"wanted": wanted}


def _nothing_to_evaluate(request: Request) -> Violations:
    for name, given in (
        ("scopes", request.properties["scopes"]),
        ("criteria.allOf", request.properties["criteria"]["allOf"]),
    ):
        if not given:
            yield {"property": name}


def _no_scope(request: Request) -> Violations:
    for scope in request.properties["scopes"]:
        if not request.find(scope):
            yield {"scope": scope}


def _no_action_group(request: Request) -> Violations:
    for group in (request.properties.get("actions") or {}).get("actionGroups") or ():
        if not request.find(group):
            yield {"group": group}


def _times(request: Request) -> Violations:
    for name, allowed in (("evaluationFrequency", _FREQUENCIES), ("windowSize", _WINDOWS)):
        if durations.iso_8601(request.properties[name]) not in allowed:
            minutes = ", ".join(str(each // _MINUTE) for each in allowed)
            yield {"property": name, "value": request.properties[name], "minutes": minutes}


def _window_below_frequency(request: Request) -> Violations:
    frequency, window = (
        durations.iso_8601(request.properties[name])
        for name in ("evaluationFrequency", "windowSize")
    )
    if window < frequency:
        yield {}


def _stateful_and_mute(request: Request) -> Violations:
    if request.properties.get("autoMitigate", True) and request.properties.get(
        "muteActionsDuration"
    ):
        yield {}


def _measure(request: Request) -> Violations:
    for each in request.properties["criteria"]["allOf"]:
        if each["timeAggregation"] != "Count" and not each.get("metricMeasureColumn"):
            yield {"aggregation": each["timeAggregation"]}


def _query(request: Request) -> Violations:
    if request.properties.get("skipQueryValidation"):
        return
    for each in request.properties["criteria"]["allOf"]:
        if fault := request.azure.check_query(request.properties["scopes"][0], each["query"]):
            yield {"fault": fault}


def _no_guid(request: Request) -> Violations:
    if not GUID.fullmatch(request.path.name):
        yield {}


def _credentials(request: Request) -> Violations:
    wanted = request.properties["loggerType"] != "azureMonitor"
    if wanted and not request.properties.get("credentials"):
        yield {"logger_type": request.properties["loggerType"]}


def _no_logger(request: Request) -> Violations:
    wanted = request.properties["loggerId"]
    service = request.path.step(types.SERVICE)
    full = f"{service.id}{wanted}" if service and wanted.startswith("/loggers/") else wanted
    if not request.find(full):
        yield {"wanted": wanted.rpartition("/")[2]}


def _diagnostic_name(request: Request) -> Violations:
    if request.path.name.lower() not in ("azuremonitor", "applicationinsights", "local"):
        yield {}


MONITOR_RULES = (
    Rule(
        check=_retention,
        of=(types.WORKSPACE,),
        code="InvalidParameter",
        message="'RetentionInDays' property doesn't match the SKU limits: {sku} takes {least} to"
        " {most} days, not {days}.",
        source="H: Manage data retention; ? the code and the wording",
    ),
    Rule(
        check=_no_sink,
        of=(types.DIAGNOSTIC_SETTING,),
        code="BadRequest",
        message="At least one data sink needs to be specified.",
        source="? the code and the wording",
    ),
    Rule(
        check=_nothing_to_send,
        of=(types.DIAGNOSTIC_SETTING,),
        code="BadRequest",
        message="At least one log or metric needs to be specified.",
        source="? the code and the wording",
    ),
    Rule(
        check=_unknown_category,
        of=(types.DIAGNOSTIC_SETTING,),
        code="BadRequest",
        message="Category '{category}' is not supported.",
        source="M: terraform-provider-azurerm#2985; H: API Management, Monitoring data reference",
    ),
    Rule(
        check=_tokens_of_a_classic_tier,
        of=(types.DIAGNOSTIC_SETTING,),
        code="BadRequest",
        message="Category '{category}' is not supported.",
        source="? that every classic tier refuses it, as users saw a Developer service do",
    ),
    Rule(
        check=_no_workspace,
        of=(types.DIAGNOSTIC_SETTING,),
        code="ResourceNotFound",
        status=404,
        message="The resource '{wanted}' was not found.",
        source="? the code and the wording",
    ),
    Rule(
        check=_sink_used_twice,
        of=(types.DIAGNOSTIC_SETTING,),
        code="Conflict",
        status=409,
        message="Data sink '{sink}' is already used in diagnostic setting '{other}' for category"
        " '{category}'. Data sinks can't be reused in different settings on the same category for"
        " the same resource.",
        source="M: bicep-registry-modules#3407",
    ),
    Rule(
        check=_nothing_to_evaluate,
        of=(types.QUERY_RULE,),
        code="BadRequest",
        message="{property} needs an entry.",
        source="? the code and the wording",
    ),
    Rule(
        check=_no_scope,
        of=(types.QUERY_RULE,),
        code="BadRequest",
        message="The scope '{scope}' is invalid or was not found.",
        source="? the code and the wording",
    ),
    Rule(
        check=_no_action_group,
        of=(types.QUERY_RULE,),
        code="BadRequest",
        message="The action group '{group}' was not found.",
        source="? the code and the wording",
    ),
    Rule(
        check=_times,
        of=(types.QUERY_RULE,),
        code="BadRequest",
        message="{property} '{value}' is not supported. Supported granularities are: {minutes}.",
        source="M: azure-rest-api-specs#21258, windows and wording; ? the code, and frequencies",
    ),
    Rule(
        check=_window_below_frequency,
        of=(types.QUERY_RULE,),
        code="BadRequest",
        message="The window size must be at least the evaluation frequency.",
        source="H: Create a log search alert rule; ? the code and the wording",
    ),
    Rule(
        check=_stateful_and_mute,
        of=(types.QUERY_RULE,),
        code="BadRequest",
        message="autoMitigate and muteActionsDuration can't be set together.",
        source="H: the specification of muteActionsDuration; ? the code and the wording",
    ),
    Rule(
        check=_measure,
        of=(types.QUERY_RULE,),
        code="BadRequest",
        message="metricMeasureColumn is required when timeAggregation is {aggregation}.",
        source="H: the specification of timeAggregation; ? the code and the wording",
    ),
    Rule(
        check=_query,
        of=(types.QUERY_RULE,),
        code="BadRequest",
        message="The request had some invalid properties: {fault}",
        source="M: CDCgov/prime-reportstream#11773, a table that is not there; ? the wording",
    ),
    Rule(
        check=_no_guid,
        of=(types.WORKBOOK,),
        code="BadRequest",
        message="The workbook's name must be a GUID.",
        source="H: Manage workbooks with ARM templates; ? the code and the wording",
    ),
    Rule(
        check=_credentials,
        of=(types.LOGGER,),
        message="Logger-Credentials of a logger of type {logger_type}",
        target="One or more Properties ['{{0}}'] specified are missing.",
        source="M: apiops#163; ? the wording, which ends in an id there",
    ),
    Rule(
        check=_diagnostic_name,
        of=types.DIAGNOSTICS,
        message="Diagnostic '{name}' is none of azuremonitor, applicationinsights and local.",
        target="diagnosticId",
        source="M: the names, terraform-provider-azurerm#29068 and #11281; ? the wording",
    ),
    Rule(
        check=_no_logger,
        of=types.DIAGNOSTICS,
        message="Logger Id '{wanted}' does not exist",
        target="loggerId",
        source="M: apiops#748",
    ),
)
