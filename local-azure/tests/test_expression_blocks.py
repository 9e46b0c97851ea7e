from contextlib import suppress

import pytest
from expression_context import context, run
from hypothesis import given
from hypothesis import strategies as st

from local_azure.gateway.expressions import EvaluationError, ExpressionError, compile_block


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("return 1;", 1),
        ("var a = 1; a += 2; a++; return a * 2;", 8),
        ('string a; a = "x"; if (a == "x") { a = "y"; } else a = "z"; return a;', "y"),
        ("int a; return a;", 0),
        ('if (false) { return "a"; } else if (true) { return "b"; } return "c";', "b"),
        ("var sum = 0; foreach (var n in new [] {1, 2, 3}) { sum += n; } return sum;", 6),
        ("var n = 0; for (int i = 0; i < 10; i++) { if (i == 5) break; n = i; } return n;", 4),
        ("var n = 0; for (int i = 0; i < 4; i++) { if (i == 1) continue; n += i; } return n;", 5),
        ("var n = 3; while (n > 0) n--; return n;", 0),
        ('foreach (var c in "abc") { if (c == \'b\') return c; } return "";', "b"),
        ('try { return int.Parse("x"); } catch { return -1; }', -1),
        ('try { throw new Exception("why"); } catch (Exception e) { return e.Message; }', "why"),
        (
            'switch ("b") { case "a": return 1; case "b": case "c": return 2; default: return 3; }',
            2,
        ),
        ("var n = 0; switch (7) { case 1: n = 1; break; default: n = 9; break; } return n;", 9),
        ('int n; return int.TryParse("12", out n) ? n : 0;', 12),
        ('return int.TryParse("x", out var n) ? n : -1;', -1),
        ('var d = new Dictionary<string, int>(); d["a"] = 1; d.Add("b", 2); return d.Count;', 2),
        ('var l = new List<string>(); l.Add("a"); l[0] = "b"; return string.Join(",", l);', "b"),
        ("using (var h = SHA256.Create()) { return h.ComputeHash(new byte[0]).Length; }", 32),
        ('var o = new JObject(); o["a"] = 1; o["a"] = "x"; return o["a"].ToString();', "x"),
        (
            (
                'var a = new JArray(); var o = new JObject(); a.Add(o); o["n"] = 1;'
                " return a.ToString(Formatting.None);"
            ),
            '[{"n":1}]',
        ),
        (
            (
                'var a = new JArray(); var o = new JObject(); a.Add(o); a.Add(o); o["n"] = 1;'
                " return a.ToString(Formatting.None);"
            ),
            '[{"n":1},{}]',
        ),
        (
            (
                'var o = JObject.Parse("{\\"a\\":1,\\"b\\":2}"); o.Property("a").Remove();'
                " return o.ToString(Formatting.None);"
            ),
            '{"b":2}',
        ),
        (
            (
                'var t = ""; foreach (var p in JObject.Parse("{\\"a\\":1}")) { t += p.Key +'
                " p.Value; } return t;"
            ),
            "a1",
        ),
        ("var x = 5; { var y = x; x = y + 1; } return x;", 6),
        ("long l = 1; l = l + int.MaxValue; return l.ToString();", "2147483648"),
        ("double d = 1; return d / 2;", 0.5),
        ("// one\n/* two */ return 1; // three", 1),
    ],
)
def test_values(source, value):
    result = run(source)
    assert result == value
    assert type(result) is type(value)


def test_what_a_policy_keeps_between_expressions_is_changed_in_place():
    source = """
        JArray backends = (JArray)context.Variables["backends"];
        foreach (JObject backend in backends)
        {
            if (backend.Value<string>("name") == "a") { backend["isThrottling"] = true; }
        }
        return backends.Count(b => (bool)b["isThrottling"]);
    """
    variables = {}
    made = run(
        'return new JArray(new JObject { ["name"] = "a", ["isThrottling"] = false },'
        ' new JObject { ["name"] = "b", ["isThrottling"] = false });'
    )
    variables["backends"] = made
    assert run(source, variables=variables) == 1
    assert (
        run(
            'return ((JArray)context.Variables["backends"])[0]["isThrottling"].ToString();',
            variables=variables,
        )
        == "True"
    )


def test_two_evaluations_share_nothing():
    block = compile_block("var list = new List<int>(); list.Add(1); return list.Count;")
    assert [block.run(context()) for _ in range(3)] == [1, 1, 1]


def test_the_type_of_a_block_is_that_of_what_it_returns():
    assert compile_block("if (true) { return 1; } return 2;").type == "int"
    assert compile_block('if (true) { return null; } return "a";').type == "string"
    assert compile_block('if (true) { return 1; } return "a";').type == "object"


@pytest.mark.parametrize(
    ("source", "message", "line"),
    [
        ("var a = 1;", "not all code paths return a value", 1),
        ("if (true) { return 1; }", "not all code paths return a value", 1),
        ("foreach (var x in new [] {1}) { return x; }", "not all code paths", 1),
        ("\n\nreturn foo;", "The name 'foo' does not exist", 3),
        ("var a = 1;\nvar a = 2; return a;", "A variable named 'a' is already defined", 2),
        ("{ var a = 1; } return a;", "The name 'a' does not exist", 1),
        ("var context = 1; return 1;", "'context' is already defined", 1),
        ("context = null; return 1;", "Cannot assign to 'context'", 1),
        ('int a = "x"; return a;', "Cannot convert from 'string' to 'int'", 1),
        ("var a = null; return a;", "Cannot assign null to 'var a'", 1),
        ("var a; return 1;", "needs a value", 1),
        ("X509Certificate2 c = null; return 1;", "does not know the type 'X509Certificate2'", 1),
        ("1 + 1; return 1;", "was not expected", 1),
        ("context.Request.Method; return 1;", "Only assignments and calls are statements", 1),
        ('context.Variables["a"] = 1; return 1;', "'Variables' is read-only", 1),
        ('context.Request.Headers["a"] = null; return 1;', "'Headers' is read-only", 1),
        ('context.Request.Method = "GET"; return 1;', "'Request.Method' is read-only", 1),
        ("break; return 1;", "No loop to break", 1),
        ("if (1) { } return 1;", "cannot implicitly convert type 'int' to 'bool'", 1),
        ("return new List<int>().Add(1);", "The call has no value", 1),
        ('return int.TryParse("1", out missing);', "out missing", 1),
        ("switch (1) { case 1: var a = 2; } return 1;", "Control cannot fall through", 1),
        (
            "foreach (var x in 5) { } return 1;",
            "'int' is no collection that the local Azure knows",
            1,
        ),
        ("return 1", "the end of the expression was not expected", 1),
        ("void f() { } return 1;", "was not expected", 1),
        (
            "".join(f"var a{n} = 1; " for n in range(101)) + "return 1;",
            "more than 100 variables",
            1,
        ),
        ("{" * 200 + "return 1;" + "}" * 200, "nested more than 100 deep", 1),
    ],
)
def test_what_is_wrong_is_refused_when_it_is_compiled(source, message, line):
    with pytest.raises(ExpressionError) as refusal:
        compile_block(source)
    assert message in refusal.value.message
    assert refusal.value.line == line


@pytest.mark.parametrize(
    "source",
    [
        "while (true) { } return 1;",
        "for (;;) { } return 1;",
        'while (true) { try { throw new Exception(""); } catch { continue; } } return 1;',
        "for (;;) { try { while (true) { } } catch { } } return 1;",
        'var s = "x"; while (true) { s = s + s; } return s;',
        'var s = "x"; for (;;) { try { s = string.Concat(s, s); } catch { } } return s;',
        'var l = new List<string>(); while (true) { l.Add("x"); } return 1;',
        "var a = new JArray(); while (true) { a.Add(a.DeepClone()); } return 1;",
        "var a = new JArray(); a.Add(a); return a.ToString();",
        "var a = new JArray(); var b = new JArray(a); a.Add(b); return a.ToString();",
        'var o = new JObject(); for (;;) { var p = new JObject(); p["x"] = o; o = p; } return o;',
        "return new string('a', 2000000);",
        'return "a".PadLeft(2000000);',
    ],
)
def test_nothing_goes_on_without_end(source):
    with pytest.raises(EvaluationError):
        run(source)


statements = st.sampled_from(
    [
        "var a = 1;",
        "int b;",
        'string s = "x";',
        "a = a + 1;",
        "a++;",
        "if (a > 1) {",
        "} else {",
        "}",
        "{",
        "foreach (var x in new [] { 1, 2 }) {",
        "while (a < 3) {",
        "for (int i = 0; i < 3; i++) {",
        "return a;",
        "return s;",
        "return null;",
        "break;",
        "continue;",
        "try {",
        "} catch (Exception e) {",
        "switch (a) {",
        "case 1:",
        "default:",
        's += $"{a}";',
        "JObject o = new JObject();",
        'o["k"] = a;',
        "var l = new List<int> { a };",
        "l.Add(a);",
        "return o.ToString();",
        "return context;",
        'throw new Exception("x");',
        "return l.Select(x => x + 1).Sum(x => x);",
        "return o;",
        ";",
        "using (var h = SHA256.Create()) {",
    ]
)


@given(st.lists(statements, max_size=14))
def test_any_statements_compile_or_are_refused_and_then_run_or_fail_as_dotnet_does(parts):
    with suppress(ExpressionError, EvaluationError):
        run(" ".join(parts))
