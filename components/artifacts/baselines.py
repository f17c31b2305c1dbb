"""The baselines of an evaluation: a model whose bits per byte are not lower has learned nothing useful."""

BYTE_UNIGRAM = "byte-unigram"
ZLIB_9 = "zlib-9"
BASELINES = (BYTE_UNIGRAM, ZLIB_9)
"""Names of the baselines; an evaluation report lists them together with the models."""
