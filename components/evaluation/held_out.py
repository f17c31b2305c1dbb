"""Reading the held-out side of a corpus, of conversations and of preference pairs, always in the same order."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.errors import ArtifactError, MissingArtifact
from components.generation.bits_per_byte import MINIMUM_BYTES, TokenReader


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
        every = self.reader.documents(split, domain)
        chosen = every.filter(pc.is_in(every["id"], value_set=pa.array(sorted(self.ids), pa.string())))
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
    found = sorted(path.name for path in (corpus / "documents/validation").glob("*") if any(path.glob("*.parquet")))
    if not found:
        raise ArtifactError(f"{corpus}: no documents/validation/DOMAIN/*.parquet; a corpus needs a held-out split to evaluate on")
    return found


def documents(corpus: Path, domain: str) -> Iterator[Document]:
    """Documents of at least 1 kB (as bits per byte counts them), by id: ids are hashes, so any prefix is a random sample."""
    for part in sorted((corpus / "documents/validation" / domain).glob("*.parquet")):
        with pq.ParquetFile(part) as table:
            for batch in table.iter_batches(columns=["id", "group", "text", "bytes"]):
                for row in batch.to_pylist():
                    if row["bytes"] >= MINIMUM_BYTES:
                        yield Document(id=row["id"], group=row["group"], text=row["text"])


def fitting_documents(corpus: Path, domain: str, total_bytes: int) -> list[Document]:
    """Documents of a domain by id, each taken if it still fits into `total_bytes`; the first one where none fits.

    So no document much longer than the others makes up most of the figure, or of the time.

    Raises `ArtifactError` if the domain has no document that counts.
    """
    chosen: list[Document] = []
    first, room = None, total_bytes
    for document in documents(corpus, domain):
        first = first or document
        size = len(document.text.encode())
        if size <= room:
            chosen.append(document)
            room -= size
        if room < MINIMUM_BYTES:
            break
    if first is None:
        raise ArtifactError(
            f"{corpus}: no held-out document of at least {MINIMUM_BYTES} bytes in {domain}; "
            "give the domain more documents, or leave it out of the mixture"
        )
    return chosen or [first]


def records(path: Path) -> list[dict[str, Any]]:
    """The lines of a JSONL file of an artifact, by id. Raises `MissingArtifact`."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise MissingArtifact(f"{path}: missing; run the step that makes it") from error
    return sorted((json.loads(line) for line in lines if line), key=lambda record: record["id"])


def mixture_shares(corpus: Path) -> dict[str, float]:
    """The target share of each domain, sorted by name. Raises `MissingArtifact`."""
    path = corpus / "mixture.json"
    try:
        shares = json.loads(path.read_bytes())["shares"]
    except (OSError, ValueError, KeyError) as error:
        raise MissingArtifact(f"{path}: no shares there ({error!r}); run the step curation") from error
    return dict(sorted(shares.items()))
