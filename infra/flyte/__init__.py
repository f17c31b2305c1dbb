"""Adapters to Flyte: task environments, the code that travels with a run, and runs on a service."""
