"""Finds pairs of documents that may be duplicates: those with the same text, and those that share an LSH band."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components import interim
from components.curation import tables
from components.curation.duplicates.sketches import TextShard
from components.curation.tables import columns
from components.curation.tables.sorting import starts
from components.hashing import GOLDEN_RATIO, mixed
from components.machine_code import Hashes, Numbers, compiled, mix

NEIGHBOURS = 6
"""Number of a bucket's first documents that each document of the bucket is compared with, which avoids comparing all pairs."""

CROWD = 64
"""Maximum number of a bucket's documents that are verified in one block; over all bands that is about 1 000 documents at most."""


def find_repeats(shard: TextShard) -> Path:
    """Write the `tables.REPEATS` of a shard, and the heads of its other documents, one per text; return the path of the latter.

    So however often a text occurs in the corpus, each shard compares it with other shards only once.
    """
    heads = interim.read(shard.heads)
    text, check, rank, tie, document = columns(heads, "text", "check", "rank", "tie", "document")
    order = np.lexsort((document, tie, rank, check, text))
    first = starts(text[order], check[order])
    original = order[_heads_of(first)]
    repeats, originals = (heads.take(pa.array(rows[~first])) for rows in (order, original))
    values = [*repeats.select(["document", "text", "id"]).columns, *originals.select(["document", "id"]).columns]
    interim.write(shard.repeats, pa.table(values, schema=tables.REPEATS))
    return interim.write(shard.directory / f"firsts{interim.SUFFIX}", heads.take(pa.array(np.sort(order[first]))))


def find_copies(heads: Path) -> tuple[Path, Path]:
    """Write the copies in one partition of `tables.HEADS`, as edges from the first document with the text and as `tables.COPIES`.

    Rows come sorted by text, check, rank and tie. Returns the paths of the edges and of the copies.
    """
    table = interim.read(heads)
    text, check = columns(table, "text", "check")
    first = starts(text, check)
    original = _heads_of(first)
    copies = np.flatnonzero(~first)
    edges = edges_between(table, original[copies], copies, np.ones(len(copies)), copy=True)
    return (
        interim.write(heads.with_suffix(".edges"), edges),
        interim.write(heads.with_suffix(".copies"), table.take(pa.array(copies)).select(tables.COPIES.names)),
    )


def _heads_of(first: npt.NDArray[np.bool_]) -> Numbers:
    """For each row, the index of the first row of its group; `first` marks the first row of each group."""
    return np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))


def edges_between(documents: pa.Table, first: Numbers, second: Numbers, similarity: npt.NDArray[Any], *, copy: bool) -> pa.Table:
    """`tables.EDGES` between rows `first` and rows `second` of `documents`, which has the columns `tables.ENDS`."""
    ends = [documents.select(tables.ENDS).take(pa.array(rows)) for rows in (first, second)]
    columns = [end[name] for name in tables.ENDS for end in ends]
    return pa.table([*columns, pa.array(similarity), pa.array(np.full(len(first), copy))], schema=tables.EDGES)


def spread_bands(work: tuple[TextShard, Path]) -> Path:
    """Write the `tables.BANDS` of a shard, without its copies and repeats, which the first document with their text represents.

    `work` is the shard and the path of its copies.
    """
    shard, copies = work
    heads = interim.read(shard.heads, ["document", "rank"])
    document, rank = columns(heads, "document", "rank")
    others = [columns(interim.read(path), "document")[0] for path in (copies, shard.repeats)]
    distinct = ~np.isin(document, np.concatenate(others))
    keys = np.load(shard.directory / "keys.npy")[distinct]
    repeated = [np.repeat(column[distinct], keys.shape[1]) for column in (rank, document)]
    return interim.write(shard.directory / f"bands{interim.SUFFIX}", pa.table([keys.ravel(), *repeated], schema=tables.BANDS))


def find_pairs(bands: Path, *, firsts: Numbers) -> Path:
    """Write the candidate pairs of one partition of `tables.BANDS`, as `tables.CANDIDATES`.

    The home of a pair, which determines where it is verified, is derived from the first document of its bucket. In a bucket with
    more than `CROWD` documents, each shard has its own home, so that one block never needs more than a shard of the bucket's
    documents. `firsts` are the numbers of the shards' first documents.
    """
    key, document = columns(interim.read(bands, ["key", "document"]), "key", "document")
    first, second, head, crowded = neighbours(key, document)
    home = homes_of(head, np.where(crowded, _shards_of(second, firsts), -1))
    rows = lowest_rows(first, second, home)
    return interim.write(
        bands.with_suffix(".candidates"), pa.table([first[rows], second[rows], home[rows]], schema=tables.CANDIDATES)
    )


def assign_blocks(candidates: Path, *, firsts: Numbers, blocks: int) -> tuple[Path, Path]:
    """Write one partition of `tables.CANDIDATES` as `tables.PAIRS` and `tables.NEEDS`; return both paths.

    A pair that shares several buckets is verified once, in its lowest home. Similar documents share most of their buckets, and
    these mostly have the same first document, so few blocks need the shingles of the same document.
    """
    first, second, home = columns(interim.read(candidates), "left", "right", "home")
    lowest = starts(first, second)
    first, second, block = first[lowest], second[lowest], (home[lowest] % np.uint64(blocks)).astype(np.int64)
    member, needed = np.concatenate([first, second]), np.concatenate([block, block])
    once = lowest_rows(member, needed, np.zeros(len(member), dtype=np.uint64))
    member, needed = member[once], needed[once]
    pairs = pa.table([first, second, block], schema=tables.PAIRS)
    needs = pa.table([member, needed, _shards_of(member, firsts)], schema=tables.NEEDS)
    return (
        interim.write(candidates.with_suffix(".pairs"), pairs),
        interim.write(candidates.with_suffix(".needs"), needs),
    )


def _shards_of(document: Numbers, firsts: Numbers) -> Numbers:
    """The shard of each document, int64 [documents]."""
    by_first = np.argsort(firsts)
    return by_first[np.searchsorted(firsts, document, side="right", sorter=by_first) - 1]


def lowest_rows(first: Numbers, second: Numbers, value: Hashes) -> Numbers:
    """For each distinct pair (first, second), the index of the row with the lowest value; in no particular order."""
    slots = np.full(2 << len(first).bit_length(), -1, dtype=np.int64)
    return slots[: _lowest_rows(first, second, value, slots)]


@compiled
def _lowest_rows(first, second, value, slots):  # type: ignore[no-untyped-def]
    """Write the row indices to the start of `slots`, after using it as a hash table; return how many there are."""
    mask = np.uint64(len(slots) - 1)
    for row in range(len(first)):
        slot = mix(np.uint64(first[row]) * GOLDEN_RATIO + np.uint64(second[row])) & mask
        while slots[slot] >= 0 and (first[slots[slot]] != first[row] or second[slots[slot]] != second[row]):
            slot = (slot + np.uint64(1)) & mask
        if slots[slot] < 0 or value[row] < value[slots[slot]]:
            slots[slot] = row
    count = 0
    for slot in range(len(slots)):
        if slots[slot] >= 0:
            slots[count] = slots[slot]
            count += 1
    return count


def homes_of(head: Numbers, shard: Numbers) -> Hashes:
    """Where each pair may be verified, uint64 [pairs]: a hash of its bucket's first document and of `shard`."""
    return mixed(head.astype(np.uint64) * GOLDEN_RATIO + shard.astype(np.uint64))


def neighbours(key: Hashes, document: Numbers) -> tuple[Numbers, Numbers, Numbers, npt.NDArray[np.bool_]]:
    """Pairs of each bucket's first `NEIGHBOURS` documents with every later document of the bucket.

    Rows come sorted by key and rank. Returns four arrays, [pairs] each: the earlier document, the later document, the bucket's
    first document, and whether the bucket has more than `CROWD` documents.
    """
    opens = starts(key)
    alone = opens & np.append(opens[1:], True)
    key, document = key[~alone], document[~alone]
    index, opens = np.arange(len(key)), starts(key)
    head = np.maximum.accumulate(np.where(opens, index, 0))
    sizes = np.diff(np.append(np.flatnonzero(opens), len(key)))
    crowded = np.repeat(sizes > CROWD, sizes)
    earlier, later = [], []
    remaining = np.flatnonzero(index > head)
    for step in range(NEIGHBOURS):
        earlier.append(head[remaining] + step)
        later.append(remaining)
        remaining = remaining[remaining - head[remaining] > step + 1]
    first, second = np.concatenate(earlier), np.concatenate(later)
    return document[first], document[second], document[head[second]], crowded[second]
