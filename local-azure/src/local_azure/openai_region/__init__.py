"""A regional Azure OpenAI endpoint: what an account's deployments answer."""

from local_azure.openai_region.app import create_app, host_name

__all__ = ["create_app", "host_name"]
