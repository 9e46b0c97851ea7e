"""Logs of the gateway, the alarm on a region's share, and the workbook that shows it."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_azure_native import apimanagement, applicationinsights, monitor, operationalinsights

from . import naming, queries, workbook
from .args import MonitoringArgs
from .component import mistakes_in_a_line, options, tell
from .contract import Backend, MonitoringOutputs, Workspace
from .keys import CLASSIC_TIERS
from .settings import Alarm, Member, MonitoringSettings, arguments

_LOGGER: Final = "azuremonitor"  # the name by which API Management knows Azure Monitor
_REQUESTS, _TOKENS = "GatewayLogs", "GatewayLlmLogs"
# As policies/inference.xml sets them.
_ATTEMPTS: Final = ("x-backend-host", "x-backend-attempts", "x-backend-steps")
ALERTS: Final = ("starved", "ceiling", "no_region_answers", "no_logs")
_PROBE: Final = "python probes/distribution.py"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """An alert rule: its query is run each `frequency` over the last `window` (ISO 8601).

    It fires for each row whose `measure`, a column, is `compared` with the threshold so; without a
    measure, if there are rows. `then` is the command to run next.
    """

    title: str
    query: str
    window: str
    frequency: str
    severity: int
    says: str
    then: str
    measure: str | None = None
    compared: str = "GreaterThan"
    threshold: float = 0

    @property
    def is_by_region(self) -> bool:
        return self.query in ("starved", "ceiling")


def rules(its: Alarm) -> dict[str, Rule]:
    """Return the rules by name. Their windows and bounds: docs/decisions/0032."""
    found = {}
    for each, window, past, then in (
        ("hourly", "PT1H", "hour", f"{_PROBE} --from-logs 1h"),
        ("daily", "P1D", "24 hours", f"{_PROBE} --from-logs 24h"),
    ):
        common: dict[str, Any] = {"window": window, "frequency": "PT1H", "severity": 2}
        found[f"starved-region-{each}"] = Rule(
            title=f"A region is starved, {each}",
            query="starved",
            says=f"In the last {past} a region answered less than {its.starved_below:.0%} of its "
            "expected share, and chance explains that in 1 of 10,000 cases at most. The pool may "
            "have changed, or the region is down, throttled or without its role.",
            then=then,
            measure="Share",
            compared="LessThanOrEqual",
            threshold=round(100 * its.starved_below, 1),
            **common,
        )
        found[f"region-above-ceiling-{each}"] = Rule(
            title=f"A region is above the ceiling, {each}",
            query="ceiling",
            says=f"In the last {past} one region answered more than {its.ceiling:.0%} of all "
            "requests, which is not declared, and chance explains that in 1 of 10,000 cases at "
            "most. Another region may be down, or the pool may have changed.",
            then=then,
            measure="Share",
            compared="GreaterThanOrEqual",
            threshold=round(100 * its.ceiling, 1),
            **common,
        )
    found["no-region-answers"] = Rule(
        title="No region answers",
        query="no_region_answers",
        window="PT15M",
        frequency="PT15M",
        severity=1,
        says="In the last 15 minutes no region answered 5 requests or more, which is 5 % or more "
        "of all, after all retries: clients got an error. The regions may be down or throttled, or "
        "the gateway may have lost its roles.",
        then=f"{_PROBE} --from-logs 1h",
        measure="Share",
        compared="GreaterThanOrEqual",
        threshold=5,
    )
    found["no-logs"] = Rule(
        title="No logs",
        query="no_logs",
        window="P2D",
        frequency="PT1H",
        severity=3,
        says="No request was logged for two days. Nobody called, as on a quiet weekend; or the "
        "diagnostic setting is gone, and the other alarms are deaf.",
        then=_PROBE,
    )
    return found


class Monitoring(pulumi.ComponentResource):
    """What watches a pool: workspace, what is logged to it, alert rules, who is told, a workbook.

    Without `apiName` nothing is logged that was not: the service keeps its own diagnostic setting,
    for Azure refuses a second one of the same category and workspace. Rules and workbook alone are
    made, on the workspace that is named.
    """

    outputs: MonitoringOutputs[pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        args: MonitoringSettings | MonitoringArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        suffix: pulumi.Input[str] | None = None,
        kept: list[str] | None = None,
    ) -> None:
        """Declare it; the arguments are MonitoringSettings, or what MonitoringArgs describes.

        A composition may say what ends the names in Azure, and which properties `kept` are as they
        were deployed.
        """
        with mistakes_in_a_line():
            its = arguments(MonitoringSettings, args)
        is_part = isinstance(args, MonitoringSettings)  # of a composition, which says all else
        opts = opts if is_part else options(name, "monitoring", opts)
        super().__init__("openai-gateway:index:Monitoring", name, None, opts)
        if not is_part:
            tell(its, self)
        begins = naming.prefix(name, "monitoring")
        own = pulumi.ResourceOptions(parent=self)
        stays = pulumi.ResourceOptions(parent=self, ignore_changes=kept)
        service_id = pulumi.Output.from_input(its.service.id)
        ends = pulumi.Output.from_input(suffix or its.name_suffix or its.service.service_name)
        here: dict[str, Any] = {
            "resource_group_name": its.service.resource_group,
            "location": its.location,
            "tags": its.tags or None,
        }

        def called(what: str) -> pulumi.Output[str]:
            return ends.apply(lambda end: f"{what}-{end}")

        # Others saw a Developer service refuse the category; of all classic tiers it is assumed.
        counts_tokens = its.service.sku not in CLASSIC_TIERS
        if its.workspace:
            stays = own
            workspace = Workspace(
                id=pulumi.Output.from_input(its.workspace.id),
                customer_id=pulumi.Output.from_input(its.workspace.customer_id),
            )
        else:
            logs = operationalinsights.Workspace(
                f"{begins}logs",
                stays,
                workspace_name=called("log"),
                sku={"name": "PerGB2018"},
                retention_in_days=its.retention_days,
                **here,
            )
            workspace = Workspace(id=logs.id, customer_id=logs.customer_id)
        if its.api_name is not None:
            logged = [_REQUESTS, *([_TOKENS] if counts_tokens else [])]
            _log(
                begins,
                workspace.id,
                logged,
                service=its.service.within,
                service_id=service_id,
                api_name=its.api_name,
                own=own,
            )
        wanted = [each for each in workbook.QUERIES if each != "tokens" or counts_tokens]
        # Each query by its name, once all that is filled into them is known.
        filled = pulumi.Output.all(service_id, *(each.url for each in its.regions)).apply(
            lambda known: {
                query: queries.fill(
                    query,
                    service=known[0],
                    backends=_backends(its.regions, known[1:]),
                    accept_starved=its.accept_starved,
                    starved_below=its.starved_below,
                    ceiling=its.ceiling,
                    grain=workbook.GRAIN,
                )
                for query in (*ALERTS, *wanted)
            }
        )
        told: list[pulumi.Output[str]] = []
        if its.alert_emails or its.webhook is not None:
            alarm = monitor.ActionGroup(
                f"{begins}alarm",
                own,
                action_group_name=called("alarm"),
                group_short_name="openai-gw",  # of at most 12 characters
                enabled=True,
                **_receivers(its),
                **{**here, "location": "global"},
            )
            told = [alarm.id]
        for rule_name, rule in rules(its).items():
            monitor.ScheduledQueryRule(
                begins + rule_name,
                stays,
                rule_name=called(rule_name),
                kind="LogAlert",
                display_name=rule.title,
                description=f"{rule.says} Expected: {its.forecast}. Next: {rule.then}",
                severity=rule.severity,
                enabled=True,
                scopes=[workspace.id],
                window_size=rule.window,
                evaluation_frequency=rule.frequency,
                criteria={"all_of": [_criterion(rule, filled[rule.query])]},
                auto_mitigate=True,
                # The tables are there only once the first row is.
                skip_query_validation=True,
                actions={
                    "action_groups": told,
                    "custom_properties": {"expected": its.forecast, "next": rule.then},
                },
                **here,
            )
        applicationinsights.Workbook(
            f"{begins}workbook",
            stays,
            resource_name_=pulumi.Output.concat(service_id, its.name_suffix or "").apply(
                lambda known: str(uuid.uuid5(uuid.NAMESPACE_URL, known.lower()))
            ),
            kind="shared",
            category="workbook",
            display_name="Azure OpenAI by region",
            version="Notebook/1.0",
            source_id=workspace.id.apply(str.lower),  # as Azure stores it
            serialized_data=pulumi.Output.all(filled, workspace.id).apply(
                lambda known: workbook.serialized(
                    *known, expected=its.forecast, then=f"{_PROBE} --from-logs 24h"
                )
            ),
            **here,
        )
        self.outputs = MonitoringOutputs(workspace=workspace)
        self.register_outputs({"workspaceId": workspace.id})


def _backends(members: Sequence[Member], urls: Sequence[str]) -> list[Backend[str]]:
    return [Backend(**each.backend, url=url) for each, url in zip(members, urls, strict=True)]


def _log(
    begins: str,
    workspace_id: pulumi.Output[str],
    categories: Sequence[str],
    *,
    service: Mapping[str, Any],
    service_id: pulumi.Output[str],
    api_name: str,
    own: pulumi.ResourceOptions,
) -> None:
    """Have the gateway log every request, and of its headers those that tell the attempts."""
    logger = apimanagement.Logger(
        f"{begins}{_LOGGER}",
        own,
        logger_id=_LOGGER,
        logger_type="azureMonitor",
        is_buffered=True,
        **service,
    )
    nothing: apimanagement.HttpMessageDiagnosticArgsDict = {"headers": [], "body": {"bytes": 0}}
    # A client may send its key as a query parameter.
    url: apimanagement.HttpMessageDiagnosticArgsDict = {
        **nothing,
        "data_masking": {"query_params": [{"value": "*", "mode": "Hide"}]},
    }
    diagnostic = apimanagement.ApiDiagnostic(
        f"{begins}api-diagnostic",
        own,
        diagnostic_id=_LOGGER,
        api_id=api_name,
        logger_id=logger.id,
        always_log="allErrors",
        sampling={"sampling_type": "fixed", "percentage": 100},
        verbosity="information",
        log_client_ip=False,
        frontend={"request": url, "response": {**nothing, "headers": [*_ATTEMPTS]}},
        backend={"request": url, "response": nothing},
        **service,
    )
    monitor.DiagnosticSetting(
        f"{begins}gateway-logs",
        # A logger of this name that Azure would make by itself is there already.
        pulumi.ResourceOptions.merge(own, pulumi.ResourceOptions(depends_on=[diagnostic])),
        name="gateway-logs",
        resource_uri=service_id,
        workspace_id=workspace_id,
        log_analytics_destination_type="Dedicated",
        logs=[{"category": each, "enabled": True} for each in categories],
    )


def _receivers(its: Alarm) -> dict[str, Any]:
    common = {"use_common_alert_schema": True}
    emails = dict.fromkeys(its.alert_emails)
    url = None if its.webhook is None else pulumi.Output.secret(its.webhook)
    return {
        "email_receivers": [{"name": to, "email_address": to, **common} for to in emails],
        "webhook_receivers": [{"name": "webhook", "service_uri": url, **common}]
        if url is not None
        else [],
    }


def _criterion(rule: Rule, query: pulumi.Output[str]) -> Any:
    """Return the rule's one condition; an alert of its own for each region."""
    criterion = {
        "query": query,
        "operator": rule.compared,
        "threshold": rule.threshold,
        "time_aggregation": "Count",
        "failing_periods": {"number_of_evaluation_periods": 1, "min_failing_periods_to_alert": 1},
    }
    if rule.measure:
        # Of one row each: which aggregation takes it is all the same.
        criterion |= {"metric_measure_column": rule.measure, "time_aggregation": "Average"}
    if rule.is_by_region:
        every = {"operator": "Include", "values": ["*"]}
        criterion["dimensions"] = [{"name": name, **every} for name in ("Region", "Expected")]
    return criterion
