"""Evidence for readers: a few documents before and after each step, the same ones however the documents are parted.

Of each step and reason those of the least ids are taken, and ids are hashes. What is kept of a text is its head, in which
personal data is replaced whatever the corpus does about it: pages made of this are passed around.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from components.curation import tables
from components.curation.config import PERSONAL_DATA
from components.curation.filtering.personal_data import without_personal_data

NORMALISE, FILTER, PERSONAL, QUALITY = "normalise", "filter", "personal-data", "quality"
DEDUPLICATE, TRIM, KEEP = "deduplicate", "trim", "keep"
"""Steps, in their order."""

EXCERPT = 1200
"""Characters shown of a text."""

SEEN = 2 * EXCERPT
"""Characters looked at: personal data that the end of an excerpt would cut in two is found whole."""

LONGEST_DATA = 640
"""Characters of the longest e-mail address that `components.curation.filtering.personal_data` finds, and some."""

Row = dict[str, Any]


def excerpt(text: str) -> str:
    """The head of a text, without personal data."""
    shown, _ = without_personal_data(text[:SEEN], PERSONAL_DATA, code=False)
    whole = len(text) <= SEEN
    shown = shown if whole else shown[:-LONGEST_DATA]
    return shown if whole and len(shown) <= EXCERPT else f"{shown[:EXCERPT]}…"


@dataclass
class Samples:
    """At most `most` documents of each step and reason."""

    most: int
    found: dict[tuple[str, str], list[Row]] = field(default_factory=dict)

    def offer(self, step: str, reason: str, document: Mapping[str, Any], *, before: str = "", after: str = "") -> None:
        """Take a document in if its id is among the least."""
        own = self.found.get((step, reason), [])
        if len(own) < self.most or (own and document["id"] < own[-1]["id"]):
            named = {name: document.get(name) for name in tables.SAMPLES.names}
            texts = {"before": excerpt(before), "after": excerpt(after)}
            self.add([{**named, "step": step, "reason": reason, **texts}])

    def add(self, rows: Sequence[Row]) -> None:
        """Take in rows of `tables.SAMPLES` whose ids are among the least."""
        for row in rows:
            key = row["step"], row["reason"]
            # A new list: copies share the old one.
            self.found[key] = sorted([*self.found.get(key, []), row], key=lambda one: str(one["id"]))[: self.most]

    def copy(self) -> "Samples":
        """What there is now, whatever is offered later."""
        return Samples(self.most, dict(self.found))

    def rows(self) -> list[Row]:
        """By step, reason and id."""
        return [row for key in sorted(self.found) for row in self.found[key]]

    def table(self) -> pa.Table:
        """As `tables.SAMPLES`."""
        return pa.Table.from_pylist(self.rows(), tables.SAMPLES)
