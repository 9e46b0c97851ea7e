"""Exit codes of the commands, the sentence that describes each, and what ends with which."""

import io
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

AS_DECLARED: Final = 0
UNBALANCED: Final = 1
WRONG_INPUT: Final = 2
INCONCLUSIVE: Final = 3
INTERRUPTED: Final = 130

PROBE: Final[Mapping[int, str]] = {
    AS_DECLARED: "the pool is as declared, and the traffic proves it",
    UNBALANCED: "the pool or the traffic is not as declared",
    WRONG_INPUT: "wrong usage or input",
    INCONCLUSIVE: "inconclusive or unreachable, which is never a pass",
    INTERRUPTED: "interrupted (Ctrl-C)",
}
COMMENT: Final[Mapping[int, str]] = {
    AS_DECLARED: "traffic would be spread as declared",
    UNBALANCED: "traffic would not be spread as declared",
    WRONG_INPUT: "wrong usage or input, or a comment that GitHub did not take",
    INCONCLUSIVE: "cannot be told from this preview, which is never a pass",
    INTERRUPTED: PROBE[INTERRUPTED],
}
MODELS: Final[Mapping[int, str]] = {
    AS_DECLARED: "every deployment can be made, and none retires soon",
    UNBALANCED: "a deployment would fail, or retires within 60 days",
    WRONG_INPUT: PROBE[WRONG_INPUT],
    INCONCLUSIVE: "Azure did not say, which is never a pass",
    INTERRUPTED: PROBE[INTERRUPTED],
}


class InputError(Exception):
    """What was given cannot be used: WRONG_INPUT. The message names it and the remedy."""

    code = WRONG_INPUT


class UnreachableError(InputError):
    """What was given leads to what does not answer: INCONCLUSIVE."""

    code = INCONCLUSIVE


def described(codes: Mapping[int, str]) -> str:
    return "\n".join(["exit codes:", *(f"  {code:<4} {told}" for code, told in codes.items())])


def of(run: Callable[[], int], prefix: str) -> int:
    """Run a command and return its exit code; what it was given wrong is a line after `prefix`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # "✓" must not end a run where it is unknown
    try:
        try:
            return run()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except (OSError, InputError) as error:
        if isinstance(error, OSError):  # the interpreter writes its buffers to nowhere at exit
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # who read the output has left
            return INCONCLUSIVE
        reason = getattr(error, "strerror", None)
        told = f"output cannot be written: {reason.lower()}" if reason else str(error)
        print(f"{prefix}: {told}", file=sys.stderr)
        return getattr(error, "code", WRONG_INPUT)
