"""The probe beyond one machine: Locust sends the requests, and ends with the same verdict.

    pulumi stack output --json --show-secrets > outputs.json
    PROBE_OUTPUTS=outputs.json locust -f probes/locustfile.py --headless --users 6 --run-time 1m

Workers (`--worker`, or Azure Load Testing's engines) send their answers to the master, which judges
all of them, stops the test once the evidence is in, and exits as probes/distribution.py does.
Environment: PROBE_OUTPUTS (a file; default: the stack that is selected in the Pulumi CLI),
PROBE_EXPECT (`round-robin` or `declared`), ARM_ENDPOINT, PROBE_SKIP_CONTROL_PLANE=1.
"""

import os
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust import HttpUser, events, task
from locust.env import Environment
from locust.runners import WorkerRunner

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from components.resource_manager import is_loopback
from probes import sources
from probes.control_plane import read_pool
from probes.exit_codes import InputError
from probes.formats.text import Text
from probes.interpretation import interpret
from probes.report import Expectation, Report
from probes.tally import Answer, Tally
from probes.traffic_run import CHAT, LARGEST

SKIPS_POOL = bool(os.environ.get("PROBE_SKIP_CONTROL_PLANE"))


class Probe:
    """The answers of this process, or of all workers on a master, and the verdict on them."""

    def __init__(self, source: sources.Source, *, expect: str) -> None:
        self.source = source
        self.outputs = source.outputs
        self.expectation = Expectation.of(source.outputs, expect)
        self.tally = Tally(self.expectation.plan.shares)
        self.unsent: list[Answer] = []
        self.started = datetime.now(UTC)
        self.begin = time.monotonic()

    def add(self, environment: Environment, answer: Answer) -> None:
        tally, plan = self.tally, self.expectation.plan
        tally.add(answer)
        enough = answer.hopeless or len(tally.answers) >= plan.most_requests
        enough = enough or plan.decided(tally.counts)
        if enough and environment.runner and not isinstance(environment.runner, WorkerRunner):
            gevent.spawn(environment.runner.quit)

    def report(self) -> Report:
        manager, plan = self.source.resource_manager, self.expectation.plan
        return Report(
            source=self.source,
            expectation=self.expectation,
            tally=self.tally,
            reading=None if SKIPS_POOL else read_pool(self.outputs, manager, limit=20),
            stopped="" if plan.decided(self.tally.counts) else "Locust ended the test",
            max_requests=plan.most_requests,
            started=self.started,
            duration=time.monotonic() - self.begin,
        )


try:
    PROBE = Probe(
        sources.find(
            os.environ.get(sources.VARIABLE), None, sys.stdin.buffer, reads_pool=not SKIPS_POOL
        ),
        expect=os.environ.get("PROBE_EXPECT", "declared"),
    )
except InputError as error:
    sys.exit(f"locustfile.py: error: {error}")


class Client(HttpUser):
    """Asks for one shortest completion after the other, each on a connection of its own."""

    host = PROBE.outputs.inference_url

    def on_start(self) -> None:
        self.client.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        self.client.trust_env = not is_loopback(PROBE.outputs.inference_url)

    @task
    def ask(self) -> None:
        began = time.monotonic()
        with self.client.post(
            PROBE.outputs.chat_url,
            json=CHAT,
            headers={"api-key": PROBE.outputs.subscription_key, "connection": "close"},
            allow_redirects=False,
            timeout=20,
            catch_response=True,
        ) as response:
            if response.status_code:
                answer = interpret(
                    PROBE.outputs,
                    response.status_code,
                    response.headers,
                    (response.content or b"")[:LARGEST],
                )
            else:
                reason = PROBE.outputs.redact(str(response.error))
                answer = Answer(outcome="failed", detail=f"no answer: {reason}")
            response.request_meta["name"] = answer.backend or answer.outcome
            if answer.outcome == "answered":
                response.success()
            else:
                response.failure(f"{answer.outcome}: {answer.detail}")
        ended = time.monotonic()
        timed = asdict(answer) | {"started": began - PROBE.begin, "seconds": ended - began}
        PROBE.unsent.append(Answer(**timed))
        if not isinstance(self.environment.runner, WorkerRunner):
            PROBE.add(self.environment, PROBE.unsent.pop())
        if answer.retry_after or answer.outcome == "throttled":
            gevent.sleep(min(answer.retry_after or 1.0, 60.0))


@events.report_to_master.add_listener  # type: ignore[untyped-decorator]
def send(client_id: str, data: dict[str, Any]) -> None:  # noqa: ARG001
    """Worker: hand over what was seen since the last report."""
    data["answers"], PROBE.unsent = [asdict(answer) for answer in PROBE.unsent], []


@events.worker_report.add_listener  # type: ignore[untyped-decorator]
def merge(client_id: str, data: dict[str, Any]) -> None:  # noqa: ARG001
    """Master: count what a worker saw."""
    for answer in data.get("answers", ()):
        PROBE.add(ENVIRONMENTS[-1], Answer(**answer))


ENVIRONMENTS: list[Environment] = []


@events.init.add_listener  # type: ignore[untyped-decorator]
def remember(environment: Environment, **_: Any) -> None:
    """Keep the environment, which a worker's report does not carry."""
    ENVIRONMENTS.append(environment)


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def judge(environment: Environment, **_: Any) -> None:
    """Print the verdict, and make it the exit code; workers leave that to the master."""
    if isinstance(environment.runner, WorkerRunner):
        return
    report = PROBE.report()
    form = Text(PROBE.expectation, print)
    for answer in PROBE.tally.answers:
        form.answer(answer)
    form.end(report)
    environment.process_exit_code = report.exit_code
