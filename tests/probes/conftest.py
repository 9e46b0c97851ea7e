import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import warm_python
from fake_gateway import KEY, TOKEN, Gateway

from probes import distribution


@pytest.fixture
def gateway(monkeypatch) -> Iterator[Gateway]:
    """A gateway that the environment leads to, and none of the user's stacks beside it."""
    gateway = Gateway()
    for name in ("ARM_CLIENT_ID", "ARM_TENANT_ID", "ARM_USE_OIDC", "PROBE_OUTPUTS", "PULUMI_STACK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in gateway.environment.items():
        monkeypatch.setenv(name, value)
    yield gateway
    gateway.close()


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def verdict(self) -> str:
        return self.out.rstrip().splitlines()[-1]


@pytest.fixture
def probe(gateway, tmp_path, capsys) -> Callable[..., Outcome]:
    """Run the probe in this process; the key is in nothing it prints, and nothing is a trace."""

    def run(*arguments: str, outputs: object = None) -> Outcome:
        document = gateway.outputs() if outputs is None else outputs
        path = tmp_path / "outputs.json"
        path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        code = distribution.main(["--outputs", str(path), *arguments])
        out, err = capsys.readouterr()
        assert not [secret for secret in (KEY, TOKEN) if secret in out + err]
        assert "Traceback" not in out + err
        return Outcome(code, out, err)

    return run


@pytest.fixture(scope="session")
def warm_probe() -> list[str]:
    """The probe as a process of its own, started where its modules are loaded.

    Not for Ctrl-C: it leaves threads behind, and how Python ends them is part of the test.
    """
    loaded = ("anyio._backends._asyncio", "azure.identity._credentials.app_service", "httpcore")
    script = Path(__file__).parents[2] / "probes" / "distribution.py"
    return [*warm_python.python(*loaded, "probes.session"), str(script)]
