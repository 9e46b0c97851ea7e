"""The rules as benchmarks/alarm.py simulates them, and the queries: the same for any counts."""

import random

import pytest
from test_queries import FIRST, SECOND, THIRD, log  # noqa: F401 - a fixture

from benchmarks import alarm

REGIONS = (FIRST, SECOND, THIRD)
SHARES = {
    "even": ([(1, 1), (1, 1), (1, 1)], (1 / 3, 1 / 3, 1 / 3)),
    "weighted": ([(1, 50), (1, 30), (1, 20)], (0.5, 0.3, 0.2)),
    "starved": ([(1, 100), (2, 50), (2, 50)], (1.0, 0.0, 0.0)),
}


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("declared", SHARES)
def test_simulation_and_queries_name_the_same_regions(log, declared, seed):  # noqa: F811
    numbers, expected = SHARES[declared]
    chance = random.Random(seed)
    counts = [chance.choice((0, chance.randrange(4), chance.randrange(90))) for _ in REGIONS]
    log.answered(*counts)
    starved = alarm.starved(counts, expected, [True] * 3)
    assert {*log.regions("starved", numbers=numbers)} == {REGIONS[n] for n in starved}
    above = alarm.above(counts, expected)
    assert {*log.regions("ceiling", numbers=numbers)} == {REGIONS[n] for n in above}
