import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_azure import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT1M", 60), ("PT10S", 10), ("PT1.5S", 1.5), ("P1DT12H", 129_600)],
)
def test_durations(text, seconds):
    assert durations.iso_8601(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "P1DT", "1M", "PT1", "P1Y", "P1M", "pt1m", "PT-1M", "P1W", "-PT1M", "PT1M\n"],
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="ISO 8601"):
        durations.iso_8601(text)


def test_retry_after_as_seconds_or_date():
    assert durations.retry_after("12") == 12.0
    date = "Thu, 01 Jan 1970 00:01:00 GMT"
    assert durations.retry_after(date, now=lambda: 15.0) == 45.0
    assert durations.retry_after(date, now=lambda: 99.0) == 0.0


@given(st.one_of(st.none(), st.text(), st.integers().map(str), st.from_regex(r"[0-9]{9,500}")))
def test_whatever_a_backend_sends_is_seconds_or_nothing(value):
    seconds = durations.retry_after(value)
    assert seconds is None or 0 <= seconds < 10**12


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 0), ("10m", 600), ("1h30m", 5400), ("0.05s", 0.05), ("1h1m1s", 3661)]
)
def test_timeouts_of_pulumi(text, seconds):
    assert durations.of_pulumi(text) == seconds


@pytest.mark.parametrize("text", ["10", "m", "1d", "-1m", "1h 30m", "PT1M", "1m\n"])
def test_what_is_no_timeout_of_pulumi_is_refused(text):
    with pytest.raises(ValueError, match="such as 10m or 1h30m"):
        durations.of_pulumi(text)
