"""OData filters of lists: what Azure documents for each type, and no more.

Source: the `$filter` parameter of each list in azure-rest-api-specs; comparisons and functions as
in OData 4.01, "URL Conventions", 5.1.1.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from lark import Lark, Token, Transformer
from lark.exceptions import LarkError, VisitError

from local_azure.resource_manager import resource_types as types
from local_azure.resource_manager.paths import RESOURCE_GROUP

Row = Mapping[str, Any]
Test = Callable[[Row], bool]

# The properties by which the lists of a type can be filtered, in lower case.
FIELDS: Final[Mapping[str, frozenset[str]]] = {
    RESOURCE_GROUP: frozenset({"tagname", "tagvalue"}),
    types.ANY_RESOURCE: frozenset({"name", "resourcetype", "resourcegroup", "location"}),
    types.ROLE_ASSIGNMENT: frozenset({"principalid"}),
    types.ROLE_DEFINITION: frozenset({"rolename", "type"}),
    types.BACKEND: frozenset({"name", "title", "url"}),
    types.API: frozenset({"name", "displayname", "description", "serviceurl", "path"}),
    types.OPERATION: frozenset({"name", "displayname", "method", "description", "urltemplate"}),
    types.APIM_SUBSCRIPTION: frozenset({"name", "displayname", "scope", "state"}),
}
_FUNCTIONS_OF_SCOPE: Final = frozenset({types.ROLE_ASSIGNMENT})

_GRAMMAR = r"""
    either: both ("or"i both)*
    both: term ("and"i term)*
    ?term: NAME OPERATOR STRING       -> comparison
         | TEXT_FUNCTION "(" NAME "," STRING ")" -> containment
         | "substringof"i "(" STRING "," NAME ")" -> substring
         | "atScope"i "(" ")"         -> at_scope
         | "assignedTo"i "(" STRING ")" -> assigned_to
         | "(" either ")"
    OPERATOR: "eq"i | "ne"i | "gt"i | "ge"i | "lt"i | "le"i
    TEXT_FUNCTION.2: "contains"i | "startswith"i | "endswith"i
    NAME: /(properties\/)?[a-z]\w*/i
    STRING: /'([^']|'')*'/
    %ignore /\s+/
"""
_COMPARISONS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "eq": lambda have, want: have == want,
    "ne": lambda have, want: have != want,
    "gt": lambda have, want: have > want,
    "ge": lambda have, want: have >= want,
    "lt": lambda have, want: have < want,
    "le": lambda have, want: have <= want,
    "contains": lambda have, want: want in have,
    "startswith": lambda have, want: have.startswith(want),
    "endswith": lambda have, want: have.endswith(want),
}

MOST_PARENTHESES: Final = 50


class FilterError(Exception):
    """A filter that cannot be read, or that the type's list does not have."""


class _Compiler(Transformer[Token, Test]):
    """Makes a test of a parsed filter; texts are compared whatever their case, as Azure does."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind

    def either(self, tests: list[Test]) -> Test:
        return lambda row: any(test(row) for test in tests)

    def both(self, tests: list[Test]) -> Test:
        return lambda row: all(test(row) for test in tests)

    def comparison(self, parts: list[Token]) -> Test:
        name, operator, value = parts
        return self._test(name, operator, value)

    def containment(self, parts: list[Token]) -> Test:
        function, name, value = parts
        return self._test(name, function, value)

    def substring(self, parts: list[Token]) -> Test:
        value, name = parts
        return self._test(name, "contains", value)

    def at_scope(self, _: list[Token]) -> Test:
        self._needs_scope("atScope()")
        return lambda row: bool(row["at or above"])

    def assigned_to(self, parts: list[Token]) -> Test:
        self._needs_scope("assignedTo()")
        principal = _text(parts[0])
        return lambda row: row["principalid"].lower() == principal

    def _needs_scope(self, function: str) -> None:
        if self._kind not in _FUNCTIONS_OF_SCOPE:
            raise FilterError(f"{function} is none of '{self._kind}'")

    def _test(self, name: str, operator: str, value: str) -> Test:
        field = name.lower().removeprefix("properties/")
        if field not in FIELDS[self._kind]:
            raise FilterError(f"'{name}' is none of '{self._kind}'")
        compare, want = _COMPARISONS[operator.lower()], _text(value)
        return lambda row: compare(str(row.get(field) or "").lower(), want)


def _text(quoted: str) -> str:
    return quoted[1:-1].replace("''", "'").lower()


@lru_cache(maxsize=1)
def _parser() -> Lark:
    return Lark(_GRAMMAR, start="either", parser="lalr")


def compiled(text: str, kind: str) -> Callable[[Mapping[str, Any], str], bool]:
    """Return what tells whether a body passes in a list of a type at a scope.

    Raises FilterError for a filter that Azure would not take there.
    """
    if kind not in FIELDS:
        raise FilterError(f"lists of '{kind}' have none")
    if text.count("(") > MOST_PARENTHESES:
        raise FilterError(f"it has more than {MOST_PARENTHESES} parentheses")
    try:
        test = _Compiler(kind).transform(_parser().parse(text))
    except VisitError as error:
        raise error.orig_exc from None
    except LarkError:
        raise FilterError(f"'{text[:80]}' cannot be read") from None
    return lambda body, scope: any(test(row) for row in _rows(body, scope))


def _rows(body: Mapping[str, Any], scope: str) -> Iterator[Row]:
    """Give what a filter looks at: a group once for each of its tags, others once."""
    if body["type"] == RESOURCE_GROUP:
        for name, value in body.get("tags", {}).items():
            yield {"tagname": name, "tagvalue": value}
        return
    properties = {name.lower(): value for name, value in body.get("properties", {}).items()}
    assigned_at = str(properties.get("scope", "")).lower()
    below = f"{scope}/".lower()
    yield {
        "name": body["name"],
        "resourcetype": body["type"],
        "resourcegroup": body["id"].lower().partition("/resourcegroups/")[2].partition("/")[0],
        "location": body.get("location", ""),
        "at or above": below.startswith(f"{assigned_at}/"),
        **properties,
    }
