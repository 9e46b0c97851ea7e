"""Keys and tokens stay in private files: they are in no log, report, error and on no screen."""

import base64
import json
import re
import socket
import stat
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx

from local_azure.identity import Secrets
from local_azure.store import Store

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"
JWT = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}")
TOKEN = "an-access-token/that+is long enough=&".replace(" ", "-")


def spellings(secret: str) -> set[str]:
    """A secret as it is, and as it looks inside what is encoded in a usual way."""
    data = secret.encode()
    encoded = {
        # Base64 of anything that holds it, without the characters that its neighbours share.
        base64.b64encode(bytes(before) + data)[4 if before else 0 : -4].decode().rstrip("=")
        for before in range(3)
    }
    return {secret, secret[::-1], data.hex(), quote(secret, safe=""), json.dumps(secret), *encoded}


def all_secrets(state: Path) -> set[str]:
    """Every key that the local Azure keeps."""
    store = Store(state / "azure.sqlite3")
    try:
        return {
            value for row in store.view().live.values() for value in row.secrets.values() if value
        }
    finally:
        store.close()


def raw(url: str, request: bytes) -> str:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(65536).decode("latin-1")


def provoke(outputs: dict, endpoint: str, key: str) -> list[str]:
    """Ask the gateway and Resource Manager with the key in every wrong place; give the answers."""
    gateway, inference = outputs["gateway_url"], outputs["inference_url"]
    chat = f"{inference}/openai/deployments/chat/chat/completions"
    groups = f"{endpoint}{SUBSCRIPTION}/resourceGroups"
    version = {"api-version": outputs["api_version"]}
    arm = {"api-version": "2024-03-01"}
    bearer = {"Authorization": f"Bearer {key}"}
    body = {"messages": [{"role": "user", "content": "hi"}]}
    with httpx.Client(trust_env=False, timeout=20) as client:

        def answer(method: str, url: str, **what) -> str:
            try:
                given = client.request(method, url, **what)
            except httpx.HTTPError as error:  # a region that cuts its answer
                return str(error)
            return f"{given.headers}\n{given.text}"

        said = [
            answer("POST", chat, params=version, headers={"api-key": key}, json=body),
            answer("POST", chat, params=version, headers={"api-key": key}, content=b"{"),
            answer("POST", chat, params=version, headers={"api-key": f"{key}x"}, json=body),
            answer("POST", chat, params={"api-key": key, "subscription-key": "x"}, json=body),
            answer("POST", chat, params=version, headers=bearer, json=body),
            answer("GET", f"{gateway}/nothing", headers={"api-key": key}),
            answer("GET", groups, params=arm, headers=bearer),
            answer("GET", groups, headers=bearer),
            answer("PUT", f"{groups}/x", params=arm, headers=bearer),
        ]
    said += [
        raw(url, f"GET / HTTP/1.1\r\nHost: localhost\r\napi-key: {key}\x00\r\n\r\n".encode())
        for url in (gateway, endpoint)
    ]
    return said


def test_no_key_and_no_token_is_in_anything_that_is_written(deployed, tmp_path):
    log = tmp_path / "requests.jsonl"
    forms = {form: tmp_path / f"report.{form}" for form in ("json", "junit", "markdown", "svg")}
    flags = [str(each) for form, path in forms.items() for each in (f"--{form}", path)]
    shown = deployed.local_azure("output", "--show-secrets").stdout
    outputs = json.loads(shown)
    key = outputs["subscription_key"]
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text(TOKEN)

    written = []
    serve = ("--request-log", str(log), "--access-token-file", str(token))
    with deployed.serving(*serve) as endpoint:
        runs = [
            deployed.run("probes/distribution.py", "--outputs", "-", *flags, text=shown),
            deployed.local_azure("fault", "foundry1", "--status", "500"),
            deployed.local_azure("fault", "foundry2", "--reset"),
            deployed.local_azure("fault", "foundry3", "--down"),
            deployed.run("probes/distribution.py", "--outputs", "-", *flags[:4], text=shown),
            deployed.run(
                "probes/distribution.py",
                "--outputs",
                "-",
                text=shown.replace(key, f"{key[:-1]}{'0' if key[-1] != '0' else '1'}"),
            ),
            deployed.local_azure("preview", "--config-file", "Pulumi.incident.yaml"),
            deployed.local_azure("up", "--config-file", "Pulumi.incident.yaml"),
            deployed.local_azure("output"),
        ]
        written += provoke(outputs, endpoint, key)
        for shape in ([], ["--show-sames"]):
            preview = deployed.local_azure("preview", "--json", *shape)
            runs += [preview, deployed.run("probes/preview_comment.py", "-", text=preview.stdout)]
    written += [run.stdout + run.stderr for run in runs]
    written += [deployed.served, log.read_text("utf-8")]
    written += [path.read_text("utf-8") for path in forms.values()]

    secrets = {*all_secrets(deployed.state), *asdict(Secrets.of(deployed.state)).values(), TOKEN}
    assert key in secrets
    assert len(secrets) > 3
    for text in written:
        assert text
        assert not JWT.search(text)
        for secret in secrets:
            assert not [each for each in spellings(secret) if each in text]


def test_a_used_state_folder_is_for_its_owner_alone(deployed):
    """After a deployment, with a server running on it, and everything that a server can open."""
    with deployed.serving("--https-port", "0"):
        deployed.local_azure("env")
        paths = [deployed.state, *deployed.state.rglob("*")]
        wanted = {path: 0o700 if path.is_dir() else 0o600 for path in paths}
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in paths}
    names = {path.name for path in paths}
    assert names >= {"azure.sqlite3", "azure.sqlite3-wal", "dev.json", "server.json"}
    assert names >= {"authority.key", "authority.pem"}
    assert modes == wanted
