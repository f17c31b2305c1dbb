"""Counts replaced personal data by source, domain and kind."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from components.curation import tables
from components.curation.reading.config import Source


@dataclass(frozen=True)
class ReplacementCounts:
    """Counts of replaced personal data by (source, domain, kind)."""

    documents: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Documents in which personal data was replaced."""
    replacements: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Replacements in these documents."""

    def add(self, source: Source, counts: Mapping[str, int]) -> None:
        """Add a document of `source`; `counts` is its number of replacements by kind."""
        for kind, count in counts.items():
            self.documents[source.name, source.domain, kind] += 1
            self.replacements[source.name, source.domain, kind] += count

    def copy(self) -> "ReplacementCounts":
        """A copy that later additions do not change."""
        return ReplacementCounts(self.documents.copy(), self.replacements.copy())

    def table(self) -> pa.Table:
        """The counts as `tables.PERSONAL_DATA`."""
        rows = [(*key, self.documents[key], self.replacements[key]) for key in sorted(self.documents)]
        names = tables.PERSONAL_DATA.names
        return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], tables.PERSONAL_DATA)
