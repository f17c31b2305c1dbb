"""The names of the splits, and the split of each group. The corpus assigns the splits; later stages use the same ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from components.artifacts.tables import read_rows
from components.errors import DamagedArtifact

TRAIN = "train"
VALIDATION = "validation"
SPLITS = (TRAIN, VALIDATION)
"""Names of the splits, also used for directories and files, such as `train.jsonl`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupSplit:
    """The split of one group. All documents of a group are in the same split."""

    group: str
    split: str
    """One of `SPLITS`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupSplits:
    """The split of each group of a corpus.

    There is no `write`: curation writes the table in batches, because it may not fit into memory.
    """

    NAME: ClassVar[str] = "groups.parquet"
    STEP: ClassVar[str] = "the step curation"

    splits: Mapping[str, str]
    """Split by group name."""

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read the splits of the corpus in `directory`. Raises `MissingArtifact` or `DamagedArtifact`."""
        path = directory / cls.NAME
        splits = {row.group: row.split for row in read_rows(GroupSplit, path, cls.STEP)}
        if unknown := sorted(set(splits.values()) - set(SPLITS)):
            raise DamagedArtifact(f"{path}: unknown split {unknown[0]!r}; allowed: {', '.join(SPLITS)}; run {cls.STEP} again")
        return cls(splits=splits)
