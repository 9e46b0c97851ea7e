"""The alarm that the stack brings: it rings for the incident, ends by itself, is quiet else."""

import json
import subprocess

import pytest
from test_story import DEV, INCIDENT

REGIONS = {"UK South (foundry1)", "East US (foundry2)", "Norway East (foundry3)"}


def alerts(shell, step):
    """Alerts by state, rule and region, once the clock of the logs has moved by a step."""
    shown = shell.local_azure("alerts", "--in", step, "--json")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert found["errors"] == {}
    return {
        (each["state"], each["rule"].rpartition("-")[0], each["dimensions"].get("Region"))
        for each in found["alerts"]
    }


def ran(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_incident_rings_within_one_evaluation_and_round_robin_ends_it(deployed):
    with deployed.serving():
        ran(deployed.local_azure(*INCIDENT))
        assert "60 calls were answered with 200" in ran(deployed.run("-m", "demo.traffic", "60"))
        ringing = alerts(deployed, "1h")
        silent = REGIONS - {"UK South (foundry1)"}
        for rule in ("starved-region-hourly", "starved-region-daily"):
            assert {region for _, name, region in ringing if name == rule} == silent
        assert {state for state, _, _ in ringing} == {"Fired"}
        ran(deployed.local_azure(*DEV))
        ran(deployed.run("-m", "demo.traffic", "60"))
        over = alerts(deployed, "2h")
        hourly = {(state, region) for state, name, region in over if name.endswith("hourly")}
        assert hourly == {("Resolved", region) for region in silent}


@pytest.mark.thorough
def test_a_round_robin_is_quiet_and_a_region_that_falls_silent_is_not(deployed):
    with deployed.serving("--gateway-instances", "4"):
        ran(deployed.run("-m", "demo.traffic", "60"))
        assert alerts(deployed, "1h") == set()
        ran(deployed.local_azure("fault", "foundry2", "--closed"))
        ran(deployed.run("-m", "demo.traffic", "60"))
        assert alerts(deployed, "1h") == {("Fired", "starved-region-hourly", "East US (foundry2)")}


def test_where_no_region_answers_another_alarm_rings(deployed):
    with deployed.serving():
        for region in ("foundry1", "foundry2", "foundry3"):
            ran(deployed.local_azure("fault", region, "--status", "429", "--retry-after", "60"))
        ran(deployed.run("-m", "demo.traffic", "20"))
        assert {name for _, name, _ in alerts(deployed, "15m")} == {"no-region-answers"}
