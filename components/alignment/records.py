"""Conversations and preference pairs as an artifact holds them: their lines, and what their metrics tables keep of them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from components.artifacts import SPLITS, Conversation, PreferencePair

Record = TypeVar("Record", Conversation, PreferencePair)


def identifier(*fields: str | int) -> str:
    """An id of 32 hex digits that depends on all fields and nothing else."""
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()[:32]


def write_records(kind: type[Record], name: str, splits: Mapping[str, Sequence[Record]], output: Path) -> None:
    """Write `{split}.jsonl` and `metrics/{name}.parquet`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for split in SPLITS:
        kind.write(splits[split], output, split)
    (output / "metrics").mkdir(exist_ok=True)
    rows = [{"split": split, **record.measures()} for split in SPLITS for record in splits[split]]
    pq.write_table(pa.Table.from_pylist(rows), output / "metrics" / f"{name}.parquet", compression="zstd")
