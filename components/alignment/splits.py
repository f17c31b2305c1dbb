"""In which split a conversation or pair is: in that of its group in an earlier stage, else by hash.

What was learned in one stage must not be held out in another, so the corpus decides for all stages after it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from components.alignment.jsonl import BadLineError
from components.alignment.records import identifier
from components.artifacts import SPLITS, TRAIN, VALIDATION, GroupSplits


@dataclass(frozen=True)
class SplitAssignment:
    """The splits that earlier stages gave to groups, and the share of the other groups to hold out."""

    decided: Mapping[str, str]
    """The split of each group that has one."""
    validation_share: float

    @classmethod
    def of_corpus(cls, corpus: Path, validation_share: float) -> "SplitAssignment":
        """The splits of a corpus's groups. Raises `MissingArtifact` or `DamagedArtifact`."""
        return cls(GroupSplits.read(corpus).splits, validation_share)

    def assign(self, preferences: Iterable[tuple[str, str | None]]) -> dict[str, str]:
        """The split of each group, given pairs of a group and the split that a line of it asks for, if it does.

        An earlier stage's split takes precedence, then the first one that a line asks for. Of the other groups those with the
        smallest hashes are held out: at least one, if there are two.
        """
        chosen: dict[str, str | None] = {}
        for group, preferred in preferences:
            chosen[group] = self.decided.get(group) or chosen.get(group) or preferred
        others = sorted((group for group, split in chosen.items() if split is None), key=identifier)
        held_out = set(others[: ceil(self.validation_share * len(others))] if len(others) > 1 else ())
        return {group: split or (VALIDATION if group in held_out else TRAIN) for group, split in chosen.items()}


def preferred_split(row: Mapping[str, Any]) -> str | None:
    """The split that a user's line asks for. Raises `BadLineError` for any other word."""
    preferred = row.get("split")
    if preferred is not None and preferred not in SPLITS:
        raise BadLineError(f"`split` is {preferred!r}; allowed: {' or '.join(SPLITS)}")
    return preferred
