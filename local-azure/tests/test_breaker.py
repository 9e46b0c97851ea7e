import pytest
from fake_resources import Clock, breaker_rule
from hypothesis import given
from hypothesis import strategies as st

from local_azure.gateway.breaker import Breaker, Rule


def none() -> None:
    return None


def make(clock, **settings) -> Breaker:
    rule = Rule.of({"circuitBreaker": breaker_rule(**settings)})
    assert rule is not None
    return Breaker(rule, clock=clock)


def test_it_trips_on_the_last_of_count_failures_and_resets_after_the_trip():
    clock = Clock()
    breaker = make(clock, count=3, trip="PT30S")
    for status in (500, 429):
        breaker.answered(status, retry_after=none)
        assert not breaker.tripped
    breaker.answered(503, retry_after=none)
    assert breaker.tripped
    clock.now += 29.9
    assert breaker.tripped
    clock.now += 0.1
    assert not breaker.tripped


def test_no_half_open_state_after_a_trip_it_counts_from_zero():
    clock = Clock()
    breaker = make(clock, count=2, trip="PT1S")
    breaker.answered(500, retry_after=none)
    breaker.answered(500, retry_after=none)
    clock.now += 1
    breaker.answered(500, retry_after=none)
    assert not breaker.tripped
    breaker.answered(500, retry_after=none)
    assert breaker.tripped


def test_failures_older_than_the_interval_do_not_count():
    clock = Clock()
    breaker = make(clock, count=3)
    for _ in range(20):
        breaker.answered(500, retry_after=none)
        assert not breaker.tripped
        clock.now += 30.1


def test_successes_between_do_not_forgive():
    breaker = make(Clock(), count=2)
    for status in (500, 200, 404, 401, 500):
        breaker.answered(status, retry_after=none)
    assert breaker.tripped


@given(status=st.integers(100, 599))
def test_only_statuses_in_the_ranges_count(status):
    breaker = make(Clock(), count=1)
    breaker.answered(status, retry_after=none)
    assert breaker.tripped is (status == 429 or status >= 500)


def test_retry_after_sets_the_trip_time():
    clock = Clock()
    breaker = make(clock, count=1, trip="PT1M")
    breaker.answered(429, retry_after=lambda: 5.0)
    clock.now += 4.9
    assert breaker.tripped
    clock.now += 0.2
    assert not breaker.tripped


def test_retry_after_is_ignored_unless_accepted():
    clock = Clock()
    breaker = make(clock, count=1, trip="PT1M", accept_retry_after=False)
    breaker.answered(429, retry_after=lambda: 5.0)
    clock.now += 59
    assert breaker.tripped


def test_answers_to_what_was_under_way_do_not_lengthen_the_trip():
    clock = Clock()
    breaker = make(clock, count=1, trip="PT10S")
    breaker.answered(500, retry_after=none)
    clock.now += 9
    breaker.answered(429, retry_after=lambda: 86_400.0)
    clock.now += 1
    assert not breaker.tripped


def test_no_response_counts_as_the_500_it_becomes():
    breaker = make(Clock(), count=1)
    breaker.failed("BackendConnectionFailure")
    assert breaker.tripped


def test_error_reasons_count_whatever_the_ranges_say():
    rule = breaker_rule(count=1)
    rule["rules"][0]["failureCondition"].update(
        statusCodeRanges=[{"min": 429, "max": 429}], errorReasons=["timeout"]
    )
    parsed = Rule.of({"circuitBreaker": rule})
    breaker = Breaker(parsed, clock=Clock())
    breaker.failed("BackendConnectionFailure")
    assert not breaker.tripped
    breaker.failed("Timeout")
    assert breaker.tripped


@pytest.mark.parametrize(
    "backend", [{}, {"circuitBreaker": None}, {"circuitBreaker": {"rules": []}}]
)
def test_a_backend_without_a_rule_has_no_breaker(backend):
    assert Rule.of(backend) is None


def test_a_rule_without_a_count_is_refused():
    rule = breaker_rule()
    rule["rules"][0]["failureCondition"] = {"percentage": 50, "interval": "PT1M"}
    with pytest.raises(ValueError, match=r"failureCondition\.count"):
        Rule.of({"circuitBreaker": rule})
