"""The composition that the program declares: regions, gateway, pool and API."""

from typing import Any
from urllib.parse import urlsplit

import pulumi
from pulumi_azure_native import resources
from pulumi_random import RandomString

from . import contract, soft_delete
from .api_gateway import ApiGateway
from .backend_pool import BackendPool
from .existing import Found
from .inference_api import API_NAME, API_PATH, InferenceApi
from .monitoring import Monitoring
from .network import PrivateEndpoints
from .openai_region import RegionalOpenAI
from .settings import GENERATED_SUFFIX_LENGTH, Settings


class LoadBalancedOpenAI(pulumi.ComponentResource):
    """Azure OpenAI in several regions behind one API Management endpoint.

    `stack_outputs` is the contract with `probes/`, one entry per stack output. The component's own
    outputs also name what is `unprotected`, what may be starved, and whether it is `unwatched`.
    """

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        existing: Found,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        in_turn = pulumi.ResourceOptions(transformations=[_delete_before_replace])
        opts = pulumi.ResourceOptions.merge(opts, in_turn)
        super().__init__("openai-gateway:index:LoadBalancedOpenAI", name, None, opts)
        children = pulumi.ResourceOptions(parent=self)
        suffix = own_group = pulumi.Output.from_input("")
        restored = none = pulumi.Output.from_input(frozenset[str]())
        if not existing.service or len(existing.accounts) < len(settings.regions):
            suffix = pulumi.Output.from_input(settings.resource_suffix or _random_suffix(children))
            restored = soft_delete.restored(suffix, settings, existing)
            # All names wait for it: nothing is created where one of them is taken.
            suffix = pulumi.Output.all(suffix, restored).apply(lambda both: both[0])
            own_group = resources.ResourceGroup(
                name,
                resource_group_name=suffix.apply(soft_delete.group_name),
                location=settings.own_location,
                tags=settings.tags or None,
                opts=pulumi.ResourceOptions(parent=self, ignore_changes=settings.kept),
            ).name

        shared: dict[str, Any] = {"settings": settings, "opts": children}
        own: dict[str, Any] = {
            **shared,
            "resource_group_name": own_group,
            "suffix": suffix,
            "restored": restored if settings.restore else none,  # which a first preview knows
        }
        gateway = ApiGateway("gateway", found=existing.service, **own)
        regions = {
            region.name: RegionalOpenAI(
                region,
                found=existing.accounts.get(region.name),
                gateway_principal_id=gateway.principal_id,
                gateway_addresses=gateway.addresses,
                **own,
            )
            for region in settings.regions
        }
        own_ids = {key: each.account_id for key, each in regions.items() if each.account_id}
        if settings.network and settings.network.endpoint_subnet and own_ids:
            PrivateEndpoints(
                "network",
                settings=settings,
                its=settings.network,
                account_ids=own_ids,
                resource_group_name=own_group,
                opts=children,
            )
        backend_urls = {key: region.backend_url for key, region in regions.items()}
        pools = {
            model: BackendPool(ending, service=gateway.service, backend_urls=backend_urls, **shared)
            for model, ending in settings.name_ends.items()
        }
        first = pools[settings.models[0].name]
        api = InferenceApi(
            API_NAME,
            service=gateway.service,
            tier=existing.tier,
            pools=[each.pool for each in pools.values()],
            hosts={
                key: urlsplit(account.endpoint).hostname or ""
                for key, account in existing.accounts.items()
            },
            **shared,
        )
        backends = tuple(
            contract.Backend(
                id=region.name,
                location=region.location,
                region=region.display_name,
                url=regions[region.name].backend_url,
                priority=region.priority,
                weight=region.weight,
            )
            for region in settings.regions
        )
        monitoring = settings.watched and Monitoring(
            "monitoring",
            its=settings.watched,
            found=existing.workspace,
            tier=existing.tier,
            service=gateway.service,
            service_id=gateway.service_id,
            api_name=api.api_name,
            backends=backends,
            suffix=gateway.service["service_name"] if existing.service else suffix,
            **shared,
        )
        watched = [monitoring] if monitoring else []
        api.admit_clients(settings, gateway.service, after=[*regions.values(), *watched])

        outputs = contract.Outputs(
            resource_group=gateway.service["resource_group_name"],
            gateway_url=gateway.gateway_url,
            inference_url=pulumi.Output.concat(gateway.gateway_url, "/", API_PATH),
            subscription_key=api.subscription_key,
            deployment=settings.models[0].name,
            api_version=settings.api_version,
            pool=contract.PoolReference(id=first.pool_id, name=first.pool_name),
            routing=settings.routing,
            backends=backends,
            subscription=api.subscription_id,
            pools=tuple(
                contract.ModelPool(deployment=model, id=pool.pool_id, name=pool.pool_name)
                for model, pool in pools.items()
            ),
            policy=api.policy,
            workspace=monitoring.workspace if monitoring else None,
        )
        self.stack_outputs: dict[str, Any] = contract.export(outputs)
        # What the policy pack accepts, by name: `protect: false` names nothing.
        by_name = settings.protect.unprotected if settings.protect else ()
        accepted = {
            "unprotected": [*by_name],
            "accept_starved": [*settings.accept_starved],
            "unwatched": settings.monitoring is None,
        }
        self.register_outputs({**self.stack_outputs, **accepted})


def _random_suffix(opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    length = GENERATED_SUFFIX_LENGTH
    return RandomString("suffix", opts, length=length, upper=False, special=False).result


def _delete_before_replace(
    args: pulumi.ResourceTransformationArgs,
) -> pulumi.ResourceTransformationResult:
    """Say what a fixed name demands, where azure-native says it only if something differs.

    One that the engine has deleted and could not make anew may be declared again as it was: it
    would be made, and at the end deleted as the old one (docs/decisions/0029).
    """
    in_azure = args.type_.startswith("azure-native:")
    opts = pulumi.ResourceOptions(delete_before_replace=True) if in_azure else None
    return pulumi.ResourceTransformationResult(
        args.props, pulumi.ResourceOptions.merge(args.opts, opts)
    )
