"""Metrics on held-out data before and after fine-tuning."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from components.artifacts.tables import read_rows, write_rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One held-out metric before and after fine-tuning."""

    measure: str
    kind: str
    before: float
    after: float
    after_low: float
    """Lower end of the 95 % confidence interval of `after`, from a bootstrap over the held-out examples."""
    after_high: float
    """Upper end of that interval."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """Every metric that SFT or DPO measured; stored in the directory of its checkpoint."""

    NAME: ClassVar[str] = "metrics/alignment.parquet"

    rows: tuple[Change, ...]

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read the table of the checkpoint in `directory`. Raises `MissingArtifact` or `DamagedArtifact`."""
        return cls(rows=tuple(read_rows(Change, directory / cls.NAME, "fine-tuning")))

    def write(self, directory: Path) -> None:
        """Write the table into `directory`."""
        write_rows(Change, self.rows, directory / self.NAME)
