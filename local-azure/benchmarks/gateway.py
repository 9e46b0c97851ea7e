"""What a gateway costs a request: the local Azure's beside others, in one run.

All send the same chat completion to the same three regions, which answer at once. Ours runs what
`--program` deploys, by default the example with two regions; a policy with more statements costs
more. Goals, beside LiteLLM: at least 30 times its requests a second on 32 connections, at most a
fifteenth of the time it adds to a request. Added time is a median less that of no gateway. Memory
is the resident set of the processes; ours is taken again after a tenth of `--requests` and after
all of them. Streams are those that still receive when so many are open at once. Each runs alone, in
turn, three rounds; a figure is the median of the rounds. `--write` writes docs/load.md as well.
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)

from benchmarks.load.client import Result, Target, measure, open_streams  # noqa: E402
from benchmarks.load.contenders import Contender, contenders  # noqa: E402

DOCUMENT = ROOT / "docs" / "load.md"
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


@dataclass(frozen=True, kw_only=True)
class Round:
    """A contender on 1 and on 32 connections, and its memory afterwards, in MB."""

    one: Result
    many: Result
    memory: float


async def one_round(contender: Contender) -> Round:
    """Start a contender and measure it."""
    with ExitStack() as until_done:
        process = None
        if contender.command:
            started = running(contender.command, dict(contender.variables))
            process = until_done.enter_context(started)
        await ready(contender.target)
        return Round(
            one=await paced(contender.target, 1),
            many=await paced(contender.target, 32),
            memory=resident(process.pid) if process else 0.0,
        )


def main() -> None:
    """Print the table and the ratios, and write them to the docs if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000, help="for memory; 0: none")
    parser.add_argument("--program", type=Path, default=ROOT / "examples/two_regions")
    parser.add_argument("--path", default="models/openai/v1/chat/completions")
    parser.add_argument("--write", action="store_true", help="write docs/load.md as well")
    options = parser.parse_args()
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    with tempfile.TemporaryDirectory(prefix="load-") as name:
        ports = free_ports(7)
        everyone = contenders(
            Path(name), ports[:4], ports[4:], program=options.program, path=options.path
        )
        regions = (sys.executable, "-m", "benchmarks.load.regions", *map(str, ports[4:]))
        with running(regions, {}):
            asyncio.run(compare(everyone, options.requests, say))
    if options.write:
        text = "\n".join(lines)
        program = f"--program {options.program} --path {options.path}"
        document = (
            f"# What a gateway costs a request\n\n{__doc__}\n```text\n{program}\n{text}\n```\n"
        )
        DOCUMENT.write_text(document, encoding="utf-8")


async def compare(everyone: Sequence[Contender], requests: int, say: Callable[[str], None]) -> None:
    """Measure all that are there, in turn."""
    await ready(everyone[0].target)
    found = [each for each in everyone if not each.why_not]
    for each in everyone:
        if each.why_not:
            say(f"{each.name}: not measured, {each.why_not}")
    rounds: dict[str, list[Round]] = {each.name: [] for each in found}
    for _ in range(ROUNDS):
        for each in found:
            rounds[each.name].append(await one_round(each))
    direct, ours = (_Medians(rounds[each.name]) for each in found[:2])
    for head in (
        ("", "requests/s", "p50 added", "p99", "p50 added", "p99", "memory", "failed"),
        ("", "at 32", "at 1", "at 1", "at 32", "at 32", "", ""),
    ):
        say("{:36}{:>11}{:>12}{:>10}{:>12}{:>10}{:>9}{:>7}".format(*head).rstrip())
    for each in found:
        its = _Medians(rounds[each.name])
        say(
            f"{each.name:36}{its.per_second:11,.0f}{its.p50_one - direct.p50_one:9.2f} ms"
            f"{its.p99_one:7.1f} ms{its.p50_many - direct.p50_many:9.2f} ms{its.p99_many:7.1f} ms"
            f"{its.memory:6.0f} MB{its.failed:7}"
        )
    for each in found[2:]:
        theirs = _Medians(rounds[each.name])
        rate = ours.per_second / theirs.per_second
        added = (ours.p50_one - direct.p50_one) / (theirs.p50_one - direct.p50_one)
        say(f"beside {each.name}: {rate:.2f} times its requests/s, {added:.3f} of its added p50")
    if requests:
        await endurance(found[1], requests, say)


async def endurance(contender: Contender, requests: int, say: Callable[[str], None]) -> None:
    """Measure a gateway's memory after few and after many requests, and open streams."""
    few = requests // 10
    with running(contender.command, dict(contender.variables)) as process:
        await ready(contender.target)
        await measure(contender.target, requests=few, connections=32)
        first = resident(process.pid)
        rest = await measure(contender.target, requests=requests - few, connections=32)
        last = resident(process.pid)
        say(
            f"memory: {first:.1f} MB after {few:,} requests, {last:.1f} MB after {requests:,};"
            f" {rest.failed} failed"
        )
        alive = await open_streams(contender.target, STREAMS, seconds=5.0)
        say(f"streams: {alive:,} of {STREAMS:,} receive when all are open at once")


def resident(pid: int) -> float:
    """Return the resident set of a process and its children, in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    own = int(status.partition("VmRSS:")[2].split()[0]) / 1024
    return own + sum(resident(int(child)) for child in children)


class _Medians:
    """The medians of a contender's rounds."""

    def __init__(self, rounds: Sequence[Round]) -> None:
        self.per_second = statistics.median(each.many.per_second for each in rounds)
        self.p50_one = statistics.median(each.one.p50 for each in rounds)
        self.p99_one = statistics.median(each.one.p99 for each in rounds)
        self.p50_many = statistics.median(each.many.p50 for each in rounds)
        self.p99_many = statistics.median(each.many.p99 for each in rounds)
        self.memory = statistics.median(each.memory for each in rounds)
        self.failed = sum(each.one.failed + each.many.failed for each in rounds)


if __name__ == "__main__":
    main()
