"""Every tier that the config accepts can be created, with what the SDK sends by itself."""

import json

import azure_and_state
import pytest
import yaml
from bad_configs import CHAT
from shell import ROOT
from test_engine import UP, Cli, judge
from test_engine import pytestmark as NEEDS_THE_CLI  # noqa: N812

from components.keys import TIERS

pytestmark = pytest.mark.thorough
MODELS = "openai-gateway:models"
THREE_MODELS = (
    CHAT,
    {**CHAT, "name": "embeddings", "model": "text-embedding-3-large", "version": "1"},
    {**CHAT, "name": "second-chat"},
)


def of(tier: str) -> dict:
    """The dev stack's config, in a tier."""
    config = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8"))["config"]
    config["openai-gateway:gateway"] = {"sku": tier}
    if tier == "Consumption":
        config["openai-gateway:breaker"] = None
        config["openai-gateway:monitoring"] = None
        config["openai-gateway:streaming"] = False
    return config


@pytest.mark.parametrize("tier", TIERS)
def test_every_tier_of_the_config_is_deployed_and_stays_as_it_is(shell, tmp_path, tier):
    path = tmp_path / "tier.yaml"
    path.write_text(yaml.safe_dump({"config": of(tier)}))
    named = ("--stack", "tier", "--config-file", str(path))

    with shell.serving("--provisioning", "0") as endpoint:
        up = shell.local_azure("up", *named)
        assert up.returncode == 0, up.stdout + up.stderr
        again = shell.local_azure("preview", "--refresh", "--json", *named)
        assert azure_and_state.differences(shell.state, endpoint) == []
    assert again.returncode == 0, again.stdout + again.stderr
    assert set(json.loads(again.stdout)["changeSummary"]) == {"same"}


@pytest.mark.engine
@NEEDS_THE_CLI[1]
@pytest.mark.timeout(600)
@pytest.mark.parametrize("tier", TIERS)
def test_the_cli_deploys_one_to_three_models_in_every_tier(shell, tmp_path, tier):
    with shell.serving("--provisioning", "0"):
        cli = Cli(shell, tmp_path / "project")
        for key, value in of(tier).items():
            cli.set(key, value)
        cli("stack init dev")
        for count in (1, 2, 3):
            cli.set(MODELS, THREE_MODELS[:count])
            cli(UP)
            cli("preview --refresh --expect-no-changes")
        judge(cli, 0)
