"""The classifier behind the quality score: for each language, logistic regression on hashed words and pairs of words.

Like fastText's classifier, which DCLM (arXiv 2406.11794, section 4.4) found the best of seven filtering methods, it uses words
and pairs of adjacent words. Unlike fastText's it has no hidden layer, so there is a single optimum, which depends neither on the
order of documents nor on a learning rate. Words are those of `components.curation.text.shingles`, where a Han character is a
word. scikit-learn's `HashingVectorizer` is not used, since it is slow (it makes a Python string of each word) and finds no words
in Chinese.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.curation.text.shingles import ALPHANUMERIC, fold_of, hash_words
from components.machine_code import Bytes, Numbers, compiled, mix

BUCKETS = 1 << 18
"""Number of weights of a classifier; they take 1 MiB, which fits into a core's cache."""

MAX_BYTES = 8192
"""Maximum bytes of a document that are read: about 1 300 English words, enough to judge how it is written, even for a book."""

INVERSE_PENALTY = 10.0
"""`C` of scikit-learn's `LogisticRegression`. The default of 1 underfits, because each document is a vector of length 1."""

HELD_OUT = 5
"""One in this many documents is held out of training, to measure the AUC."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Classifier:
    """The classifier of one language."""

    weights: npt.NDArray[np.float32]
    """Weight of each bucket, float32 [`BUCKETS`]."""
    bias: float

    def log_odds(self, raw: Bytes, offsets: Numbers) -> npt.NDArray[np.float32]:
        """Log-odds that each text is a reference, float32 [texts]; `sketches.bytes_of` returns `raw` and `offsets`."""
        scores = np.empty(max(0, len(offsets) - 1), dtype=np.float32)
        _score(raw, offsets, fold_of(ALPHANUMERIC), *_buffers(), self.weights, np.float32(self.bias), scores)
        return scores

    def save(self, path: Path) -> None:
        """Write an `.npz` file of plain arrays; equal weights give equal bytes."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            np.savez(stream, weights=self.weights, bias=np.float32(self.bias))

    @classmethod
    def load(cls, path: Path) -> "Classifier":
        """Read a file that `save` wrote. Pickled data is refused."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(arrays["weights"], float(arrays["bias"]))


def learn(features: pa.ChunkedArray, labels: Mask, held_out: Mask) -> tuple[Classifier, float | None]:
    """Train a classifier that tells references (label true) from other documents; also return the AUC on held-out documents.

    `features` is the result of `features_of`. The AUC is None if the held-out documents all have the same label. The result
    depends only on the documents and the processor type.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from threadpoolctl import threadpool_limits

    matrix = _matrix(features)
    # One thread, because the number of BLAS threads changes the order of additions.
    with threadpool_limits(limits=1):
        model = LogisticRegression(C=INVERSE_PENALTY, class_weight="balanced", max_iter=200)
        model.fit(matrix[~held_out], labels[~held_out])
        decisions = model.decision_function(matrix[held_out]) if held_out.any() else None
    classifier = Classifier(model.coef_[0].astype(np.float32), float(np.float32(model.intercept_[0])))
    if decisions is None or len(set(labels[held_out].tolist())) < 2:
        return classifier, None
    return classifier, float(roc_auc_score(labels[held_out], decisions))


def features_of(raw: Bytes, offsets: Numbers) -> list[bytes]:
    """The distinct buckets of each text, as the bytes of little-endian uint32 values."""
    fold, *buffers, touched = fold_of(ALPHANUMERIC), *_buffers()
    return [
        touched[: _buckets(raw, start, end, fold, *buffers, touched)].tobytes()
        for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    ]


def _matrix(features: pa.ChunkedArray) -> Any:
    """A sparse matrix, float64 [documents, `BUCKETS`]; a row has norm 1 and equal values in the document's buckets."""
    from scipy.sparse import csr_matrix

    rows = [np.frombuffer(row.as_buffer(), dtype=np.uint32) for row in features]
    sizes = np.array([len(row) for row in rows], dtype=np.int64)
    values = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes)
    columns = np.concatenate([*rows, np.zeros(0, dtype=np.uint32)]).astype(np.int32)
    return csr_matrix((values, columns, np.concatenate([[0], np.cumsum(sizes)])), shape=(len(rows), BUCKETS))


def _buffers() -> tuple[Any, Any, Any, Any]:
    """Working space for `_buckets`: `folded`, `words`, `marked` and `touched`."""
    folded, words = np.empty(MAX_BYTES // 8 + 3, dtype=np.uint64), np.empty(MAX_BYTES + 2, dtype=np.uint64)
    return folded, words, np.zeros(BUCKETS, dtype=np.bool_), np.empty(2 * MAX_BYTES + 4, dtype=np.uint32)


@compiled
def _buckets(raw, start, end, fold, folded, words, marked, touched):  # type: ignore[no-untyped-def]
    """Write the distinct buckets of the words and word pairs in the first `MAX_BYTES` of `raw[start:end]` to `touched`.

    Returns their number.
    """
    stop = min(end, start + MAX_BYTES)
    if stop < end:
        while stop > start and raw[stop] & 0xC0 == 0x80:
            stop -= 1
    count = hash_words(raw, start, stop, fold, folded, words)
    distinct = 0
    for index in range(count):
        for pair in range(2 if index else 1):
            value = mix(words[index] + words[index - 1] * np.uint64(3)) if pair else words[index]
            bucket = value >> np.uint64(46)
            if not marked[bucket]:
                marked[bucket] = True
                touched[distinct] = bucket
                distinct += 1
    for index in range(distinct):
        marked[touched[index]] = False
    return distinct


@compiled
def _score(raw, offsets, fold, folded, words, marked, touched, weights, bias, scores):  # type: ignore[no-untyped-def]
    for text in range(len(offsets) - 1):
        count = _buckets(raw, offsets[text], offsets[text + 1], fold, folded, words, marked, touched)
        total = 0.0
        for index in range(count):
            total += weights[touched[index]]
        scores[text] = bias + total / np.sqrt(max(count, 1))
