"""Which passages occur more than once in the corpus: hashes meet by key, those of a chunk of texts already joined into one row.

A line that occurs everywhere is one row of each chunk, so no partition grows with its occurrences. Runs of words would be a row
for each word of the corpus: so first the lowest grams of all runs meet (winnowing: Schleimer, Wilkerson, Aiken, SIGMOD 2003), and
only runs around a gram that is repeated are written at all. Equal runs have equal lowest grams: none is missed.

The exact substrings of datatrove and of text-dedup call Google's suffix array, which a Rust compiler must build and which wants
the whole corpus in one file; datatrove's sentence deduplication needs a sentence splitter for each language and works in Python.
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
"""Bytes of text hashed at a time: words of one byte take 25 bytes each meanwhile, runs of them 40 more."""

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
"""A passage of a chunk at its first occurrence there by rank; `count`: its documents with a line, or occurrences of a run."""

GRAMS = pa.schema({"key": pa.uint64(), "part": pa.int64(), "count": pa.int64()})
"""A lowest gram of a chunk, and at how many positions it is."""

KNOWN = pa.schema({"part": pa.int64(), "key": pa.uint64()})
"""A gram of a shard that is at several positions of the corpus."""

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
"""A passage of a shard that is repeated, and its first occurrence of all, which keeps it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Texts:
    """A chunk of the documents whose passages count."""

    rows: pa.RecordBatch
    raw: Bytes
    offsets: Numbers
    """Where each starts in `raw`, int64 [texts + 1]."""
    document: Numbers
    rank: Hashes
    words: Words


def texts_of(shard: TextShard, config: PassagesConfig) -> Iterator[Texts]:
    """The documents of a shard that deduplication kept, some at a time; code only if it is to be trimmed too."""
    document, kept_instead = columns(interim.read(shard.verdicts, ["document", "kept"]), "document", "kept")
    removed = document[kept_instead >= 0]
    with pq.ParquetFile(shard.texts) as opened:
        for batch in opened.iter_batches(batch_size=BATCH):
            kept = ~np.isin(batch["document"].to_numpy(), removed)
            if not config.in_code:
                kept &= np.array([tag != "code" for tag in batch["language"].to_pylist()], dtype=bool)
            yield from chunked(batch.filter(pa.array(kept)))


def chunked(rows: pa.RecordBatch) -> Iterator[Texts]:
    """Documents with their words, about `CHUNK_BYTES` bytes at a time."""
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
    """Write the grams of one partition of `GRAMS` that are at several positions, as `KNOWN`."""
    key, shard, count = columns(interim.read(grams), "key", "part", "count")
    several = _summed(count, starts(key)) > 1
    known = distinct(shard[several], key[several])
    return interim.write(grams.with_suffix(".known"), pa.table(list(known), schema=KNOWN))


def gather_runs(work: tuple[TextShard, Path], *, config: PassagesConfig) -> Path:
    """Write the runs of a shard whose lowest gram is among its `KNOWN`, as `PASSAGES`."""
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
    """The index of each value in an ordered array, or -1; int64 [values]."""
    if not len(ordered):
        return np.full(len(values), -1, dtype=np.int64)
    index = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.where(ordered[index] == values, index, -1)


def joined(passages: Passages, texts: Texts, shard: int, *, by_document: bool) -> pa.Table:
    """`PASSAGES` of a chunk: a row for each passage, whose `count` are documents or occurrences."""
    document, rank = texts.document[passages.text], texts.rank[passages.text]
    order = np.argsort(passages.key)
    # Most passages occur once: only the others are sorted by all that decides.
    opens = starts(passages.key[order])
    tied = ~(opens & np.append(opens[1:], True)) if len(order) else opens
    rows = order[tied]
    sorting = (passages.word, document, rank, passages.check, passages.key)
    order[tied] = rows[np.lexsort([column[rows] for column in sorting])]

    key, check = passages.key[order], passages.check[order]
    first = starts(key, check)
    counted = starts(key, check, document[order]) if by_document else np.ones(len(order), dtype=bool)
    count = np.add.reduceat(counted, np.flatnonzero(first), dtype=np.int64) if len(order) else np.zeros(0, dtype=np.int64)
    heads = order[first]
    values = [key[first], check[first], rank[heads], document[heads], passages.word[heads]]
    return pa.table([*values, np.full(len(heads), shard), count], schema=PASSAGES)


def judge_passages(passages: Path, *, limit: int) -> Path:
    """Write what is in more than `limit` documents, or has more occurrences, of one partition of `PASSAGES`, as `REPEATED`."""
    table = interim.read(passages)
    key, check, document, word, shard, count = columns(table, "key", "check", "document", "word", "part", "count")
    first = starts(key, check)
    repeated = _summed(count, first) > limit
    head = np.maximum.accumulate(np.where(first, np.arange(len(key)), 0))[repeated]
    rows = distinct(shard[repeated], key[repeated], check[repeated], document[head], word[head], shard[head])
    return interim.write(passages.with_suffix(".repeated"), pa.table(list(rows), schema=REPEATED))


def _summed(count: Numbers, first: Any) -> Numbers:
    """The sum over each group, at every row of it."""
    if not len(count):
        return count
    return np.add.reduceat(count, np.flatnonzero(first))[np.cumsum(first) - 1]
