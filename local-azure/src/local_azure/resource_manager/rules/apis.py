"""Rules for the APIs, operations and subscriptions of API Management."""

import hmac
import re
from collections.abc import Mapping
from typing import Any

from local_azure.resource_manager import resource_types as types
from local_azure.resource_manager.request import Request
from local_azure.resource_manager.rules.rule import Rule, Violations


def _path_taken(request: Request) -> Violations:
    path = request.properties["path"].strip("/")
    for other in request.view.list(types.API, under=request.parent_id):
        same_path = other.body["properties"]["path"].lower() == path.lower()
        if same_path and other.id.lower() != request.id.lower():
            yield {"path": path, "other": other.body["name"]}


_TEMPLATE_PARAMETER = re.compile(r"\{\*?([^{}]+)\}")


def _template_parameters_differ(request: Request) -> Violations:
    used = set(_TEMPLATE_PARAMETER.findall(request.properties["urlTemplate"]))
    given = request.properties.get("templateParameters", [])
    if used != {parameter["name"].lstrip("*") for parameter in given}:
        yield {"title": request.properties["displayName"]}


def _parameters_without_a_text_between(request: Request) -> Violations:
    template = request.properties["urlTemplate"]
    if re.search(r"\}\{|\{\*[^{}]*\}.", template.partition("?")[0]):
        yield {"template": template}


def _operation_taken(request: Request) -> Violations:
    def form(properties: Mapping[str, Any]) -> tuple[str, str]:
        template = _TEMPLATE_PARAMETER.sub("{}", properties["urlTemplate"])
        return properties["method"].upper(), template.strip("/").lower()

    for other in request.view.list(types.OPERATION, under=request.parent_id):
        is_other = other.id.lower() != request.id.lower()
        if is_other and form(other.body["properties"]) == form(request.properties):
            yield {"other": other.body["name"]}


def _scope_api(request: Request) -> str | None:
    """Return the API a subscription is for: '' for all of them, None for no valid scope."""
    scope = request.properties["scope"].rstrip("/")
    if scope.lower().startswith(request.parent_id.lower()):
        scope = scope[len(request.parent_id) :]
    if scope == "/apis":
        return ""
    _, prefix, api = scope.rpartition("/apis/")
    return api if prefix and scope == f"/apis/{api}" and "/" not in api else None


def _bad_scope(request: Request) -> Violations:
    if _scope_api(request) is None:
        yield {}


def _unknown_api_in_scope(request: Request) -> Violations:
    api = _scope_api(request)
    if api and not request.find(f"{request.parent_id}/apis/{api}"):
        yield {"api": api}


def _key_taken(request: Request) -> Violations:
    wanted = [
        request.properties[key].encode()
        for key in ("primaryKey", "secondaryKey")
        if isinstance(request.properties.get(key), str)
    ]
    for other in request.view.list(types.APIM_SUBSCRIPTION, under=request.parent_id):
        if other.id.lower() == request.id.lower():
            continue
        taken = [key.encode() for key in request.view.secrets(other.id).values()]
        same = [hmac.compare_digest(mine, its) for mine in wanted for its in taken]
        if any(same):
            yield {"other": other.body["name"]}


API_RULES = (
    Rule(
        check=_path_taken,
        of=(types.API,),
        message="Cannot create API '{name}' with the same Path '{path}' as API '{other}'  unless"
        " it's a part of the same version set",
        target="path",
        source="M: apiops#343",
    ),
    Rule(
        check=_template_parameters_differ,
        of=(types.OPERATION,),
        message="All template parameters used in the UriTemplate must be defined in the Operation"
        " '{title}', and vice-versa.",
        target="",
        source="M: azure-sdk-for-net#35802",
    ),
    Rule(
        check=_parameters_without_a_text_between,
        of=(types.OPERATION,),
        message="The UriTemplate '{template}' is not valid: a text separates parameters, and a"
        " wildcard comes last.",
        target="urlTemplate",
        source="H: .NET UriTemplate; ? the wording",
    ),
    Rule(
        check=_operation_taken,
        of=(types.OPERATION,),
        message="Operation with the same method and UriTemplate already exists: '{other}'.",
        target="urlTemplate",
        source="?",
    ),
    Rule(
        check=_bad_scope,
        of=(types.APIM_SUBSCRIPTION,),
        message="Subscription scope should be one of '/apis', '/apis/{{apiId}}',"
        " '/products/{{productId}}'",
        target="scope",
        source="M: azure-powershell#26997; the local Azure has no products",
    ),
    Rule(
        check=_unknown_api_in_scope,
        of=(types.APIM_SUBSCRIPTION,),
        message="Api with id '{api}' not found.",
        target="scope",
        source="?",
    ),
    Rule(
        check=_key_taken,
        of=(types.APIM_SUBSCRIPTION,),
        message="The key is used by the subscription '{other}'.",
        target="primaryKey",
        source="? the wording; H: keys identify a subscription",
    ),
)
