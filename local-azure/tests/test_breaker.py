import pytest
from fake_resources import Clock, breaker_rule
from hypothesis import given
from hypothesis import strategies as st

from local_azure.gateway.breaker import Breaker, Rule, duration_seconds, retry_after_seconds


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


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT1M", 60), ("PT10S", 10), ("PT1.5S", 1.5), ("P1DT12H", 129_600), ("P1W", 604_800)],
)
def test_durations(text, seconds):
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "1M", "PT1", "P1Y", "P1M", "pt1m", "PT-1M"]
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="ISO 8601"):
        duration_seconds(text)


def test_retry_after_as_seconds_or_date():
    assert retry_after_seconds("12") == 12.0
    date = "Thu, 01 Jan 1970 00:01:00 GMT"
    assert retry_after_seconds(date, now=lambda: 15.0) == 45.0
    assert retry_after_seconds(date, now=lambda: 99.0) == 0.0


@given(st.one_of(st.none(), st.text(), st.integers().map(str), st.from_regex(r"[0-9]{9,500}")))
def test_whatever_a_backend_sends_is_seconds_or_nothing(value):
    seconds = retry_after_seconds(value)
    assert seconds is None or 0 <= seconds < 10**12
