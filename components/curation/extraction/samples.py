"""Evidence for readers: a few documents before and after each step, the same ones however the documents are sharded.

For each step and reason the documents whose texts have the smallest hashes are taken, each text once. Of a text only an excerpt
is kept, in which personal data is always replaced, whether or not the corpus replaces it: pages made from samples are shared.
"""

import itertools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from components.curation import tables
from components.curation.filtering.config import PERSONAL_DATA
from components.curation.filtering.personal_data import without_personal_data

NORMALISE, FILTER, PERSONAL, QUALITY = "normalise", "filter", "personal-data", "quality"
DEDUPLICATE, TRIM, KEEP = "deduplicate", "trim", "keep"
"""Steps, in their order."""

MAX_EXCERPT_CHARACTERS = 1200
"""Characters of a text that are shown."""

MAX_SCANNED_CHARACTERS = 2 * MAX_EXCERPT_CHARACTERS
"""Characters that are scanned: personal data at the end of an excerpt is recognised whole, not cut in two."""

MAX_DATA_CHARACTERS = 640
"""Characters of the longest e-mail address that `components.curation.filtering.personal_data` recognises, with a margin."""

Row = dict[str, Any]


def excerpt(text: str) -> str:
    """The start of a text, without personal data."""
    shown, _ = without_personal_data(text[:MAX_SCANNED_CHARACTERS], PERSONAL_DATA, code=False)
    whole = len(text) <= MAX_SCANNED_CHARACTERS
    shown = shown if whole else shown[:-MAX_DATA_CHARACTERS]
    if whole and len(shown) <= MAX_EXCERPT_CHARACTERS:
        return shown
    return f"{shown[:MAX_EXCERPT_CHARACTERS]}…"


@dataclass
class Samples:
    """At most `max_documents` documents of each step and reason."""

    max_documents: int
    kept: dict[tuple[str, str], list[Row]] = field(default_factory=dict)
    """By step and reason, sorted by the hash of their texts."""

    def offer(self, step: str, reason: str, document: Mapping[str, Any], *, before: str = "", after: str = "") -> None:
        """Add a document if its text's hash is among the smallest."""
        own = self.kept.get((step, reason), [])
        if len(own) < self.max_documents or (own and document["text_hash"] <= own[-1]["text_hash"]):
            named = {name: document.get(name) for name in tables.SAMPLES.names}
            texts = {"before": excerpt(before), "after": excerpt(after)}
            self.add([{**named, "step": step, "reason": reason, **texts}])

    def add(self, rows: Sequence[Row]) -> None:
        """Add the rows of `tables.SAMPLES` whose texts' hashes are among the smallest; of one text the row of the smallest id."""
        for row in rows:
            key = row["step"], row["reason"]
            ordered = sorted([*self.kept.get(key, []), row], key=lambda kept: (kept["text_hash"], kept["id"]))
            by_text = itertools.groupby(ordered, key=operator.itemgetter("text_hash"))
            # A new list, because copies share the old one.
            self.kept[key] = [next(own) for _, own in itertools.islice(by_text, self.max_documents)]

    def copy(self) -> "Samples":
        """A snapshot that later offers do not change."""
        return Samples(self.max_documents, dict(self.kept))

    def rows(self) -> list[Row]:
        """By step, reason and the hash of the text."""
        return [row for key in sorted(self.kept) for row in self.kept[key]]

    def table(self) -> pa.Table:
        """As `tables.SAMPLES`."""
        return pa.Table.from_pylist(self.rows(), tables.SAMPLES)
