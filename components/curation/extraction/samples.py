"""Collects example documents before and after each step, for `longrun inspect`.

For each step and reason, the documents whose texts have the smallest hashes are chosen, each text once, so that the choice does
not depend on how documents are sharded. Samples hold only excerpts, in which personal data is always replaced, even if the corpus
does not replace it, because pages made from samples may be shared.
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
"""The steps, in order."""

MAX_EXCERPT_CHARACTERS = 1200
"""Maximum characters of an excerpt."""

MAX_SCANNED_CHARACTERS = 2 * MAX_EXCERPT_CHARACTERS
"""Characters that are scanned for personal data, more than are shown, so that data at the end of an excerpt is recognised too."""

MAX_DATA_CHARACTERS = 640
"""Length of the longest e-mail address that `components.curation.filtering.personal_data` recognises, with a margin."""

Row = dict[str, Any]


def excerpt(text: str) -> str:
    """The start of a text, with personal data replaced."""
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
    """Samples by step and reason, sorted by the hash of their texts."""

    def offer(self, step: str, reason: str, document: Mapping[str, Any], *, before: str = "", after: str = "") -> None:
        """Add a document if its text's hash is among the smallest."""
        own = self.kept.get((step, reason), [])
        if len(own) < self.max_documents or (own and document["text_hash"] <= own[-1]["text_hash"]):
            named = {name: document.get(name) for name in tables.SAMPLES.names}
            texts = {"before": excerpt(before), "after": excerpt(after)}
            self.add([{**named, "step": step, "reason": reason, **texts}])

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows of `tables.SAMPLES` and keep those with the smallest text hashes; of one text, the smallest id is kept."""
        for row in rows:
            key = row["step"], row["reason"]
            ordered = sorted([*self.kept.get(key, []), row], key=lambda kept: (kept["text_hash"], kept["id"]))
            by_text = itertools.groupby(ordered, key=operator.itemgetter("text_hash"))
            # A new list, because copies share the old one.
            self.kept[key] = [next(own) for _, own in itertools.islice(by_text, self.max_documents)]

    def copy(self) -> "Samples":
        """A copy that later additions do not change."""
        return Samples(self.max_documents, dict(self.kept))

    def rows(self) -> list[Row]:
        """All samples, sorted by step, reason and text hash."""
        return [row for key in sorted(self.kept) for row in self.kept[key]]

    def table(self) -> pa.Table:
        """All samples as `tables.SAMPLES`."""
        return pa.Table.from_pylist(self.rows(), tables.SAMPLES)
