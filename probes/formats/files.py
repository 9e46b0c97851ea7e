"""Writes a report's files whole or not at all."""

import os
import tempfile
from pathlib import Path

from probes.exit_codes import InputError


def check(path: str, flag: str) -> None:
    """Refuse a file that could not be written, before any request is sent. Raises InputError."""
    target = Path(path)
    if target.is_dir():
        raise InputError(f"{flag} {path}: is a folder; name a file")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise InputError(f"{flag} {path}: the folder {target.parent} is missing or not writable")


def write(path: str, text: str) -> None:
    """Replace a file by a whole new one, or leave the old one. Raises InputError."""
    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            umask = os.umask(0)
            os.umask(umask)
            Path(name).chmod(0o666 & ~umask)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unwritable(path, error) from None


def append(path: str, text: str) -> None:
    """Add to a file's end. Raises InputError."""
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: str, error: OSError) -> InputError:
    return InputError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}")
