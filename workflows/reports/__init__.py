"""What became of runs and their steps, read from journals, manifests and series: as summaries, and as a page."""
