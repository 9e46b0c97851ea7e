"""What is compared: how each is found and started. All lead to the same three regions, in turn."""

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.load.client import Target

CHAT: Final = "openai/deployments/chat/chat/completions?api-version=2024-10-21"
_NGINX: Final = """
daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  upstream regions {{ {servers} keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://regions;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A gateway to be started: its command, and what its clients ask. `why_not` says what lacks."""

    name: str
    command: Sequence[str] = ()
    target: Target
    variables: Mapping[str, str] = field(default_factory=dict)
    why_not: str = ""


def _chat(port: int) -> str:
    return f"http://127.0.0.1:{port}/{CHAT}"


def contenders(
    folder: Path, ports: Sequence[int], regions: Sequence[int], *, program: Path, path: str
) -> list[Contender]:
    """Return all, those that are not installed with a reason; each gets a port.

    Ours runs what the Pulumi `program` deploys, and is asked at the `path`.
    """
    urls = [f"http://127.0.0.1:{port}" for port in regions]
    ours, bare, nginx, litellm = ports
    module = (sys.executable, "-m")
    own_target = Target(
        url=f"http://127.0.0.1:{ours}/{path}", headers=(("api-key", _key(folder, program)),)
    )
    own = (*module, "benchmarks.load.ours", str(folder / "state"), str(ours), *urls)
    return [
        Contender(name="no gateway", target=Target(url=_chat(regions[0]))),
        Contender(name="local Azure's gateway", command=own, target=own_target),
        Contender(name="the same, with logs", command=(*own, "--logs"), target=own_target),
        Contender(
            name="bare aiohttp proxy",
            command=(*module, "benchmarks.load.bare_proxy", str(bare), *urls),
            target=Target(url=_chat(bare)),
        ),
        _nginx(folder, nginx, regions),
        _litellm(folder, litellm, urls),
    ]


def _key(folder: Path, program: Path) -> str:
    """Deploy a program to a local Azure in the folder, and return the key among its outputs."""
    environment = {**os.environ, "LOCAL_AZURE_STATE": str(folder / "state")}
    for command in ("up", "output --show-secrets"):
        done = subprocess.run(
            [sys.executable, "-m", "local_azure", *command.split()],
            cwd=program,
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
        )
    outputs = json.loads(done.stdout)
    return str(next(outputs[name] for name in ("subscription_key", "key") if name in outputs))


def _nginx(folder: Path, port: int, regions: Sequence[int]) -> Contender:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    config = folder / "nginx.conf"
    servers = "".join(f"server 127.0.0.1:{region}; " for region in regions)
    config.write_text(_NGINX.format(folder=folder, port=port, servers=servers), encoding="utf-8")
    return Contender(
        name="nginx",
        command=(program or "", "-c", str(config)),
        target=Target(url=_chat(port)),
        why_not="" if program else "nginx is not installed",
    )


def _litellm(folder: Path, port: int, urls: Sequence[str]) -> Contender:
    program = shutil.which("litellm")
    config = folder / "litellm.yaml"
    key = f"sk-{secrets.token_hex(16)}"
    listen = ("--host", "127.0.0.1", "--port", str(port))
    models = [
        {
            "model_name": "chat",
            "litellm_params": {
                "model": "azure/chat",
                "api_base": url,
                "api_key": "unused",
                "api_version": "2024-10-21",
            },
        }
        for url in urls
    ]
    settings = {"model_list": models, "litellm_settings": {"drop_params": True, "telemetry": False}}
    config.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
    return Contender(
        name="LiteLLM",
        command=(program or "", "--config", str(config), *listen),
        target=Target(url=_chat(port), headers=(("Authorization", f"Bearer {key}"),)),
        variables={
            "LITELLM_MASTER_KEY": key,
            "LITELLM_LOG": "ERROR",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        },
        why_not="" if program else "litellm is not on PATH",
    )
