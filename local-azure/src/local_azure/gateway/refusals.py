"""Where it is known from that a policy is refused: an entry for each statement, and what all share.

Sources are as those of Resource Manager's rules: `H` primary documentation, `M` an issue or a
sample that quotes Azure, `?` what follows is assumed. Azure's words are seldom documented.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from local_azure.gateway.statements import REFUSED, SECTIONS, STATEMENTS

LIMIT: Final = "local Azure"
"""The source of what Azure takes and the local one does not."""
_PAGES: Final = "https://learn.microsoft.com/azure/api-management/"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What a part of a policy is refused for, and how that is known."""

    of: str
    why: str
    source: str

    @property
    def is_assumed(self) -> bool:
        """Whether anything of it is not confirmed."""
        return "?" in self.source


_EVERY_POLICY: Final = (
    Refusal(
        of="policies",
        why=f"no well-formed XML; other sections than {', '.join(SECTIONS)}, or one twice",
        source=f"? the wording; H: {_PAGES}api-management-howto-policies",
    ),
    Refusal(
        of="backend",
        why="more than one statement",
        source="M: as public repositories quote API Management",
    ),
    Refusal(
        of="fragment",
        why="more than 32 KiB; <base/> or a fragment in it; no section in which it compiles",
        source=f"? the wording; H: {_PAGES}policy-fragments",
    ),
    Refusal(
        of="{{name}}",
        why="no named value has this display name",
        source="M: terraform-provider-azurerm#5001",
    ),
    Refusal(
        of="@( ), @{ }",
        why="C# that does not compile, and types or members that policies may not name",
        source=f"? the wording; H: {_PAGES}api-management-policy-expressions",
    ),
    Refusal(
        of="@( ), @{ }",
        why="C# and members that docs/policies.md does not list",
        source=LIMIT,
    ),
)
_ELSEWHERE: Final = {
    "base": f"? the wording; H: {_PAGES}set-edit-policies",
    "include-fragment": f"M: apiops#668 for an id without a fragment; ? the wording else;"
    f" H: {_PAGES}include-fragment-policy",
    "quota": f"M: azure-docs#17825 for the scope; ? the wording else; H: {_PAGES}quota-policy",
}


def refusals() -> Iterator[Refusal]:
    """Give everything that a policy is refused for."""
    yield from _EVERY_POLICY
    for name, statement in sorted(STATEMENTS.items()):
        where = ", ".join(each for each in SECTIONS if each in statement.sections)
        missing = f"without {', '.join(statement.required)}; " if statement.required else ""
        yield Refusal(
            of=name,
            why=f"{missing}elsewhere than in {where}; attributes and children it does not take",
            source=_ELSEWHERE.get(name, f"? the wording; H: {_PAGES}{name}-policy"),
        )
    for name, reason in sorted(REFUSED.items()):
        yield Refusal(of=name, why=reason, source=LIMIT)
