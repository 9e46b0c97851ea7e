"""A Resource Manager of a few lines: it keeps what it is given, and does what a test tells it."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

Answer = tuple[int, dict[str, Any]]


def error(code: str, message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, **more}}


@dataclass
class FakeArm:
    """`bodies` by lower-case id; `log` of `METHOD id status`; `intercept` may answer instead."""

    url: str = ""
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    provisioning_seconds: float = 0.0
    slow_types: tuple[str, ...] = ("/service/", "/accounts/")
    intercept: Callable[[str, str], Answer | None] = lambda method, path: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def writes(self) -> list[str]:
        return [entry for entry in self.log if not entry.startswith("GET")]

    def answer(self, method: str, path: str, query: str, body: Any) -> Answer:
        if "api-version=" not in query:
            return 400, error("MissingApiVersionParameter", "The api-version is required.")
        if scripted := self.intercept(method, path):
            return scripted
        key = path.lower()
        with self.lock:
            if method == "POST":
                return 200, {"primaryKey": "the-primary-key", "secondaryKey": "the-other-key"}
            if method == "GET":
                found = self.bodies.get(key)
                if found is None:
                    return 404, error("ResourceNotFound", f"{path} was not found.")
                return 200, self.shown(found)
            if method == "DELETE":
                gone = [each for each in self.bodies if each == key or each.startswith(key + "/")]
                for each in gone:
                    del self.bodies[each]
                return (200, {}) if gone else (204, {})
            status = 200 if key in self.bodies else 201
            self.bodies[key] = self.stored(path, body, self.bodies.get(key))
            return status, self.shown(self.bodies[key])

    def stored(self, path: str, body: dict[str, Any], old: dict[str, Any] | None) -> dict[str, Any]:
        name = path.rsplit("/", 1)[-1]
        properties = dict(body.get("properties") or {})
        if "/microsoft.cognitiveservices/accounts/" in path.lower() and "/deployments" not in path:
            properties["endpoint"] = (
                f"https://{properties['customSubDomainName']}.openai.azure.com/"
            )
        result = {**body, "id": path, "name": name, "type": "Microsoft.Fake/things"}
        if path.lower().split("/")[-2] == "service":
            properties["gatewayUrl"] = f"https://{name}.azure-api.net"
            result["identity"] = {"type": "SystemAssigned", "principalId": f"principal-of-{name}"}
        is_slow = any(path.lower().rsplit("/", 1)[0].endswith(t[:-1]) for t in self.slow_types)
        ready_at = time.time() + (self.provisioning_seconds if is_slow else 0)
        return {**result, "properties": properties, "ready_at": ready_at}

    def shown(self, stored: dict[str, Any]) -> dict[str, Any]:
        body = {key: value for key, value in stored.items() if key not in ("ready_at", "failed")}
        state = "Succeeded" if time.time() >= stored["ready_at"] else "Creating"
        state = "Failed" if stored.get("failed") else state
        return {**body, "properties": {**body["properties"], "provisioningState": state}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one packet: two would wait for each other
    arm: FakeArm

    def handle_one(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        path = unquote(parts.path)
        status, answer = self.arm.answer(self.command, path, parts.query, body)
        headers = answer.pop("headers", {}) if isinstance(answer, dict) else {}
        self.arm.log.append(f"{self.command} {path} {status}")
        content = b"" if status == 204 else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_DELETE = do_POST = handle_one  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that was killed is no error."""


@contextmanager
def serving(arm: FakeArm, port: int = 0) -> Iterator[FakeArm]:
    handler = type("Bound", (Handler,), {"arm": arm})
    server = Server(("127.0.0.1", port), handler)
    arm.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield arm
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
