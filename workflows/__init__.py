"""What happens, and in which order: thin tasks, the pipeline, the recipes and the command line."""
