"""Azure Monitor, as far as gateways need it: their logs, queries of these, and alerts on them."""

from typing import Final

LOG_ANALYTICS: Final = "https://api.loganalytics.io"
"""What a token for queries is for (Log Analytics API, "Access the API")."""
