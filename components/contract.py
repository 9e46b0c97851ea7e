"""The stack's outputs: the program fills and exports them, the probe reads and checks them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote, urlsplit

from components.resource_manager import is_loopback
from components.traffic import ROUTINGS, SECRET, Member, Pool, number

WITH_SECRETS: Final = "pulumi stack output --json --show-secrets"
"""Writes the outputs as `read` takes them."""

T = TypeVar("T")
"""A text that is known once the stack is deployed: `str`, or `pulumi.Input[str]` before."""


class OutputsError(Exception):
    """Outputs that are none; the message names the key, what is wrong with it and the remedy."""


@dataclass(frozen=True, kw_only=True)
class PoolReference(Generic[T]):
    """The pool's ARM id and its name."""

    id: T
    name: T


@dataclass(frozen=True, kw_only=True)
class Backend(Generic[T]):
    """One region: its backend's name and url, and what it was declared with."""

    id: str
    location: str
    region: str
    url: T
    priority: int
    weight: int


@dataclass(frozen=True, kw_only=True)
class Outputs(Generic[T]):
    """The stack outputs by their names; no representation of them shows the key.

    The properties below are for outputs that are known, `Outputs[str]`.
    """

    resource_group: T
    gateway_url: T
    inference_url: T
    subscription_key: T = field(repr=False)
    deployment: str
    api_version: str
    pool: PoolReference[T]
    routing: str
    backends: tuple[Backend[T], ...]

    @property
    def chat_url(self) -> str:
        """Where one chat completion is asked for."""
        return self._url(f"deployments/{quote(self.deployment, safe='')}/chat/completions")

    @property
    def models_url(self) -> str:
        """Where the models are listed, by the same pool and policy and at no cost."""
        return self._url("models")

    def _url(self, path: str) -> str:
        version = quote(self.api_version, safe="")
        return f"{self.inference_url}/openai/{path}?api-version={version}"

    @property
    def declared(self) -> Pool:
        """The pool that the stack declares."""
        return Pool(
            members=tuple(
                Member(name=b.id, priority=b.priority, weight=b.weight) for b in self.backends
            )
        )

    @property
    def regions(self) -> dict[str, str]:
        """Display name of each backend's region, by the backend's name."""
        return {b.id: b.region for b in self.backends}

    def by_host(self, host: str) -> str | None:
        """Name the backend that a host, or host:port, belongs to."""
        return next((b.id for b in self.backends if host_of(b.url) == host.lower()), None)

    def redact(self, text: str) -> str:
        """Return a text of the network's making as one that may be shown: no key, no controls."""
        shown = text.replace(str(self.subscription_key), SECRET)
        return "".join(character if character.isprintable() else " " for character in shown)


def export(outputs: Outputs[T]) -> dict[str, Any]:
    """Return the outputs as the program exports them, and as `read` takes them back."""
    return {each.name: _plain(getattr(outputs, each.name)) for each in fields(outputs)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return value


def host_of(url: object) -> str:
    """Host, with its port if there is one, of a url."""
    return urlsplit(str(url)).netloc.lower()


def read(text: bytes | str) -> Outputs[str]:
    """Read outputs as JSON, and check them whole. Raises OutputsError."""
    if not text.strip():
        raise OutputsError(f"empty; write them with `{WITH_SECRETS}`")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise OutputsError(f"no JSON; write them with `{WITH_SECRETS}`") from None
    if not isinstance(document, dict):
        raise OutputsError(
            f"a JSON object is needed, not {_kind(document)}; write them with `{WITH_SECRETS}`"
        )
    return _outputs(_Fields(document))


class _Fields:
    """Typed access to one object of the outputs, whose errors name the key."""

    def __init__(self, document: Mapping[str, Any], path: str = "") -> None:
        self.document, self.path = document, path

    def error(self, key: str, problem: str) -> OutputsError:
        return OutputsError(f"`{self.path}{key}` {problem}")

    def value(self, key: str, kind: type) -> Any:
        if key not in self.document:
            raise self.error(key, "is missing; is the stack deployed? run `pulumi up`")
        value = self.document[key]
        if value == SECRET:
            raise self.error(key, f'is "{SECRET}"; use --show-secrets: `{WITH_SECRETS}`')
        if not isinstance(value, kind):
            raise self.error(key, f"must be {_NAMES[kind]}, not {_kind(value)}")
        return value

    def text(self, key: str) -> str:
        value: str = self.value(key, str)
        if not value or not value.isprintable():
            raise self.error(key, "must be a text of printable characters")
        return value

    def number(self, key: str) -> int:
        value = number(self.value(key, object), key)
        if isinstance(value, str):
            raise self.error(key, f"is {value}; is it an output of this program?")
        return value

    def url(self, key: str) -> str:
        url = self.text(key)
        try:
            parts = urlsplit(url)
            host = parts.hostname
            _ = parts.port
        except ValueError:
            host = None
        if not host or parts.scheme not in ("http", "https") or not url.isascii() or " " in url:
            raise self.error(key, "must be an http or https URL with a host")
        return url.rstrip("/")


_NAMES: Final[dict[type, str]] = {
    str: "a text",
    int: "a whole number",
    dict: "an object",
    list: "a list",
}


def _kind(value: object) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return _NAMES.get(type(value), "a fraction")


def _outputs(found: _Fields) -> Outputs[str]:
    backends = found.value("backends", list)
    if len(backends) < 2:
        raise found.error("backends", f"has {len(backends)} of the 2 or more that share traffic")
    key = found.text("subscription_key")
    if not key.isascii() or " " in key:
        raise found.error("subscription_key", "holds a character that no key has")
    inference_url = found.url("inference_url")
    if inference_url.startswith("http:") and not is_loopback(inference_url):
        raise found.error("inference_url", "is plain http: the key would be sent for all to read")
    routing = found.text("routing")
    if routing not in ROUTINGS:
        raise found.error("routing", f"must be one of {', '.join(ROUTINGS)}, not {routing[:80]}")
    pool = _Fields(found.value("pool", dict), "pool.")
    pool_id = pool.text("id")
    if not pool_id.startswith("/"):
        raise pool.error("id", "must be a full Azure Resource Manager id")
    outputs = Outputs(
        resource_group=found.text("resource_group"),
        gateway_url=found.url("gateway_url"),
        inference_url=inference_url,
        subscription_key=key,
        deployment=found.text("deployment"),
        api_version=found.text("api_version"),
        pool=PoolReference(id=pool_id, name=pool.text("name")),
        routing=routing,
        backends=tuple(_backend(found, i, each) for i, each in enumerate(backends)),
    )
    for what, seen in (
        ("name", [backend.id.lower() for backend in outputs.backends]),
        ("host", [host_of(backend.url) for backend in outputs.backends]),
    ):
        if len(set(seen)) < len(seen):
            raise found.error("backends", f"has two with one {what}: {', '.join(seen)}")
    return outputs


def _backend(found: _Fields, index: int, document: object) -> Backend[str]:
    path = f"backends[{index}]"
    if not isinstance(document, dict):
        raise found.error(path, f"must be an object, not {_kind(document)}")
    backend = _Fields(document, f"{path}.")
    return Backend(
        id=backend.text("id"),
        location=backend.text("location"),
        region=backend.text("region"),
        url=backend.url("url"),
        priority=backend.number("priority"),
        weight=backend.number("weight"),
    )
