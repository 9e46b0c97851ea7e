"""Queries over a workspace's rows: KQL, by a library that translates it for DuckDB.

What the library cannot translate is refused by name, as a limit of the local Azure.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from local_azure.monitor.tables import COLUMNS

if TYPE_CHECKING:
    import duckdb

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

    connection = duckdb_kql.connect()
    try:
        for table, its in files.items():
            if its:
                _load(connection, table, its, start, end)
        return _answer(duckdb_kql.query(connection, query))
    except duckdb_kql.KqlUnsupportedError as error:
        raise QueryError(f"{error}: the local Azure cannot run this part of KQL") from None
    except duckdb_kql.KqlSyntaxError as error:
        raise QueryError(str(error), "SyntaxError") from None
    except (duckdb_kql.KqlError, duckdb.Error) as error:
        raise QueryError(str(error)) from None
    finally:
        connection.close()


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
