"""Azure OpenAI in three regions behind one endpoint, by the SDK that `pulumi install` generates."""

import pulumi
from pulumi_openai_gateway import LoadBalancedOpenAI

openai = LoadBalancedOpenAI(
    "openai",
    regions=[
        {"name": "foundry1", "location": "uksouth", "priority": 1},
        {"name": "foundry2", "location": "eastus", "priority": 1},
        {"name": "foundry3", "location": "norwayeast", "priority": 1},
    ],
    monitoring={"alert_emails": ["team@example.com"]},
)

pulumi.export("endpoint", openai.inference_url)
pulumi.export("gateway", openai.stack_outputs)  # what the probe reads, under any name
