"""What the public components share: options for all that they declare, and mistakes in a line."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pulumi

from .mistakes import SettingsError
from .naming import prefix
from .settings import Pooled


class ArgumentsError(SettingsError, pulumi.RunError):
    """The arguments have mistakes, of which a program that fails by it shows no stack trace."""


@contextmanager
def mistakes_in_a_line() -> Iterator[None]:
    """Have the mistakes of the arguments end a program as `pulumi.RunError` does."""
    try:
        yield
    except SettingsError as error:
        raise ArgumentsError(error.problems) from None


def tell(its: Pooled, component: pulumi.Resource, of: str = "") -> None:
    """Make the traffic visible in every preview: an unequal pool is a warning, no surprise.

    `of` says what the shares are of.
    """
    report = pulumi.log.info if its.routing == "round-robin" else pulumi.log.warn
    report(f"Expected traffic: {its.forecast}{of}", component)
    for warning in its.warnings:
        pulumi.log.warn(warning, component)


def options(name: str, usual: str, opts: pulumi.ResourceOptions | None) -> pulumi.ResourceOptions:
    """Return the options of a component, with what each resource below it needs.

    A fixed name demands that it is deleted before it is replaced, which azure-native says only if
    something differs. One that the engine has deleted and could not make anew may be declared again
    as it was: it would be made, and at the end deleted as the old one (docs/decisions/0029).
    Where `opts` has aliases, all answer to what they were called under those names: the engine
    derives names of children from their parent's only where they begin with it.
    """
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
