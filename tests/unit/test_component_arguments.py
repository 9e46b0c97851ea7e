"""A component's arguments: the config's keys in a program's words, and outputs where they fit."""

import asyncio
import copy
import json
from typing import Any

import pulumi
import pytest
from bad_configs import CHAT, EQUAL, HEARD, VNET, at
from hypothesis import given
from hypothesis import strategies as st
from pydantic.alias_generators import to_snake

from components.mistakes import Mistake, SettingsError, mistake
from components.settings import MonitoringSettings, PoolSettings, Settings, arguments, parse

PLACES = {"foundry1": "uksouth", "foundry2": "eastus", "foundry3": "norwayeast"}
MEMBERS = [
    {"name": name, "location": place, "url": f"https://{name}.openai.azure.com/openai"}
    for name, place in PLACES.items()
]
SERVICE = {"resourceGroup": "rg", "serviceName": "apim-team"}
SERVICE_ID = (
    "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ApiManagement/service/apim-team"
)
WORKSPACE_ID = (
    "/subscriptions/s/resourceGroups/rg/providers/Microsoft.OperationalInsights/workspaces/logs"
)
ZONE = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/privateDnsZones/{}"
TAGS = {"my_tag": "a", "costCenter": "b", "team-name": "c"}
HOOK = "https://hooks.example.com/T0/the-key"

WHOLE = {
    "regions": [
        {"name": name, "location": place, "priority": 1, "weight": 2}
        for name, place in PLACES.items()
    ],
    "routing": "weighted",
    "acceptStarved": [],
    "models": [{**CHAT, "versionUpgrade": "NoAutoUpgrade", "raiPolicy": "strict"}],
    "apis": ["chat"],
    "gateway": {
        "sku": "StandardV2",
        "capacity": 2,
        "publisherName": "Team",
        "publisherEmail": "team@example.com",
        "location": "uksouth",
    },
    "location": "uksouth",
    "protect": {"enabled": True, "except": ["foundry2"]},
    "resourceSuffix": "team7",
    "breaker": {
        "enabled": True,
        "count": 9,
        "interval": "PT5M",
        "tripDuration": "PT30S",
        "acceptRetryAfter": True,
    },
    "monitoring": {
        "enabled": True,
        "alertEmails": ["team@example.com"],
        "webhook": HOOK,
        "starvedBelow": 0.2,
        "ceiling": 0.8,
        "workspace": {"resourceGroup": "rg", "name": "logs"},
    },
    "retries": {"count": 2, "repeatUnanswered": True, "timeout": 20, "deadline": 60},
    "streaming": False,
    "revealBackend": False,
    "restore": True,
    "network": {
        "endpointSubnet": f"{VNET}/a",
        "gatewaySubnet": f"{VNET}/b",
        "dnsZone": ZONE.format("privatelink.openai.azure.com"),
    },
    "tags": TAGS,
    "apiVersion": "2024-12-01-preview",
    "exportKey": False,
}
INTO_WHAT_IS_THERE = {
    "regions": [
        {
            "name": name,
            "location": place,
            "existing": {"resourceGroup": "rg", "accountName": f"{name}-team"},
        }
        for name, place in PLACES.items()
    ],
    "gateway": {"existing": SERVICE},
    "network": {"allowedIps": ["198.51.100.0/24"]},
    "monitoring": {"retentionDays": 60, **HEARD},
}
POOL = {
    "service": SERVICE,
    "regions": MEMBERS,
    "routing": "round-robin",
    "acceptStarved": [],
    "breaker": {"count": 9, "tripDuration": "PT30S"},
    "poolName": "second",
}
WATCH = {
    "service": {**SERVICE, "id": SERVICE_ID, "sku": "StandardV2"},
    "regions": MEMBERS,
    "routing": "round-robin",
    "acceptStarved": [],
    "location": "uksouth",
    "workspace": {"id": WORKSPACE_ID, "customerId": "22222222-3333-4444-5555-666666666666"},
    "apiName": "inference",
    "nameSuffix": "second",
    "tags": TAGS,
    "alertEmails": ["team@example.com"],
    "webhook": HOOK,
    "starvedBelow": 0.2,
    "ceiling": 0.8,
}
SAMPLES = [
    pytest.param(Settings, WHOLE, id="whole"),
    pytest.param(Settings, INTO_WHAT_IS_THERE, id="into what is there"),
    pytest.param(PoolSettings, POOL, id="pool"),
    pytest.param(MonitoringSettings, WATCH, id="monitoring"),
]
# Where an output may stand for a value: what nothing is decided by.
EVENTUAL = {
    Settings: {
        "monitoring.webhook",
        "network.endpointSubnet",
        "network.gatewaySubnet",
        "network.dnsZone",
        *(f"tags.{name}" for name in TAGS),
    },
    PoolSettings: {
        "service.resourceGroup",
        "service.serviceName",
        *(f"regions[{n}].url" for n in range(3)),
    },
    MonitoringSettings: {
        "service.id",
        "service.resourceGroup",
        "service.serviceName",
        *(f"regions[{n}].url" for n in range(3)),
        "workspace.id",
        "workspace.customerId",
        "apiName",
        "nameSuffix",
        "webhook",
        *(f"tags.{name}" for name in TAGS),
    },
}
NO_OUTPUT = (
    "is an output, not known before a deployment: what is declared depends on it; write a plain "
    "value"
)


def problems(kind, arguments_) -> list[str]:
    """What is wrong with arguments, without the namespace."""
    try:
        arguments(kind, arguments_)
    except SettingsError as error:
        return [each.removeprefix("openai-gateway:") for each in error.problems]
    return []


def snake(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            to_snake(key): each if key == "tags" else snake(each) for key, each in value.items()
        }
    return [snake(each) for each in value] if isinstance(value, list) else value


def paths(value: Any, path: tuple = ()):
    """Every place in arguments, with its path as messages write it."""
    steps = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in steps:
        here = (*path, key)
        written = "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in here)
        yield here, written.removeprefix(".")
        if isinstance(each, dict | list):
            yield from paths(each, here)


def with_value(sample, path, value):
    if not path:
        return value
    changed = copy.copy(sample)  # an output within it cannot be copied
    inner = sample[path[0]] if len(path) > 1 else None
    changed[path[0]] = with_value(inner, path[1:], value)
    return changed


@pytest.fixture(scope="module")
def later():
    """An output, as a program has of what another resource gives."""

    async def make():
        return pulumi.Output.from_input("made known by a deployment")

    return asyncio.run(make())


# Names


def test_a_key_in_both_spellings_is_a_mistake():
    """Of two values one would be dropped without a word."""
    lines = problems(PoolSettings, {**POOL, "acceptStarved": [], "accept_starved": ["foundry1"]})
    assert [line.partition(": ")[2] for line in lines] == ["did you mean `acceptStarved`?"]
    breaker = {"tripDuration": "PT5S", "trip_duration": "PT9S"}
    (line,) = problems(PoolSettings, {**POOL, "breaker": breaker})
    assert 'breaker.trip_duration is "PT9S", but there is no such key' in line


@pytest.mark.parametrize(("kind", "sample"), SAMPLES)
def test_keys_are_taken_in_snake_case_and_in_camel_case_alike(kind, sample):
    read = arguments(kind, sample)
    assert json.dumps(snake(sample)) != json.dumps(sample)
    assert arguments(kind, snake(sample)) == read
    if kind is Settings:
        assert parse(sample).model_dump() == read.model_dump()


@given(data=st.data())
def test_each_key_is_taken_in_either_case(data):
    kind, sample = data.draw(st.sampled_from([each.values for each in SAMPLES]))

    def mixed(value):
        if isinstance(value, dict):
            return {
                data.draw(st.sampled_from([key, to_snake(key)])): each
                if key == "tags"
                else mixed(each)
                for key, each in value.items()
            }
        return [mixed(each) for each in value] if isinstance(value, list) else value

    assert arguments(kind, mixed(sample)) == arguments(kind, sample)


@pytest.mark.parametrize(("kind", "sample"), [SAMPLES[0].values, SAMPLES[3].values])
def test_what_a_tag_is_called_stays(kind, sample):
    assert arguments(kind, sample).tags == TAGS
    assert arguments(kind, snake(sample)).tags == TAGS


def test_a_tuple_is_a_list():
    given = snake(INTO_WHAT_IS_THERE)
    as_tuple = {**given, "regions": tuple(given["regions"])}
    assert arguments(Settings, as_tuple) == arguments(Settings, given)


def test_settings_are_taken_as_they_are():
    for kind, sample in (each.values for each in SAMPLES):
        read = arguments(kind, sample)
        assert arguments(kind, read) is read


def test_a_config_is_taken_in_camel_case_alone():
    with pytest.raises(SettingsError, match=r"did you mean `resourceSuffix`\?"):
        parse(snake(at({"resourceSuffix": "team7"})))


# Switches


@pytest.mark.parametrize(
    ("kind", "sample", "key", "off"),
    [
        (Settings, WHOLE, "breaker", None),
        (Settings, WHOLE, "monitoring", None),
        (Settings, WHOLE, "protect", False),
        (PoolSettings, POOL, "breaker", None),
    ],
)
def test_enabled_false_is_the_same_as_nothing(kind, sample, key, off):
    read = arguments(kind, {**sample, key: off})
    assert getattr(read, key) is None
    assert getattr(arguments(kind, sample), key) is not None
    assert arguments(kind, {**sample, key: {"enabled": False}}) == read
    others = sample[key] | {"enabled": False}
    assert arguments(kind, {**sample, key: others}) == read
    assert arguments(kind, {**sample, key: {"enabled": True}}) == arguments(
        kind, {**sample, key: True if key == "protect" else {}}
    )


@pytest.mark.parametrize(
    ("kind", "sample", "key", "wrong", "line"),
    [
        (Settings, WHOLE, "breaker", {"count": 0}, "breaker.count is 0: write a whole number of"),
        (PoolSettings, POOL, "breaker", {"count": 0}, "breaker.count is 0: write a whole number"),
        (
            Settings,
            WHOLE,
            "monitoring",
            {"ceiling": 2},
            "monitoring.ceiling is 2: write a number above 0 and below 1",
        ),
        (
            Settings,
            WHOLE,
            "protect",
            {"except": [7]},
            "protect.except[0] is 7: write 1 to 80 lower-case letters",
        ),
        (
            Settings,
            WHOLE,
            "breaker",
            {"coutn": 1},
            "breaker.coutn is 1, but there is no such key: did you mean `count`?",
        ),
    ],
)
def test_what_is_off_is_checked_all_the_same(kind, sample, key, wrong, line):
    (found,) = problems(kind, {**sample, key: {"enabled": False, **wrong}})
    assert found.startswith(line)


@pytest.mark.parametrize("key", ["breaker", "monitoring", "protect"])
def test_a_switch_is_true_or_false(key):
    (found,) = problems(Settings, {**WHOLE, key: {"enabled": "no"}})
    assert found == f'{key}.enabled is "no": write true or false'


def test_consumption_takes_what_is_off_by_a_switch():
    off = {"enabled": False}
    given = {**INTO_WHAT_IS_THERE, "gateway": {"sku": "Consumption"}, "streaming": False}
    del given["network"]
    assert problems(Settings, {**given, "breaker": off, "monitoring": off}) == []
    on = problems(Settings, {**given, "breaker": {"enabled": True}, "monitoring": off})
    assert [each.partition(":")[0] for each in on] == ["breaker is on"]


# Outputs


@pytest.mark.parametrize(("kind", "sample"), SAMPLES)
def test_an_output_stands_exactly_where_nothing_is_decided_by_the_value(kind, sample, later):
    taken, refused = set(), set()
    for path, written in paths(sample):
        found = problems(kind, with_value(sample, path, later))
        if not found:
            taken.add(written)
            continue
        refused.add(written)
        assert found == [f"{written} {NO_OUTPUT}"], written
    assert taken == EVENTUAL[kind] & (taken | refused)
    assert len(refused) > 5


def test_the_samples_have_every_place_of_an_output():
    for kind, known in EVENTUAL.items():
        samples = [each.values[1] for each in SAMPLES if each.values[0] is kind]
        assert known <= {written for sample in samples for _, written in paths(sample)}


def test_an_output_is_kept_as_it_is(later):
    given = with_value(POOL, ("regions", 1, "url"), later)
    assert [each.url is later for each in arguments(PoolSettings, given).regions] == [
        False,
        True,
        False,
    ]
    assert arguments(Settings, {**WHOLE, "tags": {"by_whom": later}}).tags["by_whom"] is later


def test_every_output_that_is_refused_is_told(later):
    given = with_value(WHOLE, ("regions", 1, "location"), later)
    given = with_value(given, ("models", 0, "capacity"), later)
    given["routing"] = later
    assert sorted(problems(Settings, given)) == [
        f"{path} {NO_OUTPUT}" for path in ("models[0].capacity", "regions[1].location", "routing")
    ]


def test_an_output_within_what_is_shown_is_told_in_a_word(later):
    (found,) = problems(PoolSettings, {**POOL, "poolName": {"name": later}})
    assert found.startswith('poolName is {"name": "an output"}: ')


# Mistakes


def test_a_mistake_has_its_path_and_its_reason():
    (found,) = [*caught(Settings, with_value(WHOLE, ("regions", 1, "location"), "eastuss"))]
    assert isinstance(found, Mistake)
    assert found.path == "regions[1].location"
    assert found.reason.startswith('is "eastuss": there is no such Azure location; did you mean')
    assert found == f"openai-gateway:{found.path} {found.reason}"


def caught(kind, arguments_):
    with pytest.raises(SettingsError) as error:
        arguments(kind, arguments_)
    return error.value.problems


def test_a_mistake_is_made_of_what_was_found_and_what_to_do():
    made = mistake("a[0].b", "is 1", "write 2")
    assert (made.path, made.reason) == ("a[0].b", "is 1: write 2")
    assert str(made) == "openai-gateway:a[0].b is 1: write 2"


@pytest.mark.parametrize(
    ("kind", "sample", "path", "value", "lines"),
    [
        (Settings, WHOLE, ("models", 0, "capacity"), "9", ["models[0].capacity"]),
        (Settings, WHOLE, ("protect", "except", 0), "Foundry2", ["protect.except[0]"]),
        (Settings, WHOLE, ("regions", 2), "eastus", ["regions[2]"]),
        (Settings, WHOLE, ("monitoring", "alertEmails", 0), "team", ["monitoring.alertEmails[0]"]),
        (
            Settings,
            INTO_WHAT_IS_THERE,
            ("regions", 1, "existing", "accountName"),
            "a",
            ["regions[1].existing.accountName"],
        ),
        (
            Settings,
            INTO_WHAT_IS_THERE,
            ("network", "allowedIps", 0),
            "10.0.0.1",
            ["network.allowedIps[0]"],
        ),
        (PoolSettings, POOL, ("regions", 0, "url"), "ftp://a", ["regions[0].url"]),
        (PoolSettings, POOL, ("regions", 0, "weight"), 0, ["regions[0].weight"]),
        (MonitoringSettings, WATCH, ("alertEmails", 0), "team", ["alertEmails[0]"]),
        (MonitoringSettings, WATCH, ("tags", "my_tag"), 7, ["tags.my_tag"]),
        (MonitoringSettings, WATCH, ("workspace", "id"), "logs", ["workspace.id"]),
        (MonitoringSettings, WATCH, ("service", "sku"), "Basik", ["service.sku"]),
    ],
)
def test_a_mistake_deep_in_arguments_is_told_with_its_place(kind, sample, path, value, lines):
    changed = with_value(sample, path, value)
    assert [each.path for each in caught(kind, changed)] == lines
    assert [each.path for each in caught(kind, snake(changed))] == lines


@pytest.mark.parametrize(
    ("kind", "sample", "key", "meant"),
    [
        (PoolSettings, POOL, "poolNmae", "poolName"),
        (PoolSettings, POOL, "pool_nmae", "poolName"),
        (PoolSettings, POOL, "servise", "service"),
        (MonitoringSettings, WATCH, "alertEmail", "alertEmails"),
        (MonitoringSettings, WATCH, "api_nam", "apiName"),
        (Settings, WHOLE, "export_kye", "exportKey"),
    ],
)
def test_an_unknown_key_is_told_with_the_one_that_is_meant(kind, sample, key, meant):
    (found,) = caught(kind, {**sample, key: "x"})
    assert found.reason == f'is "x", but there is no such key: did you mean `{meant}`?'


@pytest.mark.parametrize(
    ("kind", "sample", "keys"),
    [
        (PoolSettings, POOL, "regions, routing, acceptStarved, service, breaker, poolName"),
        (MonitoringSettings, WATCH, None),
    ],
)
def test_a_key_like_no_other_is_told_with_those_that_there_are(kind, sample, keys):
    (found,) = caught(kind, {**sample, "gateway": {}})
    assert found.path == "gateway"
    assert found.reason.startswith("is {}, but there is no such key: the keys are ")
    named = set(found.reason.partition("the keys are ")[2].split(", "))
    assert named == {each.alias for each in kind.model_fields.values()}
    assert keys is None or named == set(keys.split(", "))


@pytest.mark.parametrize(
    ("kind", "sample"), [(PoolSettings, POOL), (MonitoringSettings, WATCH)], ids=["pool", "watch"]
)
def test_what_is_missing_is_told_by_name(kind, sample):
    required = [each.alias for each in kind.model_fields.values() if each.is_required()]
    assert len(required) > 1
    found = caught(kind, {})
    assert [each.path for each in found] == required
    assert all(each.reason.startswith("is missing: ") for each in found)


@pytest.mark.parametrize(
    ("kind", "sample"), [(PoolSettings, POOL), (MonitoringSettings, WATCH)], ids=["pool", "watch"]
)
@pytest.mark.parametrize("key", ["priority", "weight"])
def test_an_unequal_pool_is_refused_in_the_words_of_the_config(kind, sample, key):
    changed = with_value(sample, ("regions", 1, key), 2)
    regions = [{k: v for k, v in each.items() if k != "url"} for each in changed["regions"]]
    with pytest.raises(SettingsError) as of_config:
        parse(at({"regions": regions}))
    found = caught(kind, changed)
    assert found == of_config.value.problems
    (line,) = found
    assert line.path == "regions"
    assert "UK South" in line
    assert line.endswith(EQUAL)
    declared = {"priority": "priority", "weight": "weighted"}[key]
    assert problems(kind, {**changed, "routing": declared, "acceptStarved": []}) == []


@pytest.mark.parametrize(
    ("kind", "sample"), [(PoolSettings, POOL), (MonitoringSettings, WATCH)], ids=["pool", "watch"]
)
@pytest.mark.parametrize(
    ("key", "value"), [("name", "foundry1"), ("location", "uksouth"), ("location", "UK South")]
)
def test_names_and_locations_are_each_a_member_s_own(kind, sample, key, value):
    (found,) = caught(kind, with_value(sample, ("regions", 2, key), value))
    assert found.path == f"regions[2].{key}"
    assert found.reason.endswith(f"regions[0] has this {key} already; give each its own")


@pytest.mark.parametrize(
    ("kind", "sample"), [(PoolSettings, POOL), (MonitoringSettings, WATCH)], ids=["pool", "watch"]
)
def test_a_pool_has_two_members_or_more(kind, sample):
    (found,) = caught(kind, {**sample, "regions": MEMBERS[:1]})
    assert (found.path, found.reason.partition(":")[0]) == ("regions", "is a list of 1")


@pytest.mark.parametrize(
    ("kind", "sample"), [(PoolSettings, POOL), (MonitoringSettings, WATCH)], ids=["pool", "watch"]
)
def test_what_is_accepted_without_traffic_is_a_member_without_traffic(kind, sample):
    (found,) = caught(kind, {**sample, "acceptStarved": ["foundry2"]})
    assert found.path == "acceptStarved[0]"
    assert found.reason == 'is "foundry2", which gets 33.3 % of the traffic: leave it out'
    (found,) = caught(kind, {**sample, "acceptStarved": ["foundry9"]})
    assert found.reason.startswith('is "foundry9": did you mean `foundry')


@pytest.mark.parametrize("taken", ["foundry2", "FOUNDRY2"])
def test_no_member_has_the_name_of_its_pool(taken):
    """Both are backends of one service, whose names ignore case."""
    (found,) = caught(PoolSettings, {**POOL, "poolName": taken})
    assert found.path == "regions[1].name"
    assert found.reason == 'is "foundry2": the pool itself has this name; choose another'
    usual = with_value(POOL, ("regions", 1, "name"), "inference-backend-pool")
    assert problems(PoolSettings, usual) == []
    del usual["poolName"]
    assert [each.path for each in caught(PoolSettings, usual)] == ["regions[1].name"]


def test_a_workspace_that_is_there_keeps_its_logs_as_long_as_it_does():
    with_days = {**WATCH, "retentionDays": 60}
    (found,) = caught(MonitoringSettings, with_days)
    assert found.path == "retentionDays"
    assert found.reason == "is 60: a workspace that exists keeps its own; leave this key out"
    del with_days["workspace"]
    assert problems(MonitoringSettings, with_days) == []


# Secrets


URLS = st.from_regex(
    r"https?://[a-z]{1,9}(\.[a-z]{1,9}){1,3}(/[A-Za-z0-9]{1,40}){1,4}", fullmatch=True
)


def places_of_a_hook(url):
    """Arguments that are mistaken, and have a webhook's URL somewhere."""
    for kind, sample, section in (
        (Settings, WHOLE, ("monitoring",)),
        (MonitoringSettings, WATCH, ()),
    ):
        for key, value in (
            ("webhook", f"{url} "),
            ("webhook", [url]),
            ("webhook", {"url": url}),
            ("webhook", {url: None}),
            ("web_hook", url),
            ("webhok", url),
            ("webhooks", [url]),
            ("webhok", {"url": url}),
            ("hook", {"alerts": [["x" * 20, url]]}),
            ("alertEmails", url),
            ("alertEmails", [url]),
            ("alertEmails", [{"webhook": url}]),
            ("workspace", url),
            ("workspace", {"webhook": url}),
            ("ceiling", url),
        ):
            yield kind, with_value(sample, (*section, key), value)
    yield Settings, {**WHOLE, "monitoring": url}
    yield Settings, {**WHOLE, "monitoring": [{"webhook": url}]}
    yield Settings, {**WHOLE, "monitoring": json.dumps({"webhook": url})}
    yield Settings, {**WHOLE, "webhook": url}
    yield MonitoringSettings, {**WATCH, "monitoring": {"webhook": url}}
    yield MonitoringSettings, {**WATCH, "regions": [{"webhook": url}, *MEMBERS]}


@given(url=URLS)
def test_no_line_has_a_webhook_s_url(url):
    places = [*places_of_a_hook(url)]
    for kind, mistaken in places:
        lines = problems(kind, mistaken)
        assert lines
        host = url.partition("://")[2]
        assert [each for each in lines if host in each or "://" + host[:3] in each] == []
    assert len(places) == 36


def test_a_webhook_is_told_as_a_secret():
    (found,) = caught(MonitoringSettings, {**WATCH, "webhook": "hooks.example.com/the-key"})
    assert found.reason == "is [secret]: write the http or https URL that takes alerts"


@pytest.mark.parametrize("key", ["webhok", "web_hook", "Webhook", "webhooks"])
def test_what_a_misspelt_webhook_holds_is_told_as_a_secret(key):
    (found,) = caught(MonitoringSettings, {**WATCH, key: "hooks.example.com/the-key"})
    assert found.reason == "is [secret], but there is no such key: did you mean `webhook`?"


# Warnings


def unusual(**more):
    return {
        "regions": [{**each, "priority": 1 + n} for n, each in enumerate(WHOLE["regions"])],
        "routing": "priority",
        "models": [{**CHAT, "model": "gpt-9"}],
        "protect": {"except": ["foundry7"]},
        "network": {"allowedIps": ["198.51.100.0/24"]},
        "monitoring": {"ceiling": 0.7},
        **more,
    }


def test_warnings_name_keys_as_they_are_written():
    of_config = parse(unusual()).warnings
    of_arguments = arguments(Settings, unusual()).warnings
    assert len(of_config) == len(of_arguments) >= 5
    assert [each.replace("openai-gateway:", "") for each in of_config] == [*of_arguments]
    assert all("openai-gateway:" in each for each in of_config)
    keys = (
        "protect.except names foundry7",
        "set acceptStarved to [foundry2, foundry3]",
        "network.allowedIps: a BasicV2 service has no fixed addresses",
        "monitoring: the alarm rings nowhere; set alertEmails or webhook",
        "models[0]",
    )
    for key in keys:
        assert [each for each in of_arguments if key in each], key
        head = key if key[0] != "s" else key.partition(" ")[2]
        assert [each for each in of_config if f"openai-gateway:{head}" in each], key


def test_a_monitoring_alone_says_of_its_own_keys_why_nobody_would_hear_it():
    given = {key: each for key, each in WATCH.items() if key not in ("alertEmails", "webhook")}
    assert [*arguments(MonitoringSettings, WATCH).warnings] == []
    low = {**given, "ceiling": 0.3}
    assert [*arguments(MonitoringSettings, low).warnings] == [
        "the alarm rings nowhere; set alertEmails or webhook",
        "ceiling is 0.3, and every region is declared above it; write a higher one",
    ]
