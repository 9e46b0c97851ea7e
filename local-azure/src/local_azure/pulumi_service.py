"""The stacks of the plain Pulumi CLI, kept by the protocol that it speaks with Pulumi Cloud.

A backend of files would have the CLI write the salt of its secrets into `Pulumi.<stack>.yaml`,
which belongs to the repository; with a service it writes nothing there. Updates come whole or not
at all: each checkpoint replaces a file.

Source: pulumi, pkg/backend/httpstate/client and sdk/go/common/apitype.
"""

import base64
import hashlib
import hmac
import json
import re
import time
import uuid
import zlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from aiohttp import web

from local_azure.identity import Secrets
from local_azure.local import write_private

T = TypeVar("T")

USER: Final = "local-azure"
_LARGEST: Final = 64 * 1024 * 1024  # bytes of a checkpoint, unpacked
_LEASE: Final = 60.0  # seconds after which an update that nobody renewed is over
_NAME: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.-]{1,100}")
_EMPTY: Final = {"version": 3, "deployment": {}}


class _ServiceError(Exception):
    """A refusal; the CLI shows its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def routes(folder: Path, secrets: Secrets) -> list[web.RouteDef]:
    """Return the service, which keeps a file for each stack in `folder`."""
    service = _Service(folder, secrets)
    stack = "/api/stacks/{owner}/{project}/{stack}"
    update = f"{stack}/{{kind:update|preview|refresh|destroy}}"
    one = f"{update}/{{update}}"
    return [
        web.route(method, path, service.answering(answer))
        for method, path, answer in (
            ("GET", "/api/user", service.user),
            ("GET", "/api/user/stacks", service.stacks),
            ("GET", "/api/user/organizations/default", service.organization),
            ("GET", "/api/capabilities", service.nothing),
            ("HEAD", "/api/stacks/{owner}/{project}", service.project),
            ("POST", "/api/stacks/{owner}/{project}", service.create),
            ("GET", stack, service.get),
            ("DELETE", stack, service.delete),
            ("PATCH", f"{stack}/tags", service.tags),
            ("POST", f"{stack}/rename", service.rename),
            ("GET", f"{stack}/export", service.export),
            ("POST", f"{stack}/import", service.import_),
            ("POST", f"{stack}/encrypt", service.encrypt),
            ("POST", f"{stack}/decrypt", service.decrypt),
            ("POST", f"{stack}/batch-encrypt", service.encrypt_all),
            ("POST", f"{stack}/batch-decrypt", service.decrypt_all),
            ("GET", f"{stack}/updates", service.history),
            ("POST", update, service.begin),
            ("POST", one, service.start),
            ("GET", one, service.status),
            ("PATCH", f"{one}/checkpoint", service.checkpoint),
            ("PATCH", f"{one}/checkpointverbatim", service.verbatim),
            ("POST", f"{one}/events/batch", service.nothing),
            ("POST", f"{one}/renew_lease", service.renew),
            ("POST", f"{one}/complete", service.complete),
            ("POST", f"{one}/cancel", service.complete),
            ("*", "/api/{rest:.*}", service.not_built),
        )
    ]


class _Service:
    def __init__(self, folder: Path, secrets: Secrets) -> None:
        self._folder = folder
        self._secrets = secrets
        self._updates: dict[str, tuple[Path, float]] = {}  # under way: of which stack, until when

    def answering(
        self, answer: Callable[[web.Request], Awaitable[Any]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Return a handler that lets in who has the token, or the one of an update under way."""

        async def handle(request: web.Request) -> web.Response:
            try:
                self._let_in(request)
                found = await answer(request)
            except _ServiceError as error:
                body = {"code": error.status, "message": str(error)}
                return web.json_response(body, status=error.status)
            return web.json_response(found) if found is not None else web.Response(status=204)

        return handle

    def _let_in(self, request: web.Request) -> None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        good = self._secrets.pulumi_access_token
        update = request.match_info.get("update", "")
        if kind == "update-token" and update in self._updates:
            good = update
        if not hmac.compare_digest(token.strip().encode(errors="replace"), good.encode()):
            raise _ServiceError(401, "Unauthorized: no good access token")

    # Who, and which stacks

    async def user(self, _: web.Request) -> Any:
        return {"githubLogin": USER, "name": USER, "organizations": []}

    async def organization(self, _: web.Request) -> Any:
        return {"gitHubLogin": USER, "Messages": []}

    async def nothing(self, _: web.Request) -> Any:
        return {}

    async def not_built(self, request: web.Request) -> Any:
        raise _ServiceError(404, f"Not Found: the local Azure does not serve {request.path}")

    async def stacks(self, request: web.Request) -> Any:
        wanted = request.query.get("project")
        found = sorted(self._folder.glob("*/*.json"))
        return {"stacks": [_named(each) for each in found if wanted in (None, each.parent.name)]}

    async def project(self, request: web.Request) -> Any:
        if not list((self._folder / _part(request, "project")).glob("*.json")):
            raise _ServiceError(404, "Not Found: Project")
        return {}

    async def create(self, request: web.Request) -> Any:
        sent = await _body(request)
        path = self._path(request, _sent(sent, "stackName", str))
        if path.exists():
            raise _ServiceError(409, "Conflict: Stack already exists")
        deployment = sent.get("state") or _EMPTY
        self._write(path, {"version": 0, "tags": sent.get("tags"), "deployment": deployment})
        return {}

    async def get(self, request: web.Request) -> Any:
        path = self._path(request)
        kept = self._read(path)
        return {
            **_named(path),
            "tags": kept["tags"] or {},
            "version": kept["version"],
            "activeUpdate": self._update_of(path) or "",
        }

    async def delete(self, request: web.Request) -> Any:
        path = self._path(request)
        has_resources = self._read(path)["deployment"].get("deployment", {}).get("resources")
        if has_resources and request.query.get("force") != "true":
            raise _ServiceError(400, "Bad Request: Stack still contains resources.")
        path.unlink()
        self._updates = {key: each for key, each in self._updates.items() if each[0] != path}
        return None

    async def tags(self, request: web.Request) -> Any:
        path = self._path(request)
        self._write(path, {**self._read(path), "tags": await _body(request)})
        return {}

    async def rename(self, request: web.Request) -> Any:
        path, sent = self._path(request), await _body(request)
        project = _sent(sent, "newProject", str) if sent.get("newProject") else None
        new = self._path(request, _sent(sent, "newName", str), project)
        if new.exists():
            raise _ServiceError(409, "Conflict: Stack already exists")
        self._write(new, self._read(path))
        path.unlink()
        return {}

    # State

    async def export(self, request: web.Request) -> Any:
        deployment = self._read(self._path(request))["deployment"]
        secrets = deployment["deployment"].get("secrets_providers") or {}
        if "url" in (secrets.get("state") or {}):  # a server may be at another port than before
            secrets["state"]["url"] = f"{request.scheme}://{request.host}"
        return deployment

    async def import_(self, request: web.Request) -> Any:
        path, sent = self._path(request), await _body(request)
        kept = self._read(path)
        self._write(path, {**kept, "version": kept["version"] + 1, "deployment": sent})
        return {"updateId": str(uuid.uuid4())}

    async def history(self, request: web.Request) -> Any:
        self._read(self._path(request))
        return {"updates": []}

    # An update: it begins, starts, sends checkpoints, and is complete

    async def begin(self, request: web.Request) -> Any:
        self._read(self._path(request))
        return {"updateID": str(uuid.uuid4())}

    async def start(self, request: web.Request) -> Any:
        path, sent = self._path(request), await _body(request)
        kept, update = self._read(path), request.match_info["update"]
        version = kept["version"]
        if request.match_info["kind"] != "preview":
            if self._update_of(path):
                raise _ServiceError(409, "Conflict: Another update is currently in progress.")
            version += 1
            self._write(path, {**kept, "version": version, "tags": sent.get("tags")})
        self._updates[update] = (path, time.monotonic() + _LEASE)
        return {"version": version, "token": update, "tokenExpiration": int(time.time() + _LEASE)}

    async def renew(self, request: web.Request) -> Any:
        update = request.match_info["update"]
        sent = await _body(request)
        seconds = float(_sent(sent, "duration", int))
        self._updates[update] = (self._of_update(request), time.monotonic() + seconds)
        return {"token": update, "tokenExpiration": int(time.time() + seconds)}

    async def checkpoint(self, request: web.Request) -> Any:
        sent = await _body(request)
        deployment = _sent(sent, "deployment", dict)
        return self._keep(request, {"version": sent.get("version"), "deployment": deployment})

    async def verbatim(self, request: web.Request) -> Any:
        return self._keep(request, _sent(await _body(request), "untypedDeployment", dict))

    def _keep(self, request: web.Request, deployment: Mapping[str, Any]) -> Any:
        path = self._of_update(request)
        if request.match_info["kind"] != "preview":
            self._write(path, {**self._read(path), "deployment": deployment})
        return {}

    async def complete(self, request: web.Request) -> Any:
        self._updates.pop(request.match_info["update"], None)
        return {}

    async def status(self, request: web.Request) -> Any:
        running = request.match_info["update"] in self._updates
        return {"status": "running" if running else "succeeded", "events": []}

    def _of_update(self, request: web.Request) -> Path:
        found = self._updates.get(request.match_info["update"])
        if found is None:
            raise _ServiceError(409, "Conflict: The update is over, or was cancelled.")
        return found[0]

    def _update_of(self, path: Path) -> str | None:
        now = time.monotonic()
        of_stack = (key for key, (of, until) in self._updates.items() if of == path and now < until)
        return next(of_stack, None)

    # Secrets: encrypted with what the state folder keeps

    async def encrypt(self, request: web.Request) -> Any:
        return {"ciphertext": self._encrypted(_sent(await _body(request), "plaintext", str))}

    async def decrypt(self, request: web.Request) -> Any:
        return {"plaintext": self._decrypted(_sent(await _body(request), "ciphertext", str))}

    async def encrypt_all(self, request: web.Request) -> Any:
        found = _sent(await _body(request), "plaintexts", list)
        return {"ciphertexts": [self._encrypted(each) for each in found]}

    async def decrypt_all(self, request: web.Request) -> Any:
        found = _sent(await _body(request), "ciphertexts", list)
        return {"plaintexts": {each: self._decrypted(each) for each in found}}

    def _encrypted(self, plaintext: str) -> str:
        return _encode(self._fernet.encrypt(_decode(plaintext)))

    def _decrypted(self, ciphertext: str) -> str:
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 - loads slowly, for secrets

        try:
            return _encode(self._fernet.decrypt(_decode(ciphertext)))
        except InvalidToken:
            raise _ServiceError(400, "Bad Request: a secret of another state folder") from None

    @property
    def _fernet(self) -> Any:
        from cryptography.fernet import Fernet  # noqa: PLC0415 - see above

        key = hashlib.sha256(f"secrets {self._secrets.signing_key}".encode()).digest()
        return Fernet(base64.urlsafe_b64encode(key))

    # Files

    def _path(self, request: web.Request, stack: str = "", project: str | None = None) -> Path:
        names = project or _part(request, "project"), stack or _part(request, "stack")
        for name in names:
            if not _NAME.fullmatch(name):
                raise _ServiceError(400, f"Bad Request: {name!r} is no name")
        return self._folder / names[0] / f"{names[1]}.json"

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise _ServiceError(404, f"Not Found: Stack '{path.stem}' not found") from None

    def _write(self, path: Path, kept: Mapping[str, Any]) -> None:
        write_private(path, json.dumps(kept))


def _named(path: Path) -> dict[str, str]:
    return {"orgName": USER, "projectName": path.parent.name, "stackName": path.stem}


def _part(request: web.Request, name: str) -> str:
    return request.match_info.get(name, "")


def _sent(body: Mapping[str, Any], name: str, kind: type[T]) -> T:
    value = body.get(name)
    if not isinstance(value, kind):
        raise _ServiceError(400, f"Bad Request: {name!r} should be of type {kind.__name__}")
    return value


def _decode(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except ValueError:
        raise _ServiceError(400, "Bad Request: a value is no base64") from None


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def _body(request: web.Request) -> dict[str, Any]:
    """Return the object that was sent; a packed one is unpacked as far as a limit."""
    data = await request.read()
    try:
        if request.headers.get("Content-Encoding") == "gzip":
            unpacking = zlib.decompressobj(wbits=31)
            data = unpacking.decompress(data, _LARGEST)
            if unpacking.unconsumed_tail:
                raise _ServiceError(413, f"Payload Too Large: more than {_LARGEST} bytes")
        found = json.loads(data) if data else {}
    except (ValueError, zlib.error, RecursionError):
        raise _ServiceError(400, "Bad Request: the body is no JSON") from None
    if not isinstance(found, dict):
        raise _ServiceError(400, "Bad Request: the body is no object")
    return found
