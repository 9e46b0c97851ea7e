"""Conversations of the Responses API on several gateway instances that share nothing, over sockets.

Each has five turns, of which any may come from any of 20 client processes, and half of them are
streamed. A conversation is broken when a turn is not answered by the region that has the one
before. `make conversations` prints both tables and writes docs/responses-measured.md; it takes
about six minutes.
"""

import argparse
import asyncio
import re
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import aiohttp

from benchmarks.conversations.clients import Clients, Conversation, Turn
from benchmarks.drills.azure import Azure, deployed
from benchmarks.drills.load import percentile
from benchmarks.drills.scenarios import REGIONS, Drill
from components.inference_api import policy_xml
from components.settings import parse
from probes.evidence import Counts, plan

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = ROOT / "docs" / "responses-measured.md"
INSTANCES: Final = (1, 2, 4, 8)
TURNS: Final = 5
PROCESSES: Final = 20
CLOSED: Final = Drill(name="port closed", fault={"closed": True})
THROTTLED: Final = Drill(name="429", fault={"status": 429, "retry_after": 7})
HEALS_WITHIN: Final = 40  # seconds; a breaker is open for ten
_AT: Final = {"foundry1": "uksouth", "foundry2": "eastus", "foundry3": "norwayeast"}
_BACKENDS: Final = "2025-03-01-preview"  # the API version whose pools have session affinity
_POLICIES: Final = "2024-05-01"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write; 1 if a conversation was broken that should have held."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=2000, help="conversations of a row")
    parser.add_argument("--instances", type=int, nargs="+", default=INSTANCES)
    parser.add_argument("--write", action="store_true", help="write docs/responses-measured.md")
    options = parser.parse_args(arguments)
    faults: list[str] = []
    holding = _table(asyncio.run(held(options.count, options.instances, faults)))
    print(holding, "\n")
    costs = _table(asyncio.run(_costs(max(30, options.count // 10), max(options.instances))))
    print(costs)
    if options.write:
        DOCUMENT.write_text(_PAGE.format(held=holding, costs=costs, count=options.count), "utf-8")
    print(*faults, sep="\n", file=sys.stderr)
    return 1 if faults else 0


# --- do they hold? -------------------------------------------------------------------------------


async def held(count: int, instances: Sequence[int], faults: list[str]) -> list[list[str]]:
    """Hold conversations on so many units each, and tell in `faults` what should not be."""
    rows = [["units", "cookies", "conversations", "broken", "new ones", "steps a follow-up"]]
    rows[0] += ["one region closed", "one region throttled"]
    for units, cookies in product(instances, (False, True)):
        # Each row has its own: two within a minute would meet the models' limit of requests.
        async with deployed(Drill(name="none"), instances=units, latency={}) as azure:
            name = [str(units), "kept" if cookies else "not kept"]
            rows.append(name + await _row(azure, count, name, cookies=cookies, faults=faults))
    return rows


async def _row(
    azure: Azure, count: int, name: Sequence[str], *, cookies: bool, faults: list[str]
) -> list[str]:
    where = f"{name[0]} units, cookies {name[1]}"
    async with Clients(azure, count=PROCESSES, cookies=cookies) as clients:
        found = await clients.hold(count, TURNS)
        broken = [each for each in found if each.broken]
        if broken:
            faults.append(f"{where}: {len(broken)} broken, as {broken[0]}")
        counts = dict.fromkeys(REGIONS, 0)
        for each in found:
            counts[each.turns[0].region] += 1
        shares = plan(dict.fromkeys(REGIONS, 1 / len(REGIONS)))
        none = dict.fromkeys(REGIONS, 0)
        seen = Counts(answered=counts, refused=none, failed_attempts=none)
        if not shares.decided(seen) or shares.proved(seen):
            faults.append(f"{where}: new ones are not round robin: {counts}")
        steps = [turn.steps for each in found for turn in each.turns[1:]]
        told = []
        for drill in (CLOSED, THROTTLED):
            told.append(await _failing(azure, clients, found[: max(30, count // 10)], drill))
            faults += [f"{where}, {drill.name}: {each}" for each in told[-1] if "not" in each]
    spread = "/".join(f"{100 * each / len(found):.1f}" for each in counts.values())
    numbers = [str(len(found)), str(len(broken)), f"{spread} %", f"{sum(steps) / len(steps):.2f}"]
    return [*numbers, *("; ".join(each) for each in told)]


async def _failing(
    azure: Azure, clients: Clients, found: list[Conversation], drill: Drill
) -> list[str]:
    """Go on with these while a region fails, and afterwards; say what became of them."""
    (failing,) = drill.regions
    own = [each for each in found if each.region == failing]
    others = [each for each in found if each.region != failing]
    session = clients.sessions[0]
    taken = await azure.begin(session, drill)
    await clients.go_on(found)
    new = await clients.hold(len(own), 1)
    await azure.end(session, taken)
    waits = [each.turns[-1] for each in own]
    # Ten times 429 open a breaker, and the gateway answers in its place.
    told = [turn for turn in waits if _is_told(turn, 429 if drill is THROTTLED else 503, 503)]
    said = [f"{len(told)} of {len(own)} told to wait"]
    lost = [each for each in others if each.broken] + [each for each in new if each.broken]
    if len(told) < len(own):
        other = next(turn for turn in waits if turn not in told)
        said.append(f"not told: {other.status} {other.body[:80]}")
    said.append(f"{len(others)} others and {len(new)} new ones answered")
    if lost:
        said[-1] = f"not answered: {len(lost)}, as {lost[0].turns[-1]}"
    for _ in range(HEALS_WITHIN):
        if not (waiting := [each for each in own if len(each.ids) == TURNS]):
            break
        for each in waiting:
            each.turns = each.turns[:TURNS]
        await clients.go_on(waiting)
        await asyncio.sleep(1)
    back = [each for each in own if len(each.ids) > TURNS and not each.broken]
    late = len(own) - len(back)
    said.append(f"not back: {late}" if late else f"{len(back)} went on later")
    for each in found:  # the next drill begins where this one did
        each.turns, each.ids = each.turns[:TURNS], each.ids[:TURNS]
    return said


def _is_told(turn: Turn, *statuses: int) -> bool:
    is_time = turn.retry_after.isdecimal()
    return turn.status in statuses and is_time and "not found" not in turn.body


# --- what does it cost? --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Way:
    """A policy, whether its pool sets cookies and clients keep them, and who asks."""

    name: str
    policy: str
    cookies: str = ""
    alone: str = ""
    streamed: float = 0.0


async def _costs(count: int, units: int) -> list[list[str]]:
    """Measure, side by side in one run, what a follow-up costs; with the incident's latencies."""
    rows = [["way", "broken", "follow-up p50", "p95", "beside a plain pool", "steps"]]
    rows[0] += ["new ones of one process"]
    own = policy_xml(
        parse({"regions": [{"name": name, "location": at} for name, at in _AT.items()]}), "BasicV2"
    )
    plain = (Path(__file__).parent / "pool.xml").read_text(encoding="utf-8")
    ways = [
        _Way("a plain pool", plain),
        _Way("this policy", own),
        _Way("this policy, streamed", own, streamed=1.0),
        _Way("this policy without its cache", _without_cache(own)),
        _Way("a pool with cookies, each conversation of one process", plain, "kept", "alone"),
        _Way("a pool with cookies, of several processes", plain, "kept"),
        _Way("a pool with cookies that clients do not keep", plain, "not kept"),
    ]
    beside = 0.0
    async with deployed(Drill(name="none"), instances=units) as azure:
        for way in ways:
            await _deploy(azure, way.policy, affinity=bool(way.cookies))
            cookies = way.cookies == "kept"
            async with Clients(azure, count=PROCESSES, cookies=cookies) as clients:
                alone = bool(way.alone)
                found = await clients.hold(count, TURNS, streamed=way.streamed, alone=alone)
                single = [Conversation(stream=False, session=0) for _ in range(count // 5)]
                await clients.go_on(single)
            turns = [turn for each in found for turn in each.turns[1:] if turn.status == 200]
            times = [turn.seconds for turn in turns]
            half, most = percentile(times, 0.5) or 0.0, percentile(times, 0.95) or 0.0
            beside = beside or half
            steps = [turn.steps for turn in turns]
            shares = [sum(each.region == name for each in single) for name in REGIONS]
            rows.append(
                [
                    way.name,
                    f"{sum(each.broken for each in found)} of {len(found)}",
                    f"{half:.2f} s",
                    f"{most:.2f} s",
                    f"{half / beside:.2f}",
                    f"{sum(steps) / len(steps):.2f}, at most {max(steps)}" if any(steps) else "-",
                    "/".join(f"{100 * each / len(single):.0f}" for each in shares) + " %",
                ]
            )
    return rows


async def _deploy(azure: Azure, policy: str, *, affinity: bool) -> None:
    cookie: Any = {"sessionId": {"source": "cookie", "name": "region"}} if affinity else None
    session: AbstractAsyncContextManager[aiohttp.ClientSession] = aiohttp.ClientSession()
    async with session as client:
        await azure.change(client, azure.policy, _POLICIES, format="xml", value=policy)
        found = await azure.read(client, azure.pool, _BACKENDS)
        pool = {**found["properties"]["pool"], "sessionAffinity": cookie}
        await azure.change(client, azure.pool, _BACKENDS, pool=pool)


def _without_cache(policy: str) -> str:
    """Take out what remembers: each statement, and the `when` that it leaves empty."""
    text = re.sub(r"<cache-lookup-value[^>]*/>", "", policy)
    begin = text.index("<choose>\n  <!-- The id of what was made here")
    return text[:begin] + text[text.index("</choose>", begin) + len("</choose>") :]


def _table(rows: list[list[str]]) -> str:
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(each)} |" for each in lines)


_PAGE: Final = (Path(__file__).parent / "page.md").read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
