"""One run of the probe: reads the outputs, the pool and the traffic, and shows the verdict."""

import asyncio
import json
import os
import sys
import threading
import time
from argparse import Namespace
from concurrent.futures import Future, InvalidStateError
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from probes import files, sources
from probes.control_plane import Reading, read, unread
from probes.exit_codes import INTERRUPTED, InputError
from probes.formats import FORMATS, render
from probes.formats.lines import Ticker, in_terminal, printer
from probes.formats.text import Text
from probes.report import Expectation, Report
from probes.traffic_run import TrafficRun

FIRST_REQUEST: Final = 0.5  # seconds that reading the pool waits for a first request to be sent
CTRL_C: Final = "interrupted"  # why a run that Ctrl-C ended has stopped


def run(options: Namespace) -> int:
    """Probe once, or go on with `watch`, and return the exit code. Raises InputError."""
    reads_pool, logged = not options.skip_control_plane, bool(options.from_logs)
    source = sources.find(
        options.outputs,
        options.stack,
        key=options.outputs_key,
        reads_pool=reads_pool or logged,
        sends=not logged,
    )
    if options.deployment:
        source = _of_deployment(source, options.deployment)
    for flag in (*FORMATS, "picture"):
        path = getattr(options, flag)
        if path and (flag, path) != ("json", "-"):
            files.check(path, flag)
    expectation = Expectation.of(source.outputs, options.expect)
    stream = sys.stderr if options.json == "-" else sys.stdout
    write = printer(stream)
    if options.watch:
        if not options.quiet:
            write(source.description)
        with closing(Ticker(stream)) as ticker:
            return _watch(options, source, expectation, ticker)
    shown = Text(expectation, None if options.quiet else write)
    if logged:
        report = from_logs(options, source, shown)
        if options.quiet:
            write(report.sentence)
        _write_files(options, report)
        return report.exit_code
    if not options.quiet and options.json != "-" and in_terminal(sys.stdout):
        from probes.formats.live import Live  # noqa: PLC0415 - rich, which a pipe does not need

        shown = Live(expectation)
    most = options.max_requests or expectation.plan.most_requests
    report = probe(options, source, shown, most)
    if options.quiet:
        write(report.sentence)
    _write_files(options, report)
    return INTERRUPTED if report.stopped == CTRL_C else report.exit_code


def _of_deployment(source: sources.Source, name: str) -> sources.Source:
    known = [pool.deployment for pool in source.outputs.pools]
    if name not in known:
        raise InputError(f"--deployment {name}: the stack has {', '.join(known)}")
    return replace(source, outputs=replace(source.outputs, deployment=name))


def _watch(
    options: Namespace, source: sources.Source, expectation: Expectation, ticker: Ticker
) -> int:
    from probes.watch import watch  # noqa: PLC0415

    def once(left: int) -> Report:
        # What is left of a minute's budget is no reason to send more than usual.
        most = min(left, expectation.plan.most_requests)
        report = probe(options, source, Text(expectation), most)
        if report.stopped == CTRL_C:
            raise KeyboardInterrupt
        return report

    return watch(options, once, partial(_write_files, options), ticker)


def from_logs(options: Namespace, source: sources.Source, shown: Text) -> Report:
    """Judge what the gateway's log counts, and send nothing. Raises InputError."""
    from probes.logs import WINDOWS, Logs  # noqa: PLC0415

    begin, limit = time.monotonic(), options.timeout
    expectation, window = shown.expectation, WINDOWS[options.from_logs]
    logs = Logs(source.outputs, source.resource_manager, limit)
    shown.start_of_log(source, options.from_logs)
    reading = None
    if not options.skip_control_plane:
        reading = read(source.outputs, source.resource_manager, limit=limit)
    tally = logs.tally(expectation.plan, window)
    report = Report(
        source=source,
        expectation=expectation,
        tally=tally,
        reading=reading,
        stopped="" if tally.requests else f"the log of the last {options.from_logs} has none",
        max_requests=tally.requests,
        started=datetime.now(UTC) - window,
        duration=time.monotonic() - begin,
        window=options.from_logs,
        hours=logs.hours(expectation.plan, window) if options.by else None,
    )
    shown.end(report)
    return report


def probe(options: Namespace, source: sources.Source, shown: Text, most: int) -> Report:
    """Send at most so many requests, showing them, and judge; Ctrl-C ends in a report too."""
    expectation = shown.expectation
    traffic = TrafficRun(
        options=options,
        expectation=expectation,
        max_requests=most,
        on_answer=shown.answer,
        on_wait=shown.waits,
    )
    reading = None
    if not options.skip_control_plane:
        reading = unread(source.outputs, "the run was interrupted")
    started, begin = datetime.now(UTC), time.monotonic()

    async def control_plane() -> None:
        nonlocal reading
        if reading:
            # Requests go first: they wait for a region, while signing in keeps this machine busy.
            with suppress(TimeoutError):
                await asyncio.wait_for(traffic.under_way.wait(), FIRST_REQUEST)
            reading = await _read(source, options.timeout)
        shown.control_plane(reading)

    async def both() -> None:
        await asyncio.gather(control_plane(), traffic.send())

    shown.start(source, max_requests=most, api=options.api)
    run = both()
    try:
        asyncio.run(run)
    except KeyboardInterrupt:
        traffic.stopped = CTRL_C
    finally:
        run.close()  # Ctrl-C may come before it has begun
    report = Report(
        source=source,
        expectation=expectation,
        tally=traffic.tally,
        reading=reading,
        stopped=traffic.stopped,
        max_requests=most,
        started=started + timedelta(seconds=traffic.waited),
        duration=time.monotonic() - begin - traffic.waited,
        conversations=traffic.conversations,
    )
    shown.end(report)
    return report


async def _read(source: sources.Source, limit: float) -> Reading:
    """Read in a thread: signing in blocks, and its imports take as long as a request.

    At the time limit, and on Ctrl-C, the thread is left behind: nothing waits for it.
    """
    done: Future[Reading] = Future()

    def work() -> None:
        reading = read(source.outputs, source.resource_manager, limit=limit)
        with suppress(InvalidStateError):  # nobody waits any more
            done.set_result(reading)

    threading.Thread(target=work, daemon=True).start()
    try:
        return await asyncio.wait_for(asyncio.wrap_future(done), limit)
    except TimeoutError:
        reason = f"{source.resource_manager}: no answer within {limit:g} s"
        return unread(source.outputs, reason)


def _write_files(options: Namespace, report: Report) -> None:
    for flag in FORMATS:
        if path := getattr(options, flag):
            text = render(flag, report)
            if (flag, path) != ("json", "-"):
                files.write(path, text)
            elif options.watch:
                print(json.dumps(json.loads(text), ensure_ascii=False), flush=True)
            else:
                print(text, end="", flush=True)
            summary = os.environ.get("GITHUB_STEP_SUMMARY")
            if summary and flag == "markdown":
                files.append(summary, text)
    if options.picture and report.hours:
        from probes.formats import hours_svg  # noqa: PLC0415

        files.write(options.picture, hours_svg.render(report))
