"""Who may ask Resource Manager: any good token, or none at all.

Azure takes no request without a token. The local Azure does: it is the laptop of the one who asks.
A token that is sent has to be good, as in Azure.
"""

import time
from collections.abc import Mapping
from typing import Final

from emulator.identity import Reason, TokenError, Tokens
from emulator.resource_manager.errors import ArmError

AUDIENCES: Final = ("https://management.core.windows.net", "https://management.azure.com")

# Source: M, Resource Manager's answers as issue threads quote them.
_REFUSALS: Final = {
    Reason.INVALID: ("InvalidAuthenticationToken", "The access token is invalid."),
    Reason.EXPIRED: (
        "ExpiredAuthenticationToken",
        "The access token expiry UTC time '{expiry}' is earlier than current UTC time '{now}'.",
    ),
    Reason.AUDIENCE: (
        "InvalidAuthenticationTokenAudience",
        (
            "The access token has been obtained for wrong audience or resource '{audience}'. It"
            " should exactly match with one of the allowed audiences '{audiences}'."
        ),
    ),
}


def check(headers: Mapping[str, str], tokens: Tokens, now: float) -> None:
    """Let a request pass. Raises ArmError, a 401, for a token that is no good."""
    header = headers.get("Authorization")
    if header is None:
        return
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise ArmError(
            401,
            "AuthenticationFailedInvalidHeader",
            "Authentication failed. The 'Authorization' header is provided in an invalid format.",
        )
    try:
        tokens.claims(token.strip(), *AUDIENCES)
    except TokenError as error:
        code, message = _REFUSALS[error.reason]
        known = {
            "audience": error.claims.get("aud", ""),
            "audiences": ",".join(f"{each}/" for each in AUDIENCES),
            "expiry": _moment(error.claims.get("exp", 0)),
            "now": _moment(now),
        }
        raise ArmError(401, code, message.format_map(known)) from None


def challenge(host: str, tenant_id: str, code: str) -> str:
    """Return the WWW-Authenticate header of a 401 (RFC 6750, section 3)."""
    return (
        f'Bearer authorization_uri="https://{host}/{tenant_id}", error="invalid_token",'
        f' error_description="{code}"'
    )


def _moment(seconds: float) -> str:
    return time.strftime("%m/%d/%Y %H:%M:%S", time.gmtime(seconds))


def metadata(endpoint: str) -> Mapping[str, object]:
    """Return what a client needs to know of this cloud: the Azure CLI registers it by this.

    Source: the answer of https://management.azure.com/metadata/endpoints.
    """
    return {
        "name": "LocalAzure",
        "portal": endpoint,
        "resourceManager": endpoint,
        "authentication": {
            "loginEndpoint": endpoint,
            "audiences": [f"{audience}/" for audience in AUDIENCES],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "graphAudience": "https://graph.windows.net/",
        "graph": "https://graph.windows.net/",
        "microsoftGraphResourceId": "https://graph.microsoft.com/",
        "suffixes": {},
    }
