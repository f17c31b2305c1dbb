"""The classifier behind the quality score: for each language, logistic regression on hashed words and pairs of words.

As fastText's, which DCLM (arXiv 2406.11794, section 4.4) found the best of seven ways to filter, it is linear in words and their
pairs; without a hidden layer there is one optimum, so that neither the order of documents nor a learning rate decides what it
becomes. Words are those of `components.curation.text.shingles`, where a Han character is one: scikit-learn's
`HashingVectorizer` makes Python strings of them, and none of Chinese.
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
"""Weights of a classifier: 1 MiB, which stays in the cache of a core."""

SEEN = 8192
"""Bytes of a document that are looked at, some 1 300 English words: enough to tell how it is written, and a book is no dearer."""

INVERSE_PENALTY = 10.0
"""`C` of scikit-learn's `LogisticRegression`: each document is a vector of length 1, which its default of 1 underfits."""

HELD_OUT = 5
"""One document in five is not learned from, and tells whether there was anything to learn."""

Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Classifier:
    """Weights of one language."""

    weights: npt.NDArray[np.float32]
    """float32 [`BUCKETS`]."""
    bias: float

    def log_odds(self, raw: Bytes, offsets: Numbers) -> npt.NDArray[np.float32]:
        """How much each text is like a reference, float32 [texts], by bytes and offsets as `sketches.bytes_of` gives them."""
        found = np.empty(max(0, len(offsets) - 1), dtype=np.float32)
        _score(raw, offsets, fold_of(ALPHANUMERIC), *_room(), self.weights, np.float32(self.bias), found)
        return found

    def save(self, path: Path) -> None:
        """Write an `.npz` file of plain arrays, the same bytes for the same weights."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            np.savez(stream, weights=self.weights, bias=np.float32(self.bias))

    @classmethod
    def load(cls, path: Path) -> "Classifier":
        """Read what `save` wrote; nothing pickled is."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(arrays["weights"], float(arrays["bias"]))


def learn(features: pa.ChunkedArray, labels: Truths, held: Truths) -> tuple[Classifier, float | None]:
    """Tell references (true) from the rest by `features_of`; also the area under the ROC curve on the documents in `held`.

    The area is None where those are all of one kind. Bits depend on the documents and on the kind of processor alone.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from threadpoolctl import threadpool_limits

    matrix = _matrix(features)
    # Threads of the BLAS would add in another order on another number of processors.
    with threadpool_limits(limits=1):
        model = LogisticRegression(C=INVERSE_PENALTY, class_weight="balanced", max_iter=200)
        model.fit(matrix[~held], labels[~held])
        decided = model.decision_function(matrix[held]) if held.any() else None
    classifier = Classifier(model.coef_[0].astype(np.float32), float(np.float32(model.intercept_[0])))
    told = decided is not None and len(set(labels[held].tolist())) > 1
    return classifier, float(roc_auc_score(labels[held], decided)) if told else None


def features_of(raw: Bytes, offsets: Numbers) -> list[bytes]:
    """The distinct buckets of each text, as little-endian uint32."""
    fold, *room, touched = fold_of(ALPHANUMERIC), *_room()
    return [
        touched[: _buckets(raw, begin, end, fold, *room, touched)].tobytes()
        for begin, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    ]


def _matrix(features: pa.ChunkedArray) -> Any:
    """A row of length 1 for each document, whose buckets count the same, float64 [documents, `BUCKETS`]."""
    from scipy.sparse import csr_matrix

    rows = [np.frombuffer(row.as_buffer(), dtype=np.uint32) for row in features]
    sizes = np.array([len(row) for row in rows], dtype=np.int64)
    values = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes)
    columns = np.concatenate([*rows, np.zeros(0, dtype=np.uint32)]).astype(np.int32)
    return csr_matrix((values, columns, np.concatenate([[0], np.cumsum(sizes)])), shape=(len(rows), BUCKETS))


def _room() -> tuple[Any, Any, Any, Any]:
    folded, words = np.empty(SEEN // 8 + 3, dtype=np.uint64), np.empty(SEEN + 2, dtype=np.uint64)
    return folded, words, np.zeros(BUCKETS, dtype=np.bool_), np.empty(2 * SEEN + 4, dtype=np.uint32)


@compiled
def _buckets(raw, start, end, fold, folded, words, marked, touched):  # type: ignore[no-untyped-def]
    """The distinct buckets of the words and pairs of words at the head of `raw[start:end]`, in `touched`; their number."""
    stop = min(end, start + SEEN)
    if stop < end:
        while stop > start and raw[stop] & 0xC0 == 0x80:
            stop -= 1
    count = hash_words(raw, start, stop, fold, folded, words)
    found = 0
    for place in range(count):
        for pair in range(2 if place else 1):
            value = mix(words[place] + words[place - 1] * np.uint64(3)) if pair else words[place]
            bucket = value >> np.uint64(46)
            if not marked[bucket]:
                marked[bucket] = True
                touched[found] = bucket
                found += 1
    for place in range(found):
        marked[touched[place]] = False
    return found


@compiled
def _score(raw, offsets, fold, folded, words, marked, touched, weights, bias, found):  # type: ignore[no-untyped-def]
    for text in range(len(offsets) - 1):
        count = _buckets(raw, offsets[text], offsets[text + 1], fold, folded, words, marked, touched)
        total = 0.0
        for place in range(count):
            total += weights[touched[place]]
        found[text] = bias + total / np.sqrt(max(count, 1))
