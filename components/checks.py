"""Mistakes that only several keys of a config show together, and what Azure refuses of values."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from . import models, traffic
from .keys import (
    APIS,
    BACKEND_LENGTH,
    GENERATED_SUFFIX_LENGTH,
    LIST_MODELS,
    LIST_REGIONS,
    MOST_TAGS,
    MOST_TAGS_OF_A_SERVICE,
    MOST_UNITS,
    NETWORK_TIERS,
    SUBDOMAIN_LENGTH,
    TAG_NAME,
)
from .mistakes import Path, mistake, nearest, shown
from .regions import Locations, normalise


def check(
    config: Mapping[str, Any], wrong: Collection[Path], known: Locations, *, is_whole: bool
) -> Iterator[str]:
    """Give the mistakes in what is left of a config without the values that are `wrong`.

    `is_whole` is one of a whole gateway, not of a pool or of monitoring alone.
    """
    regions = [
        {**each, "location": normalise(each["location"])} if "location" in each else each
        for each in config.get("regions", ())
    ]
    if "regions" in config and not 2 <= len(regions) <= 30:
        yield mistake("regions", f"is a list of {len(regions)}", LIST_REGIONS)
    if config.get("models") == []:
        yield mistake("models", "is an empty list", LIST_MODELS)
    yield from _check_unique("regions", regions, "name")
    yield from _check_unique("regions", regions, "location")
    if is_whole:
        yield from _check_unique("models", config.get("models", ()), "name")
        yield from _check_apis(config.get("apis"))
        yield from _check_offers(regions, config.get("models", ()))
        suffix = config.get("resourceSuffix") or "x" * GENERATED_SUFFIX_LENGTH
        yield from _check_names(regions, suffix)
    yield from _check_backends(
        regions, config.get("models", ()), str(config.get("poolName", traffic.POOL_NAME))
    )
    labels = {
        each["name"]: known.display_name(each["location"])
        for each in regions
        if "name" in each and "location" in each
    }
    unread = any(path[0] in ("regions", "routing") and "existing" not in path for path in wrong)
    if not unread and len(labels) == len(regions) > 1:
        yield from _check_traffic(config, traffic.read_config(regions), labels)
    yield from _check_tags(config)
    if is_whole:
        yield from _check_gateway(config, wrong)
        yield from _check_network(config, wrong)
    yield from _check_monitoring(config, "monitoring" if is_whole else "")


def _check_apis(apis: Any) -> Iterator[str]:
    if isinstance(apis, list) and (not apis or len(set(map(str, apis))) < len(apis)):
        yield mistake("apis", f"is {shown(apis)}", f"list some of {', '.join(APIS)}, each once")


def _check_monitoring(config: Mapping[str, Any], section: str) -> Iterator[str]:
    found = config.get(section) if section else config
    its = found if isinstance(found, Mapping) else {}
    if its.get("workspace") and "retentionDays" in its:
        remedy = "a workspace that exists keeps its own; leave this key out"
        path = f"{section}.retentionDays".removeprefix(".")
        yield mistake(path, f"is {shown(its['retentionDays'])}", remedy)


def _check_network(config: Mapping[str, Any], wrong: Collection[Path]) -> Iterator[str]:
    network, gateway = config.get("network"), config.get("gateway", {})
    if not isinstance(network, Mapping) or any(path[0] == "network" for path in wrong):
        return
    tier, is_ours = gateway.get("sku", "BasicV2"), gateway.get("existing") is None
    addresses = network.get("allowedIps") or ()
    subnets = [key for key in ("endpointSubnet", "gatewaySubnet", "dnsZone") if network.get(key)]
    if bool(addresses) is bool(subnets):
        remedy = "write either allowedIps, or endpointSubnet and gatewaySubnet"
        yield mistake("network", "has both" if addresses else "names nobody", remedy)
    elif addresses and is_ours and tier == "Consumption":
        remedy = "a Consumption service has no addresses of its own; choose another gateway.sku"
        yield mistake("network.allowedIps", f"is {shown(addresses)}", remedy)
    elif subnets:
        needed = ("endpointSubnet", "gatewaySubnet") if is_ours else ("endpointSubnet",)
        for key in needed:
            if key not in subnets:
                yield mistake(f"network.{key}", "is missing", "write the subnet's id")
        if "gatewaySubnet" in subnets and not is_ours:
            remedy = "a service that exists keeps its network; leave the key out, and join it there"
            yield mistake("network.gatewaySubnet", "is given", remedy)
        is_read = {("gateway",), ("gateway", "sku")}.isdisjoint(wrong)
        if is_ours and tier not in NETWORK_TIERS and is_read:
            remedy = f"a {tier} service reaches no network; choose {' or '.join(NETWORK_TIERS)}"
            yield mistake("gateway.sku", f"is {shown(tier)}, and network has subnets", remedy)


def _is_on(section: Any) -> bool:
    return section is not None and not (
        isinstance(section, Mapping) and section.get("enabled") is False
    )


def _check_tags(config: Mapping[str, Any]) -> Iterator[str]:
    tags = config.get("tags", {})
    service = config.get("service") or config.get("gateway", {}).get("existing")
    is_ours = service is None
    most = MOST_TAGS_OF_A_SERVICE if is_ours else MOST_TAGS
    if len(tags) > most:
        who = "an API Management service" if is_ours else "Azure"
        yield mistake("tags", f"has {len(tags)} entries", f"{who} takes {most}; remove some")
    for name in tags:
        if len(name) > 512 or not re.match(TAG_NAME, name):
            remedy = "a tag's name has 1 to 512 characters, and none of < > % & \\ ? /"
            yield mistake("tags", f"names {shown(name)}", remedy)


def _check_offers(regions: Sequence[Any], wanted: Sequence[Any]) -> Iterator[str]:
    for position, model in enumerate(wanted):
        sku, name = model.get("sku", ""), model.get("model", "")
        without = [
            each["location"]
            for each in regions
            if "location" in each
            and each.get("existing") is None
            and models.offered(sku, name, each["location"]) is False
        ]
        if without:
            found = (
                f"is {shown(sku)}, which is not offered for {name} in {traffic.listed(without)} "
                f"(Microsoft's documentation, {models.OFFERED_ON})"
            )
            remedy = "choose another type, as GlobalStandard, or other locations"
            yield mistake(f"models[{position}].sku", found, remedy)


def _check_unique(path: str, entries: Sequence[Any], name: str) -> Iterator[str]:
    """Refuse a text that two entries of a list share; Azure's names ignore case."""
    first: dict[str, int] = {}
    for position, text in ((n, each[name]) for n, each in enumerate(entries) if name in each):
        earlier = first.setdefault(text.lower(), position)
        if earlier != position:
            remedy = f"{path}[{earlier}] has this {name} already; give each its own"
            yield mistake(f"{path}[{position}].{name}", f"is {shown(text)}", remedy)


def _check_names(regions: Sequence[Any], suffix: str) -> Iterator[str]:
    for position, region in enumerate(regions):
        path, name = f"regions[{position}].name", region.get("name", "")
        found = f"is {shown(name)}"
        excess = len(f"{name}-{suffix}") - SUBDOMAIN_LENGTH
        if excess > 0 and region.get("existing") is None:
            longer = f"{excess} longer than the {SUBDOMAIN_LENGTH} allowed; shorten either"
            given = f"a resourceSuffix of {len(suffix)} characters"
            yield mistake(path, found, f"with {given} the account's subdomain is {longer}")


def _check_backends(regions: Sequence[Any], models: Sequence[Any], pool_name: str) -> Iterator[str]:
    """Refuse names of backends and pools that are too long, or another's."""
    too_long = f"longer than the {BACKEND_LENGTH} allowed; shorten"
    named = [(n, each["name"]) for n, each in enumerate(models) if n and "name" in each]
    of_models = [(n, traffic.name_end(name)) for n, name in named]
    for position, end in of_models:
        if (excess := len(pool_name + end) - BACKEND_LENGTH) > 0:
            remedy = f"the name of its pool is {excess} {too_long} it"
            yield mistake(f"models[{position}].name", f"is {shown(end[1:])}", remedy)
    ends = ["", *(end for _, end in of_models)]
    owners = {(pool_name + end).lower(): "the pool itself" for end in ends}
    for end, (position, name) in product(ends, enumerate(each.get("name") for each in regions)):
        path, found = f"regions[{position}].name", f"is {shown(name)}"
        what = f"the name of its backend for {shown(end[1:])}" if end else "this name"
        if name and owners.setdefault((name + end).lower(), shown(name)) != shown(name):
            yield mistake(path, found, f"{owners[(name + end).lower()]} has {what}; choose another")
        if name and end and (excess := len(name + end) - BACKEND_LENGTH) > 0:
            yield mistake(path, found, f"{what} is {excess} {too_long} either")


def _check_traffic(
    config: Mapping[str, Any], pool: traffic.Pool, labels: Mapping[str, str]
) -> Iterator[str]:
    routing = config.get("routing", "round-robin")
    if pool.problems(routing):
        looser = traffic.ROUTINGS[traffic.ROUTINGS.index(routing) + 1 :]
        others = traffic.listed([f'"{other}"' for other in looser], "or")
        same = " and ".join(traffic.EQUAL[routing])
        found = traffic.unlike(routing, pool.forecast(labels))
        remedy = f"give every region the same {same}, or set routing to {others}"
        yield mistake("regions", found, remedy)
    for position, name in enumerate(config.get("acceptStarved", ())):
        share = pool.by_label({}).get(name)
        if share is None:
            remedy = nearest(name, labels, "the regions are")
            yield mistake(f"acceptStarved[{position}]", f"is {shown(name)}", remedy)
        elif share:
            gets = f"is {shown(name)}, which gets {traffic.percent(share)} of the traffic"
            yield mistake(f"acceptStarved[{position}]", gets, "leave it out")


def _check_gateway(config: Mapping[str, Any], wrong: Collection[Path]) -> Iterator[str]:
    gateway = config.get("gateway", {})
    tier, capacity = gateway.get("sku", "BasicV2"), gateway.get("capacity")
    one, other = config.get("location"), gateway.get("location")
    if gateway.get("existing") is not None:
        for key in [key for key in gateway if key != "existing"]:
            remedy = "a service that exists keeps its own; leave out this key, or `existing`"
            yield mistake(f"gateway.{key}", f"is {shown(gateway[key])}", remedy)
    elif tier != "Consumption" and capacity == 0 and ("gateway", "sku") not in wrong:
        yield mistake("gateway.capacity", "is 0", f"a {tier} service has at least 1 unit")
    elif isinstance(capacity, int) and capacity > MOST_UNITS.get(tier, capacity):
        most = f"a {tier} service has at most {MOST_UNITS[tier]}"
        remedy = f"{most}{' in a region' * (tier == 'Premium')}; write fewer, or choose another sku"
        yield mistake("gateway.capacity", f"is {capacity}", remedy)
    elif tier == "Consumption":
        if capacity:
            remedy = "a Consumption service has no units; write 0, or leave the key out"
            yield mistake("gateway.capacity", f"is {capacity}", remedy)
        on = {key: _is_on(config.get(key, ())) for key in ("breaker", "monitoring")}
        for key, off in beyond_consumption({**on, "streaming": config.get("streaming", True)}):
            if (key,) not in wrong:
                has_none = f"a Consumption service has none; set it to {off}"
                yield mistake(key, "is on", f"{has_none}, or choose another gateway.sku")
    if one and other and normalise(one) != normalise(other):
        remedy = f"location is {shown(one)}, and both mean the same; leave this one out"
        yield mistake("gateway.location", f"is {shown(other)}", remedy)


def beyond_consumption(on: Mapping[str, object]) -> list[tuple[str, str]]:
    off = {"breaker": "null", "streaming": "false", "monitoring": "null"}
    return [(key, how) for key, how in off.items() if on[key]]
