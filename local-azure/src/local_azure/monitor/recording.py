"""What a gateway writes of a request: a row in each table that a diagnostic setting asks for.

Source: API Management, "Monitor API Management"; a row describes a request by its last attempt.
Assumed: a diagnostic setting is enough for rows, and the diagnostic `azuremonitor` of the API, else
of the service, adds the headers it names and says which part of the requests is sampled.
"""

import json
import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from local_azure.gateway.exchange import Exchange, Url
from local_azure.monitor.rows import Rows
from local_azure.monitor.tables import CATEGORIES, GATEWAY_LOGS, LLM_LOG
from local_azure.store import Resources

SETTING: Final = "Microsoft.Insights/diagnosticSettings"
WORKSPACE: Final = "Microsoft.OperationalInsights/workspaces"
SERVICE_DIAGNOSTIC: Final = "Microsoft.ApiManagement/service/diagnostics"
API_DIAGNOSTIC: Final = "Microsoft.ApiManagement/service/apis/diagnostics"
_TAIL: Final = 8192  # bytes at the end of an answer in which its usage is looked for
_USAGE: Final = re.compile(rb'"usage"\s*:\s*(?=\{)')
_DECODER: Final = json.JSONDecoder()

Recorder = Callable[[Exchange, int, Mapping[str, str]], None]
"""Told of a request at its end, with the status and headers that the client got."""


@dataclass(frozen=True, kw_only=True)
class _Sinks:
    """Where rows of a service go: workspaces by table, and the part that is sampled by API."""

    workspaces: Mapping[str, tuple[str, ...]]
    diagnostics: Mapping[str, Mapping[str, Any]]


def recorder(
    resources: Resources, service_id: str, rows: Rows, *, now: Callable[[], float]
) -> tuple[Recorder, Callable[[Exchange], None]]:
    """Return what is told of a request's end, and of its answer's beginning, to see its usage."""
    known: tuple[int, _Sinks] = (-1, _Sinks(workspaces={}, diagnostics={}))

    def sinks() -> _Sinks:
        nonlocal known
        if known[0] != (revision := resources.revision):
            known = (revision, _sinks(resources, service_id))
        return known[1]

    def ended(exchange: Exchange, status: int, headers: Mapping[str, str]) -> None:
        to = sinks()
        if not to.workspaces:
            return
        diagnostic = to.diagnostics.get(exchange.api.id.lower(), to.diagnostics.get("", {}))
        sampled = float((diagnostic.get("sampling") or {}).get("percentage", 100.0))
        if sampled < 100 and random.random() * 100 >= sampled:  # noqa: S311 - no secret
            return
        every = {
            "TimeGenerated": datetime.fromtimestamp(now(), UTC).replace(tzinfo=None).isoformat(),
            "_ResourceId": service_id.lower(),
            "CorrelationId": exchange.request_id,
            "Region": exchange.deployment.region,
            "ApiId": exchange.api.id,
            "OperationId": exchange.operation.id,
        }
        row = {**every, "Type": GATEWAY_LOGS, **_of_request(exchange, status, headers, diagnostic)}
        for workspace in to.workspaces.get(GATEWAY_LOGS, ()):
            rows.append(workspace, GATEWAY_LOGS, row)
        usage = exchange.usage() if exchange.usage else None
        for workspace in to.workspaces.get(LLM_LOG, ()) if usage else ():
            rows.append(workspace, LLM_LOG, {**every, "Type": LLM_LOG, **(usage or {})})

    def answered(exchange: Exchange) -> None:
        if LLM_LOG in sinks().workspaces:
            exchange.usage = _watched(exchange)

    return ended, answered


def _sinks(resources: Resources, service_id: str) -> _Sinks:
    customers = {
        each.id.lower(): each.body["properties"]["customerId"] for each in resources.list(WORKSPACE)
    }
    workspaces: dict[str, tuple[str, ...]] = {}
    for setting in resources.list(SETTING, under=service_id):
        its = setting.body["properties"]
        customer = customers.get((its.get("workspaceId") or "").lower())
        # Without dedicated tables Azure writes to AzureDiagnostics, which nothing here reads.
        if customer and its.get("logAnalyticsDestinationType") == "Dedicated":
            for table in _tables(its.get("logs") or ()):
                workspaces[table] = (*workspaces.get(table, ()), customer)
    diagnostics = {
        _api_of(each.id): each.body["properties"]
        for kind in (SERVICE_DIAGNOSTIC, API_DIAGNOSTIC)
        for each in resources.list(kind, under=service_id)
        if each.body["name"].lower() == "azuremonitor"
    }
    return _Sinks(workspaces=workspaces, diagnostics=diagnostics)


def _tables(logs: Iterable[Mapping[str, Any]]) -> set[str]:
    found: set[str] = set()
    for log in logs:
        if not log.get("enabled"):
            continue
        if log.get("categoryGroup") in ("allLogs", "audit"):
            found |= {*CATEGORIES.values()}
        elif table := CATEGORIES.get(log.get("category") or ""):
            found.add(table)
    return found


def _api_of(diagnostic_id: str) -> str:
    """Return the API's name in lower case; empty for a diagnostic of the service."""
    _, _, after = diagnostic_id.lower().partition("/apis/")
    return after.partition("/")[0]


def _of_request(
    exchange: Exchange,
    status: int,
    headers: Mapping[str, str],
    diagnostic: Mapping[str, Any],
) -> dict[str, Any]:
    request, error = exchange.request, exchange.last_error
    frontend, backend = diagnostic.get("frontend") or {}, diagnostic.get("backend") or {}
    return {
        "Method": request.method,
        "Url": _masked(request.original_url, frontend),
        "CallerIpAddress": request.ip_address,
        "ClientProtocol": "HTTP/1.1",
        "ApimSubscriptionId": exchange.subscription.id if exchange.subscription else "",
        "BackendId": exchange.backend_id or "",
        "BackendMethod": request.method if exchange.backend_url else "",
        "BackendProtocol": "HTTP/1.1" if exchange.backend_url else "",
        "BackendUrl": _masked(exchange.backend_url, backend),
        "BackendResponseCode": exchange.backend_status,
        "BackendTime": round(exchange.backend_seconds * 1000),
        "TotalTime": round(exchange.elapsed * 1000),
        "RequestSize": len(request.body),
        "ResponseCode": status,
        "IsRequestSuccess": status < 400,
        "RequestHeaders": _named(request.headers, (frontend.get("request") or {}).get("headers")),
        "ResponseHeaders": _named(headers, (frontend.get("response") or {}).get("headers")),
        "LastErrorMessage": error.message if error else "",
        "LastErrorReason": (error.reason or "") if error else "",
        "LastErrorSection": error.section if error else "",
        "LastErrorSource": error.source if error else "",
        "TraceRecords": [],
    }


def _masked(url: Url | None, side: Mapping[str, Any]) -> str:
    """Write a url as the diagnostic wants its query (API Management, `DataMasking`)."""
    if url is None or not url.query:
        return str(url or "")
    masking = (side.get("request") or {}).get("dataMasking") or {}
    query = parse_qsl(url.query, keep_blank_values=True)
    for each in masking.get("queryParams") or ():
        mode, name = each.get("mode"), each.get("value")
        hidden = [(key, value) for key, value in query if name in ("*", key)]
        query = [
            (key, "***" if (key, value) in hidden else value)
            for key, value in query
            if mode == "Mask" or (key, value) not in hidden
        ]
    return str(replace(url, query=urlencode(query)))


def _named(headers: Mapping[str, str], names: Iterable[str] | None) -> dict[str, str]:
    return {name: headers[name] for name in names or () if name in headers}


def _watched(exchange: Exchange) -> Callable[[], dict[str, Any] | None]:
    """Look at an answer as it passes; return what tells its usage once it has passed."""
    response = exchange.response
    tail = bytearray()
    if response is not None and response.stream is not None:
        response.stream.watch(lambda piece: _keep(tail, piece))
        is_stream = response.headers.get("Content-Type", "").startswith("text/event-stream")
    else:
        tail += (response.body if response else b"")[-_TAIL:]
        is_stream = False
    deployment = exchange.request.parameters.get("deployment-id", "")

    def usage() -> dict[str, Any] | None:
        found: dict[str, Any] = {}
        for place in _USAGE.finditer(tail):
            try:
                found = _DECODER.raw_decode(bytes(tail[place.end() :]).decode(errors="replace"))[0]
            except ValueError:
                continue
        if not found:
            return None
        asked = _model_asked(exchange)
        return {
            "DeploymentName": deployment or asked,
            "ModelName": asked or deployment,
            "PromptTokens": found.get("prompt_tokens", found.get("input_tokens", 0)),
            "CompletionTokens": found.get("completion_tokens", found.get("output_tokens", 0)),
            "TotalTokens": found.get("total_tokens", 0),
            "IsStreamCompletion": is_stream,
            "SequenceNumber": 0,
        }

    return usage


def _keep(tail: bytearray, piece: bytes | None) -> None:
    tail += piece or b""
    del tail[:-_TAIL]


def _model_asked(exchange: Exchange) -> str:
    try:
        asked = json.loads(exchange.request.body)
    except ValueError:
        return ""
    return str(asked.get("model", "")) if isinstance(asked, dict) else ""
