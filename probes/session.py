"""One run of the probe: reads the outputs, the pool and the traffic, and shows the verdict."""

import asyncio
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from probes import sources
from probes.control_plane import Reading, read_pool
from probes.exit_codes import INTERRUPTED
from probes.formats import FORMATS, files
from probes.formats.lines import Ticker, in_terminal, printer
from probes.formats.text import Text
from probes.report import Expectation, Report
from probes.traffic_run import TrafficRun

FIRST_REQUEST: Final = 0.5
"""Seconds that reading the pool waits for a first request to be sent."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line says; times are in seconds."""

    outputs: str | None = None
    stack: str | None = None
    expect: str = "declared"
    skip_control_plane: bool = False
    max_requests: int | None = None
    concurrency: int = 10
    timeout: float = 60.0
    zero_tokens: bool = False
    json: str | None = None
    junit: str | None = None
    markdown: str | None = None
    svg: str | None = None
    quiet: bool = False
    watch: float | None = None
    fail_fast: bool = False


def run(options: Options) -> int:
    """Probe once, or go on with `watch`, and return the exit code. Raises InputError."""
    source = sources.find(
        options.outputs,
        options.stack,
        sys.stdin.buffer,
        reads_pool=not options.skip_control_plane,
    )
    for each in FORMATS:
        path = getattr(options, each.flag)
        if path and (each.flag, path) != ("json", "-"):
            files.check(path, f"--{each.flag}")
    stream = sys.stderr if options.json == "-" else sys.stdout
    if options.watch:
        ticker = Ticker(stream)
        try:
            return _watch(options, source, options.watch, ticker)
        finally:
            ticker.close()
    write = printer(stream)
    report, interrupted = probe(
        options,
        source,
        _silent if options.quiet else write,
        live=not options.quiet and options.json != "-" and in_terminal(sys.stdout),
    )
    if options.quiet:
        write(report.sentence)
    _write_files(options, report)
    return INTERRUPTED if interrupted else report.exit_code


def _watch(options: Options, source: sources.Source, interval: float, ticker: Ticker) -> int:
    from probes.watch import REQUESTS_A_MINUTE, Budget, watch  # noqa: PLC0415

    def stamped(line: str) -> str:
        return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}"

    def once(left: int) -> Report:
        report, interrupted = probe(replace(options, max_requests=left), source, _silent)
        if interrupted:
            raise KeyboardInterrupt
        return report

    def show(report: Report, changed: bool) -> None:  # noqa: FBT001
        if changed:
            ticker.news(stamped(report.sentence))
        _write_files(options, report)

    if not options.quiet:
        ticker.news(f"[INFO] Outputs: {source.description}")
    return watch(
        once,
        interval=interval,
        budget=Budget(options.max_requests or REQUESTS_A_MINUTE),
        fail_fast=options.fail_fast,
        show=show,
        say=_silent if options.quiet else lambda line: ticker.life(stamped(line)),
    )


def probe(
    options: Options,
    source: sources.Source,
    write: Callable[[str], object],
    *,
    live: bool = False,
) -> tuple[Report, bool]:
    """Run once, showing it, and return the report and whether Ctrl-C ended it."""
    expectation = Expectation.of(source.outputs, options.expect)
    most = options.max_requests or expectation.plan.most_requests
    if options.watch:  # what is left of a minute's budget is no reason to send more than usual
        most = min(most, expectation.plan.most_requests)
    shown = Text(expectation, write)
    if live:
        from probes.formats.live import Live  # noqa: PLC0415 - rich, which a pipe does not need

        shown = Live(expectation)
    traffic = TrafficRun(
        outputs=source.outputs,
        plan=expectation.plan,
        max_requests=most,
        concurrency=options.concurrency,
        limit=options.timeout,
        zero_tokens=options.zero_tokens,
        on_answer=shown.answer,
    )
    reading = None if options.skip_control_plane else Reading(unread="the run was interrupted")
    started, begin = datetime.now(UTC), time.monotonic()

    async def control_plane() -> None:
        nonlocal reading
        if reading:
            # Requests go first: they wait for a region, while signing in keeps this machine busy.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(traffic.under_way.wait(), FIRST_REQUEST)
            reading = await _read_pool(source, options.timeout)
        shown.control_plane(reading)

    async def both() -> None:
        await asyncio.gather(control_plane(), traffic.send())

    shown.start(source, max_requests=most, zero_tokens=options.zero_tokens)
    interrupted = False
    run = both()
    try:
        asyncio.run(run)
    except KeyboardInterrupt:
        interrupted = True
        traffic.stopped = "interrupted"
    finally:
        run.close()  # Ctrl-C may come before it has begun
    report = Report(
        source=source,
        expectation=expectation,
        tally=traffic.tally,
        reading=reading,
        stopped=traffic.stopped,
        max_requests=most,
        started=started,
        duration=time.monotonic() - begin,
    )
    shown.end(report)
    return report, interrupted


async def _read_pool(source: sources.Source, limit: float) -> Reading:
    """Read the pool in a thread: signing in blocks, and its imports take as long as a request.

    At the time limit, and on Ctrl-C, the thread is left behind: nothing waits for it.
    """
    loop = asyncio.get_running_loop()
    read: asyncio.Future[Reading] = loop.create_future()

    def finish(reading: Reading) -> None:
        if not read.done():
            read.set_result(reading)

    def work() -> None:
        reading = read_pool(source.outputs, source.resource_manager, limit=limit)
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(finish, reading)

    threading.Thread(target=work, daemon=True).start()
    try:
        return await asyncio.wait_for(read, limit)
    except TimeoutError:
        return Reading(unread=f"{source.resource_manager}: no answer within {limit:g} s")


def _write_files(options: Options, report: Report) -> None:
    for each in FORMATS:
        if path := getattr(options, each.flag):
            text = each.render(report)
            if path != "-" or each.flag != "json":
                files.write(path, text)
            elif options.watch:
                print(json.dumps(json.loads(text), ensure_ascii=False), flush=True)
            else:
                print(text, end="", flush=True)
            summary = os.environ.get("GITHUB_STEP_SUMMARY")
            if summary and each.flag == "markdown":
                files.append(summary, text)


def _silent(_line: str) -> None:
    """Show nothing."""
