"""The baselines of an evaluation: what a model must beat before its bits per byte mean anything."""

BYTE_UNIGRAM = "byte-unigram"
ZLIB_9 = "zlib-9"
BASELINES = (BYTE_UNIGRAM, ZLIB_9)
"""Names under which the baselines stand among the models of an evaluation report."""
