"""The built-in cache: what it keeps, for how long, for whom."""

import asyncio

import pytest
from gateway_world import in_world
from policy_runs import Clock, Services, document, exchange, inbound

from local_azure.gateway import cache as cache_module
from local_azure.gateway.cache import Cache
from local_azure.gateway.exchange import ProxyError, Response
from local_azure.gateway.expressions import to_string
from local_azure.gateway.policy import PolicyError, compile_policy

LOOKUP = '<cache-lookup-value key="k" variable-name="found"{} />'


def store(value, duration="60", more=""):
    return f'<cache-store-value key="k" value="{value}" duration="{duration}"{more} />'


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("text", "text"),
        ("@(1 + 1)", 2),
        ("@(true)", True),
        ("@(new string[] { &quot;a&quot;, &quot;b&quot; })", ["a", "b"]),
        ("@(Encoding.UTF8.GetBytes(&quot;a&quot;))", b"a"),
    ],
)
def test_a_value_keeps_its_type(value, read):
    assert inbound(store(value) + LOOKUP.format("")).variables == {"found": read}


def test_a_long_is_cast_back_as_one():
    cast = '<set-variable name="next" value=\'@((long)context.Variables["found"] + 1)\' />'
    for xml in (store("@(1L)") + LOOKUP.format(""), LOOKUP.format(' default-value="@(1L)"')):
        assert inbound(xml + cast).variables["next"] == 2


def test_what_a_policy_changes_of_a_value_afterwards_is_not_in_the_cache():
    change = """<set-variable name="done" value='@{ var mine = (JObject)context.Variables["{}"];
      mine["a"] = 2; return 1; }' />"""
    context = inbound(
        """<set-variable name="mine" value='@(JObject.Parse("{\\"a\\": 1}"))' />"""
        """<cache-store-value key="k" duration="60" value='@(context.Variables["mine"])' />"""
        + change.replace("{}", "mine")
        + LOOKUP.format("")
        + change.replace("{}", "found")
        + '<cache-lookup-value key="k" variable-name="again" />'
    )
    found = [to_string(context.variables[name]) for name in ("mine", "found", "again")]
    assert [text.split()[2] for text in found] == ["2", "2", "1"]


def test_a_miss_leaves_the_variable_as_it_is_or_gives_the_default():
    assert inbound(LOOKUP.format("")).variables == {}
    assert inbound(LOOKUP.format(' default-value="@(2)"')).variables == {"found": 2}
    assert inbound(store("@(null)") + LOOKUP.format("")).variables == {}
    stored = store("new") + LOOKUP.format(' default-value="old"')
    assert inbound(stored).variables == {"found": "new"}


def test_a_value_is_there_for_its_duration_or_until_it_is_removed():
    services = Services()
    inbound(store("1", "@(10 + 20)"), services=services)
    services.clock.now += 29.9
    assert inbound(LOOKUP.format(""), services=services).variables == {"found": "1"}
    services.clock.now += 0.1
    assert inbound(LOOKUP.format(""), services=services).variables == {}
    inbound(store("1"), services=services)
    inbound('<cache-remove-value key="k" /><cache-remove-value key="none" />', services=services)
    assert inbound(LOOKUP.format(""), services=services).variables == {}


@pytest.mark.parametrize("kind", ["internal", "prefer-external"])
def test_without_an_external_cache_the_internal_one_is_preferred(kind):
    more = f' caching-type="{kind}"'
    assert inbound(store("1") + LOOKUP.format(more)).variables == {"found": "1"}
    external = ' caching-type="external"'
    assert inbound(store("1", more=external) + LOOKUP.format(more)).variables == {}
    assert inbound(store("1", more=more) + LOOKUP.format(external)).variables == {}
    removed = f'<cache-remove-value key="k"{external} />'
    assert inbound(store("1") + removed + LOOKUP.format(more)).variables == {"found": "1"}


def test_without_a_cache_nothing_is_kept():
    services = Services()
    services.cache = None
    xml = store("1") + LOOKUP.format("") + '<cache-remove-value key="k" />'
    assert inbound(xml, services=services).variables == {}


@pytest.mark.parametrize(
    ("xml", "why"),
    [
        (store("1", "soon"), "'soon' is no number"),
        (store("1", "1.5"), "1.5 is no whole number"),
        (store("1", more=' caching-type="both"'), "'both' is none of internal, external"),
        ('<cache-lookup-value key="k" />', "attribute 'variable-name' is missing"),
        ('<cache-remove-value key="k" duration="1" />', "attribute 'duration' is not known"),
    ],
)
def test_what_is_wrong_is_refused(xml, why):
    with pytest.raises(PolicyError, match=why):
        compile_policy(document(inbound=xml))


def test_a_duration_that_is_none_is_an_error_of_the_request():
    with pytest.raises(ProxyError, match="'duration' is '-1'"):
        inbound(store("1", "@(0 - 1)"))


def test_every_section_has_it():
    context = exchange(Services(), response=Response(status=200, body=b"the answer"))
    policy = compile_policy(
        document(
            outbound=store("@(context.Response.Body.As&lt;string&gt;(preserveContent: true))"),
            on_error=LOOKUP.format(""),
        )
    )
    asyncio.run(policy.outbound(context))
    asyncio.run(policy.on_error(context))
    assert context.variables == {"found": "the answer"}
    assert context.response.body == b"the answer"


def test_the_oldest_make_room(monkeypatch):
    monkeypatch.setattr(cache_module, "MAX_ENTRIES", 2)
    monkeypatch.setattr(cache_module, "MAX_SIZE", 100)
    cache = Cache(Clock())
    for key in ("a", "b", "a", "c"):
        cache.put(key, key, 60, size=1)
    assert [cache.get(key) for key in "abc"] == ["a", None, "c"]
    cache.put("d", "d", 60, size=98)  # and a byte for its key
    assert [cache.get(key) for key in "acd"] == [None, None, "d"]
    cache.put("d", "too large", 60, size=100)
    assert cache.get("d") is None
    cache.put("e", "e", 60, size=99)
    assert cache.get("e") == "e"


REMEMBER = document(
    inbound="""<base /><cache-lookup-value key="k" variable-name="seen" default-value="none" />
      <cache-store-value key="k" value='@(context.Request.Headers.GetValueOrDefault("x", ""))'
       duration="60" />""",
    backend="<base />",
    outbound="""<set-header name="x-seen"><value>@((string)context.Variables["seen"])</value>
      </set-header>""",
)


def test_the_units_of_a_service_share_it():
    turns = iter([0, 1, 2, 0])

    async def test(world):
        world.resources.change(
            next(each.id for each in world.resources.list("Microsoft.ApiManagement/service/apis")),
            serviceUrl="https://foundry1-test.openai.azure.com/openai",
        )
        seen = [(await world.call(headers={"x": each})).headers["x-seen"] for each in "abc"]
        world.clock.now += 60
        seen.append((await world.call()).headers["x-seen"])
        assert seen == ["none", "a", "b", "none"]

    in_world(test, policy=REMEMBER, instances=3, choose=lambda _: next(turns))


def test_consumption_has_none():
    async def test(world):
        world.resources.change(
            next(each.id for each in world.resources.list("Microsoft.ApiManagement/service/apis")),
            serviceUrl="https://foundry1-test.openai.azure.com/openai",
        )
        seen = [(await world.call(headers={"x": "a"})).headers["x-seen"] for _ in range(2)]
        assert seen == ["none", "none"]

    in_world(test, policy=REMEMBER, tier="Consumption")
