"""A policy pack as Pulumi runs it: a process of its own, asked by gRPC about each resource.

Source: pulumi, sdk/go/common/resource/plugin/analyzer_plugin.go and proto/pulumi/analyzer.proto.
"""

import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from local_azure.deployment.journal import Journal, Severity
from local_azure.deployment.state import ResourceState
from local_azure.deployment.values import to_struct
from local_azure.local import HOST, LocalAzureError

_STARTED_WITHIN = 60.0  # seconds
_SEVERITIES: dict[int, Severity] = {
    analyzer_pb2.ADVISORY: "warning",
    analyzer_pb2.MANDATORY: "error",
}


class PolicyPackError(LocalAzureError):
    """The folder is no policy pack, or its program failed; the message says which and why."""


class PolicyPack:
    """A pack under way; `stub` asks it, as soon as it listens."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._folder = folder
        self._process = process
        self._log = log
        self._first_line: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._channel: grpc.Channel | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def judge(
        self,
        journal: Journal,
        *,
        project: str,
        stack: str,
        inputs: Iterable[ResourceState],
        outputs: Iterable[ResourceState],
    ) -> None:
        """Add what the pack finds: errors for mandatory rules, warnings for advisory ones.

        `inputs` are the resources as the program declares them, `outputs` as they will be.
        """
        stub = self._connected()
        try:
            found = stub.GetAnalyzerInfo(empty_pb2.Empty())
            stub.ConfigureStack(
                analyzer_pb2.AnalyzerStackConfigureRequest(
                    stack=stack, project=project, organization="organization", dry_run=True
                )
            )
            if found.initialConfig:
                stub.Configure(
                    analyzer_pb2.ConfigureAnalyzerRequest(policyConfig=found.initialConfig)
                )
            for state in inputs:
                answer = stub.Analyze(_request(state))
                _say(journal, answer.diagnostics, state.urn)
            resources = [_resource(state) for state in outputs]
            answer = stub.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=resources))
            _say(journal, answer.diagnostics, "")
        except grpc.RpcError as error:
            details = error.details() if isinstance(error, grpc.Call) else str(error)
            raise PolicyPackError(f"policy pack {self._folder}: {details}") from None

    def stop(self) -> None:
        """End the process."""
        if self._channel is not None:
            self._channel.close()
        self._process.kill()
        self._reader.join()
        self._process.communicate()

    def _read(self) -> None:
        """Hand over the first line, which is the port, and let the others go."""
        output = self._process.stdout
        if output is not None:
            self._first_line.put(output.readline())
            for _ in output:
                pass

    def _connected(self) -> analyzer_pb2_grpc.AnalyzerStub:
        try:
            line = self._first_line.get(timeout=_STARTED_WITHIN)
        except queue.Empty:
            raise PolicyPackError(
                f"policy pack {self._folder} does not listen within {_STARTED_WITHIN:g} s"
            ) from None
        if not line.strip().isdigit():
            said = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            why = said[-1] if said else "it ended before it listened"
            raise PolicyPackError(f"policy pack {self._folder} does not start: {why}")
        self._channel = grpc.insecure_channel(f"{HOST}:{int(line)}")
        return analyzer_pb2_grpc.AnalyzerStub(self._channel)


@contextmanager
def running(folder: Path) -> Iterator[PolicyPack]:
    """Start a pack for the length of a `with`; it loads while the program runs.

    It runs in the environment of this process. Raises PolicyPackError.
    """
    if not (folder / "PulumiPolicy.yaml").is_file():
        raise PolicyPackError(f"--policy-pack {folder}: has no PulumiPolicy.yaml")
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "stderr"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-u", "."],
                cwd=folder,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        pack = PolicyPack(folder, process, log)
        try:
            yield pack
        finally:
            pack.stop()


def _say(journal: Journal, diagnostics: Iterable[analyzer_pb2.AnalyzeDiagnostic], urn: str) -> None:
    for each in diagnostics:
        severity = _SEVERITIES.get(each.enforcementLevel, "error")
        level = analyzer_pb2.EnforcementLevel.Name(each.enforcementLevel).lower()
        # The SDK puts the rule's description before what is wrong.
        message = each.message.removeprefix(each.description).strip() or each.description
        journal.say(severity, f"[{level}] {each.policyName}: {message}", each.urn or urn)


def _request(state: ResourceState) -> analyzer_pb2.AnalyzeRequest:
    return analyzer_pb2.AnalyzeRequest(
        urn=state.urn,
        type=state.type,
        name=state.name,
        properties=to_struct(state.inputs),
        options=_options(state),
        provider=_provider(state),
    )


def _resource(state: ResourceState) -> analyzer_pb2.AnalyzerResource:
    return analyzer_pb2.AnalyzerResource(
        urn=state.urn,
        type=state.type,
        name=state.name,
        properties=to_struct(state.outputs),
        options=_options(state),
        provider=_provider(state),
        parent=state.parent,
        dependencies=state.dependencies,
        propertyDependencies={
            key: analyzer_pb2.AnalyzerPropertyDependencies(urns=urns)
            for key, urns in state.property_dependencies.items()
            if urns
        },
    )


def _options(state: ResourceState) -> analyzer_pb2.AnalyzerResourceOptions:
    return analyzer_pb2.AnalyzerResourceOptions(protect=state.protect, parent=state.parent)


def _provider(state: ResourceState) -> analyzer_pb2.AnalyzerProviderResource | None:
    """Return the provider of a resource, by the engine's reference to it: `URN::id`."""
    if not state.provider:
        return None
    urn = state.provider.rpartition("::")[0]
    kind, _, name = urn.rpartition("::")
    return analyzer_pb2.AnalyzerProviderResource(type=kind.rpartition("::")[2], urn=urn, name=name)
