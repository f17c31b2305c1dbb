"""Passages that documents share: hashed, matched, and trimmed from all but one of them."""
