"""The drills: what happens to which regions, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from demo import LATENCY

REGIONS: Final = ("foundry1", "foundry2", "foundry3")
HANGS: Final = 3600.0
DAY: Final = 86_400


@dataclass(frozen=True, kw_only=True)
class Drill:
    """What happens to `regions` for `seconds`.

    `fault` has the settings of `local_azure.faults.Fault`. `role_lost` takes the gateway's role on
    them away; `pool_update` deploys the round robin over a pool of the incident's priorities.
    `repeat_unanswered` is the stack's own setting.
    """

    name: str
    regions: tuple[str, ...] = ("foundry2",)
    fault: Mapping[str, Any] = field(default_factory=dict)
    role_lost: bool = False
    pool_update: bool = False
    repeat_unanswered: bool = False
    seconds: float = 20.0

    @property
    def one_lives(self) -> bool:
        """Whether a region is left that answers."""
        return len(self.regions) < len(REGIONS)

    @property
    def spares_all(self) -> bool:
        """Whether no client may see a failure: a call that was not answered is told as that."""
        return self.one_lives and (self.repeat_unanswered or self.fault.get("latency") != HANGS)


DRILLS: Final = (
    Drill(name="port closed", fault={"closed": True}),
    Drill(name="connections dropped", fault={"down": True}),
    Drill(name="hangs", fault={"latency": HANGS}, seconds=150.0),
    Drill(
        name="hangs, repeatUnanswered",
        fault={"latency": HANGS},
        repeat_unanswered=True,
        seconds=150.0,
    ),
    Drill(name="429, Retry-After 2 s", fault={"status": 429, "retry_after": 2}),
    Drill(name="429, Retry-After a day", fault={"status": 429, "retry_after": DAY}),
    Drill(name="429, no Retry-After", fault={"status": 429}),
    Drill(name="500", fault={"status": 500}),
    Drill(name="503", fault={"status": 503}),
    Drill(name="answers cut in the middle", fault={"reset": True}),
    Drill(name="role lost", role_lost=True),
    Drill(name="ten times slower", fault={"latency": 9 * LATENCY["eastus"]}),
    Drill(name="two ports closed", regions=("foundry1", "foundry2"), fault={"closed": True}),
    Drill(name="two answer 429", regions=("foundry2", "foundry3"), fault={"status": 429}),
    Drill(name="all ports closed", regions=REGIONS, fault={"closed": True}),
    Drill(
        name="all answer 429, Retry-After 2 s",
        regions=REGIONS,
        fault={"status": 429, "retry_after": 2},
    ),
    Drill(name="pool update under load", regions=(), pool_update=True),
)
