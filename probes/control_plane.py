"""Reads the pool as Azure Resource Manager has it now: what was deployed, not what was meant."""

from dataclasses import dataclass, field

from components.contract import Outputs
from components.resource_manager import API_MANAGEMENT, ResourceManager, ResourceManagerError, at
from components.traffic import Pool


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The pool as it was read back, or in `unread` why it was not; `status` is that of HTTP."""

    status: int | None = None
    pool: Pool = field(default_factory=Pool)
    unread: str = ""


def read_pool(outputs: Outputs[str], endpoint: str, *, limit: float) -> Reading:
    """GET the pool from Resource Manager at `endpoint`; a request may take `limit` seconds."""
    try:
        manager = ResourceManager(endpoint=endpoint, limit=limit)
        answer = manager.get(outputs.pool.id, API_MANAGEMENT)
    except ResourceManagerError as error:
        return Reading(status=error.status, unread=outputs.redact(str(error)))
    pool = Pool.read(at(answer, "properties", "pool", "services"))
    if pool.unread:
        return Reading(status=200, unread=f"the answer for {outputs.pool.name} holds no pool")
    return Reading(status=200, pool=pool)
