"""Two baselines without a model. A model whose bits per byte are not lower has learned nothing useful."""

import zlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt


def byte_unigram(documents: Iterable[bytes]) -> float:
    """Bits per byte of the best possible model that uses byte frequencies but no context.

    The entropy `-sum p log2 p` of the bytes of all these documents together (Shannon 1948, section 6, order zero). Frequencies
    estimated on training text would give a cross-entropy, which is never lower (Gibbs' inequality), so this is the stronger
    baseline, and needs no smoothing. The bits to encode the 256 frequencies are not counted.

    Raises `ValueError` if the documents have no bytes.
    """
    counts: npt.NDArray[np.int64] = np.zeros(256, dtype=np.int64)
    for document in documents:
        counts += np.bincount(np.frombuffer(document, dtype=np.uint8), minlength=256)
    if not counts.sum():
        raise ValueError("byte_unigram of no bytes")
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log2(p)).sum())


def zlib_9(documents: Iterable[bytes]) -> float:
    """Bits per byte of zlib at level 9 on each document separately, including header and checksum (RFC 1950).

    Like the models, it starts every document without context. Raises `ValueError` if the documents have no bytes.
    """
    compressed = original = 0
    for document in documents:
        compressed += len(zlib.compress(document, 9))
        original += len(document)
    if not original:
        raise ValueError("zlib_9 of no bytes")
    return 8 * compressed / original
