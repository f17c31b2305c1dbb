"""Summarises conversations or preference pairs from the tables of their artifact, with samples from its first lines.

The lines of an artifact are sorted by the hash of their text, so the first ones are a random sample.
"""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts import SPLITS, TRAIN, Conversation, Omissions, PreferencePair, decoded
from components.errors import DamagedArtifact

SAMPLES = 4
"""Samples of each task or kind."""

LINES = 2_000
"""First training lines among which the samples are chosen."""

Rows = Sequence[Mapping[str, Any]]

Sample = TypeVar("Sample", Conversation, PreferencePair)


@dataclass(frozen=True, kw_only=True, slots=True)
class LengthBins:
    """How many items have a length in each bin; a bin is twice as wide as the one before."""

    title: str
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    median: float
    longest: int


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerLengths:
    """The lengths of chosen answers compared with those of rejected ones, for one kind of pair."""

    kind: str
    pairs: int
    chosen_characters: float
    """Median."""
    rejected_characters: float
    """Median."""
    chosen_longer: float
    """Share of pairs whose chosen answer is longer; far from a half, DPO learns length (arXiv 2403.19159)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AlignmentOverview:
    """The contents of the page."""

    unit: str
    """conversations or preference pairs"""
    counts: tuple[tuple[str, str, int], ...]
    """(Split, task or kind, number)."""
    groups: int
    """Number of groups, each of which is in one split."""
    turns: tuple[tuple[int, int], ...]
    """(Questions in a conversation, number of conversations); empty for pairs."""
    lengths: tuple[LengthBins, ...]
    answers: tuple[AnswerLengths, ...]
    """Empty for conversations."""
    omissions: Omissions
    conversations: tuple[Conversation, ...]
    """Samples."""
    pairs: tuple[PreferencePair, ...]
    """Samples."""

    @property
    def total(self) -> int:
        """Number of items in both splits."""
        return sum(count for _, _, count in self.counts)


def conversations_overview(artifact: Path) -> AlignmentOverview:
    """The overview of conversations. Raises `DamagedArtifact` if a file is missing or damaged."""
    rows = _table(artifact, "conversations")
    turns = Counter(row["messages"] // 2 for row in rows)
    return AlignmentOverview(
        unit="conversations",
        counts=_counts(rows, "task"),
        groups=len({row["group"] for row in rows}),
        turns=tuple(sorted(turns.items())),
        lengths=(_bins(rows, "prompt_characters"), _bins(rows, "answer_characters")),
        answers=(),
        omissions=Omissions.read_if_any(artifact),
        conversations=tuple(_samples(artifact, Conversation, lambda sample: sample.task)),
        pairs=(),
    )


def pairs_overview(artifact: Path) -> AlignmentOverview:
    """The overview of preference pairs. Raises `DamagedArtifact` if a file is missing or damaged."""
    rows = _table(artifact, "preference_pairs")
    names = ("prompt_characters", "chosen_characters", "rejected_characters")
    return AlignmentOverview(
        unit="preference pairs",
        counts=_counts(rows, "kind"),
        groups=len({row["group"] for row in rows}),
        turns=(),
        lengths=tuple(_bins(rows, name) for name in names),
        answers=tuple(_answers(kind, rows) for kind in sorted({row["kind"] for row in rows})),
        omissions=Omissions.read_if_any(artifact),
        conversations=(),
        pairs=tuple(_samples(artifact, PreferencePair, lambda sample: sample.kind)),
    )


def _table(artifact: Path, name: str) -> Rows:
    path = artifact / "metrics" / f"{name}.parquet"
    try:
        rows: Rows = pq.read_table(path, partitioning=None).to_pylist()
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise DamagedArtifact(f"{path}: missing or not a Parquet file; run the step {name} again") from error
    return rows


def _counts(rows: Rows, column: str) -> tuple[tuple[str, str, int], ...]:
    counted = Counter((row["split"], row[column]) for row in rows)
    return tuple((split, kind, counted[split, kind]) for split in SPLITS for own, kind in sorted(counted) if own == split)


def _bins(rows: Rows, column: str) -> LengthBins:
    lengths = sorted(row[column] for row in rows)
    counted = Counter(max(length, 1).bit_length() - 1 for length in lengths)
    bins = range(min(counted, default=0), max(counted, default=0) + 1)
    return LengthBins(
        title=column.replace("_characters", ": characters").capitalize(),
        labels=tuple(f"{2**number:,}" for number in bins),
        counts=tuple(counted[number] for number in bins),
        median=_median(lengths),
        longest=lengths[-1] if lengths else 0,
    )


def _median(values: Sequence[int]) -> float:
    """The median of sorted values; 0 if there are none."""
    middle = len(values) // 2
    return float(values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2) if values else 0.0


def _answers(kind: str, rows: Rows) -> AnswerLengths:
    own = [(row["chosen_characters"], row["rejected_characters"]) for row in rows if row["kind"] == kind]
    return AnswerLengths(
        kind=kind,
        pairs=len(own),
        chosen_characters=_median(sorted(chosen for chosen, _ in own)),
        rejected_characters=_median(sorted(rejected for _, rejected in own)),
        chosen_longer=sum(chosen > rejected for chosen, rejected in own) / len(own),
    )


def _samples(artifact: Path, kind: type[Sample], group: Callable[[Sample], str]) -> Iterator[Sample]:
    """The first `SAMPLES` of each group among the first `LINES` training lines."""
    path, seen = artifact / f"{TRAIN}.jsonl", Counter[str]()
    try:
        with path.open(encoding="utf-8") as stream:
            samples = [decoded(kind, json.loads(line)) for line in itertools.islice(stream, LINES)]
    except (OSError, ValueError) as error:
        raise DamagedArtifact(f"{path}: missing or damaged ({error}); written by {kind.STEP}: run that again") from error
    for sample in samples:
        seen[group(sample)] += 1
        if seen[group(sample)] <= SAMPLES:
            yield sample
