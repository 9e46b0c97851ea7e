"""One process: Resource Manager, a gateway for each service, an endpoint for each account.

Which sockets listen follows from what is deployed: a service or an account that Resource Manager
has gets its own loopback socket, and loses it when it is deleted.
"""

import asyncio
import os
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiohttp import web

from local_azure import (
    entra,
    faults,
    gateway,
    network,
    openai_region,
    pulumi_service,
    resource_manager,
)
from local_azure.gateway import policy
from local_azure.hardening import Site
from local_azure.identity import Secrets, Tokens
from local_azure.local import HOST, LocalAzureError, ServerFile
from local_azure.locations import Locations
from local_azure.monitor.app import Monitor
from local_azure.resource_manager import sign_in
from local_azure.resource_manager.errors import ArmError
from local_azure.store import Resource, Store, StoreError

if TYPE_CHECKING:
    from local_azure.tls import TlsPort

SERVICE = "Microsoft.ApiManagement/service"
ACCOUNT = "Microsoft.CognitiveServices/accounts"
# Who else answers by name over HTTPS: all of them Resource Manager, which issues tokens as well.
CONTROL_PLANE_HOSTS = resource_manager.HOSTS | {"localhost"}


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the local Azure behaves; seconds, and one entry a location in `latency`."""

    port: int
    https_port: int | None = None
    """Of every host name over TLS; 0 is any free port, None is none."""
    gateway_instances: int = 1
    provisioning_seconds: float = 0.2
    propagation_seconds: float = 0.0
    """Until an account knows a new role assignment or deployment."""
    latency: Mapping[str, float] = field(default_factory=dict)
    default_latency: float = 0.0
    providers: bool = False
    """Whether the plain Pulumi CLI is served as well."""
    listen: str | None = None
    """An address besides loopback, for Resource Manager and gateways; it asks for the token."""
    access_token: str | None = None
    locations: Mapping[str, str] = field(default_factory=dict)
    """Those besides Azure's public ones: names to display names."""
    on_request: Callable[["Seen"], None] | None = None
    """Told of each request once it is answered, in the server's thread."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A request that was answered: `to` is the service or account, or `resource manager`."""

    to: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    status: int


class LocalAzure:
    """The whole local Azure on one event loop; `start`, then `stop`."""

    def __init__(self, state: Path, options: Options) -> None:
        self._options = options
        self._locations = Locations(options.locations)
        try:
            self._store = Store(state / "azure.sqlite3")
        except StoreError as error:
            raise LocalAzureError(str(error)) from None
        self._secrets = Secrets.of(state)
        self.tokens = Tokens(bytes.fromhex(self._secrets.signing_key))
        self._monitor = Monitor(self._store, state, self.tokens)
        self._faults = faults.Faults()
        self._sites: dict[str, Site] = {}
        self._inside: dict[str, str] = {}
        self._kept: dict[str, openai_region.Responses] = {}
        self._reconciled = 0
        self._reserved: dict[str, socket.socket] = {}
        self._refusing: dict[str, socket.socket] = {}
        self._reconciling = asyncio.Lock()
        self._state = state
        self._tls: TlsPort | None = None
        self.endpoint = ""
        self.https_endpoint = ""

    async def start(self) -> None:
        """Listen. Raises LocalAzureError when a port is taken."""
        listener = _listen(self._options.port, "Resource Manager")
        app = resource_manager.create_app(
            self._store,
            gateway_url=self._gateway_url,
            provisioning_seconds=self._options.provisioning_seconds,
            on_change=self._reconcile,
            compile_policy=policy.check,
            check_query=self._monitor.check_query,
            tokens=self.tokens,
            other_routes=[
                *entra.routes(self.tokens, self._secrets),
                *pulumi_service.routes(self._state / "pulumi", self._secrets),
                *self._monitor.routes(self._guarded),
            ],
            locations=self._locations,
        )
        faults.add_routes(
            app,
            self._faults,
            on_change=self._reconcile,
            accounts=lambda: [account.body["name"] for account in self._store.list(ACCOUNT)],
            guarded=self._guarded,
        )
        self.endpoint = _url(listener)
        self._sites["resource manager"] = await self._open("resource manager", app, listener)
        if self._options.https_port is not None:
            await self._open_https(self._options.https_port)
        await self._reconcile()

    async def _open_https(self, port: int) -> None:
        from local_azure.tls import TlsPort  # noqa: PLC0415 - certificates, for this port alone

        self._tls = TlsPort(self._state, self._served_at)
        listener = _listen(port, "HTTPS", flag="--https-port")
        await self._tls.open(listener)
        self.https_endpoint = f"https://localhost:{listener.getsockname()[1]}"

    async def stop(self) -> None:
        """Close every socket; what is deployed stays in the state folder."""
        if self._tls:
            self._tls.close()
        for site in self._sites.values():
            await site.close()
        for bound in (*self._reserved.values(), *self._refusing.values()):
            bound.close()
        self._monitor.close()
        self._store.close()

    async def _open(
        self, name: str, app: web.Application, *bound: socket.socket, shared: bool = True
    ) -> Site:
        if self._options.on_request:
            app.middlewares.append(_telling(name, self._options.on_request))
        listeners = [*bound]
        if shared and self._options.listen:
            port = bound[0].getsockname()[1]
            listeners.append(_listen(port, "--listen", host=self._options.listen))
        token = self._options.access_token if shared else None
        return await Site.open(app, *listeners, access_token=token)

    def _guarded(self, answer: faults.Handler) -> faults.Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                sign_in.check(request.headers, self.tokens, time.time())
            except ArmError as error:
                return web.json_response(error.envelope, status=error.status)
            return await answer(request)

        return handle

    def _gateway_url(self, service_id: str) -> str:
        """Return the url a service answers at: a port is bound for it before it is written down."""
        key = service_id.lower()
        if key in self._sites:
            return self._sites[key].url
        if key not in self._reserved:
            self._reserved[key] = _listen_for(key)
        return _url(self._reserved[key])

    def _resolve(self, service_id: str, host: str) -> str | None:
        """Return the loopback url of a deployed host name, as DNS would; None is NXDOMAIN.

        An account has two: one takes every call, and is for services that reach it.
        """
        key = self._deployed_at(host.lower())
        if key in self._refusing:
            return _url(self._refusing[key])
        service, found = self._store.get(service_id), self._store.get(key)
        if service and found and network.reaches(self._store, service, found):
            return self._inside.get(key)
        return self._sites[key].url if key in self._sites else None

    def _resolver(self, service_id: str) -> Callable[[str], str | None]:
        """Return the names that a service finds, each looked up once a change."""
        known: dict[str, str] = {}
        revision = (-1, -1)

        def resolve(host: str) -> str | None:
            nonlocal revision
            if revision != (now := (self._store.revision, self._reconciled)):
                known.clear()
                revision = now
            address = known.get(host) or self._resolve(service_id, host)
            if address:
                known[host] = address
            return address

        return resolve

    def _served_at(self, host: str) -> Callable[[], asyncio.Protocol] | None:
        """Return who answers at a host name, in lower case; None where nobody does."""
        key = "resource manager" if host in CONTROL_PLANE_HOSTS else self._deployed_at(host)
        return self._sites[key].connection if key in self._sites else None

    def _deployed_at(self, host: str) -> str:
        """Return the key of what is deployed at a host name; empty where nothing is."""
        for kind in (SERVICE, ACCOUNT):
            for resource in self._store.list(kind):
                if _host_of(resource) == host:
                    return resource.id.lower()
        return ""

    async def _reconcile(self) -> None:
        """Open a socket for what is new, close it for what is gone."""
        async with self._reconciling:
            self._monitor.alerts.notice(self._monitor.clock.now())
            wanted = {
                resource.id.lower(): resource
                for kind in (SERVICE, ACCOUNT)
                for resource in self._store.list(kind)
            }
            self._reconciled += 1
            for key in set(self._sites) - set(wanted) - {"resource manager"}:
                self._inside.pop(key, None)
                await self._sites.pop(key).close()
            for key in set(self._kept) - set(wanted):
                del self._kept[key]
            for key in set(self._refusing) - set(wanted):
                self._refusing.pop(key).close()
            for key, resource in wanted.items():
                if self._is_closed(resource):
                    await self._refuse(key)
                    continue
                if key in self._sites:
                    continue
                if resource.type == ACCOUNT:
                    listener = self._refusing.pop(key, None) or _listen(0, resource.id)
                    inside = _listen(0, resource.id)
                    app = openai_region.create_app(
                        self._store,
                        resource.id,
                        inside=inside.getsockname()[1],
                        tokens=self.tokens,
                        faults=self._faults,
                        latency=self._latency,
                        locations=self._locations,
                        propagation=self._options.propagation_seconds,
                        kept=self._kept.setdefault(key, openai_region.Responses(time.time)),
                    )
                    name = resource.body["name"]
                    self._sites[key] = await self._open(name, app, listener, inside, shared=False)
                    self._inside[key] = _url(inside)
                else:
                    listener = (
                        self._reserved.pop(key)
                        if key in self._reserved
                        else _listen(
                            urlsplit(resource.body["properties"]["gatewayUrl"]).port or 0,
                            f"the gateway of {resource.body['name']}",
                        )
                    )
                    ended, answered = self._monitor.recorder(resource.id)
                    app = gateway.create_app(
                        self._store,
                        resource.id,
                        answered=answered,
                        ended=ended,
                        instances=self._options.gateway_instances,
                        resolve=self._resolver(resource.id),
                        tokens=self.tokens,
                        locations=self._locations,
                    )
                    self._sites[key] = await self._open(resource.body["name"], app, listener)

    def _is_closed(self, resource: Resource) -> bool:
        fault = self._faults.of(resource.body["name"]) if resource.type == ACCOUNT else None
        return fault is not None and fault.closed

    async def _refuse(self, key: str) -> None:
        """Refuse connections to an account, at the port it has: bound, and nobody listens."""
        if key in self._refusing:
            return
        port = 0
        if key in self._sites:
            port = urlsplit(self._sites[key].url).port or 0
            self._inside.pop(key, None)
            await self._sites.pop(key).close()
        self._refusing[key] = socket.socket()
        self._refusing[key].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._refusing[key].bind((HOST, port))

    def _latency(self, location: str) -> float:
        return self._options.latency.get(location, self._options.default_latency)


def _telling(name: str, tell: Callable[[Seen], None]) -> Any:
    @web.middleware
    async def told(request: web.Request, handler: faults.Handler) -> web.StreamResponse:
        answer = await handler(request)
        url = request.rel_url
        seen = Seen(
            to=name,
            method=request.method,
            path=url.path,
            query=url.query_string,
            headers={key.lower(): value for key, value in request.headers.items()},
            status=answer.status,
        )
        tell(seen)
        return answer

    return told


def _host_of(resource: Resource) -> str:
    """Return the host name that Azure gives an account or a service, in lower case."""
    if resource.type == SERVICE:
        return gateway.host_name(resource.id)
    return openai_region.host_name(resource)


def _url(bound: socket.socket) -> str:
    return f"http://{HOST}:{bound.getsockname()[1]}"


def _listen(port: int, what: str, *, flag: str = "--port", host: str = HOST) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise LocalAzureError(
            f"port {port} on {host}, for {what}: {os.strerror(error.errno or 0)};"
            f" stop what listens there, or choose another port with {flag}"
        ) from None


def _listen_for(service_id: str) -> socket.socket:
    """Bind the port of a new service: one that a restarted server will find free again.

    Systems give outgoing connections ports from 32768 on (Linux) or 49152 (RFC 6335, section 6), so
    this one is below, and as good as its own: the id decides where the search begins.
    """
    first = 20_000 + zlib.crc32(service_id.encode()) % 12_000
    for port in range(first, first + 100):
        try:
            return socket.create_server((HOST, port), backlog=1024)
        except OSError:
            continue
    raise LocalAzureError(f"ports {first} to {first + 99} on {HOST} are all taken; free one")


async def serve(
    state: Path, options: Options, *, ready: Callable[[LocalAzure], None], stop: asyncio.Event
) -> None:
    """Run until `stop` is set; `ready` is told once everything listens."""
    with ServerFile(state) as file:
        azure = LocalAzure(state, options)
        with ExitStack() as until_done:
            try:
                await azure.start()
                ports = {}
                if options.providers:
                    from local_azure import providers  # noqa: PLC0415 - gRPC, for the CLI alone

                    ports = until_done.enter_context(
                        providers.serving(azure.endpoint, azure.tokens.of_application)
                    )
                file.announce(azure.endpoint, ports, https_endpoint=azure.https_endpoint)
                ready(azure)
                await stop.wait()
            finally:
                await azure.stop()


@contextmanager
def running(state: Path, options: Options) -> Iterator[str]:
    """Run a server in a thread for the length of a `with`; gives its endpoint."""
    endpoint: list[str] = []
    failure: list[BaseException] = []
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    def ready(azure: LocalAzure) -> None:
        endpoint.append(azure.endpoint)
        started.set()

    def body() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(serve(state, options, ready=ready, stop=stop))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            failure.append(error)
        finally:
            loop.close()
            started.set()

    thread = threading.Thread(target=body, name="local-azure", daemon=True)
    thread.start()
    started.wait()
    if failure:
        raise failure[0]
    try:
        yield endpoint[0]
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(stop.set)
            thread.join()
