"""Queries over a workspace's rows: KQL, by a library that translates it for DuckDB.

What the library cannot translate is refused by name, as a limit of the local Azure.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from local_azure.monitor.tables import COLUMNS

if TYPE_CHECKING:
    import duckdb
    from duckdb_kql.translate import TranslationResult

_DUCKDB: Final = {
    "string": "VARCHAR",
    "datetime": "TIMESTAMP",
    "int": "INTEGER",
    "long": "BIGINT",
    "real": "DOUBLE",
    "bool": "BOOLEAN",
    "dynamic": "JSON",
}
_KUSTO: Final = {
    "VARCHAR": "string",
    "TIMESTAMP": "datetime",
    "TIMESTAMP WITH TIME ZONE": "datetime",
    "INTEGER": "int",
    "BIGINT": "long",
    "HUGEINT": "long",
    "UBIGINT": "long",
    "DOUBLE": "real",
    "BOOLEAN": "bool",
    "JSON": "dynamic",
    "INTERVAL": "timespan",
}


_UNKNOWN: Final = re.compile(r"Table with name (\w+)|schema error for '(\w+)' \(unknown table")
_NOW: Final = "kqlnow"  # the library's name for the moment that `now()` is


class QueryError(Exception):
    """A query that cannot run; `code` is Log Analytics' for the inner error."""

    def __init__(self, message: str, code: str = "SemanticError") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The primary result: columns as pairs of name and KQL type, and rows in JSON's values."""

    columns: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Any]]

    def records(self) -> list[dict[str, Any]]:
        """Return the rows by column name."""
        names = [name for name, _ in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


def run(
    query: str, files: Mapping[str, Sequence[Path]], *, start: float = -math.inf, end: float
) -> Answer:
    """Run a query over the rows from `start` to `end`, in seconds since the epoch.

    `files` has those of each table; a table without any is unknown, as one that nothing was ever
    written to is to Azure. Raises QueryError.
    """
    import duckdb  # noqa: PLC0415 - large, and needed by who asks alone
    import duckdb_kql  # noqa: PLC0415

    tables = tuple(table for table, its in files.items() if its)
    connection = duckdb_kql.connect()
    try:
        sql = _translated(query, tables)
        for table in tables:
            if table in sql:
                _load(connection, table, files[table], start, end)
        connection.execute("SET enable_external_access = false")  # a query reads no other file
        bound = {**sql.parameters}
        if _NOW in bound:
            bound[_NOW] = _moment(end)
        return _answer(connection.sql(sql, params=bound) if bound else connection.sql(sql))
    except duckdb_kql.KqlUnsupportedError as error:
        raise QueryError(f"{error}: the local Azure cannot run this part of KQL") from None
    except duckdb_kql.KqlSyntaxError as error:
        raise QueryError(str(error), "SyntaxError") from None
    except (duckdb_kql.KqlError, duckdb.Error) as error:
        unknown = _UNKNOWN.search(str(error))
        raise QueryError(
            f"Failed to resolve table or column expression named '{unknown[1] or unknown[2]}'"
            if unknown
            else str(error)
        ) from None
    finally:
        connection.close()


@lru_cache(maxsize=256)
def _translated(query: str, tables: tuple[str, ...]) -> "TranslationResult":
    """Return a query as SQL: rules ask the same again and again."""
    import duckdb_kql  # noqa: PLC0415

    return duckdb_kql.to_sql(
        query,
        schema={table: [*COLUMNS[table]] for table in tables},
        allow_write=False,
        query_now=_moment(0),
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _load(
    connection: "duckdb.DuckDBPyConnection",
    table: str,
    files: Sequence[Path],
    start: float,
    end: float,
) -> None:
    columns = ", ".join(f"{_quoted(c)}: '{_DUCKDB[kind]}'" for c, kind in COLUMNS[table].items())
    names = ", ".join(_quoted(str(file)) for file in files)
    read = f"read_json([{names}], columns = {{{columns}}}, format = 'newline_delimited')"
    time = "epoch(TimeGenerated)"
    connection.execute(
        f'CREATE TABLE "{table}" AS SELECT * FROM {read} WHERE {time} >= ? AND {time} < ?',  # noqa: S608 - all ours
        [max(start, 0.0), end],
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _answer(result: "duckdb.DuckDBPyRelation") -> Answer:
    kinds = [_KUSTO.get(str(each), "dynamic") for each in result.types]
    return Answer(
        columns=[*zip(result.columns, kinds, strict=True)],
        rows=[
            [_value(value, kind) for value, kind in zip(row, kinds, strict=True)]
            for row in result.fetchall()
        ],
    )


def _value(value: Any, kind: str) -> Any:
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if kind == "dynamic" and not isinstance(value, str):
        return json.dumps(value, default=str)
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    return str(value) if kind == "timespan" else value
