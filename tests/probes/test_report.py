"""The verdict, its reasons and its next step, from counts alone: nothing is sent."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from fake_gateway import Gateway

from components import contract
from components.traffic import Pool
from probes.control_plane import FoundPolicy, FoundPool, Reading, unread
from probes.report import Expectation, Report
from probes.sources import Source
from probes.tally import Answer, Tally

INCIDENT = ((1, 100), (2, 50), (2, 50))
UNREAD = "unread"


@pytest.fixture(scope="module")
def stack():
    """Outputs of a stack by its members' priorities and weights."""
    gateway = Gateway()
    gateway.close()  # its outputs are all that is needed

    def make(members=((1, 1),) * 3, routing="round-robin") -> contract.Outputs[str]:
        return contract.read(json.dumps(gateway.outputs(members, routing=routing)))

    return make


@pytest.fixture
def judge(stack):
    """A report on answers of foundry1, foundry2, ... and on a pool, by default the declared one."""

    def make(
        *answered: int,
        outputs=None,
        expect="declared",
        live: object = "declared",
        others: Iterable[Answer] = (),
        stopped="",
        differs=False,
    ) -> Report:
        outputs = outputs or stack()
        expectation = Expectation.of(outputs, expect)
        tally = Tally(expectation.plan.shares)
        for backend, count in enumerate(answered, 1):
            for _ in range(count):
                tally.add(Answer(outcome="answered", backend=f"foundry{backend}", seconds=1.0))
        for answer in others:
            tally.add(answer)
        reading = live
        if live == UNREAD:
            reading = unread(outputs, "AuthorizationFailed")
        elif live is not None:
            pool = outputs.declared if live == "declared" else Pool.read(live)
            found = FoundPool(label="the pool", status=200, declared=outputs.declared, pool=pool)
            policy = FoundPolicy(label="the policy", status=200, differs=differs)
            reading = Reading(pools=(found,), policy=policy)
        return Report(
            source=Source(outputs=outputs, name="outputs.json", resource_manager="https://x"),
            expectation=expectation,
            tally=tally,
            reading=reading,
            stopped=stopped,
            max_requests=64,
            started=datetime.now(UTC),
            duration=1.0,
        )

    return make


def passed(report: Report) -> dict[str, bool | None]:
    return {criterion.name: criterion.passed for criterion in report.criteria}


def members(*pairs: tuple[int, int]) -> list[dict]:
    return [
        {"id": f"/x/backends/foundry{n}", "priority": priority, "weight": weight}
        for n, (priority, weight) in enumerate(pairs, 1)
    ]


SEVENTY = "no region above 70 %"


@pytest.mark.parametrize(
    ("answered", "expected"),
    [((7, 2, 1), True), ((63, 18, 9), True), ((71, 19, 10), False), ((5, 0, 0), None)],
)
def test_exactly_70_percent_is_not_above_it(judge, answered, expected):
    """63 of 90 as well: 0.7 times 90 is less than 63 in floating point."""
    assert passed(judge(*answered))[SEVENTY] is expected


@pytest.mark.parametrize(
    ("answered", "expected"), [((5, 1, 0), True), ((5, 0, 0), None), ((6, 0, 0), False)]
)
def test_at_least_two_regions_answer_or_it_is_not_known_yet(judge, answered, expected):
    assert passed(judge(*answered))["at least 2 of 3 regions answer"] is expected


def test_a_region_that_answered_once_is_not_silent(judge):
    report = judge(20, 20, 1)
    assert "silence" not in {trial.suspicion for trial in report.plan.open(report.counts)}
    assert report.proved == ()
    assert judge(20, 20, 0).verdict == "imbalanced"


def test_criteria_of_a_run_without_an_answer_are_open(judge):
    report = judge(live=None)
    assert set(passed(report).values()) == {None}
    assert "no answer" in [criterion.detail for criterion in report.criteria]
    assert (report.verdict, report.exit_code) == ("inconclusive", 3)


def test_the_incidents_acceptance_is_required_of_a_round_robin_alone(judge, stack):
    names = ["at least 2 of 3 regions answer", SEVENTY, "pool equal"]
    for outputs, expect, required in (
        (stack(), "declared", True),
        (stack(INCIDENT, "priority"), "declared", False),
        (stack(INCIDENT, "priority"), "round-robin", True),
    ):
        criteria = {c.name: c for c in judge(6, 0, 0, outputs=outputs, expect=expect).criteria}
        assert [criteria[name].required for name in names] == [required] * 3
        assert criteria["traffic as expected"].required
        declared = outputs.routing == "round-robin" or expect == "declared"
        assert criteria["pool as declared"].required is declared


def test_a_pool_is_judged_by_what_is_expected_of_it(judge, stack):
    weighted = stack(((1, 2), (1, 1), (1, 1)), "weighted")
    report = judge(10, 5, 5, outputs=weighted)
    assert (passed(report)["pool equal"], passed(report)["pool as declared"]) == (False, True)
    report = judge(4, 4, 4, outputs=weighted, expect="round-robin", live=members(*[(1, 1)] * 3))
    assert (passed(report)["pool equal"], passed(report)["pool as declared"]) == (True, False)
    assert (report.verdict, report.exit_code) == ("balanced", 0)


@pytest.mark.parametrize(
    ("live", "expect", "step"),
    [
        (
            members((1, 1), (1, 1)),
            "declared",
            "add foundry3 to it: `pulumi up --refresh` does it",
        ),
        (
            members((1, 1), (1, 2), (1, 1)),
            "declared",
            "set the weight of foundry2 to 1: `pulumi up --refresh` does it",
        ),
        (
            [],
            "declared",
            (
                "add foundry1 to it, add foundry2 to it, add foundry3 to it: `pulumi up --refresh` "
                "does it"
            ),
        ),
    ],
)
def test_a_pool_that_differs_has_its_own_remedy_as_the_next_step(judge, live, expect, step):
    report = judge(4, 4, 4, live=live, expect=expect)
    assert report.verdict == "imbalanced"
    assert report.next_step == step


def test_a_pool_that_is_declared_to_be_unequal_is_to_be_declared_anew(judge, stack):
    report = judge(4, 4, 4, outputs=stack(INCIDENT, "priority"), expect="round-robin")
    assert report.reasons == (
        (
            "the pool is not round robin: foundry2 and foundry3 have priority 2, foundry1 has "
            "priority 1, foundry2 and foundry3 have weight 50, foundry1 has weight 100"
        ),
    )
    assert report.next_step == "give every member the same priority and weight and run `pulumi up`"


@pytest.mark.parametrize(
    ("answered", "live", "step"),
    [
        ((7, 7, 0), None, "look at the health, the quota and the circuit breaker of Norway East"),
        ((6, 0, 0), None, "read the pool: is a member's priority lower than the others'?"),
        ((6, 0, 0), UNREAD, "read the pool: is a member's priority lower than the others'?"),
        (
            (6, 0, 0),
            "declared",
            "the pool is right, so look for tripped circuit breakers and session affinity",
        ),
        ((4, 4, 4), UNREAD, "--skip-control-plane judges the traffic alone"),
        ((4, 4, 3), "declared", "run it again, with more --max-requests or a longer --timeout"),
        ((4, 4, 4), None, ""),
        ((4, 4, 4), "declared", ""),
    ],
)
def test_the_next_step_is_that_of_what_is_known(judge, answered, live, step):
    report = judge(*answered, live=live)
    assert report.next_step == step
    assert report.sentence.endswith(step or "as round robin")


def test_the_remedy_of_the_last_trouble_is_the_next_step_of_a_run_without_a_verdict(judge):
    troubles = [
        Answer(outcome="failed", detail="500", remedy="first"),
        Answer(outcome="throttled", detail="429", remedy="last", backend="foundry3"),
        Answer(outcome="answered", backend="foundry1"),
    ]
    report = judge(4, 4, 0, others=troubles, stopped="the time limit of 60 s was reached")
    assert report.next_step == "last"
    assert report.reasons == (
        (
            "9 answers of too little evidence for any share, the time limit of 60 s was reached, "
            "Norway East only throttled"
        ),
    )


def test_a_region_that_throttled_and_answered_did_not_only_throttle(judge):
    refusal = Answer(outcome="throttled", backend="foundry3")
    assert "only throttled" not in judge(4, 4, 1, others=[refusal]).sentence


def test_what_is_declared_to_be_uneven_is_not_spread(judge, stack):
    report = judge(14, 0, 0, outputs=stack(INCIDENT, "priority"))
    assert (report.verdict, report.spread, report.exit_code) == ("balanced", False, 0)
    assert report.words == "as declared, not spread"
    assert report.reasons[0] == "East US and Norway East get 0 % by declaration"
    assert judge(4, 4, 4).spread
    assert not judge(4, 4, 3).spread
    assert not judge(6, 0, 0).spread


@pytest.mark.parametrize(
    ("weights", "uneven"),
    [
        ((70, 20, 10), ""),
        ((71, 19, 10), "UK South gets 71 % by declaration"),
        ((1, 1, 1), ""),
    ],
)
def test_more_than_70_percent_by_declaration_is_not_spread(stack, weights, uneven):
    outputs = stack([(1, weight) for weight in weights], "weighted")
    assert Expectation.of(outputs, "declared").uneven == uneven
    assert Expectation.of(outputs, "round-robin").uneven == ""


def test_the_expected_shares_are_the_declared_ones_or_equal(stack):
    outputs = stack(((1, 2), (1, 1), (1, 1)), "weighted")
    assert list(Expectation.of(outputs, "declared").plan.shares.values()) == [0.5, 0.25, 0.25]
    equal = Expectation.of(outputs, "round-robin").plan.shares.values()
    assert [Fraction(share).limit_denominator(10) for share in equal] == [Fraction(1, 3)] * 3


def test_latency_is_of_a_regions_own_answers(judge):
    times = [
        Answer(outcome="answered", backend="foundry1", seconds=seconds / 10)
        for seconds in range(1, 21)
    ]
    slow = Answer(outcome="throttled", backend="foundry1", seconds=90.0)
    report = judge(0, 1, 0, others=[*times, slow])
    assert report.latency("foundry1") == {"p50": 1.0, "p95": 1.9}
    assert report.latency("foundry2") == {"p50": 1.0, "p95": 1.0}
    assert report.latency("foundry3") is None


def test_one_answer_and_one_attempt_are_counted_in_the_singular(judge):
    report = judge(1, 0, 0)
    assert report.reasons == ("1 answer of too little evidence for any share",)
    tried = Answer(
        outcome="answered", backend="foundry1", attempts=2, tried=(("foundry3", "none"),)
    )
    report = judge(7, 6, 0, others=[tried])
    assert report.reasons == (
        (
            "Norway East is degraded: it gave none of 14 answers where 33.3 % is expected "
            "(chance 0.34 %), and failed 1 attempt with no answer"
        ),
    )
    assert report.next_step == "look at the health of Norway East, which the gateway still tries"


def details(report: Report) -> dict[str, str]:
    return {criterion.name: criterion.detail for criterion in report.criteria}


def test_the_verdict_has_words_of_its_own(judge):
    assert [judge(*n).words for n in ((4, 4, 4), (6, 0, 0), (4, 4, 3))] == [
        "balanced",
        "not balanced",
        "inconclusive",
    ]
    assert [judge(*n).exit_code for n in ((4, 4, 4), (6, 0, 0), (4, 4, 3))] == [0, 1, 3]


def test_each_criterion_tells_what_it_is_decided_by(judge, stack):
    assert details(judge(4, 4, 4)) == {
        "at least 2 of 3 regions answer": "3 answered",
        SEVENTY: "highest is UK South with 33.3 %",
        "pool equal": "all backends have priority=1, weight=1",
        "pool as declared": "all backends have priority=1, weight=1",
        "policy as declared": "white space aside",
        "traffic as expected": "proved in 12 answers",
    }
    told = details(judge(6, 0, 0, live=members((1, 1), (2, 1), (2, 1))))
    assert told["traffic as expected"] == (
        "UK South got 6 of 6 requests (100.0 %) where 33.3 % is expected"
    )
    assert passed(judge(6, 0, 0))["traffic as expected"] is False
    assert told["pool equal"] == "foundry2 and foundry3 have priority 2, foundry1 has priority 1"
    assert told["pool as declared"] == (
        "foundry2 has priority 2, declared is 1, foundry3 has priority 2, declared is 1"
    )
    report = judge(1, 0, 0, outputs=stack(((1, 2), (1, 1), (1, 1)), "weighted"), live="declared")
    assert details(report)["pool as declared"] == (
        "foundry1 has priority=1, weight=2, foundry2 has priority=1, weight=1, "
        "foundry3 has priority=1, weight=1"
    )
    assert details(report)["traffic as expected"] == "not proved in 1 answer"
    assert passed(report)["traffic as expected"] is None


def test_half_of_the_requests_is_told_as_such(judge, stack):
    report = judge(20, 80, 20, outputs=stack(((1, 4), (1, 2), (1, 2)), "weighted"))
    assert report.reasons[:2] == (
        "UK South got 20 of 120 requests (16.7 %) where 50.0 % is expected",
        "East US got 80 of 120 requests (66.7 %) where 25.0 % is expected",
    )


def test_shares_of_a_balanced_run_are_its_reason(judge):
    assert judge(4, 4, 4).reasons == (
        "UK South 33.3 %, East US 33.3 %, Norway East 33.3 % of 12 answers, as round robin",
    )


@pytest.mark.parametrize(
    ("live", "reason"),
    [
        (
            members((1, 1), (1, 2), (1, 1)),
            "the pool is not as declared: foundry2 has weight 2, declared is 1",
        ),
        (
            members((1, 1), (1, 1)),
            "the pool is not round robin: foundry3 is not in the pool",
        ),
    ],
)
def test_a_round_robin_that_differs_is_told_once(judge, live, reason):
    assert judge(4, 4, 4, live=live).reasons == (reason,)


def test_an_uneven_stack_whose_pool_differs_is_not_as_declared(judge, stack):
    live = members((1, 100), (2, 50))
    report = judge(14, 0, 0, outputs=stack(INCIDENT, "priority"), live=live)
    assert report.reasons == ("the pool is not as declared: foundry3 is not in the pool",)


@pytest.mark.parametrize(("extra", "end"), [(0, "declared is 1"), (1, "and 1 more")])
def test_six_problems_are_named_and_what_is_more_is_counted(judge, extra, end):
    live = members(*[(7, 9)] * 3) + [{"id": "other", "priority": 1, "weight": 1}] * extra
    (reason,) = judge(4, 4, 4, live=live).reasons
    assert reason.endswith(end)
    assert reason.count("foundry") == 6 - extra


def test_latency_has_four_decimals(judge):
    answer = Answer(outcome="answered", backend="foundry1", seconds=0.123456)
    assert judge(others=[answer]).latency("foundry1") == {"p50": 0.1235, "p95": 0.1235}


def test_a_round_robin_that_is_declared_unequal_is_told_as_such(judge, stack):
    report = judge(4, 4, 4, outputs=stack(INCIDENT))
    assert report.verdict == "imbalanced"
    assert report.next_step == "give every member the same priority and weight and run `pulumi up`"


def test_a_region_that_nobody_tried_is_silent_and_not_degraded(judge):
    report = judge(7, 7, 0)
    assert [report.is_degraded(trial) for trial in report.proved] == [False]
    assert report.reasons[0].startswith("Norway East gave none of 14 answers")


def test_a_region_that_got_too_much_is_not_degraded_though_an_attempt_at_it_failed(judge):
    failed = Answer(
        outcome="answered", backend="foundry2", attempts=2, tried=(("foundry1", "429"),)
    )
    report = judge(40, others=[failed])
    excess = [trial for trial in report.proved if trial.suspicion == "excess"]
    assert [(trial.backend, report.is_degraded(trial)) for trial in excess] == [("foundry1", False)]


def test_a_policy_that_differs_is_against_a_pool_that_is_right(judge):
    report = judge(4, 4, 4, differs=True)
    assert (report.verdict, report.exit_code) == ("imbalanced", 1)
    assert report.reasons == ("the policy is not as declared",)
    assert report.next_step == "put the declared policy back: `pulumi up --refresh` does it"
    assert passed(report)["policy as declared"] is False
    report = judge(4, 4, 4, differs=True, live=members((1, 1), (1, 1)))
    assert len(report.reasons) == 2
    assert report.next_step == (
        "add foundry3 to it, put the declared policy back: `pulumi up --refresh` does it"
    )


def test_what_could_not_be_read_is_told_once_for_one_reason(judge):
    report = judge(4, 4, 4, live=UNREAD)
    assert report.reasons == ("the pool and the policy could not be read: AuthorizationFailed",)
    assert passed(report)["policy as declared"] is None
    assert [c.required for c in report.criteria if c.name.startswith("policy")] == [True]


def test_a_stack_that_does_not_tell_its_policy_is_judged_without(judge, stack):
    outputs = replace(stack(), policy=None)
    report = judge(4, 4, 4, outputs=outputs, live=UNREAD)
    assert report.reasons == ("the pool could not be read: AuthorizationFailed",)
    assert "policy as declared" not in passed(report)
