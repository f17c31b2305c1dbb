"""Finds documents that contain benchmark items, by shared n-grams of words.

GPT-3 (arXiv 2005.14165, appendix C) compares 13-grams of lower-case words without punctuation, and ignores n-grams that many
documents share. Here an n-gram that occurs in more than `MAX_SHARING_ITEMS` items is considered part of the benchmark's template
and ignored. A Han character counts as a word, since Chinese has no spaces. Items with fewer words than an n-gram cannot be
searched for; they are counted.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts import OmissionTally
from components.curation import tables
from components.curation.filtering.config import FilteringConfig
from components.curation.reading.benchmarks import Item, items_of
from components.curation.text.shingles import shingles_of, words_of
from components.machine_code import Hashes

MAX_SHARING_ITEMS = 10
"""Maximum number of items that may share an n-gram (GPT-3 ignores n-grams in more than 10 documents)."""

INDEX, ITEMS = "benchmark-grams.parquet", "benchmark-items.parquet"


_GRAMS = pa.schema({"gram": pa.uint64(), "item": pa.int64()})


@dataclass(frozen=True, slots=True)
class Hit:
    """A benchmark item that a document shares n-grams with."""

    benchmark: str
    file: str
    number: int
    shared: int
    """Number of distinct n-grams of the item that the document contains."""
    share: float
    """`shared` as a share of the item's n-grams."""


@dataclass(frozen=True, slots=True)
class IndexedItem:
    """An item in the index."""

    benchmark: str
    file: str
    item: int
    """Number of the item in its file."""
    grams: int
    """Number of n-grams of the item that are searched for."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index of n-grams: sorted hashes, each with an item that contains the n-gram."""

    grams: Hashes
    items: npt.NDArray[np.int64]
    rows: Sequence[IndexedItem]
    size: int
    """Words per n-gram."""
    sieve: npt.NDArray[np.bool_]
    """Whether any n-gram's hash has these lower bits; rules out 15 of 16 n-grams that are not in the index without a lookup."""

    @classmethod
    def of(cls, grams: Hashes, items: npt.NDArray[np.int64], rows: Sequence[IndexedItem], size: int) -> "Index":
        """The index of sorted n-grams."""
        sieve = np.zeros(16 << len(grams).bit_length(), dtype=bool)
        sieve[grams & np.uint64(len(sieve) - 1)] = True
        return cls(grams, items, rows, size, sieve)

    def hits(self, text: str) -> list[Hit]:
        """The items that share n-grams with a text, in the order of the index."""
        if not len(self.grams):
            return []
        grams = shingles_of(text, self.size)
        grams = np.unique(grams[self.sieve[grams & np.uint64(len(self.sieve) - 1)]])
        # Few of a document's n-grams are in the index; only for those, find the items.
        position = np.minimum(np.searchsorted(self.grams, grams), len(self.grams) - 1)
        matches = grams[self.grams[position] == grams]
        if not len(matches):
            return []
        starts, ends = np.searchsorted(self.grams, matches, "left"), np.searchsorted(self.grams, matches, "right")
        items = np.concatenate([self.items[start:end] for start, end in zip(starts, ends, strict=True)])
        return [self._hit(int(item), int(shared)) for item, shared in zip(*np.unique(items, return_counts=True), strict=True)]

    def _hit(self, item: int, shared: int) -> Hit:
        row = self.rows[item]
        return Hit(row.benchmark, row.file, row.item, shared, shared / row.grams)


def write_index(config: FilteringConfig, directory: Path, tally: OmissionTally | None = None) -> pa.Table:
    """Write the index of all benchmarks to `directory`, and return their items as `tables.BENCHMARKS`.

    Items that cannot be read are recorded in `tally`.

    Raises:
        SourceError: a benchmark has no readable file or no usable item, or one of its files cannot be read to its end.
    """
    items = [item for benchmark in config.benchmarks for item in items_of(benchmark, directory, tally)]
    grams = [_grams(item, config.benchmark_gram) for item in items]
    owners = np.repeat(np.arange(len(items)), [len(own) for own in grams])
    keys = np.concatenate([*grams, np.zeros(0, dtype=np.uint64)])
    order = np.lexsort((owners, keys))
    keys, owners = keys[order], owners[order]
    _, ranks, counts = np.unique(keys, return_inverse=True, return_counts=True)
    rare = counts[ranks] <= MAX_SHARING_ITEMS
    tables.write(directory / INDEX, pa.table([keys[rare], owners[rare]], schema=_GRAMS))
    gram_counts = np.bincount(owners[rare], minlength=len(items))
    rows = [
        {"benchmark": item.benchmark, "file": item.file, "item": item.number, "grams": int(count), "record": item.record}
        for item, count in zip(items, gram_counts, strict=True)
    ]
    table = pa.Table.from_pylist(rows, tables.BENCHMARKS)
    tables.write(directory / ITEMS, table)
    return table


def search_figures(items: pa.Table) -> dict[str, int]:
    """Figures of `tables.BENCHMARKS`: the number of items, and of items without an n-gram to search for."""
    return {"benchmark_items": items.num_rows, "benchmark_items_not_searched": int((items["grams"].to_numpy() == 0).sum())}


def read_index(directory: Path, size: int) -> Index:
    """The index that `write_index` wrote, cached in this process until it is written again."""
    return _read_index(directory, size, tables.version_of(directory / ITEMS))


@functools.lru_cache(maxsize=1)
def _read_index(directory: Path, size: int, version: tuple[int, ...]) -> Index:
    table = pq.read_table(directory / INDEX)
    listed = pq.read_table(directory / ITEMS, columns=["benchmark", "file", "item", "grams"]).to_pylist()
    rows = [IndexedItem(**row) for row in listed]
    return Index.of(table["gram"].to_numpy(), table["item"].to_numpy(), rows, size)


def _grams(item: Item, size: int) -> Hashes:
    if len(words_of(item.text)) < size:
        return np.zeros(0, dtype=np.uint64)
    return np.unique(shingles_of(item.text, size))
