"""What runs in the processes that a test kills; `warm_interrupted_run` loads it for all."""

import asyncio
import io
import json
import logging
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx  # noqa: F401 - loaded before the first fork
from aiohttp import web

from local_azure import deployment
from local_azure.identity import Tokens
from local_azure.resource_manager import create_app
from local_azure.store import Store

PROGRAM = """
import pulumi
from pulumi_azure_native import apimanagement, authorization, cognitiveservices, resources
from pulumi_random import RandomString, RandomUuid

config = pulumi.Config()
suffix = RandomString("suffix", length=8, upper=False, special=False).result
group = resources.ResourceGroup(
    "rg", resource_group_name=pulumi.Output.concat("rg-", suffix), location="uksouth")
service = apimanagement.ApiManagementService(
    "apim", service_name=pulumi.Output.concat("apim-", suffix), location="uksouth",
    resource_group_name=group.name, publisher_email="a@example.com", publisher_name="A",
    sku={"name": "BasicV2", "capacity": 1}, identity={"type": "SystemAssigned"})
account = cognitiveservices.Account(
    "foundry1", account_name=pulumi.Output.concat("foundry1-", suffix), location="uksouth",
    resource_group_name=group.name, kind="OpenAI", sku={"name": "S0"},
    properties={"custom_sub_domain_name": pulumi.Output.concat("foundry1-", suffix)})
previous = account
for model in ("chat", "embeddings"):
    previous = cognitiveservices.Deployment(
        model, deployment_name=model, account_name=account.name, resource_group_name=group.name,
        sku={"name": "GlobalStandard", "capacity": config.get_int("capacity") or 1},
        properties={"model": {
            "format": "OpenAI", "name": "gpt-5-mini", "version": "2025-08-07"}},
        opts=pulumi.ResourceOptions(depends_on=[previous]))
authorization.RoleAssignment(
    "role", scope=account.id, role_assignment_name=RandomUuid("role").result,
    principal_id=service.identity.apply(lambda identity: identity.principal_id),
    principal_type="ServicePrincipal",
    role_definition_id="/providers/Microsoft.Authorization/roleDefinitions"
    "/5e0bd9bd-7b93-4f28-af87-19fc36ad61bd")
where = {"resource_group_name": group.name, "service_name": service.name}
backends = [
    apimanagement.Backend(
        name, backend_id=name, url=f"https://{name}.openai.azure.com/openai", protocol="http",
        **where)
    for name in config.require_object("names")]
pool = apimanagement.Backend(
    "pool", backend_id="pool", type="Pool", pool={"services": [
        {"id": b.id, "priority": 1, "weight": config.get_int("weight") or 1} for b in backends]},
    **where)
pulumi.export("pool", pool.id)
"""
CONFIGS = {
    "first.yaml": {"names": ["foundry1", "foundry2"]},
    "other.yaml": {"names": ["foundry1", "foundry3"], "weight": 7, "capacity": 2},
}


def write_project(folder: Path) -> None:
    (folder / "Pulumi.yaml").write_text("name: p\nruntime: python\n")
    (folder / "__main__.py").write_text(PROGRAM)
    for name, values in CONFIGS.items():
        text = json.dumps({"config": {f"p:{key}": value for key, value in values.items()}})
        (folder / name).write_text(text)


def warm_up() -> None:
    """Load and work out, before the first fork, all that a run needs from the SDK."""
    with TemporaryDirectory() as folder:
        write_project(Path(folder))
        deployment.run(
            "preview",
            project_dir=Path(folder),
            stack="dev",
            state_dir=Path(folder),
            arm_endpoint=str,
            config_file=Path(folder) / "first.yaml",
            out=io.StringIO(),
        )


def deploy(tell: Connection, operation: Any, project: Path, endpoint: str, config: str) -> None:
    """Run an operation; tell when it begins, and how it ended."""
    tell.send("began")
    out = io.StringIO()
    code = deployment.run(
        operation,
        project_dir=project,
        stack="dev",
        state_dir=project / "state",
        arm_endpoint=lambda: endpoint,
        token=Tokens(b"secret").of_application,
        config_file=project / config,
        out=out,
    )
    tell.send((code, out.getvalue()))


def serve(tell: Connection, folder: Path, port: int) -> None:
    """Run Resource Manager until killed; tell its port once it listens."""
    logging.disable()

    async def run() -> None:
        app = create_app(
            Store(folder / "azure.sqlite3"),
            gateway_url=lambda service: f"http://gateway.test/{service.rsplit('/', 1)[-1]}",
            compile_policy=lambda xml, **names: None,
            tokens=Tokens(b"secret"),
            provisioning_seconds=0.02,
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
        tell.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())
