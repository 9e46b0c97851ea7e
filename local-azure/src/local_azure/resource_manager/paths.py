"""Resource Manager paths: what a request names."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

SUBSCRIPTION = "Microsoft.Resources/subscriptions"
PROVIDER = "Microsoft.Resources/providers"
RESOURCE_GROUP = "Microsoft.Resources/resourceGroups"
OPERATION_RESULT = "Microsoft.Resources/operationResults"

# Segments outside any provider, and the type of what they name.
_ROOT_TYPES = {
    "subscriptions": ("subscriptions", SUBSCRIPTION),
    "resourcegroups": ("resourceGroups", RESOURCE_GROUP),
    "operationresults": ("operationresults", OPERATION_RESULT),
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One resource on the way down a path: `type` is full (`Microsoft.X/a/b`), so is `id`."""

    type: str
    name: str
    id: str


@dataclass(frozen=True, kw_only=True)
class ArmPath:
    """The resources a path names, outermost first, and what follows the last name.

    `tail` is the full type of a collection (GET) or of an action (POST); empty when the path ends
    in a name.
    """

    steps: tuple[Step, ...]
    tail: str = ""

    @property
    def id(self) -> str:
        """The id of the innermost resource; empty at the root."""
        return self.steps[-1].id if self.steps else ""

    @property
    def type(self) -> str:
        """The full type of what is asked for: the collection's, else the resource's."""
        return self.tail or self.steps[-1].type

    @property
    def name(self) -> str:
        """The name of the innermost resource."""
        return self.steps[-1].name

    def step(self, type_name: str) -> Step | None:
        """Return the resource of a type that the path leads through, itself included."""
        for step in self.steps:
            if step.type.lower() == type_name.lower():
                return step
        return None


def parse(raw_path: str, spelling: Mapping[str, str]) -> ArmPath | None:
    """Take a percent-encoded path apart; None when it is no Resource Manager path.

    `spelling` has the namespaces and full types as Azure spells them, by their lower case; names
    keep the casing of the path.
    """
    segments = [unquote(segment) for segment in raw_path.strip("/").split("/")]
    if not all(segments) or any("/" in segment for segment in segments):
        return None
    steps: list[Step] = []
    resource_id = provider = ""
    named = False
    rest = iter(segments)
    for segment in rest:
        following = next(rest, None)
        if segment.lower() == "providers":
            if following is None:
                return ArmPath(steps=tuple(steps), tail=PROVIDER) if steps else None
            provider, named = spelling.get(following.lower(), following), False
            resource_id += f"/providers/{provider}"
            continue
        word, full_type = _typed(segment, provider, spelling)
        if following is None:
            return ArmPath(steps=tuple(steps), tail=full_type)
        resource_id += f"/{word}/{following}"
        steps.append(Step(type=full_type, name=following, id=resource_id))
        provider, named = full_type if provider else "", True
    if not named and steps and steps[-1].type == SUBSCRIPTION:
        steps.append(Step(type=PROVIDER, name=provider, id=resource_id))
        named = True
    return ArmPath(steps=tuple(steps)) if named else None


def _typed(segment: str, provider: str, spelling: Mapping[str, str]) -> tuple[str, str]:
    """Return a type segment and the full type it makes, as Azure spells them."""
    if not provider:
        return _ROOT_TYPES.get(segment.lower(), (segment, f"Microsoft.Resources/{segment}"))
    full_type = spelling.get(f"{provider}/{segment}".lower(), f"{provider}/{segment}")
    return full_type.rsplit("/", 1)[-1], full_type
