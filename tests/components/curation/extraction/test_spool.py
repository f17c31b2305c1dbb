"""A spool returns all rows, including those on disk, and can drop its last rows."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components.curation.extraction import spool
from components.curation.extraction.spool import Spool
from tests.components.curation.conftest import rows

SCHEMA = pa.schema({"number": pa.int64(), "name": pa.string()})


def row(number: int) -> dict[str, Any]:
    return {"number": number, "name": f"row {number}"}


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    monkeypatch.setattr(spool, "CHUNK_ROWS", 4)
    return Spool(tmp_path / "table.parquet", SCHEMA)


@pytest.mark.parametrize("count", [0, 1, 4, 11])
@pytest.mark.parametrize("remaining", [0, 1, 3, 4, 5, 8, 11])
def test_rows_that_were_taken_back_are_as_if_they_had_never_been(empty: Spool, count: int, remaining: int) -> None:
    for number in range(11):
        empty.append(row(number))
    empty.truncate(remaining)
    for number in range(100, 100 + count):
        empty.append(row(number))
    assert len(empty) == remaining + count
    empty.close()
    assert rows(empty.path) == [row(number) for number in [*range(remaining), *range(100, 100 + count)]]
    assert list(empty.path.parent.iterdir()) == [empty.path]
