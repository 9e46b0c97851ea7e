"""The workbook that a person opens first: what it shows, as Azure Monitor stores it.

The form is that of a workbook's "Advanced editor" (github.com/microsoft/Application-Insights-
Workbooks, schema/workbook.json).
"""

import json
from collections.abc import Mapping
from typing import Any, Final

GRAIN: Final = "{TimeRange:grain}"
"""What a workbook puts in a query for the grain that fits the chosen time."""
_LOGS: Final = {"queryType": 0, "resourceType": "microsoft.operationalinsights/workspaces"}
_HOUR: Final = 3_600_000  # milliseconds
# By the query's name: title, how it is shown, and the columns that are drawn and that tell series
# apart.
_CHARTS: Final[Mapping[str, tuple[str, str, str, str | None]]] = {
    "shares_over_time": ("Share of the answered requests, %", "areachart", "Share", "Region"),
    "failures": (
        "Throttled and failed in their last attempt",
        "unstackedbar",
        "Requests",
        "Series",
    ),
    "latency": ("Of 20 answers the slowest takes, ms", "linechart", "Slowest", "Region"),
    "tokens": ("Tokens", "areachart", "Tokens", "Region"),
    "retries": ("Requests of more than one attempt, %", "linechart", "Retried", None),
}
QUERIES: Final = ("verdict", *_CHARTS)


def serialized(queries: Mapping[str, str], workspace_id: str, *, expected: str, then: str) -> str:
    """Return a workbook's `serializedData`, the same text for the same arguments.

    `queries` has those of QUERIES that are wanted, filled in; `expected` is the forecast, `then`
    the command that a mark calls for.
    """
    words = (
        "## Where the traffic goes\n"
        f"Declared: **{expected}**. A region marked STARVED, or ABOVE THE CEILING, is an alarm: "
        f"run `{then}`."
    )
    tiles: dict[str, Any] = {
        "titleContent": {"columnMatch": "Region", "formatter": 1},
        "leftContent": {"columnMatch": "Share", "formatter": 12, "numberFormat": {"unit": 1}},
        "secondaryContent": {"columnMatch": "Expected", "formatter": 1},
        "subtitleContent": {"columnMatch": "Verdict", "formatter": 1},
        "showBorder": True,
    }
    items = [
        {"type": 1, "name": "words", "content": {"json": words}},
        # The alarms' own windows, whatever time is chosen for the charts.
        *(
            _query(
                f"verdict-{hours}",
                queries["verdict"],
                f"The last {past}",
                "tiles",
                timeContext={"durationMs": hours * _HOUR},
                tileSettings=tiles,
            )
            for hours, past in ((1, "hour"), (24, "24 hours"))
        ),
        {"type": 9, "name": "time", "content": _time()},
        *(_chart(name, queries[name]) for name in _CHARTS if name in queries),
    ]
    document = {"version": "Notebook/1.0", "items": items, "fallbackResourceIds": [workspace_id]}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _chart(name: str, query: str) -> dict[str, Any]:
    title, shown_as, drawn, series = _CHARTS[name]
    settings: dict[str, Any] = {"xAxis": "TimeGenerated", "yAxis": [drawn], "showLegend": True}
    if series:
        settings["group"] = series
    chosen = {"timeContextFromParameter": "TimeRange"}
    return _query(name, query, title, shown_as, chartSettings=settings, **chosen)


def _query(name: str, query: str, title: str, shown_as: str, **settings: Any) -> dict[str, Any]:
    content = {
        **_LOGS,
        "version": "KqlItem/1.0",
        "query": query,
        "title": title,
        "size": 0,
        "visualization": shown_as,
        **settings,
    }
    return {"type": 3, "name": name, "content": content}


def _time() -> dict[str, Any]:
    choices = [{"durationMs": hours * _HOUR} for hours in (1, 4, 24, 3 * 24, 7 * 24, 30 * 24)]
    parameter = {
        "id": "6a5bb1e6-6f0b-4a8e-9f4a-3d1b0a6f6f10",
        "version": "KqlParameterItem/1.0",
        "name": "TimeRange",
        "label": "Time",
        "type": 4,
        "isRequired": True,
        "value": {"durationMs": 24 * _HOUR},
        "typeSettings": {"selectableValues": choices, "allowCustom": True},
    }
    return {
        **_LOGS,
        "version": "KqlParameterItem/1.0",
        "parameters": [parameter],
        "style": "pills",
    }
