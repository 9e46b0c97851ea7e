import gc
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
import warm_python
from hypothesis import settings

# A loaded machine is slow, not wrong. Each run draws other examples: half as many are enough.
settings.register_profile("project", deadline=None, max_examples=50)
settings.load_profile("project")

# Started in the background, the tests would ignore Ctrl-C, and so would the processes they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONG = {
    "test_story",
    "test_secrets",
    "test_readme",
    "test_locust",
    "test_houses",
    "test_first_deployment",
}


def pytest_configure(config: pytest.Config) -> None:
    """Trust nobody: no test asks anyone outside, and reading a machine's roots takes each process
    a tenth of a second. And start the Python that commands are forked from."""
    if hasattr(config, "workerinput"):
        return  # it has the variables of the process that started it
    folder = tempfile.TemporaryDirectory()
    config.add_cleanup(folder.cleanup)
    root = Path(folder.name) / "nobody.pem"
    trustme.CA().cert_pem.write_to_path(root)
    os.environ["SSL_CERT_FILE"] = str(root)
    warm = warm_python.running()
    warm.__enter__()
    config.add_cleanup(lambda: warm.__exit__(None, None, None))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Collect without looking for garbage; what is loaded then stays, and is none later either."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what one worker should do whole, and go on with what takes seconds.

    Each worker that runs a test of the clients deploys for it and loads their SDKs; and at the end
    no core should wait for a long test. A worker takes neighbours in this order.
    """
    items.sort(key=lambda item: (item.path.parent.name != "clients", item.path.stem not in LONG))
