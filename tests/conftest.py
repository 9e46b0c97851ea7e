import signal

import pytest
from hypothesis import settings

# A loaded machine is slow, not wrong. Each run draws other examples: half as many are enough.
settings.register_profile("project", deadline=None, max_examples=50)
settings.load_profile("project")

# Started in the background, the tests would ignore Ctrl-C, and so would the processes they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONG = {
    "test_azure_cli",
    "test_story",
    "test_secrets",
    "test_readme",
    "test_locust",
    "test_deployment_interrupted",
}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes seconds, so that at the end no core waits for the last of it."""
    items.sort(key=lambda item: item.path.stem not in LONG)
