"""The stack's outputs: the program fills and exports them, the probe reads and checks them."""

import json
import re
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from typing import Annotated, Any, Final, Generic, TypeVar, get_args, get_origin
from urllib.parse import urlsplit

from .resource_manager import is_loopback
from .traffic import ROUTINGS, SECRET, Member, Pool, name_end, number

_MISSING: Final = "is missing; is the stack deployed? run `pulumi up`"
WITH_SECRETS: Final = "pulumi stack output --json --show-secrets"  # writes what `read` takes
_MARKS: Final = ("inference_url", "pool", "backends")  # outputs have them all, and nothing else has
_LONGEST: Final = 200  # characters of a path; what is deeper is no output that anybody names

T = TypeVar("T")  # a text that a deployment makes known: `pulumi.Output[str]` before it, then `str`


class OutputsError(Exception):
    """Outputs that are none; the message names the key, what is wrong with it and the remedy."""


@dataclass(frozen=True, kw_only=True)
class PoolReference(Generic[T]):
    """The pool's ARM id and its name."""

    id: Annotated[T, "Azure Resource Manager id of the pool."]
    name: Annotated[T, "Name of the pool, by which a policy sends traffic to it."]


@dataclass(frozen=True, kw_only=True)
class ModelPool(PoolReference[T]):
    """The pool that serves a model's deployment."""

    deployment: Annotated[str, "Name of the deployment."]


@dataclass(frozen=True, kw_only=True)
class PolicyReference(Generic[T]):
    """The API's policy: its ARM id, and the `digest` of what was declared."""

    id: Annotated[T, "Azure Resource Manager id of the policy."]
    digest: Annotated[T, "SHA-256 of what was declared, in hex; white space and comments aside."]


@dataclass(frozen=True, kw_only=True)
class Workspace(Generic[T]):
    """Where the gateway's requests are logged: a Log Analytics workspace's ARM id and its own."""

    id: Annotated[T, "Azure Resource Manager id of the workspace."]
    customer_id: Annotated[T, "The workspace's own id, by which queries name it."]


@dataclass(frozen=True, kw_only=True)
class Backend(Generic[T]):
    """One region: its backend's name and url, and what it was declared with."""

    id: Annotated[str, "Name of the backend."]
    location: Annotated[str, "Azure location of the account, as uksouth."]
    region: Annotated[str, "Display name of the location, as UK South."]
    url: Annotated[T, "URL of the backend: the account's endpoint, and /openai."]
    priority: Annotated[int, "Lower numbers are preferred."]
    weight: Annotated[int, "Part of the traffic, among backends of the same priority."]


@dataclass(frozen=True, kw_only=True)
class PoolOutputs(Generic[T]):
    """What a BackendPool gives."""

    pool_id: Annotated[T, "Azure Resource Manager id of the pool."]
    pool_name: Annotated[T, "Name of the pool, by which a policy sends traffic to it."]


@dataclass(frozen=True, kw_only=True)
class MonitoringOutputs(Generic[T]):
    """What a Monitoring gives."""

    workspace: Annotated[Workspace[T], "The Log Analytics workspace that the rules query."]


@dataclass(frozen=True, kw_only=True)
class Outputs(Generic[T]):
    """The stack outputs by their names; no representation of them shows the key.

    `subscription` is the ARM id of the API Management subscription whose key clients use: who may
    call its `listSecrets` needs no `subscription_key`. `pools` has one for each model, in order:
    the first is `pool`. What has a default here is left out by stacks that were deployed earlier.
    The properties below are for outputs that are known, `Outputs[str]`.
    """

    resource_group: Annotated[T, "Resource group of the API Management service."]
    gateway_url: Annotated[T, "URL of the service's gateway."]
    inference_url: Annotated[T, "What clients take as their Azure OpenAI endpoint."]
    subscription_key: Annotated[
        T | None, "Key that clients send as header `api-key`; left out where `exportKey` is false."
    ] = field(default=None, repr=False)
    deployment: Annotated[str, "Name of the first model's deployment."]
    api_version: Annotated[str, "Version of the data plane that clients use; /v1 paths need none."]
    pool: Annotated[PoolReference[T], "The first model's pool."]
    routing: Annotated[str, "How traffic is shared: round-robin, weighted or priority."]
    backends: Annotated[tuple[Backend[T], ...], "The first pool's members."]
    subscription: Annotated[
        T | None, "Azure Resource Manager id of the subscription whose key clients use."
    ] = None
    pools: Annotated[tuple[ModelPool[T], ...], "A pool for each model, in order."] = ()
    policy: Annotated[PolicyReference[T] | None, "The API's policy."] = None
    workspace: Annotated[
        Workspace[T] | None, "Where requests are logged; left out where nothing is monitored."
    ] = None

    @property
    def chat_url(self) -> str:
        """Where a chat completion is asked for, of the deployment that the body's `model` names."""
        return f"{self.inference_url}/openai/v1/chat/completions"

    @property
    def responses_url(self) -> str:
        """Where a response is asked for, and below which each is found by its id."""
        return f"{self.inference_url}/openai/v1/responses"

    @property
    def models_url(self) -> str:
        """Where the models are listed, by the same pool and policy and at no cost."""
        return f"{self.inference_url}/openai/v1/models"

    @property
    def declared(self) -> Pool:
        """The first model's pool: those of further models differ by their members' names alone."""
        each = (Member(name=b.id, priority=b.priority, weight=b.weight) for b in self.backends)
        return Pool(members=tuple(each))

    def declared_of(self, pool: ModelPool[T]) -> Pool:
        if pool == self.pools[0]:
            return self.declared
        end = name_end(pool.deployment)
        return Pool(members=tuple(replace(m, name=m.name + end) for m in self.declared.members))

    @property
    def regions(self) -> dict[str, str]:
        """Display name of each backend's region, by the backend's name."""
        return {b.id: b.region for b in self.backends}

    def by_host(self, host: str) -> str | None:
        """Name the backend that a host, or host:port, belongs to."""
        return next((b.id for b in self.backends if _host(b.url) == host.lower()), None)

    def redact(self, text: str) -> str:
        """Return a text of the network's making as one that may be shown: no key, no controls."""
        key = self.subscription_key
        return _printable(text.replace(str(key), SECRET) if key else text)


def export(outputs: Any) -> Any:
    """Return the outputs as the program exports them, and as `read` takes them back."""
    if isinstance(outputs, tuple):
        return [export(each) for each in outputs]
    if is_dataclass(outputs):
        values = {each.name: getattr(outputs, each.name) for each in fields(outputs)}
        return {name: export(value) for name, value in values.items() if value is not None}
    return outputs


def digest(policy: str) -> str:
    """SHA-256 of a policy in hex; white space, comments and the order of attributes aside.

    Raises ValueError for a policy that is no well-formed XML.
    """
    from hashlib import sha256  # noqa: PLC0415 - most readers of outputs need no digest
    from xml.etree.ElementTree import ParseError, canonicalize  # noqa: PLC0415

    try:
        return sha256("".join(canonicalize(policy).split()).encode()).hexdigest()
    except ParseError as error:
        raise ValueError(f"the policy is no well-formed XML: {error}") from None


def read(text: bytes | str, key: str | None = None) -> Outputs[str]:
    """Read outputs as JSON, and check them whole. Raises OutputsError."""
    return find(text, key)[1]


def find(text: bytes | str, key: str | None = None) -> tuple[str, Outputs[str]]:
    """`read`, and where: at the top level, or at the one path below, or at `key` of several."""
    remedy = f"write them with `{WITH_SECRETS}`"
    if not text.strip():
        raise OutputsError(f"empty; {remedy}")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise OutputsError(f"no JSON; {remedy}") from None
    if not isinstance(document, dict):
        raise OutputsError(f"a JSON object is needed, not {_kind(document)}; {remedy}")
    path, chosen = _chosen(document, key)
    try:
        outputs: Outputs[str] = _read_fields(Outputs, chosen)
        _check(outputs)
    except OutputsError as error:
        raise OutputsError(f"output {path}: {error}" if path else str(error)) from None
    if outputs.pools:
        return path, outputs
    pool = ModelPool(deployment=outputs.deployment, id=outputs.pool.id, name=outputs.pool.name)
    return path, replace(outputs, pools=(pool,))


def _chosen(document: dict[str, Any], key: str | None) -> tuple[str, dict[str, Any]]:
    places = _places(document)
    found = {path: value for path, value in places.items() if _is_outputs(value)}
    if key is None and ("" in found or len(found) == 1):
        key = min(found)
    if key in found:
        return key, found[key]
    listed = ", ".join(sorted(filter(None, found)))[:500]
    if key is None and found:
        raise OutputsError(
            f"there are {len(found)} gateways: {listed}; choose with --outputs-key PATH"
        )
    for path in (path for path, value in places.items() if value == SECRET):
        if path == key or (not found and path not in Outputs.__dataclass_fields__):
            _read(str, SECRET, path)  # which raises
    if key is None:
        if not document or Outputs.__dataclass_fields__.keys() & document.keys():
            return "", document
        named = ", ".join(map(_printable, document))[:200]
        remedy = "export the component's stackOutputs (stack_outputs in Python), under any name"
        raise OutputsError(f"no gateway is in the outputs {named}; {remedy}")
    remedy = "is the stack deployed? run `pulumi up`"
    if listed:
        near = "".join(f"; did you mean {each}?" for each in get_close_matches(key, found, 1))
        remedy = f"--outputs-key PATH takes {listed}{near}"
    elif found:
        remedy = "the only one is at the top level: leave out --outputs-key PATH"
    raise _error(_printable(key[:80]), f"is no gateway; {remedy}")


def _places(document: dict[str, Any]) -> dict[str, Any]:
    """Each value by its path as messages print it; of two that print alike, the less deep one."""
    places: list[tuple[str, Any]] = [("", document)]
    for path, value in places:  # what is in a value is put at the end
        dot, inner = path and f"{path}.", []
        if isinstance(value, dict):
            inner = [(dot + _printable(name), each) for name, each in value.items()]
        elif isinstance(value, list):
            inner = [(f"{path}[{n}]", each) for n, each in enumerate(value)]
        places += [each for each in inner if len(each[0]) <= _LONGEST]
    return dict(reversed(places))


def _is_outputs(value: object) -> bool:
    return isinstance(value, dict) and all(_spellings(name, value) for name in _MARKS)


def _spellings(name: str, document: dict[str, Any]) -> list[str]:
    camel = re.sub("_(.)", lambda found: found[1].upper(), name)
    return [each for each in dict.fromkeys((name, camel)) if each in document]


def _check(outputs: Outputs[str]) -> None:
    key = outputs.subscription_key
    if key is None and outputs.subscription is None:
        raise _error("subscription_key", _MISSING)
    if key and (not key.isascii() or " " in key):
        raise _error("subscription_key", "holds a character that no key has")
    url = outputs.inference_url
    if url.startswith("http:") and not is_loopback(url):
        raise _error("inference_url", "is plain http: the key would be sent for all to read")
    if (routing := outputs.routing) not in ROUTINGS:
        raise _error("routing", f"must be one of {', '.join(ROUTINGS)}, not {routing[:80]}")
    for name, resource_id in (
        ("pool.id", outputs.pool.id),
        ("subscription", outputs.subscription),
        ("policy.id", outputs.policy and outputs.policy.id),
        ("workspace.id", outputs.workspace and outputs.workspace.id),
        *((f"pools[{n}].id", pool.id) for n, pool in enumerate(outputs.pools)),
    ):
        if resource_id and not resource_id.startswith("/"):
            raise _error(name, "must be a full Azure Resource Manager id")
    for what, seen in (
        ("name", [backend.id.lower() for backend in outputs.backends]),
        ("host", [_host(backend.url) for backend in outputs.backends]),
    ):
        if len(set(seen)) < len(seen):
            raise _error("backends", f"has two with one {what}: {', '.join(seen)}")


def _read(kind: Any, value: Any, key: str) -> Any:
    if value == SECRET:
        raise _error(key, f'is "{SECRET}"; use --show-secrets: `{WITH_SECRETS}`')
    if kind is int:
        found = number(value, key.rpartition(".")[2])
        if isinstance(found, str):
            raise _error(key, f"is {found}; is it an output of this program?")
        return found
    if type(None) in get_args(kind):  # what may be left out is never null
        kind = get_args(kind)[0]
    of: Any = get_origin(kind)
    wanted = {None: str, tuple: list}.get(of, dict)
    if not isinstance(value, wanted):
        raise _error(key, f"must be {_NAMES[wanted]}, not {_kind(value)}")
    if of is tuple:
        if len(value) < 2 and key == "backends":
            raise _error(key, f"has {len(value)} of the 2 or more that share traffic")
        return tuple(_read(get_args(kind)[0], v, f"{key}[{n}]") for n, v in enumerate(value))
    return _read_fields(of, value, f"{key}.") if of else _text(value, key)


def _read_fields(kind: Any, document: dict[str, Any], path: str = "") -> Any:
    known = {}
    types = {each.name: declared_type(each.type) for each in fields(kind)}
    for each in sorted(fields(kind), key=lambda each: get_origin(types[each.name]) is not tuple):
        names = _spellings(each.name, document)
        if len(names) > 1:
            raise _error(path + names[0], f"is there as `{names[1]}` too; export one of the two")
        if not names:
            if each.default is not MISSING:
                continue
            raise _error(path + each.name, _MISSING)
        known[each.name] = _read(types[each.name], document[names[0]], path + each.name)
    return kind(**known)


def declared_type(annotation: Any) -> Any:
    """Return the type of a field, without its description."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _text(text: str, key: str) -> str:
    if not text or not text.isprintable():
        raise _error(key, "must be a text of printable characters")
    if not key.endswith("url"):
        return text
    try:
        parts = urlsplit(text)
        _ = parts.port  # which raises, too
        is_url = parts.hostname and parts.scheme in ("http", "https")
    except ValueError:
        is_url = False
    if not is_url or not text.isascii() or " " in text:
        raise _error(key, "must be an http or https URL with a host")
    return text.rstrip("/")


def _host(url: object) -> str:
    return urlsplit(str(url)).netloc.lower()


_NAMES: Final = {str: "a text", int: "a whole number", dict: "an object", list: "a list"}


def _kind(value: object) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return _NAMES.get(type(value), "a fraction")


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _error(key: str, problem: str) -> OutputsError:
    return OutputsError(f"`{key}` {problem}")
