"""What a resource provider does: create, read, update and delete, at Resource Manager or at home.

ProviderError
 ├─ RefusedError          Azure said no: this request changed nothing
 └─ UncertainError        whether the request had an effect is not known; the next run finds out
     ├─ UnreachableError  Resource Manager does not answer
     └─ StoppedError      the run was interrupted while Azure was at work
"""

import os
import secrets
import string
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from local_azure import durations
from local_azure.deployment import translate
from local_azure.deployment.translate import TranslationError
from local_azure.deployment.values import UNKNOWN, Change, Json, plain
from local_azure.identity import RESOURCE_MANAGER, Application, application
from local_azure.local import TENANT_ID, LocalAzureError

if TYPE_CHECKING:  # a preview that sends no request does without
    import httpx

DEFAULT_TIMEOUT = 1800.0  # seconds for one operation; azure-native's own default is as patient
BUSY_TIMEOUT = 60.0  # seconds to wait while Azure is still at work on something else
TERMINAL_FAILURES = ("Failed", "Canceled")

# Azure's own codes for "not now": they end by themselves (Resource Manager, "Resolve errors").
BUSY_CODES = ("RequestConflict", "AnotherOperationInProgress", "ServiceIsBusy")
SOFT_DELETED = "a deleted resource keeps its name for 48 hours: purge it, or choose another name"
REMEDIES = {
    "FlagMustBeSetForRestore": SOFT_DELETED,
    "CustomDomainInUse": "choose another subdomain: it is unique in all of Azure",
    "ServiceAlreadyExistsInSoftDeletedState": SOFT_DELETED,
}


# Who is signed in, and a token of its own: no request to Resource Manager.
_CLIENT_CONFIG = "azure-native:authorization:getClientConfig"
_CLIENT_TOKEN = "azure-native:authorization:getClientToken"  # noqa: S105 - a token of Pulumi


class ProviderError(Exception):
    """An operation failed; the message is what a person is shown."""


class RefusedError(ProviderError):
    """Azure refused: the request changed nothing."""


class UncertainError(ProviderError):
    """It is not known whether the request had an effect."""


class UnreachableError(UncertainError):
    """Resource Manager does not answer."""


class StoppedError(UncertainError):
    """The run was interrupted while Azure was at work."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A resource that is there: its id, its outputs, and whether its last change succeeded."""

    id: str
    outputs: dict[str, Json]
    succeeded: bool = True


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """A resource as it is now, and the inputs that would make it so."""

    id: str
    inputs: dict[str, Json]
    outputs: dict[str, Json]


class Provider(Protocol):
    """The operations of one kind of resource. Inputs are checked, with secrets still wrapped."""

    def check(
        self, name: str, inputs: Mapping[str, Json], old: Mapping[str, Json] | None
    ) -> dict[str, Json]:
        """Return complete inputs, given those of the `old` state if there is one."""

    def needs_replacement(self, change: Change) -> bool:
        """Whether this change needs a new resource."""

    def is_change(self, change: Change) -> bool:
        """Whether this change makes any difference."""

    def preview(
        self, inputs: Mapping[str, Json], old: Mapping[str, Json] | None
    ) -> dict[str, Json]:
        """Return the outputs as far as they are known beforehand; `old` are those of before."""

    def resource_id(self, inputs: Mapping[str, Json]) -> str:
        """Return the id that the resource will have; empty where creation makes it up."""

    def read(self, resource_id: str, timeout: float) -> Found | None:
        """Return the resource, once no operation is under way on it; None if it is not there."""

    def peek(self, resource_id: str) -> Found | None:
        """Return the resource as it is at this moment; None if it is not there."""

    def refreshed(
        self, resource_id: str, inputs: Mapping[str, Json], outputs: Mapping[str, Json]
    ) -> Refreshed | None:
        """Return the resource as it is, given the inputs and outputs that were; None if gone.

        Without them, as in an import, the inputs are made from what is there.
        """

    def put(self, resource_id: str, inputs: Mapping[str, Json], timeout: float) -> Found:
        """Create or update."""

    def delete(self, resource_id: str, timeout: float) -> None:
        """Delete; a resource that is not there is deleted."""


class ResourceManager:
    """Requests to Resource Manager, over one shared connection pool made at the first of them.

    `endpoint` is called when it is first needed; `token` signs in at a resource, as `application`.
    `stop` interrupts waiting, never a request.
    """

    application: Application

    def __init__(
        self,
        endpoint: Callable[[], str],
        *,
        token: Callable[[str], str],
        subscription_id: str,
        stop: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.subscription_id = subscription_id
        self.application = application(os.environ.get("ARM_CLIENT_ID"))
        self._endpoint = endpoint
        self._token = token
        self._stop = stop or threading.Event()
        self._clock = clock
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def close(self) -> None:
        """Close the connections, if any were opened."""
        if self._client is not None:
            self._client.close()

    def call(self, token: str, arguments: Mapping[str, Json]) -> dict[str, Json]:
        """Return what a function of azure-native returns."""
        if token == _CLIENT_CONFIG:
            return {
                "clientId": self.application.client_id,
                "objectId": self.application.principal_id,
                "subscriptionId": self.subscription_id,
                "tenantId": TENANT_ID,
            }
        if token == _CLIENT_TOKEN:
            self._connect()  # who asks for a token goes on to where it is good
            return {"token": self._token(arguments.get("endpoint") or RESOURCE_MANAGER)}
        function = translate.function(token)
        path, query = function.request(plain(arguments), self.subscription_id)
        response = self._send(function.method, path, query)
        _raise_for(response)
        return function.result(response.json())

    def get(self, path: str, api_version: str) -> dict[str, Json] | None:
        """Return a resource's body, or None where there is none."""
        response = self._send("GET", path, {"api-version": api_version})
        if response.status_code == 404:
            return None
        _raise_for(response)
        return dict(response.json())

    def settled(self, path: str, api_version: str, timeout: float) -> dict[str, Json] | None:
        """Return a resource's body once no operation is under way on it."""
        deadline = self._clock() + timeout
        pause = 0.02
        while True:
            body = self.get(path, api_version)
            state = _provisioning_state(body)
            if body is None or state in ("", "Succeeded", *TERMINAL_FAILURES):
                return body
            pause = self._wait(pause, deadline, f"provisioning state {state}")

    def change(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        body: Json = None,
        timeout: float,
    ) -> None:
        """Send a PUT or DELETE and wait for its operation's end, if Azure makes one of it."""
        deadline = self._clock() + timeout
        response = self._send_when_free(method, path, query, body, min(timeout, BUSY_TIMEOUT))
        if method == "DELETE" and response.status_code == 404:
            return
        _raise_for(response)
        status_url = response.headers.get("Azure-AsyncOperation")
        if status_url is None and response.status_code == 202:
            status_url = response.headers.get("Location")
        told = durations.retry_after(response.headers.get("Retry-After"))
        pause = 0.02 if told is None else told
        while status_url:
            pause = self._wait(pause, deadline, "the operation")
            response = self._send("GET", status_url, {})
            if response.status_code == 404:  # the operation's record has expired: it is over
                return
            _raise_for(response, UncertainError)
            if response.status_code == 202:
                continue
            status = (response.json() if response.content else {}).get("status", "Succeeded")
            if status in TERMINAL_FAILURES:
                raise UncertainError(_message(status, response.json().get("error") or {}))
            if status == "Succeeded":
                return

    def _send_when_free(
        self, method: str, path: str, query: Mapping[str, str], body: Json, timeout: float
    ) -> "httpx.Response":
        """Send, again for a while as long as Azure says that it is busy with something else."""
        deadline = self._clock() + timeout
        pause = 0.05
        while True:
            response = self._send(method, path, query, body)
            if response.status_code != 409 or _error(response).get("code") not in BUSY_CODES:
                return response
            if self._clock() >= deadline:
                return response
            pause = self._wait(pause, deadline + pause, "Azure to be free")

    def _send(
        self, method: str, path: str, query: Mapping[str, str], body: Json = None
    ) -> "httpx.Response":
        import httpx  # noqa: PLC0415 - see TYPE_CHECKING above

        client, endpoint = self._connect()
        try:
            # A status url is whole already; an ARM id is not.
            url = path if path.startswith("http") else f"{endpoint}{quote(path)}"
            headers = {"Authorization": f"Bearer {self._token(RESOURCE_MANAGER)}"}
            return client.request(method, url, params=query or None, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise UnreachableError(
                f"Resource Manager at {endpoint} does not answer ({error or type(error).__name__});"
                " start it with `local-azure serve`"
            ) from None

    def _connect(self) -> "tuple[httpx.Client, str]":
        import ssl  # noqa: PLC0415 - see TYPE_CHECKING above

        import httpx  # noqa: PLC0415

        with self._lock:
            if self._client is None:
                try:
                    self._url = self._endpoint().rstrip("/")
                except LocalAzureError as error:
                    raise UnreachableError(str(error)) from None
                self._client = httpx.Client(
                    timeout=httpx.Timeout(60, connect=5),
                    # The local Azure is on loopback: no proxy from the environment may see this,
                    # and there are no certificates to load.
                    trust_env=False,
                    verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
                )
            return self._client, self._url

    def _wait(self, pause: float, deadline: float, what: str) -> float:
        """Pause, then return the next pause. Raises StoppedError, UncertainError when too late."""
        if self._stop.wait(max(0.0, min(pause, deadline - self._clock()))):
            raise StoppedError("interrupted")
        if self._clock() >= deadline:
            raise UncertainError(f"timed out waiting for {what}")
        return min(max(pause, 0.02) * 1.5, 1.0)


class AzureProvider:
    """One resource type at Resource Manager."""

    def __init__(self, kind: translate.ResourceType, resource_manager: ResourceManager) -> None:
        self._kind = kind
        self._azure = resource_manager
        self.check = kind.check
        self.needs_replacement = kind.needs_replacement
        self.is_change = kind.is_change
        self.preview = kind.preview_outputs

    def resource_id(self, inputs: Mapping[str, Json]) -> str:
        """Return the ARM id."""
        return self._kind.resource_id(plain(inputs), self._azure.subscription_id)

    def read(self, resource_id: str, timeout: float = DEFAULT_TIMEOUT) -> Found | None:
        """Return the resource, once no operation is under way on it; None if it is not there."""
        body = self._azure.settled(resource_id, self._kind.api_version, timeout)
        return self._as_found(resource_id, body)

    def peek(self, resource_id: str) -> Found | None:
        """Return the resource as it is at this moment."""
        return self._as_found(resource_id, self._azure.get(resource_id, self._kind.api_version))

    def _as_found(self, resource_id: str, body: Mapping[str, Json] | None) -> Found | None:
        if body is None:
            return None
        return Found(
            id=str(body.get("id", resource_id)),
            outputs=self._kind.outputs(body),
            succeeded=_provisioning_state(body) not in TERMINAL_FAILURES,
        )

    def refreshed(
        self, resource_id: str, inputs: Mapping[str, Json], outputs: Mapping[str, Json]
    ) -> Refreshed | None:
        """Return the resource as Azure has it, its inputs changed where Azure's answer is."""
        self._kind.path_of(resource_id)  # what a person imports may be anything
        body = self._azure.settled(resource_id, self._kind.api_version, DEFAULT_TIMEOUT)
        if body is None:
            return None
        now = self._kind.outputs(body)
        return Refreshed(
            id=str(body.get("id", resource_id)),
            outputs=now,
            inputs=self._kind.followed(inputs, outputs, now)
            if inputs
            else self._kind.inputs_of(resource_id, body),
        )

    def put(
        self, resource_id: str, inputs: Mapping[str, Json], timeout: float = DEFAULT_TIMEOUT
    ) -> Found:
        """Create or update, then read: as azure-native does, so that a later read is the same."""
        clear = plain(inputs)
        self._azure.change(
            "PUT",
            resource_id,
            self._kind.query_parameters(clear),
            body=self._kind.body(clear),
            timeout=timeout,
        )
        found = self.read(resource_id, timeout)
        if found is None:
            raise UncertainError("was not there after Azure had accepted it")
        if not found.succeeded:
            raise UncertainError("its provisioning failed; `up` tries again")
        return found

    def delete(self, resource_id: str, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Delete; a resource that is not there is deleted."""
        query = {"api-version": self._kind.api_version}
        self._azure.change("DELETE", resource_id, query, timeout=timeout)


class RandomProvider:
    """pulumi-random's RandomString and RandomUuid: made here, kept in the checkpoint."""

    DEFAULTS: Mapping[str, Mapping[str, Json]] = {
        "random:index/randomString:RandomString": {
            "lower": True,
            "minLower": 0,
            "minNumeric": 0,
            "minSpecial": 0,
            "minUpper": 0,
            "numeric": True,
            "special": True,
            "upper": True,
        },
        "random:index/randomUuid:RandomUuid": {},
    }
    OPTIONAL = ("keepers", "length", "number", "overrideSpecial")

    def __init__(self, token: str) -> None:
        self._token = token
        self._defaults = self.DEFAULTS[token]
        self._is_string = bool(self._defaults)

    def check(
        self, _name: str, inputs: Mapping[str, Json], _old: Mapping[str, Json] | None
    ) -> dict[str, Json]:
        """Return the inputs. Raises TranslationError for what cannot be made."""
        known = {*self._defaults, *self.OPTIONAL} if self._is_string else {"keepers"}
        problems = [f"unexpected property '{key}'" for key in sorted(set(inputs) - known)]
        if self._is_string and not problems and UNKNOWN not in inputs.values():
            problems = list(_string_problems({**self._defaults, **plain(inputs)}))
        if problems:
            raise TranslationError("; ".join(problems))
        return dict(inputs)

    def needs_replacement(self, _change: Change) -> bool:
        """Whatever changes, a new value is drawn."""
        return True

    def is_change(self, _change: Change) -> bool:
        """Whether this change makes any difference."""
        return True

    def preview(
        self, inputs: Mapping[str, Json], _old: Mapping[str, Json] | None
    ) -> dict[str, Json]:
        """Return the outputs; the value is not drawn before the deployment."""
        return {**self._defaults, **inputs, "result": UNKNOWN}

    def resource_id(self, _inputs: Mapping[str, Json]) -> str:
        """Return nothing: the value is the id."""
        return ""

    def read(self, _resource_id: str, _timeout: float) -> Found | None:
        """Return nothing: a value that did not reach the checkpoint is used nowhere."""
        return None

    def peek(self, _resource_id: str) -> Found | None:
        """Return nothing: there is nothing but the checkpoint."""
        return None

    def refreshed(
        self, resource_id: str, inputs: Mapping[str, Json], outputs: Mapping[str, Json]
    ) -> Refreshed:
        """Return what is kept: the value is nowhere else. An import's id is the value."""
        length = {"length": len(resource_id)} if self._is_string else {}
        return Refreshed(
            id=resource_id,
            inputs=dict(inputs) if inputs else length,
            outputs=dict(outputs)
            if outputs
            else {**self._defaults, **length, "result": resource_id},
        )

    def put(self, _resource_id: str, inputs: Mapping[str, Json], _timeout: float) -> Found:
        """Draw a value."""
        settings = {**self._defaults, **plain(inputs)}
        result = _random_string(settings) if self._is_string else str(uuid.uuid4())
        return Found(id=result, outputs={**self._defaults, **inputs, "result": result})

    def delete(self, _resource_id: str, _timeout: float) -> None:
        """Do nothing: there is nothing but the checkpoint."""


class Providers:
    """The provider of each resource type."""

    def __init__(self, resource_manager: ResourceManager) -> None:
        self._azure = resource_manager
        self._known: dict[str, Provider] = {}

    def __getitem__(self, token: str) -> Provider:
        """Return the provider of a type. Raises TranslationError for an unknown one."""
        if token not in self._known:
            self._known[token] = (
                RandomProvider(token)
                if token in RandomProvider.DEFAULTS
                else AzureProvider(translate.resource_type(token), self._azure)
            )
        return self._known[token]


_SPECIAL = "!@#$%&*()-_=+[]{}<>:?"  # pulumi-random's, and Terraform's


def _classes(settings: Mapping[str, Json]) -> list[tuple[str, bool, int]]:
    """Return each character class: its characters, whether it is wanted, how many at least."""
    numeric = settings["numeric"] and settings.get("number", True)
    special = settings.get("overrideSpecial") or _SPECIAL
    return [
        (string.ascii_lowercase, settings["lower"], settings["minLower"]),
        (string.digits, numeric, settings["minNumeric"]),
        (special, settings["special"], settings["minSpecial"]),
        (string.ascii_uppercase, settings["upper"], settings["minUpper"]),
    ]


def _string_problems(settings: Mapping[str, Json]) -> list[str]:
    classes = _classes(settings)
    least = max(1, sum(minimum for _, _, minimum in classes))
    length = settings.get("length")
    if not isinstance(length, int) or length < least:
        return [f"length {length}: must be an integer of at least {least}"]
    if not any(wanted for _, wanted, _ in classes):
        return ["one of lower, numeric, special and upper must be true"]
    return []


def _random_string(settings: Mapping[str, Json]) -> str:
    random = secrets.SystemRandom()
    classes = _classes(settings)
    drawn = [
        random.choice(characters) for characters, _, minimum in classes for _ in range(minimum)
    ]
    alphabet = "".join(characters for characters, wanted, _ in classes if wanted)
    drawn += [random.choice(alphabet) for _ in range(settings["length"] - len(drawn))]
    random.shuffle(drawn)
    return "".join(drawn)


def _provisioning_state(body: Mapping[str, Any] | None) -> str:
    return str(((body or {}).get("properties") or {}).get("provisioningState") or "")


def _error(response: "httpx.Response") -> dict[str, Any]:
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}


def _raise_for(response: "httpx.Response", refusal: type[ProviderError] = RefusedError) -> None:
    status = response.status_code
    if status < 400:
        return
    message = _message(str(status), _error(response) or {"message": response.reason_phrase})
    raise (UncertainError if status >= 500 else refusal)(message)


def _message(what: str, error: Mapping[str, Any]) -> str:
    """`400 ValidationError: message; pool: Backend Entity 'x' not found.; remedy`."""
    parts = [str(error.get("message", ""))]
    for detail in error.get("details") or []:
        if detail.get("message") and detail["message"] not in parts[0]:
            target = f"{detail['target']}: " if detail.get("target") else ""
            parts.append(f"{target}{detail['message']}")
    code = error.get("code", "")
    if code in REMEDIES:
        parts.append(REMEDIES[code])
    head = f"{what} {code}".strip()
    return f"{head}: {'; '.join(filter(None, parts))}"
