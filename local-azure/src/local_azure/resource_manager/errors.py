"""Azure Resource Manager's error answers."""

from collections.abc import Mapping, Sequence
from typing import Any

_LONGEST = 1000


class ArmError(Exception):
    """A refusal as Azure answers it: an HTTP status and the error envelope.

    `details` are `(target, message)` pairs; they have the code of the error itself. A message may
    repeat what was sent, and so is cut where it gets long.
    """

    def __init__(
        self, status: int, code: str, message: str, *, details: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.details = tuple(details)

    @property
    def envelope(self) -> Mapping[str, Any]:
        """The JSON body (Azure Resource Manager RPC, "Error response content")."""
        error: dict[str, Any] = {"code": self.code, "message": _cut(self.message)}
        if self.details:
            error["details"] = [
                {"code": self.code, "target": _cut(target), "message": _cut(message)}
                for target, message in self.details
            ]
        return {"error": error}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
