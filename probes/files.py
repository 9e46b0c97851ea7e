"""Reads what is given up to a limit, and writes a report's files whole or not at all."""

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from probes.exit_codes import InputError


def read(path: str, limit: int, name: str, *, missing: str = "", excess: str) -> bytes:
    """Read a file, or standard input for `-`, of at most `limit` bytes. Raises InputError."""
    try:
        with nullcontext(sys.stdin.buffer) if path == "-" else Path(path).open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise InputError(f"{name}: {(error.strerror or str(error)).lower()}{missing}") from None
    if len(data) > limit:
        raise InputError(f"{name}: more than {limit:,} bytes{excess}")
    return data


def check(path: str, flag: str) -> None:
    """Refuse a file that could not be written, before any request is sent. Raises InputError."""
    target = Path(path)
    if target.is_dir():
        raise InputError(f"--{flag} {path}: is a folder; name a file")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise InputError(f"--{flag} {path}: the folder {target.parent} is missing or not writable")


def write(path: str, text: str) -> None:
    """Replace a file by a whole new one, or leave the old one. Raises InputError."""
    new = Path(path).with_name(f".{Path(path).name}.{secrets.token_hex(4)}")
    with _told(path):
        try:
            with new.open("x", encoding="utf-8") as file:
                file.write(text)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)


def append(path: str, text: str) -> None:
    """Add to a file's end. Raises InputError."""
    with _told(path), Path(path).open("a", encoding="utf-8") as file:
        file.write(text)


@contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{path} cannot be written: {reason}") from None
