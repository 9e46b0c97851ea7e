"""Prove that a deployed stack's traffic is spread over its regions, and say so by exit code."""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

if __name__ == "__main__":
    # Run as a script: imports start at the repository, not in this folder.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

_EPILOG = """\
examples:
  pulumi stack output --json --show-secrets | python probes/distribution.py --outputs -
  python probes/distribution.py --stack dev --expect round-robin
  python probes/distribution.py --outputs outputs.json --zero-tokens --junit report.xml

environment:
  ARM_ENDPOINT  Azure Resource Manager (default: https://management.azure.com); a token
                comes from azure-identity, and none is needed on loopback
  NO_COLOR      no colours in a terminal

exit codes:
  0 balanced    1 not balanced    2 wrong usage or input
  3 inconclusive or unreachable   130 interrupted (Ctrl-C)
"""
WRONG_INPUT = 2
INCONCLUSIVE = 3
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the probe and return its exit code."""
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # "✓" must not end a run where it is unknown
    # httpx loads a command line of its own where click is installed: half of the probe's start.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    try:
        # Only here: what --help and a wrong flag do not need takes most of the start.
        from probes import outputs, session  # noqa: PLC0415

        try:
            return session.run(session.Options(**vars(options)))
        except outputs.InputError as error:
            print(f"distribution.py: error: {error}", file=sys.stderr)
            return WRONG_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Who read the output has left; nothing may be written any more, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INCONCLUSIVE


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
        help="read them with the Pulumi CLI; without it, or without a name, from the local Azure",
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
        type=_positive(int),
        metavar="N",
        help="requests at most (default: what the evidence can take, 64 for three regions)",
    )
    effort.add_argument(
        "--concurrency",
        type=_positive(int),
        default=10,
        metavar="N",
        help="requests in flight at most, and never more than the evidence can need (default: 10)",
    )
    effort.add_argument(
        "--timeout",
        type=_positive(float),
        default=60.0,
        metavar="SECONDS",
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
        type=_positive(float),
        metavar="SECONDS",
        help="go on, once in so many seconds, and print a line when the verdict changes; "
        "--max-requests then is a budget for each minute (default: 120), and --json - prints a "
        "line each time",
    )
    watching.add_argument(
        "--fail-fast", action="store_true", help="stop watching at the first imbalance, with 1"
    )
    forms = parser.add_argument_group("forms", "written whole or not at all")
    forms.add_argument(
        "--json",
        metavar="FILE",
        help="everything, as probes/report.schema.json describes it; - is standard output, and "
        "then lines for people go to standard error",
    )
    forms.add_argument("--junit", metavar="FILE", help="one test case a criterion")
    forms.add_argument(
        "--markdown",
        metavar="FILE",
        help="tables; appended to $GITHUB_STEP_SUMMARY as well, where it is set",
    )
    forms.add_argument("--svg", metavar="FILE", help="a picture of the shares and the requests")
    forms.add_argument("--quiet", action="store_true", help="print the verdict alone")
    return parser


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise ValueError
        return value

    number.__name__ = "number above 0"  # argparse: "invalid number above 0 value: 'x'"
    return number


if __name__ == "__main__":
    sys.exit(main())
