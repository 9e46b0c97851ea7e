import functools
import json
from typing import Any

import pytest
import recording
import yaml


def config_of(stack: str) -> dict[str, Any]:
    text = (recording.ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)["config"]
    return {
        key.removeprefix("openai-gateway:"): value
        for key, value in config.items()
        if key.startswith("openai-gateway:")
    }


@functools.cache
def _declared(config: str) -> recording.Program:
    return recording.declare(json.loads(config))


@pytest.fixture
def declare():
    """Run the program with a config: a stack's file, or that with some keys replaced."""

    def run(stack: str = "dev", **changes: Any) -> recording.Program:
        return _declared(json.dumps({**config_of(stack), **changes}))

    return run


@pytest.fixture
def dev(declare) -> recording.Program:
    return declare()
