"""Microsoft's SDKs for Go and JavaScript, unchanged but for the variables of `env`, and Python's.

The modules of the first two have to be there: `make clients` downloads them, no test does.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from arm_server import API, BACKEND, GROUP, LEAST, SERVICE, version_of
from azure.core.credentials import AccessToken
from azure.mgmt.apimanagement import ApiManagementClient

from local_azure.pytest_plugin import local_azure, local_azure_server

__all__ = ["local_azure", "local_azure_server"]

FOLDER = Path(__file__).parent / "clients"
NO_PROXIES = {"HTTP_PROXY": "", "HTTPS_PROXY": "", "http_proxy": "", "https_proxy": ""}


@pytest.fixture(scope="session")
def go_program(tmp_path_factory) -> list[str]:
    """The Go program, built from modules that are there."""
    if shutil.which("go") is None:
        pytest.skip("go is not on PATH: https://go.dev/doc/install")
    program = tmp_path_factory.mktemp("go") / "client"
    done = subprocess.run(
        ["go", "build", "-o", program, "."],
        cwd=FOLDER / "go",
        env={**os.environ, "GOPROXY": "off", "GOFLAGS": "-mod=readonly -buildvcs=false"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "module lookup disabled by GOPROXY=off" in done.stderr:
        pytest.skip(f"Go's modules are not there: go mod download -C {FOLDER / 'go'}")
    assert done.returncode == 0, done.stderr
    return [str(program)]


@pytest.fixture(scope="session")
def javascript_program() -> list[str]:
    """The JavaScript program, with packages that are there."""
    if shutil.which("node") is None:
        pytest.skip("node is not on PATH: https://nodejs.org")
    folder = FOLDER / "javascript"
    if not (folder / "node_modules").is_dir():
        pytest.skip(f"JavaScript's packages are not there: npm ci --prefix {folder}")
    return ["node", str(folder / "main.js")]


@pytest.mark.clients
@pytest.mark.parametrize("language", ["go", "javascript"])
@pytest.mark.timeout(300)  # the first build compiles the SDK
def test_a_client_signs_in_lists_puts_a_pool_and_deletes_an_api(language, request, local_azure):
    program = request.getfixturevalue(f"{language}_program")
    second = BACKEND.replace("foundry1", "foundry2")
    for path in (GROUP, SERVICE, BACKEND, second, API):
        body = LEAST.get(path, LEAST[BACKEND])
        local_azure.ask("PUT", f"{path}?api-version={version_of(path)}", json=body)
    done = subprocess.run(
        [*program, "rg", "apim1"],
        env={**os.environ, **NO_PROXIES},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout, done.returncode) == ("2 members\n", 0), done.stderr
    pool = local_azure.ask("GET", f"{SERVICE}/backends/pool?api-version=2024-05-01").json()
    assert len(pool["properties"]["pool"]["services"]) == 2
    assert local_azure.ask("GET", f"{API}?api-version=2024-05-01").status_code == 404


class Credential:
    """The service principal, signed in by the local Azure itself."""

    def __init__(self, local_azure) -> None:
        self.token = local_azure.token()

    def get_token(self, *_scopes, **_options) -> AccessToken:
        return AccessToken(self.token, 2**33)


def test_python_s_sdk_deletes_an_api(local_azure):
    for path in (GROUP, SERVICE, API):
        version = f"?api-version={version_of(path)}"
        local_azure.ask("PUT", f"{path}{version}", json=LEAST[path])
    options = {
        "base_url": local_azure.https_endpoint,
        "credential_scopes": ["https://management.azure.com/.default"],
        "connection_verify": str(local_azure.certificate),
        "proxies": {"http": "", "https": ""},
    }
    subscription = GROUP.split("/")[2]
    with ApiManagementClient(Credential(local_azure), subscription, **options) as apim:
        apim.api.begin_delete("rg", "apim1", "inference", "*", polling_interval=0).result()
        assert list(apim.api.list_by_service("rg", "apim1")) == []
