"""An exchange for expressions to be asked about."""

from types import SimpleNamespace

from multidict import CIMultiDict

from local_azure.gateway.exchange import Api, Deployment, Exchange, Operation, Request, Url
from local_azure.gateway.expressions import compile_block, compile_expression


def context(body=b"", **settings) -> Exchange:
    url = Url.parse("https://foundry1-x.openai.azure.com/openai/models?api-version=1&a=x&a=y")
    settings.setdefault("variables", {"attempts": 2, "name": "x", "truth": True, "half": 0.5})
    return Exchange(
        services=SimpleNamespace(),
        request=Request(
            method="POST",
            url=url,
            original_url=Url.parse("http://127.0.0.1:8701/inference/openai/models"),
            ip_address="127.0.0.1",
            headers=CIMultiDict([("X-One", "1"), ("x-many", "a"), ("X-Many", "b")]),
            body=body,
            parameters={"deployment-id": "chat"},
        ),
        deployment=Deployment(region="UK South", service_name="apim-test"),
        request_id="the-id",
        api=Api(id="inference", name="Inference", path="inference/openai", service_url=None),
        operation=Operation(id="chat", name="Chat", method="POST", url_template="/models"),
        started=5.0,
        clock=lambda: 7.5,
        **settings,
    )


def evaluate(source: str, **settings) -> object:
    return compile_expression(source).run(context(**settings))


def run(source: str, **settings) -> object:
    """Evaluate statements as between `@{` and `}`."""
    return compile_block(source).run(context(**settings))
