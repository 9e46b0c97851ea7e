"""Who may ask Resource Manager: who brings a good token, as in Azure."""

import time
from collections.abc import Mapping
from typing import Any, Final

from local_azure.identity import RESOURCE_MANAGER, Reason, TokenError, Tokens
from local_azure.resource_manager.errors import ArmError

AUDIENCES: Final = ("https://management.core.windows.net", RESOURCE_MANAGER)
MISSING: Final = "AuthenticationFailed"

# Source: M, Resource Manager's answers as issue threads quote them.
_NO_HEADER: Final = "The authentication failed because of missing 'Authorization' header."
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


def check(headers: Mapping[str, str], tokens: Tokens, now: float) -> Mapping[str, Any]:
    """Return what a good token says of who asks. Raises ArmError, a 401, for any other."""
    header = headers.get("Authorization")
    if header is None:
        raise ArmError(
            401, MISSING, "Authentication failed. The 'Authorization' header is missing."
        )
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise ArmError(
            401,
            "AuthenticationFailedInvalidHeader",
            "Authentication failed. The 'Authorization' header is provided in an invalid format.",
        )
    try:
        return tokens.claims(token.strip(), *AUDIENCES)
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
    said = _NO_HEADER if code == MISSING else code
    return (
        f'Bearer authorization_uri="https://{host}/{tenant_id}", error="invalid_token",'
        f' error_description="{said}"'
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
        "logAnalyticsResourceId": endpoint,
        "suffixes": {},
    }
