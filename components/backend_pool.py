"""One backend per region, and the load-balanced pool over them."""

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_azure_native import apimanagement

from .settings import POOL_NAME, Breaker, Settings


class BackendPool(pulumi.ComponentResource):
    """The pool `inference-backend-pool` of one model, whose members are the regions' backends.

    Equal priority and equal weight on every member make it a round robin (API Management,
    "Load-balanced pool"). A further model has backends and a pool of its own, with its `ending`
    (`Settings.name_ends`): a circuit breaker is a backend's. `pool_id` is the pool's ARM id.
    """

    def __init__(
        self,
        ending: str,
        *,
        service: Mapping[str, Any],
        settings: Settings,
        backend_urls: Mapping[str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        name = POOL_NAME + ending
        super().__init__("openai-gateway:index:BackendPool", name, None, opts)
        own = pulumi.ResourceOptions(parent=self)
        backends = {
            region.name: apimanagement.Backend(
                region.name + ending,
                own,
                backend_id=region.name + ending,
                description=f"Azure OpenAI in {region.display_name}",
                type="Single",  # as Azure has it where nothing is said
                url=backend_urls[region.name],
                protocol="http",  # Azure's word for REST over HTTP(S); `https` is refused
                circuit_breaker=_circuit_breaker(settings.breaker),
                **service,
            )
            for region in settings.regions
        }
        # A pool takes neither url nor protocol. Priority and weight are always written: Azure does
        # not document what null means, and a dropped value would change the traffic unnoticed.
        self.pool = apimanagement.Backend(
            name,
            own,
            backend_id=name,
            description="Azure OpenAI, all regions",
            type="Pool",
            pool={
                "services": [
                    {"id": backends[each.name].id, "priority": each.priority, "weight": each.weight}
                    for each in settings.regions
                ]
            },
            **service,
        )
        self.pool_id, self.pool_name = self.pool.id, self.pool.name
        self.register_outputs({"poolId": self.pool_id, "poolName": self.pool_name})


def _circuit_breaker(breaker: Breaker | None) -> apimanagement.BackendCircuitBreakerArgsDict | None:
    """One rule: the service allows no second one, though the schema takes a list."""
    if breaker is None:
        return None
    return {
        "rules": [
            {
                "name": "throttled-or-failing",
                "failure_condition": {
                    "count": breaker.count,
                    "interval": breaker.interval,
                    "status_code_ranges": [{"min": 429, "max": 429}, {"min": 500, "max": 599}],
                },
                "trip_duration": breaker.trip_duration,
                "accept_retry_after": breaker.accept_retry_after,
            }
        ]
    }
