"""The package `openai-gateway` in programs that are not this one, by the plain Pulumi CLI."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from test_engine import REFUSED, UP, Cli
from test_engine import pytestmark as NEEDS_THE_CLI  # noqa: N812

from benchmarks import package

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PACKAGE = "../../components"
REGIONS = [
    {"name": "foundry1", "location": "uksouth"},
    {"name": "foundry2", "location": "eastus"},
    {"name": "foundry3", "location": "norwayeast"},
]
HEARD = {"alertEmails": ["team@example.com"]}
LANGUAGES = ["yaml", "python", "typescript"]
pytestmark = [
    *(each for each in NEEDS_THE_CLI if each.name != "timeout"),
    pytest.mark.timeout(600),  # environments are made, and npm and pip download
]


@pytest.fixture(scope="session")
def checkout(tmp_path_factory) -> Path:
    """The folder `components` of a checkout, whose environment borrows what is installed here."""
    folder = tmp_path_factory.mktemp("package") / "components"
    package.checkout(folder)
    return folder


class Program(Cli):
    """Somebody's program, in a folder of its own beside a checkout of this repository."""

    def __init__(self, shell, folder: Path, checkout: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder.parents[1] / "components").exists():
            (folder.parents[1] / "components").symlink_to(checkout, target_is_directory=True)
        super().__init__(shell, folder)
        self.environment["PATH"] = package.python_first(self.environment["PATH"])
        package.provide_plugins(self.folder / "home")
        self.probes = ROOT / "probes"  # of the checkout, run in the program's folder
        del self.environment["PROBE_OUTPUTS"]

    def write(self, resources, outputs, name="app") -> None:
        """Make it a program in YAML."""
        program = {
            "name": name,
            "runtime": "yaml",
            "packages": {"openai-gateway": PACKAGE},
            "resources": {
                key: {"type": f"openai-gateway:{kind}", "properties": properties, **more}
                for key, (kind, properties, more) in resources.items()
            },
            "outputs": outputs,
        }
        text = json.dumps(program)  # which is YAML, without anchors
        (self.folder / "Pulumi.yaml").write_text(text, "utf-8")

    def pack(self) -> str:
        """Name the policy pack of a checkout that is set up."""
        folder = self.folder.parents[1] / "checkout"
        if not folder.exists():
            shutil.copytree(ROOT / "policies", folder / "policies")
            (folder / "components").symlink_to(ROOT / "components")
            (folder / ".venv").symlink_to(sys.prefix)
        return str(folder / "policies")


@pytest.fixture
def program(shell, tmp_path, checkout):
    """An empty program beside a checkout, and a local Azure for both."""
    with shell.serving("--provisioning", "0"):
        yield Program(shell, tmp_path / "examples" / "program", checkout)


def whole(**more):
    return ("LoadBalancedOpenAI", {"regions": REGIONS, "monitoring": HEARD, **more}, {})


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_example_from_package_add_to_destroy(language, program):
    if language == "typescript" and not shutil.which("npm"):
        pytest.skip("npm is not on PATH")
    shutil.copytree(EXAMPLES / language, program.folder, dirs_exist_ok=True)
    project = program.folder / "Pulumi.yaml"
    without = re.sub(r"(?m)^packages:\n(  .*\n)+", "", project.read_text("utf-8"))
    project.write_text(without, "utf-8")
    if language == "python":  # where the SDK is written to
        (program.folder / "requirements.txt").write_text("pulumi>=3.272,<4\n", "utf-8")
    if language == "typescript":
        manifest = json.loads((EXAMPLES / language / "package.json").read_text("utf-8"))
        del manifest["dependencies"]["@pulumi/openai-gateway"]
        (program.folder / "package.json").write_text(json.dumps(manifest), "utf-8")
    program(f"package add {PACKAGE}")
    for name in ("package.json", "requirements.txt"):
        if (EXAMPLES / language / name).exists():
            assert "sdks/openai-gateway" in (program.folder / name).read_text("utf-8")
    assert yaml.safe_load(project.read_text("utf-8"))["packages"] == {"openai-gateway": PACKAGE}

    program("stack init dev")
    assert "+ 74 to create" in program("preview")
    up = program(UP)
    assert "+ 74 created" in up
    assert "Expected traffic: UK South 33.3 %, East US 33.3 %, Norway East 33.3 %" in up
    assert "74 unchanged" in program(UP)
    program("preview --refresh --expect-no-changes")
    assert "output gateway; gateway http://127.0.0.1" in program.probe(expected=0)
    assert "balanced: UK South 33.3 %" in program.probe("--stack", "dev", expected=0)
    secrets = program("stack output --json")
    assert json.loads(secrets)["gateway"] == "[secret]"

    (source,) = (
        path
        for path in program.folder.glob("*")
        if path.suffix in (".ts", ".py", ".yaml") and "foundry2" in path.read_text("utf-8")
    )
    text = source.read_text("utf-8")
    unequal = re.sub(r"(foundry[23]\b.*priority\"?: )1", r"\g<1>2", text)
    assert unequal.count("2 }") + unequal.count("2}") == 2, unequal
    source.write_text(unequal, "utf-8")
    refused = program("preview", expected=1)
    would = 'would not be "round-robin", but UK South 100.0 %, East US 0.0 %, Norway East 0.0 %'
    assert would in refused
    if language != "python":  # whose SDK shows where it was when the engine refused
        assert "Traceback" not in refused

    source.write_text(text, "utf-8")
    assert "cannot be deleted" in program("destroy --yes --skip-preview", expected=REFUSED)
    program("state unprotect --all --yes")
    assert "- 74 deleted" in program("destroy --yes --skip-preview")


@pytest.mark.parametrize(
    ("kind", "arguments", "mistakes"),
    [
        (
            "LoadBalancedOpenAI",
            {
                "regions": [REGIONS[0], {"name": "foundry2", "location": "eastuss"}],
                "routing": "roundrobin",
                "breaker": {"count": 0},
            },
            {
                "regions[1].location": 'is "eastuss": there is no such Azure location; did you',
                "routing": 'is "roundrobin": write one of round-robin, weighted, priority',
                "breaker.count": "is 0: write a whole number of at least 1",
            },
        ),
        (
            "BackendPool",
            {
                "service": {"resourceGroup": "rg.", "serviceName": "apim"},
                "regions": [{**each, "url": "ftp://a"} for each in REGIONS],
            },
            {
                "service.resourceGroup": 'is "rg.": write the name of its resource group',
                "regions[2].url": 'is "ftp://a": write the account\'s endpoint with /openai',
            },
        ),
    ],
)
def test_every_mistake_is_told_with_its_path_and_nothing_is_made(
    kind, arguments, mistakes, program
):
    program.write({"ai": (kind, arguments, {})}, {})
    program("stack init dev")
    for command in ("preview", UP):
        told = program(command, expected=1)
        for path, said in mistakes.items():
            assert re.search(rf"property {re.escape(path)} .* {re.escape(said)}", told), told
        assert "Traceback" not in told
    assert resources(program) == []


def test_the_dev_stack_moves_to_the_package_and_no_resource_is_replaced(shell, tmp_path, checkout):
    with shell.serving("--provisioning", "0"):
        own = Cli(shell, tmp_path / "project")
        own("stack init dev")
        own(UP)
        before = {each["urn"]: each.get("id") for each in resources(own)}
        regions = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text("utf-8"))["config"]
        arguments = ("LoadBalancedOpenAI", {"regions": regions["openai-gateway:regions"]}, {})

        # By a program of the same project: under the same name nothing else is to be said.
        other = Program(shell, tmp_path / "examples" / "same", checkout)
        other.write(
            {"openai": arguments}, {"gateway": "${openai.stackOutputs}"}, name="openai-gateway"
        )
        other("stack select dev")
        assert steps(other) == {"update": 1, "same": 71}  # the component, which is in no Azure
        assert re.search(r"~ 1 updated\s+72 unchanged", other(UP))
        assert {each["urn"]: each.get("id") for each in resources(other)} == before
        other.probe(expected=0)

        # Under another name, by an alias.
        kind, properties, _ = arguments
        renamed = (kind, properties, {"options": {"aliases": [{"name": "openai"}]}})
        other.write({"ai": renamed}, {"gateway": "${ai.stackOutputs}"}, name="openai-gateway")
        assert steps(other) == {"same": 72}
        other(UP)
        assert sorted(filter(None, map(id_of, resources(other)))) == sorted(
            filter(None, before.values())
        )
        assert any(each["urn"].endswith("::ai-gateway") for each in resources(other))
        assert steps(other) == {"same": 72}

        # Into the stack of another project, with all that the component has.
        app = Program(shell, tmp_path / "examples" / "app", checkout)
        app.write({"ai": (kind, properties, {})}, {"gateway": "${ai.stackOutputs}"})
        app("stack init prod")
        (urn,) = (each["urn"] for each in resources(other) if each["urn"].endswith("OpenAI::ai"))
        app(
            "state move --source local-azure/openai-gateway/dev --dest local-azure/app/prod "
            f"--yes {urn}"
        )
        assert steps(app)["same"] == 72
        assert {*steps(app)} <= {"same", "create"}  # the stack itself
        app(UP)
        app.probe(expected=0)


def id_of(resource) -> str:
    return resource.get("id", "")


def resources(cli) -> list[dict]:
    """What the state has of the stack, but for the providers and the stack itself."""
    state = json.loads(cli("stack export"))
    return [
        each
        for each in state["deployment"].get("resources", ())
        if not each["type"].startswith("pulumi:")
    ]


def steps(cli) -> dict[str, int]:
    """What a preview would do, by its operations; of outputs it says nothing."""
    preview = json.loads(cli("preview --json --show-sames"))
    found: dict[str, int] = {}
    for step in preview["steps"]:
        if "::pulumi:pulumi:Stack::" not in step["urn"]:
            found[step["op"]] = found.get(step["op"], 0) + 1
    return found


def test_two_gateways_in_one_program_are_told_apart(program):
    program.write(
        {
            "eu": whole(apis=["chat"], protect={"except": ["foundry2", "gateway"]}),
            "us": whole(
                regions=[{"name": "foundry1", "location": "westus3", "weight": 3}, *REGIONS[1:]],
                routing="weighted",
                apis=["chat"],
                monitoring={"enabled": False},
            ),
        },
        {"all": [{"eu": "${eu.stackOutputs}"}, "${us.stackOutputs}"]},
    )
    program("stack init dev")
    assert "openai-gateway@" in program(f"preview --policy-pack {program.pack()}")
    preview = program("preview --json --show-sames")
    comment = program.comment(preview, expected=0).replace("\\", "")
    assert "**Pool eu-inference-backend-pool**" in comment
    assert "| West US 3 | - | - | 1 / 3 | 60.0 % |" in comment
    told = "eu-inference-backend-pool: Round robin, 33.3 % of traffic to each region; us-inference-"
    assert told in comment
    assert "(declared: routing is weighted)" in comment
    program(UP)
    told = program.probe(expected=2)
    assert "there are 2 gateways" in told
    key = re.search(r"gateways: (\S+), (\S+);", told)
    program.probe("--outputs-key", key[1], expected=0)
    assert "as declared by routing weighted" in program.probe("--outputs-key", key[2], expected=0)


def test_the_parts_serve_a_pool_over_what_is_there_already(program):
    """Accounts, gateway and API are of one stack; a second pool of it and its alarm of another."""
    program.write({"openai": whole(apis=["chat"])}, {"gateway": "${openai.stackOutputs}"})
    program("stack init there")
    program(UP)
    there = json.loads(program("stack output --json --show-secrets"))["gateway"]
    group, service = there["resource_group"], there["pool"]["id"].split("/")[8]
    service_id = there["pool"]["id"].partition("/backends/")[0]
    named = {"resourceGroup": group, "serviceName": service}
    members = [
        {"name": f"second-{each['id']}", "location": each["location"], "url": each["url"]}
        for each in there["backends"][:2]
    ]
    workspace = there["workspace"]
    watch = {
        "service": {**named, "id": service_id},
        "location": "uksouth",
        "nameSuffix": "second",
        "regions": members,
        "workspace": {"id": workspace["id"], "customerId": workspace["customer_id"]},
        **HEARD,
    }
    parts = Program(program.shell, program.folder.parent / "parts", Path())
    pool = {"service": named, "regions": members, "poolName": "second"}
    parts.write(
        {"pool": ("BackendPool", pool, {}), "watch": ("Monitoring", watch, {})},
        {"pool": "${pool.poolId}", "workspace": "${watch.workspace.customerId}"},
    )
    parts("stack init parts")
    assert "+ 14 to create" in parts(f"preview --policy-pack {parts.pack()}")
    assert "+ 14 created" in parts(UP)
    assert "14 unchanged" in parts(UP)
    outputs = json.loads(parts("stack output --json"))
    assert outputs == {
        "pool": f"{service_id}/backends/second",
        "workspace": workspace["customer_id"],
    }
    with parts.portal() as portal:
        url = f"{outputs['pool']}?api-version=2024-05-01"
        pool = portal.get(url).raise_for_status().json()["properties"]["pool"]
    assert [(each["priority"], each["weight"]) for each in pool["services"]] == [(1, 1), (1, 1)]

    # And the whole, deployed into what is there: nothing of it is made anew.
    existing = [
        {**region, "existing": {"resourceGroup": group, "accountName": f"{region['name']}-{end}"}}
        for region in REGIONS
        for end in [service.removeprefix("apim-")]
    ]
    parts.write(
        {
            "ai": whole(
                regions=existing,
                gateway={"existing": {"resourceGroup": "rg-of-nobody", "serviceName": service}},
                monitoring={
                    "workspace": {"resourceGroup": group, "name": f"log-{end_of(service)}"}
                },
            )
        },
        {},
    )
    parts("stack init whole")
    told = parts("preview", expected=1)
    assert "property gateway.existing.serviceName" in told
    assert "and there is no such API Management service" in told
    assert "Traceback" not in told


def end_of(service: str) -> str:
    return service.removeprefix("apim-")


def test_a_name_that_a_deleted_account_keeps_stops_it_before_anything_is_made(program):
    program.write({"openai": whole(resourceSuffix="again", protect={"enabled": False})}, {})
    program("stack init dev")
    program(UP)
    program("destroy --yes --skip-preview")
    told = program(UP, expected=REFUSED)
    assert "the account foundry1-again was deleted in uksouth, and keeps its name until" in told
    assert "set restore to true, or purge it: az cognitiveservices account purge" in told
    assert "Traceback" not in told
    with program.portal() as portal:
        group = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups"
        found = portal.get(f"{group}?api-version=2021-04-01").raise_for_status().json()["value"]
    assert found == []


def test_what_the_cli_reads_of_the_schema_is_the_file(program):
    told = json.loads(program(f"package get-schema {PACKAGE}"))
    assert told.pop("config") == {}
    assert told == json.loads((ROOT / "docs" / "package-schema.json").read_text())


def test_a_program_s_own_provider_makes_all_of_it(program):
    shutil.copytree(EXAMPLES / "python", program.folder, dirs_exist_ok=True)
    source = program.folder / "__main__.py"
    text = source.read_text("utf-8")
    own = (
        'azure = pulumi.ProviderResource("azure-native", "own", {"location": "uksouth"})\n'
        "openai = LoadBalancedOpenAI("
    )
    text = text.replace("openai = LoadBalancedOpenAI(", own).replace(
        '    monitoring={"alert',
        '    opts=pulumi.ResourceOptions(providers=[azure]),\n    monitoring={"alert',
    )
    source.write_text(text, "utf-8")
    program("install")
    program("stack init dev")
    program("config set --path pulumi:disable-default-providers[0] azure-native")
    assert "+ 75 to create" in program("preview")
    assert "+ 75 created" in program(UP)
    used = {each.get("provider", "") for each in resources(program) if "azure" in each["type"]}
    assert all("azure-native::own::" in each for each in used if each), used
    program("preview --expect-no-changes")
