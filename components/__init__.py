"""What is deployed: the Pulumi components, and what they and the probes share."""

__version__ = "0.2.0"
