"""What an evaluation may use, and how one fails."""

import threading
from typing import Final

from local_azure.gateway.exchange import ProxyError

MAX_STRING: Final = 1_000_000  # characters


MAX_ITEMS: Final = 10_000  # of one list, object or array


MAX_STEPS: Final = 10_000  # passes of loops, calls of lambdas and copied nodes, an evaluation


MAX_JSON_DEPTH: Final = 64


class EvaluationError(ProxyError):
    """An expression that failed on this request; worded as .NET words it."""

    def __init__(self, message: str) -> None:
        super().__init__(
            f"Expression evaluation failed. {message}",
            source="policy-expression",
            reason="ExpressionValueEvaluationFailure",
        )
        self.dotnet_message = message


class TooMuchError(EvaluationError):
    """More than an evaluation may use: no `catch` of an expression goes on after it."""


class _Budget(threading.local):
    """What is left to the evaluation under way; evaluations do not interleave in a thread."""

    left = MAX_STEPS


_budget = _Budget()


def renew_budget() -> None:
    """Begin an evaluation."""
    _budget.left = MAX_STEPS


def spend(steps: int = 1) -> None:
    """Take steps. Raises TooMuchError when there are none left."""
    _budget.left -= steps
    if _budget.left < 0:
        raise TooMuchError(f"The expression took more than {MAX_STEPS} steps.")


def null_reference() -> EvaluationError:
    """Return what a member of null fails with."""
    return EvaluationError("Object reference not set to an instance of an object.")


def bounded(text: str) -> str:
    """Return the text. Raises TooMuchError when it is longer than MAX_STRING."""
    if len(text) > MAX_STRING:
        raise too_long()
    return text


def too_long() -> EvaluationError:
    """Return what text without end fails with."""
    return TooMuchError(f"The string is longer than {MAX_STRING} characters.")
