"""What a gateway costs a request: the local Azure's beside others, in one run.

All send the same chat completion to the same three regions, which answer at once. Goals, beside
LiteLLM: at least 30 times its requests a second on 32 connections, at most a fifteenth of the time
it adds to a request. Added time is a percentile less that of no gateway. Memory is the resident set
of the gateway's process after 10,000 requests and after `--requests`; streams are those that still
receive when so many are open at once. Each runs alone, in turn, three rounds; a figure is the
median of the rounds.
"""

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)

from benchmarks.load.client import Result, Target, measure, open_streams  # noqa: E402
from benchmarks.load.contenders import Contender, contenders  # noqa: E402

ROUNDS = 3
STREAMS = 1500
SECONDS = 4.0
"""About how long each measurement takes."""


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextmanager
def running(command: Sequence[str], variables: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process for the length of a `with`."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


async def ready(target: Target, *, within: float = 120.0) -> None:
    """Wait until a target answers. Raises TimeoutError."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            if (await measure(target, requests=1, connections=1)).failed == 0:
                return
        except (OSError, IndexError):
            pass
        await asyncio.sleep(0.2)
    raise TimeoutError(f"{target.url} did not answer within {within:g} s")


async def paced(target: Target, connections: int) -> Result:
    """Measure for about `SECONDS`."""
    trial = await measure(target, requests=50 * connections, connections=connections)
    requests = max(connections, int(trial.per_second * SECONDS))
    return await measure(target, requests=requests, connections=connections)


async def one_round(contender: Contender) -> tuple[Result, Result]:
    """Start a contender and measure it on 1 and on 32 connections."""
    if not contender.command:
        return await paced(contender.target, 1), await paced(contender.target, 32)
    with running(contender.command, dict(contender.variables)):
        await ready(contender.target)
        return await paced(contender.target, 1), await paced(contender.target, 32)


def main() -> None:
    """Print the table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000, help="for memory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="load-") as name:
        ports = free_ports(7)
        everyone = contenders(Path(name), ports[:4], ports[4:])
        regions = (sys.executable, "-m", "benchmarks.load.regions", *map(str, ports[4:]))
        with running(regions, {}):
            asyncio.run(compare(everyone, options.requests))


async def compare(everyone: Sequence[Contender], requests: int) -> None:
    """Measure and print."""
    await ready(everyone[0].target)
    found = [each for each in everyone if not each.why_not]
    for each in everyone:
        if each.why_not:
            print(f"{each.name}: not measured, {each.why_not}")
    results: dict[str, list[tuple[Result, Result]]] = {each.name: [] for each in found}
    for _ in range(ROUNDS):
        for each in found:
            results[each.name].append(await one_round(each))
    direct = [_median(results[found[0].name], 0, "p50"), _median(results[found[0].name], 1, "p50")]
    for head in (
        ("", "requests/s", "p50 added", "p99", "p50 added", "p99", "failed"),
        ("", "at 32", "at 1", "at 1", "at 32", "at 32", ""),
    ):
        print("{:36}{:>11}{:>11}{:>9}{:>11}{:>9}{:>8}".format(*head))
    for each in found:
        rounds = results[each.name]
        print(
            f"{each.name:36}{_median(rounds, 1, 'per_second'):11,.0f}"
            f"{_median(rounds, 0, 'p50') - direct[0]:8.2f} ms{_median(rounds, 0, 'p99'):6.1f} ms"
            f"{_median(rounds, 1, 'p50') - direct[1]:8.2f} ms{_median(rounds, 1, 'p99'):6.1f} ms"
            f"{sum(one.failed + many.failed for one, many in rounds):8}"
        )
    ours = results[found[1].name]
    for each in found[2:]:
        theirs = results[each.name]
        rate = _median(ours, 1, "per_second") / _median(theirs, 1, "per_second")
        added = (_median(ours, 0, "p50") - direct[0]) / (_median(theirs, 0, "p50") - direct[0])
        print(f"beside {each.name}: {rate:.2f} times its requests/s, {added:.3f} of its added p50")
    if requests:
        await memory(found[1], requests)


async def memory(contender: Contender, requests: int) -> None:
    """Print a gateway's memory after few and after many requests, and open streams."""
    with running(contender.command, dict(contender.variables)) as process:
        await ready(contender.target)
        await measure(contender.target, requests=10_000, connections=32)
        first = resident(process.pid)
        await measure(contender.target, requests=requests - 10_000, connections=32)
        last = resident(process.pid)
        alive = await open_streams(contender.target, STREAMS, seconds=5.0)
        print(f"streams: {alive} of {STREAMS} receive when all are open at once")
        print(f"memory: {first:.1f} MB after 10,000 requests, {last:.1f} MB after {requests:,}")


def resident(pid: int) -> float:
    """Return a process's resident set in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _median(rounds: Sequence[tuple[Result, Result]], which: int, name: str) -> float:
    return float(statistics.median(getattr(each[which], name) for each in rounds))


if __name__ == "__main__":
    main()
