"""Rows of workspaces: one file of JSON lines a table, appended as requests end.

Azure takes minutes to show a row; here it is there at once. A file that reaches `LARGEST` becomes
the older half, and the older half before it goes: what is kept is bounded.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

from local_azure.local import open_private

_ENCODE: Final = json.JSONEncoder(separators=(",", ":")).encode
LARGEST: Final = 64 * 1024 * 1024  # bytes of a file


class Rows:
    """The rows of all workspaces, in a folder: `<workspace>/<table>.jsonl` and `.old.jsonl`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[Path, IO[str]] = {}
        self._sizes: dict[Path, int] = {}

    def append(self, workspace: str, table: str, row: Mapping[str, Any]) -> None:
        """Add a row to a workspace, by its customer id."""
        path = self._folder / workspace / f"{table}.jsonl"
        file = self._open.get(path)
        if file is None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = self._open[path] = open_private(path)
            self._sizes[path] = file.seek(0, 2)
        line = _ENCODE(row) + "\n"  # of ASCII alone
        file.write(line)
        self._sizes[path] += len(line)  # to ask the file would write it each time
        if self._sizes[path] > LARGEST:
            self._open.pop(path).close()
            path.replace(_older(path))

    def files(self, workspace: str, table: str) -> list[Path]:
        """Return the files that hold a table's rows; none where nothing was ever written."""
        self.flush()
        path = self._folder / workspace / f"{table}.jsonl"
        return [each for each in (_older(path), path) if each.exists()]

    def flush(self) -> None:
        """Write what is still in memory."""
        for file in self._open.values():
            file.flush()

    def close(self) -> None:
        """Write and close all files."""
        for file in self._open.values():
            file.close()
        self._open.clear()


def _older(path: Path) -> Path:
    return path.with_suffix(".old.jsonl")
