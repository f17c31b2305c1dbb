"""What a step left out: the items that it could not use, by source and reason, with the first cases of each.

Every step that reads items of users or of earlier stages writes `Omissions`. Reports and pages show them, checks limit their
share (`components.checks.omissions`), and `Omissions.warnings` puts the large ones into the lines of the run.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

from components.artifacts.json_file import OPTIONAL, JsonFile
from components.files import JSON

MAX_CASES = 3
"""Cases kept of each source and reason: enough to recognise the mistake."""

MAX_REASONS = 3
"""Reasons named in a warning, the most frequent ones, so that it stays a line or two."""

MIN_SHARE = 0.1
"""Share of a source from which what was left out is a warning. Leaving out a share s changes an accuracy by up to s/2 if half of
the answers are correct: at 0.1, by 5 points, nearly the standard error of the smallest task that checks accept (7 points with 50
items). A source that is a tenth smaller is repeated 11 % more often for the same weight. The sources of the built-in recipes
lose 2 to 6 % of their documents."""

DUPLICATE = "duplicate"
"""Reason of an item that occurs more than once; the first is used."""

OVER_LIMIT = "over-limit"
"""Reason of an item that could be used, but is beyond a maximum number in the recipe."""

NOT_NEEDED = (DUPLICATE, OVER_LIMIT)
"""Reasons that say nothing about the quality of an item; checks do not count them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OmissionCase:
    """One item that was left out."""

    uri: str
    """`FILE#N` with the number of the line, row or element from 1; for other items, their name."""
    detail: str = field(default="", metadata=OPTIONAL)
    """What is wrong with it, if the reason does not say all."""

    def __str__(self) -> str:
        return f"{self.uri}: {self.detail}" if self.detail else self.uri


@dataclass(frozen=True, kw_only=True, slots=True)
class Omission:
    """The items of one source that were left out for one reason."""

    source: str
    """Name of the file, benchmark, task or source of documents."""
    unit: str
    """What the items are, in the plural: lines, conversations, pairs, items, documents."""
    reason: str
    count: int
    """Number of items left out."""
    total: int
    """Number of items of this source, including those that are used."""
    setting: str = field(default="", metadata=OPTIONAL)
    """Field of the recipe that decides it; empty: only the items themselves do."""
    cases: tuple[OmissionCase, ...] = field(default=(), metadata=OPTIONAL)
    """The first of them, at most `MAX_CASES`."""

    @property
    def share(self) -> float:
        """`count` as a share of `total`."""
        return self.count / self.total


@dataclass(frozen=True, kw_only=True, slots=True)
class Omissions(JsonFile):
    """Everything that a step left out; stored in the directory of its artifact."""

    NAME: ClassVar[str] = "metrics/omissions.json"
    STEP: ClassVar[str] = "the step that made this artifact"

    rows: tuple[Omission, ...]
    """By source, the most frequent reason first."""

    @classmethod
    def read_if_any(cls, directory: Path) -> Self:
        """Read the file of the artifact in `directory`; empty if its step writes none. Raises `DamagedArtifact`."""
        return cls.read(directory) if (directory / cls.NAME).is_file() else cls(rows=())

    @property
    def sources(self) -> dict[tuple[str, str], list[Omission]]:
        """The rows by source and unit."""
        grouped: dict[tuple[str, str], list[Omission]] = {}
        for row in self.rows:
            grouped.setdefault((row.source, row.unit), []).append(row)
        return grouped

    @property
    def warnings(self) -> list[str]:
        """A line for each source of which at least `MIN_SHARE` was left out: share, reasons, first case, and fields to change."""
        return [_warning(rows) for rows in self.sources.values() if sum(row.share for row in rows) >= MIN_SHARE]

    @property
    def figures(self) -> dict[str, JSON]:
        """Figures of the step: the number of items left out, and the warnings, which the lines of a run show."""
        return {"left_out": sum(row.count for row in self.rows), "warnings": self.warnings}


def _warning(rows: list[Omission]) -> str:
    source, unit, count = rows[0].source, rows[0].unit, sum(row.count for row in rows)
    share = f"{count:,} of {rows[0].total:,} {unit} ({100 * count / rows[0].total:.0f} %) left out"
    named, others = rows[:MAX_REASONS], sum(row.count for row in rows[MAX_REASONS:])
    reasons = [row.reason if len(rows) == 1 else f"{row.count:,} {row.reason}" for row in named]
    reasons += [f"{others:,} for other reasons"] if others else []
    first = f"; the first is {rows[0].cases[0]}" if rows[0].cases else ""
    settings = list(dict.fromkeys(row.setting for row in named if row.setting))
    remedy = f"change {' or '.join(settings)}" if settings else f"correct or remove these {unit}"
    return f"{source}: {share} as {', '.join(reasons)}{first}; {remedy}"


@dataclass
class OmissionTally:
    """Counts items, and those that are left out, while they are read."""

    totals: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Items by source and unit."""
    counts: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """Items left out, by source, unit, reason and setting."""
    cases: dict[tuple[str, str, str, str], list[OmissionCase]] = field(default_factory=dict)

    def add(self, source: str, unit: str, count: int = 1) -> None:
        """Count items of a source, whether or not they are used."""
        self.totals[source, unit] += count

    def omit(self, source: str, unit: str, reason: str, case: OmissionCase, setting: str = "") -> None:
        """Record that an item, which `add` has counted or will count, is left out."""
        key = source, unit, reason, setting
        self.counts[key] += 1
        if self.counts[key] <= MAX_CASES:
            self.cases.setdefault(key, []).append(case)

    def omissions(self) -> Omissions:
        """The record, sorted by source and unit, and then by count."""
        order = sorted(self.counts, key=lambda key: (*key[:2], -self.counts[key], *key[2:]))
        return Omissions(rows=tuple(self._row(*key) for key in order))

    def _row(self, source: str, unit: str, reason: str, setting: str) -> Omission:
        key = source, unit, reason, setting
        count, total, cases = self.counts[key], self.totals[source, unit], tuple(self.cases[key])
        return Omission(source=source, unit=unit, reason=reason, count=count, total=total, setting=setting, cases=cases)
