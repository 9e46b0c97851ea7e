"""python probes/models.py against the lists of Resource Manager: models, quotas, deployments."""

import json
from datetime import date

import pytest
from arm_server import ACCOUNT, GROUP, LEAST, SUBSCRIPTION, serving, token

from components import models, resource_manager
from probes import models as probe

CHAT = {
    "name": "chat",
    "model": "gpt-5.4-mini",
    "version": "2026-03-17",
    "sku": "GlobalStandard",
    "capacity": 50,
}
REGIONS = [
    {"name": "foundry1", "location": "uksouth"},
    {"name": "foundry2", "location": "eastus"},
]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("arm")) as arm:
        yield arm


@pytest.fixture
def arm(served, monkeypatch):
    served.reset()
    monkeypatch.setenv("ARM_ENDPOINT", str(served.client.base_url).rstrip("/"))
    monkeypatch.delenv("ARM_SUBSCRIPTION_ID", raising=False)
    monkeypatch.setattr(resource_manager, "sign_in", lambda _: token(resource_manager.PUBLIC_AZURE))
    monkeypatch.setattr(models, "today", lambda: date(2026, 11, 1))
    return served


@pytest.fixture
def checked(arm, tmp_path, capsys):
    def run(*flags: str, code: int, **config):
        file = tmp_path / "Pulumi.dev.yaml"
        whole = {"regions": REGIONS, "models": [CHAT], **config}
        own = {f"openai-gateway:{key}": value for key, value in whole.items()}
        file.write_text(json.dumps({"config": {**own, "azure-native:location": "x"}}))
        assert probe.main(["--config", str(file), *flags]) == code
        return capsys.readouterr()

    return run


def judged(checked, *, code: int, **config):
    return json.loads(checked("--json", code=code, **config).out)


def problems(found):
    return {each["region"]: each["problems"] for each in found}


def test_what_is_offered_with_quota_and_time_left_is_good(checked):
    found = judged(checked, code=0)
    assert [(each["region"], each["quota_left"], each["retires"]) for each in found] == [
        ("foundry1", 1000, "2027-03-18"),
        ("foundry2", 1000, "2027-03-18"),
    ]
    assert problems(found) == {"foundry1": [], "foundry2": []}
    assert "✓" in checked(code=0).out


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": "gpt-9"}, "gpt-9 is not offered"),
        ({"version": "2020-01-01"}, "version 2020-01-01 is not offered, but 2026-03-17"),
        ({"sku": "Standard"}, "Standard is not offered, but GlobalStandard"),
        ({"capacity": 1001}, "1001 of quota are needed, 1000 are left"),
    ],
)
def test_a_deployment_that_would_fail_is_told_with_what_there_is(checked, change, told):
    found = judged(checked, code=1, models=[{**CHAT, **change}])
    assert problems(found)["foundry1"] == [told]
    table = " ".join(checked(code=1, models=[{**CHAT, **change}]).out.split())
    assert "✗" in table


def test_two_deployments_share_the_quota_of_their_model(checked):
    both = [{**CHAT, "capacity": 600}, {**CHAT, "name": "more", "capacity": 600}]
    found = judged(checked, code=1, models=both)
    assert [each["problems"] for each in found if each["region"] == "foundry1"] == [
        [],
        ["600 of quota are needed, 400 are left"],
    ]


def test_what_is_deployed_already_needs_no_more_quota(arm, checked):
    arm.deploy(GROUP)
    arm.put(ACCOUNT, LEAST[ACCOUNT])
    model = {"format": "OpenAI", "name": CHAT["model"], "version": CHAT["version"]}
    body = {"sku": {"name": "GlobalStandard", "capacity": 900}, "properties": {"model": model}}
    arm.put(f"{ACCOUNT}/deployments/chat", body)
    found = judged(checked, code=1, models=[{**CHAT, "capacity": 950}])
    assert [(each["needed"], each["quota_left"]) for each in found] == [(950, 100), (950, 1000)]
    own = ACCOUNT.replace("foundry1", "foundry1-abc")
    arm.delete(f"{ACCOUNT}/deployments/chat")
    arm.put(own, {**LEAST[ACCOUNT], "properties": {}})
    arm.put(f"{own}/deployments/chat", body)
    found = judged(checked, code=0, models=[{**CHAT, "capacity": 950}])
    assert [(each["needed"], each["quota_left"]) for each in found] == [(50, 100), (950, 1000)]


def test_a_model_that_retires_within_sixty_days_is_no_pass(monkeypatch, checked):
    monkeypatch.setattr(models, "today", lambda: date(2027, 1, 17))
    found = judged(checked, code=1)
    assert problems(found)["foundry1"] == ["gpt-5.4-mini 2026-03-17 retires on 2027-03-18"]


def test_an_azure_that_does_not_answer_is_no_pass(monkeypatch, checked):
    monkeypatch.setenv("ARM_ENDPOINT", "http://127.0.0.1:9")
    assert "models.py: not checked: http://127.0.0.1:9" in checked(code=3).err


@pytest.mark.parametrize(
    ("flags", "config", "told"),
    [
        ((), {"regions": []}, "openai-gateway:regions is a list of 0"),
        (("--subscription", "x"), {}, "InvalidSubscriptionId"),
    ],
)
def test_wrong_input_is_told_by_its_name(checked, flags, config, told):
    assert told in checked(*flags, code=3 if flags else 2, **config).err


def test_a_file_that_is_not_there_is_told_with_what_chooses_another(arm, tmp_path, capsys):
    assert probe.main(["--config", str(tmp_path / "no.yaml")]) == 2
    assert "choose with --stack or --config" in capsys.readouterr().err
    assert probe.main(["--stack", "none-of-this-name"]) == 2
    assert "Pulumi.none-of-this-name.yaml" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_told_before_azure_is_asked(monkeypatch, capsys):
    monkeypatch.setenv("ARM_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("ARM_SUBSCRIPTION_ID", raising=False)
    monkeypatch.delenv("AZURE_SUBSCRIPTION_ID", raising=False)
    assert probe.main(["--stack", "none-of-this-name"]) == 2
    assert "Pulumi.none-of-this-name.yaml" in capsys.readouterr().err


def test_azure_refuses_what_its_lists_have_not_got(arm):
    arm.deploy(GROUP, ACCOUNT)
    listed = arm.get(
        f"{SUBSCRIPTION}/providers/Microsoft.CognitiveServices/locations/uksouth/models"
    )
    kinds = {each["kind"] for each in listed.json()["value"]}
    assert kinds == {"OpenAI", "AIServices"}
    model = {"format": "OpenAI", "name": CHAT["model"], "version": CHAT["version"]}
    body = {"sku": {"name": "GlobalStandard", "capacity": 1001}, "properties": {"model": model}}
    refused = arm.put(f"{ACCOUNT}/deployments/chat", body).json()["error"]
    assert refused["code"] == "InsufficientQuota"
    assert refused["message"] == (
        "This operation require 1001 new capacity in quota Tokens Per Minute (thousands) - "
        "gpt-5.4-mini - GlobalStandard, which is bigger than the current available capacity 1000. "
        "The current quota usage is 0 and the quota limit is 1000 for quota Tokens Per Minute "
        "(thousands) - gpt-5.4-mini - GlobalStandard."
    )
