"""Pages about a corpus: its overview as data, its HTML page, and the page of the deduplication curve."""
