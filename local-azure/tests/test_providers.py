"""The resource providers as Pulumi's engine calls them: gRPC on loopback, Azure behind it."""

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from arm_server import TOKEN_SECRET, serving, token
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from local_azure import providers
from local_azure.deployment.values import UNKNOWN, from_struct, is_secret, secret, to_struct
from local_azure.identity import Tokens

STACK = "urn:pulumi:dev::p::"
GROUP = "azure-native:resources:ResourceGroup"
SERVICE = "azure-native:apimanagement:ApiManagementService"
BACKEND = "azure-native:apimanagement:Backend"
ACCOUNT = "azure-native:cognitiveservices:Account"
STRING = "random:index/randomString:RandomString"
GROUP_ID = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg"
SERVICE_ID = f"{GROUP_ID}/providers/Microsoft.ApiManagement/service/apim"
BACKEND_ID = f"{SERVICE_ID}/backends/foundry1"

PLACE = {"resourceGroupName": "rg", "serviceName": "apim"}
INPUTS = {
    GROUP: {"resourceGroupName": "rg", "location": "uksouth"},
    SERVICE: {
        **PLACE,
        "location": "uksouth",
        "publisherEmail": "a@example.com",
        "publisherName": "A",
        "sku": {"name": "BasicV2", "capacity": 1},
    },
    BACKEND: {**PLACE, "backendId": "foundry1", "protocol": "http", "url": "https://a.example"},
}


class Engine:
    """What the engine asks of a provider."""

    def __init__(self, arm, ports) -> None:
        self.arm = arm
        self._channels = {
            package: grpc.insecure_channel(f"127.0.0.1:{port}") for package, port in ports.items()
        }

    def close(self) -> None:
        for channel in self._channels.values():
            channel.close()

    def stub(self, token: str) -> provider_pb2_grpc.ResourceProviderStub:
        channel = self._channels[token.partition(":")[0]]
        return provider_pb2_grpc.ResourceProviderStub(channel)

    def check(self, token, inputs, olds=None):
        request = provider_pb2.CheckRequest(
            urn=f"{STACK}{token}::name",
            news=to_struct(inputs),
            olds=to_struct(olds or {}),
        )
        return self.stub(token).Check(request)

    def create(self, token, inputs, *, preview=False):
        request = provider_pb2.CreateRequest(
            urn=f"{STACK}{token}::name", properties=to_struct(inputs), preview=preview
        )
        return self.stub(token).Create(request)

    def diff(self, token, resource_id, old, new):
        request = provider_pb2.DiffRequest(
            id=resource_id,
            urn=f"{STACK}{token}::name",
            old_inputs=to_struct(old),
            news=to_struct(new),
        )
        return self.stub(token).Diff(request)

    def read(self, token, resource_id, inputs=None, outputs=None):
        request = provider_pb2.ReadRequest(
            id=resource_id,
            urn=f"{STACK}{token}::name",
            inputs=to_struct(inputs or {}),
            properties=to_struct(outputs or {}),
        )
        return self.stub(token).Read(request)

    def deployed(self, *tokens):
        return [from_struct(self.create(token, INPUTS[token]).properties) for token in tokens]


@contextmanager
def connected(folder, **options):
    with (
        serving(folder, **options) as arm,
        providers.serving(str(arm.client.base_url).rstrip("/"), token) as ports,
    ):
        engine = Engine(arm, ports)
        try:
            yield engine
        finally:
            engine.close()


@pytest.fixture
def engine(tmp_path):
    with connected(tmp_path) as engine:
        yield engine


def test_configuring_negotiates_secrets_and_previews(engine):
    for kind in (GROUP, STRING):
        stub = engine.stub(kind)
        assert stub.Handshake(provider_pb2.ProviderHandshakeRequest()).accept_secrets
        answer = stub.Configure(provider_pb2.ConfigureRequest())
        assert (answer.acceptSecrets, answer.supportsPreview) == (True, True)


def test_what_has_no_use_here_is_refused_by_name(engine):
    stub = engine.stub(GROUP)
    for call, request, named in (
        (stub.GetSchema, provider_pb2.GetSchemaRequest(), "import with --generate-code=false"),
        (stub.Construct, provider_pb2.ConstructRequest(type="a:b:C"), "no component 'a:b:C'"),
        (stub.Call, provider_pb2.CallRequest(tok="a:b:C/d"), "no method 'a:b:C/d'"),
    ):
        with pytest.raises(grpc.RpcError, match=named) as caught:
            call(request)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert caught.value.details().startswith("azure-native of the local Azure has no ")


def test_a_server_that_is_started_again_is_found_where_it_was():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        endpoint = f"http://127.0.0.1:{port - 1}"
        with providers.serving(endpoint, token) as elsewhere:
            assert port not in elsewhere.values()
    for _ in range(2):
        with providers.serving(endpoint, token) as ports:
            assert ports["azure-native"] == port
    with providers.serving("http://127.0.0.1:65535", token) as beyond:
        assert all(beyond.values())


def test_a_misspelt_property_and_an_unknown_type_fail_the_check_by_name(engine):
    wrong = engine.check(BACKEND, {**INPUTS[BACKEND], "protokol": "http"})
    assert [each.reason for each in wrong.failures] == [
        "unexpected property 'protokol': did you mean 'protocol'?"
    ]
    unknown = engine.check("azure-native:storage:StorageAccount", {})
    assert "'azure-native:storage:StorageAccount' is not known" in unknown.failures[0].reason


def test_a_resource_in_a_component_is_checked_by_its_own_type(engine):
    urn = f"{STACK}pkg:index:Component${BACKEND}::foundry1"
    request = provider_pb2.CheckRequest(urn=urn, news=to_struct(PLACE))
    inputs = from_struct(engine.stub(BACKEND).Check(request).inputs)
    assert inputs == {**PLACE, "backendId": "foundry1"}


def test_a_preview_leaves_unknown_what_azure_decides_and_sends_nothing(engine):
    inputs = {**INPUTS[BACKEND], "url": UNKNOWN}
    outputs = from_struct(engine.create(BACKEND, inputs, preview=True).properties)
    assert (outputs["url"], outputs["name"], outputs["protocol"]) == (UNKNOWN, UNKNOWN, "http")
    assert engine.arm.store.list("Microsoft.ApiManagement/service/backends") == []


def test_create_read_update_delete(engine):
    *_, outputs = engine.deployed(GROUP, SERVICE, BACKEND)
    assert outputs["url"] == "https://a.example"
    inputs = INPUTS[BACKEND]
    read = engine.read(BACKEND, BACKEND_ID, inputs, outputs)
    assert (read.id, from_struct(read.inputs)) == (BACKEND_ID, inputs)
    assert from_struct(read.properties) == outputs
    new = {**inputs, "url": "https://b.example"}
    update = provider_pb2.UpdateRequest(
        id=BACKEND_ID, urn=f"{STACK}{BACKEND}::name", olds=to_struct(outputs), news=to_struct(new)
    )
    assert from_struct(engine.stub(BACKEND).Update(update).properties)["url"] == new["url"]
    delete = provider_pb2.DeleteRequest(id=BACKEND_ID, urn=f"{STACK}{BACKEND}::name")
    for _ in range(2):  # what is not there is deleted
        engine.stub(BACKEND).Delete(delete)
    assert engine.read(BACKEND, BACKEND_ID, inputs, outputs).id == ""


def test_what_is_there_already_is_not_taken_over_by_a_create(engine):
    engine.deployed(GROUP)
    with pytest.raises(grpc.RpcError, match="cannot create already existing resource") as caught:
        engine.create(GROUP, INPUTS[GROUP])
    assert "pulumi import" in caught.value.details()


def test_a_change_in_the_portal_is_seen_by_a_refresh_and_nothing_else_is(engine):
    *_, outputs = engine.deployed(GROUP, SERVICE, BACKEND)
    changed = {"properties": {"url": "https://drift.example", "protocol": "http", "title": "new"}}
    assert engine.arm.put(BACKEND_ID, changed).status_code == 200
    read = engine.read(BACKEND, BACKEND_ID, INPUTS[BACKEND], outputs)
    assert from_struct(read.inputs) == {
        **INPUTS[BACKEND],
        "url": "https://drift.example",
        "title": "new",
    }


@pytest.mark.parametrize("format_", ["xml", "rawxml"])
def test_a_policy_that_azure_wrote_in_its_own_way_is_no_drift(engine, format_):
    """What was put is compared with nothing: Azure's answer of then is, with that of now."""
    api, policy = (f"azure-native:apimanagement:{kind}" for kind in ("Api", "ApiPolicy"))
    engine.deployed(GROUP, SERVICE)
    engine.create(api, {**PLACE, "apiId": "a", "displayName": "A", "path": "a"})
    given = "<policies>\n <inbound> <base/> </inbound></policies>"
    inputs = {**PLACE, "apiId": "a", "policyId": "policy", "format": format_, "value": given}
    created = engine.create(policy, inputs)
    outputs = from_struct(created.properties)
    assert outputs["value"] != given
    assert "format" not in outputs
    assert from_struct(engine.read(policy, created.id, inputs, outputs).inputs) == inputs


def test_an_import_gives_inputs_that_make_no_difference(engine):
    engine.deployed(GROUP, SERVICE, BACKEND)
    read = engine.read(BACKEND, BACKEND_ID)
    inputs = from_struct(read.inputs)
    declared = {**INPUTS[BACKEND], "type": "Single"}
    assert inputs == declared
    answer = engine.diff(BACKEND, BACKEND_ID, inputs, declared)
    assert answer.changes == provider_pb2.DiffResponse.DIFF_NONE
    with pytest.raises(grpc.RpcError, match="is no id of type azure-native:apimanagement:Backend"):
        engine.read(BACKEND, GROUP_ID)
    with pytest.raises(grpc.RpcError) as caught:
        engine.read("azure-native:storage:StorageAccount", GROUP_ID)
    assert caught.value.details().startswith("resource type 'azure-native:storage:StorageAccount'")


def test_a_change_of_place_replaces_and_the_old_one_goes_first(engine):
    old = {"resourceGroupName": "rg", "accountName": "a", "location": "uksouth", "kind": "OpenAI"}
    account_id = f"{GROUP_ID}/providers/Microsoft.CognitiveServices/accounts/a"
    moved = engine.diff(ACCOUNT, account_id, old, {**old, "location": "eastus"})
    assert (list(moved.replaces), moved.deleteBeforeReplace) == (["location"], True)
    kind = provider_pb2.PropertyDiff.UPDATE_REPLACE
    assert {path: diff.kind for path, diff in moved.detailedDiff.items()} == {"location": kind}
    renamed = engine.diff(ACCOUNT, account_id, old, {**old, "accountName": "b"})
    assert (list(renamed.replaces), renamed.deleteBeforeReplace) == (["accountName"], True)
    drawn = {
        **from_struct(engine.check(ACCOUNT, {"resourceGroupName": "rg"}).inputs),
        "location": "uksouth",
    }
    beside = engine.diff(ACCOUNT, account_id, drawn, {**drawn, "location": "eastus"})
    assert (list(beside.replaces), beside.deleteBeforeReplace) == (["location"], False)
    same = engine.diff(ACCOUNT, account_id, old, {**old, "location": "UK South"})
    assert same.changes == provider_pb2.DiffResponse.DIFF_NONE


def test_a_weight_in_a_pool_is_named_by_its_path(engine):
    old = {"pool": {"services": [{"id": "/a", "weight": 1}, {"id": "/b", "weight": 1}]}}
    new = {"pool": {"services": [{"id": "/a", "weight": 1}, {"id": "/b", "weight": 9}]}}
    answer = engine.diff(BACKEND, BACKEND_ID, {**PLACE, **old}, {**PLACE, **new, "backendId": "p"})
    assert "pool.services[1].weight" in answer.detailedDiff
    assert "pool" in answer.diffs


def test_an_output_that_echoes_a_secret_is_one(engine):
    inputs = {**INPUTS[GROUP], "tags": secret({"team": "a"})}
    outputs = from_struct(engine.create(GROUP, inputs).properties)
    assert is_secret(outputs["tags"])
    assert not is_secret(outputs["location"])


def test_a_refusal_of_azure_is_passed_on_in_its_own_words(engine):
    engine.deployed(GROUP, SERVICE)
    with pytest.raises(grpc.RpcError, match="Protocol is not supported"):
        engine.create(BACKEND, {**INPUTS[BACKEND], "protocol": "https"})


def test_a_creation_that_does_not_end_in_time_leaves_the_state_that_was_reached(tmp_path):
    # Resource Manager's clock stands still: the service stays in provisioning.
    with connected(tmp_path, provisioning_seconds=60) as engine:
        engine.deployed(GROUP)
        with pytest.raises(grpc.RpcError, match="timed out") as caught:
            engine.stub(SERVICE).Create(a_creation(timeout=0.05))
    reached = reached_by(caught.value)
    assert reached.id == SERVICE_ID
    assert from_struct(reached.inputs) == INPUTS[SERVICE]
    assert "timed out" in reached.reasons[0]


def test_ctrl_c_ends_the_waiting_and_leaves_the_state_that_was_reached(tmp_path):
    with connected(tmp_path, provisioning_seconds=60) as engine, ThreadPoolExecutor(1) as thread:
        engine.deployed(GROUP)
        stub = engine.stub(SERVICE)
        creation = thread.submit(engine.create, SERVICE, INPUTS[SERVICE])
        while engine.arm.store.get(SERVICE_ID) is None:
            assert not creation.done()
        stub.Cancel(empty_pb2.Empty())
        with pytest.raises(grpc.RpcError, match="interrupted") as caught:
            creation.result(timeout=10)
        assert reached_by(caught.value).id == SERVICE_ID
        stub.Configure(provider_pb2.ConfigureRequest())  # the next run waits again
        with pytest.raises(grpc.RpcError, match="timed out"):
            stub.Create(a_creation(timeout=0.05))


def test_random_values_are_made_once_and_kept(engine):
    inputs = {"length": 8, "special": False, "upper": False}
    made = engine.create(STRING, inputs)
    assert len(made.id) == 8
    read = engine.read(STRING, made.id, inputs, from_struct(made.properties))
    assert (read.id, from_struct(read.properties)["result"]) == (made.id, made.id)
    assert from_struct(engine.read(STRING, "imported").properties)["result"] == "imported"
    assert list(engine.diff(STRING, made.id, inputs, {**inputs, "length": 9}).replaces) == [
        "length"
    ]


def test_functions_are_called_and_unknown_ones_refused(engine):
    engine.deployed(GROUP, SERVICE)
    subscription = "azure-native:apimanagement:Subscription"
    everything = {**PLACE, "sid": "client", "scope": "/apis", "displayName": "c"}
    engine.create(subscription, everything)
    request = provider_pb2.InvokeRequest(
        tok="azure-native:apimanagement:listSubscriptionSecrets",
        args=to_struct({**PLACE, "sid": "client"}),
    )
    answer = from_struct(getattr(engine.stub(GROUP).Invoke(request), "return"))
    assert len(answer["primaryKey"]) >= 32
    request = provider_pb2.InvokeRequest(tok="azure-native:authorization:getClientToken")
    answer = from_struct(getattr(engine.stub(GROUP).Invoke(request), "return"))
    assert Tokens(TOKEN_SECRET).claims(answer["token"], "https://management.azure.com")
    request = provider_pb2.InvokeRequest(tok="azure-native:apimanagement:nothing")
    assert "nothing" in engine.stub(GROUP).Invoke(request).failures[0].reason


def a_creation(*, timeout: float) -> provider_pb2.CreateRequest:
    return provider_pb2.CreateRequest(
        urn=f"{STACK}{SERVICE}::name", properties=to_struct(INPUTS[SERVICE]), timeout=timeout
    )


def reached_by(error: grpc.RpcError) -> provider_pb2.ErrorResourceInitFailed:
    """What a failed creation tells the engine to keep."""
    metadata = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    reached = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(reached)
    return reached
