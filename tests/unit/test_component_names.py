"""What a component's children are called: by its name, and by those that it had earlier."""

import pulumi
import pytest
import recording
from hypothesis import given
from hypothesis import strategies as st

from components import component, naming
from components.load_balanced_openai import LoadBalancedOpenAI

POOL = "inference-backend-pool"
KIND = "openai-gateway:index:LoadBalancedOpenAI"
REGIONS = [{"name": "one", "location": "uksouth"}, {"name": "two", "location": "norwayeast"}]
ARGUMENTS = {
    "regions": REGIONS,
    "apis": ["chat"],
    "monitoring": {"alert_emails": ["team@example.com"]},
}
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True)


@pytest.mark.parametrize(
    ("name", "usual", "begins"),
    [
        ("openai", "openai", ""),
        ("ai", "openai", "ai-"),
        ("ai-openai", "openai", "ai-"),
        ("openai-eu", "openai", "openai-eu-"),
        ("eu-west", "openai", "eu-west-"),
        (POOL, POOL, ""),
        (f"ai-{POOL}", POOL, "ai-"),
        (f"ai-{POOL}-small", f"{POOL}-small", "ai-"),
        ("pool", POOL, "pool-"),
        ("second", "second", ""),
        ("monitoring", "monitoring", ""),
        ("ai-monitoring", "monitoring", "ai-"),
        ("watch", "monitoring", "watch-"),
    ],
)
def test_what_begins_the_names_of_what_a_component_declares(name, usual, begins):
    assert naming.prefix(name, usual) == begins


@given(first=NAMES, second=NAMES)
def test_components_of_two_names_begin_alike_only_if_one_is_written_out(first, second):
    begins = {naming.prefix(name, "openai") for name in (first, second)}
    assert len(begins) == len({name.removesuffix("-openai") for name in (first, second)})


def earlier_names(name, declared, aliases, usual="openai"):
    """The names by which a child is known as well, once its component has aliases."""
    opts = component.options(name, usual, pulumi.ResourceOptions(aliases=aliases))
    (transform,) = opts.transformations
    assert opts.aliases == aliases
    given = pulumi.ResourceTransformationArgs(
        resource=None, type_="t", name=declared, props={"kept": 1}, opts=pulumi.ResourceOptions()
    )
    result = transform(given)
    assert result.props == {"kept": 1}
    return [each.name for each in result.opts.aliases or ()]


URN = f"urn:pulumi:dev::openai-gateway::{KIND}::openai"


@pytest.mark.parametrize(
    ("alias", "name", "declared", "known_as"),
    [
        (pulumi.Alias(name="openai"), "ai", "ai-gateway", ["gateway"]),
        (pulumi.Alias(name="eu"), "ai", "ai-gateway", ["eu-gateway"]),
        (pulumi.Alias(name="eu"), "openai", "gateway", ["eu-gateway"]),
        (pulumi.Alias(name="eu", project="other"), "ai", "ai-gateway", ["eu-gateway"]),
        (URN, "ai", "ai-gateway", ["gateway"]),
        (URN, "ai", f"ai-{POOL}", [POOL]),
        (f"{URN}-eu", "ai", "ai-gateway", ["openai-eu-gateway"]),
        (pulumi.Alias(name="openai"), "ai", "ai", []),  # itself: the program says what it was
    ],
)
def test_a_child_is_known_by_what_it_was_called_under_each_alias(alias, name, declared, known_as):
    assert earlier_names(name, declared, [alias]) == known_as


def test_of_several_aliases_each_gives_a_name():
    aliases = [pulumi.Alias(name="openai"), pulumi.Alias(type_="other"), f"{URN}-eu"]
    assert earlier_names("ai", "ai-gateway", aliases) == ["gateway", "openai-eu-gateway"]


@pytest.mark.parametrize(
    "alias",
    [
        pulumi.Alias(type_="openai-gateway:index:Other"),
        pulumi.Alias(parent=None),
        pulumi.Alias(project="other"),
    ],
)
def test_an_alias_without_a_name_renames_nothing(alias):
    assert earlier_names("ai", "ai-gateway", [alias]) == []


@pytest.mark.parametrize(
    "opts", [None, pulumi.ResourceOptions(), pulumi.ResourceOptions(aliases=[])]
)
def test_without_aliases_nothing_is_known_by_another_name_and_what_is_in_azure_goes_in_turn(opts):
    (transform,) = component.options("ai", "openai", opts).transformations
    for kind, in_turn in (("azure-native:apimanagement:Api", True), ("random:index:X", None)):
        given = pulumi.ResourceTransformationArgs(
            resource=None, type_=kind, name="ai-x", props={}, opts=pulumi.ResourceOptions()
        )
        result = transform(given)
        assert not result.opts.aliases
        assert result.opts.delete_before_replace is in_turn


def declared_as(name, *aliases):
    opts = pulumi.ResourceOptions(aliases=[*aliases])
    program = recording.run(lambda: LoadBalancedOpenAI(name, ARGUMENTS, opts))
    return [each for each in program.resources if each.type != "pulumi:pulumi:Stack"]


@pytest.mark.parametrize("alias", [pulumi.Alias(name="openai"), URN], ids=["name", "urn"])
def test_all_that_a_renamed_component_declares_answers_to_its_old_name(alias):
    before = sorted((each.type, each.name) for each in declared_as("openai"))
    itself, *children = sorted(declared_as("ai", alias), key=lambda each: each.type != KIND)
    assert itself.aliases == [alias if isinstance(alias, str) else alias.name]
    # The group has the component's own name, from which the engine derives what it was.
    known = [(each.type, *(each.aliases if each.name != "ai" else ["openai"])) for each in children]
    assert sorted([(KIND, "openai"), *known]) == before
    assert [each.type.rpartition(":")[2] for each in children if not each.aliases] == [
        "ResourceGroup"
    ]
    within = {each.parent for each in children}
    assert len(within) > 5  # what components within it declare is renamed as well


def test_without_an_alias_nothing_is_known_by_another_name():
    assert [each.urn for each in declared_as("ai") if each.aliases] == []


@given(name=NAMES.filter(lambda name: not name.endswith("openai")))
def test_every_child_s_name_is_the_plain_one_behind_the_component_s(name):
    """A child's plain name is found again, whatever the component is called."""
    begins = naming.prefix(name, "openai")
    for plain in ("gateway", "one", POOL, "monitoring", "openai"):
        assert earlier_names(name, begins + plain, [pulumi.Alias(name="openai")]) == [plain]
