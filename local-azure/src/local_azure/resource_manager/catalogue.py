"""The models that a location lists, and the quota it has for them.

Source of the shapes: Cognitive Services 2025-06-01, Models - List and Usages - List.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from local_azure.resource_manager import known_models as models
from local_azure.resource_manager import resource_types as types
from local_azure.resource_manager.request import Request
from local_azure.store import Resource

SKUS: Final = ("GlobalStandard", "DataZoneStandard", "Standard")
KINDS: Final = ("OpenAI", "AIServices")  # Azure lists a model once for each that can deploy it
LIMIT: Final = 1000  # thousands of tokens a minute; ? Azure's own depends on the subscription


def usage_name(sku: str, model: str) -> str:
    return f"OpenAI.{sku}.{model}"


def quota_name(sku: str, model: str) -> str:
    """Return what Azure calls a quota to people."""
    suffix = "" if sku == "Standard" else f" - {sku}"
    return f"Tokens Per Minute (thousands) - {model}{suffix}"


def used(request: Request, sku: str, model: str, location: str, *, besides: str = "") -> int:
    """Return the capacity that is deployed of a quota; without that of the deployment `besides`."""
    return sum(
        each.body["sku"]["capacity"]
        for account in request.view.list(types.ACCOUNT)
        if account.body["location"] == location
        for each in request.view.list(types.DEPLOYMENT, under=account.id)
        if each.id.lower() != besides.lower()
        and (each.body["sku"]["name"], each.body["properties"]["model"]["name"]) == (sku, model)
    )


def has_quota(sku: str, model: str) -> bool:
    """Tell whether there is a quota: only for models that are known here."""
    return sku in SKUS and any(name == model for name, _ in models.RETIRES)


def listed(request: Request, kind: str) -> list[Resource]:
    """Return the models, or the usages, of the location in a request's path."""
    location = request.path.name.lower()
    bodies = _models(location, request.now) if kind == types.MODEL else _usages(request, location)
    return [Resource(id="", type=kind, body=body, etag="") for body in bodies]


def _models(location: str, now: float) -> Iterator[Mapping[str, Any]]:
    day = datetime.fromtimestamp(now, UTC).date()
    for (name, version), retires in models.RETIRES.items():
        date = f"{retires}T00:00:00Z"
        skus: list[Mapping[str, Any]] = [
            {
                "name": sku,
                "usageName": usage_name(sku, name),
                "deprecationDate": date,
                "capacity": {"maximum": LIMIT, "default": 10},
                "rateLimits": [],
            }
            for sku in SKUS
            if models.offered(sku, name, location)
        ]
        if not skus or retires <= day:
            continue
        model = {
            "format": "OpenAI",
            "name": name,
            "version": version,
            "maxCapacity": 3,
            "capabilities": {models.capability(name): "true"},
            "deprecation": {"inference": date},
            "lifecycleStatus": "GenerallyAvailable",
            "skus": skus,
        }
        yield from ({"kind": kind, "skuName": "S0", "model": model} for kind in KINDS)


def _usages(request: Request, location: str) -> Iterator[Mapping[str, Any]]:
    for name in dict.fromkeys(name for name, _ in models.RETIRES):
        for sku in SKUS:
            if models.offered(sku, name, location):
                yield {
                    "name": {
                        "value": usage_name(sku, name),
                        "localizedValue": quota_name(sku, name),
                    },
                    "currentValue": float(used(request, sku, name, location)),
                    "limit": float(LIMIT),
                    "unit": "Count",
                }
