"""The comment knows that what carries an id goes elsewhere, and refuses what else could."""

import json

import pytest

from components.inference_api import policy_xml
from components.settings import parse
from probes import preview_comment

REGIONS = {"foundry1": "uksouth", "foundry2": "eastus"}
POLICY = policy_xml(
    parse({"regions": [{"name": name, "location": at} for name, at in REGIONS.items()]}), "BasicV2"
)
BACKEND = "azure-native:apimanagement:Backend"


@pytest.fixture
def comment(tmp_path, capsys):
    def run(policy):
        services = [{"id": f"/x/backends/{name}", "priority": 1, "weight": 1} for name in REGIONS]
        rules = {"rules": [{"name": "r"}]}
        alarm = {"criteria": {"allOf": [{"query": "ApiManagementGatewayLogs"}]}}
        states = [
            (BACKEND, "inference-backend-pool", {"type": "Pool", "pool": {"services": services}}),
            *(
                (BACKEND, name, {"type": "Single", "backendId": name, "circuitBreaker": rules})
                for name in REGIONS
            ),
            ("azure-native:apimanagement:ApiPolicy", "inference-policy", {"value": policy}),
            ("azure-native:monitor:ScheduledQueryRule", "rule", alarm),
        ]
        steps = [
            {
                "op": "create",
                "urn": f"urn:pulumi:dev::p::{kind}::{name}",
                "newState": {"type": kind, "inputs": inputs},
            }
            for kind, name, inputs in states
        ]
        path = tmp_path / "preview.json"
        path.write_text(json.dumps({"steps": steps, "changeSummary": {"create": len(steps)}}))
        code = preview_comment.main([str(path)])
        return code, capsys.readouterr().out.replace("\\", "")

    return run


def test_what_continues_a_response_is_told_apart(comment):
    code, text = comment(POLICY)
    assert code == 0, text
    assert "**Conversations:** what continues a response goes to the region that has it" in text


def test_a_policy_with_one_way_says_nothing_of_conversations(comment):
    code, text = comment('<set-backend-service backend-id="inference-backend-pool" />')
    assert code == 0, text
    assert "Conversations" not in text


def test_traffic_without_an_id_that_could_go_past_the_pool_is_no_round_robin(comment):
    opened = POLICY.replace(
        """'@((string)context.Variables["id"] != "")'>
          <set-backend""",
        """'@(true)'>
          <set-backend""",
    )
    assert opened != POLICY
    code, text = comment(opened)
    assert code == 1, text
    assert "could send what carries no id past the pool" in text
    assert "✅" not in text
