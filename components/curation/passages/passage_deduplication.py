"""Exact lines and substrings that documents share, over all sources together, in what deduplication of documents left.

(1) The lines of every part are hashed and meet; what stands in too many documents stays in the first by rank alone. (2) The least
grams of all runs of words meet, the runs around repeated ones meet, and each stays at its first place (arXiv 2107.06499, section
4.1). (3) Every part loses what others keep. (4) The evidence is completed where the kept documents are.

What a passage loses is decided by the texts before any was cut, so that nothing depends on an order. A word goes only where
an earlier document, or an earlier place of its own, has it: of those the first keeps it. Documents of which too little is left
go, but none that keeps a passage, so that what is lost stands in the corpus. Deduplication of documents comes before: what it
removed is not there to keep anything, and nothing removes documents afterwards.
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
from components.curation.config import CurationConfig
from components.curation.duplicates.sketches import TextShard, batches
from components.curation.passages.repeated_passages import (
    Texts,
    gather_grams,
    gather_lines,
    gather_runs,
    judge_grams,
    judge_units,
    sliced,
)
from components.curation.passages.trimming import LINE, SUBSTRING, Counts, Trimmed, trim
from components.curation.tables import columns
from components.curation.tables.sorting import slots_of, slotted, write_sorted
from components.ports import ShardEngine

ROW_BYTES = {"lines": 192, "grams": 96, "runs": 192, "cuts": 1024}
"""What a row takes in memory while its partition is worked on, with what sorting it needs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Passages:
    """What documents lost to passages that others keep."""

    trimmed: tuple[Path, ...]
    """`cuts.TRIMMED` of each part; empty where no passages are looked for."""
    evidence: tuple[Path, ...]
    """`tables.PASSAGES` with the slots of `records.write_sorted`."""
    counts: Counts
    partitions: int = 1
    """Number of the slots."""


def find_passages(
    texts: Sequence[Path], verdicts: Sequence[Path], config: CurationConfig, scratch: Path, engine: ShardEngine
) -> Passages:
    """Take repeated passages out of the documents that the verdicts on the same parts leave.

    What is found depends on texts, ids and quality alone: not on the order of the tables, the engine or its workers.
    """
    if not texts or not config.duplicate_passages:
        return Passages(trimmed=(), evidence=(), counts=Counter())
    shards = [TextShard(number=n, texts=path, directory=scratch / f"part-{n:05d}") for n, path in enumerate(texts)]
    search = _Search(shards=shards, verdicts=verdicts, config=config, scratch=scratch, engine=engine)
    lines = search.lines() if LINE in config.duplicate_passages else [None] * len(shards)
    runs = search.runs() if SUBSTRING in config.duplicate_passages else [None] * len(shards)
    work = list(zip(shards, verdicts, lines, runs, strict=True))
    trimmed = engine.map_shards(partial(trim, config=config), work, description="cut passages")
    partitions = search.partitions([shard.cuts for shard in trimmed], "cuts")
    return Passages(
        trimmed=tuple(shard.texts for shard in trimmed),
        evidence=tuple(search.evidence(trimmed, partitions)),
        counts=engine.reduce(_added, [shard.counts for shard in trimmed]),
        partitions=partitions,
    )


def _added(left: Counts, right: Counts) -> Counts:
    return left + right


@dataclass(frozen=True, kw_only=True, slots=True)
class _Search:
    shards: Sequence[TextShard]
    verdicts: Sequence[Path]
    config: CurationConfig
    scratch: Path
    engine: ShardEngine

    def lines(self) -> list[Path]:
        """The repeated lines of each part."""
        return self._repeated(self._gathered(gather_lines), "lines", most=self.config.max_line_documents)

    def runs(self) -> list[Path]:
        """The repeated runs of each part."""
        grams = self._met(self._gathered(gather_grams), "grams")
        known = self.engine.map_shards(judge_grams, grams, description="find repeated grams")
        return self._repeated(self._gathered(gather_runs, self._by_shard(known, "known")), "runs", most=1)

    def evidence(self, trimmed: Sequence[Trimmed], partitions: int) -> list[Path]:
        """The evidence of what was cut, from where the kept documents are."""
        cuts = [shard.cuts for shard in trimmed]
        gathered = self.engine.exchange(cuts, key="kept_part", partitions=len(self.shards), output=self.scratch / "cuts")
        locate = partial(locate_kept, partitions=partitions)
        return self.engine.map_shards(locate, list(zip(self.shards, gathered, strict=True)), description="locate what is kept")

    def _gathered(self, gather: Any, *files: Sequence[Path]) -> list[Path]:
        work = list(zip(self.shards, self.verdicts, *files, strict=True))
        description = gather.__name__.replace("_", " ")
        return self.engine.map_shards(partial(gather, config=self.config), work, description=description)

    def _repeated(self, units: Sequence[Path], name: str, *, most: int) -> list[Path]:
        judge = partial(judge_units, most=most)
        judged = self.engine.map_shards(judge, self._met(units, name), description=f"find repeated {name}")
        return self._by_shard(judged, f"repeated-{name}")

    def _met(self, files: Sequence[Path], name: str) -> list[Path]:
        partitions = self.partitions(files, name)
        return self.engine.exchange(files, key="key", partitions=partitions, output=self.scratch / name)

    def partitions(self, files: Sequence[Path], name: str) -> int:
        """How many partitions keep a worker within its memory."""
        rows = sum(map(interim.rows, files))
        return max(1, -(-rows * ROW_BYTES[name] // self.config.shard_bytes))

    def _by_shard(self, files: Sequence[Path], name: str) -> list[Path]:
        return self.engine.exchange(files, key="part", partitions=len(self.shards), output=self.scratch / name)


def locate_kept(work: tuple[TextShard, Path], *, partitions: int) -> Path:
    """Write the evidence of the `CUTS` whose kept documents are in a part."""
    shard, gathered = work
    cuts = interim.read(gathered)
    (kept,) = columns(cuts, "kept")
    path = shard.directory / f"passages{interim.SUFFIX}"
    with interim.writer(path, slotted(tables.PASSAGES)) as output:
        for batch in batches(shard.texts) if cuts.num_rows else ():
            for texts in sliced(batch.filter(pa.array(np.isin(batch["document"].to_numpy(), kept)))):
                own = cuts.take(pa.array(np.flatnonzero(np.isin(kept, texts.document))))
                output.write_table(_located(texts, own, partitions))
    return path


def _located(texts: Texts, cuts: pa.Table, partitions: int) -> pa.Table:
    kept, word, count = columns(cuts, "kept", "kept_word", "words")
    text, words = np.searchsorted(texts.document, kept), texts.words
    at = words.first[text] + word
    begin, end = words.begins[at] - texts.offsets[text], words.ends[at + count - 1] - texts.offsets[text]
    lost = [cuts[name] for name in ("id", "kind", "start", "end")]
    places = [texts.rows["id"].take(pa.array(text)), begin, end]
    return pa.table([slots_of(cuts["id"], partitions), *lost, *places, cuts["text"]], schema=slotted(tables.PASSAGES))


def write_passages(passages: Passages, output: Path, scratch: Path, engine: ShardEngine) -> None:
    """Write `passages.parquet`, sorted by id, and `metrics/passages.parquet`, below a corpus."""
    place, partitions = scratch / "passages-sorted", passages.partitions
    write_sorted(passages.evidence, tables.PASSAGES, output / "passages.parquet", place, engine, partitions=partitions)
    named = sorted({(source, domain) for source, domain, _ in passages.counts})
    columns_of = tables.PASSAGE_COUNTS.names[2:]
    rows = [
        {"source": source, "domain": domain, **{name: passages.counts[source, domain, name] for name in columns_of}}
        for source, domain in named
    ]
    tables.write(output / "metrics" / "passages.parquet", pa.Table.from_pylist(rows, tables.PASSAGE_COUNTS))
