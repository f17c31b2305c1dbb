"""Adapters to MLflow: runs and the model registry."""
