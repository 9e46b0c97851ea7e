import asyncio
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from policy_runs import Services, backend, document, exchange, inbound, outbound

from local_azure.gateway.exchange import ProxyError, Response, ReturnedResponse
from local_azure.gateway.policy import GLOBAL, PolicyError, compile_policy

# --- statements --------------------------------------------------------------------------------


def test_set_backend_service_by_id_and_by_url():
    assert inbound('<set-backend-service backend-id="pool"/>').backend_id == "pool"
    context = inbound(
        '<set-backend-service backend-id="pool"/><set-backend-service base-url="http://a/b"/>'
    )
    assert (context.backend_id, context.base_url) == (None, "http://a/b")
    with pytest.raises(ProxyError, match="no absolute http or https url"):
        inbound("<set-backend-service base-url='@(\"file:///etc\")'/>")


def test_the_identitys_token_goes_to_the_variable_or_to_the_header():
    identity = '<authentication-managed-identity resource="https://x" {}/>'
    context = inbound(identity.format('output-token-variable-name="token"'))
    assert context.variables == {"token": "token for https://x"}
    assert "Authorization" not in context.request.headers
    context = inbound(identity.format(""))
    assert context.request.headers["Authorization"] == "Bearer token for https://x"


def test_a_service_without_an_identity_fails_unless_that_is_ignored():
    identity = '<authentication-managed-identity resource="https://x" {}/>'
    for settings in ("", 'ignore-error="false"'):
        with pytest.raises(ProxyError):
            inbound(identity.format(settings), services=Services("no identity"))
    context = inbound(identity.format('ignore-error="true"'), services=Services("no identity"))
    assert "Authorization" not in context.request.headers


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("override", ["a", "b"], ["new"]),
        ("override", [], ["new"]),
        ("skip", ["a"], ["a"]),
        ("skip", [], ["new"]),
        ("append", ["a"], ["a", "new"]),
        ("append", [], ["new"]),
    ],
)
def test_set_header(action, before, after):
    xml = f'<set-header name="X-Test" exists-action="{action}"><value>new</value></set-header>'
    context = inbound(xml, headers=[("x-test", value) for value in before])
    assert context.request.headers.getall("X-Test") == after


def test_set_header_deletes_overrides_by_default_and_takes_several_values():
    delete = '<set-header name="api-key" exists-action="delete"/>'
    assert "API-KEY" not in inbound(delete, headers=[("Api-Key", "k")]).request.headers
    several = '<set-header name="a"><value>1</value><value>@(1 + 1)</value></set-header>'
    assert inbound(several, headers=[("a", "0")]).request.headers.getall("a") == ["1", "2"]


def test_set_header_shapes_the_request_before_and_the_response_after():
    xml = '<set-header name="a"><value>1</value></set-header>'
    assert inbound(xml).request.headers["a"] == "1"
    context = outbound(xml)
    assert context.response.headers["a"] == "1"
    assert "a" not in context.request.headers


def test_no_header_value_can_break_out_of_its_line():
    xml = '<set-header name="a"><value>@("1\\r\\nX-Evil: 1")</value></set-header>'
    with pytest.raises(ProxyError, match="Invalid value for the header 'a'"):
        inbound(xml)


@pytest.mark.parametrize(
    ("action", "query"),
    [("override", "b=2&a=new+"), ("skip", "a=1&b=2"), ("append", "a=1&a=new+&b=2")],
)
def test_set_query_parameter(action, query):
    xml = (
        f'<set-query-parameter name="a" exists-action="{action}"><value>new+</value>'
        "</set-query-parameter>"
    )
    context = inbound(xml, query="a=1&b=2")
    expected = sorted(query.replace("+", "%2B").split("&"))
    assert sorted(context.request.query.split("&")) == expected


def test_set_query_parameter_deletes():
    xml = '<set-query-parameter name="a" exists-action="delete"/>'
    assert inbound(xml, query="a=1&b=2&a=3").request.query == "b=2"
    assert inbound(xml, query="a=1").request.query == ""


def test_set_query_parameter_leaves_the_others_as_they_are_written():
    xml = '<set-query-parameter name="a" exists-action="delete"/>'
    query = "x=%26&y=b+c&&z&aa=1"
    assert inbound(xml, query=f"{query}&%61=1").request.query == query
    assert inbound(xml, query=query).request.query == query


def test_variables_keep_their_types():
    context = inbound(
        '<set-variable name="n" value="@(1)"/><set-variable name="t" value="text"/>'
        '<set-variable name="n" value=\'@((int)context.Variables["n"] + 1)\'/>'
    )
    assert context.variables == {"n": 2, "t": "text"}


def test_choose_takes_the_first_branch_that_holds():
    xml = (
        '<choose><when condition="@(1 == 2)"><set-variable name="a" value="1"/></when>'
        '<when condition="true"><set-variable name="a" value="2"/></when>'
        '<when condition="true"><set-variable name="a" value="3"/></when>'
        '<otherwise><set-variable name="a" value="4"/></otherwise></choose>'
    )
    assert inbound(xml).variables == {"a": "2"}
    assert inbound(xml.replace('"true"', '"false"')).variables == {"a": "4"}


def test_return_response_ends_the_pipeline_with_a_response_of_its_own():
    xml = (
        '<return-response><set-status code="503" reason="Service Unavailable"/>'
        '<set-header name="Retry-After"><value>@(5 + 5)</value></set-header>'
        '<set-body>{"error":{"code":"503"}}</set-body></return-response>'
    )
    context = exchange(response=Response(status=200, headers=CIMultiDict(old="1")))
    with pytest.raises(ReturnedResponse):
        asyncio.run(compile_policy(document(outbound=xml)).outbound(context))
    assert context.response == Response(
        status=503,
        reason="Service Unavailable",
        headers=CIMultiDict({"Retry-After": "10"}),
        body=b'{"error":{"code":"503"}}',
    )


def test_set_body_and_set_status():
    context = outbound('<set-status code="202"/><set-body>@("n" + "ew")</set-body>')
    assert (context.response.status, context.response.body) == (202, b"new")
    assert inbound("<set-body>ask</set-body>").request.body == b"ask"


def test_set_body_gives_up_a_body_that_is_still_arriving():
    closed = []
    context = exchange(
        response=Response(status=200, stream=SimpleNamespace(close=lambda: closed.append(1)))
    )
    asyncio.run(compile_policy(document(outbound="<set-body>new</set-body>")).outbound(context))
    assert (context.response.stream, context.response.body, closed) == (None, b"new", [1])


def test_base_forwards_in_backend_and_does_nothing_elsewhere():
    services = Services(200)
    context = exchange(services)
    for action in (GLOBAL.inbound, GLOBAL.backend, GLOBAL.outbound, GLOBAL.on_error):
        asyncio.run(action(context))
    assert services.settings == [(300.0, True)]


def test_a_backend_section_without_base_or_forward_request_sends_nothing():
    _, services = backend('<set-variable name="a" value="1"/>')
    assert services.forwarded == []


def test_forward_request_settings():
    _, services = backend('<forward-request timeout="120" buffer-response="false"/>', 200)
    assert services.settings == [(120.0, False)]


def test_fail_on_error_status_code_keeps_the_response_for_on_error():
    services = Services(429)
    context = exchange(services)
    policy = compile_policy(document(backend='<forward-request fail-on-error-status-code="true"/>'))
    with pytest.raises(ProxyError) as failure:
        asyncio.run(policy.backend(context))
    assert failure.value.response is context.response
    assert context.response.status == 429


# --- retry -------------------------------------------------------------------------------------

RETRY = """
<retry condition="@(context.Response == null || context.Response.StatusCode == 429
                    || context.Response.StatusCode >= 500)"
       count="{count}" interval="{interval}" first-fast-retry="{fast}">
  <set-variable name="attempts"
     value="@(context.Variables.GetValueOrDefault<int>("attempts", 0) + 1)"/>
  <forward-request buffer-request-body="true"/>
</retry>"""


def retry(*answers, count=2, interval="0", fast="true"):
    return backend(RETRY.format(count=count, interval=interval, fast=fast), *answers)


@pytest.mark.parametrize(
    ("answers", "status", "attempts"),
    [
        ([200], 200, 1),
        ([404], 404, 1),
        ([429, 200], 200, 2),
        ([500, 429, 200], 200, 3),
        ([None, 200], 200, 2),
        ([None, None, 503], 503, 3),
        ([429, 429, 429], 429, 3),
    ],
)
def test_retry_runs_once_and_then_as_often_as_the_condition_and_count_say(
    answers, status, attempts
):
    context, services = retry(*answers)
    assert context.response.status == status
    assert context.variables["attempts"] == attempts == len(services.forwarded)


def test_retry_raises_what_went_wrong_last_when_no_attempt_gets_an_answer():
    with pytest.raises(ProxyError) as failure:
        retry(None, 500, None)
    assert failure.value.reason == "BackendConnectionFailure"


def test_retry_gives_up_the_response_it_does_not_use():
    closed = []
    first = Response(status=429, stream=SimpleNamespace(close=lambda: closed.append(1)))
    context, _ = retry(first, 200)
    assert closed == [1]
    assert context.response.status == 200


def test_a_condition_that_asks_a_missing_response_leaves_the_first_error_standing():
    xml = (
        '<retry condition="@(context.Response.StatusCode == 429)" count="3" interval="0">'
        "<forward-request/></retry>"
    )
    with pytest.raises(ProxyError) as failure:
        backend(xml, None)
    assert failure.value.reason == "BackendConnectionFailure"


def test_retry_waits_between_attempts_not_before_a_fast_first_nor_after_the_last():
    _, services = retry(500, 500, 500, interval="2", fast="true")
    assert services.slept == [2.0]
    _, services = retry(500, 500, 500, interval="2", fast="false")
    assert services.slept == [2.0, 2.0]
    _, services = retry(500, 500, 500, interval="0", fast="false")
    assert services.slept == []


def test_a_body_that_was_not_buffered_cannot_be_sent_again():
    xml = RETRY.format(count=2, interval=0, fast="true").replace(
        'buffer-request-body="true"', 'buffer-request-body="false"'
    )
    with pytest.raises(ProxyError, match="buffer-request-body"):
        backend(xml, 500, 200)


# --- reading the document ----------------------------------------------------------------------


def test_statements_and_strings_with_holes_are_found_by_their_own_brackets():
    xml = r"""<set-variable name="a" value="@{
            // a } here, and a quote: "
            var t = $"{{ {context.Variables["b"].ToString().Replace("(", "[")} }} \" ";
            return t + $@"\{1}" + @"}" + '}';
        }" />"""
    context = inbound(xml, variables={"b": "(x"})
    assert context.variables["a"] == '{ [x } " \\1}}'


def test_strings_in_holes_of_strings_are_read_only_so_deep():
    with pytest.raises(PolicyError, match="nested too deeply"):
        compile_policy(document(inbound="<set-variable name='a' value='@(" + '$"{' * 50_000))


def test_expressions_are_read_raw_and_as_entities():
    raw = """<set-variable name="a" value="@(1 < 2 && "x>\\"y" == "x>\\"y" ? "<b>" : "no")"/>"""
    escaped = (
        '<set-variable name="a" value="@(1 &lt; 2 &amp;&amp; &quot;x&gt;\\&quot;y&quot; =='
        ' &quot;x&gt;\\&quot;y&quot; ? &quot;&lt;b&gt;&quot; : &quot;no&quot;)"/>'
    )
    assert inbound(raw).variables == inbound(escaped).variables == {"a": "<b>"}


@pytest.mark.parametrize(
    "expression",
    [
        '")" + "("',
        "')'.ToString() + \"\"",
        '@"a\\" + ")"',
        '@"a""b)" + ""',
        '/* ) " */ "a"',
        '"a" // )"\n',
        '("(" + (")"))',
    ],
)
def test_brackets_in_literals_and_comments_do_not_end_an_expression(expression):
    for xml in (
        f'<set-variable name="a" value="@({expression})"/>',
        f"<set-variable name='a' value='@({expression.replace(chr(39), '&apos;')})'/>",
        f"<set-header name='a'><value>@({expression})</value></set-header>",
    ):
        compile_policy(document(inbound=xml))


def test_an_expression_in_a_comment_is_none():
    xml = '<!-- <a b="@(nonsense"/> --><set-variable name="a" value="@(1)"/><!-- @( -->'
    assert inbound(xml).variables == {"a": 1}


def test_text_that_merely_holds_an_at_sign_is_text():
    assert inbound('<set-variable name="a" value="me@(home)"/>').variables == {"a": "me@(home)"}


LINES = """<policies>
  <inbound>
    <base />
    {inbound}
  </inbound>
  <backend>
    {backend}
  </backend>
</policies>"""


@pytest.mark.parametrize(
    ("inbound", "message", "line"),
    [
        ("<send-requests/>", "'send-requests': not known to the local Azure, which knows", 4),
        ('<send-request mode="new"/>', "'send-request': calls another service", 4),
        ("<forward-request/>", "'forward-request': not allowed in the section 'inbound'", 4),
        ('<set-status code="200"/>', "'set-status': not allowed in the section 'inbound'", 4),
        ("<set-backend-service/>", "takes one of backend-id and base-url", 4),
        (
            '<set-backend-service backend-id="a" base-url="http://b"/>',
            "takes one of backend-id and base-url",
            4,
        ),
        ('<set-backend-service backend-idd="a"/>', "attribute 'backend-idd' is not known", 4),
        ("<authentication-managed-identity/>", "attribute 'resource' is missing", 4),
        (
            '<authentication-managed-identity resource="x" ignore-error="yes"/>',
            "attribute 'ignore-error': 'yes' is none of true, false",
            4,
        ),
        ("<set-header><value>1</value></set-header>", "attribute 'name' is missing", 4),
        ('<set-header name="a b"><value>1</value></set-header>', "is no header name", 4),
        ('<set-header name="a"/>', "needs a value", 4),
        ('<set-header name="a"><valeu>1</valeu></set-header>', "'valeu': not allowed", 4),
        ('<set-header name="a">text</set-header>', "takes no text", 4),
        (
            '<set-header name="a" exists-action="delete"><value>1</value></set-header>',
            "takes no value to delete",
            4,
        ),
        (
            '<set-header name="a" exists-action="replace"><value>1</value></set-header>',
            "'replace' is none of override, skip, append, delete",
            4,
        ),
        ('<set-variable name="a" value="{{secret}}"/>', "Cannot find a property 'secret'", 4),
        ('<set-variable name="a"\n value="@(\n 1 +\n foo)"/>', "The name 'foo'", 7),
        ('<set-variable name="a" value="@(1\n+\n1)"/>\n<unknown/>', "'unknown'", 7),
        ('<!-- <a>\n --><unknown\n a="@(1\n+\n1)"/>', "'unknown'", 5),
        ("<set-body><![CDATA[<a>\n]]></set-body>\n<unknown\n/>", "'unknown'", 6),
        ('<set-variable name="a" value="@{\n var a = 1; }"/>', "not all code paths", 5),
        ('<set-variable name="a" value="@(1"/>', "The expression does not end", 4),
        ("<set-body><![CDATA[\n@(foo)]]></set-body>", "The name 'foo'", 5),
        ("<set-body><![CDATA[@(1) x]]></set-body>", "must be all of the value", 4),
        ("<set-body>a > @(1)</set-body>", "must be all of the value", 4),
        ('<set-body template="liquid">a</set-body>', "'template': no template is known", 4),
        ("<set-body><a/></set-body>", "'a': not allowed in 'set-body'", 4),
        ("<choose/>", "needs a 'when'", 4),
        ("<choose><otherwise/></choose>", "needs a 'when'", 4),
        ("<choose><if/></choose>", "'if': not allowed in 'choose'", 4),
        ('<choose><when condition="@(1)"/></choose>', "convert type 'int' to 'bool'", 4),
        (
            "<choose><when condition='@(context.Variables[\"a\"])'/></choose>",
            "convert type 'object' to 'bool'",
            4,
        ),
        ('<choose><when condition="maybe"/></choose>', "'maybe' is no expression", 4),
        ("<choose><when/></choose>", "attribute 'condition' is missing", 4),
        (
            "<return-response><set-variable name='a' value='b'/></return-response>",
            "'set-variable': not allowed in 'return-response'",
            4,
        ),
        (
            '<return-response><set-status code="99"/></return-response>',
            "'99' is no number from 100 to 599",
            4,
        ),
        ("<?php echo?>", "Only elements, text and comments", 4),
        ("<set-variable name='a' value='b'>", "not well-formed", 5),
        ("&undefined;", "not well-formed", 4),
        ("stray", "takes no text", 2),
        # API Management refuses each of these.
        (
            "<validate-jwt><issuers><issuer>i</issuer></issuers>\n<audiences/></validate-jwt>",
            (
                "'validate-jwt': has invalid child element 'audiences'. List of possible elements"
                " expected: 'required-claims'."
            ),
            4,
        ),
        (
            (
                '<validate-azure-ad-token tenant-id="t"><audiences/>'
                "<client-application-ids/></validate-azure-ad-token>"
            ),
            "has invalid child element 'client-application-ids'",
            4,
        ),
        (
            (
                "<cors><allowed-headers><header>*</header></allowed-headers>"
                "<allowed-origins><origin>*</origin></allowed-origins></cors>"
            ),
            (
                "has invalid child element 'allowed-origins'. List of possible elements expected:"
                " 'expose-headers'."
            ),
            4,
        ),
        *(
            (
                f"<validate-jwt>{part}</validate-jwt>",
                problem,
                4,
            )
            for part, problem in (
                ('<audiences any="1"><audience>a</audience></audiences>', "attribute 'any'"),
                ("<issuers>stray<issuer>i</issuer></issuers>", "'issuers': takes no text"),
                ("<required-claims>stray</required-claims>", "takes no text"),
                ("<issuer-signing-keys a='1'/>", "attribute 'a' is not known"),
                (
                    "<issuer-signing-keys><key><b/></key></issuer-signing-keys>",
                    "'b': not allowed in 'key'",
                ),
                (
                    '<openid-config url="https://login.microsoftonline.com/">x</openid-config>',
                    "no text",
                ),
            )
        ),
        (
            '<emit-metric name="a">'
            + "".join(f'<dimension name="d{n}" value="1"/>' for n in range(11))
            + "</emit-metric>",
            "has 11 dimensions, and at most 10 are allowed",
            4,
        ),
        (
            '<quota calls="1" renewal-period="300"/>',
            "'quota': Policy is not allowed in the specified scope",
            4,
        ),
        (
            '<quota-by-key calls="1" renewal-period="299" counter-key="a"/>',
            "'299' is no number from 300",
            4,
        ),
        (
            '<quota-by-key calls="@(1)" renewal-period="300" counter-key="a"/>',
            "attribute 'calls': an expression is not allowed",
            4,
        ),
        (
            '<llm-token-limit counter-key="a" tokens-per-minute="1"/>',
            "attribute 'estimate-prompt-tokens' is missing",
            4,
        ),
    ],
)
def test_what_is_not_known_is_refused_by_name_and_line(inbound, message, line):
    with pytest.raises(PolicyError) as refusal:
        compile_policy(LINES.format(inbound=inbound, backend="<base/>"))
    assert message in refusal.value.message
    assert refusal.value.line == line
    assert f"line {line}" in str(refusal.value)


def test_the_backend_section_has_one_statement():
    compile_policy(LINES.format(inbound="", backend="<!-- one --><base/>"))
    backend = '<set-variable name="a" value="1"/><base/>'
    with pytest.raises(PolicyError, match="'backend': backend section allows only one policy"):
        compile_policy(LINES.format(inbound="", backend=backend))


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        (
            '<authentication-managed-identity resource="x"/>',
            "'authentication-managed-identity': not allowed in the section 'backend'",
        ),
        ('<forward-request timeout="0"/>', "'0' is no number from 1 to 86400"),
        ('<forward-request timeout="1" timeout-ms="1"/>', "takes one of timeout and timeout-ms"),
        ('<forward-request http-version="2"/>', "'2' is none of 1, 2or1"),
        ('<retry condition="true" interval="0"><base/></retry>', "attribute 'count' is missing"),
        ('<retry condition="true" count="51" interval="0"><base/></retry>', "from 1 to 50"),
        ('<retry condition="true" count="1.5" interval="0"><base/></retry>', "no whole number"),
        ('<retry condition="true" count="2" interval="0"/>', "has nothing to retry"),
        (
            '<retry condition="true" count="2" interval="1" delay="1"><base/></retry>',
            "attribute 'delay' is not known",
        ),
        ('<retry condition="@("a")" count="2" interval="0"><base/></retry>', "'string' to 'bool'"),
    ],
)
def test_what_the_backend_section_does_not_know_is_refused_too(backend, message):
    with pytest.raises(PolicyError) as refusal:
        compile_policy(LINES.format(inbound="", backend=backend))
    assert message in refusal.value.message
    assert refusal.value.line == 7


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("", "not well-formed"),
        ("<policy/>", "The root element is 'policies', not 'policy'"),
        ("<policies><inbuond/></policies>", "'inbuond': a policy has the sections"),
        ("<policies><inbound/><inbound/></policies>", "it is there twice"),
        ('<policies version="2"/>', "attribute 'version' is not known"),
        ("<policies><inbound a='1'/></policies>", "attribute 'a' is not known"),
        ("<policies xmlns='urn:x'/>", "The root element is 'policies'"),
        (
            '<!DOCTYPE p [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><policies>&c;</policies>',
            "no document type declaration",
        ),
        (
            '<!DOCTYPE p [<!ENTITY f SYSTEM "file:///etc/passwd">]><policies>&f;</policies>',
            "no document type declaration",
        ),
        ("<policies>" * 300 + "</policies>" * 300, "not well-formed"),
        ("<policies>\ue000</policies>", "U+E000"),
        ("<policies>\ud800</policies>", "not well-formed"),
        ("<policies>\0</policies>", "not well-formed"),
        ("<policies>" + " " * 262_144 + "</policies>", "longer than 262144 characters"),
    ],
)
def test_a_document_that_is_no_policy_is_refused(xml, message):
    with pytest.raises(PolicyError) as refusal:
        compile_policy(xml)
    assert message in refusal.value.message


def test_sections_may_be_left_out():
    context = exchange()
    policy = compile_policy("<policies/>")
    for action in (policy.inbound, policy.backend, policy.outbound, policy.on_error):
        asyncio.run(action(context))
    assert context.response is None


pieces = st.sampled_from(
    [
        "<policies>",
        "</policies>",
        "<inbound>",
        "</inbound>",
        '<set-variable name="a" value="@(',
        '")"/>',
        ')"/>',
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "@(",
        "@{",
        "&quot;",
        "&#0;",
        "&lt;",
        "'",
        '"',
        "\n",
        "//",
        "/*",
        "*/",
        "\\",
        ">",
        "x",
        "\ud800",
    ]
)


@given(st.lists(pieces, max_size=30).map("".join))
def test_any_document_compiles_or_is_refused_with_a_line_that_it_has(xml):
    for text in (xml, f"<policies><inbound>{xml}</inbound></policies>"):
        try:
            compile_policy(text)
        except PolicyError as refusal:
            lines = text.count("\n") + 1
            assert 1 <= refusal.line <= lines
