"""What the comment says of the alarm: who would hear of a starved region, and what it costs."""

import json

import pytest

from probes import preview_comment

POOL = {
    "type": "azure-native:apimanagement:Backend",
    "inputs": {
        "type": "Pool",
        "pool": {
            "services": [
                {"id": f"/x/backends/{name}", "priority": 1, "weight": 1}
                for name in ("foundry1", "foundry2")
            ]
        },
    },
}
RULE = {
    "type": "azure-native:monitor:ScheduledQueryRule",
    "inputs": {"criteria": {"allOf": [{"query": "ApiManagementGatewayLogs | count"}]}},
}
GROUP = {
    "type": "azure-native:monitor:ActionGroup",
    "inputs": {
        "emailReceivers": [{"name": "t", "emailAddress": "team@example.com"}],
        "webhookReceivers": "[secret]",
    },
}
WORKSPACE = {"type": "azure-native:operationalinsights:Workspace", "inputs": {}}


@pytest.fixture
def comment(tmp_path, capsys):
    def run(*states, config=None, operation="create"):
        steps = [
            {
                "op": operation,
                "urn": f"urn:pulumi:dev::p::{state['type']}::each{number}",
                "newState": state,
            }
            for number, state in enumerate((POOL, *states))
        ]
        document = {
            "steps": steps,
            "changeSummary": {operation: len(steps)},
            "config": config or {},
        }
        path = tmp_path / "preview.json"
        path.write_text(json.dumps(document), "utf-8")
        code = preview_comment.main([str(path)])
        return code, capsys.readouterr().out.replace("\\", "").replace("&#46;", ".")

    return run


def alarm(text):
    return [line for line in text.splitlines() if line.startswith("**Alarm:**")]


def test_it_names_who_hears_it(comment):
    code, text = comment(RULE, RULE, GROUP)
    (line,) = alarm(text)
    assert line.startswith("**Alarm:** 2 rules, heard by team")
    assert line.endswith(", a webhook")
    assert line.count("webhook") == 1
    assert "secret" not in text
    assert code == 0


def test_an_alarm_that_nobody_hears_is_told(comment):
    _, text = comment(RULE)
    assert alarm(text) == ["**Alarm:** 1 rule, which nobody hears: set `monitoring.alertEmails`"]


@pytest.mark.parametrize("value", ["", "null"])
def test_none_by_declaration_is_no_violation(comment, value):
    code, text = comment(config={"openai-gateway:monitoring": value})
    assert alarm(text) == ["**Alarm:** none, as declared: `monitoring` is `null`"]
    assert "Policy violations" not in text
    assert text.splitlines()[1].startswith("### ✅")
    assert code == 0


def test_none_without_a_word_is_a_violation(comment):
    _, text = comment()
    assert alarm(text) == ["**Alarm:** none"]
    assert "pools-have-an-alarm" in text
    assert text.splitlines()[1].startswith("### ⚠️")


def test_rules_that_are_switched_off_are_none(comment):
    deaf = {**RULE, "inputs": {**RULE["inputs"], "enabled": False}}
    _, text = comment(deaf, GROUP)
    assert "pools-have-an-alarm" in text


def test_what_it_costs_is_told_with_the_prices(comment):
    _, text = comment(WORKSPACE, RULE, RULE)
    assert "each1: by what is logged, [Azure Monitor prices](https://azure.microsoft.com/" in text
    assert "each2, each3: each by how often it looks, [Azure Monitor prices](https://" in text
    _, same = comment(WORKSPACE, RULE, operation="same")
    assert "Azure Monitor prices" not in same
