"""Azure's rules: one entry a rule, with its code, its message and where it is known from.

A check yields one mapping for each violation; its values fill the message. Rules stand in stages:
the first violation ends a request, except that those of the code ValidationError are collected
within their stage and answered together, as API Management does.

Sources: `H` primary documentation or specification, `M` a Microsoft sample or an issue thread that
quotes Azure, `?` the rule is known and the wording is not.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from components import regions
from emulator.resource_manager import resource_types as types
from emulator.resource_manager.errors import ArmError
from emulator.resource_manager.operations import is_pending
from emulator.resource_manager.paths import (
    OPERATION_RESULT,
    RESOURCE_GROUP,
    SUBSCRIPTION,
    ArmPath,
    Step,
)
from emulator.resource_manager.request import Request, ResourceType, Unreadable
from emulator.resource_manager.resource_types import RESOURCE_TYPES
from emulator.store import Resource

Violations = Iterator[Mapping[str, object]]

_READ = frozenset({"GET", "HEAD", "POST"})
_WRITE = frozenset({"PUT", "DELETE"})
_PUT = frozenset({"PUT"})
_DELETE = frozenset({"DELETE"})
_ANY = _READ | _WRITE | {"PATCH"}
_VALIDATION = "ValidationError"
_API_MANAGEMENT = "Microsoft.ApiManagement/"
_APIM_CHILDREN = "Microsoft.ApiManagement/service/"

# What can be POSTed, and the keys it answers with.
ACTIONS = {
    f"{types.APIM_SUBSCRIPTION}/listSecrets": ("primaryKey", "secondaryKey"),
    f"{types.ACCOUNT}/listKeys": ("key1", "key2"),
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of Azure.

    It holds for requests with one of `methods` on resources of a type in `of`; an entry that ends
    in `/` stands for all types that begin so, and no entry for all types. `target` is the property
    a ValidationError is about.
    """

    check: Callable[[Request], Violations]
    methods: frozenset[str] = _PUT
    of: tuple[str, ...] = ()
    status: int = 400
    code: str = _VALIDATION
    message: str
    target: str = ""
    source: str

    def applies(self, method: str, type_name: str) -> bool:
        """Tell whether the rule has a say in such a request."""
        return method in self.methods and (
            not self.of
            or any(
                type_name.startswith(entry) if entry.endswith("/") else type_name == entry
                for entry in self.of
            )
        )


def enforce(request: Request) -> None:
    """Raise ArmError for the first stage of rules that the request breaks."""
    type_name = request.kind.name if request.kind else request.path.type
    for stage in _stages_for(request.method, type_name):
        details = []
        for rule in stage:
            for values in rule.check(request):
                known = {**_known_values(request), **values}
                message = rule.message.format_map(known)
                if rule.code != _VALIDATION:
                    raise ArmError(rule.status, rule.code, message)
                details.append((rule.target.format_map(known), message))
        if details:
            raise ArmError(
                400, _VALIDATION, "One or more fields contain incorrect values:", details=details
            )


@cache
def _stages_for(method: str, type_name: str) -> tuple[tuple[Rule, ...], ...]:
    return tuple(
        tuple(rule for rule in stage if rule.applies(method, type_name)) for stage in STAGES
    )


def _known_values(request: Request) -> dict[str, Any]:
    namespace, _, name = request.path.type.partition("/")
    return {
        "api_version": request.api_version,
        "id": request.id,
        "label": request.kind.label if request.kind else "",
        "location": request.location or request.place,
        "method": request.method,
        "name": request.path.steps[-1].name if request.path.steps else "",
        "namespace": namespace,
        "parent_id": request.parent_id,
        "resource_group": request.resource_group,
        "type": request.path.type,
        "type_in_namespace": name,
        "versions": ", ".join(request.kind.api_versions) if request.kind else "",
        "locations": ",".join(sorted(regions.DISPLAY_NAMES)),
    }


# -- every request --------------------------------------------------------------------------------


def _no_api_version(request: Request) -> Violations:
    if not request.api_version:
        yield {}


def _malformed_subscription(request: Request) -> Violations:
    step = request.path.step(SUBSCRIPTION)
    if step and not _is_guid(step.name):
        yield {"subscription": step.name}


def _unknown_subscription(request: Request) -> Violations:
    step = request.path.step(SUBSCRIPTION)
    if step and step.name.lower() != request.azure.subscription_id.lower():
        yield {"subscription": step.name}


def _unknown_type(request: Request) -> Violations:
    if request.path.tail in ACTIONS and request.method == "POST":
        return
    wanted = [step.type for step in request.path.steps] + [request.path.type]
    for type_name in wanted:
        if type_name.lower() not in RESOURCE_TYPES:
            namespace, _, name = type_name.partition("/")
            yield {"namespace": namespace, "type_in_namespace": name}
            return


def _unsupported_version(request: Request) -> Violations:
    if request.kind and request.api_version not in request.kind.api_versions:
        yield {}


def _outside_resource_manager(request: Request) -> Violations:
    if request.kind and not request.kind.name.startswith("Microsoft.Resources/"):
        yield from _unsupported_version(request)


def _not_allowed(request: Request) -> Violations:
    kind, action = request.kind, request.method == "POST"
    collection = bool(request.path.tail) and not action
    if (
        kind is None
        or request.method == "PATCH"
        or action is not (request.path.tail in ACTIONS)
        or kind.routing
        or (collection and request.method != "GET")
        or (request.method == "PUT" and kind.build is None)
        or (request.method == "DELETE" and kind.read_only)
    ):
        yield {}


def _unsupported_query(request: Request) -> Violations:
    for name in ("$filter", "$orderby", "$select", "$expand", "tags"):
        if name in request.query:
            yield {"name": name}


def _no_resource_group(request: Request) -> Violations:
    group = request.path.step(RESOURCE_GROUP)
    if group is None or request.find(group.id):
        return
    if request.method == "PUT" and request.path.steps[-1] == group:
        return
    yield {}


def _ancestors(path: ArmPath) -> tuple[Step, ...]:
    return path.steps if path.tail else path.steps[:-1]


def _is_stored(step: Step) -> bool:
    kind = RESOURCE_TYPES.get(step.type.lower())
    return kind is not None and not kind.routing and kind.name != RESOURCE_GROUP


def _missing_ancestor(request: Request) -> Step | None:
    for step in _ancestors(request.path):
        if _is_stored(step) and not request.find(step.id):
            return step
    return None


def _no_parent(request: Request) -> Violations:
    step = _missing_ancestor(request)
    if step and _is_tracked(step):
        yield {"parent": step.name}


def _no_parent_within_service(request: Request) -> Violations:
    step = _missing_ancestor(request)
    if step and not _is_tracked(step):
        yield {"label": RESOURCE_TYPES[step.type.lower()].label}


def _is_tracked(step: Step) -> bool:
    return RESOURCE_TYPES[step.type.lower()].tracked


def _not_there(request: Request) -> Violations:
    is_result = request.path.type.lower().endswith("/operationresults")
    if request.path.tail and request.method == "GET":
        return
    if not is_result and not request.existing:
        yield {"path": _type_and_names(request.path)}


def _no_result(request: Request) -> Violations:
    if not request.path.tail and not operation_of(request):
        yield {}


def operation_of(request: Request) -> Resource | None:
    """Return the operation that a Location header pointed to."""
    if request.path.type == OPERATION_RESULT:
        return request.existing
    return request.find(f"{request.parent_id}/operationStatuses/{request.path.name}")


def _type_and_names(path: ArmPath) -> str:
    """`Microsoft.CognitiveServices/accounts/a/deployments/b` of the innermost resource."""
    return path.id.rsplit("/providers/", 1)[-1]


REQUEST_RULES = (
    Rule(
        check=_no_api_version,
        methods=_ANY,
        code="MissingApiVersionParameter",
        message="The api-version query parameter (?api-version=) is required for all requests.",
        source="H: Resource Manager RPC, api-version",
    ),
    Rule(
        check=_malformed_subscription,
        methods=_ANY,
        code="InvalidSubscriptionId",
        message="The provided subscription identifier '{subscription}' is malformed or invalid.",
        source="H: Troubleshoot common Azure deployment errors",
    ),
    Rule(
        check=_unknown_subscription,
        methods=_ANY,
        status=404,
        code="SubscriptionNotFound",
        message="The subscription '{subscription}' could not be found.",
        source="H: Troubleshoot common Azure deployment errors",
    ),
    Rule(
        check=_unknown_type,
        methods=_ANY,
        status=404,
        code="InvalidResourceType",
        message="The resource type '{type_in_namespace}' could not be found in the namespace"
        " '{namespace}' for api version '{api_version}'.",
        source="M: azure-rest-api-specs#14807",
    ),
    Rule(
        check=_outside_resource_manager,
        methods=_ANY,
        code="NoRegisteredProviderFound",
        message="No registered resource provider found for location '{location}' and API version"
        " '{api_version}' for type '{type_in_namespace}'. The supported api-versions are"
        " '{versions}'. The supported locations are '{locations}'.",
        source="M: pulumi-azure-native#584",
    ),
    Rule(
        check=_unsupported_version,
        methods=_ANY,
        code="InvalidApiVersionParameter",
        message="The api-version '{api_version}' is invalid. The supported versions are"
        " '{versions}'.",
        source="M: azure-cli#28038",
    ),
    Rule(
        check=_not_allowed,
        methods=_ANY,
        status=405,
        code="MethodNotAllowed",
        message="The request method '{method}' is not supported for '{type}'.",
        source="?",
    ),
    Rule(
        check=_unsupported_query,
        methods=_ANY,
        code="NotSupportedByLocalAzure",
        message="The local Azure does not support the query parameter '{name}'.",
        source="local Azure",
    ),
    Rule(
        check=_no_resource_group,
        methods=_ANY,
        status=404,
        code="ResourceGroupNotFound",
        message="Resource group '{resource_group}' could not be found.",
        source="H: Resolve errors for resource not found",
    ),
    Rule(
        check=_no_parent,
        methods=_ANY,
        status=404,
        code="ParentResourceNotFound",
        message="Can not perform requested operation on nested resource. Parent resource"
        " '{parent}' not found.",
        source="H: Resolve errors for parent resources",
    ),
    Rule(
        check=_no_parent_within_service,
        methods=_ANY,
        status=404,
        code="ResourceNotFound",
        message="{label} not found.",
        source="M: apiops#343",
    ),
    Rule(
        check=_not_there,
        methods=_READ,
        of=(_APIM_CHILDREN,),
        status=404,
        code="ResourceNotFound",
        message="{label} not found.",
        source="M: apiops#343",
    ),
    Rule(
        check=_not_there,
        methods=_READ,
        of=(types.DELETED_SERVICE,),
        status=404,
        code="ServiceNotFound",
        message="Api service does not exist: {name}",
        source="M: azure-rest-api-specs#14961",
    ),
    Rule(
        check=_not_there,
        methods=_READ,
        of=(types.ROLE_ASSIGNMENT,),
        status=404,
        code="RoleAssignmentNotFound",
        message="The role assignment '{name}' is not found.",
        source="H: Troubleshoot Azure RBAC",
    ),
    Rule(
        check=_not_there,
        methods=_READ,
        of=(types.ROLE_DEFINITION,),
        status=404,
        code="RoleDefinitionDoesNotExist",
        message="The specified role definition with ID '{name}' does not exist.",
        source="H: Troubleshoot Azure RBAC",
    ),
    Rule(
        check=_no_result,
        methods=_READ,
        of=(
            OPERATION_RESULT,
            "Microsoft.ApiManagement/locations/operationResults",
            "Microsoft.CognitiveServices/locations/operationResults",
        ),
        status=404,
        code="ResourceNotFound",
        message="The operation '{name}' was not found.",
        source="?",
    ),
    Rule(
        check=_not_there,
        methods=_READ,
        status=404,
        code="ResourceNotFound",
        message="The Resource '{path}' under resource group '{resource_group}' was not found."
        " For more details please go to https://aka.ms/ARMResourceNotFoundFix",
        source="H: Resolve errors for resource not found",
    ),
)


# -- the body and the name of a PUT ---------------------------------------------------------------


def _wrong_media_type(request: Request) -> Violations:
    media_type = request.headers.get("Content-Type", "<null>").split(";", 1)[0].strip()
    if media_type.lower() != "application/json":
        yield {"media_type": media_type}


def _unreadable(request: Request) -> Violations:
    if isinstance(request.content, Unreadable):
        yield {"reason": request.content.reason}


def _no_object(request: Request) -> Violations:
    if not isinstance(request.content, dict):
        yield {"kind": request.kind.body.name if request.kind and request.kind.body else "Object"}


def _malformed(request: Request) -> Violations:
    for problem in request.problems:
        if problem.malformed:
            yield {"reason": problem.message}


def _value_problems(request: Request) -> Violations:
    for problem in request.problems:
        yield {"path": problem.path.removeprefix("properties."), "problem": problem.message}


_GROUP_NAME = re.compile(r"[-\w.()]*[-\w()]")
_ACCOUNT_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,63}")
_SERVICE_NAME = re.compile(r"(?=.{1,50}$)[a-zA-Z](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?")
_API_NAME = re.compile(r"[^*#&+:<>?]{1,256}")
_BACKEND_NAME = re.compile(r"[^\x00-\x1f\\]{1,80}")
# The names each type takes, and how to say it. Source: the path parameters in the specifications
# and "Naming rules and restrictions for Azure resources".
NAMES: Mapping[str, tuple[re.Pattern[str], str]] = {
    types.ACCOUNT: (_ACCOUNT_NAME, "2-64 characters matching ^[a-zA-Z0-9][a-zA-Z0-9_.-]*$"),
    types.DEPLOYMENT: (_ACCOUNT_NAME, "2-64 characters matching ^[a-zA-Z0-9][a-zA-Z0-9_.-]*$"),
    types.SERVICE: (
        _SERVICE_NAME,
        "1-50 characters matching ^[a-zA-Z](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?$",
    ),
    types.BACKEND: (_BACKEND_NAME, "1-80 characters"),
    types.API: (_API_NAME, "1-256 characters matching ^[^*#&+:<>?]+$"),
    types.OPERATION: (_BACKEND_NAME, "1-80 characters"),
    types.API_POLICY: (re.compile("policy"), "'policy'"),
    types.APIM_SUBSCRIPTION: (_API_NAME, "1-256 characters matching ^[^*#&+:<>?]+$"),
}


def _bad_name(request: Request) -> Violations:
    form, form_is = NAMES.get(request.path.type, (None, ""))
    if form and not form.fullmatch(request.path.name):
        yield {"form_is": form_is}


def _bad_group_name(request: Request) -> Violations:
    if len(request.path.name) > 90 or not _GROUP_NAME.fullmatch(request.path.name):
        yield {}


def _no_guid_as_name(request: Request) -> Violations:
    if not _is_guid(request.path.name):
        yield {}


def _is_guid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


BODY_RULES = (
    Rule(
        check=_wrong_media_type,
        status=415,
        code="UnsupportedMediaType",
        message="The content media type '{media_type}' is not supported. Only 'application/json'"
        " is supported.",
        source="H: Chaos Studio FAQ, which quotes Resource Manager",
    ),
    Rule(
        check=_unreadable,
        code="InvalidRequestContent",
        message="The request content was invalid and could not be deserialized: '{reason}'.",
        source="M: azure-cli#26796",
    ),
    Rule(
        check=_no_object,
        code="InvalidRequestContent",
        message="The request content was invalid and could not be deserialized: 'Cannot deserialize"
        " the current JSON into type '{kind}' because the type requires a JSON object.'.",
        source="M: azure-cli#26796",
    ),
    Rule(
        check=_malformed,
        code="InvalidRequestContent",
        message="The request content was invalid and could not be deserialized: '{reason}'.",
        source="M: azure-cli#26796",
    ),
    Rule(
        check=_bad_group_name,
        of=(RESOURCE_GROUP,),
        code="InvalidResourceGroup",
        message="The provided resource group name '{name}' is invalid. The name can only be a"
        " letter, digit, '-', '.', '(', ')' or '_', up to 90 of them, and not end with '.'.",
        source="? the wording; H: Naming rules",
    ),
    Rule(
        check=_no_guid_as_name,
        of=(types.ROLE_ASSIGNMENT,),
        code="InvalidRoleAssignmentId",
        message="The role assignment ID '{name}' is not valid. The role assignment ID must be a"
        " GUID.",
        source="H: Troubleshoot Azure RBAC",
    ),
    Rule(
        check=_bad_name,
        of=(types.ACCOUNT, types.DEPLOYMENT, types.SERVICE),
        code="InvalidResourceName",
        message="Resource name '{name}' is invalid. It should be {form_is}.",
        source="? the wording; H: Naming rules",
    ),
    Rule(
        check=_bad_name,
        of=(_APIM_CHILDREN,),
        message="Identifier '{name}' is invalid. It should be {form_is}.",
        target="name",
        source="? the wording; H: API Management 2024-05-01",
    ),
)

VALUE_RULES = (
    Rule(
        check=_value_problems,
        of=(_API_MANAGEMENT,),
        message="{problem}",
        target="{path}",
        source="M: azure-powershell#26837 for an empty property; ? other wordings",
    ),
    Rule(
        check=_value_problems,
        of=("Microsoft.CognitiveServices/", "Microsoft.Resources/", "Microsoft.Authorization/"),
        code="InvalidRequestContent",
        message="The request content was invalid and could not be deserialized: '{path}: {problem}"
        "'.",
        source="?",
    ),
)


# -- location, entity tags, operations under way --------------------------------------------------


def _is_tracked_type(kind: ResourceType | None) -> bool:
    return kind is not None and kind.tracked


def _no_location(request: Request) -> Violations:
    if _is_tracked_type(request.kind) and not request.location:
        yield {}


def _unknown_location(request: Request) -> Violations:
    if _is_tracked_type(request.kind) and request.location not in regions.DISPLAY_NAMES:
        yield {}


def _other_location(request: Request) -> Violations:
    if _is_tracked_type(request.kind) and request.existing:
        there = request.existing.body["location"]
        if there != request.location:
            yield {"there": there}


def _entity_tag_differs(request: Request) -> Violations:
    if not request.kind or not request.kind.entity_tags:
        return
    wanted = request.headers.get("If-Match")
    if wanted is None or (request.method == "DELETE" and not request.existing):
        return
    tags = [tag.strip() for tag in wanted.split(",")]
    if not request.existing or ("*" not in tags and request.existing.etag not in tags):
        yield {}


def _exists_already(request: Request) -> Violations:
    if request.headers.get("If-None-Match") == "*" and request.existing:
        yield {}


def _account_of(request: Request) -> Resource | None:
    step = request.path.step(types.ACCOUNT)
    return request.find(step.id) if step else None


def _account_busy(request: Request) -> Violations:
    account = _account_of(request)
    if account and is_pending(account, request.now):
        yield {"account": account.id, "state": account.pending}


def _another_deployment_busy(request: Request) -> Violations:
    deployments = f"{request.parent_id}/deployments/".lower()
    for operation in request.view.list("Microsoft.CognitiveServices/locations/operationStatuses"):
        about = operation.body["resourceId"].lower()
        if is_pending(operation, request.now) and about.startswith(deployments):
            yield {}


def _service_busy(request: Request) -> Violations:
    step = request.path.step(types.SERVICE)
    service = request.find(step.id) if step else None
    if service and is_pending(service, request.now):
        yield {"service": service.id}


STATE_RULES = (
    Rule(
        check=_no_location,
        code="LocationRequired",
        message="The location property is required for this definition.",
        source="H: Troubleshoot common Azure deployment errors",
    ),
    Rule(
        check=_unknown_location,
        of=(RESOURCE_GROUP,),
        code="LocationNotAvailableForResourceGroup",
        message="The provided location '{location}' is not available for resource group. List of"
        " available regions is '{locations}'.",
        source="M: vscode-azureresourcegroups#33",
    ),
    Rule(
        check=_unknown_location,
        code="LocationNotAvailableForResourceType",
        message="The provided location '{location}' is not available for resource type '{type}'."
        " List of available regions for the resource type is '{locations}'.",
        source="M: azure-rest-api-specs#8577",
    ),
    Rule(
        check=_other_location,
        of=(RESOURCE_GROUP,),
        status=409,
        code="InvalidResourceGroupLocation",
        message="Invalid resource group location '{location}'. The Resource group already exists"
        " in location '{there}'.",
        source="M: azure-cli#23043",
    ),
    Rule(
        check=_other_location,
        status=409,
        code="InvalidResourceLocation",
        message="The resource '{name}' already exists in location '{there}' in resource group"
        " '{resource_group}'. A resource with the same name cannot be created in location"
        " '{location}'. Please select a new resource name.",
        source="M: azure-service-operator#784",
    ),
    Rule(
        check=_entity_tag_differs,
        methods=_WRITE,
        status=412,
        code="PreconditionFailed",
        message="Resource was modified since last retrieval.",
        source="M: Azure/apiops integration tests",
    ),
    Rule(
        check=_exists_already,
        status=412,
        code="PreconditionFailed",
        message="The condition '*' in If-None-Match is not met: the resource exists already.",
        source="? the wording; H: RFC 9110, 13.1.2",
    ),
    Rule(
        check=_account_busy,
        methods=_WRITE,
        of=(types.ACCOUNT, types.DEPLOYMENT),
        status=409,
        code="AccountProvisioningStateInvalid",
        message="Account {account} in state {state}",
        source="M: microsoft-foundry-baseline#76",
    ),
    Rule(
        check=_another_deployment_busy,
        methods=_WRITE,
        of=(types.DEPLOYMENT,),
        status=409,
        code="RequestConflict",
        message="Another operation is being performed on the parent resource '{parent_id}'. Please"
        " try again later.",
        source="M: Vector-Search-AI-Assistant#11",
    ),
    Rule(
        check=_service_busy,
        methods=_WRITE,
        of=(types.SERVICE, _APIM_CHILDREN),
        status=409,
        code="ServiceLocked",
        message="The API Service {service} is transitioning at this time. Please try the request"
        " again later.",
        source="?",
    ),
)


# -- Cognitive Services ---------------------------------------------------------------------------


def deleted_account_id(account_id: str, location: str) -> str:
    """Return the id of the record that a deleted account leaves."""
    _, _, subscription, _, group, *_, name = account_id.split("/")
    return (
        f"/subscriptions/{subscription}/providers/Microsoft.CognitiveServices/locations/{location}"
        f"/resourceGroups/{group}/deletedAccounts/{name}"
    )


def deleted_service_id(service_id: str, location: str) -> str:
    """Return the id of the record that a deleted service leaves."""
    _, _, subscription, *_, name = service_id.split("/")
    return (
        f"/subscriptions/{subscription}/providers/Microsoft.ApiManagement/locations/{location}"
        f"/deletedservices/{name}"
    )


def record_of(request: Request) -> Resource | None:
    """Return the record that a soft-deleted resource of the request's id left in its location."""
    make_id = deleted_account_id if request.path.type == types.ACCOUNT else deleted_service_id
    return request.find(make_id(request.id, request.location))


def restores(request: Request) -> bool:
    """Tell whether the PUT asks for a soft-deleted resource to be brought back."""
    return request.properties.get("restore") is True


def _unknown_kind(request: Request) -> Violations:
    if request.body["kind"] != "OpenAI":
        yield {"kind": request.body["kind"]}


def _unknown_account_sku(request: Request) -> Violations:
    if request.body["sku"]["name"] != "S0":
        yield {"sku": request.body["sku"]["name"]}


def _soft_deleted_account(request: Request) -> Violations:
    if not request.existing and record_of(request) and not restores(request):
        yield {}


def _nothing_to_restore(request: Request) -> Violations:
    if restores(request) and not request.existing and not record_of(request):
        yield {}


def _subdomain(account: Resource) -> str:
    return str(account.body["properties"].get("customSubDomainName") or "").lower()


_SUBDOMAIN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}[a-z0-9]", re.IGNORECASE)


def _bad_subdomain(request: Request) -> Violations:
    subdomain = request.properties.get("customSubDomainName")
    if subdomain is not None and not _SUBDOMAIN.fullmatch(subdomain):
        yield {"subdomain": subdomain}


def _subdomain_taken(request: Request) -> Violations:
    wanted = request.properties.get("customSubDomainName")
    if wanted is None:
        return
    kept = (
        account
        for record in request.view.list(types.DELETED_ACCOUNT)
        for account in request.view.kept_by(record.id)
        if account.type == types.ACCOUNT
    )
    for account in (*request.view.list(types.ACCOUNT), *kept):
        if account.id.lower() != request.id.lower() and _subdomain(account) == wanted.lower():
            yield {"subdomain": wanted}
            return


def _subdomain_changed(request: Request) -> Violations:
    wanted = str(request.properties.get("customSubDomainName") or "").lower()
    if request.existing and _subdomain(request.existing) not in ("", wanted):
        yield {"subdomain": request.existing.body["properties"]["customSubDomainName"]}


def _deployments_left(request: Request) -> Violations:
    left = request.view.list(types.DEPLOYMENT, under=request.id)
    if left:
        names = ", ".join(each.id.rsplit("/providers/", 1)[-1] for each in left)
        yield {"left": names}


def _keys_switched_off(request: Request) -> Violations:
    if request.existing and request.existing.body["properties"]["disableLocalAuth"]:
        yield {}


def _unknown_model_format(request: Request) -> Violations:
    model = request.properties["model"]
    if model["format"] != "OpenAI":
        yield {**model, "version": model.get("version", "")}


_DEPLOYMENT_SKUS = (
    "DataZoneBatch",
    "DataZoneProvisionedManaged",
    "DataZoneStandard",
    "DeveloperTier",
    "GlobalBatch",
    "GlobalProvisionedManaged",
    "GlobalStandard",
    "ProvisionedManaged",
    "Standard",
)


def _unknown_deployment_sku(request: Request) -> Violations:
    sku, model = request.body["sku"]["name"], request.properties["model"]
    if sku not in _DEPLOYMENT_SKUS:
        where = request.place
        yield {"sku": sku, "model": f"{model['name']} {model.get('version', '')}", "where": where}


COGNITIVE_SERVICES_RULES = (
    Rule(
        check=_unknown_kind,
        of=(types.ACCOUNT,),
        code="InvalidApiSetId",
        message="The account type '{kind}' is either invalid or unavailable in given region.",
        source="M: Cognitive Services, error InvalidApiSetId; the local Azure has OpenAI only",
    ),
    Rule(
        check=_unknown_account_sku,
        of=(types.ACCOUNT,),
        code="InvalidSkuId",
        message="The account sku '{sku}' is either invalid or unavailable in given region.",
        source="?",
    ),
    Rule(
        check=_bad_subdomain,
        of=(types.ACCOUNT,),
        code="InvalidCustomSubDomainName",
        message="The subdomain name '{subdomain}' is invalid. It should be 2-64 letters, digits and"
        " '-', and neither begin nor end with '-'.",
        source="? the wording; H: Custom subdomain names",
    ),
    Rule(
        check=_soft_deleted_account,
        of=(types.ACCOUNT,),
        status=409,
        code="FlagMustBeSetForRestore",
        message="An existing resource with ID '{id}' has been soft-deleted. To restore the"
        " resource, you must specify 'restore' to be 'true' in the property. If you don't want to"
        " restore existing resource, please purge it first.",
        source="M: azure-cli#18146",
    ),
    Rule(
        check=_nothing_to_restore,
        of=(types.ACCOUNT,),
        code="CanNotRestoreANonSoftDeletedResource",
        message="There is no soft-deleted resource with ID '{id}' in location '{location}' to"
        " restore.",
        source="?",
    ),
    Rule(
        check=_subdomain_taken,
        of=(types.ACCOUNT,),
        status=409,
        code="CustomDomainInUse",
        message="Please pick a different name. The subdomain name '{subdomain}' is not available"
        " as it's already used by a resource. If the resource using the name was deleted in the"
        " last 48 hours, you may need to purge the deleted resource. Learn more at"
        ' "https://go.microsoft.com/fwlink/?linkid=2215493"',
        source="M: azuresandbox#164",
    ),
    Rule(
        check=_subdomain_changed,
        of=(types.ACCOUNT,),
        code="CustomSubDomainNameCannotBeChanged",
        message="The subdomain name '{subdomain}' of an account cannot be changed.",
        source="? the wording; H: Custom subdomain names",
    ),
    Rule(
        check=_deployments_left,
        methods=_DELETE,
        of=(types.ACCOUNT,),
        status=409,
        code="CannotDeleteResource",
        message="Cannot delete resource while nested resources exist. Some existing nested"
        " resource IDs include: '{left}'. Please delete all nested resources before deleting this"
        " resource.",
        source="M: terraform-provider-azapi#894; H: Azure OpenAI, Clean up resources",
    ),
    Rule(
        check=_keys_switched_off,
        methods=frozenset({"POST"}),
        of=(types.ACCOUNT,),
        code="BadRequest",
        message="Failed to list key. disableLocalAuth is set to be true",
        source="M: Cognitive Services, listKeys",
    ),
    Rule(
        check=_unknown_model_format,
        of=(types.DEPLOYMENT,),
        code="DeploymentModelNotSupported",
        message="The model 'Format:{format},Name:{name},Version:{version}' of account deployment"
        " is not supported.",
        source="M: Cognitive Services, error DeploymentModelNotSupported",
    ),
    Rule(
        check=_unknown_deployment_sku,
        of=(types.DEPLOYMENT,),
        code="InvalidResourceProperties",
        message="The specified SKU '{sku}' for model '{model}' is not supported in this region"
        " '{where}'.",
        source="M: azure-search-openai-demo#1840",
    ),
)


# -- role assignments -----------------------------------------------------------------------------


def _bad_principal(request: Request) -> Violations:
    if not _is_guid(request.properties["principalId"]):
        yield {}


def _unknown_role(request: Request) -> Violations:
    role_id = request.properties["roleDefinitionId"]
    resource = request.find(role_id)
    if not resource or resource.type != types.ROLE_DEFINITION:
        yield {"role": role_id.rsplit("/", 1)[-1].replace("-", "")}


def _principals(request: Request) -> set[str]:
    """Return the principals that exist: the identities of services and accounts."""
    return {
        resource.body["identity"]["principalId"].lower()
        for type_name in (types.SERVICE, types.ACCOUNT)
        for resource in request.view.list(type_name)
        if "principalId" in resource.body.get("identity", {})
    }


def _unknown_principal(request: Request) -> Violations:
    principal = request.properties["principalId"]
    # With a type given, Azure takes a principal that its directory does not show yet.
    if "principalType" not in request.properties and principal.lower() not in _principals(request):
        yield {"principal": principal, "tenant": request.azure.tenant_id}


def _wrong_principal_type(request: Request) -> Violations:
    given = request.properties.get("principalType", "ServicePrincipal")
    principal = request.properties["principalId"]
    if given != "ServicePrincipal" and principal.lower() in _principals(request):
        yield {"principal": principal, "given": given}


def _role_of(assignment: Resource) -> tuple[str, str]:
    properties = assignment.body["properties"]
    role = properties["roleDefinitionId"].rsplit("/", 1)[-1]
    return role.lower(), properties["principalId"].lower()


def _wanted_role(request: Request) -> tuple[str, str]:
    role = request.properties["roleDefinitionId"].rsplit("/", 1)[-1]
    return role.lower(), request.properties["principalId"].lower()


def _assigned_already(request: Request) -> Violations:
    for other in request.view.list(types.ROLE_ASSIGNMENT, under=request.parent_id):
        same_scope = other.body["properties"]["scope"].lower() == request.parent_id.lower()
        is_other = other.id.lower() != request.id.lower()
        if same_scope and is_other and _role_of(other) == _wanted_role(request):
            yield {}
            return


def _assignment_changed(request: Request) -> Violations:
    if request.existing and _role_of(request.existing) != _wanted_role(request):
        yield {}


AUTHORIZATION_RULES = (
    Rule(
        check=_bad_principal,
        of=(types.ROLE_ASSIGNMENT,),
        code="InvalidPrincipalId",
        message="A valid principal ID must be provided for role assignment.",
        source="? the code; M: the wording",
    ),
    Rule(
        check=_unknown_role,
        of=(types.ROLE_ASSIGNMENT,),
        code="RoleDefinitionDoesNotExist",
        message="The specified role definition with ID '{role}' does not exist.",
        source="H: Troubleshoot Azure RBAC",
    ),
    Rule(
        check=_unknown_principal,
        of=(types.ROLE_ASSIGNMENT,),
        code="PrincipalNotFound",
        message="Principal {principal} does not exist in the directory {tenant}. Check that you"
        " have the correct principal ID. If you are creating this principal and then immediately"
        " assigning a role, this error might be related to a replication delay. In this case, set"
        " the role assignment principalType property to a value, such as ServicePrincipal, User,"
        " or Group.  See https://aka.ms/docs-principaltype",
        source="M: HubAndSpokeResearchEnclave#50",
    ),
    Rule(
        check=_wrong_principal_type,
        of=(types.ROLE_ASSIGNMENT,),
        code="UnmatchedPrincipalType",
        message="The PrincipalId '{principal}' has type 'ServicePrincipal' , which is different"
        " from specified PrinciaplType '{given}'.",
        source="M: modern-web-app-pattern-dotnet#129, the misspelling included",
    ),
    Rule(
        check=_assignment_changed,
        of=(types.ROLE_ASSIGNMENT,),
        code="RoleAssignmentUpdateNotPermitted",
        message="Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
        source="H: Troubleshoot Azure RBAC",
    ),
    Rule(
        check=_assigned_already,
        of=(types.ROLE_ASSIGNMENT,),
        status=409,
        code="RoleAssignmentExists",
        message="The role assignment already exists.",
        source="H: Troubleshoot Azure RBAC",
    ),
)


# -- API Management services ----------------------------------------------------------------------


def _name_soft_deleted(request: Request) -> Violations:
    for record in request.view.list(types.DELETED_SERVICE):
        is_own = record_of(request) == record
        same_name = record.body["name"].lower() == request.path.name.lower()
        if same_name and not request.existing and not (is_own and restores(request)):
            yield {}


def _service_name_taken(request: Request) -> Violations:
    for other in request.view.list(types.SERVICE):
        same_name = other.body["name"].lower() == request.path.name.lower()
        if same_name and other.id.lower() != request.id.lower():
            yield {}


def _wrong_capacity(request: Request) -> Violations:
    sku = request.body["sku"]
    if (sku["capacity"] == 0) is not (sku["name"] == "Consumption"):
        yield {"sku": sku["name"], "capacity": sku["capacity"]}


def _tier_family(sku: str) -> str:
    return sku if sku == "Consumption" else "v2" if sku.endswith("V2") else "classic"


def _tier_changed(request: Request) -> Violations:
    wanted = request.body["sku"]["name"]
    if request.existing and not restores(request):
        had = request.existing.body["sku"]["name"]
        if _tier_family(had) != _tier_family(wanted):
            yield {"had": had, "wanted": wanted}


SERVICE_RULES = (
    Rule(
        check=_name_soft_deleted,
        of=(types.SERVICE,),
        status=409,
        code="ServiceAlreadyExistsInSoftDeletedState",
        message="Api service {name} was soft-deleted. In order to create the new service with the"
        " same name, you have to either undelete the service or purge it. See"
        " https://aka.ms/apimsoftdelete.",
        source="M: terraform-provider-azurerm#12839",
    ),
    Rule(
        check=_nothing_to_restore,
        of=(types.SERVICE,),
        status=404,
        code="ServiceNotFound",
        message="Api service does not exist: {name}",
        source="M: azure-service-operator#3433",
    ),
    Rule(
        check=_service_name_taken,
        of=(types.SERVICE,),
        status=409,
        code="ServiceAlreadyExists",
        message="Api service already exists: {name}",
        source="M: apiops#20",
    ),
    Rule(
        check=_wrong_capacity,
        of=(types.SERVICE,),
        message="Capacity {capacity} is not valid for tier '{sku}': it is 0 for Consumption and at"
        " least 1 for others.",
        target="sku.capacity",
        source="? the wording; H: API Management 2024-05-01, sku",
    ),
    Rule(
        check=_tier_changed,
        of=(types.SERVICE,),
        message="A service of tier '{had}' cannot be changed to tier '{wanted}'.",
        target="sku.name",
        source="? the wording; H: Upgrade and scale an API Management instance",
    ),
)


# -- backends -------------------------------------------------------------------------------------


def _is_pool(properties: Mapping[str, Any]) -> bool:
    return properties.get("type") == "Pool"


def _pool_with_url(request: Request) -> Violations:
    if _is_pool(request.properties) and "url" in request.properties:
        yield {}


def _pool_with_protocol(request: Request) -> Violations:
    if _is_pool(request.properties) and "protocol" in request.properties:
        yield {}


def _pool_with_breaker(request: Request) -> Violations:
    if _is_pool(request.properties) and "circuitBreaker" in request.properties:
        yield {}


def _pool_without_members(request: Request) -> Violations:
    if _is_pool(request.properties) and not _members(request.properties):
        yield {}


def _members_without_pool(request: Request) -> Violations:
    if not _is_pool(request.properties) and "pool" in request.properties:
        yield {}


def _no_url(request: Request) -> Violations:
    if not _is_pool(request.properties) and "url" not in request.properties:
        yield {}


def _no_protocol(request: Request) -> Violations:
    if not _is_pool(request.properties) and "protocol" not in request.properties:
        yield {}


def _unknown_protocol(request: Request) -> Violations:
    given = request.properties.get("protocol", "http")
    if not _is_pool(request.properties) and given not in ("http", "soap"):
        yield {}


def _members(properties: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    members: list[Mapping[str, Any]] = properties.get("pool", {}).get("services", [])
    return members


def _member_backends(request: Request) -> Iterator[tuple[str, Resource | None]]:
    siblings = f"{request.parent_id}/backends/".lower()
    for member in _members(request.properties):
        is_sibling = member["id"].lower().startswith(siblings)
        yield member["id"], request.find(member["id"]) if is_sibling else None


def _unknown_member(request: Request) -> Violations:
    for member_id, backend in _member_backends(request):
        if backend is None:
            yield {"member": member_id.rsplit("/", 1)[-1]}


def _pool_as_member(request: Request) -> Violations:
    for member_id, backend in _member_backends(request):
        if backend and _is_pool(backend.body["properties"]):
            yield {"member": member_id.rsplit("/", 1)[-1]}


def _breaker_rules(request: Request) -> list[Mapping[str, Any]]:
    rules: list[Mapping[str, Any]] = request.properties.get("circuitBreaker", {}).get("rules", [])
    return rules


def _several_breaker_rules(request: Request) -> Violations:
    if len(_breaker_rules(request)) > 1:
        yield {"count": len(_breaker_rules(request))}


def _breaker_on_consumption(request: Request) -> Violations:
    service = request.find(request.parent_id)
    if _breaker_rules(request) and service and service.body["sku"]["name"] == "Consumption":
        yield {}


def _count_and_percentage(request: Request) -> Violations:
    for rule in _breaker_rules(request):
        if ("count" in rule["failureCondition"]) is ("percentage" in rule["failureCondition"]):
            yield {}


def _nothing_to_break_on(request: Request) -> Violations:
    for rule in _breaker_rules(request):
        condition = rule["failureCondition"]
        if not condition.get("statusCodeRanges") and not condition.get("errorReasons"):
            yield {}


def _inverted_range(request: Request) -> Violations:
    for rule in _breaker_rules(request):
        for span in rule["failureCondition"].get("statusCodeRanges", []):
            if span["min"] > span["max"]:
                yield {"low": span["min"], "high": span["max"]}


def _in_use_by_pool(request: Request) -> Violations:
    for pool in request.view.list(types.BACKEND, under=request.parent_id):
        ids = [member["id"].lower() for member in _members(pool.body["properties"])]
        if request.id.lower() in ids:
            yield {"pool": pool.body["name"]}


BACKEND_RULES = (
    Rule(
        check=_pool_with_url,
        of=(types.BACKEND,),
        message="Url is not supported for backend pool.",
        target="url",
        source="M: azure-docs#122455",
    ),
    Rule(
        check=_pool_with_protocol,
        of=(types.BACKEND,),
        message="Protocol is not supported for backend pool.",
        target="protocol",
        source="M: azure-docs#122455",
    ),
    Rule(
        check=_pool_with_breaker,
        of=(types.BACKEND,),
        message="Circuit breaker is not supported for backend pool.",
        target="circuitBreaker",
        source="?",
    ),
    Rule(
        check=_pool_without_members,
        of=(types.BACKEND,),
        message="'pool' should not be empty",
        target="pool",
        source="? the wording; H: API Management 2024-05-01, pool",
    ),
    Rule(
        check=_members_without_pool,
        of=(types.BACKEND,),
        message="Pool is not supported for backend of type 'Single'.",
        target="pool",
        source="?",
    ),
    Rule(
        check=_no_url,
        of=(types.BACKEND,),
        message="'url' should not be empty",
        target="url",
        source="M: azure-powershell#26837",
    ),
    Rule(
        check=_no_protocol,
        of=(types.BACKEND,),
        message="'protocol' should not be empty",
        target="protocol",
        source="? the wording; H: API Management 2024-05-01, protocol",
    ),
    Rule(
        check=_unknown_protocol,
        of=(types.BACKEND,),
        message="Protocol is not supported",
        target="protocol",
        source="M: bicep#14093",
    ),
    Rule(
        check=_unknown_member,
        of=(types.BACKEND,),
        message="Backend Entity '{member}' not found.",
        target="pool",
        source="M: apiops#797",
    ),
    Rule(
        check=_pool_as_member,
        of=(types.BACKEND,),
        message="Backend Entity '{member}' is a pool and cannot be a member of one.",
        target="pool",
        source="?",
    ),
    Rule(
        check=_several_breaker_rules,
        of=(types.BACKEND,),
        message="Circuit breaker supports one rule, not {count}.",
        target="circuitBreaker",
        source="? the wording; H: Backends in API Management, limitations",
    ),
    Rule(
        check=_breaker_on_consumption,
        of=(types.BACKEND,),
        message="Circuit breaker is not supported in the Consumption tier.",
        target="circuitBreaker",
        source="? the wording; H: Backends in API Management, limitations",
    ),
    Rule(
        check=_count_and_percentage,
        of=(types.BACKEND,),
        message="The failure condition should have either count or percentage.",
        target="circuitBreaker",
        source="? the wording; H: API Management 2024-05-01, failureCondition",
    ),
    Rule(
        check=_nothing_to_break_on,
        of=(types.BACKEND,),
        message="The failure condition should have statusCodeRanges or errorReasons.",
        target="circuitBreaker",
        source="?",
    ),
    Rule(
        check=_inverted_range,
        of=(types.BACKEND,),
        message="The range of status codes {low}-{high} ends before it begins.",
        target="circuitBreaker",
        source="?",
    ),
    Rule(
        check=_in_use_by_pool,
        methods=_DELETE,
        of=(types.BACKEND,),
        message="Backend '{name}' cannot be deleted: it is a member of the pool '{pool}'.",
        target="pool",
        source="?",
    ),
)


# -- APIs, operations, policies, subscriptions ----------------------------------------------------


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


def _operation_taken(request: Request) -> Violations:
    def form(properties: Mapping[str, Any]) -> tuple[str, str]:
        template = _TEMPLATE_PARAMETER.sub("{}", properties["urlTemplate"])
        return properties["method"].upper(), template.strip("/").lower()

    for other in request.view.list(types.OPERATION, under=request.parent_id):
        is_other = other.id.lower() != request.id.lower()
        if is_other and form(other.body["properties"]) == form(request.properties):
            yield {"other": other.body["name"]}


def _policy_refused(request: Request) -> Violations:
    try:
        request.azure.compile_policy(request.properties["value"])
    except Exception as error:
        # The compiler is injected; what it refuses a policy with says where.
        line = getattr(error, "line", None)
        if line is None:
            raise
        yield {"line": line, "reason": getattr(error, "message", str(error))}


_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_BACKEND_REFERENCE = re.compile(r"""\bbackend-id\s*=\s*(["'])([^@"'{][^"']*)\1""")


def _unknown_backend_in_policy(request: Request) -> Violations:
    service = request.path.step(types.SERVICE)
    if service is None:
        return
    policy = _COMMENT.sub(_blank, request.properties["value"])
    for reference in _BACKEND_REFERENCE.finditer(policy):
        if not request.find(f"{service.id}/backends/{reference[2]}"):
            line_start = policy.rfind("\n", 0, reference.start()) + 1
            yield {
                "backend": reference[2],
                "line": policy.count("\n", 0, reference.start()) + 1,
                "column": reference.start() - line_start + 1,
            }


def _blank(comment: re.Match[str]) -> str:
    """Keep every position in the text where it is."""
    return re.sub(r"[^\n]", " ", comment[0])


def _scope_api(request: Request) -> str | None:
    """Return the API a subscription is for: '' for all of them, None for no valid scope."""
    scope = request.properties["scope"].removeprefix(request.parent_id).rstrip("/")
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
    wanted = [request.properties.get(key) for key in ("primaryKey", "secondaryKey")]
    for other in request.view.list(types.APIM_SUBSCRIPTION, under=request.parent_id):
        if other.id.lower() == request.id.lower():
            continue
        if set(wanted) & set(request.view.secrets(other.id).values()):
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
        check=_operation_taken,
        of=(types.OPERATION,),
        message="Operation with the same method and UriTemplate already exists: '{other}'.",
        target="urlTemplate",
        source="?",
    ),
    Rule(
        check=_policy_refused,
        of=(types.API_POLICY,),
        message="Error on line {line}: {reason}",
        target="value",
        source="? the wording; M: apiops#565 for the form",
    ),
    Rule(
        check=_unknown_backend_in_policy,
        of=(types.API_POLICY,),
        message="Error in element 'set-backend-service' on line {line}, column {column}: Backend"
        " with id '{backend}' could not be found.",
        target="set-backend-service",
        source="M: apiops#565",
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


# -- what Azure has and the local Azure has not ---------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class NotBuilt:
    """A property that would change what Azure does, and that the local Azure does not act upon.

    Any value is refused but those in `taken`.
    """

    of: str
    path: str
    taken: tuple[object, ...] = ()


NOT_BUILT = (
    NotBuilt(of=types.ACCOUNT, path="identity.type", taken=("None", "SystemAssigned")),
    NotBuilt(of=types.ACCOUNT, path="properties.allowProjectManagement", taken=(False,)),
    NotBuilt(of=types.ACCOUNT, path="properties.dynamicThrottlingEnabled", taken=(False,)),
    NotBuilt(of=types.ACCOUNT, path="properties.locations"),
    NotBuilt(of=types.ACCOUNT, path="properties.networkAcls.defaultAction", taken=("Allow",)),
    NotBuilt(of=types.ACCOUNT, path="properties.networkInjections", taken=([],)),
    NotBuilt(of=types.ACCOUNT, path="properties.publicNetworkAccess", taken=("Enabled",)),
    NotBuilt(of=types.DEPLOYMENT, path="properties.capacitySettings"),
    NotBuilt(of=types.DEPLOYMENT, path="properties.parentDeploymentName"),
    NotBuilt(of=types.DEPLOYMENT, path="properties.scaleSettings"),
    NotBuilt(of=types.DEPLOYMENT, path="properties.spilloverDeploymentName"),
    NotBuilt(of=types.ROLE_ASSIGNMENT, path="properties.condition"),
    NotBuilt(of=types.ROLE_ASSIGNMENT, path="properties.delegatedManagedIdentityResourceId"),
    NotBuilt(of=types.SERVICE, path="identity.type", taken=("None", "SystemAssigned")),
    NotBuilt(of=types.SERVICE, path="properties.additionalLocations", taken=([],)),
    NotBuilt(of=types.SERVICE, path="properties.certificates", taken=([],)),
    NotBuilt(of=types.SERVICE, path="properties.disableGateway", taken=(False,)),
    NotBuilt(of=types.SERVICE, path="properties.enableClientCertificate", taken=(False,)),
    NotBuilt(of=types.SERVICE, path="properties.hostnameConfigurations", taken=([],)),
    NotBuilt(of=types.SERVICE, path="properties.publicNetworkAccess", taken=("Enabled",)),
    NotBuilt(of=types.SERVICE, path="properties.virtualNetworkConfiguration"),
    NotBuilt(of=types.SERVICE, path="properties.virtualNetworkType", taken=("None",)),
    NotBuilt(of=types.BACKEND, path="properties.credentials"),
    NotBuilt(of=types.BACKEND, path="properties.properties", taken=({},)),
    NotBuilt(of=types.BACKEND, path="properties.proxy"),
    NotBuilt(of=types.BACKEND, path="properties.resourceId"),
    NotBuilt(of=types.API, path="properties.apiRevision", taken=("1",)),
    NotBuilt(of=types.API, path="properties.apiType", taken=("http",)),
    NotBuilt(of=types.API, path="properties.apiVersion", taken=("",)),
    NotBuilt(of=types.API, path="properties.apiVersionSet"),
    NotBuilt(of=types.API, path="properties.apiVersionSetId"),
    NotBuilt(of=types.API, path="properties.authenticationSettings"),
    NotBuilt(of=types.API, path="properties.format"),
    NotBuilt(of=types.API, path="properties.isCurrent", taken=(True,)),
    NotBuilt(of=types.API, path="properties.sourceApiId"),
    NotBuilt(of=types.API, path="properties.type", taken=("http",)),
    NotBuilt(of=types.API, path="properties.value"),
    NotBuilt(of=types.API, path="properties.wsdlSelector"),
    NotBuilt(of=types.OPERATION, path="properties.policies"),
    NotBuilt(of=types.API_POLICY, path="properties.format", taken=("xml", "rawxml")),
)


def _not_built(request: Request) -> Violations:
    for entry in NOT_BUILT:
        if entry.of != request.path.type:
            continue
        value: Any = request.body
        for name in entry.path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None and value not in entry.taken:
            yield {"path": entry.path}


def _revision_in_name(request: Request) -> Violations:
    if ";rev=" in request.path.name:
        yield {"path": "name"}


NOT_BUILT_RULES = tuple(
    Rule(
        check=check,
        code="NotSupportedByLocalAzure",
        message="The local Azure does not support this value of '{path}' of a '{type}'.",
        source="local Azure",
    )
    for check in (_not_built, _revision_in_name)
)

STAGES = (
    REQUEST_RULES,
    BODY_RULES,
    VALUE_RULES,
    STATE_RULES,
    NOT_BUILT_RULES,
    (
        *COGNITIVE_SERVICES_RULES,
        *AUTHORIZATION_RULES,
        *SERVICE_RULES,
        *BACKEND_RULES,
        *API_RULES,
    ),
)
