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
    Policy,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN
from pulumi_policy.proxy import UnknownValueError

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from components.guardrails import RULES, Resource, Rule, Stack, unversioned  # noqa: E402


def policy(rule: Rule) -> Policy:
    """Return a rule in the form of the pack.

    What one resource shows is judged before the engine makes it, even by `up --skip-preview`; what
    takes all of them, once the program has ended.
    """
    if rule.of:
        return ResourceValidationPolicy(
            name=rule.name, description=rule.description, validate=of_a_resource(rule)
        )
    return StackValidationPolicy(
        name=rule.name, description=rule.description, validate=of_the_stack(rule)
    )


def of_a_resource(rule: Rule) -> Callable[[ResourceValidationArgs, ReportViolation], None]:
    """Return a rule's check of each resource of its types."""

    def validate(arguments: ResourceValidationArgs, report: ReportViolation) -> None:
        if unversioned(arguments.resource_type) in rule.of:
            for resource, message in rule.check(Stack([described(arguments)])):
                report(f"{resource.name}: {message}", None)

    return validate


def of_the_stack(rule: Rule) -> Callable[[StackValidationArgs, ReportViolation], None]:
    """Return a rule's check of all resources."""

    def validate(arguments: StackValidationArgs, report: ReportViolation) -> None:
        stack = Stack([described(each) for each in arguments.resources])
        urns = {(each.resource_type, each.name): each.urn for each in arguments.resources}
        for resource, message in rule.check(stack):
            report(f"{resource.name}: {message}", urns[resource.type, resource.name])

    return validate


def described(resource: Any) -> Resource:
    """Return what the rules take of a resource of the pack's."""
    return Resource(
        type=resource.resource_type,
        name=resource.name,
        inputs=cast("dict[str, Any]", known(resource.props)),
    )


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


PolicyPack(
    name="openai-gateway",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[policy(rule) for rule in RULES],
)
