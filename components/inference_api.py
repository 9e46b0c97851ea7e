"""The API that clients call: operations, policy, and the subscription that holds the key."""

from pathlib import Path
from string import Template
from typing import Any

import pulumi
from pulumi_azure_native import apimanagement

API_NAME = "inference"
API_PATH = "inference"
# Backend urls end in /openai, and the gateway appends what follows the API's path.
OPENAI_PATH = f"{API_PATH}/openai"


# By name: title, method, and path below `<gateway>/inference/openai`.
OPERATIONS = {
    "chat-completions": (
        "Chat completions",
        "POST",
        "/deployments/{deployment-id}/chat/completions",
    ),
    "embeddings": ("Embeddings", "POST", "/deployments/{deployment-id}/embeddings"),
    "models": ("List models", "GET", "/models"),
    "v1-chat-completions": ("Chat completions (v1)", "POST", "/v1/chat/completions"),
    "v1-embeddings": ("Embeddings (v1)", "POST", "/v1/embeddings"),
    "v1-models": ("List models (v1)", "GET", "/v1/models"),
}

_POLICIES = Path(__file__).with_name("policies")

# API Management policy reference, "Retry", attribute `count`.
_MAX_RETRIES = 50


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
    """The Azure OpenAI API behind `<gateway>/inference`, for clients with the subscription's key.

    Output: `subscription_key` (a secret), sent by clients in the header `api-key`.
    """

    subscription_key: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        resource_group_name: pulumi.Input[str],
        service_name: pulumi.Input[str],
        backend_pool: pulumi.Input[str],
        members: int,
        reveal_backend: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the API over the pool named `backend_pool`."""
        super().__init__("openai-gateway:index:InferenceApi", name, None, opts)
        self._children = pulumi.ResourceOptions(parent=self)
        self._service: dict[str, Any] = {
            "resource_group_name": resource_group_name,
            "service_name": service_name,
        }

        api = apimanagement.Api(
            name,
            api_id=name,
            display_name="Azure OpenAI, all regions",
            path=OPENAI_PATH,
            protocols=["https"],
            subscription_required=True,
            subscription_key_parameter_names=apimanagement.SubscriptionKeyParameterNamesContractArgs(
                header="api-key", query="api-key"
            ),
            opts=self._children,
            **self._service,
        )
        self._operations(name, api)
        apimanagement.ApiPolicy(
            f"{name}-policy",
            policy_id="policy",
            api_id=api.name,
            format="rawxml",
            value=pulumi.Output.from_input(backend_pool).apply(
                lambda pool: policy_xml(
                    backend_pool=pool, members=members, reveal_backend=reveal_backend
                )
            ),
            opts=self._children,
            **self._service,
        )
        self.subscription_key = self._key_of_clients(f"{name}-clients", api)
        self.register_outputs({"subscriptionKey": self.subscription_key})

    def _operations(self, name: str, api: apimanagement.Api) -> None:
        for operation, (title, method, path) in OPERATIONS.items():
            parameter = apimanagement.ParameterContractArgs(
                name="deployment-id", type="string", required=True
            )
            apimanagement.ApiOperation(
                f"{name}-{operation}",
                operation_id=operation,
                api_id=api.name,
                display_name=title,
                method=method,
                url_template=path,
                template_parameters=[parameter] if "{deployment-id}" in path else [],
                opts=self._children,
                **self._service,
            )

    def _key_of_clients(self, name: str, api: apimanagement.Api) -> pulumi.Output[str]:
        """Declare the clients' subscription, and return its key."""
        subscription = apimanagement.Subscription(
            name,
            sid=name,
            display_name="Clients of the inference API",
            scope=api.name.apply(lambda api_name: f"/apis/{api_name}"),
            state=apimanagement.SubscriptionState.ACTIVE,
            opts=self._children,
            **self._service,
        )
        secrets = apimanagement.list_subscription_secrets_output(
            sid=subscription.name, **self._service
        )
        return pulumi.Output.secret(
            secrets.apply(lambda keys: keys.primary_key or "")  # Azure always has one
        )
