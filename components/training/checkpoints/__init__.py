"""Training checkpoints: saving and loading state, files on disk, retention, and copies in an object store."""
