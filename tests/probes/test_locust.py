"""Locust sends the requests, on one process or on a master with two workers: the same verdict."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from fake_gateway import KEY, completion

ROOT = Path(__file__).parents[2]
# Not imported here: it patches the process for gevent.
pytestmark = pytest.mark.skipif(find_spec("locust") is None, reason="locust is not installed")


@pytest.fixture
def locust(gateway, tmp_path):
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(gateway.outputs()), encoding="utf-8")
    processes = []

    def start(*arguments, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "locust", "-f", ROOT / "probes" / "locustfile.py", *arguments],
            cwd=tmp_path,
            env={
                **os.environ,
                "PROBE_OUTPUTS": str(path),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


HEADLESS = ["--headless", "--users", "4", "--spawn-rate", "4", "--run-time", "20s"]


def verdict(output: str) -> str:
    assert KEY not in output
    return next(line for line in output.splitlines() if "balanced: " in line)


def test_one_process_reaches_the_probes_verdict_and_exit_code(gateway, locust):
    gateway.answer = lambda _n: completion(2)
    process = locust(*HEADLESS)
    output, _ = process.communicate(timeout=50)
    assert process.returncode == 1, output
    assert verdict(output).startswith("not balanced: East US got ")
    assert "foundry2" in output


@pytest.mark.thorough  # four processes, each of which imports locust
def test_a_master_and_two_workers_merge_their_counts_into_one_verdict(gateway, locust):
    master = locust(*HEADLESS, "--processes", "2", "--expect-workers", "2")
    output, _ = master.communicate(timeout=50)
    assert master.returncode == 0, output
    assert verdict(output).startswith("balanced: UK South 3")
    assert "ROUND-ROBIN CONFIRMED" in output


def test_one_of_two_gateways_is_chosen_by_the_environment(gateway, locust, tmp_path):
    gateway.answer = lambda _n: completion(2)
    path = tmp_path / "outputs.json"
    two = {"east": {**gateway.outputs(), "routing": "none"}, "west": gateway.outputs()}
    path.write_text(json.dumps(two), encoding="utf-8")
    output, _ = locust(*HEADLESS).communicate(timeout=50)
    assert "there are 2 gateways: east, west; choose with PROBE_OUTPUTS_KEY=PATH" in output
    process = locust(*HEADLESS, PROBE_OUTPUTS_KEY="west")
    output, _ = process.communicate(timeout=50)
    assert process.returncode == 1, output
    assert verdict(output).startswith("not balanced: East US got ")


def test_missing_outputs_end_locust_with_one_line(locust):
    process = locust(*HEADLESS, PROBE_OUTPUTS="none.json")
    output, _ = process.communicate(timeout=50)
    assert process.returncode == 1
    assert "none.json: no such file or directory; write them with" in output
