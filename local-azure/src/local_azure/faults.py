"""Faults to rehearse: what a region does instead of answering."""

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from aiohttp import web

PATH = "/_local-azure/faults"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FaultError(Exception):
    """A fault that cannot be set; the message names the setting, the value and what is valid."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What a region does to each request; several at once add up, and none is an error.

    `status` (400-599) answers with Azure's error body, `retry_after` (seconds) adds the header,
    `closed` refuses connections, `down` takes them and closes them before an answer, `latency`
    (seconds) delays it, `reset` cuts the connection in the middle of it.
    """

    status: int | None = None
    retry_after: int | None = None
    closed: bool = False
    down: bool = False
    latency: float | None = None
    reset: bool = False

    def __post_init__(self) -> None:
        _check("status", self.status, int, 400, 599)
        _check("retry_after", self.retry_after, int, 0, 10**7)
        _check("latency", self.latency, (int, float), 0, 3600)
        for name in ("closed", "down", "reset"):
            if not isinstance(getattr(self, name), bool):
                raise FaultError(f"{name}: {getattr(self, name)!r} is neither true nor false")
        if self.retry_after is not None and self.status is None:
            raise FaultError("retry_after: needs a status that carries it, such as 429")
        if not self.to_json():
            raise FaultError(f"no fault given; choose at least one of {', '.join(_NAMES)}")

    @classmethod
    def from_json(cls, body: object) -> Self:
        """Read what `to_json` writes. Raises FaultError."""
        if not isinstance(body, Mapping):
            raise FaultError(f"a fault is a JSON object with some of {', '.join(_NAMES)}")
        if unknown := sorted(set(body) - set(_NAMES)):
            raise FaultError(f"{unknown[0]}: unknown; choose from {', '.join(_NAMES)}")
        return cls(**body)

    def to_json(self) -> dict[str, Any]:
        """Return the settings that differ from their defaults."""
        defaults = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in asdict(self).items() if value is not defaults[name]}


_NAMES = [field.name for field in fields(Fault)]


def _check(
    name: str,
    value: object,
    kind: type | tuple[type, ...],
    low: float,
    high: float,
) -> None:
    if value is None:
        return
    # bool is an int to Python; NaN fails the comparison.
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:  # type: ignore[operator]
        raise FaultError(f"{name}: {value!r} is not a number from {low} to {high}")


class Faults:
    """The faults that are set, by backend or account name, ignoring case.

    `foundry2` stands for the account `foundry2-<suffix>` too, as backends are named in the program.
    """

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}

    def set(self, name: str, fault: Fault) -> None:
        """Set the fault of one region, replacing the one it had."""
        self._faults[name.lower()] = fault

    def clear(self, name: str | None = None) -> None:
        """End the fault of one region, or all faults; one that is not set is no error."""
        if name is None:
            self._faults.clear()
        else:
            self._faults.pop(name.lower(), None)

    def list(self) -> Mapping[str, Fault]:
        """Return the faults by name."""
        return dict(self._faults)

    def of(self, account: str) -> Fault | None:
        """Return the fault that applies to an account: the one whose name fits it most closely."""
        if not self._faults:
            return None
        names = filter(self._faults.__contains__, _names_of(account))
        return self._faults.get(next(names, ""))


def _names_of(account: str) -> Iterator[str]:
    """Yield the names an account goes by, the whole one first: `foundry2-abc`, `foundry2`."""
    name = account.lower()
    while name:
        yield name
        name = name.rpartition("-")[0]


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


def add_routes(
    app: web.Application,
    faults: Faults,
    *,
    on_change: Callable[[], Awaitable[None]],
    accounts: Callable[[], Iterable[str]],
    guarded: Callable[[Handler], Handler],
) -> None:
    """Serve `faults` at `/_local-azure/faults[/name]`: GET, PUT a fault's JSON, DELETE.

    `on_change` is awaited after each change, before its answer. A name that stands for none of the
    deployed `accounts` is refused; what PUT answers names those that have the fault. `guarded`
    makes a handler one that strangers do not reach.
    """

    def unknown(name: str) -> web.Response | None:
        deployed = sorted(accounts())
        if any(name.lower() in _names_of(account) for account in deployed):
            return None
        there = f"deployed are {', '.join(deployed)}" if deployed else "no account is deployed"
        return _error(404, "AccountNotFound", f"no account is called {name!r}; {there}")

    async def show(_: web.Request) -> web.Response:
        return web.json_response({name: fault.to_json() for name, fault in faults.list().items()})

    async def put(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        try:
            fault = Fault.from_json(json.loads(await request.read()))
        except (FaultError, ValueError, RecursionError) as error:
            return _error(400, "InvalidFault", str(error))
        if refusal := unknown(name):
            return refusal
        faults.set(name, fault)
        await on_change()
        failing = sorted(name for name in accounts() if faults.of(name) is fault)
        return web.json_response({**fault.to_json(), "accounts": failing})

    async def delete(request: web.Request) -> web.Response:
        name = request.match_info.get("name")
        if name and name.lower() not in faults.list() and (refusal := unknown(name)):
            return refusal
        faults.clear(name)
        await on_change()
        return web.Response(status=204)

    app.router.add_get(PATH, guarded(show))
    app.router.add_put(PATH + "/{name}", guarded(put))
    app.router.add_delete(PATH, guarded(delete))
    app.router.add_delete(PATH + "/{name}", guarded(delete))
