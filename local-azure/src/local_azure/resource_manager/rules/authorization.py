"""Rules for role assignments."""

from local_azure.identity import PRINCIPAL_ID
from local_azure.resource_manager import resource_types as types
from local_azure.resource_manager.request import Request
from local_azure.resource_manager.rules.rule import Rule, Violations, is_guid
from local_azure.roles import id_of
from local_azure.store import Resource


def _bad_principal(request: Request) -> Violations:
    if not is_guid(request.properties["principalId"]):
        yield {}


def _unknown_role(request: Request) -> Violations:
    role_id = request.properties["roleDefinitionId"]
    resource = request.find(role_id)
    if not resource or resource.type != types.ROLE_DEFINITION:
        yield {"role": role_id.rsplit("/", 1)[-1].replace("-", "")}


def _principals(request: Request) -> set[str]:
    """Return the principals that exist: who signs in, identities of resources, assigned ones."""
    assigned = {PRINCIPAL_ID} | {
        resource.body["properties"]["principalId"].lower()
        for resource in request.view.list(types.IDENTITY)
    }
    return assigned | {
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


def _role(of: Request | Resource) -> tuple[str, str]:
    properties = of.body["properties"]
    return id_of(properties["roleDefinitionId"]), properties["principalId"].lower()


def _assigned_already(request: Request) -> Violations:
    for other in request.view.list(types.ROLE_ASSIGNMENT, under=request.parent_id):
        same_scope = other.body["properties"]["scope"].lower() == request.parent_id.lower()
        is_other = other.id.lower() != request.id.lower()
        if same_scope and is_other and _role(other) == _role(request):
            yield {}
            return


def _assignment_changed(request: Request) -> Violations:
    if request.existing and _role(request.existing) != _role(request):
        yield {}


AUTHORIZATION_RULES = (
    Rule(
        check=_bad_principal,
        of=(types.ROLE_ASSIGNMENT,),
        code="InvalidPrincipalId",
        message="A valid principal ID must be provided for role assignment.",
        source="M: the wording; ? the code",
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
