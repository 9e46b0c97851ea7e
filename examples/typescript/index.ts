import * as pulumi from "@pulumi/pulumi";
import { LoadBalancedOpenAI } from "@pulumi/openai-gateway";

const openai = new LoadBalancedOpenAI("openai", {
    regions: [
        { name: "foundry1", location: "uksouth", priority: 1 },
        { name: "foundry2", location: "eastus", priority: 1 },
        { name: "foundry3", location: "norwayeast", priority: 1 },
    ],
    monitoring: {
        alertEmails: ["team@example.com"],
        // What decides nothing may be an output: a secret stays one.
        webhook: new pulumi.Config().getSecret("webhook"),
    },
});

export const endpoint = openai.inferenceUrl;
export const gateway = openai.stackOutputs; // what the probe reads, under any name
