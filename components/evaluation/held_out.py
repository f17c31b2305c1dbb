"""Reads the held-out documents of a corpus, always in the same order."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.errors import ArtifactError
from components.generation.bits_per_byte import TokenReader
from components.generation.scored import MIN_BYTES


@dataclass(frozen=True, slots=True)
class Document:
    """A held-out document."""

    id: str
    group: str
    text: str


@dataclass(frozen=True)
class ChosenDocuments:
    """A view of token shards with only the given documents, so that models and baselines score the same text."""

    reader: TokenReader
    ids: frozenset[str]

    def documents(self, split: str, domain: str) -> pa.Table:
        """The rows of the chosen documents. Raises `ArtifactError` if the token shards lack one of them."""
        rows = self.reader.documents(split, domain)
        chosen = rows.filter(pc.is_in(rows["id"], value_set=pa.array(sorted(self.ids), pa.string())))
        if chosen.num_rows != len(self.ids):
            missing = sorted(self.ids - set(chosen["id"].to_pylist()))[0]
            raise ArtifactError(
                f"{split}/{domain}: the token shards lack document {missing} of the corpus; run the step token_shards again"
            )
        return chosen

    def window(self, split: str, domain: str, start: int, length: int) -> npt.NDArray[np.integer]:
        """`length` token ids of the domain, from offset `start` on."""
        return self.reader.window(split, domain, start, length)


def domains(corpus: Path) -> list[str]:
    """The domains with held-out documents, sorted. Raises `ArtifactError` if there are none."""
    names = sorted(path.name for path in (corpus / "documents/validation").glob("*") if any(path.glob("*.parquet")))
    if not names:
        raise ArtifactError(
            f"{corpus}: no documents/validation/DOMAIN/*.parquet; evaluation needs a corpus with a held-out split"
        )
    return names


def documents(corpus: Path, domain: str) -> Iterator[Document]:
    """Documents of at least 1 kB, as required for bits per byte, in the order of the corpus.

    The corpus is sorted by the hash of the text, so any prefix is a random sample.
    """
    for path in sorted((corpus / "documents/validation" / domain).glob("*.parquet")):
        for row in _rows(path, ["id", "group", "text", "bytes"]):
            if row["bytes"] >= MIN_BYTES:
                yield Document(id=row["id"], group=row["group"], text=row["text"])


def _rows(path: Path, columns: list[str]) -> Iterator[Mapping[str, Any]]:
    """The rows of a Parquet file; only one batch of rows is in memory at a time."""
    with pq.ParquetFile(path) as table:
        for batch in table.iter_batches(columns=columns):
            yield from batch.to_pylist()


def fitting_documents(corpus: Path, domain: str, max_bytes: int) -> list[Document]:
    """Documents of a domain, in order, each taken if it fits into the rest of `max_bytes`; if none fits, the first one.

    So no very long document dominates the result or the time.

    Raises `ArtifactError` if the domain has no document of at least 1 kB.
    """
    chosen: list[Document] = []
    first, remaining = None, max_bytes
    for document in documents(corpus, domain):
        first = first or document
        size = len(document.text.encode())
        if size <= remaining:
            chosen.append(document)
            remaining -= size
        if remaining < MIN_BYTES:
            break
    if first is None:
        raise ArtifactError(
            f"{corpus}: no held-out document of at least {MIN_BYTES} bytes in {domain}; "
            "add documents to the domain, or remove it from the mixture"
        )
    return chosen or [first]
