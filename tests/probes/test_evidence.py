"""The sequential verdict: its bounds, and what it must never do."""

import itertools
import math
import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.evidence import CERTAINTY, ERROR, MOST_REQUESTS, TOLERANCE, Counts, Plan, plan

THREE = plan({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3})
INCIDENT = plan({"a": 1.0, "b": 0.0, "c": 0.0})
WEIGHTED = plan({"a": 0.5, "b": 0.25, "c": 0.25})
counts_of_three = st.fixed_dictionaries(
    dict.fromkeys("abc", st.one_of(st.just(0), st.integers(0, 40)))
)
plans = st.sampled_from([THREE, WEIGHTED, INCIDENT])


def seen(answered, refused=None, failed_attempts=None) -> Counts:
    """Counts of so many answers, refusals and attempts that were tried again elsewhere."""
    return Counts(
        answered=answered,
        refused=Counter(refused),
        failed_attempts=Counter(failed_attempts),
    )


def equal(k: int) -> Plan:
    return plan({f"foundry{i}": 1 / k for i in range(1, k + 1)})


def requests_until_verdict(subject: Plan, order) -> tuple[int, str]:
    counts = Counter(dict.fromkeys(subject.shares, 0))
    for number, backend in enumerate(order, 1):
        counts[backend] += 1
        if subject.decided(seen(counts)):
            return number, "imbalanced" if subject.proved(seen(counts)) else "balanced"
    return number, "inconclusive"


def test_strict_rotation_of_three_is_cleared_by_exactly_12_requests():
    assert requests_until_verdict(THREE, itertools.cycle("abc")) == (12, "balanced")


def test_six_requests_condemn_a_pool_of_three_that_sends_all_to_one():
    assert requests_until_verdict(THREE, itertools.repeat("b")) == (6, "imbalanced")


def test_half_and_half_names_the_silent_region_though_the_incidents_acceptance_passes():
    counts = Counter(a=7, b=7, c=0)
    assert [(t.backend, t.suspicion) for t in THREE.proved(seen(counts))] == [("c", "silence")]
    assert not THREE.proved(seen(Counter(a=4, b=4, c=0)))


def test_a_region_that_only_throttles_is_neither_silent_nor_cleared():
    answered, refused = Counter(a=20, b=20, c=0), Counter(c=1)
    assert not THREE.proved(seen(answered, refused))
    assert ("c", "silence") in [(t.backend, t.suspicion) for t in THREE.open(seen(answered))]
    assert not THREE.decided(seen(answered, refused))


@given(counts_of_three, counts_of_three)
def test_refusals_never_condemn(answered, refused):
    """On exhaustion the gateway names the last member it tried, which may always be the same."""
    proved = set(THREE.proved(seen(answered)))
    assert set(THREE.proved(seen(answered, refused))) <= proved


def test_a_region_whose_peers_are_throttled_is_not_accused_of_excess():
    assert THREE.proved(seen(Counter(a=6)))
    assert not THREE.proved(seen(Counter(a=6), {"b": 6, "c": 6}))
    assert not THREE.proved(seen(Counter(), {"c": 20}))


def test_attempts_that_were_tried_elsewhere_leave_a_region_silent_and_accuse_nobody_of_excess():
    """The pool chose the region, which answered nothing: silence by the usual bound, no excess."""
    failed = {"b": 4, "c": 2}
    assert not THREE.proved(seen(Counter(a=6), failed_attempts=failed))
    proved = THREE.proved(seen(Counter(a=7, b=7, c=0), failed_attempts={"c": 7}))
    assert [(t.backend, t.suspicion) for t in proved] == [("c", "silence")]
    assert not THREE.proved(seen(Counter(a=6, b=6, c=0), failed_attempts={"c": 6}))


def test_a_regions_own_failed_attempts_are_no_excuse_for_its_excess():
    assert THREE.proved(seen(Counter(a=6), failed_attempts={"a": 6}))


@given(counts_of_three, counts_of_three)
def test_attempts_never_prove_what_answers_alone_do_not(answered, failed):
    proved = set(THREE.proved(seen(answered)))
    assert set(THREE.proved(seen(answered, failed_attempts=failed))) <= proved


def test_thirty_regions_are_cleared_only_when_each_has_answered():
    thirty = equal(30)
    assert requests_until_verdict(thirty, itertools.cycle(thirty.shares)) == (30, "balanced")
    one_down = [name for name in thirty.shares if name != "foundry7"]
    requests, verdict = requests_until_verdict(thirty, itertools.cycle(one_down))
    assert verdict == "imbalanced"
    assert requests <= thirty.most_requests < 300


def test_priority_is_as_declared_with_all_traffic_in_the_preferred_group():
    assert requests_until_verdict(INCIDENT, itertools.repeat("a"))[1] == "balanced"
    assert requests_until_verdict(INCIDENT, itertools.cycle("abc"))[1] == "imbalanced"


def test_one_stray_answer_of_a_standby_region_condemns_nothing():
    assert not INCIDENT.proved(seen(Counter(a=5, b=1, c=0)))


def test_weights_are_as_declared_within_the_tolerance():
    assert requests_until_verdict(WEIGHTED, itertools.cycle("abac"))[1] == "balanced"
    assert requests_until_verdict(WEIGHTED, itertools.cycle("abcbcb"))[1] == "imbalanced"
    lack = WEIGHTED.proved(seen(Counter(a=8, b=46, c=46)))
    assert ("a", "lack") in [(t.backend, t.suspicion) for t in lack]


@pytest.mark.parametrize("shares", [{}, {"a": 1.0}, {"a": 0.5, "b": 0.4}, {"a": 0.0, "b": 0.0}])
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(ValueError, match="sum to 1"):
        plan(shares)


@pytest.mark.parametrize("k", range(2, 31))
def test_every_strict_rotation_is_cleared_within_the_announced_requests(k):
    subject = equal(k)
    requests, verdict = requests_until_verdict(subject, itertools.cycle(subject.shares))
    assert verdict == "balanced"
    assert k <= requests <= subject.most_requests


@pytest.mark.parametrize("k", range(2, 31))
def test_errors_of_all_suspicions_together_are_within_the_promise(k):
    """Ville and Bonferroni: the sum of exp(-bound) is the error at the expected shares."""
    assert sum(math.exp(-t.condemns_at) for t in equal(k).trials) <= ERROR + 1e-12
    assert all(math.exp(t.clears_at) <= ERROR + 1e-12 for t in equal(k).trials)


@given(plans, counts_of_three)
def test_no_counts_both_condemn_and_clear(subject, counts):
    assert not (subject.proved(seen(counts)) and not subject.open(seen(counts)))


@given(counts_of_three, st.permutations("abc"))
def test_the_verdict_of_equal_shares_does_not_depend_on_names(counts, names):
    renamed = {new: counts[old] for new, old in zip(names, "abc", strict=True)}
    assert bool(THREE.proved(seen(counts))) == bool(THREE.proved(seen(renamed)))
    assert bool(THREE.open(seen(counts))) == bool(THREE.open(seen(renamed)))


@given(st.lists(st.sampled_from("abc"), max_size=60))
def test_a_region_above_70_percent_is_never_called_balanced(order):
    counts = Counter(dict.fromkeys("abc", 0))
    counts.update(order)
    if not THREE.open(seen(counts)):
        assert max(counts.values()) <= 0.7 * len(order)
        assert min(counts.values()) > 0


@given(plans, st.integers(0, 2**32), st.lists(st.floats(0.01, 1), min_size=3, max_size=3))
def test_no_request_in_flight_is_ever_in_vain(subject, seed, weights):
    """Whatever the answers, the verdict takes at least as many as were said to be needed."""
    rng = random.Random(seed)
    counts = dict.fromkeys("abc", 0)
    promised = 0
    for number in range(60):
        needed = subject.least_needed(seen(counts), at_most=10)
        if needed == 0:
            assert number >= promised
            return
        promised = max(promised, number + needed)
        counts[rng.choices("abc", weights)[0]] += 1


def test_the_needed_requests_are_enough_for_the_quickest_verdict():
    nothing = dict.fromkeys("abc", 0)
    assert THREE.least_needed(seen(nothing), at_most=10) == 6
    four_each = {"a": 4, "b": 4, "c": 3}
    assert THREE.least_needed(seen(four_each), at_most=10) == 1
    done = {"a": 4, "b": 4, "c": 4}
    assert THREE.least_needed(seen(done), at_most=10) == 0
    assert THREE.least_needed(seen(nothing), at_most=4) == 4


def test_what_each_suspicion_is_proved_by():
    """Refusals and failed attempts of others count against excess, one's own against silence."""
    counts = seen(Counter(a=5, b=3, c=2), Counter(a=1, b=2, c=4), Counter(a=7, b=8, c=9))
    counted = {(t.backend, t.suspicion): seen for t, *seen in THREE.counted(counts)}
    assert counted[("a", "excess")] == [5, 10 + 2 + 4 + 8 + 9]
    assert counted[("c", "excess")] == [2, 10 + 1 + 2 + 7 + 8]
    assert counted[("a", "silence")] == [5 + 1, 10 + 1]
    counted = {(t.backend, t.suspicion): seen for t, *seen in WEIGHTED.counted(counts)}
    assert counted[("a", "lack")] == [5 + 1, 10 + 1]


def test_evidence_at_a_bound_is_enough():
    for trial in THREE.trials:
        at_bound = trial.evidence(0, 9)
        assert replace(trial, condemns_at=at_bound).condemns(0, 9)
        assert replace(trial, clears_at=at_bound).clears(0, 9)


def test_a_share_that_the_tolerance_takes_to_the_whole_or_to_nothing_is_not_suspected_of_it():
    suspicions = {(t.backend, t.suspicion) for t in plan({"a": 0.8, "b": 0.1, "c": 0.1}).trials}
    assert ("a", "excess") not in suspicions
    assert ("a", "lack") in suspicions
    assert ("b", "lack") not in suspicions
    least = TOLERANCE + (1 - CERTAINTY)
    trials = plan({"a": least, "b": 1 - least}).trials
    assert ("a", "lack") not in {(t.backend, t.suspicion) for t in trials}
    assert ("a", "excess") in {(t.backend, t.suspicion) for t in trials}


def test_the_most_requests_are_those_that_help_announces_and_bounded():
    assert THREE.most_requests == 64
    assert equal(1000).most_requests == MOST_REQUESTS == 500


@pytest.mark.parametrize("subject", [THREE, WEIGHTED], ids=["equal", "weighted"])
@pytest.mark.parametrize("total", range(13))
def test_the_needed_answers_are_the_fewest_that_any_answers_could_take(subject, total):
    """Against every way in which up to three further answers could come."""
    for a, b in itertools.product(range(total + 1), repeat=2):
        if a + b > total:
            continue
        now = Counter(a=a, b=b, c=total - a - b)
        needed = next(
            more
            for more in range(5)
            if more == 4
            or any(
                subject.decided(seen(now + Counter(further) | Counter(dict.fromkeys("abc", 0))))
                for further in itertools.combinations_with_replacement("abc", more)
            )
        )
        assert subject.least_needed(seen(now), at_most=4) <= needed
        if subject is THREE:
            assert subject.least_needed(seen(now), at_most=4) == needed
