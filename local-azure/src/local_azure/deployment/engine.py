"""The resource monitor that the program talks to: it decides what becomes of each resource.

The SDK calls it from its own threads, each registration as soon as everything that its inputs
need is there: independent resources are made in parallel, dependent ones in their order.
"""

import re
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf import empty_pb2
from pulumi import RunError
from pulumi.runtime.proto import engine_pb2, provider_pb2, resource_pb2

from local_azure import durations
from local_azure.deployment import translate
from local_azure.deployment.journal import Journal, Severity, Step
from local_azure.deployment.provider import (
    DEFAULT_TIMEOUT,
    Provider,
    ProviderError,
    Providers,
    RefusedError,
    ResourceManager,
    StoppedError,
    UnreachableError,
)
from local_azure.deployment.state import ROOT_TYPE, Checkpoint, Pending, ResourceState
from local_azure.deployment.translate import TranslationError
from local_azure.deployment.values import (
    UNKNOWN,
    Change,
    Json,
    changes,
    from_struct,
    has_unknown,
    is_secret,
    marked,
    to_struct,
    within,
)

PARALLEL = 16  # operations at once, as the Pulumi CLI's default

# Options of a resource that change what is deployed and are not built here: refused by name, since
# to ignore them would deploy something else. `hide_diffs`, `version` and `plugin_download_url` are
# about the CLI's display and plug-ins and make no difference.
_REFUSED_OPTIONS = {
    "importId": "import_",
    "deletedWith": "deleted_with",
    "replace_with": "replace_with",
    "replacement_trigger": "replacement_trigger",
    "transforms": "transforms",
    "hooks": "hooks",
    "state_migrations": "state_migrations",
    "remote": "remote components",
}
_USE_THE_CLI = "is not supported by the embedded deployment: use the pulumi CLI"


class EngineError(Exception):
    """A registration that cannot be carried out; the message is what a person is shown."""


class ProtectedError(EngineError):
    """A replacement or deletion of what is protected; the message is the engine's own."""


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """One registration, worked out: what was, what shall be, and how to get there."""

    provider: Provider
    old: ResourceState | None
    new: ResourceState
    changes: tuple[Change, ...]
    replaces: frozenset[str]
    secret_outputs: frozenset[str]
    create_timeout: float
    update_timeout: float
    again: bool  # an earlier update was cut off: Azure may have any of two states


class Engine:
    """Deploys one stack, or previews it. Its methods in CamelCase are the monitor's protocol."""

    def __init__(
        self,
        *,
        project: str,
        stack: str,
        preview: bool,
        checkpoint: Checkpoint,
        resource_manager: ResourceManager,
        journal: Journal,
        stop: threading.Event,
        ignore_protect: bool = False,
    ) -> None:
        self._ignore_protect = ignore_protect
        self._protections: list[tuple[str, str]] = []  # a preview's: it goes on to its end
        self._project = project
        self._stack = stack
        self._preview = preview
        self._checkpoint = checkpoint
        self._azure = resource_manager
        self._providers = Providers(resource_manager)
        self._journal = journal
        self._stop = stop
        self._lock = threading.Lock()
        self._registered: set[str] = set()
        self._previous: dict[str, str] = {}  # urn -> the one an alias found it under
        self._replaced: dict[str, ResourceState] = {}  # deleted, to be created again
        self._provider_ids: dict[str, str] = {}
        self._provider_lock = threading.Lock()

    # The monitor's protocol (pulumi, proto/pulumi/resource.proto)

    def GetDeploymentInfo(self, _request: object) -> resource_pb2.DeploymentInfo:  # noqa: N802
        """Say what the SDK may send. All that is refused by name here has to arrive here first."""
        feature = resource_pb2.ResourceMonitorFeature
        return resource_pb2.DeploymentInfo(
            supportedFeatures=[
                feature.RESOURCE_MONITOR_FEATURE_SECRETS,
                feature.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
                feature.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
                feature.RESOURCE_MONITOR_FEATURE_REPLACE_WITH,
                feature.RESOURCE_MONITOR_FEATURE_REPLACEMENT_TRIGGER,
                feature.RESOURCE_MONITOR_FEATURE_TRANSFORMS,
                feature.RESOURCE_MONITOR_FEATURE_INVOKE_TRANSFORMS,
                feature.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS,
                feature.RESOURCE_MONITOR_FEATURE_ERROR_HOOKS,
                feature.RESOURCE_MONITOR_FEATURE_STATE_MIGRATIONS,
                feature.RESOURCE_MONITOR_FEATURE_PARAMETERIZATION,
            ]
        )

    def RegisterResource(  # noqa: N802
        self, request: resource_pb2.RegisterResourceRequest
    ) -> resource_pb2.RegisterResourceResponse:
        """Create, update, replace or leave a resource; a failure is said and answered as such."""
        urn = self._urn(request.parent, request.type, request.name)
        try:
            state = self._register(urn, request)
        except (EngineError, TranslationError, ProviderError) as error:
            self._fail(f"{request.type} {request.name}", urn, error)
            state = None
        if state is None:
            return resource_pb2.RegisterResourceResponse(urn=urn, result=resource_pb2.Result.FAIL)
        self._journal.states[urn] = state
        return resource_pb2.RegisterResourceResponse(
            urn=urn, id=state.id, object=to_struct(state.outputs) if state.custom else None
        )

    def RegisterResourceOutputs(  # noqa: N802
        self, request: resource_pb2.RegisterResourceOutputsRequest
    ) -> empty_pb2.Empty:
        """Take over what a component, or the stack, exports."""
        state = self._checkpoint.get(request.urn)
        outputs = from_struct(request.outputs)
        if request.urn in self._journal.states:
            declared = self._journal.states[request.urn]
            self._journal.states[request.urn] = replace(declared, outputs=outputs)
        if not self._preview:  # what a failed resource left unknown is no output
            outputs = {key: value for key, value in outputs.items() if not has_unknown(value)}
        if state and state.type == ROOT_TYPE:
            # The stack's change as a whole, once all has gone well: see `delete_what_is_gone`.
            self._journal.outputs, self._journal.old_outputs = outputs, state.outputs
        elif state:
            self._checkpoint.note(replace(state, outputs=outputs))
        return empty_pb2.Empty()

    def Invoke(  # noqa: N802
        self, request: resource_pb2.ResourceInvokeRequest
    ) -> resource_pb2.ResourceInvokeResponse:
        """Call a function of azure-native."""
        try:
            result = self._azure.call(request.tok, from_struct(request.args))
        except (TranslationError, ProviderError) as error:
            if translate.is_lookup(request.tok):  # the program's own to deal with
                failure = provider_pb2.CheckFailure(reason=str(error))
                return resource_pb2.ResourceInvokeResponse(failures=[failure])
            self._fail(request.tok, "", error)
            return resource_pb2.ResourceInvokeResponse(unknown=True)
        response = resource_pb2.ResourceInvokeResponse()
        getattr(response, "return").CopyFrom(to_struct(result))
        return response

    def ReadResource(self, request: resource_pb2.ReadResourceRequest) -> None:  # noqa: N802
        """Refuse: `get` on a resource is not built."""
        raise RunError(f"{request.type} {request.name}: `get` {_USE_THE_CLI}")

    def RegisterStackTransform(self, _request: object) -> None:  # noqa: N802
        """Refuse: a transform could change every resource."""
        raise RunError(f"a stack transform {_USE_THE_CLI}")

    RegisterStackInvokeTransform = RegisterStackTransform

    def RegisterResourceHook(self, _request: object) -> None:  # noqa: N802
        """Refuse: hooks are not built."""
        raise RunError(f"a resource hook {_USE_THE_CLI}")

    RegisterErrorHook = RegisterResourceHook

    def RegisterPackage(self, request: resource_pb2.RegisterPackageRequest) -> None:  # noqa: N802
        """Refuse: there are no plug-ins to parameterize."""
        raise RunError(f"package {request.name} {_USE_THE_CLI}")

    def SignalAndWaitForShutdown(self, _request: object) -> empty_pb2.Empty:  # noqa: N802
        """Return: there are no hooks to wait for."""
        return empty_pb2.Empty()

    # The engine's protocol (pulumi, proto/pulumi/engine.proto)

    def Log(self, request: engine_pb2.LogRequest) -> empty_pb2.Empty:  # noqa: N802
        """Take over a message of the program."""
        severities: dict[int, Severity] = {
            engine_pb2.INFO: "info",
            engine_pb2.WARNING: "warning",
            engine_pb2.ERROR: "error",
        }
        severity = severities.get(request.severity)
        if severity and not request.ephemeral:
            self._journal.say(severity, request.message, request.urn)
        return empty_pb2.Empty()

    # Before the program, and after it

    def refresh(self) -> None:
        """Take over what has become of the stack's resources in Azure, as `pulumi refresh` does.

        The steps have the states of before, as the engine's JSON has them.
        """
        known = list(self._checkpoint)
        for state in known:
            self._journal.add(Step(op="refresh", urn=state.urn, old=state, new=state))
        custom = [
            state for state in known if state.custom and not self._checkpoint.pending(state.urn)
        ]
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(self._refreshed, custom))
        if not self._preview:
            self._checkpoint.save()

    def _refreshed(self, state: ResourceState) -> None:
        try:
            found = self._providers[state.type].refreshed(state.id, state.inputs, state.outputs)
        except (TranslationError, ProviderError) as error:
            self._fail(state.title, state.urn, error)
            return
        if found is None:
            self._checkpoint.forget(state.urn)
            return
        secrets = frozenset(key for key, value in state.outputs.items() if is_secret(value))
        outputs = marked(found.outputs, found.inputs, secrets)
        self._checkpoint.note(replace(state, inputs=found.inputs, outputs=outputs))

    def delete_what_is_gone(self) -> None:
        """Delete what the program no longer declares, unless something has failed.

        Only a run without a failure changes the stack's outputs, as with the engine: they are
        never a mixture of old and new.
        """
        if not self._failed:
            self._delete_all(
                state for state in self._everything() if state.urn not in self._registered
            )
        for urn, message in self._protections:
            self._journal.say("error", message, urn)
        for state in self._checkpoint:
            if state.type == ROOT_TYPE and not self._failed:
                self._checkpoint.note(replace(state, outputs=self._journal.outputs))
        if not self._failed or any(state.custom for state in self._checkpoint):
            self._checkpoint.save()  # a program that failed before it declared anything leaves none

    def delete_everything(self) -> None:
        """Delete the stack's resources."""
        self._delete_all(self._everything())
        self._checkpoint.save()

    @property
    def _failed(self) -> bool:
        return self._journal.failed or self._stop.is_set()

    def _fail(self, title: str, urn: str, error: Exception) -> None:
        if isinstance(error, StoppedError):
            return
        if isinstance(error, UnreachableError):  # one line for all that were under way
            self._journal.say("error", str(error))
        elif isinstance(error, ProtectedError):
            self._journal.say("error", str(error), urn)
        else:
            self._journal.say("error", f"{title}: {error}", urn)

    # Registration

    def _urn(self, parent: str, type_: str, name: str, stack: str = "", project: str = "") -> str:
        parent_type = parent.split("::")[2] if parent else ""
        qualified = type_ if parent_type in ("", ROOT_TYPE) else f"{parent_type}${type_}"
        return "::".join(
            (f"urn:pulumi:{stack or self._stack}", project or self._project, qualified, name)
        )

    def _register(
        self, urn: str, request: resource_pb2.RegisterResourceRequest
    ) -> ResourceState | None:
        """Return the state that the resource has now; None when it was skipped."""
        with self._lock:
            if urn in self._registered:
                raise EngineError(f"Duplicate resource URN '{urn}'; try giving it a unique name")
            self._registered.add(urn)
        _refuse_options(request)
        self._find_by_alias(urn, request)
        if not request.custom:
            return self._component(urn, request)
        if self._failed and not self._preview:
            return None  # as Pulumi: nothing new begins once something has failed
        plan = self._plan(urn, request)
        return self._previewed(plan) if self._preview else self._applied(plan)

    def _component(self, urn: str, request: resource_pb2.RegisterResourceRequest) -> ResourceState:
        old = self._checkpoint.get(urn)
        new = ResourceState(
            urn=urn,
            type=request.type,
            custom=False,
            parent=request.parent,
            inputs=from_struct(request.object),
            outputs=old.outputs if old else {},
            dependencies=sorted(request.dependencies),
            protect=request.protect,
        )
        self._checkpoint.note(new)
        self._journal.add(Step(op="same" if old else "create", urn=urn, old=old, new=new))
        return new

    def _plan(self, urn: str, request: resource_pb2.RegisterResourceRequest) -> _Plan:
        provider = self._providers[request.type]
        old, again = self._checkpoint.get(urn), False
        if pending := self._checkpoint.pending(urn):
            old, again = self._resumed(provider, pending, old)
        inputs = provider.check(
            request.name, from_struct(request.object), old.inputs if old else None
        )
        for path in request.ignoreChanges if old else ():
            _keep(inputs, old.inputs if old else {}, path)
        differences = (
            tuple(change for change in changes(old.inputs, inputs) if provider.is_change(change))
            if old
            else ()
        )
        known_id = "" if has_unknown(inputs) else provider.resource_id(inputs)
        return _Plan(
            provider=provider,
            old=old,
            new=ResourceState(
                urn=urn,
                type=request.type,
                custom=True,
                parent=request.parent,
                id=known_id,
                inputs=inputs,
                dependencies=sorted(request.dependencies),
                property_dependencies={
                    key: sorted(value.urns)
                    for key, value in sorted(request.propertyDependencies.items())
                },
                provider=self._provider_reference(request, old),
                protect=request.protect,
                retain_on_delete=request.retainOnDelete,
                delete_timeout=_seconds(request.customTimeouts.delete),
            ),
            changes=differences,
            replaces=frozenset(
                change.path
                for change in differences
                if provider.needs_replacement(change)
                or any(within(change.path, path) for path in request.replaceOnChanges)
            ),
            secret_outputs=frozenset(request.additionalSecretOutputs),
            create_timeout=_seconds(request.customTimeouts.create) or DEFAULT_TIMEOUT,
            update_timeout=_seconds(request.customTimeouts.update) or DEFAULT_TIMEOUT,
            again=again,
        )

    def _resumed(
        self, provider: Provider, pending: Pending, old: ResourceState | None
    ) -> tuple[ResourceState | None, bool]:
        """Find out how an interrupted operation ended; whether to update in any case."""
        match pending.kind:
            case "updating":
                return old, True
            case "deleting":
                if not self._preview:
                    provider.delete(pending.resource.id, _delete_timeout(pending.resource))
                    self._checkpoint.remove(pending.resource.urn)
                return None, False
            case "creating":
                if self._preview:  # sends no request: it is created, or adopted unchanged
                    return None, False
                found = provider.read(pending.resource.id, DEFAULT_TIMEOUT)
                if found is None:
                    return None, False
                adopted = replace(pending.resource, id=found.id, outputs=found.outputs)
                self._checkpoint.commit(adopted)
                return adopted, not found.succeeded

    def _refuse_replacement(self, plan: _Plan, old: ResourceState) -> None:
        """Refuse to replace what is protected, or has with it something that is."""
        new, how = plan.new, "remove the `protect` flag from the resource in your Pulumi program"
        if old.protect and new.protect:
            self._refuse(
                f'unable to replace resource "{new.urn}"\nas it is currently marked for protection.'
                f" To unprotect the resource, {how} and run `pulumi up`",
                new.urn,
            )
        for part in self._doomed(old)[1:]:
            if part.protect:
                self._refuse(
                    f'unable to replace resource "{part.urn}" as part of replacing "{new.urn}" as'
                    " it is currently marked for protection. To unprotect the resource,"
                    f" {how} and run `pulumi up`, or use the command:\n{self._unprotect}",
                    new.urn,
                )

    def _refuse(self, message: str, urn: str) -> None:
        """Say that something is protected, in the engine's words; only a preview goes on."""
        if self._ignore_protect:
            return
        if not self._preview:
            raise ProtectedError(message)
        self._protections.append((urn, message))

    @property
    def _unprotect(self) -> str:
        return f"`local-azure unprotect --stack {self._stack}`"

    def _previewed(self, plan: _Plan) -> ResourceState:
        step = _step(plan)
        if step.op == "replace" and plan.old:
            self._refuse_replacement(plan, plan.old)
        if step.op == "same" and plan.old:
            outputs = _marked(plan.old.outputs, plan)
            state = replace(plan.new, id=plan.old.id, outputs=outputs)
        elif step.op == "update" and plan.old:
            outputs = plan.provider.preview(plan.new.inputs, plan.old.outputs)
            state = replace(plan.new, id=plan.old.id, outputs=_marked(outputs, plan))
        else:
            outputs = plan.provider.preview(plan.new.inputs, None)
            state = replace(plan.new, id="", outputs=_marked(outputs, plan))
        self._journal.add(step)
        return state

    def _applied(self, plan: _Plan) -> ResourceState:
        step = _step(plan)
        if step.op == "same" and plan.old:
            outputs = _marked(plan.old.outputs, plan)
            state = replace(plan.new, id=plan.old.id, outputs=outputs)
            self._checkpoint.note(state)
            self._journal.add(step)
            return state
        if step.op == "replace" and plan.old:
            self._refuse_replacement(plan, plan.old)
        if step.op == "create" and (before := self._replaced.get(plan.new.urn)):
            step = replace(step, op="replace", old=before)
        with self._journal.run(step) as running:
            if step.op == "update" and plan.old:
                state = self._updated(plan, plan.old)
            else:
                if plan.old:
                    self._delete_for_replacement(plan.old)
                state = self._created(plan)
            running.becomes(state)
        return state

    def _created(self, plan: _Plan) -> ResourceState:
        new = plan.new
        if new.id:
            if not self._checkpoint.pending(new.urn) and plan.provider.read(
                new.id, plan.create_timeout
            ):
                raise EngineError(
                    f"cannot create already existing resource '{new.id}': it is no part of this"
                    " stack; delete it, or choose another name"
                )
            self._checkpoint.begin("creating", new)
        return self._put(plan, new, plan.create_timeout)

    def _updated(self, plan: _Plan, old: ResourceState) -> ResourceState:
        new = replace(plan.new, id=old.id)
        self._checkpoint.begin("updating", new)
        return self._put(plan, new, plan.update_timeout)

    def _put(self, plan: _Plan, new: ResourceState, timeout: float) -> ResourceState:
        try:
            found = plan.provider.put(new.id, new.inputs, timeout)
        except RefusedError:
            # This changed nothing; what an interrupted run may have changed is still open.
            if not plan.again:
                self._checkpoint.abandon(new.urn)
            raise
        state = replace(new, id=found.id, outputs=_marked(found.outputs, plan))
        self._checkpoint.commit(state)
        return state

    def _delete_for_replacement(self, old: ResourceState) -> None:
        """Delete a resource that is to be created anew, first all that cannot outlive it.

        azure-native deletes before it creates, since the new resource may have the same name.
        """
        for state in reversed(self._doomed(old)):  # the checkpoint is in the order of creation
            self._delete_one(state)
            self._replaced[state.urn] = state

    def _doomed(self, old: ResourceState) -> list[ResourceState]:
        """Return what a replacement deletes: the resource, and then what is a part of it.

        With an account go its deployments: what has the resource in a property that it cannot
        change.
        """
        doomed = [old]
        for state in self._checkpoint:
            gone = {entry.urn for entry in doomed}
            if state.custom and state.urn not in gone and self._is_part_of(state, gone):
                doomed.append(state)
        return doomed

    def _is_part_of(self, state: ResourceState, urns: set[str]) -> bool:
        provider = self._providers[state.type]
        return any(
            not urns.isdisjoint(needed)
            and provider.needs_replacement(Change(path=key, kind="update"))
            for key, needed in state.property_dependencies.items()
        )

    # Deletion

    def _everything(self) -> list[ResourceState]:
        """Return what is deployed, and what an interrupted run may have created."""
        known = list(self._checkpoint)
        urns = {state.urn for state in known}
        return known + [
            entry.resource
            for entry in self._checkpoint.interrupted
            if entry.resource.urn not in urns
        ]

    def _delete_all(self, states: Iterable[ResourceState]) -> None:
        """Delete in reverse order of dependency, what is independent in parallel.

        As with the engine, what is protected stops those that it depends on, and not its equals.
        """
        remaining = {state.urn: state for state in states}
        with ThreadPoolExecutor(PARALLEL) as pool:
            while remaining and not self._failed:
                needed = {
                    urn
                    for state in remaining.values()
                    for urn in (state.parent, *state.dependencies)
                }
                free = [state for urn, state in remaining.items() if urn not in needed]
                list(pool.map(self._deleted, free))
                for state in free:
                    del remaining[state.urn]

    def _deleted(self, state: ResourceState) -> None:
        step = Step(op="delete", urn=state.urn, old=state)
        if state.protect:
            message = (
                f'{"Preview failed: " if self._preview else ""}resource "{state.urn}" cannot be'
                " deleted\nbecause it is protected. To unprotect the resource, either remove the"
                " `protect` flag from the resource in your Pulumi program and run `pulumi up`, or"
                f" use the command:\n{self._unprotect}"
            )
            try:
                self._refuse(message, state.urn)
            except ProtectedError as error:
                self._journal.say("error", str(error), state.urn)
                self._journal.add(replace(step, failed=True))
                return
        if self._preview or not state.custom:
            self._journal.add(step)
            if not self._preview:
                self._checkpoint.remove(state.urn)
            return
        try:
            with self._journal.run(step):
                self._delete_one(state)
        except (TranslationError, ProviderError) as error:
            self._fail(state.title, state.urn, error)

    def _delete_one(self, state: ResourceState) -> None:
        if state.retain_on_delete or not state.id:
            self._checkpoint.remove(state.urn)
            return
        provider = self._providers[state.type]
        self._checkpoint.begin("deleting", state)
        try:
            provider.delete(state.id, _delete_timeout(state))
        except RefusedError:
            self._checkpoint.abandon(state.urn)
            raise
        self._checkpoint.remove(state.urn)

    # Aliases and providers

    def _find_by_alias(self, urn: str, request: resource_pb2.RegisterResourceRequest) -> None:
        """Rename in the checkpoint what the program now calls differently."""
        if self._checkpoint.get(urn) or self._checkpoint.pending(urn):
            return
        for alias in self._aliases(request):
            if alias != urn and self._checkpoint.get(alias) and alias not in self._registered:
                self._checkpoint.rename(alias, urn)
                self._previous[urn] = alias
                return

    def _aliases(self, request: resource_pb2.RegisterResourceRequest) -> Iterator[str]:
        own_parents = [request.parent]
        if request.parent in self._previous:
            own_parents.append(self._previous[request.parent])
            yield self._urn(own_parents[-1], request.type, request.name)
        for alias in request.aliases:
            if alias.WhichOneof("alias") == "urn":
                yield alias.urn
                continue
            spec = alias.spec
            other_parent = [""] if spec.noParent else [spec.parentUrn] if spec.parentUrn else None
            for parent in other_parent or own_parents:
                yield self._urn(
                    parent,
                    spec.type or request.type,
                    spec.name or request.name,
                    spec.stack,
                    spec.project,
                )

    def _provider_reference(
        self, request: resource_pb2.RegisterResourceRequest, old: ResourceState | None
    ) -> str:
        """Return the default provider as the engine refers to it."""
        if old and old.provider:
            return old.provider
        package = request.type.split(":", 1)[0]
        name = "_".join(filter(None, ("default", request.version.replace(".", "_"))))
        urn = self._urn("", f"pulumi:providers:{package}", name)
        with self._provider_lock:
            if urn not in self._provider_ids:
                self._provider_ids[urn] = next(
                    (
                        state.provider
                        for state in self._checkpoint
                        if state.provider.startswith(f"{urn}::")
                    ),
                    f"{urn}::{UNKNOWN if self._preview else uuid.uuid4()}",
                )
            return self._provider_ids[urn]


def _step(plan: _Plan) -> Step:
    if plan.old is None:
        return Step(op="create", urn=plan.new.urn, new=plan.new)
    return Step(
        op="replace" if plan.replaces else "update" if plan.changes or plan.again else "same",
        urn=plan.new.urn,
        old=plan.old,
        new=plan.new,
        changes=plan.changes,
        replaces=plan.replaces,
    )


def _marked(outputs: Mapping[str, Json], plan: _Plan) -> dict[str, Json]:
    """Wrap as secrets the outputs that the program says are, and those that echo a secret input."""
    return marked(outputs, plan.new.inputs, plan.secret_outputs)


def _refuse_options(request: resource_pb2.RegisterResourceRequest) -> None:
    for field, option in _REFUSED_OPTIONS.items():
        value: Any = getattr(request, field)
        given = value.ByteSize() > 0 if hasattr(value, "ByteSize") else bool(value)
        if given:
            raise EngineError(f"option {option} {_USE_THE_CLI}")
    if request.deleteBeforeReplaceDefined and not request.deleteBeforeReplace:
        raise EngineError(f"option delete_before_replace=False {_USE_THE_CLI}")
    if request.type.startswith("pulumi:providers:") or request.provider:
        raise EngineError(f"an explicit provider {_USE_THE_CLI}")


def _keep(inputs: dict[str, Json], old: Mapping[str, Json], path: str) -> None:
    """Give the property at a path (`ignore_changes`) the value that it had."""
    keys: list[str | int] = [
        int(part[1:-1]) if part.startswith("[") else part
        for part in re.findall(r"[^.\[\]]+|\[\d+\]", path)
    ]
    if "*" in path or not keys:
        raise EngineError(f"ignore_changes {path!r}: name the property, as `pool.services[0]`")
    target: Any = inputs
    source: Any = old
    try:
        for key in keys[:-1]:
            target, source = target[key], source[key]
        if isinstance(keys[-1], str) and keys[-1] not in source:
            target.pop(keys[-1], None)
        else:
            target[keys[-1]] = source[keys[-1]]
    except (KeyError, IndexError, TypeError):
        return  # not there on one side: there is nothing to keep


def _seconds(duration: str) -> float:
    """Return a duration of `custom_timeouts` in seconds; 0 when there is none."""
    try:
        return durations.of_pulumi(duration)
    except ValueError as error:
        raise EngineError(f"custom_timeouts: {error}") from None


def _delete_timeout(state: ResourceState) -> float:
    return state.delete_timeout or DEFAULT_TIMEOUT
