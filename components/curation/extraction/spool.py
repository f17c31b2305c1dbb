"""Writes a table row by row, with few rows in memory at a time."""

from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from components import interim
from components.curation import tables

CHUNK_ROWS = 8_192
"""Rows per chunk, and maximum rows in memory, where each takes about a kilobyte as a dictionary."""


@dataclass
class Spool:
    """A growing table whose rows are stored in chunk files beside `path` until `close` writes the finished table."""

    path: Path
    schema: pa.Schema
    _chunks: int = field(default=0, init=False)
    """Chunks on disk, each of `CHUNK_ROWS` rows."""
    _waiting: list[dict[str, object]] = field(default_factory=list, init=False)

    def __len__(self) -> int:
        """Number of rows so far."""
        return self._chunks * CHUNK_ROWS + len(self._waiting)

    def append(self, row: dict[str, object]) -> None:
        """Add a row at the end."""
        self._waiting.append(row)
        if len(self._waiting) == CHUNK_ROWS:
            interim.write(self._chunk_path(self._chunks), self._table())
            self._chunks, self._waiting = self._chunks + 1, []

    def truncate(self, rows: int) -> None:
        """Drop all but the first `rows` rows."""
        while self._chunks * CHUNK_ROWS > rows:
            self._chunks -= 1
            self._waiting = interim.read(self._chunk_path(self._chunks)).to_pylist()
            self._chunk_path(self._chunks).unlink()
        del self._waiting[rows - self._chunks * CHUNK_ROWS :]

    def close(self) -> None:
        """Write the table and delete its chunks."""
        with tables.writer(self.path, self.schema) as output:
            for number in range(self._chunks):
                output.write_table(interim.read(self._chunk_path(number)))
                self._chunk_path(number).unlink()
            output.write_table(self._table())

    def _chunk_path(self, number: int) -> Path:
        return self.path.with_suffix(f".{number:05d}.partial")

    def _table(self) -> pa.Table:
        return pa.Table.from_pylist(self._waiting, self.schema)
