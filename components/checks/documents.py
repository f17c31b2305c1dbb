"""Counts over all documents of a corpus, read batch by batch so that memory stays bounded for a corpus of any size."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from components.checks.reading import BatchedTable

if TYPE_CHECKING:
    import pandas as pd

IDS_PER_PASS = 16_000_000
"""Ids that are compared in one pass over the table; they take about 400 MB."""

MAX_REPEATED_IDS = 1_000
"""Repeated ids whose rows are returned."""

Hashes = npt.NDArray[np.uint64]

GROUP = ["source", "domain", "split", "kept"]


def counts(artifact: Path) -> "pd.DataFrame":
    """Columns `documents` and `bytes`, summed for each combination of `source`, `domain`, `split` and `kept`."""
    import pandas as pd

    totals = pd.DataFrame()
    for batch in BatchedTable(artifact, "documents", (*GROUP, "bytes")):
        own = batch.groupby(GROUP, dropna=False, as_index=False).agg(documents=("bytes", "size"), bytes=("bytes", "sum"))
        totals = pd.concat([totals, own]).groupby(GROUP, dropna=False, as_index=False).sum()
    return totals


def median_bytes(artifact: Path) -> float:
    """Median bytes of the kept documents, or NaN if there are none.

    Memory holds one count per distinct length, so it is bounded by the length of the longest document.
    """
    lengths, frequencies = np.empty(0, np.int64), np.empty(0, np.int64)
    for batch in BatchedTable(artifact, "documents", ("bytes", "kept")):
        own, repeats = np.unique(batch["bytes"][batch["kept"]].to_numpy(np.int64), return_counts=True)
        lengths, index = np.unique(np.concatenate([lengths, own]), return_inverse=True)
        frequencies = np.bincount(index, np.concatenate([frequencies, repeats])).astype(np.int64)
    total, cumulative = int(frequencies.sum()), np.cumsum(frequencies)
    if not total:
        return float("nan")
    middle = np.searchsorted(cumulative, [(total - 1) // 2, total // 2], side="right")
    return float(lengths[middle].mean())


def repeated_ids(artifact: Path, rows: int) -> "pd.DataFrame":
    """The rows whose id has the same hash as the id of another row, for the first `MAX_REPEATED_IDS` such hashes.

    The result contains every row with a repeated id, up to that limit, and rarely also rows whose hashes collide. `rows` is the
    number of rows of the table.
    """
    import pandas as pd

    ids, passes = BatchedTable(artifact, "documents", ("id",)), -(-rows // IDS_PER_PASS)
    repeated = np.empty(0, np.uint64)
    for number in range(passes):
        own = np.concatenate([_hashes(batch, number, passes) for batch in ids])
        own.sort()
        repeated = np.union1d(repeated, own[1:][own[1:] == own[:-1]])[:MAX_REPEATED_IDS]
    empty = pd.DataFrame({"id": pd.Series(dtype=object)})
    known = (batch.dropna() for batch in ids) if len(repeated) else ()
    return pd.concat([empty, *(batch[np.isin(_hashes(batch), repeated)] for batch in known)])


def _hashes(rows: "pd.DataFrame", number: int = 0, passes: int = 1) -> Hashes:
    """Hashes of the ids that are not null and belong to pass `number`, uint64."""
    from pandas.util import hash_array

    hashes: Hashes = hash_array(rows["id"].dropna().to_numpy(object), categorize=False)
    return hashes[hashes % np.uint64(passes) == number]
