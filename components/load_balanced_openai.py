"""The composition that the program declares: regions, gateway, pool and API."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pulumi
from pulumi_azure_native import resources
from pulumi_random import RandomString

from . import contract, naming, soft_delete
from .api_gateway import ApiGateway
from .args import LoadBalancedOpenAIArgs
from .backend_pool import BackendPool
from .component import mistakes_in_a_line, options, tell
from .existing import Found, look_up
from .inference_api import API_PATH, InferenceApi
from .keys import GENERATED_SUFFIX_LENGTH
from .monitoring import Monitoring
from .network import PrivateEndpoints
from .openai_region import RegionalOpenAI
from .regions import of_subscription
from .resource_manager import Deployer
from .settings import (
    Alarm,
    MonitoringSettings,
    PoolService,
    PoolSettings,
    Settings,
    WatchedService,
    WorkspaceIds,
    arguments,
)
from .traffic import POOL_NAME


class LoadBalancedOpenAI(pulumi.ComponentResource):
    """Azure OpenAI in several regions behind one API Management endpoint, traffic spread evenly.

    It declares the accounts and their deployments, the service, backends, pool and API, and the
    alarm on each region's share.
    """

    outputs: contract.Outputs[pulumi.Output[str]]
    stack_outputs: dict[str, Any]
    """The outputs as `probes/` read them, one entry for each output of a stack."""

    def __init__(
        self,
        name: str,
        args: Settings | LoadBalancedOpenAIArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare it; the arguments are Settings, or what LoadBalancedOpenAIArgs describes.

        What they say is there is looked up first. Raises ArgumentsError with every mistake.
        The component's outputs in the state also have what the policy pack accepts. In a program of
        somebody else's its inputs have what is declared: the config has it in this one.
        """
        azure = Deployer(opts)
        with mistakes_in_a_line():
            settings = arguments(Settings, args, lambda: of_subscription(azure))
            found = look_up(settings, azure)
        begins = naming.prefix(name, "openai")
        super().__init__(
            "openai-gateway:index:LoadBalancedOpenAI",
            name,
            None if isinstance(args, Settings) else settings.declared,
            options(name, "openai", opts),
        )
        tell(settings, self, settings.shares_of)
        children = pulumi.ResourceOptions(parent=self)
        suffix = own_group = pulumi.Output.from_input("")
        restored = none = pulumi.Output.from_input(frozenset[str]())
        if not found.service or len(found.accounts) < len(settings.regions):
            suffix = pulumi.Output.from_input(
                settings.resource_suffix or _random_suffix(begins, children)
            )
            restored = soft_delete.restored(suffix, settings, found, self)
            # All names wait for it: nothing is created where one of them is taken.
            suffix = pulumi.Output.all(suffix, restored).apply(lambda both: both[0])
            own_group = resources.ResourceGroup(
                name,
                resource_group_name=suffix.apply(soft_delete.group_name),
                location=settings.own_location,
                tags=settings.tags or None,
                opts=pulumi.ResourceOptions(parent=self, ignore_changes=settings.kept),
            ).name

        shared: dict[str, Any] = {"begins": begins, "settings": settings, "opts": children}
        own: dict[str, Any] = {
            **shared,
            "resource_group_name": own_group,
            "suffix": suffix,
            "restored": restored if settings.restore else none,  # which a first preview knows
        }
        gateway = ApiGateway(found=found.service, **own)
        regions = {
            region.name: RegionalOpenAI(
                region,
                found=found.accounts.get(region.name),
                gateway_principal_id=gateway.principal_id,
                gateway_addresses=gateway.addresses,
                **own,
            )
            for region in settings.regions
        }
        own_ids = {key: each.account_id for key, each in regions.items() if each.account_id}
        if settings.network and settings.network.endpoint_subnet is not None and own_ids:
            PrivateEndpoints(
                its=settings.network, account_ids=own_ids, resource_group_name=own_group, **shared
            )
        service = PoolService.model_construct(
            resource_group=gateway.service["resource_group_name"],
            service_name=gateway.service["service_name"],
        )
        pools = {}
        for model, ending in settings.name_ends.items():
            its = PoolSettings.model_construct(
                service=service,
                regions=tuple(
                    each.member(regions[each.name].backend_url, ending) for each in settings.regions
                ),
                breaker=settings.breaker,
                pool_name=POOL_NAME + ending,
            )
            pools[model] = BackendPool(begins + its.pool_name, its, children)
        first = pools[settings.models[0].name].outputs
        api = InferenceApi(
            service=gateway.service,
            tier=found.tier,
            pools=[each.pool for each in pools.values()],
            hosts={
                key: urlsplit(account.endpoint).hostname or ""
                for key, account in found.accounts.items()
            },
            **shared,
        )
        monitoring = _watch(
            f"{begins}monitoring",
            settings=settings,
            found=found,
            gateway=gateway,
            regions=regions,
            api=api,
            suffix=suffix,
            opts=children,
        )
        watched = [monitoring] if monitoring else []
        api.admit_clients(settings, gateway.service, after=[*regions.values(), *watched])

        self.outputs = contract.Outputs(
            resource_group=gateway.service["resource_group_name"],
            gateway_url=gateway.gateway_url,
            inference_url=pulumi.Output.concat(gateway.gateway_url, "/", API_PATH),
            subscription_key=api.subscription_key,
            deployment=settings.models[0].name,
            api_version=settings.api_version,
            pool=contract.PoolReference(id=first.pool_id, name=first.pool_name),
            routing=settings.routing,
            backends=tuple(
                contract.Backend(**each.backend, url=regions[each.name].backend_url)
                for each in settings.regions
            ),
            subscription=api.subscription_id,
            pools=tuple(
                contract.ModelPool(
                    deployment=model, id=pool.outputs.pool_id, name=pool.outputs.pool_name
                )
                for model, pool in pools.items()
            ),
            policy=api.policy,
            workspace=monitoring.outputs.workspace if monitoring else None,
        )
        self.stack_outputs = contract.export(self.outputs)
        self.register_outputs({**self.stack_outputs, **settings.accepted})


def _watch(
    name: str,
    *,
    settings: Settings,
    found: Found,
    gateway: ApiGateway,
    regions: Mapping[str, RegionalOpenAI],
    api: InferenceApi,
    suffix: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> Monitoring | None:
    if (its := settings.watched) is None:
        return None
    logs = found.workspace
    return Monitoring(
        name,
        MonitoringSettings.model_construct(
            **{key: getattr(its, key) for key in Alarm.model_fields},
            service=WatchedService.model_construct(
                resource_group=gateway.service["resource_group_name"],
                service_name=gateway.service["service_name"],
                id=gateway.service_id,
                sku=found.tier,
            ),
            regions=tuple(each.member(regions[each.name].backend_url) for each in settings.regions),
            routing=settings.routing,
            accept_starved=settings.accept_starved,
            location=logs.location if logs else settings.own_location,
            workspace=logs
            and WorkspaceIds.model_construct(id=logs.id, customer_id=logs.customer_id),
            api_name=None if settings.gateway.existing else api.api_name,
            tags=settings.tags,
        ),
        opts,
        suffix=None if found.service else suffix,
        kept=settings.kept,
    )


def _random_suffix(begins: str, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    length = GENERATED_SUFFIX_LENGTH
    return RandomString(f"{begins}suffix", opts, length=length, upper=False, special=False).result
