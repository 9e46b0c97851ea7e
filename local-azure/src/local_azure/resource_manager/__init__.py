"""Azure Resource Manager over HTTP, for the resource types that the program uses."""

from local_azure.resource_manager.app import HOSTS, create_app

__all__ = ["HOSTS", "create_app"]
