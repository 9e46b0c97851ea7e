"""What added resources cost while they exist, as far as it can be said without a price list."""

from collections.abc import Mapping
from typing import Any, Final

UNIT_PRICES: Final = {
    "Developer": 48,
    "Basic": 147,
    "Standard": 687,
    "Premium": 2_795,
    "BasicV2": 150,
    "StandardV2": 700,
}
"""US dollars a month for one unit of API Management, used or not, by tier.

Rough figures of November 2026, written down without access to Azure's price page, which decides:
https://azure.microsoft.com/pricing/details/api-management/
"""
SOURCE: Final = "rough figures of November 2026, not read from Azure's price list, which decides"
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
_SERVICE: Final = "azure-native:apimanagement:ApiManagementService"
_DEPLOYMENT: Final = "azure-native:cognitiveservices:Deployment"


def of(kind: str, inputs: Mapping[str, Any]) -> str:
    """Return in words what a resource of Azure costs: empty for nothing, or "not known"."""
    if kind in NO_CHARGE or not kind.startswith("azure-native:"):
        return ""
    sku = inputs.get("sku")
    sku = sku if isinstance(sku, Mapping) else {}
    tier, units = str(sku.get("name", "")), sku.get("capacity")
    if kind == _SERVICE and tier == "Consumption":
        return "by its calls, nothing while idle"
    if kind == _SERVICE and tier in UNIT_PRICES and type(units) is int and units > 0:
        return f"about ${UNIT_PRICES[tier] * units:,} a month, used or not ({units} × {tier})"
    if kind == _DEPLOYMENT and tier.endswith("Standard"):
        return f"by the tokens used, nothing while idle ({tier})"
    return "not known"
