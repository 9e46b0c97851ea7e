"""The pool as it was read back, and what is not as it should be."""

from dataclasses import dataclass

from components.traffic import Member, expected_shares, not_round_robin, percent
from probes.outputs import Stack


@dataclass(frozen=True, kw_only=True)
class PoolMember:
    """A member of the live pool; None where Azure holds no number."""

    name: str
    priority: int | None
    weight: int | None


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The pool as read. `unread` says why not, and then nothing else is known."""

    status: int | None = None
    members: tuple[PoolMember, ...] = ()
    unread: str = ""

    def differences(self, stack: Stack, *, round_robin: bool) -> list[str]:
        """Return why this pool is not the one that is expected; an empty list means it is.

        With `round_robin` all members must be equal, else they must be as the stack declares.
        """
        if not self.members:
            return ["the pool has no members"]
        declared = {member.name: member for member in stack.members}
        found = {member.name: member for member in self.members}
        reasons = [f"{name} is not in the pool" for name in declared if name not in found]
        reasons += [f"{name} is in the pool, not in the stack" for name in found.keys() - declared]
        if len(found) < len(self.members):
            reasons.append("a backend is in the pool twice")
        reasons += [
            f"{member.name} has no {what}"
            for member in self.members
            for what in ("priority", "weight")
            if getattr(member, what) is None
        ]
        if round_robin:
            return reasons or not_round_robin(self._numbered())
        reasons += [
            f"{name} has {what} {actual}, declared is {wanted}"
            for name in declared
            if name in found
            for what in ("priority", "weight")
            if (actual := getattr(found[name], what)) is not None
            and actual != (wanted := getattr(declared[name], what))
        ]
        return reasons

    @property
    def values(self) -> str:
        """What the members have: `all backends have priority=1, weight=1`, or each of them."""
        pairs = {(m.priority, m.weight) for m in self.members}
        if len(pairs) == 1:
            priority, weight = pairs.pop()
            return f"all backends have priority={priority}, weight={weight}"
        return ", ".join(
            f"{m.name} has priority={m.priority}, weight={m.weight}" for m in self.members
        )

    def forecast(self, stack: Stack) -> str:
        """Say what share each region would get; nothing where the numbers do not tell."""
        members = self._numbered()
        if len({member.name for member in members}) != len(self.members):
            return ""
        return ", ".join(
            f"{stack.regions.get(name, name)} {percent(share)}"
            for name, share in expected_shares(members).items()
        )

    def _numbered(self) -> list[Member]:
        return [
            Member(name=m.name, priority=m.priority, weight=m.weight)
            for m in self.members
            if m.priority is not None and m.weight is not None
        ]
