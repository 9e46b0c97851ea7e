"""Names that deleted accounts and services keep: found before anything of the stack is created."""

from collections.abc import Iterator
from typing import Any, Final

import pulumi
from pulumi_azure_native import authorization

from .existing import Found
from .regions import normalise
from .resource_manager import (
    API_MANAGEMENT,
    COGNITIVE_SERVICES,
    ResourceManager,
    ResourceManagerError,
    at,
)
from .settings import Settings

_LIMIT: Final = 10.0  # seconds for an answer; without one, Azure tells whoever creates

# List of what is deleted, its API version, what it is, and the command that purges it.
_ACCOUNTS: Final = (
    "Microsoft.CognitiveServices/deletedAccounts",
    COGNITIVE_SERVICES,
    "account",
    "az cognitiveservices account purge --location {} --resource-group {} --name {}",
)
_SERVICES: Final = (
    "Microsoft.ApiManagement/deletedservices",
    API_MANAGEMENT,
    "service",
    "az apim deletedservice purge --location {0} --service-name {2}",
)


Restored = pulumi.Output[frozenset[str]]


def flag(restored: Restored, name: str) -> pulumi.Output[bool | None]:
    """Tell whether to pass `restore`: with it on what is there, Azure would ignore all else."""
    return restored.apply(lambda names: name in names or None)


def group_name(suffix: str) -> str:
    return f"rg-openai-gateway-{suffix}"


def service_name(suffix: str) -> str:
    return f"apim-{suffix}"


def restored(
    suffix: pulumi.Output[str], settings: Settings, found: Found, parent: pulumi.Resource
) -> Restored:
    """Name the regions, and `gateway`, whose account or service comes back from deletion.

    Those are deleted and restorable, and `restore` is on. Fails with a pulumi.RunError that has a
    line for each other name that is taken. An identity that may not list them is no mistake.
    """

    def ask(known: str) -> Restored:
        # Not before the suffix is known: a first preview asks nothing. Outputs, for a call that
        # waits runs the event loop within itself, and an error in it may then be lost.
        opts = pulumi.InvokeOptions(parent=parent)
        subscription = authorization.get_client_config_output(opts=opts).subscription_id
        token = authorization.get_client_token_output(opts=opts).token
        return pulumi.Output.all(subscription, token).apply(
            lambda its: _restored(its[0], its[1], known, settings, found)
        )

    return suffix.apply(ask)


def _restored(
    subscription: str, token: str, suffix: str, settings: Settings, found: Found
) -> frozenset[str]:
    azure = ResourceManager(lambda: token, limit=_LIMIT)
    names = {  # by host or name: whose it is, and where
        f"{region.name}-{suffix}": (region.name, region.location)
        for region in settings.regions
        if region.name not in found.accounts
    }
    lists = [(names, _ACCOUNTS)] if names else []
    if not found.service:
        here = {service_name(suffix): ("gateway", settings.own_location)}
        lists.append((here, _SERVICES))
    back, problems = set[str](), list[str]()
    for own, (kind, api_version, what, purge) in lists:
        path = f"/subscriptions/{subscription}/providers/{kind}"
        for record in _deleted(azure, path, api_version):
            properties, name = record.get("properties"), str(record.get("name"))
            its, place = own.get(
                str(at(properties, "customSubDomainName") or name).lower(), ("", "")
            )
            steps = str(at(properties, "serviceId") or record.get("id")).split("/")
            group = dict(zip(steps[1::2], steps[2::2], strict=False)).get("resourceGroups", "")
            location = normalise(str(record.get("location")))
            is_same = (location, group.lower()) == (place, group_name(suffix).lower())
            if is_same and settings.restore:
                back.add(its)
            elif its:
                date = str(at(properties, "scheduledPurgeDate") or "")[:10]
                restore = f"set {settings.prefix}restore to true, or " if is_same else ""
                problems.append(
                    f"the {what} {name} was deleted in {location}, and keeps its name"
                    f"{date and f' until {date}'}: {restore}purge it: "
                    f"{purge.format(location, group, name)}"
                )
    if problems:
        raise pulumi.RunError("\n".join(sorted(problems)))
    for name in sorted(back):
        pulumi.log.warn(
            f"{name} comes back as it was deleted; run `pulumi up` once more to apply this config"
        )
    return frozenset(back)


def _deleted(azure: ResourceManager, path: str, version: str) -> Iterator[dict[str, Any]]:
    try:
        yield from azure.pages(path, version)
    except ResourceManagerError as error:
        pulumi.log.debug(f"{path} cannot be listed: {error}")
