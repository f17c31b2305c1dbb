"""Adapters to Flyte: task environments, projects, and runs on a Flyte service."""
