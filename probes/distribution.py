"""Prove that a deployed stack's traffic is spread over its regions, and say so by exit code."""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # Run as a script: imports start at the repository, not in this folder.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from probes import exit_codes
from probes.formats import FORMATS

_EPILOG = f"""\
examples:
  python probes/distribution.py
  python probes/distribution.py --stack prod --expect round-robin
  pulumi stack output --json --show-secrets | python probes/distribution.py --outputs -

environment:
  PROBE_OUTPUTS  a file with outputs, judged when no stack is selected in the Pulumi CLI
  PULUMI_STACK   the stack that counts as selected
  ARM_ENDPOINT   Azure Resource Manager (default: https://management.azure.com)
  ARM_CLIENT_ID, ARM_TENANT_ID, ARM_CLIENT_SECRET or ARM_USE_OIDC
                 a service principal that reads the pool (default: `az login`, or
                 whatever else azure-identity finds)
  NO_COLOR       no colours in a terminal

{exit_codes.described(exit_codes.PROBE)}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the probe and return its exit code."""
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except (OSError, exit_codes.InputError) as error:
        if isinstance(error, OSError):  # the interpreter writes its buffers to nowhere at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # who read the output has left
            return exit_codes.INCONCLUSIVE
        reason = getattr(error, "strerror", None)
        told = f"output cannot be written: {reason.lower()}" if reason else str(error)
        print(f"distribution.py: error: {told}", file=sys.stderr)
        return exit_codes.WRONG_INPUT


def _run(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.fail_fast and not options.watch:
        parser.error("--fail-fast stops --watch SECONDS; give both")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # "✓" must not end a run where it is unknown
    # Only here: what --help and a wrong flag do not need takes most of the start.
    from probes import session  # noqa: PLC0415

    return session.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="distribution.py",
        usage="%(prog)s [options]",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    stack = parser.add_argument_group("which stack")
    stack.add_argument(
        "--outputs",
        metavar="FILE",
        help="outputs as `pulumi stack output --json --show-secrets` writes them; - is "
        "standard input",
    )
    stack.add_argument(
        "--stack",
        metavar="NAME",
        help="read them with the Pulumi CLI (default: the stack that is selected there, or "
        "the file that $PROBE_OUTPUTS names, whichever there is)",
    )
    judged = parser.add_argument_group("what is judged")
    judged.add_argument(
        "--expect",
        choices=("round-robin", "declared"),
        default="declared",
        help="round robin, or what the stack declares (default)",
    )
    judged.add_argument(
        "--skip-control-plane",
        action="store_true",
        help="judge the traffic alone; do not read the pool back",
    )
    effort = parser.add_argument_group("effort")
    effort.add_argument(
        "--max-requests",
        **_number(int, "N"),
        help="requests at most (default: what the evidence can take, 64 for three regions)",
    )
    effort.add_argument(
        "--concurrency",
        **_number(int, "N", 10),
        help="requests in flight at most, and never more than the evidence can need (default: 10)",
    )
    effort.add_argument(
        "--timeout",
        **_number(float, "SECONDS", 60.0),
        help="time limit of the whole run (default: 60)",
    )
    effort.add_argument(
        "--zero-tokens",
        action="store_true",
        help="list the models instead of asking for completions; costs nothing",
    )
    watching = parser.add_argument_group("watching")
    watching.add_argument(
        "--watch",
        **_number(float, "SECONDS"),
        help="repeat every SECONDS; print a line when the verdict changes, and otherwise a sign "
        "of life. --max-requests is then a budget per minute (default: 120), and --json - prints "
        "one line per run",
    )
    watching.add_argument(
        "--fail-fast", action="store_true", help="stop watching at the first imbalance, with 1"
    )
    formats = parser.add_argument_group("formats", "written whole or not at all")
    for flag, meaning in FORMATS.items():
        formats.add_argument(f"--{flag}", metavar="FILE", help=meaning)
    formats.add_argument("--quiet", action="store_true", help="print the verdict alone")
    return parser


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
