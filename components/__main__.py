"""What the Pulumi engine starts: the package `openai-gateway`, in a process of its own."""

import sys
from importlib import import_module
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
# Started by its folder: imports start at the one above, where this package has its folder's name.
sys.path[0] = str(FOLDER.parent)

from pulumi.provider import main  # noqa: E402

if __name__ == "__main__":
    main(import_module(f"{FOLDER.name}.package").Package(), sys.argv[1:])
