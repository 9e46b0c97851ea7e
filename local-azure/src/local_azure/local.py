"""Where the local Azure lives: its ids, its state folder, and how a command finds the server.

The server holds a lock on `<state>/server.json` for as long as it lives, so that a file left by a
killed server is never mistaken for a running one.
"""

import contextlib
import fcntl
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

SUBSCRIPTION_ID = "00000000-0000-0000-0000-000000000000"
TENANT_ID = "00000000-0000-0000-0000-000000000001"
HOST = "127.0.0.1"
DEFAULT_PORT = 8700
# The HTTPS port beside Resource Manager's, unless it is given: two servers get along.
HTTPS_PORT_OFFSET = 43
STATE_VARIABLE = "LOCAL_AZURE_STATE"


class LocalAzureError(Exception):
    """What a user can mend: printed as one line, without a stack trace."""


def state_folder(flag: str | None = None) -> Path:
    """Return the state folder, made if needed, readable by its owner alone.

    The flag goes before the variable `LOCAL_AZURE_STATE`, that before `.local-azure` here.
    """
    folder = Path(flag or os.environ.get(STATE_VARIABLE) or ".local-azure").absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LocalAzureError(
            f"state folder {folder}: {error.strerror}; choose another with --state"
        ) from None
    return folder


def open_private(path: Path) -> IO[str]:
    """Open a file to read and write, made if needed; mode 0600."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    return os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace")


def write_private(path: Path, text: str, *, replace: bool = True) -> None:
    """Write a file as one step, its content on the disk before its name; mode 0600.

    Without `replace`, the first of several who write at the same time is the one whose file stays.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Who replaces holds the folder: one name, so that a killed writer's draft is used again.
    own = "" if replace else f".{secrets.token_hex(8)}"
    draft = path.with_name(f"{path.name}{own}.new")
    with open_private(draft) as file:
        file.truncate()
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if replace:
        draft.replace(path)
    else:
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def access_token(path: Path) -> str:
    """Return the token that a file holds; a new or empty file gets one. Raises LocalAzureError."""
    try:
        file = open_private(path)
    except OSError as error:
        raise LocalAzureError(f"access token file {path}: {error.strerror}") from None
    with file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise LocalAzureError(
                f"access token file {path}: others may read it; run `chmod 600 {path}`"
            )
        token = file.read().strip()
        if not token:
            token = secrets.token_urlsafe(32)
            file.write(f"{token}\n")
    if not re.fullmatch(r"[!-~]{32,4096}", token):
        raise LocalAzureError(
            f"access token file {path}: a token has 32 or more printable characters and no space;"
            " an empty file is given one"
        )
    return token


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server: its process, its Resource Manager, the ports of resource providers.

    `https_endpoint` is Resource Manager over TLS, on the port where every host name is answered.
    """

    pid: int
    endpoint: str
    https_endpoint: str = ""
    providers: Mapping[str, int] = field(default_factory=dict)


class ServerFile:
    """The running server's own hold on its state folder; a context manager."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        """Take hold of the folder. Raises LocalAzureError when another server has it."""
        self._file = open_private(_path(self._state))
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            other = find_server(self._state)
            who = f"by the server at {other.endpoint} (pid {other.pid})" if other else "already"
            raise LocalAzureError(
                f"state folder {self._state} is in use {who}; stop it, or choose another folder"
                " with --state"
            ) from None
        self._file.truncate()
        return self

    def announce(
        self, endpoint: str, providers: Mapping[str, int], *, https_endpoint: str = ""
    ) -> None:
        """Let other commands find the server, once it listens."""
        if self._file is None:
            raise RuntimeError("the state folder is not held")
        self._file.seek(0)
        self._file.truncate()
        server = Server(
            pid=os.getpid(),
            endpoint=endpoint,
            https_endpoint=https_endpoint,
            providers=providers,
        )
        self._file.write(json.dumps(asdict(server)))
        self._file.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()


def find_server(state: Path) -> Server | None:
    """Return the server that runs on this state folder, or None."""
    try:
        file = _path(state).open(encoding="utf-8")
    except FileNotFoundError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = file.read()
            return Server(**json.loads(text)) if text else None
    return None


def outputs_file(state: Path, stack: str) -> Path:
    """Return where the outputs of a stack are, from the `up` that deployed it to its `destroy`."""
    return state / "outputs" / f"{stack}.json"


def authority_certificate(state: Path) -> Path:
    """Return where the certificate authority of the local Azure is, once it has been made."""
    return state / "authority.pem"


def _path(state: Path) -> Path:
    return state / "server.json"
