"""Where a pool sends its traffic, what is wrong with it, and how it differs from what is declared.

Pure arithmetic, and one reader of priorities and weights: settings, policy pack, preview comment
and probe all decide by it. Azure's rules (API Management documentation, "Backends", load-balanced
pool): the lowest priority number is preferred, a lower group is used only while every member of
the higher ones is down, and within a group traffic is spread in proportion to the weights.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, Final, Literal, Self, TypeGuard

POOL_NAME: Final = "inference-backend-pool"
"""The first model's pool, and how the names of the others begin; see `name_end`."""
EQUAL: Final[Mapping[str, tuple[str, ...]]] = {
    "round-robin": ("priority", "weight"),
    "weighted": ("priority",),
    "priority": (),
}
"""What must be the same in every member for a routing to be what it is called."""
ROUTINGS: Final = tuple(EQUAL)
"""What a pool can be declared as, the strictest first."""

# What the Pulumi engine writes in a preview for a value that is not known yet, and for a secret.
UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SECRET: Final = "[secret]"  # noqa: S105
UNTOLD: Final = (UNKNOWN, SECRET)
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"  # a key of a secret in the engine's state

ABSENT: Final = "not set"
NOT_KNOWN: Final = "not known yet"
IS_SECRET: Final = "secret"  # noqa: S105 - a word for people
_UNTOLD: Final = (NOT_KNOWN, IS_SECRET)
_RANGES: Final = {"priority": "0 to 100", "weight": "1 to 100"}

Kind = Literal["invalid", "unequal", "repeated", "down", "missing", "extra", "different"]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a pool, of which kind, and what to do about it."""

    kind: Kind
    message: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member of a pool, by the name of its backend.

    `priority` and `weight` are whole numbers, or say in words why there is none: ABSENT, NOT_KNOWN,
    IS_SECRET, or what is wrong with the value. `id` is `told`, or stands in words for a name. `up`
    is false while the circuit breaker is tripped.
    """

    name: str
    priority: int | str = ABSENT
    weight: int | str = ABSENT
    up: bool = True
    id: str = "told"

    @classmethod
    def read(cls, service: object, position: int = 1) -> Self:
        """Read `{id, priority, weight}`; the name is the position, from 1, where no id is known."""
        if not isinstance(service, Mapping):  # a whole member may be unknown, or a secret
            service = dict.fromkeys(("id", *_RANGES), service)
        named = service.get("id")
        has_name = is_told(named) and named.strip()
        return cls(
            name=last_segment(str(named)) if has_name else f"member {position}",
            id="told" if has_name else _no_number(named),
            priority=number(service.get("priority"), "priority"),
            weight=number(service.get("weight"), "weight"),
        )


def number(value: object, what: str = "weight") -> int | str:
    """Read a priority or weight: a whole number from 0 to 100, or in words why it is none.

    The engine writes whole numbers as floats; neither true nor "1" is a number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _no_number(value)
    if value % 1:  # true of nan and of the infinities, too
        return "no whole number"
    if not 0 <= value <= 100:  # Azure takes weight 0; `Pool.problems` does not
        return f"{int(value) if abs(value) < 10**6 else 'a number'} outside of {_RANGES[what]}"
    return int(value)


def _no_number(value: object) -> str:
    if value is None:
        return ABSENT
    if value == UNKNOWN:
        return NOT_KNOWN
    is_secret = value == SECRET or (isinstance(value, Mapping) and _SIGNATURE in value)
    return IS_SECRET if is_secret else "no number"


def is_told(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value not in UNTOLD


def name_end(deployment: object) -> str:
    """Return what ends the names of a further model's pool and backends; the first's have none."""
    return f"-{deployment}"


def last_segment(resource_id: str) -> str:
    """Return the name that an id ends in: Azure takes `/backends/NAME` for the whole ARM id."""
    return resource_id.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A pool's members, in order. `unread` says in words why they are not there, or is empty."""

    members: tuple[Member, ...] = ()
    unread: str = ""

    @classmethod
    def read(cls, services: object) -> Self:
        """Read `pool.services` as Azure, the engine or the config has it."""
        if not isinstance(services, Sequence) or isinstance(services, str):
            return cls(unread=_no_number(services))
        return cls(members=tuple(Member.read(each, n) for n, each in enumerate(services, 1)))

    @property
    def untold(self) -> list[str]:
        """What a preview does not tell: unknown or secret values, each in a few words."""
        if self.unread in _UNTOLD:
            return [f"the members are {self.unread}"]
        return [
            f"{what} of {member.name} is {value}"
            for member in self.members
            for what in _RANGES
            if (value := getattr(member, what)) in _UNTOLD
        ]

    @cached_property
    def shares(self) -> tuple[Fraction, ...] | None:
        """Exact share of each member, in their order: they sum to 1, or are 0 when none is up.

        None when a number is missing. Azure does not document weight 0: it counts as no traffic, or
        as an equal share when the whole group has it, and `problems` says so.
        """
        numbers = [n for m in self.members for n in (m.priority, m.weight)]
        if self.unread or not all(isinstance(n, int) for n in numbers):
            return None
        preferred = min((int(each.priority) for each in self.members if each.up), default=0)
        group = [each.up and each.priority == preferred for each in self.members]
        weights = [int(m.weight) * is_fed for m, is_fed in zip(self.members, group, strict=True)]
        parts = weights if any(weights) else group
        return tuple(Fraction(part, sum(parts) or 1) for part in parts)

    def by_label(self, labels: Mapping[str, str]) -> dict[str, Fraction]:
        """Share of each region: members with one label are one. Empty when it cannot be told."""
        shares: dict[str, Fraction] = {}
        for member, share in zip(self.members, self.shares or (), strict=False):
            label = _label(labels, member.name)
            shares[label] = shares.get(label, Fraction(0)) + share
        return shares

    @property
    def starved(self) -> list[str]:
        return [m.name for m, x in zip(self.members, self.shares or (), strict=False) if not x]

    def problems(self, routing: str) -> list[Problem]:
        """Why the pool does not spread traffic as `routing` says; what is untold is no problem."""
        if self.unread in _UNTOLD:
            return []
        if self.unread or not self.members:
            what = f"the members are {self.unread}" if self.unread else "no members"
            return [Problem("invalid", what, "list every region's backend")]
        alone = [f"{m.name} is the only member" for m in self.members if len(self.members) == 1]
        return [
            *(Problem("invalid", each, "add the backends of the other regions") for each in alone),
            *_repeated(self.members),
            *_no_numbers(self.members),
            *_unequal(self.members, EQUAL.get(routing, EQUAL["round-robin"])),
            *_down(self.members),
        ]

    def named(self, declared: "Pool") -> "Pool":
        """Name members without a known id by those missing, in order, if the numbers agree."""
        told = {member.name.lower() for member in self.members if member.id not in _UNTOLD}
        missing = [member for member in declared.members if member.name.lower() not in told]
        nameless = [member for member in self.members if member.id in _UNTOLD]
        if [(m.priority, m.weight) for m in missing] != [(m.priority, m.weight) for m in nameless]:
            return self
        names = (each.name for each in missing)
        members = (replace(m, name=next(names)) if m in nameless else m for m in self.members)
        return replace(self, members=tuple(members))

    def forecast(self, labels: Mapping[str, str]) -> str:
        """One line: `UK South 50.0 %, East US 50.0 % (round robin)`; empty when it is not told."""
        if self.shares is None:
            return ""
        each = zip(self.members, self.shares, strict=True)
        shares = ", ".join(f"{_label(labels, m.name)} {percent(share)}" for m, share in each)
        reasons = "; ".join(problem.message for problem in self.problems("round-robin"))
        verdict = f"not round robin: {reasons}" if reasons else "round robin"
        return f"{shares} ({verdict})" if shares else verdict


def differences(declared: Pool, live: Pool) -> list[Problem]:
    """How a pool differs from the one declared, member by member; ids ignore case, as Azure does.

    What is absent, null or no number is a difference. Values that a preview does not tell are none;
    members whose ids it does not tell count as those that are still missing, in their order.
    """
    if live.unread:
        return live.problems("priority")
    found = {member.name.lower(): member for member in live.members if member.id not in _UNTOLD}
    untold = [member for member in live.members if member.id in _UNTOLD]
    missing = [member for member in declared.members if member.name.lower() not in found]
    pairs = [(m, found[m.name.lower()]) for m in declared.members if m not in missing]
    names = {member.name.lower() for member in declared.members}
    spare = [m for key, m in found.items() if key not in names] + untold[len(missing) :]
    lost, extra = ([m.name for m in those] for those in (missing[len(untold) :], spare))
    result = [
        *(Problem("missing", f"{m} is not in the pool", f"add {m} to it") for m in lost),
        *(Problem("extra", f"{m} is in the pool and not declared", f"remove {m}") for m in extra),
        *_repeated(live.members),
        *_no_numbers(live.members),
    ]
    for wanted, member in (*pairs, *zip(missing, untold, strict=False)):
        for what in _RANGES:
            value, expected = getattr(member, what), getattr(wanted, what)
            if isinstance(value, int) and value != expected:
                message = f"{wanted.name} has {what} {value}, declared is {expected}"
                remedy = f"set the {what} of {wanted.name} to {expected}"
                result.append(Problem("different", message, remedy))
    return result


def percent(share: Fraction) -> str:
    """Write a share as `33.3 %`; rounding never makes a member look idle, or alone."""
    rounded = f"{float(100 * share):.1f} %"
    if 0 < share < 1:
        return {"0.0 %": "< 0.1 %", "100.0 %": "> 99.9 %"}.get(rounded, rounded)
    return rounded


def _label(labels: Mapping[str, str], name: str) -> str:
    return labels.get(name) or labels.get(name.lower(), name)


def _repeated(members: Sequence[Member]) -> Iterator[Problem]:
    names = [member.name.lower() for member in members]
    for position, name in enumerate(names):
        if names.index(name) == position and (times := names.count(name)) > 1:
            message = f"{members[position].name} is a member {times} times"
            yield Problem("repeated", message, "name each backend once")


def _no_numbers(members: Iterable[Member]) -> Iterator[Problem]:
    for member in members:
        if member.id not in ("told", *_UNTOLD):
            yield Problem("invalid", f"{member.name} names no backend", "write the backend's id")
        for what, allowed in _RANGES.items():
            value = getattr(member, what)
            remedy = f"write a {what} for it, {allowed}"
            if value == ABSENT:
                yield Problem("invalid", f"{member.name} has no {what}", remedy)
            elif isinstance(value, str) and value not in _UNTOLD:
                yield Problem("invalid", f"{what} of {member.name} is {value}", remedy)


def _unequal(members: Sequence[Member], keys: Sequence[str]) -> Iterator[Problem]:
    remedy = f"give every member the same {' and '.join(keys)}"
    for what in keys:
        # Each begins with those that lose by it.
        values = [(m.name, v) for m in members if isinstance(v := getattr(m, what), int)]
        order = sorted({value for _, value in values}, reverse=what == "priority")
        if len(order) > 1:
            groups = [(each, [name for name, value in values if value == each]) for each in order]
            contrast = ", ".join(
                f"{listed(names)} {'has' if len(names) == 1 else 'have'} {what} {each}"
                for each, names in groups
            )
            yield Problem("unequal", contrast, remedy)
    zeros = [member.name for member in members if member.weight == 0]
    is_all = len(zeros) == len(members)
    if zeros and (is_all or "weight" not in keys):
        has = "has" if len(zeros) == 1 else "have"
        what = "every weight is" if is_all else f"{listed(zeros)} {has} weight"
        remedy = f"write a weight of 1 to 100{'' if is_all else ', or remove the member'}"
        yield Problem("invalid", f"{what} 0, which Azure does not document", remedy)


def _down(members: Sequence[Member]) -> Iterator[Problem]:
    if down := [member.name for member in members if not member.up]:
        message = f"{listed(down)} {'is' if len(down) == 1 else 'are'} down"
        yield Problem("down", message, "wait for the circuit breaker, or mend what trips it")


def listed(names: Sequence[str], last: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def as_services(regions: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Write the config's `regions` as members; priority and weight are 1 unless given."""
    return [{"priority": 1, "weight": 1, **each, "id": each.get("name")} for each in regions]


def read_config(regions: Iterable[Mapping[str, Any]]) -> Pool:
    return Pool.read(as_services(regions))


def unlike(routing: str, forecast: str) -> str:
    """Say that regions are not what their routing says; `refused` reads the forecast back."""
    return f'would not be "{routing}", but {forecast}'


def refused(error: str) -> str:
    """Read from an error the forecast of a pool that was refused; empty where it has none."""
    found = re.search(unlike(r"[\w-]+", r"(.+?\))(?=: |$)"), error, re.MULTILINE)
    return found[1] if found else ""
