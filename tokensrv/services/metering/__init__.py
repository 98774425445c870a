"""Metering: what Prometheus may collect of a process, of the cache and of all workers of a node."""
