"""Failover drills: what clients of the gateway notice while regions fail, under load.

Each drill has a local Azure of its own with the dev stack and the incident's response times, and
clients that send 20 requests a second, whatever the answers do: chat completions, a quarter of them
as streams, new responses, and one in eight that continues a response. They wait as long as the
openai SDK does (600 s). `make drill` prints the table, and writes it and the picture to docs/. It
takes five to eight minutes, most of it the waiting of `hangs`.

Units are gateway instances, which share nothing. Failures are what clients saw before an answer
began, of what any region may answer; they are told when they say when to come back and name nothing
that is inside. What continues a response is answered by the region that has it, or told when to
come back while that region fails; lost is any other end. Cut are answers that had begun. In
`hangs`, and where a response is cut before it is passed on, failures are 504s on purpose: a call
that a region took may have been executed. A region is left alone from when no new request tries it
for three seconds, and back when it answers one after the fault. Times and shares are of new
requests' answers, shares in per cent of the three regions. The picture is that of four instances.
"""

import argparse
import asyncio
import sys
from pathlib import Path

import aiohttp

from benchmarks.drills import azure, picture, report
from benchmarks.drills.load import Load
from benchmarks.drills.scenarios import DRILLS, Drill

INSTANCES = (1, 2, 4)
BEFORE = 6.0
PATIENCE_AFTER = 75
"""Seconds that a healed region is waited for: a breaker's minute, and some more."""
AFTER = 5.0
AT_ONCE = 12
DOCS = Path(__file__).parents[2] / "docs"


async def run(drill: Drill, instances: int, turn: asyncio.Semaphore) -> report.Outcome:
    """Run one drill."""
    async with turn, azure.deployed(drill, instances=instances) as stack:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            load = Load(session, stack.url, stack.key, stack.deployment)
            sending = asyncio.create_task(load.run())
            try:
                await asyncio.sleep(BEFORE)
                began = load.now
                taken = await stack.begin(session, drill)
                await asyncio.sleep(max(0.0, began + drill.seconds - load.now))
                await stack.end(session, taken)
                ended = load.now
                outcome = report.Outcome(
                    drill=drill,
                    instances=instances,
                    samples=load.samples,
                    began=began,
                    ended=ended,
                )
                for _ in range(PATIENCE_AFTER):
                    if outcome.back is not None:
                        break
                    await asyncio.sleep(1)
                await asyncio.sleep(AFTER)
            finally:
                load.stop()
                await sending
    print(" | ".join(report.row(outcome)), flush=True)
    return outcome


async def run_all(drills: list[Drill]) -> list[report.Outcome]:
    """Run each drill with each number of instances; those that take longest begin first."""
    turn = asyncio.Semaphore(AT_ONCE)
    wanted = [(drill, instances) for instances in INSTANCES for drill in drills]
    wanted.sort(key=lambda each: -each[0].seconds)
    outcomes = await asyncio.gather(*(run(*each, turn) for each in wanted))
    return sorted(outcomes, key=lambda each: (drills.index(each.drill), each.instances))


def main(arguments: list[str] | None = None) -> int:
    """Run the drills, print the table, and write the docs; 1 if a client was harmed needlessly."""
    names = [each.name for each in DRILLS]
    all_names = "; ".join(names)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.drills",
        description=__doc__,
        epilog="exit codes: 0 no client was failed while a region lived, `hangs` aside; 1 one was; "
        "2 wrong usage",
    )
    parser.add_argument("--write", action="store_true", help="write docs/drills.md and its picture")
    parser.add_argument("drills", nargs="*", help=f"of: {all_names} (default: all)")
    options = parser.parse_args(arguments)
    for name in options.drills:
        if name not in names:
            parser.error(f"no drill is called '{name}'; there are: {all_names}")
    if options.write and options.drills:
        parser.error("--write is for all drills: the docs show each of them")
    drills = [each for each in DRILLS if each.name in options.drills or not options.drills]
    outcomes = asyncio.run(run_all(drills))
    table = report.markdown(outcomes)
    print(f"\n{table}")
    harmed = sum(each.harmed for each in outcomes if each.drill.one_lives)
    lost = sum(each.lost for each in outcomes)
    print(f"client-visible failures while one region lives: {harmed}")
    print(f"conversations lost: {lost}")
    if options.write:
        drawn = [each for each in outcomes if each.instances == max(INSTANCES)]
        (DOCS / "drills.svg").write_text(picture.draw(drawn), encoding="utf-8")
        (DOCS / "drills.md").write_text(
            f"# Failover drills\n\n{__doc__}\n{table}", encoding="utf-8"
        )
    return 1 if harmed or lost else 0


if __name__ == "__main__":
    sys.exit(main())
