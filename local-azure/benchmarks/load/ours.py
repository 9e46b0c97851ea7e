"""The local Azure's gateway as a process: `python -m benchmarks.load.ours STATE PORT REGION...`.

It runs what is deployed in the state folder; the accounts' names lead to the REGION urls in turn.
"""

import asyncio
import socket
import sys
from pathlib import Path

from local_azure import gateway
from local_azure.hardening import Site
from local_azure.identity import Tokens
from local_azure.store import Store

SERVICE = "Microsoft.ApiManagement/service"


async def _serve(state: Path, port: int, regions: list[str]) -> None:
    store = Store(state / "azure.sqlite3")
    (service,) = store.list(SERVICE)

    places: dict[str, str] = {}

    def resolve(host: str) -> str:
        return places.setdefault(host, regions[len(places) % len(regions)])

    app = gateway.create_app(store, service.id, resolve=resolve, tokens=Tokens(b"benchmark"))
    await Site.open(app, socket.create_server(("127.0.0.1", port), backlog=1024))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
