"""What an identity may do: by the role that its application has, and by those assigned to it.

Source: H, Azure built-in roles; H, Troubleshoot Azure RBAC, for the refusal.
"""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from local_azure import roles
from local_azure.identity import APPLICATIONS
from local_azure.resource_manager import resource_types as types
from local_azure.resource_manager.errors import ArmError
from local_azure.resource_manager.paths import RESOURCE_GROUP, SUBSCRIPTION, ArmPath
from local_azure.store import View

# Actions of the roles, as far as they reach what is here; the other roles have data actions alone.
_ACTIONS: Final = {
    "Owner": ("*",),
    "Contributor": ("*",),
    "Reader": ("*/read",),
    "Log Analytics Reader": ("*/read",),
    "Monitoring Reader": ("*/read",),
    "API Management Service Contributor": (
        "Microsoft.ApiManagement/service/*",
        "Microsoft.Authorization/*/read",
        "Microsoft.Resources/subscriptions/resourceGroups/read",
    ),
    "API Management Service Reader Role": (
        "Microsoft.ApiManagement/service/*/read",
        "Microsoft.ApiManagement/service/read",
        "Microsoft.Authorization/*/read",
        "Microsoft.Resources/subscriptions/resourceGroups/read",
    ),
}
_WITHHELD: Final = {
    "Contributor": (
        "Microsoft.Authorization/*/Delete",
        "Microsoft.Authorization/*/Write",
        "Microsoft.CognitiveServices/*/deletedAccounts/delete",
    ),
}
_OF_APPLICATIONS: Final = {each.principal_id: each.role for each in APPLICATIONS.values()}
_VERBS: Final = {"PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}


def check(claims: Mapping[str, Any], method: str, path: ArmPath, view: View) -> None:
    """Let a request pass. Raises ArmError, a 403, for what no role of the asker allows.

    That comes before whether there is what is asked for.
    """
    if not path.steps and not path.tail:
        return
    action = f"{_kind(path)}/{_VERBS.get(method, 'read')}"
    if allows(claims, action, path.id, view):
        return
    raise ArmError(
        403,
        "AuthorizationFailed",
        f"The client '{claims['appid']}' with object id '{claims['oid']}' does not have"
        f" authorization to perform action '{action}' over scope '{path.id}' or the scope is"
        " invalid. If access was recently granted, please refresh your credentials.",
    )


def allows(claims: Mapping[str, Any], action: str, scope: str, view: View) -> bool:
    """Tell whether a role of the asker allows an action over a scope."""
    return any(
        _names(_ACTIONS.get(role, ()), action) and not _names(_WITHHELD.get(role, ()), action)
        for role in _roles(claims, scope, view)
    )


def _kind(path: ArmPath) -> str:
    # Actions have resource groups under subscriptions.
    return path.type.replace(RESOURCE_GROUP, f"{SUBSCRIPTION}/resourceGroups")


def _roles(claims: Mapping[str, Any], scope: str, view: View) -> Iterator[str]:
    yield _OF_APPLICATIONS.get(claims["oid"], "")
    for assignment in view.list(types.ROLE_ASSIGNMENT):
        assigned = assignment.body["properties"]
        inside = f"{scope}/".lower().startswith(f"{assigned['scope']}/".lower())
        if inside and assigned["principalId"].lower() == claims["oid"].lower():
            yield roles.ROLES.get(roles.id_of(assigned["roleDefinitionId"]), "")


def _names(patterns: tuple[str, ...], action: str) -> bool:
    return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)
