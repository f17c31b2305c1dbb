"""Orders conversations and preference pairs, and writes them with their metrics tables."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from components.artifacts import SPLITS, Conversation, PreferencePair

Record = TypeVar("Record", Conversation, PreferencePair)


def content_of(record: Conversation | PreferencePair) -> str:
    """Hash of the text of a record, used for selection and order; does not depend on its id or file."""
    if isinstance(record, PreferencePair):
        return identifier(record.kind, record.prompt, record.chosen, record.rejected)
    return identifier(*(text for message in record.messages for text in (message["role"], message["content"])))


def drawn_by(record: Conversation | PreferencePair, seed: int | None = None) -> tuple[str, ...]:
    """Sort key of a record: the hash of its text, mixed with `seed` if given; then group and id."""
    content = content_of(record)
    return content if seed is None else identifier(seed, content), record.group, record.id


def in_order(records: Iterable[Record], seed: int | None = None) -> list[Record]:
    """The records sorted by `drawn_by`."""
    return sorted(records, key=lambda record: drawn_by(record, seed))


def identifier(*fields: str | int) -> str:
    """An id of 32 hex digits, computed from all fields."""
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
