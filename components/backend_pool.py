"""One backend a region, and the load-balanced pool over them."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_azure_native import apimanagement

from components.settings import POOL_NAME, Breaker, Region


class BackendPool(pulumi.ComponentResource):
    """The pool `inference-backend-pool`, whose members are the regions' backends.

    Equal priority and equal weight on every member make it a round robin (API Management,
    "Load-balanced pool"). Outputs: `pool_id` (ARM id) and `pool_name`.
    """

    pool_id: pulumi.Output[str]
    pool_name: pulumi.Output[str]

    def __init__(
        self,
        *,
        resource_group_name: pulumi.Input[str],
        service_name: pulumi.Input[str],
        regions: Sequence[Region],
        backend_urls: Mapping[str, pulumi.Input[str]],
        breaker: Breaker | None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare a backend for each region, at `backend_urls[region.name]`, and the pool."""
        super().__init__("openai-gateway:index:BackendPool", POOL_NAME, None, opts)
        children = pulumi.ResourceOptions(parent=self)

        backends = {
            region.name: apimanagement.Backend(
                region.name,
                backend_id=region.name,
                resource_group_name=resource_group_name,
                service_name=service_name,
                description=f"Azure OpenAI in {region.display_name}",
                url=backend_urls[region.name],
                protocol="http",  # Azure's word for REST over HTTP(S); `https` is refused
                circuit_breaker=_circuit_breaker(breaker),
                opts=children,
            )
            for region in regions
        }

        # A pool takes neither url nor protocol. Priority and weight are always written: Azure does
        # not document what null means, and a dropped value would change the traffic unnoticed.
        pool = apimanagement.Backend(
            POOL_NAME,
            backend_id=POOL_NAME,
            resource_group_name=resource_group_name,
            service_name=service_name,
            description="Azure OpenAI, all regions",
            type="Pool",
            pool=apimanagement.BackendBaseParametersPoolArgs(
                services=[
                    apimanagement.BackendPoolItemArgs(
                        id=backends[region.name].id,
                        priority=region.priority,
                        weight=region.weight,
                    )
                    for region in regions
                ]
            ),
            opts=children,
        )

        self.pool_id = pool.id
        self.pool_name = pool.name
        self.register_outputs({"poolId": self.pool_id, "poolName": self.pool_name})


def _circuit_breaker(breaker: Breaker | None) -> apimanagement.BackendCircuitBreakerArgs | None:
    """One rule: the service allows no second one, though the schema takes a list."""
    if breaker is None:
        return None
    return apimanagement.BackendCircuitBreakerArgs(
        rules=[
            apimanagement.CircuitBreakerRuleArgs(
                name="throttled-or-failing",
                failure_condition=apimanagement.CircuitBreakerFailureConditionArgs(
                    count=breaker.count,
                    interval=breaker.interval,
                    status_code_ranges=[
                        apimanagement.FailureStatusCodeRangeArgs(min=429, max=429),
                        apimanagement.FailureStatusCodeRangeArgs(min=500, max=599),
                    ],
                ),
                trip_duration=breaker.trip_duration,
                accept_retry_after=breaker.accept_retry_after,
            )
        ]
    )
