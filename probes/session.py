"""One run of the probe: reads the outputs, the pool and the traffic, and shows the verdict."""

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from probes import evidence, outputs
from probes.control_plane import PUBLIC_AZURE, read_pool
from probes.forms.text import Text
from probes.pool import Pool
from probes.report import Report
from probes.traffic_run import TrafficRun

INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line says; times are in seconds."""

    outputs: str
    expect: str = "declared"
    max_requests: int | None = None
    concurrency: int = 10
    timeout: float = 60.0
    skip_control_plane: bool = False


def run(options: Options) -> int:
    """Probe once and return the exit code. Raises InputError."""
    stack = outputs.read(options.outputs, sys.stdin.buffer)
    round_robin = options.expect == "round-robin" or stack.routing == "round-robin"
    plan = evidence.plan(stack.shares(round_robin=round_robin))
    form = Text(stack, round_robin=round_robin, write=_print)
    traffic = TrafficRun(
        stack=stack,
        plan=plan,
        max_requests=options.max_requests or plan.most_requests,
        concurrency=options.concurrency,
        limit=options.timeout,
        on_answer=form.answer,
    )
    pool = None if options.skip_control_plane else Pool(unread="the run was interrupted before")
    started, begin = datetime.now(UTC), time.monotonic()

    async def control_plane() -> None:
        nonlocal pool
        if pool:
            endpoint = os.environ.get("ARM_ENDPOINT") or PUBLIC_AZURE
            pool = await read_pool(stack, endpoint, limit=options.timeout)
        form.control_plane(pool)

    async def both() -> None:
        await asyncio.gather(control_plane(), traffic.send())

    form.start(max_requests=traffic.max_requests)
    interrupted = False
    try:
        asyncio.run(both())
    except KeyboardInterrupt:
        interrupted = True
        traffic.stopped = "interrupted"
    report = Report(
        stack=stack,
        round_robin=round_robin,
        plan=plan,
        tally=traffic.tally,
        pool=pool,
        stopped=traffic.stopped,
        started=started,
        duration=time.monotonic() - begin,
    )
    form.end(report)
    return INTERRUPTED if interrupted else report.exit_code


def _print(line: str) -> None:
    print(line, flush=True)
