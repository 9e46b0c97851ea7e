# ruff: noqa: E501 - a row of the table is a line
"""Are the unit tests worth anything? Each single change below must make one of them fail.

The program is copied, one line is changed, and the tests are run on the copy. A change
that no test notices is a hole in the tests, and fails here by its name.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.thorough


class Mutation(NamedTuple):
    name: str
    file: str
    old: str
    new: str


C = "components/"
DEV = "Pulumi.dev.yaml"
MUTATIONS = [
    # config
    Mutation("location changed", DEV, "location: norwayeast", "location: swedencentral"),
    Mutation("backend renamed", DEV, "name: foundry3", "name: foundry4"),
    # accounts
    Mutation("local auth on", C + "openai_region.py", "local_auth=True", "local_auth=False"),
    Mutation("kind AIServices", C + "openai_region.py", 'kind="OpenAI"', 'kind="AIServices"'),
    Mutation("no subdomain", C + "openai_region.py", "custom_sub_domain_name=subdomain,", ""),
    Mutation("same location", C + "openai_region.py", "=region.location", '="uksouth"'),
    Mutation("deployments in parallel", C + "openai_region.py", "depends_on=[previous]", ""),
    Mutation("chain broken", C + "openai_region.py", "previous = cog", "_ = cog"),
    Mutation("capacity lost", C + "openai_region.py", ', "capacity": model.capacity', ""),
    # roles
    Mutation("principal is a User", C + "openai_region.py", '"ServicePrincipal"', '"User"'),
    Mutation("another role", C + "resource_manager.py", "5e0bd9bd", "a97b65f3"),
    Mutation("no principal type", C + "openai_region.py", 'principal_type="Serv', '#"'),
    Mutation("role on the wrong scope", C + "openai_region.py", "account.id", "resource_group_name"),
    # gateway
    Mutation("no identity", C + "api_gateway.py", '"SystemAssigned"', '"None"'),
    Mutation("capacity of two", C + "api_gateway.py", ": gateway.capacity", ": 2"),
    # backends
    Mutation("protocol https", C + "backend_pool.py", 'protocol="http"', 'protocol="https"'),
    Mutation(
        "one url for all",
        C + "backend_pool.py",
        "url=region.url,",
        "url=its.regions[-1].url,",
    ),
    Mutation(
        "url bound late",
        C + "load_balanced_openai.py",
        "each.member(regions[each.name].backend_url, ending)",
        "each.member([*regions.values()][-1].backend_url, ending)",
    ),
    Mutation("url without openai", C + "openai_region.py", "}/openai", "}"),
    Mutation("no breaker", C + "backend_pool.py", "circuit_breaker=_circuit_breaker(its.breaker),", ""),
    Mutation("two rules", C + "backend_pool.py", '"rules": [', '"rules": 2*['),
    Mutation("429 trips nothing", C + "backend_pool.py", '"min": 429, "max": 429', '"min": 428, "max": 428'),
    Mutation("5xx ends early", C + "backend_pool.py", '"max": 599', '"max": 500'),
    Mutation("Retry-After ignored", C + "backend_pool.py", ": breaker.accept_retry_after", ": False"),
    # the pool
    Mutation("priority 2", C + "backend_pool.py", ": each.priority", ": 2"),
    Mutation("weight 50", C + "backend_pool.py", ": each.weight", ": 50"),
    Mutation("no priority", C + "backend_pool.py", '"priority": each.priority, ', ""),
    Mutation("no weight", C + "backend_pool.py", ', "weight": each.weight', ""),
    Mutation(
        "one member preferred",
        C + "backend_pool.py",
        ": each.priority",
        ": 1 + (each is not settings.regions[0])",
    ),
    Mutation(
        "a member dropped",
        C + "backend_pool.py",
        "                    for each in its.regions\n                ]",
        "                    for each in its.regions[:-1]\n                ]",
    ),
    Mutation(
        "one member three times",
        C + "backend_pool.py",
        "backends[each.name].id",
        "backends[settings.regions[0].name].id",
    ),
    Mutation("member by name", C + "backend_pool.py", "].id,", "].name,"),
    Mutation("url on the pool", C + "backend_pool.py", 'type="Pool"', 'type="Pool", url="https://x"'),
    Mutation(
        "protocol on the pool", C + "backend_pool.py", 'type="Pool"', 'type="Pool", protocol="http"'
    ),
    Mutation("no type", C + "backend_pool.py", 'type="Single",', ""),
    Mutation("type Single", C + "backend_pool.py", 'type="Pool"', 'type="Single"'),
    Mutation("pool renamed", C + "traffic.py", '"inference-backend-pool"', '"pool"'),
    Mutation("one breaker for all models", C + "settings.py", "self.name + ending", "self.name"),
    Mutation("models without a pool", C + "settings.py", '{names[0]: "", **', '{names[0]: ""} or {**'),
    # service
    Mutation("classic tiers refused", C + "api_gateway.py", "=gateway.sku in CLASSIC_TIERS", "=False"),
    Mutation("clients asked for certificates", C + "api_gateway.py", "=gateway.sku in CLASSIC_TIERS", "=True"),
    # API
    Mutation("no key needed", C + "inference_api.py", "required=True,\n            sub", "required=False,\n            sub"),
    Mutation("another key header", C + "inference_api.py", '"header": "api-key"', '"header": "x-key"'),
    Mutation("doubled path", C + "inference_api.py", 'f"/v1{path', 'f"/openai/v1{path'),
    Mutation("an API is left out", C + "inference_api.py", "for each in _OPERATIONS[api]", 'for each in _OPERATIONS[api] if api != "audio"'),
    Mutation("no word on what is elsewhere", C + "inference_api.py", "return {**found, **_ELSEWHERE}", "return found"),
    Mutation("regions that are not asked", C + "inference_api.py", "max(retries.count, len(settings.regions) - 1)", "max(1, retries.count)"),
    Mutation("subscription to all", C + "inference_api.py", '"/apis/{api_name}"', '"/apis"'),
    Mutation("key in plain", C + "inference_api.py", "pulumi.Output.secret(", "("),
    Mutation("policy as raw xml", C + "inference_api.py", 'format="xml"', 'format="rawxml"'),
    Mutation("no budget", C + "inference_api.py", "retries=retries.count", "retries=50"),
    Mutation("what may have been executed is repeated", C + "settings.py", "repeat_unanswered: bool = Field(\n        default=False", "repeat_unanswered: bool = Field(\n        default=True"),
    Mutation("policy names no pool", C + "inference_api.py", "        pool=POOL_NAME,", '        pool="pool",'),
    Mutation("policy waits for no pool", C + "load_balanced_openai.py", "[each.pool for each in pools.values()]", "[]"),
    Mutation("nothing is too large to keep", C + "inference_api.py", "if tier in CLASSIC_TIERS", "if True"),
    Mutation("no answer waits", C + "inference_api.py", "str(not settings.streaming)", "str(False)"),
    Mutation("any policy is short enough", C + "inference_api.py", "size > limit", "False"),
    # policy
    Mutation(
        "retry keeps the member",
        C + "policies/inference.xml",
        """      <set-backend-service backend-id="${pool}" />
""",
        "",
    ),
    Mutation("429 not retried", C + "policies/inference.xml", "status == 429 || status >= 500;", "status == 408 || status >= 500;"),
    Mutation("a region's refusal not retried", C + "policies/inference.xml", "refused = status == 401", "refused = status == 402"),
    Mutation("no body for a retry", C + "policies/inference.xml", 'request-body="true"', 'request-body="false"'),
    Mutation("key reaches regions", C + "policies/inference.xml", '<set-header name="api-key" exists-action="delete" />', ""),
    Mutation("key in the query reaches regions", C + "policies/inference.xml", '<set-query-parameter name="api-key" exists-action="delete" />', ""),
    Mutation("token of another audience", C + "policies/inference.xml", "cognitiveservices.azure", "management.azure"),
    Mutation("gateway's region revealed", C + "policies/reveal.xml", "@(context.Request.Url.Host)", "@(context.Deployment.Region)"),
    Mutation("no status in what was tried", C + "policies/inference.xml", "StatusCode.ToString()", "StatusReason"),
    Mutation("Retry-After lost", C + "policies/exhausted.xml", '"Retry-After"', '"X-Retry"'),
    # what a change of the regions touches
    Mutation("order of the config", C + "keys.py", 'tuple(sorted(found, key=attrgetter("name")))', "tuple(found)"),
    Mutation("service moves", C + "api_gateway.py", "settings.kept", "None"),
    Mutation("service never moves", C + "settings.py", 'None if self.location else ["location"]', '["location"]'),
    Mutation("group moves", C + "load_balanced_openai.py", "ignore_changes=settings.kept", "ignore_changes=None"),
    Mutation("account unprotected", C + "openai_region.py", ", protect=region.name not in settings.unprotected", ""),
    Mutation("service unprotected", C + "api_gateway.py", 'protect="gateway" not in settings.unprotected,', ""),
    Mutation("key unprotected", C + "inference_api.py", 'protect="gateway" not in settings.unprotected', "protect=None"),
    Mutation("key goes with all else", C + "inference_api.py", "*self._own, *after", "*self._own"),
    Mutation("no exception", C + "openai_region.py", "region.name not in settings.unprotected", "True"),
    Mutation("unprotected not told", C + "settings.py", "[*(self.protect.unprotected if self.protect else ())]", "[]"),
    Mutation("deleted after its replacement", C + "component.py", "delete_before_replace=True", "delete_before_replace=None"),
    # outputs and messages
    Mutation("outputs without url", C + "load_balanced_openai.py", "url=regions[each.name].backend_url", "url=each.name"),
    Mutation("pool id is a name", C + "load_balanced_openai.py", "id=first.pool_id", "id=first.pool_name"),
    Mutation("starved regions unnamed", C + "component.py", "log.warn(warning, component)", "log.debug(warning, component)"),
    Mutation("no forecast", C + "component.py", 'report(f"Expected', 'print(f"Expected'),
    Mutation("component unparented", C + "load_balanced_openai.py", "children = pulumi.ResourceOptions(parent=self)", "children = pulumi.ResourceOptions()"),
]  # fmt: skip


@pytest.fixture(scope="module")
def unit_tests():
    """Run a folder's unit tests: their exit code and their report."""
    environment = {key: value for key, value in os.environ.items() if "PYTEST" not in key}
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("mutant_runner.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment | {"PYTHONPATH": str(ROOT)},
        text=True,
    ) as runner:

        def run(folder: Path) -> tuple[int, str]:
            runner.stdin.write(f"{folder}\n")
            runner.stdin.flush()
            code = int(runner.stdout.readline())
            return code, (folder / "out.txt").read_text(encoding="utf-8")

        yield run
        runner.stdin.close()


@pytest.fixture
def program(tmp_path):
    """A copy of the program."""
    others = shutil.ignore_patterns("__pycache__", ".venv")  # `package add` makes one there
    shutil.copytree(ROOT / "components", tmp_path / "components", ignore=others)
    for part in ("__main__.py", "Pulumi.yaml", DEV, "Pulumi.incident.yaml"):
        shutil.copy(ROOT / part, tmp_path / part)
    return tmp_path


def test_without_a_change_the_tests_pass(program, unit_tests):
    code, report = unit_tests(program)
    assert code == 0, report


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_single_change_is_noticed(program, unit_tests, mutation):
    file = program / mutation.file
    text = file.read_text(encoding="utf-8")
    assert text.count(mutation.old) == 1, f"the table is out of date: {mutation.old!r}"
    file.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
    code, report = unit_tests(program)
    assert code == 1, f"no test noticed: {mutation.name}\n{report}"


def test_the_table_is_long_enough():
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS) >= 25
