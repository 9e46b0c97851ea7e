"""Policy documents: from XML to the four sections that the gateway runs."""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from local_azure.gateway import markup
from local_azure.gateway.exchange import ProxyError
from local_azure.gateway.markup import Element, PolicyError, parse
from local_azure.gateway.statements import (
    FORWARD,
    ITSELF,
    REFUSED,
    SECTIONS,
    STATEMENTS,
    Action,
    Place,
    check_shape,
    compile_block,
    refuse,
)

__all__ = ["GLOBAL", "Library", "Policy", "PolicyError", "compile_policy", "unusable"]

MAX_FRAGMENT: Final = 32 * 1024  # API Management, "Reuse policy configurations"


@dataclass(frozen=True, kw_only=True, eq=False)
class Policy:
    """A compiled policy: one action a section."""

    inbound: Action
    backend: Action
    outbound: Action
    on_error: Action

    def section(self, name: str) -> Action:
        """Return the action of a section."""
        action: Action = getattr(self, name.replace("-", "_"))
        return action


@dataclass(frozen=True, kw_only=True)
class Library:
    """What policies refer to by name: named values by display name, fragments' XML by id."""

    named_values: Mapping[str, str] = field(default_factory=dict)
    fragments: Mapping[str, str] = field(default_factory=dict)


_EMPTY: Final = Library()


def compile_policy(xml: str, *, library: Library = _EMPTY, outer: Policy | None = None) -> Policy:
    """Compile a policy document, `rawxml` or `xml`; `<base/>` is what `outer` does.

    Raises PolicyError, with a line number, for what is not well-formed and for every statement,
    attribute, section, name and expression the gateway does not know: nothing is ignored.
    """
    fragments = _included(xml, library)
    asked = frozenset().union(*map(markup.named_values, (xml, *fragments.values())))
    values = {name: library.named_values[name] for name in asked if name in library.named_values}
    return _compile(
        xml, tuple(sorted(values.items())), tuple(sorted(fragments.items())), outer or GLOBAL
    )


_INCLUDE = re.compile(r"""\bfragment-id\s*=\s*(["'])([^"']{1,256})\1""")


def _included(xml: str, library: Library) -> Mapping[str, str]:
    """Return the fragments a document may include, of those that there are."""
    names = {match[2].lower() for match in _INCLUDE.finditer(xml)}
    return {name: library.fragments[name] for name in names if name in library.fragments}


@functools.lru_cache(maxsize=64)
def _compile(
    xml: str,
    values: tuple[tuple[str, str], ...],
    fragments: tuple[tuple[str, str], ...],
    outer: Policy,
) -> Policy:
    root = parse(xml, dict(values))
    if root.name != "policies":
        raise PolicyError(f"The root element is 'policies', not '{root.name}'", root.line)
    check_shape(root, children=True)
    sections: dict[str, Element] = {}
    for child in root.children:
        if child.name not in SECTIONS:
            raise PolicyError(
                f"Error in element '{child.name}': a policy has the sections {', '.join(SECTIONS)}",
                child.line,
            )
        if child.name in sections:
            raise PolicyError(f"Error in element '{child.name}': it is there twice", child.line)
        check_shape(child, children=True)
        sections[child.name] = child
    if "backend" in sections and len(sections["backend"].children) > 1:
        # M: as public repositories quote API Management.
        refuse(sections["backend"], "backend section allows only one policy to be specified")
    place = _place(
        "inbound", {name: _parse_fragment(text, dict(values)) for name, text in fragments}
    )
    # A section that is left out does nothing, as one without `<base/>` does.
    actions = {
        name: compile_block(
            sections[name].children if name in sections else [],
            replace(
                place,
                section=name,
                on_response=name in ("outbound", "on-error"),
                base=outer.section(name),
            ),
        )
        for name in SECTIONS
    }
    return Policy(**{name.replace("-", "_"): action for name, action in actions.items()})


def _place(section: str, fragments: Mapping[str, Element]) -> Place:
    return Place(
        section=section,
        on_response=section in ("outbound", "on-error"),
        statements=STATEMENTS,
        refused=REFUSED,
        fragments=fragments,
    )


def _parse_fragment(xml: str, values: Mapping[str, str]) -> Element:
    if len(xml) > MAX_FRAGMENT:
        raise PolicyError(f"The policy fragment is longer than {MAX_FRAGMENT} characters", 1)
    root = parse(xml, values)
    if root.name != "fragment":
        raise PolicyError(f"The root element is 'fragment', not '{root.name}'", root.line)
    check_shape(root, children=True)
    return root


def compile_fragment(xml: str, *, library: Library = _EMPTY) -> None:
    """Check a policy fragment: it has to compile in one section at least. Raises PolicyError."""
    fragment = _parse_fragment(xml, library.named_values)
    refusal: PolicyError | None = None
    for section in SECTIONS:
        try:
            compile_block(fragment.children, replace(_place(section, {}), fragment=ITSELF))
        except PolicyError as error:
            refusal = refusal or error
        else:
            return
    if refusal is not None:
        raise refusal


def check(
    xml: str,
    *,
    named_values: Mapping[str, str],
    fragments: Mapping[str, str],
    is_fragment: bool = False,
) -> None:
    """Check what is about to be deployed. Raises PolicyError."""
    library = Library(named_values=named_values, fragments=fragments)
    if is_fragment:
        compile_fragment(xml, library=library)
    else:
        compile_policy(xml, library=library)


async def _nothing(_: object) -> None:
    """Do nothing."""


# What API Management has at the scope of the service unless told otherwise.
GLOBAL: Final = Policy(inbound=_nothing, backend=FORWARD, outbound=_nothing, on_error=_nothing)


def unusable(error: PolicyError) -> Policy:
    """Return a policy that fails each request, with what is wrong with the deployed one."""

    async def fail(_: object) -> None:
        raise ProxyError(str(error), source="policy", reason="PolicyNotCompiled")

    return Policy(inbound=fail, backend=fail, outbound=_nothing, on_error=_nothing)
