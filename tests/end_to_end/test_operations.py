"""A Resource Manager that is killed under load; `make bench` does it with 10,000 operations."""

import asyncio

from benchmarks.operations import exercise


def test_what_was_answered_holds_after_kill_9(tmp_path):
    outcome = asyncio.run(exercise(tmp_path, operations=400, names=60, kills=2, seed=7))
    assert outcome.faults == []
    assert (outcome.operations, outcome.kills) == (400, 2)
