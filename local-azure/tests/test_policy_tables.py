"""Each statement of the table, with attributes of every kind: refused, run, or failed as one."""

import asyncio
import random
import subprocess
import sys
from collections.abc import Iterator

import pytest
from policy_runs import Services, answer, exchange

from local_azure.gateway.exchange import ProxyError, Response, ReturnedResponse, Subscription
from local_azure.gateway.policy import PolicyError, compile_policy
from local_azure.gateway.statements import STATEMENTS
from local_azure.gateway.statements.more import MORE

VALUES = (
    "1",
    "60",
    "true",
    "a",
    "",
    "override",
    "allow",
    "Daily",
    "https://a/b",
    "{x}",
    "@(1)",
    '@("")',
    '@("a b")',
    "@(context.LastError?.Reason)",
    "@(context.Response.StatusCode)",
    "@(context.Response?.StatusCode ?? 60)",
    "@(context.Response != null)",
    "@(1 / (1 - 1))",
    "@{ return new JObject(); }",
    '@(context.Response.Body.As<string>(true).Length > 1 ? "1" : "2")',
    "@(long.MaxValue)",
)
# What some attributes have to be for the statement to get any further.
USUAL = {
    "condition": (
        "@(context.Response.StatusCode == 429)",
        "@(context.Variables.ContainsKey(null))",
    ),
    "action": ("allow", "forbid"),
    "count": ("2",),
    "interval": ("0", "@(1)"),
    "ignore-case": ("true",),
    "exists-action": ("override", "skip", "append", "delete"),
    **dict.fromkeys(("tokens-per-minute", "calls", "token-quota"), ("5", "@(7)")),
    "renewal-period": ("0", "300", "@(300)"),
    "token-quota-period": ("Hourly",),
    "estimate-prompt-tokens": ("true", "false"),
}
CHILDREN = (
    "",
    "<value>1</value>",
    "<value>@(context.LastError?.Reason)</value>",
    '<dimension name="a" value="@(1)"/>',
    '<dimension name="API ID"/>',
    "<address>127.0.0.1</address>",
    '<when condition="@(true)"><set-variable name="a" value="1"/></when>',
    '<set-variable name="a" value="@(1)"/>',
    "<audiences><audience>@(null)</audience></audiences>",
    '<issuer-signing-keys><key>@("a")</key></issuer-signing-keys>',
    '<required-claims><claim name="a"><value>b</value></claim></required-claims>',
    '<openid-config url="https://login.microsoftonline.com/a"/>',
    "<message>@(context.Api.Id)</message>",
    '<allowed-origins><origin>@("a")</origin></allowed-origins>',
    "<forward-request/>",
    '<set-status code="@(context.Response.StatusCode)"/>',
    "<set-body>@(context.Request.Body.As<string>())</set-body>",
    "text",
    "@(context.Request.Body.As<JObject>().ToString())",
)


def documents(name: str, count: int) -> Iterator[str]:
    """Give documents with one statement in one section, its attributes and children by seed."""
    chance = random.Random(name)
    statement = STATEMENTS[name]
    counts = (0, 1, 1, 1, 2) if statement.children or statement.text else (0, 0, 0, 1)
    for _ in range(count):
        optional = [each for each in statement.optional if chance.random() < 0.2]
        attributes = " ".join(
            f"{each}='{chance.choice(USUAL.get(each, VALUES))}'"
            for each in (*statement.required, *optional)
        )
        children = "".join(chance.choices(CHILDREN, k=chance.choice(counts)))
        section = chance.choice(sorted(statement.sections))
        yield (
            f"<policies><{section}><{name} {attributes}>{children}</{name}></{section}></policies>"
        )


async def go_through(xml: str) -> bool:
    """Run a document on an exchange that has everything; False when it is refused."""
    try:
        policy = compile_policy(xml)
    except PolicyError:
        return False
    services = Services(*[Response(status=200, body=b'{"a": 1}') for _ in range(60)])
    for response in (None, Response(status=429, body=b"{}")):
        context = exchange(
            services,
            subscription=Subscription(id="one", name="one"),
            headers={"Authorization": "Bearer a.e30.c", "a": "1", "Origin": "a"},
        )
        for section in ("inbound", "backend", "outbound", "on-error"):
            context.respond(response if section in ("outbound", "on-error") else None)
            try:
                await policy.section(section)(context)
                answer(context, Response(status=200, body=b'{"usage": {"total_tokens": 5}}'))
            except (ProxyError, ReturnedResponse):
                continue
    return True


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_each_statement_is_refused_runs_or_fails_as_one(name):
    taken = [asyncio.run(go_through(xml)) for xml in documents(name, 50)]
    # There is no fragment to include, a token needs children that chance seldom gives, and a quota
    # is a product's.
    assert any(taken) or name in ("include-fragment", "quota", "validate-jwt")


POOL = """<policies><inbound><base/><set-backend-service backend-id="pool"/>
<authentication-managed-identity resource="https://cognitiveservices.azure.com"/>
<set-header name="api-key" exists-action="delete"/><set-variable name="model" value="@(
(string)context.Request.Body.As&lt;JObject>(preserveContent: true)[&quot;model&quot;])"/></inbound>
<backend><retry count="2" interval="0" first-fast-retry="true" condition="@(
context.Response == null || context.Response.StatusCode == 429 || context.Response.StatusCode >= 500
&amp;&amp; 60 > context.Elapsed.TotalSeconds)"><forward-request timeout="@(Math.Max(1,
60 - (int)context.Elapsed.TotalSeconds))" buffer-request-body="true"/></retry></backend>
<outbound><base/><choose><when condition="@(context.Response.StatusCode >= 500)"><return-response>
<set-status code="503"/><set-body>{}</set-body></return-response></when></choose></outbound>
<on-error><base/></on-error></policies>"""


def test_a_pool_needs_nothing_that_one_can_skip():
    without = """if True:
        import sys, types
        for part, nothing in (("expressions", ()), ("statements", {})):
            name = f"local_azure.gateway.{part}.more"
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].MORE = nothing
        from local_azure.gateway.policy import compile_policy
        from local_azure.gateway.statements import STATEMENTS
        compile_policy(sys.argv[1])
        print(*STATEMENTS)
    """
    command = [sys.executable, "-c", without, POOL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert MORE
    assert set(done.stdout.split()) == set(STATEMENTS) - set(MORE)
