"""The probe beyond one machine: Locust sends the requests, and ends with the same verdict.

    pulumi stack output --json --show-secrets > outputs.json
    PROBE_OUTPUTS=outputs.json locust -f probes/locustfile.py --headless --users 6 --run-time 1m

Workers (`--worker`, or Azure Load Testing's engines) send their answers to the master, which judges
all of them, stops the test once the evidence is in, and exits as probes/distribution.py does.
Environment: PROBE_OUTPUTS (a file; default: the stack that is selected in the Pulumi CLI),
PROBE_OUTPUTS_KEY (which of several gateways in it: a path, as `gateway` or `pools[0]`),
PROBE_EXPECT (`round-robin` or `declared`), ARM_ENDPOINT, PROBE_SKIP_CONTROL_PLANE=1.
"""

import os
import sys
import time
from dataclasses import asdict, replace
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
from probes.control_plane import read
from probes.exit_codes import InputError
from probes.formats.text import Text
from probes.interpretation import interpret
from probes.report import Expectation, Report
from probes.tally import Answer, Tally
from probes.traffic_run import CHAT, LARGEST

SKIPS_POOL = bool(os.environ.get("PROBE_SKIP_CONTROL_PLANE"))
try:
    SOURCE = sources.find(
        os.environ.get(sources.VARIABLE),
        None,
        key=os.environ.get("PROBE_OUTPUTS_KEY"),
        reads_pool=not SKIPS_POOL,
    )
except InputError as error:
    told = str(error).replace("--outputs-key ", "PROBE_OUTPUTS_KEY=")
    sys.exit(f"locustfile.py: error: {told}")
OUTPUTS = SOURCE.outputs
EXPECTATION = Expectation.of(OUTPUTS, os.environ.get("PROBE_EXPECT", "declared"))
PLAN = EXPECTATION.plan
TALLY = Tally(PLAN.shares)  # answers of this process, or of all workers on a master
UNSENT: list[Answer] = []  # answers that a worker has not handed over yet
STARTED, BEGIN = datetime.now(UTC), time.monotonic()


class Client(HttpUser):
    """Asks for one shortest completion after the other, each on a connection of its own."""

    host = OUTPUTS.inference_url

    def on_start(self) -> None:
        """Keep no cookie, and no proxy on the way to this machine."""
        self.client.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        self.client.trust_env = not is_loopback(OUTPUTS.inference_url)

    @task
    def ask(self) -> None:
        began = time.monotonic()
        with self.client.post(
            OUTPUTS.chat_url,
            json={**CHAT, "model": OUTPUTS.deployment},
            headers={"api-key": OUTPUTS.subscription_key, "connection": "close"},
            allow_redirects=False,
            timeout=20,
            catch_response=True,
        ) as response:
            if status := response.status_code:
                body = (response.content or b"")[:LARGEST]
                answer = interpret(OUTPUTS, status, response.headers, body)
            else:
                reason = OUTPUTS.redact(str(response.error))
                answer = Answer(outcome="failed", detail=f"no answer: {reason}")
            response.request_meta["name"] = answer.backend or answer.outcome
            if answer.outcome == "answered":
                response.success()
            else:
                response.failure(f"{answer.outcome}: {answer.detail}")
        answer = replace(answer, started=began - BEGIN, seconds=time.monotonic() - began)
        if isinstance(self.environment.runner, WorkerRunner):
            UNSENT.append(answer)
        else:
            add(self.environment, answer)
        if answer.retry_after or answer.outcome == "throttled":
            gevent.sleep(min(answer.retry_after or 1.0, 60.0))


def add(environment: Environment, answer: Answer) -> None:
    TALLY.add(answer)
    enough = answer.hopeless or len(TALLY.answers) >= PLAN.most_requests
    if environment.runner and (enough or PLAN.decided(TALLY.counts)):
        gevent.spawn(environment.runner.quit)


@events.report_to_master.add_listener  # type: ignore[untyped-decorator]
def send(client_id: str, data: dict[str, Any]) -> None:  # noqa: ARG001
    """Worker: hand over what was seen since the last report."""
    data["answers"] = [asdict(answer) for answer in UNSENT]
    UNSENT.clear()


@events.init.add_listener  # type: ignore[untyped-decorator]
def listen(environment: Environment, **_: Any) -> None:
    """Master: count what the workers see."""

    @events.worker_report.add_listener  # type: ignore[untyped-decorator]
    def merge(client_id: str, data: dict[str, Any]) -> None:  # noqa: ARG001
        for answer in data.get("answers", ()):
            add(environment, Answer(**answer))


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def judge(environment: Environment, **_: Any) -> None:
    """Read the pool, print the verdict, and make it the exit code; a worker leaves that alone."""
    if isinstance(environment.runner, WorkerRunner):
        return
    report = Report(
        source=SOURCE,
        expectation=EXPECTATION,
        tally=TALLY,
        reading=None if SKIPS_POOL else read(OUTPUTS, SOURCE.resource_manager, limit=20),
        stopped="" if PLAN.decided(TALLY.counts) else "Locust ended the test",
        max_requests=PLAN.most_requests,
        started=STARTED,
        duration=time.monotonic() - BEGIN,
    )
    form = Text(EXPECTATION, print)
    for answer in TALLY.answers:
        form.answer(answer)
    form.end(report)
    environment.process_exit_code = report.exit_code
