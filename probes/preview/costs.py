"""What added resources cost: where Azure says it, and with `--prices` what it says today."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from components import guardrails
from probes.formats.markdown_text import escape
from probes.preview.model import Change

Prices = Mapping[tuple[str, str], str]
"""What a unit costs, in words, by tier and location."""

ENDPOINT: Final = "https://prices.azure.com/api/retail/prices"
"""Azure Retail Prices API; $RETAIL_PRICES_ENDPOINT is asked instead where it is set."""
_PAGE: Final = "https://azure.microsoft.com/pricing"
_PAGES: Final = {
    guardrails.SERVICE: f"[API Management prices]({_PAGE}/details/api-management/)",
    "azure-native:cognitiveservices:Deployment": "by the tokens used, nothing while idle: "
    f"[Azure OpenAI prices]({_PAGE}/details/cognitive-services/openai-service/)",
}
_OTHERS: Final = f"[price calculator]({_PAGE}/calculator/)"
NO_CHARGE: Final = frozenset(
    {
        "azure-native:apimanagement:Api",
        "azure-native:apimanagement:ApiOperation",
        "azure-native:apimanagement:ApiPolicy",
        "azure-native:apimanagement:Backend",
        "azure-native:apimanagement:NamedValue",
        "azure-native:apimanagement:Subscription",
        "azure-native:authorization:RoleAssignment",
        "azure-native:cognitiveservices:Account",  # kind OpenAI, sku S0: its deployments cost
        "azure-native:resources:ResourceGroup",
    }
)
"""Types that Azure does not charge for by themselves."""
_LONGEST: Final = 300


def lines(changes: Sequence[Change], prices: Prices | None) -> list[str]:
    """Return an item for each price page, with the names of what is added and costs."""
    names: dict[str, list[str]] = {}
    for change in changes:
        if change.operation != "create" or change.type in NO_CHARGE:
            continue
        if change.type.startswith("azure-native:"):
            page = _PAGES.get(change.type, _OTHERS)
            tier, units, location = _service(change)
            if change.type == guardrails.SERVICE:
                cost = (prices or {}).get((tier, location), "")
                page = f"{escape(f'{units} × {tier}' if tier else 'its tier')}, {page}"
                page += f": {escape(cost)}" if cost else ""
            names.setdefault(page, []).append(change.name)
    return [f"- {escape(', '.join(those)[:_LONGEST])}: {page}" for page, those in names.items()]


def _service(change: Change) -> tuple[str, object, str]:
    inputs = change.after or {}
    sku = inputs.get("sku")
    sku = sku if isinstance(sku, Mapping) else {}
    return (
        str(sku.get("name", ""))[:50],
        str(sku.get("capacity", ""))[:50],
        str(inputs.get("location", "")),
    )


def read(changes: Sequence[Change]) -> Prices:
    """Ask the Azure Retail Prices API what a unit of each added service costs, in US dollars."""
    wanted = {_service(each) for each in changes if each.type == guardrails.SERVICE and each.after}
    return {(tier, location): _asked(tier, location) for tier, _, location in wanted}


def _asked(tier: str, location: str) -> str:
    import httpx  # noqa: PLC0415 - printing without prices goes without

    quoted = location.replace("'", "''")
    wanted = {
        "$filter": f"serviceName eq 'API Management' and armRegionName eq '{quoted}'"
        " and priceType eq 'Consumption'"
    }
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    try:
        answer = httpx.get(
            os.environ.get("RETAIL_PRICES_ENDPOINT") or ENDPOINT, params=wanted, timeout=30
        )
        items: list[Any] = answer.raise_for_status().json()["Items"]
        for item in items:
            unit = "".join(str(item["meterName"]).split()).lower()
            price, per = float(item["retailPrice"]), item["unitOfMeasure"]
            if unit == f"{tier}unit".lower() and price:  # the free hours have a row of their own
                return f"{price:g} {item['currencyCode']} per {per} and unit ({today})"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"the Azure Retail Prices API cannot be read ({type(error).__name__}, {today})"
    except (ValueError, KeyError, TypeError):
        return f"the Azure Retail Prices API answers something else than prices ({today})"
    return f"the Azure Retail Prices API has no price for it in {location} ({today})"
