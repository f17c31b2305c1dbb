"""Where the work runs: adapters to Ray, Flyte, MLflow, the file system and the installed environment."""
