"""The embedded deployment: the unmodified Pulumi program against the local Azure, in process.

Not a second Pulumi: no plug-ins, no plans, no history. What it does keep is the engine's meaning
of unknowns in a preview, of create, update, same, replace and delete, of secrets, and a checkpoint
that survives `kill -9` at any moment.
"""

from emulator.deployment import sdk

with sdk.loading():  # before anything imports Pulumi
    from emulator.deployment.deploy import run
    from emulator.deployment.state import outputs

__all__ = ["outputs", "run"]
