"""Which member of a load-balanced pool gets the next request.

API Management documentation, "Backends", load-balanced pool: the lowest priority number goes first,
a lower group serves only while every member of the higher ones is tripped, and weights are relative
within a group.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member of a pool: a backend's name, its priority (1 before 2) and relative weight."""

    name: str
    priority: int
    weight: int


class Rotation:
    """The rotation of one pool on one gateway instance: smooth weighted round robin.

    Each live member gains its weight, the richest is picked and pays what was gained. So equal
    weights alternate strictly, and weights 5 and 1 interleave rather than make a run of five. What
    is gained and paid adds up to nothing, also while members trip and return: no one is owed a
    burst.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self.declared = tuple(members)
        self._members = sorted(members, key=lambda member: member.priority)
        self._credit = [0] * len(self._members)

    def pick(self, is_tripped: Callable[[str], bool]) -> str | None:
        """Return the name of the member that gets the next request, or None when all are tripped.

        Azure does not document weight 0: no traffic, or an equal share where a whole group has it.
        """
        live: list[int] = []
        for index, member in enumerate(self._members):
            if live and member.priority != self._members[live[0]].priority:
                break
            if not is_tripped(member.name):
                live.append(index)
        if not live:
            return None
        weights = [self._members[index].weight for index in live]
        if not any(weights):
            weights = [1] * len(live)
        credit = self._credit
        best = -1
        for index, weight in zip(live, weights, strict=True):
            credit[index] += weight
            if weight and (best < 0 or credit[index] > credit[best]):
                best = index
        credit[best] -= sum(weights)
        return self._members[best].name
