import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from fake_gateway import KEY, Gateway

from probes import distribution


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    gateway = Gateway()
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
def probe(gateway, tmp_path, monkeypatch, capsys) -> Callable[..., Outcome]:
    """Run the probe in this process; the key is in nothing it prints, and nothing is a trace."""
    monkeypatch.setenv("ARM_ENDPOINT", gateway.url)

    def run(*arguments: str, outputs: object = None) -> Outcome:
        document = gateway.outputs() if outputs is None else outputs
        path = tmp_path / "outputs.json"
        path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        code = distribution.main(["--outputs", str(path), *arguments])
        out, err = capsys.readouterr()
        assert KEY not in out + err
        assert "Traceback" not in out + err
        return Outcome(code, out, err)

    return run
