"""What a gateway runs, read from what is deployed: compiled once for each revision of it."""

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode

from local_azure.gateway import policy
from local_azure.gateway.balancer import Member
from local_azure.gateway.breaker import Rule
from local_azure.gateway.exchange import (
    MEBIBYTE,
    Api,
    BackendEntity,
    Deployment,
    Operation,
    Request,
    Subscription,
    Url,
)
from local_azure.gateway.policy import GLOBAL, Library, Policy, PolicyError
from local_azure.locations import PUBLIC, Locations
from local_azure.store import Resource, Resources

SERVICE: Final = "Microsoft.ApiManagement/service"
CONSUMPTION: Final = "Consumption"

_PARAMETER = re.compile(r"\{(\*?)([^{}]+)\}|(\*)$")


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What a backend is sent besides the request: headers and parameters of the query."""

    headers: Sequence[tuple[str, Sequence[str]]] = ()
    query: Sequence[tuple[str, Sequence[str]]] = ()

    @classmethod
    def of(cls, properties: Mapping[str, Any]) -> "Credentials":
        """Read a backend's properties (API Management 2024-05-01, BackendCredentialsContract)."""
        given = properties.get("credentials") or {}
        headers = dict(given.get("header") or {})
        if signed := given.get("authorization"):
            headers["Authorization"] = [f"{signed['scheme']} {signed['parameter']}"]
        return cls(headers=tuple(headers.items()), query=tuple((given.get("query") or {}).items()))

    def added(self, request: Request) -> Request:
        """Return the request with them: it stays as it is, for an attempt at another backend."""
        if not (self.headers or self.query):
            return request
        headers = request.headers.copy()
        for name, values in self.headers:
            headers.popall(name, None)
            headers.extend((name, value) for value in values)
        more = urlencode(self.query, doseq=True, quote_via=quote)
        query = "&".join(filter(None, (request.url.query, more)))
        return replace(request, headers=headers, url=replace(request.url, query=query))


@dataclass(frozen=True, kw_only=True)
class Backend(BackendEntity):
    """A backend with a url, the rule of its circuit breaker and its credentials."""

    url: Url
    rule: Rule | None
    credentials: Credentials = Credentials()


@dataclass(frozen=True, kw_only=True)
class Pool(BackendEntity):
    """A backend that stands for others; `cookie` names the one of its session affinity."""

    type: str = "Pool"
    members: tuple[Member, ...]
    cookie: str = ""

    def session(self, member: str) -> str:
        """Return the cookie's value for a member: opaque, the same on every unit."""
        return sha256(f"{self.name}/{member}".lower().encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class Unusable:
    """A backend that Resource Manager took and the gateway cannot run: never picked, no crash."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class DeployedOperation:
    """An operation, how requests are matched to it, and the policy they get."""

    context: Operation
    pattern: re.Pattern[str]
    parameters: tuple[str, ...]
    query: tuple[tuple[str, str], ...]
    policy: Policy

    def match(self, method: str, path: str, query: str) -> Mapping[str, str] | None:
        """Return the template's parameters when the operation is what the request asks for."""
        if method != self.context.method:
            return None
        match = self.pattern.fullmatch(path)
        if match is None:
            return None
        if self.query:
            given = dict(parse_qsl(query, keep_blank_values=True))
            for name, value in self.query:
                if name not in given or (not value.startswith("{") and given[name] != value):
                    return None
        return {
            name: unquote(value)
            for name, value in zip(self.parameters, match.groups(), strict=True)
        }


@dataclass(frozen=True, kw_only=True)
class DeployedApi:
    """An API with its operations, and where clients put their key."""

    context: Api
    prefix: str
    operations: Sequence[DeployedOperation]
    key_header: str | None
    key_query: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Match:
    """The operation that a request asks for."""

    api: DeployedApi
    operation: DeployedOperation
    parameters: Mapping[str, str]
    relative_path: str


@dataclass(frozen=True, kw_only=True)
class DeployedSubscription:
    """A subscription with one of its keys; `api` is the one it opens, None stands for all."""

    context: Subscription
    key: bytes
    active: bool
    api: str | None


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Everything one gateway runs; `assigned` has principals by the client id of the identity.

    `tier` is the name of the service's sku.
    """

    apis: Sequence[DeployedApi]
    backends: Mapping[str, Backend | Pool | Unusable]
    subscriptions: Sequence[DeployedSubscription]
    deployment: Deployment
    principal_id: str | None
    assigned: Mapping[str, str]
    tier: str = "Premium"

    @property
    def max_buffered(self) -> int:
        """Bytes of the largest payload that is buffered.

        Source: Azure subscription and service limits, API Management, "Maximum buffered payload
        size": 2 MiB on the v2 tiers and Consumption, 500 MiB on the classic ones.
        """
        return (2 if self.tier == CONSUMPTION or self.tier.endswith("V2") else 500) * MEBIBYTE

    def principal(self, client_id: str | None) -> str | None:
        """Return the principal of the service's own identity, or of an assigned one."""
        return self.principal_id if client_id is None else self.assigned.get(client_id.lower())

    def match(self, method: str, path: str, query: str) -> Match | None:
        """Find what a request asks for; `path` as sent, still encoded."""
        for api in self.apis:
            if path[: len(api.prefix)].lower() != api.prefix:
                continue
            relative = path[len(api.prefix) :]
            if relative and not relative.startswith("/"):
                continue
            for operation in api.operations:
                parameters = operation.match(method, relative.rstrip("/") or "/", query)
                if parameters is not None:
                    return Match(
                        api=api,
                        operation=operation,
                        parameters=parameters,
                        relative_path=relative,
                    )
            # The API with the longest path that fits is the one that was asked for.
            return None
        return None

    def subscription(self, key: str, api: DeployedApi) -> Subscription | None:
        """Find the active subscription a key belongs to, if it opens the API."""
        given = key.encode("utf-8", errors="surrogateescape")
        found = None
        # Every key is compared, in constant time: how long it takes tells nothing.
        for each in self.subscriptions:
            if (
                hmac.compare_digest(each.key, given)
                and each.active
                and each.api in (None, api.name)
            ):
                found = each.context
        return found

    def backend(self, name: str) -> Backend | Pool | Unusable | None:
        """Find a backend or a pool by its name, whatever the casing."""
        return self.backends.get(name.lower())


def read(
    resources: Resources, service_id: str, locations: Locations = PUBLIC
) -> Configuration | None:
    """Read what is deployed to a service; None when there is no such service.

    Resource Manager has refused the policies that do not compile: one found here all the same, as
    of an older version, fails the requests it is for.
    """
    service = resources.get(service_id)
    if service is None:
        return None
    identity = service.body.get("identity") or {}
    library = _library(resources, service_id)
    outer = _policy(resources, service_id, library, GLOBAL)
    apis = [
        _api(resources, api, library, outer)
        for api in resources.list(f"{SERVICE}/apis", service_id)
        if api.body["properties"].get("isCurrent", True)
    ]
    apis.sort(key=lambda api: len(api.prefix), reverse=True)
    return Configuration(
        apis=apis,
        backends={
            each.body["name"].lower(): _backend(each.body["name"], each.body["properties"])
            for each in resources.list(f"{SERVICE}/backends", service_id)
        },
        subscriptions=[
            subscription
            for each in resources.list(f"{SERVICE}/subscriptions", service_id)
            for subscription in _subscriptions(each, resources.secrets(each.id), service_id)
        ],
        deployment=Deployment(
            region=locations.display_name(service.body.get("location", "")),
            service_name=service.body["name"],
        ),
        principal_id=identity.get("principalId"),
        assigned={
            each["clientId"].lower(): each["principalId"]
            for each in (identity.get("userAssignedIdentities") or {}).values()
        },
        tier=(service.body.get("sku") or {}).get("name", "Premium"),
    )


def _library(resources: Resources, service_id: str) -> Library:
    """Read what policies refer to by name."""
    return Library(
        named_values={
            each.body["properties"]["displayName"]: resources.secrets(each.id)["value"]
            for each in resources.list(f"{SERVICE}/namedValues", service_id)
        },
        fragments={
            each.body["name"].lower(): each.body["properties"]["value"]
            for each in resources.list(f"{SERVICE}/policyFragments", service_id)
        },
    )


def _policy(resources: Resources, scope: str, library: Library, outer: Policy) -> Policy:
    """Read the policy of a scope: the outer one's where it has none."""
    document = resources.get(f"{scope}/policies/policy")
    if document is None:
        return outer
    try:
        return policy.compile_policy(
            document.body["properties"]["value"], library=library, outer=outer
        )
    except PolicyError as error:
        return policy.unusable(error)


def _api(resources: Resources, resource: Resource, library: Library, outer: Policy) -> DeployedApi:
    properties = resource.body["properties"]
    path = (properties.get("path") or "").strip("/")
    names = properties.get("subscriptionKeyParameterNames") or {}
    own = _policy(resources, resource.id, library, outer)
    operations = [
        _operation(
            each.body["name"],
            each.body["properties"],
            _policy(resources, each.id, library, own),
        )
        for each in resources.list(f"{SERVICE}/apis/operations", f"{resource.id}/operations")
    ]
    operations.sort(key=_precedence)
    return DeployedApi(
        name=resource.body["name"].lower(),
        context=Api(
            id=resource.body["name"],
            name=properties.get("displayName") or resource.body["name"],
            path=path,
            service_url=properties.get("serviceUrl"),
        ),
        prefix=f"/{path}".lower() if path else "",
        operations=operations,
        key_header=(
            names.get("header") or "Ocp-Apim-Subscription-Key"
            if properties.get("subscriptionRequired", True)
            else None
        ),
        key_query=names.get("query") or "subscription-key",
    )


def _precedence(operation: DeployedOperation) -> tuple[bool, int, int]:
    """Order operations: what is spelt out, what a parameter takes, what a wildcard takes.

    Assumed: of wildcards, the longest template goes first.
    """
    template = operation.context.url_template.partition("?")[0]
    is_wildcard = "*" in template
    return is_wildcard, len(operation.parameters) - is_wildcard, -len(template) * is_wildcard


def _operation(name: str, properties: Mapping[str, Any], own: Policy) -> DeployedOperation:
    template = properties["urlTemplate"]
    path, _, query = template.partition("?")
    parameters: list[str] = []
    pattern = ""
    position = 0
    path = "/" + path.strip("/")
    for found in _PARAMETER.finditer(path):
        wildcard, parameter, rest = found.groups()
        pattern += re.escape(path[position : found.start()])
        pattern += "(.*)" if wildcard or rest else f"([^{_separator(path, found.end())}]+)"
        parameters.append(parameter or rest)
        position = found.end()
    pattern += re.escape(path[position:])
    return DeployedOperation(
        context=Operation(
            id=name,
            name=properties.get("displayName") or name,
            method=properties["method"].upper(),
            url_template=template,
        ),
        pattern=re.compile(pattern, re.IGNORECASE),
        parameters=tuple(parameters),
        query=tuple(parse_qsl(query, keep_blank_values=True)),
        policy=own,
    )


def _separator(path: str, position: int) -> str:
    """Return what a parameter that ends at `position` cannot hold, for a regular expression.

    Before another one in the same segment it ends at the text between them, so that there is one
    way alone to match a path.
    """
    between, bracket, _ = path[position:].partition("/")[0].partition("{")
    return f"/{re.escape(between[:1])}" if bracket else "/"


def _backend(name: str, properties: Mapping[str, Any]) -> Backend | Pool | Unusable:
    if (properties.get("type") or "Single").lower() != "pool":
        try:
            return Backend(
                name=name,
                azure_region=properties.get("azureRegion"),
                url=Url.parse(properties["url"]),
                rule=Rule.of(properties),
                credentials=Credentials.of(properties),
            )
        except ValueError as error:
            return Unusable(name=name, reason=str(error))
    affinity = properties["pool"].get("sessionAffinity") or {}
    return Pool(
        name=name,
        azure_region=properties.get("azureRegion"),
        cookie=(affinity.get("sessionId") or {}).get("name", ""),
        members=tuple(
            Member(
                name=member["id"].rpartition("/")[2].lower(),
                # Azure does not document null; the program always writes both.
                priority=1 if member.get("priority") is None else member["priority"],
                weight=1 if member.get("weight") is None else member["weight"],
            )
            for member in properties["pool"]["services"]
        ),
    )


def _subscriptions(
    resource: Resource, keys: Mapping[str, str], service_id: str
) -> list[DeployedSubscription]:
    properties = resource.body["properties"]
    scope = properties["scope"].rstrip("/").lower().removeprefix(service_id.lower())
    kind, _, name = scope.strip("/").partition("/")
    if kind not in ("", "apis"):
        # A product opens its own APIs; the local Azure has no products.
        return []
    return [
        DeployedSubscription(
            context=Subscription(
                id=resource.body["name"],
                name=properties.get("displayName") or resource.body["name"],
            ),
            key=key.encode(),
            active=properties.get("state", "active") == "active",
            api=name or None,
        )
        for key in keys.values()
    ]
