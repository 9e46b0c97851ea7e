"""The dev stack's policy, compiled once for all commands of a run: each would take 0.3 s."""

from components.inference_api import policy_xml
from components.settings import parse
from local_azure.gateway.policy import compile_policy

REGIONS = {"foundry1": "uksouth", "foundry2": "eastus", "foundry3": "norwayeast"}


def compiled() -> None:
    regions = [{"name": name, "location": location} for name, location in REGIONS.items()]
    compile_policy(policy_xml(parse({"regions": regions}), "BasicV2"))
