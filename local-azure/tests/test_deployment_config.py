import json

import pytest

from local_azure.deployment.config import ConfigError, load

PROJECT = """
name: gateway
runtime: python
config:
  regions:
    type: array
    items: {type: object}
  routing:
    type: string
    default: round-robin
  gateway:breaker:
    description: no type, so that null can be given
    default: {count: 3, interval: PT1M}
  reveal:
    type: boolean
    default: true
  capacity:
    type: integer
    default: 1
  short: hand
  azure-native:location:
    value: uksouth
"""
STACK = """
config:
  gateway:regions:
    - {name: foundry1, location: uksouth, since: 2026-03-17}
"""


@pytest.fixture
def read(tmp_path):
    def read(stack: str = STACK, project: str = PROJECT, **options) -> dict[str, str]:
        (tmp_path / "Pulumi.yaml").write_text(project)
        (tmp_path / "Pulumi.dev.yaml").write_text(stack)
        return dict(load(tmp_path, "dev", **options).config)

    return read


def test_values_come_as_the_cli_passes_them(read):
    config = read()
    assert json.loads(config.pop("gateway:regions")) == [
        {"name": "foundry1", "location": "uksouth", "since": "2026-03-17"}
    ]
    assert json.loads(config.pop("gateway:breaker")) == {"count": 3, "interval": "PT1M"}
    assert config == {
        "gateway:routing": "round-robin",
        "gateway:reveal": "true",
        "gateway:capacity": "1",
        "gateway:short": "hand",
        "azure-native:location": "uksouth",
    }


@pytest.mark.parametrize(
    ("written", "passed"),
    [
        ("1.50", "1.50"),
        ("true", "true"),
        ("yes", "yes"),
        ("null", ""),
        ("~", ""),
        ("2026-03-17", "2026-03-17"),
        ("'x: y'", "x: y"),
        ("[1, a, null]", '[1,"a",null]'),
        ("{count: 1, deep: {on: true}}", '{"count":1,"deep":{"true":true}}'),
    ],
)
def test_a_scalar_is_text_as_it_is_written_and_all_else_is_json(read, written, passed):
    assert read(f"{STACK}  gateway:free: {written}\n")["gateway:free"] == passed


def test_the_stacks_value_goes_before_the_default(read):
    config = read(f"{STACK}  gateway:breaker: null\n  gateway:routing: priority\n")
    assert config["gateway:breaker"] == ""
    assert config["gateway:routing"] == "priority"


def test_another_file_can_be_given(read, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(STACK.replace("foundry1", "foundry9"))
    assert "foundry9" in read(config_file=other)["gateway:regions"]


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (
            "config: {}",
            "Stack 'dev' is missing configuration value 'regions'; set it in Pulumi.dev.yaml",
        ),
        (
            "",
            "Stack 'dev' is missing configuration value 'regions'; set it in Pulumi.dev.yaml",
        ),
        (
            "config: {'gateway:regions': foundry1}",
            "Stack 'dev' with configuration key 'regions' must be of type 'array<object>'",
        ),
        (
            f"{STACK}  gateway:capacity: 1.5",
            "Stack 'dev' with configuration key 'capacity' must be of type 'integer'",
        ),
        (
            f"{STACK}  gateway:reveal: 'yes'",
            "Stack 'dev' with configuration key 'reveal' must be of type 'boolean'",
        ),
        (
            f"{STACK}  gateway:routing: [priority]",
            "Stack 'dev' with configuration key 'routing' must be of type 'string'",
        ),
    ],
)
def test_missing_and_mistyped_values_are_refused_in_the_clis_words(read, stack, message):
    with pytest.raises(ConfigError) as refusal:
        read(stack)
    assert str(refusal.value) == message


def test_missing_values_are_told_together_with_where_to_set_them(read, tmp_path):
    project = PROJECT + "  more: {type: string}\n"
    with pytest.raises(ConfigError, match="configuration values 'more' and 'regions'"):
        read("config: {}", project)
    with pytest.raises(ConfigError, match=r"set it in Pulumi\.nope\.yaml, which does not exist$"):
        load(tmp_path, "nope")


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (f"{STACK}  gateway:key: {{secure: AAAB}}", "gateway:key is encrypted"),
        (f"{STACK}  gateway:keys: [{{a: {{secure: AAAB}}}}]", "gateway:keys is encrypted"),
        ("config: [", "while parsing"),
        ("config: [a]", "line 1: a mapping of keys to values is expected here"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(read, stack, message):
    with pytest.raises(ConfigError) as refusal:
        read(stack)
    assert "Pulumi.dev.yaml" in str(refusal.value)
    assert message in str(refusal.value)


def test_a_file_that_is_no_text_is_named(read, tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"config:\n  gateway:short: caf\xe9\n")
    with pytest.raises(ConfigError, match=r"latin\.yaml: .*utf-8"):
        read(config_file=path)


def test_a_missing_project_or_config_file_is_named(read, tmp_path):
    with pytest.raises(ConfigError, match=r"no Pulumi\.yaml in .*: run this in the project"):
        load(tmp_path / "elsewhere", "dev")
    with pytest.raises(ConfigError, match=r"config file .*none\.yaml does not exist"):
        read(config_file=tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="missing a 'name' attribute"):
        read(project="runtime: python")


def test_a_stack_without_a_file_has_the_defaults(tmp_path):
    (tmp_path / "Pulumi.yaml").write_text("name: p\nruntime: python\nconfig: {a: {default: 1}}\n")
    project = load(tmp_path, "new")
    assert project.name == "p"
    assert project.config == {"p:a": "1"}
