"""What people and editors read about the config is what the program takes."""

import jsonschema
import pytest
import recording
import yaml
from bad_configs import BAD, REGIONS, at

from components.keys import MOST_UNITS
from components.settings import Settings, parse
from docs import reference

SCHEMA = jsonschema.Draft202012Validator(reference.stack_file())

# Rules across keys, or of things that a schema does not know: `pulumi preview` tells them.
NOT_IN_A_SCHEMA = {
    "a name twice",
    "a location twice, in other words",
    "a name with a line end",  # to ECMAScript's `$` it is one, to Python's it is not
    "a name too long for a subdomain",
    "the pool's name",
    "the incident under round-robin",
    "one priority under round-robin",
    "one weight under round-robin",
    "priorities under weighted",
    "a deployment twice, but for case",
    "a duration without unit",
    "a duration of nothing",
    "a breaker and streams on Consumption",
    "a backend of a model with a region's name",
    "a pool of a model with a region's name",
    "a model whose pool's name is too long",
    "a model and a region whose backend's name is too long",
    "more tags than API Management takes",
    "a network that names nobody",
    "a network of two minds",
    "a network without the gateway's subnet, on a tier that reaches none",
    "a subnet for a gateway that is there",
    "addresses behind a Consumption gateway",
    "deployment types that locations have not got",
    "units on Consumption",
    "no units",
    *(f"more units than {tier} has" for tier in MOST_UNITS),
    "days for a workspace that exists",
    "a service that exists, and what it has already",
    "a suffix that makes a subdomain too long",
}


def stack(config):
    return {"config": {f"openai-gateway:{key}": value for key, value in config.items()}}


def test_what_is_generated_is_up_to_date():
    # `make docs` writes it.
    for path in reference.DOCUMENTS:
        document = path.read_text(encoding="utf-8")
        assert reference.filled(document) == document, path
    assert reference.PAGE.read_text(encoding="utf-8") == reference.page()
    assert reference.SCHEMA.read_text(encoding="utf-8") == reference.schema_text()


def test_every_key_has_a_description():
    sections = [reference.config(), *reference.config()["$defs"].values()]
    assert len(sections) == 12
    for section in sections:
        for name, key in section["properties"].items():
            assert len(key["description"]) > 8, name


def test_every_default_is_what_a_config_without_the_key_gets():
    plain = parse({"regions": REGIONS}).model_dump()
    defaults = {
        name: key["default"]
        for name, key in reference.config()["properties"].items()
        if "default" in key
    }
    assert set(defaults) == {field.alias for field in Settings.model_fields.values()} - {"regions"}
    assert parse({"regions": REGIONS, **defaults}).model_dump() == plain


@pytest.mark.parametrize("name", ["dev", "incident"])
def test_the_stacks_name_the_schema_and_keep_to_it(name):
    text = (recording.ROOT / f"Pulumi.{name}.yaml").read_text(encoding="utf-8")
    schema = reference.SCHEMA.relative_to(reference.ROOT)
    assert text.startswith(f"# yaml-language-server: $schema={schema}\n")
    SCHEMA.validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("wrong", "config"), [pytest.param(wrong, config, id=wrong) for wrong, config, _ in BAD]
)
def test_an_editor_shows_each_mistake_that_a_schema_can_tell(wrong, config):
    assert SCHEMA.is_valid(stack(config)) == (wrong in NOT_IN_A_SCHEMA)


@pytest.mark.parametrize(
    "config",
    [
        at({"breaker": None, "location": "UK South"}),
        at({"protect": True, "acceptStarved": ["foundry2"]}),
        at({"protect": {"except": ["foundry2", "gateway"]}, "regions.0.existing": None}),
    ],
)
def test_an_editor_takes_what_the_program_takes(config):
    SCHEMA.validate(stack(config))


def test_an_editor_leaves_other_namespaces_alone():
    SCHEMA.validate({"config": {**stack(at({}))["config"], "azure-native:location": "uksouth"}})
    assert not SCHEMA.is_valid({"config": {**stack(at({}))["config"], "openai-gateway:x": 1}})
