"""What the demo, the drills and the pictures show of this program, on a local Azure."""

import shutil
import sys
from pathlib import Path

# The incident's own response times, in seconds (its report, "Cell 47 Output").
LATENCY = {"uksouth": 0.75, "eastus": 0.82, "norwayeast": 0.91}


def copy_program(project: Path, folder: Path) -> None:
    """Copy what the CLI runs, for who changes it."""
    folder.mkdir()
    for path in [*project.glob("Pulumi*.yaml"), project / "__main__.py"]:
        shutil.copy(path, folder)
    shutil.copytree(project / "components", folder / "components")
    (folder / ".venv").symlink_to(sys.prefix)
