"""Each entry of the tables that expressions are looked up in, with values of each kind and null."""

from itertools import product

import pytest
from expression_context import context

from local_azure.gateway.exchange import LastError, Response
from local_azure.gateway.expressions import (
    EvaluationError,
    ExpressionError,
    compile_block,
    compile_expression,
)
from local_azure.gateway.expressions.members import (
    INDEXERS,
    METHODS,
    OBJECT_METHODS,
    PROPERTIES,
    generic_method,
)
from local_azure.gateway.expressions.queries import QUERIES
from local_azure.gateway.expressions.statics import CONSTRUCTORS, STATIC_PROPERTIES, STATICS
from local_azure.gateway.expressions.types import Method
from local_azure.gateway.expressions.values import RUNTIME_TYPES

JSON = 'JObject.Parse("{\\"a\\": [1, \\"x\\", null], \\"b\\": {\\"c\\": true}}")'
# What gives a value of a type, and null where that is possible.
VALUES = {
    "string": ['""', '"a"', '"1.5"', '"{0}"', '"x-One"', '"UTF8"', "context.LastError?.Reason"],
    "int": ["0", "-1", "2", "int.MaxValue", "context.Response?.StatusCode"],
    "long": ["0L", "-1L", "long.MaxValue"],
    "double": ["0.5", "double.MaxValue", "0.0 / 0.0", "1 / 0.0"],
    "Backend": ["context.Backend"],
    "bool": ["true", 'context.Response?.Headers.ContainsKey("a")'],
    "object": ["(object)1", "(object)null", '(object)"a"', f"(object){JSON}", "(object)true"],
    "Guid": ["Guid.Empty"],
    "DateTime": ["DateTime.MinValue", "DateTime.MaxValue", "DateTime.UtcNow"],
    "DateTimeOffset": ["DateTimeOffset.UtcNow", "DateTimeOffset.MinValue"],
    "TimeSpan": ["TimeSpan.Zero", "TimeSpan.FromDays(1.5)", "context.Elapsed"],
    "JToken": [f'{JSON}["a"]', f'{JSON}["a"][1]', f'{JSON}["a"][2]', f'{JSON}["nope"]'],
    "JObject": [JSON, "new JObject()", "(JObject)null"],
    "JArray": ['JArray.Parse("[1, \\"x\\", null]")', "new JArray()", "(JArray)null"],
    "JValue": [f'(JValue){JSON}["a"][0]', "(JValue)null"],
    "JProperty": [f'{JSON}.Property("a")', 'new JProperty("a", 1)', f'{JSON}.Property("x")'],
    "JTokenType": ["JTokenType.Null"],
    "Formatting": ["Formatting.None", "Formatting.Indented"],
    "StringComparison": ["StringComparison.Ordinal", "StringComparison.OrdinalIgnoreCase"],
    "StringSplitOptions": ["StringSplitOptions.RemoveEmptyEntries"],
    "string[]": ['new [] { "a", "b" }', "new string[0]", "new string[] { null }"],
    "byte[]": ['Encoding.UTF8.GetBytes("a")', "new byte[0]"],
    "IEnumerable<object>": ["new [] { 1, 2 }", "new List<string>()", JSON],
    "IEnumerable<T>": ["new [] { 1, 2 }", "new List<int> { 3 }"],
    "T": ["1", "-1"],
    "K": ['"a"', '"nope"', "context.LastError?.Reason"],
    "V": ["1"],
    "Context": ["context"],
    "Request": ["context.Request"],
    "Response": ["context.Response"],
    "Url": ["context.Request.Url"],
    "Uri": ['new Uri("https://a.b/c?d")'],
    "LastError": ["context.LastError"],
    "Api": ["context.Api"],
    "Operation": ["context.Operation"],
    "Product": ["context.Product"],
    "User": ["context.User"],
    "Subscription": ["context.Subscription"],
    "Deployment": ["context.Deployment"],
    "Gateway": ["context.Deployment.Gateway"],
    "Headers": ["context.Request.Headers"],
    "Query": ["context.Request.Url.Query"],
    "Values": ["context.Request.MatchedParameters"],
    "Variables": ["context.Variables"],
    "Body": ["context.Request.Body", "context.Response.Body"],
    "Jwt": ['"e30.eyJhIjoiYiIsImV4cCI6MX0.x".AsJwt()', '"x".AsJwt()', '"e30.e30.".AsJwt()'],
    "Claims": ['"e30.eyJhIjoiYiJ9.x".AsJwt().Claims'],
    "Basic": ['"Basic YTpi".AsBasic()'],
    "Encoding": ["Encoding.UTF8"],
    "SHA256": ["SHA256.Create()"],
    "HMACSHA256": ["new HMACSHA256(new byte[4])"],
    "Random": ["new Random(1)"],
    "Exception": ['new Exception("a")'],
    "[]": ["new [] { 1, 2 }"],
    "List": ["new List<int> { 1 }"],
    "HashSet": ["new HashSet<int> { 1 }"],
    "Dictionary": ['new Dictionary<string, int> { { "a", 1 } }'],
    "KeyValuePair": ['new Dictionary<string, int> { { "a", 1 } }.First()'],
}
EXCHANGES = (
    {"body": b'{"a": 1}'},
    {
        "body": b"[1]",
        "response": Response(status=200, body=b"\xff{"),
        "last_error": LastError(source="s", reason=None, message="m", section="inbound"),
    },
)
MOST = 5  # combinations of one entry's arguments


def overloads(entry) -> tuple[Method, ...]:
    return entry if isinstance(entry, tuple) else (entry,)


def calls(entry):
    """Give the arguments of a method, in text: with and without what may be left out."""
    for method in overloads(entry):
        parameters = method.parameters
        least = sum(not each.optional for each in parameters)
        for count in range(least, len(parameters) + 1):
            kinds = [
                [f"out var o{place}"] if each.out else VALUES[each.type]
                for place, each in enumerate(parameters[:count])
            ]
            yield from spread(product(*kinds))
        if method.rest:
            required = [VALUES[each.type] for each in parameters]
            for count in range(3):
                yield from spread(product(*required, *[VALUES[method.rest]] * count))


def spread(combinations):
    """Give some of the combinations, from all over."""
    found = list(combinations)
    yield from map(", ".join, found[:: max(1, len(found) // MOST)])


def members_of_values():
    for kind, names in PROPERTIES.items():
        for value, name in product(VALUES[kind], names):
            yield f"({value}).{name}"
    for kind, names in METHODS.items():
        for value, (name, entry) in product(VALUES[kind], names.items()):
            yield from (f"({value}).{name}({given})" for given in calls(entry))
    for name, entry in OBJECT_METHODS.items():
        for kind in ("string", "int", "double", "bool", "object", "Guid", "JToken", "string[]"):
            for value, given in product(VALUES[kind], calls(entry)):
                yield f"({value}).{name}({given})"
    for kind, (key, _, _) in INDEXERS.items():
        for value, at in product(VALUES[kind], VALUES[key]):
            yield f"({value})[{at}]"


GENERIC = {"List": "List<int>", "HashSet": "HashSet<int>", "Dictionary": "Dictionary<string,int>"}


def members_of_types():
    for kind, names in STATICS.items():
        for name, entry in names.items():
            yield from (f"{kind}.{name}({given})" for given in calls(entry))
    for kind, names in STATIC_PROPERTIES.items():
        yield from (f"{kind}.{name}" for name in names)
    for kind, entry in CONSTRUCTORS.items():
        yield from (f"new {GENERIC.get(kind, kind)}({given})" for given in calls(entry))


COLLECTIONS = (
    "new [] { 1, 2 }",
    'new string[] { null, "a" }',
    "new List<int>()",
    JSON,
    f'{JSON}["a"]',
    f'{JSON}["b"]',
    f'{JSON}["a"][0]',
    "context.Request.Headers",
)
LAMBDAS = ("x => true", "x => x", "x => x.ToString()", "x => null", "x => 0 / 0")
ARGUMENTS = ("1", "-1", "99", "context.Response?.StatusCode", '"a"', "null")


def queries_of_collections():
    for values, (name, query) in product(COLLECTIONS, QUERIES.items()):
        for given in (*(LAMBDAS if query.is_lambda else ARGUMENTS), ""):
            yield f"({values}).{name}({given})"


def generic_calls():
    kinds = ("Body", "JToken", "JObject", "JArray", "JValue")
    for kind, name, wanted in product(kinds, ("As", "Value", "ToObject", "Values"), RUNTIME_TYPES):
        if generic_method(kind, name, wanted):
            for value, given in product(VALUES[kind][:3], ("", "0")):
                yield f"({value}).{name}<{wanted}>({given})"


SCALARS = [
    value
    for kind in ("string", "int", "long", "double", "bool", "object", "JToken", "DateTime")
    for value in (VALUES[kind][0], VALUES[kind][-1])
]


def operators():
    for operator in ("+", "-", "/", "==", "<", "&&", "??"):
        for one, other in product(SCALARS, SCALARS):
            yield f"({one}) {operator} ({other})"
    for kind, value in product(RUNTIME_TYPES, SCALARS):
        name = {"Response": "IResponse"}.get(kind, kind)
        yield f"({name})({value})"
        yield f"({value}) as {name}"
    for form in ("", "D3", "F1", "N0", "X", "x9", "0.0", "o", "Q", "yyyy", "'"):
        yield from (f'$"{{{value}:{form}}}"' for value in SCALARS if '"' not in value)
        yield f'DateTime.UtcNow.ToString("{form}")'


@pytest.mark.parametrize(
    ("sources", "least"),
    [
        (members_of_values, 1500),
        (members_of_types, 500),
        (queries_of_collections, 500),
        (generic_calls, 200),
        (operators, 1000),
    ],
)
def test_each_entry_evaluates_or_fails_as_dotnet_does(sources, least):
    evaluated = 0
    for source in sources():
        try:
            compiled = compile_expression(source)
        except ExpressionError:
            # What is made here does not always fit a collection's elements, or an operator.
            continue
        for settings in EXCHANGES:
            evaluated += 1
            try:
                value = compiled.run(context(**settings))
            except EvaluationError:
                continue
            except Exception as error:  # noqa: BLE001 - told with its source
                pytest.fail(f"{source}: {error!r}")
            wanted = RUNTIME_TYPES.get(compiled.type)
            if wanted in (str, int, float, bool) and value is not None:
                assert isinstance(value, wanted), f"{source} is {value!r}"
    assert evaluated > least


def test_each_setter_and_adder_takes_what_it_should_or_fails_as_dotnet_does():
    for kind, target in (
        ("JObject", JSON),
        ("JArray", 'JArray.Parse("[1]")'),
        ("List<int>", "new List<int> { 1 }"),
        ("Dictionary<string, int>", "new Dictionary<string, int>()"),
        ("string[]", "new string[1]"),
    ):
        for key in (*VALUES["string"], *VALUES["int"]):
            for value in ("1", '"a"', "null", JSON, "context.LastError?.Reason"):
                source = f"{kind} x = {target}; x[{key}] = {value}; return x.ToString();"
                try:
                    compile_block(source).run(context())
                except (ExpressionError, EvaluationError):
                    continue
