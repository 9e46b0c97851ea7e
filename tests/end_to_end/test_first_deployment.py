"""A first deployment whose roles have not spread yet, and a policy that somebody changed since."""

import json

import httpx
import pytest

from local_azure.identity import authorization


def test_a_first_deployment_is_not_proved_before_its_roles_have_spread(deployed):
    outputs = deployed.local_azure("output", "--show-secrets").stdout
    with deployed.serving("--propagation", "3600"):
        done = deployed.run("probes/distribution.py", "--outputs", "-", text=outputs)
        flags = ("--outputs", "-", "--wait-ready", "0.2s")
        waited = deployed.run("probes/distribution.py", *flags, text=outputs)
    assert done.returncode == waited.returncode == 3, done.stdout + waited.stdout
    assert " - denied: 401 " in done.stdout
    assert "[INFO] Not ready: foundry" in waited.stdout


@pytest.mark.thorough
def test_a_first_deployment_is_proved_once_its_roles_have_spread(shell):
    with shell.serving("--provisioning", "0", "--propagation", "3"):
        assert shell.local_azure("up").returncode == 0
        done = shell.run("probes/distribution.py", "--wait-ready", "50s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("balanced: ")


def test_a_policy_that_was_changed_in_the_portal_is_not_as_declared(deployed):
    outputs = deployed.local_azure("output", "--show-secrets").stdout
    url = f"{json.loads(outputs)['policy']['id']}?api-version=2024-05-01"
    with (
        deployed.serving() as endpoint,
        httpx.Client(
            base_url=endpoint, headers=authorization(deployed.state), trust_env=False
        ) as portal,
    ):
        policy = portal.get(url).raise_for_status().json()["properties"]["value"]
        header = '<set-header name="x" exists-action="delete" />'
        assert "<outbound>" in policy
        changed = policy.replace("<outbound>", f"<outbound>{header}")
        body = {"properties": {"format": "xml", "value": changed}}
        portal.put(url, json=body).raise_for_status()
        done = deployed.run("probes/distribution.py", "--outputs", "-", text=outputs)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the policy is not as declared; put the declared policy back" in done.stdout
