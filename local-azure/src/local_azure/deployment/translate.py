"""The one translation between azure-native's resources and Resource Manager requests.

A table with one entry a resource type, as azure-native 3.29 shapes it: which inputs make up the
path, which stand at the body's top level, which azure-native lifts out of the body's `properties`
(`x-ms-client-flatten` in Azure's specifications), and a change of which needs a new resource. What
else a type takes and returns is read from the SDK's own classes. Knows no engine: whoever deploys
to the local Azure translates here.
"""

import difflib
import importlib
import re
import threading
import typing
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from pulumi import _types as sdk_types

from local_azure.deployment.values import (
    UNKNOWN,
    Change,
    Json,
    is_secret,
    plain,
    secret,
    within,
)
from local_azure.locations import normalise

# The SDK's modules import each other: threads that begin at once would meet half of one.
_LOADING = threading.RLock()


NAMED_AT_RANDOM = "__createBeforeDelete"
"""azure-native's mark, among the inputs, of a resource whose replacement can stand beside it."""


class TranslationError(Exception):
    """A type, function or property that azure-native or this translation does not know."""


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """One resource type: how azure-native's inputs become a request.

    `path` names inputs in braces. With `flattened`, every input that is neither in the path nor in
    `top` nor in `query` goes under `properties`, under its name in `wire` if it is there.
    """

    token: str
    path: str
    api_version: str
    name: str  # the input that names the resource
    naming: Literal["random", "copy", "uuid"]  # how azure-native names it when the program does not
    top: frozenset[str] = frozenset()
    query: frozenset[str] = frozenset()
    flattened: bool = True
    wire: Mapping[str, str]
    nested: frozenset[str] = frozenset()  # lists whose items have `properties` of their own
    replace_on: frozenset[str] = frozenset()  # property paths, besides those in the path
    secret_outputs: frozenset[str] = frozenset()

    @property
    def path_inputs(self) -> tuple[str, ...]:
        """The inputs that make up the path, in its order."""
        return tuple(_placeholders(self.path))

    def resource_id(self, inputs: Mapping[str, Json], subscription_id: str) -> str:
        """Return the ARM id; inputs must be checked, in the clear and known."""
        return _fill(self.path, inputs, subscription_id)

    def body(self, inputs: Mapping[str, Json]) -> dict[str, Json]:
        """Return the body of the PUT for inputs in the clear."""
        outside = {*self.path_inputs, *self.query, NAMED_AT_RANDOM}
        top = {key: value for key, value in inputs.items() if key in self.top}
        flat = {
            self.wire.get(key, key): _wrapped(value) if key in self.nested else value
            for key, value in inputs.items()
            if key not in outside and key not in self.top
        }
        return {**top, "properties": flat} if flat else top

    def query_parameters(self, inputs: Mapping[str, Json]) -> dict[str, str]:
        """Return the query string of the PUT, `api-version` included."""
        return {
            "api-version": self.api_version,
            **{key: str(inputs[key]) for key in sorted(self.query) if key in inputs},
        }

    def outputs(self, body: Mapping[str, Json]) -> dict[str, Json]:
        """Return a GET's answer as azure-native's outputs, its secrets wrapped."""
        top = {key: value for key, value in body.items() if key not in ("id", "properties")}
        properties = body.get("properties") or {}
        if self.flattened:
            names = {wire: name for name, wire in self.wire.items()}
            lifted = {
                names.get(key, key): _unwrapped(value) if key in self.nested else value
                for key, value in properties.items()
            }
        else:
            lifted = {"properties": properties}
        outputs = _without_nulls({**lifted, **top, "azureApiVersion": self.api_version})
        return {
            key: secret(value) if key in self.secret_outputs else value
            for key, value in outputs.items()
        }

    def preview_outputs(
        self, inputs: Mapping[str, Json], old: Mapping[str, Json] | None = None
    ) -> dict[str, Json]:
        """Return what a preview can say of the outputs: the inputs, and else unknowns.

        With the outputs of an `old` state (an update), name and location are known to stay, as
        azure-native's own preview has it.
        """
        outputs: dict[str, Json] = {}
        for key, shape in sdk_types.resource_types(_sdk_class(self.token)).items():
            outputs[key] = _preview(inputs[key], shape) if key in inputs else UNKNOWN
        for key in ("name", "location"):
            if old and key in old:
                outputs[key] = old[key]
        # `type` as an output is the resource's type, whatever an input of that name means.
        outputs["type"] = UNKNOWN
        outputs["azureApiVersion"] = self.api_version
        return outputs

    def needs_replacement(self, change: Change) -> bool:
        """Whether Azure can make this change only with a new resource."""
        return any(
            within(change.path, path) or within(path, change.path)
            for path in (*self.path_inputs, *self.replace_on)
        )

    def is_change(self, change: Change) -> bool:
        """Whether it is one to Azure, to which `UK South` and `uksouth` are one location."""
        return change.path != "location" or _location(change.old) != _location(change.new)

    def check(
        self, name: str, inputs: Mapping[str, Json], old: Mapping[str, Json] | None
    ) -> dict[str, Json]:
        """Return the inputs as azure-native's Check does: nulls dropped, the name filled in.

        A name made up earlier is in `old` and is kept. Raises TranslationError for properties that
        the type does not have and for those missing in the path, all of them at once.
        """
        checked: dict[str, Json] = _without_nulls(dict(inputs))
        problems = list(_misspelt(checked, _args_class(self.token), ""))
        if self.name not in checked:
            named = (old or {}).get(self.name)
            checked[self.name] = named or self._made_up(name)
            if self.naming != "copy" and (not named or NAMED_AT_RANDOM in (old or {})):
                checked[NAMED_AT_RANDOM] = True
        problems += [
            f"missing required property '{key}'" for key in self.path_inputs if key not in checked
        ]
        if problems:
            raise TranslationError("; ".join(problems))
        return checked

    def path_of(self, resource_id: str) -> dict[str, str]:
        """Return the inputs that make up an id. Raises TranslationError for one of another type."""
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(self.path))
        match = re.fullmatch(pattern, resource_id, re.IGNORECASE)
        if match is None:
            raise TranslationError(f"{resource_id!r} is no id of type {self.token}: {self.path}")
        return {key: match[key] for key in self.path_inputs}

    def inputs_of(self, resource_id: str, body: Mapping[str, Json]) -> dict[str, Json]:
        """Return the inputs that an import gives: those of the path, and what a GET returns."""
        # `type` as an input is the body's own, and as an output the resource's type.
        kind = (body.get("properties") or {}).get("type") if self.flattened else None
        outputs = {**self.outputs(body), "type": kind}
        settable = _without_nulls(_settable(outputs, _args_class(self.token)))
        return {**settable, **self.path_of(resource_id)}

    def followed(
        self, inputs: Mapping[str, Json], old: Mapping[str, Json], new: Mapping[str, Json]
    ) -> dict[str, Json]:
        """Return the inputs, changed where Azure's answer has changed from `old` to `new`.

        As azure-native's refresh does: what Azure merely spells in another way is no change.
        """
        settable = _settable(dict(new), _args_class(self.token))
        fixed = {*self.path_inputs, *self.query}
        changed = {
            key: _follow(inputs.get(key), old.get(key), settable.get(key))
            for key in {**inputs, **settable}
            if key not in fixed and key in old.keys() | new.keys()
        }
        return dict(_without_nulls({**inputs, **changed}))

    def _made_up(self, name: str) -> str:
        match self.naming:
            case "uuid":
                return str(uuid.uuid4())
            case "random":
                return f"{name}{uuid.uuid4().hex[:8]}"
            case "copy":
                return name


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function of azure-native: a POST whose answer is the result, or a GET of a resource."""

    token: str
    path: str
    api_version: str
    reads: ResourceType | None = None

    @property
    def method(self) -> Literal["GET", "POST"]:
        """The request's method."""
        return "GET" if self.reads else "POST"

    def result(self, body: Mapping[str, Json]) -> dict[str, Json]:
        """Return an answer as what the function returns."""
        return {**self.reads.outputs(body), "id": body["id"]} if self.reads else dict(body)

    def request(
        self, arguments: Mapping[str, Json], subscription_id: str
    ) -> tuple[str, dict[str, str]]:
        """Return path and query. Raises TranslationError for wrong arguments."""
        expected = set(_placeholders(self.path))
        problems = [
            f"unexpected argument '{key}'{_nearest(key, expected)}"
            for key in sorted(set(arguments) - expected)
        ] + [f"missing argument '{key}'" for key in sorted(expected - set(arguments))]
        if problems:
            raise TranslationError("; ".join(problems))
        return (
            _fill(self.path, arguments, subscription_id),
            {"api-version": self.api_version},
        )


_GROUP = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"
_SERVICE = f"{_GROUP}/providers/Microsoft.ApiManagement/service/{{serviceName}}"
_ACCOUNT = f"{_GROUP}/providers/Microsoft.CognitiveServices/accounts/{{accountName}}"
_NETWORK = f"{_GROUP}/providers/Microsoft.Network"
_INSIGHTS = f"{_GROUP}/providers/Microsoft.Insights"
_API_MANAGEMENT = "2024-05-01"
_COGNITIVE_SERVICES = "2025-06-01"


def _type(
    token: str,
    path: str,
    api_version: str,
    *,
    naming: Literal["random", "copy", "uuid"] = "copy",
    top: Sequence[str] = (),
    query: Sequence[str] = (),
    flattened: bool = True,
    wire: Mapping[str, str] | None = None,
    nested: Sequence[str] = (),
    replace_on: Sequence[str] = (),
    secret_outputs: Sequence[str] = (),
) -> ResourceType:
    return ResourceType(
        token=f"azure-native:{token}",
        path=path,
        api_version=api_version,
        name=list(_placeholders(path))[-1],
        naming=naming,
        top=frozenset(top),
        query=frozenset(query),
        flattened=flattened,
        wire=wire or {},
        nested=frozenset(nested),
        replace_on=frozenset(replace_on),
        secret_outputs=frozenset(secret_outputs),
    )


def _wrapped(items: Sequence[Mapping[str, Json]]) -> Json:
    top = ("id", "name", "type")
    return [
        {
            **{key: value for key, value in each.items() if key in top},
            "properties": {key: value for key, value in each.items() if key not in top},
        }
        for each in items
    ]


def _unwrapped(items: Sequence[Mapping[str, Json]]) -> Json:
    return [
        {**{k: v for k, v in each.items() if k != "properties"}, **each.get("properties", {})}
        for each in items
    ]


def _placeholders(path: str) -> Iterator[str]:
    return (name for name in re.findall(r"{(\w+)}", path) if name != "subscriptionId")


def _fill(path: str, values: Mapping[str, Json], subscription_id: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1]
        # A scope is an ARM id of its own, with the slash that the template has already.
        return subscription_id if name == "subscriptionId" else str(values[name]).strip("/")

    return re.sub(r"{(\w+)}", value, path)


RESOURCE_TYPES: Mapping[str, ResourceType] = {
    entry.token: entry
    for entry in (
        _type(
            "resources:ResourceGroup",
            _GROUP,
            "2024-03-01",
            naming="random",
            top=("location", "managedBy", "tags"),
            flattened=False,
            replace_on=("location", "managedBy"),
        ),
        _type(
            "cognitiveservices:Account",
            _ACCOUNT,
            _COGNITIVE_SERVICES,
            naming="random",
            top=("identity", "kind", "location", "properties", "sku", "tags"),
            flattened=False,
            replace_on=("location", "kind", "properties.customSubDomainName"),
        ),
        _type(
            "cognitiveservices:Deployment",
            f"{_ACCOUNT}/deployments/{{deploymentName}}",
            _COGNITIVE_SERVICES,
            top=("properties", "sku", "tags"),
            flattened=False,
        ),
        _type(
            "authorization:RoleAssignment",
            "/{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
            "2022-04-01",
            naming="uuid",
            # An assignment cannot be edited: Azure answers RoleAssignmentUpdateNotPermitted.
            replace_on=("principalId", "principalType", "roleDefinitionId"),
        ),
        _type(
            "network:PrivateEndpoint",
            f"{_NETWORK}/privateEndpoints/{{privateEndpointName}}",
            "2024-05-01",
            naming="random",
            top=("extendedLocation", "location", "tags"),
            nested=("privateLinkServiceConnections", "manualPrivateLinkServiceConnections"),
            # `x-ms-mutability`: an endpoint stays where it is, and stands for what it stood for.
            replace_on=("location", "subnet"),
        ),
        _type(
            "network:PrivateDnsZoneGroup",
            f"{_NETWORK}/privateEndpoints/{{privateEndpointName}}"
            "/privateDnsZoneGroups/{privateDnsZoneGroupName}",
            "2024-05-01",
            nested=("privateDnsZoneConfigs",),
        ),
        _type(
            "privatedns:PrivateZone",
            f"{_NETWORK}/privateDnsZones/{{privateZoneName}}",
            "2024-06-01",
            top=("location", "tags"),
            replace_on=("location",),
        ),
        _type(
            "privatedns:VirtualNetworkLink",
            f"{_NETWORK}/privateDnsZones/{{privateZoneName}}"
            "/virtualNetworkLinks/{virtualNetworkLinkName}",
            "2024-06-01",
            top=("location", "tags"),
            replace_on=("location",),
        ),
        _type(
            "apimanagement:ApiManagementService",
            _SERVICE,
            _API_MANAGEMENT,
            naming="random",
            top=("identity", "location", "sku", "tags", "zones"),
            replace_on=("location",),
        ),
        _type("apimanagement:Backend", f"{_SERVICE}/backends/{{backendId}}", _API_MANAGEMENT),
        _type(
            "apimanagement:Api",
            f"{_SERVICE}/apis/{{apiId}}",
            _API_MANAGEMENT,
            wire={"apiType": "type", "soapApiType": "apiType"},
        ),
        _type(
            "apimanagement:ApiOperation",
            f"{_SERVICE}/apis/{{apiId}}/operations/{{operationId}}",
            _API_MANAGEMENT,
        ),
        _type(
            "apimanagement:ApiPolicy",
            f"{_SERVICE}/apis/{{apiId}}/policies/{{policyId}}",
            _API_MANAGEMENT,
        ),
        _type("apimanagement:Logger", f"{_SERVICE}/loggers/{{loggerId}}", _API_MANAGEMENT),
        _type(
            "apimanagement:Diagnostic", f"{_SERVICE}/diagnostics/{{diagnosticId}}", _API_MANAGEMENT
        ),
        _type(
            "apimanagement:ApiDiagnostic",
            f"{_SERVICE}/apis/{{apiId}}/diagnostics/{{diagnosticId}}",
            _API_MANAGEMENT,
        ),
        _type(
            "operationalinsights:Workspace",
            f"{_GROUP}/providers/Microsoft.OperationalInsights/workspaces/{{workspaceName}}",
            "2023-09-01",
            naming="random",
            top=("identity", "location", "tags"),
            replace_on=("location",),
        ),
        _type(
            "monitor:DiagnosticSetting",
            "/{resourceUri}/providers/Microsoft.Insights/diagnosticSettings/{name}",
            "2021-05-01-preview",
        ),
        _type(
            "monitor:ActionGroup",
            f"{_INSIGHTS}/actionGroups/{{actionGroupName}}",
            "2024-10-01-preview",
            naming="random",
            top=("identity", "location", "tags"),
            replace_on=("location",),
        ),
        _type(
            "monitor:ScheduledQueryRule",
            f"{_INSIGHTS}/scheduledQueryRules/{{ruleName}}",
            "2025-01-01-preview",
            naming="random",
            top=("identity", "kind", "location", "tags"),
            replace_on=("location",),
        ),
        _type(
            "applicationinsights:Workbook",
            f"{_INSIGHTS}/workbooks/{{resourceName}}",
            "2023-06-01",
            naming="uuid",
            top=("identity", "kind", "location", "tags"),
            replace_on=("location",),
        ),
        _type(
            "apimanagement:Subscription",
            f"{_SERVICE}/subscriptions/{{sid}}",
            _API_MANAGEMENT,
            query=("appType", "notify"),
            secret_outputs=("primaryKey", "secondaryKey"),
        ),
    )
}


def _get(kind: ResourceType) -> Function:
    """`azure-native:cognitiveservices:Account` -> `azure-native:cognitiveservices:getAccount`."""
    module, _, name = kind.token.rpartition(":")
    return Function(
        token=f"{module}:get{name}", path=kind.path, api_version=kind.api_version, reads=kind
    )


FUNCTIONS: Mapping[str, Function] = {
    entry.token: entry
    for entry in (
        Function(
            token="azure-native:apimanagement:listSubscriptionSecrets",  # noqa: S106 - a token of Pulumi
            path=f"{_SERVICE}/subscriptions/{{sid}}/listSecrets",
            api_version=_API_MANAGEMENT,
        ),
        *(
            _get(RESOURCE_TYPES[f"azure-native:{kind}"])
            for kind in (
                "apimanagement:ApiManagementService",
                "cognitiveservices:Account",
                "cognitiveservices:Deployment",
            )
        ),
    )
}


@cache
def resource_type(token: str) -> ResourceType:
    """Return the entry for a token, with or without a version in it.

    Raises TranslationError for a type that is not in the table.
    """
    unversioned, api_version = _split_version(token)
    entry = RESOURCE_TYPES.get(unversioned)
    if entry is None:
        raise TranslationError(
            f"resource type {token!r} is not known to the local Azure"
            f"{_nearest(unversioned, RESOURCE_TYPES)}"
        )
    return replace(entry, api_version=api_version) if api_version else entry


@cache
def function(token: str) -> Function:
    """Return the entry for a function's token. Raises TranslationError for an unknown one."""
    unversioned, api_version = _split_version(token)
    entry = FUNCTIONS.get(unversioned)
    if entry is None:
        raise TranslationError(f"function {token!r} is not known to the local Azure")
    return replace(entry, api_version=api_version) if api_version else entry


def is_lookup(token: str) -> bool:
    """Whether a function reads a resource that the program says is there."""
    entry = FUNCTIONS.get(_split_version(token)[0])
    return entry is not None and entry.reads is not None


def _split_version(token: str) -> tuple[str, str | None]:
    """`azure-native:apimanagement/v20240501:Backend` -> its plain token and `2024-05-01`."""
    match = re.fullmatch(r"([\w-]+:\w+)/v(\d{4})(\d\d)(\d\d)(\w*):(\w+)", token)
    if not match:
        return token, None
    package, year, month, day, preview, name = match.groups()
    return f"{package}:{name}", "-".join(filter(None, (year, month, day, preview)))


def _sdk_class(token: str) -> type:
    _, module, name = token.split(":")
    with _LOADING:
        return typing.cast("type", getattr(_sdk_module(module), name))


def _args_class(token: str) -> type:
    """Return the class of a resource's inputs; where a type has its name already, it ends so."""
    _, module, name = token.split(":")
    with _LOADING:
        has_other = hasattr(_sdk_module(module), f"{name}InitArgs")
    return _sdk_class(f"{token}{'InitArgs' if has_other else 'Args'}")


@cache
def _sdk_module(module: str) -> Any:
    return importlib.import_module(f"pulumi_azure_native.{module}")


@cache
def _input_types(sdk_class: type) -> dict[str, type]:
    return sdk_types.input_type_types(sdk_class)


def _misspelt(value: Json, shape: Any, path: str) -> Iterator[str]:
    """Name each property, at any depth, that the SDK's class for it does not have."""
    value = value["value"] if is_secret(value) else value
    shape = sdk_types.unwrap_type(shape)
    if isinstance(value, dict) and isinstance(shape, type) and sdk_types.is_input_type(shape):
        known = _input_types(shape)
        for key, item in value.items():
            below = f"{path}.{key}" if path else key
            if key in known:
                yield from _misspelt(item, known[key], below)
            else:
                yield f"unexpected property '{below}'{_nearest(key, known)}"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _misspelt(item, _element(shape), f"{path}[{index}]")


def _settable(value: Json, shape: Any) -> Json:
    """Return the part of a value that the SDK's class for the inputs has, at any depth."""
    if is_secret(value):
        return secret(_settable(value["value"], shape))
    shape = sdk_types.unwrap_type(shape)
    if isinstance(value, dict) and isinstance(shape, type) and sdk_types.is_input_type(shape):
        return {
            key: _settable(value[key], inner)
            for key, inner in _input_types(shape).items()
            if key in value
        }
    if isinstance(value, list):
        return [_settable(item, _element(shape)) for item in value]
    return value


def _follow(given: Json, old: Json, new: Json) -> Json:
    """Return what was given, changed as the answer has changed."""
    if isinstance(given, dict) and not is_secret(given) and isinstance(new, dict):
        before = old if isinstance(old, dict) else {}
        return {
            key: _follow(given.get(key), before.get(key), new.get(key)) for key in {**given, **new}
        }
    if isinstance(given, list) and isinstance(new, list) and plain(old) != plain(new):
        was = old if isinstance(old, list) else []
        followed = [_follow(*each) for each in zip(given, was, new, strict=False)]
        return followed + new[len(followed) :]
    return given if plain(old) == plain(new) else new


def _preview(value: Json, shape: Any) -> Json:
    """Fill in an unknown for each output inside an object that the program gave in part."""
    if is_secret(value):
        return secret(_preview(value["value"], shape))
    shape = sdk_types.unwrap_type(shape)
    if isinstance(value, dict) and isinstance(shape, type) and sdk_types.is_output_type(shape):
        return {
            key: _preview(value[key], inner) if key in value else UNKNOWN
            for key, inner in sdk_types.output_type_types(shape).items()
        }
    if isinstance(value, list):
        return [_preview(item, _element(shape)) for item in value]
    return value


def _element(shape: Any) -> Any:
    arguments = typing.get_args(shape)
    is_list = typing.get_origin(shape) in (list, Sequence)
    return arguments[0] if is_list and arguments else None


def _nearest(name: str, known: typing.Iterable[str]) -> str:
    match = difflib.get_close_matches(name, known, n=1)
    return f": did you mean '{match[0]}'?" if match else ""


def _without_nulls(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _location(value: Json) -> Json:
    return normalise(value) if isinstance(value, str) else value
