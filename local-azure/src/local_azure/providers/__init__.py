"""Resource providers for Pulumi's engine: `azure-native` and `random`, on loopback ports.

The engine attaches to them by PULUMI_DEBUG_PROVIDERS and sends gRPC; they send Azure's requests to
the local Resource Manager, by the translation that the embedded deployment uses.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import grpc

from local_azure.local import HOST, SUBSCRIPTION_ID

if TYPE_CHECKING:
    from local_azure.deployment.provider import ResourceManager

PACKAGES = ("azure-native", "random")
WORKERS = 32
"""Operations at once: the engine's own default is four times the cores."""


@contextmanager
def serving(endpoint: str, token: Callable[..., str]) -> Iterator[dict[str, int]]:
    """Serve for the length of a `with`; gives the port of each package.

    `token` signs in at a resource, as the application of a `client_id`.

    They are the ones after Resource Manager's if those are free: a shell that was told of them
    finds a server again that was stopped and started.
    """
    azure = _Azure(endpoint, token)
    after = urlsplit(endpoint).port or 0
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="provider") as workers:
        servers, ports = [], {}
        for port, package in enumerate(PACKAGES, after + 1):
            handler = _OnDemand(package, azure)
            server = grpc.server(workers, handlers=[handler], options=[("grpc.so_reuseport", 0)])
            ports[package] = server.add_insecure_port(f"{HOST}:{_if_free(port)}")
            server.start()
            servers.append(server)
        try:
            yield ports
        finally:
            for stopped in [server.stop(grace=0.5) for server in servers]:
                stopped.wait()
            azure.close()


def _if_free(port: int) -> int:
    """Return the port, or 0 for any other when it is taken or none."""
    if port > 65_535:
        return 0
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return 0
    return port


class _Azure:
    """What the packages share: one connection pool, and whether the run was interrupted."""

    def __init__(self, endpoint: str, token: Callable[..., str]) -> None:
        self.interrupted = threading.Event()
        self._endpoint = endpoint
        self._token = token
        self._lock = threading.Lock()
        self._client: ResourceManager | None = None

    def client(self) -> "ResourceManager":
        """Return Resource Manager's client, made when it is first asked for."""
        from local_azure.deployment.provider import ResourceManager  # noqa: PLC0415 - see _OnDemand

        with self._lock:
            if self._client is None:
                self._client = client = ResourceManager(
                    lambda: self._endpoint,
                    token=lambda resource: self._token(
                        resource, client_id=client.application.client_id
                    ),
                    subscription_id=SUBSCRIPTION_ID,
                    stop=self.interrupted,
                )
            return self._client

    def close(self) -> None:
        """Close the connections, if any were opened."""
        if self._client is not None:
            self._client.close()


class _OnDemand(grpc.GenericRpcHandler):
    """Loads Pulumi at the first call: it takes longer than all that a server needs else."""

    def __init__(self, package: str, azure: _Azure) -> None:
        self._package = package
        self._azure = azure
        self._lock = threading.Lock()
        self._handler: grpc.GenericRpcHandler | None = None

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Return the handler of a method."""
        with self._lock:
            if self._handler is None:
                self._load()
        return self._handler.service(handler_call_details) if self._handler else None

    def add_generic_rpc_handlers(self, handlers: tuple[grpc.GenericRpcHandler]) -> None:
        """Take what the generated code registers with a server."""
        (self._handler,) = handlers

    def _load(self) -> None:
        from pulumi.runtime.proto import provider_pb2_grpc  # noqa: PLC0415

        from local_azure.deployment.provider import Providers  # noqa: PLC0415
        from local_azure.providers.servicer import ResourceProvider  # noqa: PLC0415

        client = self._azure.client()
        provider = ResourceProvider(
            self._package, Providers(client), client, self._azure.interrupted
        )
        # All that the generated code asks of a server is `add_generic_rpc_handlers`.
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(
            provider, cast("grpc.Server", self)
        )
