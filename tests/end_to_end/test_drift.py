"""What is changed in the portal is shown by resource and property, and put back by `up --refresh`.

A stack that nobody touched shows nothing, whatever Azure adds to what was sent.
"""

import re
from collections.abc import Callable
from contextlib import contextmanager

import httpx
import pytest
from shell import Shell
from test_engine import DRIFT, Cli
from test_engine import pytestmark as NEEDS_THE_CLI  # noqa: N812

from local_azure.identity import authorization

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"


def embedded(shell: Shell, _folder) -> Callable[..., str]:
    """The embedded deployment, by its commands."""
    assert shell.local_azure("up").returncode == 0

    def run(command: str, expected: int = 0) -> str:
        done = shell.local_azure(*command.split())
        assert done.returncode == expected, done.stdout + done.stderr
        return done.stdout

    return run


def engine(shell: Shell, folder) -> Callable[..., str]:
    """The Pulumi CLI's."""
    cli = Cli(shell, folder / "project")
    cli("stack init dev")
    cli("up --yes --skip-preview")
    return cli


EMBEDDED = pytest.param(embedded, marks=pytest.mark.thorough)  # six commands, one by one


@pytest.mark.parametrize("way", [EMBEDDED, pytest.param(engine, marks=[*NEEDS_THE_CLI])])
def test_drift_is_shown_by_resource_and_property_and_put_back(shell, tmp_path, way):
    with shell.serving("--provisioning", "0") as endpoint:
        run = way(shell, tmp_path)
        untouched = run("preview --refresh --diff --expect-no-changes --non-interactive")
        assert "73 unchanged" in untouched
        with portal(shell, endpoint) as change:
            change("/backends/inference-backend-pool", pool_services_1_priority=5)
            change("/backends/foundry3", description="mine", title="new")
            change("/apis/inference/policies/policy", format="rawxml", value=POLICY)
            change("/subscriptions/inference-clients", displayName="Somebody else")
        shown = run(
            "preview --refresh --diff --expect-no-changes --non-interactive", expected=DRIFT
        )
        assert "4 to update" in shown
        for resource, property_, was, becomes in (
            ("inference-backend-pool", "priority", "5", "1"),
            ("foundry3", "description", '"mine"', '"Azure OpenAI in Norway East"'),
            ("foundry3", "title", '"new"', None),
            ("inference-clients", "displayName", '"Somebody else"', '"Clients of'),
        ):
            changed = f"{property_} *: {was}" + (f" => {becomes}" if becomes else "")
            assert re.search(rf"{resource}[\s\S]*[~-] \S*{changed}", shown), (changed, shown)
        assert re.search(r"inference-policy[\s\S]*~ value *:", shown)
        assert "x-drift" in shown
        run("up --refresh --yes --skip-preview")
        run("preview --refresh --expect-no-changes")


POLICY = """<policies><inbound><base /><set-header name="x-drift" exists-action="delete" />
</inbound><backend><base /></backend><outbound><base /></outbound></policies>"""


@contextmanager
def portal(shell: Shell, endpoint: str):
    """A function that changes properties of what is in the service, as one can in the portal."""
    version = {"api-version": "2024-05-01"}
    with httpx.Client(
        base_url=endpoint, headers=authorization(shell.state), trust_env=False, params=version
    ) as client:
        services = f"{SUBSCRIPTION}/providers/Microsoft.ApiManagement/service"
        (service,) = client.get(services).raise_for_status().json()["value"]

        def change(path: str, **properties) -> None:
            body = client.get(f"{service['id']}{path}").raise_for_status().json()
            for name, value in properties.items():
                *outer, last = name.split("_")
                target = body["properties"]
                for key in outer:
                    target = target[int(key) if key.isdigit() else key]
                target[last] = value
            client.put(f"{service['id']}{path}", json=body).raise_for_status()

        yield change
