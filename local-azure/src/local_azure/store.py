"""What is deployed to the local Azure: in memory for reading, in SQLite for keeping.

Reading costs no query: `Store` holds one immutable picture of everything, and a committed change
replaces it. Writing is one SQLite transaction a change, so that a process killed at any moment
leaves the change whole or absent.
"""

import base64
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any, Protocol

from local_azure.local import open_private

SCHEMA_VERSION = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS resources (
    key TEXT NOT NULL,       -- the id in lower case
    kept_by TEXT NOT NULL,   -- '' = live, else the key of the soft-delete record that keeps it
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    body TEXT NOT NULL,
    etag TEXT NOT NULL,
    pending TEXT NOT NULL,
    ready_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    secrets TEXT NOT NULL,
    PRIMARY KEY (key, kept_by)
);
CREATE TABLE IF NOT EXISTS revision (number INTEGER NOT NULL);
INSERT INTO revision SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM revision);
"""


class StoreError(Exception):
    """The state file cannot be used; the message says which and what to do."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One Azure resource.

    `id` has the casing of the request that created it; look-ups ignore case.
    `body` is what GET returns once the resource is provisioned.
    Until `ready_at` (wall time in seconds) its provisioning state is `pending`.
    From `expires_at` on it counts as gone.
    """

    id: str
    type: str
    body: Mapping[str, Any]
    etag: str
    pending: str = ""
    ready_at: float = 0.0
    expires_at: float = inf


class Resources(Protocol):
    """The read side; data planes depend on nothing else."""

    @property
    def revision(self) -> int:
        """Grow with every committed change: the key for caches of compiled configuration."""

    def get(self, resource_id: str) -> Resource | None:
        """Return a resource by its full id, whatever the casing."""

    def list(self, type: str, under: str = "") -> list[Resource]:  # noqa: A002 - Azure's word
        """Return the resources of a type at or below the id `under`, in order of creation."""

    def secrets(self, resource_id: str) -> Mapping[str, str]:
        """Return the keys of a subscription or an account; empty when it has none."""


@dataclass(frozen=True, kw_only=True)
class _Row:
    resource: Resource
    secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class View:
    """Everything at one revision, by id in lower case. It never changes once it is published.

    `live` is what exists; `kept` is what soft-delete records keep, by the record's id.
    """

    revision: int
    live: dict[str, _Row]
    kept: dict[str, dict[str, _Row]]

    def get(self, resource_id: str) -> Resource | None:
        """Return a resource by its full id, whatever the casing."""
        row = self.live.get(resource_id.lower())
        return row.resource if row else None

    def list(self, type: str, under: str = "") -> list[Resource]:  # noqa: A002
        """Return the resources of a type at or below the id `under`, in order of creation."""
        wanted, scope = type.lower(), under.lower().rstrip("/")
        return [
            row.resource
            for key, row in self.live.items()
            if row.resource.type.lower() == wanted and _is_within(key, scope)
        ]

    def secrets(self, resource_id: str) -> Mapping[str, str]:
        """Return the keys of a resource; empty when it has none."""
        row = self.live.get(resource_id.lower())
        return row.secrets if row else {}

    def kept_by(self, record_id: str) -> tuple[Resource, ...]:
        """Return what a soft-delete record keeps."""
        return tuple(row.resource for row in self.kept.get(record_id.lower(), {}).values())


class Transaction(View):
    """Changes that are committed together, or not at all; it reads its own changes."""

    def __init__(self, connection: sqlite3.Connection, before: View) -> None:
        kept = {record: dict(rows) for record, rows in before.kept.items()}
        super().__init__(before.revision + 1, dict(before.live), kept)
        self._execute = connection.execute

    @property
    def etag(self) -> str:
        """The entity tag of what this transaction writes, in the form API Management gives it."""
        return f'"{base64.b64encode(self.revision.to_bytes(8)).decode()}"'

    def put(self, resource: Resource, secrets: Mapping[str, str] | None = None) -> None:
        """Create or replace a resource; without `secrets` it keeps those it has."""
        if secrets is None:
            secrets = self.secrets(resource.id)
        key = resource.id.lower()
        self.live[key] = _Row(resource=resource, secrets=secrets)
        self._execute(
            "INSERT INTO resources VALUES (?, '', ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET id = excluded.id, body = excluded.body,"
            " etag = excluded.etag, pending = excluded.pending, ready_at = excluded.ready_at,"
            " expires_at = excluded.expires_at, secrets = excluded.secrets",
            (
                key,
                resource.id,
                resource.type,
                json.dumps(resource.body),
                resource.etag,
                resource.pending,
                resource.ready_at,
                resource.expires_at,
                json.dumps(dict(secrets)),
            ),
        )

    def delete(self, resource_id: str) -> None:
        """Delete a resource, everything below it, and what any of these keeps."""
        for key in self._keys_within(resource_id):
            del self.live[key]
            self.kept.pop(key, None)
            self._execute(
                "DELETE FROM resources WHERE (key = ? AND kept_by = '') OR kept_by = ?", (key, key)
            )

    def keep(self, resource_id: str, record: Resource) -> None:
        """Put `record` and move a resource with all below it out of sight, into its keeping."""
        self.put(record, secrets={})
        record_key = record.id.lower()
        kept = self.kept.setdefault(record_key, {})
        for key in self._keys_within(resource_id):
            kept[key] = self.live.pop(key)
            self._execute(
                "UPDATE resources SET kept_by = ? WHERE key = ? AND kept_by = ''", (record_key, key)
            )

    def restore(self, record_id: str) -> None:
        """Bring back what a record keeps, and delete the record."""
        record_key = record_id.lower()
        self.live.update(self.kept.pop(record_key))
        self._execute("UPDATE resources SET kept_by = '' WHERE kept_by = ?", (record_key,))
        self.delete(record_id)

    def expire(self, now: float) -> None:
        """Delete what has expired by `now`."""
        for row in [row for row in self.live.values() if row.resource.expires_at <= now]:
            self.delete(row.resource.id)

    def _keys_within(self, resource_id: str) -> tuple[str, ...]:
        scope = resource_id.lower()
        return tuple(key for key in self.live if _is_within(key, scope))


class Store:
    """All resources, safe to use from several threads; one process at a time owns the file.

    Raises StoreError when the file is held by another process or is no state file.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # SQLite gives its side files the mode of the database: they hold keys too.
        open_private(path).close()
        path.chmod(0o600)
        self._writing = threading.RLock()
        self._connection = sqlite3.connect(
            path, timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            self._view = self._open()
        except sqlite3.Error as error:
            self._connection.close()
            raise StoreError(
                f"{path} cannot be used as the state of the local Azure: {error}."
                " Stop the process that has it open, or choose another state folder."
            ) from error

    @property
    def revision(self) -> int:
        """The number of the last committed change."""
        return self._view.revision

    def get(self, resource_id: str) -> Resource | None:
        """Return a resource by its full id, whatever the casing."""
        return self._view.get(resource_id)

    def list(self, type: str, under: str = "") -> list[Resource]:  # noqa: A002
        """Return the resources of a type at or below the id `under`, in order of creation."""
        return self._view.list(type, under)

    def secrets(self, resource_id: str) -> Mapping[str, str]:
        """Return the keys of a resource; empty when it has none."""
        return self._view.secrets(resource_id)

    def view(self) -> View:
        """Return everything as it is now, for several reads that have to agree."""
        return self._view

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Commit what the block changes when it ends, or nothing when it raises.

        Readers see the changes once they are committed, never before.
        """
        with self._writing:
            self._connection.execute("BEGIN IMMEDIATE")
            transaction = Transaction(self._connection, self._view)
            try:
                yield transaction
                self._connection.execute("UPDATE revision SET number = ?", (transaction.revision,))
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._view = View(transaction.revision, transaction.live, transaction.kept)

    def close(self) -> None:
        """Close the file; the store cannot be used afterwards."""
        self._connection.close()

    def _open(self) -> View:
        execute = self._connection.execute
        # What this process has cached would go stale if another one wrote.
        execute("PRAGMA locking_mode = EXCLUSIVE")
        execute("PRAGMA journal_mode = WAL")
        # A killed process loses nothing: the operating system has the log. Only a power cut
        # could take the last changes, and then whole ones.
        execute("PRAGMA synchronous = NORMAL")
        (version,) = execute("PRAGMA user_version").fetchone()
        if version not in (0, SCHEMA_VERSION):
            raise sqlite3.DatabaseError(f"it has version {version}, not {SCHEMA_VERSION}")
        self._connection.executescript(_TABLES)
        execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        (revision,) = execute("SELECT number FROM revision").fetchone()
        live: dict[str, _Row] = {}
        kept: dict[str, dict[str, _Row]] = {}
        self._connection.row_factory = sqlite3.Row
        for row in execute("SELECT * FROM resources ORDER BY rowid"):
            rows = kept.setdefault(row["kept_by"], {}) if row["kept_by"] else live
            rows[row["key"]] = _loaded(row)
        return View(revision, live, kept)


def _loaded(row: sqlite3.Row) -> _Row:
    resource = Resource(
        id=row["id"],
        type=row["type"],
        body=json.loads(row["body"]),
        etag=row["etag"],
        pending=row["pending"],
        ready_at=row["ready_at"],
        expires_at=row["expires_at"],
    )
    return _Row(resource=resource, secrets=json.loads(row["secrets"]))


def _is_within(key: str, scope: str) -> bool:
    return not scope or key == scope or key.startswith(f"{scope}/")
