import os
import signal
import tempfile
from pathlib import Path

import pytest
import trustme
from hypothesis import settings

# A loaded machine is slow, not wrong. Each run draws other examples: half as many are enough.
settings.register_profile("project", deadline=None, max_examples=50)
settings.load_profile("project")

# Started in the background, the tests would ignore Ctrl-C, and so would the processes they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONG = {"test_documents", "test_deployment_interrupted", "test_other_languages"}


def pytest_configure(config: pytest.Config) -> None:
    """Trust nobody: no test asks anyone outside, and reading a machine's roots takes each process
    a tenth of a second."""
    if hasattr(config, "workerinput"):
        return  # it has the variable of the process that started it
    folder = tempfile.TemporaryDirectory()
    config.add_cleanup(folder.cleanup)
    root = Path(folder.name) / "nobody.pem"
    trustme.CA().cert_pem.write_to_path(root)
    os.environ["SSL_CERT_FILE"] = str(root)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes seconds: at the end no core should wait for a long test."""
    items.sort(key=lambda item: item.path.stem not in LONG)
