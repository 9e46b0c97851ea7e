"""Reads the pool as Azure Resource Manager has it now: what was deployed, not what was meant."""

import asyncio
import logging
from typing import Final

import httpx

from components.endpoints import connection, is_loopback
from probes.interpretation import at
from probes.outputs import Stack
from probes.pool import Pool, PoolMember

API_VERSION: Final = "2024-05-01"

_REMEDIES: Final = {
    401: "the token is refused; sign in to the stack's tenant with `az login`",
    403: "the identity may not read the pool; give it the role Reader",
    404: "there is no such pool; is the stack deployed, and is ARM_ENDPOINT the Azure it is in?",
}


async def read_pool(stack: Stack, endpoint: str, *, limit: float) -> Pool:
    """GET the pool from Resource Manager at `endpoint`; what goes wrong is told by `unread`.

    The token comes from azure-identity's DefaultAzureCredential; none is needed on loopback.
    `limit` is the time for all of it, in seconds.
    """
    local = is_loopback(endpoint)
    if not local and not endpoint.startswith("https://"):
        return Pool(unread=f"ARM_ENDPOINT {endpoint} is no https URL: a token would be readable")
    try:
        async with asyncio.timeout(limit):
            headers = {} if local else {"Authorization": f"Bearer {await _token(endpoint)}"}
            async with httpx.AsyncClient(timeout=limit, **connection(endpoint)) as client:
                answer = await client.get(
                    f"{endpoint.rstrip('/')}{stack.pool_id}?api-version={API_VERSION}",
                    headers=headers,
                )
    except _NoTokenError as error:
        return Pool(unread=str(error))
    except (TimeoutError, httpx.TimeoutException):
        return Pool(unread=f"{endpoint} did not answer within {limit:g} s")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = stack.redact(str(error)) or type(error).__name__
        return Pool(unread=f"{endpoint}: {reason}; is ARM_ENDPOINT right?")
    return _pool(answer, stack)


def _pool(answer: httpx.Response, stack: Stack) -> Pool:
    status = answer.status_code
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        body = None
    if status != httpx.codes.OK:
        code = stack.redact(str(at(body, "error", "code") or answer.reason_phrase))
        return Pool(status=status, unread=f"{code}: {_REMEDIES.get(status, 'try again later')}")
    services = at(body, "properties", "pool", "services")
    if not isinstance(services, list):
        return Pool(status=status, unread=f"the answer for {stack.pool_name} holds no pool")
    members = tuple(
        PoolMember(
            name=stack.redact(str(at(service, "id"))).rpartition("/")[2],
            priority=_number(at(service, "priority")),
            weight=_number(at(service, "weight")),
        )
        for service in services
    )
    return Pool(status=status, members=members)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


# It logs a paragraph for each way to sign in that failed, which Python prints unless somebody
# listens; `_NoTokenError` says in a line what to do.
logging.getLogger("azure.identity").addHandler(logging.NullHandler())


class _NoTokenError(Exception):
    """There is no token; the message says why and what to do."""


async def _token(endpoint: str) -> str:
    # Only here: azure-identity takes longer to import than a whole run on the local Azure.
    try:
        from azure.core.exceptions import ClientAuthenticationError  # noqa: PLC0415
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415
    except ImportError:
        raise _NoTokenError(
            "azure-identity is missing; `pip install azure-identity`, or --skip-control-plane"
        ) from None
    try:
        with DefaultAzureCredential() as credential:
            scope = f"{endpoint.rstrip('/')}/.default"
            token = await asyncio.to_thread(credential.get_token, scope)
    except ClientAuthenticationError:  # CredentialUnavailableError is one
        raise _NoTokenError(
            "no Azure credential gives a token; `az login`, or set AZURE_CLIENT_ID, "
            "AZURE_TENANT_ID and AZURE_CLIENT_SECRET, or --skip-control-plane"
        ) from None
    return token.token
