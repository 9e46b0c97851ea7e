"""The API that clients call: operations, policy, and the subscription that holds the key."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any, Final

import pulumi
from pulumi_azure_native import apimanagement

from components.contract import PolicyReference, digest
from components.settings import CLASSIC_TIERS, POOL_NAME, Settings, mistake

API_NAME = "inference"
API_PATH = "inference"
# Backend urls end in /openai, and the gateway appends what follows the API's path.
OPENAI_PATH = f"{API_PATH}/openai"

_DEPLOYMENT = "/deployments/{deployment-id}"
# By name: title, method, and path below `<gateway>/inference/openai`.
OPERATIONS = {
    "chat-completions": ("Chat completions", "POST", f"{_DEPLOYMENT}/chat/completions"),
    "embeddings": ("Embeddings", "POST", f"{_DEPLOYMENT}/embeddings"),
    "models": ("List models", "GET", "/models"),
    "v1-chat-completions": ("Chat completions (v1)", "POST", "/v1/chat/completions"),
    "v1-embeddings": ("Embeddings (v1)", "POST", "/v1/embeddings"),
    "v1-models": ("List models (v1)", "GET", "/v1/models"),
}

_POLICIES: Final = Path(__file__).with_name("policies")
_FRAGMENTS: Final = ("exhausted", "unanswered")  # embedded as they are
_MEBIBYTE: Final = 1024 * 1024
# Azure subscription and service limits, API Management: bytes of a policy document, seconds of a
# request, and (of the classic tiers, and of all others) bytes of a request that is kept to be sent
# again.
_CONSUMPTION_POLICY, _POLICY = 16 * 1024, 256 * 1024
_CONSUMPTION_SECONDS: Final = 30
_CLASSIC_KEPT, _KEPT = 500 * _MEBIBYTE, 2 * _MEBIBYTE
_CONNECTING: Final = 21
"""Seconds within which Windows gives up making a TCP connection (SYNs at 0, 3 and 9 s). That
nothing was executed where an attempt ended sooner without an answer is assumed."""


def policy_xml(settings: Settings, tier: str) -> str:
    """Return the API's policy for a service of a tier.

    Retries are as docs/decisions/0020 says, pools as 0019. With one model nothing is chosen.
    """
    is_consumption, retries = tier == "Consumption", settings.retries
    deadline = min(retries.deadline, _CONSUMPTION_SECONDS) if is_consumption else retries.deadline
    further = [(name, end) for name, end in settings.name_ends.items() if end]
    pools = (_part("pool", deployment=name.lower(), pool=POOL_NAME + end) for name, end in further)
    return _part(
        "inference",
        pool=POOL_NAME,
        deployment=_part("deployment") if further else "",
        further_pools="\n".join(pools),
        largest_kept=_CLASSIC_KEPT if tier in CLASSIC_TIERS else _KEPT,
        retries=retries.count,
        count=max(1, retries.count),  # of which Azure takes 1 to 50
        deadline=deadline,
        timeout=min(retries.timeout, deadline),
        connecting=min(_CONNECTING, retries.timeout - 1),
        repeat_unanswered=str(retries.repeat_unanswered).lower(),
        buffer_response=str(not settings.streaming).lower(),
        reveal_backend=str(settings.reveal_backend).lower(),
        **{name: _part(name) for name in _FRAGMENTS},
    )


def _part(name: str, **values: object) -> str:
    text = (_POLICIES / f"{name}.xml").read_text(encoding="utf-8").strip()
    return Template(text).substitute(values)


def policy_mistakes(settings: Settings, tier: str) -> Iterator[str]:
    """Give a line where the policy is longer than the tier takes."""
    size = len(policy_xml(settings, tier).encode())
    limit = _CONSUMPTION_POLICY if tier == "Consumption" else _POLICY
    if size > limit:
        found = f"is a list of {len(settings.models)}, whose policy has {size} bytes"
        remedy = f"a {tier} service takes {limit}; list fewer, or choose another tier"
        yield mistake("models", found, remedy)


class InferenceApi(pulumi.ComponentResource):
    """The API behind `<gateway>/inference`; clients send `subscription_key` as header `api-key`.

    The key is None before `admit_clients` and where it is not exported, and unknown in a preview:
    only `up` may look it up.
    """

    subscription_key: pulumi.Output[str] | None = None
    subscription_id: pulumi.Output[str]
    policy: PolicyReference[pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        service: Mapping[str, Any],
        tier: str,
        pools: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("openai-gateway:index:InferenceApi", name, None, opts)
        own = pulumi.ResourceOptions(parent=self)
        api = apimanagement.Api(
            name,
            own,
            api_id=name,
            display_name="Azure OpenAI, all regions",
            path=OPENAI_PATH,
            protocols=["https"],
            subscription_required=True,
            subscription_key_parameter_names={"header": "api-key", "query": "api-key"},
            **service,
        )
        self.api_name = api.name
        named: apimanagement.ParameterContractArgsDict
        named = {"name": "deployment-id", "type": "string", "required": True}
        operations = [
            apimanagement.ApiOperation(
                f"{name}-{operation}",
                own,
                operation_id=operation,
                api_id=api.name,
                display_name=title,
                method=method,
                url_template=path,
                template_parameters=[named] if "{deployment-id}" in path else [],
                **service,
            )
            for operation, (title, method, path) in OPERATIONS.items()
        ]
        declared = policy_xml(settings, tier)
        policy = apimanagement.ApiPolicy(
            f"{name}-policy",
            pulumi.ResourceOptions(parent=self, depends_on=pools),  # which it names
            policy_id="policy",
            api_id=api.name,
            format="xml",
            value=declared,
            **service,
        )
        self.policy = PolicyReference(
            id=policy.id, digest=pulumi.Output.from_input(digest(declared))
        )
        self._own = [policy, *operations]

    def admit_clients(
        self, settings: Settings, service: Mapping[str, Any], after: Iterable[pulumi.Resource]
    ) -> None:
        """Declare the clients' subscription, after all else that the stack declares.

        Last of all, it is first to be deleted: a `destroy` of what is protected ends with it,
        before anything is gone (docs/decisions/0030).
        """
        subscription = apimanagement.Subscription(
            f"{API_NAME}-clients",
            sid=f"{API_NAME}-clients",
            display_name="Clients of the inference API",
            scope=self.api_name.apply(lambda api_name: f"/apis/{api_name}"),
            state=apimanagement.SubscriptionState.ACTIVE,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*self._own, *after],
                protect="gateway" not in settings.unprotected,
            ),
            **service,
        )
        self.subscription_id = subscription.id
        if settings.export_key:
            self.subscription_key = pulumi.Output.secret(_key(subscription.name, service))
        self.register_outputs({"subscriptionId": self.subscription_id})


def _key(sid: pulumi.Output[str], service: Mapping[str, Any]) -> pulumi.Output[str]:
    """Unknown in a preview, which has to do with the role Reader: that has no `listSecrets`."""
    if pulumi.runtime.is_dry_run():
        unknown: pulumi.Output[Any] = pulumi.Output.from_input(pulumi.UNKNOWN)
        return unknown
    keys = apimanagement.list_subscription_secrets_output(sid=sid, **service)
    return keys.apply(lambda each: each.primary_key or "")  # Azure always has one
