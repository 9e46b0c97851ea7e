"""The API that clients call: operations, policy, and the subscription that holds the key."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Any, Final

import pulumi
from pulumi_azure_native import apimanagement

from .contract import PolicyReference, digest
from .keys import CLASSIC_TIERS
from .mistakes import mistake
from .settings import Settings
from .traffic import POOL_NAME

API_NAME = "inference"
API_PATH = "inference"
# Backend urls end in /openai, and the gateway appends what follows the API's path.
OPENAI_PATH = f"{API_PATH}/openai"

_DEPLOYMENT: Final = "/deployments/{deployment-id}"
_RESPONSE: Final = "/responses/{response-id}"
_PARAMETER: Final = re.compile(r"{(.*?)}")
# By what `apis` names: of each operation its id, title, method, and path below
# `<gateway>/inference/openai`. A `v1` operation has the same path below `/v1`.
_OPERATIONS: Final[Mapping[str, Sequence[tuple[str, str, str, str]]]] = {
    "chat": [("chat-completions", "Chat completions", "POST", f"{_DEPLOYMENT}/chat/completions")],
    "embeddings": [("embeddings", "Embeddings", "POST", f"{_DEPLOYMENT}/embeddings")],
    "models": [
        ("models", "List models", "GET", "/models"),
        ("model", "A model", "GET", "/models/{model-id}"),
    ],
    "responses": [
        ("responses", "Responses", "POST", "/responses"),
        ("responses-get", "A response", "GET", _RESPONSE),
        ("responses-delete", "Delete a response", "DELETE", _RESPONSE),
        ("responses-cancel", "Cancel a response", "POST", f"{_RESPONSE}/cancel"),
        ("responses-input-items", "Input of a response", "GET", f"{_RESPONSE}/input_items"),
    ],
    "images": [
        ("images-generations", "Image generations", "POST", f"{_DEPLOYMENT}/images/generations"),
        ("images-edits", "Image edits", "POST", f"{_DEPLOYMENT}/images/edits"),
    ],
    "audio": [
        ("audio-transcriptions", "Transcriptions", "POST", f"{_DEPLOYMENT}/audio/transcriptions"),
        ("audio-translations", "Translations", "POST", f"{_DEPLOYMENT}/audio/translations"),
        ("audio-speech", "Speech", "POST", f"{_DEPLOYMENT}/audio/speech"),
    ],
}
# Any other path is told why it is not here. API Management takes a wildcard last (assumed).
_ELSEWHERE: Final = {
    f"elsewhere-{method.lower()}": (f"Not offered ({method})", method, "/*")
    for method in ("GET", "POST", "DELETE")
}


def operations(apis: Iterable[str]) -> dict[str, tuple[str, str, str]]:
    """Return what is exposed, by the operation's id: title, method, and path below the API's."""
    found = {}
    for operation, title, method, path in (each for api in apis for each in _OPERATIONS[api]):
        found[operation] = (title, method, path)
        v1 = f"/v1{path.removeprefix(_DEPLOYMENT)}"
        found[f"v1-{operation}"] = (f"{title} (v1)", method, v1)
    return {**found, **_ELSEWHERE}


_POLICIES: Final = Path(__file__).with_name("policies")
# Embedded as they are.
_FRAGMENTS: Final = ("elsewhere", "exhausted", "miss", "throttled", "unanswered")
_UNREAD: Final = re.compile(r"<!--.*?-->\s*|(?<=\n) +", re.DOTALL)
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


def policy_xml(
    settings: Settings, tier: str, hosts: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Return the API's policy for a service of a tier; `hosts` has those of accounts that exist.

    Retries are as docs/decisions/0020 says, pools as 0019, ids as 0034. With one model nothing is
    chosen; Consumption has no cache.
    """
    is_consumption, retries = tier == "Consumption", settings.retries
    deadline = min(retries.deadline, _CONSUMPTION_SECONDS) if is_consumption else retries.deadline
    kept = _CLASSIC_KEPT if tier in CLASSIC_TIERS else _KEPT
    connecting = min(_CONNECTING, retries.timeout - 1)
    further = [(name, end) for name, end in settings.name_ends.items() if end]
    pools = (_part("pool", deployment=name.lower(), pool=POOL_NAME + end) for name, end in further)
    # What the host of a region's account begins with.
    begins = {each.name: hosts.get(each.name) or f"{each.name}-" for each in settings.regions}
    policy = _part(
        "inference",
        pool=POOL_NAME,
        deployment=_part("deployment", known=_texts(name.lower() for name, _ in further))
        if further
        else "",
        further_pools="\n".join(pools),
        follow=_part(
            "follow",
            backends=_texts(map(" ".join, begins.items())),
            recall="" if is_consumption else _part("recall"),
        ),
        withhold=_part("withhold", connecting=connecting),
        remember="" if is_consumption else _part("remember", largest_kept=kept),
        unfollowed=_part("unfollowed", mebibytes=kept // _MEBIBYTE),
        largest_kept=kept,
        regions=len(settings.regions),
        retries=retries.count,
        count=max(retries.count, len(settings.regions) - 1),  # of which Azure takes 1 to 50
        deadline=deadline,
        timeout=min(retries.timeout, deadline),
        connecting=connecting,
        repeat_unanswered=str(retries.repeat_unanswered).lower(),
        buffer_response=str(not settings.streaming).lower(),
        reveal=_part("reveal", reveal_backend=str(settings.reveal_backend).lower()),
        **{name: _part(name) for name in _FRAGMENTS},
    )
    # Of 16 KiB none is for words and indents.
    return _UNREAD.sub("", policy) if is_consumption else policy


def _texts(of: Iterable[str]) -> str:
    return ", ".join(f'"{each}"' for each in of)


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
        *,
        begins: str,
        settings: Settings,
        service: Mapping[str, Any],
        tier: str,
        pools: Sequence[pulumi.Resource],
        hosts: Mapping[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        name = begins + API_NAME
        super().__init__("openai-gateway:index:InferenceApi", name, None, opts)
        self._name = name
        own = pulumi.ResourceOptions(parent=self)
        api = apimanagement.Api(
            name,
            own,
            api_id=API_NAME,
            display_name="Azure OpenAI, all regions",
            path=OPENAI_PATH,
            protocols=["https"],
            subscription_required=True,
            subscription_key_parameter_names={"header": "api-key", "query": "api-key"},
            **service,
        )
        self.api_name = api.name
        exposed = [
            apimanagement.ApiOperation(
                f"{name}-{operation}",
                own,
                operation_id=operation,
                api_id=api.name,
                display_name=title,
                method=method,
                url_template=path,
                template_parameters=[
                    {"name": each, "type": "string", "required": True}
                    for each in _PARAMETER.findall(path)
                ],
                **service,
            )
            for operation, (title, method, path) in operations(settings.apis).items()
        ]
        declared = policy_xml(settings, tier, hosts)
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
        self._own = [policy, *exposed]

    def admit_clients(
        self, settings: Settings, service: Mapping[str, Any], after: Iterable[pulumi.Resource]
    ) -> None:
        """Declare the clients' subscription, after all else that the stack declares.

        Last of all, it is first to be deleted: a `destroy` of what is protected ends with it,
        before anything is gone (docs/decisions/0030).
        """
        subscription = apimanagement.Subscription(
            f"{self._name}-clients",
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
            self.subscription_key = pulumi.Output.secret(_key(subscription.name, service, self))
        self.register_outputs({"subscriptionId": self.subscription_id})


def _key(
    sid: pulumi.Output[str], service: Mapping[str, Any], parent: pulumi.Resource
) -> pulumi.Output[str]:
    """Unknown in a preview, which has to do with the role Reader: that has no `listSecrets`."""
    if pulumi.runtime.is_dry_run():
        unknown: pulumi.Output[Any] = pulumi.Output.from_input(pulumi.UNKNOWN)
        return unknown
    opts = pulumi.InvokeOptions(parent=parent)  # whose provider may be another than the default
    keys = apimanagement.list_subscription_secrets_output(sid=sid, opts=opts, **service)
    return keys.apply(lambda each: each.primary_key or "")  # Azure always has one
