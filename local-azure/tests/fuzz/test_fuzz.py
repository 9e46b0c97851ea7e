"""A few hundred cases of each target that `make fuzz` gives thousands, other ones in each run."""

import random
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest
from fuzz import FoundError, HangError, Outcome, run
from generators import spliced
from targets import TARGETS


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_nothing_that_is_read_breaks_its_reader(target):
    run(target, seed=random.randrange(2**32), cases=200)


def test_the_targets_share_all_cases():
    assert sum(target.share for target in TARGETS) == 100


def test_a_case_that_fails_is_shown_small_and_can_be_seen_again():
    def check(case):
        assert "<" not in case[0]

    @contextmanager
    def opened():
        yield check

    target = replace(TARGETS[0], make=lambda rng: [spliced(rng, "a<b" * 50), "x"], open=opened)
    with pytest.raises(FoundError) as found:
        run(target, seed=7, cases=10)
    assert str(found.value).endswith("--seed 7 --cases 10: ['<']")


def test_a_case_without_end_is_stopped():
    @contextmanager
    def opened():
        yield lambda _: threading.Event().wait()

    target = replace(TARGETS[0], make=lambda _: "x", open=opened)
    with pytest.raises(FoundError) as found:
        run(target, seed=1, cases=1, seconds=0.05)
    assert isinstance(found.value.__cause__, HangError)


def test_what_grows_is_seen():
    outcome = Outcome(objects=[9, *range(100, 2100)], memory=[5] * 2001)
    assert outcome.growth() == (1800, 0)
