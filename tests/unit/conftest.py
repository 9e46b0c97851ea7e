import functools
import json
from datetime import date
from typing import Any

import pytest
import recording

from components import models


@pytest.fixture(autouse=True)
def on_a_day(monkeypatch):
    """What retires, and when, is told by the day: for every test it is the same one."""
    monkeypatch.setattr(models, "today", lambda: date(2026, 11, 1))


@functools.cache
def _declared(config: str) -> recording.Program:
    return recording.declare(json.loads(config))


@pytest.fixture
def declare():
    """Run the program with a config: a stack's file, or that with some keys replaced.

    Of what is replaced, few tests are about the operations: those have one API instead of six.
    """

    def run(stack: str = "dev", **changes: Any) -> recording.Program:
        if changes:
            changes.setdefault("apis", ["chat"])
        return _declared(json.dumps({**recording.config_of(stack), **changes}))

    return run


@pytest.fixture
def few(declare) -> recording.Program:
    """The dev stack with one API, as what `declare` replaces something in."""
    return declare(apis=["chat"])


@pytest.fixture
def dev(declare) -> recording.Program:
    return declare()
