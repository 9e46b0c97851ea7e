"""Entra ID as far as a program meets it: it signs in as an application, and gets a token.

Sources: OAuth 2.0 client credentials on the Microsoft identity platform; RFC 6749; Microsoft Entra
authentication error codes; Managed identities in App Service, REST endpoint reference.
"""

import hmac
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from local_azure.identity import (
    APPLICATIONS,
    CLIENT_ID,
    ISSUER,
    MANAGED_IDENTITY_PATH,
    Secrets,
    Tokens,
)
from local_azure.local import TENANT_ID
from local_azure.monitor import LOG_ANALYTICS
from local_azure.openai_region import access
from local_azure.resource_manager import sign_in

_RESOURCES: Final = frozenset({*sign_in.AUDIENCES, access.AUDIENCE, LOG_ANALYTICS})
_LIFETIME: Final = 3600
_SCOPE_SUFFIX: Final = "/.default"
# OpenID Connect's own; MSAL for Go asks for them beside the resource.
_OF_OPENID: Final = frozenset({"openid", "offline_access", "profile", "email"})


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """One way to be refused; `number` is the AADSTS code."""

    number: int
    error: str
    message: str
    status: int = 400


_RULES: Final = {
    "tenant": _Rule(
        number=90002,
        error="invalid_request",
        message="Tenant '{value}' not found. Check to make sure you have the correct tenant ID and"
        " are signing into the correct cloud.",
    ),
    "parameter": _Rule(
        number=900144,
        error="invalid_request",
        message="The request body must contain the following parameter: '{value}'.",
    ),
    "grant type": _Rule(
        number=70003,
        error="unsupported_grant_type",
        message="The app requested an unsupported grant type '{value}'.",
    ),
    "application": _Rule(
        number=700016,
        error="unauthorized_client",
        message="Application with identifier '{value}' was not found in the directory"
        f" '{TENANT_ID}'.",
    ),
    "no secret": _Rule(
        number=7000218,
        error="invalid_client",
        message="The request body must contain the following parameter: 'client_assertion' or"
        " 'client_secret'.",
        status=401,
    ),
    "wrong secret": _Rule(
        number=7000215,
        error="invalid_client",
        message="Invalid client secret provided. Ensure the secret being sent in the request is the"
        " client secret value, not the client secret ID, for a secret added to app '{value}'.",
        status=401,
    ),
    "scope": _Rule(
        number=1002012,
        error="invalid_scope",
        message="The provided value for scope {value} is not valid. Client credential flows must"
        " have a scope value with /.default suffixed to the resource identifier (application ID"
        " URI).",
    ),
    "resource": _Rule(
        number=500011,
        error="invalid_resource",
        message="The resource principal named {value} was not found in the tenant named"
        f" {TENANT_ID}.",
    ),
}


class _RefusalError(Exception):
    """A request that breaks a rule; `value` is what is wrong."""

    def __init__(self, rule: str, value: str = "") -> None:
        self.rule = _RULES[rule]
        self.message = self.rule.message.format(value=value)

    @property
    def body(self) -> Mapping[str, Any]:
        """The answer's body (RFC 6749, section 5.2, with what Entra adds)."""
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        timestamp = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
        return {
            "error": self.rule.error,
            "error_description": f"AADSTS{self.rule.number}: {self.message} Trace ID: {trace}"
            f" Correlation ID: {correlation} Timestamp: {timestamp}",
            "error_codes": [self.rule.number],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
        }


def routes(tokens: Tokens, secrets: Secrets) -> list[web.RouteDef]:
    """Return the token endpoint, its discovery, and the managed identity's endpoint."""
    entra = _Entra(tokens, secrets)
    found = "/.well-known/openid-configuration"
    return [
        web.get(f"/{{tenant}}{found}", _answering(entra.discovery)),
        web.get(f"/{{tenant}}/v2.0{found}", _answering(entra.discovery)),
        web.get("/common/discovery/instance", _answering(entra.instance)),
        web.get("/{tenant}/discovery/v2.0/keys", _answering(entra.keys)),
        web.post("/{tenant}/oauth2/v2.0/token", _answering(entra.token)),
        web.post("/{tenant}/oauth2/token", _answering(entra.token_of_resource)),
        web.get(MANAGED_IDENTITY_PATH, entra.managed_identity),
    ]


def _answering(
    answer: Callable[[web.Request], Awaitable[Mapping[str, Any]]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            return web.json_response(await answer(request), headers={"Cache-Control": "no-store"})
        except _RefusalError as refusal:
            return web.json_response(refusal.body, status=refusal.rule.status)

    return handle


class _Entra:
    def __init__(self, tokens: Tokens, secrets: Secrets) -> None:
        self._tokens = tokens
        self._secrets = secrets

    async def discovery(self, request: web.Request) -> Mapping[str, Any]:
        """Describe the tenant (OpenID Connect Discovery 1.0)."""
        tenant = _tenant(request)
        base = f"{request.scheme}://{request.host}/{tenant}"
        return {
            "issuer": ISSUER,
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "grant_types_supported": ["client_credentials"],
        }

    async def keys(self, request: web.Request) -> Mapping[str, Any]:
        """List the public keys (RFC 7517): none, for what signs is a secret."""
        _tenant(request)
        return {"keys": []}

    async def instance(self, request: web.Request) -> Mapping[str, Any]:
        """Say that the authority that is asked for is this one."""
        host = request.host
        return {
            "tenant_discovery_endpoint": f"{request.scheme}://{host}/{TENANT_ID}/v2.0"
            "/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }

    async def token(self, request: web.Request) -> Mapping[str, Any]:
        """Issue a token for a scope, as version 2 of the endpoint does."""
        form = await self._signed_in(request)
        scope = _parameter(form, "scope")
        resources = [each for each in scope.split() if each not in _OF_OPENID]
        if len(resources) != 1 or not resources[0].endswith(_SCOPE_SUFFIX):
            raise _RefusalError("scope", scope)
        return self._issue(resources[0].removesuffix(_SCOPE_SUFFIX), form["client_id"])

    async def token_of_resource(self, request: web.Request) -> Mapping[str, Any]:
        """Issue a token for a resource, as version 1 of the endpoint does: numbers are texts."""
        form = await self._signed_in(request)
        return self._issue_v1(_parameter(form, "resource"), form["client_id"])

    async def managed_identity(self, request: web.Request) -> web.Response:
        """Issue a token to who is on this machine, as App Service does."""

        def refuse(status: int, message: str) -> web.Response:
            return web.json_response({"statusCode": status, "message": message}, status=status)

        given = request.headers.get("X-IDENTITY-HEADER", "")
        if not _is_secret(given, self._secrets.identity_header):
            return refuse(401, "X-IDENTITY-HEADER is missing or wrong.")
        client_id = request.query.get("client_id", CLIENT_ID)
        if client_id.lower() not in APPLICATIONS:
            return refuse(400, "No User Assigned Managed Identity found for specified ClientId.")
        try:
            resource = _parameter(request.query, "resource")
            return web.json_response(self._issue_v1(resource, client_id))
        except _RefusalError as refusal:
            return refuse(400, refusal.message)

    async def _signed_in(self, request: web.Request) -> Mapping[str, str]:
        """Return the form of one of the applications; refuse any other's."""
        _tenant(request)
        sent = (await request.read()).decode("utf-8", errors="replace")
        form = dict(parse_qsl(sent, keep_blank_values=True))
        grant_type = _parameter(form, "grant_type")
        if grant_type != "client_credentials":
            raise _RefusalError("grant type", grant_type)
        client_id = _parameter(form, "client_id")
        if client_id.lower() not in APPLICATIONS:
            raise _RefusalError("application", client_id)
        if "client_secret" not in form:
            raise _RefusalError("no secret")
        if not _is_secret(form["client_secret"], self._secrets.client_secret):
            raise _RefusalError("wrong secret", client_id)
        return form

    def _issue(self, resource: str, client_id: str) -> Mapping[str, Any]:
        if urlsplit(resource).hostname in ("127.0.0.1", "localhost"):
            resource = LOG_ANALYTICS  # this cloud's own address, which its metadata has for logs
        if resource.rstrip("/").lower() not in _RESOURCES:
            raise _RefusalError("resource", resource)
        return {
            "token_type": "Bearer",
            "expires_in": _LIFETIME,
            "ext_expires_in": _LIFETIME,
            "access_token": self._tokens.of_application(
                resource, _LIFETIME, client_id=client_id.lower()
            ),
        }

    def _issue_v1(self, resource: str, client_id: str) -> Mapping[str, Any]:
        issued = self._issue(resource, client_id)
        return {
            **issued,
            "resource": resource,
            "expires_in": str(_LIFETIME),
            "expires_on": str(int(time.time()) + _LIFETIME),
        }


def _tenant(request: web.Request) -> str:
    tenant = request.match_info["tenant"]
    if tenant.lower() != TENANT_ID:
        raise _RefusalError("tenant", tenant)
    return tenant


def _parameter(values: Mapping[str, str], name: str) -> str:
    if not values.get(name):
        raise _RefusalError("parameter", name)
    return values[name]


def _is_secret(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())
