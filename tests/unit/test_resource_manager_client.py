"""The client of Resource Manager, against a real socket: what it asks, and what a refusal says."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from components.resource_manager import (
    API_MANAGEMENT,
    PUBLIC_AZURE,
    ResourceManager,
    ResourceManagerError,
    audience,
    connection,
    is_loopback,
)


class Azure:
    """Answers each path with `(status, document)`, and keeps what was asked."""

    def __init__(self):
        self.answers = {}
        self.seen = []
        self.clients = set()
        azure = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                azure.clients.add(self.client_address)
                azure.seen.append((self.path, self.headers.get("Authorization")))
                status, document = azure.answers.get(self.path.partition("?")[0], (404, {}))
                body = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                self.do_GET()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def azure():
    azure = Azure()
    yield azure
    azure.server.shutdown()
    azure.server.server_close()


@pytest.fixture
def manager(azure):
    return ResourceManager(lambda: "token", azure.url)


def test_a_resource_is_asked_for_with_a_token_on_loopback_as_well(azure, manager):
    azure.answers["/x"] = 200, {"id": "/x"}
    assert manager.get("/x", API_MANAGEMENT) == {"id": "/x"}
    assert azure.seen == [("/x?api-version=2024-05-01", "Bearer token")]


def test_the_token_is_asked_for_once(azure):
    azure.answers["/x"] = 200, {}
    tokens = iter(["token"])
    manager = ResourceManager(lambda: next(tokens), azure.url)
    manager.get("/x", "1")
    manager.get("/x", "1")
    assert len(azure.seen) == 2


def test_several_are_asked_for_at_once_with_one_token_and_a_refusal_stands_in_its_place(azure):
    azure.answers.update({"/a": (200, {"n": 1}), "/c": (200, {"n": 3})})
    tokens = iter(["token"])
    found = ResourceManager(lambda: next(tokens), azure.url).get_all(["/a", "/b", "/c"], "1")
    assert [found[0], found[2]] == [{"n": 1}, {"n": 3}]
    assert isinstance(found[1], ResourceManagerError)
    assert found[1].status == 404
    nobody = ResourceManager(lambda: next(tokens), "http://management.example")
    assert all("is no https URL" in str(each) for each in nobody.get_all(["/a", "/b"], "1"))


def test_a_key_is_looked_up_and_who_may_not_is_told_the_right(azure, manager):
    azure.answers["/s/listSecrets"] = 200, {"primaryKey": "k3y"}
    assert manager.key_of("/s", "1") == "k3y"
    for status, document, told in (
        (403, {}, "Microsoft.ApiManagement/service/subscriptions/listSecrets/action"),
        (200, {"primaryKey": None}, "the answer has no key"),
    ):
        azure.answers["/s/listSecrets"] = status, document
        with pytest.raises(ResourceManagerError, match=told):
            manager.key_of("/s", "1")


def test_pages_follow_their_links_on_one_host_alone(azure, manager):
    azure.answers["/list"] = 200, {"value": [{"n": 1}], "nextLink": f"{azure.url}/more"}
    azure.answers["/more"] = 200, {"value": [{"n": 2}]}
    assert [each["n"] for each in manager.pages("/list", "1")] == [1, 2]
    for elsewhere in ("https://127.0.0.1/more", "http://evil.example/more", "http://[x", 7):
        azure.answers["/more"] = 200, {"value": [], "nextLink": elsewhere}
        with pytest.raises(ResourceManagerError, match="goes on at another host"):
            list(manager.pages("/list", "1"))


def test_locations_are_names_with_display_names(azure, manager):
    azure.answers["/subscriptions/s/locations"] = (
        200,
        {"value": [{"name": "uksouth", "displayName": "UK South"}, {"name": "new"}]},
    )
    assert manager.locations("s") == {"uksouth": "UK South", "new": "new"}


def test_a_group_of_locations_is_none(azure, manager):
    azure.answers["/subscriptions/s/locations"] = (
        200,
        {
            "value": [
                {"name": "europe", "displayName": "Europe", "metadata": {"regionType": "Logical"}},
                {"name": "ukwest", "metadata": {"regionType": "Physical"}},
                {"name": "new", "metadata": None},
            ]
        },
    )
    assert manager.locations("s") == {"ukwest": "ukwest", "new": "new"}


def test_all_that_one_client_asks_goes_by_one_connection(azure, manager):
    azure.answers["/x"] = 200, {}
    manager.get("/x", "1")
    manager.get("/x", "1")
    assert len(azure.clients) == 1


@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (401, "InvalidAuthenticationToken", "sign in to the right tenant with `az login`"),
        (403, "AuthorizationFailed", "give it the role Reader"),
        (404, "ResourceNotFound", "is ARM_ENDPOINT the Azure it is in?"),
        (500, "InternalServerError", "try again later"),
    ],
)
def test_a_refusal_has_azures_code_and_a_remedy(azure, manager, status, code, remedy):
    azure.answers["/x"] = status, {"error": {"code": code, "message": "m"}}
    with pytest.raises(ResourceManagerError, match=f"^{code}: ") as caught:
        manager.get("/x", "1")
    assert (caught.value.status, caught.value.code) == (status, code)
    assert remedy in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"[" * 100_000, b"\xff"])
def test_an_answer_that_is_no_object_is_told(azure, manager, body):
    azure.answers["/x"] = 200, body
    with pytest.raises(ResourceManagerError, match="no JSON object"):
        manager.get("/x", "1")
    azure.answers["/x"] = 500, body
    with pytest.raises(ResourceManagerError, match=r"^Internal Server Error: try"):
        manager.get("/x", "1")


@pytest.mark.parametrize("items", [None, {}, ["x"], "text"])
def test_a_list_that_is_none_is_told(azure, manager, items):
    azure.answers["/list"] = 200, {"value": items}
    with pytest.raises(ResourceManagerError, match="no list of resources"):
        list(manager.pages("/list", "1"))


def test_what_azure_says_is_shown_in_one_short_line(azure, manager):
    azure.answers["/x"] = 400, {"error": {"code": "\x1b[2J" + "long " * 500}}
    with pytest.raises(ResourceManagerError) as caught:
        manager.get("/x", "1")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_plain_http_beyond_this_machine_is_never_asked():
    def token():
        raise AssertionError

    with pytest.raises(ResourceManagerError, match="no https URL: a token would be readable"):
        ResourceManager(token, "http://management.example").get("/x", "1")


def test_a_host_that_does_not_answer_is_named():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ResourceManagerError, match=f"^{url}: .*is ARM_ENDPOINT right"):
            ResourceManager(lambda: "token", url).get("/x", "1")
        listener.listen()
        with pytest.raises(ResourceManagerError, match=f"^{url}: no answer within 0.05 s") as late:
            ResourceManager(lambda: "token", url, limit=0.05).get("/x", "1")
    assert late.value.status is None


def test_the_endpoint_is_that_of_the_environment(monkeypatch):
    monkeypatch.delenv("ARM_ENDPOINT", raising=False)
    assert ResourceManager().endpoint == PUBLIC_AZURE
    monkeypatch.setenv("ARM_ENDPOINT", "https://management.usgovcloudapi.net/")
    assert ResourceManager().endpoint == "https://management.usgovcloudapi.net"


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("https://management.azure.com", PUBLIC_AZURE),
        ("https://uksouth.management.azure.com", PUBLIC_AZURE),
        ("http://127.0.0.1:8742", PUBLIC_AZURE),
        ("https://management.usgovcloudapi.net", "https://management.usgovcloudapi.net"),
        ("https://x.management.chinacloudapi.cn", "https://management.chinacloudapi.cn"),
        ("https://evilusgovcloudapi.net", PUBLIC_AZURE),
    ],
)
def test_a_token_is_for_the_cloud_that_an_endpoint_is_in(endpoint, expected):
    assert audience(endpoint) == expected


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:8080", True),
        ("https://[::1]:1", True),
        ("http://localhost/x", True),
        ("https://management.azure.com", False),
        ("http://127.0.0.1.example", False),
        ("http://10.0.0.1", False),
    ],
)
def test_only_this_machine_is_loopback(url, local):
    assert is_loopback(url) is local
    assert connection(url)["trust_env"] is not local
