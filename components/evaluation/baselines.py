"""Two baselines without a model: what a model must beat before its bits per byte mean anything."""

import zlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt


def byte_unigram(documents: Iterable[bytes]) -> float:
    """Bits per byte of the best possible model that knows byte frequencies and no context.

    The entropy `-sum p log2 p` of the pooled bytes of exactly these documents (Shannon 1948, section 6, order zero).
    Frequencies estimated on training text would give a cross-entropy, which is never lower (Gibbs' inequality): this
    is the harder of the two, and it needs no smoothing. The 256 frequencies themselves are given for free.

    Raises `ValueError` where there is no byte.
    """
    counts: npt.NDArray[np.int64] = np.zeros(256, dtype=np.int64)
    for document in documents:
        counts += np.bincount(np.frombuffer(document, dtype=np.uint8), minlength=256)
    if not counts.sum():
        raise ValueError("byte_unigram of no bytes")
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log2(p)).sum())


def zlib_9(documents: Iterable[bytes]) -> float:
    """Bits per byte of zlib at level 9 on each document alone, its header and checksum included (RFC 1950).

    As the models do, it starts every document without knowledge of the others. Raises `ValueError` for no bytes.
    """
    compressed = original = 0
    for document in documents:
        compressed += len(zlib.compress(document, 9))
        original += len(document)
    if not original:
        raise ValueError("zlib_9 of no bytes")
    return 8 * compressed / original
