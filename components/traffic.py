"""What share of a pool's traffic each member gets, and why a pool is not round robin.

Pure arithmetic: the program, the policy pack, the probe and the local Azure all decide with it.
Azure's rules (API Management documentation, "Backends", load-balanced pool): the lowest priority
number is preferred, a lower group is used only while every member of the higher ones is down, and
within a group traffic is spread in proportion to the weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

EQUAL: Final[Mapping[str, tuple[str, ...]]] = {
    "round-robin": ("priority", "weight"),
    "weighted": ("priority",),
    "priority": (),
}
"""What must be the same in every member for a routing to be what it is called."""
ROUTINGS: Final = tuple(EQUAL)
"""What a pool can be declared as, the strictest first."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member of a pool; `up` is false while its circuit breaker is tripped."""

    name: str
    priority: int
    weight: int
    up: bool = True


def expected_shares(members: Sequence[Member]) -> dict[str, Fraction]:
    """Exact share of each member by name: they sum to 1, or are all 0 when no member is up.

    Azure does not document weight 0: it counts as no traffic, or as an equal share when the whole
    group has it, and `not_round_robin` says so. Raises ValueError for a name that occurs twice.
    """
    shares = dict.fromkeys((member.name for member in members), Fraction(0))
    if len(shares) != len(members):
        raise ValueError(f"Two members of the pool have one name: {[m.name for m in members]}")
    live = [member for member in members if member.up]
    if not live:
        return shares
    preferred = min(member.priority for member in live)
    group = [member for member in live if member.priority == preferred]
    total = sum(member.weight for member in group)
    for member in group:
        shares[member.name] = Fraction(member.weight, total) if total else Fraction(1, len(group))
    return shares


def not_round_robin(members: Sequence[Member]) -> list[str]:
    """Why these members do not share the traffic equally; an empty list means round robin."""
    reasons = []
    if len(members) < 2:
        reasons.append(f"{members[0].name} is the only member" if members else "no members")
    # Each reason begins with those that lose by it.
    priorities = {member.name: member.priority for member in members}
    if len(numbers := sorted(set(priorities.values()), reverse=True)) > 1:
        reasons.append(_contrast("priority", priorities, numbers))
    weights = {member.name: member.weight for member in members}
    if len(numbers := sorted(set(weights.values()))) > 1:
        reasons.append(_contrast("weight", weights, numbers))
    elif numbers == [0]:
        reasons.append("every weight is 0, which Azure does not document")
    if down := [member.name for member in members if not member.up]:
        reasons.append(f"{_names(down)} {'is' if len(down) == 1 else 'are'} down")
    return reasons


def is_as_declared(members: Sequence[Member], routing: str) -> bool:
    """Whether a pool spreads traffic, in the way that the routing is called; one unknown does not.

    A pool of one member spreads nothing, however it is called.
    """
    return (
        routing in EQUAL
        and len(members) > 1
        and all(len({getattr(member, key) for member in members}) == 1 for key in EQUAL[routing])
    )


def forecast(members: Sequence[Member], labels: Mapping[str, str]) -> str:
    """One line: `UK South 33.3 %, East US 33.3 %, Norway East 33.3 % (round robin)`.

    `labels` gives what a member is called in the line, by its name; without one it is its name.
    """
    shares = ", ".join(
        f"{labels.get(name, name)} {percent(share)}"
        for name, share in expected_shares(members).items()
    )
    reasons = not_round_robin(members)
    verdict = f"not round robin: {'; '.join(reasons)}" if reasons else "round robin"
    return f"{shares} ({verdict})" if shares else verdict


def percent(share: Fraction) -> str:
    """Write a share as `33.3 %`; rounding never makes a member look idle, or alone."""
    rounded = f"{float(100 * share):.1f} %"
    if rounded == "0.0 %" and share > 0:
        return "< 0.1 %"
    if rounded == "100.0 %" and share < 1:
        return "> 99.9 %"
    return rounded


def _contrast(what: str, values: Mapping[str, int], order: Sequence[int]) -> str:
    groups = [[name for name, value in values.items() if value == number] for number in order]
    return ", ".join(
        f"{_names(names)} {'has' if len(names) == 1 else 'have'} {what} {number}"
        for names, number in zip(groups, order, strict=True)
    )


def _names(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
