import copy
import itertools
import json
import re
import subprocess
import sys
from datetime import date
from fractions import Fraction
from typing import Any

import pulumi
import pytest
import recording
import yaml
from bad_configs import BAD, CHAT, REGIONS, at, many
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime.config import CONFIG

from components import traffic
from components.keys import GENERATED_SUFFIX_LENGTH, TIERS
from components.mistakes import SettingsError
from components.regions import display_name
from components.resource_manager import ResourceManagerError
from components.settings import (
    AccountReference,
    Breaker,
    Gateway,
    Model,
    Region,
    ServiceReference,
    load,
    parse,
)

PROJECT = yaml.safe_load((recording.ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))
each_bad_config = pytest.mark.parametrize(
    ("config", "lines"), [pytest.param(config, lines, id=wrong) for wrong, config, lines in BAD]
)


def problems(config) -> tuple[str, ...] | None:
    """What is wrong with a config; None when it is good."""
    try:
        parse(config)
    except SettingsError as error:
        return error.problems
    return None


@each_bad_config
def test_every_mistake_is_reported_with_key_value_and_remedy(config, lines):
    with pytest.raises(SettingsError) as caught:
        parse(config)
    expected = [f"openai-gateway:{line}" for line in lines]
    assert list(caught.value.problems) == expected
    assert str(caught.value) == "\n".join(expected)


@each_bad_config
def test_the_program_reports_it_without_stack_trace_and_declares_nothing(
    config, lines, monkeypatch
):
    def register(self, request):
        declared.append(request.type)
        return answer(self, request)

    declared: list[str] = []
    answer = recording.Recorder.RegisterResource
    monkeypatch.setattr(recording.Recorder, "RegisterResource", register)
    with pytest.raises(pulumi.RunError) as caught:
        recording.declare(config)
    assert sorted(str(caught.value).split("\n")) == sorted(f"openai-gateway:{n}" for n in lines)
    assert declared == ["pulumi:pulumi:Stack"]


def test_a_config_may_have_no_more_than_the_regions():
    settings = parse({"regions": REGIONS})
    assert settings.regions == (
        Region(name="foundry1", location="uksouth", priority=1, weight=1),
        Region(name="foundry2", location="eastus", priority=1, weight=1),
        Region(name="foundry3", location="norwayeast", priority=1, weight=1),
    )
    assert settings.routing == "round-robin"
    assert settings.models == (
        Model(
            name="chat",
            model="gpt-5.4-mini",
            version="2026-03-17",
            sku="GlobalStandard",
            capacity=50,
        ),
    )
    assert settings.gateway == Gateway(
        sku="BasicV2",
        capacity=1,
        publisher_name="Platform team",
        publisher_email="platform-team@example.com",
    )
    assert settings.location is None
    assert settings.default_location == "uksouth"
    assert settings.protect is not None
    assert settings.unprotected == ()
    assert settings.accept_starved == ()
    assert settings.resource_suffix is None
    assert settings.breaker == Breaker(
        count=10, interval="PT10S", trip_duration="PT10S", accept_retry_after=False
    )
    assert settings.reveal_backend is True
    assert settings.pool.members == tuple(
        traffic.Member(name=name, priority=1, weight=1)
        for name in ("foundry1", "foundry2", "foundry3")
    )
    assert settings.forecast == "UK South 33.3 %, East US 33.3 %, Norway East 33.3 % (round robin)"


def test_every_key_of_a_config_arrives():
    settings = parse(
        {
            "regions": [
                {"name": "a", "location": "UK South", "priority": 3, "weight": 7},
                {"name": "b", "location": "eastus2", "priority": 5, "weight": 9},
            ],
            "routing": "priority",
            "models": [CHAT, {**CHAT, "name": "embed", "model": "e", "version": "1", "sku": "S"}],
            "gateway": {
                "sku": "StandardV2",
                "capacity": 2,
                "publisherName": "Us",
                "publisherEmail": "us@example.org",
                "location": "Sweden Central",
            },
            "resourceSuffix": "dev-1",
            "breaker": {
                "count": 4,
                "interval": "PT30S",
                "tripDuration": "P1DT2H",
                "acceptRetryAfter": False,
            },
            "revealBackend": False,
            "apiVersion": "2025-04-01-preview",
            "exportKey": False,
        }
    )
    assert [(r.name, r.location, r.display_name) for r in settings.regions] == [
        ("a", "uksouth", "UK South"),
        ("b", "eastus2", "East US 2"),
    ]
    assert settings.pool.members == (
        traffic.Member(name="a", priority=3, weight=7),
        traffic.Member(name="b", priority=5, weight=9),
    )
    assert settings.routing == "priority"
    assert settings.models[1] == Model(name="embed", model="e", version="1", sku="S", capacity=50)
    assert settings.gateway == Gateway(
        sku="StandardV2",
        capacity=2,
        publisher_name="Us",
        publisher_email="us@example.org",
        location="swedencentral",
    )
    assert settings.resource_suffix == "dev-1"
    assert settings.breaker == Breaker(
        count=4, interval="PT30S", trip_duration="P1DT2H", accept_retry_after=False
    )
    assert settings.reveal_backend is False
    assert (settings.api_version, settings.export_key) == ("2025-04-01-preview", False)


@pytest.mark.parametrize("tier", [tier for tier in TIERS if tier != "Consumption"])
def test_every_other_tier_has_one_unit_and_a_breaker_unless_told(tier):
    settings = parse(at({"gateway": {"sku": tier}}))
    assert (settings.gateway.sku, settings.gateway.capacity) == (tier, 1)
    assert settings.breaker is not None


@pytest.mark.parametrize("gateway", [{}, {"capacity": 0}])
def test_consumption_has_no_units_and_no_breaker(gateway):
    off = {"breaker": None, "streaming": False, "monitoring": None}
    settings = parse(at({"gateway": {"sku": "Consumption", **gateway}, **off}))
    assert (settings.gateway.capacity, settings.breaker) == (0, None)


@pytest.mark.parametrize(
    ("retries", "expected"),
    [
        ({}, (5, False, 100, 240)),
        ({"count": 0, "deadline": 60}, (0, False, 100, 60)),
        ({"repeatUnanswered": True}, (5, True, 20, 240)),
        ({"repeatUnanswered": True, "timeout": 90}, (5, True, 90, 240)),
    ],
)
def test_an_attempt_that_may_be_repeated_waits_less_unless_told(retries, expected):
    assert tuple(parse(at({"retries": retries})).retries.model_dump().values()) == expected


def test_a_breaker_may_change_one_value_and_keep_the_others():
    assert parse(at({"breaker": {"count": 9}})).breaker == Breaker(
        count=9, interval="PT10S", trip_duration="PT10S", accept_retry_after=False
    )


@pytest.mark.parametrize(
    "config",
    [
        at({"regions": many(2)}),
        at({"regions": many(30)}),
        at({"regions.0.name": "f" * (63 - 1 - GENERATED_SUFFIX_LENGTH)}),
        at({"regions.0.name": "f" * 17, "resourceSuffix": "s" * 45}),
        at({"resourceSuffix": "1"}),
        at({"gateway.publisherEmail": f"{'m' * 88}@example.com"}),
        at({"gateway.publisherName": "p" * 100}),
        at({"models.0.name": "Chat_4.1-x"}),
        at({"breaker.interval": "PT1H30M5S"}),
        at({"breaker.interval": "P10D"}),
        at({f"regions.{n}.priority": 0 for n in range(3)}),
        at({f"regions.{n}.priority": 100 for n in range(3)}),
        at({f"regions.{n}.weight": 100 for n in range(3)}),
        at({"regions.1.weight": 5}, routing="weighted"),
        at({"regions.0.existing": None, "gateway": {"existing": None}}),
        at({"regions.0.existing": {"resourceGroup": "R_(1).-x", "accountName": "a" * 64}}),
        at({"gateway": {"existing": {"resourceGroup": "r" * 90, "serviceName": "a" * 50}}}),
        at({}, routing="weighted"),
        at({"regions.1.weight": 5, "regions.1.priority": 2}, routing="priority"),
        at({}, routing="priority"),
    ],
)
def test_what_is_just_within_the_rules_is_good(config):
    parse(config)


def test_what_exists_arrives():
    settings = parse(
        at(
            {
                # As long as a backend's name may be: no subdomain is made of it.
                "regions.0": {
                    "name": "f" * 80,
                    "location": "uksouth",
                    "existing": {"resourceGroup": "rg-ai", "accountName": "team.ai"},
                },
                "gateway": {"existing": {"resourceGroup": "rg-apim", "serviceName": "apim"}},
            }
        )
    )
    assert settings.gateway.existing == ServiceReference(
        resource_group="rg-apim", service_name="apim"
    )
    assert [region.existing for region in settings.regions] == [
        AccountReference(resource_group="rg-ai", account_name="team.ai"),
        None,
        None,
    ]


@pytest.mark.parametrize("suffix", [0, False, [], {}])
def test_an_empty_suffix_is_text(suffix):
    (line,) = problems(at({"resourceSuffix": suffix}))
    assert line.startswith(f"openai-gateway:resourceSuffix is {json.dumps(suffix)}: write 1 to 45")


@pytest.mark.parametrize("suffix", [None, ""])
def test_no_suffix_and_an_empty_one_are_the_same(suffix):
    assert parse(at({"resourceSuffix": suffix})).resource_suffix is None


def test_a_date_is_reported_like_any_other_value():
    with pytest.raises(SettingsError, match=r'models\[0\].version is "2026-03-17": write the'):
        parse(at({"models.0.version": date(2026, 3, 17)}))


@pytest.mark.parametrize(
    ("name", "shown"), [("F" * 58, f'"{"F" * 58}"'), ("F" * 59, f'"{"F" * 56}...')]
)
def test_a_value_is_shown_as_far_as_it_fits_a_line(name, shown):
    assert problems(at({"regions.0.name": name}))[0].split(": ")[0] == (
        f"openai-gateway:regions[0].name is {shown}"
    )


def test_a_key_is_shown_as_far_as_it_fits_a_line():
    with pytest.raises(SettingsError) as error:
        parse({"regions": REGIONS, "x\ny": 1, "z" * 999: 1})
    assert [problem.partition(" is 1")[0] for problem in error.value.problems] == [
        'openai-gateway:"x\\ny"',
        f'openai-gateway:"{"z" * 56}...',
    ]


def test_keys_and_values_that_are_no_text_can_be_printed_all_the_same():
    # JSON may hold half of a surrogate pair, and YAML keys that are no text.
    found = problems({"regions": REGIONS, "\ud800": 1, 2: 3, "resourceSuffix": "\udfff"})
    assert [line.partition(":")[2].partition(",")[0] for line in found] == [
        '"\\\\ud800" is 1',
        "2 is 3",
        'resourceSuffix is "\\udfff": write 1 to 45 lower-case letters',
    ]
    "\n".join(found).encode()


def test_the_config_is_left_as_it_was():
    config = at({"gateway": {"sku": "BasicV2"}, "breaker": {}})
    before = copy.deepcopy(config)
    parse(config)
    assert config == before


# Locations


NEWER = {"atlantissouth": "Atlantis South", "uksouth": "UK South"}


def test_a_mistyped_location_is_a_mistake_that_names_the_one_meant():
    config = at({"regions.0.location": "uksoth", "location": "easus", "gateway.location": "zz"})
    assert problems(config) == (
        'openai-gateway:location is "easus": there is no such Azure location; did you mean eastus?',
        (
            'openai-gateway:regions[0].location is "uksoth": there is no such Azure location; '
            "did you mean uksouth?"
        ),
        (
            'openai-gateway:gateway.location is "zz": there is no such Azure location; '
            "`az account list-locations` lists them"
        ),
    )


def test_a_location_newer_than_the_table_is_looked_up_once_and_shown_by_its_name():
    def listed():
        asked.append(1)
        return NEWER

    asked: list[int] = []
    config = at({"regions.1.location": "Atlantis South", "location": "atlantissouth"})
    settings = parse(config, listed)
    assert asked == [1]
    assert settings.regions[1].location == settings.location == "atlantissouth"
    assert settings.forecast.startswith("UK South 33.3 %, Atlantis South 33.3 %")
    with pytest.raises(SettingsError, match=r"but UK South 50.0 %, Atlantis South 25.0 %"):
        parse(
            {**config, "regions": [{**config["regions"][0], "weight": 2}, *config["regions"][1:]]},
            listed,
        )


def test_a_location_that_the_subscription_has_not_is_refused_with_its_names_too():
    with pytest.raises(SettingsError, match=r"did you mean atlantissouth\?$"):
        parse(at({"regions.1.location": "atlantisouth"}), lambda: NEWER)


def test_known_locations_ask_nobody():
    parse(at({"location": "Sweden Central"}), lambda: pytest.fail("asked"))


def test_an_unknown_location_says_so_when_the_subscription_cannot_be_asked():
    def listed():
        raise ResourceManagerError("403, give this identity the role Reader")

    with pytest.raises(SettingsError) as caught:
        parse(at({"regions.1.location": "eastuss"}), listed)
    assert caught.value.problems == (
        (
            'openai-gateway:regions[1].location is "eastuss": there is no such Azure location; did '
            "you mean eastus? (the subscription's own list cannot be read: "
            "403, give this identity the role Reader)"
        ),
    )


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_the_order_of_the_regions_means_nothing(order):
    settings = parse({"regions": [REGIONS[position] for position in order]})
    assert settings.model_dump() == parse({"regions": REGIONS}).model_dump()
    assert settings.default_location == REGIONS[order[0]]["location"]
    for place, position in enumerate(order):
        assert settings.path(settings.regions[position]) == f"regions[{place}]"


def test_the_location_may_be_given_here_or_there_but_not_twice_differently():
    assert parse(at({"location": "UK West"})).location == "ukwest"
    assert parse(at({"gateway.location": "ukwest"})).location == "ukwest"
    assert parse(at({"location": "ukwest", "gateway.location": "UK West"})).location == "ukwest"
    assert problems(at({"location": "ukwest", "gateway.location": "eastus"})) == (
        (
            'openai-gateway:gateway.location is "eastus": location is "ukwest", and both mean the '
            "same; leave this one out"
        ),
    )


# Protection


@pytest.mark.parametrize(
    ("protect", "unprotected"),
    [
        (True, ()),
        (False, ("foundry1", "foundry2", "foundry3", "gateway")),
        ({"except": []}, ()),
        ({}, ()),
        ({"enabled": True}, ()),
        ({"enabled": False}, ("foundry1", "foundry2", "foundry3", "gateway")),
        ({"except": ["gateway", "foundry2"]}, ("gateway", "foundry2")),
    ],
)
def test_protection_is_on_unless_it_is_switched_off_as_a_whole_or_by_name(protect, unprotected):
    settings = parse(at({"protect": protect}))
    assert settings.unprotected == unprotected
    assert settings.warnings == ()


@pytest.mark.parametrize(
    ("protect", "line"),
    [
        *(
            (
                value,
                f"protect is {shown}: write true, false, or a mapping whose `except` lists names",
            )
            for value, shown in [(None, "null"), ("yes", '"yes"'), (0, "0"), ([], "[]")]
        ),
        (
            {"except": "foundry2"},
            'protect.except is "foundry2": list names of regions, as [foundry2, foundry3]',
        ),
        (
            {"except": [], "expect": []},
            "protect.expect is [], but there is no such key: did you mean `except`?",
        ),
    ],
)
def test_protection_is_never_switched_off_by_a_mistake(protect, line):
    assert problems(at({"protect": protect})) == (f"openai-gateway:{line}",)


def test_a_name_in_an_entry_of_a_list_is_checked():
    (line,) = problems(at({"protect": {"except": ["foundry2", "Foundry3"]}}))
    assert line.startswith('openai-gateway:protect.except[1] is "Foundry3": write 1 to 80 lower')


def test_an_exception_for_no_region_is_told():
    # A region that was removed is named until its account is deleted; a mistyped name stays.
    (warning,) = parse(at({"protect": {"except": ["foundry9", "gateway"]}})).warnings
    assert warning.startswith("openai-gateway:protect.except names foundry9, which is no region")


# Regions that get nothing


INCIDENT = {"regions.1.priority": 2, "regions.2.priority": 2}


def test_regions_that_get_nothing_are_named_with_what_to_write_if_that_is_meant():
    (warning,) = parse(at(INCIDENT, routing="priority")).warnings
    assert warning == (
        "East US and Norway East get 0 % of the traffic while UK South is up; if that is meant, "
        "set openai-gateway:acceptStarved to [foundry2, foundry3]"
    )
    accepted = ["foundry2"]
    (warning,) = parse(at(INCIDENT, routing="priority", acceptStarved=accepted)).warnings
    assert warning.endswith("acceptStarved to [foundry2, foundry3]")
    accepted = ["foundry3", "foundry2"]
    assert parse(at(INCIDENT, routing="priority", acceptStarved=accepted)).warnings == ()


def test_one_region_that_gets_nothing_waits_for_all_others():
    (warning,) = parse(at({"regions.2.priority": 2}, routing="priority")).warnings
    assert warning.startswith(
        "Norway East gets 0 % of the traffic while UK South or East US is up; "
    )


def test_a_region_that_gets_traffic_is_not_accepted_as_starved():
    config = at(INCIDENT, routing="priority", acceptStarved=["foundry1", "foundry3", "foundrx2"])
    assert problems(config) == (
        (
            'openai-gateway:acceptStarved[0] is "foundry1", which gets 100.0 % of the traffic: '
            "leave it out"
        ),
        'openai-gateway:acceptStarved[2] is "foundrx2": did you mean `foundry2`?',
    )


# Properties

priorities = st.integers(0, 100)
weights = st.integers(1, 100)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
key_names = st.sampled_from(
    [
        *("regions", "routing", "models", "gateway", "resourceSuffix", "breaker", "revealBackend"),
        *("name", "location", "priority", "weight", "sku", "capacity", "count", "interval"),
        "existing",
    ]
)


@given(
    st.lists(st.tuples(priorities, weights), min_size=2, max_size=30),
    st.sampled_from(traffic.ROUTINGS),
)
def test_a_routing_is_accepted_exactly_when_the_regions_are_as_it_says(numbers, routing):
    regions = [
        {**region, "priority": priority, "weight": weight}
        for region, (priority, weight) in zip(many(len(numbers)), numbers, strict=True)
    ]
    one_priority = len({priority for priority, _ in numbers}) == 1
    one_weight = len({weight for _, weight in numbers}) == 1
    good = {
        "round-robin": one_priority and one_weight,
        "weighted": one_priority,
        "priority": True,
    }[routing]
    if good:
        settings = parse({"regions": regions, "routing": routing})
        shares = settings.pool.shares
        assert sum(shares) == 1
        if routing == "round-robin":
            assert set(shares) == {Fraction(1, len(numbers))}
            assert settings.forecast.endswith("(round robin)")
    else:
        with pytest.raises(SettingsError) as caught:
            parse({"regions": regions, "routing": routing})
        (problem,) = caught.value.problems
        for region in regions:
            assert f"{display_name(region['location'])} " in problem  # with its share


@given(json_values | st.dictionaries(key_names | st.text(), json_values))
def test_any_config_is_either_read_or_refused_line_by_line(value):
    config = value if isinstance(value, dict) else {"regions": value}
    found = problems(config)
    assert found is None or found
    for problem in found or ():
        assert problem.startswith("openai-gateway:")


@given(st.integers(0, 2), st.sampled_from(["priority", "weight"]), json_values)
def test_no_number_but_one_in_range_is_a_priority_or_a_weight(position, key, value):
    low = {"priority": 0, "weight": 1}[key]
    config = at({f"regions.{position}.{key}": value}, routing="priority")
    good = type(value) is int and low <= value <= 100
    if good:
        assert getattr(parse(config).regions[position], key) == value
    else:
        with pytest.raises(
            SettingsError, match=rf"^openai-gateway:regions\[{position}\]\.{key} is"
        ):
            parse(config)


@given(st.text(alphabet="az09-_.A é\n", max_size=50), st.text(alphabet="az09-_.A", max_size=70))
def test_what_is_accepted_makes_names_that_azure_accepts(suffix, name):
    try:
        settings = parse(at({"resourceSuffix": suffix, "regions.0.name": name}))
    except SettingsError:
        return
    suffix = settings.resource_suffix or "x" * GENERATED_SUFFIX_LENGTH
    assert re.fullmatch(r"[a-zA-Z](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?", f"apim-{suffix}")
    assert len(f"apim-{suffix}") <= 50
    for region in settings.regions:
        assert 1 <= len(region.name) <= 80
        subdomain = f"{region.name}-{suffix}"
        assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", subdomain)
        assert re.fullmatch(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", subdomain)
        assert 2 <= len(subdomain) <= 63


# The stack's config as Pulumi gives it


@pytest.fixture
def stack(monkeypatch):
    """Set the config as the engine does: text, and JSON text for lists and objects."""

    def set_config(values: dict[str, str]) -> pulumi.Config:
        token = CONFIG.set({f"openai-gateway:{key}": text for key, text in values.items()})
        monkeypatch.setattr("pulumi.config.get_project", lambda: "openai-gateway")
        tokens.append(token)
        return pulumi.Config()

    tokens: list[Any] = []
    yield set_config
    for token in reversed(tokens):
        CONFIG.reset(token)


def test_load_reads_what_parse_reads(stack):
    config = at(
        {
            "regions.1.weight": 3,
            "resourceSuffix": "123",
            "breaker": None,
            "gateway.capacity": 2,
            "revealBackend": False,
            "apiVersion": "2024-06-01",
        },
        routing="weighted",
    )
    as_text = {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()
    }
    assert load(stack(as_text)) == parse(config)


def test_load_takes_defaults_for_what_the_stack_leaves_out(stack):
    assert load(stack({"regions": json.dumps(REGIONS)})) == parse({"regions": REGIONS})


def test_null_in_a_stack_file_reaches_the_program_as_empty_text_and_switches_the_breaker_off(stack):
    assert load(stack({"regions": json.dumps(REGIONS), "breaker": ""})).breaker is None


def test_load_refuses_unknown_keys_of_the_namespace_and_leaves_others_alone(stack, monkeypatch):
    config = stack({"regions": json.dumps(REGIONS), "routnig": "priority"})
    CONFIG.get()["azure-native:location"] = "uksouth"
    monkeypatch.setenv("PULUMI_CONFIG", json.dumps({"openai-gateway:model": "chat"}))
    with pytest.raises(SettingsError) as caught:
        load(config)
    assert caught.value.problems == (
        'openai-gateway:model is "chat", but there is no such key: did you mean `models`?',
        'openai-gateway:routnig is "priority", but there is no such key: did you mean `routing`?',
    )


@pytest.mark.parametrize(
    "namespace", ["openai-gatway", "openai_gateway", "OpenAI-Gateway", "openaigateway"]
)
def test_load_refuses_a_namespace_that_is_nearly_this_one(stack, namespace):
    config = stack({"regions": json.dumps(REGIONS)})
    CONFIG.get().update({f"{namespace}:breaker": "", "openai:apiKey": "x", "aws:region": "y"})
    with pytest.raises(SettingsError) as caught:
        load(config)
    assert caught.value.problems == (
        (
            f"{namespace}:breaker is null, but there is no such namespace: "
            "did you mean `openai-gateway:breaker`?"
        ),
    )


def test_load_reports_every_wrong_type_at_the_top_at_once(stack):
    config = stack({"regions": '{"a": 1}', "routing": "[]", "revealBackend": "yes", "gateway": "3"})
    with pytest.raises(SettingsError) as caught:
        load(config)
    assert caught.value.problems == (
        'openai-gateway:regions is {"a": 1}: list 2 to 30 regions, each with a name and a location',
        "openai-gateway:routing is []: write one of round-robin, weighted, priority",
        "openai-gateway:gateway is 3: write a mapping of keys to values",
        'openai-gateway:revealBackend is "yes": write true or false',
    )


def typos(word: str) -> set[str]:
    """The word with a letter left out, doubled, exchanged with its neighbour, or another."""
    found = set()
    for n, letter in enumerate(word):
        found |= {word[:n] + word[n + 1 :], word[:n] + letter + word[n:]}
        found.add(word[:n] + ("q" if letter != "q" else "z") + word[n + 1 :])
        found.add(word[:n] + word[n + 1 : n + 2] + letter + word[n + 2 :])
    return found - {word}


def test_a_mistyped_key_of_the_dev_stack_is_always_reported(stack):
    given = recording.config_of("dev")
    for key, value in given.items():
        for typo in (each for each in typos(f"openai-gateway:{key}") if ":" in each):
            config = stack({k: json.dumps(v) for k, v in given.items() if k != key})
            CONFIG.get()[typo] = json.dumps(value)
            with pytest.raises(SettingsError) as caught:
                load(config)
            shown = {typo, f'"{typo.removeprefix("openai-gateway:")}"'}
            assert any(each in line for line in caught.value.problems for each in shown), typo


def test_a_mistyped_text_of_the_dev_stack_is_reported_or_is_another_backend_s_name():
    dev = parse(recording.config_of("dev"))
    for position, region in enumerate(recording.config_of("dev")["regions"]):
        path = f"regions[{position}]"
        for key, value in region.items():
            for typo in typos(key):
                config = recording.config_of("dev")
                config["regions"][position] = {
                    typo if name == key else name: value for name, value in region.items()
                }
                assert any(f"{path}.{typo}" in line for line in problems(config) or ()), typo
            for typo in typos(str(value)):
                config = recording.config_of("dev")
                config["regions"][position][key] = int(typo) if typo.isdecimal() else typo
                if key == "name" and problems(config) is None:
                    found = parse(config)
                    assert {r.display_name for r in found.regions} == {
                        r.display_name for r in dev.regions
                    }
                    assert [r.name for r in found.regions].count(typo) == 1
                else:
                    assert any("regions" in line for line in problems(config) or ()), typo


def test_load_reports_a_missing_config_as_parse_does(stack):
    with pytest.raises(SettingsError, match=r"^openai-gateway:regions is missing: list 2 to 30"):
        load(stack({}))


def test_parse_needs_no_pulumi():
    code = (
        "import sys; from components.settings import parse; "
        f"parse({{'regions': {REGIONS}}}); sys.exit('pulumi' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=recording.ROOT)


# Pulumi.yaml and the stacks


def stack_config(name: str) -> dict[str, Any]:
    text = (recording.ROOT / f"Pulumi.{name}.yaml").read_text(encoding="utf-8")
    return {
        key.removeprefix("openai-gateway:"): value
        for key, value in yaml.safe_load(text)["config"].items()
    }


def test_the_project_leaves_the_config_to_the_program():
    # A key that Pulumi.yaml declares is checked by Pulumi too, which stops at the first mistake.
    assert PROJECT["name"] == "openai-gateway"
    assert PROJECT["runtime"] == {"name": "python", "options": {"virtualenv": ".venv"}}
    assert "config" not in PROJECT


def test_the_dev_stack_is_round_robin():
    settings = parse(stack_config("dev"))
    assert settings.routing == "round-robin"
    assert [(r.name, r.location, r.priority, r.weight) for r in settings.regions] == [
        ("foundry1", "uksouth", 1, 1),
        ("foundry2", "eastus", 1, 1),
        ("foundry3", "norwayeast", 1, 1),
    ]


def test_the_incident_stack_has_the_incident_s_pool_and_is_else_the_dev_stack():
    incident, dev = stack_config("incident"), stack_config("dev")
    settings = parse(incident)
    assert settings.routing == "priority"
    assert [(r.name, r.location, r.priority, r.weight) for r in settings.regions] == [
        ("foundry1", "uksouth", 1, 100),
        ("foundry2", "eastus", 2, 50),
        ("foundry3", "norwayeast", 2, 50),
    ]
    assert settings.forecast.startswith("UK South 100.0 %, East US 0.0 %, Norway East 0.0 % (not")
    assert {**incident, "regions": dev["regions"], "routing": "round-robin"} == {
        "routing": "round-robin",
        **dev,
    }


def test_an_existing_service_s_stack_may_have_as_many_tags_as_azure_takes():
    existing = {"existing": {"resourceGroup": "rg", "serviceName": "apim"}}
    tags = {str(n): "" for n in range(50)}
    assert parse({"regions": REGIONS, "gateway": existing, "tags": tags}).tags == tags
    with pytest.raises(SettingsError, match="tags has 51 entries: Azure takes 50; remove some"):
        parse({"regions": REGIONS, "gateway": existing, "tags": tags | {"one": "more"}})
