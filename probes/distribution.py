"""Verify that a deployed stack spreads its traffic; the exit code is the verdict."""

import argparse
import gc
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # Run as a script: imports start at the repository, not in this folder.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from probes import exit_codes
from probes.formats import FORMATS

CONCURRENCY = 10  # requests in flight
# What makes no sense where nothing is sent.
SENDING = (
    "deployment",
    "max_requests",
    "concurrency",
    "wait_ready",
    "api",
    "zero_tokens",
    "watch",
    "fail_fast",
)
_EPILOG = f"""\
examples:
  python probes/distribution.py
  python probes/distribution.py --stack prod --expect round-robin
  python probes/distribution.py --stack prod --outputs-key gateway
  python probes/distribution.py --from-logs 24h --by hour
  pulumi stack output --json --show-secrets | python probes/distribution.py --outputs -

environment:
  PROBE_OUTPUTS  a file with stack outputs, read when no stack is selected
  PULUMI_STACK   selects a stack, as for the Pulumi CLI
  ARM_ENDPOINT   Azure Resource Manager (default: https://management.azure.com)
                 azure-identity signs in to it: `az login`, a managed identity,
                 or AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET
  NO_COLOR       no colours in a terminal

{exit_codes.described(exit_codes.PROBE)}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    return exit_codes.of(lambda: _run(arguments), "distribution.py: error")


def _run(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.from_logs:
        for flag in SENDING:
            if getattr(options, flag):
                parser.error(f"--{flag.replace('_', '-')} is for requests; --from-logs sends none")
    elif options.by or options.picture:
        parser.error("--by and --picture show the log; give --from-logs as well")
    if options.picture and not options.by:
        parser.error("--picture FILE draws the hours; give --by hour as well")
    if options.zero_tokens and options.api not in (None, "models"):
        parser.error("--zero-tokens lists the models; leave out --api, or write --api models")
    options.api = "models" if options.zero_tokens else options.api or "chat"
    options.concurrency = options.concurrency or CONCURRENCY
    if options.fail_fast and not options.watch:
        parser.error("--fail-fast stops --watch SECONDS; give both")
    if options.wait_ready and options.watch:
        parser.error("--wait-ready is for a first run; --watch goes on by itself")
    # Only here: what --help and a wrong flag do not need takes most of the start. httpx loads a
    # command line of its own wherever click is installed, as by Locust: a verdict takes 2.26 s
    # without it, and 2.36 s with it (benchmarks/probe.py, medians of three runs).
    gc.disable()  # loading makes next to no garbage
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    from probes import session  # noqa: PLC0415

    gc.enable()
    return session.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="distribution.py",
        usage="%(prog)s [options]",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument_group("which stack").add_argument
    what = (
        "read the stack outputs from FILE, as `pulumi stack output --json --show-secrets` writes "
        "them; - is standard input"
    )
    add("--outputs", metavar="FILE", help=what)
    what = (
        "read the outputs of this stack with the Pulumi CLI (default: the stack selected in the "
        "CLI, or the file named by $PROBE_OUTPUTS; if both are there, choose one)"
    )
    add("--stack", metavar="NAME", help=what)
    what = (
        "read the output at PATH, as gateway, prod.openai or pools[0], of a stack that exports "
        "several gateways (default: the top level, or the only one below it)"
    )
    add("--outputs-key", metavar="PATH", help=what)
    add = parser.add_argument_group("what is judged").add_argument
    what = "judge against round robin, or against what the stack declares (default)"
    add("--expect", choices=("round-robin", "declared"), default="declared", help=what)
    what = "judge only the traffic; do not read pools and policy from Resource Manager"
    add("--skip-control-plane", action="store_true", help=what)
    what = "ask for this deployment of the stack (default: the first)"
    add("--deployment", metavar="NAME", help=what)
    add = parser.add_argument_group("effort").add_argument
    what = "send at most N requests (default: as many as a verdict can take, 64 for three regions)"
    add("--max-requests", **_number(int, "N"), help=what)
    what = f"keep at most N requests in flight (default: {CONCURRENCY})"
    add("--concurrency", **_number(int, "N"), help=what)
    add("--timeout", **_number(float, "SECONDS", 60.0), help="stop after SECONDS (default: 60)")
    what = (
        "after a first deployment: ask again for up to TIME, as 90s, 35m or 1h, while a region "
        "denies access or has no such deployment yet; only then judge"
    )
    add("--wait-ready", **_number(_seconds, "TIME"), help=what)
    what = (
        "what to ask for: chat completions (default); responses, of which one in each region is "
        "then continued for two more turns; models, which costs nothing"
    )
    add("--api", choices=("chat", "responses", "models"), help=what)
    add("--zero-tokens", action="store_true", help="the same as --api models")
    add = parser.add_argument_group("watching").add_argument
    what = (
        "repeat every SECONDS: prints a line when the verdict changes, and a heartbeat otherwise. "
        "--max-requests becomes a budget per minute (default: 120), and --json - prints one line "
        "per run"
    )
    add("--watch", **_number(float, "SECONDS"), help=what)
    add("--fail-fast", action="store_true", help="exit with 1 at the first imbalance")
    add = parser.add_argument_group("without requests").add_argument
    what = (
        "judge the requests of so long in the gateway's log, in the Log Analytics workspace of the "
        "stack; sends none. Needs the role Log Analytics Reader"
    )
    add("--from-logs", choices=("1h", "24h", "7d"), help=what)
    what = "show the log by hours, and since when a region is silent"
    add("--by", choices=("hour",), help=what)
    add("--picture", metavar="FILE", help="draw these hours as SVG")
    title, note = "reports", "each file is written whole or not at all"
    add = parser.add_argument_group(title, note).add_argument
    for flag, meaning in FORMATS.items():
        add(f"--{flag}", metavar="FILE", help=meaning)
    add("--quiet", action="store_true", help="print only the verdict")
    return parser


def _seconds(text: str) -> float:
    units = {"s": 1, "m": 60, "h": 3600}
    return float(text[:-1]) * units[text[-1]] if text[-1:] in units else float(text)


def _number(
    kind: Callable[[str], float], unit: str, default: float | None = None
) -> dict[str, Any]:
    def number(text: str) -> float:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise ValueError
        return value

    number.__name__ = "number above 0"  # argparse: "invalid number above 0 value: 'x'"
    return {"type": number, "metavar": unit, "default": default}


if __name__ == "__main__":
    sys.exit(main())
