"""Policies run on an exchange, with services that answer what a test says."""

import asyncio
from collections.abc import Mapping
from typing import Any

from multidict import CIMultiDict

from local_azure.gateway.cache import Cache
from local_azure.gateway.exchange import (
    Api,
    Deployment,
    Exchange,
    Operation,
    ProxyError,
    Request,
    Response,
    Subscription,
    Url,
)
from local_azure.gateway.limits import Limits
from local_azure.gateway.policy import Library, compile_policy


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def document(inbound="", backend="", outbound="", on_error="") -> str:
    return (
        f"<policies><inbound>{inbound}</inbound><backend>{backend}</backend>"
        f"<outbound>{outbound}</outbound><on-error>{on_error}</on-error></policies>"
    )


class Services:
    """Answers with what a test lays out: statuses, or None for no response."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.forwarded: list[Exchange] = []
        self.slept: list[float] = []
        self.settings: list[tuple[float, bool]] = []
        self.clock = Clock()
        self.limits = Limits(self.clock)
        self.cache: Cache | None = Cache(self.clock)
        self.tokens: dict[str, Mapping[str, Any]] = {}

    async def forward(self, exchange, *, header_timeout, buffer_response):
        # An earlier answer is given up before the next is asked for.
        assert exchange.response is None
        self.forwarded.append(exchange)
        self.settings.append((header_timeout, buffer_response))
        answer = self.answers.pop(0)
        if answer is None:
            raise ProxyError("refused", source="forward-request", reason="BackendConnectionFailure")
        return answer if isinstance(answer, Response) else Response(status=answer)

    def identity_token(self, resource, client_id=None):
        if client_id is not None:
            raise ProxyError(f"none of '{client_id}'", source="authentication-managed-identity")
        if self.answers == ["no identity"]:
            raise ProxyError("none", source="authentication-managed-identity")
        return f"token for {resource}"

    def entra_claims(self, token):
        if token not in self.tokens:
            raise ProxyError("no good", source="validate-azure-ad-token", reason="TokenInvalid")
        return self.tokens[token]

    def now(self):
        return self.clock.now

    async def sleep(self, seconds):
        self.slept.append(seconds)


def exchange(
    services=None,
    *,
    headers=(),
    query="",
    body=b"{}",
    parameters=None,
    ip="127.0.0.1",
    method="POST",
    **settings,
) -> Exchange:
    url = Url.parse("http://127.0.0.1/inference/openai/models")
    return Exchange(
        services=services or Services(200),
        request=Request(
            method=method,
            url=url,
            original_url=url,
            ip_address=ip,
            headers=CIMultiDict(headers),
            body=body,
            query=query,
            parameters=parameters or {},
        ),
        deployment=Deployment(region="UK South", service_name="apim-test"),
        request_id="id",
        api=Api(id="inference", name="Inference", path="inference", service_url=None),
        operation=Operation(id="chat", name="Chat", method="POST", url_template="/chat"),
        **settings,
    )


def inbound(xml: str, *, library: Library | None = None, **settings) -> Exchange:
    context = exchange(**settings)
    policy = compile_policy(document(inbound=xml), library=library or Library())
    asyncio.run(policy.inbound(context))
    return context


def subscribed(name: str = "one", **settings) -> dict[str, Any]:
    """Return the settings of an exchange with a subscription."""
    return {"subscription": Subscription(id=name, name=name), **settings}


def answer(context: Exchange, response: Response) -> Response:
    """Have the backend answer: what waits for that is told."""
    context.respond(response)
    for told in context.on_response:
        told(context)
    return response


def outbound(xml: str, **settings) -> Exchange:
    context = exchange(response=Response(status=200, body=b"old"), **settings)
    asyncio.run(compile_policy(document(outbound=xml)).outbound(context))
    return context


def backend(xml: str, *answers) -> tuple[Exchange, Services]:
    services = Services(*answers)
    context = exchange(services)
    asyncio.run(compile_policy(document(backend=xml)).backend(context))
    return context, services
