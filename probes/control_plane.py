"""Reads pools and policy as Azure Resource Manager has them now: what was deployed, not meant."""

from dataclasses import dataclass, field
from typing import Any

from components.contract import Outputs, digest
from components.resource_manager import API_MANAGEMENT, ResourceManager, ResourceManagerError, at
from components.traffic import Pool


@dataclass(frozen=True, kw_only=True)
class Found:
    """A resource as it was read back, or in `unread` why it was not; `status` is that of HTTP."""

    label: str
    status: int | None = None
    unread: str = ""


@dataclass(frozen=True, kw_only=True)
class FoundPool(Found):
    """A model's pool, and what it was declared as."""

    declared: Pool
    pool: Pool = field(default_factory=Pool)


@dataclass(frozen=True, kw_only=True)
class FoundPolicy(Found):
    """The API's policy by its digest; it `differs` from what was declared, white space aside."""

    digest: str = ""
    differs: bool = False


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was read: each model's pool, the first one's first, and the policy of newer stacks."""

    pools: tuple[FoundPool, ...]
    policy: FoundPolicy | None = None

    @property
    def all(self) -> tuple[Found, ...]:
        return (*self.pools, self.policy) if self.policy else self.pools

    @property
    def live(self) -> list[FoundPool]:
        return [found for found in self.pools if not found.unread]


def read(outputs: Outputs[str], endpoint: str, *, limit: float) -> Reading:
    """GET all at once from Resource Manager at `endpoint`; a request may take `limit` seconds."""
    manager = ResourceManager(endpoint=endpoint, limit=limit)
    policy = [outputs.policy.id] if outputs.policy else []
    answers = manager.get_all([*(pool.id for pool in outputs.pools), *policy], API_MANAGEMENT)
    return _reading(outputs, answers)


def unread(outputs: Outputs[str], reason: str) -> Reading:
    """Return the reading of a stack of which nothing could be read."""
    return _reading(outputs, [ResourceManagerError(reason)] * (len(outputs.pools) + 1))


def _reading(outputs: Outputs[str], answers: list[Any]) -> Reading:
    pools = []
    for number, (reference, answer) in enumerate(zip(outputs.pools, answers, strict=False)):
        label = f"the pool {reference.name}" if number else "the pool"
        pool = Pool.read(at(answer, "properties", "pool", "services"))
        problem = pool.unread and f"the answer for {reference.name} holds no pool"
        declared, told = outputs.declared_of(reference), _told(outputs, answer, problem)
        pools.append(FoundPool(label=label, declared=declared, pool=pool, **told))
    if not outputs.policy:
        return Reading(pools=tuple(pools))
    problem = found = ""
    try:
        found = digest(str(at(answers[-1], "properties", "value") or ""))
    except ValueError as error:
        problem = str(error)
    policy = FoundPolicy(
        label="the policy",
        digest=found,
        differs=bool(found) and found != outputs.policy.digest,
        **_told(outputs, answers[-1], problem),
    )
    return Reading(pools=tuple(pools), policy=policy)


def _told(outputs: Outputs[str], answer: Any, problem: str) -> dict[str, Any]:
    if isinstance(answer, ResourceManagerError):
        return {"status": answer.status, "unread": outputs.redact(str(answer))}
    return {"status": 200, "unread": problem}
