"""The one client of Azure Resource Manager: where it is, who asks, and what its refusals mean.

The look-ups of what exists and the probe read by it. It never writes, and imports what it needs to
ask only when it asks: most previews ask nothing.
"""

import ipaddress
import json
import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx
    import pulumi

PUBLIC_AZURE: Final = "https://management.azure.com"
# API versions; all but the last are azure-native 3's own.
API_MANAGEMENT: Final = "2024-05-01"
COGNITIVE_SERVICES: Final = "2025-06-01"
OPERATIONAL_INSIGHTS: Final = "2023-09-01"
SUBSCRIPTIONS: Final = "2022-12-01"
OPENAI_USER: Final = "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd"
"""Id of the role Cognitive Services OpenAI User (Azure documentation, "Azure built-in roles")."""

_SOVEREIGN: Final = ("https://management.usgovcloudapi.net", "https://management.chinacloudapi.cn")
_LARGEST: Final = 10_000_000  # bytes of an answer; one page of a long list has 1,000,000
_NOBODY: Final = logging.NullHandler()
_REMEDIES: Final = {
    401: "the token is refused; sign in to the right tenant with `az login`",
    403: "this identity may not read it; give it the role Reader",
    404: "there is no such resource; is it deployed, and is ARM_ENDPOINT the Azure it is in?",
}
_NO_KEY: Final = (
    "this identity may not look up the key; give it a role with "
    "Microsoft.ApiManagement/service/subscriptions/listSecrets/action"
)


class ResourceManagerError(Exception):
    """Resource Manager did not give what was asked for; the message says why and what to do.

    `status` is None where there was no answer. `code` is Azure's own word, such as
    `ResourceNotFound`, or empty.
    """

    def __init__(self, message: str, status: int | None = None, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


def at(document: Any, *path: str) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def endpoint_of_environment() -> str:
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

    def get(self, path: str, api_version: str) -> dict[str, Any]:
        return self._ask(f"{self.endpoint}{path}?api-version={api_version}")

    def get_all(
        self, paths: Sequence[str], api_version: str
    ) -> list[dict[str, Any] | ResourceManagerError]:
        """GET all at once; an error stands in its place. Nothing waits for threads left behind."""
        found: list[dict[str, Any] | ResourceManagerError] = []

        def one(place: int) -> None:
            try:
                found[place] = self.get(paths[place], api_version)
            except ResourceManagerError as error:
                found[place] = error

        try:
            _ = self._client  # which signs in, once
        except ResourceManagerError as error:
            return [error for _ in paths]
        found += [self._error("no answer")] * len(paths)
        threads = [threading.Thread(target=one, args=(n,), daemon=True) for n in range(len(paths))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    def key_of(self, subscription: str, api_version: str) -> str:
        """Return the key of an API Management subscription by `listSecrets`, which is a POST."""
        url = f"{self.endpoint}{subscription}/listSecrets?api-version={api_version}"
        key = self._ask(url, "POST").get("primaryKey")
        if not key:
            raise self._error("the answer has no key", 200)
        return str(key)

    def pages(self, path: str, api_version: str) -> Iterator[dict[str, Any]]:
        """Give each item of the list at a path, page by page; a link to another host is refused."""
        url = f"{self.endpoint}{path}?api-version={api_version}"
        while url:
            page = self._ask(url)
            items = page.get("value")
            if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
                raise self._error("the answer is no list of resources", 200)
            yield from items
            url = page.get("nextLink") or ""
            if url and _origin(url) != _origin(self.endpoint):
                raise self._error(f"the list goes on at another host: {_shown(url)}", 200)

    def locations(self, subscription: str) -> dict[str, str]:
        """Return the locations that a subscription may deploy to: name to display name."""
        return {
            str(each["name"]): str(each.get("displayName") or each["name"])
            for each in self.pages(f"/subscriptions/{subscription}/locations", SUBSCRIPTIONS)
            # A logical location is a group of others, as `europe`, to which nothing is deployed.
            if each.get("name") and at(each, "metadata", "regionType") != "Logical"
        }

    @cached_property
    def _client(self) -> "httpx.Client":
        import httpx  # noqa: PLC0415

        if not self.endpoint.startswith("https://") and not is_loopback(self.endpoint):
            raise self._error("is no https URL: a token would be readable; is ARM_ENDPOINT right?")
        headers = {"Authorization": f"Bearer {self._token()}"}
        client = httpx.Client(headers=headers, timeout=self._limit, **connection(self.endpoint))
        weakref.finalize(self, client.close)
        return client

    def _ask(self, url: str, method: str = "GET") -> dict[str, Any]:
        import httpx  # noqa: PLC0415

        body = b""
        try:
            with self._client.stream(method, url) as answer:
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > _LARGEST:
                        break
        except httpx.TimeoutException:
            raise self._error(f"no answer within {self._limit:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = _shown(str(error)) or type(error).__name__
            raise self._error(f"{reason}; is ARM_ENDPOINT right?") from None
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        status = answer.status_code
        if status != httpx.codes.OK:
            code = _shown(at(document, "error", "code") or answer.reason_phrase or status)
            remedy = _REMEDIES.get(status, "try again later")
            if (method, status) == ("POST", 403):
                remedy = _NO_KEY
            raise ResourceManagerError(f"{code}: {remedy}", status, code)
        if not isinstance(document, dict):
            raise self._error("the answer is no JSON object; is ARM_ENDPOINT right?", 200)
        return document

    def _error(self, problem: str, status: int | None = None) -> ResourceManagerError:
        return ResourceManagerError(f"{self.endpoint}: {problem}", status)


class Deployer(ResourceManager):
    """Resource Manager as the identity that azure-native deploys by, in its `subscription`.

    Which azure-native that is, `opts` of a component may say, as of a resource.
    """

    def __init__(self, opts: "pulumi.ResourceOptions | None" = None) -> None:
        super().__init__(lambda: self._of_provider("get_client_token").token)
        self._opts = opts

    @cached_property
    def subscription(self) -> str:
        return str(self._of_provider("get_client_config").subscription_id)

    def _of_provider(self, function: str) -> Any:
        import pulumi  # noqa: PLC0415
        from pulumi_azure_native import authorization  # noqa: PLC0415 - most stacks need no look-up

        of = self._opts or pulumi.ResourceOptions()
        given: Any = of.providers or ()
        known = [*(given.values() if isinstance(given, dict) else given), of.provider]
        own = next((each for each in known if each and each.package == "azure-native"), None)
        try:
            opts = pulumi.InvokeOptions(parent=of.parent, provider=own)
            return getattr(authorization, function)(opts=opts)
        except Exception as error:  # noqa: BLE001 - what the SDK raises is of no narrower type
            raise ResourceManagerError(_shown(error)) from None


def sign_in(endpoint: str) -> str:
    """Return a token for an endpoint of Resource Manager. Raises ResourceManagerError."""
    return token_for(audience(endpoint))


def token_for(resource: str) -> str:
    """Return a token for a service of Azure, by azure-identity's DefaultAzureCredential; it blocks.

    That knows `az login`, managed identities, and a service principal in the variables AZURE_*.
    Raises ResourceManagerError.
    """
    try:
        from azure.core.exceptions import ClientAuthenticationError  # noqa: PLC0415
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - slower than a verdict
    except ImportError:
        remedy = "azure-identity is missing; `pip install azure-identity`"
        raise ResourceManagerError(remedy) from None
    # It logs a paragraph for each way to sign in that failed, and Python prints what nobody reads.
    logging.getLogger("azure.identity").addHandler(_NOBODY)
    # Microsoft's own list of authorities knows none that somebody names by this variable.
    own_authority = bool(os.environ.get("AZURE_AUTHORITY_HOST"))
    try:
        with DefaultAzureCredential(disable_instance_discovery=own_authority) as credential:
            return credential.get_token(f"{resource}/.default").token
    except ClientAuthenticationError:  # CredentialUnavailableError is one
        reason = (
            "no Azure credential gives a token; `az login`, or set AZURE_CLIENT_ID, "
            "AZURE_TENANT_ID and AZURE_CLIENT_SECRET"
        )
    except Exception as error:  # noqa: BLE001 - whatever a credential's own transport raises
        reason = f"no token: {_shown(error) or type(error).__name__}"
    raise ResourceManagerError(reason)


def audience(endpoint: str) -> str:
    """Return whom a token for an endpoint is for: the cloud, not the endpoint of one region."""
    host = urlsplit(endpoint).hostname or ""
    clouds = (cloud for cloud in _SOVEREIGN if host.endswith(cloud.partition("management")[2]))
    return next(clouds, PUBLIC_AZURE)


def _origin(url: object) -> tuple[str, str | None]:
    """Return what must stay for a token to stay safe; Azure's links may name the port, too."""
    try:
        return urlsplit(str(url)).scheme, urlsplit(str(url)).hostname
    except ValueError:
        return "", None


def _shown(text: object) -> str:
    line = "".join(c if c.isprintable() else " " for c in str(text)[:1000])
    return " ".join(line.split())[:300]
