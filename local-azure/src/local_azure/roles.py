"""Azure's built-in roles, by id (documentation, "Azure built-in roles")."""

from typing import Final

INFERENCE: Final = {
    "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd": "Cognitive Services OpenAI User",
    "a001fd3d-188f-4b5d-821b-7da978bf7442": "Cognitive Services OpenAI Contributor",
    "a97b65f3-24c7-4388-baec-2e87135dc908": "Cognitive Services User",
}
"""Those whose data actions include inference."""

ROLES: Final = {
    **INFERENCE,
    "312a565d-c81f-4fd8-895a-4e21e48d571c": "API Management Service Contributor",
    "71522526-b88f-4d52-b57f-d31fc3546d0d": "API Management Service Reader Role",
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": "Reader",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
    "73c42c96-874c-492b-b04d-ab87d138a893": "Log Analytics Reader",
    "43d0d8ad-25c7-4714-9337-8ba259a9fe05": "Monitoring Reader",
}


def id_of(role_definition_id: str) -> str:
    """Return the id of a role as a key of these tables, from a role assignment's path to it."""
    return role_definition_id.rpartition("/")[2].lower()
