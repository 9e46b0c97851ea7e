"""A local Azure: Resource Manager, API Management gateways and Azure OpenAI regions on loopback."""
