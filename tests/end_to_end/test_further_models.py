"""Every model's pool is read back, and traffic goes to the deployment that is named."""

import json

import httpx
import yaml
from shell import ROOT

from local_azure.identity import authorization

CHAT = {"model": "gpt-5.4-mini", "version": "2026-03-17", "sku": "GlobalStandard", "capacity": 50}
EMBED = {"model": "text-embedding-3-small", "version": "1", "sku": "GlobalStandard", "capacity": 50}


def test_a_further_models_pool_is_judged_and_asked(shell, tmp_path):
    config = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8"))
    config["config"]["openai-gateway:models"] = [
        {"name": "chat", **CHAT},
        {"name": "small", **CHAT},
        {"name": "embed", **EMBED},
    ]
    (tmp_path / "stack.yaml").write_text(yaml.safe_dump(config))
    with shell.serving("--provisioning", "0") as endpoint:
        up = shell.local_azure("up", "--config-file", str(tmp_path / "stack.yaml"))
        assert up.returncode == 0, up.stdout + up.stderr
        outputs = shell.local_azure("output", "--show-secrets").stdout

        def probe(*flags: str):
            return shell.run("probes/distribution.py", "--outputs", "-", *flags, text=outputs)

        small = probe("--deployment", "small")
        assert small.returncode == 0, small.stdout + small.stderr
        name = "inference-backend-pool-small"
        assert f"✓ pool {name}: all backends have priority=1, weight=1" in small.stdout
        # A region that refuses a chat with a model for embeddings has answered.
        embed = probe("--deployment", "embed")
        assert embed.returncode == 0, embed.stdout + embed.stderr
        assert "answered: 400 The chatCompletion operation does not work" in embed.stdout

        pool = next(p["id"] for p in json.loads(outputs)["pools"] if p["deployment"] == "small")
        url = f"{pool}?api-version=2024-05-01"
        with httpx.Client(
            base_url=endpoint, headers=authorization(shell.state), trust_env=False
        ) as portal:
            live = portal.get(url).raise_for_status().json()["properties"]["pool"]
            live["services"][1]["priority"] = 2
            portal.put(url, json={"properties": {"type": "Pool", "pool": live}}).raise_for_status()
        changed = probe()
        assert changed.returncode == 1, changed.stdout + changed.stderr
        assert (
            f"the pool {name} is not as declared: foundry2-small has priority 2" in changed.stdout
        )
