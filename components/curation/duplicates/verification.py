"""Candidates measured: the Jaccard similarity of their sets of shingles, counted and not estimated."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from components import interim
from components.curation import tables
from components.curation.config import CurationConfig
from components.curation.duplicates.candidate_pairs import edges_between
from components.curation.duplicates.sketches import TextShard, batches, bytes_of, ranks_of, sketching_of
from components.curation.tables import columns
from components.curation.tables.sorting import distinct, starts
from components.curation.text.shingles import hash_shingles
from components.interim.exchange import read_partition, write_partitions
from components.machine_code import Numbers, compiled

ROUNDING = 1e-12
"""Share by which a product may be off: thousands of units in the last place of a float64, and less than one of 10^11 shingles."""


def gather_members(work: tuple[TextShard, Path], *, config: CurationConfig, blocks: int, output: Path) -> None:
    """Write the shingles of a part's candidates below `output`, as `tables.MEMBERS` split by the blocks that need them.

    They are most of what deduplication writes, and are written once: a block reads them from every part.
    """
    shard, needs = work
    document, block = distinct(*columns(interim.read(needs), "document", "block"))
    found = [tables.MEMBERS.empty_table()]
    for batch in batches(shard.texts) if len(document) else ():
        (numbers,) = columns(batch, "document")
        begin, end = np.searchsorted(document, [numbers[0], numbers[-1] + 1])
        if begin < end:
            found.append(_members(batch, document[begin:end], block[begin:end], shard.number, config))
    path = output / f"{shard.number:05d}{interim.SUFFIX}"
    write_partitions(path, pa.concat_tables(found), key="block", partitions=blocks)


def _members(batch: pa.RecordBatch, document: Numbers, block: Numbers, shard: int, config: CurationConfig) -> pa.Table:
    """A row for each document and block; they come sorted. The shingles of a document are counted out once."""
    first = starts(document)
    taken = batch.take(pa.array(np.searchsorted(batch["document"].to_numpy(), document[first])))
    numbers = np.full(len(taken), shard, dtype=np.int64)
    shingles = _shingles(taken["text"], config)
    values = [taken["document"], numbers, ranks_of(taken), numbers, taken["id"], taken["group"], shingles]
    table = pa.table(values, schema=tables.MEMBERS)
    if not first.all():
        table = table.take(pa.array(np.cumsum(first) - 1))
    return table.set_column(1, tables.MEMBERS.field("block"), pa.array(block))


def _shingles(texts: pa.Array, config: CurationConfig) -> pa.LargeBinaryArray:
    """The distinct shingles of each text, as bytes."""
    sketching = sketching_of(config)
    raw, offsets = bytes_of(texts)
    longest = int(np.diff(offsets).max()) + config.shingle_size + 2
    words, table = np.empty(longest, dtype=np.uint64), np.empty(_capacity(longest), dtype=np.uint64)
    # A text has no more shingles than half its bytes and one, so that the last one has all the room that hashing asks for.
    found = np.empty(int(offsets[-1] - offsets[0]) + len(texts) + longest, dtype=np.uint64)
    ends = np.zeros(len(offsets), dtype=np.int64)
    count = distinct_shingles(raw, offsets, sketching.fold, sketching.factors, words, table, found, ends)
    buffers = [None, pa.py_buffer(8 * ends), pa.py_buffer(found[:count])]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(texts), buffers)


def _capacity(entries: int) -> int:
    return 1 << (2 * entries).bit_length()


@compiled
def insert(table, mask, value):  # type: ignore[no-untyped-def]
    """Put a value into an open-addressed table of zeros; whether it is new."""
    place = value & mask
    while table[place] != np.uint64(0):
        if table[place] == value:
            return False
        place = (place + np.uint64(1)) & mask
    table[place] = value
    return True


@compiled
def holds(table, mask, value):  # type: ignore[no-untyped-def]
    """Whether the table has the value."""
    place = value & mask
    while table[place] != np.uint64(0):
        if table[place] == value:
            return True
        place = (place + np.uint64(1)) & mask
    return False


@compiled
def cleared(table, entries):  # type: ignore[no-untyped-def]
    """Make room for so many entries at a load of at most a half; the mask of the room."""
    capacity = 4
    while capacity < 2 * entries:
        capacity *= 2
    table[:capacity] = np.uint64(0)
    return np.uint64(capacity - 1)


@compiled
def distinct_shingles(raw, offsets, fold, factors, words, table, found, ends):  # type: ignore[no-untyped-def]
    """The distinct shingles of each text in `found`, and in `ends` how many there are up to its end; the number of all.

    Zero marks room, so it counts as one.
    """
    kept = 0
    for text in range(len(offsets) - 1):
        own = found[kept:]
        count = hash_shingles(raw, offsets[text], offsets[text + 1], fold, factors, words, own)
        mask = cleared(table, count)
        for place in range(count):
            value = max(own[place], np.uint64(1))
            if insert(table, mask, value):
                found[kept] = value
                kept += 1
        ends[text + 1] = kept
    return kept


def verify_pairs(work: tuple[int, Path], *, members: Path, threshold: float) -> tuple[Path, int]:
    """Write the pairs of one block that reach the threshold, as `tables.EDGES`; also how many were measured."""
    block, pairs = work
    found = read_partition(members, block).combine_chunks()
    left, right = columns(interim.read(pairs), "left", "right")
    (document,) = columns(found, "document")
    order = np.argsort(document)
    left, right = (order[np.searchsorted(document, side, sorter=order)] for side in (left, right))
    similarity = np.zeros(len(left))
    if len(left):
        raw, offsets = bytes_of(found["shingles"].chunk(0))
        begin = offsets // 8
        table = np.empty(_capacity(int(np.diff(begin).max())), dtype=np.uint64)
        measure(raw.view(np.uint64), begin, left, right, threshold, table, similarity)
    similar = similarity >= threshold
    edges = edges_between(found, left[similar], right[similar], similarity[similar], copy=False)
    return interim.write(pairs.with_suffix(".verified"), edges), len(left)


@compiled
def measure(shingles, begin, left, right, threshold, table, similarity):  # type: ignore[no-untyped-def]
    """The Jaccard similarity of each pair, sorted by `left`; 0 where it is below the threshold.

    Sizes alone show that of some, and of others as many misses as no pair at the threshold can have: it shares at least
    T / (1 + T) of the sum of both sizes.
    """
    # The quotient at the end is rounded once, as the threshold itself is, so that a pair right at it reaches it. What rules pairs
    # out before is a product of rounded numbers: it leaves room for some units in the last place.
    least = threshold * (1 - ROUNDING)
    standing, mask = -1, np.uint64(0)
    for pair in range(len(left)):
        one, two = left[pair], right[pair]
        sizes = begin[one + 1] - begin[one], begin[two + 1] - begin[two]
        if min(sizes) < least * max(sizes):
            continue
        if standing != one:
            mask = cleared(table, sizes[0])
            for place in range(begin[one], begin[one + 1]):
                insert(table, mask, shingles[place])
            standing = one
        shared, place, spare = 0, begin[two], sizes[1] - least / (1 + least) * (sizes[0] + sizes[1])
        while place < begin[two + 1] and place - begin[two] - shared <= spare + 1:
            shared += holds(table, mask, shingles[place])
            place += 1
        if place == begin[two + 1]:
            similarity[pair] = shared / (sizes[0] + sizes[1] - shared)
