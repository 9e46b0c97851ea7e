"""What added resources cost: where Azure says it, and with `--prices` what it says today."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from components import guardrails
from probes.formats.markdown_text import escape
from probes.preview.model import Change

ENDPOINT: Final = "https://prices.azure.com/api/retail/prices"
"""Azure Retail Prices API; $RETAIL_PRICES_ENDPOINT is asked instead where it is set."""
_PAGE: Final = "https://azure.microsoft.com/pricing"
_PAGES: Final = {
    guardrails.SERVICE: f"[API Management prices]({_PAGE}/details/api-management/)",
    "azure-native:cognitiveservices:Deployment": "by the tokens used, nothing while idle: "
    f"[Azure OpenAI prices]({_PAGE}/details/cognitive-services/openai-service/)",
}
_LONGEST: Final = 300


def lines(changes: Sequence[Change], *, ask: bool) -> list[str]:
    """Return an item for each price page, with the names of what is added and costs."""
    names: dict[str, list[str]] = {}
    for change in changes:
        if change.operation == "create" and (page := _PAGES.get(change.type, "")):
            if change.type == guardrails.SERVICE:
                tier, units = change.sku
                units = f"{units} × {tier}"[:_LONGEST]
                page = f"{escape(units)}, {page}{escape(_price(change)) if ask else ''}"
            names.setdefault(page, []).append(change.name)
    found = [f"- {escape(', '.join(those)[:_LONGEST])}: {page}" for page, those in names.items()]
    return [*found, f"- what else is added: [price calculator]({_PAGE}/calculator/)"]


def _price(service: Change) -> str:
    """Ask the Azure Retail Prices API what a unit of a service costs, in US dollars."""
    import httpx  # noqa: PLC0415 - printing without prices goes without

    api, on = "the Azure Retail Prices API", f"({datetime.now(UTC):%Y-%m-%d})"
    location = str((service.after or {}).get("location", ""))
    quoted = location.replace("'", "''")
    wanted = f"serviceName eq 'API Management' and armRegionName eq '{quoted}'"
    wanted += " and priceType eq 'Consumption'"
    endpoint = os.environ.get("RETAIL_PRICES_ENDPOINT") or ENDPOINT
    try:
        answer = httpx.get(endpoint, params={"$filter": wanted}, timeout=30).raise_for_status()
        for item in answer.json()["Items"]:
            unit = "".join(str(item["meterName"]).split()).lower()
            price, per = float(item["retailPrice"]), item["unitOfMeasure"]
            if unit == f"{service.sku[0]}unit".lower() and price:  # a row of its own is free hours
                return f": {price:g} {item['currencyCode']} per {per} and unit {on}"[:_LONGEST]
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f": {api} cannot be read ({type(error).__name__}) {on}"
    except (ValueError, KeyError, TypeError):
        return f": {api} answers something else than prices {on}"
    return f": {api} has no price for it in {location} {on}"
