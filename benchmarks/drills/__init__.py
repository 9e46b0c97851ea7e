"""Failover drills: what clients notice while regions fail, and which settings spare them."""
