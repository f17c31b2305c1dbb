"""Candidates measured: the Jaccard similarity of their sets of shingles, counted and not estimated."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from components import interim
from components.curation import tables
from components.curation.duplicates.candidate_pairs import edges_between
from components.curation.duplicates.config import DuplicatesConfig
from components.curation.duplicates.sketches import TextShard, batches, bytes_of, ranks_of, sketching_of, text_hashes, ties_of
from components.curation.tables import columns
from components.curation.tables.sorting import distinct, starts
from components.curation.text.shingles import hash_shingles
from components.interim.exchange import read_partition, write_partitions
from components.machine_code import Numbers, compiled

ROUNDING = 1e-12
"""Share by which a product may be off: thousands of units in the last place of a float64, and less than one of 10^11 shingles."""


def gather_members(work: tuple[TextShard, Path], *, config: DuplicatesConfig, blocks: int, output: Path) -> None:
    """Write the shingles of a shard's candidates below `output`, as `tables.MEMBERS` by the blocks that need them.

    They are most of what deduplication writes, and are written once: a block reads them from every shard.
    """
    shard, needs = work
    document, block = distinct(*columns(interim.read(needs), "document", "block"))
    members = [tables.MEMBERS.empty_table()]
    for batch in batches(shard.texts) if len(document) else ():
        (numbers,) = columns(batch, "document")
        start, end = np.searchsorted(document, [numbers[0], numbers[-1] + 1])
        if start < end:
            members.append(_members(batch, document[start:end], block[start:end], shard.number, config))
    path = output / f"{shard.number:05d}{interim.SUFFIX}"
    write_partitions(path, pa.concat_tables(members), key="block", partitions=blocks)


def _members(batch: pa.RecordBatch, document: Numbers, block: Numbers, shard: int, config: DuplicatesConfig) -> pa.Table:
    """A row for each document and block, which come sorted; the shingles of a document are hashed once."""
    first = starts(document)
    rows = batch.take(pa.array(np.searchsorted(batch["document"].to_numpy(), document[first])))
    shards = np.full(len(rows), shard, dtype=np.int64)
    # The column of the block is filled in below.
    text = text_hashes(rows)
    order = [ranks_of(rows, text), ties_of(rows, text)]
    values = [rows["document"], shards, *order, shards, text, rows["id"], rows["group"], _shingles(rows["text"], config)]
    table = pa.table(values, schema=tables.MEMBERS)
    if not first.all():
        table = table.take(pa.array(np.cumsum(first) - 1))
    return table.set_column(1, tables.MEMBERS.field("block"), pa.array(block))


def _shingles(texts: pa.Array, config: DuplicatesConfig) -> pa.LargeBinaryArray:
    """The distinct shingles of each text, as bytes."""
    sketching = sketching_of(config)
    raw, offsets = bytes_of(texts)
    longest = int(np.diff(offsets).max()) + config.shingle_size + 2
    words, table = np.empty(longest, dtype=np.uint64), np.empty(_capacity(longest), dtype=np.uint64)
    # A text has no more shingles than half its bytes and one, so that the last one has all the space that hashing asks for.
    shingles = np.empty(int(offsets[-1] - offsets[0]) + len(texts) + longest, dtype=np.uint64)
    ends = np.zeros(len(offsets), dtype=np.int64)
    count = distinct_shingles(raw, offsets, sketching.fold, sketching.factors, words, table, shingles, ends)
    buffers = [None, pa.py_buffer(8 * ends), pa.py_buffer(shingles[:count])]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(texts), buffers)


def _capacity(entries: int) -> int:
    return 1 << (2 * entries).bit_length()


@compiled
def insert(table, mask, value):  # type: ignore[no-untyped-def]
    """Put a value into an open-addressed table of zeros; whether it is new."""
    slot = value & mask
    while table[slot] != np.uint64(0):
        if table[slot] == value:
            return False
        slot = (slot + np.uint64(1)) & mask
    table[slot] = value
    return True


@compiled
def holds(table, mask, value):  # type: ignore[no-untyped-def]
    """Whether the table has the value."""
    slot = value & mask
    while table[slot] != np.uint64(0):
        if table[slot] == value:
            return True
        slot = (slot + np.uint64(1)) & mask
    return False


@compiled
def cleared(table, entries):  # type: ignore[no-untyped-def]
    """Clear as many slots as `entries` entries need at a load of at most a half; the mask of these slots."""
    capacity = 4
    while capacity < 2 * entries:
        capacity *= 2
    table[:capacity] = np.uint64(0)
    return np.uint64(capacity - 1)


@compiled
def distinct_shingles(raw, offsets, fold, factors, words, table, shingles, ends):  # type: ignore[no-untyped-def]
    """Write the distinct shingles of each text to `shingles`, and to `ends` how many there are up to its end; the number of all.

    Zero marks an empty slot, so it counts as one. `words` and `table` are scratch.
    """
    total = 0
    for text in range(len(offsets) - 1):
        own = shingles[total:]
        count = hash_shingles(raw, offsets[text], offsets[text + 1], fold, factors, words, own)
        mask = cleared(table, count)
        for index in range(count):
            value = max(own[index], np.uint64(1))
            if insert(table, mask, value):
                shingles[total] = value
                total += 1
        ends[text + 1] = total
    return total


def verify_pairs(work: tuple[int, Path], *, members: Path, threshold: float) -> tuple[Path, int]:
    """Write the pairs of one block that reach the threshold, as `tables.EDGES`; also how many were measured."""
    block, pairs = work
    documents = read_partition(members, block).combine_chunks()
    (number,) = columns(documents, "document")
    order = np.argsort(number)
    ends = columns(interim.read(pairs), "left", "right")
    first, second = (order[np.searchsorted(number, end, sorter=order)] for end in ends)
    similarity = np.zeros(len(first))
    if len(first):
        raw, offsets = bytes_of(documents["shingles"].chunk(0))
        bounds = offsets // 8
        table = np.empty(_capacity(int(np.diff(bounds).max())), dtype=np.uint64)
        measure(raw.view(np.uint64), bounds, first, second, threshold, table, similarity)
    similar = similarity >= threshold
    edges = edges_between(documents, first[similar], second[similar], similarity[similar], copy=False)
    return interim.write(pairs.with_suffix(".verified"), edges), len(first)


@compiled
def measure(shingles, bounds, first, second, threshold, table, similarity):  # type: ignore[no-untyped-def]
    """The Jaccard similarity of each pair, sorted by `first`; 0 where it is below the threshold.

    The shingles of a document are those between its two `bounds`. Sizes alone rule out some pairs, and others more misses than a
    pair at the threshold can have: it shares at least T / (1 + T) of the sum of both sizes.
    """
    # The quotient at the end is rounded once, as the threshold itself is, so that a pair right at it reaches it. What rules pairs
    # out before is a product of rounded numbers: it leaves some units in the last place.
    bound = threshold * (1 - ROUNDING)
    inserted, mask = -1, np.uint64(0)
    for pair in range(len(first)):
        a, b = first[pair], second[pair]
        sizes = bounds[a + 1] - bounds[a], bounds[b + 1] - bounds[b]
        if min(sizes) < bound * max(sizes):
            continue
        if inserted != a:
            mask = cleared(table, sizes[0])
            for index in range(bounds[a], bounds[a + 1]):
                insert(table, mask, shingles[index])
            inserted = a
        shared, index = 0, bounds[b]
        max_misses = sizes[1] - bound / (1 + bound) * (sizes[0] + sizes[1]) + 1
        while index < bounds[b + 1] and index - bounds[b] - shared <= max_misses:
            shared += holds(table, mask, shingles[index])
            index += 1
        if index == bounds[b + 1]:
            similarity[pair] = shared / (sizes[0] + sizes[1] - shared)
