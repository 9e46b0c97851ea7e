"""Names of what a component declares, so that a program may have two of a kind.

A stack's resources of one type need names that differ. What a component named `ai` declares begins
with `ai-`; what one declares that has the name of its kind, as the program's own, has no prefix.
"""


def prefix(name: str, usual: str) -> str:
    """Return what begins the names below: `ai-` for `ai` and for `ai-USUAL`, nothing for USUAL."""
    return name.removesuffix(usual) if name.endswith(usual) else f"{name}-"
