"""Loads Pulumi's SDKs with less work, so that a preview takes little longer than their import.

A module of pulumi_azure_native loads several hundred submodules when the first name is taken from
it; here a name is looked for in the submodule that should define it, and only if it is not there
does the module load as a whole: 27 modules instead of 630.

Of the processor time of `local-azure preview` that saves 0.3 s (0.9 s, and 1.2 s without it), as do
`unobserved` and the garbage that is not looked for, each. No public way does any of it.
"""

import functools
import gc
import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType
from typing import Any, cast

# Packages whose modules each stand for themselves: azure-native and its modules, and the
# Automation API, which `import pulumi` loads and a program does not use.
_ON_DEMAND = re.compile(r"pulumi_azure_native(\.[a-z0-9]+)?|pulumi\.automation")


class _Finder(MetaPathFinder):
    """Finds a package of `_ON_DEMAND` without running its code."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not _ON_DEMAND.fullmatch(fullname):
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is None or spec.loader is None or spec.submodule_search_locations is None:
            return None
        spec.loader = _Later(spec.loader)
        return spec


class _Later(Loader):
    """Puts off a package's own code."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def exec_module(self, module: ModuleType) -> None:
        module.__class__ = _OnDemand

    def load(self, module: ModuleType) -> None:
        module.__class__ = ModuleType
        self._loader.exec_module(module)


class _OnDemand(ModuleType):
    """A package whose own code has not run; it does once a name cannot be found otherwise."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":  # `import *` wants all, inspection nothing
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        for candidate in _submodules(name):
            full_name = f"{self.__name__}.{candidate}"
            if find_spec(full_name):
                module = importlib.import_module(full_name)
                # `get_account` is a function, in a submodule that is called the same.
                value = vars(module).get(name, module if candidate == name else None)
                if value is not None:
                    setattr(self, name, value)
                    return value
        cast("_Later", cast("ModuleSpec", self.__spec__).loader).load(self)
        return getattr(self, name)

    def __dir__(self) -> list[str]:
        cast("_Later", cast("ModuleSpec", self.__spec__).loader).load(self)
        return dir(self)


def _submodules(name: str) -> Iterator[str]:
    """Yield where a name may be defined: `BackendArgs` in `backend`, a part of it in `_inputs`."""
    if name.islower():
        yield name
        yield name.removesuffix("_output")
    else:
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
        yield words.lower().removesuffix("_args")
        yield "_inputs"
        yield "_enums"


@contextmanager
def loading() -> Iterator[None]:
    """Load on demand from now on; what is loaded already stays as it is."""
    sys.meta_path.insert(0, _Finder())
    with _uncollected():
        yield


@contextmanager
def _uncollected() -> Iterator[None]:
    """Run without looking for garbage: next to nothing is, in a load or a run of a second."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextmanager
def unobserved() -> Iterator[None]:
    """Run without the URNs of aliases, for which only engines older than alias specs ask.

    A resource of azure-native has some twenty-five, each resolved by a chain of tasks.
    """
    resource: Any = importlib.import_module("pulumi.resource")
    before = resource.collapse_alias_to_urn
    resource.collapse_alias_to_urn = lambda *_: ""
    try:
        with _uncollected():
            yield
    finally:
        resource.collapse_alias_to_urn = before
        _keep()


@functools.cache
def _keep() -> None:
    """Leave what is loaded out of the search for garbage at exit: once, since counting is slow."""
    gc.freeze()
