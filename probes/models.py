"""Ask Azure whether each region offers the configured models, has the quota, and until when."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # run as a script: imports start at the repository, not in this folder

from components import models  # noqa: E402
from components.mistakes import NAMESPACE, SettingsError  # noqa: E402
from components.regions import normalise  # noqa: E402
from components.resource_manager import (  # noqa: E402
    COGNITIVE_SERVICES,
    SUBSCRIPTIONS,
    ResourceManager,
    ResourceManagerError,
    at,
)
from components.settings import Model, Region, Settings, parse  # noqa: E402
from probes import exit_codes, files  # noqa: E402
from probes.exit_codes import AS_DECLARED, INCONCLUSIVE, UNBALANCED, InputError  # noqa: E402

LARGEST: Final = 1_000_000  # bytes of a stack's file that are read
_PROVIDER: Final = "providers/Microsoft.CognitiveServices"
_EPILOG = f"""\
examples:
  python probes/models.py
  python probes/models.py --stack prod --json

environment:
  PULUMI_STACK                 the stack, when --stack names none (default: dev)
  ARM_SUBSCRIPTION_ID          the subscription, when --subscription names none
  ARM_ENDPOINT                 Azure Resource Manager, signed in to as by distribution.py

{exit_codes.described(exit_codes.MODELS)}
"""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One deployment in one region; a `needed` capacity is what it has not got already."""

    region: str
    location: str
    deployment: str
    model: str
    version: str
    sku: str
    needed: int
    quota_left: int | None = None
    retires: date | None = None
    problems: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    return exit_codes.of(lambda: _run(arguments), "models.py: error")


def _run(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    file = options.config or ROOT / f"Pulumi.{options.stack}.yaml"
    try:
        azure = ResourceManager()
        # Asked for once the file is read: a mistyped name is told without signing in.
        subscription = cache(lambda: options.subscription or _subscription(azure))
        settings = _settings(str(file), lambda: azure.locations(subscription()))
        findings = check(settings, azure, subscription())
    except ResourceManagerError as error:
        print(f"models.py: not checked: {error}", file=sys.stderr)
        return INCONCLUSIVE
    if options.json:
        print(json.dumps([asdict(each) for each in findings], default=str, indent=2))
    else:
        _show(findings)
    if any(each.problems for each in findings):
        return UNBALANCED
    return INCONCLUSIVE if any(each.unknown for each in findings) else AS_DECLARED


def _subscription(azure: ResourceManager) -> str:
    if name := os.environ.get("ARM_SUBSCRIPTION_ID") or os.environ.get("AZURE_SUBSCRIPTION_ID"):
        return name
    found = [
        str(each.get("subscriptionId")) for each in azure.pages("/subscriptions", SUBSCRIPTIONS)
    ]
    if len(found) != 1:
        raise InputError(f"{len(found)} subscriptions are readable; choose with --subscription ID")
    return found[0]


def _settings(file: str, locations: Callable[[], Mapping[str, str]]) -> Settings:
    """Read a stack's file; which is where `pulumi config set` writes, so no CLI is needed."""
    import yaml  # noqa: PLC0415 - of the Pulumi SDK

    text = files.read(file, LARGEST, file, missing="; choose with --stack or --config", excess="")
    try:
        config = at(yaml.safe_load(text), "config")
    except yaml.YAMLError as error:
        raise InputError(f"{file} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(config, Mapping):
        raise InputError(f"{file} has no `config`; is it a stack's file?")
    own = {
        key.removeprefix(f"{NAMESPACE}:"): value
        for key, value in config.items()
        if str(key).startswith(f"{NAMESPACE}:")
    }
    try:
        return parse(own, locations)
    except SettingsError as error:
        raise InputError(f"{file}:\n{error}") from None


def check(settings: Settings, azure: ResourceManager, subscription: str) -> list[Finding]:
    """Ask of each region, at once, and judge. Raises ResourceManagerError."""
    base = f"/subscriptions/{subscription}/{_PROVIDER}"
    accounts = [*azure.pages(f"{base}/accounts", COGNITIVE_SERVICES)]

    def ask(region: Region) -> list[Finding]:
        place = f"{base}/locations/{region.location}"
        offers, usages = (
            [*azure.pages(f"{place}/{what}", COGNITIVE_SERVICES)] for what in ("models", "usages")
        )
        deployed = [
            each
            for account in accounts
            if _is_own(account, region, settings)
            for each in azure.pages(f"{account['id']}/deployments", COGNITIVE_SERVICES)
        ]
        return [*_judged(region, settings, offers, usages, deployed)]

    with ThreadPoolExecutor() as pool:
        return [each for found in pool.map(ask, settings.regions) for each in found]


def _is_own(account: Mapping[str, Any], region: Region, settings: Settings) -> bool:
    """Tell whether an account is a region's; without a fixed suffix, by the name's beginning."""
    name = str(account.get("name")).lower()
    if region.existing:
        return name == region.existing.account_name.lower()
    begin = f"{region.name}-{settings.resource_suffix or ''}"
    is_named = name == begin if settings.resource_suffix else name.startswith(begin)
    return is_named and normalise(str(account.get("location"))) == region.location


def _judged(
    region: Region, settings: Settings, offers: list[Any], usages: list[Any], deployed: list[Any]
) -> Iterator[Finding]:
    left = {
        at(each, "name", "value"): int((each.get("limit") or 0) - (each.get("currentValue") or 0))
        for each in usages
    }
    for model in settings.models:
        of_name = [o for o in offers if at(o, "kind") == "OpenAI" and _named(o, model.model)]
        offer = next((o for o in of_name if at(o, "model", "version") == model.version), None)
        skus = {str(each.get("name")): each for each in at(offer, "model", "skus") or ()}
        sku = skus.get(model.sku)
        needed = 0 if region.existing else model.capacity - _has(deployed, model)
        quota = left.get(at(sku, "usageName")) if sku else None
        found = Finding(
            region=region.name,
            location=region.location,
            deployment=model.name,
            model=model.model,
            version=model.version,
            sku=model.sku,
            needed=max(needed, 0),
            quota_left=quota,
            retires=_day(
                at(sku, "deprecationDate") or at(offer, "model", "deprecation", "inference")
            ),
        )
        if sku and quota is not None:
            left[at(sku, "usageName")] = quota - found.needed
        found.problems.extend(_problems(found, of_name, offer, skus))
        if sku and quota is None and found.needed:
            found.unknown.append("Azure lists no quota for it")
        yield found


def _problems(
    found: Finding, of_name: list[Any], offer: Any, skus: Mapping[str, Any]
) -> Iterator[str]:
    if not found.needed:
        pass  # what is deployed stays, whatever is offered to others
    elif not of_name:
        yield f"{found.model} is not offered"
    elif offer is None:
        versions = sorted({str(at(each, "model", "version")) for each in of_name})
        yield f"version {found.version} is not offered, but {', '.join(versions)}"
    elif found.sku not in skus:
        yield f"{found.sku} is not offered, but {', '.join(sorted(skus)) or 'no type'}"
    elif found.quota_left is not None and found.needed > found.quota_left:
        yield f"{found.needed} of quota are needed, {found.quota_left} are left"
    if found.retires and (told := models.retirement(found.model, found.version, found.retires)):
        yield told


def _named(offer: Any, model: str) -> bool:
    return str(at(offer, "model", "name")).lower() == model.lower()


def _has(deployed: list[Any], model: Model) -> int:
    """Return the capacity that the deployment has already, if it is of this model and type."""
    for each in deployed:
        wanted = (model.name.lower(), model.model, model.sku)
        name, of = str(each.get("name")).lower(), at(each, "properties", "model", "name")
        if (name, of, at(each, "sku", "name")) == wanted:
            return int(at(each, "sku", "capacity") or 0)
    return 0


def _day(text: Any) -> date | None:
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        return None


def _show(findings: Sequence[Finding]) -> None:
    from rich.console import Console  # noqa: PLC0415 - not for --json
    from rich.table import Table  # noqa: PLC0415

    table = Table("region", "deployment", "quota: needs of left", "retires", "")
    for each in findings:
        told = [*each.problems, *each.unknown]
        table.add_row(
            f"{each.region} ({each.location})",
            f"{each.deployment}: {each.model} {each.version} {each.sku}",
            f"{each.needed} of {'?' if each.quota_left is None else each.quota_left}",
            str(each.retires or "?"),
            f"{'✗' if each.problems else '?'} {'; '.join(told)}" if told else "✓",
        )
    for column in table.columns:
        column.overflow = "fold"
    Console(highlight=False).print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="models.py",
        usage="%(prog)s [options]",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group()
    what = "read Pulumi.NAME.yaml of the project (default: $PULUMI_STACK, or dev)"
    stack = os.environ.get("PULUMI_STACK", "").rpartition("/")[2] or "dev"
    which.add_argument("--stack", metavar="NAME", default=stack, help=what)
    which.add_argument("--config", metavar="FILE", help="read this stack's file")
    what = "of these lists and quotas (default: $ARM_SUBSCRIPTION_ID, or the only one)"
    parser.add_argument("--subscription", metavar="ID", help=what)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
