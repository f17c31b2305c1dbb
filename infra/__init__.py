"""Adapters to the services that runs use: Ray, Flyte, MLflow, Kubernetes, object stores and the installed environment."""
