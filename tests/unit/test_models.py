"""What the dated tables say of models, and what the config makes of it."""

from datetime import date, timedelta

import pytest
from bad_configs import REGIONS, at

from components import models
from components.settings import parse


@pytest.mark.parametrize(
    ("sku", "model", "location", "found"),
    [
        ("GlobalStandard", "gpt-5.4-mini", "uksouth", True),
        ("GlobalStandard", "anything", "norwayeast", True),
        ("GlobalStandard", "gpt-5.4-mini", "marsnorth", None),
        ("DataZoneStandard", "gpt-5.4-mini", "eastus", True),
        ("DataZoneStandard", "gpt-5.4-mini", "uksouth", False),
        ("Standard", "gpt-5.1", "swedencentral", True),
        ("Standard", "gpt-5.1", "uksouth", False),
        ("Standard", "gpt-5.4-mini", "uksouth", None),
        ("Standard", "gpt-5.4-mini", "italynorth", False),
        ("GlobalBatch", "gpt-5.4-mini", "uksouth", None),
    ],
)
def test_what_is_offered_is_told_and_what_is_not_known_is_neither(sku, model, location, found):
    assert models.offered(sku, model, location) is found


def test_what_is_not_known_is_a_warning_that_names_who_knows():
    (line,) = parse(at({"models.0.sku": "Standard"})).warnings
    assert line == (
        "openai-gateway:models[0].sku: whether Standard of gpt-5.4-mini is offered in uksouth, "
        "eastus and norwayeast is not known here; `python probes/models.py` asks Azure"
    )


def test_an_account_that_is_there_has_the_deployment_that_it_has():
    existing = {"existing": {"resourceGroup": "rg", "accountName": "ai"}}
    regions = [{**each, **existing} for each in REGIONS]
    settings = parse(at({"regions": regions, "models.0.sku": "DataZoneStandard"}))
    assert settings.warnings == ()


RETIRES = date(2027, 3, 18)


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (models.NOTICE.days + 1, ""),
        (models.NOTICE.days, "retires on 2027-03-18"),
        (1, "retires on 2027-03-18"),
        (0, "retired on 2027-03-18"),
        (-100, "retired on 2027-03-18"),
    ],
)
def test_a_retirement_is_told_sixty_days_before_and_ever_after(monkeypatch, days, told):
    monkeypatch.setattr(models, "today", lambda: RETIRES - timedelta(days=days))
    lines = parse(at({})).warnings
    expected = f"openai-gateway:models[0]: gpt-5.4-mini 2026-03-17 {told}"
    assert lines == ((f"{expected}; choose a newer version or model",) if told else ())


def test_a_model_that_the_table_does_not_know_retires_silently():
    assert models.retirement("gpt-9", "2031-01-01") == ""
    assert models.retirement("gpt-9", "1", date(2026, 11, 2)) == "gpt-9 1 retires on 2026-11-02"


@pytest.mark.parametrize(
    ("model", "version", "told"),
    [
        (
            "gpt-5.4-mini",
            "2026-03-18",
            (
                "version: gpt-5.4-mini 2026-03-18 is not among the models of Microsoft's schedule "
                "of August 2026, which has 2026-03-17"
            ),
        ),
        (
            "gpt-4o",
            "2024-05-13",
            (
                "version: gpt-4o 2024-05-13 is not among the models of Microsoft's schedule of "
                "August 2026, which has 2024-08-06 and 2024-11-20"
            ),
        ),
        (
            "gtp-5.4-mini",
            "2026-03-17",
            "model: gtp-5.4-mini is not among the models of Microsoft's schedule of August 2026",
        ),
    ],
)
def test_a_model_that_the_schedule_has_not_got_is_a_warning(model, version, told):
    wrong = at({"models.0.model": model, "models.0.version": version})
    assert parse(wrong).warnings == (
        f"openai-gateway:models[0].{told}; `python probes/models.py` asks Azure",
    )


def test_a_location_without_the_responses_api_is_a_warning():
    config = at({"regions.0.location": "westeurope"})
    (line,) = parse(config).warnings
    assert line == (
        "openai-gateway:apis: responses are not offered in westeurope (April 2026), whose share of "
        "them would get 404; list apis without responses, or choose other locations"
    )
    assert parse({**config, "apis": ["chat", "models"]}).warnings == ()


@pytest.mark.parametrize(("model", "version"), [("whisper", "001"), ("gpt-image-2", "2026-04-21")])
def test_models_that_draw_and_listen_are_of_the_schedule_too(model, version):
    assert models.unknown(model, version) == ""
