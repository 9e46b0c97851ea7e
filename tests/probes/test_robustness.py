"""What goes wrong ends in the documented exit code and one line that names it and the remedy."""

import gc
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fake_gateway import KEY, Reply, completion, refusal

from components.traffic import ROUTINGS
from probes.interpretation import retry_after

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize(
    ("outputs", "problem"),
    [
        (b"", "empty; write them with `pulumi stack output --json --show-secrets`"),
        (b" \n", "empty; write them with"),
        (b"{", "no JSON; write them with"),
        (b"\xff\xfe", "no JSON; write them with"),
        (b"[" * 100_000, "no JSON; write them with"),
        (b"[]", "a JSON object is needed, not a list; write them with"),
        (b"null", "a JSON object is needed, not null; write them with"),
        (b"{}", "`backends` is missing; is the stack deployed? run `pulumi up`"),
        (b" " * 1_000_001, "more than 1,000,000 bytes; are they of `pulumi stack output"),
    ],
)
def test_outputs_that_are_none_are_refused(gateway, probe, outputs, problem):
    result = probe(outputs=outputs)
    assert (result.code, result.out) == (2, "")
    assert problem in result.err
    assert result.err.count("\n") == 1
    assert not gateway.requests


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"subscription_key": "[secret]"},
            '`subscription_key` is "[secret]"; use --show-secrets: `pulumi stack output --json',
        ),
        ({"subscription_key": ..., "subscription": ...}, "`subscription_key` is missing"),
        ({"subscription_key": "a\nb"}, "`subscription_key` must be a text of printable characters"),
        ({"subscription_key": "schlüssel"}, "`subscription_key` holds a character that no key has"),
        ({"subscription_key": 7}, "`subscription_key` must be a text, not a whole number"),
        ({"deployment": None}, "`deployment` must be a text, not null"),
        ({"api_version": ""}, "`api_version` must be a text of printable characters"),
        ({"inference_url": "ftp://x"}, "`inference_url` must be an http or https URL with a host"),
        ({"inference_url": "https://x:port"}, "`inference_url` must be an http or https URL"),
        ({"inference_url": "https://[x"}, "`inference_url` must be an http or https URL"),
        ({"inference_url": "http://gateway.example/inference"}, "`inference_url` is plain http"),
        ({"gateway_url": "/"}, "`gateway_url` must be an http or https URL"),
        ({"routing": "random"}, "`routing` must be one of round-robin, weighted, priority"),
        (
            {"routing": "x" * 999},
            f"`routing` must be one of {', '.join(ROUTINGS)}, not {'x' * 80}\n",
        ),
        ({"pool": "p"}, "`pool` must be an object, not a text"),
        ({"pool": {"id": "p", "name": "p"}}, "`pool.id` must be a full Azure Resource Manager id"),
        ({"pool": {"id": "/p"}}, "`pool.name` is missing"),
        ({"backends": {}}, "`backends` must be a list, not an object"),
        ({"backends": []}, "`backends` has 0 of the 2 or more that share traffic"),
        ({"backends": ["x", "y"]}, "`backends[0]` must be an object, not a text"),
    ],
)
def test_a_wrong_output_is_named(gateway, probe, changes, problem):
    result = probe(outputs=gateway.outputs(**changes))
    assert (result.code, result.out) == (2, "")
    assert problem in result.err
    assert result.err.count("\n") == 1
    assert not gateway.requests


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("priority", True, "`backends[1].priority` is no number"),
        ("priority", 1.5, "`backends[1].priority` is no whole number"),
        ("weight", -1, "`backends[1].weight` is -1 outside of 1 to 100"),
        ("weight", "1", "`backends[1].weight` is no number"),
        ("url", "foundry2", "`backends[1].url` must be an http or https URL with a host"),
        ("id", "foundry1", "`backends` has two with one name: foundry1, foundry1, foundry3"),
        ("url", "https://FOUNDRY1-abc.openai.azure.com/", "`backends` has two with one host"),
    ],
)
def test_a_wrong_backend_is_named(gateway, probe, key, value, problem):
    outputs = gateway.outputs()
    outputs["backends"][1][key] = value
    result = probe(outputs=outputs)
    assert result.code == 2
    assert problem in result.err


def test_an_outputs_file_of_a_gigabyte_is_not_read_whole(probe, tmp_path):
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(1_000_000_000)
    result = probe("--outputs", str(path))
    assert result.code == 2
    assert "huge.json: more than 1,000,000 bytes" in result.err


def test_a_missing_outputs_file_is_named(probe, tmp_path):
    result = probe("--outputs", str(tmp_path / "none.json"))
    assert result.code == 2
    assert "none.json: no such file or directory; write them with `pulumi stack" in result.err
    assert probe("--outputs", str(tmp_path)).code == 2


def test_a_refused_connection_is_unreachable(gateway, probe):
    nowhere = f"127.0.0.1:{free_port()}"
    result = probe(outputs=gateway.outputs(inference_url=f"http://{nowhere}/inference"))
    assert result.code == 3
    assert f"no connection to {nowhere}: " in result.verdict
    assert "is the gateway deployed and running" in result.verdict
    assert "  ? at least 2 of 3 regions answer: 0 answered\n" in result.out


def test_a_name_that_does_not_resolve_is_unreachable(gateway, probe, monkeypatch):
    def unresolved(*_args, **_kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    outputs = gateway.outputs(inference_url="https://apim-abc.invalid/inference")
    monkeypatch.setattr(socket, "getaddrinfo", unresolved)
    result = probe("--skip-control-plane", outputs=outputs)
    assert result.code == 3
    assert "no connection to apim-abc.invalid: " in result.verdict
    assert "Name or service not known" in result.verdict


def test_no_tls_behind_https_is_a_tls_error(gateway, probe):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        threading.Thread(target=answer_in_plain_text, args=(listener,), daemon=True).start()
        outputs = gateway.outputs(inference_url=f"https://127.0.0.1:{port}/inference")
        result = probe(outputs=outputs)
        listener.shutdown(socket.SHUT_RDWR)
    assert result.code == 3
    assert "SSL" in result.verdict
    assert "certificate must be one this machine trusts" in result.verdict


def answer_in_plain_text(listener):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "was cut: Server disconnected without sending a response"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "was cut: "),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", "was cut: peer closed connection"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "was cut: illegal status line"),
        (b"HTTP/1.1 200 OK\r\nx-huge: " + b"a" * 1_000_000, "was cut: "),
        (
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 20\r\n\r\n" + b"x" * 20,
            "was cut: ",
        ),
    ],
)
def test_a_cut_or_foreign_answer_is_a_failed_request(gateway, probe, raw, problem):
    gateway.answer = lambda _n: Reply(raw=raw)
    result = probe()
    assert result.code == 3
    assert problem in result.verdict
    assert "is inference_url the gateway's" in result.verdict
    assert len(gateway.requests) <= 10


def test_an_endless_slow_body_ends_at_the_time_limit(gateway, probe):
    released = threading.Event()
    gateway.answer = lambda _n: Reply(
        raw=b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n" if not released.wait(30) else b""
    )
    result = probe("--timeout", "1.5", "--skip-control-plane")
    released.set()
    assert result.code == 3
    assert "no whole answer within 0.5 s" in result.verdict


@pytest.mark.parametrize(
    ("reply", "problem", "remedy"),
    [
        (
            Reply(body=b"<html>", headers={"x-backend-host": "foundry1-abc.openai.azure.com"}),
            "200, but the answer is not JSON",
            "is inference_url the gateway's API?",
        ),
        (Reply(body=b'{"choices": ['), "200, but the answer is not JSON", "the gateway's API?"),
        (Reply(body=b"[]"), "200, but the answer is not JSON", "is inference_url the gateway's"),
        (Reply(body=b" " * 1_000_100), "200, but the answer is not JSON", "inference_url"),
        (Reply(body=b"{}"), "no x-backend-host", "openai-gateway:revealBackend to true"),
        (
            Reply(body=b"{}", headers={"x-backend-host": "other.example"}),
            "x-backend-host is other.example, no backend of the stack",
            "are the outputs those of this gateway?",
        ),
        (
            refusal(401, "invalid subscription key"),
            "401 invalid subscription key",
            "subscription_key",
        ),
        (refusal(403, "no"), "403 no", "is subscription_key that of this gateway?"),
        (refusal(401, "PermissionDenied", backend=1), "401 Perm", "Cognitive Services OpenAI User"),
        (refusal(404, "Resource not found"), "404 Resource not found", "is deployment chat on"),
        (refusal(400, "Unsupported"), "400 Unsupported", "does deployment chat take"),
        (refusal(500, "oops"), "500 oops", "the regions' health"),
        (refusal(503, "exhausted"), "503 exhausted", "the regions' health"),
        (
            Reply(status=307, headers={"location": "https://elsewhere.example/"}),
            "307 to https://elsewhere.example/, not followed",
            "set inference_url to the gateway itself",
        ),
        (
            refusal(429, "slow", **{"Retry-After": "86400"}),
            "throttled for 86400 s more, beyond the time limit of 60 s",
            "give the models more capacity",
        ),
        (
            refusal(503, "exhausted", **{"Retry-After": "Wed, 01 Jan 2048 00:00:00 GMT"}),
            "beyond the time limit of 60 s",
            "the regions' health",
        ),
    ],
)
def test_an_answer_that_is_none_says_what_and_why(gateway, probe, reply, problem, remedy):
    gateway.answer = lambda _n: reply
    result = probe()
    assert result.code == 3
    assert result.verdict.startswith("inconclusive: no answer proves any share, ")
    assert problem in result.verdict
    assert remedy in result.verdict
    assert len(gateway.requests) <= 10


def test_a_key_that_the_server_echoes_is_not_shown(gateway, probe):
    gateway.answer = lambda _n: refusal(
        500, f"bad {KEY}\x1b[2J", **{"x-ms-region": KEY, "x-backend-host": KEY}
    )
    gateway.pool = lambda: refusal(403, KEY)
    result = probe()
    assert result.code == 3
    assert "bad [secret]" in result.verdict
    assert "\x1b" not in result.out


def test_throttling_that_does_not_say_how_long_backs_off_within_the_time_limit(gateway, probe):
    gateway.answer = lambda _n: refusal(429, "slow")
    result = probe("--timeout", "0.9")
    assert result.code == 3
    assert "throttled for 1 s more, beyond the time limit of 0.9 s" in result.verdict
    assert len(gateway.requests) == 6


def test_regions_that_all_fail_are_not_called_throttled(gateway, probe):
    gateway.answer = lambda _n: refusal(503, "No region can answer.", **{"Retry-After": "600"})
    result = probe()
    assert result.code == 3
    assert "503 No region can answer, waiting for 600 s more, beyond the time" in result.verdict
    assert "throttled" not in result.out


@pytest.mark.parametrize("value", ["rubbish", "-1", ""])
def test_a_retry_after_that_is_rubbish_does_not_stop_the_run(gateway, probe, value):
    gateway.answer = lambda n: (
        refusal(503, "busy", **{"Retry-After": value}) if n == 1 else completion(n % 3 + 1)
    )
    result = probe()
    assert result.code == 0
    assert "  Not counted: 1 failed\n" in result.out


def test_retry_after_is_waited_for_within_the_time_limit(gateway, probe):
    gateway.answer = lambda n: (
        refusal(429, "slow", **{"Retry-After": "0"}) if n < 6 else completion(n % 3 + 1)
    )
    assert probe().code == 0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        ("0", 0.0),
        ("86400", 86_400.0),
        (format_datetime(NOW + timedelta(seconds=90)), 90.0),
        (format_datetime(NOW - timedelta(days=1)), 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e3", None),
        ("Mon, 99 Foo 2026", None),
    ],
)
def test_retry_after_is_a_number_or_a_date_and_rubbish_is_ignored(value, seconds):
    assert retry_after(value, now=NOW) == seconds


@pytest.fixture
def over_tls(gateway, tmp_path):
    """The gateway's outputs and its certificate, once it speaks TLS."""
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    gateway._server.socket = context.wrap_socket(
        gateway._server.socket, server_side=True, do_handshake_on_connect=False
    )
    return gateway.outputs(inference_url=gateway.url.replace("http:", "https:")), certificate


def test_a_certificate_is_trusted_by_ssl_cert_file(over_tls, probe, monkeypatch):
    outputs, certificate = over_tls
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    result = probe("--skip-control-plane", outputs=outputs)
    assert result.code == 0, result.out


def test_an_untrusted_certificate_is_a_tls_error(over_tls, probe):
    outputs, _ = over_tls
    result = probe("--skip-control-plane", outputs=outputs)
    assert result.code == 3
    assert "CERTIFICATE_VERIFY_FAILED" in result.verdict
    gc.collect()  # a connection that was given up half made, and left open, is an error here


def self_signed(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem", folder / "key.pem"
