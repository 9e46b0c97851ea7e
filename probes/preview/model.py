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

from components.regions import DISPLAY_NAMES
from components.traffic import Member, expected_shares, not_round_robin

UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SECRET: Final = "[secret]"  # noqa: S105 - what the engine writes instead of one
BACKEND: Final = "azure-native:apimanagement:Backend"
ACCOUNT: Final = "azure-native:cognitiveservices:Account"
_VERSION: Final = re.compile(r"/v\d{8}\w*(?=:)")
_FORECAST: Final = re.compile(r"Expected traffic: (.*?) \((?:not )?round robin")
_SHARE: Final = re.compile(r"(.+?) [<>]? ?\d+\.\d %(?:, |$)")


class PreviewError(Exception):
    """The text is no preview; the message says why, in a line."""


@dataclass(frozen=True, kw_only=True)
class PoolMember:
    """A member as the preview has it: a number, or in words why there is none."""

    label: str
    priority: int | str
    weight: int | str

    @property
    def is_known(self) -> bool:
        """Whether its share can be told."""
        return isinstance(self.priority, int) and isinstance(self.weight, int)


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A pool's members, in order."""

    name: str
    members: tuple[PoolMember, ...]

    @property
    def shares(self) -> tuple[Fraction, ...] | None:
        """Exact share of each member in the order of the members; None when it cannot be told."""
        if members := self._arithmetic():
            return tuple(expected_shares(members).values())
        return None

    @property
    def reasons(self) -> list[str]:
        """Why it is no round robin, as far as can be told."""
        members = self._arithmetic()
        return not_round_robin(members) if members is not None else []

    def _arithmetic(self) -> list[Member] | None:
        if not all(member.is_known for member in self.members):
            return None
        labels = [member.label for member in self.members]
        names = labels if len(set(labels)) == len(labels) else [str(i) for i in range(len(labels))]
        return [
            Member(name=name, priority=int(member.priority), weight=int(member.weight))
            for name, member in zip(names, self.members, strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One resource that would change: what is done to it, and to which of its properties."""

    operation: str
    type: str
    name: str
    properties: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A preview: pools by name before and after, changes, what was said, and the routing."""

    before: Mapping[str, Pool] = field(default_factory=dict)
    after: Mapping[str, Pool] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    routing: str = "round-robin"
    has_steps: bool = False


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
    steps = [step for step in document.get("steps") or [] if isinstance(step, dict)]
    said = [entry for entry in document.get("diagnostics") or [] if isinstance(entry, dict)]
    config = document.get("config") or {}
    labels = _Labels(steps, said)
    return Preview(
        before=dict(_pools(steps, "oldState", labels)),
        after=dict(_pools(steps, "newState", labels)),
        changes=tuple(_changes(steps)),
        counts={str(k): v for k, v in (document.get("changeSummary") or {}).items()},
        errors=tuple(_messages(said, "error")),
        warnings=tuple(_messages(said, "warning")),
        routing=str(config.get("openai-gateway:routing", "round-robin")),
        has_steps=bool(steps),
    )


class _Labels:
    """What a member is called: its account's region where the preview has it, else its backend."""

    def __init__(self, steps: list[dict[str, Any]], said: list[dict[str, Any]]) -> None:
        self._regions: dict[str, str] = {}
        for step in steps:
            for state in (step.get("newState"), step.get("oldState")):
                if _type(state) == ACCOUNT and state:
                    location = str((state.get("inputs") or {}).get("location", ""))
                    key = location.replace(" ", "").lower()
                    if key in DISPLAY_NAMES:
                        self._regions.setdefault(_name(step), DISPLAY_NAMES[key])
        forecasts = (_FORECAST.search(str(entry.get("message", ""))) for entry in said)
        found = next((match for match in forecasts if match), None)
        self._forecast = _SHARE.findall(found[1]) if found else []

    def of(self, member_id: object, index: int, count: int) -> str:
        """Return the name of the member at `index` of `count`.

        Ids that are not known yet leave the program's own forecast, which is in the pool's order.
        """
        if isinstance(member_id, str) and member_id not in (UNKNOWN, SECRET):
            backend = member_id.rstrip("/").rpartition("/")[2]
            return self._regions.get(backend, backend)
        if len(self._forecast) == count:
            return str(self._forecast[index])
        return f"member {index + 1}"


def _pools(steps: list[dict[str, Any]], side: str, labels: _Labels) -> Iterator[tuple[str, Pool]]:
    for step in steps:
        state = step.get(side)
        if _type(state) != BACKEND or not state or (side == "newState" and _is_gone(step)):
            continue
        inputs = state.get("inputs") or {}
        services = (inputs.get("pool") or {}).get("services") if inputs else None
        if not isinstance(services, list):
            continue
        members = tuple(
            PoolMember(
                label=labels.of(service.get("id"), index, len(services)),
                priority=_number(service, "priority"),
                weight=_number(service, "weight"),
            )
            for index, service in enumerate(services)
            if isinstance(service, dict)
        )
        yield _name(step), Pool(name=_name(step), members=members)


def _number(service: Mapping[str, Any], key: str) -> int | str:
    value = service.get(key)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == int(value):
        return int(value)
    if value == UNKNOWN:
        return "not known yet"
    if value == SECRET or isinstance(value, dict):
        return "secret"
    return "not set" if value is None else "no number"


def _changes(steps: list[dict[str, Any]]) -> Iterator[Change]:
    for step in steps:
        operation = str(step.get("op", ""))
        if operation in ("same", "read", "refresh"):
            continue
        yield Change(
            operation=operation,
            type=_type(step.get("newState") or step.get("oldState")),
            name=_name(step),
            properties=tuple(sorted(step.get("detailedDiff") or step.get("diffReasons") or ())),
        )


def _messages(said: list[dict[str, Any]], severity: str) -> Iterator[str]:
    for entry in said:
        if entry.get("severity") == severity:
            message = str(entry.get("message", "")).strip()
            yield message.removeprefix(f"{severity}: ")


def _is_gone(step: Mapping[str, Any]) -> bool:
    return str(step.get("op", "")).startswith("delete")


def _type(state: Mapping[str, Any] | None) -> str:
    return _VERSION.sub("", str((state or {}).get("type", "")))


def _name(step: Mapping[str, Any]) -> str:
    return str(step.get("urn", "")).rpartition("::")[2]
