"""Which documents hold items of the evaluation sets: n-grams of words that both share, as GPT-3 searched for them.

GPT-3 (arXiv 2005.14165, appendix C) compares 13-grams of lower-case words without punctuation, and passes over n-grams that many
texts share. Here an n-gram of more than `COMMON` items is the benchmark's own template. A Han character counts as a word, so
Chinese needs no spaces. Items of fewer words than an n-gram cannot be found, and are counted.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from components.curation import tables
from components.curation.config import CurationConfig
from components.curation.reading.benchmarks import Item, items_of
from components.curation.text.shingles import shingles_of, words_of
from components.machine_code import Hashes

COMMON = 10
"""Items that may share an n-gram (GPT-3 ignores n-grams in more than 10 documents)."""

INDEX, ITEMS = "benchmark-grams.parquet", "benchmark-items.parquet"


_GRAMS = pa.schema({"gram": pa.uint64(), "item": pa.int64()})


@dataclass(frozen=True, slots=True)
class Hit:
    """One item that a document shares n-grams with."""

    benchmark: str
    file: str
    number: int
    shared: int
    """Distinct n-grams of the item that the document holds."""
    share: float
    """Of all n-grams of the item."""


@dataclass(frozen=True, slots=True)
class Index:
    """The n-grams of all items, sorted, each with an item that holds it."""

    grams: Hashes
    items: npt.NDArray[np.int64]
    listed: Sequence[dict[str, Any]]
    size: int
    sieve: npt.NDArray[np.bool_]
    """Whether any n-gram has these lower bits: 15 of 16 n-grams that are not in the index are looked up nowhere else."""

    @classmethod
    def of(cls, grams: Hashes, items: npt.NDArray[np.int64], listed: Sequence[dict[str, Any]], size: int) -> "Index":
        """The index of sorted n-grams."""
        sieve = np.zeros(16 << len(grams).bit_length(), dtype=bool)
        sieve[grams & np.uint64(len(sieve) - 1)] = True
        return cls(grams, items, listed, size, sieve)

    def hits(self, text: str) -> list[Hit]:
        """The items that share n-grams with a text, in the order of the index."""
        if not len(self.grams):
            return []
        found = shingles_of(text, self.size)
        found = np.unique(found[self.sieve[found & np.uint64(len(self.sieve) - 1)]])
        # Few n-grams of a document are in the index at all: those are looked up again, with all their items.
        place = np.minimum(np.searchsorted(self.grams, found), len(self.grams) - 1)
        found = found[self.grams[place] == found]
        if not len(found):
            return []
        first, last = (np.searchsorted(self.grams, found, side) for side in ("left", "right"))
        items = np.concatenate([self.items[start:end] for start, end in zip(first, last, strict=True)])
        return [self._hit(int(item), int(shared)) for item, shared in zip(*np.unique(items, return_counts=True), strict=True)]

    def _hit(self, item: int, shared: int) -> Hit:
        row = self.listed[item]
        return Hit(row["benchmark"], row["file"], row["item"], shared, shared / row["grams"])


def write_index(config: CurationConfig, place: Path) -> pa.Table:
    """Write the index of all benchmarks below `place`; their items, as `tables.BENCHMARKS`.

    Raises:
        SourceError: a benchmark has no file to read, or one that cannot be read.
    """
    items = [item for benchmark in config.benchmarks for item in items_of(benchmark, place)]
    grams = [_grams(item, config.benchmark_gram) for item in items]
    owners = np.repeat(np.arange(len(items)), [len(found) for found in grams])
    keys = np.concatenate([*grams, np.zeros(0, dtype=np.uint64)])
    order = np.lexsort((owners, keys))
    keys, owners = keys[order], owners[order]
    _, ranks, counts = np.unique(keys, return_inverse=True, return_counts=True)
    rare = counts[ranks] <= COMMON
    tables.write(place / INDEX, pa.table([keys[rare], owners[rare]], schema=_GRAMS))
    held = np.bincount(owners[rare], minlength=len(items))
    rows = [
        {"benchmark": item.benchmark, "file": item.file, "item": item.number, "grams": int(count), "record": item.record}
        for item, count in zip(items, held, strict=True)
    ]
    listed = pa.Table.from_pylist(rows, tables.BENCHMARKS)
    tables.write(place / ITEMS, listed)
    return listed


def searched(items: pa.Table) -> dict[str, int]:
    """Figures of `tables.BENCHMARKS`: items, and those that have no n-gram to be found by."""
    return {"benchmark_items": items.num_rows, "benchmark_items_not_searched": int((items["grams"].to_numpy() == 0).sum())}


def read_index(place: Path, size: int) -> Index:
    """The index that `write_index` wrote; kept for the shards that this process reads, until it is written again."""
    return _read_index(place, size, tables.version_of(place / ITEMS))


@functools.lru_cache(maxsize=1)
def _read_index(place: Path, size: int, state: tuple[int, ...]) -> Index:
    table = pq.read_table(place / INDEX)
    listed = pq.read_table(place / ITEMS, columns=["benchmark", "file", "item", "grams"]).to_pylist()
    return Index.of(table["gram"].to_numpy(), table["item"].to_numpy(), listed, size)


def _grams(item: Item, size: int) -> Hashes:
    if len(words_of(item.text)) < size:
        return np.zeros(0, dtype=np.uint64)
    return np.unique(shingles_of(item.text, size))
