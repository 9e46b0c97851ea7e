"""Azure Resource Manager's endpoint, and which URLs stay on this machine."""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

PUBLIC_AZURE: Final = "https://management.azure.com"
"""Resource Manager of the public cloud."""


def is_loopback(url: str) -> bool:
    """Say whether a URL stays on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
