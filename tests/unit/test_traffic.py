from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from components.traffic import (
    ABSENT,
    IS_SECRET,
    NOT_KNOWN,
    ROUTINGS,
    SECRET,
    UNKNOWN,
    Member,
    Pool,
    as_services,
    differences,
    named,
    number,
    percent,
    read_config,
    refused,
    unlike,
)

LABELS = {"foundry1": "UK South", "foundry2": "East US", "foundry3": "Norway East"}


def pool(priorities, weights=None, down=()):
    weights = weights or [1] * len(priorities)
    return of(
        Member(name=f"foundry{n}", priority=priority, weight=weight, up=n not in down)
        for n, (priority, weight) in enumerate(zip(priorities, weights, strict=True), start=1)
    )


def of(members):
    return Pool(members=tuple(members))


def reasons(pool, routing="round-robin"):
    return [each.message for each in pool.problems(routing)]


@st.composite
def pools(draw, min_size=1, min_weight=1):
    size = draw(st.integers(min_size, 30))
    # Few priorities, so that groups have several members and several groups exist.
    numbers = st.lists(st.integers(0, 3), min_size=size, max_size=size)
    weights = st.lists(st.integers(min_weight, 100), min_size=size, max_size=size)
    up = st.lists(st.booleans(), min_size=size, max_size=size)
    return of(
        Member(name=f"foundry{n}", priority=priority, weight=weight, up=is_up)
        for n, (priority, weight, is_up) in enumerate(
            zip(draw(numbers), draw(weights), draw(up), strict=True), start=1
        )
    )


@pytest.mark.parametrize(
    ("found", "shares"),
    [
        pytest.param(pool([1, 1, 1]), ["1/3", "1/3", "1/3"], id="round robin"),
        pytest.param(pool([1, 2, 2], [100, 50, 50]), [1, 0, 0], id="the incident"),
        pytest.param(pool([1, 2, 2], [100, 50, 50], {1}), [0, "1/2", "1/2"], id="failed over"),
        pytest.param(pool([1, 1, 2], [1, 1, 1], {1}), [0, 1, 0], id="one of a group is enough"),
        pytest.param(pool([3, 2, 1]), [0, 0, 1], id="the lowest number, not the first member"),
        pytest.param(pool([0, 1, 1]), [1, 0, 0], id="priority 0 is the lowest"),
        pytest.param(pool([1, 1, 1], [3, 2, 1]), ["1/2", "1/3", "1/6"], id="weighted"),
        pytest.param(pool([2, 2, 2], [100, 100, 100]), ["1/3", "1/3", "1/3"], id="equal is equal"),
        pytest.param(pool([1, 1, 1], down={1, 2, 3}), [0, 0, 0], id="none is up"),
        pytest.param(pool([1, 1, 1], [0, 1, 1]), [0, "1/2", "1/2"], id="weight 0"),
        pytest.param(pool([1, 1], [0, 0]), ["1/2", "1/2"], id="weight 0 everywhere"),
        pytest.param(pool([]), [], id="no members"),
    ],
)
def test_shares(found, shares):
    assert list(found.shares) == [Fraction(share) for share in shares]


@given(pools(min_weight=0))
def test_shares_sum_to_one_while_a_member_is_up(found):
    assert sum(found.shares) == (1 if any(member.up for member in found.members) else 0)


@given(pools(), st.integers(0, 100), st.integers(1, 100))
def test_only_the_highest_live_group_counts(found, priority, weight):
    members = found.members
    assume(any(member.up for member in members))
    highest = min(member.priority for member in members if member.up)
    changed = of(
        member
        if member.up and member.priority == highest
        else replace(member, weight=weight, priority=max(priority, highest + 1))
        for member in members
    )
    assert changed.shares == found.shares
    live = [member.up and member.priority == highest for member in members]
    assert [share > 0 for share in found.shares] == live
    assert found.starved == [
        m.name for m, is_live in zip(members, live, strict=True) if not is_live
    ]


@given(pools(), st.randoms())
def test_the_order_of_the_members_does_not_count(found, random):
    shuffled = of(random.sample(found.members, len(found.members)))
    assert shuffled.by_label({}) == found.by_label({})
    assert bool(reasons(shuffled)) == bool(reasons(found))
    assert differences(found, shuffled) == []


@given(pools(), st.integers(1, 1000))
def test_weights_are_relative(found, factor):
    scaled = of(replace(member, weight=factor * member.weight) for member in found.members)
    assert scaled.shares == found.shares


@given(pools())
def test_shares_of_a_group_are_in_proportion_to_the_weights(found):
    pairs = zip(found.members, found.shares, strict=True)
    assert len({share / member.weight for member, share in pairs if share}) <= 1


@given(pools())
def test_round_robin_is_an_equal_share_for_each_of_several(found):
    count = len(found.members)
    equal = set(found.shares) == {Fraction(1, count)}
    assert (not reasons(found)) == (equal and count > 1)


@given(st.integers(2, 30), st.integers(0, 100), st.integers(1, 100))
def test_equal_members_are_round_robin_whatever_the_numbers(count, priority, weight):
    found = pool([priority] * count, [weight] * count)
    assert reasons(found) == []
    assert set(found.shares) == {Fraction(1, count)}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (pool([1, 1, 1]), []),
        (pool([1, 2, 1]), ["foundry2 has priority 2, foundry1 and foundry3 have priority 1"]),
        (pool([1, 2]), ["foundry2 has priority 2, foundry1 has priority 1"]),
        (pool([2, 1]), ["foundry1 has priority 2, foundry2 has priority 1"]),
        (
            pool([3, 2, 1]),
            ["foundry1 has priority 3, foundry2 has priority 2, foundry3 has priority 1"],
        ),
        (
            pool([1, 2, 2], [100, 50, 50]),
            [
                "foundry2 and foundry3 have priority 2, foundry1 has priority 1",
                "foundry2 and foundry3 have weight 50, foundry1 has weight 100",
            ],
        ),
        (pool([1, 1, 1], down={2}), ["foundry2 is down"]),
        (pool([1, 1, 1], down={1, 2, 3}), ["foundry1, foundry2 and foundry3 are down"]),
        (pool([1, 1], [0, 0]), ["every weight is 0, which Azure does not document"]),
        (pool([1]), ["foundry1 is the only member"]),
        (pool([]), ["no members"]),
    ],
)
def test_the_reasons_name_the_members_and_their_numbers(found, said):
    assert reasons(found) == said


def test_a_member_that_is_there_twice_has_both_shares_and_is_a_problem():
    twice = of([*pool([1]).members, *pool([1]).members])
    assert twice.by_label(LABELS) == {"UK South": 1}
    assert reasons(twice) == ["foundry1 is a member 2 times"]
    assert reasons(of([Member(name="A", priority=1, weight=1), *of_one("a")])) == [
        "A is a member 2 times"
    ]


def of_one(name, priority=1, weight=1):
    return (Member(name=name, priority=priority, weight=weight),)


@pytest.mark.parametrize(
    ("routing", "found", "said"),
    [
        ("weighted", pool([1, 1], [1, 50]), []),
        ("weighted", pool([1, 2]), ["foundry2 has priority 2, foundry1 has priority 1"]),
        ("priority", pool([1, 2], [1, 50]), []),
        (
            "priority",
            pool([1, 1], [1, 0]),
            ["foundry2 has weight 0, which Azure does not document"],
        ),
        ("anything", pool([1, 2]), ["foundry2 has priority 2, foundry1 has priority 1"]),
    ],
)
def test_a_routing_says_what_may_differ(routing, found, said):
    assert reasons(found, routing) == said


def test_the_forecast_of_a_round_robin():
    assert pool([1, 1, 1]).forecast(LABELS) == (
        "UK South 33.3 %, East US 33.3 %, Norway East 33.3 % (round robin)"
    )


def test_the_forecast_of_the_incident():
    assert pool([1, 2, 2], [100, 50, 50]).forecast(LABELS) == (
        "UK South 100.0 %, East US 0.0 %, Norway East 0.0 % (not round robin: "
        "foundry2 and foundry3 have priority 2, foundry1 has priority 1; "
        "foundry2 and foundry3 have weight 50, foundry1 has weight 100)"
    )


def test_a_member_without_a_label_goes_by_its_name_and_labels_ignore_case():
    assert pool([1, 1]).forecast({"foundry1": "UK South"}) == (
        "UK South 50.0 %, foundry2 50.0 % (round robin)"
    )
    upper = of([*of_one("FOUNDRY1"), *of_one("foundry2")])
    assert upper.forecast(LABELS) == "UK South 50.0 %, East US 50.0 % (round robin)"


def test_the_forecast_of_an_empty_pool():
    assert pool([]).forecast(LABELS) == "not round robin: no members"


@given(pools(min_size=2), st.sampled_from(ROUTINGS))
def test_an_error_gives_back_the_forecast_that_it_was_made_of(found, routing):
    forecast = found.forecast(LABELS)
    error = f"openai-gateway:regions {unlike(routing, forecast)}: give every region the same"
    assert refused(f"a line before\n{error}\na line after: b") == forecast
    assert refused("openai-gateway:regions is 1") == ""


ID = "/subscriptions/s/x/backends/"


@pytest.mark.parametrize(
    ("service", "member"),
    [
        ({"id": f"{ID}a", "priority": 1.0, "weight": 50.0}, of_one("a", 1, 50)[0]),
        ({"id": "/backends/a", "priority": 0, "weight": 0}, of_one("a", 0, 0)[0]),
        ({"id": "a"}, of_one("a", ABSENT, ABSENT)[0]),
        ({"id": "a", "priority": None, "weight": None}, of_one("a", ABSENT, ABSENT)[0]),
        ({"id": "a", "priority": UNKNOWN, "weight": SECRET}, of_one("a", NOT_KNOWN, IS_SECRET)[0]),
        ({"id": "a", "priority": "1", "weight": True}, of_one("a", "no number", "no number")[0]),
        ({"id": "a", "priority": {"a": 1}, "weight": []}, of_one("a", "no number", "no number")[0]),
        (
            {"id": "a", "priority": 1.5, "weight": float("nan")},
            of_one("a", "no whole number", "no whole number")[0],
        ),
        (
            {"id": "a", "priority": -1, "weight": 101},
            of_one("a", "-1 outside of 0 to 100", "101 outside of 1 to 100")[0],
        ),
        (UNKNOWN, replace(of_one("member 1", NOT_KNOWN, NOT_KNOWN)[0], id=NOT_KNOWN)),
        (SECRET, replace(of_one("member 1", IS_SECRET, IS_SECRET)[0], id=IS_SECRET)),
        (7, replace(of_one("member 1", 7, 7)[0], id="no number")),
        ({"id": " "}, replace(of_one("member 1", ABSENT, ABSENT)[0], id="no number")),
    ],
)
def test_a_member_is_read_from_what_azure_the_engine_and_the_config_give(service, member):
    assert Pool.read([service]).members == (member,)


def test_a_secret_of_the_engine_s_state_is_one_and_no_other_mapping():
    signed = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
    assert Pool.read([{"id": "a", "priority": signed, "weight": 1}]).untold == [
        "priority of a is secret"
    ]


@pytest.mark.parametrize(
    ("services", "untold", "said"),
    [
        (UNKNOWN, ["the members are not known yet"], []),
        (SECRET, ["the members are secret"], []),
        (None, [], ["the members are not set"]),
        (7, [], ["the members are no number"]),
        ([], [], ["no members"]),
    ],
)
def test_members_that_are_not_there_are_a_problem_unless_a_preview_does_not_tell_them(
    services, untold, said
):
    found = Pool.read(services)
    assert (found.shares or None, found.untold, reasons(found)) == (None, untold, said)


def test_what_is_not_told_is_named_and_leaves_the_shares_open():
    found = Pool.read([{"id": UNKNOWN, "priority": 1, "weight": SECRET}, {"id": "b", "weight": 1}])
    assert found.shares is None
    assert found.forecast({}) == ""
    assert found.untold == ["weight of member 1 is secret"]
    assert reasons(found) == ["b has no priority"]


def test_the_config_declares_1_and_1_where_it_says_nothing():
    assert read_config([{"name": "a", "weight": 2}, {"name": "b", "priority": 0}]) == of(
        [*of_one("a", 1, 2), *of_one("b", 0, 1)]
    )
    assert as_services([{"name": "a", "location": "uksouth"}])[0]["id"] == "a"


@pytest.mark.parametrize(
    ("live", "said"),
    [
        (pool([1, 1, 1]), []),
        (of([*of_one("FOUNDRY3"), *of_one("Foundry1"), *of_one("foundry2")]), []),
        (
            pool([7, 1, 1], [1, 9, 1]),
            ["set the priority of foundry1 to 1", "set the weight of foundry2 to 1"],
        ),
        (pool([1, 1]), ["add foundry3 to it"]),
        (pool([1, 1, 1, 1]), ["remove foundry4"]),
        (of([*pool([1, 1, 1]).members, *of_one("foundry1")]), ["name each backend once"]),
        (
            of([*pool([1, 1]).members, *of_one("foundry3", 1, ABSENT)]),
            ["write a weight for it, 1 to 100"],
        ),
        (of([*pool([1, 1]).members, *of_one("foundry3", 1, NOT_KNOWN)]), []),
        (Pool.read(None), ["list every region's backend"]),
    ],
)
def test_each_difference_from_what_is_declared_has_a_remedy_of_its_own(live, said):
    assert [each.remedy for each in differences(pool([1, 1, 1]), live)] == said


def test_members_whose_ids_are_not_known_yet_stand_for_those_that_are_missing():
    declared = pool([1, 1, 2])
    services = [{"id": UNKNOWN, "priority": n, "weight": 1} for n in (1, 1, 2)]
    assert differences(declared, Pool.read(services)) == []
    assert differences(declared, Pool.read([{"id": "foundry1", **ONES}, *services[1:]])) == []
    two = differences(declared, Pool.read(services[:2]))
    assert [each.kind for each in two] == ["missing"]
    four = differences(declared, Pool.read([*services, services[0]]))
    assert [each.kind for each in four] == ["extra"]


ONES = {"priority": 1, "weight": 1}


@pytest.mark.parametrize(
    ("share", "written"),
    [
        (Fraction(0), "0.0 %"),
        (Fraction(1), "100.0 %"),
        (Fraction(1, 3), "33.3 %"),
        (Fraction(2, 3), "66.7 %"),
        (Fraction(1, 2901), "< 0.1 %"),
        (Fraction(2900, 2901), "> 99.9 %"),
        (Fraction(1, 1000), "0.1 %"),
        (Fraction(999, 1000), "99.9 %"),
    ],
)
def test_a_percentage(share, written):
    assert percent(share) == written


@given(st.fractions(0, 1))
def test_a_percentage_never_hides_that_a_member_serves_or_is_not_alone(share):
    assert (percent(share) == "0.0 %") == (share == 0)
    assert (percent(share) == "100.0 %") == (share == 1)


@pytest.mark.parametrize(
    ("value", "what", "read"),
    [
        (0, "priority", 0),
        (100, "priority", 100),
        (-1, "priority", "-1 outside of 0 to 100"),
        (0, "weight", 0),
        (100, "weight", 100),
        (101, "weight", "101 outside of 1 to 100"),
        (999_999, "weight", "999999 outside of 1 to 100"),
        (-1_000_000, "weight", "a number outside of 1 to 100"),
        (10**6, "weight", "a number outside of 1 to 100"),
    ],
)
def test_the_limits_of_a_number_belong_to_it(value, what, read):
    assert number(value, what) == read


def test_a_member_that_is_read_alone_is_the_first():
    assert Member.read({"priority": 1, "weight": 1}).name == "member 1"


def test_members_whose_ids_are_not_told_yet_are_named_by_the_missing_ones_in_order():
    declared = Pool.read(
        [{"id": name, "priority": 1, "weight": n} for n, name in enumerate("abc", 1)]
    )
    told = {"id": "/x/backends/B", "priority": 1, "weight": 2}
    untold = [{"id": UNKNOWN, "priority": 1, "weight": weight} for weight in (1, 3)]
    found = named(Pool.read([untold[0], told, untold[1]]), declared)
    assert [member.name for member in found.members] == ["a", "B", "c"]
    assert [member.weight for member in found.members] == [1, 2, 3]
    for other in ([untold[1], told, untold[0]], [untold[0], told], [*untold, told, untold[0]]):
        pool = Pool.read(other)
        assert named(pool, declared) == pool
