"""The project's commands, run as a user runs them."""

import os
import re
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import warm_python

from local_azure import identity
from local_azure.local import outputs_file

ROOT = Path(__file__).parents[2]

# What the one who runs the tests has set, and a user's shell has not: proxies, and make's own.
_INHERITED = re.compile("PROXY|^MAKE|^MFLAGS", re.IGNORECASE)


# What the commands load, and would load anew for each test.
_LOADED = (
    *("anyio._backends._asyncio", "azure.identity._credentials.app_service", "httpcore"),
    *("components.load_balanced_openai", "probes.preview_comment", "probes.session"),
    *("local_azure.deployment.deploy", "local_azure.deployment.display", "local_azure.commands"),
    *("local_azure.providers", "local_azure.server", "local_azure.tls"),
    # A policy's expressions take longer to read than all else to deploy.
    "tests.end_to_end.known_policy:compiled()",
    # Each of these packages is one that the SDK loads at its first use.
    *(
        "pulumi_azure_native.authorization:RoleAssignment",
        "pulumi_azure_native.resources:ResourceGroup",
    ),
    "pulumi_azure_native.cognitiveservices:Account",
)


class Shell:
    """Runs the project's commands as a user does, with a state folder of the test's own."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.python = warm_python.python(*_LOADED)
        self.served = ""
        """What the last server wrote to its terminal."""
        self.environment = {
            **{name: value for name, value in os.environ.items() if not _INHERITED.search(name)},
            "PATH": os.pathsep.join(
                folder
                for folder in os.environ["PATH"].split(os.pathsep)
                if not (Path(folder) / "pulumi").exists()  # the tests of the CLI take it back
            ),
            "LOCAL_AZURE_STATE": str(state),
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
            "COLUMNS": "120",
        }

    def run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.python, *arguments],
            cwd=ROOT,
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def local_azure(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "local_azure", *arguments)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.python, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def serving(self, *flags: str):
        """A server for the length of a `with`: gives its endpoint."""
        server = self.start("-m", "local_azure", "serve", "--port", "0", *flags)
        try:
            line = server.stdout.readline()
            assert "Resource Manager at http://127.0.0.1:" in line, server.stderr.read()
            endpoint = line.split(" at ")[1].split(",")[0]
            self.environment |= {
                "ARM_ENDPOINT": endpoint,
                "PROBE_OUTPUTS": str(outputs_file(self.state, "dev")),
                **identity.variables(self.state, endpoint),
            }
            yield endpoint
        finally:
            server.send_signal(signal.SIGTERM)
            out, err = server.communicate(timeout=20)
            self.served = line + out + err
        assert server.returncode == 0, err
        assert err == "", err
