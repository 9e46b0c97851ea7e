"""Azure OpenAI in several regions behind one API Management endpoint: the Pulumi components.

A program imports what `__all__` names. It is loaded on first use: the probes share other modules of
this package, and start without Pulumi and azure-native.
"""

from typing import TYPE_CHECKING, Final

__version__ = "0.2.0"

__all__ = [
    "AccountReferenceArgs",
    "BackendPool",
    "BackendPoolArgs",
    "BreakerArgs",
    "GatewayArgs",
    "LoadBalancedOpenAI",
    "LoadBalancedOpenAIArgs",
    "MemberArgs",
    "ModelArgs",
    "Monitoring",
    "MonitoringArgs",
    "MonitoringConfigArgs",
    "NetworkArgs",
    "PoolServiceArgs",
    "ProtectionArgs",
    "RegionArgs",
    "RetriesArgs",
    "ServiceReferenceArgs",
    "SettingsError",
    "WatchedServiceArgs",
    "WorkspaceIdsArgs",
    "WorkspaceReferenceArgs",
]

if TYPE_CHECKING:
    from .args import (
        AccountReferenceArgs,
        BackendPoolArgs,
        BreakerArgs,
        GatewayArgs,
        LoadBalancedOpenAIArgs,
        MemberArgs,
        ModelArgs,
        MonitoringArgs,
        MonitoringConfigArgs,
        NetworkArgs,
        PoolServiceArgs,
        ProtectionArgs,
        RegionArgs,
        RetriesArgs,
        ServiceReferenceArgs,
        WatchedServiceArgs,
        WorkspaceIdsArgs,
        WorkspaceReferenceArgs,
    )
    from .backend_pool import BackendPool
    from .load_balanced_openai import LoadBalancedOpenAI
    from .mistakes import SettingsError
    from .monitoring import Monitoring
else:  # a type checker would take any name for one of this function's
    _MODULES: Final = {
        "BackendPool": "backend_pool",
        "LoadBalancedOpenAI": "load_balanced_openai",
        "Monitoring": "monitoring",
        "SettingsError": "mistakes",
    }

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415 - the probes go without

        return getattr(import_module(f".{_MODULES.get(name, 'args')}", __name__), name)

    def __dir__() -> list[str]:
        return [*globals(), *__all__]
