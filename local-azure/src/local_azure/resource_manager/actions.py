"""What can be POSTed: one entry an action, with what it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local_azure.resource_manager import names
from local_azure.resource_manager import resource_types as types
from local_azure.resource_manager.errors import ArmError
from local_azure.resource_manager.request import Request


@dataclass(frozen=True, kw_only=True)
class Action:
    """One action: the body it answers with, None for none.

    `renews` names the keys of its resource that it replaces before it answers.
    """

    answer: Callable[[Request], Mapping[str, Any] | None]
    renews: Callable[[Request], tuple[str, ...]] | None = None


def _keys(*keys: str) -> Callable[[Request], Mapping[str, Any]]:
    def answer(request: Request) -> Mapping[str, Any]:
        known = request.view.secrets(request.id)
        return {key: known[key] for key in keys}

    return answer


def _nothing(_: Request) -> None:
    return None


def _registered(request: Request) -> Mapping[str, Any]:
    """Answer with the provider: every one is registered."""
    namespace = request.path.tail.partition("/")[0]
    provider = request.find(f"{request.id}/providers/{namespace}")
    return provider.body if provider else {}


def _named_key(request: Request) -> tuple[str, ...]:
    keys = {"key1": "key1", "key2": "key2"}
    name = _sent(request, "keyName")
    if name.lower() not in keys:
        message = f"The key name '{name[:80]}' is invalid. It should be Key1 or Key2."
        raise ArmError(400, "InvalidKeyName", message)
    return (keys[name.lower()],)


def _subdomain_availability(request: Request) -> Mapping[str, Any]:
    subdomain = _sent(request, "subdomainName")
    taken = bool(names.accounts_of_subdomain(request.view, subdomain))
    reason = f"Sub domain name '{subdomain}' is already used. Please pick a different name."
    return {
        "isSubdomainAvailable": not taken,
        "reason": reason if taken else None,
        "subdomainName": subdomain,
        "type": _sent(request, "type"),
    }


def _service_name_availability(request: Request) -> Mapping[str, Any]:
    name = _sent(request, "name")
    if names.services_of_name(request.view, name):
        message = f"{name} is already in use. Please select a different name."
        return {"nameAvailable": False, "reason": "AlreadyExists", "message": message}
    return {"nameAvailable": True, "reason": "Valid", "message": ""}


def _sent(request: Request, name: str) -> str:
    value = request.sent.get(name) if isinstance(request.sent, dict) else None
    if not isinstance(value, str) or not value:
        raise ArmError(
            400,
            "InvalidRequestContent",
            f"The request content was invalid: '{name}' should be a string that is not empty.",
        )
    return value


ACTIONS: Mapping[str, Action] = {
    f"{types.NAMED_VALUE}/listValue": Action(answer=_keys("value")),
    f"{types.APIM_SUBSCRIPTION}/listSecrets": Action(answer=_keys("primaryKey", "secondaryKey")),
    f"{types.APIM_SUBSCRIPTION}/regeneratePrimaryKey": Action(
        answer=_nothing, renews=lambda _: ("primaryKey",)
    ),
    f"{types.APIM_SUBSCRIPTION}/regenerateSecondaryKey": Action(
        answer=_nothing, renews=lambda _: ("secondaryKey",)
    ),
    f"{types.ACCOUNT}/listKeys": Action(answer=_keys("key1", "key2")),
    f"{types.ACCOUNT}/regenerateKey": Action(answer=_keys("key1", "key2"), renews=_named_key),
    **{each: Action(answer=_registered) for each in types.REGISTRATIONS},
    types.CHECK_SUBDOMAIN: Action(answer=_subdomain_availability),
    types.CHECK_SERVICE_NAME: Action(answer=_service_name_availability),
}
