"""The API that clients call: operations, policy, and the subscription that holds the key."""

from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

import pulumi
from pulumi_azure_native import apimanagement

from components.contract import PolicyReference, digest
from components.settings import Settings

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

_POLICIES = Path(__file__).with_name("policies")
_MAX_RETRIES = 50  # API Management policy reference, "Retry", attribute `count`


def policy_xml(*, backend_pool: str, members: int, reveal_backend: bool) -> str:
    """Return the API's policy for a pool of `members` (2 to 30) backends.

    A request is tried twice round the pool: at load the members that its attempts meet are as good
    as drawn, and one round alone can meet the same failing one each time (docs/decisions/0013).
    """
    return Template((_POLICIES / "inference.xml").read_text(encoding="utf-8")).substitute(
        backend_pool=backend_pool,
        retries=min(2 * members - 1, _MAX_RETRIES),
        exhausted=(_POLICIES / "exhausted.xml").read_text(encoding="utf-8").strip(),
        reveal_backend=str(reveal_backend).lower(),
    )


class InferenceApi(pulumi.ComponentResource):
    """The API behind `<gateway>/inference`; clients send `subscription_key` as header `api-key`.

    The key is None where it is not exported, and unknown in a preview: only `up` may look it up.
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
        backend_pool: pulumi.Output[str],
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
        named: apimanagement.ParameterContractArgsDict
        named = {"name": "deployment-id", "type": "string", "required": True}
        for operation, (title, method, path) in OPERATIONS.items():
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
        declared = backend_pool.apply(
            lambda pool: policy_xml(
                backend_pool=pool,
                members=len(settings.regions),
                reveal_backend=settings.reveal_backend,
            )
        )
        policy = apimanagement.ApiPolicy(
            f"{name}-policy",
            own,
            policy_id="policy",
            api_id=api.name,
            format="rawxml",
            value=declared,
            **service,
        )
        self.policy = PolicyReference(id=policy.id, digest=declared.apply(digest))
        subscription = apimanagement.Subscription(
            f"{name}-clients",
            own,
            sid=f"{name}-clients",
            display_name="Clients of the inference API",
            scope=api.name.apply(lambda api_name: f"/apis/{api_name}"),
            state=apimanagement.SubscriptionState.ACTIVE,
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
