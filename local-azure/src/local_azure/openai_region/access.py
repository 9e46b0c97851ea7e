"""Who may use an account: Entra tokens and role assignments, or keys where they are enabled."""

import hmac
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from local_azure.identity import Tokens
from local_azure.openai_region import errors
from local_azure.roles import INFERENCE, id_of
from local_azure.store import Resource, Resources

AUDIENCE: Final = "https://cognitiveservices.azure.com"
ROLE_ASSIGNMENT: Final = "Microsoft.Authorization/roleAssignments"


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
        scope = assignment.id.lower().partition("/providers/microsoft.authorization/")[0]
        if (
            properties["principalId"].lower() == principal.lower()
            and id_of(properties["roleDefinitionId"]) in INFERENCE
            and (account == scope or account.startswith(f"{scope}/"))
            and _moment(properties.get("createdOn", "")) <= assigned_by
        ):
            return True
    return False


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0
