"""Names that one stage writes into tables, paths and reports, and others read there: splits and baselines."""

TRAIN = "train"
VALIDATION = "validation"
SPLITS = (TRAIN, VALIDATION)
"""Also names of directories and files, such as `train.jsonl`."""

BYTE_UNIGRAM = "byte-unigram"
ZLIB_9 = "zlib-9"
BASELINES = (BYTE_UNIGRAM, ZLIB_9)
"""Names under which the baselines stand among the models of an evaluation report."""
