"""Refuses or changes single documents, by rules, word lists, personal data and benchmark items."""
