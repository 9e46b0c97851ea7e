from collections import Counter
from fractions import Fraction
from math import lcm

from hypothesis import given
from hypothesis import strategies as st

from local_azure.gateway.balancer import Member, Rotation


def never(_: str) -> bool:
    return False


def members_of(shape) -> list[Member]:
    return [
        Member(name=f"foundry{number}", priority=priority, weight=weight)
        for number, (priority, weight) in enumerate(shape, 1)
    ]


shapes = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 20)), min_size=1, max_size=6)


@given(count=st.integers(1, 30), weight=st.integers(1, 100), rounds=st.integers(1, 4))
def test_equal_members_alternate_strictly(count, weight, rounds):
    rotation = Rotation(members_of([(1, weight)] * count))
    picks = [rotation.pick(never) for _ in range(count * rounds)]
    assert picks[:count] == picks[-count:]
    assert len(set(picks[:count])) == count


def shares(members: list[Member], tripped: set[str]) -> dict[str, Fraction]:
    """Return what each of the first group that is left should get: by weight, or evenly by none."""
    left = [member for member in members if member.name not in tripped]
    first = [each for each in left if each.priority == min(member.priority for member in left)]
    total = sum(member.weight for member in first)
    return {
        member.name: Fraction(member.weight, total) if total else Fraction(1, len(first))
        for member in first
    }


@given(shape=shapes, tripped=st.sets(st.integers(1, 6)))
def test_a_full_turn_gives_each_member_exactly_its_share(shape, tripped):
    members, names = members_of(shape), {f"foundry{number}" for number in tripped}
    rotation, expected = Rotation(members), shares(members, names)
    # In a turn as long as the common denominator every share is a whole number of picks.
    common = lcm(*(share.denominator for share in expected.values()))
    picks = Counter(rotation.pick(names.__contains__) for _ in range(common))
    whole = {name: share * common for name, share in expected.items()}
    assert picks == Counter(whole or {None: 1})


@given(
    shape=st.lists(st.tuples(st.just(1), st.integers(1, 9)), min_size=2, max_size=5),
    outages=st.lists(st.sets(st.integers(1, 5)), max_size=20),
)
def test_after_any_outages_no_member_is_owed_a_burst(shape, outages):
    members = members_of(shape)
    rotation = Rotation(members)
    for outage in outages:
        names = {f"foundry{number}" for number in outage}
        rotation.pick(names.__contains__)
    total = sum(weight for _, weight in shape)
    picks = Counter(rotation.pick(never) for _ in range(3 * total))
    for member in members:
        # Off by what a member can be ahead or behind, however long the outage was.
        assert abs(picks[member.name] - 3 * member.weight) <= len(members)


def test_weights_five_and_one_spread_the_one():
    rotation = Rotation(members_of([(1, 5), (1, 1), (1, 1)]))
    picks = [rotation.pick(never) for _ in range(7)]
    assert picks == [f"foundry{n}" for n in (1, 1, 2, 1, 3, 1, 1)]


def test_the_incident_sends_everything_to_the_first_region():
    rotation = Rotation(members_of([(1, 100), (2, 50), (2, 50)]))
    assert {rotation.pick(never) for _ in range(100)} == {"foundry1"}


def test_a_lower_group_serves_only_while_all_of_the_higher_is_tripped():
    rotation = Rotation(members_of([(2, 1), (1, 1), (2, 1), (1, 1)]))
    tripped = {"foundry2"}
    assert {rotation.pick(tripped.__contains__) for _ in range(8)} == {"foundry4"}
    tripped.add("foundry4")
    picks = Counter(rotation.pick(tripped.__contains__) for _ in range(8))
    assert picks == {"foundry1": 4, "foundry3": 4}
    tripped.remove("foundry2")
    assert {rotation.pick(tripped.__contains__) for _ in range(8)} == {"foundry2"}


def test_weight_zero_gets_nothing_again_once_others_are_back():
    rotation = Rotation(members_of([(1, 0), (1, 0), (1, 1)]))
    picks = [rotation.pick({"foundry3"}.__contains__) for _ in range(3)]
    assert picks == ["foundry1", "foundry2", "foundry1"]
    assert {rotation.pick(never) for _ in range(10)} == {"foundry3"}


@given(shape=shapes)
def test_nothing_is_picked_when_all_are_tripped(shape):
    assert Rotation(members_of(shape)).pick(lambda _: True) is None
