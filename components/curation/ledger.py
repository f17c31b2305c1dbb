"""What became of every document: the verdicts of filters, deduplication and split joined, without any text."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from components.curation import tables
from components.curation.config import CurationConfig, Source
from components.curation.deduplication import EXACT, NEAR
from components.curation.extraction import Extracted
from components.errors import SourceError

Column = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The rows of all shards with the verdicts of deduplication applied; one shard is read at a time."""

    shards: Sequence[Extracted]
    verdicts: pa.Table
    """`tables.VERDICTS`, sorted by document."""

    def rows(self) -> Iterator[tuple[Extracted, pa.Table]]:
        """Each shard with its `tables.ROWS`: final `reason`; final `group` of every kept document."""
        listed, kept, reason, group = (_column(self.verdicts, name) for name in ("document", "kept", "reason", "group"))
        for shard in self.shards:
            table = pq.read_table(shard.rows)
            document = _column(table, "document")
            place = np.searchsorted(listed, document)
            hit = np.append(listed, -2)[place] == document
            removed = hit.copy()
            removed[hit] = kept[place[hit]] >= 0
            reasons = _column(table, "reason")
            reasons[removed] = reason[place[removed]]
            groups = _column(table, "group")
            groups[groups == ""] = _column(table, "id")[groups == ""]
            clustered = hit & ~removed & (_column(table, "group") == "")
            groups[clustered] = group[place[clustered]]
            yield shard, _replaced(table, reason=reasons, group=groups)

    def sizes(self) -> dict[str, dict[str, int]]:
        """Kept bytes of each domain in each group."""
        sizes: dict[str, dict[str, int]] = {}
        for _, table in self.rows():
            for group, domain, size in _lists(table.filter(kept_in(table)), "group", "domain", "bytes"):
                domains = sizes.setdefault(group, {})
                domains[domain] = domains.get(domain, 0) + size
        return sizes

    def evidence(self) -> pa.Table:
        """`tables.REMOVED`, sorted by the removed id."""
        removed = self.verdicts.filter(pa.array(_column(self.verdicts, "kept") >= 0))
        document, kept = _column(removed, "document"), _column(removed, "kept")
        wanted = np.unique(np.concatenate([document, kept]))
        names = np.empty(len(wanted), dtype=object)
        for shard in self.shards:
            table = pq.read_table(shard.rows, columns=["document", "id"])
            found = np.isin(_column(table, "document"), wanted)
            names[np.searchsorted(wanted, _column(table, "document")[found])] = _column(table, "id")[found]
        columns = [names[np.searchsorted(wanted, side)].tolist() for side in (document, kept)]
        return pa.table([*columns, removed["similarity"]], schema=tables.REMOVED).sort_by("removed")


def kept_in(table: pa.Table) -> pa.Array:
    """Which rows of a ledger are kept."""
    return pa.array(_column(table, "reason") == "")


@dataclass(kw_only=True)
class Tally:
    """Counts by source and domain, and by reason."""

    documents: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Documents of (source, domain, reason); the reason is empty where they were kept."""
    bytes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    languages: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """Documents of (source, domain, language, reason)."""
    language_bytes: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)

    set_aside: list[dict[str, Any]] = field(default_factory=list)
    """Rows of `tables.SET_ASIDE`."""

    def add(self, table: pa.Table) -> None:
        """Count the rows of a ledger."""
        for source, domain, language, reason, size in _lists(table, "source", "domain", "language", "reason", "bytes"):
            self.documents[source, domain, reason] += 1
            self.bytes[source, domain, reason] += size
            self.languages[source, domain, language, reason] += 1
            self.language_bytes[source, domain, language, reason] += size

    def add_set_aside(self, table: pa.Table) -> None:
        """Take over `tables.SET_ASIDE`."""
        self.set_aside += table.to_pylist()

    def require_documents(self, config: CurationConfig) -> None:
        """Raise `SourceError` for a source of which no document passed the filters, or a domain that is left empty."""
        for source in config.sources:
            reasons = {
                reason: n for (uri, domain, reason), n in self.documents.items() if (uri, domain) == (source.uri, source.domain)
            }
            found = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
            if not reasons:
                raise SourceError(f"source {source.name}: holds no documents of this domain{self._first_error(source)}")
            if reasons.keys().isdisjoint({"", EXACT, NEAR}):
                raise SourceError(f"source {source.name}: none of its {sum(reasons.values())} documents was kept ({found})")
            if not any(domain == source.domain and not reason for _, domain, reason in self.documents):
                raise SourceError(f"source {source.name}: its domain is left empty, all is in other domains too ({found})")

    def _first_error(self, source: Source) -> str:
        errors = [row["error"] for row in self.set_aside if row["source"] == source.uri]
        return f"; {len(errors)} files cannot be read, the first: {errors[0]}" if errors else ""

    def sources(self, config: CurationConfig) -> pa.Table:
        """`tables.SOURCES` in the order of the config."""
        return pa.Table.from_pylist([self._source(source.uri, source.domain) for source in config.sources], tables.SOURCES)

    def refusals(self) -> pa.Table:
        """`tables.REFUSALS`, sorted."""
        rows = [(*key, self.languages[key], self.language_bytes[key]) for key in sorted(self.languages)]
        return pa.Table.from_pylist([dict(zip(tables.REFUSALS.names, row, strict=True)) for row in rows], tables.REFUSALS)

    def _source(self, uri: str, domain: str) -> dict[str, Any]:
        counts = {reason: n for (u, d, reason), n in self.documents.items() if (u, d) == (uri, domain)}
        sizes = {reason: n for (u, d, reason), n in self.bytes.items() if (u, d) == (uri, domain)}
        duplicates = counts.get(EXACT, 0) + counts.get(NEAR, 0)
        return {
            "source": uri,
            "domain": domain,
            "documents": sum(counts.values()),
            "bytes": sum(sizes.values()),
            "kept_documents": counts.get("", 0),
            "kept_bytes": sizes.get("", 0),
            "refused_documents": sum(counts.values()) - counts.get("", 0) - duplicates,
            "duplicate_documents": duplicates,
            "set_aside_files": sum((row["source"], row["domain"]) == (uri, domain) for row in self.set_aside),
        }

    def figures(self) -> dict[str, Any]:
        """Documents and bytes read and kept, and how many documents were not kept, by reason."""
        by_reason: Counter[str] = Counter()
        for (_, _, reason), count in self.documents.items():
            by_reason[reason] += count
        return {
            "documents": self.documents.total(),
            "bytes": self.bytes.total(),
            "kept_documents": by_reason[""],
            "kept_bytes": sum(size for (_, _, reason), size in self.bytes.items() if not reason),
            "set_aside_files": len(self.set_aside),
            "not_kept": {reason: by_reason[reason] for reason in sorted(by_reason) if reason},
        }


def write_metrics(ledger: Ledger, splits: Mapping[str, str], path: Path) -> None:
    """`tables.METRICS`: one row per document read, in the order of reading."""
    with tables.writer(path, tables.METRICS) as output:
        for _, table in ledger.rows():
            kept = kept_in(table).to_pylist()
            split = [splits[group] if keep else None for group, keep in zip(table["group"].to_pylist(), kept, strict=True)]
            table = table.append_column("split", pa.array(split, pa.string())).append_column("kept", pa.array(kept, pa.bool_()))
            output.write_table(table.select(tables.METRICS.names))


def _column(table: pa.Table, name: str) -> Column:
    column = table[name].to_numpy()
    return column if column.flags.writeable else column.copy()


def _lists(table: pa.Table, *names: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(table[name].to_pylist() for name in names), strict=True)


def _replaced(table: pa.Table, **columns: Column) -> pa.Table:
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values.tolist(), pa.string()))
    return table
