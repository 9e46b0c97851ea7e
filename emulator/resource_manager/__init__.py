"""Azure Resource Manager over HTTP, for the resource types that the program uses."""

from emulator.resource_manager.app import create_app

__all__ = ["create_app"]
