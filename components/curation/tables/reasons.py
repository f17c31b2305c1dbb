"""Names of the reasons why a document is not in the corpus, besides those of the filters."""

FLAGGED = "flagged-words"
"""Too large a share of the document's words is flagged."""

CONTAMINATED = "contaminated"
"""The document contains a benchmark item."""

LOW_QUALITY = "low-quality"
"""The document's quality score is among the lowest of its language and domain."""

EXACT, NEAR = "exact-duplicate", "near-duplicate"
"""Another document with the same text, or with similar text, is kept instead."""

DUPLICATE_PASSAGES = "duplicate-passages"
"""After trimming, fewer than `min_characters` characters of the document remain, and it keeps no passage for others."""
