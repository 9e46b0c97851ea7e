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


def options(
    name: str, usual: str, opts: "pulumi.ResourceOptions | None"
) -> "pulumi.ResourceOptions":
    """Return the options of a component, with what each resource below it needs.

    A fixed name demands that it is deleted before it is replaced, which azure-native says only if
    something differs. One that the engine has deleted and could not make anew may be declared again
    as it was: it would be made, and at the end deleted as the old one (docs/decisions/0029).
    Where `opts` has aliases, all answer to what they were called under those names: the engine
    derives names of children from their parent's only where they begin with it.
    """
    import pulumi  # noqa: PLC0415 - who only asks for a prefix may have none

    aliases: Sequence[Any] = (opts and opts.aliases) or ()
    # An alias is a URN, which ends in a name, or has a name among its parts.
    names = [each.rpartition("::")[2] if isinstance(each, str) else each.name for each in aliases]
    earlier = [prefix(each, usual) for each in names if isinstance(each, str)]
    begins = prefix(name, usual)

    def transform(
        args: pulumi.ResourceTransformationArgs,
    ) -> pulumi.ResourceTransformationResult:
        in_azure = args.type_.startswith("azure-native:")
        own = pulumi.ResourceOptions(delete_before_replace=True if in_azure else None)
        if args.name != name:
            own.aliases = [
                pulumi.Alias(name=each + args.name.removeprefix(begins)) for each in earlier
            ]
        return pulumi.ResourceTransformationResult(
            args.props, pulumi.ResourceOptions.merge(args.opts, own)
        )

    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(transformations=[transform]))
