"""The stack's outputs: the program fills and exports them, the probe reads and checks them."""

import json
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
        each = (Member(name=b.id, priority=b.priority, weight=b.weight) for b in self.backends)
        return Pool(members=tuple(each))

    @property
    def regions(self) -> dict[str, str]:
        """Display name of each backend's region, by the backend's name."""
        return {b.id: b.region for b in self.backends}

    def by_host(self, host: str) -> str | None:
        """Name the backend that a host, or host:port, belongs to."""
        return next((b.id for b in self.backends if _host(b.url) == host.lower()), None)

    def redact(self, text: str) -> str:
        """Return a text of the network's making as one that may be shown: no key, no controls."""
        shown = text.replace(str(self.subscription_key), SECRET)
        return "".join(character if character.isprintable() else " " for character in shown)


def export(outputs: Any) -> Any:
    """Return the outputs as the program exports them, and as `read` takes them back."""
    if isinstance(outputs, tuple):
        return [export(each) for each in outputs]
    if is_dataclass(outputs):
        return {each.name: export(getattr(outputs, each.name)) for each in fields(outputs)}
    return outputs


def read(text: bytes | str) -> Outputs[str]:
    """Read outputs as JSON, and check them whole. Raises OutputsError."""
    remedy = f"write them with `{WITH_SECRETS}`"
    if not text.strip():
        raise OutputsError(f"empty; {remedy}")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise OutputsError(f"no JSON; {remedy}") from None
    if not isinstance(document, dict):
        raise OutputsError(f"a JSON object is needed, not {_kind(document)}; {remedy}")
    backends = _value(document, "backends", list)
    if len(backends) < 2:
        raise _error("backends", f"has {len(backends)} of the 2 or more that share traffic")
    outputs: Outputs[str] = _read(
        Outputs,
        document,
        pool=_read(PoolReference, _value(document, "pool", dict), "pool."),
        backends=tuple(
            _read(Backend, _object(each, f"backends[{n}]"), f"backends[{n}].")
            for n, each in enumerate(backends)
        ),
    )
    _check(outputs)
    return outputs


def _check(outputs: Outputs[str]) -> None:
    """Refuse what each value alone does not show."""
    if not outputs.subscription_key.isascii() or " " in outputs.subscription_key:
        raise _error("subscription_key", "holds a character that no key has")
    url = outputs.inference_url
    if url.startswith("http:") and not is_loopback(url):
        raise _error("inference_url", "is plain http: the key would be sent for all to read")
    if (routing := outputs.routing) not in ROUTINGS:
        raise _error("routing", f"must be one of {', '.join(ROUTINGS)}, not {routing[:80]}")
    if not outputs.pool.id.startswith("/"):
        raise _error("pool.id", "must be a full Azure Resource Manager id")
    for what, seen in (
        ("name", [backend.id.lower() for backend in outputs.backends]),
        ("host", [_host(backend.url) for backend in outputs.backends]),
    ):
        if len(set(seen)) < len(seen):
            raise _error("backends", f"has two with one {what}: {', '.join(seen)}")


def _read(kind: Any, document: dict[str, Any], path: str = "", **known: Any) -> Any:
    """Return a dataclass whose fields are keys of a document; `known` are those read before."""
    for name in (each.name for each in fields(kind) if each.name not in known):
        if name in ("priority", "weight"):
            known[name] = number(_value(document, name, object, path), name)
            if isinstance(known[name], str):
                raise _error(path + name, f"is {known[name]}; is it an output of this program?")
            continue
        text = known[name] = _value(document, name, str, path)
        if not text or not text.isprintable():
            raise _error(path + name, "must be a text of printable characters")
        if name.endswith("url"):
            if not _is_url(text):
                raise _error(path + name, "must be an http or https URL with a host")
            known[name] = text.rstrip("/")
    return kind(**known)


def _value(document: dict[str, Any], key: str, kind: type, path: str = "") -> Any:
    if key not in document:
        raise _error(path + key, "is missing; is the stack deployed? run `pulumi up`")
    value = document[key]
    if value == SECRET:
        raise _error(path + key, f'is "{SECRET}"; use --show-secrets: `{WITH_SECRETS}`')
    return _object(value, path + key, kind)


def _object(value: Any, key: str, kind: type = dict) -> Any:
    if not isinstance(value, kind):
        raise _error(key, f"must be {_NAMES[kind]}, not {_kind(value)}")
    return value


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    known = parts.hostname and parts.scheme in ("http", "https")
    return bool(known) and text.isascii() and " " not in text


def _host(url: object) -> str:
    return urlsplit(str(url)).netloc.lower()


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


def _error(key: str, problem: str) -> OutputsError:
    return OutputsError(f"`{key}` {problem}")
