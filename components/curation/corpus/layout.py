"""Writes the documents: gathered by split and portion, sorted by the hash of the text, in files of about `shard_bytes`."""

import shutil
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
from components.curation.corpus.ledger import JudgedShard, kept_in, split_groups
from components.curation.corpus.mixture import Sizes, portion_of
from components.curation.duplicates.sketches import TextShard
from components.curation.tables import with_trimmed
from components.interim.exchange import read_sorted_partition, write_partitions
from components.ports import ShardEngine

TARGETED = pa.schema([pa.field("text_hash", pa.uint64()), *tables.DOCUMENTS, pa.field("target", pa.int64())])
"""A kept document with the hash of its text, which orders it, and the number of the file that it is written to."""


@dataclass(frozen=True, slots=True)
class PortionFiles:
    """The files of one portion in one split; the files divide the range of text hashes evenly."""

    split: str
    portion: str
    """`DOMAIN`, or in the training split possibly `DOMAIN/LANGUAGE`."""
    first: int
    """Number of the portion's first file among the files of all portions."""
    files: int
    """Number of files."""

    def target(self, text_hash: int) -> int:
        """The number of the file that a document with this text hash is written to; higher hashes go to later files."""
        return self.first + (text_hash * self.files >> 64)

    @property
    def paths(self) -> list[str]:
        """Paths of the files, relative to the corpus."""
        return [f"documents/{self.split}/{self.portion}/part-{number:05d}.parquet" for number in range(self.files)]


@dataclass(frozen=True, slots=True)
class Layout:
    """Assigns each kept document to a file."""

    splits: Mapping[str, str]
    """The split of each group; keys are the groups that `ledger.split_groups` returns."""
    portion_files: Sequence[PortionFiles]
    mixture: Mixture

    @property
    def paths(self) -> list[str]:
        """Paths of all files in the order of their numbers, relative to the corpus."""
        return [path for files in self.portion_files for path in files.paths]

    def targets(self, kept: pa.Table) -> list[int]:
        """The file number of each document; `kept` are the rows of a ledger whose documents are kept."""
        files_of = {(files.split, files.portion): files for files in self.portion_files}
        columns = (split_groups(kept["group"]), kept["domain"], kept["language"], kept["text_hash"])
        targets = []
        for group, domain, language, text_hash in zip(*(column.to_pylist() for column in columns), strict=True):
            # Validation documents are stored by domain only, since they are measured by domain.
            portion = portion_of(self.mixture, domain, language) if self.splits[group] == TRAIN else domain
            targets.append(files_of[self.splits[group], portion].target(text_hash))
        return targets


def plan_files(
    sizes: Mapping[str, Mapping[str, int]], splits: Mapping[str, str], languages: Sizes, mixture: Mixture, file_bytes: int
) -> list[PortionFiles]:
    """The files of each training portion and each validation domain that has documents, of about `file_bytes` each.

    `sizes` are bytes by group and domain, `languages` training bytes by domain and language.
    """
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


def write_documents(shards: Sequence[JudgedShard], layout: Layout, output: Path, scratch: Path, engine: ShardEngine) -> None:
    """Write `documents/SPLIT/PORTION/part-*.parquet` below `output`.

    Each shard first writes its kept documents, partitioned by target file, to `scratch`; then each file is assembled and sorted.
    """
    kept = scratch / "kept"
    shutil.rmtree(kept, ignore_errors=True)
    engine.map_shards(partial(take_kept, layout=layout, output=kept), list(shards), description="select kept documents")
    work = list(enumerate(output / name for name in layout.paths))
    engine.map_shards(partial(write_file, kept=kept), work, description="write the corpus")
    shutil.rmtree(kept)


def take_kept(shard: JudgedShard, *, layout: Layout, output: Path) -> None:
    """Write the kept documents of a shard below `output`, as `TARGETED` partitioned by target, with final text and group."""
    table = pq.read_table(shard.ledger, columns=["document", "text_hash", "domain", "language", "group", "reason"])
    kept = table.filter(kept_in(table))
    listed = pa.table(
        [kept["document"], kept["group"], pa.array(layout.targets(kept), pa.int64())], names=["document", "group", "target"]
    )
    for text in shard.texts:
        path = output / f"{text.number:05d}{interim.SUFFIX}"
        write_partitions(path, _final(text, listed), key="target", partitions=len(layout.paths))


def _final(text: TextShard, listed: pa.Table) -> pa.Table:
    """The documents of a text shard that are in `listed`, as `TARGETED`; trimmed documents have their trimmed text."""
    table, trimmed = pq.read_table(text.texts), text.trimmed
    table = with_trimmed(table, pq.read_table(trimmed)) if trimmed else table
    document = table["document"].to_numpy()
    table = table.filter(pa.array(np.isin(document, listed["document"].to_numpy())))
    rows = pa.array(np.searchsorted(listed["document"].to_numpy(), table["document"].to_numpy()))
    columns = {name: listed[name].take(rows) for name in ("group", "target")}
    return pa.table([columns[n] if n in columns else table[n] for n in TARGETED.names], schema=TARGETED)


def write_file(work: tuple[int, Path], *, kept: Path) -> None:
    """Write one file of the corpus from the partitions of all shards; `work` is the file's number and path."""
    number, path = work
    table = read_sorted_partition(kept, number).select(tables.DOCUMENTS.names)
    if table.num_rows:
        tables.write(path, table.cast(tables.DOCUMENTS))


def figures_of(sizes: Mapping[str, Mapping[str, int]], splits: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Kept bytes of each domain in each split."""
    figures: dict[str, dict[str, int]] = {}
    for group, domains in sizes.items():
        for domain, size in domains.items():
            figures.setdefault(domain, {TRAIN: 0, VALIDATION: 0})[splits[group]] += size
    return {domain: figures[domain] for domain in sorted(figures)}
