"""A resource provider as Pulumi's engine calls it: each request becomes one of the translation.

The contract is `pulumirpc.ResourceProvider` (pulumi's proto/pulumi/provider.proto); what the
methods do to Azure, and to the checkpoint's values, is the embedded deployment's own.
"""

import threading
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import NoReturn

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from local_azure.deployment.provider import (
    DEFAULT_TIMEOUT,
    Found,
    Provider,
    ProviderError,
    Providers,
    ResourceManager,
    UncertainError,
)
from local_azure.deployment.translate import NAMED_AT_RANDOM, TranslationError
from local_azure.deployment.values import (
    Change,
    Json,
    changes,
    from_struct,
    marked,
    plain,
    to_struct,
)
from local_azure.identity import application

_KINDS = {
    "add": provider_pb2.PropertyDiff.ADD,
    "delete": provider_pb2.PropertyDiff.DELETE,
    "update": provider_pb2.PropertyDiff.UPDATE,
}
_REPLACING = {
    "add": provider_pb2.PropertyDiff.ADD_REPLACE,
    "delete": provider_pb2.PropertyDiff.DELETE_REPLACE,
    "update": provider_pb2.PropertyDiff.UPDATE_REPLACE,
}


class ResourceProvider(provider_pb2_grpc.ResourceProviderServicer):
    """One package, `azure-native` or `random`, over the providers of the embedded deployment."""

    def __init__(
        self,
        package: str,
        providers: Providers,
        azure: ResourceManager,
        interrupted: threading.Event,
    ) -> None:
        self._package = package
        self._providers = providers
        self._azure = azure
        self._interrupted = interrupted

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        """Say what this provider can take."""
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(
        self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        """Take the engine's address: nothing is logged to it."""
        return empty_pb2.Empty()

    def GetPluginInfo(
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> plugin_pb2.PluginInfo:
        """Return the version of the SDK that this provider follows."""
        return plugin_pb2.PluginInfo(version=version(f"pulumi-{self._package}"))

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Take any config: which Azure this is does not depend on it."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        """Leave it to the engine, as azure-native does: config that differs is configured anew."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_UNKNOWN)

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        """Begin a run, as the application of the config: an earlier one may have been cancelled."""
        self._interrupted.clear()
        if self._package == "azure-native":
            client_id = request.variables.get("azure-native:config:clientId")
            self._azure.application = application(client_id)
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Stop waiting for Azure; no request is cut off."""
        self._interrupted.set()
        return empty_pb2.Empty()

    def Check(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Complete the inputs, or say what is wrong with them."""
        name = request.urn.rpartition("::")[2]
        try:
            inputs = self._provider(request.urn).check(
                name, from_struct(request.news), from_struct(request.olds)
            )
        except TranslationError as error:
            return provider_pb2.CheckResponse(
                failures=[provider_pb2.CheckFailure(reason=str(error))]
            )
        return provider_pb2.CheckResponse(inputs=to_struct(inputs))

    def Diff(
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        """Say what differs, and which of it needs a new resource."""
        provider = self._provider(request.urn)
        old, new = from_struct(request.old_inputs), from_struct(request.news)
        found = [change for change in changes(old, new) if provider.is_change(change)]
        replacing = [change for change in found if provider.needs_replacement(change)]
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME
            if found
            else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=sorted({_top(change) for change in found}),
            replaces=sorted({_top(change) for change in replacing}),
            # As azure-native's: false as well for what is gone already, since its replacement
            # failed, and what is declared again as it was.
            deleteBeforeReplace=bool(replacing)
            and self._package == "azure-native"
            and NAMED_AT_RANDOM not in old,
            hasDetailedDiff=True,
            detailedDiff={
                change.path: provider_pb2.PropertyDiff(
                    kind=(_REPLACING if change in replacing else _KINDS)[change.kind],
                    inputDiff=True,
                )
                for change in found
            },
        )

    def Create(
        self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CreateResponse:
        """Create, unless something of that id is there: it is not this stack's."""
        inputs = from_struct(request.properties)
        provider = self._provider(request.urn)
        if request.preview:
            outputs = provider.preview(inputs, None)
            return provider_pb2.CreateResponse(properties=to_struct(marked(outputs, inputs)))
        resource_id = provider.resource_id(inputs)
        timeout = request.timeout or DEFAULT_TIMEOUT
        try:
            there = provider.read(resource_id, timeout)
            found = None if there else provider.put(resource_id, inputs, timeout)
        except UncertainError as error:
            self._partial(context, error, resource_id, inputs, provider.peek)
        except ProviderError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        if found is None:
            context.abort(
                grpc.StatusCode.ALREADY_EXISTS,
                f"cannot create already existing resource '{resource_id}': it is no part of this"
                " stack; delete it, or take it over with `pulumi import`",
            )
        return provider_pb2.CreateResponse(
            id=found.id, properties=to_struct(marked(found.outputs, inputs))
        )

    def Read(
        self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ReadResponse:
        """Return a resource as it is, and the inputs that would make it so."""
        inputs, outputs = from_struct(request.inputs), from_struct(request.properties)
        try:
            provider = self._provider(request.urn)  # an import is not checked before
            state = provider.refreshed(request.id, inputs, outputs)
        except (ProviderError, TranslationError) as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        if state is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=state.id,
            inputs=to_struct(state.inputs),
            properties=to_struct(marked(state.outputs, state.inputs)),
        )

    def Update(
        self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.UpdateResponse:
        """Change a resource to the new inputs."""
        inputs = from_struct(request.news)
        provider = self._provider(request.urn)
        if request.preview:
            outputs = provider.preview(inputs, from_struct(request.olds))
            return provider_pb2.UpdateResponse(properties=to_struct(marked(outputs, inputs)))
        try:
            found = provider.put(request.id, inputs, request.timeout or DEFAULT_TIMEOUT)
        except UncertainError as error:
            self._partial(context, error, request.id, inputs, provider.peek)
        except ProviderError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        return provider_pb2.UpdateResponse(properties=to_struct(marked(found.outputs, inputs)))

    def Delete(
        self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        """Delete; a resource that is not there is deleted."""
        try:
            self._provider(request.urn).delete(request.id, request.timeout or DEFAULT_TIMEOUT)
        except ProviderError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        return empty_pb2.Empty()

    def Invoke(
        self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.InvokeResponse:
        """Call a function."""
        try:
            answer = self._azure.call(request.tok, plain(from_struct(request.args)))
        except TranslationError as error:
            return provider_pb2.InvokeResponse(
                failures=[provider_pb2.CheckFailure(reason=str(error))]
            )
        except ProviderError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(to_struct(answer))  # a keyword here, a field there
        return response

    def GetSchema(
        self, request: provider_pb2.GetSchemaRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetSchemaResponse:
        """Refuse: an import asks for it once it is done, to write the program's lines."""
        self._refuse(context, "no schema to write a program by: import with --generate-code=false")

    def Construct(
        self, request: provider_pb2.ConstructRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConstructResponse:
        """Refuse: components are the program's own."""
        self._refuse(context, f"no component {request.type!r}")

    def Call(
        self, request: provider_pb2.CallRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CallResponse:
        """Refuse: no resource here has methods."""
        self._refuse(context, f"no method {request.tok!r}")

    def _provider(self, urn: str) -> Provider:
        """Return the provider of a resource, by the last of the types in its URN."""
        return self._providers[urn.rpartition("::")[0].rpartition("::")[2].rpartition("$")[2]]

    def _refuse(self, context: grpc.ServicerContext, why: str) -> NoReturn:
        details = f"{self._package} of the local Azure has {why}"
        context.abort(grpc.StatusCode.UNIMPLEMENTED, details)

    def _partial(
        self,
        context: grpc.ServicerContext,
        error: UncertainError,
        resource_id: str,
        inputs: Mapping[str, Json],
        peek: Callable[[str], Found | None],
    ) -> NoReturn:
        """Fail, with the state that was reached if there is one: the engine keeps it."""
        try:
            reached = peek(resource_id)
        except ProviderError:
            reached = None
        if reached is None:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        detail = any_pb2.Any()
        detail.Pack(
            provider_pb2.ErrorResourceInitFailed(
                id=reached.id,
                properties=to_struct(marked(reached.outputs, inputs)),
                inputs=to_struct(inputs),
                reasons=[str(error)],
            )
        )
        status = status_pb2.Status(
            code=grpc.StatusCode.UNKNOWN.value[0], message=str(error), details=[detail]
        )
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNKNOWN, str(error))


def _top(change: Change) -> str:
    return change.path.partition(".")[0].partition("[")[0]
