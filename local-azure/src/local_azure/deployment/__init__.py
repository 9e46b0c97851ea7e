"""The embedded deployment: the unmodified Pulumi program against the local Azure, in process.

Not a second Pulumi: no plug-ins, no plans, no history. What it does keep is the engine's meaning
of unknowns in a preview, of create, update, same, replace and delete, of secrets, and a checkpoint
that survives `kill -9` at any moment.
"""

from typing import TYPE_CHECKING, Any

from local_azure.deployment.state import outputs, unprotect

if TYPE_CHECKING:
    from local_azure.deployment.deploy import run

__all__ = ["outputs", "run", "unprotect"]


def __getattr__(name: str) -> Any:
    """Load what runs programs when it is first asked for: Pulumi takes longer than the outputs."""
    if name != "run":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from local_azure.deployment import sdk  # noqa: PLC0415

    with sdk.loading():  # before anything imports Pulumi
        from local_azure.deployment.deploy import run  # noqa: PLC0415
    return run
