"""The ledger: whether each document is kept, and why not, joined from filters and deduplication for each shard, without texts."""

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components import interim
from components.artifacts import MAX_CASES, TRAIN
from components.curation import tables
from components.curation.duplicates.sketches import TextShard, text_shards
from components.curation.extraction.extract import ExtractedShard
from components.curation.reading.config import Source
from components.curation.tables import TRIMMED
from components.curation.tables.reasons import DUPLICATE_PASSAGES, EXACT, NEAR
from components.curation.text.draw import group_of
from components.errors import SourceError
from components.files import JSON

Column = npt.NDArray[Any]

DUPLICATES = (EXACT, NEAR, DUPLICATE_PASSAGES)
"""Reasons of deduplication, as opposed to those of filters."""

GROUP_DIGITS = 4
"""Hex digits of the text hash by which ungrouped documents are split: they form 2^16 groups, so that the split needs no list of
all documents."""


@dataclass(kw_only=True)
class Tally:
    """Counts over ledgers: by source, domain, language and reason; and kept bytes by group and domain, for the split."""

    documents: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Documents by (source, domain, reason); the reason of kept documents is empty."""
    bytes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Bytes by (source, domain, reason), after trimming."""
    languages: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """Documents by (source, domain, language, reason)."""
    language_bytes: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """Bytes by (source, domain, language, reason), after trimming."""
    cut: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Bytes trimmed from kept documents, by (source, domain)."""
    sizes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Kept bytes by (group, domain)."""

    cases: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    """URIs of the first removed documents by (source, domain, reason), at most `MAX_CASES`."""
    set_aside: list[dict[str, JSON]] = field(default_factory=list)
    """Rows of `tables.SET_ASIDE`."""

    def counters(self) -> tuple[Counter[Any], ...]:
        """All counters, in a fixed order."""
        return self.documents, self.bytes, self.languages, self.language_bytes, self.cut, self.sizes

    def add(self, table: pa.Table) -> None:
        """Add the rows of a ledger to the counts."""
        counted = table.group_by(["source", "domain", "language", "reason"]).aggregate(
            [("bytes", "count"), ("bytes", "sum"), ("cut", "sum")]
        )
        for row in counted.to_pylist():
            source, domain, language, reason = row["source"], row["domain"], row["language"], row["reason"]
            self.documents[source, domain, reason] += row["bytes_count"]
            self.bytes[source, domain, reason] += row["bytes_sum"]
            self.cut[source, domain] += row["cut_sum"]
            self.languages[source, domain, language, reason] += row["bytes_count"]
            self.language_bytes[source, domain, language, reason] += row["bytes_sum"]
        self._add_cases(table.filter(pc.invert(kept_in(table))))
        kept = table.filter(kept_in(table))
        sizes = pa.table([split_groups(kept["group"]), kept["domain"], kept["bytes"]], names=["group", "domain", "bytes"])
        for row in sizes.group_by(["group", "domain"]).aggregate([("bytes", "sum")]).to_pylist():
            self.sizes[row["group"], row["domain"]] += row["bytes_sum"]

    def _add_cases(self, removed: pa.Table) -> None:
        listed = removed.group_by(["source", "domain", "reason"], use_threads=False).aggregate([("uri", "list")])
        firsts = pc.list_slice(listed["uri_list"], 0, MAX_CASES).to_pylist()
        for row, uris in zip(listed.select(["source", "domain", "reason"]).to_pylist(), firsts, strict=True):
            self.add_cases((row["source"], row["domain"], row["reason"]), uris)

    def add_cases(self, key: tuple[str, str, str], uris: Sequence[str]) -> None:
        """Keep the first URIs by file and position, so that the order of the shards does not matter."""
        self.cases[key] = sorted({*self.cases.get(key, ()), *uris}, key=_position)[:MAX_CASES]

    def sizes_by_group(self) -> dict[str, dict[str, int]]:
        """Kept bytes by group and domain."""
        sizes: dict[str, dict[str, int]] = {}
        for (group, domain), size in sorted(self.sizes.items()):
            sizes.setdefault(group, {})[domain] = size
        return sizes

    def add_set_aside(self, table: pa.Table) -> None:
        """Add the rows of a `tables.SET_ASIDE` table."""
        self.set_aside += table.to_pylist()

    def documents_by_source(self) -> Counter[tuple[str, str]]:
        """Documents read from each (source, domain)."""
        counts: Counter[tuple[str, str]] = Counter()
        for (source, domain, _), count in self.documents.items():
            counts[source, domain] += count
        return counts

    def require_documents(self, sources: Sequence[Source]) -> None:
        """Raise `SourceError` if no document of a source passed the filters, or no document of a source's domain is kept."""
        for source in sources:
            reasons = {
                reason: n for (own, domain, reason), n in self.documents.items() if (own, domain) == (source.name, source.domain)
            }
            listed = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
            if not reasons:
                where = f"source {source.label}: no documents of domain {source.domain}"
                raise SourceError(f"{where}{self._first_error(source)}")
            if reasons.keys().isdisjoint({"", *DUPLICATES}):
                raise SourceError(
                    f"source {source.label}: all of its {sum(reasons.values())} documents were refused ({listed}); "
                    f"change curation.filtering, or remove the source"
                )
            if not any(domain == source.domain and not reason for _, domain, reason in self.documents):
                raise SourceError(
                    f"source {source.label}: no document of domain {source.domain} is kept: those that passed the filters are "
                    f"duplicates of documents in other domains ({listed}); remove the source"
                )

    def _first_error(self, source: Source) -> str:
        errors = [row["error"] for row in self.set_aside if row["source"] == source.name]
        return f"; {len(errors)} of its files could not be read, the first because: {errors[0]}" if errors else ""

    def table_of(self, sources: Sequence[Source]) -> pa.Table:
        """`tables.SOURCES` in the order of the sources."""
        return pa.Table.from_pylist([self._source(source.name, source.domain) for source in sources], tables.SOURCES)

    def refusals(self) -> pa.Table:
        """`tables.REFUSALS`, sorted."""
        rows = [(*key, self.languages[key], self.language_bytes[key]) for key in sorted(self.languages)]
        return pa.Table.from_pylist([dict(zip(tables.REFUSALS.names, row, strict=True)) for row in rows], tables.REFUSALS)

    def _source(self, name: str, domain: str) -> dict[str, JSON]:
        counts = {reason: n for (own, d, reason), n in self.documents.items() if (own, d) == (name, domain)}
        sizes = {reason: n for (own, d, reason), n in self.bytes.items() if (own, d) == (name, domain)}
        duplicates = sum(counts.get(reason, 0) for reason in DUPLICATES)
        cut = self.cut[name, domain]
        return {
            "source": name,
            "domain": domain,
            "documents": sum(counts.values()),
            "bytes": sum(sizes.values()) + cut,
            "kept_documents": counts.get("", 0),
            "kept_bytes": sizes.get("", 0),
            "refused_documents": sum(counts.values()) - counts.get("", 0) - duplicates,
            "duplicate_documents": duplicates,
            "duplicate_bytes": sum(sizes.get(reason, 0) for reason in DUPLICATES) + cut,
            "set_aside_files": sum((row["source"], row["domain"]) == (name, domain) for row in self.set_aside),
        }

    def figures(self) -> dict[str, JSON]:
        """Documents and bytes read and kept, and the number of documents not kept, by reason."""
        by_reason: Counter[str] = Counter()
        for (_, _, reason), count in self.documents.items():
            by_reason[reason] += count
        return {
            "documents": self.documents.total(),
            "bytes": self.bytes.total() + self.cut.total(),
            "kept_documents": by_reason[""],
            "kept_bytes": sum(size for (_, _, reason), size in self.bytes.items() if not reason),
            "set_aside_files": len(self.set_aside),
            "not_kept": {reason: by_reason[reason] for reason in sorted(by_reason) if reason},
        }


def _position(uri: str) -> tuple[str, int, str]:
    """The file of a document, and its position in the file."""
    file, _, rest = uri.partition("#")
    number = re.match(r"L?(\d+)", rest)
    return file, int(number[1]) if number else 0, rest


def added(first: Tally, second: Tally) -> Tally:
    """Add `second` to `first` in place and return `first`."""
    for counter, other in zip(first.counters(), second.counters(), strict=True):
        counter.update(other)
    for key, uris in second.cases.items():
        first.add_cases(key, uris)
    return first


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedShard:
    """A shard after extraction and quality grading, with its text shards, which deduplication judges."""

    extracted: ExtractedShard
    texts: tuple[TextShard, ...]

    @property
    def ledger(self) -> Path:
        """Path of the ledger: `tables.ROWS` with the final `reason`, the final `group` of kept documents, and the bytes `cut`."""
        return Path(self.extracted.directory) / "ledger.parquet"

    @property
    def losses(self) -> Path:
        """Path of the shard's `tables.LOSSES`."""
        return Path(self.extracted.directory) / f"losses{interim.SUFFIX}"

    @property
    def trimmed(self) -> list[Path]:
        """Paths of the `tables.TRIMMED` of its text shards; empty if no passages were searched for."""
        return [path for text in self.texts if (path := text.trimmed)]


def judged_shards(shards: Sequence[ExtractedShard], scratch: Path) -> list[JudgedShard]:
    """Shards with their text shards, which are numbered across all shards and get directories below `scratch`."""
    waiting = iter(text_shards([path for shard in shards for path in shard.texts], scratch))
    return [JudgedShard(extracted=shard, texts=tuple(itertools.islice(waiting, shard.text_shards))) for shard in shards]


def write_ledger(shard: JudgedShard) -> Tally:
    """Write a shard's ledger from its rows, the verdicts of deduplication and the trimmed texts; return its counts."""
    verdicts = [tables.VERDICTS.empty_table(), *(interim.read(text.verdicts) for text in shard.texts)]
    judged = pa.concat_tables(verdicts).sort_by("document")
    table = _with_trimmed(_with_verdicts(pq.read_table(shard.extracted.rows), judged), shard.trimmed)
    tables.write(shard.ledger, table)
    interim.write(shard.losses, _losses(table, judged))
    tally = Tally()
    tally.add(table)
    return tally


def _losses(table: pa.Table, judged: pa.Table) -> pa.Table:
    removed = judged.filter(pc.greater_equal(judged["kept"], 0)).select(["document", "kept_text", "kept_id"])
    joined = removed.join(table.select(["document", "source", "domain"]), "document")
    keys = ["kept_text", "kept_id", "source", "domain"]
    counted = joined.group_by(keys).aggregate([("document", "count")])
    columns = [counted[name] for name in (*keys, "document_count")]
    return pa.table(columns, schema=tables.LOSSES)


def _with_verdicts(table: pa.Table, verdicts: pa.Table) -> pa.Table:
    """`tables.ROWS` with the reason of each document that deduplication removed, and a group for each kept document."""
    listed, kept, reason, group = (_column(verdicts, name) for name in ("document", "kept", "reason", "group"))
    document = _column(table, "document")
    index = np.searchsorted(listed, document)
    hit = np.append(listed, -2)[index] == document
    removed = hit.copy()
    removed[hit] = kept[index[hit]] >= 0
    reasons = _column(table, "reason")
    reasons[removed] = reason[index[removed]]
    groups = _column(table, "group")
    alone = groups == ""
    groups[alone] = [group_of(text) for text in _column(table, "text_hash")[alone].tolist()]
    clustered = hit & ~removed & (_column(table, "group") == "")
    groups[clustered] = group[index[clustered]]
    return _replaced(table, reason=reasons, group=groups)


def _with_trimmed(table: pa.Table, trimmed: Sequence[Path]) -> pa.Table:
    """The table with the sizes of trimmed documents after trimming, and a column `cut` with the bytes trimmed.

    A document that is removed because too little of it remains keeps its original size.
    """
    names = ["document", "bytes", "characters", "cut", "reason"]
    listed = pa.concat_tables([TRIMMED.empty_table().select(names), *(pq.read_table(path, columns=names) for path in trimmed)])
    number, size, characters, cut, reason = (_column(listed, name) for name in names)
    document = _column(table, "document")
    index = np.searchsorted(number, document)
    rows = np.flatnonzero(np.append(number, -2)[index] == document)
    index = index[rows]
    reasons = _column(table, "reason")
    reasons[rows] = reason[index]

    kept = reason[index] == ""
    rows, index = rows[kept], index[kept]
    bytes_cut = np.zeros(len(document), dtype=np.int64)
    bytes_cut[rows] = cut[index]
    for name, values in (("bytes", size), ("characters", characters)):
        own = _column(table, name)
        own[rows] = values[index]
        table = table.set_column(table.column_names.index(name), name, pa.array(own))
    return _replaced(table, reason=reasons).append_column("cut", pa.array(bytes_cut))


def training_languages(shard: JudgedShard, *, splits: Mapping[str, str]) -> Counter[tuple[str, str]]:
    """Training bytes of each (domain, language) in a shard."""
    table = pq.read_table(shard.ledger, columns=["domain", "language", "group", "bytes", "reason"])
    kept = table.filter(kept_in(table))
    counts: Counter[tuple[str, str]] = Counter()
    columns = (split_groups(kept["group"]), kept["domain"], kept["language"], kept["bytes"])
    for group, domain, language, size in zip(*(column.to_pylist() for column in columns), strict=True):
        if splits[group] == TRAIN:
            counts[domain, language] += size
    return counts


def kept_in(table: pa.Table) -> pa.Array:
    """Which rows of a ledger are kept."""
    return pc.equal(table["reason"], "")


def split_groups(groups: pa.ChunkedArray) -> pa.ChunkedArray:
    """The groups that the split keeps together: a document's group, or the first digits if its group is only its text hash."""
    hashes = pc.match_substring_regex(groups, "^[0-9a-f]{16}$")
    return pc.if_else(hashes, pc.utf8_slice_codeunits(groups, 0, GROUP_DIGITS), groups)


def _column(table: pa.Table, name: str) -> Column:
    column = table[name].to_numpy()
    return column if column.flags.writeable else column.copy()


def _replaced(table: pa.Table, **columns: Column) -> pa.Table:
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values.tolist(), pa.string()))
    return table
