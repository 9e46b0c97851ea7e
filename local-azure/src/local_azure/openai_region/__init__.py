"""A regional Azure OpenAI endpoint: what an account's deployments answer."""

from local_azure.openai_region.app import create_app, host_name
from local_azure.openai_region.responses_store import Responses

__all__ = ["Responses", "create_app", "host_name"]
