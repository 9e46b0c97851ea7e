"""What the components take, for type checkers and editors.

Generated from components/settings.py by `python -m docs.reference`; do not edit.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict

import pulumi


class AccountReferenceArgs(TypedDict):
    """Names an Azure OpenAI account that is there already, to be taken as it is."""

    resource_group: str
    """Resource group of the account."""
    account_name: str
    """Name of the account."""


class RegionArgs(TypedDict):
    """A region of the pool: the name of its backend, and the place of its Azure OpenAI account."""

    name: str
    """Name of the backend; also begins the account's."""
    location: str
    """Azure location of the account."""
    priority: NotRequired[int]
    """Lower numbers are preferred. Default: 1."""
    weight: NotRequired[int]
    """Part of the traffic, among regions of the same priority. Default: 1."""
    existing: NotRequired[AccountReferenceArgs | None]
    """An account to use as it is, with its deployments."""


class ModelArgs(TypedDict):
    """A model deployment made on every account."""

    name: str
    """Name of the deployment, by which clients call it."""
    model: str
    """Name of the model."""
    version: str
    """Version of the model, in quotes."""
    sku: str
    """Deployment type. GlobalStandard may be processed in any place of the world, DataZoneStandard
    in any of the EU or the US, Standard where the account is. One that a location has not got is
    refused."""
    capacity: int
    """Thousands of tokens a minute."""
    version_upgrade: NotRequired[str]
    """When Azure may change the version, region by region: one of OnceNewDefaultVersionAvailable,
    OnceCurrentVersionExpired, NoAutoUpgrade. Default: "OnceCurrentVersionExpired"."""
    rai_policy: NotRequired[str | None]
    """Name of a content filter: one of Microsoft's, as Microsoft.DefaultV2, or one that every
    account has already. Without it, Azure's default."""


class ServiceReferenceArgs(TypedDict):
    """Names an API Management service that is there already, to be deployed into."""

    resource_group: str
    """Resource group of the service."""
    service_name: str
    """Name of the service."""


class GatewayArgs(TypedDict):
    """The API Management service to create, or the `existing` one to deploy into."""

    sku: NotRequired[str]
    """One of Consumption, Developer, Basic, Standard, Premium, BasicV2, StandardV2, PremiumV2.
    Default: "BasicV2"."""
    capacity: NotRequired[int]
    """Number of units; by default 1, or 0 on Consumption."""
    publisher_name: NotRequired[str]
    """Shown to developers. Default: "Platform team"."""
    publisher_email: NotRequired[str]
    """Azure sends its notices there. Default: "platform-team@example.com"."""
    location: NotRequired[str | None]
    """Same as the top-level `location`."""
    existing: NotRequired[ServiceReferenceArgs | None]
    """A service to deploy into, with a system-assigned identity."""


_ProtectionBase = TypedDict("_ProtectionBase", {"except": NotRequired[Sequence[str]]})
"""`except`, which is a keyword of Python: names of regions, and `gateway` for the service."""


class ProtectionArgs(_ProtectionBase):
    """Accounts and service are neither deleted nor replaced, but for those named here."""

    enabled: NotRequired[bool]
    """`False` for no protection; the other keys then say nothing. Default: True."""


class BreakerArgs(TypedDict):
    """A backend's circuit breaker: it trips after `count` failures within `interval`."""

    enabled: NotRequired[bool]
    """`False` for no breaker; the other keys then say nothing. Default: True."""
    count: NotRequired[int]
    """Number of failures (429 or 5xx) that trip it. Default: 10."""
    interval: NotRequired[str]
    """Period over which failures count. Default: "PT10S"."""
    trip_duration: NotRequired[str]
    """How long it stays tripped. Default: "PT10S"."""
    accept_retry_after: NotRequired[bool]
    """Whether a response's `Retry-After` decides how long instead. Default: False."""


class WorkspaceReferenceArgs(TypedDict):
    """Names a Log Analytics workspace that is there already, to be logged to."""

    resource_group: str
    """Resource group of the workspace."""
    name: str
    """Name of the workspace."""


class MonitoringConfigArgs(TypedDict):
    """Logs of the gateway, the alarm on a region's share, and a workbook: docs/monitoring.md."""

    alert_emails: NotRequired[Sequence[str]]
    """Who gets an e-mail when an alert fires, and when it resolves."""
    webhook: NotRequired[pulumi.Input[str] | None]
    """URL that gets each alert in the common alert schema; a secret in the state."""
    starved_below: NotRequired[float]
    """Part of its expected share below which a region is starved. Default: 0.25."""
    ceiling: NotRequired[float]
    """Share of all requests above which no region may be that is not declared to. Default: 0.7."""
    retention_days: NotRequired[int]
    """How long the stack's own workspace keeps the logs, in days. Default: 30."""
    enabled: NotRequired[bool]
    """`False` for no monitoring; the other keys then say nothing. Default: True."""
    workspace: NotRequired[WorkspaceReferenceArgs | None]
    """A Log Analytics workspace to use. Without it, the stack makes one."""


class RetriesArgs(TypedDict):
    """What is tried again elsewhere, and for how long; times are in whole seconds."""

    count: NotRequired[int]
    """Further attempts of a request, however large the pool is. Default: 5."""
    repeat_unanswered: NotRequired[bool]
    """Whether a call that a region took and did not answer is sent to another one: it may be
    executed, and billed, more than once. Default: False."""
    timeout: NotRequired[int]
    """How long an attempt waits for its answer to begin; by default 100, or 20 with
    `repeat_unanswered`. Once half of the deadline has passed, an attempt gets all that is left."""
    deadline: NotRequired[int]
    """How long all attempts of a request may take; at most 30 on Consumption. Default: 240."""


class NetworkArgs(TypedDict):
    """Who reaches the accounts: addresses, or a virtual network that the gateway is joined to."""

    allowed_ips: NotRequired[Sequence[str]]
    """Addresses that the accounts answer to. Those of a Developer, Basic, Standard or Premium
    gateway are added; list those of a v2 tier's yourself."""
    endpoint_subnet: NotRequired[pulumi.Input[str] | None]
    """Id of the subnet in which each account gets a private endpoint."""
    gateway_subnet: NotRequired[pulumi.Input[str] | None]
    """Id of the subnet that the gateway is joined to, in its location and of its own. Its tier is
    Developer, Premium, StandardV2 or PremiumV2."""
    dns_zone: NotRequired[pulumi.Input[str] | None]
    """Id of a private DNS zone that is there and linked to the network. Without it, the stack makes
    and links one."""


class LoadBalancedOpenAIArgs(TypedDict):
    """Arguments of LoadBalancedOpenAI."""

    regions: Sequence[RegionArgs]
    """2 to 30 members of the pool. Names and locations are unique; the order has no meaning."""
    routing: NotRequired[str]
    """`round-robin`: every region has the same priority and weight. `weighted`: weights may differ.
    `priority`: both may differ. Default: "round-robin"."""
    accept_starved: NotRequired[Sequence[str]]
    """Names of regions that may get no traffic while others are up; the preview warns of any
    other."""
    models: NotRequired[Sequence[ModelArgs]]
    """Deployed on every account."""
    apis: NotRequired[Sequence[str]]
    """What the gateway exposes of Azure OpenAI. docs/responses.md says how a response is continued
    in the region that has it, and what is not offered."""
    gateway: NotRequired[GatewayArgs]
    """The API Management service."""
    location: NotRequired[str | None]
    """Location of the resource group and the service. Without it, a new stack uses that of the
    first region, and a deployed one stays where it is."""
    protect: NotRequired[bool | ProtectionArgs]
    """Whether accounts, service and the clients' key are protected from deletion and replacement:
    `True`, `False` or `{enabled: False}`, or `{except: [foundry2, gateway]}`."""
    resource_suffix: NotRequired[str | None]
    """End of every name that must be unique in all of Azure. Without it, the stack generates one
    and keeps it."""
    breaker: NotRequired[BreakerArgs | None]
    """Circuit breaker of each backend; `None`, or `enabled: False`, switches it off, as Consumption
    requires."""
    monitoring: NotRequired[MonitoringConfigArgs | None]
    """Logs, alerts and a workbook in Azure; `None`, or `enabled: False`, for none, as Consumption
    requires. docs/monitoring.md has what is made and what it costs."""
    retries: NotRequired[RetriesArgs]
    """Attempts of a request whose region refuses it, fails or cannot be reached."""
    streaming: NotRequired[bool]
    """Whether answers pass as they arrive; `False` has the gateway wait for the whole of each, as
    Consumption requires. Default: True."""
    reveal_backend: NotRequired[bool]
    """Whether response headers name the host that answered and what each attempt met; the probe
    needs them. Default: True."""
    restore: NotRequired[bool]
    """Whether a deleted account or service that still has a name of this stack is restored. If not,
    the deployment stops and prints the command that purges it. Default: False."""
    network: NotRequired[Literal["public"] | NetworkArgs]
    """`public`, or who reaches the accounts: docs/network.md has costs and tiers."""
    tags: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Azure tags of the resource group, the accounts, the service, and whatever else of the stack
    takes them."""
    api_version: NotRequired[str]
    """Version of the data plane that the stack's outputs tell clients to use; the `/v1` paths need
    none. o-series models need 2024-12-01-preview or newer. Default: "2024-10-21"."""
    export_key: NotRequired[bool]
    """Whether the clients' key is a stack output, as a secret. Without it, whoever needs the key
    looks it up, as the probe does with its own identity. Default: True."""


class MemberArgs(TypedDict):
    """A member of a pool: a backend by its name, its URL, and the place of its account."""

    name: str
    """Name of the backend; also begins the account's."""
    location: str
    """Azure location of the account."""
    priority: NotRequired[int]
    """Lower numbers are preferred. Default: 1."""
    weight: NotRequired[int]
    """Part of the traffic, among regions of the same priority. Default: 1."""
    url: pulumi.Input[str]
    """URL of the backend: the account's endpoint, and /openai."""


class PoolServiceArgs(TypedDict):
    """Names the API Management service that the backends are of."""

    resource_group: pulumi.Input[str]
    """Resource group of the service."""
    service_name: pulumi.Input[str]
    """Name of the service."""


class BackendPoolArgs(TypedDict):
    """Arguments of BackendPool."""

    regions: Sequence[MemberArgs]
    """2 to 30 members of the pool. Names and locations are unique; the order has no meaning."""
    routing: NotRequired[str]
    """`round-robin`: every region has the same priority and weight. `weighted`: weights may differ.
    `priority`: both may differ. Default: "round-robin"."""
    accept_starved: NotRequired[Sequence[str]]
    """Names of regions that may get no traffic while others are up; the preview warns of any
    other."""
    service: PoolServiceArgs
    """The API Management service."""
    breaker: NotRequired[BreakerArgs | None]
    """Circuit breaker of each backend; `None`, or `enabled: False`, switches it off, as Consumption
    requires."""
    pool_name: NotRequired[str]
    """Name of the pool, by which a policy sends traffic to it. Default:
    "inference-backend-pool"."""


class WatchedServiceArgs(TypedDict):
    """Names the API Management service that is watched."""

    resource_group: pulumi.Input[str]
    """Resource group of the service."""
    service_name: pulumi.Input[str]
    """Name of the service."""
    id: pulumi.Input[str]
    """Azure Resource Manager id of the service."""
    sku: NotRequired[str]
    """One of Consumption, Developer, Basic, Standard, Premium, BasicV2, StandardV2, PremiumV2.
    Default: "BasicV2"."""


class WorkspaceIdsArgs(TypedDict):
    """Names a Log Analytics workspace that the gateway's requests are logged to."""

    id: pulumi.Input[str]
    """Azure Resource Manager id of the workspace."""
    customer_id: pulumi.Input[str]
    """The workspace's own id, by which queries name it: `customer_id`."""


class MonitoringArgs(TypedDict):
    """Arguments of Monitoring."""

    alert_emails: NotRequired[Sequence[str]]
    """Who gets an e-mail when an alert fires, and when it resolves."""
    webhook: NotRequired[pulumi.Input[str] | None]
    """URL that gets each alert in the common alert schema; a secret in the state."""
    starved_below: NotRequired[float]
    """Part of its expected share below which a region is starved. Default: 0.25."""
    ceiling: NotRequired[float]
    """Share of all requests above which no region may be that is not declared to. Default: 0.7."""
    retention_days: NotRequired[int]
    """How long the stack's own workspace keeps the logs, in days. Default: 30."""
    regions: Sequence[MemberArgs]
    """2 to 30 members of the pool. Names and locations are unique; the order has no meaning."""
    routing: NotRequired[str]
    """`round-robin`: every region has the same priority and weight. `weighted`: weights may differ.
    `priority`: both may differ. Default: "round-robin"."""
    accept_starved: NotRequired[Sequence[str]]
    """Names of regions that may get no traffic while others are up; the preview warns of any
    other."""
    service: WatchedServiceArgs
    """The API Management service that is watched."""
    location: str
    """Azure location of what is made."""
    workspace: NotRequired[WorkspaceIdsArgs | None]
    """The workspace that the gateway logs to. Without it, one is made."""
    api_name: NotRequired[pulumi.Input[str] | None]
    """Name of the API whose requests are to be logged. Without it the service keeps its own
    diagnostic setting, which has to log to `workspace`."""
    name_suffix: NotRequired[pulumi.Input[str] | None]
    """End of what is named in Azure, by default the service's name. A second Monitoring of one
    service needs its own."""
    tags: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Azure tags of whatever takes them."""
