"""What resources cost while they exist, as far as it can be said without a price list."""

from typing import Final

MONTHLY: Final = {
    "azure-native:apimanagement:ApiManagementService": (
        "a fixed price for each unit while it exists, used or not; BasicV2 about 150 US dollars a"
        " month (list price, 2025)"
    ),
    "azure-native:cognitiveservices:Deployment": (
        "the tokens used (sku GlobalStandard or Standard); nothing while idle"
    ),
}
"""By resource type; a type that is not here costs nothing, or its cost is not known."""
