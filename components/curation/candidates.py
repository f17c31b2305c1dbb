"""Which documents may be duplicates: those of one text, and those that share an LSH band."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from components.curation import tables
from components.curation.shingles import Hashes, Numbers, mixed
from components.curation.sketches import Part
from components.curation.tables import columns

NEIGHBOURS = 6
"""A document is compared with this many of the first documents in its bucket, so that a large bucket costs no square."""

CROWD = 64
"""Documents of a bucket that are gathered in one place: with those of all bands that is some 1 000 documents at most."""


def find_copies(heads: Path) -> tuple[Path, Path]:
    """Write the copies of one partition of `tables.HEADS`: as edges from the first of their text, and as `tables.COPIES`."""
    table = pq.read_table(heads)
    text, check = columns(table, "text", "check")
    first = starts(text, check)
    original = np.maximum.accumulate(np.where(first, np.arange(len(text)), 0))
    copies = np.flatnonzero(~first)
    edges = edges_between(table, original[copies], copies, np.ones(len(copies)), copy=True)
    return (
        tables.write_scratch(heads.with_suffix(".edges"), edges),
        tables.write_scratch(heads.with_suffix(".copies"), table.take(pa.array(copies)).select(tables.COPIES.names)),
    )


def edges_between(ends: pa.Table, left: Numbers, right: Numbers, similarity: npt.NDArray[Any], *, copy: bool) -> pa.Table:
    """`tables.EDGES` between rows of a table that has the columns `tables.ENDS`."""
    sides = [ends.select(tables.ENDS).take(pa.array(rows)) for rows in (left, right)]
    columns = [side[name] for name in tables.ENDS for side in sides]
    return pa.table([*columns, pa.array(similarity), pa.array(np.full(len(left), copy))], schema=tables.EDGES)


def spread_bands(work: tuple[Part, Path]) -> Path:
    """Write `tables.BANDS` of a part, without its copies: the first of a text stands for all."""
    part, copies = work
    heads = pq.read_table(part.place / "heads.parquet", columns=["document", "rank"])
    document, rank = columns(heads, "document", "rank")
    (copied,) = columns(pq.read_table(copies), "document")
    stay = ~np.isin(document, copied)
    keys = np.load(part.place / "keys.npy")[stay]
    repeated = [np.repeat(column[stay], keys.shape[1]) for column in (rank, document)]
    return tables.write_scratch(part.place / "bands.parquet", pa.table([keys.ravel(), *repeated], schema=tables.BANDS))


def find_pairs(bands: Path, *, firsts: Numbers, blocks: int) -> tuple[Path, Path]:
    """Write the candidates of one partition of `tables.BANDS`, as `tables.PAIRS` and as `tables.NEEDS`.

    A pair is measured where its left document is at home, so that this one is gathered once. Of a bucket of more than `CROWD`
    each part is measured apart: what a document brings together is never more than a part. `firsts` are the numbers of the parts'
    first documents.
    """
    key, document = columns(pq.read_table(bands, columns=["key", "document"]), "key", "document")
    left, right, crowded = neighbours(key, document)
    documents, number = np.unique(np.concatenate([left, right]), return_inverse=True)
    left, right = number.reshape(2, -1)
    pair = packed(left, right)
    place = np.lexsort((crowded, pair))
    place = place[starts(pair[place])]
    left, right = left[place], right[place]
    by_first = np.argsort(firsts)
    part = by_first[np.searchsorted(firsts, documents, side="right", sorter=by_first) - 1]
    block = blocks_of(documents[left], np.where(crowded[place], part[right], -1), blocks)
    needed, which = unpacked(np.unique(np.concatenate([packed(block, left), packed(block, right)])))
    pairs = pa.table([documents[left], documents[right], block], schema=tables.PAIRS)
    needs = pa.table([documents[which], needed, part[which]], schema=tables.NEEDS)
    return (
        tables.write_scratch(bands.with_suffix(".pairs"), pairs),
        tables.write_scratch(bands.with_suffix(".needs"), needs),
    )


def blocks_of(left: Numbers, right_part: Numbers, blocks: int) -> Numbers:
    """The block of each pair."""
    spread = mixed(left.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + right_part.astype(np.uint64))
    return (spread % np.uint64(blocks)).astype(np.int64)


def packed(high: Numbers, low: Numbers) -> Numbers:
    """Two numbers below 2^31 in one, which sorts faster than two columns."""
    return (high.astype(np.int64) << 32) | low


def unpacked(values: Numbers) -> tuple[Numbers, Numbers]:
    """What `packed` packed."""
    return values >> 32, values & 0xFFFFFFFF


def neighbours(key: Hashes, document: Numbers) -> tuple[Numbers, Numbers, npt.NDArray[np.bool_]]:
    """Pairs of each document with the first `NEIGHBOURS` of its bucket, and whether that is crowded; rows come sorted by key and
    rank.
    """
    first = starts(key)
    alone = first & np.append(first[1:], True)
    key, document = key[~alone], document[~alone]
    index, first = np.arange(len(key)), starts(key)
    start = np.maximum.accumulate(np.where(first, index, 0))
    crowded = np.repeat((sizes := np.diff(np.append(np.flatnonzero(first), len(key)))) > CROWD, sizes)
    left, right = [], []
    later = np.flatnonzero(index > start)
    for step in range(NEIGHBOURS):
        left.append(start[later] + step)
        right.append(later)
        later = later[later - start[later] > step + 1]
    ones, others = np.concatenate(left), np.concatenate(right)
    return document[ones], document[others], crowded[others]


def starts(*sorted_columns: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where a row differs from the one before it."""
    differs = np.zeros(len(sorted_columns[0]), dtype=bool)
    differs[:1] = True
    for column in sorted_columns:
        differs[1:] |= column[1:] != column[:-1]
    return differs


def distinct(*rows: Numbers) -> Sequence[Numbers]:
    """The distinct rows, sorted by the first column, then the next."""
    place = np.lexsort(rows[::-1])
    ordered = [column[place] for column in rows]
    first = starts(*ordered)
    return [column[first] for column in ordered]
