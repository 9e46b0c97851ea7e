"""What every server refuses, whatever it serves: over raw sockets, since clients tidy up."""

import asyncio
import gzip
import json
import socket
from types import SimpleNamespace

import httpx
import pytest
from fake_resources import (
    GROUP,
    KEY,
    SERVICE,
    FakeResources,
    account_id,
    deploy_account,
    deploy_service,
    run,
)

from local_azure import gateway, hardening, openai_region, resource_manager
from local_azure.__main__ import main
from local_azure.faults import Faults
from local_azure.hardening import Site
from local_azure.identity import RESOURCE_MANAGER, Tokens, authorization
from local_azure.local import LocalAzureError, access_token
from local_azure.server import Options, running
from local_azure.store import Store

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"
POLICY = """<policies><inbound><base/></inbound><backend><base/></backend><outbound/><on-error/>
</policies>"""
CHAT = "/openai/deployments/chat/chat/completions?api-version=2024-10-21"


def _resource_manager(folder):
    return resource_manager.create_app(
        Store(folder / "azure.sqlite3"),
        gateway_url=lambda _: "http://127.0.0.1:1",
        compile_policy=lambda _, **names: None,
        tokens=Tokens(b"secret"),
    )


def _gateway(_folder):
    resources = FakeResources()
    deploy_service(resources, POLICY)
    return gateway.create_app(
        resources, SERVICE, resolve=lambda _, **names: None, tokens=Tokens(b"secret")
    )


def _region(_folder):
    resources = FakeResources()
    deploy_account(resources, "foundry1", "uksouth")
    return openai_region.create_app(
        resources,
        account_id("foundry1"),
        tokens=Tokens(b"secret"),
        faults=Faults(),
        latency=lambda _: 0.0,
    )


def _arm_error(body):
    return body["error"]["message"]


# How each server is made, a name of its own, what it says its errors in, and a path to ask for.
SERVERS = {
    "resource manager": SimpleNamespace(
        create=_resource_manager,
        host="management.azure.com",
        message=_arm_error,
        path="/metadata/endpoints?api-version=2022-09-01",
        there=200,
        unclear=400,
    ),
    "gateway": SimpleNamespace(
        create=_gateway,
        host="apim-test.azure-api.net",
        message=lambda body: body["message"],
        path=f"/inference{CHAT}",
        there=404,
        unclear=404,
    ),
    "region": SimpleNamespace(
        create=_region,
        host="foundry1-test.openai.azure.com",
        message=_arm_error,
        path=CHAT,
        there=401,
        unclear=404,
    ),
}
server = pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)


def on_site(server, folder, test, *, access_token=None):
    """Run a test against an open server."""

    async def body(stack):
        listener = socket.create_server(("127.0.0.1", 0))
        site = await Site.open(server.create(folder), listener, access_token=access_token)
        stack.push_async_callback(site.close)
        port = int(site.url.rpartition(":")[2])

        async def connect():
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            return reader, writer

        await test(SimpleNamespace(port=port, connect=connect, server=server))

    run(body)


async def ask(site, data):
    """Send bytes; give the status, the headers and the body as JSON of the first answer."""
    reader, writer = await site.connect()
    writer.write(data)
    return await answer(reader)


async def answer(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    status, *lines = head.strip().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return SimpleNamespace(
        status=int(status.split()[1]),
        headers=headers,
        body=json.loads(body) if body else None,
        text=body.decode(),
    )


def get(path, host="localhost", *lines):
    return "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode(
        "utf-8", errors="surrogateescape"
    )


# --- hosts -------------------------------------------------------------------------------------


@server
def test_a_server_answers_to_loopback_and_to_its_own_names_alone(server, tmp_path):
    async def test(site):
        for host in ("localhost", "LOCALHOST:80", "127.0.0.1:9", "127.1.2.3", "[::1]:8700"):
            assert (await ask(site, get(server.path, host))).status == server.there, host
        for host in (server.host, f"{server.host.upper()}:443"):
            assert (await ask(site, get(server.path, host))).status == server.there, host
        others = {other.host for other in SERVERS.values()} - {server.host}
        for host in (*others, "evil.example", "localhost.evil.example", "192.0.2.1", "127.0.0.1.x"):
            refused = await ask(site, get(server.path, host))
            assert refused.status == 421, host
            assert server.message(refused.body) == f"The host '{host}' is not served here."

    on_site(server, tmp_path, test)


ODD_HOSTS = [
    ["GET {} HTTP/1.1"],
    ["GET {} HTTP/1.0"],
    ["GET {}"],
    ["GET {} HTTP/1.1", "Host: localhost", "Host: localhost"],
    ["GET {} HTTP/1.1", "Host: localhost", "host: evil.example"],
    ["GET {} HTTP/1.1", "Host:"],
    ["GET {} HTTP/1.1", "Host: localhost, evil.example"],
    ["GET {} HTTP/1.1", "Host: user@localhost"],
    ["GET {} HTTP/1.1", "Host: localhost:80:80"],
    ["GET {} HTTP/1.1", "Host: localhost/"],
    ["GET {} HTTP/1.1", "Host: [::1"],
]


@server
def test_a_request_has_one_host(server, tmp_path):
    async def test(site):
        for lines in ODD_HOSTS:
            refused = await ask(site, "\r\n".join([*lines, "", ""]).format(server.path).encode())
            assert refused.status == 400, lines
            assert server.message(refused.body)

    on_site(server, tmp_path, test)


# --- framing -----------------------------------------------------------------------------------


_POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
_GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
NO_HTTP = [
    _POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    _POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    _POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    _POST + b"Content-Length: -1\r\n\r\n",
    _POST + b"Content-Length: +3\r\n\r\nabc",
    _POST + b"Content-Length: 1e3\r\n\r\n",
    _POST + b"Transfer-Encoding: gzip\r\n\r\nabc",
    _POST + b"Transfer-Encoding: chunked, gzip\r\n\r\nabc",
    _POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    _POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n",
    _GET + b"X-Bad : 1\r\n\r\n",
    _GET + b"X-Nul: a\x00b\r\n\r\n",
    _GET + b"no colon\r\n\r\n",
    b"GET / HTTP/1.1\r\n folded: 1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/0.9\r\nHost: localhost\r\n\r\n",
    b"GET /\r\nHost: localhost\r\n\r\n",
    b"GET / / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"G\xc3\x8bT / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
]


@server
def test_what_is_no_http_is_refused_and_the_connection_ends(server, tmp_path):
    async def test(site):
        for request in NO_HTTP:
            reader, writer = await site.connect()
            writer.write(request)
            refused = await answer(reader)
            assert refused.status == 400, request
            assert server.message(refused.body) == "The request is not well-formed HTTP/1.1."
            assert await reader.read() == b""

    on_site(server, tmp_path, test)


@server
def test_a_malformed_request_is_neither_repeated_nor_logged(server, tmp_path, caplog):
    async def test(site):
        refused = await ask(site, get("/", "localhost", f"api-key: {KEY}\x00"))
        assert refused.status == 400
        assert KEY not in refused.text

    on_site(server, tmp_path, test)
    assert KEY not in caplog.text


@server
def test_what_aiohttp_refuses_by_itself_is_said_in_the_server_s_form(server, tmp_path):
    async def test(site):
        refused = await ask(site, get(server.path, "localhost", "Expect: a-miracle"))
        assert refused.status == 417
        assert "a-miracle" in server.message(refused.body)

    on_site(server, tmp_path, test)


@server
def test_a_client_that_leaves_in_the_middle_is_no_error(server, tmp_path, caplog):
    async def test(site):
        _, writer = await site.connect()
        head = f"PUT {server.path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab"
        writer.write(head.encode())
        assert (await ask(site, get(server.path))).status == server.there
        writer.close()
        await writer.wait_closed()
        assert (await ask(site, get(server.path))).status == server.there

    on_site(server, tmp_path, test)
    assert caplog.text == ""


# --- sizes -------------------------------------------------------------------------------------


@server
def test_line_headers_and_body_have_a_limit(server, tmp_path):
    async def test(site):
        assert (await ask(site, get(f"/{'a' * 9000}"))).status == 400
        assert (await ask(site, get("/", "localhost", f"x: {'a' * 9000}"))).status == 400
        many = [f"x-{number}: 1" for number in range(129)]
        assert (await ask(site, get("/", "localhost", *many))).status == 400
        few = [f"x-{number}: 1" for number in range(50)]
        assert (await ask(site, get(server.path, "localhost", *few))).status == server.there
        size = 33 * 1024 * 1024
        head = f"PUT {server.path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n"
        reader, writer = await site.connect()
        writer.write(head.encode() + bytes(size))
        refused = await answer(reader)
        assert refused.status == 413
        assert "exceeded" in server.message(refused.body)

    on_site(server, tmp_path, test)


@server
def test_a_compressed_body_is_not_unpacked(server, tmp_path):
    async def test(site):
        bomb = gzip.compress(bytes(64 * 1024 * 1024), compresslevel=1)
        head = (
            f"PUT {server.path} HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(bomb)}\r\n\r\n"
        )
        refused = await ask(site, head.encode() + bomb)
        assert refused.status in (400, 401, 404, 405)

    on_site(server, tmp_path, test)


# --- paths -------------------------------------------------------------------------------------


UNCLEAR = """
    .. . %2e%2e %2E. a%2fb a%5Cb a\\b a%00b a%0d%0ab a%7f %c2%85 %ff %c0%ae %ed%a0%80 a% a%2 a%zz é
"""


@server
def test_a_path_that_can_be_read_in_two_ways_is_refused(server, tmp_path):
    async def test(site):
        for segment in (*UNCLEAR.split(), "\udcff"):
            for path in (f"{SUBSCRIPTION}/resourceGroups/{segment}", f"/inference/{segment}/x"):
                refused = await ask(site, get(f"{path}?api-version=2024-03-01"))
                assert refused.status == (server.unclear if segment.isascii() else 400), path
                assert server.message(refused.body)

    on_site(server, tmp_path, test)


def test_names_may_hold_what_is_neither_a_slash_nor_a_control(tmp_path):
    async def test(site):
        for name in ("a%20b", "%C3%A9", "a..b", "...", "%252e%252e"):
            path = f"{GROUP}/providers/Microsoft.ApiManagement/service/s/backends/{name}"
            token = f"Authorization: Bearer {Tokens(b'secret').of_application(RESOURCE_MANAGER)}"
            found = await ask(site, get(f"{path}?api-version=2024-05-01", "localhost", token))
            assert found.status == 404, name

    on_site(SERVERS["resource manager"], tmp_path, test)


# --- the access token --------------------------------------------------------------------------

TOKEN = "a-token-of-a-test-that-is-long-enough"


@server
def test_beyond_loopback_a_token_is_asked_for(server, tmp_path, monkeypatch):
    monkeypatch.setattr(hardening, "_came_in_at", lambda _: "192.0.2.1")

    async def test(site):
        for lines in (
            [],
            ["Authorization: Bearer wrong"],
            [f"Authorization: Basic {TOKEN}"],
            [f"{hardening.ACCESS_HEADER}: {TOKEN}x"],
            [f"{hardening.ACCESS_HEADER}: \udcff"],
        ):
            refused = await ask(site, get(server.path, "192.0.2.1", *lines))
            assert refused.status == 401
            assert refused.headers["www-authenticate"] == "bearer"
            assert TOKEN not in refused.text
        for line in (f"Authorization: bearer {TOKEN}", f"{hardening.ACCESS_HEADER}: {TOKEN}"):
            assert (await ask(site, get(server.path, "192.0.2.1", line))).status == server.there

    on_site(server, tmp_path, test, access_token=TOKEN)


@server
def test_on_loopback_no_token_is_asked_for(server, tmp_path):
    async def test(site):
        assert (await ask(site, get(server.path))).status == server.there

    on_site(server, tmp_path, test, access_token=TOKEN)


def test_the_token_opens_the_address_it_is_for(tmp_path):
    """Over a real address of this machine that is not loopback, where it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; chooses the address to send from
        except OSError:
            pytest.skip("this machine has no address but loopback")
        address = probe.getsockname()[0]
    options = Options(port=0, listen=address, access_token=TOKEN)
    with running(tmp_path, options) as endpoint, httpx.Client(trust_env=False) as client:
        path = f"{SERVERS['resource manager'].path}"
        beyond = endpoint.replace("127.0.0.1", address)
        assert client.get(f"{endpoint}{path}").status_code == 200
        assert client.get(f"{beyond}{path}").status_code == 401
        assert client.get(f"{beyond}/_local-azure/faults").status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert client.get(f"{beyond}{path}", headers=headers).status_code == 200
        # It is no token of Entra's: who is past the door still has to sign in.
        resources = f"{beyond}{SUBSCRIPTION}?api-version=2022-12-01"
        assert client.get(resources, headers=headers).status_code == 401
        both = {**authorization(tmp_path), hardening.ACCESS_HEADER: TOKEN}
        assert client.get(resources, headers=both).status_code == 200


def test_a_token_file_is_made_private_and_kept(tmp_path):
    path = tmp_path / "token"
    token = access_token(path)
    assert len(token) >= 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert access_token(path) == token


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        ("a-token-that-is-long-enough-but-shown", 0o644, "others may read it; run `chmod 600"),
        ("short", 0o600, "32 or more printable characters"),
        ("long enough, but with spaces in between", 0o600, "no space"),
        ("\x00" * 40, 0o600, "printable"),
    ],
)
def test_a_token_that_protects_nothing_is_refused(tmp_path, text, mode, message):
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(LocalAzureError, match=message) as refusal:
        access_token(path)
    assert text not in str(refusal.value)


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "127.0.0.1", "::1", "localhost", "example.com"]
)
def test_listen_takes_one_address_that_is_not_loopback(capsys, address):
    with pytest.raises(SystemExit) as stopped:
        main(["serve", "--listen", address])
    assert stopped.value.code == 2
    assert address in capsys.readouterr().err
