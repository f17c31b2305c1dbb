"""How much personal data was replaced, counted without a row for each document."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from components.curation import tables
from components.curation.config import Source


@dataclass(frozen=True)
class ReplacementCounts:
    """Personal data replaced: documents and places by source, domain and kind."""

    documents: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    found: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add(self, source: Source, found: Mapping[str, int]) -> None:
        """Count a document of a source, in which so much of each kind was replaced."""
        for kind, count in found.items():
            self.documents[source.uri, source.domain, kind] += 1
            self.found[source.uri, source.domain, kind] += count

    def copy(self) -> "ReplacementCounts":
        """What there is now, whatever is added later."""
        return ReplacementCounts(self.documents.copy(), self.found.copy())

    def table(self) -> pa.Table:
        """As `tables.PERSONAL_DATA`."""
        rows = [(*key, self.documents[key], self.found[key]) for key in sorted(self.documents)]
        names = tables.PERSONAL_DATA.names
        return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], tables.PERSONAL_DATA)
