"""Rules for the policies of API Management, and for what policies refer to by name."""

import re
from collections.abc import Iterator, Mapping

from local_azure.gateway.export import exported
from local_azure.gateway.markup import PolicyError
from local_azure.resource_manager import resource_types as types
from local_azure.resource_manager.request import Request
from local_azure.resource_manager.rules.rule import DELETE, Rule, Violations
from local_azure.store import Resource


def _service_id(request: Request) -> str:
    service = request.path.step(types.SERVICE)
    return service.id if service else ""


def _named_values(request: Request) -> dict[str, str]:
    return {
        each.body["properties"]["displayName"]: request.view.secrets(each.id)["value"]
        for each in request.view.list(types.NAMED_VALUE, under=_service_id(request))
    }


def _fragments(request: Request) -> dict[str, str]:
    return {
        each.body["name"].lower(): each.body["properties"]["value"]
        for each in request.view.list(types.POLICY_FRAGMENT, under=_service_id(request))
    }


def _policies(request: Request) -> Iterator[Resource]:
    for kind in types.POLICIES:
        yield from request.view.list(kind, under=_service_id(request))


def _problem(
    request: Request,
    xml: str,
    named_values: Mapping[str, str],
    fragments: Mapping[str, str],
    *,
    is_fragment: bool = False,
) -> Mapping[str, object] | None:
    """Return what the gateway would refuse a policy for."""
    try:
        request.azure.compile_policy(
            xml, named_values=named_values, fragments=fragments, is_fragment=is_fragment
        )
    except Exception as error:
        # The compiler is injected; what it refuses a policy with says where.
        line = getattr(error, "line", None)
        if line is None:
            raise
        return {
            "line": line,
            "reason": getattr(error, "message", str(error)),
            "element": getattr(error, "element", "") or "value",
        }
    return None


def _refused(request: Request) -> Violations:
    problem = _problem(
        request,
        request.properties["value"],
        _named_values(request),
        _fragments(request),
        is_fragment=request.path.type == types.POLICY_FRAGMENT,
    )
    if problem and not _not_xml(request):
        yield problem


def _not_xml(request: Request) -> str:
    """Return where a policy that is put as XML is none: an expression has to be escaped there."""
    if request.properties.get("format", "xml") == "xml":
        try:
            exported(request.properties["value"], given="xml")
        except PolicyError as error:
            return error.message
    return ""


def _unescaped(request: Request) -> Violations:
    if reason := _not_xml(request):
        yield {"reason": reason}


def _too_long_for_consumption(request: Request) -> Violations:
    service = request.find(_service_id(request))
    size = len(request.properties["value"].encode())
    if size > _CONSUMPTION_BYTES and service and service.body["sku"]["name"] == "Consumption":
        yield {"size": size, "limit": _CONSUMPTION_BYTES}


_CONSUMPTION_BYTES = 16 * 1024  # Azure subscription and service limits, API Management
# One that does not end goes to the end: looked for at each beginning, it would take for ever.
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_BACKEND_REFERENCE = re.compile(
    r"""(?<![\w-])(embeddings-)?backend-id\s*=\s*(["'])([^@"'{][^"']*)\2"""
)
_CACHE_LOOKUP = re.compile(r"<((?:azure-openai|llm)-semantic-cache-lookup)\b")


def _unknown_backend(request: Request) -> Violations:
    policy = _COMMENT.sub(_blank, request.properties["value"])
    for reference in _BACKEND_REFERENCE.finditer(policy):
        if not request.find(f"{_service_id(request)}/backends/{reference[3]}"):
            line_start = policy.rfind("\n", 0, reference.start()) + 1
            lookups = _CACHE_LOOKUP.findall(policy, 0, reference.start()) if reference[1] else []
            yield {
                "element": lookups[-1] if lookups else "set-backend-service",
                "backend": reference[3],
                "line": policy.count("\n", 0, reference.start()) + 1,
                "column": reference.start() - line_start + 1,
            }


def _blank(comment: re.Match[str]) -> str:
    """Keep every position in the text where it is."""
    return re.sub(r"[^\n]", " ", comment[0])


def _display_name_taken(request: Request) -> Violations:
    name = request.properties["displayName"]
    for other in request.view.list(types.NAMED_VALUE, under=request.parent_id):
        same = other.body["properties"]["displayName"].lower() == name.lower()
        if same and other.id.lower() != request.id.lower():
            yield {"display_name": name}


def _breaks_a_policy(request: Request) -> Violations:
    """Check what is there already with what is about to change."""
    named_values, fragments = _named_values(request), _fragments(request)
    changed = request.properties
    if request.path.type == types.NAMED_VALUE:
        had = request.existing.body["properties"]["displayName"] if request.existing else None
        named_values.pop(had or "", None)
        named_values[changed["displayName"]] = changed["value"]
    else:
        fragments[request.path.name.lower()] = changed["value"]
    for policy in _policies(request):
        problem = _problem(request, policy.body["properties"]["value"], named_values, fragments)
        if problem:
            scope = policy.id.removeprefix(_service_id(request))
            yield {"policy": scope, "change": problem["reason"], "line": problem["line"]}


def _users(request: Request) -> list[str]:
    """Return the policies, and the fragments, that refer to what is about to be deleted."""
    if request.existing is None:
        return []
    name = request.existing.body["name"]
    texts = {policy.id: policy.body["properties"]["value"] for policy in _policies(request)}
    if request.path.type == types.NAMED_VALUE:
        name = request.existing.body["properties"]["displayName"]
        sought = re.compile(re.escape("{{" + name + "}}"))
        texts |= {
            each.id: each.body["properties"]["value"]
            for each in request.view.list(types.POLICY_FRAGMENT, under=_service_id(request))
        }
    else:
        sought = re.compile(rf"""\bfragment-id\s*=\s*["']{re.escape(name)}["']""", re.IGNORECASE)
    return [
        each.removeprefix(_service_id(request))
        for each, text in texts.items()
        if sought.search(_COMMENT.sub(" ", text))
    ]


def _in_use(request: Request) -> Violations:
    users = _users(request)
    if users:
        label = "Property" if request.path.type == types.NAMED_VALUE else "Policy Fragment"
        yield {"label": label, "users": "".join(f"{user}\r\n" for user in users)}


POLICY_RULES = (
    Rule(
        check=_unescaped,
        of=(*types.POLICIES, types.POLICY_FRAGMENT),
        message="{reason}",
        target="representation",
        source="M: pulumi-azure#611 for the form; the wording is the local Azure's XML parser's",
    ),
    Rule(
        check=_refused,
        of=(*types.POLICIES, types.POLICY_FRAGMENT),
        message="{reason} (line {line})",
        target="{element}",
        source="? most wordings; M: apiops#565 for the form, terraform-provider-azurerm#5001 for a"
        " named value, apiops#668 for a fragment",
    ),
    Rule(
        check=_too_long_for_consumption,
        of=types.POLICIES,
        message="The policy document has {size} bytes; the Consumption tier takes {limit}.",
        target="value",
        source="? the wording; H: Azure subscription and service limits, API Management, 'Maximum"
        " policy document size'",
    ),
    Rule(
        check=_unknown_backend,
        of=types.POLICIES,
        message="Error in element '{element}' on line {line}, column {column}: Backend"
        " with id '{backend}' could not be found.",
        target="{element}",
        source="M: apiops#565",
    ),
    Rule(
        check=_display_name_taken,
        of=(types.NAMED_VALUE,),
        message="Property with name '{display_name}' already exists.",
        target="displayName",
        source="? the wording; H: a display name is unique",
    ),
    Rule(
        check=_breaks_a_policy,
        of=(types.NAMED_VALUE, types.POLICY_FRAGMENT),
        message="The change would break '{policy}', line {line}: {change}",
        target="value",
        source="?",
    ),
    Rule(
        check=_in_use,
        methods=DELETE,
        of=(types.NAMED_VALUE, types.POLICY_FRAGMENT),
        alone=True,
        message="The {label} '{name}' is used by the following entities:\r\n{users}",
        source="M: apiops-cli#261",
    ),
)
