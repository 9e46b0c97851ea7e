"""Prove that a deployed stack's traffic is spread over its regions, and say so by exit code."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

if __name__ == "__main__":
    # Run as a script: imports start at the repository, not in this folder.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

WRONG_INPUT = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the probe and return its exit code."""
    options = _parser().parse_args(arguments)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="distribution.py",
        description=__doc__,
        epilog="exit codes: 0 balanced, 1 not balanced, 2 wrong usage or input, "
        "3 inconclusive or unreachable, 130 interrupted",
    )
    parser.add_argument(
        "--outputs",
        metavar="FILE",
        required=True,
        help="the stack's outputs as `pulumi stack output --json --show-secrets` writes them; "
        "- is standard input",
    )
    parser.add_argument(
        "--expect",
        choices=("round-robin", "declared"),
        default="declared",
        help="judge against round robin, or against what the stack declares (default)",
    )
    parser.add_argument(
        "--max-requests",
        type=_positive(int),
        metavar="N",
        help="requests at most (default: what the evidence can take, 64 for three regions)",
    )
    parser.add_argument(
        "--concurrency",
        type=_positive(int),
        default=10,
        metavar="N",
        help="requests in flight at most (default: 10)",
    )
    parser.add_argument(
        "--timeout",
        type=_positive(float),
        default=60.0,
        metavar="SECONDS",
        help="time limit of the whole run (default: 60)",
    )
    parser.add_argument(
        "--skip-control-plane",
        action="store_true",
        help="judge the traffic alone; do not read the pool back",
    )
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
