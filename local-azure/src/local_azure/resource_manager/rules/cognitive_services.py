"""Rules for Cognitive Services accounts and their model deployments."""

import re

from local_azure.resource_manager import catalogue
from local_azure.resource_manager import resource_types as types
from local_azure.resource_manager.known_models import READ_ON, VERSIONS, offered
from local_azure.resource_manager.names import accounts_of_subdomain, subdomain_of
from local_azure.resource_manager.request import Request
from local_azure.resource_manager.rules.rule import (
    DELETE,
    POST,
    Rule,
    Violations,
    nothing_to_restore,
)
from local_azure.resource_manager.soft_delete import record_of, restores


def _unknown_kind(request: Request) -> Violations:
    if request.body["kind"] != "OpenAI":
        yield {"kind": request.body["kind"]}


def _unknown_account_sku(request: Request) -> Violations:
    if request.body["sku"]["name"] != "S0":
        yield {"sku": request.body["sku"]["name"]}


def _soft_deleted_account(request: Request) -> Violations:
    if not request.existing and record_of(request) and not restores(request):
        yield {}


_SUBDOMAIN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}[a-z0-9]", re.IGNORECASE)


def _bad_subdomain(request: Request) -> Violations:
    subdomain = request.properties.get("customSubDomainName")
    if subdomain is not None and not _SUBDOMAIN.fullmatch(subdomain):
        yield {"subdomain": subdomain}


def _subdomain_taken(request: Request) -> Violations:
    wanted = request.properties.get("customSubDomainName")
    if wanted is None:
        return
    owners = accounts_of_subdomain(request.view, wanted)
    # One that was deleted elsewhere under the same id keeps it too.
    own = request.existing or record_of(request)
    if any(not own or account.id.lower() != request.id.lower() for account in owners):
        yield {"subdomain": wanted}


def _subdomain_changed(request: Request) -> Violations:
    wanted = str(request.properties.get("customSubDomainName") or "").lower()
    if request.existing and subdomain_of(request.existing) not in ("", wanted):
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


def _unknown_model(request: Request) -> Violations:
    model = request.properties["model"]
    versions = VERSIONS.get(model["name"])
    if model["format"] != "OpenAI" or model.get("version", "") in (versions or ()):
        return
    if versions is None:
        yield {
            **model,
            "version": model.get("version", ""),
            "known": f"models {', '.join(VERSIONS)}",
        }
    elif "version" in model:
        yield {**model, "known": f"versions {', '.join(versions)}"}


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
    sku, model, where = request.body["sku"]["name"], request.properties["model"], request.place
    if sku not in _DEPLOYMENT_SKUS or offered(sku, model["name"], where) is False:
        yield {"sku": sku, "model": f"{model['name']} {model.get('version', '')}", "where": where}


def _too_little_quota(request: Request) -> Violations:
    sku, model = request.body["sku"], request.properties["model"]["name"]
    if not catalogue.has_quota(sku["name"], model):
        return
    used = catalogue.used(request, sku["name"], model, request.place)
    others = catalogue.used(request, sku["name"], model, request.place, besides=request.id)
    more, left = others + sku.get("capacity", 1) - used, catalogue.LIMIT - used
    if more > max(left, 0):
        quota = catalogue.quota_name(sku["name"], model)
        yield {"more": more, "left": left, "used": used, "quota": quota}


# Azure OpenAI, "Content filtering": those that an account has from the start.
_CONTENT_FILTERS = ("microsoft.default", "microsoft.defaultv2", "microsoft.nil")


def _unknown_content_filter(request: Request) -> Violations:
    name = str(request.properties.get("raiPolicyName", _CONTENT_FILTERS[0]))
    if name.lower() not in _CONTENT_FILTERS:
        yield {"filter": name}


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
        check=nothing_to_restore,
        of=(types.ACCOUNT,),
        code="CanNotRestoreANonSoftDeletedResource",
        message="There is no soft-deleted resource with ID '{id}' in location '{location}' to"
        " restore.",
        source="? the wording, and that it holds for an account that is there",
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
        source="M: azuresandbox#164; ? for the same account in another location",
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
        methods=DELETE,
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
        methods=POST,
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
        check=_unknown_model,
        of=(types.DEPLOYMENT,),
        code="DeploymentModelNotSupported",
        message="The model 'Format:{format},Name:{name},Version:{version}' of account deployment"
        f" is not supported. The local Azure knows by the table of {READ_ON} the {{known}}.",
        source="M: Cognitive Services, error DeploymentModelNotSupported; ? whether the table is"
        " whole",
    ),
    Rule(
        check=_unknown_deployment_sku,
        of=(types.DEPLOYMENT,),
        code="InvalidResourceProperties",
        message="The specified SKU '{sku}' for model '{model}' is not supported in this region"
        " '{where}'.",
        source="M: azure-search-openai-demo#1840; H: Model region availability. ? a model or a"
        " location that is not in it is taken",
    ),
    Rule(
        check=_too_little_quota,
        of=(types.DEPLOYMENT,),
        code="InsufficientQuota",
        message="This operation require {more} new capacity in quota {quota}, which is bigger than"
        " the current available capacity {left}. The current quota usage is {used} and the quota"
        f" limit is {catalogue.LIMIT} for quota {{quota}}.",
        source="M: azure-search-openai-demo#2091; ? the limit",
    ),
    Rule(
        check=_unknown_content_filter,
        of=(types.DEPLOYMENT,),
        code="InvalidResourceProperties",
        message="The RAI policy '{filter}' does not exist in the account.",
        source="? code and wording; H: Cognitive Services 2025-06-01, a filter is a resource of"
        " the account, and the local Azure builds none",
    ),
)
