"""Every rule of Azure that Resource Manager enforces: what breaks it, and the answer."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from arm_server import (
    ACCOUNT,
    API,
    ASSIGNMENT,
    BACKEND,
    DELETED_SERVICE,
    DEPLOYMENT,
    FRAGMENT,
    GROUP,
    IDENTITY,
    KEY,
    LEAST,
    NAMED_VALUE,
    OPENAI_USER,
    OPERATION,
    OPERATION_POLICY,
    POLICY,
    POOL,
    SERVICE,
    SERVICE_POLICY,
    SUBSCRIPTION,
    Arm,
    serving,
)
from test_networks import BODIES, ENDPOINT, JOINED, VNET

from local_azure.__main__ import main
from local_azure.gateway.refusals import refusals
from local_azure.gateway.statements import REFUSED, STATEMENTS
from local_azure.resource_manager import resource_types as types
from local_azure.resource_manager import rules
from local_azure.resource_manager.rules.monitor import MONITOR_RULES
from local_azure.resource_manager.rules.not_built import NOT_BUILT, NotBuilt
from local_azure.resource_manager.rules.rule import Rule

MOST_UNITS = {
    "Developer": 1,
    "Basic": 2,
    "Standard": 4,
    "Premium": 12,
    "BasicV2": 10,
    "StandardV2": 10,
    "PremiumV2": 30,
}
OTHER_GROUP = f"{SUBSCRIPTION}/resourceGroups/other"
VALIDATION = "One or more fields contain incorrect values:"
SUBDOMAIN_TAKEN = (
    "Please pick a different name. The subdomain name 'foundry1-abc' is not available as it's"
    " already used by a resource. If the resource using the name was deleted in the last 48 hours,"
    " you may need to purge the deleted resource. Learn more at"
    ' "https://go.microsoft.com/fwlink/?linkid=2215493"'
)


def changed(path: str, **changes: Any) -> Mapping[str, Any]:
    """Return the least body of a resource with changes; `a__b=1` changes `b` in `a`."""
    body: dict[str, Any] = {**LEAST[path]}
    for place, value in changes.items():
        *parents, name = place.split("__")
        target = body
        for parent in parents:
            target[parent] = {**target.get(parent, {})}
            target = target[parent]
        if value is ABSENT:
            target.pop(name)
        else:
            target[name] = value
    return body


ABSENT = object()


class Said:
    """What an assumed rule says, in whatever words: those of its check's rules as they are now."""

    def __init__(self, check: str) -> None:
        every = (rule for stage in rules.STAGES for rule in stage if rule.wording_is_assumed)
        self.rules = [rule for rule in every if rule.check.__name__.lstrip("_") == check]
        assert self.rules, check

    def __eq__(self, message: object) -> bool:
        return any(re.fullmatch(form(rule.message), str(message)) for rule in self.rules)

    __hash__ = None


def form(template: str) -> str:
    """Return a rule's message as a regular expression, with anything in the place of values."""
    plain = template.replace("{{", "\0").replace("}}", "\1")
    parts = (part.replace("\0", "{").replace("\1", "}") for part in re.split(r"\{\w+\}", plain))
    return "(?s)" + ".*".join(map(re.escape, parts))


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is there, what is asked, and how Azure refuses it; `details` are (target, message)."""

    title: str
    there: tuple[str, ...] = ()
    before: Callable[[Arm], object] | None = None
    ask: Callable[[Arm], httpx.Response]
    status: int = 400
    code: str
    message: str | Said = ""
    details: tuple[tuple[str, str | Said], ...] = field(default=())


def put(path: str, body: Any = None, **more: Any) -> Callable[[Arm], httpx.Response]:
    return lambda arm: arm.put(path, LEAST.get(path, {}) if body is None else body, **more)


def of_bytes(size: int) -> str:
    """A policy of so many bytes."""
    begin, end = "<policies><!-- \u00e9", " --></policies>"
    return begin + "x" * (size - len((begin + end).encode())) + end


def get(path: str, **more: Any) -> Callable[[Arm], httpx.Response]:
    return lambda arm: arm.get(path, **more)


def invalid(
    title: str, path: str, body: Any, *details: tuple[str, str | Said], there: tuple[str, ...] = ()
) -> Case:
    """A body that API Management refuses by its fields."""
    needed = there or ((GROUP, SERVICE) if path != SERVICE else (GROUP,))
    return Case(
        title=title,
        there=needed,
        ask=put(path, body),
        code="ValidationError",
        message=VALIDATION,
        details=details,
    )


def breaker(**changes: Any) -> Mapping[str, Any]:
    condition = {"count": 3, "interval": "PT1M", "statusCodeRanges": [{"min": 429, "max": 429}]}
    rule = {"failureCondition": condition, "tripDuration": "PT1M"}
    for name, value in changes.items():
        target = rule if name in ("tripDuration", "failureCondition") else condition
        if value is ABSENT:
            target.pop(name)
        else:
            target[name] = value
    return changed(BACKEND, properties__circuitBreaker={"rules": [rule]})


def pool(*services: Mapping[str, Any], **more: Any) -> Mapping[str, Any]:
    return {"properties": {"type": "Pool", "pool": {"services": list(services)}, **more}}


MEMBER = {"id": BACKEND, "priority": 1, "weight": 1}
ALL_CHAT = (GROUP, SERVICE, BACKEND, API)

PROTOCOL = [
    Case(
        title="no api-version",
        ask=lambda arm: arm.client.get(GROUP),
        code="MissingApiVersionParameter",
        message="The api-version query parameter (?api-version=) is required for all requests.",
    ),
    Case(
        title="a subscription that is no GUID",
        ask=get("/subscriptions/mine/resourceGroups/rg"),
        code="InvalidSubscriptionId",
        message="The provided subscription identifier 'mine' is malformed or invalid.",
    ),
    Case(
        title="another subscription",
        ask=get("/subscriptions/00000000-0000-0000-0000-000000000009/resourceGroups/rg"),
        status=404,
        code="SubscriptionNotFound",
        message="The subscription '00000000-0000-0000-0000-000000000009' could not be found.",
    ),
    *(
        Case(
            title=f"a resource type of Azure that is not built, to {method}",
            there=(GROUP, SERVICE),
            ask=lambda arm, method=method: arm.request(
                method, f"{SERVICE}/products/starter", json={"properties": {}}
            ),
            code="NotSupportedByLocalAzure",
            message="The local Azure does not have the resource type"
            " 'Microsoft.ApiManagement/service/products'.",
        )
        for method in ("GET", "PUT", "DELETE")
    ),
    Case(
        title="what is in a resource of a type that is not built",
        there=(GROUP, SERVICE),
        ask=put(f"{SERVICE}/products/starter/policies/policy", LEAST[POLICY]),
        code="NotSupportedByLocalAzure",
        message="The local Azure does not have the resource type"
        " 'Microsoft.ApiManagement/service/products'.",
    ),
    Case(
        title="a list that is not built",
        ask=get(f"{GROUP}/providers/Microsoft.Storage/storageAccounts"),
        code="NotSupportedByLocalAzure",
        message="The local Azure does not have the list of 'Microsoft.Storage/storageAccounts'.",
    ),
    Case(
        title="an action that is not built",
        there=(GROUP, SERVICE),
        ask=lambda arm: arm.request("POST", f"{SERVICE}/backup"),
        code="NotSupportedByLocalAzure",
        message="The local Azure does not have the action"
        " 'Microsoft.ApiManagement/service/backup'.",
    ),
    Case(
        title="a namespace that is not there",
        ask=get(f"{SUBSCRIPTION}/providers/Microsoft.Storage"),
        code="NotSupportedByLocalAzure",
        message="The local Azure does not have the namespace 'Microsoft.Storage'.",
    ),
    Case(
        title="an api-version of another time, of a provider",
        there=(GROUP, SERVICE),
        ask=get(SERVICE, params={"api-version": "2016-07-07"}),
        code="NoRegisteredProviderFound",
        message="No registered resource provider found for location 'uksouth' and API version"
        " '2016-07-07' for type 'service'. The supported api-versions are '2022-08-01,"
        " 2024-05-01'. The supported locations are 'australiacentral,",
    ),
    Case(
        title="an api-version of another time, of Resource Manager itself",
        ask=put(GROUP, params={"api-version": "2014-01-01"}),
        code="InvalidApiVersionParameter",
        message="The api-version '2014-01-01' is invalid. The supported versions are '2021-04-01,"
        " 2022-09-01, 2022-12-01, 2024-03-01, 2024-11-01, 2025-04-01'.",
    ),
    *(
        Case(
            title=f"{method}, which the type has not",
            there=(GROUP, SERVICE),
            ask=lambda arm, method=method: arm.request(method, SERVICE, content=b"{}"),
            status=405,
            code="MethodNotAllowed",
            message=Said("not_allowed"),
        )
        for method in ("POST", "OPTIONS", "TRACE")
    ),
    Case(
        title="PATCH of a policy",
        there=(GROUP, SERVICE, API, POLICY),
        ask=lambda arm: arm.request("PATCH", POLICY, json={"properties": {"format": "xml"}}),
        status=405,
        code="MethodNotAllowed",
        message="The request method 'PATCH' is not supported for",
    ),
    Case(
        title="PATCH of what is not there",
        there=(GROUP, SERVICE),
        ask=lambda arm: arm.request("PATCH", BACKEND, json={"properties": {"title": "x"}}),
        status=404,
        code="ResourceNotFound",
        message="Backend not found.",
    ),
    Case(
        title="PUT of a collection",
        there=(GROUP, SERVICE),
        ask=put(f"{SERVICE}/backends", {}),
        status=405,
        code="MethodNotAllowed",
        message=Said("not_allowed"),
    ),
    Case(
        title="DELETE of the subscription",
        ask=lambda arm: arm.delete(SUBSCRIPTION),
        status=405,
        code="MethodNotAllowed",
        message=Said("not_allowed"),
    ),
    Case(
        title="an order",
        there=(GROUP, SERVICE),
        ask=get(f"{SERVICE}/backends", params={"$orderby": "name"}),
        code="NotSupportedByLocalAzure",
        message="The local Azure does not support the query parameter '$orderby'.",
    ),
    *(
        Case(
            title=f"a filter: {text}",
            there=(GROUP, SERVICE),
            ask=get(f"{SERVICE}/backends", params={"$filter": text}),
            code="InvalidFilterInQueryString",
            message=Said("bad_filter"),
        )
        for text in (
            "weight eq '1'",
            "atScope()",
            "name eq",
            "(" * 51 + "name eq 'x'" + ")" * 51,
            "name eq 'x",
        )
    ),
    Case(
        title="a filter where lists have none",
        ask=get(f"{SUBSCRIPTION}/providers/{types.ACCOUNT}", params={"$filter": "name eq 'x'"}),
        code="InvalidFilterInQueryString",
        message=f"lists of '{types.ACCOUNT}' have none.",
    ),
    Case(
        title="a property that came after the api-version",
        there=(GROUP, SERVICE, BACKEND),
        ask=put(POOL, params={"api-version": "2022-08-01"}),
        code="InvalidRequestContent",
        message="'Could not find member 'pool' of api-version 2022-08-01. Path 'properties.pool'.'",
    ),
    Case(
        title="a missing resource group",
        ask=get(GROUP),
        status=404,
        code="ResourceGroupNotFound",
        message="Resource group 'rg' could not be found.",
    ),
    Case(
        title="a resource in a missing resource group",
        ask=put(ACCOUNT),
        status=404,
        code="ResourceGroupNotFound",
        message="Resource group 'rg' could not be found.",
    ),
    Case(
        title="a missing parent",
        there=(GROUP,),
        ask=put(BACKEND),
        status=404,
        code="ParentResourceNotFound",
        message="Can not perform requested operation on nested resource. Parent resource 'apim1'"
        " not found.",
    ),
    Case(
        title="a list under a missing parent",
        there=(GROUP,),
        ask=get(f"{ACCOUNT}/deployments"),
        status=404,
        code="ParentResourceNotFound",
        message="Can not perform requested operation on nested resource. Parent resource"
        " 'foundry1' not found.",
    ),
    Case(
        title="a missing parent within a service",
        there=(GROUP, SERVICE),
        ask=put(OPERATION),
        status=404,
        code="ResourceNotFound",
        message="Api not found.",
    ),
    Case(
        title="a missing backend",
        there=(GROUP, SERVICE),
        ask=get(BACKEND),
        status=404,
        code="ResourceNotFound",
        message="Backend not found.",
    ),
    Case(
        title="a missing account",
        there=(GROUP,),
        ask=get(ACCOUNT),
        status=404,
        code="ResourceNotFound",
        message="The Resource 'Microsoft.CognitiveServices/accounts/foundry1' under resource group"
        " 'rg' was not found. For more details please go to"
        " https://aka.ms/ARMResourceNotFoundFix",
    ),
    Case(
        title="a service that is not soft-deleted",
        ask=get(DELETED_SERVICE),
        status=404,
        code="ServiceNotFound",
        message="Api service does not exist: apim1",
    ),
    Case(
        title="a missing role assignment",
        there=(GROUP, ACCOUNT),
        ask=get(ASSIGNMENT),
        status=404,
        code="RoleAssignmentNotFound",
        message="The role assignment '7a0e0f3c-3f0e-4e60-9a53-0d3e1c6f7a11' is not found.",
    ),
    Case(
        title="a role that is not built in",
        ask=get(OPENAI_USER.replace("5e0bd9bd", "00000000")),
        status=404,
        code="RoleDefinitionDoesNotExist",
        message="The specified role definition with ID '00000000-7b93-4f28-af87-19fc36ad61bd' does"
        " not exist.",
    ),
    Case(
        title="the result of an unknown operation",
        ask=get(
            f"{SUBSCRIPTION}/providers/Microsoft.ApiManagement/locations/uksouth/operationResults/x"
        ),
        status=404,
        code="ResourceNotFound",
        message=Said("no_result"),
    ),
    Case(
        title="no path of Resource Manager",
        ask=lambda arm: arm.client.get("/subscriptions//resourceGroups"),
        status=404,
        code="NotFound",
        message="No resource of Resource Manager has the path '/subscriptions//resourceGroups'.",
    ),
]

UNREADABLE = "The request content was invalid and could not be deserialized: "


def send(content: bytes, content_type: str = "application/json") -> Callable[[Arm], httpx.Response]:
    headers = {"Content-Type": content_type} if content_type else {}
    return lambda arm: arm.request("PUT", GROUP, content=content, headers=headers)


def unreadable(title: str, content: bytes, message: str) -> Case:
    return Case(
        title=title,
        ask=send(content),
        code="InvalidRequestContent",
        message=f"{UNREADABLE}'{message}",
    )


CONTENT = [
    Case(
        title="another media type",
        ask=send(b'{"location": "uksouth"}', "text/plain; charset=utf-8"),
        status=415,
        code="UnsupportedMediaType",
        message="The content media type 'text/plain' is not supported. Only 'application/json' is"
        " supported.",
    ),
    Case(
        title="no media type",
        ask=send(b'{"location": "uksouth"}', ""),
        status=415,
        code="UnsupportedMediaType",
        message="The content media type '<null>' is not supported. Only 'application/json' is"
        " supported.",
    ),
    unreadable("nothing", b"", "Expecting value"),
    unreadable("cut JSON", b'{"location": "uks', "Unterminated string"),
    unreadable("no UTF-8", b'{"location": "\xff\xfe"}', "'utf-8' codec can't decode"),
    unreadable("NaN", b'{"location": NaN}', "NaN is not JSON'."),
    unreadable("nested without end", b"[" * 200_000, "it is nested too deeply'."),
    unreadable("a number without end", b"1" * 5000, f"the number {'1' * 40} is too large'."),
    Case(
        title="more than 4 MiB",
        ask=send(b" " * (4 * 1024 * 1024 + 1)),
        status=413,
        code="RequestContentTooLarge",
        message="Maximum request body size 4194304 exceeded",
    ),
    *(
        unreadable(
            f"{content.decode()} for an object",
            content,
            "Cannot deserialize the current JSON into type 'ResourceGroup' because the type"
            " requires a JSON object.'.",
        )
        for content in (b"[]", b"null", b'"text"', b"1", b"true")
    ),
    unreadable(
        "an unknown property",
        b'{"location": "uksouth", "loction": "eastus"}',
        "Could not find member 'loction' on object of type 'ResourceGroup'. Path 'loction'.'.",
    ),
    unreadable(
        "a number for a text",
        b'{"location": 5}',
        "Error converting value 5 to type 'String'. Path 'location'.'.",
    ),
    Case(
        title="an unknown property deep down",
        there=(GROUP, SERVICE, BACKEND),
        ask=put(POOL, pool({**MEMBER, "prioirty": 1})),
        code="InvalidRequestContent",
        message=f"{UNREADABLE}'Could not find member 'prioirty' on object of type"
        " 'BackendPoolItem'. Path 'properties.pool.services[0].prioirty'.'.",
    ),
    Case(
        title="session affinity, which 2024-05-01 has not",
        there=(GROUP, SERVICE, BACKEND),
        ask=put(POOL, changed(POOL, properties__pool__sessionAffinity={})),
        code="InvalidRequestContent",
        message=f"{UNREADABLE}'Could not find member 'sessionAffinity' of api-version 2024-05-01."
        " Path 'properties.pool.sessionAffinity'.'.",
    ),
    *(
        Case(
            title=f"{value!r} for a weight",
            there=(GROUP, SERVICE, BACKEND),
            ask=put(POOL, pool({**MEMBER, "weight": value})),
            code="InvalidRequestContent",
            message=f"{UNREADABLE}'Error converting value {shown} to type 'Int32'. Path"
            " 'properties.pool.services[0].weight'.'.",
        )
        for value, shown in ((1.5, "1.5"), ("1", '"1"'), (True, "True"), ([], "of an array"))
    ),
    Case(
        title="an object for an array",
        there=(GROUP, SERVICE, BACKEND),
        ask=put(POOL, changed(POOL, properties__pool__services={})),
        code="InvalidRequestContent",
        message=f"{UNREADABLE}'Error converting value of an object to type 'Array'. Path"
        " 'properties.pool.services'.'.",
    ),
    Case(
        title="a text for a flag",
        there=(GROUP,),
        ask=put(ACCOUNT, changed(ACCOUNT, properties__disableLocalAuth="yes")),
        code="InvalidRequestContent",
        message=f"{UNREADABLE}'Error converting value \"yes\" to type 'Boolean'. Path"
        " 'properties.disableLocalAuth'.'.",
    ),
    Case(
        title="a text for tags",
        ask=put(GROUP, {"location": "uksouth", "tags": "a"}),
        code="InvalidRequestContent",
        message=f"{UNREADABLE}'Error converting value \"a\" to type 'Object'. Path 'tags'.'.",
    ),
    Case(
        title="a text for properties",
        there=(GROUP, SERVICE),
        ask=put(BACKEND, {"properties": "a"}),
        code="InvalidRequestContent",
        message=f"{UNREADABLE}'Error converting value \"a\" to type 'BackendContractProperties'."
        " Path 'properties'.'.",
    ),
    Case(
        title="no kind",
        there=(GROUP,),
        ask=put(ACCOUNT, changed(ACCOUNT, kind=ABSENT)),
        code="InvalidRequestContent",
        message=f"{UNREADABLE}'kind: 'kind' should not be empty'.",
    ),
]

NAMES = [
    *(
        Case(
            title=f"a resource group named {name!r}",
            ask=put(f"{SUBSCRIPTION}/resourceGroups/{name}", {"location": "uksouth"}),
            code="InvalidResourceGroup",
            message=Said("bad_group_name"),
        )
        for name in ("rg.", "r g", "r" * 91)
    ),
    *(
        Case(
            title=f"an account named {name!r}",
            there=(GROUP,),
            ask=put(
                f"{GROUP}/providers/Microsoft.CognitiveServices/accounts/{name}", LEAST[ACCOUNT]
            ),
            code="InvalidResourceName",
            message=Said("bad_name"),
        )
        for name in ("a", "-ab", "a b", "a" * 65)
    ),
    *(
        Case(
            title=f"a service named {name!r}",
            there=(GROUP,),
            ask=put(f"{GROUP}/providers/Microsoft.ApiManagement/service/{name}", LEAST[SERVICE]),
            code="InvalidResourceName",
            message=Said("bad_name"),
        )
        for name in ("1a", "a-", "a_b", "a" * 51)
    ),
    Case(
        title="a deployment with a bad name",
        there=(GROUP, ACCOUNT),
        ask=put(f"{ACCOUNT}/deployments/-chat", LEAST[DEPLOYMENT]),
        code="InvalidResourceName",
        message=Said("bad_name"),
    ),
    Case(
        title="a role assignment whose name is no GUID",
        there=(GROUP, ACCOUNT),
        ask=put(f"{ASSIGNMENT}0", LEAST[ASSIGNMENT]),
        code="InvalidRoleAssignmentId",
        message="The role assignment ID '7a0e0f3c-3f0e-4e60-9a53-0d3e1c6f7a110' is not valid. The"
        " role assignment ID must be a GUID.",
    ),
    invalid(
        "a backend with a long name",
        f"{SERVICE}/backends/{'b' * 81}",
        LEAST[BACKEND],
        ("name", Said("bad_name")),
    ),
    invalid(
        "an API with a bad name",
        f"{SERVICE}/apis/a*b",
        LEAST[API],
        (
            "name",
            Said("bad_name"),
        ),
    ),
    invalid(
        "a subscription with a long name",
        f"{SERVICE}/subscriptions/{'s' * 257}",
        LEAST[KEY],
        (
            "name",
            Said("bad_name"),
        ),
    ),
    invalid(
        "a policy that is not called policy",
        f"{API}/policies/mine",
        LEAST[POLICY],
        ("name", Said("bad_name")),
        there=(GROUP, SERVICE, API),
    ),
]


def advance(seconds: float) -> Callable[[Arm], object]:
    def move(arm: Arm) -> None:
        arm.clock.now += seconds

    return move


LOCATIONS = [
    Case(
        title="no location",
        there=(GROUP,),
        ask=put(ACCOUNT, changed(ACCOUNT, location=ABSENT)),
        code="LocationRequired",
        message="The location property is required for this definition.",
    ),
    Case(
        title="a resource group in no known location",
        ask=put(GROUP, {"location": "mars"}),
        code="LocationNotAvailableForResourceGroup",
        message="The provided location 'mars' is not available for resource group. List of"
        " available regions is 'australiacentral,",
    ),
    Case(
        title="an account in no known location",
        there=(GROUP,),
        ask=put(ACCOUNT, changed(ACCOUNT, location="mars")),
        code="LocationNotAvailableForResourceType",
        message="The provided location 'mars' is not available for resource type"
        " 'Microsoft.CognitiveServices/accounts'. List of available regions for the resource type"
        " is 'australiacentral,",
    ),
    Case(
        title="a resource group moved",
        there=(GROUP,),
        ask=put(GROUP, {"location": "eastus"}),
        status=409,
        code="InvalidResourceGroupLocation",
        message="Invalid resource group location 'eastus'. The Resource group already exists in"
        " location 'uksouth'.",
    ),
    Case(
        title="an account moved",
        there=(GROUP, ACCOUNT),
        ask=put(ACCOUNT, changed(ACCOUNT, location="East US")),
        status=409,
        code="InvalidResourceLocation",
        message="The resource 'foundry1' already exists in location 'uksouth' in resource group"
        " 'rg'. A resource with the same name cannot be created in location 'eastus'. Please"
        " select a new resource name.",
    ),
]

PRECONDITIONS = [
    *(
        Case(
            title=f"{method} with {tag} for a tag",
            there=there,
            ask=lambda arm, method=method, tag=tag: arm.request(
                method,
                BACKEND,
                headers={"If-Match": tag},
                **({"json": LEAST[BACKEND]} if method == "PUT" else {}),
            ),
            status=412,
            code="PreconditionFailed",
            message="Resource was modified since last retrieval.",
        )
        for method, tag, there in (
            ("PUT", '"AAAA"', (GROUP, SERVICE, BACKEND)),
            ("DELETE", '"AAAA"', (GROUP, SERVICE, BACKEND)),
            ("PUT", '"AAAA"', (GROUP, SERVICE)),
        )
    ),
    Case(
        title="creation of what exists",
        there=(GROUP, SERVICE, BACKEND),
        ask=put(BACKEND, headers={"If-None-Match": "*"}),
        status=412,
        code="PreconditionFailed",
        message=Said("exists_already"),
    ),
]


def delete(path: str) -> Callable[[Arm], object]:
    def deleted(arm: Arm) -> None:
        assert arm.delete(path).status_code in (200, 202)

    return deleted


COGNITIVE_SERVICES = [
    *(
        Case(
            title=f"a service with {problem}",
            there=(GROUP,),
            ask=put(
                SERVICE,
                changed(
                    SERVICE,
                    identity={"type": "UserAssigned", "userAssignedIdentities": assigned},
                ),
            ),
            code="FailedIdentityOperation",
            message=Said("unknown_identity"),
        )
        for assigned, problem in (
            ({}, "at least one is needed"),
            ({IDENTITY: {}}, f"'{IDENTITY}' was not found"),
        )
    ),
    Case(
        title="another kind of account",
        there=(GROUP,),
        ask=put(ACCOUNT, changed(ACCOUNT, kind="SpeechServices")),
        code="InvalidApiSetId",
        message="The account type 'SpeechServices' is either invalid or unavailable in given"
        " region.",
    ),
    Case(
        title="another sku of account",
        there=(GROUP,),
        ask=put(ACCOUNT, changed(ACCOUNT, sku__name="F0")),
        code="InvalidSkuId",
        message="The account sku 'F0' is either invalid or unavailable in given region.",
    ),
    Case(
        title="a subdomain that ends with a hyphen",
        there=(GROUP,),
        ask=put(ACCOUNT, changed(ACCOUNT, properties__customSubDomainName="foundry1-")),
        code="InvalidCustomSubDomainName",
        message=Said("bad_subdomain"),
    ),
    Case(
        title="the name of a soft-deleted account",
        there=(GROUP, ACCOUNT),
        before=delete(ACCOUNT),
        ask=put(ACCOUNT),
        status=409,
        code="FlagMustBeSetForRestore",
        message=f"An existing resource with ID '{ACCOUNT}' has been soft-deleted. To restore the"
        " resource, you must specify 'restore' to be 'true' in the property. If you don't want to"
        " restore existing resource, please purge it first.",
    ),
    Case(
        title="nothing to restore",
        there=(GROUP,),
        ask=put(ACCOUNT, changed(ACCOUNT, properties__restore=True)),
        code="CanNotRestoreANonSoftDeletedResource",
        message=Said("nothing_to_restore"),
    ),
    Case(
        title="the subdomain of another account",
        there=(GROUP, ACCOUNT),
        ask=put(f"{ACCOUNT}0", changed(ACCOUNT, properties__customSubDomainName="FOUNDRY1-abc")),
        status=409,
        code="CustomDomainInUse",
        message=SUBDOMAIN_TAKEN.replace("foundry1", "FOUNDRY1"),
    ),
    Case(
        title="the subdomain of a soft-deleted account",
        there=(GROUP, ACCOUNT),
        before=delete(ACCOUNT),
        ask=put(f"{ACCOUNT}0", LEAST[ACCOUNT]),
        status=409,
        code="CustomDomainInUse",
        message=SUBDOMAIN_TAKEN,
    ),
    Case(
        title="its own subdomain for an account that was deleted in another location",
        there=(GROUP, ACCOUNT),
        before=delete(ACCOUNT),
        ask=put(ACCOUNT, {**LEAST[ACCOUNT], "location": "eastus"}),
        status=409,
        code="CustomDomainInUse",
        message=SUBDOMAIN_TAKEN,
    ),
    Case(
        title="another subdomain for an account",
        there=(GROUP, ACCOUNT),
        ask=put(ACCOUNT, changed(ACCOUNT, properties__customSubDomainName="foundry1-xyz")),
        code="CustomSubDomainNameCannotBeChanged",
        message=Said("subdomain_changed"),
    ),
    Case(
        title="deletion of an account with deployments",
        there=(GROUP, ACCOUNT, DEPLOYMENT),
        ask=lambda arm: arm.delete(ACCOUNT),
        status=409,
        code="CannotDeleteResource",
        message="Cannot delete resource while nested resources exist. Some existing nested resource"
        " IDs include: 'Microsoft.CognitiveServices/accounts/foundry1/deployments/chat'. Please"
        " delete all nested resources before deleting this resource.",
    ),
    Case(
        title="a tag whose name has a reserved character",
        there=(GROUP,),
        ask=put(ACCOUNT, changed(ACCOUNT, tags={"team": "a", "cost/center": "7"})),
        code="InvalidTagNameCharacters",
        message="The tag names 'cost/center' have reserved characters '<,>,%,&,\\,?,/' or control"
        " characters.",
    ),
    Case(
        title="a tag's value that is too long",
        ask=put(GROUP, changed(GROUP, tags={"team": "a" * 257})),
        code="InvalidTag",
        message=f"The tag value '{'a' * 80}' is too long. The maximum length is '256'.",
    ),
    Case(
        title="more tags than a resource takes",
        there=(GROUP,),
        ask=put(ACCOUNT, changed(ACCOUNT, tags={str(n): "" for n in range(51)})),
        code="TooManyTags",
        message="Too many tags on the resource/resource group. Requested tag count - '51'. Maximum"
        " number of tags allowed - '50'.",
    ),
    Case(
        title="more tags than API Management takes",
        there=(GROUP,),
        ask=put(SERVICE, changed(SERVICE, tags={str(n): "" for n in range(16)})),
        code="InvalidParameters",
        message="Invalid parameter: Tags count out of bound. Maximum count value is 15.",
    ),
    Case(
        title="keys of an account without local authentication",
        there=(GROUP, ACCOUNT),
        ask=lambda arm: arm.request("POST", f"{ACCOUNT}/listKeys"),
        code="BadRequest",
        message="Failed to list key. disableLocalAuth is set to be true",
    ),
    Case(
        title="a model of another maker",
        there=(GROUP, ACCOUNT),
        ask=put(DEPLOYMENT, changed(DEPLOYMENT, properties__model__format="Meta")),
        code="DeploymentModelNotSupported",
        message="The model 'Format:Meta,Name:gpt-5-mini,Version:2025-08-07' of account deployment"
        " is not supported.",
    ),
    Case(
        title="a model that is none",
        there=(GROUP, ACCOUNT),
        ask=put(DEPLOYMENT, changed(DEPLOYMENT, properties__model__name="gpt-5-mni")),
        code="DeploymentModelNotSupported",
        message="The model 'Format:OpenAI,Name:gpt-5-mni,Version:2025-08-07' of account deployment"
        " is not supported. The local Azure knows by the table of 2026-08-26 the models gpt-5,",
    ),
    Case(
        title="a version that a model has not",
        there=(GROUP, ACCOUNT),
        ask=put(DEPLOYMENT, changed(DEPLOYMENT, properties__model__version="2025-08-08")),
        code="DeploymentModelNotSupported",
        message="The model 'Format:OpenAI,Name:gpt-5-mini,Version:2025-08-08' of account deployment"
        " is not supported. The local Azure knows by the table of 2026-08-26 the versions"
        " 2025-08-07.",
    ),
    Case(
        title="a content filter that the account has not got",
        there=(GROUP, ACCOUNT),
        ask=put(DEPLOYMENT, changed(DEPLOYMENT, properties__raiPolicyName="strict")),
        code="InvalidResourceProperties",
        message="The RAI policy 'strict' does not exist in the account.",
    ),
    Case(
        title="a deployment type that the region has not got",
        there=(GROUP, ACCOUNT),
        ask=put(DEPLOYMENT, changed(DEPLOYMENT, sku__name="DataZoneStandard")),
        code="InvalidResourceProperties",
        message="The specified SKU 'DataZoneStandard' for model 'gpt-5-mini 2025-08-07' is not"
        " supported in this region 'uksouth'.",
    ),
    Case(
        title="more capacity than the quota has left",
        there=(GROUP, ACCOUNT, DEPLOYMENT),
        ask=put(f"{DEPLOYMENT}2", changed(DEPLOYMENT, sku__capacity=991)),
        code="InsufficientQuota",
        message="This operation require 991 new capacity in quota Tokens Per Minute (thousands) -"
        " gpt-5-mini - GlobalStandard, which is bigger than the current available capacity 990."
        " The current quota usage is 10 and the quota limit is 1000 for quota Tokens Per Minute"
        " (thousands) - gpt-5-mini - GlobalStandard.",
    ),
    Case(
        title="a network for a tier that reaches none",
        there=(GROUP,),
        before=put(VNET, BODIES[VNET]),
        ask=put(SERVICE, {**JOINED, "sku": {"name": "BasicV2", "capacity": 1}}),
        code="ValidationError",
        message=VALIDATION,
        details=(
            (
                "virtualNetworkType",
                "Virtual network type 'External' is not supported for BasicV2 SKU.",
            ),
        ),
    ),
    Case(
        title="an endpoint in a subnet that is not there",
        there=(GROUP, ACCOUNT),
        ask=put(ENDPOINT, BODIES[ENDPOINT]),
        code="InvalidResourceReference",
        message=f"Resource {VNET}/subnets/endpoints referenced by resource {ENDPOINT} was not"
        " found. Please make sure that the referenced resource exists, and that both resources are"
        " in the same region.",
    ),
    Case(
        title="a v2 service in a subnet that is not delegated",
        there=(GROUP,),
        before=put(VNET, BODIES[VNET]),
        ask=put(
            SERVICE,
            {
                **JOINED,
                "properties": {
                    **JOINED["properties"],
                    "virtualNetworkConfiguration": {
                        "subnetResourceId": f"{VNET}/subnets/endpoints"
                    },
                },
            },
        ),
        code="VirtualNetworkSubnetHasIncorrectDelegation",
        message=f"The subnet {VNET}/subnets/endpoints is not delegated to"
        " Microsoft.Web/serverFarms.",
    ),
    Case(
        title="an endpoint for a part that an account has not got",
        there=(GROUP, ACCOUNT),
        before=put(VNET, BODIES[VNET]),
        ask=put(
            ENDPOINT,
            {
                **BODIES[ENDPOINT],
                "properties": {
                    **BODIES[ENDPOINT]["properties"],
                    "privateLinkServiceConnections": [
                        {
                            "name": "a",
                            "properties": {"groupIds": ["vault"], "privateLinkServiceId": ACCOUNT},
                        }
                    ],
                },
            },
        ),
        code="PrivateLinkServiceGroupIdInvalid",
        message="The group ids 'vault' are none of the resource's: account.",
    ),
    Case(
        title="an unknown sku of deployment",
        there=(GROUP, ACCOUNT),
        ask=put(DEPLOYMENT, changed(DEPLOYMENT, sku__name="Gold")),
        code="InvalidResourceProperties",
        message="The specified SKU 'Gold' for model 'gpt-5-mini 2025-08-07' is not supported in"
        " this region 'uksouth'.",
    ),
    Case(
        title="a deployment without capacity",
        there=(GROUP, ACCOUNT),
        ask=put(DEPLOYMENT, changed(DEPLOYMENT, sku__capacity=0)),
        code="InvalidRequestContent",
        message=f"{UNREADABLE}'sku.capacity: 'capacity' should be between 1 and 2147483647, not 0."
        "'.",
    ),
]


def service_principal(arm: Arm) -> str:
    return arm.get(SERVICE).json()["identity"]["principalId"]


def assign(**changes: Any) -> Callable[[Arm], httpx.Response]:
    """PUT a role assignment to the identity of the service."""

    def ask(arm: Arm) -> httpx.Response:
        principal = {"properties__principalId": service_principal(arm)}
        return arm.put(ASSIGNMENT, changed(ASSIGNMENT, **(principal | changes)))

    return ask


NOBODY = "22222222-2222-3333-4444-555555555555"
ASSIGNABLE = (GROUP, ACCOUNT, SERVICE)

AUTHORIZATION = [
    Case(
        title="a principal that is no GUID",
        there=ASSIGNABLE,
        ask=assign(properties__principalId="gateway"),
        code="InvalidPrincipalId",
        message="A valid principal ID must be provided for role assignment.",
    ),
    Case(
        title="an unknown role",
        there=ASSIGNABLE,
        ask=assign(properties__roleDefinitionId=OPENAI_USER.replace("5e0bd9bd", "00000000")),
        code="RoleDefinitionDoesNotExist",
        message="The specified role definition with ID '000000007b934f28af8719fc36ad61bd' does not"
        " exist.",
    ),
    Case(
        title="an unknown principal without its type",
        there=ASSIGNABLE,
        ask=assign(properties__principalType=ABSENT, properties__principalId=NOBODY),
        code="PrincipalNotFound",
        message=f"Principal {NOBODY} does not exist in the directory"
        " 00000000-0000-0000-0000-000000000001. Check that you have the correct principal ID. If"
        " you are creating this principal and then immediately assigning a role, this error might"
        " be related to a replication delay. In this case, set the role assignment principalType"
        " property to a value, such as ServicePrincipal, User, or Group.  See"
        " https://aka.ms/docs-principaltype",
    ),
    Case(
        title="the gateway's identity as a user",
        there=ASSIGNABLE,
        ask=assign(properties__principalType="User"),
        code="UnmatchedPrincipalType",
        message="' has type 'ServicePrincipal' , which is different from specified PrinciaplType"
        " 'User'.",
    ),
    Case(
        title="another principal for an assignment",
        there=(*ASSIGNABLE, ASSIGNMENT),
        ask=assign(),
        code="RoleAssignmentUpdateNotPermitted",
        message="Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
    ),
    Case(
        title="the same assignment under another name",
        there=(*ASSIGNABLE, ASSIGNMENT),
        ask=put(ASSIGNMENT.replace("7a0e0f3c", "8a0e0f3c"), LEAST[ASSIGNMENT]),
        status=409,
        code="RoleAssignmentExists",
        message="The role assignment already exists.",
    ),
]

SERVICES = [
    Case(
        title="the name of a soft-deleted service, in another group",
        there=(GROUP, SERVICE),
        before=lambda arm: (arm.put(OTHER_GROUP, LEAST[GROUP]), delete(SERVICE)(arm)),
        ask=put(SERVICE.replace("/rg/", "/other/"), LEAST[SERVICE]),
        status=409,
        code="ServiceAlreadyExistsInSoftDeletedState",
        message="Api service apim1 was soft-deleted. In order to create the new service with the"
        " same name, you have to either undelete the service or purge it. See"
        " https://aka.ms/apimsoftdelete.",
    ),
    Case(
        title="no service to restore",
        there=(GROUP,),
        ask=put(SERVICE, changed(SERVICE, properties__restore=True)),
        status=404,
        code="ServiceNotFound",
        message="Api service does not exist: apim1",
    ),
    Case(
        title="the name of a service in another group",
        there=(GROUP, SERVICE),
        before=put(OTHER_GROUP, LEAST[GROUP]),
        ask=put(SERVICE.replace("/rg/", "/other/"), LEAST[SERVICE]),
        status=409,
        code="ServiceAlreadyExists",
        message="Api service already exists: apim1",
    ),
    invalid(
        "no publisher",
        SERVICE,
        changed(SERVICE, properties={}),
        ("publisherEmail", "'publisherEmail' should not be empty"),
        ("publisherName", "'publisherName' should not be empty"),
    ),
    invalid(
        "a long publisher",
        SERVICE,
        changed(SERVICE, properties__publisherName="n" * 101),
        ("publisherName", "'publisherName' should be between 1 and 100 characters long, not 101."),
    ),
    invalid(
        "an unknown tier",
        SERVICE,
        changed(SERVICE, sku__name="Gold"),
        (
            "sku.name",
            (
                "'name' should be one of 'Developer', 'Standard', 'Premium', 'Basic',"
                " 'Consumption', 'Isolated', 'BasicV2', 'StandardV2', 'PremiumV2', not 'Gold'."
            ),
        ),
    ),
    invalid(
        "a tier without capacity",
        SERVICE,
        changed(SERVICE, sku__capacity=0),
        (
            "sku.capacity",
            Said("wrong_capacity"),
        ),
    ),
    *(
        invalid(
            f"{most + 1} units of {tier}",
            SERVICE,
            changed(SERVICE, sku={"name": tier, "capacity": most + 1}),
            ("sku.capacity", Said("too_many_units")),
        )
        for tier, most in MOST_UNITS.items()
    ),
    invalid(
        "a change from a v2 tier to a classic one",
        SERVICE,
        changed(SERVICE, sku__name="Developer"),
        ("sku.name", Said("tier_changed")),
        there=(GROUP, SERVICE),
    ),
    *(
        Case(
            title=f"a {tier} service that asks for no client certificates",
            there=(GROUP,),
            ask=put(
                SERVICE,
                changed(SERVICE, sku__name=tier, properties__enableClientCertificate=False),
            ),
            code="EnableClientCertificateCannotBeChangedForSku",
            message=f"Setting EnableClientCertificate flag to false is not supported for {tier}"
            " SKU.",
        )
        for tier in ("Developer", "Basic", "Standard", "Premium")
    ),
]

BREAKER = "circuitBreaker"
RANGES = "circuitBreaker.rules[0].failureCondition.statusCodeRanges"

BACKENDS = [
    invalid(
        "a pool with url and protocol",
        POOL,
        pool(MEMBER, url="https://x.openai.azure.com", protocol="http"),
        ("url", "Url is not supported for backend pool."),
        ("protocol", "Protocol is not supported for backend pool."),
        there=(GROUP, SERVICE, BACKEND),
    ),
    invalid(
        "a pool with a circuit breaker",
        POOL,
        pool(MEMBER, circuitBreaker={"rules": []}),
        (BREAKER, Said("pool_with_breaker")),
        there=(GROUP, SERVICE, BACKEND),
    ),
    invalid("a pool of nothing", POOL, pool(), ("pool", Said("pool_without_members"))),
    invalid(
        "a pool without members",
        POOL,
        {"properties": {"type": "Pool"}},
        ("pool", Said("pool_without_members")),
    ),
    invalid(
        "a backend with members",
        BACKEND,
        changed(BACKEND, properties__pool={"services": []}),
        ("pool", Said("members_without_pool")),
    ),
    invalid(
        "a backend without url",
        BACKEND,
        changed(BACKEND, properties__url=ABSENT),
        ("url", "'url' should not be empty"),
    ),
    invalid(
        "a backend with an empty url",
        BACKEND,
        changed(BACKEND, properties__url=""),
        ("url", "'url' should not be empty"),
    ),
    invalid(
        "a backend without protocol",
        BACKEND,
        changed(BACKEND, properties__protocol=ABSENT),
        ("protocol", Said("no_protocol")),
    ),
    invalid(
        "https as protocol",
        BACKEND,
        changed(BACKEND, properties__protocol="https"),
        ("protocol", "Protocol is not supported"),
    ),
    invalid(
        "a url without scheme",
        BACKEND,
        changed(BACKEND, properties__url="foundry1.openai.azure.com"),
        (
            "url",
            "'url' should be an absolute http or https URL, not 'foundry1.openai.azure.com'.",
        ),
    ),
    invalid(
        "unknown members",
        POOL,
        pool(MEMBER, {"id": f"{SERVICE}/backends/foundry2"}, {"id": "foundry3"}),
        ("pool", "Backend Entity 'foundry2' not found."),
        ("pool", "Backend Entity 'foundry3' not found."),
        there=(GROUP, SERVICE, BACKEND),
    ),
    Case(
        title="a member of another service, and one that is no backend",
        there=(GROUP, SERVICE, API),
        before=lambda arm: (
            arm.put(f"{SERVICE}2", LEAST[SERVICE]),
            arm.put(f"{SERVICE}2/backends/foundry1", LEAST[BACKEND]),
        ),
        ask=put(POOL, pool({"id": f"{SERVICE}2/backends/foundry1"}, {"id": API})),
        code="ValidationError",
        message=VALIDATION,
        details=(
            ("pool", "Backend Entity 'foundry1' not found."),
            ("pool", "Backend Entity 'inference' not found."),
        ),
    ),
    invalid(
        "a pool in a pool",
        f"{POOL}2",
        pool({"id": POOL}),
        ("pool", Said("pool_as_member")),
        there=(GROUP, SERVICE, BACKEND, POOL),
    ),
    invalid(
        "31 members",
        POOL,
        pool(*[MEMBER] * 31),
        ("pool.services", "'services' should have at most 30 items, not 31."),
        there=(GROUP, SERVICE, BACKEND),
    ),
    invalid(
        "priority and weight out of range",
        POOL,
        pool({**MEMBER, "priority": -1, "weight": 101}),
        ("pool.services[0].priority", "'priority' should be between 0 and 100, not -1."),
        ("pool.services[0].weight", "'weight' should be between 0 and 100, not 101."),
        there=(GROUP, SERVICE, BACKEND),
    ),
    invalid(
        "a second breaker rule",
        BACKEND,
        changed(
            BACKEND,
            properties__circuitBreaker={
                "rules": breaker()["properties"]["circuitBreaker"]["rules"] * 2
            },
        ),
        (BREAKER, Said("several_breaker_rules")),
    ),
    Case(
        title="a breaker on Consumption",
        there=(GROUP,),
        before=put(SERVICE, changed(SERVICE, sku={"name": "Consumption", "capacity": 0})),
        ask=put(BACKEND, breaker()),
        code="ValidationError",
        message=VALIDATION,
        details=((BREAKER, Said("breaker_on_consumption")),),
    ),
    Case(
        title="a policy too long for Consumption",
        there=(GROUP,),
        before=lambda arm: (
            put(SERVICE, changed(SERVICE, sku={"name": "Consumption", "capacity": 0}))(arm),
            arm.deploy(API),
            # As long as may be, in bytes.
            put(POLICY, changed(POLICY, properties__value=of_bytes(16_384)))(arm),
        ),
        ask=put(POLICY, changed(POLICY, properties__value=of_bytes(16_385))),
        code="ValidationError",
        message=VALIDATION,
        details=(
            (
                "value",
                "The policy document has 16385 bytes; the Consumption tier takes 16384.",
            ),
        ),
    ),
    invalid(
        "a breaker that counts in two ways",
        BACKEND,
        breaker(percentage=50),
        (BREAKER, Said("count_and_percentage")),
    ),
    invalid(
        "a breaker that does not count",
        BACKEND,
        breaker(count=ABSENT),
        (BREAKER, Said("count_and_percentage")),
    ),
    Case(
        title="a breaker that counts a percentage",
        there=(GROUP, SERVICE),
        ask=put(BACKEND, breaker(count=ABSENT, percentage=50)),
        code="NotSupportedByLocalAzure",
        message="'properties.circuitBreaker.rules.failureCondition.percentage' of a",
    ),
    invalid(
        "a breaker that nothing trips",
        BACKEND,
        breaker(statusCodeRanges=[]),
        (BREAKER, Said("nothing_to_break_on")),
    ),
    invalid(
        "a range of status codes backwards",
        BACKEND,
        breaker(statusCodeRanges=[{"min": 599, "max": 500}]),
        (BREAKER, Said("inverted_range")),
    ),
    invalid(
        "status codes out of range",
        BACKEND,
        breaker(statusCodeRanges=[{"min": 199, "max": 600}]),
        (f"{RANGES}[0].min", "'min' should be between 200 and 599, not 199."),
        (f"{RANGES}[0].max", "'max' should be between 200 and 599, not 600."),
    ),
    invalid(
        "11 ranges of status codes",
        BACKEND,
        breaker(statusCodeRanges=[{"min": 500, "max": 599}] * 11),
        (RANGES, "'statusCodeRanges' should have at most 10 items, not 11."),
    ),
    *(
        invalid(
            f"{value!r} for a duration",
            BACKEND,
            breaker(tripDuration=value),
            (
                "circuitBreaker.rules[0].tripDuration",
                f"'tripDuration' should be an ISO 8601 duration such as PT1M, not '{value}'.",
            ),
        )
        for value in ("1 minute", "P", "PT", "1M", "PT1M ", "P1DT")
    ),
    Case(
        title="deletion of a member",
        there=(GROUP, SERVICE, BACKEND, POOL),
        ask=lambda arm: arm.delete(BACKEND),
        code="ValidationError",
        message=VALIDATION,
        details=(
            (
                "pool",
                Said("in_use_by_pool"),
            ),
        ),
    ),
]

POLICY_TEXT = """<policies>
  <!-- <set-backend-service backend-id="commented" /> -->
  <inbound>
    <set-backend-service backend-id="foundry1" />
    <set-backend-service backend-id="@(context.Variables["x"])" />
    <set-backend-service id="x" backend-id='foundry9' />
  </inbound>
</policies>"""

UNKNOWN = "<policies>\n  <unknown />\n</policies>"


def using(policy: str, text: str) -> Callable[[Arm], Any]:
    """Deploy a policy that holds a text."""
    return put(policy, changed(policy, properties__value=f"<policies>\n{text}</policies>"))


POLICIES = [
    *(
        invalid(
            f"a policy the gateway does not know: {path.removeprefix(SERVICE)}",
            path,
            changed(path, properties__value=UNKNOWN),
            ("value", "Policy 'unknown' is not known. (line 2)"),
            there=(*ALL_CHAT, OPERATION),
        )
        for path in (POLICY, OPERATION_POLICY, SERVICE_POLICY)
    ),
    invalid(
        "a fragment the gateway does not know",
        FRAGMENT,
        changed(FRAGMENT, properties__value="<fragment><unknown /></fragment>"),
        ("value", "Policy 'unknown' is not known. (line 1)"),
        there=(GROUP, SERVICE),
    ),
    invalid(
        "an expression that is not escaped in a policy put as XML",
        POLICY,
        changed(
            POLICY,
            properties__format="xml",
            properties__value='<policies>\n<inbound id="@(1 == 1 && true)" /></policies>',
        ),
        ("representation", "xmlParseEntityRef: no name. Line 2, position 24."),
        there=ALL_CHAT,
    ),
    invalid(
        "a policy with an unknown backend",
        POLICY,
        changed(POLICY, properties__value=POLICY_TEXT),
        (
            "set-backend-service",
            (
                "Error in element 'set-backend-service' on line 6, column 33: Backend with id"
                " 'foundry9' could not be found."
            ),
        ),
        there=ALL_CHAT,
    ),
    invalid(
        "a policy with an unknown backend of embeddings",
        POLICY,
        changed(
            POLICY,
            properties__value="<policies>\n<llm-semantic-cache-lookup score-threshold='0.1'"
            "\n embeddings-backend-id='foundry9' /></policies>",
        ),
        (
            "llm-semantic-cache-lookup",
            (
                "Error in element 'llm-semantic-cache-lookup' on line 3, column 2: Backend with id"
                " 'foundry9' could not be found."
            ),
        ),
        there=ALL_CHAT,
    ),
    invalid(
        "a display name that another named value has",
        f"{NAMED_VALUE}2",
        changed(NAMED_VALUE, properties__displayName="TENANT-ID"),
        ("displayName", Said("display_name_taken")),
        there=(GROUP, SERVICE, NAMED_VALUE),
    ),
    invalid(
        "a display name that no policy could write",
        NAMED_VALUE,
        changed(NAMED_VALUE, properties__displayName="tenant id"),
        (
            "displayName",
            (
                "'displayName' should be letters, digits, periods, dashes and underscores,"
                " not 'tenant id'."
            ),
        ),
        there=(GROUP, SERVICE),
    ),
    Case(
        title="a named value that would break a policy",
        there=ALL_CHAT,
        before=lambda arm: (arm.deploy(NAMED_VALUE), using(POLICY, "{{tenant-id}}")(arm)),
        ask=put(NAMED_VALUE, changed(NAMED_VALUE, properties__value="<unknown />")),
        code="ValidationError",
        message=VALIDATION,
        details=(
            (
                "value",
                Said("breaks_a_policy"),
            ),
        ),
    ),
    Case(
        title="a fragment that would break a policy",
        there=(GROUP, SERVICE),
        before=lambda arm: (
            arm.deploy(FRAGMENT),
            using(SERVICE_POLICY, '<include-fragment fragment-id="signed-in" />')(arm),
        ),
        # On its own the compiler takes it: it is the policy around it that it breaks.
        ask=lambda arm: arm.put(
            FRAGMENT,
            changed(FRAGMENT, properties__value="<fragment><unknown /></fragment>"),
        ),
        code="ValidationError",
        message=VALIDATION,
        details=(
            ("value", "Policy 'unknown' is not known. (line 1)"),
            (
                "value",
                Said("breaks_a_policy"),
            ),
        ),
    ),
    Case(
        title="deletion of a named value in use",
        there=(*ALL_CHAT, OPERATION, NAMED_VALUE, FRAGMENT),
        before=lambda arm: (
            using(OPERATION_POLICY, "{{tenant-id}}")(arm),
            using(POLICY, "<!-- {{tenant-id}} -->")(arm),
            put(
                FRAGMENT, changed(FRAGMENT, properties__value="<fragment>{{tenant-id}}</fragment>")
            )(arm),
        ),
        ask=lambda arm: arm.delete(NAMED_VALUE),
        code="ValidationError",
        message="The Property 'tenant' is used by the following entities:\r\n"
        "/apis/inference/operations/chat/policies/policy\r\n/policyFragments/signed-in\r\n",
    ),
    Case(
        title="deletion of a fragment in use",
        there=(GROUP, SERVICE, FRAGMENT),
        before=using(SERVICE_POLICY, "<include-fragment fragment-id='Signed-In' />"),
        ask=lambda arm: arm.delete(FRAGMENT),
        code="ValidationError",
        message="The Policy Fragment 'signed-in' is used by the following entities:\r\n"
        "/policies/policy\r\n",
    ),
]

APIS = [
    invalid(
        "the path of another API",
        f"{API}2",
        changed(API, properties__path="/Inference/"),
        (
            "path",
            (
                "Cannot create API 'inference2' with the same Path 'Inference' as API 'inference' "
                " unless it's a part of the same version set"
            ),
        ),
        there=(GROUP, SERVICE, API),
    ),
    *(
        invalid(
            title,
            OPERATION,
            changed(OPERATION, **changes),
            (
                "",
                (
                    "All template parameters used in the UriTemplate must be defined in the"
                    " Operation 'Chat', and vice-versa."
                ),
            ),
            there=(GROUP, SERVICE, API),
        )
        for title, changes in (
            ("a template parameter that is not declared", {"properties__templateParameters": []}),
            ("a template parameter that is not used", {"properties__urlTemplate": "/chat"}),
        )
    ),
    *(
        invalid(
            f"the template {template}",
            OPERATION,
            changed(
                OPERATION,
                properties__urlTemplate=template,
                properties__templateParameters=[
                    {"name": name, "type": "string"} for name in ("a", "b")
                ],
            ),
            (
                "urlTemplate",
                Said("parameters_without_a_text_between"),
            ),
            there=(GROUP, SERVICE, API),
        )
        for template in ("/{a}{b}", "/{*a}/{b}")
    ),
    invalid(
        "an operation declared twice",
        f"{OPERATION}2",
        changed(
            OPERATION,
            properties__method="post",
            properties__urlTemplate="/deployments/{name}/chat/completions",
            properties__templateParameters=[{"name": "name", "type": "string"}],
        ),
        (
            "urlTemplate",
            Said("operation_taken"),
        ),
        there=(GROUP, SERVICE, API, OPERATION),
    ),
    *(
        invalid(
            f"a subscription to {scope!r}",
            KEY,
            changed(KEY, properties__scope=scope),
            (
                "scope",
                (
                    "Subscription scope should be one of '/apis', '/apis/{apiId}',"
                    " '/products/{productId}'"
                ),
            ),
            there=(GROUP, SERVICE, API),
        )
        for scope in ("/products/starter", "inference", "/apis/a/b", "/", f"{SERVICE}2/apis")
    ),
    invalid(
        "a subscription to an unknown API",
        KEY,
        changed(KEY, properties__scope="/apis/other"),
        ("scope", Said("unknown_api_in_scope")),
        there=(GROUP, SERVICE, API),
    ),
    Case(
        title="the key of another subscription",
        there=(GROUP, SERVICE, API),
        before=put(KEY, changed(KEY, properties__primaryKey="same")),
        ask=put(f"{KEY}2", changed(KEY, properties__secondaryKey="same")),
        code="ValidationError",
        message=VALIDATION,
        details=(("primaryKey", Said("key_taken")),),
    ),
    invalid(
        "an unknown state",
        KEY,
        changed(KEY, properties__state="Active"),
        (
            "state",
            (
                "'state' should be one of 'suspended', 'active', 'expired', 'submitted',"
                " 'rejected', 'cancelled', not 'Active'."
            ),
        ),
        there=(GROUP, SERVICE, API),
    ),
    invalid(
        "neither a named value's value nor its place in a key vault",
        NAMED_VALUE,
        changed(NAMED_VALUE, properties__value=ABSENT),
        ("value", "'value' should not be empty"),
    ),
    Case(
        title="a named value of a key vault alone",
        there=(GROUP, SERVICE),
        ask=put(
            NAMED_VALUE,
            changed(
                NAMED_VALUE,
                properties__value=ABSENT,
                properties__keyVault={"secretIdentifier": "https://v.vault.azure.net/secrets/s"},
            ),
        ),
        code="NotSupportedByLocalAzure",
        message="The local Azure does not support this value of 'properties.keyVault' of a"
        " 'Microsoft.ApiManagement/service/namedValues'.",
    ),
    invalid(
        "an API without a title",
        API,
        changed(API, properties__displayName=ABSENT),
        ("displayName", "'displayName' should not be empty"),
    ),
    Case(
        title="an API to be imported, as the Azure CLI asks for it",
        there=(GROUP, SERVICE),
        ask=put(
            API,
            {"properties": {"path": "x", "format": "openapi+json", "value": "{}"}},
        ),
        code="NotSupportedByLocalAzure",
        message="The local Azure does not support this value of 'properties.format' of a"
        " 'Microsoft.ApiManagement/service/apis'.",
    ),
    invalid(
        "credentials that are none of Azure's",
        BACKEND,
        changed(BACKEND, properties__credentials={"authorization": {"scheme": "Bearer"}}),
        ("credentials.authorization.parameter", "'parameter' should not be empty"),
    ),
    Case(
        title="a text in the place of credentials",
        there=(GROUP, SERVICE),
        ask=put(BACKEND, changed(BACKEND, properties__credentials="secret")),
        code="InvalidRequestContent",
        message=f'{UNREADABLE}\'Error converting value "secret" to type'
        " 'BackendCredentialsContract'. Path 'properties.credentials'.'.",
    ),
    Case(
        title="a named value in credentials",
        there=(GROUP, SERVICE),
        ask=put(
            BACKEND,
            changed(BACKEND, properties__credentials={"header": {"api-key": ["{{key}}"]}}),
        ),
        code="NotSupportedByLocalAzure",
        message="The local Azure does not support this value of 'properties.credentials' of a"
        " 'Microsoft.ApiManagement/service/backends'.",
    ),
    Case(
        title="a backend of Service Fabric",
        there=(GROUP, SERVICE),
        ask=put(BACKEND, changed(BACKEND, properties__url="fabric:/mytestapp/mytestservice")),
        code="NotSupportedByLocalAzure",
        message="The local Azure does not support this value of 'properties.url' of a"
        " 'Microsoft.ApiManagement/service/backends'.",
    ),
    Case(
        title="a revision in the name",
        there=(GROUP, SERVICE),
        ask=put(f"{API};rev=2", LEAST[API]),
        code="NotSupportedByLocalAzure",
        message="The local Azure does not support this value of 'name' of a"
        " 'Microsoft.ApiManagement/service/apis'.",
    ),
]

# While a resource is provisioned, for ten seconds.
BUSY = [
    Case(
        title="deletion of an account under way",
        before=put(ACCOUNT),
        ask=lambda arm: arm.delete(ACCOUNT),
        status=409,
        code="AccountProvisioningStateInvalid",
        message=f"Account {ACCOUNT} in state Accepted",
    ),
    Case(
        title="a deployment on an account under way",
        before=put(ACCOUNT),
        ask=put(DEPLOYMENT),
        status=409,
        code="AccountProvisioningStateInvalid",
        message=f"Account {ACCOUNT} in state Accepted",
    ),
    Case(
        title="two deployments at once",
        before=lambda arm: (arm.deploy(ACCOUNT), advance(10)(arm), arm.deploy(DEPLOYMENT)),
        ask=put(f"{DEPLOYMENT}2", LEAST[DEPLOYMENT]),
        status=409,
        code="RequestConflict",
        message=f"Another operation is being performed on the parent resource '{ACCOUNT}'. Please"
        " try again later.",
    ),
    Case(
        title="a deployment while another is deleted",
        before=lambda arm: (
            arm.deploy(ACCOUNT),
            advance(10)(arm),
            arm.deploy(DEPLOYMENT),
            advance(10)(arm),
            arm.delete(DEPLOYMENT),
        ),
        ask=put(f"{DEPLOYMENT}2", LEAST[DEPLOYMENT]),
        status=409,
        code="RequestConflict",
        message=f"Another operation is being performed on the parent resource '{ACCOUNT}'. Please"
        " try again later.",
    ),
    Case(
        title="a backend on a service under way",
        before=put(SERVICE),
        ask=put(BACKEND),
        status=409,
        code="ServiceLocked",
        message=Said("service_busy"),
    ),
    Case(
        title="deletion of a service under way",
        before=put(SERVICE),
        ask=lambda arm: arm.delete(SERVICE),
        status=409,
        code="ServiceLocked",
        message=Said("service_busy"),
    ),
]

# A value of each property that Azure has and the local Azure has not.
REFUSED_VALUES: Mapping[str, Any] = {
    "identity.type": "UserAssigned",
    "properties.additionalLocations": [{}],
    "properties.allowProjectManagement": True,
    "properties.apiRevision": "2",
    "properties.apiType": "soap",
    "properties.apiVersion": "v1",
    "properties.certificates": [{}],
    "properties.credentials.certificate": ["x"],
    "properties.credentials.certificateIds": ["x"],
    "properties.proxy": {"url": "http://proxy"},
    "properties.condition": "true",
    "properties.delegatedManagedIdentityResourceId": "x",
    "properties.disableGateway": True,
    "properties.dynamicThrottlingEnabled": True,
    "properties.enableClientCertificate": True,
    "properties.format": "openapi",
    "properties.hostnameConfigurations": [{}],
    "properties.isCurrent": False,
    "properties.networkAcls.virtualNetworkRules": [{}],
    "properties.networkInjections": [{}],
    "properties.parentDeploymentName": "x",
    "properties.policies": "x",
    "properties.properties": {"serviceFabricCluster": {}},
    "properties.publicNetworkAccess": "Disabled",
    "properties.resourceId": "x",
    "properties.sourceApiId": "x",
    "properties.spilloverDeploymentName": "x",
    "properties.type": "graphql",
    "properties.value": "x",
    "properties.virtualNetworkType": "Internal",
}


def not_built(entry: NotBuilt) -> Case:
    path = next(path for path in LEAST if type_of(path) == entry.of)
    value = REFUSED_VALUES.get(entry.path, {"x": "y"})
    if entry.of.endswith("policies"):
        value = "xml-link"
    elif entry.path == "properties.apiVersionSetId":
        value = "x"
    return Case(
        title=f"{entry.of.rsplit('/', 1)[-1]}: {entry.path}",
        there=tuple(
            each
            for each in (GROUP, ACCOUNT, SERVICE, API, OPERATION)
            if path.startswith(f"{each}/")
        ),
        ask=put(path, changed(path, **{entry.path.replace(".", "__"): value})),
        code="NotSupportedByLocalAzure",
        message=f"The local Azure does not support this value of '{entry.path}' of a '{entry.of}'.",
    )


def type_of(path: str) -> str:
    namespace, *rest = path.rpartition("/providers/")[2].split("/")
    return "/".join([namespace, *rest[::2]])


CASES = [
    *PROTOCOL,
    *CONTENT,
    *NAMES,
    *LOCATIONS,
    *PRECONDITIONS,
    *COGNITIVE_SERVICES,
    *AUTHORIZATION,
    *SERVICES,
    *BACKENDS,
    *APIS,
    *POLICIES,
    *(not_built(entry) for entry in NOT_BUILT),
]


def check(arm: Arm, case: Case) -> None:
    if case.before:
        case.before(arm)
    revision = arm.store.revision
    answer = case.ask(arm)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (case.status, case.code), answer.text
    if isinstance(case.message, Said):
        assert case.message == error["message"]
    else:
        assert case.message in error["message"]
    details = [(each["target"], each["message"]) for each in error.get("details", [])]
    assert list(case.details) == details
    assert all(each["code"] == case.code for each in error.get("details", []))
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert arm.store.revision == revision


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("quick")) as arm:
        yield arm


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("slow"), provisioning_seconds=10.0) as arm:
        yield arm


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title[:60])
def test_azure_refuses(quick, case):
    quick.reset()
    quick.deploy(*case.there)
    check(quick, case)


@pytest.mark.parametrize("case", BUSY, ids=lambda case: case.title)
def test_azure_refuses_while_an_operation_is_under_way(slow, case):
    slow.reset()
    slow.deploy(GROUP)
    check(slow, case)


@pytest.mark.parametrize(("tier", "most"), MOST_UNITS.items())
def test_a_service_may_have_as_many_units_as_its_tier_has(quick, tier, most):
    quick.reset()
    quick.deploy(GROUP)
    body = changed(SERVICE, sku={"name": tier, "capacity": most})
    assert put(SERVICE, body)(quick).status_code == 201


def test_every_rule_has_a_case():
    def telling(message: str) -> str:
        """Return the longest part of a message that is the same for all its values."""
        plain = message.replace("{{", "\0").replace("}}", "\1")
        parts = (part.replace("\0", "{").replace("\1", "}") for part in re.split(r"\{\w+\}", plain))
        return max(parts, key=len)

    answers = [
        (case.code, message)
        for case in (*CASES, *BUSY)
        for message in (case.message, *(message for _, message in case.details))
    ]
    untested = [
        f"{rule.check.__name__}: {rule.code} {rule.message}"
        for stage in rules.STAGES
        for rule in stage
        if rule not in MONITOR_RULES  # test_monitor_types.py has these
        and not any(
            code == rule.code
            and (
                rule in message.rules
                if isinstance(message, Said)
                else telling(rule.message) in message
            )
            for code, message in answers
        )
    ]
    assert untested == []


EVERY_RULE = [rule for stage in rules.STAGES for rule in stage]


def test_every_rule_tells_where_it_is_known_from():
    sources = [rule.source for rule in EVERY_RULE]
    assert all(source.startswith(("H: ", "M: ", "?", "local Azure")) for source in sources)


def test_what_is_assumed_is_told_from_what_is_known():
    def rule(source: str) -> Rule:
        return Rule(check=lambda _: iter(()), message="", source=source)

    known, no_code, no_words, nothing = map(
        rule, ("H: a page", "M: the wording; ? the code", "? the wording; H: a page", "?")
    )
    assert [each.is_assumed for each in (known, no_code, no_words, nothing)] == [0, 1, 1, 1]
    assert [each.wording_is_assumed for each in (known, no_code, no_words, nothing)] == [0, 0, 1, 1]


def test_the_command_lists_every_rule_and_what_is_assumed(capsys):
    every = [*EVERY_RULE, *refusals()]
    assert main(["rules"]) == 0
    listed = capsys.readouterr().out
    for rule in EVERY_RULE:
        assert rule.message.replace("\r\n", " ") in listed
    assert all(each.source in listed for each in every)
    assert main(["rules", "--assumed"]) == 0
    assumed = capsys.readouterr().out
    count = sum(rule.is_assumed for rule in every)
    policies = len(every) - len(EVERY_RULE)
    assert f"{len(EVERY_RULE)} rules and {policies} of policies, {count} of them" in listed
    assert assumed.count("assumed: ") == listed.count("assumed: ") == count
    for known in ("Url is not supported for backend pool.", "policy | backend\n", "send-request"):
        assert known in listed
        assert known not in assumed


def test_every_statement_tells_where_its_refusals_are_known_from():
    every = list(refusals())
    assert {each.of for each in every} >= {*STATEMENTS, *REFUSED}
    for each in every:
        assert re.match(r"H: |M: |\? the wording.*; H: |local Azure$", each.source), each
        assert each.of not in REFUSED or each.source == "local Azure"
    (retry,) = (each for each in every if each.of == "retry")
    assert retry.source.endswith("azure/api-management/retry-policy")
