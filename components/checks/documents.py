"""Figures of all documents of a corpus, of which any number may be listed: taken slice by slice, in bounded memory."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from components.checks.reading import Slices

if TYPE_CHECKING:
    import pandas as pd

IDS = 16_000_000
"""Ids that are compared in one pass over the table: some 400 MB."""

NAMED = 1_000
"""Repeated ids whose rows are shown, at most."""

Hashes = npt.NDArray[np.uint64]

GROUP = ["source", "domain", "split", "kept"]


def counts(artifact: Path) -> "pd.DataFrame":
    """`documents` and their `bytes` for each source, domain, split and whether they were kept."""
    import pandas as pd

    found = pd.DataFrame()
    for one in Slices(artifact, "documents", (*GROUP, "bytes")):
        own = one.groupby(GROUP, dropna=False, as_index=False).agg(documents=("bytes", "size"), bytes=("bytes", "sum"))
        found = pd.concat([found, own]).groupby(GROUP, dropna=False, as_index=False).sum()
    return found


def median_bytes(artifact: Path) -> float:
    """Of the documents that were kept, NaN if there are none; there are no more lengths than the longest of them has bytes."""
    lengths, numbers = np.empty(0, np.int64), np.empty(0, np.int64)
    for one in Slices(artifact, "documents", ("bytes", "kept")):
        own, often = np.unique(one["bytes"][one["kept"]].to_numpy(np.int64), return_counts=True)
        lengths, place = np.unique(np.concatenate([lengths, own]), return_inverse=True)
        numbers = np.bincount(place, np.concatenate([numbers, often])).astype(np.int64)
    total, until = int(numbers.sum()), np.cumsum(numbers)
    if not total:
        return float("nan")
    middle = np.searchsorted(until, [(total - 1) // 2, total // 2], side="right")
    return float(lengths[middle].mean())


def repeated_ids(artifact: Path, rows: int) -> "pd.DataFrame":
    """The rows, of `rows` in all, whose ids occur more than once, or share their hash with another; of so many ids `NAMED`."""
    import pandas as pd

    ids, passes = Slices(artifact, "documents", ("id",)), -(-rows // IDS)
    twice = np.empty(0, np.uint64)
    for number in range(passes):
        own = np.concatenate([_hashes(one, number, passes) for one in ids])
        own.sort()
        twice = np.union1d(twice, own[1:][own[1:] == own[:-1]])[:NAMED]
    none = pd.DataFrame({"id": pd.Series(dtype=object)})
    known = (one.dropna() for one in ids) if len(twice) else ()
    return pd.concat([none, *(one[np.isin(_hashes(one), twice)] for one in known)])


def _hashes(rows: "pd.DataFrame", number: int = 0, passes: int = 1) -> Hashes:
    """Of the ids that are there, those whose turn it is in a pass."""
    from pandas.util import hash_array

    hashes: Hashes = hash_array(rows["id"].dropna().to_numpy(object), categorize=False)
    return hashes[hashes % np.uint64(passes) == number]
