"""Training checkpoints: state, files, retention, and copies in an object store."""
