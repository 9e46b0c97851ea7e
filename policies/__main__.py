"""The policy pack: `pulumi preview --policy-pack policies`. The rules are components/guardrails.py.

Mandatory: a preview with a violation ends with an error. `--policy-pack-config` can turn single
rules to `advisory` or `disabled`, by their names.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN
from pulumi_policy.proxy import UnknownValueError

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from components.guardrails import RULES, Resource, Rule, Stack  # noqa: E402


def known(value: object) -> object:
    """Return a property without what is not known yet: reading that raises an error."""
    if isinstance(value, Mapping):
        return {key: known(value[key]) for key in value if _is_known(value, key)}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [known(value[i]) if _is_known(value, i) else {} for i in range(len(value))]
    return value


def _is_known(container: Any, key: object) -> bool:
    try:
        return bool(container[key] != UNKNOWN)
    except UnknownValueError:
        return False


def validation(rule: Rule) -> Callable[[StackValidationArgs, ReportViolation], None]:
    """Return a rule in the form of the pack: over the whole stack."""

    def validate(arguments: StackValidationArgs, report: ReportViolation) -> None:
        stack = Stack(
            [
                Resource(
                    type=each.resource_type,
                    name=each.name,
                    inputs=cast("dict[str, Any]", known(each.props)),
                )
                for each in arguments.resources
            ]
        )
        urns = {(each.resource_type, each.name): each.urn for each in arguments.resources}
        for resource, message in rule.check(stack):
            report(f"{resource.name}: {message}", urns[resource.type, resource.name])

    return validate


PolicyPack(
    name="openai-gateway",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[
        StackValidationPolicy(
            name=rule.name, description=rule.description, validate=validation(rule)
        )
        for rule in RULES
    ],
)
