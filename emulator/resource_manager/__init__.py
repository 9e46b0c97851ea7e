"""Azure Resource Manager over HTTP, for the resource types that the program uses."""

from emulator.resource_manager.app import HOSTS, create_app

__all__ = ["HOSTS", "create_app"]
