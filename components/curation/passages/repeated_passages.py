"""Finds passages that occur more than once in the corpus, by exchanging their hashes between shards.

Equal passages in a chunk of texts are one row with a count, so a line that occurs everywhere does not overload a partition.
Writing every run would take a row for each word of the corpus. So first only the lowest gram of each run, a shorter run inside
it, is exchanged (winnowing: Schleimer, Wilkerson, Aiken, SIGMOD 2003), then only the runs around repeated grams. Equal runs have
equal lowest grams, so none is missed.

The exact-substring deduplication of datatrove and text-dedup calls Google's suffix array, which needs a Rust compiler and the
whole corpus in one file. datatrove's sentence deduplication needs a sentence splitter for each language, and runs in Python.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components import interim
from components.curation.duplicates.sketches import BATCH, TextShard, bytes_of, ranks_of, text_hashes
from components.curation.passages.config import PassagesConfig
from components.curation.passages.passage_hashes import Anchors, Passages, Words, chunks_of, lines_of, runs_of, words_in
from components.curation.tables import columns
from components.curation.tables.sorting import distinct, starts
from components.machine_code import Bytes, Hashes, Numbers

CHUNK_BYTES = 4 * 1024 * 1024
"""Bytes of text hashed at a time. In the worst case, words of one byte, a word takes 25 bytes of memory and its run 40 more."""

PASSAGES = pa.schema(
    {
        "key": pa.uint64(),
        "check": pa.uint64(),
        "rank": pa.uint64(),
        "document": pa.int64(),
        "word": pa.int64(),
        "part": pa.int64(),
        "count": pa.int64(),
    }
)
"""A passage of a chunk, with its first occurrence in the chunk by rank. `count` is the number of the chunk's documents that have
the line, or of the run's occurrences."""

GRAMS = pa.schema({"key": pa.uint64(), "part": pa.int64(), "count": pa.int64()})
"""A lowest gram of a chunk, and the number of positions at which it occurs there."""

KNOWN = pa.schema({"part": pa.int64(), "key": pa.uint64()})
"""A gram of a shard that occurs at several positions of the corpus."""

REPEATED = pa.schema(
    {
        "part": pa.int64(),
        "key": pa.uint64(),
        "check": pa.uint64(),
        "kept": pa.int64(),
        "kept_word": pa.int64(),
        "kept_part": pa.int64(),
    }
)
"""A repeated passage of a shard, and its first occurrence in the corpus, which is kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Texts:
    """A chunk of the documents whose passages are compared."""

    rows: pa.RecordBatch
    """The documents' rows."""
    raw: Bytes
    """UTF-8 bytes of the texts; may include those of other chunks."""
    offsets: Numbers
    """Where each text starts in `raw`, int64 [texts + 1]."""
    document: Numbers
    """Document numbers, int64 [texts]."""
    rank: Hashes
    """Ranks by `sketches.ranks_of`, uint64 [texts]."""
    words: Words


def texts_of(shard: TextShard, config: PassagesConfig) -> Iterator[Texts]:
    """The documents of a shard that deduplication kept, in chunks; code only if `in_code` is set."""
    document, kept_instead = columns(interim.read(shard.verdicts, ["document", "kept"]), "document", "kept")
    removed = document[kept_instead >= 0]
    with pq.ParquetFile(shard.texts) as opened:
        for batch in opened.iter_batches(batch_size=BATCH):
            kept = ~np.isin(batch["document"].to_numpy(), removed)
            if not config.in_code:
                kept &= np.array([tag != "code" for tag in batch["language"].to_pylist()], dtype=bool)
            yield from chunked(batch.filter(pa.array(kept)))


def chunked(rows: pa.RecordBatch) -> Iterator[Texts]:
    """Split documents into chunks of about `CHUNK_BYTES` bytes, with their words."""
    raw, offsets = bytes_of(rows["text"])
    document, rank = rows["document"].to_numpy(), ranks_of(rows, text_hashes(rows))
    for first, end in chunks_of(offsets, CHUNK_BYTES):
        own = offsets[first : end + 1]
        yield Texts(
            rows=rows.slice(first, end - first),
            raw=raw,
            offsets=own,
            document=document[first:end],
            rank=rank[first:end],
            words=words_in(raw, own),
        )


def gather_lines(shard: TextShard, *, config: PassagesConfig) -> Path:
    """Write the lines of a shard, as `PASSAGES`."""
    path = shard.directory / f"lines{interim.SUFFIX}"
    with interim.writer(path, PASSAGES) as output:
        for texts in texts_of(shard, config):
            output.write_table(joined(lines_of(texts.words, config.min_line_words), texts, shard.number, by_document=True))
    return path


def gather_grams(shard: TextShard, *, config: PassagesConfig) -> Path:
    """Write the lowest grams of the runs of a shard, as `GRAMS`."""
    path = shard.directory / f"grams{interim.SUFFIX}"
    with interim.writer(path, GRAMS) as output:
        for texts in texts_of(shard, config):
            _, anchors = runs_of(texts.words, config.min_substring_words)
            keys, counts = np.unique(anchors.gram[anchors.moved], return_counts=True)
            output.write_table(pa.table([keys, np.full(len(keys), shard.number), counts], schema=GRAMS))
    return path


def judge_grams(grams: Path) -> Path:
    """Write the grams in one partition of `GRAMS` that occur at several positions, as `KNOWN`."""
    key, shard, count = columns(interim.read(grams), "key", "part", "count")
    several = _summed(count, starts(key)) > 1
    known = distinct(shard[several], key[several])
    return interim.write(grams.with_suffix(".known"), pa.table(list(known), schema=KNOWN))


def gather_runs(work: tuple[TextShard, Path], *, config: PassagesConfig) -> Path:
    """Write the runs of a shard whose lowest gram is in its `KNOWN`, as `PASSAGES`; `work` is the shard and that table."""
    shard, known = work
    (grams,) = columns(interim.read(known), "key")
    path = shard.directory / f"runs{interim.SUFFIX}"
    with interim.writer(path, PASSAGES) as output:
        for texts in texts_of(shard, config):
            runs, anchors = runs_of(texts.words, config.min_substring_words)
            output.write_table(joined(_around(runs, anchors, grams), texts, shard.number, by_document=False))
    return path


def _around(runs: Passages, anchors: Anchors, grams: Hashes) -> Passages:
    return runs.select(np.flatnonzero(indices_in(grams, anchors.gram) >= 0))


def indices_in(ordered: Hashes, values: Hashes) -> Numbers:
    """The index of each value in a sorted array, or -1 if it is missing; int64 [values]."""
    if not len(ordered):
        return np.full(len(values), -1, dtype=np.int64)
    index = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.where(ordered[index] == values, index, -1)


def joined(passages: Passages, texts: Texts, shard: int, *, by_document: bool) -> pa.Table:
    """`PASSAGES` of a chunk, with one row per distinct passage; `count` is documents if `by_document`, else occurrences."""
    document, rank = texts.document[passages.text], texts.rank[passages.text]
    order = np.argsort(passages.key)
    # Sort by key, and sort by the other columns only the few passages that share a key.
    opens = starts(passages.key[order])
    tied = ~(opens & np.append(opens[1:], True)) if len(order) else opens
    rows = order[tied]
    sorting = (passages.word, document, rank, passages.check, passages.key)
    order[tied] = rows[np.lexsort([column[rows] for column in sorting])]

    # Keep the first occurrence of each passage, with its count.
    key, check = passages.key[order], passages.check[order]
    first = starts(key, check)
    counted = starts(key, check, document[order]) if by_document else np.ones(len(order), dtype=bool)
    count = np.add.reduceat(counted, np.flatnonzero(first), dtype=np.int64) if len(order) else np.zeros(0, dtype=np.int64)
    heads = order[first]
    values = [key[first], check[first], rank[heads], document[heads], passages.word[heads]]
    return pa.table([*values, np.full(len(heads), shard), count], schema=PASSAGES)


def judge_passages(passages: Path, *, limit: int) -> Path:
    """Write the passages in one partition of `PASSAGES` whose total count exceeds `limit`, as `REPEATED`."""
    table = interim.read(passages)
    key, check, document, word, shard, count = columns(table, "key", "check", "document", "word", "part", "count")
    first = starts(key, check)
    repeated = _summed(count, first) > limit
    head = np.maximum.accumulate(np.where(first, np.arange(len(key)), 0))[repeated]
    rows = distinct(shard[repeated], key[repeated], check[repeated], document[head], word[head], shard[head])
    return interim.write(passages.with_suffix(".repeated"), pa.table(list(rows), schema=REPEATED))


def _summed(count: Numbers, first: Any) -> Numbers:
    """The sum of `count` over each group, repeated at every row of the group; `first` marks the first row of each group."""
    if not len(count):
        return count
    return np.add.reduceat(count, np.flatnonzero(first))[np.cumsum(first) - 1]
