"""How long the probe takes to a verdict, beside the loop that it replaces.

A gateway on loopback answers in strict rotation with the incident's latencies (0.75, 0.82, 0.91 s).
Measured as whole processes, interpreter start included: the probe, which signs in by a managed
identity and reads the pool back, a loop of 20 requests with pauses of 100 ms, and `--help`. Goals:
the probe in at most 2.5 times the slowest request, 6 times faster than the loop; `--help` in under
150 ms. `python benchmarks/probe.py --write` writes docs/speed.md as well.
"""

import itertools
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from components.contract import digest  # noqa: E402

DOCUMENT = ROOT / "docs" / "speed.md"
REGIONS = (("uksouth", "UK South"), ("eastus", "East US"), ("norwayeast", "Norway East"))
LATENCIES = (0.75, 0.82, 0.91)
RUNS = 5
POLICY = (ROOT / "components" / "policies" / "inference.xml").read_text(encoding="utf-8")
PROBE = [sys.executable, str(ROOT / "probes" / "distribution.py")]
LOOP = """
import sys, time, httpx
url, key = sys.argv[1:]
with httpx.Client(headers={"api-key": key}, timeout=60, trust_env=False) as client:
    for _ in range(20):
        client.post(url, json={"messages": []})
        time.sleep(0.1)
"""


class Gateway(BaseHTTPRequestHandler):
    """A token, or pool and policy, on GET; a completion of the next region on POST."""

    turns = itertools.count()

    def do_GET(self) -> None:
        """Answer with a token, or with pool and policy to who has it."""
        if self.path.startswith("/token"):
            self._answer({"access_token": "token", "expires_on": "4102444800"})
            return
        if self.headers["Authorization"] != "Bearer token":
            raise PermissionError(self.path)
        services = [
            {"id": f"/x/foundry{i}", "priority": 1, "weight": 1} for i in range(1, len(REGIONS) + 1)
        ]
        # One answer for pools and policy: each reader takes its part.
        self._answer({"properties": {"pool": {"services": services}, "value": POLICY}})

    def do_POST(self) -> None:
        """Answer as the next region, after its latency."""
        region = next(self.turns) % len(REGIONS)
        self.rfile.read(int(self.headers["content-length"]))
        time.sleep(LATENCIES[region])
        self._answer({"choices": []}, **{"x-backend-host": f"foundry{region + 1}.example"})

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, document: object, **headers: str) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def outputs(url: str) -> str:
    """Return the outputs of a stack whose gateway is at `url`."""
    backends = [
        {
            "id": f"foundry{i}",
            "location": location,
            "region": region,
            "url": f"https://foundry{i}.example/openai",
            "priority": 1,
            "weight": 1,
        }
        for i, (location, region) in enumerate(REGIONS, 1)
    ]
    return json.dumps(
        {
            "resource_group": "rg",
            "gateway_url": url,
            "inference_url": url,
            "subscription_key": "made-up",
            "deployment": "chat",
            "api_version": "2024-10-21",
            "pool": {"id": "/pool", "name": "pool"},
            "routing": "round-robin",
            "backends": backends,
            "policy": {"id": "/policy", "digest": digest(POLICY)},
        }
    )


def seconds(command: list[str], url: str, text: str = "") -> float:
    """Wall time of a process that must succeed."""
    begin = time.perf_counter()
    subprocess.run(
        command,
        input=text.encode(),
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("ARM_")},
            "ARM_ENDPOINT": url,
            "IDENTITY_ENDPOINT": f"{url}/token",
            "IDENTITY_HEADER": "made-up",
            "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
        },
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - begin


def main() -> int:
    """Print the figures; exit code 1 when a goal is missed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    probe = statistics.median(
        seconds([*PROBE, "--outputs", "-"], url, outputs(url)) for _ in range(RUNS)
    )
    loop = seconds([sys.executable, "-c", LOOP, url, "made-up"], url)
    start = statistics.median(seconds([*PROBE, "--help"], url) for _ in range(2 * RUNS))
    server.shutdown()
    slowest = max(LATENCIES)
    text = f"""\
probe, 12 requests, whole process     {probe:6.2f} s (median of {RUNS})
  of the slowest request ({slowest} s)     {probe / slowest:6.2f} (goal: at most 2.5)
20 sequential requests, 100 ms pauses {loop:6.2f} s
  of the probe                        {loop / probe:6.2f} (goal: at least 6)
--help                                {1000 * start:6.0f} ms (goal: under 150)
"""
    print(text, end="")
    if sys.argv[1:] == ["--write"]:
        document = f"# How fast a verdict is\n\n{__doc__}\n```text\n{text}```\n"
        DOCUMENT.write_text(document, encoding="utf-8")
    return int(probe > 2.5 * slowest or loop < 6 * probe or start >= 0.15)


if __name__ == "__main__":
    sys.exit(main())
