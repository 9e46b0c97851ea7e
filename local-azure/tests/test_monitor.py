"""Logs of gateways, queries over them as Log Analytics answers, alerts by a clock that moves."""

import asyncio
import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from aiohttp import web
from arm_server import ALARM, GROUP, LEAST, QUERY_RULE, WORKSPACE, version_of
from azure.core.credentials import AccessToken
from azure.monitor.query import LogsQueryClient, LogsQueryStatus
from fake_resources import KEY, SERVICE, FakeResources
from gateway_world import CHAT, in_world

from local_azure import server
from local_azure.identity import Secrets, Tokens, authorization, signing_in
from local_azure.local import find_server
from local_azure.monitor import LOG_ANALYTICS, kql
from local_azure.monitor.alerts import Alerts
from local_azure.monitor.app import PATH, _notify
from local_azure.monitor.clock import Clock
from local_azure.monitor.recording import recorder
from local_azure.monitor.rows import Rows
from local_azure.monitor.tables import GATEWAY_LOGS, LLM_LOG

START = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
CUSTOMER = "11111111-2222-3333-4444-555555555555"
HOUR = 3600.0


def row(hours: float, host: str = "one.openai.azure.com", status: int = 200) -> dict[str, object]:
    moment = datetime.fromtimestamp(START + hours * HOUR, UTC).replace(tzinfo=None)
    return {
        "TimeGenerated": moment.isoformat(),
        "BackendUrl": f"https://{host}/openai/v1/chat/completions",
        "ResponseCode": status,
        "ResponseHeaders": {"x-attempts": "2"},
    }


@pytest.fixture
def rows(tmp_path):
    found = Rows(tmp_path)
    yield found
    found.close()


def asked(rows, query, *, start=-1.0, end=1000.0):
    files = {table: rows.files(CUSTOMER, table) for table in (GATEWAY_LOGS, LLM_LOG)}
    return kql.run(query, files, start=START + start * HOUR, end=START + end * HOUR).records()


# -- rows -----------------------------------------------------------------------------------------


def test_rows_are_there_at_once_and_after_a_restart(rows, tmp_path):
    rows.append(CUSTOMER, GATEWAY_LOGS, row(0))
    assert asked(rows, f"{GATEWAY_LOGS} | count") == [{"Count": 1}]
    rows.close()
    again = Rows(tmp_path)
    again.append(CUSTOMER, GATEWAY_LOGS, row(1))
    assert asked(again, f"{GATEWAY_LOGS} | count") == [{"Count": 2}]
    again.close()


def test_what_is_kept_is_bounded_and_the_newest(rows, monkeypatch):
    monkeypatch.setattr("local_azure.monitor.rows.LARGEST", 2000)
    for hour in range(100):
        rows.append(CUSTOMER, GATEWAY_LOGS, row(hour))
    (found,) = asked(rows, f"{GATEWAY_LOGS} | summarize n = count(), newest = max(TimeGenerated)")
    assert 5 <= found["n"] < 40
    assert found["newest"] == "2027-01-05T03:00:00Z"
    assert sum(file.stat().st_size for file in rows.files(CUSTOMER, GATEWAY_LOGS)) < 5000


def test_only_the_window_is_seen(rows):
    for hour in range(4):
        rows.append(CUSTOMER, GATEWAY_LOGS, row(hour))
    assert asked(rows, f"{GATEWAY_LOGS} | count", start=1, end=3) == [{"Count": 2}]
    (ago,) = asked(rows, f"{GATEWAY_LOGS} | where TimeGenerated > ago(90m) | count", end=4)
    assert ago == {"Count": 1}


# -- queries --------------------------------------------------------------------------------------


def test_a_query_reads_urls_headers_and_numbers(rows):
    rows.append(CUSTOMER, GATEWAY_LOGS, row(0, "TWO.openai.azure.com", 429))
    (found,) = asked(
        rows,
        f"{GATEWAY_LOGS} | project Host = tolower(tostring(parse_url(BackendUrl).Host)),"
        " ResponseCode, Attempts = toint(ResponseHeaders['x-attempts']), TimeGenerated",
    )
    assert found == {
        "Host": "two.openai.azure.com",
        "ResponseCode": 429,
        "Attempts": 2,
        "TimeGenerated": "2027-01-01T00:00:00Z",
    }


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        (f"{LLM_LOG} | count", "SemanticError", f"named '{LLM_LOG}'"),
        (f"{GATEWAY_LOGS} | join {LLM_LOG} on Region", "SemanticError", f"named '{LLM_LOG}'"),
        (f"{GATEWAY_LOGS} | where", "SyntaxError", "could not parse"),
        (f"{GATEWAY_LOGS} | evaluate pivot(x)", "SemanticError", "the local Azure cannot run"),
        ("externaldata(a:string)['/etc/hostname']", "SemanticError", "the local Azure cannot run"),
        (".drop table T", "SemanticError", "control command"),
        (f"{GATEWAY_LOGS} | where Nothing == 1", "SemanticError", "Nothing"),
    ],
)
def test_what_cannot_run_is_refused_by_name(rows, query, code, said):
    rows.append(CUSTOMER, GATEWAY_LOGS, row(0))
    with pytest.raises(kql.QueryError) as refused:
        asked(rows, query)
    assert refused.value.code == code
    assert said in str(refused.value)


# -- what a gateway writes ------------------------------------------------------------------------


def logged(tmp_path, calls, *, setting=None, masking=None, **settings):
    """The rows that a gateway with a diagnostic setting writes of some calls."""
    rows = Rows(tmp_path)

    def log(resources):
        resources.put(WORKSPACE, {"properties": {"customerId": CUSTOMER}})
        properties = {
            "workspaceId": WORKSPACE.upper(),
            "logAnalyticsDestinationType": "Dedicated",
            "logs": [{"categoryGroup": "allLogs", "enabled": True}],
        }
        resources.put(
            f"{SERVICE}/providers/Microsoft.Insights/diagnosticSettings/logs",
            {"properties": {**properties, **(setting or {})}},
        )
        request = {"dataMasking": {"queryParams": masking or []}}
        sides = {
            "frontend": {"request": request, "response": {"headers": ["x-backend-attempts"]}},
            "backend": {"request": request},
        }
        resources.put(f"{SERVICE}/apis/inference/diagnostics/azuremonitor", {"properties": sides})
        ended, answered = recorder(resources, SERVICE, rows, now=lambda: START)
        return {"ended": ended, "answered": answered}

    in_world(calls, log=log, **settings)
    files = {table: rows.files(CUSTOMER, table) for table in (GATEWAY_LOGS, LLM_LOG)}
    rows.close()
    return {
        table: [json.loads(line) for file in its for line in file.read_text().splitlines()]
        for table, its in files.items()
    }


def test_a_row_describes_a_request_by_its_last_attempt(tmp_path):
    async def calls(world):
        world.regions["foundry1"].status = 429
        await world.call()

    (found,) = logged(tmp_path, calls)[GATEWAY_LOGS]
    assert found["BackendUrl"].startswith("https://foundry2-test.openai.azure.com/openai/")
    assert (found["BackendResponseCode"], found["ResponseCode"]) == (200, 200)
    assert found["ResponseHeaders"] == {"x-backend-attempts": "2"}
    assert (found["ApiId"], found["Region"]) == ("inference", "UK South")
    assert found["_ResourceId"] == SERVICE.lower()
    assert found["TimeGenerated"] == "2027-01-01T00:00:00"
    assert found["RequestHeaders"] == {}


def test_where_nobody_could_answer_the_row_says_so(tmp_path):
    async def calls(world):
        for region in world.regions.values():
            region.status = 503
        await world.call()

    (found,) = logged(tmp_path, calls)[GATEWAY_LOGS]
    assert found["ResponseCode"] == 503
    assert not found["IsRequestSuccess"]


def test_a_key_is_in_no_row(tmp_path):
    async def calls(world):
        await world.call()
        await world.call(key="wrong")

    found = logged(tmp_path, calls)[GATEWAY_LOGS]
    assert [each["ResponseCode"] for each in found] == [200, 401]
    assert found[1]["LastErrorReason"] == "SubscriptionKeyInvalid"
    assert KEY not in json.dumps(found)


@pytest.mark.parametrize(
    ("masking", "query"),
    [
        ([], "api-version=2024-10-21&api-key=k"),
        ([{"value": "*", "mode": "Hide"}], ""),
        ([{"value": "api-key", "mode": "Hide"}], "api-version=2024-10-21"),
        ([{"value": "api-key", "mode": "Mask"}], "api-version=2024-10-21&api-key=%2A%2A%2A"),
    ],
)
def test_query_parameters_are_hidden_as_the_diagnostic_says(tmp_path, masking, query):
    async def calls(world):
        await world.call(path=f"{CHAT}&api-key=k")

    (found,) = logged(tmp_path, calls, masking=masking)[GATEWAY_LOGS]
    assert found["Url"].partition("?")[2] == query
    assert "k" not in found["BackendUrl"].partition("?")[2] or not masking


async def answers_with_usage(request):
    body = {"choices": [{"usage": 1}], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}
    body["usage"]["total_tokens"] = 7
    if request.query.get("stream"):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        last = {"choices": [], "usage": body["usage"]}
        for piece in (b'data: {"usage": null}\n\n', b"data: " + json.dumps(last).encode()):
            await response.write(piece)
        await response.write_eof()
        return response
    return web.json_response(body)


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_are_logged_of_whole_answers_and_of_streams(tmp_path, stream):
    async def calls(world):
        world.regions["foundry1"].respond = answers_with_usage
        await world.call(path=CHAT + ("&stream=1" if stream else ""), json={"model": "m"})

    tables = logged(tmp_path, calls)
    (found,) = tables[LLM_LOG]
    assert (found["PromptTokens"], found["CompletionTokens"], found["TotalTokens"]) == (3, 4, 7)
    assert (found["DeploymentName"], found["ModelName"]) == ("chat", "m")
    assert found["IsStreamCompletion"] is stream
    assert found["CorrelationId"] == tables[GATEWAY_LOGS][0]["CorrelationId"]


@pytest.mark.parametrize(
    ("setting", "gateway", "llm"),
    [
        ({"logs": [{"category": "GatewayLogs", "enabled": True}]}, 1, 0),
        ({"logs": [{"category": "GatewayLlmLogs", "enabled": True}]}, 0, 1),
        ({"logs": [{"category": "GatewayLogs", "enabled": False}]}, 0, 0),
        ({"logAnalyticsDestinationType": None}, 0, 0),
        ({"workspaceId": WORKSPACE + "2"}, 0, 0),
    ],
)
def test_only_what_a_setting_asks_for_is_written(tmp_path, setting, gateway, llm):
    async def calls(world):
        world.regions["foundry1"].respond = answers_with_usage
        await world.call()

    tables = logged(tmp_path, calls, setting=setting)
    assert (len(tables[GATEWAY_LOGS]), len(tables[LLM_LOG])) == (gateway, llm)


# -- alerts ---------------------------------------------------------------------------------------

SILENT = f"""
datatable(Host:string)['one.openai.azure.com', 'two.openai.azure.com']
| join kind=leftouter (
    {GATEWAY_LOGS} | summarize n = count() by Host = tostring(parse_url(BackendUrl).Host)
  ) on Host
| where coalesce(n, 0) == 0
| project Region = Host, Requests = coalesce(n, 0)
"""


class Rules:
    """Query rules over rows, by a clock; what a webhook is told."""

    def __init__(self, rows, folder):
        self.rows, self.folder, self.told = rows, folder, []
        self.resources = FakeResources()
        self.resources.put(WORKSPACE, {"properties": {"customerId": CUSTOMER}})
        self.resources.put(ALARM, LEAST[ALARM])
        self.open()

    def open(self):
        self.alerts = Alerts(
            self.resources, self.folder / "alerts.json", query=self.query, notify=self.notify
        )

    def rule(self, frequency="PT1H", window="PT1H", **properties):
        condition = {
            **LEAST[QUERY_RULE]["properties"]["criteria"]["allOf"][0],
            "query": SILENT,
            "dimensions": [{"name": "Region", "operator": "Include", "values": ["*"]}],
            **properties.pop("condition", {}),
        }
        its = {"evaluationFrequency": frequency, "windowSize": window, **properties}
        whole = {**LEAST[QUERY_RULE]["properties"], "criteria": {"allOf": [condition]}, **its}
        self.resources.put(QUERY_RULE, {"properties": whole})
        self.alerts.notice(START)

    def query(self, workspace, query, start, end):
        files = {table: self.rows.files(CUSTOMER, table) for table in (GATEWAY_LOGS, LLM_LOG)}
        return kql.run(query, files, start=start, end=end)

    async def notify(self, url, body):
        self.told.append((url, body))
        return "answered 200"

    def at(self, hours):
        asyncio.run(self.alerts.evaluate(START + hours * HOUR, ahead=0.0))
        return [(each.state, each.dimensions.get("Region")) for each in self.alerts.listed]


@pytest.fixture
def rules(rows, tmp_path):
    return Rules(rows, tmp_path)


def ask(rows, *hours, host="one.openai.azure.com"):
    for hour in hours:
        rows.append(CUSTOMER, GATEWAY_LOGS, row(hour, host))


TWO = "two.openai.azure.com"


def test_an_alert_fires_for_each_combination_and_tells_the_webhook(rules, rows):
    rules.rule(actions={"actionGroups": [ALARM], "customProperties": {"next": "look"}})
    ask(rows, 0.5)
    assert rules.at(0.9) == []
    assert rules.at(1) == [("Fired", TWO)]
    ((url, body),) = rules.told
    assert url == "http://127.0.0.1:1/"
    essentials, context = body["data"]["essentials"], body["data"]["alertContext"]
    assert (essentials["monitorCondition"], essentials["severity"]) == ("Fired", "Sev2")
    assert context["condition"]["allOf"][0]["dimensions"] == [{"name": "Region", "value": TWO}]
    assert body["data"]["customProperties"] == {"next": "look"}
    assert rules.alerts.listed[0].sent == ["Fired: webhook hook: answered 200"]


def test_a_stateful_alert_fires_once_and_resolves_after_two_hourly_evaluations(rules, rows):
    rules.rule(actions={"actionGroups": [ALARM]})
    ask(rows, 0.5, 1.5, 2.5, 3.5)
    ask(rows, 2.6, 3.6, host=TWO)
    assert rules.at(2) == [("Fired", TWO)]
    assert rules.at(3) == [("Fired", TWO)]
    assert rules.at(4) == [("Resolved", TWO)]
    assert [body["data"]["essentials"]["monitorCondition"] for _, body in rules.told] == [
        "Fired",
        "Resolved",
    ]


def test_what_was_resolved_fires_anew(rules, rows):
    rules.rule()
    ask(rows, 0.5, 1.5, 2.5, 3.5)
    ask(rows, 1.6, 2.6, host=TWO)
    assert rules.at(4) == [("Resolved", TWO), ("Fired", TWO)]


def test_a_stateless_rule_fires_each_time(rules, rows):
    rules.rule(autoMitigate=False)
    ask(rows, 0.5, 1.5)
    assert rules.at(2) == [("Fired", TWO), ("Fired", TWO)]


def test_two_of_two_periods_are_waited_for(rules, rows):
    periods = {"numberOfEvaluationPeriods": 2, "minFailingPeriodsToAlert": 2}
    rules.rule(condition={"failingPeriods": periods})
    ask(rows, 0.5, 1.5)
    assert rules.at(1) == []
    assert rules.at(2) == [("Fired", TWO)]


def test_the_windows_end_is_when_it_was_due(rules, rows):
    rules.rule(window="PT2H")
    ask(rows, 0.5)
    ask(rows, 0.6, host=TWO)
    assert rules.at(2) == []
    assert rules.at(3) == [("Fired", "one.openai.azure.com"), ("Fired", TWO)]


def test_a_measure_is_compared(rules, rows):
    rules.rule(
        condition={
            "query": f"{GATEWAY_LOGS} | summarize Failed = countif(ResponseCode >= 500) by Method",
            "dimensions": [],
            "timeAggregation": "Total",
            "metricMeasureColumn": "Failed",
            "threshold": 1,
        }
    )
    rows.append(CUSTOMER, GATEWAY_LOGS, row(0.5, status=503))
    assert rules.at(1) == []
    for _ in range(2):
        rows.append(CUSTOMER, GATEWAY_LOGS, row(1.5, status=503))
    assert rules.at(2) == [("Fired", None)]
    assert rules.alerts.listed[0].measure == 2


def test_a_count_below_its_threshold_is_one_of_no_rows(rules, rows):
    rules.rule(
        condition={
            "query": GATEWAY_LOGS,
            "dimensions": [],
            "operator": "LessThanOrEqual",
        }
    )
    ask(rows, 0.5)
    assert rules.at(1) == []
    assert rules.at(2) == [("Fired", None)]


def test_a_table_that_is_not_there_yet_fires_nothing_and_is_told(rules):
    rules.rule()
    assert rules.at(1) == []
    assert GATEWAY_LOGS in rules.alerts.errors["silent"]


def test_a_measure_that_is_no_number_is_told_and_stops_no_other_rule(rules, rows):
    measured = {"timeAggregation": "Total", "metricMeasureColumn": "Region", "threshold": 1}
    rules.rule(condition=measured)
    ask(rows, 0.5)
    assert rules.at(1) == []
    assert "two.openai.azure.com" in rules.alerts.errors["silent"]
    assert rules.folder.joinpath("alerts.json").exists()


def test_a_rule_that_is_off_or_gone_is_not_evaluated(rules, rows):
    rules.rule(enabled=False)
    ask(rows, 0.5)
    assert rules.at(1) == []
    rules.resources.remove(QUERY_RULE)
    assert rules.at(2) == []


def test_what_fired_is_known_after_a_restart(rules, rows):
    rules.rule()
    ask(rows, 0.5, 1.5, 2.5)
    ask(rows, 1.6, 2.6, host=TWO)
    assert rules.at(1) == [("Fired", TWO)]
    rules.open()
    assert rules.at(3) == [("Resolved", TWO)]


def test_a_clock_goes_forward_only():
    clock = Clock(wall=lambda: 1.0)
    clock.move(5)
    assert clock.now() == 6
    with pytest.raises(ValueError, match="0 to 400 days"):
        clock.move(-1)


# -- over HTTP ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def azure(tmp_path_factory):
    """A running local Azure with a workspace."""
    state = tmp_path_factory.mktemp("monitor")
    with server.running(state, server.Options(port=0, https_port=0, provisioning_seconds=0)) as url:
        headers = authorization(state)
        with httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
            for path in (GROUP, WORKSPACE):
                params = {"api-version": version_of(path)}
                client.put(path, params=params, json=LEAST[path]).raise_for_status()
            yield client, state


def customer(client):
    answer = client.get(WORKSPACE, params={"api-version": version_of(WORKSPACE)})
    return answer.json()["properties"]["customerId"]


def queried(azure, query="print n = 1", **more):
    client, state = azure
    headers = {"Authorization": f"Bearer {signing_in(state)(LOG_ANALYTICS)}"}
    path = f"/v1/workspaces/{more.pop('workspace', customer(client))}/query"
    headers |= more.pop("headers", {})
    return client.post(path, headers=headers, json={"query": query, **more})


def test_an_answer_has_log_analytics_form(azure):
    answer = queried(azure, "print n = 1, t = datetime(2027-01-01), s = 'x', d = dynamic({'a': 1})")
    (table,) = answer.json()["tables"]
    assert table["name"] == "PrimaryResult"
    kinds = {each["name"]: each["type"] for each in table["columns"]}
    assert kinds == {"n": "long", "t": "datetime", "s": "string", "d": "dynamic"}
    assert table["rows"] == [[1, "2027-01-01T00:00:00Z", "x", '{"a":1}']]


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"workspace": CUSTOMER}, 404, "WorkspaceNotFoundError"),
        ({"headers": {"Authorization": "Bearer no"}}, 401, "InvalidTokenError"),
        ({"query": ""}, 400, "BadArgumentError"),
        ({"query": "Nothing"}, 400, "BadArgumentError"),
        ({"timespan": "yesterday"}, 400, "BadArgumentError"),
        ({"timespan": "P1D/now"}, 400, "BadArgumentError"),
    ],
)
def test_what_log_analytics_refuses(azure, more, status, code):
    answer = queried(azure, **more)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    "span", ["PT1H", "2027-01-01/P1D", "P1D/2027-01-02T00:00Z", "2027-01-01/2028-01-01"]
)
def test_spans_are_read_in_every_form(azure, span):
    assert queried(azure, timespan=span).status_code == 200


def test_who_may_not_read_the_workspace_may_not_query(azure):
    _, state = azure
    tokens = Tokens(bytes.fromhex(Secrets.of(state).signing_key))
    stranger = tokens.issue("00000000-0000-0000-0000-00000000dead", LOG_ANALYTICS)
    answer = queried(azure, headers={"Authorization": f"Bearer {stranger}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "InsufficientAccessError")


def test_microsofts_client_queries_it_unchanged(azure, monkeypatch):
    client, state = azure
    server_ = find_server(state)
    found = client.get("/metadata/endpoints", params={"api-version": "2023-11-01"}).json()
    assert found["logAnalyticsResourceId"] == server_.endpoint

    class Signed:
        def get_token(self, *scopes, **_):
            assert scopes == (f"{server_.endpoint}/.default",)
            return AccessToken(signing_in(state)(LOG_ANALYTICS), 2**33)

    with LogsQueryClient(Signed(), endpoint=server_.endpoint) as logs:
        answer = logs.query_workspace(
            customer(client),
            "print Region = 'East US', Requests = 3",
            timespan=timedelta(hours=1),
            enforce_https=False,
        )
    assert answer.status == LogsQueryStatus.SUCCESS
    assert [tuple(row) for row in answer.tables[0].rows] == [("East US", 3)]


def test_the_clock_moves_on_request_and_alerts_are_listed(azure):
    client, _ = azure
    before = client.get(PATH).json()
    after = client.post(PATH, json={"in": "PT3H"}).json()
    moved = datetime.fromisoformat(after["now"]) - datetime.fromisoformat(before["now"])
    assert timedelta(hours=3) <= moved < timedelta(hours=3, minutes=1)
    assert after["alerts"] == []
    assert client.post(PATH, json={"in": "soon"}).status_code == 400
    assert client.get(PATH, headers={"Authorization": ""}).status_code == 401


@contextmanager
def hook():
    """A webhook on loopback; gives its url and what it was sent."""
    told = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(302 if self.path == "/elsewhere" else 202)
            self.send_header("Location", "/")
            self.end_headers()

        def log_message(self, *_):
            pass

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.server_port}/", told
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


def test_a_webhook_on_loopback_is_called_and_no_other():
    with hook() as (url, told):
        assert asyncio.run(_notify(url, {"a": 1})) == "answered 202"
        assert told == [{"a": 1}]
        assert asyncio.run(_notify(f"{url}elsewhere", {"a": 2})) == "answered 302"
        assert len(told) == 2
    assert "not on loopback" in asyncio.run(_notify("https://example.com/", {}))
    assert "failed" in asyncio.run(_notify(url, {}))
