"""The API Management gateway: runs the API, subscriptions, policy, backends and pools deployed."""

from local_azure.gateway.app import create_app, host_name

__all__ = ["create_app", "host_name"]
