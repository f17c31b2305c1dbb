"""The first pass over raw files: read, normalise and filter each document."""
