"""Which documents bits per byte is measured on; a module of its own, which needs no torch."""

MIN_BYTES = 1_000
"""Minimum UTF-8 bytes of a document that counts. In shorter documents, the first tokens, which have little context, would
dominate."""
