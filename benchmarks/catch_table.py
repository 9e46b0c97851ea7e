"""Which stage catches which mistake first, and whether any of them condemns a harmless change.

`python benchmarks/catch_table.py` (`make catch-table`) deploys the dev stack to a local Azure of
its own, makes mistakes in its config, in its resources, in the live pool and in the traffic, each
by seed, and asks every stage in the order in which they come: config, policy pack, preview comment,
Resource Manager, the probe's look at the pool, the probe's traffic. A changed config is previewed:
against the deployed stack, or for a harmless change against a new one, since renaming or moving a
deployed region is no harmless change. `--write` puts the table into docs/catch-table.md. Exit
code 1 when a mistake gets past all of them, when one that a preview can know is caught after the
merge, or when a harmless change is condemned.
"""

import argparse
import contextlib
import copy
import io
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from components import contract, guardrails  # noqa: E402 - a script finds the root first
from components.traffic import Pool  # noqa: E402
from local_azure import deployment, server  # noqa: E402
from local_azure.deployment import translate  # noqa: E402
from local_azure.deployment.values import plain  # noqa: E402
from local_azure.identity import authorization  # noqa: E402
from local_azure.local import SUBSCRIPTION_ID  # noqa: E402
from probes.control_plane import FoundPool  # noqa: E402
from probes.exit_codes import AS_DECLARED  # noqa: E402
from probes.preview import model, verdict  # noqa: E402
from probes.report import Expectation  # noqa: E402
from probes.tally import Answer, Tally  # noqa: E402

SEED = 20_251_117
EACH = 6
"""Instances of each kind of mistake; their places and values are drawn."""
DOCUMENT = ROOT / "docs" / "catch-table.md"
STAGES = (
    "config",
    "policy pack",
    "preview comment",
    "Resource Manager",
    "probe: pool",
    "probe: traffic",
)
BEFORE_THE_MERGE = STAGES[:3]
POOL = "inference-backend-pool"

Json = dict[str, Any]
Mistake = Callable[[Any, random.Random], None]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of change: to the `config`, the `resources`, the live `pool` or the `traffic`.

    `known` says that a preview could know it: then it must be caught before the merge. `source` is
    where it was published, by others; `stack` is what a changed config is previewed against.
    """

    name: str
    of: str
    change: Mistake
    known: bool = True
    source: str = ""
    stack: str = "dev"


class Deployed:
    """The dev stack as it was deployed: config, resources, outputs, and Resource Manager."""

    def __init__(self, state: Path, endpoint: str) -> None:
        self._state, self._endpoint = state, endpoint
        self._text = (ROOT / "Pulumi.dev.yaml").read_text("utf-8")
        checkpoint = json.loads((state / "stacks" / "dev.json").read_text("utf-8"))
        self.resources: list[Json] = [plain(each) for each in checkpoint["resources"]]
        self.outputs: Json = deployment.outputs(state, "dev", show_secrets=True)
        self.expected = Expectation.of(contract.read(json.dumps(self.outputs)), "declared")
        self._arm = httpx.Client(
            base_url=endpoint, headers=authorization(state), trust_env=False, timeout=30
        )

    def caught(self, kind: Kind, rng: random.Random) -> str:
        """Return the first stage that catches one change of this kind; empty when none does."""
        stages = {
            "file": self._file,
            "config": self._config,
            "resources": self._resources,
            "pool": self._pool,
            "traffic": self._traffic,
        }
        return str(next(stages[kind.of](kind, rng), ""))

    def _config(self, kind: Kind, rng: random.Random) -> Iterator[str]:
        document = yaml.safe_load(self._text)
        prefix = "openai-gateway:"
        config = {key.removeprefix(prefix): value for key, value in document["config"].items()}
        kind.change(config, rng)
        document["config"] = {f"{prefix}{key}": value for key, value in config.items()}
        yield from self._previewed(yaml.safe_dump(document), kind.stack)

    def _file(self, kind: Kind, rng: random.Random) -> Iterator[str]:
        lines = self._text.splitlines()
        kind.change(lines, rng)
        yield from self._previewed("\n".join(lines), kind.stack)

    def _previewed(self, text: str, stack: str) -> Iterator[str]:
        """Preview a stack's file; what the program refuses never reaches the comment."""
        file, out = self._state / "Pulumi.changed.yaml", io.StringIO()
        file.write_text(text, "utf-8")
        with contextlib.redirect_stderr(io.StringIO()):
            deployment.run(
                "preview",
                project_dir=ROOT,
                stack=stack,
                state_dir=self._state,
                arm_endpoint=lambda: self._endpoint,
                config_file=file,
                json=True,
                show_sames=True,
                out=out,
            )
        try:
            preview = model.parse(out.getvalue())
        except model.PreviewError:
            yield "config"
            return
        if preview.failures:
            yield "config"
        if verdict.judge(preview).code != AS_DECLARED:
            yield "preview comment"

    def _resources(self, kind: Kind, rng: random.Random) -> Iterator[str]:
        resources = copy.deepcopy(self.resources)
        kind.change(resources, rng)
        if guardrails.violations([_described(each, self.outputs) for each in resources]):
            yield "policy pack"
        steps = [
            {
                "op": "update",
                "urn": each["urn"],
                "newState": {key: each.get(key) for key in ("type", "inputs", "protect")},
            }
            for each in resources
        ]
        preview = model.parse(json.dumps({"steps": steps, "changeSummary": {}}))
        if verdict.judge(preview).code != AS_DECLARED:
            yield "preview comment"
        if self._refused(resources):
            yield "Resource Manager"

    def _refused(self, resources: list[Json]) -> bool:
        """Whether Resource Manager refuses one of the changed resources; then all is as before."""
        before = {each["urn"]: each for each in self.resources}
        changed = [
            each
            for each in resources
            if each["type"].startswith("azure-native:") and each != before.get(each["urn"])
        ]
        refused = any(self._put(each) >= 400 for each in changed)
        for each in changed:
            if each["urn"] in before:
                self._put(before[each["urn"]])
        return refused

    def _put(self, resource: Json) -> int:
        kind = translate.resource_type(resource["type"])
        inputs = resource["inputs"]
        try:
            checked = kind.check("x", inputs, None)
            path = kind.resource_id(checked, SUBSCRIPTION_ID)
        except translate.TranslationError:
            return 400
        answer = self._arm.put(path, params=kind.query_parameters(checked), json=kind.body(checked))
        return answer.status_code

    def _pool(self, kind: Kind, rng: random.Random) -> Iterator[str]:
        members: list[Json] = [
            {"name": each.name, "priority": each.priority, "weight": each.weight}
            for each in self.expected.outputs.declared.members
        ]
        kind.change(members, rng)
        pool = Pool.read([{**each, "id": each["name"]} for each in members])
        declared = self.expected.outputs.declared
        found = FoundPool(label="the pool", status=200, declared=declared, pool=pool)
        if self.expected.problems(found):
            yield "probe: pool"

    def _traffic(self, kind: Kind, rng: random.Random) -> Iterator[str]:
        answers: list[tuple[str, bool]] = []
        kind.change(answers, rng)
        subject = self.expected.plan
        tally = Tally(subject.shares)
        for backend, is_answer in answers[: subject.most_requests]:
            tally.add(Answer(outcome="answered" if is_answer else "throttled", backend=backend))
            if subject.proved(tally.counts):
                yield "probe: traffic"
            if not subject.open(tally.counts):
                return
        yield "probe: traffic"  # inconclusive: never a pass


def _described(resource: Json, stack_outputs: Json) -> guardrails.Resource:
    is_stack = resource["type"] == "pulumi:pulumi:Stack"
    return guardrails.Resource(
        type=resource["type"],
        name=_name(resource),
        inputs=stack_outputs if is_stack else resource["inputs"],
        protect=resource.get("protect") is True,
    )


def _name(resource: Json) -> str:
    return str(resource["urn"]).rpartition("::")[2]


def _one(resources: list[Json], kind: str, rng: random.Random, name: str = "") -> Json:
    """Return the inputs of one resource of a kind."""
    found = [
        each
        for each in resources
        if each["type"].endswith(f":{kind}")
        and (_name(each) == name if name else _name(each) != POOL)
    ]
    inputs: Json = rng.choice(found)["inputs"]
    return inputs


def _services(resources: list[Json], rng: random.Random) -> list[Json]:
    services: list[Json] = _one(resources, "Backend", rng, POOL)["pool"]["services"]
    return services


# Each mistake is a function of what it changes and of chance.


LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _letter(pattern: str) -> Mistake:
    """Lose, double, swap, replace or add a letter of a text that the pattern's group matches."""

    def change(lines: list[str], rng: random.Random) -> None:
        places = [
            (number, *match.span(1))
            for number, line in enumerate(lines)
            if not line.startswith("#") and (match := re.search(pattern, line))
        ]
        number, begin, end = rng.choice(places)
        text = lines[number][begin:end]
        wrong = text
        while wrong == text:
            at, other = rng.randrange(len(text)), rng.choice(LETTERS)
            pair = text[at : at + 2]
            wrong = rng.choice(
                [
                    text[:at] + text[at + 1 :],
                    text[:at] + text[at] * 2 + text[at + 1 :],
                    text[:at] + pair[::-1] + text[at + 2 :],
                    text[:at] + other + text[at + 1 :],
                    text[:at] + other + text[at:],
                ]
            )
        lines[number] = lines[number][:begin] + wrong + lines[number][end:]

    return change


def _numbers(*numbers: tuple[int | None, int | None], **pool: str) -> Mistake:
    """Give a pool these priorities and weights, None for none, in any order."""

    def change(found: list[Json], rng: random.Random) -> None:
        is_live = "name" in found[0]
        services = found if is_live else _services(found, rng)
        rng.shuffle(services)
        for service, (priority, weight) in zip(services, numbers, strict=True):
            service |= {"priority": priority, "weight": weight}
            for key in ("priority", "weight"):
                if service[key] is None and not is_live:
                    del service[key]
        if pool:
            _one(found, "Backend", rng, POOL).update(pool)

    return change


def _set(key: str, *values: Any) -> Mistake:
    """One region gets one of these values."""

    def change(config: Json, rng: random.Random) -> None:
        rng.choice(config["regions"])[key] = rng.choice(values)

    return change


def _top(key: str, *values: Any) -> Mistake:
    def change(config: Json, rng: random.Random) -> None:
        config[key] = rng.choice(values)

    return change


def _nested(section: str, key: str, *values: Any) -> Mistake:
    def change(config: Json, rng: random.Random) -> None:
        config[section] = {**config.get(section, {}), key: rng.choice(values)}

    return change


def _misspelt(config: Json, rng: random.Random) -> None:
    region = rng.choice(config["regions"])
    key = rng.choice(["prioirty", "wieght", "locaton", "nmae"])
    region[key] = 1


def _same(key: str) -> Mistake:
    def change(config: Json, rng: random.Random) -> None:
        first, second = rng.sample(config["regions"], 2)
        second[key] = first[key]

    return change


def _one_region(config: Json, rng: random.Random) -> None:
    config["regions"] = [rng.choice(config["regions"])]


def _region_removed(config: Json, rng: random.Random) -> None:
    config["regions"].remove(rng.choice(config["regions"]))


def _no_models(config: Json, _rng: random.Random) -> None:
    config["models"] = []


def _model(key: str, *values: Any) -> Mistake:
    def change(config: Json, rng: random.Random) -> None:
        model_ = {"name": "chat", "model": "m", "version": "1", "sku": "Standard", "capacity": 1}
        config["models"] = [{**model_, key: rng.choice(values)}]

    return change


def _service(key: str, low: int, high: int) -> Mistake:
    def change(resources: list[Json], rng: random.Random) -> None:
        rng.choice(_services(resources, rng))[key] = rng.randint(low, high)

    return change


def _drop(resources: list[Json], rng: random.Random) -> None:
    services = _services(resources, rng)
    services.remove(rng.choice(services))


def _twice(resources: list[Json], rng: random.Random) -> None:
    first, second = rng.sample(_services(resources, rng), 2)
    second["id"] = first["id"]


def _stray(resources: list[Json], rng: random.Random) -> None:
    service = rng.choice(_services(resources, rng))
    service["id"] = f"{service['id']}{rng.randint(4, 9)}"


def _without(kind: str, key: str) -> Mistake:
    def change(resources: list[Json], rng: random.Random) -> None:
        _one(resources, kind, rng).pop(key)

    return change


def _keys_on(resources: list[Json], rng: random.Random) -> None:
    _one(resources, "Account", rng)["properties"]["disableLocalAuth"] = False


def _together(resources: list[Json], rng: random.Random) -> None:
    accounts = [each for each in resources if each["type"].endswith(":Account")]
    first, second = rng.sample(accounts, 2)
    second["inputs"]["location"] = first["inputs"]["location"]


def _no_role(resources: list[Json], rng: random.Random) -> None:
    roles = [each for each in resources if each["type"].endswith(":RoleAssignment")]
    resources.remove(rng.choice(roles))


def _no_alarm(resources: list[Json], _: random.Random) -> None:
    resources[:] = [each for each in resources if not each["type"].endswith(":ScheduledQueryRule")]


def _policy(old: str, *new: str) -> Mistake:
    def change(resources: list[Json], rng: random.Random) -> None:
        policy = _one(resources, "ApiPolicy", rng)
        if old not in policy["value"]:
            raise AssertionError(f"the policy has no {old!r}")
        policy["value"] = policy["value"].replace(old, rng.choice(new))

    return change


def _backend(key: str, *values: Any, name: str = "") -> Mistake:
    def change(resources: list[Json], rng: random.Random) -> None:
        _one(resources, "Backend", rng, name)[key] = rng.choice(values)

    return change


def _breaker_rules(resources: list[Json], rng: random.Random) -> None:
    breaker = _one(resources, "Backend", rng)["circuitBreaker"]
    breaker["rules"] = breaker["rules"] * rng.randint(2, 4)


def _live(key: str, *values: int | None) -> Mistake:
    def change(members: list[Json], rng: random.Random) -> None:
        rng.choice(members)[key] = rng.choice(values)

    return change


def _live_drop(members: list[Json], rng: random.Random) -> None:
    members.remove(rng.choice(members))


def _live_twice(members: list[Json], rng: random.Random) -> None:
    members.append(dict(rng.choice(members)))


def _live_other(members: list[Json], rng: random.Random) -> None:
    rng.choice(members)["name"] = f"foundry{rng.randint(4, 9)}"


def _down(answers: list[tuple[str, bool]], rng: random.Random) -> None:
    names = ["foundry1", "foundry2", "foundry3"]
    names.remove(rng.choice(names))
    turn = rng.randrange(2)
    answers += [(names[(turn + i) % 2], True) for i in range(500)]


def _all_to_one(answers: list[tuple[str, bool]], rng: random.Random) -> None:
    answers += [(f"foundry{rng.randint(1, 3)}", True)] * 500


def _throttled(answers: list[tuple[str, bool]], rng: random.Random) -> None:
    tired, turn = rng.randrange(3), rng.randrange(3)
    answers += [(f"foundry{(turn + i) % 3 + 1}", (turn + i) % 3 != tired) for i in range(500)]


GITHUB = "https://github.com"
LABS = f"{GITHUB}/Azure-Samples/AI-Gateway"
SAMPLES = f"{GITHUB}/Azure-Samples/Apim-Samples/blob/561d719"
TOOLKIT = f"{GITHUB}/Azure-Samples/apim-genai-gateway-toolkit/blob/848995f"
ADVANCED = "advanced-load-balancing"
PREFERRED = ((1, 100), (2, 50), (2, 50))
DROPPED = ((None, None),) * 3
# Pools and backends that others published, as a round robin of three: as they meant it, or not.
PUBLISHED = tuple(
    Kind(name=name, of=of, change=change, source=source, known=of != "pool")
    for name, source, of, change in (
        (
            "priorities 1, 2, 2",
            f"{LABS}/blob/48c105c/labs/backend-pool-load-balancing-tf/variables.tf",
            "resources",
            _numbers(*PREFERRED),
        ),
        ("no priority, no weight", f"{LABS}/pull/93", "resources", _numbers(*DROPPED)),
        (
            "weight 0 beside weight 1",
            f"{LABS}/blob/48c105c/labs/ai-foundry-hosted-agents/ai-foundry-hosted-agents.ipynb",
            "resources",
            _numbers((None, 1), (None, 0), (None, 1)),
        ),
        (
            "weight 300",
            f"{LABS}/blob/48c105c/labs/_deprecated/{ADVANCED}/{ADVANCED}.ipynb",
            "resources",
            _numbers((1, 100), (2, 300), (2, 300)),
        ),
        (
            "priorities 1, 2",
            f"{SAMPLES}/samples/load-balancing/main.bicep",
            "resources",
            _numbers((1, 100), (2, 100), (2, 100)),
        ),
        (
            "weights 75, 25",
            f"{SAMPLES}/infrastructure/apim-aca/main.bicep",
            "resources",
            _numbers((1, 75), (1, 25), (1, 25)),
        ),
        (
            "priorities 1, 2, 3",
            f"{SAMPLES}/samples/inference-failover/main.bicep",
            "resources",
            _numbers((1, 50), (2, 100), (3, 50)),
        ),
        (
            "weights 2, 1",
            f"{TOOLKIT}/infra/apim-genai/modules/apiManagement.bicep",
            "resources",
            _numbers((1, 2), (1, 1), (1, 1)),
        ),
        (
            "pay-as-you-go behind the reserved",
            f"{TOOLKIT}/infra/apim-genai/modules/apiManagement.bicep",
            "resources",
            _numbers((1, 1), (2, 1), (2, 1)),
        ),
        (
            "url and protocol on the pool, no numbers",
            f"{GITHUB}/Azure/bicep/issues/14097",
            "resources",
            _numbers(*DROPPED, url="http://localhost", protocol="http"),
        ),
        (
            "protocol on the pool",
            f"{GITHUB}/Azure/bicep/issues/13324",
            "resources",
            _numbers((1, 1), (1, 1), (1, 1), protocol="http"),
        ),
        (
            "protocol https on a backend",
            f"{GITHUB}/Azure/bicep/issues/14093",
            "resources",
            _backend("protocol", "https"),
        ),
        ("live: no priority, no weight", f"{LABS}/pull/93", "pool", _numbers(*DROPPED)),
        (
            "live: priorities 1, 2, 2",
            f"{LABS}/blob/48c105c/labs/backend-pool-load-balancing-tf/variables.tf",
            "pool",
            _numbers(*PREFERRED),
        ),
    )
)
MISTAKES = (
    Kind(name="letter in a namespace", of="file", change=_letter(r"(openai-gateway):")),
    Kind(name="letter in a key", of="file", change=_letter(r"openai-gateway:(\w+)")),
    Kind(name="letter in a region's key", of="file", change=_letter(r"^[ -]+(\w+): ")),
    Kind(name="letter in a name", of="file", change=_letter(r"name: (\w+)")),
    Kind(name="letter in a location", of="file", change=_letter(r"location: (\w+)")),
    *PUBLISHED,
    Kind(name="priority of a region", of="config", change=_set("priority", 2, 3, 50)),
    Kind(name="weight of a region", of="config", change=_set("weight", 2, 50, 100)),
    Kind(name="priority or weight out of range", of="config", change=_set("weight", -1, 101, 0)),
    Kind(name="no number", of="config", change=_set("priority", None, True, 1.5, "one")),
    Kind(name="misspelt key", of="config", change=_misspelt),
    Kind(name="two of one name", of="config", change=_same("name")),
    Kind(name="two in one location", of="config", change=_same("location")),
    Kind(name="bad name", of="config", change=_set("name", "", "a b", "x" * 70, "é")),
    Kind(name="bad location", of="config", change=_set("location", "", None, 7)),
    Kind(name="region removed", of="config", change=_region_removed),
    Kind(name="region moved", of="config", change=_set("location", "swedencentral", "westus")),
    Kind(name="one region", of="config", change=_one_region),
    Kind(name="no models", of="config", change=_no_models),
    Kind(name="capacity of a model", of="config", change=_model("capacity", 0, -1, "many")),
    Kind(name="unknown routing", of="config", change=_top("routing", "roundrobin", "random", 1)),
    Kind(name="API misspelt", of="config", change=_top("apis", ["response"], ["Chat"], "chat")),
    Kind(name="regions are no list", of="config", change=_top("regions", "uksouth", {}, [], 3)),
    Kind(name="bad suffix", of="config", change=_top("resourceSuffix", "UPPER", "a_b", "x" * 60)),
    Kind(
        name="bad duration",
        of="config",
        change=_nested("breaker", "tripDuration", "1m", "PT", 60),
    ),
    Kind(name="unknown tier", of="config", change=_nested("gateway", "sku", "Gold", "basic", 2)),
    Kind(name="priority of a member", of="resources", change=_service("priority", 2, 9)),
    Kind(name="weight of a member", of="resources", change=_service("weight", 2, 100)),
    Kind(name="member dropped", of="resources", change=_drop),
    Kind(name="member doubled", of="resources", change=_twice),
    Kind(name="member misspelt", of="resources", change=_stray),
    Kind(name="no breaker", of="resources", change=_without("Backend", "circuitBreaker")),
    Kind(name="keys switched on", of="resources", change=_keys_on),
    Kind(name="accounts in one region", of="resources", change=_together),
    Kind(name="role missing", of="resources", change=_no_role),
    Kind(
        name="policy to another backend",
        of="resources",
        change=_policy(f'backend-id="{POOL}"', 'backend-id="foundry1"', 'backend-id="old-pool"'),
    ),
    Kind(
        name="policy past the pool",
        of="resources",
        change=_policy(
            """<when condition='@((string)context.Variables["id"] != "")'>""",
            '<when condition="@(true)">',
            """<when condition='@((string)context.Variables["id"] == "")'>""",
        ),
    ),
    Kind(name="no alarm", of="resources", change=_no_alarm),
    Kind(
        name="policy that does not compile",
        of="resources",
        change=_policy("<retry", "<retri", "<retry colour='red'"),
        known=False,
    ),
    Kind(
        name="protocol https",
        of="resources",
        change=_backend("protocol", "https", "HTTPS", "tcp"),
    ),
    Kind(
        name="url on the pool",
        of="resources",
        change=_backend("url", "https://a.example", "https://b.example", name=POOL),
    ),
    Kind(
        name="protocol on the pool",
        of="resources",
        change=_backend("protocol", "http", "soap", name=POOL),
    ),
    Kind(name="several breaker rules", of="resources", change=_breaker_rules),
    Kind(name="portal: priority", of="pool", change=_live("priority", 2, 3, 100), known=False),
    Kind(name="portal: weight", of="pool", change=_live("weight", 2, 50, 100), known=False),
    Kind(name="portal: no number", of="pool", change=_live("weight", None), known=False),
    Kind(name="portal: member removed", of="pool", change=_live_drop, known=False),
    Kind(name="portal: member doubled", of="pool", change=_live_twice, known=False),
    Kind(name="portal: another member", of="pool", change=_live_other, known=False),
    Kind(name="a region is down", of="traffic", change=_down, known=False),
    Kind(name="all traffic in one region", of="traffic", change=_all_to_one, known=False),
    Kind(name="a region throttles", of="traffic", change=_throttled, known=False),
)


# Harmless changes: what teams do every week.


def _rename(config: Json, rng: random.Random) -> None:
    for index, region in enumerate(config["regions"]):
        region["name"] = f"{rng.choice(['openai', 'region', 'aoai'])}{index}"


def _reorder(config: Json, rng: random.Random) -> None:
    rng.shuffle(config["regions"])


def _fourth(config: Json, rng: random.Random) -> None:
    fourth = {"name": "foundry4", "location": rng.choice(["swedencentral", "westus", "japaneast"])}
    config["regions"].insert(rng.randrange(4), fourth)


def _move(config: Json, rng: random.Random) -> None:
    places = rng.sample(["swedencentral", "westus", "japaneast", "francecentral", "eastus2"], 3)
    for region, place in zip(config["regions"], places, strict=True):
        region["location"] = place


def _equal_weights(config: Json, rng: random.Random) -> None:
    weight = rng.randint(1, 100)
    for region in config["regions"]:
        region["weight"] = weight


def _reorder_members(resources: list[Json], rng: random.Random) -> None:
    rng.shuffle(_services(resources, rng))


def _describe(resources: list[Json], rng: random.Random) -> None:
    _one(resources, "Backend", rng)["description"] = f"described {rng.random()}"


def _tag(resources: list[Json], rng: random.Random) -> None:
    _one(resources, "Account", rng)["tags"] = {"team": rng.choice(["a", "b"])}


def _more_capacity(resources: list[Json], rng: random.Random) -> None:
    _one(resources, "Deployment", rng)["sku"]["capacity"] = rng.randint(1, 90)


def _reorder_live(members: list[Json], rng: random.Random) -> None:
    rng.shuffle(members)


def _rotation(answers: list[tuple[str, bool]], rng: random.Random) -> None:
    turn = rng.randrange(3)
    answers += [(f"foundry{(turn + i) % 3 + 1}", True) for i in range(500)]


HARMLESS = (
    Kind(name="regions renamed", of="config", change=_rename, stack="new"),
    Kind(name="order of regions", of="config", change=_reorder),
    Kind(name="a fourth region", of="config", change=_fourth),
    Kind(name="other regions", of="config", change=_move, stack="new"),
    Kind(name="another weight for all", of="config", change=_equal_weights),
    Kind(name="another model", of="config", change=_model("model", "gpt-5", "gpt-5-nano")),
    Kind(name="another capacity", of="config", change=_model("capacity", 1, 10, 300)),
    Kind(
        name="another suffix",
        of="config",
        change=_top("resourceSuffix", "team7", "prod01"),
        stack="new",
    ),
    Kind(name="another breaker", of="config", change=_nested("breaker", "count", 2, 5, 9)),
    Kind(name="fewer APIs", of="config", change=_top("apis", ["chat"], ["models", "responses"])),
    Kind(name="order of members", of="resources", change=_reorder_members),
    Kind(name="a description", of="resources", change=_describe),
    Kind(name="a tag", of="resources", change=_tag),
    Kind(name="capacity of a deployment", of="resources", change=_more_capacity),
    Kind(name="live order of members", of="pool", change=_reorder_live),
    Kind(name="strict rotation", of="traffic", change=_rotation),
)


def main() -> int:
    """Print the table; the exit code says whether it shows what it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {DOCUMENT.name} as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        with server.running(state, server.Options(port=0, provisioning_seconds=0)) as endpoint:
            environment = {"LOCAL_AZURE_STATE": str(state), "ARM_ENDPOINT": endpoint}
            subprocess.run(
                [sys.executable, "-m", "local_azure", "up", "--stack", "dev"],
                cwd=ROOT,
                env={**os.environ, **environment},
                check=True,
                stdout=subprocess.DEVNULL,
            )
            deployed = Deployed(state, endpoint)
            caught = {kind: _instances(deployed, kind, EACH) for kind in MISTAKES}
            each = -(-sum(map(sum, (c.values() for c in caught.values()))) // len(HARMLESS))
            condemned = {kind: _instances(deployed, kind, each) for kind in HARMLESS}
    text, wrong = _table(caught, condemned)
    print(text)
    if options.write:
        DOCUMENT.write_text(f"# Which stage catches what\n\n{text}", encoding="utf-8")
    return int(wrong)


def _whose(kind: Kind) -> str:
    """Name who published a mistake: `[Azure/bicep](...)`; ours are this project's own."""
    if not kind.source:
        return "ours"
    return f"[{'/'.join(kind.source.removeprefix(GITHUB).split('/')[1:3])}]({kind.source})"


def _instances(deployed: Deployed, kind: Kind, count: int) -> Counter[str]:
    return Counter(
        deployed.caught(kind, random.Random(f"{SEED} {kind.name} {index}"))
        for index in range(count)
    )


def _table(
    caught: dict[Kind, Counter[str]], condemned: dict[Kind, Counter[str]]
) -> tuple[str, bool]:
    mistakes = sum(map(sum, (counts.values() for counts in caught.values())))
    harmless = sum(map(sum, (counts.values() for counts in condemned.values())))
    missed = sum(counts[""] for counts in caught.values())
    late = [
        kind.name
        for kind, counts in caught.items()
        if kind.known and any(stage not in BEFORE_THE_MERGE for stage in counts)
    ]
    false_alarms = [kind.name for kind, counts in condemned.items() if set(counts) != {""}]
    lines = [
        f"Generated by `make catch-table`: {mistakes} mistakes, seed {SEED}; the stage that caught",
        "each of them first. Traffic is drawn, all else is asked of the stage itself. What is not",
        "ours is linked: pools that others published, read as a round robin of three, whether they",
        "were meant so or not. A letter of a text in `Pulumi.dev.yaml` is lost, doubled, swapped,",
        "wrong or added.",
        "",
        f"- caught by the probe or earlier: {mistakes - missed} of {mistakes}",
        f"- that a preview can know, but caught after the merge: {', '.join(late) or 'none'}",
        f"- harmless changes condemned: {', '.join(false_alarms) or 'none'} of {harmless}",
        "",
        f"| mistake | whose | in | {' | '.join(STAGES)} | missed |",
        f"|---|---|---|{'--:|' * (len(STAGES) + 1)}",
    ]
    lines += [
        f"| {kind.name} | {_whose(kind)} | {kind.of} | "
        + " | ".join(str(counts[stage] or "") for stage in (*STAGES, ""))
        + " |"
        for kind, counts in caught.items()
    ]
    lines += ["", f"Harmless: {', '.join(kind.name for kind in condemned)}.", ""]
    return "\n".join(lines), bool(missed or late or false_alarms)


if __name__ == "__main__":
    sys.exit(main())
