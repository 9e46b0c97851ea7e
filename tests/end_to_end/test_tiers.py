"""Every tier that the config accepts can be created, with what the SDK sends by itself."""

import json

import pytest
import yaml
from shell import ROOT

from components.settings import TIERS


@pytest.mark.parametrize("tier", TIERS)
def test_every_tier_of_the_config_is_deployed_and_stays_as_it_is(shell, tmp_path, tier):
    stack = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())
    stack["config"]["openai-gateway:gateway"] = {"sku": tier}
    if tier == "Consumption":
        stack["config"]["openai-gateway:breaker"] = None
    config = tmp_path / "tier.yaml"
    config.write_text(yaml.safe_dump(stack))
    named = ("--stack", "tier", "--config-file", str(config))

    up = shell.local_azure("up", *named)
    assert up.returncode == 0, up.stdout + up.stderr
    with shell.serving():
        again = shell.local_azure("preview", "--refresh", "--json", *named)
    assert again.returncode == 0, again.stdout + again.stderr
    assert set(json.loads(again.stdout)["changeSummary"]) == {"same"}
