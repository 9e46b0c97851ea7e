"""The verdict from the logs beside the live probe's, on the same traffic."""

import json

import pytest
from test_story import DEV, INCIDENT

# What happens, how an application's calls then look to both, and the exit code of both.
CASES = {
    "balanced": ((), "balanced", 0),
    "incident": ((INCIDENT,), "imbalanced", 1),
    "one port closed": ((DEV, ("fault", "foundry2", "--closed")), "imbalanced", 1),
    "one throttled": ((DEV, ("fault", "foundry3", "--status", "429")), "imbalanced", 1),
    "one fails": ((DEV, ("fault", "foundry1", "--status", "500")), "imbalanced", 1),
    "all throttled": (
        tuple(
            ("fault", f"foundry{n}", "--status", "429", "--retry-after", "60") for n in (1, 2, 3)
        ),
        "inconclusive",
        3,
    ),
}


def judged(shell, *flags):
    done = shell.run("probes/distribution.py", "--expect", "round-robin", "--json", "-", *flags)
    report = json.loads(done.stdout)
    return report["verdict"], done.returncode, report


LONG = pytest.param("all throttled", marks=pytest.mark.thorough)  # it waits as it is told to


@pytest.mark.parametrize("case", [*(name for name in CASES if name != "all throttled"), LONG])
def test_logs_and_probe_say_the_same_of_the_same_traffic(deployed, case):
    commands, verdict, code = CASES[case]
    with deployed.serving():
        for command in commands:
            assert deployed.local_azure(*command).returncode == 0
        deployed.run("-m", "demo.traffic", "40")
        live = judged(deployed)
        logged = judged(deployed, "--from-logs", "1h")
    assert live[:2] == (verdict, code)
    assert logged[:2] == live[:2]
