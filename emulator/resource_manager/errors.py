"""Azure Resource Manager's error answers."""

from collections.abc import Mapping, Sequence
from typing import Any


class ArmError(Exception):
    """A refusal as Azure answers it: an HTTP status and the error envelope.

    `details` are `(target, message)` pairs; they have the code of the error itself.
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
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details:
            error["details"] = [
                {"code": self.code, "target": target, "message": message}
                for target, message in self.details
            ]
        return {"error": error}
