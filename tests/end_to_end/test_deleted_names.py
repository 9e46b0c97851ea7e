"""An account and a service that somebody deleted: told, purged or restored, by the Pulumi CLI."""

import json
import re
import shutil

import pytest
from test_engine import REFUSED, UP, Cli

RESTORE = "openai-gateway:restore"
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(shutil.which("pulumi") is None, reason="the Pulumi CLI is not on PATH"),
    pytest.mark.timeout(300),
]


def test_what_was_deleted_in_the_portal_is_told_then_purged_or_restored(shell, tmp_path):
    with shell.serving("--provisioning", "0"):
        cli = Cli(shell, tmp_path / "project")
        cli.deploy()
        group = json.loads(cli("stack output --json"))["resource_group"]
        suffix = group.rpartition("-")[2]
        cli.drifted = True
        with cli.portal() as portal:
            account = (
                "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/"
                f"{group}/providers/Microsoft.CognitiveServices/accounts/foundry2-{suffix}"
            )
            for path in (f"{account}/deployments/chat", account):
                portal.delete(path, params={"api-version": "2025-06-01"}).raise_for_status()

        told = cli("up --yes --refresh", expected=REFUSED)
        assert f"the account foundry2-{suffix} was deleted in eastus" in told
        assert "set openai-gateway:restore to true, or purge it: az cognitiveservices" in told
        assert f"--location eastus --resource-group {group} --name foundry2-{suffix}" in told
        assert "Traceback" not in told

        cli.set(RESTORE, True)
        back = cli(f"{UP} --refresh")
        assert "foundry2 comes back as it was deleted; run `pulumi up` once more" in back
        assert re.search(r"\+ 3 created", back)
        assert re.search(r"~ 1 updated", cli(UP))
        cli("preview --refresh --expect-no-changes")
        cli.probe(expected=0)
