"""How much a gateway costs a request: ours beside others, on the same regions in the same run."""
