"""The stack's outputs: the contract between the program and the probe, and all that it reads."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote, urlsplit

from components.endpoints import is_loopback
from components.traffic import ROUTINGS, Member, expected_shares

LARGEST: Final = 1_000_000
"""Bytes of outputs that are read; a stack of 30 regions has 10,000."""

_WITH_SECRETS: Final = "pulumi stack output --json --show-secrets"
_UNSHOWN: Final = "[secret]"


class InputError(Exception):
    """What was given to the probe cannot be used; the message names it and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One region of the stack, as its outputs declare it; `host` is that of the backend's url."""

    name: str
    location: str
    region: str
    host: str
    priority: int
    weight: int


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A deployed stack, by its outputs; the key is in no representation of it."""

    gateway_url: str
    inference_url: str
    subscription_key: str = field(repr=False)
    deployment: str
    api_version: str
    pool_id: str
    pool_name: str
    routing: str
    backends: tuple[Backend, ...]

    @property
    def chat_url(self) -> str:
        """Where one chat completion is asked for."""
        return (
            f"{self.inference_url}/openai/deployments/{quote(self.deployment, safe='')}"
            f"/chat/completions?api-version={quote(self.api_version, safe='')}"
        )

    @property
    def models_url(self) -> str:
        """Where the models are listed, by the same pool and policy and at no cost."""
        return f"{self.inference_url}/openai/models?api-version={quote(self.api_version, safe='')}"

    @property
    def members(self) -> tuple[Member, ...]:
        """The pool that the stack declares."""
        return tuple(
            Member(name=b.name, priority=b.priority, weight=b.weight) for b in self.backends
        )

    @property
    def regions(self) -> dict[str, str]:
        """Display name of each backend's region, by the backend's name."""
        return {b.name: b.region for b in self.backends}

    def by_host(self, host: str) -> Backend | None:
        """Find the backend that a host or host:port belongs to."""
        return next((b for b in self.backends if b.host == host.lower()), None)

    def shares(self, *, round_robin: bool) -> dict[str, float]:
        """Return the share of the traffic that each backend should get, by its name."""
        if round_robin:
            return {b.name: 1 / len(self.backends) for b in self.backends}
        return {name: float(share) for name, share in expected_shares(self.members).items()}

    def redact(self, text: str) -> str:
        """Return a text of the network's making as one that may be shown: no key, no controls."""
        shown = text.replace(self.subscription_key, _UNSHOWN)
        return "".join(character if character.isprintable() else " " for character in shown)


def read(source: str, standard_input: BinaryIO) -> Stack:
    """Read the outputs from a file, or from standard input for `-`. Raises InputError."""
    name = "standard input" if source == "-" else source
    try:
        if source == "-":
            text = standard_input.read(LARGEST + 1)
        else:
            with Path(source).open("rb") as file:
                text = file.read(LARGEST + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"Outputs {name}: {reason}; write them with `{_WITH_SECRETS}`") from None
    if len(text) > LARGEST:
        raise InputError(f"Outputs {name}: more than {LARGEST:,} bytes; is it `{_WITH_SECRETS}`?")
    return parse(text, name)


def parse(text: bytes, name: str) -> Stack:
    """Validate outputs whole, as JSON; `name` says where they come from. Raises InputError."""
    if not text.strip():
        raise InputError(f"Outputs {name}: empty; write them with `{_WITH_SECRETS}`")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"Outputs {name}: no JSON; write them with `{_WITH_SECRETS}`") from None
    if not isinstance(document, dict):
        raise InputError(
            f"Outputs {name}: a JSON object is needed, not {_kind(document)}; "
            f"write them with `{_WITH_SECRETS}`"
        )
    return _stack(_Fields(document, name))


class _Fields:
    """Typed access to one object of the outputs, whose errors name the key."""

    def __init__(self, document: Mapping[str, Any], name: str, path: str = "") -> None:
        self.document, self.name, self.path = document, name, path

    def error(self, key: str, problem: str) -> InputError:
        return InputError(f"Outputs {self.name}: `{self.path}{key}` {problem}")

    def value(self, key: str, kind: type) -> Any:
        if key not in self.document:
            raise self.error(key, "is missing; is the stack deployed? run `pulumi up`")
        value = self.document[key]
        if value == _UNSHOWN:
            raise self.error(key, f'is "{_UNSHOWN}"; use --show-secrets: `{_WITH_SECRETS}`')
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.error(key, f"must be {_NAMES[kind]}, not {_kind(value)}")
        return value

    def text(self, key: str) -> str:
        value: str = self.value(key, str)
        if not value or not value.isprintable():
            raise self.error(key, "must be a text of printable characters")
        return value

    def number(self, key: str) -> int:
        value: int = self.value(key, int)
        if value < 0:
            raise self.error(key, f"must be 0 or more, not {value}")
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

    def at(self, key: str) -> "_Fields":
        return _Fields(self.value(key, dict), self.name, f"{self.path}{key}.")


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


def _stack(fields: _Fields) -> Stack:
    backends = fields.value("backends", list)
    if len(backends) < 2:
        raise fields.error("backends", f"has {len(backends)} of the 2 or more that share traffic")
    key = fields.text("subscription_key")
    if not key.isascii() or " " in key:
        raise fields.error("subscription_key", "holds a character that no key has")
    inference_url = fields.url("inference_url")
    if inference_url.startswith("http:") and not is_loopback(inference_url):
        raise fields.error("inference_url", "is plain http: the key would be sent for all to read")
    routing = fields.text("routing")
    if routing not in ROUTINGS:
        raise fields.error("routing", f"must be one of {', '.join(ROUTINGS)}, not {routing[:80]}")
    pool = fields.at("pool")
    pool_id = pool.text("id")
    if not pool_id.startswith("/"):
        raise pool.error("id", "must be a full Azure Resource Manager id")
    stack = Stack(
        gateway_url=fields.url("gateway_url"),
        inference_url=inference_url,
        subscription_key=key,
        deployment=fields.text("deployment"),
        api_version=fields.text("api_version"),
        pool_id=pool_id,
        pool_name=pool.text("name"),
        routing=routing,
        backends=tuple(_backend(fields, i, backend) for i, backend in enumerate(backends)),
    )
    for what in ("name", "host"):
        seen = [getattr(backend, what) for backend in stack.backends]
        if len(set(seen)) < len(seen):
            raise fields.error("backends", f"has two with one {what}: {', '.join(seen)}")
    return stack


def _backend(fields: _Fields, index: int, document: object) -> Backend:
    path = f"backends[{index}]"
    if not isinstance(document, dict):
        raise fields.error(path, f"must be an object, not {_kind(document)}")
    backend = _Fields(document, fields.name, f"{path}.")
    return Backend(
        name=backend.text("id"),
        location=backend.text("location"),
        region=backend.text("region"),
        host=urlsplit(backend.url("url")).netloc.lower(),
        priority=backend.number("priority"),
        weight=backend.number("weight"),
    )
