"""Flyte tasks, the pipeline, the recipes and sweeps, and the command line."""
