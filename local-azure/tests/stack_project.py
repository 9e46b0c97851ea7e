"""A Pulumi project in a folder of its own, and runs of it against some Resource Manager."""

import io
import json
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_azure import deployment

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg"
SERVICE = f"{GROUP}/providers/Microsoft.ApiManagement/service/apim"
BACKENDS = f"{SERVICE}/backends"

# Two backends and the pool over them, in the way the project's own components declare them.
POOL = """
import pulumi
from pulumi_azure_native import apimanagement, resources

config = pulumi.Config()
weight = config.get_int("weight") or 1
group = resources.ResourceGroup("rg", resource_group_name="rg", location="uksouth")
service = apimanagement.ApiManagementService(
    "apim", service_name="apim", resource_group_name=group.name, location="uksouth",
    publisher_email="a@example.com", publisher_name="A",
    sku={"name": "BasicV2", "capacity": 1}, identity={"type": "SystemAssigned"},
)
where = {"resource_group_name": group.name, "service_name": service.name}
backends = [
    apimanagement.Backend(
        name, backend_id=name, url=f"https://{name}.openai.azure.com/openai", protocol="http",
        **where,
    )
    for name in config.get_object("names") or ["foundry1", "foundry2"]
]
pool = apimanagement.Backend(
    "pool", backend_id="pool", type="Pool",
    pool={"services": [{"id": b.id, "priority": 1, "weight": weight} for b in backends]},
    **where,
)
pulumi.export("pool", pool.id)
pulumi.export("gateway", service.gateway_url)
"""


@dataclass(frozen=True)
class Result:
    code: int
    text: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.text)


class StackProject:
    def __init__(self, folder: Path, endpoint: str, program: str = POOL) -> None:
        self.folder = folder / "project"
        self.state = folder / "state"
        self.endpoint = endpoint
        self.folder.mkdir(exist_ok=True)
        self.project_file("name: gateway\nruntime: python\n")
        self.program(program)

    def project_file(self, text: str) -> None:
        (self.folder / "Pulumi.yaml").write_text(text)

    def program(self, text: str) -> None:
        (self.folder / "__main__.py").write_text(textwrap.dedent(text))

    def config(self, **values: Any) -> None:
        text = json.dumps({"config": {f"gateway:{key}": value for key, value in values.items()}})
        (self.folder / "Pulumi.dev.yaml").write_text(text)

    def arm_endpoint(self) -> str:
        assert self.endpoint, "this run was to send no request"
        return self.endpoint

    def run(self, operation: str, **options: Any) -> Result:
        out = io.StringIO()
        code = deployment.run(
            operation,
            project_dir=self.folder,
            stack="dev",
            state_dir=self.state,
            arm_endpoint=self.arm_endpoint,
            out=out,
            **options,
        )
        return Result(code, out.getvalue())

    def up(self, **options: Any) -> Result:
        result = self.run("up", **options)
        assert result.code == 0, result.text
        return result

    def preview(self, **options: Any) -> dict[str, Any]:
        result = self.run("preview", json=True, show_sames=True, **options)
        assert result.code == 0, result.text
        return result.json

    @property
    def checkpoint(self) -> dict[str, Any]:
        return json.loads((self.state / "stacks" / "dev.json").read_text())

    @property
    def files(self) -> list[Path]:
        """What there is of the stack."""
        return [each for each in self.state.rglob("*/*") if each.is_file()]

    @property
    def outputs(self) -> dict[str, Any]:
        return deployment.outputs(self.state, "dev", show_secrets=True)


def steps(document: dict[str, Any]) -> dict[str, str]:
    """The op of each resource of a preview, by `type::name` without parents."""
    return {
        "::".join((step["urn"].split("::")[2].split("$")[-1], step["urn"].split("::")[3])): step[
            "op"
        ]
        for step in document["steps"]
    }
