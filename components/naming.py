"""Names of what a component declares, so that a program may have two of a kind.

A stack's resources of one type need names that differ. What a component named `ai` declares begins
with `ai-`; what one declares that has the name of its kind, as the program's own, has no prefix.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pulumi


def prefix(name: str, usual: str) -> str:
    """Return what begins the names below: `ai-` for `ai` and for `ai-USUAL`, nothing for USUAL."""
    return name.removesuffix(usual) if name.endswith(usual) else f"{name}-"


def renamed(
    name: str, usual: str, opts: "pulumi.ResourceOptions | None"
) -> "pulumi.ResourceTransformation | None":
    """Have all that a component declares answer to what it was called under an earlier name.

    Those are the names that `opts` has as aliases. The engine derives names of children from their
    parent's only where they begin with it.
    """
    import pulumi  # noqa: PLC0415 - who only asks for a prefix may have none

    aliases: Sequence[Any] = (opts and opts.aliases) or ()
    # An alias is a URN, which ends in a name, or has a name among its parts.
    names = [each.rpartition("::")[2] if isinstance(each, str) else each.name for each in aliases]
    earlier = [prefix(each, usual) for each in names if isinstance(each, str)]
    if not earlier:
        return None
    begins = prefix(name, usual)

    def transform(
        args: pulumi.ResourceTransformationArgs,
    ) -> pulumi.ResourceTransformationResult:
        names = [] if args.name == name else [e + args.name.removeprefix(begins) for e in earlier]
        own = pulumi.ResourceOptions(aliases=[pulumi.Alias(name=each) for each in names])
        opts = pulumi.ResourceOptions.merge(args.opts, own)
        return pulumi.ResourceTransformationResult(args.props, opts)

    return transform
