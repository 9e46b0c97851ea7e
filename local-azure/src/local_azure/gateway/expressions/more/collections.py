"""Lists, sets and dictionaries of .NET."""

from typing import Any, Final

from local_azure.gateway.expressions.bounds import MAX_ITEMS, EvaluationError, TooMuchError
from local_azure.gateway.expressions.json_values import element
from local_azure.gateway.expressions.queries import elements, index_in
from local_azure.gateway.expressions.tables import Library, entry, set_element, try_entry
from local_azure.gateway.expressions.types import method


def _add(values: list[Any], value: Any) -> None:
    """Append to a list."""
    if len(values) >= MAX_ITEMS:
        raise TooMuchError(f"The list has more than {MAX_ITEMS} elements.")
    values.append(value)


def _add_all(values: list[Any], more: list[Any]) -> None:
    for each in more:
        _add(values, each)


def _put(values: dict[Any, Any], key: Any, value: Any) -> None:
    """Set an entry of a dictionary."""
    if key not in values and len(values) >= MAX_ITEMS:
        raise TooMuchError(f"The dictionary has more than {MAX_ITEMS} entries.")
    values[key] = value


def _add_entry(values: dict[Any, Any], key: Any, value: Any) -> None:
    if key in values:
        raise EvaluationError("An item with the same key has already been added.")
    _put(values, key, value)


def _add_to_set(values: set[Any], value: Any) -> bool:
    """Add to a set; tells whether it is new."""
    added = value not in values
    if len(values) >= MAX_ITEMS:
        raise TooMuchError(f"The set has more than {MAX_ITEMS} elements.")
    values.add(value)
    return added


COLLECTIONS: Final = Library(
    properties={
        "List": {"Count": ("int", len)},
        "HashSet": {"Count": ("int", len)},
        "Dictionary": {
            "Count": ("int", len),
            "Keys": ("IEnumerable<K>", list),
            "Values": ("IEnumerable<V>", lambda values: list(values.values())),
        },
        "KeyValuePair": {
            "Key": ("K", lambda pair: pair[0]),
            "Value": ("V", lambda pair: pair[1]),
        },
    },
    methods={
        "List": {
            "Add": method("T", "void", _add),
            "AddRange": method(
                "IEnumerable<T>",
                "void",
                _add_all,
            ),
            "Clear": method("", "void", list.clear),
            "IndexOf": method("T", "int", index_in),
        },
        "HashSet": {"Add": method("T", "bool", _add_to_set)},
        "Dictionary": {
            "Add": method("K, V", "void", _add_entry),
            "ContainsKey": method("K", "bool", lambda values, key: key in values),
            "Remove": method("K", "bool", lambda values, key: values.pop(key, None) is not None),
            "TryGetValue": method("K, out V", "bool", try_entry),
        },
    },
    indexers={
        "List": ("int", "T", element),
        "Dictionary": ("K", "V", entry),
    },
    index_setters={
        "List": ("int", "T", set_element),
        "Dictionary": ("K", "V", _put),
    },
    constructors={
        "List": (method("", "", list), method("IEnumerable<T>", "", elements)),
        "HashSet": (
            method("", "", set),
            method("IEnumerable<T>", "", lambda values: set(elements(values))),
        ),
        "Dictionary": method("", "", dict),
    },
    adders={
        "List": ("T", _add),
        "HashSet": ("T", _add_to_set),
    },
    entry_adders={
        "Dictionary": ("K", "V", _put),
    },
)
