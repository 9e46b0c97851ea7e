"""One HTTPS port for every host name: the name a client asks for decides who answers."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local_azure.certificates import Authority
from local_azure.local import HOST

HANDSHAKE_SECONDS = 10.0

Sites = Callable[[str], Callable[[], asyncio.Protocol] | None]
"""Who answers at a host name, in lower case; None where nobody does."""


class TlsPort:
    """Listens, ends TLS with a certificate of the name that is asked for, and hands over.

    A client that names nobody, as one that was given an IP address, gets what `localhost` gets.
    Raises LocalAzureError when the state folder has an authority that cannot be used.
    """

    def __init__(self, state: Path, sites: Sites) -> None:
        self._authority = Authority(state)
        self._unnamed = self._authority.context("localhost", HOST)
        self._sites = sites
        self._server: asyncio.Server | None = None

    async def open(self, listener: socket.socket) -> None:
        """Begin to accept connections."""
        self._unnamed.sni_callback = self._choose
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Handover(self._sites),
            sock=listener,
            ssl=self._unnamed,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
        )

    def close(self) -> None:
        """Accept no more; each site closes the connections it was handed."""
        if self._server is not None:
            self._server.close()

    def _choose(
        self, connection: "ssl.SSLSocket | ssl.SSLObject", name: str | None, _: ssl.SSLContext
    ) -> int | None:
        """Take the certificate of the name in the client's hello (RFC 6066, section 3)."""
        if name is None:
            return None
        host = name.lower()
        if self._sites(host) is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        if host != self._unnamed.host:
            connection.context = self._authority.context(host)
        return None


class _Handover(asyncio.Protocol):
    """A new connection, until the HTTP protocol of its site has it."""

    def __init__(self, sites: Sites) -> None:
        self._sites = sites

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        connection: Any = transport.get_extra_info("ssl_object")
        site = self._sites(connection.context.host)
        if not isinstance(transport, asyncio.Transport) or site is None:
            transport.close()  # deleted since its name was asked for
            return
        protocol = site()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
