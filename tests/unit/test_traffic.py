from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from components.traffic import Member, Pool, percent

LABELS = {"foundry1": "UK South", "foundry2": "East US", "foundry3": "Norway East"}


def expected_shares(members):
    return Pool(members=tuple(members)).by_label({})


def not_round_robin(members):
    return [each.message for each in Pool(members=tuple(members)).problems("round-robin")]


def forecast(members, labels):
    return Pool(members=tuple(members)).forecast(labels)


def pool(priorities, weights=None, down=()):
    weights = weights or [1] * len(priorities)
    return [
        Member(name=f"foundry{n}", priority=priority, weight=weight, up=n not in down)
        for n, (priority, weight) in enumerate(zip(priorities, weights, strict=True), start=1)
    ]


@st.composite
def pools(draw, min_size=1, min_weight=1):
    size = draw(st.integers(min_size, 30))
    # Few priorities, so that groups have several members and several groups exist.
    numbers = st.lists(st.integers(0, 3), min_size=size, max_size=size)
    weights = st.lists(st.integers(min_weight, 100), min_size=size, max_size=size)
    up = st.lists(st.booleans(), min_size=size, max_size=size)
    return [
        Member(name=f"foundry{n}", priority=priority, weight=weight, up=is_up)
        for n, (priority, weight, is_up) in enumerate(
            zip(draw(numbers), draw(weights), draw(up), strict=True), start=1
        )
    ]


@pytest.mark.parametrize(
    ("members", "shares"),
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
        pytest.param([], [], id="no members"),
    ],
)
def test_shares(members, shares):
    assert list(expected_shares(members).values()) == [Fraction(share) for share in shares]


@given(pools(min_weight=0))
def test_shares_sum_to_one_while_a_member_is_up(members):
    total = sum(expected_shares(members).values())
    assert total == (1 if any(member.up for member in members) else 0)


@given(pools(), st.integers(0, 100), st.integers(1, 100))
def test_only_the_highest_live_group_counts(members, priority, weight):
    assume(any(member.up for member in members))
    highest = min(member.priority for member in members if member.up)
    changed = [
        member
        if member.up and member.priority == highest
        else replace(member, weight=weight, priority=max(priority, highest + 1))
        for member in members
    ]
    assert expected_shares(changed) == expected_shares(members)
    for member in members:
        live = member.up and member.priority == highest
        assert (expected_shares(members)[member.name] > 0) == live


@given(pools(), st.randoms())
def test_the_order_of_the_members_does_not_count(members, random):
    shuffled = random.sample(members, len(members))
    assert expected_shares(shuffled) == expected_shares(members)
    assert bool(not_round_robin(shuffled)) == bool(not_round_robin(members))


@given(pools(), st.integers(1, 1000))
def test_weights_are_relative(members, factor):
    scaled = [replace(member, weight=factor * member.weight) for member in members]
    assert expected_shares(scaled) == expected_shares(members)


@given(pools())
def test_shares_of_a_group_are_in_proportion_to_the_weights(members):
    shares = expected_shares(members)
    serving = [member for member in members if shares[member.name]]
    assert len({shares[member.name] / member.weight for member in serving}) <= 1


@given(pools())
def test_round_robin_is_an_equal_share_for_each_of_several(members):
    equal = set(expected_shares(members).values()) == {Fraction(1, len(members))}
    assert (not not_round_robin(members)) == (equal and len(members) > 1)


@given(st.integers(2, 30), st.integers(0, 100), st.integers(1, 100))
def test_equal_members_are_round_robin_whatever_the_numbers(count, priority, weight):
    members = pool([priority] * count, [weight] * count)
    assert not_round_robin(members) == []
    assert set(expected_shares(members).values()) == {Fraction(1, count)}


@pytest.mark.parametrize(
    ("members", "reasons"),
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
        ([], ["no members"]),
    ],
)
def test_the_reasons_name_the_members_and_their_numbers(members, reasons):
    assert not_round_robin(members) == reasons


def test_two_members_of_one_name_are_no_round_robin():
    members = [*pool([1, 1]), *pool([1])]
    assert not_round_robin(members) == ["foundry1 is a member 2 times"]


def test_the_forecast_of_a_round_robin():
    assert forecast(pool([1, 1, 1]), LABELS) == (
        "UK South 33.3 %, East US 33.3 %, Norway East 33.3 % (round robin)"
    )


def test_the_forecast_of_the_incident():
    assert forecast(pool([1, 2, 2], [100, 50, 50]), LABELS) == (
        "UK South 100.0 %, East US 0.0 %, Norway East 0.0 % (not round robin: "
        "foundry2 and foundry3 have priority 2, foundry1 has priority 1; "
        "foundry2 and foundry3 have weight 50, foundry1 has weight 100)"
    )


def test_a_member_without_a_label_goes_by_its_name():
    assert forecast(pool([1, 1]), {"foundry1": "UK South"}) == (
        "UK South 50.0 %, foundry2 50.0 % (round robin)"
    )


def test_the_forecast_of_an_empty_pool():
    assert forecast([], LABELS) == "not round robin: no members"


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
