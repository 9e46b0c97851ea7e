"""The one client of Azure Resource Manager: where it is, who asks, and what its refusals mean.

The look-ups of what exists and the probe read by it. It never writes, and imports what it needs to
ask only when it asks: most previews ask nothing.
"""

import ipaddress
import json
import os
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

PUBLIC_AZURE: Final = "https://management.azure.com"
"""Resource Manager of the public cloud."""
API_MANAGEMENT: Final = "2024-05-01"
"""API version of Microsoft.ApiManagement: azure-native 3's own."""
COGNITIVE_SERVICES: Final = "2025-06-01"
"""API version of Microsoft.CognitiveServices: azure-native 3's own."""
SUBSCRIPTIONS: Final = "2022-12-01"
"""API version of a subscription and its locations."""
OPENAI_USER: Final = "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd"
"""Id of the role Cognitive Services OpenAI User (Azure documentation, "Azure built-in roles")."""

_SOVEREIGN: Final = ("https://management.usgovcloudapi.net", "https://management.chinacloudapi.cn")
_LARGEST: Final = 10_000_000  # bytes of an answer; one page of a long list has 1,000,000
_REMEDIES: Final = {
    401: "the token is refused; sign in to the right tenant with `az login`",
    403: "this identity may not read it; give it the role Reader",
    404: "there is no such resource; is it deployed, and is ARM_ENDPOINT the Azure it is in?",
}


class ResourceManagerError(Exception):
    """Resource Manager did not give what was asked for; the message says why and what to do.

    `status` is None where there was no answer. `code` is Azure's own word, such as
    `ResourceNotFound`, or empty.
    """

    def __init__(self, status: int | None, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def endpoint_of_environment() -> str:
    """ARM_ENDPOINT, which is public Azure unless it is set."""
    return (os.environ.get("ARM_ENDPOINT") or PUBLIC_AZURE).rstrip("/")


def connection(url: str) -> dict[str, Any]:
    """Return what an httpx client for a URL is made with: `trust_env` and `verify`.

    A proxy in the environment is no way to this machine. `SSL_CERT_FILE` counts here, too, which
    httpx leaves unread without `trust_env`; without TLS no certificates are loaded.
    """
    import httpx  # noqa: PLC0415

    verify = httpx.create_ssl_context() if url.startswith("https:") else False
    return {"trust_env": not is_loopback(url), "verify": verify}


class ResourceManager:
    """Reads from Resource Manager at `endpoint`, by default that of the environment.

    `token` gives a bearer token, by default of azure-identity; it is asked once. A request may take
    `limit` seconds. Everything raises ResourceManagerError.

        ResourceManager().get(pool_id, API_MANAGEMENT)["properties"]["pool"]
    """

    def __init__(
        self,
        token: Callable[[], str] | None = None,
        endpoint: str | None = None,
        limit: float = 60.0,
    ) -> None:
        self.endpoint = endpoint.rstrip("/") if endpoint else endpoint_of_environment()
        self._token = token or (lambda: sign_in(self.endpoint))
        self._limit = limit
        self._headers: dict[str, str] = {}

    def get(self, path: str, api_version: str) -> dict[str, Any]:
        """Return the resource at a path, which begins with `/`."""
        return self._ask(f"{self.endpoint}{path}?api-version={api_version}")

    def pages(self, path: str, api_version: str) -> Iterator[dict[str, Any]]:
        """Give each item of the list at a path, page by page; a link to another host is refused."""
        url = f"{self.endpoint}{path}?api-version={api_version}"
        while url:
            page = self._ask(url)
            items = page.get("value")
            if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
                raise self._error(200, "the answer is no list of resources")
            yield from items
            url = page.get("nextLink") or ""
            if url and _origin(url) != _origin(self.endpoint):
                raise self._error(200, f"the list goes on at another host: {_shown(url)}")

    def locations(self, subscription: str) -> dict[str, str]:
        """Return the locations that a subscription may use: name to display name."""
        path = f"/subscriptions/{subscription}/locations"
        return {
            str(each["name"]): str(each.get("displayName") or each["name"])
            for each in self.pages(path, SUBSCRIPTIONS)
            if each.get("name")
        }

    def _ask(self, url: str) -> dict[str, Any]:
        if not self._headers:
            if not self.endpoint.startswith("https://") and not is_loopback(self.endpoint):
                problem = "is no https URL: a token would be readable; is ARM_ENDPOINT right?"
                raise self._error(None, problem)
            self._headers = {"Authorization": f"Bearer {self._token()}"}
        import httpx  # noqa: PLC0415

        try:
            with (
                httpx.Client(timeout=self._limit, **connection(self.endpoint)) as client,
                client.stream("GET", url, headers=self._headers) as answer,
            ):
                body = b""
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > _LARGEST:
                        break
        except httpx.TimeoutException:
            raise self._error(None, f"no answer within {self._limit:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = _shown(str(error)) or type(error).__name__
            raise self._error(None, f"{reason}; is ARM_ENDPOINT right?") from None
        document = _json(body)
        if answer.status_code != httpx.codes.OK:
            told = document.get("error") if isinstance(document, dict) else None
            named = told.get("code") if isinstance(told, dict) else None
            code = _shown(named or answer.reason_phrase or answer.status_code)
            remedy = _REMEDIES.get(answer.status_code, "try again later")
            raise ResourceManagerError(answer.status_code, code, f"{code}: {remedy}")
        if not isinstance(document, dict):
            raise self._error(200, "the answer is no JSON object; is ARM_ENDPOINT right?")
        return document

    def _error(self, status: int | None, problem: str) -> ResourceManagerError:
        return ResourceManagerError(status, "", f"{self.endpoint}: {problem}")


def sign_in(endpoint: str) -> str:
    """Return a token for an endpoint, as azure-native signs in. Raises ResourceManagerError.

    ARM_CLIENT_ID and ARM_TENANT_ID are a service principal, with ARM_CLIENT_SECRET or, for
    ARM_USE_OIDC, with the token of ARM_OIDC_TOKEN or of GitHub Actions; without them it is azure-
    identity's DefaultAzureCredential, which knows `az login` and managed identities. It blocks.
    """
    try:
        from azure.core.exceptions import ClientAuthenticationError  # noqa: PLC0415
        from azure.identity import (  # noqa: PLC0415 - takes longer to import than a verdict
            ClientAssertionCredential,
            ClientSecretCredential,
            DefaultAzureCredential,
        )
    except ImportError:
        remedy = "azure-identity is missing; `pip install azure-identity`"
        raise ResourceManagerError(None, "", remedy) from None
    _quiet()
    names = ("ARM_TENANT_ID", "ARM_CLIENT_ID", "ARM_CLIENT_SECRET")
    tenant, client, secret = (os.environ.get(name, "") for name in names)
    # Microsoft's own list of authorities knows none that somebody names by this variable.
    options = {"disable_instance_discovery": bool(os.environ.get("AZURE_AUTHORITY_HOST"))}
    credential: ClientSecretCredential | ClientAssertionCredential | DefaultAzureCredential
    if tenant and client and secret:
        credential = ClientSecretCredential(tenant, client, secret, **options)
    elif tenant and client and os.environ.get("ARM_USE_OIDC", "").lower() in ("true", "1"):
        credential = ClientAssertionCredential(tenant, client, _assertion, **options)
    else:
        credential = DefaultAzureCredential(**options)
    try:
        with credential:
            return credential.get_token(f"{audience(endpoint)}/.default").token
    except ClientAuthenticationError as error:  # CredentialUnavailableError is one
        if tenant and client:
            lines = str(error.message or error).splitlines() or ["no reason given"]
            told = _shown(lines[0].partition(" Trace ID")[0]).rstrip(".")
            reason = f"{told}; is the service principal of ARM_CLIENT_ID right?"
        else:
            reason = (
                "no Azure credential gives a token; `az login`, or set ARM_CLIENT_ID, "
                "ARM_TENANT_ID and ARM_CLIENT_SECRET"
            )
    except Exception as error:  # noqa: BLE001 - whatever a credential's own transport raises
        reason = f"no token: {_shown(str(error)) or type(error).__name__}"
    raise ResourceManagerError(None, "", reason)


def audience(endpoint: str) -> str:
    """Return whom a token for an endpoint is for: the cloud, not the endpoint of one region."""
    host = urlsplit(endpoint).hostname or ""
    clouds = (cloud for cloud in _SOVEREIGN if host.endswith(cloud.partition("management")[2]))
    return next(clouds, PUBLIC_AZURE)


def _assertion() -> str:
    """Return the federated token that ARM_USE_OIDC means, as azure-native finds it."""
    import httpx  # noqa: PLC0415

    if token := os.environ.get("ARM_OIDC_TOKEN"):
        return token
    url, bearer = (
        os.environ.get(f"ARM_OIDC_{name}") or os.environ.get(f"ACTIONS_ID_TOKEN_{name}", "")
        for name in ("REQUEST_URL", "REQUEST_TOKEN")
    )
    if not url:
        raise ResourceManagerError(
            None, "", "ARM_USE_OIDC is set, but neither ARM_OIDC_TOKEN nor GitHub's request URL"
        )
    answer = httpx.get(
        url,
        params={"audience": "api://AzureADTokenExchange"},
        headers={"Authorization": f"Bearer {bearer}"},
        **connection(url),
    )
    return str(answer.raise_for_status().json()["value"])


def _quiet() -> None:
    """Stop the paragraphs that azure-identity logs for each way to sign in that failed.

    Python prints what nobody listens to; the error says in a line what to do.
    """
    import logging  # noqa: PLC0415

    logger = logging.getLogger("azure.identity")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _origin(url: object) -> tuple[str, str | None]:
    """Return what must stay for a token to stay safe; Azure's links may name the port, too."""
    try:
        return urlsplit(str(url)).scheme, urlsplit(str(url)).hostname
    except ValueError:
        return "", None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _shown(text: object) -> str:
    """Return a text of the network's making in one short line."""
    line = "".join(c if c.isprintable() else " " for c in str(text)[:1000])
    return " ".join(line.split())[:300]
