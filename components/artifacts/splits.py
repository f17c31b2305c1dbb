"""The splits, and in which of them each group is: the corpus decides for all stages after it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from components.artifacts.tables import read_rows
from components.errors import DamagedArtifact

TRAIN = "train"
VALIDATION = "validation"
SPLITS = (TRAIN, VALIDATION)
"""Also names of directories and files, such as `train.jsonl`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupSplit:
    """A group, which no split divides."""

    group: str
    split: str
    """One of `SPLITS`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupSplits:
    """The split of each group of a corpus; curation writes the table, row by row, as there can be more than fit into memory."""

    NAME: ClassVar[str] = "groups.parquet"
    STEP: ClassVar[str] = "the step curation"

    splits: Mapping[str, str]
    """By group."""

    @classmethod
    def read(cls, directory: Path) -> Self:
        """The splits of the corpus in `directory`. Raises `MissingArtifact` or `DamagedArtifact`."""
        path = directory / cls.NAME
        splits = {row.group: row.split for row in read_rows(GroupSplit, path, cls.STEP)}
        if unknown := sorted(set(splits.values()) - set(SPLITS)):
            raise DamagedArtifact(f"{path}: the split {unknown[0]!r}; allowed: {', '.join(SPLITS)}; run {cls.STEP} again")
        return cls(splits=splits)
