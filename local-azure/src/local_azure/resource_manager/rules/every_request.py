"""Rules for every request: what it names, what it sends, and what is under way."""

import re
from collections.abc import Mapping

from local_azure.resource_manager import resource_types as types
from local_azure.resource_manager.actions import ACTIONS
from local_azure.resource_manager.filters import FilterError, compiled
from local_azure.resource_manager.operations import is_pending, operation_of
from local_azure.resource_manager.paths import (
    OPERATION_RESULT,
    PROVIDER,
    RESOURCE_GROUP,
    SUBSCRIPTION,
    ArmPath,
    Step,
)
from local_azure.resource_manager.request import Request, ResourceType, Unreadable
from local_azure.resource_manager.resource_types import RESOURCE_TYPES
from local_azure.resource_manager.rules.rule import (
    ANY,
    APIM_CHILDREN,
    FIND,
    READ,
    WRITE,
    Rule,
    Violations,
    is_guid,
)
from local_azure.store import Resource


def _no_api_version(request: Request) -> Violations:
    if not request.api_version:
        yield {}


def _malformed_subscription(request: Request) -> Violations:
    step = request.path.step(SUBSCRIPTION)
    if step and not is_guid(step.name):
        yield {"subscription": step.name}


def _unknown_subscription(request: Request) -> Violations:
    step = request.path.step(SUBSCRIPTION)
    if step and step.name.lower() != request.azure.subscription_id.lower():
        yield {"subscription": step.name}


def _unknown_type(request: Request) -> Violations:
    path = request.path
    for step in path.steps:
        if step.type.lower() not in RESOURCE_TYPES:
            yield {"what": f"resource type '{step.type}'"}
            return
        if step.type == PROVIDER and not request.find(step.id):
            yield {"what": f"namespace '{step.name}'"}
            return
    if path.tail and not (path.tail in ACTIONS or path.tail.lower() in RESOURCE_TYPES):
        what = "action" if request.method == "POST" else "list of"
        yield {"what": f"{what} '{path.tail}'"}


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
        or request.method not in READ | WRITE
        or action is not (request.path.tail in ACTIONS)
        or (kind.routing and not action)
        or (collection and request.method != "GET")
        or (request.method == "PUT" and kind.build is None)
        or (request.method == "PATCH" and not kind.patched)
        or (request.method == "DELETE" and kind.read_only)
    ):
        yield {}


def _unsupported_query(request: Request) -> Violations:
    for name in ("$orderby", "$select", "$expand", "tags"):
        if name in request.query and not (name == "$expand" and _expands_resources(request)):
            yield {"name": name}


def _expands_resources(request: Request) -> bool:
    wanted = set(request.query["$expand"].split(","))
    return request.path.tail == types.ANY_RESOURCE and wanted <= types.EXPANDED.keys()


def _bad_filter(request: Request) -> Violations:
    if "$filter" in request.query and request.kind:
        try:
            compiled(request.query["$filter"], request.kind.name)
        except FilterError as error:
            yield {"reason": str(error)}


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
    if request.path.tail and (request.method == "GET" or not _is_stored(request.path.steps[-1])):
        return
    if not is_result and not request.existing:
        yield {"path": _type_and_names(request.path)}


def _no_result(request: Request) -> Violations:
    if not request.path.tail and not operation_of(request):
        yield {}


def _type_and_names(path: ArmPath) -> str:
    """`Microsoft.CognitiveServices/accounts/a/deployments/b` of the innermost resource."""
    return path.id.rsplit("/providers/", 1)[-1]


REQUEST_RULES = (
    Rule(
        check=_no_api_version,
        methods=ANY,
        code="MissingApiVersionParameter",
        message="The api-version query parameter (?api-version=) is required for all requests.",
        source="H: Resource Manager RPC, api-version",
    ),
    Rule(
        check=_malformed_subscription,
        methods=ANY,
        code="InvalidSubscriptionId",
        message="The provided subscription identifier '{subscription}' is malformed or invalid.",
        source="H: Troubleshoot common Azure deployment errors",
    ),
    Rule(
        check=_unknown_subscription,
        methods=ANY,
        status=404,
        code="SubscriptionNotFound",
        message="The subscription '{subscription}' could not be found.",
        source="H: Troubleshoot common Azure deployment errors",
    ),
    Rule(
        check=_unknown_type,
        methods=ANY,
        code="NotSupportedByLocalAzure",
        message="The local Azure does not have the {what}.",
        source="local Azure",
    ),
    Rule(
        check=_outside_resource_manager,
        methods=ANY,
        code="NoRegisteredProviderFound",
        message="No registered resource provider found for location '{location}' and API version"
        " '{api_version}' for type '{type_in_namespace}'. The supported api-versions are"
        " '{versions}'. The supported locations are '{locations}'.",
        source="M: pulumi-azure-native#584",
    ),
    Rule(
        check=_unsupported_version,
        methods=ANY,
        code="InvalidApiVersionParameter",
        message="The api-version '{api_version}' is invalid. The supported versions are"
        " '{versions}'.",
        source="M: azure-cli#28038",
    ),
    Rule(
        check=_not_allowed,
        methods=ANY,
        status=405,
        code="MethodNotAllowed",
        message="The request method '{method}' is not supported for '{type}'.",
        source="?",
    ),
    Rule(
        check=_unsupported_query,
        methods=ANY,
        code="NotSupportedByLocalAzure",
        message="The local Azure does not support the query parameter '{name}'.",
        source="local Azure",
    ),
    Rule(
        check=_bad_filter,
        methods=ANY,
        code="InvalidFilterInQueryString",
        message="Invalid $filter specified in the query string: {reason}.",
        source="? the wording; H: the $filter of each list",
    ),
    Rule(
        check=_no_resource_group,
        methods=ANY,
        status=404,
        code="ResourceGroupNotFound",
        message="Resource group '{resource_group}' could not be found.",
        source="H: Resolve errors for resource not found",
    ),
    Rule(
        check=_no_parent,
        methods=ANY,
        status=404,
        code="ParentResourceNotFound",
        message="Can not perform requested operation on nested resource. Parent resource"
        " '{parent}' not found.",
        source="H: Resolve errors for parent resources",
    ),
    Rule(
        check=_no_parent_within_service,
        methods=ANY,
        status=404,
        code="ResourceNotFound",
        message="{label} not found.",
        source="M: apiops#343",
    ),
    Rule(
        check=_not_there,
        methods=FIND,
        of=(APIM_CHILDREN,),
        status=404,
        code="ResourceNotFound",
        message="{label} not found.",
        source="M: apiops#343",
    ),
    Rule(
        check=_not_there,
        methods=FIND,
        of=(types.DELETED_SERVICE,),
        status=404,
        code="ServiceNotFound",
        message="Api service does not exist: {name}",
        source="M: azure-rest-api-specs#14961",
    ),
    Rule(
        check=_not_there,
        methods=FIND,
        of=(types.ROLE_ASSIGNMENT,),
        status=404,
        code="RoleAssignmentNotFound",
        message="The role assignment '{name}' is not found.",
        source="H: Troubleshoot Azure RBAC",
    ),
    Rule(
        check=_not_there,
        methods=FIND,
        of=(types.ROLE_DEFINITION,),
        status=404,
        code="RoleDefinitionDoesNotExist",
        message="The specified role definition with ID '{name}' does not exist.",
        source="H: Troubleshoot Azure RBAC",
    ),
    Rule(
        check=_no_result,
        methods=FIND,
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
        methods=FIND,
        status=404,
        code="ResourceNotFound",
        message="The Resource '{path}' under resource group '{resource_group}' was not found."
        " For more details please go to https://aka.ms/ARMResourceNotFoundFix",
        source="H: Resolve errors for resource not found",
    ),
)


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


def _newer_property(request: Request) -> Violations:
    sent = request.sent.get("properties") if isinstance(request.sent, dict) else None
    newer = request.kind.newer.get(request.api_version, ()) if request.kind else ()
    for path in sorted(newer):
        value = sent
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            yield {"name": path.rpartition(".")[2], "path": path}


def _malformed(request: Request) -> Violations:
    for problem in request.problems:
        if problem.malformed:
            yield {"reason": problem.message}


def _value_problems(request: Request) -> Violations:
    for problem in request.problems:
        yield {"path": problem.path.removeprefix("properties."), "problem": problem.message}


# What a body has to name, unless it names where to get it.
_OR_ELSE: Mapping[str, tuple[str, tuple[str, ...]]] = {
    types.API: ("displayName", ("format", "sourceApiId")),
    types.NAMED_VALUE: ("value", ("keyVault",)),
}


def _not_given(request: Request) -> Violations:
    name, or_else = _OR_ELSE[request.path.type]
    if "properties" in request.body and request.properties.keys().isdisjoint((name, *or_else)):
        yield {"missing": name}


_GROUP_NAME = re.compile(r"[-\w.()]*[-\w()]")
_ACCOUNT_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,63}")
_SERVICE_NAME = re.compile(r"(?=.{1,50}$)[a-zA-Z](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?")
_API_NAME = re.compile(r"[^*#&+:<>?]{1,256}")
_BACKEND_NAME = re.compile(r"[^\x00-\x1f\\]{1,80}")
_FRAGMENT_NAME = re.compile(r"(?=.{1,80}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?")
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
    **dict.fromkeys(types.POLICIES, (re.compile("policy"), "'policy'")),
    types.POLICY_FRAGMENT: (
        _FRAGMENT_NAME,
        "1-80 characters matching ^[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?$",
    ),
    types.NAMED_VALUE: (_API_NAME, "1-256 characters matching ^[^*#&+:<>?]+$"),
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
    if not is_guid(request.path.name):
        yield {}


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
        check=_newer_property,
        code="InvalidRequestContent",
        message="The request content was invalid and could not be deserialized: 'Could not find"
        " member '{name}' of api-version {api_version}. Path 'properties.{path}'.'.",
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
        of=(APIM_CHILDREN,),
        message="Identifier '{name}' is invalid. It should be {form_is}.",
        target="name",
        source="? the wording; H: API Management 2024-05-01",
    ),
)

VALUE_RULES = (
    Rule(
        check=_value_problems,
        of=("Microsoft.ApiManagement/",),
        message="{problem}",
        target="{path}",
        source="M: azure-powershell#26837 for an empty property; ? other wordings",
    ),
    Rule(
        check=_not_given,
        of=tuple(_OR_ELSE),
        message="'{missing}' should not be empty",
        target="{missing}",
        source="M: azure-powershell#26837; ? for an API, whose specification has no such rule",
    ),
    Rule(
        check=_value_problems,
        of=(
            "Microsoft.CognitiveServices/",
            "Microsoft.Resources/",
            "Microsoft.Authorization/",
            "Microsoft.Network/",
            "Microsoft.Insights/",
            "Microsoft.OperationalInsights/",
        ),
        code="InvalidRequestContent",
        message="The request content was invalid and could not be deserialized: '{path}: {problem}"
        "'.",
        source="?",
    ),
)


def _is_tracked_type(kind: ResourceType | None) -> bool:
    return kind is not None and kind.tracked


def _no_location(request: Request) -> Violations:
    if _is_tracked_type(request.kind) and not request.location:
        yield {}


def _unknown_location(request: Request) -> Violations:
    if _is_tracked_type(request.kind) and request.location not in request.azure.locations:
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
    # API Management takes "*" for what is not there, too: the Azure CLI creates with it.
    if "*" not in tags and (not request.existing or request.existing.etag not in tags):
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


_RESERVED_IN_TAGS = re.compile(r"[<>%&\\?/\x00-\x1f]")
_TAGS_OF_A_SERVICE = 15


def _tags(request: Request) -> Mapping[str, str]:
    tags = request.body.get("tags")
    return tags if isinstance(tags, dict) else {}


def _reserved_in_a_tag(request: Request) -> Violations:
    if bad := [name for name in _tags(request) if _RESERVED_IN_TAGS.search(name)]:
        yield {"names": ", ".join(bad)}


def _long_tag(request: Request) -> Violations:
    for name, value in _tags(request).items():
        for what, text, most in (("key", name, 512), ("value", value, 256)):
            if len(text) > most:
                yield {"what": what, "text": text[:80], "most": most}


def _too_many_tags(request: Request) -> Violations:
    if (count := len(_tags(request))) > 50:
        yield {"count": count}


def _too_many_for_a_service(request: Request) -> Violations:
    if len(_tags(request)) > _TAGS_OF_A_SERVICE:
        yield {"most": _TAGS_OF_A_SERVICE}


STATE_RULES = (
    Rule(
        check=_reserved_in_a_tag,
        code="InvalidTagNameCharacters",
        message="The tag names '{names}' have reserved characters '<,>,%,&,\\,?,/' or control"
        " characters.",
        source="H: the limit, Use tags to organize your Azure resources; ? the wording",
    ),
    Rule(
        check=_long_tag,
        code="InvalidTag",
        message="The tag {what} '{text}' is too long. The maximum length is '{most}'.",
        source="H: the limit, Use tags to organize your Azure resources; ? code and wording",
    ),
    Rule(
        check=_too_many_tags,
        code="TooManyTags",
        message="Too many tags on the resource/resource group. Requested tag count - '{count}'."
        " Maximum number of tags allowed - '50'.",
        source="H: the limit, Use tags to organize your Azure resources; ? code and wording",
    ),
    Rule(
        check=_too_many_for_a_service,
        of=(types.SERVICE,),
        code="InvalidParameters",
        message="Invalid parameter: Tags count out of bound. Maximum count value is {most}.",
        source="M: hashicorp/terraform#31416, azure-docs#93117",
    ),
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
        methods=WRITE,
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
        methods=WRITE,
        of=(types.ACCOUNT, types.DEPLOYMENT),
        status=409,
        code="AccountProvisioningStateInvalid",
        message="Account {account} in state {state}",
        source="M: microsoft-foundry-baseline#76",
    ),
    Rule(
        check=_another_deployment_busy,
        methods=WRITE,
        of=(types.DEPLOYMENT,),
        status=409,
        code="RequestConflict",
        message="Another operation is being performed on the parent resource '{parent_id}'. Please"
        " try again later.",
        source="M: Vector-Search-AI-Assistant#11",
    ),
    Rule(
        check=_service_busy,
        methods=WRITE,
        of=(types.SERVICE, APIM_CHILDREN),
        status=409,
        code="ServiceLocked",
        message="The API Service {service} is transitioning at this time. Please try the request"
        " again later.",
        source="?",
    ),
)
