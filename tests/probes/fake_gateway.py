"""A gateway and a Resource Manager on one real socket that answer as a test tells them to."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from components.contract import digest

KEY = "k3y-that-must-never-be-shown"
TOKEN = "t0ken-that-must-never-be-shown"
REGIONS = [("uksouth", "UK South"), ("eastus", "East US"), ("norwayeast", "Norway East")]
SERVICE = "/subscriptions/0/resourceGroups/rg/providers/Microsoft.ApiManagement/service/apim"
POOL_ID = f"{SERVICE}/backends/inference-backend-pool"
POLICY_ID = f"{SERVICE}/apis/inference/policies/policy"
CLIENTS_ID = f"{SERVICE}/subscriptions/inference-clients"
POLICY = '<policies><inbound><base /><!-- why --><rewrite-uri template="/x" /></inbound></policies>'


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    """What is sent instead of an HTTP answer, before the connection is cut."""


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def host(backend: int) -> str:
    return f"foundry{backend}-abc.openai.azure.com"


def completion(backend: int, **headers: str) -> Reply:
    """A chat completion of foundry1, foundry2, ..."""
    body = {"choices": [{"message": {"content": "OK"}}], "usage": {"total_tokens": 20}}
    return Reply(
        body=json.dumps(body).encode(),
        headers={
            "x-backend-host": host(backend),
            "x-backend-attempts": "1",
            "x-ms-region": REGIONS[backend - 1][1] if backend <= len(REGIONS) else "Elsewhere",
            **headers,
        },
    )


def retried(backend: int, *tried: tuple[int, object], **headers: str) -> Reply:
    """A completion after attempts at other backends, each with the status that it met."""
    before = ", ".join(f"{host(each)} {status}" for each, status in tried)
    return completion(
        backend,
        **{"x-backend-attempts": str(len(tried) + 1), "x-backend-tried": before, **headers},
    )


def refusal(status: int, message: str = "", backend: int | None = None, **headers: str) -> Reply:
    revealed = {"x-backend-host": host(backend)} if backend else {}
    body = json.dumps({"error": {"code": str(status), "message": message}}).encode()
    return Reply(status=status, body=body, headers={**revealed, **headers})


def as_json(document: object) -> Reply:
    return Reply(body=json.dumps(document).encode())


def found(**properties: object) -> Reply:
    """What Resource Manager has, by its properties."""
    return as_json({"properties": properties})


def pool_of(members: list[dict]) -> Reply:
    return found(pool={"services": members})


class Gateway:
    """`answer(n)` is the reply to the n-th request (from 0).

    `pool`, `policy` and `secrets` are those of Resource Manager, which has `further` pools by name.
    `token` is the reply of the managed identity that `environment` points azure-identity at.
    """

    def __init__(self) -> None:
        self.answer: Callable[[int], Reply] = lambda n: completion(n % 3 + 1)
        self.members: list[dict] = [
            {"id": f"/x/backends/foundry{i}", "priority": 1, "weight": 1} for i in (1, 2, 3)
        ]
        self.pool: Callable[[], Reply] = lambda: pool_of(self.members)
        self.further: dict[str, list[dict]] = {}
        self.policy_xml = POLICY
        self.policy: Callable[[], Reply] = lambda: found(value=self.policy_xml)
        self.secrets = as_json({"primaryKey": KEY})
        token = {"access_token": TOKEN, "expires_on": "4102444800", "token_type": "Bearer"}
        self.token: Callable[[], Reply] = lambda: as_json(token)
        self.requests: list[Seen] = []
        self.reads: list[Seen] = []
        self.tokens: list[Seen] = []
        self._lock = threading.Lock()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                seen = Seen(self.command, self.path, dict(self.headers), body)
                if self.path.startswith("/subscriptions/"):
                    self.reply(gateway.of_resource_manager(seen))
                    return
                with gateway._lock:
                    number = len(gateway.requests)
                    gateway.requests.append(seen)
                    reply = gateway.answer(number)
                self.reply(reply)

            def do_GET(self) -> None:
                if not self.path.startswith("/msi/token"):
                    self.do_POST()
                    return
                gateway.tokens.append(Seen(self.command, self.path, dict(self.headers), b""))
                self.reply(gateway.token())

            do_DELETE = do_POST  # noqa: N815 - its name is http.server's

            def reply(self, reply: Reply) -> None:
                if reply.raw is not None:
                    self.wfile.write(reply.raw)
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, *_args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 64

            def handle_error(self, request, client_address) -> None:
                """A client that leaves early is what some tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def of_resource_manager(self, seen: Seen) -> Reply:
        self.reads.append(seen)
        if seen.headers.get("Authorization") != f"Bearer {TOKEN}":
            return refusal(401, "who is it?")
        path = seen.path.partition("?")[0]
        if (members := self.further.get(path.rpartition("/")[2])) is not None:
            return pool_of(members)
        replies = {POOL_ID: self.pool, POLICY_ID: self.policy}
        return replies[path]() if path in replies else self.secrets

    @property
    def environment(self) -> dict[str, str]:
        """Where a process finds Resource Manager, and what it signs in with."""
        return {
            "ARM_ENDPOINT": self.url,
            "IDENTITY_ENDPOINT": f"{self.url}/msi/token",
            "IDENTITY_HEADER": "made-up",
            "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
        }

    def outputs(self, members=((1, 1),) * 3, **changes: object) -> dict:
        backends = [
            {
                "id": f"foundry{i}",
                "location": location,
                "region": region,
                "url": f"https://foundry{i}-abc.openai.azure.com/openai",
                "priority": priority,
                "weight": weight,
            }
            for i, ((location, region), (priority, weight)) in enumerate(
                zip(REGIONS, members, strict=True), 1
            )
        ]
        document = {
            "resource_group": "rg",
            "gateway_url": self.url,
            "inference_url": f"{self.url}/inference",
            "subscription_key": KEY,
            "deployment": "chat",
            "api_version": "2024-10-21",
            "pool": {"id": POOL_ID, "name": "inference-backend-pool"},
            "routing": "round-robin",
            "backends": backends,
            "subscription": CLIENTS_ID,
            "pools": [
                {"deployment": "chat", "id": POOL_ID, "name": "inference-backend-pool"},
                *(
                    {"deployment": n.split("-")[-1], "id": f"{SERVICE}/backends/{n}", "name": n}
                    for n in self.further
                ),
            ],
            "policy": {"id": POLICY_ID, "digest": digest(POLICY)},
        }
        return {name: v for name, v in {**document, **changes}.items() if v is not ...}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
