"""pytest fixtures: one local Azure a session, empty again after each test that used it.

`pip install local-azure` is enough: pytest finds the plugin. `docs/pytest.md` has an example.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from local_azure import environment, server
from local_azure.deployment import outputs
from local_azure.faults import PATH as FAULTS
from local_azure.faults import Fault
from local_azure.identity import RESOURCE_MANAGER, authorization, signing_in
from local_azure.local import SUBSCRIPTION_ID, authority_certificate, find_server
from local_azure.monitor.app import PATH as ALERTS
from local_azure.server import Seen

_SUBSCRIPTION = f"/subscriptions/{SUBSCRIPTION_ID}"
_DELETED = (
    ("Microsoft.CognitiveServices/deletedAccounts", "2025-06-01"),
    ("Microsoft.ApiManagement/deletedservices", "2024-05-01"),
)


class DeploymentError(Exception):
    """A program that could not be deployed; the message is what the deployment printed."""


@dataclass(kw_only=True)
class LocalAzure:
    """A running local Azure, as a test sees it.

    `endpoint` is Resource Manager over http, `https_endpoint` the same by TLS, on the port where
    every deployed host name is answered; `certificate` is the authority to trust there.
    `variables` lead Azure's and Pulumi's tools here. `requests` are those that were answered, by
    Resource Manager, by gateways and by regions, oldest first.
    """

    state: Path
    endpoint: str
    https_endpoint: str
    certificate: Path
    variables: dict[str, str]
    requests: list[Seen] = field(default_factory=list)

    def token(self, resource: str = RESOURCE_MANAGER) -> str:
        """Return a token of the service principal, whom `variables` sign in as well."""
        return signing_in(self.state)(resource)

    def up(
        self, project: Path, *, stack: str = "dev", config_file: Path | None = None
    ) -> dict[str, Any]:
        """Deploy a Pulumi program; return its outputs, secrets included. Raises DeploymentError."""
        self._deploy("up", project, stack, config_file)
        return outputs(self.state, stack, show_secrets=True)

    def preview(
        self, project: Path, *, stack: str = "dev", config_file: Path | None = None
    ) -> dict[str, Any]:
        """Return what `pulumi preview --json --show-sames` would print. Raises DeploymentError."""
        options = ("--json", "--show-sames")
        return dict(json.loads(self._deploy("preview", project, stack, config_file, *options)))

    def destroy(self, project: Path, *, stack: str = "dev") -> None:
        """Delete what a stack deployed. Raises DeploymentError."""
        self._deploy("destroy", project, stack, None, "--ignore-protect")

    def fault(self, region: str, **settings: Any) -> None:
        """Make a region fail, until the test ends; `settings` are those of `Fault`."""
        answer = self.ask("PUT", f"{FAULTS}/{region}", json=Fault(**settings).to_json())
        if answer.is_error:
            raise ValueError(answer.json()["error"]["message"])

    def heal(self) -> None:
        """End every fault."""
        self.ask("DELETE", FAULTS)

    def alerts(self, *, after: timedelta = timedelta()) -> list[dict[str, Any]]:
        """Return the alerts that fired, resolved ones too, once the logs' clock was moved on."""
        seconds = round(after.total_seconds())
        return list(self.ask("POST", ALERTS, json={"in": f"PT{seconds}S"}).json()["alerts"])

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send a signed-in request to Resource Manager."""
        headers = authorization(self.state)
        with httpx.Client(trust_env=False, timeout=60, headers=headers) as client:
            return client.request(method, f"{self.endpoint}{path}", **more)

    def _deploy(
        self, command: str, project: Path, stack: str, config_file: Path | None, *more: str
    ) -> str:
        file = ("--config-file", str(config_file)) if config_file else ()
        return self._run(command, "--cwd", str(project), "--stack", stack, *file, *more)

    def _run(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "local_azure", *arguments, "--state", str(self.state)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DeploymentError(f"{done.stdout}{done.stderr}".strip())
        return done.stdout

    def _empty(self) -> None:
        """Delete and purge everything, and forget the stacks."""
        self.heal()
        group_version = "?api-version=2024-03-01"
        groups = self.ask("GET", f"{_SUBSCRIPTION}/resourcegroups{group_version}").json()["value"]
        for group in groups:
            self.ask("DELETE", f"{group['id']}{group_version}")
        for kind, version in _DELETED:
            listed = self.ask("GET", f"{_SUBSCRIPTION}/providers/{kind}?api-version={version}")
            for each in listed.json()["value"]:
                self.ask("DELETE", f"{each['id']}?api-version={version}")
        for folder in ("stacks", "outputs", "pulumi"):
            shutil.rmtree(self.state / folder, ignore_errors=True)
        self.requests.clear()


@pytest.fixture(scope="session")
def local_azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    """Run a local Azure for the whole session; what tests deploy in it stays."""
    state, requests = tmp_path_factory.mktemp("local-azure"), list[Seen]()
    options = server.Options(
        port=0,
        https_port=0,
        provisioning_seconds=0,
        providers=shutil.which("pulumi") is not None,
        on_request=requests.append,
    )
    with server.running(state, options) as endpoint:
        running = find_server(state)
        yield LocalAzure(
            state=state,
            endpoint=endpoint,
            https_endpoint=running.https_endpoint if running else "",
            certificate=authority_certificate(state),
            variables=environment.to_set(state, stack="dev"),
            requests=requests,
        )


@pytest.fixture
def local_azure(
    local_azure_server: LocalAzure, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalAzure]:
    """Lead this test to the session's local Azure, which is empty after it."""
    for name, value in local_azure_server.variables.items():
        monkeypatch.setenv(name, value)
    yield local_azure_server
    local_azure_server._empty()  # noqa: SLF001 - the fixture's own half
