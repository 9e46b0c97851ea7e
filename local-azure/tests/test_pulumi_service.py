"""The stacks of the Pulumi CLI, by the requests that it sends; test_cli_stacks.py has the CLI."""

import base64
import gzip
import json
import stat

import httpx
import pytest

from local_azure import pulumi_service, server
from local_azure.identity import Secrets

STACKS = "/api/stacks/local-azure/gateway"
DEV = f"{STACKS}/dev"
STATE = {"version": 3, "deployment": {"resources": [{"urn": "u"}]}}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    state = tmp_path_factory.mktemp("service")
    token = Secrets.of(state).pulumi_access_token
    with (
        server.running(state, server.Options(port=0)) as endpoint,
        httpx.Client(
            base_url=endpoint, trust_env=False, headers={"Authorization": f"token {token}"}
        ) as client,
    ):
        client.state = state
        yield client


@pytest.fixture
def stack(service):
    assert service.post(STACKS, json={"stackName": "dev"}).status_code == 200
    yield service
    service.delete(DEV, params={"force": "true"})


def update(client, kind: str = "update") -> tuple[str, dict[str, str]]:
    """Begin an update: its path, and the header by which the CLI goes on."""
    path = f"{DEV}/{kind}"
    path = f"{path}/{client.post(path, json={}).json()['updateID']}"
    started = client.post(path, json={"tags": {}})
    started.raise_for_status()
    return path, {"Authorization": f"update-token {started.json()['token']}"}


def save(client, path, headers, deployment=STATE) -> httpx.Response:
    content = gzip.compress(json.dumps({"untypedDeployment": deployment}).encode())
    packed = {**headers, "Content-Encoding": "gzip"}
    return client.patch(f"{path}/checkpointverbatim", content=content, headers=packed)


def test_nothing_is_told_without_the_token(service):
    for authorization in ("", "token x", "token \udcff", "update-token x", "Bearer x"):
        headers = {"Authorization": authorization.encode(errors="surrogateescape")}
        for path in ("/api/user", DEV, f"{DEV}/update/x/checkpoint"):
            answer = service.get(path, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, 401)


def test_a_stack_is_made_listed_renamed_and_deleted(service):
    assert service.get(DEV).status_code == 404
    assert service.head(STACKS).status_code == 404
    assert service.post(STACKS, json={"stackName": "dev"}).status_code == 200
    assert service.post(STACKS, json={"stackName": "dev"}).status_code == 409
    assert service.head(STACKS).status_code == 200
    assert service.get(DEV).json()["version"] == 0
    named = {"orgName": "local-azure", "projectName": "gateway", "stackName": "dev"}
    assert service.get("/api/user/stacks", params={"project": "gateway"}).json()["stacks"] == [
        named
    ]
    assert service.get("/api/user/stacks", params={"project": "other"}).json()["stacks"] == []
    service.post(f"{DEV}/rename", json={"newName": "test"}).raise_for_status()
    assert service.get(DEV).status_code == 404
    assert service.delete(f"{STACKS}/test").status_code == 204


def test_an_update_leaves_its_last_checkpoint_and_a_preview_none(stack):
    path, headers = update(stack, "preview")
    assert save(stack, path, headers).status_code == 200
    stack.post(f"{path}/complete", json={}, headers=headers).raise_for_status()
    assert stack.get(f"{DEV}/export").json()["deployment"] == {}

    path, headers = update(stack)
    assert stack.get(DEV).json()["activeUpdate"] == path.rpartition("/")[2]
    assert save(stack, path, headers).status_code == 200
    stack.post(f"{path}/renew_lease", json={"duration": 60}, headers=headers).raise_for_status()
    stack.post(f"{path}/complete", json={}, headers=headers).raise_for_status()
    assert stack.get(f"{DEV}/export").json() == STATE
    assert stack.get(DEV).json()["version"] == 1
    # What it signed in by is good for no longer.
    assert save(stack, path, headers).status_code == 401
    (kept,) = (stack.state / "pulumi").rglob("dev.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    refused = stack.delete(DEV)
    assert refused.json() == {
        "code": 400,
        "message": "Bad Request: Stack still contains resources.",
    }


def test_a_stack_has_one_update_at_a_time_until_it_is_cancelled_or_its_lease_ends(
    stack, monkeypatch
):
    path, headers = update(stack)
    with pytest.raises(httpx.HTTPStatusError, match="409"):
        update(stack)
    stack.post(f"{path}/cancel").raise_for_status()
    assert save(stack, path, headers).status_code == 401
    monkeypatch.setattr(pulumi_service, "_LEASE", -1.0)
    update(stack)
    update(stack)


def test_secrets_are_encrypted_and_come_back(stack):
    plain = [base64.b64encode(text).decode() for text in (b"hush", b"\xff\x00")]
    sealed = stack.post(f"{DEV}/batch-encrypt", json={"plaintexts": plain}).json()["ciphertexts"]
    assert not set(plain) & set(sealed)
    opened = stack.post(f"{DEV}/batch-decrypt", json={"ciphertexts": sealed}).json()["plaintexts"]
    assert [opened[each] for each in sealed] == plain
    one = stack.post(f"{DEV}/encrypt", json={"plaintext": plain[0]}).json()
    assert stack.post(f"{DEV}/decrypt", json=one).json() == {"plaintext": plain[0]}
    foreign = base64.b64encode(b"x" * 100).decode()
    assert stack.post(f"{DEV}/decrypt", json={"ciphertext": foreign}).status_code == 400


def test_a_secrets_provider_is_found_where_the_server_is_now(stack):
    state = {"secrets_providers": {"type": "service", "state": {"url": "http://127.0.0.1:1"}}}
    stack.post(f"{DEV}/import", json={"version": 3, "deployment": state}).raise_for_status()
    kept = stack.get(f"{DEV}/export").json()["deployment"]["secrets_providers"]["state"]
    assert kept == {"url": str(stack.base_url).rstrip("/")}


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", STACKS, b"{", 400),
        ("POST", STACKS, b"[1]", 400),
        ("POST", STACKS, b"[" * 100_000, 400),
        ("POST", STACKS, b'{"stackName": "../x"}', 400),
        ("POST", STACKS, b'{"stackName": ".."}', 400),
        ("POST", STACKS, b"", 400),
        ("GET", "/api/stacks/local-azure/%2e%2e/dev", b"", 400),
        ("POST", f"{DEV}/encrypt", b"{}", 400),
        ("POST", f"{DEV}/encrypt", b'{"plaintext": 7}', 400),
        ("POST", f"{DEV}/batch-decrypt", b'{"ciphertexts": ["%"]}', 400),
        ("PATCH", f"{DEV}/update/x/checkpoint", b'{"deployment": {}}', 409),
        ("GET", "/api/orgs/x/members", b"", 404),
    ],
)
def test_what_makes_no_sense_is_refused(service, method, path, content, status):
    answer = service.request(method, path, content=content)
    assert answer.status_code == status, answer.text


def test_a_bomb_is_not_unpacked(stack):
    path, headers = update(stack)
    bomb = gzip.compress(bytes(128 * 1024 * 1024), compresslevel=1)
    packed = {**headers, "Content-Encoding": "gzip"}
    refused = stack.patch(f"{path}/checkpointverbatim", content=bomb, headers=packed)
    assert refused.status_code == 413
