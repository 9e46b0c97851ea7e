"""Soft delete: the record an account or a service leaves, and what it keeps for 48 hours."""

from local_azure.resource_manager import resource_types as types
from local_azure.resource_manager.request import Request, timestamp
from local_azure.store import Resource, Transaction

KEPT_SECONDS = 48 * 3600.0


def _deleted_account_id(account_id: str, location: str) -> str:
    """Return the id of the record that a deleted account leaves."""
    _, _, subscription, _, group, *_, name = account_id.split("/")
    return (
        f"/subscriptions/{subscription}/providers/Microsoft.CognitiveServices/locations/{location}"
        f"/resourceGroups/{group}/deletedAccounts/{name}"
    )


def _deleted_service_id(service_id: str, location: str) -> str:
    """Return the id of the record that a deleted service leaves."""
    _, _, subscription, *_, name = service_id.split("/")
    return (
        f"/subscriptions/{subscription}/providers/Microsoft.ApiManagement/locations/{location}"
        f"/deletedservices/{name}"
    )


def record_of(request: Request) -> Resource | None:
    """Return the record that a soft-deleted resource of the request's id left in its location."""
    make_id = _deleted_account_id if request.path.type == types.ACCOUNT else _deleted_service_id
    return request.find(make_id(request.id, request.location))


def restores(request: Request) -> bool:
    """Tell whether the PUT asks for a soft-deleted resource to be brought back."""
    return request.properties.get("restore") is True


def soft_delete(transaction: Transaction, resource: Resource, request: Request) -> None:
    """Put a record in the place of an account or service, from which it can be restored."""
    location = resource.body["location"]
    purged_at = request.now + KEPT_SECONDS
    dates = {
        "deletionDate": timestamp(request.now),
        "scheduledPurgeDate": timestamp(purged_at),
    }
    # Role assignments do not come back (Azure Key Vault, "Soft-delete overview"; ? for accounts).
    for assignment in transaction.list(types.ROLE_ASSIGNMENT, under=resource.id):
        transaction.delete(assignment.id)
    if resource.type == types.ACCOUNT:
        # Deployments do not come back with an account.
        for deployment in transaction.list(types.DEPLOYMENT, under=resource.id):
            transaction.delete(deployment.id)
        record_type = types.DELETED_ACCOUNT
        record_id = _deleted_account_id(resource.id, location)
        properties = {**resource.body["properties"], **dates}
    else:
        record_type = types.DELETED_SERVICE
        record_id = _deleted_service_id(resource.id, location)
        properties = {"serviceId": resource.id, **dates}
    body = {
        "id": record_id,
        "name": resource.body["name"],
        "type": record_type,
        "location": location,
        "properties": properties,
    }
    transaction.keep(
        resource.id,
        Resource(
            id=record_id,
            type=record_type,
            body=body,
            etag=transaction.etag,
            expires_at=purged_at,
        ),
    )
