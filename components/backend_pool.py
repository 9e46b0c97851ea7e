"""One backend per region, and the load-balanced pool over them."""

import pulumi
from pulumi_azure_native import apimanagement

from . import naming
from .args import BackendPoolArgs
from .component import mistakes_in_a_line, options, tell
from .contract import PoolOutputs
from .settings import Breaker, PoolSettings, arguments


class BackendPool(pulumi.ComponentResource):
    """Backends of Azure OpenAI accounts that are there already, and the pool over them.

    Equal priority and equal weight on every member make it a round robin (API Management,
    "Load-balanced pool"). The service's identity needs the role Cognitive Services OpenAI User on
    each account, and the policy of an API names the pool in `set-backend-service`.
    """

    outputs: PoolOutputs[pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        args: PoolSettings | BackendPoolArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare it; the arguments are PoolSettings, or what BackendPoolArgs describes.

        A circuit breaker is a backend's: each model's pool has backends of its own.
        """
        with mistakes_in_a_line():
            its = arguments(PoolSettings, args)
        is_part = isinstance(args, PoolSettings)  # of a composition, which says all else
        told = None if is_part else its.declared
        opts = opts if is_part else options(name, its.pool_name, opts)
        super().__init__("openai-gateway:index:BackendPool", name, told, opts)
        if not is_part:
            tell(its, self)
        begins = naming.prefix(name, its.pool_name)
        own = pulumi.ResourceOptions(parent=self)
        backends = {
            region.name: apimanagement.Backend(
                begins + region.name,
                own,
                backend_id=region.name,
                description=f"Azure OpenAI in {region.display_name}",
                type="Single",  # as Azure has it where nothing is said
                url=region.url,
                protocol="http",  # Azure's word for REST over HTTP(S); `https` is refused
                circuit_breaker=_circuit_breaker(its.breaker),
                **its.service.within,
            )
            for region in its.regions
        }
        # A pool takes neither url nor protocol. Priority and weight are always written: Azure does
        # not document what null means, and a dropped value would change the traffic unnoticed.
        self.pool = apimanagement.Backend(
            begins + its.pool_name,
            own,
            backend_id=its.pool_name,
            description="Azure OpenAI, all regions",
            type="Pool",
            pool={
                "services": [
                    {"id": backends[each.name].id, "priority": each.priority, "weight": each.weight}
                    for each in its.regions
                ]
            },
            **its.service.within,
        )
        self.outputs = PoolOutputs(pool_id=self.pool.id, pool_name=self.pool.name)
        self.register_outputs({"poolId": self.outputs.pool_id, "poolName": self.outputs.pool_name})


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
