"""The schema of the Pulumi package: what programs in every language see of the components."""

import re
import typing

import pytest

from components import __version__, keys, package, settings
from docs import reference

SCHEMA = package.schema()
CHANGED = """\
{} is not what the code declares; `make docs` writes it anew. If a public name is another one now,
or a type, or something is required that was not, programs that use the package break: raise
__version__ in components/__init__.py by a minor version (from 1.0 on by a major one), and say in
CHANGELOG.md what to write instead."""


def described():
    """Yield all that has a description, with where it stands."""
    for kind in ("resources", "types"):
        for token, section in SCHEMA[kind].items():
            yield token, section
            for part in ("inputProperties", "properties"):
                for name, found in section.get(part, {}).items():
                    yield f"{token} {part}.{name}", found


def references(part):
    if isinstance(part, dict):
        own = [part["$ref"]] if "$ref" in part else []
        return own + [each for value in part.values() for each in references(value)]
    return [each for value in part for each in references(value)] if isinstance(part, list) else []


def sections(model, token):
    """Yield each class of the settings that a component's arguments are made of."""
    section = SCHEMA["resources"].get(token) or SCHEMA["types"][token]
    yield model, section.get("inputProperties", section["properties"])
    for name in model.model_json_schema().get("$defs", {}):
        token = f"openai-gateway:index:{name}"
        yield getattr(settings, name), SCHEMA["types"][token]["properties"]


def is_eventual(annotation):
    own = getattr(annotation, "__metadata__", ())
    return any(isinstance(each, keys.Eventual) for each in own) or any(
        is_eventual(each) for each in typing.get_args(annotation)
    )


DECLARED = [
    pytest.param(field, properties[field.alias], id=f"{model.__name__}.{name}")
    for component, (arguments, _) in package.COMPONENTS.items()
    for model, properties in sections(arguments, f"openai-gateway:index:{component.__name__}")
    for name, field in model.model_fields.items()
]


def test_the_schema_is_the_one_that_programs_were_given():
    assert reference.PACKAGE.read_text(encoding="utf-8") == reference.package_text(), (
        CHANGED.format(reference.PACKAGE.relative_to(reference.ROOT))
    )


def test_everything_has_a_description_in_whole_sentences():
    found = dict(described())
    assert len(found) > 140
    assert [at for at, each in found.items() if not each.get("description", "").endswith(".")] == []


def test_every_type_is_used_and_every_used_one_is_there():
    builtin = "pulumi.json#/Any"
    tokens = {each.removeprefix("#/types/") for each in references(SCHEMA)} - {builtin}
    assert tokens == set(SCHEMA["types"])


@pytest.mark.parametrize(("field", "given"), DECLARED)
def test_an_argument_is_plain_unless_an_output_may_stand_for_it(field, given):
    metadata = [each for each in field.metadata if isinstance(each, keys.Eventual)]
    eventual = bool(metadata) or is_eventual(field.annotation)
    value = given.get("additionalProperties", given)  # a map is plain, and its values may not be
    assert value.get("plain", False) != eventual
    for inner in ("items", "additionalProperties"):  # a mapping's values: then it is not plain
        if inner in given:
            assert given[inner].get("plain", False) != eventual


def test_some_arguments_are_plain_and_some_are_not():
    plain = [given.get("plain", False) for _, given in (each.values for each in DECLARED)]
    assert plain.count(True) > 50
    assert plain.count(False) > 10


def test_no_output_is_plain():
    for token, section in SCHEMA["resources"].items():
        assert [name for name, each in section["properties"].items() if "plain" in each] == [], (
            token
        )


def test_what_may_be_left_out_has_its_own_type_too():
    section = SCHEMA["resources"]["openai-gateway:index:LoadBalancedOpenAI"]
    for name, kind in (("policy", "PolicyReference"), ("workspace", "Workspace")):
        assert section["properties"][name]["$ref"] == f"#/types/openai-gateway:index:{kind}"
        assert name not in section["required"]
    assert section["properties"]["subscriptionKey"]["type"] == "string"


def test_the_version_is_the_newest_one_of_the_changelog():
    changelog = (reference.ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (.+?) - (\d{4}-\d\d-\d\d|unreleased)$", changelog, re.MULTILINE)
    assert changelog.index("\n## ") + 1 == newest.start(), "head it `## VERSION - DATE`"
    assert newest[1] == __version__ == SCHEMA["version"]
