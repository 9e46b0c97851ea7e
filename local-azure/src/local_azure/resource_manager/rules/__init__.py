"""Azure's rules: one entry a rule, with its code, its message and where it is known from.

A check yields one mapping for each violation; its values fill the message. Rules stand in stages:
the first violation ends a request, except that those of the code ValidationError are collected
within their stage and answered together, as API Management does.

Sources: `H` primary documentation or specification, `M` a Microsoft sample or an issue thread that
quotes Azure, `?` the rule is known and the wording is not.
"""

from functools import lru_cache
from typing import Any

from local_azure.resource_manager.errors import ArmError
from local_azure.resource_manager.request import Request
from local_azure.resource_manager.rules.apis import API_RULES
from local_azure.resource_manager.rules.authorization import AUTHORIZATION_RULES
from local_azure.resource_manager.rules.backends import BACKEND_RULES
from local_azure.resource_manager.rules.cognitive_services import COGNITIVE_SERVICES_RULES
from local_azure.resource_manager.rules.every_request import (
    BODY_RULES,
    REQUEST_RULES,
    STATE_RULES,
    VALUE_RULES,
)
from local_azure.resource_manager.rules.monitor import MONITOR_RULES
from local_azure.resource_manager.rules.networks import NETWORK_RULES
from local_azure.resource_manager.rules.not_built import NOT_BUILT_RULES
from local_azure.resource_manager.rules.policies import POLICY_RULES
from local_azure.resource_manager.rules.rule import VALIDATION, Rule
from local_azure.resource_manager.rules.services import SERVICE_RULES

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
        *NETWORK_RULES,
        *MONITOR_RULES,
        *BACKEND_RULES,
        *API_RULES,
        *POLICY_RULES,
    ),
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
                if rule.alone or rule.code != VALIDATION:
                    raise ArmError(rule.status, rule.code, message)
                details.append((rule.target.format_map(known), message))
        if details:
            raise ArmError(
                400, VALIDATION, "One or more fields contain incorrect values:", details=details
            )


@lru_cache(maxsize=1024)  # clients make type names up
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
        "locations": ",".join(request.azure.locations),
    }
