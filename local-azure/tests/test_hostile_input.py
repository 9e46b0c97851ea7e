"""What is sent to break a server is refused as any mistake is, and soon."""

import json

import httpx
import pytest
from arm_server import API, BACKEND, GROUP, LEAST, POLICY, SERVICE, version_of

from local_azure.gateway import expressions
from local_azure.gateway.expressions import ExpressionError, members, statics
from local_azure.gateway.markup import MAX_CHARACTERS
from local_azure.gateway.policy import compile_policy
from local_azure.identity import authorization
from local_azure.resource_manager import content
from local_azure.server import Options, running

# No time is asserted: a case that takes long stops the run here, with a stack.
pytestmark = pytest.mark.timeout(20)


@pytest.fixture(scope="module")
def azure(tmp_path_factory):
    """A client of the whole local Azure, with a service and an API."""
    options = Options(port=0, provisioning_seconds=0)
    state = tmp_path_factory.mktemp("azure")
    with (
        running(state, options) as endpoint,
        httpx.Client(base_url=endpoint, trust_env=False, timeout=20) as client,
    ):
        client.headers.update(authorization(state))
        for path in (GROUP, SERVICE, BACKEND, API):
            put(client, path, LEAST[path]).raise_for_status()
        yield client


def put(client, path, body):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    params = {"api-version": version_of(path)}
    return client.put(path, params=params, content=data, headers=headers)


# --- policies ----------------------------------------------------------------------------------


def policy(inbound="", before=""):
    sections = "<backend/><outbound/><on-error/>"
    return f"{before}<policies><inbound>{inbound}</inbound>{sections}</policies>"


def nested(count):
    return '<choose><when condition="@(true)">' * count + "</when></choose>" * count


def value(expression):
    return policy(f'<set-variable name="x" value="@({expression})"/>')


_LAUGHS = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(9))
_DTD = "A policy has no document type declaration"
POLICIES = {
    "billion laughs": (
        policy("&e9;", f'<!DOCTYPE p [<!ENTITY e0 "ha">{_LAUGHS}]>'),
        _DTD,
    ),
    "quadratic blow-up": (
        policy("&a;" * 10_000, f'<!DOCTYPE p [<!ENTITY a "{"a" * 50_000}">]>'),
        _DTD,
    ),
    "external entity": (
        policy("&x;", '<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/hosts">]>'),
        _DTD,
    ),
    "parameter entity": (
        policy(before='<!DOCTYPE p [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x">%x;]>'),
        _DTD,
    ),
    "external document type": (policy(before='<!DOCTYPE p SYSTEM "http://127.0.0.1:1/x">'), _DTD),
    "small document type": (policy(before="<!doctype p>"), "not well-formed"),
    "undeclared entity": (policy("&x;"), "Entity 'x' not defined"),
    "instruction before": (policy(before='<?xml-stylesheet href="x"?>'), "Only elements"),
    "instruction after": (f"{policy()}<?x y?>", "Only elements"),
    "instruction within": (policy("<?x y?>"), "Only elements"),
    "another encoding": (
        policy(before='<?xml version="1.0" encoding="UTF-16"?>'),
        "not well-formed",
    ),
    "include": (
        policy('<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="file:///etc/hosts"/>'),
        "include",
    ),
    "nested elements": (policy(nested(3000)), "Excessive depth"),
    "elements without end": ("<a>" * 60_000, "Excessive depth"),
    "comments without end": ("<!--" * 60_000, "not well-formed"),
    "CDATA without end": (policy("<![CDATA[" * 20_000), "not well-formed"),
    "expressions without end": (policy('<a b="@(' * 30_000), "The expression does not end"),
    "expressions without number": (policy('<a b="@(1)"/>' * 15_000), "Error in element 'a'"),
    "attributes without number": (
        policy("<set-variable " + " ".join(f"a{n}='1'" for n in range(20_000)) + "/>"),
        "Error in element 'set-variable': more attributes than any has",
    ),
    "huge attribute": (policy(f'<x y="{"a" * 250_000}"/>'), "Error in element 'x'"),
    "huge document": (policy(" " * MAX_CHARACTERS), f"longer than {MAX_CHARACTERS} characters"),
    "character NUL": (policy("&#0;"), "invalid xmlChar"),
    "surrogate": (policy('<set-variable name="x" value="&#xD800;"/>'), "invalid xmlChar"),
    "no character": (policy("&#99999999999999999999;"), "out of bounds"),
    "control character": (policy("\x01"), "invalid Char"),
    "negations": (value("!" * 20_000 + "true"), "nested"),
    "sums": (value("1+" * 40_000 + "1"), "nested"),
    "conditions": (value("true?1:" * 5_000 + "1"), "nested"),
    "casts": (value("(int)" * 20_000 + "1"), "nested"),
    "quotes": (value('"\\' * 60_000), "does not end"),
    "a number without end": (value("9" * 100_000), "999"),
}


@pytest.mark.parametrize(("document", "said"), POLICIES.values(), ids=POLICIES)
def test_a_policy_that_would_harm_its_reader_is_refused(azure, document, said):
    refused = put(azure, POLICY, {"properties": {"format": "rawxml", "value": document}})
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["code"] == "ValidationError"
    assert said in error["details"][0]["message"]
    assert len(refused.content) < 5000


def test_parentheses_cost_nothing(azure):
    document = value("(" * 5_000 + "1" + ")" * 5_000)
    taken = put(azure, POLICY, {"properties": {"format": "rawxml", "value": document}})
    assert taken.status_code in (200, 201)


def test_a_policy_may_have_a_declaration_and_comments_and_some_depth():
    compile_policy(policy(nested(40), '<?xml version="1.0"?><!-- <!DOC --><!-- 2 -->'))


# --- bodies ------------------------------------------------------------------------------------


def credentials(text):
    """A backend with any JSON where any is allowed."""
    return (
        b'{"properties": {"protocol": "http", "url": "https://x.example", "credentials": %s}}'
        % (text)
    )


def deep(count, opening, closing):
    return credentials(opening * count + b"1" + closing * count)


BODIES = {
    "arrays without end": b"[" * 1_000_000,
    "objects without end": b'{"a":' * 500_000,
    "arrays too deep": deep(80, b"[", b"]"),
    "arrays far too deep": deep(990, b"[", b"]"),
    "objects too deep": deep(80, b'{"a":', b"}"),
    "objects at Python's limit": deep(970, b'{"a":', b"}"),
    "a huge number": credentials(b"9" * 5000),
    "a large number": credentials(b"9" * 20),
    "a number beyond a double": credentials(b"1e999"),
    "minus infinity": credentials(b"-1e999"),
    "NaN": credentials(b"NaN"),
    "Infinity": credentials(b"-Infinity"),
    "a name twice": b'{"location": "uksouth", "location": "eastus"}',
    "a name twice, deep within": credentials(b'[{"a": 1, "b": 2, "a": 3}]'),
    "NUL in a text": credentials(b'"a\\u0000b"'),
    "NUL in a name": credentials(b'{"a\\u0000b": 1}'),
    "half a surrogate pair": credentials(b'"\\ud800"'),
    "half a surrogate pair in a name": credentials(b'{"\\udfff": 1}'),
    "a surrogate as bytes": credentials(b'"\xed\xa0\x80"'),
    "no UTF-8": credentials(b'"\xff"'),
    "a control character": credentials(b'"\x01"'),
    "two documents": b"{} {}",
    "a comment": b"{} // x",
    "nothing": b"",
    "NUL": b"\x00",
    "UTF-16": '{"location": "\ud800"}'.encode("utf-16", errors="surrogatepass"),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_two_readers_could_read_differently_is_refused(azure, body):
    refused = put(azure, BACKEND, body)
    assert refused.status_code == 400, refused.text
    error = refused.json()["error"]
    assert error["code"] == "InvalidRequestContent"
    assert error["message"].startswith("The request content was invalid")
    assert len(refused.content) < 5000


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (b"9223372036854775807", 2**63 - 1),
        (b"-1.5e300", -1.5e300),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        ('"\U0001f600"'.encode(), "\U0001f600"),
        (b"[" * 30 + b"]" * 30, json.loads("[" * 30 + "]" * 30)),
    ],
)
def test_what_json_allows_is_read_as_it_is_meant(text, meant):
    assert content.decode(b'{"a": %s}' % text) == {"a": meant}


def test_a_long_value_is_not_repeated_whole(azure):
    refused = put(azure, GROUP, {"location": "x" * 1_000_000})
    assert refused.status_code == 400
    assert len(refused.content) < 5000


@pytest.mark.parametrize("name", ["a%00b", "%ed%a0%80", "a%2fb", "..", "%2e%2e", "a" * 5000])
def test_a_name_in_a_path_that_no_file_could_have_is_refused(azure, name):
    refused = azure.put(
        f"{SERVICE}/backends/{name}", params={"api-version": "2024-05-01"}, json=LEAST[BACKEND]
    )
    assert refused.status_code == 400
    assert refused.json()["error"]["code"]


@pytest.mark.parametrize("body", [b"[" * 100_000, b"{", b"\xff", b'{"latency": 1e999}'])
@pytest.mark.parametrize("charset", ["utf-8", "nonsense", "utf-7"])
def test_a_fault_that_cannot_be_read_is_refused(azure, body, charset):
    headers = {"Content-Type": f"application/json; charset={charset}"}
    refused = azure.put("/_local-azure/faults/foundry1", content=body, headers=headers)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "InvalidFault"


# --- expressions reach no Python object --------------------------------------------------------

MEMBERS = """
    __class__ __dict__ __doc__ __init__ __globals__ __builtins__ __mro__ __subclasses__ __module__
    __reduce__ __getattribute__ __call__ __import__ __code__ __self__ __func__ mro func_globals
    gi_frame f_globals tb_frame GetType Assembly format format_map encode decode join
    getall items keys values pop update clear services forward identity_token tokens clock
    _secret _execute __len__ __str__ services.forward Request.__class__
"""
# Each kind of value that an expression can hold.
VALUES = [
    "context",
    "context.Request",
    "context.Request.Headers",
    "context.Request.Url",
    "context.Request.Url.Query",
    "context.Request.MatchedParameters",
    "context.Request.Body",
    "context.Request.Body.As<JObject>()",
    'context.Request.Body.As<JObject>()["a"]',
    "context.Request.Body.As<JArray>()",
    "context.Response",
    "context.Variables",
    'context.Variables["x"]',
    'context.Variables.GetValueOrDefault<string>("x")',
    '((JObject)context.Variables["x"])',
    "context.Api",
    "context.Operation",
    "context.Product",
    "context.User",
    "context.Subscription",
    "context.Deployment",
    "context.LastError",
    "context.Elapsed",
    "context.RequestId",
    '"text"',
    '$"{1}"',
    "1",
    "1.5",
    "true",
    "((object)1)",
    '"a".Split(",")',
    '"a".Split(",").Select(x => x)',
    '"a".AsJwt()',
    "new JObject()",
    'JToken.Parse("1")',
    'new Uri("http://x")',
    "new List<string>()",
    "new Dictionary<string, string>()",
    "new Random()",
    "DateTime.UtcNow",
    "Guid.NewGuid()",
    "TimeSpan.FromSeconds(1)",
    "Encoding.UTF8",
]
TABLES = [
    members.PROPERTIES,
    members.METHODS,
    members.INDEXERS,
    statics.STATICS,
    statics.STATIC_PROPERTIES,
    statics.CONSTRUCTORS,
]
TYPES = ["string", "int", "Math", "Convert", "DateTime", "Guid", "Encoding", "JObject", "Random"]


@pytest.mark.parametrize("given", [*VALUES, *TYPES])
def test_no_member_is_python_s(given):
    if given in VALUES:
        assert expressions.compile_expression(given)
    for member in MEMBERS.split():
        with pytest.raises(ExpressionError):
            expressions.compile_expression(f"{given}.{member}")
    for use in (f"{given}?.__class__", f"{given}.__class__()", f'{given}["__class__"]()'):
        for refused in (use, f'$"{{{use}}}"', f'"a".Split(",").Select(x => {use})'):
            with pytest.raises(ExpressionError):
                expressions.compile_expression(refused)
        with pytest.raises(ExpressionError):
            expressions.compile_block(f"var x = {use}; return x;")


@pytest.mark.parametrize("table", TABLES)
def test_no_table_has_a_name_of_python_s(table):
    for kind, names in table.items():
        listed = names if isinstance(names, dict) else ()
        assert not [name for name in (kind, *listed) if str(name).startswith("_")]


def test_what_is_not_understood_is_not_repeated_whole():
    with pytest.raises(ExpressionError) as refusal:
        expressions.compile_expression('x"' + "=" * 5000)
    assert len(refusal.value.message) < 300


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "open('/etc/hosts')",
        "eval('1')",
        "exec('1')",
        "globals()",
        "getattr(context, 'services')",
        "type(context)",
        "typeof(string)",
        "new System.IO.FileStream()",
        "System.IO.File.ReadAllText('/etc/hosts')",
        "System.Environment.Exit(1)",
        'Environment.GetEnvironmentVariable("HOME")',
        'Type.GetType("System.String")',
        "context.GetType().Assembly",
        "os.environ",
        "self",
        "builtins",
        "lambda: 1",
        "[c for c in context]",
        "f'{context.__class__}'",
        "context['__class__']",
        "context.Request['services']",
        "string.__class__",
        "int.__subclasses__()",
        "unsafe { }",
        "@context",
        'context.Variables.__setitem__("a", 1)',
    ],
)
def test_no_name_is_python_s(text):
    with pytest.raises(ExpressionError):
        expressions.compile_expression(text)


@pytest.mark.parametrize("name", ["__class__", "services", "0", "{0.__class__}", "%(x)s", "{x}"])
def test_a_key_is_only_a_key(azure, name):
    """An index looks a name up among what is there; it is no way to a member, nor is a format."""
    expression = f'context.Variables.ContainsKey("{name}")'
    assert expressions.compile_expression(expression).type == "bool"
    document = policy(
        '<return-response><set-body>@("{0.__class__} %(x)s {x}".Replace("a", "{0}"))</set-body>'
        "</return-response>"
    )
    assert compile_policy(document)
