import sys
from contextlib import suppress
from pathlib import Path

import lark
import pytest
from expression_context import context, evaluate
from hypothesis import given
from hypothesis import strategies as st

from local_azure.gateway.exchange import LastError, Response
from local_azure.gateway.expressions import (
    EvaluationError,
    ExpressionError,
    compile_expression,
    parser,
)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        # literals
        ("1", 1),
        ("2147483647", 2147483647),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        (r'"a\"b\\\n\u0041"', 'a"b\\\nA'),
        ('@"a\\""b"', 'a\\"b'),
        ("'.'", "."),
        # precedence and associativity
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 4 - 3", 3),
        ("true || false && false", True),
        ("1 + 1 == 2 && 3 > 2", True),
        ("!true == false", True),
        ('false ? "a" : true ? "b" : "c"', "b"),
        ('null ?? null ?? "x"', "x"),
        ("1-1", 0),
        ("- -1", 1),
        # C#'s arithmetic
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("-7 % 3", -1),
        ("7.0 / 2", 3.5),
        ("2147483647 + 1", -2147483648),
        ("65536 * 65536", 0),
        ("(int)3.9", 3),
        ("(double)3", 3.0),
        ("1 < 1.5", True),
        ("2 == 2.0", True),
        # text
        ('"a" + 1 + true + null + 1.0', "a1True1"),
        ('1 + 2 + "a"', "3a"),
        ('"abc".ToUpper() + "DEF".ToLowerInvariant()', "ABCdef"),
        ("\"a.b.c\".Split('.')[1]", "b"),
        ('"a.b.c".Split(".").Length', 3),
        ('"foundry1".Substring(7)', "1"),
        ('"foundry1".Substring(0, 3)', "fou"),
        ('"abcabc".Replace("b", "")', "acac"),
        ('"abc".IndexOf("c")', 2),
        ('"abc".Contains("bc") && "abc".StartsWith("a") && !"abc".EndsWith("a")', True),
        ('" a ".Trim().Length', 1),
        ('"a".Equals(null)', False),
        ('string.IsNullOrEmpty("") && String.IsNullOrWhiteSpace(" ")', True),
        ('int.Parse(" 42 ") + 1', 43),
        ("(1 == 1).ToString()", "True"),
        # context
        ("context.Request.Url.Host", "foundry1-x.openai.azure.com"),
        ("context.Request.Url.Path", "/openai/models"),
        ("context.Request.Url.Port", 443),
        ("context.Request.Url.Scheme", "https"),
        ("context.Request.Url.QueryString", "?api-version=1&a=x&a=y"),
        ('context.Request.Url.Query.GetValueOrDefault("a", "")', "x,y"),
        ('context.Request.Url.Query["a"][1]', "y"),
        ("context.Request.OriginalUrl.Path", "/inference/openai/models"),
        ("context.Request.Method", "POST"),
        ("context.Request.IpAddress", "127.0.0.1"),
        ('context.Request.Headers.GetValueOrDefault("x-many", "")', "a,b"),
        ('context.Request.Headers.GetValueOrDefault("nope", "default")', "default"),
        ('context.Request.Headers.GetValueOrDefault("nope") ?? "none"', "none"),
        ('context.Request.Headers["X-One"][0]', "1"),
        ('context.Request.Headers.ContainsKey("X-ONE")', True),
        ('context.Request.MatchedParameters["deployment-id"]', "chat"),
        ("context.Api.Path", "inference/openai"),
        ("context.Operation.Id", "chat"),
        ("context.Deployment.Region", "UK South"),
        ("context.RequestId.ToString()", "the-id"),
        ("context.Elapsed.TotalMilliseconds", 2500.0),
        ("context.LastError == null", True),
        ('context.Subscription?.Id ?? "none"', "none"),
        ("context.Subscription?.Id.Length ?? 7", 7),
        ('context.Subscription?.Id.ToUpper().Substring(3) ?? "none"', "none"),
        # variables
        ('(int)context.Variables["attempts"] + 1', 3),
        ('((int)context.Variables["attempts"]).ToString()', "2"),
        ('context.Variables.GetValueOrDefault<int>("attempts", 0) + 1', 3),
        ('context.Variables.GetValueOrDefault<int>("nope", 7)', 7),
        ('context.Variables.GetValueOrDefault<int>("nope")', 0),
        ('context.Variables.GetValueOrDefault<string>("nope")', None),
        ('context.Variables.GetValueOrDefault("nope", "text")', "text"),
        ('context.Variables.ContainsKey("attempts")', True),
        ('context.Variables["name"] == "x"', True),
        ('context.Variables["truth"] == 1', False),
        # white space and comments
        ("1 // one\n + /* two */ 1", 2),
    ],
)
def test_values(source, value):
    result = evaluate(source)
    assert result == value
    assert type(result) is type(value)


RETRY = (
    "context.Response == null || context.Response.StatusCode == 429"
    " || context.Response.StatusCode >= 500"
)


@pytest.mark.parametrize(
    ("response", "again"),
    [(None, True), (200, False), (404, False), (429, True), (499, False), (500, True), (503, True)],
)
def test_the_programs_retry_condition(response, again):
    given_response = None if response is None else Response(status=response)
    assert evaluate(RETRY, response=given_response) is again


def test_an_error_is_readable():
    error = LastError(source="forward-request", reason="Timeout", message="late", section="backend")
    source = 'context.LastError.Section == "backend" && context.LastError.Reason == "Timeout"'
    assert evaluate(source, last_error=error) is True


def test_only_the_side_that_decides_is_evaluated():
    assert evaluate("true || context.Response.StatusCode == 1") is True
    assert evaluate("false && context.Response.StatusCode == 1") is False
    assert evaluate("true ? 1 : context.Response.StatusCode") == 1
    assert evaluate("1 ?? context.Response.StatusCode") == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("context.Response.StatusCode", "Object reference not set to an instance of an object."),
        ("context.LastError.Reason.Length", "Object reference not set"),
        ('(context.Response?.Headers).ContainsKey("a")', "Object reference not set"),
        ("context.Response?.StatusCode > 5 ? 1 : 1 / 0", "Attempted to divide by zero."),
        ('(string)context.Variables["attempts"]', "'System.Int32' to type 'System.String'"),
        ('(int)context.Variables["truth"]', "'System.Boolean' to type 'System.Int32'"),
        ('context.Variables["nope"]', "The given key 'nope' was not present in the dictionary."),
        ('context.Variables.GetValueOrDefault<int>("name", 1)', "Unable to cast"),
        ('context.Request.Headers["nope"]', "was not present"),
        ("1 % (1 - 1)", "divide by zero"),
        ("\"abc\".Split('b')[2]", "Index was outside the bounds of the array."),
        ('"abc".Substring(2, 5)', "must refer to a location within the string"),
        ('"abc".Replace("", "x")', "cannot be of zero length"),
        ('int.Parse("4O")', "Input string was not in a correct format."),
        ('int.Parse("99999999999")', "too large or too small for an Int32"),
        ("int.Parse(context.LastError?.Reason)", "Value cannot be null."),
        ('"a".Contains(context.LastError?.Reason)', "Value cannot be null."),
        ('!context.Response?.Headers.ContainsKey("a")', "Nullable object must have a value."),
    ],
)
def test_failures_are_dotnets_and_jump_to_on_error(source, message):
    with pytest.raises(EvaluationError) as failure:
        evaluate(source)
    assert message in failure.value.message
    assert failure.value.reason == "ExpressionValueEvaluationFailure"


@pytest.mark.parametrize(
    ("source", "message", "line"),
    [
        ("context.Foo", "context has no 'Foo'", 1),
        ("context\n.Request\n.Foo", "'Request' has no 'Foo' in the local Azure, which knows", 3),
        ("context.Subscription.PrimaryKey", "'Subscription' has no 'PrimaryKey'", 1),
        ("foo", "The name 'foo' does not exist in the current context", 1),
        ("context.__class__", "context has no '__class__'", 1),
        ("context.Request.Url.__init__.__globals__", "'Url' has no '__init__'", 1),
        ('"a".format(context)', "'string' has no 'format'", 1),
        ("context.services", "context has no 'services'", 1),
        ("1 +", "the end of the expression was not expected", 1),
        ("", "the end of the expression was not expected", 1),
        ("new Foo()", "'Foo' was not expected", 1),
        ("x => x", "'=>' was not expected", 1),
        ("1 ` 2", "'`' was not expected", 1),
        ('"unclosed', "was not expected", 1),
        ("1 2", "'2' was not expected", 1),
        ('"a" && true', "Operator '&&' cannot be applied to operands of type 'string'", 1),
        ('1 == "a"', "Operator '==' cannot be applied", 1),
        ('"a" < "b"', "Operator '<' cannot be applied", 1),
        ("true + 1", "Operator '+' cannot be applied", 1),
        ('context.Variables["attempts"] + 1', "'object' and 'int'", 1),
        ("!1", "Operator '!' cannot be applied", 1),
        ('-"a"', "Operator '-' cannot be applied", 1),
        ("1 ? 2 : 3", "Operator '?:' cannot be applied", 1),
        ('true ? 2 : "3"', "Operator '?:' cannot be applied", 1),
        ("(string)1", "Cannot convert type 'int' to 'string'", 1),
        ("1[0]", "Cannot apply indexing", 1),
        ('"a"["b"]', "Cannot convert from 'string' to 'int'", 1),
        ('"a".Substring()', "No overload for method 'Substring' takes 0 arguments", 1),
        ('"a".Substring("b")', "Substring: cannot convert from 'string' to 'int'", 1),
        ("context.ToString()", "context has no 'ToString'", 1),
        ('context.Request.GetValueOrDefault<int>("a")', "has no 'GetValueOrDefault<int>'", 1),
        ('context.Variables.GetValueOrDefault<int>("a", "b")', "from 'string' to 'int'", 1),
        ("int.MaxValue()", "'int' has no 'MaxValue'", 1),
        ("99999999999999999999", "does not fit a long", 1),
        (r'"\q"', r"unrecognized escape sequence \q", 1),
        ("!" * 500 + "true", "nested more than 100 deep", 1),
    ],
)
def test_what_is_unknown_or_wrong_is_refused_when_it_is_compiled(source, message, line):
    with pytest.raises(ExpressionError) as refusal:
        compile_expression(source)
    assert message in refusal.value.message
    assert refusal.value.line == line


@pytest.mark.parametrize("source", ["-" * 4_000 + "1", "1" + "+1" * 4_000])
def test_a_deep_expression_is_refused_without_a_deep_stack(source):
    with pytest.raises(ExpressionError, match="nested"):
        compile_expression(source)


def test_parentheses_alone_are_no_depth():
    assert evaluate("(" * 4_000 + "1" + ")" * 4_000) == 1


def test_text_cannot_grow_without_end():
    long = "x" * 600_000
    with pytest.raises(EvaluationError, match="longer than"):
        evaluate(
            '(string)context.Variables["t"] + (string)context.Variables["t"]', variables={"t": long}
        )
    with pytest.raises(EvaluationError, match="longer than"):
        evaluate('((string)context.Variables["t"]).Replace("x", "yyy")', variables={"t": long})


fragments = st.sampled_from(
    [
        "context",
        ".",
        "?.",
        "Request",
        "Response",
        "Url",
        "Host",
        "Variables",
        "[",
        "]",
        "(",
        ")",
        '"a"',
        "'b'",
        "1",
        "2.5",
        "null",
        "true",
        "+",
        "-",
        "*",
        "/",
        "%",
        "==",
        "!=",
        "<",
        ">",
        "<=",
        ">=",
        "&&",
        "||",
        "!",
        "?",
        ":",
        "??",
        "GetValueOrDefault<int>",
        "(int)",
        "(string)",
        "ToString()",
        "Split",
        "Headers",
        "LastError",
        ",",
        "StatusCode",
        "Substring",
        "string.IsNullOrEmpty",
        "Replace",
        "IndexOf",
        "Length",
        "Reason",
    ]
)


@given(st.lists(fragments, max_size=25))
def test_any_expression_compiles_or_is_refused_and_then_evaluates_or_fails_as_one(parts):
    with suppress(ExpressionError, EvaluationError):
        evaluate(" ".join(parts))


@given(st.text(max_size=40))
def test_any_text_compiles_or_is_refused(text):
    with suppress(ExpressionError, EvaluationError):
        evaluate(text)


operands = st.sampled_from(
    [
        "1",
        "0",
        "2.5",
        "-1",
        '"ab"',
        "'.'",
        "true",
        "null",
        "context.Response?.StatusCode",
        "context.LastError?.Reason",
        'context.Response?.Headers.ContainsKey("a")',
        'context.Variables["attempts"]',
        'context.Variables["name"]',
        "\"a.b\".Split('.')",
        "context.Request.Headers",
        "context.Response",
    ]
)
shapes = st.sampled_from(
    [
        "{0} + {1}",
        "{0} - {1}",
        "{0} * {1}",
        "{0} / {1}",
        "{0} % {1}",
        "{0} == {1}",
        "{0} != {1}",
        "{0} < {1}",
        "{0} >= {1}",
        "{0} && {1}",
        "{0} || {1}",
        "!({0})",
        "-({0})",
        "{0} ?? {1}",
        "{2} ? {0} : {1}",
        "({0})[{1}]",
        "(int)({0})",
        "(string)({0})",
        "(double)({0})",
        "(bool)({0})",
        "({0}).ToString()",
        "({0}).Substring({1})",
        "({0}).Substring({1}, {2})",
        "({0}).Replace({1}, {2})",
        "({0}).Split({1})",
        "({0}).Contains({1})",
        "({0}).IndexOf({1})",
        "({0}).GetValueOrDefault({1}, {2})",
        "({0}).Length",
        "int.Parse({0})",
        "string.IsNullOrEmpty({0})",
        "context.Variables.GetValueOrDefault<int>({0}, {1})",
    ]
)


@given(
    st.recursive(
        operands,
        lambda inner: st.tuples(shapes, inner, inner, inner).map(
            lambda parts: "(" + parts[0].format(*parts[1:]) + ")"
        ),
        max_leaves=6,
    )
)
def test_whatever_compiles_evaluates_to_a_value_of_its_type_or_fails_as_dotnet_does(source):
    try:
        compiled = compile_expression(source)
        value = compiled.run(context())
    except (ExpressionError, EvaluationError):
        return
    python = {"int": int, "double": float, "bool": bool, "string": str}.get(compiled.type)
    if python is not None:
        assert value is None or type(value) is python


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Where the grammar's tables are kept, and what is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "pycache_prefix", str(tmp_path_factory.mktemp("tables")))
        patch.setattr(sys, "dont_write_bytecode", False)
        parser._parser.__wrapped__()
        (file,) = Path(sys.pycache_prefix).rglob("*.lark")
        good = file.read_bytes()
        yield file, good


@pytest.mark.parametrize(
    ("kept", "made"), [("whole", [0, 0]), ("cut", [1, 0]), ("other", [1, 0]), ("none", [1])]
)
def test_the_grammar_s_tables_are_made_again_where_none_are_kept(
    tables, monkeypatch, request, kept, made
):
    file, good = tables
    wanted = parser.parse_expression("1 + x")
    match kept:
        case "whole":
            file.write_bytes(good)
        case "cut":
            file.write_bytes(good[: len(good) // 2])
        case "other":  # of another grammar
            file.write_bytes(b"-" + good[1:])
        case "none":  # nor can they be written
            file.unlink()
            file.mkdir()
            request.addfinalizer(file.rmdir)
    loads = []
    load = lark.lark.load_grammar
    monkeypatch.setattr(lark.lark, "load_grammar", lambda *a: (loads.append(a), load(*a))[1])
    for times in made:
        loads.clear()
        again = parser._parser.__wrapped__()
        assert again.parse("1 + x", start="conditional") == wanted
        assert len(loads) == times


def test_no_tables_are_kept_where_python_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    parser._parser.__wrapped__()
    assert list(tmp_path.iterdir()) == []
