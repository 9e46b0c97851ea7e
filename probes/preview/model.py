"""Reads `pulumi preview --json --show-sames`: what there was, what would be, and what was said.

The form is the engine's own (pkg/backend/display/json.go, `previewDigest`), which marks an unknown
by a GUID of its own and writes a secret as `[secret]`: neither is ever guessed.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, TypeGuard

from components import guardrails
from components.regions import display_name
from components.traffic import (
    IS_SECRET,
    NOT_KNOWN,
    SECRET,
    UNKNOWN,
    Member,
    Pool,
    as_services,
)

_NAMESPACE: Final = "openai-gateway:"
LOSABLE: Final = (guardrails.SERVICE, guardrails.ACCOUNT)
"""Types whose deletion takes traffic down, and their names for 48 hours."""
_UNCHANGED: Final = ("same", "read", "refresh")
# pkg/resource/deploy/step_generator.go and step.go of the engine.
_PROTECTED: Final = re.compile(
    r'resource "(?P<urn>[^"]+)"\s+(?P<deleted>cannot be deleted\s+)?'
    r"(?:because it is protected|as it is currently marked for protection)"
)
_ECHOES: Final = (
    "preview failed",
    "an unhandled error occurred: program exited with non-zero exit code: 1",
)
"""Errors that only say that there was another."""

Json = Mapping[str, Any]


class PreviewError(Exception):
    """The text is no preview; each line of the message says why."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What would become of one resource, however many steps the engine takes for it.

    `before` is what the state has, `live` what a refresh found, `after` what there would be: inputs
    each, or None where there is no resource. `refused` says that it is protected, so that the
    engine neither deletes nor replaces it.
    """

    urn: str
    operation: str
    type: str
    before: Json | None = None
    live: Json | None = None
    after: Json | None = None
    properties: tuple[str, ...] = ()
    protect: bool = False
    refused: bool = False

    @property
    def name(self) -> str:
        """The name that the program gives it."""
        return self.urn.rpartition("::")[2]

    @property
    def described(self) -> str:
        """The name with the type that it is of."""
        return f"{self.name} ({self.type.rpartition(':')[2]})"

    @property
    def is_gone(self) -> bool:
        """Whether a refresh found nothing of it in Azure."""
        return self.before is not None and self.live is None

    @property
    def azure_name(self) -> str:
        """The name that stays taken once an account or a service is deleted."""
        key = "serviceName" if self.type == guardrails.SERVICE else "accountName"
        return str((self.before or {}).get(key) or self.name)

    @property
    def sku(self) -> tuple[str, str]:
        """A service's tier and units."""
        sku = _mapping((self.after or self.before or {}).get("sku"))
        return str(sku.get("name", "unknown tier")), str(sku.get("capacity", 1))


@dataclass(frozen=True, kw_only=True)
class PoolChange:
    """A pool before and after; `live` is what a refresh found, where that is not `before`."""

    name: str
    before: Pool | None = None
    live: Pool | None = None
    after: Pool | None = None


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A preview: what becomes of each resource, what was said, and the config.

    `is_whole` says that it has every resource.
    """

    resources: tuple[Change, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    config: Json = field(default_factory=dict)
    routing: str = "round-robin"
    is_whole: bool = False

    @property
    def changes(self) -> list[Change]:
        """The resources that would not stay as they are."""
        return [each for each in self.resources if each.operation not in _UNCHANGED]

    @property
    def regions(self) -> list[Json]:
        """The config's regions in the order of their names, which is the pool's."""
        found = _mappings(self.config.get("regions"))
        return sorted(found, key=lambda each: str(each.get("name")))

    @cached_property
    def stack(self) -> guardrails.Stack:
        """What there would be, as the rules of the policy pack take it."""
        return guardrails.Stack(self._after)

    @property
    def _after(self) -> list[guardrails.Resource]:
        """What there would be; the stack's outputs are as the config has them."""
        protect, regions = self.config.get("protect", True), self.regions
        outputs = {
            "routing": self.routing,
            "unprotected": [*(each.get("name") for each in regions), "gateway"]
            if protect is False
            else self.allowed,
            "accept_starved": self.config.get("acceptStarved"),
            "backends": as_services(regions) if regions else None,
        }
        return [
            guardrails.Resource(type=guardrails.STACK, name="", inputs=outputs),
            *(
                guardrails.Resource(
                    type=each.type, name=each.name, inputs=each.after, protect=each.protect
                )
                for each in self.resources
                if each.after is not None and each.type != guardrails.STACK
            ),
        ]

    @property
    def allowed(self) -> list[str]:
        """Names whose account or service may be deleted or replaced."""
        names = _mapping(self.config.get("protect")).get("except")
        return [str(each) for each in names] if isinstance(names, list) else []

    @property
    def violations(self) -> list[guardrails.Violation]:
        """The rules of the policy pack that it breaks; none of a preview that is not whole."""
        return guardrails.violations(self._after) if self.is_whole and not self.failures else []

    @property
    def failures(self) -> tuple[str, ...]:
        """The errors that left the preview without an end: a broken rule's comes after it."""
        return tuple(
            error
            for error in self.explained
            if not error.startswith("[mandatory] ") and not _PROTECTED.search(error)
        )

    @property
    def explained(self) -> tuple[str, ...]:
        """The errors without those that only say that there was one."""
        return tuple(error for error in self.errors if error not in _ECHOES)

    @cached_property
    def losses(self) -> list[Change]:
        """The accounts and the service that would be deleted or replaced, and what is refused."""
        known = {each.urn: each for each in self.resources}
        for error in self.errors:
            for match in _PROTECTED.finditer(error):
                urn, operation = match["urn"], "delete" if match["deleted"] else "replace"
                found = known.get(urn) or Change(urn=urn, operation="", type=_type_of(urn))
                known[urn] = replace(found, operation=operation, refused=True)
        return [
            each
            for each in sorted(known.values(), key=lambda each: (each.type, each.name))
            if each.refused or (each.type in LOSABLE and each.operation in ("delete", "replace"))
        ]

    def labels(self, side: str) -> dict[str, str]:
        """Return what a member is called, by its backend: its account's region, or the config's."""
        places = {str(each.get("name")): str(each.get("location")) for each in self.regions}
        for each in self.resources:
            location = (getattr(each, side) or {}).get("location")
            if each.type == guardrails.ACCOUNT and is_told(location):
                places[each.name] = location
        return {name: display_name(location) for name, location in places.items()}

    @property
    def pools(self) -> tuple[PoolChange, ...]:
        """Every pool that there was or would be."""
        return tuple(
            PoolChange(
                name=each.name,
                before=(before := self._pool(each.before)),
                live=live if (live := self._pool(each.live)) != before else None,
                after=self._pool(each.after),
            )
            for each in self.resources
            if each.type == guardrails.BACKEND
            and any("pool" in (side or {}) for side in (each.before, each.live, each.after))
        )

    def _pool(self, inputs: Json | None) -> Pool | None:
        """Return a pool. Members whose ids are not told yet have the names that are still missing.

        Where their numbers say otherwise, or there are more or fewer, they keep their positions.
        """
        if inputs is None:
            return None
        resource = guardrails.Resource(type=guardrails.BACKEND, name="", inputs=inputs)
        pool, declared = guardrails.pool_of(resource), self.stack.declared
        nameless = [m for m in pool.members if m.id in (NOT_KNOWN, IS_SECRET)]
        if declared is None or not nameless:
            return pool
        told = {member.name.lower() for member in pool.members}
        missing = [m for m in declared.members if m.name.lower() not in told]
        if [*map(_numbers, missing)] != [*map(_numbers, nameless)]:
            return pool
        names = {m.name: each.name for m, each in zip(nameless, missing, strict=True)}
        return Pool(members=tuple(replace(m, name=names.get(m.name, m.name)) for m in pool.members))


def parse(text: str, log: str = "") -> Preview:
    """Read a preview, and what was printed beside it. Raises PreviewError for what is none."""
    document = _document(text, log)
    steps, said = _mappings(document.get("steps")), _mappings(document.get("diagnostics"))
    counts = _mapping(document.get("changeSummary"))
    counts = {operation: n for operation, n in counts.items() if isinstance(n, int)}
    config = {
        key.removeprefix(_NAMESPACE): _decoded(value)
        for key, value in _mapping(document.get("config")).items()
        if key.startswith(_NAMESPACE)
    }
    by_urn: dict[str, list[Json]] = {}
    for step in steps:
        by_urn.setdefault(str(step.get("urn", "")), []).append(step)
    resources = tuple(_change(urn, those) for urn, those in by_urn.items())
    return Preview(
        resources=resources,
        counts=counts,
        errors=tuple(_messages(said, "error")),
        warnings=tuple(_messages(said, "warning")),
        config=config,
        routing=str(config.get("routing", "round-robin")),
        is_whole=len(resources) >= sum(counts.values()),
    )


def _document(text: str, log: str) -> Json:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        first = text.strip().partition("\n")[0]
        why = f"no JSON: it begins with {first[:120]!r}" if first else "nothing: it is empty"
        raise PreviewError(_errors_of(log) or why) from None
    if isinstance(document, dict) and {"steps", "changeSummary"} & document.keys():
        return document
    said = _mappings(document.get("diagnostics")) if isinstance(document, dict) else []
    failed = _errors_of("\n".join(str(each.get("message", "")) for each in said))
    why = "JSON, but no preview: it has neither steps nor changeSummary"
    raise PreviewError(failed or _errors_of(log) or why)


def _errors_of(log: str) -> str:
    """Return what the CLI printed from its first error on."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    begin = next((n for n, line in enumerate(lines) if line.startswith("error: ")), len(lines))
    return "\n".join(line.removeprefix("error: ") for line in lines[begin:])


def _change(urn: str, steps: Sequence[Json]) -> Change:
    """Return one resource. A refresh has two steps: the second one's old state is what is live."""
    refreshed = [each for each in steps if each.get("op") == "refresh"]
    others = [each for each in steps if each.get("op") != "refresh"] or refreshed
    operations = [str(each.get("op", "")) for each in others]
    before = _states(steps, "oldState")
    live = _states(others, "oldState")
    # A deletion has no state that stays, whatever an engine writes there.
    after = _states([s for s in others if "delete" not in str(s.get("op"))], "newState")
    newest = (after or live or before or [{}])[-1]
    differing = [each.get("detailedDiff") or each.get("diffReasons") for each in others]
    return Change(
        urn=urn,
        operation=next((op for op in ("replace", "delete") if op in " ".join(operations)), "")
        or operations[-1],
        type=guardrails.unversioned(str(newest.get("type", ""))),
        before=_inputs(before[:1]),
        live=_inputs(live[-1:]),
        after=_inputs(after[-1:]),
        properties=tuple(sorted({str(key) for each in differing for key in _keys(each)})),
        protect=newest.get("protect") is True,
    )


def _states(steps: Iterable[Json], side: str) -> list[Json]:
    return [state for each in steps if (state := _mapping(each.get(side)))]


def _inputs(states: Sequence[Json]) -> Json | None:
    return _mapping(states[0].get("inputs")) if states else None


def _keys(differing: object) -> Iterable[Any]:
    return differing if isinstance(differing, dict | list) else ()


def _type_of(urn: str) -> str:
    """Return the type that a URN has: `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`."""
    return guardrails.unversioned(urn.rpartition("::")[0].rpartition("::")[2].rpartition("$")[2])


def is_told(value: object) -> TypeGuard[str]:
    """Whether a text is neither unknown nor secret."""
    return isinstance(value, str) and value not in (UNKNOWN, SECRET)


def _numbers(member: Member) -> tuple[int | str, int | str]:
    return member.priority, member.weight


def _decoded(value: object) -> object:
    """Return a value of the config: the engine writes lists and objects as JSON text."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value


def _messages(said: list[Json], severity: str) -> Iterator[str]:
    for entry in said:
        if entry.get("severity") == severity:
            yield str(entry.get("message", "")).strip().removeprefix(f"{severity}: ")


def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _mappings(value: object) -> list[Json]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
