"""What is deployed: the Pulumi components, and what they and the probes share."""
