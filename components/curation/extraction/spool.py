"""A table that grows row by row, of which few rows are in memory at a time."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from components import interim
from components.curation import tables

PIECE = 8_192
"""Rows that wait in memory at most: as dictionaries they take about a kilobyte each."""


@dataclass
class Spool:
    """Rows of a table, in pieces beside the place where it will be."""

    path: Path
    schema: pa.Schema
    _stored: int = field(default=0, init=False)
    """Pieces on disk, each of `PIECE` rows."""
    _waiting: list[dict[str, Any]] = field(default_factory=list, init=False)

    def __len__(self) -> int:
        """Rows so far."""
        return self._stored * PIECE + len(self._waiting)

    def append(self, row: dict[str, Any]) -> None:
        """Add a row at the end."""
        self._waiting.append(row)
        if len(self._waiting) == PIECE:
            interim.write(self._piece(self._stored), self._table())
            self._stored, self._waiting = self._stored + 1, []

    def cut(self, rows: int) -> None:
        """Forget all but the first `rows` rows."""
        while self._stored * PIECE > rows:
            self._stored -= 1
            self._waiting = interim.read(self._piece(self._stored)).to_pylist()
            self._piece(self._stored).unlink()
        del self._waiting[rows - self._stored * PIECE :]

    def close(self) -> None:
        """Write the table."""
        with tables.writer(self.path, self.schema) as output:
            for number in range(self._stored):
                output.write_table(interim.read(self._piece(number)))
                self._piece(number).unlink()
            output.write_table(self._table())

    def _piece(self, number: int) -> Path:
        return self.path.with_suffix(f".{number:05d}.partial")

    def _table(self) -> pa.Table:
        return pa.Table.from_pylist(self._waiting, self.schema)
