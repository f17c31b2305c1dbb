"""Reading the held-out side of a corpus, of conversations and of preference pairs, always in the same order."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from components.errors import ArtifactError


@dataclass(frozen=True, slots=True)
class Document:
    """A held-out document."""

    id: str
    group: str
    text: str


def domains(corpus: Path) -> list[str]:
    """The domains with held-out documents, sorted. Raises `ArtifactError` if there are none."""
    found = sorted(path.name for path in (corpus / "documents/validation").glob("*") if any(path.glob("*.parquet")))
    if not found:
        raise ArtifactError(f"{corpus}: no documents/validation/DOMAIN/*.parquet; a corpus needs a held-out split to evaluate on")
    return found


def documents(corpus: Path, domain: str, minimum_bytes: int) -> Iterator[Document]:
    """Documents of at least `minimum_bytes` UTF-8 bytes, by id: ids are hashes, so any prefix is a random sample."""
    for part in sorted((corpus / "documents/validation" / domain).glob("*.parquet")):
        with pq.ParquetFile(part) as table:
            for batch in table.iter_batches(columns=["id", "group", "text", "bytes"]):
                for row in batch.to_pylist():
                    if row["bytes"] >= minimum_bytes:
                        yield Document(id=row["id"], group=row["group"], text=row["text"])


def first_documents(corpus: Path, domain: str, *, minimum_bytes: int, total_bytes: int) -> list[Document]:
    """The first documents of a domain, as many as it takes to reach `total_bytes`, or all."""
    chosen, size = [], 0
    for document in documents(corpus, domain, minimum_bytes):
        if size >= total_bytes:
            break
        chosen.append(document)
        size += len(document.text.encode())
    return chosen


def records(path: Path) -> list[dict[str, Any]]:
    """The lines of a JSONL file of an artifact, by id."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return sorted((json.loads(line) for line in lines if line), key=lambda record: record["id"])
