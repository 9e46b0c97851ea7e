"""The policy pack: `pulumi preview --policy-pack policies`. The rules are components/guardrails.py.

A preview with a violation ends with an error; that of an advisory rule is a warning.
`--policy-pack-config` can turn single rules to `advisory` or `disabled`, by their names.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from components.guardrails import (  # noqa: E402
    DECLARING,
    RULES,
    WHOLE,
    Resource,
    Rule,
    Stack,
    found,
    split,
    unversioned,
)
from components.traffic import UNKNOWN  # noqa: E402


def policy(rule: Rule) -> Policy:
    """Return a rule in the form of the pack.

    What one resource shows is judged before the engine makes it, even by `up --skip-preview`; what
    takes all of them, once the program has ended.
    """
    level = EnforcementLevel.ADVISORY if rule.advisory else EnforcementLevel.MANDATORY
    if rule.of:
        return ResourceValidationPolicy(rule.name, rule.description, of_a_resource(rule), level)
    return StackValidationPolicy(rule.name, rule.description, of_the_stack(rule), level)


INPUTS: dict[str, Resource] = {}
"""What was declared of each resource, by its URN. `of_the_stack` is told outputs, and in those a
preview has what was left out as not known yet."""


def of_a_resource(rule: Rule) -> Callable[[ResourceValidationArgs, ReportViolation], None]:
    """Return a rule's check of each resource of its types."""

    def validate(arguments: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = INPUTS[arguments.urn] = described(arguments)
        if unversioned(resource.type) in rule.of:
            for _, message in rule.check(Stack([resource])):
                report(f"{resource.name}: {message}", None)

    return validate


def of_the_stack(rule: Rule) -> Callable[[StackValidationArgs, ReportViolation], None]:
    """Return a rule's check of all resources."""

    def validate(arguments: StackValidationArgs, report: ReportViolation) -> None:
        urns = {(each.resource_type, each.name): each.urn for each in arguments.resources}
        resources = []
        for each in arguments.resources:
            own = INPUTS.get(each.urn) if each.resource_type not in DECLARING else None
            resources.append(replace(own or described(each), within=_component(each)))
        for resource, message in found(split(resources), rule):
            report(f"{resource.name}: {message}", urns[resource.type, resource.name])

    return validate


def _component(resource: PolicyResource | None) -> str:
    """Name the component that declares a resource, itself included."""
    while resource is not None and resource.resource_type != WHOLE:
        resource = resource.parent
    return resource.name if resource else ""


def described(resource: ResourceValidationArgs | PolicyResource) -> Resource:
    """Return what the rules take of a resource of the pack's."""
    return Resource(
        type=resource.resource_type,
        name=resource.name,
        inputs={key: told(resource.props, key) for key in resource.props},
        protect=resource.opts.protect,
    )


def told(container: Any, key: object) -> Any:
    """Return a property, with UNKNOWN for what is not known yet: reading that raises an error."""
    try:
        value = container[key]
    except UnknownValueError:
        return UNKNOWN
    if isinstance(value, Mapping):
        return {each: told(value, each) for each in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [told(value, position) for position in range(len(value))]
    return value


PolicyPack(name="openai-gateway", policies=[policy(rule) for rule in RULES])
