"""Reads `pulumi preview --json --show-sames`: the pools before and after, changes and errors.

The form is the engine's own (pkg/backend/display/json.go, `previewDigest`), which marks an unknown
by a GUID of its own and writes a secret as `[secret]`: neither is ever guessed.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from components import guardrails
from components.regions import DISPLAY_NAMES, normalise
from components.traffic import Member, expected_shares, is_as_declared, not_round_robin

UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SECRET: Final = "[secret]"  # noqa: S105 - what the engine writes instead of one
_FORECAST: Final = re.compile(r"Expected traffic: (.*?) \((?:not )?round robin")
_SHARE: Final = re.compile(r"(.+?) [<>]? ?\d+\.\d %(?:, |$)")
_STACK: Final = "pulumi:pulumi:Stack"

Json = Mapping[str, Any]


class PreviewError(Exception):
    """The text is no preview; the message says why, in a line."""


@dataclass(frozen=True, kw_only=True)
class PoolMember:
    """A member as the preview has it: a number, or in words why there is none."""

    label: str
    priority: int | str
    weight: int | str


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A pool's members, in order; `unread` says in words why they are not there."""

    name: str
    members: tuple[PoolMember, ...] = ()
    unread: str = ""

    @property
    def shares(self) -> tuple[Fraction, ...] | None:
        """Exact share of each member in the order of the members; None when it cannot be told."""
        members = self._arithmetic()
        return tuple(expected_shares(members).values()) if members else None

    @property
    def by_region(self) -> dict[str, Fraction]:
        """Share of each region: members that are called alike are one."""
        shares: dict[str, Fraction] = {}
        for member, share in zip(self.members, self.shares or (), strict=False):
            shares[member.label] = shares.get(member.label, Fraction(0)) + share
        return shares

    @property
    def reasons(self) -> list[str]:
        """Why it is no round robin, as far as can be told."""
        members = self._arithmetic()
        return not_round_robin(members) if members is not None else []

    @property
    def not_told(self) -> list[str]:
        """What is not known, in words."""
        if self.unread:
            return [f"the members of {self.name} are {self.unread}"]
        return [
            f"{what} of {member.label} is {value}"
            for member in self.members
            for what, value in (("priority", member.priority), ("weight", member.weight))
            if isinstance(value, str)
        ]

    def opted_in(self, routing: str) -> bool:
        """Whether the stack declares another routing than round robin, and this pool is so."""
        members = self._arithmetic()
        return routing != "round-robin" and is_as_declared(members or [], routing)

    def _arithmetic(self) -> list[Member] | None:
        if self.not_told:
            return None
        members: list[Member] = []
        for index, member in enumerate(self.members, 1):
            taken = any(other.name == member.label for other in members)
            members.append(
                Member(
                    name=f"{member.label} (member {index})" if taken else member.label,
                    priority=int(member.priority),
                    weight=int(member.weight),
                )
            )
        return members


@dataclass(frozen=True, kw_only=True)
class Change:
    """One resource that would change: what is done to it, and to which of its properties."""

    operation: str
    type: str
    name: str
    properties: tuple[str, ...] = ()
    inputs: Json = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A preview: pools by name before and after, changes, what was said, and the routing.

    `resources` is what there would be, without what is unknown or secret; `is_whole` says that it
    is all of it.
    """

    before: Mapping[str, Pool] = field(default_factory=dict)
    after: Mapping[str, Pool] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    routing: str = "round-robin"
    resources: tuple[guardrails.Resource, ...] = ()
    has_steps: bool = False
    is_whole: bool = False

    @property
    def violations(self) -> list[guardrails.Violation]:
        """The rules of the policy pack that it breaks; none of a preview that is not whole."""
        if not self.is_whole or self.failures:
            return []
        stack = guardrails.Resource(type=_STACK, name="", inputs={"routing": self.routing})
        return guardrails.violations([stack, *self.resources])

    @property
    def failures(self) -> tuple[str, ...]:
        """The errors that left the preview without an end: a broken rule's comes after it."""
        return tuple(
            error
            for error in self.errors
            if error != "preview failed" and not error.startswith("[mandatory] ")
        )


def parse(text: str) -> Preview:
    """Read a preview. Raises PreviewError for what is none."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        first = text.strip().partition("\n")[0]
        raise PreviewError(
            f"no JSON: it begins with {first[:120]!r}" if first else "nothing: it is empty"
        ) from None
    if not isinstance(document, dict) or not {"steps", "changeSummary"} & document.keys():
        raise PreviewError("JSON, but no preview: it has neither steps nor changeSummary")
    steps = _mappings(document.get("steps"))
    said = _mappings(document.get("diagnostics"))
    counts = {
        str(operation): number
        for operation, number in _mapping(document.get("changeSummary")).items()
        if isinstance(number, int)
    }
    labels = _Labels(steps, said)
    routing = _mapping(document.get("config")).get("openai-gateway:routing", "round-robin")
    return Preview(
        before=dict(_pools(steps, "oldState", labels)),
        after=dict(_pools(steps, "newState", labels)),
        changes=tuple(_changes(steps)),
        counts=counts,
        errors=tuple(_messages(said, "error")),
        warnings=tuple(_messages(said, "warning")),
        routing=str(routing),
        resources=tuple(_resources(steps)),
        has_steps=bool(steps),
        is_whole=len({str(step.get("urn")) for step in steps}) >= sum(counts.values()),
    )


class _Labels:
    """What a member is called: its account's region where the preview has it, else its backend."""

    def __init__(self, steps: list[Json], said: list[Json]) -> None:
        self._regions: dict[str, str] = {}
        for step in steps:
            for state in (_mapping(step.get("newState")), _mapping(step.get("oldState"))):
                key = normalise(str(_mapping(state.get("inputs")).get("location", "")))
                if _type(state) == guardrails.ACCOUNT and key in DISPLAY_NAMES:
                    self._regions.setdefault(_name(step), DISPLAY_NAMES[key])
        forecasts = (_FORECAST.search(str(entry.get("message", ""))) for entry in said)
        found = next((match for match in forecasts if match), None)
        self._forecast = _SHARE.findall(found[1]) if found else []

    def of(self, member_id: object, index: int, count: int) -> str:
        """Return the name of the member at `index` of `count`.

        Ids that are not known yet leave the program's own forecast, which is in the pool's order.
        """
        if isinstance(member_id, str) and member_id not in (UNKNOWN, SECRET, ""):
            backend = member_id.rstrip("/").rpartition("/")[2]
            return self._regions.get(backend, backend)
        if len(self._forecast) == count:
            return str(self._forecast[index])
        return f"member {index + 1}"


def _pools(steps: list[Json], side: str, labels: _Labels) -> Iterator[tuple[str, Pool]]:
    for step in steps:
        state = _mapping(step.get(side))
        pool = _mapping(state.get("inputs")).get("pool")
        gone = side == "newState" and _is_gone(step)
        if _type(state) == guardrails.BACKEND and pool is not None and not gone:
            yield _name(step), _pool(_name(step), pool, labels)


def _pool(name: str, pool: object, labels: _Labels) -> Pool:
    services = pool.get("services") if isinstance(pool, dict) and "services" in pool else pool
    if not isinstance(services, list):
        return Pool(name=name, unread=_no_number(services))
    members = []
    for index, service in enumerate(services):
        # A whole member may be unknown, or a secret.
        values = service if isinstance(service, dict) else {"priority": service, "weight": service}
        members.append(
            PoolMember(
                label=labels.of(values.get("id"), index, len(services)),
                priority=_number(values.get("priority")),
                weight=_number(values.get("weight")),
            )
        )
    return Pool(name=name, members=tuple(members))


def _number(value: object) -> int | str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value < 0:
            return "below 0"
        return int(value) if value % 1 == 0 else "no whole number"  # nan and inf are none
    return _no_number(value)


def _no_number(value: object) -> str:
    if value == UNKNOWN:
        return "not known yet"
    if value == SECRET or isinstance(value, dict):
        return "secret"
    return "not set" if value is None else "no number"


def _changes(steps: list[Json]) -> Iterator[Change]:
    for step in steps:
        operation = str(step.get("op", ""))
        if operation in ("same", "read", "refresh"):
            continue
        state = _mapping(step.get("newState")) or _mapping(step.get("oldState"))
        differing = step.get("detailedDiff") or step.get("diffReasons")
        yield Change(
            operation=operation,
            type=_type(state),
            name=_name(step),
            properties=tuple(sorted(map(str, differing)))
            if isinstance(differing, dict | list)
            else (),
            inputs=_mapping(state.get("inputs")),
        )


def _resources(steps: list[Json]) -> Iterator[guardrails.Resource]:
    for step in steps:
        state = _mapping(step.get("newState"))
        if state and not _is_gone(step) and _type(state) != _STACK:
            inputs = _told(_mapping(state.get("inputs")))
            yield guardrails.Resource(type=_type(state), name=_name(step), inputs=inputs)


def _told(value: Any) -> Any:
    """Return a value without what is unknown or secret."""
    if isinstance(value, dict):
        return {key: _told(each) for key, each in value.items() if each not in (UNKNOWN, SECRET)}
    if isinstance(value, list):
        return [None if each in (UNKNOWN, SECRET) else _told(each) for each in value]
    return value


def _messages(said: list[Json], severity: str) -> Iterator[str]:
    for entry in said:
        if entry.get("severity") == severity:
            message = str(entry.get("message", "")).strip()
            yield message.removeprefix(f"{severity}: ")


def _is_gone(step: Json) -> bool:
    return str(step.get("op", "")).startswith("delete")


def _type(state: Json) -> str:
    return guardrails.unversioned(str(state.get("type", "")))


def _name(step: Json) -> str:
    return str(step.get("urn", "")).rpartition("::")[2]


def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _mappings(value: object) -> list[Json]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
