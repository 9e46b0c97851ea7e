"""What the alarm's queries find, executed over tables of the gateway's log.

KQL is translated for DuckDB by a library that is not Azure's: what it cannot run it refuses. That
Azure's own restrictions on alert queries are kept is checked by their words.
"""

import inspect
import re
import shutil
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import duckdb
import duckdb_kql
import pytest

from components import queries
from components.contract import Backend
from components.queries import fill

SERVICE = "/subscriptions/S/resourceGroups/rg/providers/Microsoft.ApiManagement/service/apim-a"
REGIONS = {"foundry1": "UK South", "foundry2": "East US", "foundry3": "Norway East"}
ROUND, INCIDENT = [(1, 1)] * 3, [(1, 100), (2, 50), (2, 50)]
NOON = datetime(2026, 11, 1, 12, 5)  # noqa: DTZ001 - DuckDB has UTC
HOUR = timedelta(hours=1)
FIRST, SECOND, THIRD = (f"{region} ({name})" for name, region in REGIONS.items())
NAMES = (
    "starved",
    "ceiling",
    "no_region_answers",
    "no_logs",
    "counts",
    "counts_by_hour",
    "verdict",
    "shares_over_time",
    "latency",
    "failures",
    "tokens",
    "retries",
)


@dataclass
class Log:
    """The two tables, with the columns of Azure's that queries may name, and some besides."""

    connection: duckdb.DuckDBPyConnection = field(default_factory=duckdb_kql.connect)
    rows: int = 0

    def __post_init__(self):
        self.connection.execute(
            "CREATE TABLE ApiManagementGatewayLogs (TimeGenerated TIMESTAMP, CorrelationId VARCHAR,"
            " ApiId VARCHAR, OperationId VARCHAR, BackendId VARCHAR, BackendUrl VARCHAR, Region"
            " VARCHAR, ResponseCode INTEGER, BackendResponseCode INTEGER, BackendTime BIGINT,"
            " TotalTime BIGINT, ResponseHeaders JSON, _ResourceId VARCHAR)"
        )
        self.connection.execute(
            "CREATE TABLE ApiManagementGatewayLlmLog (TimeGenerated TIMESTAMP, CorrelationId"
            " VARCHAR, TotalTokens BIGINT, _ResourceId VARCHAR)"
        )

    def add(self, backend, count=1, code=200, at=NOON, *, attempts=1, took=90, tokens=0, **other):
        """Log some requests: `other` may name the `service` and the `api`, and count `steps`."""
        steps = f', "x-backend-steps": "{other["steps"]}"' if "steps" in other else ""
        url = f"https://{backend}-a.OpenAI.azure.com/openai/deployments/chat" if backend else ""
        service = other.get("service", SERVICE.lower())  # as Azure writes it
        self.connection.execute(
            "INSERT INTO ApiManagementGatewayLogs SELECT ?, 'call-' || (? + range), ?, 'chat',"
            " 'inference-backend-pool', ?, 'West Europe', ?, ?, ?, ?, ?, ? FROM range(?)",
            [
                at,
                self.rows,
                other.get("api", "inference"),
                url,
                code,
                code,
                took,
                took + 5,
                f'{{"x-backend-attempts": "{attempts}"{steps}}}',
                service,
                count,
            ],
        )
        if tokens:
            self.connection.execute(
                "INSERT INTO ApiManagementGatewayLlmLog"
                " SELECT ?, 'call-' || (? + range), ?, ? FROM range(?)",
                [at, self.rows, tokens, service, count],
            )
        self.rows += count
        return self

    def answered(self, *counts, **more):
        for backend, count in zip(REGIONS, counts, strict=True):
            self.add(backend, count, **more)
        return self

    def ask(self, name, *, numbers=ROUND, accept=(), below=0.25, ceiling=0.7):
        text = filled(name, numbers, accept, below, ceiling)
        result = duckdb_kql.query(self.connection, text)
        return [dict(zip(result.columns, row, strict=True)) for row in result.fetchall()]

    def regions(self, name, **more):
        return [row["Region"] for row in self.ask(name, **more)]


def filled(name, numbers=ROUND, accept=(), below=0.25, ceiling=0.7):
    declared = [
        Backend(
            id=key,
            location="",
            region=region,
            url=f"https://{key}-a.openai.azure.com/openai",
            priority=priority,
            weight=weight,
        )
        for (key, region), (priority, weight) in zip(REGIONS.items(), numbers, strict=True)
    ]
    return fill(
        name,
        service=SERVICE,
        backends=declared,
        accept_starved=accept,
        starved_below=below,
        ceiling=ceiling,
        grain="1h",
    )


@pytest.fixture
def log():
    return Log()


def test_the_incident_starves_two_regions_and_lifts_one_above_the_ceiling(log):
    log.answered(60, 0, 0)
    assert log.ask("starved") == [
        {"Region": SECOND, "Expected": "33.3 %", "Share": 0.0, "Requests": 60},
        {"Region": THIRD, "Expected": "33.3 %", "Share": 0.0, "Requests": 60},
    ]
    assert log.ask("ceiling") == [
        {"Region": FIRST, "Expected": "33.3 %", "Share": 100.0, "Requests": 60}
    ]


def test_a_round_robin_rings_nothing(log):
    log.answered(21, 20, 19)
    assert log.ask("starved") == log.ask("ceiling") == []
    assert {row["Verdict"] for row in log.ask("verdict")} == {"no alarm"}


@pytest.mark.parametrize(("others", "rings"), [(11, False), (12, True)])
def test_silence_is_no_chance_from_23_requests_on(log, others, rings):
    # (2/3)^22 is more than 1 of 10,000, (2/3)^23 is less.
    log.answered(others, 11, 0)
    assert log.regions("starved") == [THIRD] * rings


@pytest.mark.parametrize(("few", "rings"), [(24, True), (25, False)])
def test_a_region_is_starved_below_a_quarter_of_its_share(log, few, rings):
    # Of 300 a third is 100.
    log.answered(150, 150 - few, few)
    assert log.regions("starved") == [THIRD] * rings


def test_how_much_is_too_little_and_too_much_is_the_config_s(log):
    log.answered(120, 80, 40)
    assert log.regions("starved", below=0.6) == [THIRD]
    assert log.regions("ceiling", ceiling=0.45) == [FIRST]
    assert log.regions("starved") == log.regions("ceiling") == []


@pytest.mark.parametrize(("first", "rings"), [(210, False), (211, True)])
def test_a_region_is_above_the_ceiling_by_more_than_that(log, first, rings):
    log.answered(first, 300 - first - 30, 30)
    assert log.regions("ceiling") == [FIRST] * rings


def test_all_in_one_region_is_no_chance_from_9_requests_on(log):
    log.answered(8, 0, 0)
    assert log.regions("ceiling") == []
    log.answered(1, 0, 0)
    assert log.regions("ceiling") == [FIRST]


def test_chance_is_measured_by_what_is_declared(log):
    # Of 60 requests, none for who should get a tenth is chance, in 2 of 1,000 cases.
    weighted = [(1, 80), (1, 10), (1, 10)]
    log.answered(50, 10, 0)
    assert log.regions("starved", numbers=weighted) == []
    log.answered(50, 10, 0)
    assert log.ask("starved", numbers=weighted) == [
        {"Region": THIRD, "Expected": "10.0 %", "Share": 0.0, "Requests": 120}
    ]


def test_a_share_that_is_declared_above_the_ceiling_rings_nothing(log):
    log.answered(80, 10, 10)
    assert log.regions("ceiling", numbers=[(1, 80), (1, 10), (1, 10)]) == []
    assert log.regions("ceiling", numbers=ROUND) == [FIRST]


def test_what_is_starved_by_declaration_is_told_as_such_unless_it_is_accepted(log):
    log.answered(60, 0, 0)
    by_declaration = {"Expected": "0.0 %, starved by declaration", "Share": 0.0, "Requests": 60}
    assert log.ask("starved", numbers=INCIDENT) == [
        {"Region": SECOND, **by_declaration},
        {"Region": THIRD, **by_declaration},
    ]
    accepted = log.regions("starved", numbers=INCIDENT, accept=["foundry2"])
    assert accepted == [THIRD]
    assert log.regions("ceiling", numbers=INCIDENT) == []


def test_a_preferred_region_that_is_silent_rings_both(log):
    log.answered(0, 30, 30)
    both = {"numbers": INCIDENT, "accept": ["foundry2", "foundry3"]}
    assert log.regions("starved", **both) == [FIRST]
    log.answered(0, 300, 0)
    assert log.regions("ceiling", **both) == [SECOND]


@pytest.mark.parametrize("code", [401, 429, 500, 503])
def test_what_is_no_answer_feeds_no_region(log, code):
    log.answered(30, 30, 0).add("foundry3", 60, code)
    assert log.regions("starved") == [THIRD]


def test_what_is_another_s_is_not_counted(log):
    log.answered(30, 30, 0)
    log.add("foundry3", 60, service=SERVICE.replace("apim-a", "apim-b"))
    log.add("foundry3", 60, api="billing")
    log.add("foundry9", 600)
    assert log.ask("starved") == [
        {"Region": THIRD, "Expected": "33.3 %", "Share": 0.0, "Requests": 60}
    ]


@pytest.mark.parametrize("name", ["starved", "ceiling"])
def test_a_long_conversation_is_no_imbalance_and_hides_none(log, name):
    log.answered(21, 20, 19)
    log.add("foundry1", 400, steps=1)
    assert log.ask(name) == []
    shares = {row["Region"]: row["Share"] for row in log.ask("shares_over_time")}
    assert shares == {FIRST: 35.0, SECOND: 33.3, THIRD: 31.7}
    counts = {row["Backend"]: row["Requests"] for row in log.ask("counts")}
    assert counts == {"foundry1": 21, "foundry2": 20, "foundry3": 19}
    # Nor do a region's own conversations make up for new ones that it does not get.
    silent = Log()
    silent.answered(30, 30, 0)
    silent.add("foundry3", 400, steps=2)
    assert silent.regions("starved") == [THIRD]


def test_without_traffic_no_region_is_starved_and_none_is_above(log):
    assert log.ask("starved") == log.ask("ceiling") == []
    assert {row["Verdict"] for row in log.ask("verdict")} == {"no answered requests yet"}


@pytest.mark.parametrize(
    ("failed", "answered", "rings"), [(4, 0, False), (5, 95, True), (5, 96, False)]
)
def test_no_region_answers_from_five_requests_and_five_percent_on(log, failed, answered, rings):
    log.add("foundry1", answered).add("", failed, 503)
    share = {"Share": 5.0, "Failed": 5, "Requests": 100}
    assert log.ask("no_region_answers") == [share] * rings


@pytest.mark.parametrize(
    ("backend", "code", "counts"),
    [
        ("", 503, True),
        ("", 504, True),
        ("foundry1", 500, True),
        ("foundry1", 429, True),
        ("foundry1", 401, True),
        ("foundry1", 403, True),
        ("", 401, False),
        ("", 429, False),
        ("foundry1", 400, False),
        ("foundry1", 404, False),
    ],
)
def test_what_the_gateway_says_of_the_client_is_no_failure_of_the_regions(
    log, backend, code, counts
):
    log.add(backend, 5, code)
    assert len(log.ask("no_region_answers")) == counts


def test_no_logs_is_a_row_while_there_are_none(log):
    log.add("foundry1", service="/another")
    assert log.ask("no_logs") == [{"Requests": 0}]
    log.add("", 1, 503)
    assert log.ask("no_logs") == []


def test_counts_have_a_row_for_each_declared_region(log):
    log.add("foundry1", 7, took=1000).add("foundry1", 1, took=3000, attempts=2)
    log.add("foundry1", 2, 429, took=9, attempts=3).add("foundry2", 3, 429)
    log.add("foundry2", 1, 500, attempts=6).add("foundry2", 1, 404).add("", 1, 400)
    log.add("foundry3", 1, 400, took=500)  # the region has looked at the request
    keys = ("Backend", "Requests", "Throttled", "Failed", "Retried", "Seconds")
    assert [tuple(row[key] for key in keys) for row in log.ask("counts")] == [
        ("foundry1", 8, 2, 0, 1, 1.25),
        ("foundry2", 0, 3, 2, 0, None),
        ("foundry3", 1, 0, 0, 0, 0.5),
    ]


def test_counts_by_hour_say_since_when_a_region_is_silent(log):
    log.answered(3, 3, 3).answered(9, 0, 0, at=NOON + 2 * HOUR).add("", 1, 503, NOON + HOUR)
    log.add("foundry3", 2, 429, NOON + HOUR).add("foundry3", 1, 500, NOON + HOUR)
    asked = log.ask("counts_by_hour")
    assert [(row["Hour"].hour, row["Backend"][-1], row["Requests"]) for row in asked] == [
        *((12, each, 3) for each in "123"),
        *((13, each, 0) for each in "123"),
        *((14, each, count) for each, count in zip("123", (9, 0, 0), strict=True)),
    ]
    others = {(row["Hour"].hour, row["Throttled"], row["Failed"]) for row in asked}
    assert others == {(12, 0, 0), (13, 0, 0), (13, 2, 1), (14, 0, 0)}


def test_the_verdict_begins_with_what_has_least(log):
    log.answered(90, 10, 0)
    assert [(row["Region"], row["Verdict"]) for row in log.ask("verdict")] == [
        (THIRD, "STARVED"),
        (SECOND, "no alarm"),
        (FIRST, "ABOVE THE CEILING"),
    ]
    accepted = log.ask("verdict", numbers=INCIDENT, accept=["foundry2", "foundry3"])
    assert {row["Verdict"] for row in accepted} == {"no alarm"}


def test_of_few_requests_the_verdict_says_so(log):
    log.answered(8, 8, 6)
    assert {row["Verdict"] for row in log.ask("verdict")} == {"too few requests to tell"}
    log.answered(0, 0, 1)
    assert {row["Verdict"] for row in log.ask("verdict")} == {"no alarm"}


def test_the_chart_of_shares_has_zeros_where_a_region_is_silent(log):
    log.answered(1, 1, 2).answered(5, 0, 0, at=NOON + HOUR).add("foundry2", 9, 429)
    assert [
        (row["TimeGenerated"].hour, row["Region"], row["Share"])
        for row in log.ask("shares_over_time")
    ] == [
        (12, SECOND, 25.0),
        (12, THIRD, 50.0),
        (12, FIRST, 25.0),
        (13, SECOND, 0.0),
        (13, THIRD, 0.0),
        (13, FIRST, 100.0),
    ]


def test_latency_is_of_answers_and_by_region(log):
    for took in range(1, 101):
        log.add("foundry2", took=took)
    log.add("foundry2", 100, 429, took=9000)
    (row,) = log.ask("latency")
    assert row["Region"] == SECOND
    assert row["Median"] == pytest.approx(50, abs=1)
    assert row["Slowest"] == pytest.approx(95, abs=1)


def test_failures_are_by_region_and_kind(log):
    log.add("foundry2", 3, 429).add("foundry2", 2, 500).add("foundry3", 1, 404).add("", 4, 503)
    log.add("foundry1", 9).add("foundry3", 2, 400)
    assert [(row["Series"], row["Requests"]) for row in log.ask("failures")] == [
        (f"{SECOND}, failed", 2),
        (f"{SECOND}, throttled", 3),
        (f"{THIRD}, refused", 1),
        ("no region, failed", 4),
    ]


def test_tokens_are_the_region_s_that_answered_once_for_each_request(log):
    log.add("foundry2", 2, tokens=70).add("foundry1", 1, tokens=5)
    log.connection.execute(
        "INSERT INTO ApiManagementGatewayLlmLog SELECT * REPLACE (3 AS TotalTokens)"
        " FROM ApiManagementGatewayLlmLog"
    )
    asked = [(row["Region"], row["Tokens"]) for row in log.ask("tokens")]
    assert asked == [(SECOND, 140), (FIRST, 5)]


def test_retries_are_told_by_the_header_of_the_policy(log):
    log.add("foundry1", 3).add("foundry2", 1, attempts=3)
    log.connection.execute(
        "INSERT INTO ApiManagementGatewayLogs SELECT * REPLACE ('{}' AS ResponseHeaders)"
        " FROM ApiManagementGatewayLogs"
    )
    (row,) = log.ask("retries")
    assert (row["Retried"], row["Attempts"], row["Requests"]) == (25.0, 6, 4)


@pytest.mark.parametrize("name", NAMES)
def test_azure_takes_the_query_in_an_alert_rule(name):
    # Azure Monitor, "Create or edit a log search alert rule", "Optimize log search alert queries"
    text = re.sub(r"//.*", "", filled(name))
    assert "{{" not in text
    words = set(re.findall(r"\w+", text))
    assert not words & {
        "union",
        "search",
        "take",
        "limit",
        "bag_unpack",
        "pivot",
        "narrow",
        "AggregatedValue",
        "ago",  # the rule's window, or the caller's timespan, is what limits the time
        "now",
        "ingestion_time",
    }
    assert "ApiManagementGatewayLogs" in words
    assert len(text) < 10_000  # of the 64 KB that a rule may have


def test_texts_are_data_in_a_query():
    text = fill("counts", service='x" or 1 == 1 //', backends=[])
    assert r'_ResourceId =~ "x\" or 1 == 1 //"' in text


# Are these tests worth anything? Each comparison turned round must make one of them fail.

TURNED = {"<": ">", ">": "<", "<=": ">", ">=": "<", "==": "!=", "!=": "==", "=~": "!~"}
TURNED |= {"and": "or", "or": "and"}


def comparisons():
    for file in sorted(queries._FOLDER.glob("*.kql")):
        for number, line in enumerate(file.read_text("utf-8").splitlines()):
            for found in re.finditer(r" (<=?|>=?|==|!=|=~|and|or) ", line.partition("//")[0]):
                yield file.stem, number, found.span(1), found[1]


def checks():
    """Every test above, with each of its parameters."""
    for function in [each for name, each in globals().items() if name.startswith("test_")]:
        if "log" not in inspect.signature(function).parameters:
            continue
        marks = [each.args for each in getattr(function, "pytestmark", ())]
        names, values = marks[0] if marks else ((), [()])
        for each in values:
            named = {names: each} if isinstance(names, str) else dict(zip(names, each, strict=True))
            yield partial(function, **named)


def fails(check):
    try:
        check(log=Log())
    except (AssertionError, duckdb_kql.KqlError, duckdb.Error, ValueError):
        return True
    return False


@pytest.mark.thorough
@pytest.mark.parametrize(
    "comparison",
    [
        pytest.param(each, id=f"{each[0]}-line{each[1] + 1}-{each[2][0]}-{each[3]}")
        for each in comparisons()
    ],
)
def test_a_comparison_turned_round_is_noticed(tmp_path, monkeypatch, comparison):
    file, number, span, old = comparison
    folder = shutil.copytree(queries._FOLDER, tmp_path / "queries")
    lines = (folder / f"{file}.kql").read_text("utf-8").splitlines()
    line = lines[number]
    lines[number] = line[: span[0]] + TURNED[old] + line[span[1] :]
    (folder / f"{file}.kql").write_text("\n".join(lines), "utf-8")
    monkeypatch.setattr(queries, "_FOLDER", folder)
    those = sorted(checks(), key=lambda check: file not in check.func.__code__.co_consts)
    assert any(map(fails, those)), lines[number]
