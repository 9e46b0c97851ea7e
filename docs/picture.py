"""Draw the README's pictures from real runs: `make docs`.

Nothing in them is typed by hand. For the demo's, it is run, and its lines are shown in the order in
which they came; long lists that say nothing new are left out, and the picture says how many lines
they had. The probe draws its own, of the incident and of the fixed pool on a local Azure.
"""

import os
import re
import subprocess
import sys
import tempfile
from functools import partial
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)

from demo import LATENCY  # noqa: E402 - a script finds the repository first

PICTURE = ROOT / "docs" / "demo.svg"
WIDTH = 100

# What a line looks like decides how it is shown: the demo prints plain text to a pipe.
STYLES = (
    (r"^== ", "bold cyan"),
    (r"^\$ ", "bold"),
    (r"✓|^\[OK\]|^balanced", "green"),
    (r"✗|^not balanced|\(100\.0%\)", "red"),
    (r"^ ~|^\s+~ ", "yellow"),
)
# As a user judges a stack of the local Azure.
JUDGE = """
eval "$(local-azure env)"
local-azure output --stack dev --show-secrets | python probes/distribution.py --outputs -"""
# Blocks that are folded: from the line that begins one to the line before the one that ends it.
FOLDED = ((r"^\s+Type\s+Name", r"^Diagnostics:"), (r"^Outputs:", r"^Resources:"))


def run() -> list[str]:
    """Return the lines of one run of the demo. Raises CalledProcessError when it fails."""
    result = subprocess.run(
        [sys.executable, "-m", "demo"],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": str(WIDTH)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return result.stdout.splitlines()


def fold(lines: list[str]) -> list[str]:
    """Leave out what says nothing new, and say so; changed resources always stay."""
    shown: list[str] = []
    end, left_out = None, 0
    for line in [*lines, ""]:
        if end and re.search(end, line):
            shown += [f"     ... {left_out} lines", ""] if left_out else []
            end, left_out = None, 0
        opening = next((stop for start, stop in FOLDED if re.search(start, line)), None)
        end = end or opening
        if end and not re.search(r"^ ~|^\s+~ ", line):
            left_out += 1
        else:
            shown.append(line)
    return shown


def draw(lines: list[str]) -> str:
    """Return the lines as an SVG of a terminal."""
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
    for line in lines:
        style = next((style for pattern, style in STYLES if re.search(pattern, line)), "")
        console.print(Text(line, style=style), soft_wrap=False)
    svg = console.export_svg(title="make demo", theme=MONOKAI, unique_id="demo")
    # The viewer's own monospace font: a picture must not fetch anything.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def probe(docs: Path) -> None:
    """Deploy the incident and then the fixed pool, and let the probe draw each."""
    python = [sys.executable]
    latency = [
        flag for place, seconds in LATENCY.items() for flag in ("--latency", f"{place}={seconds}")
    ]
    with tempfile.TemporaryDirectory() as state:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "LOCAL_AZURE_STATE": state, "PATH": path}
        run = partial(subprocess.run, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        with subprocess.Popen(
            [*python, "-m", "local_azure", "serve", "--port", "0", *latency],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
        ) as server:
            try:
                if server.stdout:
                    server.stdout.readline()  # it is ready
                for name, config in (("incident", "Pulumi.incident.yaml"), ("fixed", None)):
                    flags = ["--config-file", config] if config else []
                    run([*python, "-m", "local_azure", "up", "--stack", "dev", *flags], check=True)
                    picture = docs / f"probe-{name}.svg"
                    judge = f"{JUDGE} --expect round-robin --svg '{picture}'"
                    code = run(["bash", "-c", judge], check=False).returncode
                    if code != (1 if config else 0):
                        raise SystemExit(f"the probe ended with {code} on the {name} pool")
            finally:
                server.terminate()


def main() -> None:
    """Run the demo and the probe, and write the pictures."""
    picture = draw(fold(run()))
    PICTURE.write_text("\n".join(line.rstrip() for line in picture.splitlines()) + "\n", "utf-8")
    probe(PICTURE.parent)
    for path in sorted(PICTURE.parent.glob("*.svg")):
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
