"""A log of the gateway's requests that answers queries, by a KQL engine, as Log Analytics does."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb_kql
from fake_gateway import SERVICE, Gateway, Reply, as_json, host

NOW = datetime(2026, 11, 25, 15, 30)  # noqa: DTZ001 - the engine's times are UTC without saying so
WORKSPACE = {
    "id": "/subscriptions/0/resourceGroups/rg/providers/Microsoft.OperationalInsights"
    "/workspaces/log-abc",
    "customer_id": "11111111-2222-3333-4444-555555555555",
}
_COLUMNS = (
    "TimeGenerated TIMESTAMP, _ResourceId VARCHAR, ApiId VARCHAR, BackendUrl VARCHAR, "
    "ResponseCode BIGINT, BackendTime BIGINT, ResponseHeaders JSON, CorrelationId VARCHAR"
)


@dataclass
class Row:
    """One request: the backend of its last attempt, and how it ended, so many hours ago."""

    backend: int
    status: int = 200
    hours_ago: float = 0.5
    attempts: int = 1
    milliseconds: int = 250
    api: str = "inference"


class Table:
    """The rows, with what Azure's table of them is called."""

    def __init__(self) -> None:
        self.connection = duckdb_kql.connect()
        self.connection.execute(f"CREATE TABLE ApiManagementGatewayLogs ({_COLUMNS})")

    def fill(self, rows: Iterable[Row], service: str = SERVICE.upper()) -> None:
        values = [
            (
                NOW - timedelta(hours=row.hours_ago),
                service,
                row.api,
                f"https://{host(row.backend).upper()}/openai/v1/chat/completions",
                row.status,
                row.milliseconds,
                json.dumps({"x-backend-attempts": str(row.attempts)}),
                str(number),
            )
            for number, row in enumerate(rows)
        ]
        self.connection.execute("DELETE FROM ApiManagementGatewayLogs")
        if values:
            self.connection.executemany(
                "INSERT INTO ApiManagementGatewayLogs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values
            )

    def answer(self, query: str, timespan: str) -> dict:
        seconds = float(timespan.removeprefix("PT").removesuffix("S"))
        begin = NOW - timedelta(seconds=seconds)
        self.connection.execute(
            "CREATE OR REPLACE TEMP TABLE ApiManagementGatewayLogs AS "
            "SELECT * FROM memory.main.ApiManagementGatewayLogs "
            f"WHERE TimeGenerated > '{begin}'"
        )
        found = duckdb_kql.query(self.connection, query)
        kinds = ["datetime" if name == "Hour" else "dynamic" for name in found.columns]
        rows = [
            [each.isoformat() + "Z" if isinstance(each, datetime) else each for each in row]
            for row in found.fetchall()
        ]
        self.connection.execute("DROP TABLE temp.ApiManagementGatewayLogs")
        columns = [{"name": n, "type": t} for n, t in zip(found.columns, kinds, strict=True)]
        return {"tables": [{"name": "PrimaryResult", "columns": columns, "rows": rows}]}


class LogAnalytics:
    """Logs behind the same socket as a gateway, whose own requests it leaves alone."""

    def __init__(self, gateway: Gateway) -> None:
        self.table = Table()
        self.refusal: Reply | None = None
        self.asked: list[str] = []
        self.tokens: set[str | None] = set()
        self.metadata = as_json({"logAnalyticsResourceId": gateway.url})
        self._gateway, self._other = gateway, gateway.answer
        gateway.answer = self._answer

    @property
    def sent(self) -> list[str]:
        """Paths of the requests that went through the gateway."""
        mine = ("/metadata/endpoints", "/v1/workspaces/")
        return [s.path for s in self._gateway.requests if not s.path.startswith(mine)]

    def _answer(self, number: int) -> Reply:
        seen = self._gateway.requests[number]
        if seen.path == "/metadata/endpoints?api-version=2023-11-01":
            return self.metadata
        if seen.path != f"/v1/workspaces/{WORKSPACE['customer_id']}/query":
            return self._other(number)
        self.tokens.add(seen.headers.get("Authorization"))
        document = json.loads(seen.body)
        self.asked.append(document["timespan"])
        if self.refusal:
            return self.refusal
        reply = as_json(self.table.answer(document["query"], document["timespan"]))
        reply.headers["content-type"] = "application/json"
        return reply
