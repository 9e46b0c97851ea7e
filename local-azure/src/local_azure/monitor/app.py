"""Azure Monitor over HTTP: queries as Log Analytics answers them, and alerts, with their clock."""

import json
import math
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from local_azure import durations
from local_azure.gateway.exchange import Exchange
from local_azure.identity import TokenError, Tokens
from local_azure.monitor import LOG_ANALYTICS, kql
from local_azure.monitor.alerts import Alerts
from local_azure.monitor.clock import Clock
from local_azure.monitor.recording import WORKSPACE, Recorder, recorder
from local_azure.monitor.rows import Rows
from local_azure.monitor.tables import COLUMNS
from local_azure.resource_manager import rights
from local_azure.store import Resource, Store

PATH: Final = "/_local-azure/alerts"
_QUERY: Final = "Microsoft.OperationalInsights/workspaces/query/read"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Monitor:
    """The logs of all gateways, and the rules over them."""

    def __init__(self, store: Store, state: Path, tokens: Tokens) -> None:
        self._store = store
        self._tokens = tokens
        self._rows = Rows(state / "logs")
        self.alerts = Alerts(store, state / "alerts.json", query=self._query, notify=_notify)
        self.clock = Clock()
        self.clock.ahead = self.alerts.ahead

    def recorder(self, service_id: str) -> tuple[Recorder, Callable[[Exchange], None]]:
        """Return what a service's gateway tells of its requests."""
        return recorder(self._store, service_id, self._rows, now=self.clock.now)

    def routes(self, guarded: Callable[[Handler], Handler]) -> list[web.RouteDef]:
        """Return the query API, and the alerts behind what `guarded` lets through."""
        return [
            web.post("/v1/workspaces/{workspace}/query", self._answer),
            web.get(PATH, guarded(self._list)),
            web.post(PATH, guarded(self._move)),
        ]

    async def evaluate(self) -> None:
        """Evaluate the rules that are due."""
        await self.alerts.evaluate(self.clock.now(), ahead=self.clock.ahead)

    def check_query(self, workspace_id: str, query: str) -> str:
        """Say what is wrong with a query over a workspace; empty if nothing is."""
        try:
            self._query(workspace_id, query, -math.inf, self.clock.now())
        except kql.QueryError as error:
            return str(error)
        return ""

    def close(self) -> None:
        """Write what is in memory."""
        self._rows.close()

    async def _list(self, _: web.Request) -> web.Response:
        await self.evaluate()
        return web.json_response(
            {
                "now": _moment(self.clock.now()),
                "alerts": [alert.to_json() for alert in self.alerts.listed],
                "errors": dict(self.alerts.errors),
            }
        )

    async def _move(self, request: web.Request) -> web.Response:
        """Move the clock forward by the body's `in`, an ISO 8601 duration, and list."""
        try:
            seconds = durations.iso_8601(json.loads(await request.read())["in"])
            await self.evaluate()  # of what is due before the step, on its own
            self.clock.move(seconds)
        except (KeyError, TypeError, ValueError) as error:
            refusal = _RefusalError(400, "InvalidStep", f"`in` is a duration such as PT1H: {error}")
            return web.json_response(refusal.envelope, status=400)
        return await self._list(request)

    def _query(self, workspace_id: str, query: str, start: float, end: float) -> kql.Answer:
        workspace = self._store.get(workspace_id)
        if workspace is None:
            raise kql.QueryError(f"the scope {workspace_id} is not there")
        customer = workspace.body["properties"]["customerId"]
        files = {table: self._rows.files(customer, table) for table in COLUMNS}
        return kql.run(query, files, start=start, end=end)

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            workspace = self._workspace(request)
            query, start, end = self._asked(await request.read())
            found = self._query(workspace.id, query, start, end)
        except _RefusalError as error:
            return web.json_response(error.envelope, status=error.status)
        except kql.QueryError as error:
            # CDCgov/prime-reportstream#11773 shows the form; SEM0100 is of a name that is unknown.
            number = "SYN0002" if error.code == "SyntaxError" else "SEM0100"
            inner = {
                "code": error.code,
                "message": f"A {error.code.removesuffix('Error').lower()} error occurred.",
                "innererror": {"code": number, "message": str(error)},
            }
            refusal = _RefusalError(
                400, "BadArgumentError", "The request had some invalid properties", inner
            )
            return web.json_response(refusal.envelope, status=400)
        columns = [{"name": name, "type": kind} for name, kind in found.columns]
        table = {"name": "PrimaryResult", "columns": columns, "rows": found.rows}
        return web.json_response({"tables": [table]})

    def _claims(self, request: web.Request) -> Mapping[str, Any]:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            if scheme.lower() == "bearer":
                return self._tokens.claims(token.strip(), LOG_ANALYTICS)
        except TokenError:
            pass
        raise _RefusalError(
            401, "InvalidTokenError", f"A valid token for {LOG_ANALYTICS} is required"
        )

    def _workspace(self, request: web.Request) -> Resource:
        """Return the workspace that is asked, if the asker may query it."""
        claims, customer = self._claims(request), request.match_info["workspace"]
        for each in self._store.list(WORKSPACE):
            if each.body["properties"]["customerId"].lower() == customer.lower():
                if rights.allows(claims, _QUERY, each.id, self._store.view()):
                    return each
                raise _RefusalError(
                    403,
                    "InsufficientAccessError",
                    "The provided credentials have insufficient access to perform the requested"
                    " operation",
                )
        raise _RefusalError(
            404, "WorkspaceNotFoundError", f"The workspace '{customer}' could not be found"
        )

    def _asked(self, body: bytes) -> tuple[str, float, float]:
        try:
            asked = json.loads(body)
            query = asked["query"]
            start, end = _span(asked.get("timespan"), self.clock.now())
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _RefusalError(
                400, "BadArgumentError", f"The request had some invalid properties: {error}"
            ) from None
        if not isinstance(query, str) or not query.strip():
            raise _RefusalError(400, "BadArgumentError", "The query is empty")
        return query, start, end


class _RefusalError(Exception):
    """What Log Analytics refuses, in its envelope (Log Analytics API, "Errors")."""

    def __init__(
        self, status: int, code: str, message: str, inner: Mapping[str, Any] | None = None
    ) -> None:
        self.status = status
        error: dict[str, Any] = {
            "code": code,
            "message": message,
            "correlationId": str(uuid.uuid4()),
        }
        if inner:
            error["innererror"] = inner
        self.envelope = {"error": error}


def _span(text: str | None, now: float) -> tuple[float, float]:
    """Read a timespan: a duration that ends now, or two ends of which one may be a duration."""
    if not text:
        return -math.inf, now
    first, _, second = text.partition("/")
    if not second:
        return now - durations.iso_8601(first), now
    if first.startswith("P"):
        end = _read(second)
        return end - durations.iso_8601(first), end
    start = _read(first)
    return start, start + durations.iso_8601(second) if second.startswith("P") else _read(second)


def _read(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


async def _notify(url: str, body: Mapping[str, Any]) -> str:
    """Send an alert to a webhook, if that is on loopback: nothing else is ever contacted."""
    host = urlsplit(url).hostname or ""
    try:
        is_loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        return "not sent, since it is not on loopback"
    try:
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            answer = await session.post(url, json=body, allow_redirects=False)
            return f"answered {answer.status}"
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return f"failed: {type(error).__name__}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
