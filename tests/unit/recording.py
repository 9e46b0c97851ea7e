"""Run the program on Pulumi's mocks and record what it declares.

Plain mocks hide parents and dependencies, accept two resources of one URN, and echo inputs, so that
a dependant of an output silently gets None. This monitor records the whole registration, refuses
what the engine refuses, and answers with the outputs that Azure would add.
"""

import asyncio
import copy
import functools
import json
import logging
import os
import runpy
import sys
import unittest.mock
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import yaml
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.stack import run_in_stack

ROOT = Path(__file__).parents[2]
SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-00000000000f"
PRINCIPAL = "11111111-2222-3333-4444-555555555555"
CUSTOMER = "22222222-3333-4444-5555-666666666666"  # by which queries name the workspace
KEY = "the-subscription-key"
SUFFIX = "abcd1234"
TOKEN = "the-deployer's-token"
ANSWERS = {  # of azure-native's functions
    "azure-native:apimanagement:listSubscriptionSecrets": {
        "primaryKey": KEY,
        "secondaryKey": "the-other-key",
    },
    "azure-native:authorization:getClientConfig": {
        "subscriptionId": SUBSCRIPTION.rpartition("/")[2]
    },
    "azure-native:authorization:getClientToken": {"token": TOKEN},
}
SECRET = "4dabf18193072939515e22adb298388d"

# Where each type lives in Azure: the id is what a dependant gets, and what a pool names.
PATHS = {
    "azure-native:resources:ResourceGroup": "/resourceGroups/{resourceGroupName}",
    "azure-native:cognitiveservices:Account": "/resourceGroups/{resourceGroupName}/providers"
    "/Microsoft.CognitiveServices/accounts/{accountName}",
    "azure-native:cognitiveservices:Deployment": "/resourceGroups/{resourceGroupName}/providers"
    "/Microsoft.CognitiveServices/accounts/{accountName}/deployments/{deploymentName}",
    "azure-native:authorization:RoleAssignment": "{scope}/providers"
    "/Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
    "azure-native:network:PrivateEndpoint": "/resourceGroups/{resourceGroupName}/providers"
    "/Microsoft.Network/privateEndpoints/{privateEndpointName}",
    "azure-native:network:PrivateDnsZoneGroup": "/resourceGroups/{resourceGroupName}/providers"
    "/Microsoft.Network/privateEndpoints/{privateEndpointName}/privateDnsZoneGroups"
    "/{privateDnsZoneGroupName}",
    "azure-native:privatedns:PrivateZone": "/resourceGroups/{resourceGroupName}/providers"
    "/Microsoft.Network/privateDnsZones/{privateZoneName}",
    "azure-native:privatedns:VirtualNetworkLink": "/resourceGroups/{resourceGroupName}/providers"
    "/Microsoft.Network/privateDnsZones/{privateZoneName}/virtualNetworkLinks"
    "/{virtualNetworkLinkName}",
    "azure-native:apimanagement:ApiManagementService": "{apim}",
    "azure-native:apimanagement:Backend": "{apim}/backends/{backendId}",
    "azure-native:apimanagement:Api": "{apim}/apis/{apiId}",
    "azure-native:apimanagement:ApiOperation": "{apim}/apis/{apiId}/operations/{operationId}",
    "azure-native:apimanagement:ApiPolicy": "{apim}/apis/{apiId}/policies/{policyId}",
    "azure-native:apimanagement:Subscription": "{apim}/subscriptions/{sid}",
    "azure-native:apimanagement:Logger": "{apim}/loggers/{loggerId}",
    "azure-native:apimanagement:ApiDiagnostic": "{apim}/apis/{apiId}/diagnostics/{diagnosticId}",
    "azure-native:operationalinsights:Workspace": "/resourceGroups/{resourceGroupName}/providers"
    "/Microsoft.OperationalInsights/workspaces/{workspaceName}",
    "azure-native:monitor:DiagnosticSetting": "{resourceUri}/providers/Microsoft.Insights"
    "/diagnosticSettings/{name}",
    "azure-native:monitor:ActionGroup": "/resourceGroups/{resourceGroupName}/providers"
    "/Microsoft.Insights/actionGroups/{actionGroupName}",
    "azure-native:monitor:ScheduledQueryRule": "/resourceGroups/{resourceGroupName}/providers"
    "/Microsoft.Insights/scheduledQueryRules/{ruleName}",
    "azure-native:applicationinsights:Workbook": "/resourceGroups/{resourceGroupName}/providers"
    "/Microsoft.Insights/workbooks/{resourceName}",
}
APIM = "/resourceGroups/{resourceGroupName}/providers/Microsoft.ApiManagement/service/{serviceName}"


@dataclass
class Declared:
    """One registered resource, with everything the engine would have been told."""

    urn: str
    type: str
    name: str
    custom: bool
    inputs: dict[str, Any]
    parent: str
    depends_on: set[str]
    property_dependencies: dict[str, set[str]]
    protect: bool = False
    ignore_changes: list[str] = field(default_factory=list)
    delete_before_replace: bool = False
    aliases: list[str] = field(default_factory=list)
    provider: str = ""
    id: str = ""
    outputs: dict[str, Any] = field(default_factory=dict)


class Azure(mocks.Mocks):
    """Synthesises ids and computed outputs; refuses what it does not know."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if not args.custom:
            return None, args.inputs
        inputs = unwrap(args.inputs)
        if args.typ == "random:index/randomString:RandomString":
            result = (SUFFIX * 4)[: int(inputs["length"])]
            return result, {**inputs, "result": result}
        if args.typ == "random:index/randomUuid:RandomUuid":
            return args.name, {**inputs, "result": f"uuid-of-{args.name}"}
        if args.typ.startswith("pulumi:providers:"):
            return f"id-of-{args.name}", inputs
        if args.typ not in PATHS:
            raise AssertionError(f"the program declares an unknown type: {args.typ}")
        path = PATHS[args.typ].replace("{apim}", APIM).format_map(inputs)
        resource_id = path if path.startswith("/subscriptions") else SUBSCRIPTION + path
        outputs = {**inputs, "name": resource_id.rpartition("/")[2]}
        if args.typ.endswith(":Account"):
            host = f"{inputs['properties']['customSubDomainName']}.openai.azure.com"
            outputs["properties"] = {**inputs["properties"], "endpoint": f"https://{host}/"}
        if args.typ == "azure-native:operationalinsights:Workspace":
            outputs["customerId"] = CUSTOMER
        if args.typ.endswith(":ApiManagementService"):
            outputs["publicIPAddresses"] = ["203.0.113.7"]
            outputs["gatewayUrl"] = f"https://{inputs['serviceName']}.azure-api.net"
            outputs["identity"] = {**inputs.get("identity", {}), "principalId": PRINCIPAL}
        return resource_id, outputs

    def call(self, args: mocks.MockCallArgs) -> Any:
        if args.token not in ANSWERS:
            raise AssertionError(f"the program calls an unknown function: {args.token}")
        return ANSWERS[args.token]


class Recorder(mocks.MockMonitor):
    """A monitor that keeps every registration, and the stack's outputs as they were sent."""

    def __init__(self) -> None:
        super().__init__(Azure())
        self.declared: dict[str, Declared] = {}
        self.outputs: dict[str, Any] = {}
        self.asked: list[tuple[str, str]] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the service's own name
        answer = super().RegisterResource(request)
        if answer.urn in self.declared:
            raise AssertionError(f"declared twice: {answer.urn}")
        self.declared[answer.urn] = Declared(
            urn=answer.urn,
            type=request.type,
            name=request.name,
            custom=request.custom,
            inputs=rpc.deserialize_properties(request.object),
            parent=request.parent,
            depends_on=set(request.dependencies),
            property_dependencies={
                name: set(found.urns) for name, found in request.propertyDependencies.items()
            },
            protect=request.protect,
            ignore_changes=list(request.ignoreChanges),
            delete_before_replace=request.deleteBeforeReplace,
            aliases=[each.urn or each.spec.name for each in request.aliases],
            provider=request.provider,
            id=answer.id,
            outputs=rpc.deserialize_properties(answer.object) if request.custom else {},
        )
        return answer

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        outputs = rpc.deserialize_properties(request.outputs, keep_unknowns=True)
        if "pulumi:pulumi:Stack::" in request.urn:
            self.outputs = outputs
        else:
            self.declared[request.urn].outputs = outputs
        return super().RegisterResourceOutputs(request)

    def Invoke(self, request: Any) -> Any:  # noqa: N802
        self.asked.append((request.tok, request.provider))
        return super().Invoke(request)


class _Inline(ThreadPoolExecutor):
    """Registers at once: these mocks wait for nothing, and the SDK for all that is under way."""

    def submit(self, function: Any, /, *arguments: Any, **keywords: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **keywords))
        except Exception as error:  # noqa: BLE001 - the SDK's, through the future
            future.set_exception(error)
        return future


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelname, record.getMessage()))


@dataclass
class Program:
    """What the program declared: look resources up by type and name."""

    resources: list[Declared]
    outputs: dict[str, Any]
    log: list[tuple[str, str]]
    asked: list[tuple[str, str]]  # functions of azure-native, each with the provider it was asked

    def all(self, kind: str) -> list[Declared]:
        """Every resource whose type ends in `:kind`."""
        return [found for found in self.resources if found.type.rpartition(":")[2] == kind]

    def one(self, kind: str, name: str) -> Declared:
        (found,) = [each for each in self.all(kind) if each.name == name]
        return found


def config_of(stack: str) -> dict[str, Any]:
    """The config in a stack's file, without the project's namespace in its keys."""
    return copy.deepcopy(_config_in(ROOT / f"Pulumi.{stack}.yaml"))


@functools.cache  # reading YAML takes longer than most tests
def _config_in(path: Path) -> dict[str, Any]:
    config = yaml.safe_load(path.read_text(encoding="utf-8"))["config"]
    return {
        key.removeprefix("openai-gateway:"): value
        for key, value in config.items()
        if key.startswith("openai-gateway:")
    }


def declare(config: dict[str, Any], root: Path | None = None) -> Program:
    """Run `__main__.py` with this config (values as in YAML, keys without the namespace)."""
    return run(lambda: _main(root or ROOT), config)


def run(
    program: Callable[[], object], config: dict[str, Any] | None = None, *, preview: bool = False
) -> Program:
    """Run a program of one function."""
    recorder, log = Recorder(), _Log()
    logger = logging.Logger("pulumi-program")  # noqa: LOG001 - of this run alone
    logger.addHandler(log)

    async def run() -> None:
        settings.set_root_resource(recorder)  # else set_mocks makes a stack of its own
        mocks.set_mocks(
            recorder.mocks,
            project="openai-gateway",
            stack="dev",
            preview=preview,
            logger=logger,
            monitor=recorder,
        )
        settings.set_root_resource(None)
        pulumi.runtime.set_all_config(
            {
                f"openai-gateway:{key}": value if isinstance(value, str) else json.dumps(value)
                for key, value in (config or {}).items()
            }
        )
        settings.SETTINGS.outputs.clear()  # a program that failed leaves some to the next one
        asyncio.get_running_loop().set_default_executor(_Inline())
        await run_in_stack(lambda: _as_new(program))

    # Nobody outside is asked what is deleted, and port 9 of this machine refuses at once.
    endpoint = os.environ.get("ARM_ENDPOINT", "http://127.0.0.1:9")
    try:
        # On a thread of its own: the SDK records the stack of every resource's caller.
        with (
            unittest.mock.patch.dict(os.environ, {"ARM_ENDPOINT": endpoint}),
            ThreadPoolExecutor(1) as thread,
        ):
            thread.submit(asyncio.run, run()).result()
    finally:
        pulumi.runtime.set_all_config({})
        settings.set_root_resource(None)
    return Program(list(recorder.declared.values()), recorder.outputs, log.lines, recorder.asked)


def _as_new(program: Callable[[], object]) -> None:
    pulumi.runtime.register_stack_transformation(_without_old_types)
    program()


def _main(root: Path) -> None:
    path = sys.path[:]
    sys.path.insert(0, str(root))
    try:
        runpy.run_path(str(root / "__main__.py"))
    finally:
        sys.path[:] = path


def _without_old_types(
    args: pulumi.ResourceTransformationArgs,
) -> pulumi.ResourceTransformationResult:
    """Leave out azure-native's aliases, one for each older API version: half the time of a run."""
    opts = copy.copy(args.opts)
    opts.aliases = [
        each
        for each in opts.aliases or ()
        if isinstance(each, str) or getattr(each, "name", ...) is not ...
    ]
    return pulumi.ResourceTransformationResult(args.props, opts)


def unwrap(value: Any) -> Any:
    """The value without Pulumi's secret wrappers."""
    if isinstance(value, dict):
        if SECRET in value:
            return unwrap(value["value"])
        return {key: unwrap(each) for key, each in value.items()}
    if isinstance(value, list):
        return [unwrap(each) for each in value]
    return value


def is_secret(value: Any) -> bool:
    return isinstance(value, dict) and SECRET in value
