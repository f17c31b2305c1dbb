"""Why a document is not in the corpus: the names that tables, figures and pages use besides the filters' own."""

FLAGGED = "flagged-words"
"""Too many of its words are flagged."""

CONTAMINATED = "contaminated"
"""It holds an item of an evaluation set."""

LOW_QUALITY = "low-quality"
"""Its quality score is among the lowest of its language and domain."""

EXACT, NEAR = "exact-duplicate", "near-duplicate"
"""Another document with the same text, or with similar text, is kept instead."""

DUPLICATE_PASSAGES = "duplicate-passages"
"""Repeated passages leave less than `min_characters` of it, and it keeps none of them itself."""
