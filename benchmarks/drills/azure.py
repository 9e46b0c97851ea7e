"""A local Azure of a drill's own, with the dev stack deployed to it."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from benchmarks.drills.scenarios import Drill
from components import settings
from demo import LATENCY
from local_azure.identity import authorization
from local_azure.local import STATE_VARIABLE, SUBSCRIPTION_ID

ROOT = Path(__file__).parents[2]
# Enough that no drill meets the models' own limits: those are no fault of a region.
CAPACITY = 1000  # all of the quota
_ROLES = "Microsoft.Authorization/roleAssignments"


@dataclass(frozen=True, kw_only=True)
class Azure:
    """A running local Azure with its stack; `url`, `key` and `deployment` are its outputs."""

    endpoint: str
    folder: Path
    url: str
    key: str
    deployment: str
    group: str
    pool: str
    policy: str

    async def change(
        self, session: aiohttp.ClientSession, resource: str, api_version: str, **properties: Any
    ) -> None:
        """Change properties of a resource, as in the portal."""
        found = await self.read(session, resource, api_version)
        body = {"properties": {**found["properties"], **properties}}
        url = f"{self.endpoint}{resource}?api-version={api_version}"
        await self._send(session, "PUT", url, body)

    async def read(self, session: aiohttp.ClientSession, resource: str, api_version: str) -> Any:
        """Return a resource as it is."""
        return await self._send(
            session, "GET", f"{self.endpoint}{resource}?api-version={api_version}"
        )

    async def begin(self, session: aiohttp.ClientSession, drill: Drill) -> Any:
        """Let it happen; return what `end` needs."""
        if drill.pool_update:
            await _run(self.folder, "up", "--config-file", str(_config(self.folder, "dev", drill)))
        if drill.role_lost:
            return [await self._take_role(session, region) for region in drill.regions]
        for region in drill.regions:
            url = f"{self.endpoint}/_local-azure/faults/{region}"
            await self._send(session, "PUT", url, dict(drill.fault))
        return []

    async def end(self, session: aiohttp.ClientSession, taken: Any) -> None:
        """Heal every region."""
        await self._send(session, "DELETE", f"{self.endpoint}/_local-azure/faults")
        for url, assignment in taken:
            await self._send(session, "PUT", url, assignment)

    async def _take_role(self, session: aiohttp.ClientSession, region: str) -> tuple[str, Any]:
        provider = "providers/Microsoft.CognitiveServices/accounts"
        group = f"{self.endpoint}/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/{self.group}"
        accounts = await self._send(session, "GET", f"{group}/{provider}?api-version=2025-06-01")
        (account,) = (each for each in accounts["value"] if each["name"].startswith(region))
        scope = f"{self.endpoint}{account['id']}/providers/{_ROLES}?api-version=2022-04-01"
        (found,) = (await self._send(session, "GET", scope))["value"]
        url = f"{self.endpoint}{found['id']}?api-version=2022-04-01"
        await self._send(session, "DELETE", url)
        kept = ("roleDefinitionId", "principalId", "principalType")
        return url, {"properties": {name: found["properties"][name] for name in kept}}

    async def _send(
        self, session: aiohttp.ClientSession, method: str, url: str, body: Any = None
    ) -> Any:
        headers = authorization(self.folder / "state")
        async with session.request(method, url, json=body, headers=headers) as answer:
            answer.raise_for_status()
            return await answer.json() if answer.content_type == "application/json" else None


@asynccontextmanager
async def deployed(
    drill: Drill, *, instances: int, latency: Mapping[str, float] = LATENCY
) -> AsyncIterator[Azure]:
    """Serve and deploy the stack that a drill begins with, for the length of a `with`.

    `latency` has the seconds that each location takes to answer.
    """
    with tempfile.TemporaryDirectory(prefix="drill-") as name:
        async with _deployed(drill, instances, latency, Path(name)) as azure:
            yield azure


@asynccontextmanager
async def _deployed(
    drill: Drill, instances: int, latency: Mapping[str, float], folder: Path
) -> AsyncIterator[Azure]:
    slow = [f"--latency={location}={seconds}" for location, seconds in latency.items()]
    flags = ["--port=0", "--provisioning=0", f"--gateway-instances={instances}", *slow]
    server = await _start(folder, "serve", *flags)
    try:
        line = (await _stdout(server).readline()).decode()
        endpoint = line.partition(" at ")[2].partition(",")[0]
        stack = "incident" if drill.pool_update else "dev"
        await _run(folder, "up", "--config-file", str(_config(folder, stack, drill)))
        outputs = json.loads(await _run(folder, "output", "--show-secrets"))
        yield Azure(
            endpoint=endpoint,
            folder=folder,
            url=outputs["inference_url"],
            key=outputs["subscription_key"],
            deployment=outputs["deployment"],
            group=outputs["resource_group"],
            pool=outputs["pool"]["id"],
            policy=outputs["policy"]["id"],
        )
    finally:
        server.terminate()
        await server.wait()


def _config(folder: Path, stack: str, drill: Drill) -> Path:
    """Write a stack's config with models that no drill exhausts."""
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))
    regions = config["config"]["openai-gateway:regions"]
    models = settings.parse({"regions": regions, "routing": "priority"}).models
    config["config"]["openai-gateway:models"] = [
        {**each.model_dump(by_alias=True, exclude_none=True), "capacity": CAPACITY}
        for each in models
    ]
    if drill.repeat_unanswered:
        config["config"]["openai-gateway:retries"] = {"repeatUnanswered": True}
    path = folder / f"Pulumi.{stack}.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


async def _start(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "local_azure",
        *arguments,
        cwd=ROOT,
        env={**os.environ, STATE_VARIABLE: str(folder / "state"), "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
    )


async def _run(folder: Path, *arguments: str) -> str:
    process = await _start(folder, *arguments)
    output, _ = await process.communicate()
    if process.returncode:
        command = f"local-azure {' '.join(arguments)}"
        raise SystemExit(f"{output.decode()}{command} ended with {process.returncode}")
    return output.decode()


def _stdout(process: asyncio.subprocess.Process) -> asyncio.StreamReader:
    assert process.stdout is not None
    return process.stdout
