"""One request to Resource Manager, with everything the rules look at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Protocol

from local_azure.locations import Locations, normalise
from local_azure.resource_manager.paths import RESOURCE_GROUP, ArmPath
from local_azure.resource_manager.schema import Problem, Shape
from local_azure.store import Resource, View


class CompilePolicy(Protocol):
    """Checks a policy, or a fragment of one.

    Raises an exception with `line`, `message` and `element` for what the gateway would not run.
    """

    def __call__(
        self,
        xml: str,
        *,
        named_values: Mapping[str, str],
        fragments: Mapping[str, str],
        is_fragment: bool = False,
    ) -> object:
        """Check; named values come by display name, fragments by id in lower case."""


@dataclass(frozen=True, kw_only=True)
class Azure:
    """What does not change from request to request.

    `check_query` says what is wrong with a query over a workspace, by its id; empty if nothing is.
    """

    subscription_id: str
    tenant_id: str
    gateway_url: Callable[[str], str]
    compile_policy: CompilePolicy
    check_query: Callable[[str, str], str]
    provisioning_seconds: float
    locations: Locations


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """One resource type of Azure, and how the local Azure treats it.

    `label` is what API Management calls it in messages. `tracked` types have a location. A PUT of a
    type with `creating` is a long-running operation, during which the resource has that
    provisioning state. A type with `record` is soft deleted: the record has that type. `patched`
    types take a PATCH; to restore one of a `recovered` type, a PUT needs to name nothing else.
    `newer` has the properties (`name` or `name.part`) that came after an api-version: there they
    are neither shown nor taken. `routing` types are only part of a path, `read_only` types cannot
    be written by clients.
    """

    name: str
    api_versions: tuple[str, ...]
    label: str = ""
    body: Shape | None = None
    build: "Callable[[Request], Built] | None" = None
    tracked: bool = False
    creating: str = ""
    updating: str = ""
    record: str = ""
    entity_tags: bool = False
    patched: bool = False
    recovered: bool = False
    newer: Mapping[str, frozenset[str]] = field(default_factory=dict)
    routing: bool = False
    read_only: bool = False

    @property
    def namespace(self) -> str:
        """`Microsoft.ApiManagement` of `Microsoft.ApiManagement/service`."""
        return self.name.split("/", 1)[0]


@dataclass(frozen=True, kw_only=True)
class Built:
    """What a PUT leaves behind: the body GET returns, without id, name and type, and the keys."""

    body: Mapping[str, Any]
    secrets: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A request body that is no JSON; `reason` is the parser's."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request, decoded; `kind` is None for a type that the local Azure does not know.

    `sent` is the body as it came.
    """

    method: str
    path: ArmPath
    kind: ResourceType | None
    query: Mapping[str, str]
    headers: Mapping[str, str]
    sent: Any
    view: View
    now: float
    azure: Azure

    @property
    def api_version(self) -> str:
        """The `api-version` query parameter; empty when there is none."""
        return self.query.get("api-version", "")

    @property
    def id(self) -> str:
        """The id of the resource that is asked for."""
        return self.path.id

    @property
    def parent_id(self) -> str:
        """The id of what the resource hangs on; empty at the top."""
        return self.path.steps[-2].id if len(self.path.steps) > 1 else ""

    @property
    def resource_group(self) -> str:
        """The resource group's name; empty outside any."""
        step = self.path.step(RESOURCE_GROUP)
        return step.name if step else ""

    @property
    def existing(self) -> Resource | None:
        """The resource that is asked for, unless it is not there or has expired."""
        return self.find(self.id)

    def find(self, resource_id: str) -> Resource | None:
        """Return a resource by its id, unless it has expired."""
        resource = self.view.get(resource_id)
        return resource if resource and self.now < resource.expires_at else None

    @cached_property
    def content(self) -> Any:
        """The body of a PUT, or what a PATCH makes of the resource (RFC 7396)."""
        if not isinstance(self.sent, dict):
            return self.sent
        if self.method == "PATCH" and self.existing:
            return _merged(self._whole(self.existing), self.sent)
        base = self._to_recover()
        return _merged(base.body, self.sent) if base else self.sent

    def _whole(self, resource: Resource) -> Mapping[str, Any]:
        """Return the body that a PUT would send: with those of the keys that are properties."""
        body = self.kind.body if self.kind else None
        shape = body.properties.get("properties") if body else None
        if not isinstance(shape, Shape):
            return resource.body
        keys = self.view.secrets(resource.id)
        given = {name: value for name, value in keys.items() if name in shape.properties}
        return {**resource.body, "properties": {**given, **resource.body["properties"]}}

    def _to_recover(self) -> Resource | None:
        properties = self.sent.get("properties")
        asked = isinstance(properties, dict) and properties.get("restore") is True
        if not asked or self.kind is None or not self.kind.recovered:
            return None
        for record in self.view.list(self.kind.record):
            for kept in self.view.kept_by(record.id):
                if kept.id.lower() == self.id.lower():
                    return kept
        return None

    @cached_property
    def _read(self) -> tuple[Any, tuple[Problem, ...]]:
        if self.kind is None or self.kind.body is None:
            return {}, ()
        problems: list[Problem] = []
        return self.kind.body.read(self.content, "", problems), tuple(problems)

    @property
    def body(self) -> Mapping[str, Any]:
        """The request body without nulls and read-only properties."""
        body, _ = self._read
        return body if isinstance(body, dict) else {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Where the request body is not what the type's api-version defines."""
        return self._read[1]

    @property
    def properties(self) -> Mapping[str, Any]:
        """The `properties` of the request body."""
        properties = self.body.get("properties")
        return properties if isinstance(properties, dict) else {}

    @property
    def location(self) -> str:
        """The location in the request body, as Azure writes it; empty when it has none."""
        location = self.body.get("location")
        return normalise(location) if isinstance(location, str) else ""

    @property
    def place(self) -> str:
        """The location of the innermost resource on the path that is there and has one."""
        for step in reversed(self.path.steps):
            resource = self.find(step.id)
            if resource and "location" in resource.body:
                return str(resource.body["location"])
        return ""

    @property
    def time(self) -> str:
        """The time of the request as Azure writes it."""
        return timestamp(self.now)


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        merged[name] = _merged(merged.get(name), value)
    return merged


def timestamp(seconds: float) -> str:
    """Write wall time as Azure does: `2026-11-24T05:41:00.0000000Z`."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"
