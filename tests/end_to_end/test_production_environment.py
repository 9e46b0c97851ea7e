"""What `requirements.txt` alone brings is enough: the program, the probe and the comment run.

`make production` runs it, and so does CI: it installs 200 MB of packages, which takes a minute.
"""

import json
import os
import subprocess
import sys

import pytest
from fake_gateway import Gateway
from fake_github import GitHub
from shell import ROOT

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not os.environ.get("PRODUCTION"), reason="`make production` runs it"),
]
PREVIEW = ROOT / "tests" / "probes" / "previews" / "first-deploy.json"
DECLARE = "import recording; print(len(recording.declare(recording.config_of('dev')).resources))"


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    """Run a command in an environment that holds nothing but the requirements."""
    folder = tmp_path_factory.mktemp("production") / "env"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    reached = subprocess.run([*install, "idna"], capture_output=True, text=True, check=False)
    if reached.returncode:
        pytest.skip(f"pip reaches no package index: {reached.stderr.strip().splitlines()[-1]}")
    subprocess.run([*install, "-r", ROOT / "requirements.txt"], check=True)

    def run(*arguments: object, text: str = "", **environment: str):
        known = ("PATH", "HOME", "LANG", "SSL_CERT_FILE")
        return subprocess.run(
            [python, "-W", "error", *arguments],
            cwd=ROOT,
            env={**{k: os.environ[k] for k in known if k in os.environ}, **environment},
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


def test_the_program_declares_its_resources(production):
    done = production("-c", DECLARE, PYTHONPATH=f"{ROOT / 'tests' / 'unit'}{os.pathsep}{ROOT}")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30


def test_the_probe_signs_in_reads_the_pool_and_judges_the_traffic(production):
    shown = production("probes/distribution.py", "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    gateway = Gateway()
    try:
        outputs = json.dumps(gateway.outputs())
        flags = ["--outputs", "-", "--json", "-"]
        done = production("probes/distribution.py", *flags, text=outputs, **gateway.environment)
    finally:
        gateway.close()
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert (report["verdict"], len(report["pool"]["members"])) == ("balanced", 3)


def test_the_comment_is_written_and_posted(production):
    github = GitHub()
    try:
        done = production(
            "probes/preview_comment.py",
            PREVIEW,
            "--post",
            "--pull-request",
            "7",
            GITHUB_API_URL=github.url,
            GITHUB_REPOSITORY="team/gateway",
            GITHUB_TOKEN="made-up",
        )
    finally:
        github.close()
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(github.comments) == 5
