"""The drills in virtual time: what clients see of a region that fails, with the program's settings.

`make drill` runs them over sockets; here the same policy, balancer and breaker run without waiting.
"""

import asyncio
from dataclasses import replace

import pytest

from benchmarks.drills import report, virtual_time
from benchmarks.drills.__main__ import main
from benchmarks.drills.load import Sample, percentile
from benchmarks.drills.scenarios import DRILLS, REGIONS, Drill
from benchmarks.drills.simulation import Weather, own, simulate

WEATHER = Weather(per_second=5.0)
BUSY = Weather(per_second=20.0)
BY_NAME = {drill.name: drill for drill in DRILLS}


def outcome(name: str, *, instances: int = 1, weather: Weather = WEATHER) -> report.Outcome:
    drill = BY_NAME[name]
    settings = own(repeat_unanswered=drill.repeat_unanswered)
    return simulate(drill, settings, weather=weather, instances=instances)[0]


@pytest.mark.parametrize("instances", [1, 4])
@pytest.mark.parametrize(
    "drill", [each for each in DRILLS if each.spares_all], ids=lambda d: d.name
)
def test_no_client_sees_a_failure_while_a_region_lives(drill, instances):
    seen = outcome(drill.name, instances=instances)
    assert seen.failures == 0
    assert (seen.cut > 0) is (drill.name == "answers cut in the middle")


@pytest.mark.parametrize("instances", [1, 4])
def test_a_region_that_hangs_costs_its_own_calls_and_no_call_is_sent_twice(instances):
    seen = outcome("hangs", instances=instances)
    assert 0 < seen.failures < len(seen.samples) / 3
    assert seen.untold == 0
    assert {each.attempts for each in seen.samples if each.failed} == {1}
    assert max(each.seconds for each in seen.samples) == pytest.approx(own().timeout)
    assert seen.during.latency(0.99) < 1


@pytest.mark.parametrize("instances", [1, 4])
def test_a_region_that_hangs_costs_seconds_where_calls_may_be_repeated(instances):
    seen = outcome("hangs, repeatUnanswered", instances=instances, weather=BUSY)
    timeout = own(repeat_unanswered=True).timeout
    assert seen.failures == 0
    assert timeout < seen.during.latency(0.99) < 2 * timeout + 2


def test_without_retries_clients_see_each_failure():
    settings = replace(own(), retries=0)
    seen, _ = simulate(BY_NAME["port closed"], settings, weather=WEATHER, instances=1)
    assert seen.failures > 0


@pytest.mark.parametrize("name", [each.name for each in DRILLS if not each.one_lives])
def test_when_no_region_lives_each_client_is_told(name):
    seen = outcome(name)
    assert seen.failures > 0
    assert seen.untold == 0
    assert not any(each.failed for each in seen.before.samples)


def test_a_region_that_fails_is_left_alone_and_comes_back():
    seen = outcome("port closed", weather=BUSY)
    assert 0 < seen.left_alone < 3
    assert seen.back > 0
    assert seen.during.share("foundry2") == 0
    assert [round(seen.after.share(each), 2) for each in REGIONS] == [0.33, 0.33, 0.33]


def test_a_region_that_is_slow_keeps_its_traffic():
    seen = outcome("ten times slower", weather=BUSY)
    assert seen.left_alone is None
    assert seen.during.share("foundry2") == pytest.approx(1 / 3, abs=0.05)
    assert seen.during.latency(0.99) > 5 * seen.before.latency(0.99)


@pytest.mark.parametrize("per_second", [1.0, 20.0])
def test_noise_alone_harms_nobody(per_second):
    quiet = Drill(name="nothing", regions=())
    noisy = Weather(per_second=per_second, failing=0.02)
    seen, asked = simulate(quiet, own(), weather=noisy, instances=1)
    assert seen.failures == 0
    assert asked > len(seen.samples), "no answer was a 500: there was nothing to harm"


def test_a_long_answer_outlives_the_timeout_and_a_shorter_timeout_would_lose_it():
    quiet = Drill(name="nothing", regions=())
    thoughtful = Weather(per_second=1.0, slow=0.1)
    seen, asked = simulate(quiet, own(), weather=thoughtful, instances=1)
    assert seen.failures == 0
    assert max(each.seconds for each in seen.samples) == pytest.approx(thoughtful.slow_seconds)
    assert asked == len(seen.samples), "a call that was answered in time was executed twice"
    repeated, more = simulate(quiet, own(repeat_unanswered=True), weather=thoughtful, instances=1)
    assert (repeated.failures, more > asked) == (0, True)
    cut, _ = simulate(quiet, replace(own(), timeout=60), weather=thoughtful, instances=1)
    assert cut.failures > 0


def test_virtual_time_passes_without_waiting_and_in_order():
    async def main() -> list[float]:
        clock = asyncio.get_running_loop().time
        times = []

        async def note(seconds: float) -> None:
            await asyncio.sleep(seconds)
            times.append(clock())

        async with asyncio.TaskGroup() as group:
            for seconds in (86_400.0, 60.0, 0.5):
                group.create_task(note(seconds))
        return times

    assert virtual_time.run(main()) == [0.5, 60.0, 86_400.0]


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 2.0), (0.99, 4.0), (0.25, 1.0), (0.26, 2.0), (1.0, 4.0)]
)
def test_a_percentile_is_a_value_that_was_seen(share, expected):
    assert percentile([4.0, 1.0, 3.0, 2.0], share) == expected
    assert percentile([], share) is None


def test_the_table_counts_what_is_told_and_what_is_not():
    samples = [
        Sample(sent=0.1, seconds=0.5, status=200, region="foundry1", attempts=1),
        Sample(sent=1.1, seconds=0.1, status=503, told=True),
        Sample(sent=1.2, seconds=0.1),
        Sample(sent=1.3, seconds=0.1, status=200, cut=True, region="foundry3", attempts=1),
    ]
    seen = report.Outcome(
        drill=BY_NAME["port closed"], instances=2, samples=samples, began=1.0, ended=2.0
    )
    row = dict(zip(report.HEADER, report.row(seen), strict=True))
    assert row["failures"] == "2, 1 not told"
    assert (row["cut"], row["units"], row["back"]) == ("1", "2", "not seen")


def test_what_continues_a_response_is_counted_apart():
    def continued(home, **ending):
        return Sample(**{"sent": 1.5, "seconds": 0.1, "home": home, **ending})

    samples = [
        continued("foundry1", status=200, region="foundry1"),
        continued("foundry2", status=503, told=True),  # its region is the one that fails
        continued("foundry2", status=200, region="foundry2", cut=True),
        continued("foundry1", status=200, region="foundry3"),
        continued("foundry2", status=404),
        continued("foundry3", status=503, told=True),
        continued("foundry3"),
    ]
    seen = report.Outcome(
        drill=BY_NAME["port closed"], instances=2, samples=samples, began=1.0, ended=2.0
    )
    row = dict(zip(report.HEADER, report.row(seen), strict=True))
    assert row["continued: told to wait, lost"] == "7: 2, 4"
    assert (row["failures"], seen.lost) == ("0", 4)
    assert seen.left_alone is None  # of a second nothing can be said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["port shut"], "no drill is called 'port shut'; there are: port closed; "),
        (["port closed", "--write"], "--write is for all drills"),
    ],
)
def test_what_cannot_be_drilled_is_refused_before_anything_starts(arguments, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("seen", "code"), [("port closed", 0), ("no retries", 1)])
def test_the_drills_exit_code_says_whether_a_client_was_harmed(seen, code, capsys, monkeypatch):
    settings = replace(own(), retries=0) if seen == "no retries" else own()
    done, _ = simulate(BY_NAME["port closed"], settings, weather=WEATHER, instances=1)

    async def drilled(_):
        return [done]

    monkeypatch.setattr("benchmarks.drills.__main__.run_all", drilled)
    assert main(["port closed"]) == code
    assert f"failures while one region lives: {done.failures}" in capsys.readouterr().out
