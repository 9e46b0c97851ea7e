"""Reads `pulumi preview --json --show-sames`: what there was, what would be, and what was said.

The form is the engine's own (pkg/backend/display/json.go, `previewDigest`), which marks an unknown
by a GUID of its own and writes a secret as `[secret]`: neither is ever guessed.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from components import guardrails
from components.guardrails import mapping
from components.regions import display_name
from components.traffic import Pool, as_services, is_told

_NAMESPACE: Final = "openai-gateway:"
LOSABLE: Final = (guardrails.SERVICE, guardrails.ACCOUNT)
"""Types whose deletion takes traffic down, and their names for 48 hours."""
SIDES: Final = ("before", "live", "after")
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


@dataclass(frozen=True)
class Change:
    """What would become of one resource, however many steps the engine takes for it.

    `before` is what the state has, `live` what a refresh found, `after` what there would be: inputs
    each, or None where there is no resource. `refused` says that it is protected, so that the
    engine neither deletes nor replaces it. `within` names the component that declares it.
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
    within: str = ""

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]

    @property
    def drifted(self) -> list[str]:
        """The properties that a refresh found to be others than the state has."""
        if self.before is None or self.live is None or self.operation in _UNCHANGED:
            return []
        return [*_differing(self.before, self.live)]

    @property
    def described(self) -> str:
        return f"{self.name} ({self.type.rpartition(':')[2]})"

    @property
    def azure_name(self) -> str:
        """The name that stays taken once an account or a service is deleted."""
        key = "serviceName" if self.type == guardrails.SERVICE else "accountName"
        return str((self.before or {}).get(key) or self.name)

    @property
    def sku(self) -> tuple[str, str]:
        sku = mapping((self.after or self.before or {}).get("sku"))
        return str(sku.get("name", "unknown tier")), str(sku.get("capacity", 1))


@dataclass(frozen=True)
class PoolChange:
    """What would become of a pool: `sides` are those of SIDES that there are, judged by `stack`."""

    name: str
    stack: guardrails.Stack
    sides: Mapping[str, Pool]


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A preview: what becomes of each resource, what was said, and the config."""

    resources: tuple[Change, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    config: Json = field(default_factory=dict)
    routing: str = "round-robin"

    @property
    def changes(self) -> list[Change]:
        return [each for each in self.resources if each.operation not in _UNCHANGED]

    @property
    def regions(self) -> list[Json]:
        """The config's regions in the order of their names, which is the pool's."""
        return sorted(_mappings(self.config.get("regions")), key=lambda each: str(each.get("name")))

    @cached_property
    def is_configured(self) -> bool:
        """Whether the program is this project's, whose config declares the pool.

        In a program of somebody else's, the component's inputs do.
        """
        declaring = (each for each in self.resources if each.type in guardrails.DECLARING)
        return not any(each.before if each.after is None else each.after for each in declaring)

    @cached_property
    def stacks(self) -> list[guardrails.Stack]:
        """What there would be; what is declared of it the config says, or each component."""
        declared = [
            guardrails.Resource(each.type, each.name, each.after, each.protect, each.within)
            for each in self.resources
            if each.after is not None and each.type != guardrails.STACK
        ]
        if not self.is_configured:
            return guardrails.split(declared)
        outputs = {
            "routing": self.routing,
            "unprotected": self.allowed,
            "accept_starved": self.config.get("acceptStarved"),
            "unwatched": self.is_unwatched,
            "backends": as_services(self.regions) if self.regions else None,
            "pools": [
                {"deployment": each.get("name")} for each in _mappings(self.config.get("models"))
            ],
        }
        return [guardrails.Stack([guardrails.Resource(guardrails.STACK, "", outputs), *declared])]

    @property
    def is_unwatched(self) -> bool:
        if "monitoring" in self.config:
            return not mapping(self.config["monitoring"]).get("enabled", self.config["monitoring"])
        return not self.is_configured and all(each.is_unwatched for each in self.stacks)

    @property
    def alarm(self) -> tuple[int, list[str]]:
        """How many alert rules there would be, and who hears them, by address or in a word."""
        declared = [each for each in self.resources if each.after is not None]
        heard: list[str] = []
        for each in declared:
            if each.type == guardrails.ACTION_GROUP and each.after is not None:
                emails = _mappings(each.after.get("emailReceivers"))
                heard += [str(to.get("emailAddress")) for to in emails]
                heard += ["a webhook"] if each.after.get("webhookReceivers") else []
        return sum(each.type == guardrails.ALERT for each in declared), heard

    @property
    def follows(self) -> bool:
        """Whether what continues a response would go to the region that has it."""
        policies = (
            mapping(each.after) for each in self.resources if each.type == guardrails.POLICY
        )
        return any(guardrails.follows(str(each.get("value"))) for each in policies)

    @property
    def allowed(self) -> list[str]:
        if self.is_configured:
            names = mapping(self.config.get("protect")).get("except")
            return [str(each) for each in names] if isinstance(names, list) else []
        return [str(each) for stack in self.stacks for each in stack.names("unprotected")]

    @property
    def place_of_keys(self) -> tuple[str, str]:
        """Where one writes what is to be accepted, and what stands before a key there."""
        if self.is_configured:
            return "the stack's config", _NAMESPACE
        return "the component's arguments", ""

    @property
    def violations(self) -> list[guardrails.Violation]:
        """The rules of the policy pack that it breaks; none where it lacks some resources."""
        is_whole = len(self.resources) >= sum(self.counts.values())
        return guardrails.violations_of(self.stacks) if is_whole and not self.failures else []

    @property
    def failures(self) -> list[str]:
        """The errors that left the preview without an end: a broken rule's comes after it."""
        others = (each for each in self.explained if not each.startswith("[mandatory] "))
        return [each for each in others if not _PROTECTED.search(each)]

    @property
    def explained(self) -> list[str]:
        return [error for error in self.errors if error not in _ECHOES]

    @cached_property
    def losses(self) -> list[Change]:
        """The accounts and the service that would be deleted or replaced, and what is refused."""
        known = {each.urn: each for each in self.resources}
        for error in self.errors:
            for match in _PROTECTED.finditer(error):
                urn, operation = match["urn"], "delete" if match["deleted"] else "replace"
                # urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME
                kind = urn.rpartition("::")[0].rpartition("::")[2].rpartition("$")[2]
                found = known.get(urn) or Change(urn, "", guardrails.unversioned(kind))
                known[urn] = replace(found, operation=operation, refused=True)
        return [
            each
            for each in sorted(known.values(), key=lambda each: (each.type, each.name))
            if each.refused or (each.type in LOSABLE and each.operation in ("delete", "replace"))
        ]

    def stack_of(self, change: Change) -> guardrails.Stack:
        """Return what a resource is judged with; of a component that is removed, what it had."""
        if change.type == guardrails.BACKEND and not change.within:
            of_it = (each for each in self.stacks if each.judges(change.name))
            return next(of_it, self.stacks[-1])
        if found := next((each for each in self.stacks if each.has(change.within)), None):
            return found
        return self.stacks[-1] if self.is_configured else self._removed(change.within)

    def _removed(self, component: str) -> guardrails.Stack:
        had = (each for each in self.resources if each.within == component)
        return guardrails.Stack(
            [
                guardrails.Resource(each.type, each.name, each.before, each.protect, component)
                for each in had
                if each.before is not None
            ]
        )

    def allowed_of(self, change: Change) -> list[str]:
        """Return what may be deleted of the component that a resource is of."""
        if self.is_configured or not change.within:
            return self.allowed
        return [str(each) for each in self.stack_of(change).names("unprotected")]

    def region(self, change: Change) -> str:
        """Return the region of an account that there was, or nothing."""
        stack = self.stack_of(change)
        return self.labels("before", stack).get(stack.plain(change), "")

    def labels(self, side: str, stack: guardrails.Stack) -> dict[str, str]:
        """Return what a member is called, by its backend: its account's region, or the declared."""
        told = map(mapping, stack.names("backends"))
        places = {str(each.get("id")): str(each.get("location")) for each in told}
        for each in self._accounts:
            location = (getattr(each, side) or {}).get("location")
            if is_told(location) and stack.has(each.within):
                places[stack.plain(each)] = location
        return {name: display_name(location) for name, location in places.items()}

    @cached_property
    def _accounts(self) -> list[Change]:
        return [each for each in self.resources if each.type == guardrails.ACCOUNT]

    @property
    def pools(self) -> Iterator[PoolChange]:
        """Every pool, before and after; `live` where a refresh found another."""
        for each in self.resources:
            inputs = {side: i for side in SIDES if (i := getattr(each, side)) is not None}
            if each.type == guardrails.BACKEND and any("pool" in i for i in inputs.values()):
                stack = self.stack_of(each)
                pools = {side: stack.pool(i) for side, i in inputs.items()}
                if pools.get("live") == pools.get("before"):
                    pools.pop("live", None)
                yield PoolChange(each.name, stack, pools)


def parse(text: str, log: str = "") -> Preview:
    """Read a preview, and what was printed beside it. Raises PreviewError for what is none."""
    document = _document(text, log)
    said = _mappings(document.get("diagnostics"))
    counts = mapping(document.get("changeSummary"))
    config = {
        key.removeprefix(_NAMESPACE): _decoded(value)
        for key, value in mapping(document.get("config")).items()
        if key.startswith(_NAMESPACE)
    }
    by_urn: dict[str, list[Json]] = {}
    for step in _mappings(document.get("steps")):
        by_urn.setdefault(str(step.get("urn", "")), []).append(step)
    owners = _owners(
        {
            urn: str(mapping(step.get("newState") or step.get("oldState")).get("parent", ""))
            for urn, steps in by_urn.items()
            for step in steps
        }
    )
    changes = (_change(urn, steps) for urn, steps in by_urn.items())
    return Preview(
        resources=tuple(replace(each, within=owners[each.urn]) for each in changes),
        counts={operation: n for operation, n in counts.items() if isinstance(n, int)},
        errors=_messages(said, "error"),
        warnings=_messages(said, "warning"),
        config=config,
        routing=str(config.get("routing", "round-robin")),
    )


def _document(text: str, log: str) -> Json:
    found, why = None, "JSON, but no preview: it has neither steps nor changeSummary"
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        first = text.strip().partition("\n")[0]
        why = f"no JSON: it begins with {first[:120]!r}" if first else "nothing: it is empty"
    document = mapping(found)
    if {"steps", "changeSummary"} & document.keys():
        return document
    said = (str(each.get("message", "")) for each in _mappings(document.get("diagnostics")))
    raise PreviewError(_errors_of("\n".join(said)) or _errors_of(log) or why)


def _errors_of(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    begin = next((n for n, line in enumerate(lines) if line.startswith("error: ")), len(lines))
    return "\n".join(line.removeprefix("error: ") for line in lines[begin:])


def _change(urn: str, steps: Sequence[Json]) -> Change:
    refreshed = [each for each in steps if each.get("op") == "refresh"]
    others = [each for each in steps if each.get("op") != "refresh"] or refreshed
    operations = [str(each.get("op", "")) for each in others]
    before, live = _states(steps, "oldState"), _states(others, "oldState")
    # A deletion has no state that stays, whatever an engine writes there.
    after = _states([s for s in others if "delete" not in str(s.get("op"))], "newState")
    newest = (after or live or before or [{}])[-1]
    differing = [each.get("detailedDiff") or each.get("diffReasons") for each in others]
    keys = {str(key) for each in differing if isinstance(each, dict | list) for key in each}
    drastic = [op for op in ("replace", "delete") if op in " ".join(operations)]
    return Change(
        urn,
        operation=[*drastic, operations[-1]][0],
        type=guardrails.unversioned(str(newest.get("type", ""))),
        before=mapping(before[0].get("inputs")) if before else None,
        live=mapping(live[-1].get("inputs")) if live else None,
        after=mapping(after[-1].get("inputs")) if after else None,
        properties=tuple(sorted(keys)),
        protect=newest.get("protect") is True,
    )


def _owners(parents: Mapping[str, str]) -> dict[str, str]:
    """Name the component that declares each resource, itself included, by their URNs."""
    owners = {"": ""}
    for urn in parents:
        chain, above = list[str](), urn
        while above not in owners:  # each is visited once: a fork's preview may be a long chain
            chain.append(above)
            is_component = above.rpartition("::")[0].endswith(guardrails.WHOLE)
            owners[above] = above.rpartition("::")[2] if is_component else ""
            above = "" if is_component else parents.get(above, "")
        if chain:
            owners |= dict.fromkeys(chain, owners[chain[-1]] or owners[above])
    return owners


def _differing(was: object, now: object, path: str = "", depth: int = 12) -> Iterator[str]:
    if depth and isinstance(was, dict) and isinstance(now, dict):
        for key in sorted({*was, *now}):
            inner = f"{path}.{key}" if path else key
            yield from _differing(was.get(key), now.get(key), inner, depth - 1)
    elif depth and isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for index, pair in enumerate(zip(was, now, strict=True)):
            yield from _differing(*pair, f"{path}[{index}]", depth - 1)
    elif was != now:
        yield path


def _states(steps: Iterable[Json], side: str) -> list[Json]:
    return [state for each in steps if (state := mapping(each.get(side)))]


def _decoded(value: object) -> object:
    """Return a value of the config: the engine writes lists and objects as JSON text."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value


def _messages(said: list[Json], severity: str) -> tuple[str, ...]:
    found = (str(each.get("message", "")) for each in said if each.get("severity") == severity)
    return tuple(text.strip().removeprefix(f"{severity}: ") for text in found)


def _mappings(value: object) -> list[Json]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
