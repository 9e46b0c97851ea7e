"""Where a pool sends its traffic, what is wrong with it, and how it differs from what is declared.

Pure arithmetic, and one reader of priorities and weights: settings, policy pack, preview comment
and probe all decide by it. Azure's rules (API Management documentation, "Backends", load-balanced
pool): the lowest priority number is preferred, a lower group is used only while every member of
the higher ones is down, and within a group traffic is spread in proportion to the weights.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Final, Literal, Self

EQUAL: Final[Mapping[str, tuple[str, ...]]] = {
    "round-robin": ("priority", "weight"),
    "weighted": ("priority",),
    "priority": (),
}
"""What must be the same in every member for a routing to be what it is called."""
ROUTINGS: Final = tuple(EQUAL)
"""What a pool can be declared as, the strictest first."""

UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What the Pulumi engine writes in a preview for a value that is not known yet."""
SECRET: Final = "[secret]"  # noqa: S105 - what the engine writes instead of one
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"  # a key of a secret in the engine's state

ABSENT: Final = "not set"
NOT_KNOWN: Final = "not known yet"
IS_SECRET: Final = "secret"  # noqa: S105 - a word for people
_UNTOLD: Final = (NOT_KNOWN, IS_SECRET)
_RANGES: Final = {"priority": "0 to 100", "weight": "1 to 100"}
_LOWEST: Final = {"priority": 0, "weight": 0}  # Azure takes weight 0; `Pool.problems` does not
_HIGHEST: Final = 100

Kind = Literal[
    "empty",
    "alone",
    "repeated",
    "unset",
    "invalid",
    "unequal",
    "down",
    "missing",
    "extra",
    "different",
]


@dataclass(frozen=True, kw_only=True)
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
        """Read a member as Azure, the engine or the config has it: `{id, priority, weight}`.

        Without an id that is known, the member is named by its position, counted from 1.
        """
        whole = isinstance(service, Mapping)
        told = service if isinstance(service, Mapping) else {}
        default = None if whole else service  # a whole member may be unknown, or a secret
        named = told.get("id", default)
        has_name = isinstance(named, str) and named not in (UNKNOWN, SECRET) and bool(named.strip())
        return cls(
            name=last_segment(str(named)) if has_name else f"member {position}",
            priority=number(told.get("priority", default), "priority"),
            weight=number(told.get("weight", default), "weight"),
            id="told" if has_name else _no_number(named),
        )


def number(value: object, what: str = "weight") -> int | str:
    """Read a priority or weight: a whole number from 0 to 100, or in words why it is none.

    The engine writes whole numbers as floats; neither true nor "1" is a number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "no number" if isinstance(value, bool) else _no_number(value)
    if value % 1:  # true of nan and of the infinities, too
        return "no whole number"
    if not _LOWEST[what] <= value <= _HIGHEST:
        return f"{int(value) if abs(value) < 10**6 else 'a number'} outside of {_RANGES[what]}"
    return int(value)


def _no_number(value: object) -> str:
    """Say in words why a value is no number: ABSENT, NOT_KNOWN, IS_SECRET or "no number"."""
    if value is None:
        return ABSENT
    if value == UNKNOWN:
        return NOT_KNOWN
    is_secret = value == SECRET or (isinstance(value, Mapping) and _SIGNATURE in value)
    return IS_SECRET if is_secret else "no number"


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
        if self.unread or not all(map(_is_told, self.members)):
            return None
        live = [member for member in self.members if member.up]
        preferred = min((int(member.priority) for member in live), default=0)
        group = [member for member in live if member.priority == preferred]
        total = sum(int(member.weight) for member in group)
        equal = Fraction(1, len(group)) if group else Fraction(0)
        return tuple(
            Fraction(0)
            if not member.up or member.priority != preferred
            else (Fraction(int(member.weight), total) if total else equal)
            for member in self.members
        )

    def by_label(self, labels: Mapping[str, str]) -> dict[str, Fraction]:
        """Share of each region: members with one label are one. Empty when it cannot be told."""
        shares: dict[str, Fraction] = {}
        for member, share in zip(self.members, self.shares or (), strict=False):
            label = _label(labels, member.name)
            shares[label] = shares.get(label, Fraction(0)) + share
        return shares

    @property
    def starved(self) -> list[str]:
        """Names of the members that get nothing."""
        return [
            m.name for m, share in zip(self.members, self.shares or (), strict=False) if not share
        ]

    def problems(self, routing: str) -> list[Problem]:
        """Why the pool does not spread traffic as `routing` says; an empty list means it does.

        Values that a preview does not tell are no problem; `untold` has them. A routing that is not
        known counts as round robin.
        """
        if self.unread:
            lost = [] if self.unread in _UNTOLD else [f"the members are {self.unread}"]
            return [_problem("empty", each, "list every region's backend") for each in lost]
        return [
            *_too_few(self.members),
            *_repeated(self.members),
            *_no_numbers(self.members),
            *_unequal(self.members, EQUAL.get(routing, EQUAL["round-robin"])),
            *_down(self.members),
        ]

    def forecast(self, labels: Mapping[str, str]) -> str:
        """One line: `UK South 33.3 %, East US 33.3 %, Norway East 33.3 % (round robin)`.

        `labels` gives what a member is called in the line, by its name; without one it is its name.
        Empty when the shares cannot be told.
        """
        if self.shares is None:
            return ""
        shares = ", ".join(
            f"{_label(labels, member.name)} {percent(share)}"
            for member, share in zip(self.members, self.shares, strict=True)
        )
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
    pairs = [(m, found[m.name.lower()]) for m in declared.members if m.name.lower() in found]
    pairs += zip(missing, untold, strict=False)
    names = {member.name.lower() for member in declared.members}
    extra = [m for key, m in found.items() if key not in names] + untold[len(missing) :]
    return [
        *(
            _problem("missing", f"{m.name} is not in the pool", f"add {m.name} to it")
            for m in missing[len(untold) :]
        ),
        *(
            _problem("extra", f"{m.name} is in the pool and not declared", f"remove {m.name}")
            for m in extra
        ),
        *_repeated(live.members),
        *_no_numbers(live.members),
        *(
            _problem(
                "different",
                f"{wanted.name} has {what} {value}, declared is {expected}",
                f"set the {what} of {wanted.name} to {expected}",
            )
            for wanted, member in pairs
            for what in _RANGES
            if isinstance(value := getattr(member, what), int)
            and value != (expected := getattr(wanted, what))
        ),
    ]


def percent(share: Fraction) -> str:
    """Write a share as `33.3 %`; rounding never makes a member look idle, or alone."""
    rounded = f"{float(100 * share):.1f} %"
    if rounded == "0.0 %" and share > 0:
        return "< 0.1 %"
    if rounded == "100.0 %" and share < 1:
        return "> 99.9 %"
    return rounded


def _is_told(member: Member) -> bool:
    return isinstance(member.priority, int) and isinstance(member.weight, int)


def _label(labels: Mapping[str, str], name: str) -> str:
    return labels.get(name) or labels.get(name.lower(), name)


def _problem(kind: Kind, message: str, remedy: str) -> Problem:
    return Problem(kind=kind, message=message, remedy=remedy)


def _too_few(members: Sequence[Member]) -> Iterator[Problem]:
    if not members:
        yield _problem("empty", "no members", "list every region's backend")
    elif len(members) == 1:
        alone = f"{members[0].name} is the only member"
        yield _problem("alone", alone, "add the backends of the other regions")


def _repeated(members: Sequence[Member]) -> Iterator[Problem]:
    for name, times in Counter(member.name.lower() for member in members).items():
        if times > 1:
            first = next(member.name for member in members if member.name.lower() == name)
            yield _problem(
                "repeated", f"{first} is a member {times} times", "name each backend once"
            )


def _no_numbers(members: Iterable[Member]) -> Iterator[Problem]:
    for member in members:
        if member.id not in ("told", *_UNTOLD):
            yield _problem("unset", f"{member.name} names no backend", "write the backend's id")
        for what, allowed in _RANGES.items():
            value = getattr(member, what)
            remedy = f"write a {what} for it, {allowed}"
            if value == ABSENT:
                yield _problem("unset", f"{member.name} has no {what}", remedy)
            elif isinstance(value, str) and value not in _UNTOLD:
                yield _problem("invalid", f"{what} of {member.name} is {value}", remedy)


def _unequal(members: Sequence[Member], keys: Sequence[str]) -> Iterator[Problem]:
    remedy = f"give every member the same {' and '.join(keys)}"
    for what in keys:
        # Each begins with those that lose by it.
        values = [(m.name, v) for m in members if isinstance(v := getattr(m, what), int)]
        order = sorted({value for _, value in values}, reverse=what == "priority")
        if len(order) > 1:
            groups = [[name for name, value in values if value == each] for each in order]
            contrast = ", ".join(
                f"{listed(names)} {'has' if len(names) == 1 else 'have'} {what} {value}"
                for names, value in zip(groups, order, strict=True)
            )
            yield _problem("unequal", contrast, remedy)
    zeros = [member.name for member in members if member.weight == 0]
    if zeros and len(zeros) == len(members):
        message = "every weight is 0, which Azure does not document"
        yield _problem("invalid", message, "write a weight of 1 to 100")
    elif zeros and "weight" not in keys:
        has = "has" if len(zeros) == 1 else "have"
        message = f"{listed(zeros)} {has} weight 0, which Azure does not document"
        yield _problem("invalid", message, "write a weight of 1 to 100, or remove the member")


def _down(members: Sequence[Member]) -> Iterator[Problem]:
    if down := [member.name for member in members if not member.up]:
        message = f"{listed(down)} {'is' if len(down) == 1 else 'are'} down"
        yield _problem("down", message, "wait for the circuit breaker, or mend what trips it")


def listed(names: Sequence[str], last: str = "and") -> str:
    """Write names as `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def as_services(regions: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Write the config's `regions` as members; priority and weight are 1 unless given."""
    return [{"priority": 1, "weight": 1, **each, "id": each.get("name")} for each in regions]


def read_config(regions: Iterable[Mapping[str, Any]]) -> Pool:
    """Read the pool that the config's `regions` declare."""
    return Pool.read(as_services(regions))


def unlike(routing: str, forecast: str) -> str:
    """Say that regions are not what their routing says; `refused` reads the forecast back."""
    return f'would not be "{routing}", but {forecast}'


def refused(error: str) -> str:
    """Read from an error the forecast of a pool that was refused; empty where it has none."""
    found = re.search(unlike(r"[\w-]+", r"(.+?\))(?=: |$)"), error, re.MULTILINE)
    return found[1] if found else ""
