"""The program deployed to a local Azure, and nothing for a client but what `env` prints."""

import importlib
import json
import pkgutil
import shlex
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from shell import Shell


@dataclass(frozen=True, kw_only=True)
class Azure:
    """The deployed stack: its outputs, and the variables that lead a client to it."""

    shell: Shell
    variables: dict[str, str]
    outputs: dict

    @property
    def endpoint(self) -> str:
        return self.variables["LOCAL_AZURE_HTTPS"]

    @property
    def port(self) -> str:
        return self.endpoint.rpartition(":")[2]

    @property
    def group(self) -> str:
        return self.outputs["resource_group"]

    @property
    def service(self) -> str:
        return self.outputs["pool"]["id"].split("/service/")[1].split("/")[0]

    @property
    def suffix(self) -> str:
        return self.service.partition("-")[2]

    def account(self, name: str) -> str:
        return f"{name}-{self.suffix}"

    def named(self, url: str) -> str:
        """A url by its real name, on the port where it is answered."""
        return f"{url}:{self.port}"

    def judge(self) -> tuple[int, str]:
        """What the probe ends with, and says."""
        text = json.dumps(self.outputs)
        done = self.shell.run("probes/distribution.py", "--outputs", "-", text=text)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="session")
def deployed_azure(tmp_path_factory) -> Iterator[Azure]:
    shell = Shell(tmp_path_factory.mktemp("clients") / "state")
    with shell.serving("--provisioning", "0.05"):
        up = shell.local_azure("up", "--stack", "dev")
        assert up.returncode == 0, up.stdout + up.stderr
        lines = shlex.split(shell.local_azure("env").stdout)
        yield Azure(
            shell=shell,
            variables=dict(line.split("=", 1) for line in lines if "=" in line),
            outputs=json.loads(shell.local_azure("output", "--show-secrets").stdout),
        )


# What leads a client elsewhere, where the one who runs the tests has set it.
_ELSEWHERE = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")


@pytest.fixture
def azure(deployed_azure, monkeypatch) -> Azure:
    """The deployed stack, in the environment of a user who evaluated `env`."""
    for name in _ELSEWHERE:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in deployed_azure.variables.items():
        monkeypatch.setenv(name, value)
    return deployed_azure


@pytest.fixture
def hosts(monkeypatch) -> None:
    """Lead Azure's names to this machine, as lines in /etc/hosts do."""
    look_up = socket.getaddrinfo

    def getaddrinfo(host, *arguments, **more):
        name = host.decode() if isinstance(host, bytes) else host
        ours = str(name).endswith((".azure.com", ".azure-api.net"))
        return look_up("127.0.0.1" if ours else host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


# Loaded by the tests that use them: to collect them, each worker would wait two seconds.
@pytest.fixture(scope="session")
def identity():
    return importlib.import_module("azure.identity")


@pytest.fixture(scope="session")
def errors():
    return importlib.import_module("azure.core.exceptions")


@pytest.fixture(scope="session")
def openai():
    return importlib.import_module("openai")


@pytest.fixture
def credential(azure, identity):
    with identity.ClientSecretCredential(
        azure.variables["ARM_TENANT_ID"],
        azure.variables["ARM_CLIENT_ID"],
        azure.variables["ARM_CLIENT_SECRET"],
        disable_instance_discovery=True,
    ) as credential:
        yield credential


@pytest.fixture
def client(azure, credential):
    """Make a client by its module and class; it is closed when the test ends."""
    opened = []

    def make(kind: str, credential=credential, base_url: str = azure.endpoint):
        subscription = azure.variables["ARM_SUBSCRIPTION_ID"]
        made = pkgutil.resolve_name(kind)(credential, subscription, base_url=base_url)
        opened.append(made)
        return made

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def apim(client):
    return client("azure.mgmt.apimanagement:ApiManagementClient")
