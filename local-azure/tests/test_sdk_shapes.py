"""Bodies of requests and answers against the shapes of Microsoft's own SDK models.

A request may be refused for more than a model says, by a rule with its source; it may not be taken
for less. An answer has nothing but what its model has.
"""

from collections.abc import Iterator

import pytest
from arm_server import (
    ACCOUNT,
    ALARM,
    API,
    ASSIGNMENT,
    BACKEND,
    DELETED_ACCOUNT,
    DELETED_SERVICE,
    DEPLOYMENT,
    DIAGNOSTIC,
    FRAGMENT,
    GROUP,
    KEY,
    LOGGER,
    NAMED_VALUE,
    OPENAI_USER,
    OPERATION,
    OPERATION_POLICY,
    POLICY,
    POOL,
    QUERY_RULE,
    SERVICE,
    SERVICE_POLICY,
    SUBSCRIPTION,
    WORKBOOK,
    WORKSPACE,
    serving,
)
from sdk_models import Described, described, misfits

from local_azure.resource_manager import resource_types as types
from local_azure.resource_manager.actions import ACTIONS
from local_azure.resource_manager.resource_types import RESOURCE_TYPES
from local_azure.resource_manager.schema import (
    Anything,
    Flag,
    Items,
    Kind,
    Named,
    Number,
    Shape,
    Text,
    Whole,
)

APIM = "azure.mgmt.apimanagement.models"
OPENAI = "azure.mgmt.cognitiveservices.models"
ROLES = "azure.mgmt.authorization.v2022_04_01.models"
LOGS = "azure.mgmt.loganalytics.models"
MONITOR = "azure.mgmt.monitor.models"
WORKBOOKS = "azure.mgmt.applicationinsights.v2023_06_01.models"
RESOURCES = "azure.mgmt.resource.resources.models"

# The body that is sent, what is answered, and the list of a type. The SDK of managed identities and
# that of subscriptions are no dependency of the tests.
MODELS = {
    types.RESOURCE_GROUP: (f"{RESOURCES}:ResourceGroup", f"{RESOURCES}:ResourceGroup", ""),
    types.ACCOUNT: (f"{OPENAI}:Account", f"{OPENAI}:Account", f"{OPENAI}:AccountListResult"),
    types.DEPLOYMENT: (
        f"{OPENAI}:Deployment",
        f"{OPENAI}:Deployment",
        f"{OPENAI}:DeploymentListResult",
    ),
    types.ROLE_ASSIGNMENT: (
        f"{ROLES}:RoleAssignmentCreateParameters",
        f"{ROLES}:RoleAssignment",
        f"{ROLES}:RoleAssignmentListResult",
    ),
    types.SERVICE: (
        f"{APIM}:ApiManagementServiceResource",
        f"{APIM}:ApiManagementServiceResource",
        f"{APIM}:ApiManagementServiceListResult",
    ),
    types.BACKEND: (
        f"{APIM}:BackendContract",
        f"{APIM}:BackendContract",
        f"{APIM}:BackendCollection",
    ),
    types.API: (
        f"{APIM}:ApiCreateOrUpdateParameter",
        f"{APIM}:ApiContract",
        f"{APIM}:ApiCollection",
    ),
    types.OPERATION: (
        f"{APIM}:OperationContract",
        f"{APIM}:OperationContract",
        f"{APIM}:OperationCollection",
    ),
    **dict.fromkeys(
        types.POLICIES,
        (f"{APIM}:PolicyContract", f"{APIM}:PolicyContract", f"{APIM}:PolicyCollection"),
    ),
    types.POLICY_FRAGMENT: (
        f"{APIM}:PolicyFragmentContract",
        f"{APIM}:PolicyFragmentContract",
        f"{APIM}:PolicyFragmentCollection",
    ),
    types.NAMED_VALUE: (
        f"{APIM}:NamedValueCreateContract",
        f"{APIM}:NamedValueContract",
        f"{APIM}:NamedValueCollection",
    ),
    types.APIM_SUBSCRIPTION: (
        f"{APIM}:SubscriptionCreateParameters",
        f"{APIM}:SubscriptionContract",
        f"{APIM}:SubscriptionCollection",
    ),
    types.LOGGER: (f"{APIM}:LoggerContract", f"{APIM}:LoggerContract", f"{APIM}:LoggerCollection"),
    **dict.fromkeys(
        types.DIAGNOSTICS,
        (
            f"{APIM}:DiagnosticContract",
            f"{APIM}:DiagnosticContract",
            f"{APIM}:DiagnosticCollection",
        ),
    ),
    types.WORKSPACE: (f"{LOGS}:Workspace", f"{LOGS}:Workspace", ""),
    types.ACTION_GROUP: (
        f"{MONITOR}:ActionGroupResource",
        f"{MONITOR}:ActionGroupResource",
        f"{MONITOR}:ActionGroupList",
    ),
    types.QUERY_RULE: (
        f"{MONITOR}:ScheduledQueryRuleResource",
        f"{MONITOR}:ScheduledQueryRuleResource",
        f"{MONITOR}:ScheduledQueryRuleResourceCollection",
    ),
    types.WORKBOOK: (
        f"{WORKBOOKS}:Workbook",
        f"{WORKBOOKS}:Workbook",
        f"{WORKBOOKS}:WorkbooksListResult",
    ),
}
# Of SDKs that are not here: azure-mgmt-msi, azure-mgmt-network and azure-mgmt-privatedns; that of
# diagnostic settings is in none that installs beside these.
WITHOUT_A_MODEL = {
    types.IDENTITY,
    types.DIAGNOSTIC_SETTING,
    *(types.VIRTUAL_NETWORK, types.SUBNET, types.PRIVATE_ENDPOINT, types.DNS_ZONE_GROUP),
    *(types.DNS_ZONE, types.DNS_ZONE_LINK),
}

# Sent back from a GET, they are taken of every type and dropped.
ENVELOPE = {"id", "name", "type", "systemData", "etag"}
# Where a request goes by something else than its model.
KNOWN = {
    "SERVICE.sku.name: 'PremiumV2' is taken",  # users create it; the model is open for more
    "BACKEND.properties.protocol: any text is taken",  # a rule of its own, with Azure's words
    "BACKEND.properties.azureRegion: is none of the model",  # of 2025-03-01-preview, as the next
    "BACKEND.properties.pool.sessionAffinity: is none of the model",
    "RESOURCEGROUP.location: may be left out",  # a rule of its own: LocationRequired
    "SERVICE.location: may be left out",
    "RESOURCEGROUP.properties: cannot be set",  # holds a state and nothing to set
    "ACTIONGROUP.identity: is none of the model",  # of 2024-10-01-preview, the model is older
    "ACTIONGROUP.properties.incidentReceivers: is none of the model",
    "ACTIONGROUP.properties.webhookReceivers[].managedIdentity: is none of the model",
    "WORKSPACE.properties.failover: is refused",  # of 2025, which the program does not send
    "WORKSPACE.properties.replication: is refused",
}
SCALARS = {"str": Text, "int": Whole, "float": Number, "bool": Flag, "list": Items}


def kinder(kind: Kind, model: Described, path: str) -> Iterator[str]:
    """Give where a body would be taken that the model does not have."""
    if model.kind == "any":
        return
    if model.kind in ("object", "map"):
        yield from _kinder_object(kind, model, path)
    elif not isinstance(kind, SCALARS[model.kind]):
        yield f"{path}: {type(kind).__name__} is taken for {model.kind}"
    else:
        yield from _kinder_limits(kind, model, path)
        if isinstance(kind, Items) and model.of:
            yield from kinder(kind.of, model.of, f"{path}[]")


def _kinder_object(kind: Kind, model: Described, path: str) -> Iterator[str]:
    if isinstance(kind, Shape):
        yield from _kinder_members(kind, model, path)
    elif not isinstance(kind, Named):
        yield f"{path}: need be no object"
    elif model.of:
        yield from kinder(kind.of, model.of, f"{path}.*")


LIMITS = (
    (Items, "most", "max_items", "{} items are taken"),
    (Text, "longest", "max_length", "{} characters are taken"),
    (Text, "shortest", "min_length", "{} characters are taken"),
    (Whole, "least", "minimum", "{} is taken"),
    (Whole, "most", "maximum", "{} is taken"),
    (Number, "least", "minimum", "{} is taken"),
    (Number, "most", "maximum", "{} is taken"),
)


def _kinder_limits(kind: Kind, model: Described, path: str) -> Iterator[str]:
    for of, name, sdk_name, problem in LIMITS:
        if isinstance(kind, of) and sdk_name in model.limits:
            ours, theirs = getattr(kind, name), model.limits[sdk_name]
            if ours < theirs if sdk_name.startswith("min") else ours > theirs:
                yield f"{path}: {problem.format(ours)}"
    if isinstance(kind, Text) and model.values and not kind.one_of:
        yield f"{path}: any text is taken"
    elif isinstance(kind, Text):
        for value in sorted(set(kind.one_of) ^ model.values if model.values else ()):
            yield f"{path}: {value!r} is {'taken' if value in kind.one_of else 'refused'}"


def _kinder_members(shape: Shape, model: Described, path: str) -> Iterator[str]:
    read_only = {name for name, each in model.members.items() if each.read_only}
    for name in sorted(shape.properties.keys() - model.members.keys()):
        yield f"{path}.{name}: is none of the model"
    for name in sorted(model.members.keys() - shape.properties.keys() - shape.read_only):
        yield f"{path}.{name}: is refused"
    for name in sorted(shape.read_only & model.members.keys() - read_only - ENVELOPE):
        yield f"{path}.{name}: cannot be set"
    for name in sorted(shape.properties.keys() & read_only):
        yield f"{path}.{name}: can be set"
    for name, each in model.members.items():
        if each.required and name not in shape.required | shape.read_only:
            yield f"{path}.{name}: may be left out"
        if name in shape.properties:
            yield from kinder(shape.properties[name], each, f"{path}.{name}")


def test_every_type_that_can_be_put_has_its_models():
    put = {kind.name for kind in RESOURCE_TYPES.values() if kind.build}
    assert put == MODELS.keys() | WITHOUT_A_MODEL


def test_requests_are_taken_for_nothing_that_the_models_do_not_have():
    found = set()
    for name, (request, _, _) in MODELS.items():
        shape = RESOURCE_TYPES[name.lower()].body
        assert shape
        title = name.rpartition("/")[2].upper().removesuffix("S")
        found |= set(kinder(shape, described(request), title))
    assert found == KNOWN


def member(**settings: bool) -> Described:
    return Described(kind="object", members={"a": Described(kind="str", **settings)})


@pytest.mark.parametrize(
    ("kind", "model", "problem"),
    [
        (Text(), Described(kind="int"), "p: Text is taken for int"),
        (Anything(), Described(kind="object"), "p: need be no object"),
        (Text(), Described(kind="str", values=frozenset({"a"})), "p: any text is taken"),
        (Text(), Described(kind="str", limits={"min_length": 1}), "p: 0 characters are taken"),
        (Whole(least=0), Described(kind="int", limits={"minimum": 1}), "p: 0 is taken"),
        (Whole(most=9), Described(kind="int", limits={"maximum": 8}), "p: 9 is taken"),
        (Shape(name="S", properties={}), member(), "p.a: is refused"),
        (Shape(name="S", properties={"a": Text()}), member(required=True), "p.a: may be left out"),
        (Shape(name="S", properties={"a": Text()}), member(read_only=True), "p.a: can be set"),
    ],
)
def test_what_is_kinder_than_a_model_is_found(kind, model, problem):
    assert list(kinder(kind, model, "p")) == [problem]


# -- answers --------------------------------------------------------------------------------------

DEPLOYED = (
    (GROUP, types.RESOURCE_GROUP),
    (ACCOUNT, types.ACCOUNT),
    (DEPLOYMENT, types.DEPLOYMENT),
    (SERVICE, types.SERVICE),
    (BACKEND, types.BACKEND),
    (POOL, types.BACKEND),
    (API, types.API),
    (OPERATION, types.OPERATION),
    (POLICY, types.API_POLICY),
    (OPERATION_POLICY, types.OPERATION_POLICY),
    (SERVICE_POLICY, types.SERVICE_POLICY),
    (FRAGMENT, types.POLICY_FRAGMENT),
    (NAMED_VALUE, types.NAMED_VALUE),
    (KEY, types.APIM_SUBSCRIPTION),
    (LOGGER, types.LOGGER),
    (DIAGNOSTIC, types.API_DIAGNOSTIC),
    (WORKSPACE, types.WORKSPACE),
    (ALARM, types.ACTION_GROUP),
    (QUERY_RULE, types.QUERY_RULE),
    (WORKBOOK, types.WORKBOOK),
    (ASSIGNMENT, types.ROLE_ASSIGNMENT),
)
POSTED = (
    (f"{KEY}/listSecrets", None, f"{APIM}:SubscriptionKeysContract"),
    (f"{NAMED_VALUE}/listValue", None, f"{APIM}:NamedValueSecretContract"),
    (f"{ACCOUNT}2/listKeys", None, f"{OPENAI}:ApiKeys"),
    (f"{ACCOUNT}2/regenerateKey", {"keyName": "Key1"}, f"{OPENAI}:ApiKeys"),
    (
        f"{SUBSCRIPTION}/providers/{types.CHECK_SUBDOMAIN}",
        {"subdomainName": "x", "type": types.ACCOUNT},
        f"{OPENAI}:DomainAvailability",
    ),
    (
        f"{SUBSCRIPTION}/providers/{types.CHECK_SERVICE_NAME}",
        {"name": "apim1"},
        f"{APIM}:ApiManagementServiceNameAvailabilityResult",
    ),
)
READ = (
    (
        f"{SUBSCRIPTION}/providers/{types.DELETED_SERVICE.replace('/locations', '')}",
        f"{APIM}:DeletedServicesCollection",
    ),
    (
        f"{SUBSCRIPTION}/providers/Microsoft.CognitiveServices/deletedAccounts",
        f"{OPENAI}:AccountListResult",
    ),
    (f"{SUBSCRIPTION}{OPENAI_USER}", f"{ROLES}:RoleDefinition"),
    (f"{SUBSCRIPTION}/providers/Microsoft.ApiManagement", f"{RESOURCES}:Provider"),
    (DELETED_ACCOUNT, f"{OPENAI}:Account"),
    (DELETED_SERVICE, f"{APIM}:DeletedServiceContract"),
)


def deploy(arm):
    arm.deploy(*(path for path, _ in DEPLOYED))
    second = {"location": "uksouth", "kind": "OpenAI", "sku": {"name": "S0"}, "properties": {}}
    arm.put(f"{ACCOUNT}2", second)


@pytest.fixture(scope="module")
def arm(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("arm")) as arm:
        deploy(arm)
        yield arm


@pytest.mark.parametrize(("path", "kind"), DEPLOYED)
def test_an_answer_and_a_list_have_what_their_models_have(arm, path, kind):
    _, one, many = MODELS[kind]
    answer = arm.get(path).json()
    assert misfits(answer, described(one)) == []
    if many:
        collection = path.rpartition("/")[0]
        assert misfits(arm.get(collection).json(), described(many)) == []
    required = {name for name, each in described(one).members.items() if each.required}
    assert required <= answer.keys()


@pytest.mark.parametrize(("path", "body", "model"), POSTED)
def test_an_action_answers_what_its_model_has(arm, path, body, model):
    answer = arm.request("POST", path, json=body)
    assert answer.status_code == 200, answer.text
    assert misfits(answer.json(), described(model)) == []


def test_every_action_with_an_answer_is_among_them():
    asked = {path.rpartition("/")[2] for path, _, _ in POSTED}
    quiet = {"regeneratePrimaryKey", "regenerateSecondaryKey", "register"}  # register: a provider
    assert {name.rpartition("/")[2] for name in ACTIONS} == asked | quiet


@pytest.mark.parametrize(("path", "model"), READ)
def test_what_can_only_be_read_has_what_its_model_has(arm, path, model):
    if "deleted" in path.lower():
        arm.delete(GROUP)
    try:
        is_provider = path.endswith("/providers/Microsoft.ApiManagement")
        answer = arm.get(path, params={"api-version": "2024-11-01"} if is_provider else {})
        assert answer.status_code == 200, answer.text
        assert misfits(answer.json(), described(model)) == []
    finally:
        arm.reset()
        deploy(arm)
