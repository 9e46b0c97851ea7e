"""What is fuzzed: each target makes cases, takes one at a time, and says what must hold of it.

A case that fails raises; how long it may take, and that nothing grows, is for the runner to watch.
"""

import asyncio
import json
import logging
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

import aiohttp
import arm_server
import fake_resources
from expression_context import context
from gateway_world import POLICY
from generators import ODD_TEXTS, edited, spliced, text, words
from lxml import etree

from local_azure import gateway, openai_region
from local_azure.deployment import config as stack_config
from local_azure.faults import Faults
from local_azure.gateway import expressions
from local_azure.gateway.cache import Cache
from local_azure.gateway.exchange import ProxyError, Response, ReturnedResponse
from local_azure.gateway.limits import Limits
from local_azure.gateway.policy import Library, PolicyError, compile_policy
from local_azure.identity import CLIENT_ID, RESOURCE_MANAGER, Tokens
from local_azure.local import TENANT_ID
from local_azure.monitor import kql
from local_azure.server import LocalAzure, Options

Check = Callable[[Any], None]


@dataclass(frozen=True, kw_only=True)
class Target:
    """`open` gives a fresh instance, which checks one case after another."""

    name: str
    make: Callable[[Random], Any]
    open: Callable[[], AbstractContextManager[Check]]
    share: int
    """Cases that are this target's, for each hundred of this module's."""


# --- servers -----------------------------------------------------------------------------------


_PATIENCE: Final = 0.02
"""Seconds until a server that says nothing is taken to wait for more."""


class Wire:
    """Servers in a loop of this thread, asked over sockets; any status from 500 on is a fault."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.faults: list[str] = []
        self.token = ""
        self._handler = _Remember(self.faults)

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self._handler)
        return self

    def __exit__(self, *_: object) -> None:
        self.do(self.stack.aclose())
        self.runner.close()
        logging.getLogger().removeHandler(self._handler)

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def ask(
        self, port: int, data: bytes, *, patience: float = _PATIENCE
    ) -> list[tuple[int, bytes]]:
        """Send bytes on a connection of their own; give what is answered until it ends."""
        answers = _answers(self.do(_talk(port, data, patience)))
        faults = self.faults.copy()
        self.faults.clear()
        assert not faults, faults[0]
        return answers


class _Remember(logging.Handler):
    """Whatever is logged as an error: an exception that no handler expected."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._faults = faults
        self._formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        self._faults.append(self._formatter.format(record))


async def _talk(port: int, data: bytes, patience: float) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await _until_it_ends(reader, writer, patience)
    except ConnectionError:  # it had said all it would
        return b""
    finally:
        writer.close()


async def _until_it_ends(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience: float
) -> bytes:
    """Read until the server closes; one that waits for more is told that there is none."""
    said = bytearray()
    while True:
        try:
            async with asyncio.timeout(patience):
                piece = await reader.read(65536)
        except TimeoutError:
            writer.write_eof()
            return bytes(said + await reader.read())
        if not piece:
            return bytes(said)
        said += piece


def _answers(data: bytes) -> list[tuple[int, bytes]]:
    """Take apart what a server said: status and body of each answer."""
    answers = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        number = int(status.split(" ")[1])
        headers = dict(line.lower().split(": ", 1) for line in lines)
        # Without a length, and in chunks on a connection that closes, all that follows is the body.
        length = int(headers.get("content-length", 0 if number < 200 else len(rest)))
        if number >= 200:
            answers.append((number, rest[:length]))
        data = rest[length:]
    return answers


def _request(
    method: str, path: str, headers: Mapping[str, str], body: bytes, *, host: str = "localhost"
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body or method not in ("GET", "HEAD"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("utf-8", errors="surrogatepass") + body


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


METHODS: Final = ("GET",) * 3 + ("PUT",) * 8 + ("PATCH", "POST", "HEAD", "OPTIONS", "DELETE")


# --- Resource Manager --------------------------------------------------------------------------

_PATHS: Final = [
    *arm_server.LEAST,
    arm_server.DELETED_ACCOUNT,
    arm_server.DELETED_SERVICE,
    arm_server.SUBSCRIPTION,
    f"{arm_server.KEY}/listSecrets",
    f"{arm_server.ACCOUNT}/listKeys",
    f"{arm_server.SUBSCRIPTION}/resources",
    f"{arm_server.SERVICE}/backends",
    f"{arm_server.SERVICE}/apis",
    f"{arm_server.KEY}/regeneratePrimaryKey",
    f"{arm_server.ACCOUNT}/regenerateKey",
    f"{arm_server.SUBSCRIPTION}/providers/Microsoft.ApiManagement/checkNameAvailability",
    f"{arm_server.SUBSCRIPTION}/resourceGroups",
    f"{arm_server.GROUP}/providers/Microsoft.Authorization/roleAssignments",
    "/metadata/endpoints",
    "/_local-azure/faults/foundry1",
]
_WORDS: Final = sorted({segment for path in _PATHS for segment in path.split("/") if segment})
_VERSIONS: Final = [
    "2024-03-01",
    "2024-05-01",
    "2025-06-01",
    "2022-04-01",
    "",
    "2024-05-01-preview",
]
_QUERIES: Final = ["$top", "$skip", "$filter", "$expand", "api-version", "%00", "x"]
_FILTER: Final = (
    *("name", "eq", "ne", "'x'", "and", "or", "(", ")", "contains(name,'x')", "properties/url"),
    *("tagName", "principalId", "atScope()", "assignedTo('x')", "substringof('x',name)", "''"),
)
_BODIES: Final = {
    **arm_server.LEAST,
    "/_local-azure/faults/foundry1": {"latency": 1, "status": 429},
}


def _arm_path(rng: Random, path: str) -> str:
    if rng.random() < 0.1:
        segments = ["", *words(rng, _WORDS, most=12)]
    else:
        segments = path.split("/")
        for _ in range(rng.choice((0, 0, 0, 0, 1, 2))):
            segments[rng.randrange(1, len(segments))] = text(rng)
    return "/".join(quote(each, safe="%$", errors="surrogatepass") for each in segments) or "/"


def _header(rng: Random, names: Sequence[str], usual: Sequence[str]) -> dict[str, str]:
    if rng.random() < 0.8:
        return {}
    odd = text(rng).encode("latin-1", errors="ignore").decode("latin-1")
    return {rng.choice(names): re.sub("[\r\n\0]", "", rng.choice((odd, rng.choice(usual))))}


def _arm_case(rng: Random) -> tuple[Any, ...]:
    named = rng.choice(_PATHS)
    body = _BODIES.get(named) or rng.choice(list(_BODIES.values()))
    data = utf8(spliced(rng, json.dumps(body)))
    if rng.random() < 0.7:
        data = as_json(edited(rng, body))
    path = _arm_path(rng, named)
    version = arm_server.version_of(path) if rng.random() < 0.8 else rng.choice(_VERSIONS)
    queries = [(rng.choice(_QUERIES), text(rng)) for _ in range(rng.choice((0, 0, 0, 0, 1, 2)))]
    if rng.random() < 0.1:
        queries.append(("$filter", " ".join(words(rng, _FILTER, most=8))))
    headers = _header(
        rng,
        ("If-Match", "If-None-Match", "Authorization", "Accept", "Content-Type", "Expect"),
        ("*", '"x"', "Bearer x", "100-continue", "application/json; charset=x"),
    )
    return rng.choice(METHODS), path, version, queries, data, headers


@contextmanager
def _local_azure() -> Iterator[tuple[Wire, int]]:
    """The whole local Azure, with nothing deployed; gives the port of Resource Manager."""
    with Wire() as wire:
        folder = tempfile.mkdtemp()
        azure = LocalAzure(Path(folder), Options(port=0, provisioning_seconds=0))
        wire.token = azure.tokens.of_application(RESOURCE_MANAGER, lifetime=1e6)
        wire.stack.callback(shutil.rmtree, folder)
        wire.stack.push_async_callback(azure.stop)
        wire.do(azure.start())
        yield wire, int(azure.endpoint.rpartition(":")[2])


_FORM: Final = urlencode(
    {
        "grant_type": "client_credentials",
        "client_id": CLIENT_ID,
        "client_secret": "x",
        "scope": "https://management.azure.com/.default",
        "resource": "https://management.azure.com",
    }
)
_TOKEN_PATHS: Final = [
    f"/{TENANT_ID}/oauth2/v2.0/token",
    f"/{TENANT_ID}/oauth2/token",
    f"/{TENANT_ID}/v2.0/.well-known/openid-configuration",
    "/common/discovery/instance",
    "/msi/token?resource=https://management.azure.com",
]


def _token_case(rng: Random) -> tuple[Any, ...]:
    path = quote(spliced(rng, rng.choice(_TOKEN_PATHS)), safe="/?=:%", errors="surrogatepass")
    kinds = (
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=x",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "",
    )
    headers = {"Content-Type": rng.choice(kinds), "X-IDENTITY-HEADER": rng.choice(("", "x", "é"))}
    return rng.choice(("POST", "POST", "GET")), path, headers, utf8(spliced(rng, _FORM))


@contextmanager
def _token() -> Iterator[Check]:
    with _local_azure() as (wire, port):

        def check(case: Any) -> None:
            for status, said in wire.ask(port, _request(*case)):
                assert status < 500, said
                assert json.loads(said)

        yield check


@contextmanager
def _resource_manager() -> Iterator[Check]:
    with _local_azure() as (wire, port):

        def ask(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Any:
            signed_in = {"Authorization": f"Bearer {wire.token}"}
            sent = {"Content-Type": "application/json", **signed_in, **headers}
            answers = wire.ask(port, _request(method, path, sent, body), patience=5)
            assert len(answers) == 1, answers
            return answers[0]

        cases = count()

        def deploy() -> None:
            for path in (arm_server.DELETED_ACCOUNT, arm_server.DELETED_SERVICE):
                ask("DELETE", f"{path}?api-version={arm_server.version_of(path)}", b"", {})
            for path, body in arm_server.LEAST.items():
                target = f"{path}?api-version={arm_server.version_of(path)}"
                ask("PUT", target, as_json(body), {})

        kql.run("print 1", {}, end=0)  # else the first query loads the language: 45,000 objects

        def check(case: Any) -> None:
            if next(cases) % 50 == 0:  # what earlier cases deleted is there again
                deploy()
            method, path, version, queries, body, headers = case
            query = "&".join(
                f"{name}={quote(value, errors='surrogatepass')}"
                for name, value in [("api-version", version), *queries]
            )
            status, said = ask(method, f"{path}?{query}", body, headers)
            _is_arm(method, status, said)

        yield check


def _is_arm(method: str, status: int, said: bytes) -> None:
    assert status < 500, said
    if status >= 400 and method != "HEAD":
        error = json.loads(said)["error"]
        assert isinstance(error["code"], str)
        assert error["code"]
        assert isinstance(error["message"], str)
        assert len(said) < 50_000
    elif said:
        json.loads(said, parse_constant=_not_json)


def _not_json(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


# --- the gateway and the regions ---------------------------------------------------------------

_CHAT: Final = "/deployments/chat/chat/completions"
_HELLO: Final = {
    "messages": [
        {"role": "user", "content": "Hello"},
        {"role": "user", "content": [{"type": "text", "text": "a"}]},
    ],
    "stream": True,
    "stream_options": {"include_usage": True},
    "max_completion_tokens": 5,
    "n": 2,
    "model": "chat",
}
_EMBED: Final = {
    "input": ["a", "b"],
    "model": "embed",
    "encoding_format": "base64",
    "dimensions": 8,
}
_SAID: Final = [
    {"type": "input_text", "text": "a"},
    {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
]
_RESPOND: Final = {
    "model": "chat",
    "input": [
        {"type": "message", "role": "user", "content": _SAID},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "1"},
        {"type": "item_reference", "id": "msg_1"},
    ],
    "previous_response_id": "resp_1",
    "text": {"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}}},
}
_RESPOND_SHORT: Final = {
    "model": "chat",
    "input": [{"role": "user", "content": "json"}],
    "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
    "tool_choice": {"type": "function", "name": "f"},
    "include": ["reasoning.encrypted_content"],
    "reasoning": {"effort": "low"},
    "background": True,
    "stream": True,
    "max_output_tokens": 20,
}
_PICTURE: Final = {"model": "image", "prompt": "a", "size": "auto", "n": 1, "quality": "low"}
_SAY: Final = {"model": "voice", "input": "a", "voice": "b", "response_format": "mp3"}
_ASKED: Final = (_HELLO, _EMBED, _PICTURE, _SAY)
_FORM: Final = (
    '--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper\r\n'
    '--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na\r\n'
    '--x\r\nContent-Disposition: form-data; name="temperature"\r\n\r\n0.5\r\n'
    '--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
    "Content-Type: audio/wav\r\n\r\nabc\r\n--x--\r\n"
)


@contextmanager
def _data_planes(
    policy: str = POLICY, **service: Any
) -> Iterator[tuple[Wire, Mapping[str, int], Tokens]]:
    """A gateway and a region on real sockets, over a deployment in memory."""
    resources, tokens = fake_resources.FakeResources(), Tokens(b"secret")
    fake_resources.deploy_service(resources, policy, **service)
    urls: dict[str, str] = {}
    with Wire() as wire:
        for name, location in fake_resources.LOCATIONS.items():
            fake_resources.deploy_account(
                resources, name, location, capacity=10**6, every_kind=True
            )
            fake_resources.grant(resources, fake_resources.account_id(name))
            region = openai_region.create_app(
                resources,
                fake_resources.account_id(name),
                tokens=tokens,
                faults=Faults(),
                latency=lambda _: 0.0,
                kept=openai_region.Responses(time.time, most=20),
            )
            urls[f"{name}-test.openai.azure.com"] = wire.do(
                fake_resources.serve(wire.stack, region)
            )
        app = gateway.create_app(resources, fake_resources.SERVICE, resolve=urls.get, tokens=tokens)
        urls["gateway"] = wire.do(fake_resources.serve(wire.stack, app))
        yield wire, {name: int(url.rpartition(":")[2]) for name, url in urls.items()}, tokens


_DATA_PATHS: Final = [
    f"/openai{_CHAT}",
    "/openai/models",
    "/openai/deployments/embed/embeddings",
    "/openai/v1/chat/completions",
    "/openai/v1/embeddings",
    *("/openai/v1/responses", "/openai/responses") * 2,
    "/openai/v1/responses/resp_x/input_items",
    "/openai/v1/images/generations",
    "/openai/v1/images/edits",
    "/openai/v1/audio/transcriptions",
    "/openai/v1/audio/speech",
]


warnings.simplefilter("ignore", aiohttp.BadContentDispositionHeader)
warnings.simplefilter("ignore", aiohttp.BadContentDispositionParam)


def data_case(rng: Random) -> tuple[Any, ...]:
    path = rng.choice(_DATA_PATHS)
    if rng.random() < 0.2:
        path = quote(spliced(rng, path), safe="/%", errors="surrogatepass")
    headers = _header(
        rng,
        (
            *("Content-Type", "Content-Encoding", "Expect", "Authorization", "Range", "Connection"),
            *("X-Forwarded-Host", "Cookie", "Accept-Encoding", "traceparent"),
        ),
        ("gzip", "100-continue", "close, api-key", "upgrade"),
    )
    if "Content-Type" not in headers and path.endswith(("edits", "transcriptions")):
        headers["Content-Type"] = "multipart/form-data; boundary=x"
        body = utf8(spliced(rng, _FORM)) if rng.random() < 0.9 else utf8(_FORM)
    elif rng.random() < 0.9:
        asked = (_RESPOND, _RESPOND_SHORT) if "responses" in path else _ASKED
        body = as_json(edited(rng, *asked))
    else:
        body = utf8(text(rng))
    version = rng.choice(("2024-10-21", "2025-04-01-preview", "v1", "", "9"))
    return rng.choice(("POST", "POST", "POST", "GET", "HEAD")), path, version, body, headers


@contextmanager
def gateway_with(policy: str, **service: Any) -> Iterator[Check]:
    """Ask a gateway with that policy: whatever a client sends, it is no failure of the gateway."""
    with _data_planes(policy, **service) as (wire, ports, _):

        def check(case: Any) -> None:
            method, path, version, body, headers = case
            sent = {"api-key": fake_resources.KEY, **headers}
            target = f"/inference{path}?api-version={version}"
            for status, said in wire.ask(ports["gateway"], _request(method, target, sent, body)):
                assert status < 500, said
                assert fake_resources.KEY.encode() not in said

        yield check


@contextmanager
def _region() -> Iterator[Check]:
    with _data_planes() as (wire, ports, tokens):
        token = tokens.issue(fake_resources.PRINCIPAL, "https://cognitiveservices.azure.com")

        def check(case: Any) -> None:
            method, path, version, body, headers = case
            sent = {"Authorization": f"Bearer {token}", **headers}
            data = _request(method, f"{path}?api-version={version}", sent, body)
            for status, said in wire.ask(ports["foundry1-test.openai.azure.com"], data):
                assert status < 500, said
                assert token.encode() not in said
                if status >= 400 and method != "HEAD":
                    assert json.loads(said)["error"]["message"]

        yield check


_CLOSING: Final = "HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
_CHUNKS: Final = "3;x=y\r\nabc\r\n0\r\nTrailer: x\r\n\r\n"
_RAW: Final = [
    _request(
        "POST",
        f"/inference/openai{_CHAT}?api-version=2024-10-21",
        {"api-key": fake_resources.KEY, "Content-Type": "application/json"},
        as_json(_HELLO),
    ).decode(),
    f"POST / {_CLOSING}Transfer-Encoding: chunked\r\n\r\n{_CHUNKS}",
    f"GET /openai/models {_CLOSING}Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
]


@contextmanager
def _raw() -> Iterator[Check]:
    with _data_planes() as (wire, ports, _):

        def check(case: str) -> None:
            for status, said in wire.ask(
                ports["gateway"], case.encode("utf-8", errors="surrogatepass")
            ):
                assert status < 500, said

        yield check


# --- policies and expressions ------------------------------------------------------------------


def _listed(text: str) -> list[str]:
    return text.split()


_CSHARP: Final = _listed(r"""
    context context.Request context.Response context.Variables context.Request.Headers Request Url
    .Headers .GetValueOrDefault .Length .Path .Query .ToString() .Substring(1) .Split(",")
    .ToLower() .As<JObject>() .As<string>() ["x"] ["attempts"] [0] [ ] ( ) . ?. , ; ? : ?? => + - *
    / % ! ~ == != < > <= >= && || & | ^ << >> = += ++ "text" 'c' @"a""b" $"{1}" $"{ 1 1.5 1e3 0x1F
    99999999999 1L 2m true false null (int) (string) (double) (object) int string bool double var
    new JObject JArray return if else foreach in while for try catch break continue { } x y _ is
    string.IsNullOrEmpty int.Parse Math.Max Math.Min Convert.ToInt32 DateTime.UtcNow Guid.NewGuid()
    TimeSpan.FromSeconds(1) System.Math Regex.IsMatch List<string> Dictionary<string,string> as out
    __class__ typeof // /* */ \ @ # $ ` é
""")
_STATEMENTS: Final = [
    "return 1;",
    'var x = 1; if (x > 0) { return "a"; } else { return "b"; }',
    'var body = context.Request.Body.As<JObject>(); return (string)body["model"];',
    'foreach (var x in "a,b".Split(",")) { return x; } return "";',
]
_EXPRESSIONS: Final = [
    "context.Response == null || context.Response.StatusCode >= 500",
    '(int)context.Variables["attempts"] + 1',
    'context.Request.Headers.GetValueOrDefault("X-One", "").Split(\',\')[0].Trim() ?? "none"',
    '$"{context.Request.Method} {context.Request.Url.Path}"',
    'context.Request.Url.Query.GetValueOrDefault("a", "b").Contains("x") ? 1 : 2',
]


def _run_expression(case: tuple[bool, str]) -> None:
    block, source = case
    compiler = expressions.compile_block if block else expressions.compile_expression
    try:
        compiled = compiler(source)
    except expressions.ExpressionError as error:
        assert 1 <= error.line <= source.count("\n") + 2
        assert len(error.message) < 2000
        return
    try:
        result = compiled.run(context(b'{"model": "a", "n": [1, 2.5, null]}'))
    except ProxyError:
        return
    assert len(expressions.to_string(result)) < 10_000_000


_SECTIONS: Final = ("inbound", "backend", "outbound", "on-error", "policies", "fragment")
_ELEMENTS: Final = _listed("""
    base choose when otherwise retry forward-request set-backend-service set-header value
    set-variable set-body set-query-parameter return-response set-status rewrite-uri trace
    authentication-managed-identity rate-limit rate-limit-by-key quota azure-openai-token-limit
    llm-token-limit azure-openai-emit-token-metric dimension check-header validate-jwt
    validate-azure-ad-token include-fragment cache-lookup cache-store limit-concurrency wait
    send-request mock-response cors allowed-origins origin find-and-replace ip-filter x
""")
_ATTRIBUTES: Final = _listed("""
    name value condition count interval first-fast-retry timeout buffer-request-body exists-action
    backend-id base-url template code reason calls renewal-period counter-key tokens-per-minute
    estimate-prompt-tokens resource output-token-variable-name ignore-error fragment-id
    failed-check-httpcode failed-check-error-message ignore-case x
""")
_ATTRIBUTE_VALUES: Final = [
    *("1", "0", "-1", "true", "override", "pool", "@(true)", "@(1)", "60", "{{x}}", "PT1M", "%"),
    *(f"@({text})" for text in _EXPRESSIONS),
    *(text for text in ODD_TEXTS if text.isprintable()),
]
_PIECES: Final = [
    *(f"<{name}>" for name in _ELEMENTS),
    *(f"</{name}>" for name in _ELEMENTS),
    *(f"<{name}/>" for name in _ELEMENTS),
]


def _nested(rng: Random) -> str:
    """A section with well-nested elements."""
    root = etree.Element("policies")
    parents = [etree.SubElement(root, rng.choice(_SECTIONS))]
    for _ in range(rng.randint(1, 6)):
        element = etree.SubElement(rng.choice(parents), rng.choice(_ELEMENTS))
        for _ in range(rng.randrange(4)):
            element.set(rng.choice(_ATTRIBUTES), rng.choice(_ATTRIBUTE_VALUES))
        if rng.random() < 0.3:
            element.text = rng.choice(_ATTRIBUTE_VALUES)
        parents.append(element)
    return etree.tostring(root, encoding="unicode")


def _policy_case(rng: Random) -> str:
    match rng.randrange(4):
        case 0:
            return f"<policies>{''.join(words(rng, _PIECES))}</policies>"
        case 1:
            return spliced(rng, POLICY)
        case _:
            return _nested(rng)


def _expression_case(rng: Random) -> tuple[bool, str]:
    match rng.randrange(3):
        case 0:
            return rng.random() < 0.5, " ".join(words(rng, _CSHARP))
        case 1:
            return False, spliced(rng, *_EXPRESSIONS)
        case _:
            return True, spliced(rng, *_STATEMENTS)


class _Services:
    """A gateway whose backends never answer, and that does not wait."""

    def __init__(self) -> None:
        self.limits = Limits(lambda: 7.5)
        self.cache = Cache(lambda: 7.5)

    async def forward(self, *_: object, **__: object) -> Response:
        raise ProxyError("no backend", source="forward-request", reason="BackendConnectionFailure")

    def identity_token(self, resource: str, client_id: str | None = None) -> str:
        return f"token for {resource}"

    def entra_claims(self, token: str) -> Mapping[str, Any]:
        return {"aud": token, "roles": ["reader"], "exp": 10**10}

    def now(self) -> float:
        return 1.8e9

    async def sleep(self, _: float) -> None:
        return


_LIBRARY: Final = Library(
    named_values={"x": "a value"},
    fragments={"x": '<fragment><set-variable name="x" value="1" /></fragment>'},
)


@contextmanager
def _policy() -> Iterator[Check]:
    def check(document: str) -> None:
        try:
            policy = compile_policy(document, library=_LIBRARY)
        except PolicyError as error:
            assert 1 <= error.line <= document.count("\n") + 2
            return
        exchange = context()
        exchange.services = _Services()
        for section in (policy.inbound, policy.backend, policy.outbound, policy.on_error):
            try:
                runner.run(section(exchange))
            except (ProxyError, ReturnedResponse):
                continue

    with asyncio.Runner() as runner:
        yield check


# --- a stack's file ----------------------------------------------------------------------------

_PROJECT: Final = "name: a\nruntime: python\n"
_STACK_FILE: Final = """config:
  a:text: one
  a:list: [1, {b: null}]
  a:secret: {secure: AAABAExx}
  azure-native:location: uksouth
"""


@contextmanager
def _stack_file() -> Iterator[Check]:
    with tempfile.TemporaryDirectory() as folder:
        project, stack = Path(folder, "Pulumi.yaml"), Path(folder, "Pulumi.dev.yaml")

        def check(case: tuple[str, str]) -> None:
            for path, content in zip((project, stack), case, strict=True):
                path.write_bytes(utf8(content))
            try:
                stack_config.load(Path(folder), "dev", stack)
            except stack_config.ConfigError as error:
                assert str(error)

        yield check


def plain(check: Check) -> Callable[[], AbstractContextManager[Check]]:
    """Open what keeps nothing from one case to the next."""

    @contextmanager
    def opened() -> Iterator[Check]:
        yield check

    return opened


def utf8(value: str) -> bytes:
    """Encode a text as it is, lone surrogates as well."""
    return value.encode("utf-8", errors="surrogatepass")


TARGETS: Final = (
    Target(name="resource-manager", make=_arm_case, open=_resource_manager, share=26),
    Target(name="token", make=_token_case, open=_token, share=3),
    Target(name="policy", make=_policy_case, open=_policy, share=18),
    Target(name="expression", make=_expression_case, open=plain(_run_expression), share=24),
    Target(name="gateway", make=data_case, open=lambda: gateway_with(POLICY), share=10),
    Target(name="gateway-bytes", make=lambda rng: spliced(rng, *_RAW), open=_raw, share=9),
    Target(name="region", make=data_case, open=_region, share=5),
    Target(
        name="stack-file",
        make=lambda rng: (spliced(rng, _PROJECT), spliced(rng, _STACK_FILE)),
        open=_stack_file,
        share=5,
    ),
)
