"""What policies that follow an id do: JSON, lists, bodies on their way, attempts by name."""

import json

import pytest
from aiohttp import web
from arm_server import API, GROUP, serving
from arm_server import SERVICE as ARM_SERVICE
from expression_context import evaluate, run
from fake_resources import SERVICE, breaker_rule
from gateway_world import hear_first_event_before_the_second, in_world

from local_azure.gateway.exchange import ProxyError
from local_azure.gateway.expressions.json_values import parse_json

BODY = json.dumps(
    {
        "model": "m",
        "store": None,
        "none": None,
        "input": [
            {"type": "message", "content": "hi"},
            "text",
            {"type": "item_reference", "id": "rs_1"},
            {"type": "reasoning", "id": "rs_2", "encrypted_content": "x"},
        ],
    }
).encode()
READ = "var body = context.Request.Body.As<JObject>(preserveContent: true);"
LISTS = {"names": ["a", "b", "c"], "ids": parse_json('["x", "y"]'), "last": "b"}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ('(string)body["nope"] ?? "none"', "none"),
        ('(string)body["none"] ?? "none"', "none"),
        ('body["nope"]?["id"]?.ToString() ?? "none"', "none"),
        ('body["nope"]?.Type == JTokenType.Array', False),
        ('body["input"]?.Type == JTokenType.Array', True),
        ('body["model"] as JArray == null', True),
        (
            '(string)body["input"].OfType<JObject>().FirstOrDefault(i => i["id"] != null)?["id"]',
            "rs_1",
        ),
        (
            (
                'string.Join(",", ((JArray)body["input"]).OfType<JObject>()'
                '.Where(i => i["id"] != null).Select(i => (string)i["id"]))'
            ),
            "rs_1,rs_2",
        ),
        ('body["input"].OfType<JObject>().Count()', 3),
        ('body["input"].OfType<JValue>().Count()', 1),
        ('body["input"].Children().Count()', 4),
        ('body["input"].Cast<JToken>().Last()["id"].ToString()', "rs_2"),
        # A value has no children, and an object's are its properties.
        ('body["model"].OfType<JObject>().FirstOrDefault() == null', True),
        ('body["none"].Children().Any()', False),
        ('body["input"].First.OfType<JProperty>().First().Name', "type"),
        ('(string)body["input"].First["type"] + body["input"].Last["id"]', "messagers_2"),
        ('(bool?)body["nope"] ?? true', True),
        ('(bool?)body["none"] != false', True),
        ('(int?)body["input"].Last["n"] ?? 5', 5),
        ('body.Value<bool?>("store") ?? true', True),
        ('body.Value<bool>("store")', False),
    ],
)
def test_a_body_is_walked(source, value):
    assert run(f"{READ} return {source};", body=BODY) == value


@pytest.mark.parametrize(
    "loop",
    [
        'foreach (JObject item in body["input"].OfType<JObject>())',
        'foreach (JToken item in body["input"].Where(i => i.Type == JTokenType.Object))',
        'foreach (var item in (body["input"] as JArray ?? new JArray()).OfType<JObject>())',
    ],
)
def test_a_loop_takes_the_items_of_an_array(loop):
    source = f'{READ} var ids = ""; {loop} {{ ids += (string)item["id"] ?? "-"; }} return ids;'
    assert run(source, body=BODY) == "-rs_1rs_2"
    assert run(source, body=b'{"input": []}') == ""


def test_a_loop_over_a_value_has_no_turn_and_over_an_object_its_properties():
    source = (
        f'{READ} var n = ""; foreach (var each in body["input"]) {{ n += "," + each; }} return n;'
    )
    assert run(source, body=b'{"input": "hello"}') == ""
    source = source.replace("each;", "each.Type;")
    assert run(source, body=b'{"input": {"a": 1, "b": 2}}') == ",Property,Property"


@pytest.mark.parametrize("part", ['["code"]', ".First", ".Last"])
def test_a_part_of_a_value_is_an_error_as_in_newtonsoft(part):
    with pytest.raises(ProxyError, match="Cannot access child value"):
        run(f'{READ} return body["none"]{part};', body=BODY)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ('Array.IndexOf((string[])context.Variables["names"], "b")', 1),
        (
            (
                'Array.IndexOf((string[])context.Variables["names"],'
                ' (string)context.Variables["last"])'
            ),
            1,
        ),
        ('Array.IndexOf("a,b".Split(\',\'), "x")', -1),
        ('"a,b".Split(\',\').ToList().IndexOf("b")', 1),
        ('((string[])context.Variables["names"])[2]', "c"),
        ('((string[])context.Variables["names"]).Length', 3),
        ('context.Variables.GetValueOrDefault<string[]>("names").Length', 3),
        ('(string)((JArray)context.Variables["ids"])[1]', "y"),
        ('((JArray)context.Variables["ids"]).Count', 2),
        (
            (
                'string.Join(",", ((string[])context.Variables["names"]).Skip(1)'
                '.Concat(((string[])context.Variables["names"]).Take(1)).ToArray())'
            ),
            "b,c,a",
        ),
        (
            (
                'string.Join(",", new [] { (string)context.Variables["last"] }'
                '.Union((string[])context.Variables["names"]))'
            ),
            "b,a,c",
        ),
        ('string.Join(",", "a,b,c,b".Split(\',\').Except(new string[] { "a" }))', "b,c"),
        ('string.Join(",", "a,b,c".Split(\',\').Intersect(new [] { "c", "d", "a" }))', "a,c"),
        ('string.Join(",", "a/b/c/d".Split(\'/\').SkipWhile(x => x != "b").Skip(1))', "c,d"),
        ('string.Join(",", "a/b/c/d".Split(\'/\').TakeWhile(x => x != "c"))', "a,b"),
        ('string.Join(",", Enumerable.Range(1, 3).Select(i => (i + 1) % 3))', "2,0,1"),
        ('new Random().Next(1) + Math.Max(2, 3) + "resp_1".IndexOf("_")', 7),
        (
            '"resp_1".StartsWith("resp_") && "resp_1".Contains("p_") ? "resp_1".Substring(5) : ""',
            "1",
        ),
        ('context.Request.MatchedParameters["deployment-id"] + context.Operation.Id', "chatchat"),
        ('context.Request.MatchedParameters.GetValueOrDefault("id", "none")', "none"),
        (
            'context.Request.Headers.GetValueOrDefault("X-One", "") + context.Request.Method',
            "1POST",
        ),
    ],
)
def test_lists_of_names_are_turned_and_searched(source, value):
    assert evaluate(source, variables=LISTS) == value


@pytest.mark.parametrize("source", ["new [] { 1 }.Concat(null)", "Enumerable.Range(0, -1)"])
def test_what_no_list_can_be_is_an_error(source):
    with pytest.raises(ProxyError):
        evaluate(f'string.Join(",", {source})')


def test_a_request_without_a_body_has_none():
    # API Management, "Policy expressions": null where the request has no body.
    assert evaluate("context.Request.Body == null", body=b"")
    assert evaluate('context.Request.Body?.As<JObject>(preserveContent: true)?["id"] == null')
    with pytest.raises(ProxyError, match="Object reference not set"):
        evaluate("context.Request.Body.As<JObject>(preserveContent: true)", body=b"")


# --- on real sockets -----------------------------------------------------------------------------

WALK = """<policies><inbound>
  <set-variable name="left" value='@(new string[] { "foundry1", "foundry2", "foundry3" })'/>
  <set-variable name="at" value="@(0)"/></inbound>
 <backend><retry count="2" interval="0" condition='@(context.Response.StatusCode == 404
   &amp;&amp; (string)context.Response.Body.As&lt;JObject>(true)["from"] != "foundry9"
   || context.Response.StatusCode == 503)'>
  <set-backend-service
   backend-id='@(((string[])context.Variables["left"])[(int)context.Variables["at"]])'/>
  <set-variable name="at" value='@((int)context.Variables["at"] + 1)'/>
  <forward-request buffer-request-body="true" buffer-response="false"/>
  <choose><when condition='@(context.Response.StatusCode == 404
    &amp;&amp; context.Response.Body.As&lt;string>(preserveContent: true).Contains("from"))'>
   <set-variable name="missed" value='@(context.Variables.GetValueOrDefault("missed", "")
    + (string)context.Response.Body.As&lt;JObject>(preserveContent: true)["from"])'/></when>
  </choose>
 </retry></backend>
 <outbound>
  <set-header name="x-missed">
   <value>@(context.Variables.GetValueOrDefault("missed", ""))</value></set-header>
  <choose><when condition='@(context.Response.StatusCode >= 400)'>
   <set-header name="x-from"><value>@((string)context.Response
    .Body.As&lt;JObject>(preserveContent: true)["from"] ?? context.Response.StatusReason)</value>
   </set-header></when></choose></outbound>
 <on-error/></policies>"""


def chunked(text, status=200, kind="application/json"):
    """Answer in two pieces, of a length that is not announced."""

    async def respond(request):
        response = web.StreamResponse(status=status, headers={"Content-Type": kind})
        await response.prepare(request)
        for piece in (text[:5], text[5:]):
            await response.write(piece)
        await response.write_eof()
        return response

    return respond


def test_a_walk_reads_what_it_passes_over_and_the_answer_arrives_whole():
    async def test(world):
        for name in ("foundry1", "foundry2"):
            world.regions[name].respond = chunked(b'{"from": "%s"}' % name.encode(), 404)
        answer = await world.call()
        assert answer.headers["x-missed"] == "foundry1foundry2"
        assert (answer.status, json.loads(answer.body)) == (200, {"from": "foundry3"})
        world.regions["foundry3"].respond = chunked(b'{"from": "foundry3"}', 404)
        answer = await world.call()
        assert answer.headers["x-from"] == "foundry3"
        assert (answer.status, json.loads(answer.body)) == (404, {"from": "foundry3"})
        assert all(len(region.requests) == 2 for region in world.regions.values())

    in_world(test, policy=WALK)


def test_an_answer_that_no_expression_comes_to_read_still_streams():
    async def test(world):
        world.regions["foundry1"].respond = chunked(b'{"from": "foundry1"}', 404)
        await hear_first_event_before_the_second(world, "foundry2")

    in_world(test, policy=WALK)


def test_one_backend_whose_breaker_is_open_answers_503_at_once_and_the_walk_goes_on():
    async def test(world):
        world.regions["foundry1"].status = 500
        assert (await world.call()).status == 500
        answer = await world.call()
        assert (answer.status, json.loads(answer.body)) == (200, {"from": "foundry2"})
        assert len(world.regions["foundry1"].requests) == 1
        for name in ("foundry2", "foundry3"):
            world.regions[name].status = 500
            await world.call()
        answer = await world.call()
        assert (answer.status, answer.headers["x-from"]) == (
            503,
            "Backend pool foundry3 is temporarily unavailable",
        )

    in_world(test, policy=WALK, breaker=breaker_rule(count=1))


SHOWS_OPERATION = """<policies><inbound><return-response>
 <set-header name="x-operation"><value>@(context.Operation.Id
  + context.Request.MatchedParameters.GetValueOrDefault("response_id", "-"))</value></set-header>
 </return-response></inbound><backend/><outbound/><on-error/></policies>"""


@pytest.mark.parametrize("template", ["/*", "/v1/*", "/v1/files/{*rest}"])
def test_resource_manager_takes_a_wildcard(tmp_path, template):
    named = [{"name": "*rest", "type": "string", "required": True}] if "{" in template else []
    properties = {
        "displayName": "Anything",
        "method": "GET",
        "urlTemplate": template,
        "templateParameters": named,
    }
    with serving(tmp_path) as arm:
        arm.deploy(GROUP, ARM_SERVICE, API)
        answer = arm.put(f"{API}/operations/anything", {"properties": properties})
    assert answer.status_code == 201, answer.text


def test_a_wildcard_comes_after_all_that_is_spelt_out_or_has_parameters():
    templates = {
        "all": "/v1/*",
        "one": "/v1/responses/{response_id}",
        "items": "/v1/responses/{response_id}/input_items",
        "rest": "/v1/conversations/{*rest}",
        "pair": "/v1/responses/{response_id}/{other}",
        "everything": "/*",
    }

    async def test(world):
        for name, template in templates.items():
            properties = {"displayName": name, "method": "GET", "urlTemplate": template}
            world.resources.put(
                f"{SERVICE}/apis/inference/operations/{name}", {"properties": properties}
            )
        for path, operation in {
            "responses/resp_1": "oneresp_1",
            "responses/resp_1/input_items": "itemsresp_1",
            "responses/resp_1/more": "pairresp_1",
            "responses": "all-",
            "files/a/b": "all-",
            "conversations/a/b": "rest-",
        }.items():
            answer = await world.call("GET", f"/inference/openai/v1/{path}")
            assert answer.headers["x-operation"] == operation, path
        answer = await world.call("GET", "/inference/openai/deployments/chat/files")
        assert answer.headers["x-operation"] == "everything-"

    in_world(test, policy=SHOWS_OPERATION)
