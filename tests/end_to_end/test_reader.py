"""What an identity that only reads can do with a deployed stack, and what it is told it cannot."""

from emulator.identity import APPLICATIONS

READER = next(each.client_id for each in APPLICATIONS.values() if each.role == "Reader")


def test_a_reader_previews_a_deployed_stack(deployed):
    deployed.environment["ARM_CLIENT_ID"] = READER
    preview = deployed.emulator("preview", "--refresh")
    assert preview.returncode == 0, preview.stdout + preview.stderr
    assert "36 unchanged" in preview.stdout
    up = deployed.emulator("up", "--config-file", "Pulumi.incident.yaml")
    assert "AuthorizationFailed" in up.stdout
