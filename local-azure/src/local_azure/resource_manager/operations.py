"""Long-running operations: their records, and the state of a resource at a moment.

An operation is over when its time has come: nothing runs in the background, so nothing is lost
when the process is killed.
"""

import math
import uuid
from collections.abc import Mapping
from typing import Any

from local_azure.resource_manager.paths import OPERATION_RESULT
from local_azure.resource_manager.request import Request, timestamp
from local_azure.store import Resource, Transaction

# Azure keeps the result of an operation for a while; an hour is enough for any client here.
KEPT_SECONDS = 3600.0


def is_pending(resource: Resource, now: float) -> bool:
    """Tell whether an operation on the resource, or the operation itself, is still going on."""
    return bool(resource.pending) and now < resource.ready_at


def at_moment(resource: Resource, now: float) -> Mapping[str, Any]:
    """Return the body GET answers with: the state is what it is at that moment."""
    body = resource.body
    if not is_pending(resource, now):
        return body
    if "properties" in body:
        properties = {**body["properties"], "provisioningState": resource.pending}
        return {**body, "properties": properties}
    return {**body, "status": resource.pending, "percentComplete": 0.0}


def start(transaction: Transaction, request: Request, location: str) -> Resource:
    """Record an operation on the resource of a request; it commits with what it is about."""
    name = str(uuid.uuid4())
    ends_at = request.now + request.azure.provisioning_seconds
    subscription_id = f"/subscriptions/{request.azure.subscription_id}"
    if request.kind is None:
        raise TypeError("only a known type has operations")
    kind = f"{request.kind.namespace}/locations/operationStatuses"
    operation_id = (
        f"{subscription_id}/providers/{request.kind.namespace}"
        f"/locations/{location}/operationStatuses/{name}"
    )
    if request.kind.namespace == "Microsoft.Resources":
        kind = OPERATION_RESULT
        operation_id = f"{subscription_id}/operationresults/{name}"
    operation = Resource(
        id=operation_id,
        type=kind,
        body={
            "id": operation_id,
            "name": name,
            "status": "Succeeded",
            "percentComplete": 100.0,
            "startTime": timestamp(request.now),
            "endTime": timestamp(ends_at),
            "resourceId": request.id,
        },
        etag=transaction.etag,
        pending="InProgress",
        ready_at=ends_at,
        expires_at=ends_at + KEPT_SECONDS,
    )
    transaction.put(operation)
    return operation


def headers(operation: Resource, request: Request, base_url: str) -> dict[str, str]:
    """Return the headers that tell a client where to poll, and when to look again."""
    query = f"?api-version={request.api_version}"
    result_id = operation.id.replace("/operationStatuses/", "/operationResults/")
    polling = {"Location": f"{base_url}{result_id}{query}"}
    if operation.type != OPERATION_RESULT:
        polling["Azure-AsyncOperation"] = f"{base_url}{operation.id}{query}"
    return polling | retry_after(operation.ready_at - request.now)


def retry_after(seconds: float) -> dict[str, str]:
    """Return the headers for when to ask again; whole seconds only when there are that many."""
    # Azure's SDKs read either header, and wait 30 s when they find none.
    again = {"x-ms-retry-after-ms": str(max(1, math.ceil(seconds * 1000)))}
    if seconds >= 1:
        again["Retry-After"] = str(math.ceil(seconds))
    return again


def operation_of(request: Request) -> Resource | None:
    """Return the operation that a Location header pointed to."""
    if request.path.type == OPERATION_RESULT:
        return request.existing
    return request.find(f"{request.parent_id}/operationStatuses/{request.path.name}")
