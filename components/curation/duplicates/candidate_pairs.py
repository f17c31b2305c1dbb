"""Which documents may be duplicates: those of one text, and those that share an LSH band."""

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
"""A document is compared with this many of the first documents in its bucket, so that a large bucket costs no square."""

CROWD = 64
"""Documents of a bucket that are gathered in one place: with those of all bands that is some 1 000 documents at most."""


def find_repeats(shard: TextShard) -> Path:
    """Write the `tables.REPEATS` of a part; the heads of its other documents, one for each text, as `tables.HEADS`.

    However often a text stands in a corpus, what meets in one place is a document of each part at most.
    """
    heads = interim.read(shard.heads)
    text, check, rank, document = columns(heads, "text", "check", "rank", "document")
    place = np.lexsort((document, rank, check, text))
    first = starts(text[place], check[place])
    original = place[_heads_of(first)]
    sides = [heads.select(["document", "id"]).take(pa.array(rows[~first])) for rows in (place, original)]
    interim.write(shard.repeats, pa.table([*sides[0].columns, *sides[1].columns], schema=tables.REPEATS))
    return interim.write(shard.directory / f"firsts{interim.SUFFIX}", heads.take(pa.array(np.sort(place[first]))))


def find_copies(heads: Path) -> tuple[Path, Path]:
    """Write the copies of one partition of `tables.HEADS`: as edges from the first of their text, and as `tables.COPIES`."""
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
    """For each of some sorted rows the one that its group begins with; `first` says which begin one."""
    return np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))


def edges_between(ends: pa.Table, left: Numbers, right: Numbers, similarity: npt.NDArray[Any], *, copy: bool) -> pa.Table:
    """`tables.EDGES` between rows of a table that has the columns `tables.ENDS`."""
    sides = [ends.select(tables.ENDS).take(pa.array(rows)) for rows in (left, right)]
    columns = [side[name] for name in tables.ENDS for side in sides]
    return pa.table([*columns, pa.array(similarity), pa.array(np.full(len(left), copy))], schema=tables.EDGES)


def spread_bands(work: tuple[TextShard, Path]) -> Path:
    """Write `tables.BANDS` of a part, without its copies and repeats: the first of a text stands for all."""
    shard, copies = work
    heads = interim.read(shard.heads, ["document", "rank"])
    document, rank = columns(heads, "document", "rank")
    others = [columns(interim.read(path), "document")[0] for path in (copies, shard.repeats)]
    stay = ~np.isin(document, np.concatenate(others))
    keys = np.load(shard.directory / "keys.npy")[stay]
    repeated = [np.repeat(column[stay], keys.shape[1]) for column in (rank, document)]
    return interim.write(shard.directory / f"bands{interim.SUFFIX}", pa.table([keys.ravel(), *repeated], schema=tables.BANDS))


def find_pairs(bands: Path, *, firsts: Numbers) -> Path:
    """Write the candidates of one partition of `tables.BANDS`, as `tables.CANDIDATES`.

    The home of a pair is the first document of its bucket; of a bucket of more than `CROWD` each part has a home of its own: what
    a document brings together is never more than a part. `firsts` are the numbers of the parts' first documents.
    """
    key, document = columns(interim.read(bands, ["key", "document"]), "key", "document")
    left, right, first, crowded = neighbours(key, document)
    home = homes_of(first, np.where(crowded, _shards_of(right, firsts), -1))
    least = least_of(left, right, home)
    return interim.write(
        bands.with_suffix(".candidates"), pa.table([left[least], right[least], home[least]], schema=tables.CANDIDATES)
    )


def place_pairs(candidates: Path, *, firsts: Numbers, blocks: int) -> tuple[Path, Path]:
    """Write one partition of `tables.CANDIDATES` as `tables.PAIRS`, and as `tables.NEEDS`.

    A pair is measured once, in the least of its homes: similar documents share most buckets, and these their first documents, so
    that few blocks need the same document.
    """
    left, right, home = columns(interim.read(candidates), "left", "right", "home")
    least = starts(left, right)
    left, right, block = left[least], right[least], (home[least] % np.uint64(blocks)).astype(np.int64)
    member, needed = np.concatenate([left, right]), np.concatenate([block, block])
    once = least_of(member, needed, np.zeros(len(member), dtype=np.uint64))
    member, needed = member[once], needed[once]
    pairs = pa.table([left, right, block], schema=tables.PAIRS)
    needs = pa.table([member, needed, _shards_of(member, firsts)], schema=tables.NEEDS)
    return (
        interim.write(candidates.with_suffix(".pairs"), pairs),
        interim.write(candidates.with_suffix(".needs"), needs),
    )


def _shards_of(document: Numbers, firsts: Numbers) -> Numbers:
    by_first = np.argsort(firsts)
    return by_first[np.searchsorted(firsts, document, side="right", sorter=by_first) - 1]


def least_of(one: Numbers, other: Numbers, value: Hashes) -> Numbers:
    """Of all rows of the same two numbers the row of the least value."""
    room = np.full(2 << len(one).bit_length(), -1, dtype=np.int64)
    return room[: _least_of(one, other, value, room)]


@compiled
def _least_of(one, other, value, room):  # type: ignore[no-untyped-def]
    """Fill the beginning of `room`, which is a hash table at first; the number of rows."""
    mask = np.uint64(len(room) - 1)
    for row in range(len(one)):
        place = mix(np.uint64(one[row]) * GOLDEN_RATIO + np.uint64(other[row])) & mask
        while room[place] >= 0 and (one[room[place]] != one[row] or other[room[place]] != other[row]):
            place = (place + np.uint64(1)) & mask
        if room[place] < 0 or value[row] < value[room[place]]:
            room[place] = row
    found = 0
    for place in range(len(room)):
        if room[place] >= 0:
            room[found] = room[place]
            found += 1
    return found


def homes_of(first: Numbers, right_shard: Numbers) -> Hashes:
    """Where a pair may be measured: its block is the least of these modulo their number."""
    return mixed(first.astype(np.uint64) * GOLDEN_RATIO + right_shard.astype(np.uint64))


def neighbours(key: Hashes, document: Numbers) -> tuple[Numbers, Numbers, Numbers, npt.NDArray[np.bool_]]:
    """Pairs of each document with the first `NEIGHBOURS` of its bucket, the first of these, and whether the bucket is crowded;
    rows come sorted by key and rank.
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
    return document[ones], document[others], document[start[others]], crowded[others]
