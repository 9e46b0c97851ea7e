"""What Azure has and what the stacks' states say, resource by resource and value by value."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from local_azure.deployment.translate import RESOURCE_TYPES, ResourceType
from local_azure.deployment.values import is_secret
from local_azure.identity import authorization
from local_azure.local import SUBSCRIPTION_ID

# What the program puts on resources of another type, and which.
EXTENSIONS = {
    "/{scope}": "/accounts/{accountName}",
    "/{resourceUri}": "/service/{serviceName}",
}

Found = dict[str, tuple[ResourceType, dict[str, Any]]]


def in_azure(state: Path, endpoint: str) -> Found:
    """Every resource of the types that the program uses, by id in lower case, with its body."""
    found: Found = {}
    with httpx.Client(
        base_url=endpoint, headers=authorization(state), trust_env=False, timeout=20
    ) as client:

        def listed(kind: ResourceType, collection: str) -> None:
            answer = client.get(collection, params={"api-version": kind.api_version})
            page = answer.raise_for_status().json()
            assert not page.get("nextLink"), collection
            for body in page["value"]:
                if body["id"].lower().startswith(f"{collection}/".lower()):
                    found[body["id"].lower()] = kind, body

        for kind in sorted(RESOURCE_TYPES.values(), key=_depth):
            collection = kind.path.rpartition("/{")[0]
            for parent in _parents(kind, found):
                listed(kind, parent + collection[len(_parent_path(kind)) :])
    return found


def _depth(kind: ResourceType) -> tuple[bool, int]:
    return _parent_path(kind) in EXTENSIONS, kind.path.count("/")


def _parent_path(kind: ResourceType) -> str:
    """The path of the type in whose resources those of a type are."""
    if (first := kind.path.partition("/providers/")[0]) in EXTENSIONS:
        return first
    paths = (each.path for each in RESOURCE_TYPES.values())
    inside = (path for path in paths if kind.path.startswith(f"{path}/"))
    return max(inside, key=len, default="/subscriptions/{subscriptionId}")


def _parents(kind: ResourceType, found: Found) -> list[str]:
    path = _parent_path(kind)
    if path == "/subscriptions/{subscriptionId}":
        return [f"/subscriptions/{SUBSCRIPTION_ID}"]
    wanted = EXTENSIONS.get(path, path)
    return [body["id"] for of, body in found.values() if of.path.endswith(wanted)]


def in_states(state: Path) -> dict[str, dict[str, Any]]:
    """Every resource of Azure in a stack of either deployment, by id in lower case."""
    files = [*(state / "pulumi").glob("*/*.json"), *(state / "stacks").glob("*.json")]
    return {
        each["id"].lower(): each
        for path in files
        for each in _resources(json.loads(path.read_text(encoding="utf-8")))
        # One whose replacement failed is in the state, to be made, and is not there.
        if each["type"] in RESOURCE_TYPES and not each.get("pendingReplacement")
    }


def _resources(content: dict[str, Any]) -> list[dict[str, Any]]:
    while "deployment" in content:  # the CLI's
        content = content["deployment"]
    return content.get("resources") or []


def differences(
    state: Path, endpoint: str, *, before: Found | None = None, values: bool = True
) -> list[str]:
    """What Azure and the states do not agree on; what was there `before` belongs to neither.

    With `values` each output in a state is compared with what Azure answers now.
    """
    azure, states = in_azure(state, endpoint), in_states(state)
    ours = azure.keys() - (before or {}).keys()
    told = [f"in Azure and in no state: {each}" for each in sorted(ours - states.keys())]
    told += [f"in a state and not in Azure: {each}" for each in sorted(states.keys() - ours)]
    if values:
        for each in sorted(ours & states.keys()):
            kind, body = azure[each]
            told += _other_values(each, states[each]["outputs"], kind.outputs(body))
    return told


def _other_values(name: str, said: dict[str, Any], has: dict[str, Any]) -> Iterator[str]:
    for key in sorted({*said, *has}):
        old, new = said.get(key), has.get(key)
        if not is_secret(old) and not is_secret(new) and old != new:
            yield f"{name}: {key} is {old!r} in the state and {new!r} in Azure"
