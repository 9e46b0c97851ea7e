"""Policy documents: from XML to the four sections that the gateway runs."""

import functools
from dataclasses import dataclass
from typing import Final

from emulator.gateway.markup import Element, PolicyError, parse
from emulator.gateway.statements import Action, Place, check_shape, compile_block

__all__ = ["DEFAULT", "Policy", "PolicyError", "compile_policy"]

SECTIONS: Final = ("inbound", "backend", "outbound", "on-error")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A compiled policy: one action a section."""

    inbound: Action
    backend: Action
    outbound: Action
    on_error: Action


@functools.lru_cache(maxsize=64)
def compile_policy(xml: str) -> Policy:
    """Compile a policy document, `rawxml` or `xml`.

    Raises PolicyError, with a line number, for what is not well-formed and for every statement,
    attribute, section and expression the gateway does not know: nothing is ignored.
    """
    root = parse(xml)
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
    # A section that is left out does nothing, as one without `<base/>` does.
    actions = {
        name: compile_block(
            sections[name].children if name in sections else [],
            Place(name, on_response=name in ("outbound", "on-error")),
        )
        for name in SECTIONS
    }
    return Policy(**{name.replace("-", "_"): action for name, action in actions.items()})


# What an API without a policy of its own does.
DEFAULT: Final = compile_policy(
    "<policies>"
    + "".join(f"<{section}><base/></{section}>" for section in SECTIONS)
    + "</policies>"
)
