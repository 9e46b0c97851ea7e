"""Preloaded by the process that forks the others: what they load and work out, once for all."""

import interrupted_run
import pytest  # noqa: F401 - each of them imports the main module of the tests

interrupted_run.warm_up()
