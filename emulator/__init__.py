"""A local Azure: Resource Manager, API Management gateway and Azure OpenAI regions on loopback.

A development tool: nothing in `components/` or `probes/` imports it.
"""
