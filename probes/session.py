"""One run of the probe: reads the outputs, the pool and the traffic, and shows the verdict."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from components.endpoints import PUBLIC_AZURE
from probes import evidence, sources
from probes.control_plane import read_pool
from probes.forms import files
from probes.forms.text import Text
from probes.pool import Pool
from probes.report import Report
from probes.traffic_run import TrafficRun

INTERRUPTED: Final = 130


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
    source = sources.find(options.outputs, options.stack, sys.stdin.buffer)
    for flag in ("json", "junit", "markdown", "svg"):
        path = getattr(options, flag)
        if path and (flag, path) != ("json", "-"):
            files.check(path, f"--{flag}")
    if options.watch:
        return _watch(options, source, options.watch)
    write = _printer(options)
    report, interrupted = probe(
        options,
        source,
        _silent if options.quiet else write,
        live=not options.quiet and options.json != "-" and _in_terminal(),
    )
    if options.quiet:
        write(report.sentence)
    _write_forms(options, report)
    return INTERRUPTED if interrupted else report.exit_code


def _watch(options: Options, source: sources.Source, interval: float) -> int:
    from probes.watch import REQUESTS_A_MINUTE, Budget, watch  # noqa: PLC0415

    write = _printer(options)

    def once(left: int) -> Report:
        report, interrupted = probe(replace(options, max_requests=left), source, _silent)
        if interrupted:
            raise KeyboardInterrupt
        return report

    def show(report: Report, changed: bool) -> None:  # noqa: FBT001
        if changed:
            write(f"{report.started:%Y-%m-%dT%H:%M:%SZ} {report.sentence}")
        _write_forms(options, report)

    return watch(
        once,
        interval=interval,
        budget=Budget(options.max_requests or REQUESTS_A_MINUTE),
        fail_fast=options.fail_fast,
        show=show,
    )


def probe(
    options: Options,
    source: sources.Source,
    write: Callable[[str], object],
    *,
    live: bool = False,
) -> tuple[Report, bool]:
    """Run once, showing it, and return the report and whether Ctrl-C ended it."""
    stack = source.stack
    round_robin = options.expect == "round-robin" or stack.routing == "round-robin"
    plan = evidence.plan(stack.shares(round_robin=round_robin))
    most = options.max_requests or plan.most_requests
    if options.watch:  # what is left of a minute's budget is no reason to send more than usual
        most = min(most, plan.most_requests)
    form = Text(stack, round_robin=round_robin, write=write)
    if live:
        from probes.forms.live import Live  # noqa: PLC0415 - rich, which a pipe does not need

        form = Live(stack, plan, round_robin=round_robin)
    traffic = TrafficRun(
        stack=stack,
        plan=plan,
        max_requests=most,
        concurrency=options.concurrency,
        limit=options.timeout,
        zero_tokens=options.zero_tokens,
        on_answer=form.answer,
    )
    pool = None if options.skip_control_plane else Pool(unread="the run was interrupted before")
    started, begin = datetime.now(UTC), time.monotonic()

    async def control_plane() -> None:
        nonlocal pool
        if pool:
            endpoint = os.environ.get("ARM_ENDPOINT") or source.endpoint or PUBLIC_AZURE
            pool = await read_pool(stack, endpoint, limit=options.timeout)
        form.control_plane(pool)

    async def both() -> None:
        await asyncio.gather(control_plane(), traffic.send())

    form.start(source.name, max_requests=traffic.max_requests, zero_tokens=options.zero_tokens)
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
        stack=stack,
        round_robin=round_robin,
        plan=plan,
        tally=traffic.tally,
        pool=pool,
        stopped=traffic.stopped,
        max_requests=traffic.max_requests,
        started=started,
        duration=time.monotonic() - begin,
    )
    form.end(report)
    return report, interrupted


def _write_forms(options: Options, report: Report) -> None:
    # Only the forms that are asked for cost an import.
    if options.json:
        from probes.forms import json_form  # noqa: PLC0415

        _write(options.json, json_form.render(report, one_line=bool(options.watch)))
    if options.junit:
        from probes.forms import junit_form  # noqa: PLC0415

        _write(options.junit, junit_form.render(report))
    if options.markdown:
        from probes.forms import markdown_form  # noqa: PLC0415

        text = markdown_form.render(report)
        _write(options.markdown, text)
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            files.append(summary, text)
    if options.svg:
        from probes.forms import svg_form  # noqa: PLC0415

        _write(options.svg, svg_form.render(report))


def _write(path: str, text: str) -> None:
    if path == "-":
        print(text, end="", flush=True)
    else:
        files.write(path, text)


def _in_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _silent(_line: str) -> None:
    """Show nothing."""


def _printer(options: Options) -> Callable[[str], None]:
    stream = sys.stderr if options.json == "-" else sys.stdout

    def write(line: str) -> None:
        print(line, file=stream, flush=True)

    return write
