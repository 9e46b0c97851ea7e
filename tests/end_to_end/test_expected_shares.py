"""What the preview and the probe expect of a pool is what a gateway does with it."""

from collections import Counter
from math import lcm

from hypothesis import given
from hypothesis import strategies as st

from components import traffic
from local_azure.gateway import balancer


@given(
    shape=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 20)), min_size=1, max_size=6),
    tripped=st.sets(st.integers(1, 6)),
)
def test_a_full_turn_gives_each_member_exactly_its_expected_share(shape, tripped):
    named = [(f"foundry{n}", *each, n not in tripped) for n, each in enumerate(shape, 1)]
    pool = traffic.Pool(
        members=tuple(
            traffic.Member(name=name, priority=priority, weight=weight, up=up)
            for name, priority, weight, up in named
        )
    )
    rotation = balancer.Rotation(
        [balancer.Member(name=name, priority=p, weight=w) for name, p, w, _ in named]
    )
    down = {name for name, _, _, up in named if not up}
    shares = pool.by_label({})
    # In a turn as long as the common denominator every share is a whole number of picks.
    common = lcm(*(share.denominator for share in shares.values()))
    picks = Counter(rotation.pick(down.__contains__) for _ in range(common))
    assert {name: picks[name] for name in shares} == {
        name: share * common for name, share in shares.items()
    }
