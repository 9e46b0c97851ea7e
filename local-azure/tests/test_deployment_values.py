import pytest

from local_azure.deployment import values
from local_azure.deployment.values import UNKNOWN, Change, changes, secret, within


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"a": True}, [Change(path="a", kind="update", old=1, new=True)]),
        ({"a": 1}, {}, [Change(path="a", kind="delete", old=1)]),
        ({}, {"a": {"b": 1}}, [Change(path="a", kind="add", new={"b": 1})]),
        (
            {"a": [{"b": 1}, {"b": 2}]},
            {"a": [{"b": 1}, {"b": 3}, {"b": 4}]},
            [
                Change(path="a[1].b", kind="update", old=2, new=3),
                Change(path="a[2]", kind="add", new={"b": 4}),
            ],
        ),
        ({"a": [1]}, {"a": {"b": 1}}, [Change(path="a", kind="update", old=[1], new={"b": 1})]),
        ({"a": 1}, {"a": UNKNOWN}, [Change(path="a", kind="update", old=1, new=UNKNOWN)]),
        ({"a": 1}, {"a": secret(1)}, []),
        (
            {"a": {"b": 1}},
            {"a": secret({"b": 2})},
            [Change(path="a.b", kind="update", old="[secret]", new="[secret]")],
        ),
        ({}, {"a": {"b": secret(1)}}, [Change(path="a", kind="add", new={"b": "[secret]"})]),
        ({"a": secret(1)}, {}, [Change(path="a", kind="delete", old="[secret]")]),
    ],
)
def test_what_differs_is_named_by_its_path(old, new, expected):
    found = changes(old, new)
    assert found == expected
    assert [type(change.new) for change in found] == [type(change.new) for change in expected]


def test_secrets_are_unwrapped_or_hidden_at_every_depth():
    value = {"a": [secret({"b": secret(1)}), 2]}
    assert values.plain(value) == {"a": [{"b": 1}, 2]}
    assert values.redacted(value) == {"a": ["[secret]", 2]}
    assert values.has_secret(value)
    assert not values.has_secret(values.plain(value))
    assert secret(secret(1)) == secret(1)


def test_a_struct_and_back_is_the_same_with_whole_numbers_as_integers():
    value = {"a": [1, 1.5, True, None, "x", {"b": {}}], "c": UNKNOWN}
    again = values.from_struct(values.to_struct(value))
    assert again == value
    assert type(again["a"][0]) is int
    assert values.has_unknown(again)


@pytest.mark.parametrize(
    ("path", "ancestor", "expected"),
    [
        ("pool.services[0].weight", "pool", True),
        ("pool.services[0].weight", "pool.services", True),
        ("pool.services[0].weight", "*", True),
        ("pool", "pool", True),
        ("pools", "pool", False),
        ("pool", "pool.services", False),
    ],
)
def test_a_path_is_within_what_it_is_a_part_of(path, ancestor, expected):
    assert within(path, ancestor) is expected
