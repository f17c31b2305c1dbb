"""Trims lines and substrings that documents share across all sources, in the documents that deduplication kept.

1. The lines of every shard are hashed and compared. A line in too many documents is kept only in the first of them by rank.
2. Each run of words is represented by its lowest gram: of all runs of half its length inside it, the one with the lowest hash.
   These grams are compared first, then the whole runs around repeated grams. A repeated run is kept only at its first occurrence
   (arXiv 2107.06499, section 4.1).
3. In every shard, passages that are kept elsewhere are trimmed.
4. The evidence is completed in the shards of the kept documents.

Which passages are trimmed is decided on the original texts, so the result does not depend on the order of processing. A word is
trimmed only if an earlier document, or an earlier position of the same document, has it too. A document of which too little
remains is removed, unless it keeps a passage for others, so everything that was trimmed is still in the corpus. Documents are
deduplicated before this step, and no later step removes documents.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from components import interim
from components.curation import tables
from components.curation.duplicates.sketches import TextShard, batches
from components.curation.passages.config import PassagesConfig
from components.curation.passages.repeated_passages import (
    Texts,
    chunked,
    gather_grams,
    gather_lines,
    gather_runs,
    judge_grams,
    judge_passages,
)
from components.curation.passages.trimming import LINE, SUBSTRING, Counts, TrimmedShard, trim
from components.curation.tables import columns
from components.curation.tables.sorting import slots_of, slotted, write_sorted
from components.ports import ShardEngine

ROW_BYTES = {"lines": 192, "grams": 96, "runs": 192, "trimmed": 1024}
"""Bytes of memory per row while its partition is processed, including sorting."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrimmedCorpus:
    """The passages that were trimmed; the trimmed documents are in `TextShard.trimmed`."""

    evidence: tuple[Path, ...]
    """Paths of `tables.PASSAGES` with the slots that `sorting.write_sorted` needs."""
    counts: Counts
    partitions: int = 1
    """Number of slots."""


def find_passages(
    shards: Sequence[TextShard],
    config: PassagesConfig,
    scratch: Path,
    engine: ShardEngine,
    *,
    memory: int,
    min_characters: int,
) -> TrimmedCorpus:
    """Trim repeated passages from the documents that deduplication kept.

    A worker holds about `memory` bytes. A document that is trimmed to fewer than `min_characters` characters is removed.

    The result depends only on texts, ids and quality, not on the order of the shards, the engine or its workers.
    """
    if not shards or not config.kinds:
        return TrimmedCorpus(evidence=(), counts=Counter())
    search = _Search(shards=shards, config=config, memory=memory, scratch=scratch, engine=engine)
    lines = search.lines() if LINE in config.kinds else [None] * len(shards)
    runs = search.runs() if SUBSTRING in config.kinds else [None] * len(shards)
    work = list(zip(shards, lines, runs, strict=True))
    trimmed = engine.map_shards(partial(trim, config=config, min_characters=min_characters), work, description="trim passages")
    partitions = search.partitions([own.passages for own in trimmed], "trimmed")
    return TrimmedCorpus(
        evidence=tuple(search.evidence(trimmed, partitions)),
        counts=engine.reduce(_added, [own.counts for own in trimmed]),
        partitions=partitions,
    )


def _added(first: Counts, second: Counts) -> Counts:
    return first + second


@dataclass(frozen=True, kw_only=True, slots=True)
class _Search:
    shards: Sequence[TextShard]
    config: PassagesConfig
    memory: int
    """Bytes that a worker holds at a time."""
    scratch: Path
    engine: ShardEngine

    def lines(self) -> list[Path]:
        """The repeated lines of each shard."""
        lines = self._gathered(gather_lines, self.shards)
        return self._repeated(lines, "lines", limit=self.config.max_line_documents)

    def runs(self) -> list[Path]:
        """The repeated runs of each shard."""
        grams = self._met(self._gathered(gather_grams, self.shards), "grams")
        known = self.engine.map_shards(judge_grams, grams, description="find repeated grams")
        by_shard = list(zip(self.shards, self._by_shard(known, "known"), strict=True))
        return self._repeated(self._gathered(gather_runs, by_shard), "runs", limit=1)

    def evidence(self, trimmed: Sequence[TrimmedShard], partitions: int) -> list[Path]:
        """Write the evidence of trimmed passages, in the shards of the documents that keep them."""
        passages = [own.passages for own in trimmed]
        gathered = self.engine.exchange(
            passages, key="kept_part", partitions=len(self.shards), output=self.scratch / "trimmed-passages"
        )
        locate = partial(locate_kept, partitions=partitions)
        return self.engine.map_shards(locate, list(zip(self.shards, gathered, strict=True)), description="locate kept passages")

    def _gathered(self, gather: Any, work: Sequence[Any]) -> list[Path]:
        description = gather.__name__.replace("_", " ")
        return self.engine.map_shards(partial(gather, config=self.config), list(work), description=description)

    def _repeated(self, passages: Sequence[Path], name: str, *, limit: int) -> list[Path]:
        judge = partial(judge_passages, limit=limit)
        judged = self.engine.map_shards(judge, self._met(passages, name), description=f"find repeated {name}")
        return self._by_shard(judged, f"repeated-{name}")

    def _met(self, files: Sequence[Path], name: str) -> list[Path]:
        partitions = self.partitions(files, name)
        return self.engine.exchange(files, key="key", partitions=partitions, output=self.scratch / name)

    def partitions(self, files: Sequence[Path], name: str) -> int:
        """The number of partitions with which a worker stays within its memory."""
        rows = sum(map(interim.rows, files))
        return max(1, -(-rows * ROW_BYTES[name] // self.memory))

    def _by_shard(self, files: Sequence[Path], name: str) -> list[Path]:
        return self.engine.exchange(files, key="part", partitions=len(self.shards), output=self.scratch / name)


def locate_kept(work: tuple[TextShard, Path], *, partitions: int) -> Path:
    """Write `tables.PASSAGES` for the `TRIMMED_PASSAGES` that documents of a shard keep.

    `work` is the shard and the path of these passages.
    """
    shard, gathered = work
    passages = interim.read(gathered)
    (kept,) = columns(passages, "kept")
    path = shard.directory / f"passages{interim.SUFFIX}"
    with interim.writer(path, slotted(tables.PASSAGES)) as output:
        for batch in batches(shard.texts) if passages.num_rows else ():
            for texts in chunked(batch.filter(pa.array(np.isin(batch["document"].to_numpy(), kept)))):
                own = passages.take(pa.array(np.flatnonzero(np.isin(kept, texts.document))))
                output.write_table(_located(texts, own, partitions))
    return path


def _located(texts: Texts, passages: pa.Table, partitions: int) -> pa.Table:
    kept, word, count = columns(passages, "kept", "kept_word", "words")
    text, words = np.searchsorted(texts.document, kept), texts.words
    first = words.first[text] + word
    start, end = words.starts[first] - texts.offsets[text], words.ends[first + count - 1] - texts.offsets[text]
    trimmed = [passages[name] for name in ("id", "kind", "start", "end")]
    keeper = [texts.rows["id"].take(pa.array(text)), start, end]
    slots = slots_of(passages["id"], partitions)
    return pa.table([slots, *trimmed, *keeper, passages["text"]], schema=slotted(tables.PASSAGES))


def write_passages(passages: TrimmedCorpus, output: Path, scratch: Path, engine: ShardEngine) -> None:
    """Write `passages.parquet`, sorted by id, and `metrics/passages.parquet` below the corpus at `output`."""
    gathered, partitions = scratch / "passages-sorted", passages.partitions
    write_sorted(passages.evidence, tables.PASSAGES, output / "passages.parquet", gathered, engine, partitions=partitions)
    sources = sorted({(source, domain) for source, domain, _ in passages.counts})
    columns_of = tables.PASSAGE_COUNTS.names[2:]
    rows = [
        {"source": source, "domain": domain, **{name: passages.counts[source, domain, name] for name in columns_of}}
        for source, domain in sources
    ]
    tables.write(output / "metrics" / "passages.parquet", pa.Table.from_pylist(rows, tables.PASSAGE_COUNTS))
