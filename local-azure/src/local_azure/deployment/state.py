"""The checkpoint of a stack: what is deployed, and what was about to be when a run was cut off.

One JSON file a stack, readable by its owner alone because it holds secrets in the clear. It is
written anew and renamed into place, so that whatever moment a run dies at, a whole one is there.
"""

import fcntl
import json
import os
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal

from local_azure.deployment.values import Json, plain, redacted
from local_azure.local import LocalAzureError, open_private, outputs_file, write_private

ROOT_TYPE = "pulumi:pulumi:Stack"

_VERSION = 1


class StateError(LocalAzureError):
    """The stack's state cannot be used; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class ResourceState:
    """One resource as it is deployed; the urns of `dependencies` are those it needs."""

    urn: str
    type: str
    custom: bool
    parent: str = ""
    id: str = ""
    inputs: dict[str, Json] = field(default_factory=dict)
    outputs: dict[str, Json] = field(default_factory=dict)
    dependencies: list[str] = field(default_factory=list)
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    provider: str = ""  # the reference that a preview's JSON shows
    protect: bool = False
    retain_on_delete: bool = False
    delete_timeout: float = 0.0  # seconds; 0 for the default

    @property
    def name(self) -> str:
        """The name that the program gave it."""
        return self.urn.rsplit("::", 1)[-1]

    @property
    def title(self) -> str:
        """What a message calls it."""
        return f"{self.type} {self.name}"


PendingKind = Literal["creating", "updating", "deleting"]


@dataclass(frozen=True, kw_only=True)
class Pending:
    """An operation that was written down before its request, and not yet after."""

    kind: PendingKind
    resource: ResourceState


class Checkpoint:
    """A stack's resources, in the order in which they were created; safe for threads.

    Every method that changes something has written the file when it returns, unless `path` is None
    (a preview).
    """

    def __init__(
        self,
        path: Path | None,
        resources: Iterable[ResourceState] = (),
        pending: Iterable[Pending] = (),
    ) -> None:
        self._path = path
        self._resources = {resource.urn: resource for resource in resources}
        self._pending = {entry.resource.urn: entry for entry in pending}
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[ResourceState]:
        """Return what is deployed."""
        with self._lock:
            return iter(list(self._resources.values()))

    def get(self, urn: str) -> ResourceState | None:
        """Return a resource, or None."""
        return self._resources.get(urn)

    def pending(self, urn: str) -> Pending | None:
        """Return the operation that an earlier run began on a resource, or None."""
        return self._pending.get(urn)

    @property
    def interrupted(self) -> list[Pending]:
        """The operations that an earlier run began and did not write down as ended."""
        return list(self._pending.values())

    def begin(self, kind: PendingKind, resource: ResourceState) -> None:
        """Write an operation down, before its request is sent."""
        with self._lock:
            self._pending[resource.urn] = Pending(kind=kind, resource=resource)
            self._save()

    def abandon(self, urn: str) -> None:
        """Forget a pending operation that is known to have had no effect."""
        with self._lock:
            if self._pending.pop(urn, None):
                self._save()

    def commit(self, resource: ResourceState) -> None:
        """Write down what a resource is now, which ends its pending operation."""
        with self._lock:
            self._pending.pop(resource.urn, None)
            if self._resources.get(resource.urn) != resource:
                self._resources[resource.urn] = resource
            self._save()

    def note(self, resource: ResourceState) -> None:
        """Take over what needs no request (a component, an option); `save` writes it down."""
        with self._lock:
            self._resources[resource.urn] = resource

    def rename(self, old_urn: str, urn: str) -> None:
        """Let a resource go by the name that an alias gives it, wherever it is referred to."""
        with self._lock:
            names = {old_urn: urn}
            self._resources = {
                entry.urn: entry
                for entry in (_renamed(entry, names) for entry in self._resources.values())
            }
            self._pending = {
                entry.resource.urn: entry
                for entry in (
                    replace(entry, resource=_renamed(entry.resource, names))
                    for entry in self._pending.values()
                )
            }

    def remove(self, urn: str) -> None:
        """Write down that a resource is gone."""
        with self._lock:
            self._pending.pop(urn, None)
            self._resources.pop(urn, None)
            self._save()

    def forget(self, urn: str) -> None:
        """Take over that a resource is gone; `save` writes it down."""
        with self._lock:
            self._resources.pop(urn, None)

    def save(self) -> None:
        """Write the file."""
        with self._lock:
            self._save()

    def _save(self) -> None:
        if self._path is None:
            return
        document = {
            "version": _VERSION,
            "resources": [asdict(resource) for resource in self._resources.values()],
            "pending": [asdict(entry) for entry in self._pending.values()],
        }
        write_private(self._path, json.dumps(document))


def _renamed(resource: ResourceState, names: Mapping[str, str]) -> ResourceState:
    return replace(
        resource,
        urn=names.get(resource.urn, resource.urn),
        parent=names.get(resource.parent, resource.parent),
        dependencies=[names.get(urn, urn) for urn in resource.dependencies],
        property_dependencies={
            key: [names.get(urn, urn) for urn in urns]
            for key, urns in resource.property_dependencies.items()
        },
    )


class StackState:
    """A stack's files below a state folder."""

    def __init__(self, state_dir: Path, stack: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", stack):
            raise StateError(
                f"stack name {stack!r}: letters, digits, `_`, `.` and `-`, 100 at most"
            )
        self.stack = stack
        self._folder = state_dir.absolute() / "stacks"
        self._path = self._folder / f"{stack}.json"
        self._lock = self._folder / f"{stack}.lock"
        self._outputs = outputs_file(state_dir.absolute(), stack)

    @contextmanager
    def held(self, operation: str) -> Iterator[None]:
        """Hold the stack for one run. Raises StateError that names whoever holds it already.

        The lock is the kernel's: it ends with the process, however that ends.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open_private(self._lock) as file:
            if not _locked(file, self._lock):
                raise StateError(
                    f"stack {self.stack} is held by {_holder(file.read())}:"
                    " wait for it to end, then run the command again"
                )
            since = time.strftime("%H:%M:%S")
            file.truncate()
            json.dump({"pid": os.getpid(), "operation": operation, "since": since}, file)
            file.flush()
            yield

    def publish(self) -> None:
        """Write the outputs of what is deployed where the probe finds them."""
        found = _outputs_of(self.load(read_only=True))
        write_private(self._outputs, json.dumps(plain(found or {}), indent=2))

    def forget(self) -> None:
        """Leave no file of the stack behind; whoever holds it calls this."""
        for path in (self._outputs, self._path, self._lock):
            for each in (path.with_name(f"{path.name}.new"), path):
                each.unlink(missing_ok=True)

    def load(self, *, read_only: bool = False) -> Checkpoint:
        """Return the checkpoint; an empty one when nothing was ever deployed."""
        path = None if read_only else self._path
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            if document["version"] != _VERSION:
                raise StateError(
                    f"{self._path} is of version {document['version']}, not {_VERSION}"
                )
            resources = [ResourceState(**entry) for entry in document["resources"]]
            pending = [
                Pending(kind=entry["kind"], resource=ResourceState(**entry["resource"]))
                for entry in document["pending"]
            ]
        except FileNotFoundError:
            return Checkpoint(path)
        except (ValueError, KeyError, TypeError) as error:
            raise StateError(
                f"{self._path} is no checkpoint ({error}): mend it, or move it away to start anew"
            ) from None
        return Checkpoint(path, resources, pending)


def _locked(file: IO[str], path: Path) -> bool:
    """Lock a file, unless another run has it, or has taken it away since it was opened."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _holder(text: str) -> str:
    try:
        holder: dict[str, Any] = json.loads(text)
    except ValueError:  # its first write is still to come
        return "another run that is just starting"
    return f"`{holder['operation']}` (pid {holder['pid']}, since {holder['since']})"


def outputs(state_dir: Path, stack: str, *, show_secrets: bool = False) -> dict[str, Json]:
    """Return a stack's outputs, secrets as `[secret]` unless asked for.

    Raises StateError when the stack was never deployed.
    """
    found = _outputs_of(StackState(state_dir, stack).load(read_only=True))
    if found is None:
        raise _not_deployed(stack)
    return dict((plain if show_secrets else redacted)(found))


def unprotect(state_dir: Path, stack: str) -> int:
    """Take the protection off every resource of a stack; return how many had it.

    Raises StateError when the stack was never deployed, or is held by another run.
    """
    state = StackState(state_dir, stack)
    with state.held("unprotect"):
        checkpoint = state.load()
        if not list(checkpoint):
            state.forget()
            raise _not_deployed(stack)
        protected = [each for each in checkpoint if each.protect]
        for each in protected:
            checkpoint.note(replace(each, protect=False))
        checkpoint.save()
    return len(protected)


def _not_deployed(stack: str) -> StateError:
    return StateError(f"stack {stack} is not deployed here: run `local-azure up --stack {stack}`")


def _outputs_of(checkpoint: Checkpoint) -> dict[str, Json] | None:
    return next((each.outputs for each in checkpoint if each.type == ROOT_TYPE), None)
