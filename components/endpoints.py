"""Azure Resource Manager's endpoint, and which URLs stay on this machine."""

import ipaddress
from typing import Any, Final
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


def connection(url: str) -> dict[str, Any]:
    """Return what an httpx client for a URL is made with: `trust_env` and `verify`.

    A proxy in the environment is no way to this machine. `SSL_CERT_FILE` counts here, too, which
    httpx leaves unread without `trust_env`; without TLS no certificates are loaded.
    """
    import httpx  # noqa: PLC0415 - most previews need no client

    verify = httpx.create_ssl_context() if url.startswith("https:") else False
    return {"trust_env": not is_loopback(url), "verify": verify}
