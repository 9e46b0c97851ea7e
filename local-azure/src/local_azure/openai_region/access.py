"""Who may use an account: Entra tokens and role assignments, or keys where they are enabled."""

import hmac
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from local_azure.identity import Tokens
from local_azure.openai_region import errors
from local_azure.store import Resource, Resources

AUDIENCE: Final = "https://cognitiveservices.azure.com"
ROLE_ASSIGNMENT: Final = "Microsoft.Authorization/roleAssignments"

# Built-in roles whose data actions include inference (documentation, "Azure built-in roles").
ROLES: Final = frozenset(
    {
        "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd",  # Cognitive Services OpenAI User
        "a001fd3d-188f-4b5d-821b-7da978bf7442",  # Cognitive Services OpenAI Contributor
        "a97b65f3-24c7-4388-baec-2e87135dc908",  # Cognitive Services User
    }
)


def check(
    headers: Mapping[str, str],
    account: Resource,
    resources: Resources,
    tokens: Tokens,
    assigned_by: float = math.inf,
) -> None:
    """Let a request pass. Raises ApiError: 401 or 403, as Azure OpenAI answers.

    An Entra token counts before a key, when both are sent. Roles count that were assigned by a
    moment, in seconds since the epoch.
    """
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        principal = tokens.principal(token.strip(), AUDIENCE)
        if principal is None:
            raise errors.invalid_token(AUDIENCE)
        if not _has_role(principal, account.id, resources, assigned_by):
            raise errors.permission_denied()
        return
    key = headers.get("api-key")
    if key is None:
        raise errors.unauthenticated()
    if account.body["properties"].get("disableLocalAuth"):
        raise errors.local_auth_disabled()
    given = key.encode("utf-8", errors="surrogateescape")
    # Both keys are compared whatever the first says: the time taken tells nothing.
    good = [
        hmac.compare_digest(value.encode(), given)
        for value in resources.secrets(account.id).values()
    ]
    if not any(good):
        raise errors.unauthenticated()


def _has_role(principal: str, account_id: str, resources: Resources, assigned_by: float) -> bool:
    account = account_id.lower()
    for assignment in resources.list(ROLE_ASSIGNMENT):
        properties = assignment.body["properties"]
        role = properties["roleDefinitionId"].rpartition("/")[2].lower()
        scope = assignment.id.lower().partition("/providers/microsoft.authorization/")[0]
        if (
            properties["principalId"].lower() == principal.lower()
            and role in ROLES
            and (account == scope or account.startswith(f"{scope}/"))
            and _moment(properties.get("createdOn", "")) <= assigned_by
        ):
            return True
    return False


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0
