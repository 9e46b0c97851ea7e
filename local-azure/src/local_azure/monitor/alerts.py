"""Scheduled query rules, evaluated for each time they were due, once somebody lists the alerts.

Source: Azure Monitor, "Log search alert rules" and "Stateful and stateless alerts". Assumed: a rule
is evaluated for the first time one frequency after it was made, and its query sees the rows of the
window that ends then.
"""

import json
import operator
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from local_azure import durations
from local_azure.local import write_private
from local_azure.monitor.kql import Answer, QueryError
from local_azure.store import Resource, Resources

RULE: Final = "Microsoft.Insights/scheduledQueryRules"
ACTION_GROUP: Final = "Microsoft.Insights/actionGroups"
_COMPARE: Final = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqual": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqual": operator.le,
    "Equals": operator.eq,
}
_AGGREGATE: Final[Mapping[str, Callable[[list[float]], float]]] = {
    "Average": lambda values: sum(values) / len(values),
    "Minimum": min,
    "Maximum": max,
    "Total": sum,
}
_KEPT: Final = 1000  # resolved alerts that are remembered

Query = Callable[[str, str, float, float], Answer]
"""Runs a query on a workspace's id, from and to in seconds. Raises QueryError."""
Notify = Callable[[str, Mapping[str, Any]], Awaitable[str]]
"""Sends an alert to a url; returns what came of it."""


@dataclass(kw_only=True)
class Alert:
    """An alert of a rule for one combination of its dimensions; times are of the clock."""

    rule: str
    rule_id: str
    severity: int
    dimensions: dict[str, str]
    measure: float
    measured: str
    """The column that is measured; `rows` where they are counted."""
    fired: str
    resolved: str | None = None
    quiet: int = 0
    """Evaluations in a row in which the condition was not met."""
    sent: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        """`Fired` or `Resolved`, as Azure's monitor condition."""
        return "Resolved" if self.resolved else "Fired"

    def to_json(self) -> dict[str, Any]:
        """Return it as the command prints it."""
        return {"state": self.state, **asdict(self)}


class Alerts:
    """The alerts of all rules; what fired and when each rule is due is kept in a file."""

    def __init__(self, resources: Resources, file: Path, *, query: Query, notify: Notify) -> None:
        self._resources = resources
        self._file = file
        self._query = query
        self._notify = notify
        kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        self.ahead = float(kept.get("ahead", 0.0))
        self._due: dict[str, float] = kept.get("due", {})
        self._met: dict[str, dict[str, list[bool]]] = kept.get("met", {})
        self._errors: dict[str, str] = {}
        self.listed = [Alert(**each) for each in kept.get("alerts", [])]

    @property
    def errors(self) -> Mapping[str, str]:
        """Why a rule's last evaluation failed, by the rule's name."""
        return self._errors

    def notice(self, now: float) -> None:
        """Learn which rules there are: a new one is due one frequency from now."""
        rules = {rule.id.lower(): rule for rule in self._resources.list(RULE)}
        for key in self._due.keys() - rules.keys():
            del self._due[key]
            self._met.pop(key, None)
        for key, rule in rules.items():
            self._due.setdefault(key, now + _frequency(rule))

    async def evaluate(self, now: float, *, ahead: float) -> None:
        """Evaluate every rule as often as it was due up to now, the earliest first."""
        self.ahead = ahead
        self.notice(now)
        while self._due and (first := min(self._due, key=self._due.__getitem__)):
            due = self._due[first]
            if due > now:
                break
            rule = self._resources.get(first)
            if rule is None:
                del self._due[first]
                continue
            self._due[first] = due + _frequency(rule)
            if rule.body["properties"].get("enabled", True):
                await self._once(rule, due)
        self.save()

    def save(self) -> None:
        """Keep what is known."""
        resolved = [each for each in self.listed if each.resolved]
        for each in resolved[:-_KEPT]:
            self.listed.remove(each)
        kept = {
            "ahead": self.ahead,
            "due": self._due,
            "met": self._met,
            "alerts": [asdict(each) for each in self.listed],
        }
        write_private(self._file, json.dumps(kept))

    async def _once(self, rule: Resource, due: float) -> None:
        its = rule.body["properties"]
        name = rule.body["name"]
        try:
            found = dict(self._found(rule, due))
        except (QueryError, IndexError, KeyError, TypeError, ValueError) as error:
            # Azure shows it at the rule's resource health; nothing fires or resolves by it.
            # So it does here with a scope that is no workspace, or a measure that is no number.
            self._errors[name] = str(error) or type(error).__name__
            return
        self._errors.pop(name, None)
        history = self._met.setdefault(rule.id.lower(), {})
        open_ = {
            json.dumps(each.dimensions): each
            for each in self.listed
            if each.rule_id.lower() == rule.id.lower() and not each.resolved
        }
        periods = its["criteria"]["allOf"][0].get("failingPeriods", {})
        of, least = (
            int(periods.get(key, 1))
            for key in ("numberOfEvaluationPeriods", "minFailingPeriodsToAlert")
        )
        for key in {**open_, **history, **found}:
            past = [*history.get(key, []), key in found][-of:]
            history[key] = past
            is_met = sum(past) >= least
            known = open_.get(key)
            if is_met and known and its.get("autoMitigate", True):
                known.quiet, known.measure = 0, found.get(key, known.measure)
            elif is_met:
                await self._fire(rule, key, found.get(key, 0.0), due)
            elif known:
                known.quiet += 1
                if known.quiet >= _quiet_evaluations(_frequency(rule)):
                    known.resolved = _moment(due)
                    await self._tell(rule, known)
            if not any(past):
                del history[key]

    def _found(self, rule: Resource, due: float) -> Iterator[tuple[str, float]]:
        """Yield the combinations of dimensions that meet the condition, with their measures."""
        its = rule.body["properties"]
        (criterion,) = its["criteria"]["allOf"]
        window = durations.iso_8601(its.get("overrideQueryTimeRange") or its["windowSize"])
        answer = self._query(its["scopes"][0], criterion["query"], due - window, due)
        column = criterion.get("metricMeasureColumn")
        named = [each["name"] for each in criterion.get("dimensions", ())]
        known = {name for name, _ in answer.columns}
        for name in (*named, *([column] if column else ())):
            if name not in known:
                raise QueryError(f"the query has no column '{name}'")
        groups: dict[str, list[float]] = {}
        for row in answer.records():
            if all(_included(row, each) for each in criterion.get("dimensions", ())):
                key = json.dumps({name: str(row[name]) for name in named})
                groups.setdefault(key, []).append(float(row[column] or 0) if column else 1.0)
        if not named and not groups and not column:
            groups["{}"] = []  # a count of no rows is 0, and may be what is waited for
        compare = _COMPARE[criterion["operator"]]
        for key, values in groups.items():
            is_count = criterion["timeAggregation"] == "Count"
            measure = (
                float(len(values)) if is_count else _AGGREGATE[criterion["timeAggregation"]](values)
            )
            if compare(measure, criterion["threshold"]):
                yield key, measure

    async def _fire(self, rule: Resource, key: str, measure: float, due: float) -> None:
        (criterion,) = rule.body["properties"]["criteria"]["allOf"]
        alert = Alert(
            rule=rule.body["name"],
            rule_id=rule.id,
            severity=int(rule.body["properties"].get("severity", 3)),
            dimensions=json.loads(key),
            measure=measure,
            measured=criterion.get("metricMeasureColumn") or "rows",
            fired=_moment(due),
        )
        self.listed.append(alert)
        await self._tell(rule, alert)

    async def _tell(self, rule: Resource, alert: Alert) -> None:
        actions = rule.body["properties"].get("actions") or {}
        for group_id in actions.get("actionGroups", ()):
            group = self._resources.get(group_id)
            if group is None or not group.body["properties"].get("enabled", True):
                continue
            its = group.body["properties"]
            for mail in its.get("emailReceivers") or ():
                alert.sent.append(f"{alert.state}: no e-mail is sent: {mail['emailAddress']}")
            for hook in its.get("webhookReceivers") or ():
                body = _common_schema(rule, alert, actions.get("customProperties") or {})
                came = await self._notify(hook["serviceUri"], body)
                alert.sent.append(f"{alert.state}: webhook {hook['name']}: {came}")


def _included(row: Mapping[str, Any], dimension: Mapping[str, Any]) -> bool:
    is_listed = "*" in dimension["values"] or str(row[dimension["name"]]) in dimension["values"]
    return bool(is_listed == (dimension["operator"] == "Include"))


def _frequency(rule: Resource) -> float:
    with suppress(KeyError, ValueError):
        return durations.iso_8601(rule.body["properties"]["evaluationFrequency"])
    return 300.0


def _quiet_evaluations(frequency: float) -> int:
    """Return after how many evaluations that do not meet the condition an alert is resolved.

    Source: Azure Monitor, "Stateful and stateless alerts": ten minutes at a frequency of a minute,
    three periods up to 15 minutes, two up to 11 hours, one above.
    """
    if frequency <= 60:
        return 10
    if frequency <= 15 * 60:
        return 3
    return 2 if frequency <= 11 * 3600 else 1


def _common_schema(
    rule: Resource, alert: Alert, properties: Mapping[str, str]
) -> Mapping[str, Any]:
    """Return what a webhook is sent (Azure Monitor, "Common alert schema")."""
    its = rule.body["properties"]
    (criterion,) = its["criteria"]["allOf"]
    return {
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": {
                "alertRule": alert.rule,
                "severity": f"Sev{alert.severity}",
                "signalType": "Log",
                "monitorCondition": alert.state,
                "monitoringService": "Log Alerts V2",
                "alertTargetIDs": its["scopes"],
                "firedDateTime": alert.fired,
                **({"resolvedDateTime": alert.resolved} if alert.resolved else {}),
                "description": its.get("description", ""),
                "essentialsVersion": "1.0",
                "alertContextVersion": "1.0",
            },
            "alertContext": {
                "conditionType": "LogQueryCriteria",
                "condition": {
                    "windowSize": its["windowSize"],
                    "allOf": [
                        {
                            "searchQuery": criterion["query"],
                            "operator": criterion["operator"],
                            "threshold": str(criterion["threshold"]),
                            "timeAggregation": criterion["timeAggregation"],
                            "metricMeasureColumn": criterion.get("metricMeasureColumn"),
                            "dimensions": [
                                {"name": name, "value": value}
                                for name, value in alert.dimensions.items()
                            ],
                            "metricValue": alert.measure,
                        }
                    ],
                },
            },
            "customProperties": properties,
        },
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
