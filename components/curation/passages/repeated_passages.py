"""Which passages stand in more than one place of the corpus: hashes meet by key, each part's own already joined into one row.

A line that stands everywhere is one row of each slice of a part, so no partition grows with how often it stands. Runs of words
would be a row for each word of the corpus: so first the least grams of all runs meet (winnowing: Schleimer, Wilkerson, Aiken,
SIGMOD 2003), and only runs around a gram that is repeated are written at all. Equal runs have equal least grams: none is lost.

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
from components.curation.config import CurationConfig
from components.curation.duplicates.sketches import BATCH, TextShard, bytes_of, ranks_of
from components.curation.passages.passage_hashes import Anchors, Units, Words, lines_of, runs_of, slices, words_in
from components.curation.tables import columns
from components.curation.tables.sorting import distinct, starts
from components.machine_code import Bytes, Hashes, Numbers

SLICE = 4 * 1024 * 1024
"""Bytes of text hashed at a time: words of one byte take 25 bytes each meanwhile, runs of them 40 more."""

UNITS = pa.schema(
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
"""A passage of a slice with its first place there by rank; `count`: the slice's documents with a line, or its places of a run."""

GRAMS = pa.schema({"key": pa.uint64(), "part": pa.int64(), "count": pa.int64()})
"""A least gram of a slice, and how many places have it."""

KNOWN = pa.schema({"part": pa.int64(), "key": pa.uint64()})
"""A gram of a part that stands in several places of the corpus."""

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
"""A passage of a part that is repeated, and the first place of all, which keeps it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Texts:
    """Some documents whose passages count."""

    rows: pa.RecordBatch
    raw: Bytes
    offsets: Numbers
    """Where each begins in `raw`, int64 [texts + 1]."""
    document: Numbers
    rank: Hashes
    words: Words


def texts_of(shard: TextShard, verdicts: Path, config: CurationConfig) -> Iterator[Texts]:
    """The documents of a part that deduplication left, some at a time; code only if it is to lose passages too."""
    judged = interim.read(verdicts, ["document", "kept"])
    document, kept = columns(judged, "document", "kept")
    gone = document[kept >= 0]
    with pq.ParquetFile(shard.texts) as opened:
        for batch in opened.iter_batches(batch_size=BATCH):
            stay = ~np.isin(batch["document"].to_numpy(), gone)
            if not config.passages_in_code:
                stay &= np.array([tag != "code" for tag in batch["language"].to_pylist()], dtype=bool)
            yield from sliced(batch.filter(pa.array(stay)))


def sliced(rows: pa.RecordBatch) -> Iterator[Texts]:
    """Documents with their words, about `SLICE` bytes at a time."""
    raw, offsets = bytes_of(rows["text"])
    document, rank = rows["document"].to_numpy(), ranks_of(rows)
    for first, end in slices(offsets, SLICE):
        own = offsets[first : end + 1]
        yield Texts(
            rows=rows.slice(first, end - first),
            raw=raw,
            offsets=own,
            document=document[first:end],
            rank=rank[first:end],
            words=words_in(raw, own),
        )


def gather_lines(work: tuple[TextShard, Path], *, config: CurationConfig) -> Path:
    """Write the lines of a part, as `UNITS`."""
    shard, verdicts = work
    path = shard.directory / f"lines{interim.SUFFIX}"
    with interim.writer(path, UNITS) as output:
        for texts in texts_of(shard, verdicts, config):
            output.write_table(joined(lines_of(texts.words, config.min_line_words), texts, shard.number, by_document=True))
    return path


def gather_grams(work: tuple[TextShard, Path], *, config: CurationConfig) -> Path:
    """Write the least grams of the runs of a part, as `GRAMS`."""
    shard, verdicts = work
    path = shard.directory / f"grams{interim.SUFFIX}"
    with interim.writer(path, GRAMS) as output:
        for texts in texts_of(shard, verdicts, config):
            _, anchors = runs_of(texts.words, config.min_substring_words)
            keys, counts = np.unique(anchors.least[anchors.moved], return_counts=True)
            output.write_table(pa.table([keys, np.full(len(keys), shard.number), counts], schema=GRAMS))
    return path


def judge_grams(grams: Path) -> Path:
    """Write the grams of one partition of `GRAMS` that have several places, as `KNOWN`."""
    key, shard, count = columns(interim.read(grams), "key", "part", "count")
    several = _summed(count, starts(key)) > 1
    found = distinct(shard[several], key[several])
    return interim.write(grams.with_suffix(".known"), pa.table(list(found), schema=KNOWN))


def gather_runs(work: tuple[TextShard, Path, Path], *, config: CurationConfig) -> Path:
    """Write the runs of a part whose least gram is among its `KNOWN`, as `UNITS`."""
    shard, verdicts, known = work
    (grams,) = columns(interim.read(known), "key")
    path = shard.directory / f"runs{interim.SUFFIX}"
    with interim.writer(path, UNITS) as output:
        for texts in texts_of(shard, verdicts, config):
            units, anchors = runs_of(texts.words, config.min_substring_words)
            output.write_table(joined(_around(units, anchors, grams), texts, shard.number, by_document=False))
    return path


def _around(units: Units, anchors: Anchors, grams: Hashes) -> Units:
    rows = np.flatnonzero(places_in(grams, anchors.least) >= 0)
    return Units(
        key=units.key[rows], check=units.check[rows], text=units.text[rows], word=units.word[rows], words=units.words[rows]
    )


def places_in(ordered: Hashes, values: Hashes) -> Numbers:
    """Where each value stands in an ordered array, or -1; int64 [values]."""
    if not len(ordered):
        return np.full(len(values), -1, dtype=np.int64)
    place = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.where(ordered[place] == values, place, -1)


def joined(units: Units, texts: Texts, shard: int, *, by_document: bool) -> pa.Table:
    """`UNITS` of a slice: a row for each passage, whose `count` are documents or places."""
    document, rank = texts.document[units.text], texts.rank[units.text]
    order = np.argsort(units.key)
    # Most passages stand alone: only the others are sorted by all that decides.
    alone = starts(units.key[order])
    tied = ~(alone & np.append(alone[1:], True)) if len(order) else alone
    rows = order[tied]
    sorting = (units.word, document, rank, units.check, units.key)
    order[tied] = rows[np.lexsort([column[rows] for column in sorting])]
    first = starts(units.key[order], units.check[order])
    counted = starts(units.key[order], units.check[order], document[order]) if by_document else np.ones(len(order), dtype=bool)
    count = np.add.reduceat(counted, np.flatnonzero(first), dtype=np.int64) if len(order) else np.zeros(0, dtype=np.int64)
    heads = order[first]
    values = [units.key[heads], units.check[heads], rank[heads], document[heads], units.word[heads]]
    return pa.table([*values, np.full(len(heads), shard), count], schema=UNITS)


def judge_units(units: Path, *, most: int) -> Path:
    """Write what stands in more than `most` documents or places of one partition of `UNITS`, as `REPEATED`."""
    table = interim.read(units)
    key, check, document, word, shard, count = columns(table, "key", "check", "document", "word", "part", "count")
    first = starts(key, check)
    repeated = _summed(count, first) > most
    head = np.maximum.accumulate(np.where(first, np.arange(len(key)), 0))[repeated]
    rows = distinct(shard[repeated], key[repeated], check[repeated], document[head], word[head], shard[head])
    return interim.write(units.with_suffix(".repeated"), pa.table(list(rows), schema=REPEATED))


def _summed(count: Numbers, first: Any) -> Numbers:
    """The sum over each group, at every row of it."""
    if not len(count):
        return count
    return np.add.reduceat(count, np.flatnonzero(first))[np.cumsum(first) - 1]
