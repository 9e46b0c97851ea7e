"""The composition that the program declares: regions, gateway, pool and API."""

from typing import Any

import pulumi
from pulumi_azure_native import resources
from pulumi_random import RandomString

from components import contract
from components.api_gateway import ApiGateway
from components.backend_pool import BackendPool
from components.existing import Found
from components.inference_api import API_NAME, API_PATH, InferenceApi
from components.openai_region import RegionalOpenAI
from components.settings import GENERATED_SUFFIX_LENGTH, Settings

API_VERSION = "2024-10-21"  # the data plane's newest GA version (Azure OpenAI REST API reference)


class LoadBalancedOpenAI(pulumi.ComponentResource):
    """Azure OpenAI in several regions behind one API Management endpoint.

    `stack_outputs` is the contract with `probes/`, one entry per stack output. The component's own
    outputs also name what is `unprotected`, and what may be starved.
    """

    stack_outputs: dict[str, Any]

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        existing: Found,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare everything that `settings` describes, but what is `existing` already."""
        super().__init__("openai-gateway:index:LoadBalancedOpenAI", name, None, opts)
        children = pulumi.ResourceOptions(parent=self)
        suffix, own_group = self._own_group(name, settings, existing)

        gateway = ApiGateway(
            "gateway",
            settings=settings,
            found=existing.service,
            resource_group_name=own_group,
            suffix=suffix,
            opts=children,
        )
        regions = {
            region.name: RegionalOpenAI(
                region,
                found=existing.accounts.get(region.name),
                resource_group_name=own_group,
                suffix=suffix,
                models=settings.models,
                gateway_principal_id=gateway.principal_id,
                protect=region.name not in settings.unprotected,
                opts=children,
            )
            for region in settings.regions
        }
        pool = BackendPool(
            resource_group_name=gateway.resource_group_name,
            service_name=gateway.service_name,
            regions=settings.regions,
            backend_urls={key: region.backend_url for key, region in regions.items()},
            breaker=settings.breaker,
            opts=children,
        )
        api = InferenceApi(
            API_NAME,
            resource_group_name=gateway.resource_group_name,
            service_name=gateway.service_name,
            backend_pool=pool.pool_name,
            members=len(settings.regions),
            reveal_backend=settings.reveal_backend,
            opts=children,
        )

        self.stack_outputs = contract.export(_outputs(settings, gateway, regions, pool, api))
        allowed = {
            "unprotected": [*settings.unprotected],
            "accept_starved": [*settings.accept_starved],
        }
        self.register_outputs({**self.stack_outputs, **allowed})

    def _own_group(
        self, name: str, settings: Settings, existing: Found
    ) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """Declare the group of what the stack makes; return the names' suffix and the group's name.

        Where all is there, there is no such group.
        """
        if existing.service and len(existing.accounts) == len(settings.regions):
            return pulumi.Output.from_input(""), pulumi.Output.from_input("")
        suffix = pulumi.Output.from_input(
            settings.resource_suffix
            or RandomString(
                "suffix",
                length=GENERATED_SUFFIX_LENGTH,
                upper=False,
                special=False,
                opts=pulumi.ResourceOptions(parent=self),
            ).result
        )
        group = resources.ResourceGroup(
            name,
            resource_group_name=pulumi.Output.concat("rg-openai-gateway-", suffix),
            location=settings.location or settings.default_location,
            opts=pulumi.ResourceOptions(
                parent=self, ignore_changes=None if settings.location else ["location"]
            ),
        )
        return suffix, group.name


def _outputs(
    settings: Settings,
    gateway: ApiGateway,
    regions: dict[str, RegionalOpenAI],
    pool: BackendPool,
    api: InferenceApi,
) -> contract.Outputs[pulumi.Output[str]]:
    return contract.Outputs(
        resource_group=gateway.resource_group_name,
        gateway_url=gateway.gateway_url,
        inference_url=pulumi.Output.concat(gateway.gateway_url, "/", API_PATH),
        subscription_key=api.subscription_key,
        deployment=settings.models[0].name,
        api_version=API_VERSION,
        pool=contract.PoolReference(id=pool.pool_id, name=pool.pool_name),
        routing=settings.routing,
        backends=tuple(
            contract.Backend(
                id=region.name,
                location=region.location,
                region=region.display_name,
                url=regions[region.name].backend_url,
                priority=region.priority,
                weight=region.weight,
            )
            for region in settings.regions
        ),
    )
