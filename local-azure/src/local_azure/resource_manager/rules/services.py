"""Rules for API Management services."""

from local_azure.resource_manager import resource_types as types
from local_azure.resource_manager.names import services_of_name
from local_azure.resource_manager.request import Request
from local_azure.resource_manager.rules.rule import Rule, Violations, nothing_to_restore
from local_azure.resource_manager.soft_delete import record_of, restores


def _name_soft_deleted(request: Request) -> Violations:
    for record in services_of_name(request.view, request.path.name):
        is_own = record_of(request) == record
        is_record = record.type == types.DELETED_SERVICE
        if is_record and not request.existing and not (is_own and restores(request)):
            yield {}


def _no_service_to_restore(request: Request) -> Violations:
    if not request.existing:
        yield from nothing_to_restore(request)


def _service_name_taken(request: Request) -> Violations:
    for other in services_of_name(request.view, request.path.name):
        if other.type == types.SERVICE and other.id.lower() != request.id.lower():
            yield {}


def _wrong_capacity(request: Request) -> Violations:
    sku = request.body["sku"]
    if (sku["capacity"] == 0) is not (sku["name"] == "Consumption"):
        yield {"sku": sku["name"], "capacity": sku["capacity"]}


# Units that a tier has at most, in one region. H: Azure API Management v2 tiers, key capabilities;
# Upgrade and scale, for Developer. M: bicep-registry-modules#7330 for Basic, azure-docs#76679 for
# Premium, where support raises it. ? Standard, as API Management pricing has it.
MOST_UNITS = {
    "Developer": 1,
    "Basic": 2,
    "Standard": 4,
    "Premium": 12,
    "BasicV2": 10,
    "StandardV2": 10,
    "PremiumV2": 30,
}


def _too_many_units(request: Request) -> Violations:
    sku = request.body["sku"]
    most = MOST_UNITS.get(sku["name"])
    if most is not None and sku["capacity"] > most:
        yield {"sku": sku["name"], "most": most, "units": "unit" if most == 1 else "units"}


def tier_family(sku: str) -> str:
    """Return `Consumption`, `v2` or `classic`."""
    return sku if sku == "Consumption" else "v2" if sku.endswith("V2") else "classic"


def _tier_changed(request: Request) -> Violations:
    wanted = request.body["sku"]["name"]
    if request.existing and not restores(request):
        had = request.existing.body["sku"]["name"]
        if tier_family(had) != tier_family(wanted):
            yield {"had": had, "wanted": wanted}


def _no_client_certificate(request: Request) -> Violations:
    sku = request.body["sku"]["name"]
    is_off = request.properties.get("enableClientCertificate") is False
    if is_off and tier_family(sku) == "classic":
        yield {"sku": sku}


def _unknown_identity(request: Request) -> Violations:
    identity = request.body.get("identity") or {}
    if "UserAssigned" not in identity.get("type", ""):
        return
    assigned = identity.get("userAssignedIdentities") or {}
    if not assigned:
        yield {"problem": "at least one is needed"}
    for each in assigned:
        found = request.find(each)
        if not found or found.type != types.IDENTITY:
            yield {"problem": f"'{each}' was not found"}


SERVICE_RULES = (
    Rule(
        check=_unknown_identity,
        of=(types.SERVICE,),
        code="FailedIdentityOperation",
        message="Identity operation for resource '{id}' failed: of its user-assigned identities"
        " {problem}.",
        source="? the wording; H: the code, Managed identities for Azure resources",
    ),
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
        check=_no_service_to_restore,
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
        check=_too_many_units,
        of=(types.SERVICE,),
        message="A service of tier '{sku}' has at most {most} {units}.",
        target="sku.capacity",
        source="? the wording, and the units of Standard; H: API Management v2 tiers; Upgrade and"
        " scale an API Management instance; M: bicep-registry-modules#7330 for Basic,"
        " azure-docs#76679 for Premium, which support can raise",
    ),
    Rule(
        check=_tier_changed,
        of=(types.SERVICE,),
        message="A service of tier '{had}' cannot be changed to tier '{wanted}'.",
        target="sku.name",
        source="? the wording; H: Upgrade and scale an API Management instance",
    ),
    Rule(
        check=_no_client_certificate,
        of=(types.SERVICE,),
        code="EnableClientCertificateCannotBeChangedForSku",
        message="Setting EnableClientCertificate flag to false is not supported for {sku} SKU.",
        source="M: pulumi-azure#3315 (an update in 2025), pulumi-azure-native#1865 (a creation in"
        " 2022, its code NotSupported), both of Developer; ? Basic, Standard and Isolated",
    ),
)
