"""The local Azure's gateway as a process: `python -m benchmarks.load.ours STATE PORT REGION...`.

With `--logs` it writes what the program's diagnostic setting asks for.

It runs what is deployed in the state folder; the accounts' names lead to the REGION urls in turn.
"""

import asyncio
import socket
import sys
import time
from pathlib import Path
from typing import Any

from local_azure import gateway
from local_azure.hardening import Site
from local_azure.identity import Tokens
from local_azure.monitor.recording import recorder
from local_azure.monitor.rows import Rows
from local_azure.store import Store

SERVICE = "Microsoft.ApiManagement/service"


async def _serve(state: Path, port: int, regions: list[str], *, with_logs: bool) -> None:
    store = Store(state / "azure.sqlite3")
    (service,) = store.list(SERVICE)

    places: dict[str, str] = {}

    def resolve(host: str) -> str:
        return places.setdefault(host, regions[len(places) % len(regions)])

    logs: dict[str, Any] = {}
    if with_logs:
        ended, answered = recorder(store, service.id, Rows(state / "logs"), now=time.time)
        logs = {"ended": ended, "answered": answered}
    app = gateway.create_app(
        store, service.id, resolve=resolve, tokens=Tokens(b"benchmark"), **logs
    )
    await Site.open(app, socket.create_server(("127.0.0.1", port), backlog=1024))
    await asyncio.Event().wait()


if __name__ == "__main__":
    state, port, *others = (each for each in sys.argv[1:] if each != "--logs")
    asyncio.run(_serve(Path(state), int(port), others, with_logs="--logs" in sys.argv))
