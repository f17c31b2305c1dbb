"""The first pass over raw files: reads, normalises and filters every document."""
