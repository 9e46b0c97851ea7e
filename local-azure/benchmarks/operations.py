"""10,000 operations on a Resource Manager that is killed again and again: what was answered, holds.

Prints how many operations a second it took; ends with 1 when one of them was lost.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from local_azure.identity import authorization  # noqa: E402 - a script finds the repository first

SUBSCRIPTION: Final = "/subscriptions/00000000-0000-0000-0000-000000000000"
GROUP: Final = f"{SUBSCRIPTION}/resourceGroups/operations"
SERVICE: Final = f"{GROUP}/providers/Microsoft.ApiManagement/service/operations"
MARK: Final = "op-"
"""What the names begin with, so that what Azure has by itself is told apart."""
AT_ONCE: Final = 32
ANSWERS: Final = {"PUT": (200, 201), "GET": (200, 404), "DELETE": (200, 202, 204, 404)}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A collection of resources, and how one of them carries a value."""

    collection: str
    api_version: str
    body: Callable[[str, str], Mapping[str, Any]]
    value: Callable[[Any], str]


KINDS: Final = (
    Kind(
        collection=f"{SUBSCRIPTION}/resourceGroups",
        api_version="2024-03-01",
        body=lambda _, value: {"location": "uksouth", "tags": {"value": value}},
        value=lambda body: str(body["tags"]["value"]),
    ),
    Kind(
        collection=f"{SERVICE}/backends",
        api_version="2024-05-01",
        body=lambda _, value: {
            "properties": {"url": "https://x.example", "protocol": "http", "description": value}
        },
        value=lambda body: str(body["properties"]["description"]),
    ),
    Kind(
        collection=f"{SERVICE}/apis",
        api_version="2024-05-01",
        body=lambda name, value: {"properties": {"path": name, "displayName": value}},
        value=lambda body: str(body["properties"]["displayName"]),
    ),
    Kind(
        collection=f"{SERVICE}/subscriptions",
        api_version="2024-05-01",
        body=lambda _, value: {"properties": {"scope": "/apis", "displayName": value}},
        value=lambda body: str(body["properties"]["displayName"]),
    ),
)


@dataclass(eq=False)
class Name:
    """One resource's name, and what it may hold now: a value, None for nothing.

    It is one thing, except after an operation that nobody answered.
    """

    kind: Kind
    name: str
    may_hold: set[str | None] = field(default_factory=lambda: {None})
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def path(self) -> str:
        """The path that names it."""
        return f"{self.kind.collection}/{self.name}"


@dataclass(kw_only=True)
class Outcome:
    """What came of it; `faults` says what was lost, came back, disagreed or was refused."""

    operations: int = 0
    seconds: float = 0.0
    kills: int = 0
    unanswered: int = 0
    faults: list[str] = field(default_factory=list)


class Server:
    """`local-azure serve` as a process, on one port and one state folder."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None
        self.up = asyncio.Event()
        self.url = ""

    async def start(self) -> None:
        """Start, and wait until it listens."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "local_azure", "serve", "--provisioning", "0"),
            *("--port", str(self._port), "--https-port", "0", "--state", str(self.state)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        if self._process.stdout is None:
            raise TypeError("the server was started without a pipe")
        line = (await self._process.stdout.readline()).decode()
        self.url = line.partition(" at ")[2].partition(",")[0]
        self._port = int(self.url.rpartition(":")[2])
        self.up.set()

    async def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        self.up.clear()
        if self._process is not None:
            self._process.kill()
            await self._process.wait()


class Exercise:
    """Operations on names in turn, `at_once` under way at a time."""

    def __init__(self, server: Server, session: aiohttp.ClientSession, rng: random.Random) -> None:
        self._server = server
        self._session = session
        self._signed_in = authorization(server.state)
        self._rng = rng
        self.outcome = Outcome()

    async def prepare(self) -> None:
        """Deploy what the names are below."""
        group = {"location": "uksouth"}
        service = {
            "location": "uksouth",
            "sku": {"name": "BasicV2", "capacity": 1},
            "properties": {"publisherEmail": "team@example.com", "publisherName": "Team"},
        }
        for path, version, body in (
            (GROUP, "2024-03-01", group),
            (SERVICE, "2024-05-01", service),
        ):
            status, _ = await self._ask("PUT", path, version, body)
            if status not in (200, 201):
                raise RuntimeError(f"PUT {path} was answered {status}")

    async def work(self, names: list[Name], count: int, *, at_once: int, kill_at: int) -> None:
        """Run `count` operations; at number `kill_at` the server is killed and restarted."""
        numbers = iter(range(count))

        async def worker() -> None:
            for number in numbers:
                await self._server.up.wait()
                if number == kill_at:
                    self.outcome.kills += 1
                    await self._server.kill()
                    await self._server.start()
                name = self._rng.choice(names)
                async with name.lock:
                    await self._operate(name, f"value {self.outcome.operations}")
                self.outcome.operations += 1

        await asyncio.gather(*(worker() for _ in range(at_once)))

    async def _operate(self, name: Name, value: str) -> None:
        kind = name.kind
        method = self._rng.choice(("PUT", "PUT", "GET", "DELETE"))
        body = kind.body(name.name, value) if method == "PUT" else None
        wanted = {"PUT": value, "DELETE": None}
        try:
            status, answer = await self._ask(method, name.path, kind.api_version, body)
        except (aiohttp.ClientError, OSError):
            self.outcome.unanswered += 1
            if method in wanted:  # it may have been done, or not
                name.may_hold.add(wanted[method])
            return
        if status not in ANSWERS[method]:
            self._fault(f"{method} {name.path} was answered {status}: {answer}")
        elif status == 404:
            self._found(name, None, method)
        elif method in wanted:
            name.may_hold = {wanted[method]}
        else:
            self._found(name, kind.value(answer), method)

    async def compare(self, names: list[Name]) -> None:
        """Look at every name, and at every list, while nothing is under way."""
        for kind in KINDS:
            mine = {each.name: each for each in names if each.kind is kind}
            listed = {
                each["name"]: kind.value(each)
                for each in await self._list(kind)
                if each["name"].startswith(MARK)
            }
            for name in mine.values():
                self._found(name, listed.get(name.name), "the list")
                status, answer = await self._ask("GET", name.path, kind.api_version)
                self._found(name, kind.value(answer) if status == 200 else None, "GET")
            for stranger in listed.keys() - mine.keys():
                self._fault(f"{stranger} is in the list of {kind.collection} and was never made")

    def _found(self, name: Name, value: str | None, by: str) -> None:
        if value not in name.may_hold:
            self._fault(f"{name.path} holds {value!r} by {by}, and may hold {name.may_hold}")
        name.may_hold = {value}

    async def _list(self, kind: Kind) -> list[Any]:
        _, page = await self._ask("GET", kind.collection, kind.api_version)
        found: list[Any] = list(page["value"])
        while url := page.get("nextLink"):
            async with self._session.get(url) as answer:
                page = await answer.json()
            found += page["value"]
        return found

    async def _ask(
        self, method: str, path: str, api_version: str, body: Mapping[str, Any] | None = None
    ) -> tuple[int, Any]:
        url = f"{self._server.url}{path}?api-version={api_version}"
        async with self._session.request(method, url, json=body, headers=self._signed_in) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    def _fault(self, what: str) -> None:
        self.outcome.faults.append(what)


async def exercise(
    state: Path, *, operations: int, names: int, kills: int, seed: int, at_once: int = AT_ONCE
) -> Outcome:
    """Run operations in parts, one a kill; after each part, all that is there is looked at."""
    all_names = [
        Name(kind=KINDS[number % len(KINDS)], name=f"{MARK}{number}") for number in range(names)
    ]
    server = Server(state)
    connector = aiohttp.TCPConnector(limit=at_once)
    async with aiohttp.ClientSession(connector=connector) as session:
        run = Exercise(server, session, random.Random(seed))
        try:
            await server.start()
            await run.prepare()
            part = operations // kills
            for _ in range(kills):
                began = time.perf_counter()
                await run.work(all_names, part, at_once=at_once, kill_at=part // 2)
                run.outcome.seconds += time.perf_counter() - began
                await run.compare(all_names)
        finally:
            await server.kill()
    return run.outcome


def main() -> int:
    """Print what came of it; return 1 when anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--names", type=int, default=300)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for name in ("operations", "names", "kills"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} {getattr(options, name)}: none would prove nothing")
    with tempfile.TemporaryDirectory() as folder:
        outcome = asyncio.run(exercise(Path(folder) / "state", **vars(options)))
    print(
        f"{outcome.operations:,} operations at Resource Manager, {AT_ONCE} at once, on"
        f" {options.names} names of {len(KINDS)} types; killed {outcome.kills} times in the middle:"
    )
    print(f"  operations a second   {outcome.operations / outcome.seconds:,.0f}, restarts included")
    print(f"  not answered          {outcome.unanswered}")
    print(f"  lost, back or refused {len(outcome.faults)}  (goal: 0)")
    for fault in outcome.faults[:20]:
        print(f"    {fault}")
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
