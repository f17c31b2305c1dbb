"""Reading the held-out split of a corpus, always in the same order."""

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
from components.generation.bits_per_byte import MIN_BYTES, TokenReader


@dataclass(frozen=True, slots=True)
class Document:
    """A held-out document."""

    id: str
    group: str
    text: str


@dataclass(frozen=True)
class ChosenDocuments:
    """Token shards of which only the documents with the given ids are seen: models and baselines score the same text."""

    reader: TokenReader
    ids: frozenset[str]

    def documents(self, split: str, domain: str) -> pa.Table:
        """The chosen rows. Raises `ArtifactError` where a chosen document has no tokens."""
        rows = self.reader.documents(split, domain)
        chosen = rows.filter(pc.is_in(rows["id"], value_set=pa.array(sorted(self.ids), pa.string())))
        if chosen.num_rows != len(self.ids):
            missing = sorted(self.ids - set(chosen["id"].to_pylist()))[0]
            raise ArtifactError(
                f"{split}/{domain}: the token shards lack document {missing} of the corpus; encode the corpus again"
            )
        return chosen

    def window(self, split: str, domain: str, start: int, length: int) -> npt.NDArray[np.integer]:
        """Token ids."""
        return self.reader.window(split, domain, start, length)


def domains(corpus: Path) -> list[str]:
    """The domains with held-out documents, sorted. Raises `ArtifactError` if there are none."""
    names = sorted(path.name for path in (corpus / "documents/validation").glob("*") if any(path.glob("*.parquet")))
    if not names:
        raise ArtifactError(f"{corpus}: no documents/validation/DOMAIN/*.parquet; a corpus needs a held-out split to evaluate on")
    return names


def documents(corpus: Path, domain: str) -> Iterator[Document]:
    """Documents of at least 1 kB (as bits per byte counts them), in the order of the corpus, which is that of the hashes of their
    texts: any prefix is a random sample."""
    for path in sorted((corpus / "documents/validation" / domain).glob("*.parquet")):
        for row in _rows(path, ["id", "group", "text", "bytes"]):
            if row["bytes"] >= MIN_BYTES:
                yield Document(id=row["id"], group=row["group"], text=row["text"])


def _rows(path: Path, columns: list[str]) -> Iterator[Mapping[str, Any]]:
    """The rows of a Parquet file, of which a batch is in memory at a time."""
    with pq.ParquetFile(path) as table:
        for batch in table.iter_batches(columns=columns):
            yield from batch.to_pylist()


def fitting_documents(corpus: Path, domain: str, max_bytes: int) -> list[Document]:
    """Documents of a domain in their order, each taken if it still fits into `max_bytes`; the first one where none fits.

    So no document much longer than the others dominates the figure, or the time.

    Raises `ArtifactError` if the domain has no document that counts.
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
            "give the domain more documents, or leave it out of the mixture"
        )
    return chosen or [first]
