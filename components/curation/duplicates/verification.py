"""Verifies candidate pairs: counts the exact Jaccard similarity of their shingle sets instead of estimating it."""

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
"""Relative rounding error allowed for a product: thousands of units in the last place of a float64, but less than one shingle in
10^11."""


def gather_members(work: tuple[TextShard, Path], *, config: DuplicatesConfig, blocks: int, output: Path) -> None:
    """Write the shingles of a shard's candidates below `output`, as `tables.MEMBERS` partitioned by the blocks that need them.

    They are most of what deduplication writes. They are written only once: each block reads its partition of every shard.
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
    """A row of `tables.MEMBERS` for each (document, block), which come sorted; a document's shingles are hashed once."""
    first = starts(document)
    rows = batch.take(pa.array(np.searchsorted(batch["document"].to_numpy(), document[first])))
    shards = np.full(len(rows), shard, dtype=np.int64)
    # The second column, `block`, is a placeholder that is replaced below.
    text = text_hashes(rows)
    order = [ranks_of(rows, text), ties_of(rows, text)]
    values = [rows["document"], shards, *order, shards, text, rows["id"], rows["group"], _shingles(rows["text"], config)]
    table = pa.table(values, schema=tables.MEMBERS)
    if not first.all():
        table = table.take(pa.array(np.cumsum(first) - 1))
    return table.set_column(1, tables.MEMBERS.field("block"), pa.array(block))


def _shingles(texts: pa.Array, config: DuplicatesConfig) -> pa.LargeBinaryArray:
    """The distinct shingles of each text, as the bytes of uint64 values."""
    sketching = sketching_of(config)
    raw, offsets = bytes_of(texts)
    longest = int(np.diff(offsets).max()) + config.shingle_size + 2
    words, table = np.empty(longest, dtype=np.uint64), np.empty(_capacity(longest), dtype=np.uint64)
    # A text has at most (bytes / 2 + 1) shingles, so even the last text has the working space that hashing needs.
    shingles = np.empty(int(offsets[-1] - offsets[0]) + len(texts) + longest, dtype=np.uint64)
    ends = np.zeros(len(offsets), dtype=np.int64)
    count = distinct_shingles(raw, offsets, sketching.fold, sketching.factors, words, table, shingles, ends)
    buffers = [None, pa.py_buffer(8 * ends), pa.py_buffer(shingles[:count])]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(texts), buffers)


def _capacity(entries: int) -> int:
    return 1 << (2 * entries).bit_length()


@compiled
def insert(table, mask, value):  # type: ignore[no-untyped-def]
    """Insert a value into an open-addressed hash table in which 0 marks empty slots; return whether it is new."""
    slot = value & mask
    while table[slot] != np.uint64(0):
        if table[slot] == value:
            return False
        slot = (slot + np.uint64(1)) & mask
    table[slot] = value
    return True


@compiled
def holds(table, mask, value):  # type: ignore[no-untyped-def]
    """Whether the hash table contains the value."""
    slot = value & mask
    while table[slot] != np.uint64(0):
        if table[slot] == value:
            return True
        slot = (slot + np.uint64(1)) & mask
    return False


@compiled
def cleared(table, entries):  # type: ignore[no-untyped-def]
    """Clear enough slots for `entries` entries at a load of at most 0.5; return the mask of slot indices."""
    capacity = 4
    while capacity < 2 * entries:
        capacity *= 2
    table[:capacity] = np.uint64(0)
    return np.uint64(capacity - 1)


@compiled
def distinct_shingles(raw, offsets, fold, factors, words, table, shingles, ends):  # type: ignore[no-untyped-def]
    """Write the distinct shingles of all texts to `shingles`, and where those of each text end to `ends`; return their number.

    A hash of 0 is changed to 1, since 0 marks an empty slot. `words` and `table` are working space.
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
    """Write the pairs of one block that reach the threshold, as `tables.EDGES`; also return how many pairs were measured.

    `work` is the number of the block and the path of its pairs.
    """
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
    """Fill `similarity` with the Jaccard similarity of each pair; 0 if it is below the threshold. Pairs are sorted by `first`.

    The shingles of document d are `shingles[bounds[d]:bounds[d + 1]]`. Some pairs are ruled out by their sizes alone. Others are
    ruled out early, once more shingles are missing than a pair at the threshold T can miss: it shares at least T / (1 + T) of the
    sum of both sizes.
    """
    # The final quotient is rounded once, as is the threshold, so a pair exactly at the threshold reaches it. The early tests
    # multiply rounded numbers, so they use a slightly lower bound.
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
