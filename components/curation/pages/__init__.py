"""What a reader sees of a corpus: its overview, its page, and the page of the deduplication curve."""
