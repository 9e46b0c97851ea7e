"""HTTPS: every deployed name answers on one port, by a certificate of the local Azure's own."""

import socket
import ssl
import stat
from contextlib import contextmanager
from http.client import HTTPSConnection

import httpx
import pytest
from arm_server import ACCOUNT, GROUP, LEAST, SERVICE, version_of
from cryptography import x509

from local_azure import server
from local_azure.certificates import Authority
from local_azure.identity import authorization
from local_azure.local import LocalAzureError, authority_certificate, find_server

FOUNDRY, GATEWAY = "foundry1-abc.openai.azure.com", "apim1.azure-api.net"
REFUSED = (ssl.SSLError, ConnectionError)
CONTROL_PLANE = ("localhost", "management.azure.com", "login.microsoftonline.com")


class Azure:
    """A local Azure with TLS, and connections to it by name."""

    def __init__(self, state):
        self.state = state
        self.port = int(find_server(state).https_endpoint.rpartition(":")[2])
        self.trust = ssl.create_default_context(cafile=authority_certificate(state))
        self.headers = authorization(state)
        self.client = httpx.Client(
            base_url=f"https://localhost:{self.port}", verify=self.trust, headers=self.headers
        )

    def request(self, method, path, body=None):
        return self.client.request(
            method, path, json=body, params={"api-version": version_of(path)}
        )

    def deploy(self, *paths):
        for path in paths:
            answer = self.request("PUT", path, LEAST[path])
            assert answer.status_code == 201, answer.text

    @contextmanager
    def connected(self, name, trust=None):
        """A connection that asks for a name, wherever the name really is."""
        trust = trust or self.trust
        connection = HTTPSConnection(name, self.port, context=trust, timeout=10)
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        connection.sock = trust.wrap_socket(plain, server_hostname=name)
        try:
            yield connection
        finally:
            connection.close()


@contextmanager
def running(state):
    options = server.Options(port=0, https_port=0, provisioning_seconds=0)
    with server.running(state, options):
        azure = Azure(state)
        with azure.client:
            yield azure


@pytest.fixture(scope="module")
def azure(tmp_path_factory):
    with running(tmp_path_factory.mktemp("https")) as azure:
        azure.deploy(GROUP, ACCOUNT, SERVICE)
        yield azure


@pytest.mark.parametrize("name", [FOUNDRY, FOUNDRY.upper(), GATEWAY, *CONTROL_PLANE, "127.0.0.1"])
def test_each_name_answers_by_a_certificate_of_its_own(azure, name):
    with azure.connected(name) as connection:
        shown = connection.sock.getpeercert()
        kind = "IP Address" if name == "127.0.0.1" else "DNS"
        assert (kind, name.lower()) in shown["subjectAltName"]
        connection.request("GET", "/openai/models")
        answer = connection.getresponse()
        said = answer.read().decode()
    who = {FOUNDRY: "invalid subscription key", GATEWAY: "Resource not found"}
    assert who.get(name.lower(), "'Authorization' header is missing") in said


def test_a_certificate_is_for_one_name_alone(azure):
    with azure.connected(GATEWAY) as connection:
        assert connection.sock.getpeercert()["subjectAltName"] == (("DNS", GATEWAY),)


@pytest.mark.parametrize("name", ["foundry9-abc.openai.azure.com", "example.com"])
def test_a_name_that_nobody_has_gets_no_certificate(azure, name):
    anything = ssl.create_default_context()
    anything.check_hostname = False
    anything.verify_mode = ssl.CERT_NONE
    with pytest.raises(REFUSED), azure.connected(name, anything):
        pass


def test_a_connection_is_kept_and_urls_in_answers_are_https(azure):
    with azure.connected("management.azure.com") as connection:
        sock = connection.sock
        path = f"{ACCOUNT}?api-version=2025-06-01"
        for _ in range(2):
            connection.request("GET", path)
            assert connection.getresponse().read()
            assert connection.sock is sock
    other = ACCOUNT.replace("foundry1", "foundry3")
    body = LEAST[ACCOUNT] | {"properties": {"customSubDomainName": "foundry3-abc"}}
    answer = azure.request("PUT", other, body)
    for header in ("Location", "Azure-AsyncOperation"):
        assert answer.headers[header].startswith(f"https://localhost:{azure.port}/subscriptions/")
        assert azure.client.get(answer.headers[header]).status_code == 200


def test_a_name_is_gone_with_its_account_and_so_are_its_connections(azure):
    name, account = "foundry2-abc.openai.azure.com", ACCOUNT.replace("foundry1", "foundry2")
    body = LEAST[ACCOUNT] | {"properties": {"customSubDomainName": "foundry2-abc"}}
    assert azure.request("PUT", account, body).status_code == 201
    with azure.connected(name) as connection:
        assert azure.request("DELETE", account).status_code == 202
        assert connection.sock.recv(1) == b""
    with pytest.raises(REFUSED), azure.connected(name):
        pass


def test_the_authority_is_made_once_and_its_key_is_the_owner_s(tmp_path):
    Authority(tmp_path)
    first = authority_certificate(tmp_path).read_bytes()
    Authority(tmp_path)
    assert authority_certificate(tmp_path).read_bytes() == first
    for name in ("authority.key", "authority.pem"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    certificate = x509.load_pem_x509_certificate(first)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)
    (tmp_path / "authority.key").unlink()
    Authority(tmp_path)
    assert authority_certificate(tmp_path).read_bytes() != first


def test_a_broken_authority_is_said_in_one_line(tmp_path):
    Authority(tmp_path)
    (tmp_path / "authority.key").write_text("no key")
    with pytest.raises(LocalAzureError, match=r"authority\.pem .*delete both"):
        Authority(tmp_path)


def test_a_context_is_made_once_a_name(tmp_path):
    authority = Authority(tmp_path)
    assert authority.context("a.azure-api.net") is authority.context("a.azure-api.net")


def test_without_a_port_there_is_no_https_and_no_authority(tmp_path):
    with server.running(tmp_path, server.Options(port=0)):
        assert find_server(tmp_path).https_endpoint == ""
    assert not authority_certificate(tmp_path).exists()
