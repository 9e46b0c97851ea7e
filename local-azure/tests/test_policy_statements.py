"""The statements that limit, let in, change and pass over: what each does to an exchange."""

import asyncio
import base64
import hmac
import json
import logging
from hashlib import sha256

import pytest
from policy_runs import (
    Services,
    answer,
    backend,
    document,
    exchange,
    inbound,
    outbound,
    subscribed,
)

from local_azure.gateway.exchange import ProxyError, Response, ReturnedResponse
from local_azure.gateway.limits import MAX_KEYS, Limits
from local_azure.gateway.policy import Library, PolicyError, compile_fragment, compile_policy
from local_azure.gateway.statements import REFUSED, STATEMENTS
from local_azure.gateway.statements.more import passed_over


def refused(xml: str, **settings) -> ProxyError:
    with pytest.raises(ProxyError) as refusal:
        inbound(xml, **settings)
    return refusal.value


# --- limits ------------------------------------------------------------------------------------

RATE = """<rate-limit-by-key calls="2" renewal-period="60"
 counter-key="@(context.Request.IpAddress)"
 remaining-calls-header-name="x-left" remaining-calls-variable-name="left"
 total-calls-header-name="x-total" retry-after-variable-name="wait" />"""


def test_calls_beyond_the_limit_get_a_429_until_the_window_is_over():
    services = Services(200)
    first = inbound(RATE, services=services)
    assert first.variables["left"] == 1
    response = answer(first, Response(status=200))
    assert (response.headers["x-left"], response.headers["x-total"]) == ("1", "2")
    inbound(RATE, services=services)
    services.clock.now += 20.5
    refusal = refused(RATE, services=services)
    assert (refusal.status, refusal.reason) == (429, "RateLimitExceeded")
    assert refusal.message == "Rate limit is exceeded. Try again in 40 seconds."
    assert refusal.headers == {"Retry-After": "40"}
    services.clock.now += 39.6
    inbound(RATE, services=services)


def test_each_key_and_each_unit_counts_for_itself():
    one, other = Services(200), Services(200)
    for services, ip in ((one, "1.1.1.1"), (one, "1.1.1.1"), (one, "2.2.2.2"), (other, "1.1.1.1")):
        inbound(RATE, services=services, ip=ip)
    assert refused(RATE, services=one, ip="1.1.1.1").status == 429


def test_rate_limit_counts_by_subscription_and_does_not_see_a_call_without_one():
    xml = '<rate-limit calls="1" renewal-period="60" retry-after-header-name="x-wait" />'
    services = Services(200)
    inbound(xml, services=services, **subscribed("one"))
    inbound(xml, services=services, **subscribed("two"))
    assert refused(xml, services=services, **subscribed("one")).headers == {"x-wait": "60"}
    for _ in range(3):
        inbound(xml, services=services)


def test_only_what_meets_the_condition_is_counted():
    xml = """<rate-limit-by-key calls="1" renewal-period="60" counter-key="a" increment-count="1"
     increment-condition="@(context.Response.StatusCode == 200)" />"""
    services = Services(200)
    for status in (500, 200):
        answer(inbound(xml, services=services), Response(status=status))
    assert refused(xml, services=services).status == 429


def test_a_limit_may_be_an_expression_and_is_an_error_when_it_is_none():
    xml = '<rate-limit-by-key calls="@({})" renewal-period="60" counter-key="a" />'
    services = Services(200)
    inbound(xml.format("1 + 0"), services=services)
    assert refused(xml.format("1 + 0"), services=services).status == 429
    assert "'calls' is 'x'" in refused(xml.format('"x"')).message


def test_a_quota_is_a_403():
    xml = '<quota-by-key calls="1" renewal-period="604800" counter-key="a" />'
    services = Services(200)
    inbound(xml, services=services)
    refusal = refused(xml, services=services)
    assert (refusal.status, refusal.reason) == (403, "QuotaExceeded")


def test_a_quota_without_a_period_is_for_ever():
    xml = '<quota-by-key calls="1" renewal-period="0" counter-key="a" />'
    services = Services(200)
    inbound(xml, services=services)
    services.clock.now += 1e9
    refusal = refused(xml, services=services)
    assert (refusal.status, refusal.headers) == (403, {})


def test_a_quota_is_a_product_s_and_may_stand_in_a_fragment_for_one():
    quota = '<quota calls="1" renewal-period="86400" />'
    fragment = f"<fragment>{quota}</fragment>"
    compile_fragment(fragment)
    with pytest.raises(PolicyError, match="not allowed in the specified scope"):
        inbound('<include-fragment fragment-id="f" />', library=Library(fragments={"f": fragment}))


def test_no_client_can_make_the_counters_grow():
    limits = Limits(lambda: 0.0)
    for number in range(MAX_KEYS + 100):
        limits.add("x" * 5_000 + str(number), 60, 1)
    assert len(limits._windows) == MAX_KEYS
    assert max(map(len, limits._windows)) < 100
    assert limits.usage("x" * 5_000 + str(MAX_KEYS + 99), 60).used == 1
    # What is used goes on being counted, however many others there are.
    for number in range(MAX_KEYS + 100):
        limits.add("used", 60, 1)
        limits.add(str(number), 60, 1)
    assert limits.usage("used", 60).used == MAX_KEYS + 100


TOKENS = """<llm-token-limit counter-key="@(context.Subscription.Id)" tokens-per-minute="100"
 estimate-prompt-tokens="{}" remaining-tokens-variable-name="left"
 remaining-tokens-header-name="x-left" tokens-consumed-header-name="x-used" />"""
CHAT = json.dumps({"messages": [{"role": "user", "content": "x" * 80}]}).encode()
USED = json.dumps({"usage": {"total_tokens": 70}}).encode()


def test_tokens_are_counted_by_what_the_answer_says_it_used():
    services = Services(200)
    xml = TOKENS.format("false")
    first = inbound(xml, services=services, body=CHAT, **subscribed())
    assert first.variables["left"] == 100
    response = answer(first, Response(status=200, body=USED))
    assert (response.headers["x-used"], response.headers["x-left"]) == ("70", "30")
    assert first.variables["left"] == 30
    # What a call will use is not known before: the one that goes beyond is let through.
    second = inbound(xml, services=services, body=CHAT, **subscribed())
    assert answer(second, Response(status=200, body=USED)).headers["x-left"] == "0"
    refusal = refused(xml, services=services, body=CHAT, **subscribed())
    assert (refusal.status, refusal.headers) == (429, {"Retry-After": "60"})
    assert refusal.message == "Token limit is exceeded. Try again in 60 seconds."


def test_an_estimated_prompt_that_does_not_fit_is_not_sent():
    services = Services(200)
    xml = TOKENS.format("true")
    first = inbound(xml, services=services, body=CHAT, **subscribed())
    assert first.variables["left"] == 80
    answer(first, Response(status=200, body=json.dumps({"usage": {"total_tokens": 90}}).encode()))
    assert refused(xml, services=services, body=CHAT, **subscribed()).status == 429
    short = json.dumps({"messages": [{"role": "user", "content": "x" * 40}]}).encode()
    inbound(xml, services=services, body=short, **subscribed())


def test_a_failed_call_uses_no_tokens():
    services = Services(200)
    context = inbound(TOKENS.format("false"), services=services, **subscribed())
    response = answer(context, Response(status=429, body=USED))
    assert "x-used" not in response.headers


class Stream:
    """A response that arrives in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.watchers = []
        self.closed = False

    def watch(self, watcher) -> None:
        self.watchers.append(watcher)

    def pass_on(self) -> None:
        for piece in (*self.pieces, None):
            for watcher in self.watchers:
                watcher(piece)

    async def read(self, limit: int) -> bytes:
        return b"".join(self.pieces)

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("pieces", "used"),
    [
        # By its own word, cut anywhere; else the prompt and a token for each event with content.
        ((b'data: {"choices":[]}\n\ndata: {"usa', b'ge": {"total_tokens": 33}}\n\n'), 33),
        ((b'data: {"content":"a"}\n\n', b'data: {"content":"b"}\n\ndata: [DONE]\n\n'), 22),
    ],
)
def test_the_tokens_of_a_stream_are_counted_as_it_passes(pieces, used):
    services = Services(200)
    context = inbound(TOKENS.format("true"), services=services, body=CHAT, **subscribed())
    stream = Stream(*pieces)
    answer(context, Response(status=200, stream=stream))
    assert services.limits.usage("tokens:one", 60).used == 0
    stream.pass_on()
    assert services.limits.usage("tokens:one", 60).used == used


def test_a_token_quota_is_a_403_and_counts_beside_the_rate():
    xml = """<azure-openai-token-limit counter-key="a" tokens-per-minute="1000" token-quota="50"
     token-quota-period="Daily" estimate-prompt-tokens="false"
     remaining-quota-tokens-header-name="x-quota" />"""
    services = Services(200)
    response = answer(inbound(xml, services=services), Response(status=200, body=USED))
    assert response.headers["x-quota"] == "0"
    assert refused(xml, services=services).status == 403
    services.clock.now += 86_401
    inbound(xml, services=services)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"messages": 5}', b"[" * 99_999, b"\xff"])
def test_whatever_the_prompt_is_it_is_estimated(body):
    inbound(TOKENS.format("true"), body=body, **subscribed())


def test_calls_at_once_are_limited_and_let_go():
    xml = """<limit-concurrency key="a" max-count="1">
     <set-variable name="in" value="yes" />{}</limit-concurrency>"""
    services = Services(200)
    refusal = refused(xml.format(xml.format("")), services=services)
    assert (refusal.status, refusal.source) == (429, "limit-concurrency")
    inbound(xml.format(""), services=services)
    assert services.limits._under_way == {}


# --- access ------------------------------------------------------------------------------------


def test_check_header():
    xml = """<check-header name="x-team" failed-check-httpcode="401" ignore-case="{}"
     failed-check-error-message="No team."><value>a</value><value>b</value></check-header>"""
    inbound(xml.format("false"), headers={"X-Team": "b"})
    inbound(xml.format("true"), headers={"X-Team": "B"})
    refusal = refused(xml.format("false"), headers={"X-Team": "B"})
    assert (refusal.status, refusal.message) == (401, "No team.")
    assert refusal.reason == "HeaderValueNotAllowed"
    assert refused(xml.format("false")).reason == "HeaderNotFound"


def test_ip_filter():
    xml = """<ip-filter action="{}"><address>10.0.0.1</address>
     <address-range from="10.1.0.0" to="10.1.0.255" /></ip-filter>"""
    for ip, inside in (
        ("10.0.0.1", True),
        ("10.1.0.77", True),
        ("10.1.1.0", False),
        ("::1", False),
    ):
        allowing, forbidding = xml.format("allow"), xml.format("forbid")
        passes, fails = (allowing, forbidding) if inside else (forbidding, allowing)
        inbound(passes, ip=ip)
        assert refused(fails, ip=ip).status == 403
    assert refused(xml.format("allow"), ip="").reason == "FailedToParseCallerIP"


TENANT = "00000000-0000-0000-0000-000000000001"
CLAIMS = {"aud": "https://x", "tid": TENANT, "appid": "app", "roles": ["a", "b"], "scp": "r w"}
ENTRA = f"""<validate-azure-ad-token tenant-id="{TENANT}" output-token-variable-name="jwt">
 {{}}</validate-azure-ad-token>"""


def with_token(**claims) -> dict:
    services = Services(200)
    services.tokens = {"good": {**CLAIMS, **claims}}
    return {"services": services, "headers": {"Authorization": "Bearer good"}}


@pytest.mark.parametrize(
    ("inner", "reason"),
    [
        ("", None),
        ("<audiences><audience>https://X/</audience></audiences>", None),
        ("<audiences><audience>https://y</audience></audiences>", "TokenAudienceNotAllowed"),
        (
            "<client-application-ids><application-id>app</application-id></client-application-ids>",
            None,
        ),
        (
            "<client-application-ids><application-id>b</application-id></client-application-ids>",
            "TokenClaimValueNotAllowed",
        ),
        *(
            (
                f"<required-claims><claim {settings}>{values}</claim></required-claims>",
                reason,
            )
            for settings, values, reason in (
                ('name="roles"', "<value>a</value><value>b</value>", None),
                ('name="roles"', "<value>a</value><value>c</value>", "TokenClaimValueNotAllowed"),
                ('name="roles" match="any"', "<value>a</value><value>c</value>", None),
                ('name="roles" match="any"', "<value>c</value>", "TokenClaimValueNotAllowed"),
                ('name="scp" separator=" "', "<value>w</value>", None),
                ('name="scp"', "<value>w</value>", "TokenClaimValueNotAllowed"),
                ('name="nope"', "<value>w</value>", "TokenClaimNotFound"),
            )
        ),
    ],
)
def test_a_token_of_entra_is_asked_what_the_policy_asks(inner, reason):
    xml = ENTRA.format(inner)
    if reason is None:
        read = """<set-variable name="r"
         value='@(((Jwt)context.Variables["jwt"]).Claims["roles"][1])' />"""
        assert inbound(xml + read, **with_token()).variables["r"] == "b"
    else:
        refusal = refused(xml, **with_token())
        assert (refusal.status, refusal.reason) == (401, reason)
        assert refusal.message == "Invalid Azure AD JWT."


def test_a_token_that_is_missing_no_good_or_of_another_tenant_is_refused():
    assert refused(ENTRA.format("")).message == "Azure AD JWT not present."
    assert refused(ENTRA.format(""), headers={"Authorization": "Bearer bad"}).status == 401
    assert refused(ENTRA.format(""), **with_token(tid="other")).reason == "TokenIssuerNotAllowed"
    xml = ENTRA.format("").replace(
        "tenant-id",
        'failed-validation-httpcode="403" failed-validation-error-message="No." tenant-id',
    )
    refusal = refused(xml)
    assert (refusal.status, refusal.message) == (403, "No.")


def test_the_token_may_be_in_another_header_the_query_or_a_value():
    for where, settings in (
        ('header-name="x-token"', {"headers": {"x-token": "good"}}),
        ('query-parameter-name="t"', {"query": "t=good"}),
        (
            "token-value='@(context.Request.Headers.GetValueOrDefault(\"x\"))'",
            {"headers": {"x": "good"}},
        ),
    ):
        xml = ENTRA.format("").replace("tenant-id", f"{where} tenant-id")
        assert "jwt" in inbound(xml, **{**with_token(), **settings}).variables


KEY = b"a key of some length"
SIGNED = f"""<validate-jwt header-name="Authorization" output-token-variable-name="jwt">
 <issuer-signing-keys><key>{base64.b64encode(KEY).decode()}</key></issuer-signing-keys>
 <issuers><issuer>me</issuer></issuers></validate-jwt>"""


def signed(claims: dict, key: bytes = KEY) -> dict:
    parts = [
        base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=")
        for each in ({"alg": "HS256"}, claims)
    ]
    text = b".".join(parts)
    signature = base64.urlsafe_b64encode(hmac.digest(key, text, sha256)).rstrip(b"=")
    return {"headers": {"Authorization": f"Bearer {(text + b'.' + signature).decode()}"}}


def test_a_token_signed_by_a_key_of_the_policy():
    assert "jwt" in inbound(SIGNED, **signed({"iss": "me", "exp": 2000})).variables
    for claims, key, reason in (
        ({"iss": "me", "exp": 900}, KEY, "TokenExpired"),
        ({"iss": "me"}, KEY, "TokenSignatureInvalid"),
        ({"iss": "you", "exp": 2000}, KEY, "TokenIssuerNotAllowed"),
        ({"iss": "me", "exp": 2000}, b"another", "TokenSignatureInvalid"),
    ):
        assert refused(SIGNED, **signed(claims, key)).reason == reason
    late = SIGNED.replace("header-name", 'clock-skew="200" header-name')
    assert "jwt" in inbound(late, **signed({"iss": "me", "exp": 900})).variables
    keyless = SIGNED.replace(base64.b64encode(KEY).decode(), "")
    assert refused(keyless, **signed({"iss": "me", "exp": 2000}, b"")).status == 401
    for token in ("a.b", "a.b.c", "\xff.b.c", "." * 9):
        assert refused(SIGNED, headers={"Authorization": f"Bearer {token}"}).status == 401


def test_a_token_of_entra_is_taken_by_validate_jwt_too():
    xml = """<validate-jwt><openid-config
     url="https://login.microsoftonline.com/x/v2.0/.well-known/openid-configuration" />
     <audiences><audience>https://x</audience></audiences></validate-jwt>"""
    inbound(xml, **with_token())
    assert refused(xml, **with_token(aud="y")).reason == "TokenAudienceNotAllowed"


def test_basic_authentication():
    context = inbound('<authentication-basic username="a" password="@("b" + 1)" />')
    assert context.request.headers["Authorization"] == "Basic YTpiMQ=="


CORS = """<cors allow-credentials="{}" terminate-unmatched-request="{}">
 <allowed-origins><origin>https://a.example</origin><origin>@("https://" + "b")</origin>
 </allowed-origins><allowed-methods preflight-result-max-age="60"><method>POST</method>
 </allowed-methods><allowed-headers><header>api-key</header></allowed-headers>
 <expose-headers><header>x-one</header></expose-headers></cors>"""


def asks(origin="https://a.example", method="POST", headers="API-Key") -> dict:
    return {
        "method": "OPTIONS",
        "headers": {
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": headers,
        },
    }


def preflight(xml: str, **settings) -> Response:
    context = exchange(**settings)
    with pytest.raises(ReturnedResponse):
        asyncio.run(compile_policy(document(inbound=xml)).inbound(context))
    return context.response


def test_a_browser_is_told_what_a_page_may_ask():
    for origin in ("https://a.example", "https://b"):
        answer = preflight(CORS.format("true", "true"), **asks(origin))
        assert answer.status == 200
        assert dict(answer.headers) == {
            "Access-Control-Allow-Origin": origin,
            "Vary": "Origin",
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "API-Key",
            "Access-Control-Max-Age": "60",
        }


@pytest.mark.parametrize(
    "asked", [asks("https://c"), asks(method="PUT"), asks(headers="api-key, x-other")]
)
def test_what_a_page_may_not_ask_is_an_answer_without_a_word_of_it(asked):
    assert dict(preflight(CORS.format("false", "true"), **asked).headers) == {}
    context = inbound(CORS.format("false", "false"), **asked)
    assert context.response is None


def test_a_page_may_read_the_answer_if_its_origin_is_allowed():
    context = inbound(CORS.format("false", "true"), headers={"Origin": "https://a.example"})
    headers = answer(context, Response(status=200)).headers
    assert headers["Access-Control-Allow-Origin"] == "https://a.example"
    assert headers["Access-Control-Expose-Headers"] == "x-one"
    assert "Access-Control-Allow-Credentials" not in headers
    context = inbound(CORS.format("false", "true"), headers={"Origin": "https://c"})
    assert dict(answer(context, Response(status=200)).headers) == {}
    other = {"method": "GET", "headers": {"Origin": "https://c"}}
    assert preflight(CORS.format("false", "true"), **other).status == 200
    assert dict(answer(inbound(CORS.format("false", "true")), Response(status=200)).headers) == {}


def test_every_origin_and_method_may_be_allowed():
    xml = """<cors><allowed-origins><origin>*</origin></allowed-origins>
     <allowed-methods><method>*</method></allowed-methods>
     <allowed-headers><header>*</header></allowed-headers></cors>"""
    headers = preflight(xml, **asks("https://x", "DELETE", "a, b")).headers
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Access-Control-Allow-Methods"] == "DELETE"


# --- routing and messages ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("xml", "path", "query"),
    [
        ('<rewrite-uri template="/v1/{model}?b=2" />', "/v1/gpt 4", "b=2&a=1"),
        ('<rewrite-uri template="/v1" copy-unmatched-params="false" />', "/v1", ""),
        ('<rewrite-uri template="@("/x" + (1 + 1) + "?c")" />', "/x2", "c=&a=1&b=1"),
        ('<rewrite-uri template="a\r\nb" />', "/a b", "a=1&b=1"),
    ],
)
def test_rewrite_uri(xml, path, query):
    context = inbound(xml, parameters={"model": "gpt 4"}, query="a=1&b=1")
    # What no path may hold is encoded: no line can be broken out of.
    assert context.request.relative_path == path.replace(" ", "%20").replace("a%20b", "a%20b")
    assert context.request.query == query


def test_set_method():
    assert inbound("<set-method>put</set-method>").request.method == "PUT"
    assert "is no method" in refused('<set-method>@("a b")</set-method>').message


def test_no_identity_has_the_client_id_that_is_asked_for():
    xml = '<authentication-managed-identity resource="https://x" client-id="abc" {}/>'
    assert "none of 'abc'" in refused(xml.format("")).message
    context = inbound(xml.format('ignore-error="true" output-token-variable-name="t"'))
    assert context.variables == {"t": None}
    context = inbound(xml.replace('client-id="abc"', "").format(""))
    assert context.request.headers["Authorization"] == "Bearer token for https://x"


def test_a_headers_name_may_be_an_expression():
    xml = '<set-header name="@("x-" + {})"><value>1</value></set-header>'
    assert inbound(xml.format("1")).request.headers["x-1"] == "1"
    assert "is no header name" in refused(xml.format('" "')).message


def test_no_text_of_a_response_can_break_out_of_its_line():
    status = '<set-status code="200" reason="@("a\\nb")" />'
    with pytest.raises(ProxyError, match="Invalid value for reason"):
        outbound(status)
    xml = CORS.format("false", "true").replace("x-one", '@("a\\nb")')
    refusal = refused(xml, headers={"Origin": "https://b"})
    assert refusal.message == "Invalid value for expose-headers"


def test_find_and_replace():
    xml = '<find-and-replace from="old" to="new" />'
    assert inbound(xml, body=b"an old one").request.body == b"an new one"
    assert outbound(xml).response.body == b"new"


def test_the_body_of_the_request_is_replaced_where_a_policy_reads_and_writes_it():
    xml = """<set-body>@{ var body = context.Request.Body.As<JObject>(preserveContent: true);
     body["model"] = "gpt"; return body.ToString(Newtonsoft.Json.Formatting.None); }</set-body>"""
    assert inbound(xml, body=b'{"a": 1}').request.body == b'{"a":1,"model":"gpt"}'


def test_a_response_that_still_arrives_is_read_whole_where_an_expression_asks_its_body():
    read = 'value="@((string)context.Response.Body.As<JObject>(true)["n"])"'
    for xml in (
        f'<set-variable name="a" {read} />',
        f'<choose><when condition="true"><set-variable name="a" {read} /></when></choose>',
        """<choose><when condition='@(context.Response.Body.As<JObject>(true)["n"] != null)'>
        <set-variable name="a" value="7" /></when></choose>""",
    ):
        context = exchange(response=Response(status=200, stream=Stream(b'{"n":', b'"7"}')))
        asyncio.run(compile_policy(document(outbound=xml)).outbound(context))
        assert context.variables == {"a": "7"}
        assert context.response.stream is None
        assert context.response.body == b'{"n":"7"}'


def test_a_response_that_still_arrives_passes_where_nothing_asks_its_body():
    xml = (
        '<set-header name="a"><value>@(context.Response.StatusCode.ToString())</value></set-header>'
    )
    stream = Stream(b"x")
    context = exchange(response=Response(status=200, stream=stream))
    asyncio.run(compile_policy(document(outbound=xml)).outbound(context))
    assert context.response.stream is stream


def test_retry_reads_a_body_its_condition_asks_and_waits_longer_each_time():
    xml = """<retry condition='@(context.Response.Body.As<string>(true) == "again")' count="3"
     interval="1" delta="2" {}><forward-request buffer-request-body="true" /></retry>"""
    again = [Response(status=200, stream=Stream(b"again")) for _ in range(3)]
    context, services = backend(xml.format(""), *again, Response(status=200, body=b"done"))
    assert context.response.body == b"done"
    assert services.slept == [1, 3, 5]
    again = [Response(status=200, body=b"again") for _ in range(4)]
    _, services = backend(xml.format('max-interval="6"'), *again)
    assert services.slept == [3, 5, 6]


def test_return_response_takes_no_variable_that_is_no_response():
    with pytest.raises(ReturnedResponse):
        inbound(
            '<return-response response-variable-name="x"><set-status code="204" />'
            "</return-response>",
            variables={"x": "text"},
        )


# --- passed over -------------------------------------------------------------------------------

METRIC = """<llm-emit-token-metric namespace="n"><dimension name="API ID" />
 <dimension name="Team" value="@({})" /></llm-emit-token-metric>"""


def test_what_is_passed_over_says_so_once_and_is_evaluated(caplog, monkeypatch):
    monkeypatch.setattr(passed_over, "_said", set())
    with caplog.at_level(logging.WARNING, "local_azure.policies"):
        inbound(METRIC.format("context.Api.Id"))
        inbound(METRIC.format("context.Api.Name"))
    (record,) = caplog.records
    assert "'llm-emit-token-metric' is checked and passed over" in record.getMessage()
    assert (
        "Object reference not set" in refused(METRIC.format("context.Response.StatusCode")).message
    )


def test_a_trace_and_an_event_are_checked():
    inbound(
        '<trace source="s" severity="information"><message>@("m")</message>'
        '<metadata name="n" value="v" /></trace><log-to-eventhub logger-id="l">x</log-to-eventhub>'
    )


# --- named values and fragments ----------------------------------------------------------------


def test_named_values_stand_in_attributes_texts_and_expressions():
    library = Library(
        named_values={"pool": "p", "n": "2", "it": '@("x" + 1)', "b": "@{ return 7; }"}
    )
    context = inbound(
        '<set-backend-service backend-id="{{pool}}-{{n}}" />'
        '<set-variable name="a" value="@({{n}} + 1)" />'
        '<set-variable name="b" value="{{it}}" /><set-variable name="c" value=" {{b}} " />'
        '<set-header name="h"><value>{{pool}}</value></set-header>',
        library=library,
    )
    assert context.backend_id == "p-2"
    assert context.variables == {"a": 3, "b": "x1", "c": 7}
    assert context.request.headers["h"] == "p"


def test_a_value_cannot_break_out_of_where_it_stands():
    library = Library(named_values={"v": '"/><unknown/><a b="'})
    context = inbound('<set-variable name="a" value="{{v}}" />', library=library)
    assert context.variables == {"a": '"/><unknown/><a b="'}


def test_a_changed_value_is_another_policy():
    xml = '<set-variable name="a" value="{{v}}" />'
    for value in ("1", "2", "1"):
        assert inbound(xml, library=Library(named_values={"v": value})).variables == {"a": value}


def test_a_fragment_is_put_where_it_is_included():
    library = Library(
        named_values={"v": "x"},
        fragments={"mine": '<fragment><set-variable name="a" value="{{v}}" /></fragment>'},
    )
    assert inbound('<include-fragment fragment-id="Mine" />', library=library).variables == {
        "a": "x"
    }


@pytest.mark.parametrize(
    ("fragment", "message"),
    [
        (None, "Policy fragment with id 'mine' could not be found."),
        ("<fragment>\n<unknown/></fragment>", "in the policy fragment 'mine', line 2:"),
        ("<fragment><base/></fragment>", "not allowed in a policy fragment"),
        (
            '<fragment><include-fragment fragment-id="mine"/></fragment>',
            "not allowed in a policy fragment",
        ),
        ("<fragment><forward-request/></fragment>", "not allowed in the section 'inbound'"),
        ("<fragment><set-body>{{no}}</set-body></fragment>", "Cannot find a property 'no'"),
        ("<policies/>", "The root element is 'fragment'"),
        ("<fragment>" + " " * 32_768 + "</fragment>", "longer than 32768 characters"),
    ],
)
def test_a_fragment_that_does_not_fit_is_refused(fragment, message):
    library = Library(fragments={} if fragment is None else {"mine": fragment})
    with pytest.raises(PolicyError) as refusal:
        inbound('<include-fragment fragment-id="mine" />', library=library)
    assert message in refusal.value.message


def test_a_fragment_is_checked_for_every_section_it_could_stand_in():
    for inner in ("<forward-request/>", '<set-status code="200"/>', "<set-method>GET</set-method>"):
        compile_fragment(f"<fragment>{inner}</fragment>")
    with pytest.raises(PolicyError, match="not allowed in the section"):
        compile_fragment("<fragment><forward-request/><set-method>GET</set-method></fragment>")


# --- scopes ------------------------------------------------------------------------------------


def test_base_is_what_the_outer_scope_does():
    variable = '<set-variable name="{0}" value="{0}" />'
    outer = compile_policy(
        document(inbound=variable.format("outer"), backend="<forward-request />")
    )
    inner = compile_policy(
        document(
            inbound=variable.format("first") + "<base />" + variable.format("last"),
            backend="<base />",
        ),
        outer=outer,
    )
    context = exchange(Services(200))
    asyncio.run(inner.inbound(context))
    assert list(context.variables) == ["first", "outer", "last"]
    asyncio.run(inner.backend(context))
    assert context.response.status == 200
    asyncio.run(compile_policy(document(), outer=outer).inbound(context := exchange()))
    assert context.variables == {}


# --- the table ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ('<rate-limit calls="0" renewal-period="60"/>', "'0' is no number from 1 to"),
        ('<rate-limit calls="1" renewal-period="301"/>', "no number from 1 to 300"),
        ('<rate-limit calls="1" renewal-period="60"><api name="a"/></rate-limit>', "'api': not"),
        *(
            (f'<llm-token-limit counter-key="a" estimate-prompt-tokens="true" {limit}/>', problem)
            for limit, problem in (
                ("", "needs tokens-per-minute, or token-quota"),
                ('token-quota="5"', "'' is none of hourly, daily"),
                ('tokens-per-minute="1.5"', "no whole number"),
            )
        ),
        ('<emit-metric name="a"/>', "needs a dimension"),
        ('<emit-metric name="a"><dimension name="Team"/></emit-metric>', "'Team' needs a value"),
        ('<ip-filter action="allow"/>', "needs an address"),
        ('<ip-filter action="allow"><address>x</address></ip-filter>', "needs IP addresses"),
        (
            '<rate-limit calls="1" renewal-period="60" retry-after-header-name="a&#10;b"/>',
            "is no header name",
        ),
        ("<cors/>", "needs allowed-origins"),
        ("<cors><allowed-origins><o/></allowed-origins></cors>", "'o': not allowed"),
        ("<validate-jwt/>", "needs openid-config or issuer-signing-keys"),
        (
            '<validate-jwt><openid-config url="https://accounts.example.com/"/></validate-jwt>',
            "asks no issuer of tokens but its own Entra",
        ),
        (
            """<validate-jwt clock-skew="5"><openid-config
            url="https://sts.windows.net/a"/></validate-jwt>""",
            "has the same clock",
        ),
        (
            """<validate-jwt><issuer-signing-keys><key n="a" e="b"/></issuer-signing-keys>
            </validate-jwt>""",
            "knows symmetric keys alone",
        ),
        (
            '<validate-azure-ad-token tenant-id="a" header-name="b" token-value="c"/>',
            "takes one of header-name, token-value",
        ),
        (
            """<validate-azure-ad-token tenant-id="a"><audiences/><audiences/>
            </validate-azure-ad-token>""",
            "is twice in",
        ),
        ('<limit-concurrency key="a" max-count="1"/>', "has nothing to limit"),
        ("<cache-lookup><vary-by>x</vary-by></cache-lookup>", "not allowed in 'cache-lookup'"),
        ('<trace source="a"><text/></trace>', "not allowed in 'trace'"),
        *((f"<{name}/>", why) for name, why in REFUSED.items()),
    ],
)
def test_what_a_statement_does_not_take_is_refused_by_name(xml, message):
    with pytest.raises(PolicyError) as refusal:
        compile_policy(document(inbound=xml))
    assert message in refusal.value.message
    assert refusal.value.line == 1


def test_every_statement_may_have_an_id_and_none_is_known_and_refused_at_once():
    compile_policy(document(inbound='<set-method id="x">GET</set-method>'))
    assert not set(STATEMENTS) & set(REFUSED)


def test_applications_of_a_token_may_be_named_in_either_order():
    ids = [
        f"<{name}-application-ids><application-id>a</application-id></{name}-application-ids>"
        for name in ("client", "backend")
    ]
    for order in (ids, ids[::-1]):
        xml = f'<validate-azure-ad-token tenant-id="t">{"".join(order)}</validate-azure-ad-token>'
        compile_policy(document(inbound=xml))
