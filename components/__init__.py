"""What is deployed: the Pulumi components; no probe, no local Azure in here."""
