"""What the Pulumi engine starts: the package `openai-gateway`, in a process of its own."""

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
# Started by its folder: imports start at the one above, where this package has its name.
sys.path[0] = str(FOLDER.parent)

from pulumi.provider import main  # noqa: E402

from components.package import Package  # noqa: E402

if __name__ == "__main__":
    main(Package(), sys.argv[1:])
