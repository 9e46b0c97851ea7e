"""What an identity that only reads can do with a deployed stack, and what it is told it cannot."""

import json

import pytest

from local_azure.identity import APPLICATIONS

READER = next(each.client_id for each in APPLICATIONS.values() if each.role == "Reader")


def test_a_reader_previews_a_deployed_stack(deployed):
    deployed.environment["ARM_CLIENT_ID"] = READER
    preview = deployed.local_azure("preview", "--refresh")
    assert preview.returncode == 0, preview.stdout + preview.stderr
    assert "73 unchanged" in preview.stdout
    up = deployed.local_azure("up", "--config-file", "Pulumi.incident.yaml")
    assert "AuthorizationFailed" in up.stdout


def without_key(shell) -> str:
    outputs = json.loads(shell.local_azure("output", "--show-secrets").stdout)
    del outputs["subscription_key"]
    return json.dumps(outputs)


def test_a_key_that_is_not_exported_is_looked_up_by_who_may(deployed):
    with deployed.serving():
        done = deployed.run("probes/distribution.py", "--outputs", "-", text=without_key(deployed))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("role", ["Reader", "API Management Service Reader Role"])
def test_a_reader_may_read_pool_and_policy_and_not_the_key(deployed, role):
    outputs = deployed.local_azure("output", "--show-secrets").stdout
    deployed.environment["AZURE_CLIENT_ID"] = next(
        each.client_id for each in APPLICATIONS.values() if each.role == role
    )
    with deployed.serving():
        read = deployed.run("probes/distribution.py", "--outputs", "-", text=outputs)
        asked = deployed.run("probes/distribution.py", "--outputs", "-", text=without_key(deployed))
    assert read.returncode == 0, read.stdout + read.stderr
    assert asked.returncode == 2, asked.stdout + asked.stderr
    assert "Microsoft.ApiManagement/service/subscriptions/listSecrets/action" in asked.stderr
