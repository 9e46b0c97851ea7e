"""Resource Manager over HTTP: from a request to its answer."""

import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from local_azure import hardening
from local_azure.gateway.export import exported
from local_azure.identity import Tokens
from local_azure.locations import PUBLIC, Locations
from local_azure.resource_manager import catalogue, content, operations, rights, rules, sign_in
from local_azure.resource_manager import resource_types as types
from local_azure.resource_manager.actions import ACTIONS
from local_azure.resource_manager.errors import ArmError
from local_azure.resource_manager.filters import compiled
from local_azure.resource_manager.paths import RESOURCE_GROUP, ArmPath, parse
from local_azure.resource_manager.request import (
    Azure,
    CompilePolicy,
    Request,
    ResourceType,
)
from local_azure.resource_manager.resource_types import RESOURCE_TYPES
from local_azure.resource_manager.soft_delete import record_of, restores, soft_delete
from local_azure.store import Resource, Store, Transaction, View

logger = logging.getLogger("local_azure.requests")

# Resource Manager's own limit on a request ("Azure subscription and service limits").
CONTENT_LIMIT = 4 * 1024 * 1024
PAGE_SIZE = 100

HOSTS = frozenset({"management.azure.com", "login.microsoftonline.com"})
# Codes of what is refused before it is known what it asks for (Resource Manager RPC; "?" for 421).
_REFUSALS = {
    400: "BadRequest",
    401: "AuthenticationFailed",
    408: "RequestTimeout",
    413: "RequestContentTooLarge",
    417: "ExpectationFailed",
    421: "MisdirectedRequest",
}

_WITH_BODY = frozenset({"PUT", "PATCH", "POST"})

_SPELLING = {
    spelling.lower(): spelling
    for kind in RESOURCE_TYPES.values()
    for spelling in (kind.name, kind.namespace, *ACTIONS)
}


def create_app(
    store: Store,
    *,
    gateway_url: Callable[[str], str],
    compile_policy: CompilePolicy,
    tokens: Tokens,
    other_routes: Iterable[web.AbstractRouteDef] = (),
    provisioning_seconds: float = 0.2,
    clock: Callable[[], float] = time.time,
    on_change: Callable[[], Awaitable[None]] | None = None,
    subscription_id: str = "00000000-0000-0000-0000-000000000000",
    tenant_id: str = "00000000-0000-0000-0000-000000000001",
    locations: Locations = PUBLIC,
    check_query: Callable[[str, str], str] = lambda *_: "",
) -> web.Application:
    """Return Resource Manager as an application that keeps everything in `store`.

    `gateway_url(service_id)` gives a new API Management service the url it answers at.
    `check_query(workspace, query)` says what is wrong with a query over a workspace.
    `compile_policy(xml)` raises an exception with `line` and `message` for a policy that the
    gateway would not run. `tokens` verifies those that are sent. `other_routes` go before what
    Resource Manager answers. `on_change` is awaited after each committed change, before its answer.
    `clock` is wall time in seconds; `locations` are those where something can be.
    """
    azure = Azure(
        subscription_id=subscription_id,
        tenant_id=tenant_id,
        gateway_url=gateway_url,
        compile_policy=compile_policy,
        check_query=check_query,
        provisioning_seconds=provisioning_seconds,
        locations=locations,
    )
    with store.transaction() as transaction:
        for resource in types.given_resources(azure):
            transaction.put(resource)
    manager = _ResourceManager(store, azure, tokens, clock, on_change)
    app = web.Application(client_max_size=CONTENT_LIMIT)
    app[hardening.FRONT] = hardening.Front(
        refuse=_refuse, answers_to=HOSTS.__contains__, unclear_path=400
    )
    app.add_routes(other_routes)
    app.router.add_get("/metadata/endpoints", manager.metadata)
    app.router.add_route("*", "/{path:.*}", manager.handle)
    return app


class _ResourceManager:
    def __init__(
        self,
        store: Store,
        azure: Azure,
        tokens: Tokens,
        clock: Callable[[], float],
        on_change: Callable[[], Awaitable[None]] | None,
    ) -> None:
        self._store = store
        self._azure = azure
        self._tokens = tokens
        self._clock = clock
        self._on_change = on_change

    async def metadata(self, http: web.Request) -> web.Response:
        return _json(sign_in.metadata(f"{http.scheme}://{http.host}"))

    async def handle(self, http: web.Request) -> web.Response:
        started = time.perf_counter()
        try:
            claims = sign_in.check(http.headers, self._tokens, self._clock())
            answer = await self._answer(http, claims)
            code = ""
        except ArmError as error:
            answer = _json(error.envelope, status=error.status)
            code = error.code
            if error.status == 401:
                challenge = sign_in.challenge(http.host, self._azure.tenant_id, code)
                answer.headers["WWW-Authenticate"] = challenge
        milliseconds = (time.perf_counter() - started) * 1000
        _log(http, answer.status, code, milliseconds)
        return answer

    async def _answer(self, http: web.Request, claims: Mapping[str, Any]) -> web.Response:
        path = parse(http.rel_url.raw_path, _SPELLING)
        if path is None:
            raise ArmError(
                404, "NotFound", f"No resource of Resource Manager has the path '{http.path}'."
            )
        rights.check(claims, http.method, path, self._store.view())
        sent = content.decode(await http.read()) if http.method in _WITH_BODY else None

        def request(view: View) -> Request:
            return Request(
                method=http.method,
                path=path,
                kind=_kind_of(path),
                query=http.query,
                headers=http.headers,
                sent=sent,
                view=view,
                now=self._clock(),
                azure=self._azure,
            )

        base_url = f"{http.scheme}://{http.host}"
        change = {"PUT": _put, "PATCH": _put, "DELETE": _delete}.get(http.method)
        if http.method == "POST" and path.tail in ACTIONS and ACTIONS[path.tail].renews:
            change = _renew
        if change is None:
            asked = request(self._store.view())
            rules.enforce(asked)
            return {"GET": _get, "HEAD": _head, "POST": _post}[http.method](asked, base_url)
        with self._store.transaction() as transaction:
            transaction.expire(self._clock())
            asked = request(transaction)
            rules.enforce(asked)
            answer = change(transaction, asked, base_url)
        if self._on_change:
            await self._on_change()
        return answer


def _kind_of(path: ArmPath) -> ResourceType | None:
    """Return the type that the rules for a request are those of."""
    if path.tail in ACTIONS and path.tail.lower() not in RESOURCE_TYPES:
        return RESOURCE_TYPES.get(path.steps[-1].type.lower())
    return RESOURCE_TYPES.get(path.type.lower())


def _refuse(status: int, message: str) -> web.Response:
    return _json(ArmError(status, _REFUSALS[status], message).envelope, status=status)


# -- changes --------------------------------------------------------------------------------------


def _put(transaction: Transaction, request: Request, base_url: str) -> web.Response:
    created = not request.existing
    record = record_of(request) if restores(request) else None
    if record:
        transaction.restore(record.id)
    kind = _known(request)
    if restores(request) and kind.name == types.SERVICE and request.existing:
        # API Management, "Soft-delete": with `restore`, all other properties are ignored.
        body, keys = dict(request.existing.body), None
    else:
        if kind.build is None:
            raise TypeError(f"{kind.name} is not built by a PUT")
        built = kind.build(request)
        keys = built.secrets
        names = {"id": request.id, "name": request.path.name, "type": kind.name}
        if request.existing:
            names = {key: request.existing.body[key] for key in names}
        body = {**names, **built.body}
    operation = None
    if kind.creating:
        operation = operations.start(transaction, request, request.place or request.location)
    if kind.creating and not kind.entity_tags:
        body["etag"] = transaction.etag
    resource = Resource(
        id=body["id"],
        type=kind.name,
        body=body,
        etag=transaction.etag,
        pending=(kind.creating if created else kind.updating) if operation else "",
        ready_at=operation.ready_at if operation else 0.0,
    )
    transaction.put(resource, keys)
    headers = operations.headers(operation, request, base_url) if operation else {}
    return _resource(resource, request, status=201 if created else 200, headers=headers)


def _delete(transaction: Transaction, request: Request, base_url: str) -> web.Response:
    resource = request.existing
    if resource is None:
        return web.Response(status=204)
    kind = _known(request)
    # The SDKs of each api-version raise at what the other one answers for an API: 200 until
    # 2022-08-01, 202 from 2024-05-01 on.
    is_long = bool(kind.creating) or kind.name == RESOURCE_GROUP
    is_long |= kind.name == types.API and request.api_version >= "2024-05-01"
    location = request.place or request.location
    for soft in (types.ACCOUNT, types.SERVICE):
        for deleted in transaction.list(soft, under=request.id):
            soft_delete(transaction, deleted, request)
    transaction.delete(request.id)
    if is_long:
        operation = operations.start(transaction, request, location)
        headers = operations.headers(operation, request, base_url)
        return web.Response(status=202, headers=headers)
    if kind.name == types.ROLE_ASSIGNMENT:
        return _json(resource.body)
    return web.Response(status=200)


def _renew(transaction: Transaction, request: Request, base_url: str) -> web.Response:
    renews = ACTIONS[request.path.tail].renews
    if renews is None:
        raise TypeError("the action renews nothing")
    new = types.new_keys(*renews(request))
    transaction.put(_there(request), {**transaction.secrets(request.id), **new})
    return _post(request, base_url)


def _known(request: Request) -> ResourceType:
    if request.kind is None:
        raise TypeError("the rules let an unknown type pass")
    return request.kind


# -- reads ----------------------------------------------------------------------------------------


def _get(request: Request, base_url: str) -> web.Response:
    if request.path.tail:
        return _list(request, base_url)
    if request.path.type.lower().endswith("/operationresults"):
        return _operation_result(request, base_url)
    return _resource(_there(request), request)


def _head(request: Request, _base_url: str) -> web.Response:
    resource = _there(request)
    if _known(request).entity_tags:
        return web.Response(status=200, headers={"ETag": resource.etag})
    return web.Response(status=204)


def _post(request: Request, _base_url: str) -> web.Response:
    answer = ACTIONS[request.path.tail].answer(request)
    return web.Response(status=204) if answer is None else _json(answer)


def _operation_result(request: Request, base_url: str) -> web.Response:
    """Answer at a Location header: 202 until the operation is over, then what it made."""
    operation = operations.operation_of(request)
    if operation is None:
        raise TypeError("the rules let an unknown operation pass")
    if operations.is_pending(operation, request.now):
        headers = operations.headers(operation, request, base_url)
        return web.Response(status=202, headers=headers)
    made = request.find(operation.body["resourceId"])
    return _resource(made, request) if made else web.Response(status=204)


def _list(request: Request, base_url: str) -> web.Response:
    kind = _known(request)
    found = [
        _body(resource, request)
        for resource in _listed(request, kind)
        if request.now < resource.expires_at
    ]
    if "$filter" in request.query:
        passes = compiled(request.query["$filter"], kind.name)
        found = [body for body in found if passes(body, request.id)]
    top, skip = _number(request, "$top", PAGE_SIZE, least=1), _number(request, "$skip", 0, least=0)
    page: dict[str, Any] = {"value": found[skip : skip + top]}
    if kind.entity_tags:  # what is in a service; lists of services have no count
        page["count"] = len(found)
    if skip + top < len(found):
        query = {**request.query, "$skip": str(skip + top), "$top": str(top)}
        page["nextLink"] = f"{base_url}{_collection_path(request)}?{urlencode(query)}"
    return _json(page)


def _listed(request: Request, kind: ResourceType) -> list[Resource]:
    if kind.name == types.ANY_RESOURCE:
        return [
            resource
            for tracked in (types.ACCOUNT, types.SERVICE)
            for resource in request.view.list(tracked, under=request.id)
        ]
    if kind.name == types.LOCATION:
        return [types.location(each, request.azure) for each in request.azure.locations]
    if kind.name in (types.MODEL, types.USAGE):
        return catalogue.listed(request, kind.name)
    if kind.name == types.ROLE_DEFINITION:
        # Built-in roles can be assigned at every scope.
        return request.view.list(kind.name, under=f"/subscriptions/{request.azure.subscription_id}")
    found = request.view.list(kind.name, under=request.id)
    if kind.name == types.ROLE_ASSIGNMENT:
        # Those of the scopes above hold here as well.
        scope = f"{request.id}/".lower()
        found += [
            each
            for each in request.view.list(kind.name)
            if each not in found
            and scope.startswith(f"{each.body['properties']['scope']}/".lower())
        ]
    return found


def _collection_path(request: Request) -> str:
    provider = request.kind.namespace if request.kind else ""
    word = request.path.tail.rsplit("/", 1)[-1]
    nested = request.path.steps and request.path.tail.startswith(f"{request.path.steps[-1].type}/")
    if nested or provider == "Microsoft.Resources":
        return f"{request.id}/{word}"
    return f"{request.id}/providers/{request.path.tail}"


def _number(request: Request, name: str, otherwise: int, *, least: int) -> int:
    text = request.query.get(name, str(otherwise))
    if not text.isascii() or not text.isdigit() or int(text) < least:
        message = f"'{name}' should be a whole number of at least {least}, not '{text}'."
        raise ArmError(400, "InvalidQueryParameterValue", message)
    return int(text)


def _there(request: Request) -> Resource:
    if request.existing is None:
        raise TypeError("the rules let a missing resource pass")
    return request.existing


# -- answers --------------------------------------------------------------------------------------


def _resource(
    resource: Resource,
    request: Request,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    answer = _json(_body(resource, request), status=status)
    kind = RESOURCE_TYPES.get(resource.type.lower())
    if kind and kind.entity_tags:
        answer.headers["ETag"] = resource.etag
    if resource.pending == "InProgress" and operations.is_pending(resource, request.now):
        answer.headers.update(operations.retry_after(resource.ready_at - request.now))
    answer.headers.update(headers or {})
    return answer


def _body(resource: Resource, request: Request) -> Mapping[str, Any]:
    """Return a resource as it is at the moment of a request, in the words of its api-version."""
    body = operations.at_moment(resource, request.now)
    if request.path.tail == types.ANY_RESOURCE:
        return _listed_body(body, request.query.get("$expand", ""))
    if resource.type in (*types.POLICIES, types.POLICY_FRAGMENT):
        return {**body, "properties": _exported(body["properties"], request)}
    kind = RESOURCE_TYPES.get(resource.type.lower())
    newer = kind.newer.get(request.api_version) if kind else None
    if not newer:
        return body
    properties = {**body["properties"]}
    for path in newer:
        name, _, part = path.partition(".")
        if not part:
            properties.pop(name, None)
        elif isinstance(properties.get(name), Mapping):
            properties[name] = {
                key: properties[name][key] for key in properties[name].keys() - {part}
            }
    return {**body, "properties": properties}


def _exported(properties: Mapping[str, Any], request: Request) -> Mapping[str, Any]:
    """Return a policy's properties in the format that is asked for, which is said only then."""
    asked = request.query.get("format", "")
    rest = {name: value for name, value in properties.items() if name != "format"}
    value = exported(properties["value"], given=properties["format"], wanted=asked or "xml")
    return {**({"format": asked} if asked else {}), **rest, "value": value}


def _listed_body(body: Mapping[str, Any], expand: str) -> Mapping[str, Any]:
    """Return a resource as a list of all resources shows it."""
    properties = body["properties"]
    expanded = {
        name: properties[source]
        for name in expand.split(",")
        for source in types.EXPANDED.get(name, ())
        if source in properties
    }
    return {name: body[name] for name in body if name != "properties"} | expanded


def _json(body: Mapping[str, Any], *, status: int = 200) -> web.Response:
    return web.Response(
        body=json.dumps(body).encode(),
        status=status,
        content_type="application/json",
        charset="utf-8",
    )


def _log(http: web.Request, status: int, code: str, milliseconds: float) -> None:
    if logger.isEnabledFor(logging.INFO):
        entry = {
            "method": http.method,
            "path": http.path,
            "apiVersion": http.query.get("api-version", ""),
            "status": status,
            "milliseconds": round(milliseconds, 2),
        }
        logger.info(json.dumps(entry | ({"error": code} if code else {})))
