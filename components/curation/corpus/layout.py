"""The last pass: kept documents gathered by split, domain and portion, sorted by hash, in files of about `shard_bytes`."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components import interim
from components.artifacts import TRAIN, VALIDATION, Mixture
from components.curation import tables
from components.curation.corpus.ledger import kept_in, ledger_of, split_groups
from components.curation.corpus.mixture import Sizes, portion_of
from components.curation.extraction.extract import ExtractedShard
from components.curation.tables import with_trimmed
from components.ports import ShardEngine

TARGETED = pa.schema([pa.field("text_hash", pa.uint64()), *tables.DOCUMENTS, pa.field("target", pa.int64())])
"""A kept document with the hash by which it is ordered and the number of the file that it belongs to."""


@dataclass(frozen=True, slots=True)
class PortionFiles:
    """The files of one portion in one split: documents are spread over them by the hashes of their texts."""

    split: str
    portion: str
    """`DOMAIN`, or `DOMAIN/LANGUAGE`, for training alone."""
    first: int
    """Number of its first file among all files."""
    files: int

    def target(self, text_hash: int) -> int:
        """The number of the file that a document belongs to; later hashes are in later files."""
        return self.first + (text_hash * self.files >> 64)

    @property
    def paths(self) -> list[str]:
        """Its files, relative to the corpus."""
        return [f"documents/{self.split}/{self.portion}/part-{number:05d}.parquet" for number in range(self.files)]


def plan_files(
    sizes: Mapping[str, Mapping[str, int]], splits: Mapping[str, str], languages: Sizes, mixture: Mixture, file_bytes: int
) -> list[PortionFiles]:
    """The files, of about `file_bytes` each, of each portion that has documents, and of each held-out domain."""
    total: Counter[tuple[str, str]] = Counter()
    for group, domains in sizes.items():
        for domain, size in domains.items():
            if splits[group] != TRAIN or domain not in mixture.language_shares:
                total[splits[group], domain] += size
    for domain in mixture.language_shares:
        for language, size in languages[domain].items():
            total[TRAIN, portion_of(mixture, domain, language)] += size
    planned: list[PortionFiles] = []
    for split, portion in sorted(total):
        first = planned[-1].first + planned[-1].files if planned else 0
        planned.append(PortionFiles(split, portion, first, -(-total[split, portion] // file_bytes)))
    return planned


def write_documents(
    shards: Sequence[ExtractedShard],
    trimmed: Sequence[Sequence[Path]],
    splits: Mapping[str, str],
    portion_files: Sequence[PortionFiles],
    mixture: Mixture,
    output: Path,
    scratch: Path,
    engine: ShardEngine,
) -> None:
    """Write `documents/SPLIT/PORTION/part-*.parquet` below `output`; `trimmed` are each shard's texts that were trimmed."""
    kept = engine.map_shards(
        partial(take_kept, splits=dict(splits), portion_files=tuple(portion_files), mixture=mixture),
        list(zip(shards, trimmed, strict=True)),
        description="take the kept documents",
    )
    kept_files = [path for paths in kept for path in paths]
    names = [path for files in portion_files for path in files.paths]
    gathered = engine.exchange(kept_files, key="target", partitions=len(names), output=scratch / "gathered")
    work = [(path, output / name) for path, name in zip(gathered, names, strict=True)]
    engine.map_shards(write_file, work, description="write the corpus")


def take_kept(
    work: tuple[ExtractedShard, Sequence[Path]],
    *,
    splits: Mapping[str, str],
    portion_files: Sequence[PortionFiles],
    mixture: Mixture,
) -> list[Path]:
    """Write the kept documents of each table of a shard's texts as `TARGETED`, with their final text, group and target."""
    shard, trimmed = work
    files_of = {(files.split, files.portion): files for files in portion_files}
    table = pq.read_table(ledger_of(shard), columns=["document", "text_hash", "domain", "language", "group", "reason"])
    kept = table.filter(kept_in(table))
    targets = []
    columns = (split_groups(kept["group"]), kept["domain"], kept["language"], kept["text_hash"])
    for group, domain, language, text_hash in zip(*(column.to_pylist() for column in columns), strict=True):
        # Held-out documents are in files by domain, as they are measured.
        portion = portion_of(mixture, domain, language) if splits[group] == TRAIN else domain
        targets.append(files_of[splits[group], portion].target(text_hash))
    listed = pa.table([kept["document"], kept["group"], pa.array(targets, pa.int64())], names=["document", "group", "target"])
    return [_take_kept(path, own, listed) for path, own in itertools.zip_longest(shard.texts, trimmed)]


def _take_kept(texts: Path, trimmed: Path | None, listed: pa.Table) -> Path:
    table = pq.read_table(texts)
    table = with_trimmed(table, pq.read_table(trimmed)) if trimmed else table
    document = table["document"].to_numpy()
    table = table.filter(pa.array(np.isin(document, listed["document"].to_numpy())))
    rows = pa.array(np.searchsorted(listed["document"].to_numpy(), table["document"].to_numpy()))
    columns = {name: listed[name].take(rows) for name in ("group", "target")}
    path = texts.with_name(texts.name.replace("texts", "kept")).with_suffix(interim.SUFFIX)
    return interim.write(path, pa.table([columns[n] if n in columns else table[n] for n in TARGETED.names], schema=TARGETED))


def write_file(work: tuple[Path, Path]) -> None:
    """Write one file of the corpus from its gathered documents."""
    gathered, path = work
    table = interim.read(gathered, tables.DOCUMENTS.names)
    if table.num_rows:
        tables.write(path, table.cast(tables.DOCUMENTS))


def figures_of(sizes: Mapping[str, Mapping[str, int]], splits: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Bytes of each domain in each split."""
    figures: dict[str, dict[str, int]] = {}
    for group, domains in sizes.items():
        for domain, size in domains.items():
            figures.setdefault(domain, {TRAIN: 0, VALIDATION: 0})[splits[group]] += size
    return {domain: figures[domain] for domain in sorted(figures)}
