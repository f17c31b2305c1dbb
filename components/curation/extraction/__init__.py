"""The first pass over raw files: every document is read, normalised and filtered."""
