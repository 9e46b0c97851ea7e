"""The probe beyond one machine: Locust sends the requests, and ends with the same verdict.

    pulumi stack output --json --show-secrets > outputs.json
    PROBE_OUTPUTS=outputs.json locust -f probes/locustfile.py --headless --users 6 --run-time 1m

Workers (`--worker`, or Azure Load Testing's engines) send their answers to the master, which judges
all of them, stops the test once the evidence is in, and exits as probes/distribution.py does.
Environment: PROBE_OUTPUTS (a file), PROBE_EXPECT (`round-robin` or `declared`), ARM_ENDPOINT,
PROBE_SKIP_CONTROL_PLANE=1.
"""

import asyncio
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

from components.endpoints import PUBLIC_AZURE, is_loopback
from probes import evidence, outputs
from probes.control_plane import read_pool
from probes.forms.text import Text
from probes.interpretation import interpret
from probes.report import Report
from probes.tally import Answer, Tally
from probes.traffic_run import CHAT, LARGEST


class Probe:
    """The answers of this process, or of all workers on a master, and the verdict on them."""

    def __init__(self, stack: outputs.Stack, *, expect: str) -> None:
        self.stack = stack
        self.round_robin = expect == "round-robin" or stack.routing == "round-robin"
        self.plan = evidence.plan(stack.shares(round_robin=self.round_robin))
        self.tally = Tally(self.plan.shares)
        self.unsent: list[Answer] = []
        self.started = datetime.now(UTC)
        self.begin = time.monotonic()

    def add(self, environment: Environment, answer: Answer) -> None:
        """Count an answer, and stop the test when nothing more is to be learnt."""
        tally = self.tally
        tally.add(answer)
        decided = self.plan.decided(tally.answered, tally.refused)
        enough = decided or answer.hopeless or len(tally.answers) >= self.plan.most_requests
        if enough and environment.runner and not isinstance(environment.runner, WorkerRunner):
            gevent.spawn(environment.runner.quit)

    def report(self) -> Report:
        """Read the pool, and judge everything."""
        pool = None
        if not os.environ.get("PROBE_SKIP_CONTROL_PLANE"):
            endpoint = os.environ.get("ARM_ENDPOINT") or PUBLIC_AZURE
            pool = asyncio.run(read_pool(self.stack, endpoint, limit=20))
        decided = self.plan.decided(self.tally.answered, self.tally.refused)
        return Report(
            stack=self.stack,
            round_robin=self.round_robin,
            plan=self.plan,
            tally=self.tally,
            pool=pool,
            stopped="" if decided else "Locust ended the test",
            max_requests=self.plan.most_requests,
            started=self.started,
            duration=time.monotonic() - self.begin,
        )


try:
    PROBE = Probe(
        outputs.read(os.environ.get("PROBE_OUTPUTS", "outputs.json"), sys.stdin.buffer),
        expect=os.environ.get("PROBE_EXPECT", "declared"),
    )
except outputs.InputError as error:
    sys.exit(f"locustfile.py: error: {error}")


class Client(HttpUser):
    """Asks for one shortest completion after the other, each on a connection of its own."""

    host = PROBE.stack.inference_url

    def on_start(self) -> None:
        """Keep no cookie, and no proxy on the way to this machine."""
        self.client.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        self.client.trust_env = not is_loopback(PROBE.stack.inference_url)

    @task
    def ask(self) -> None:
        """Send one request, named after the backend that answers it."""
        began = time.monotonic()
        with self.client.post(
            PROBE.stack.chat_url,
            json=CHAT,
            headers={"api-key": PROBE.stack.subscription_key, "connection": "close"},
            allow_redirects=False,
            timeout=20,
            catch_response=True,
        ) as response:
            if response.status_code:
                answer = interpret(
                    PROBE.stack,
                    response.status_code,
                    response.headers,
                    (response.content or b"")[:LARGEST],
                )
            else:
                reason = PROBE.stack.redact(str(response.error))
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
    form = Text(PROBE.stack, round_robin=PROBE.round_robin, write=print)
    for answer in PROBE.tally.answers:
        form.answer(answer)
    form.end(report)
    environment.process_exit_code = report.exit_code
