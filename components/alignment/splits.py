"""Assigns conversations and pairs to splits: the split of their group in an earlier stage, otherwise by hash.

Text that one stage was trained on must not be held out in another, so the corpus decides for all later stages.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from components.alignment.jsonl import WRONG_VALUE, BadLineError
from components.alignment.records import identifier
from components.artifacts import SPLITS, TRAIN, VALIDATION, GroupSplits


@dataclass(frozen=True)
class SplitAssignment:
    """Assigns groups to splits, given the splits of an earlier stage."""

    decided: Mapping[str, str]
    """Split by group, for groups of an earlier stage."""
    validation_share: float
    """Fraction of the other groups to hold out."""

    @classmethod
    def of_corpus(cls, corpus: Path, validation_share: float) -> "SplitAssignment":
        """Use the splits of a corpus. Raises `MissingArtifact` or `DamagedArtifact`."""
        return cls(GroupSplits.read(corpus).splits, validation_share)

    def assign(self, preferences: Iterable[tuple[str, str | None]]) -> dict[str, str]:
        """The split of each group. `preferences` has pairs of a group and the split that one of its lines requests, or None.

        The split of an earlier stage takes precedence, then the first one that a line requests. Of the remaining groups, those
        with the smallest hashes are held out: at least one if there are two or more.
        """
        chosen: dict[str, str | None] = {}
        for group, preferred in preferences:
            chosen[group] = self.decided.get(group) or chosen.get(group) or preferred
        others = sorted((group for group, split in chosen.items() if split is None), key=identifier)
        held_out = set(others[: ceil(self.validation_share * len(others))] if len(others) > 1 else ())
        return {group: split or (VALIDATION if group in held_out else TRAIN) for group, split in chosen.items()}


def preferred_split(row: Mapping[str, Any]) -> str | None:
    """The split that a user's line requests; None: none. Raises `BadLineError` for an unknown split."""
    preferred = row.get("split")
    if preferred is not None and preferred not in SPLITS:
        raise BadLineError(WRONG_VALUE, f"`split` is {preferred!r}; allowed: {' or '.join(SPLITS)}")
    return preferred
