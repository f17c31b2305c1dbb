"""The first pass over a shard of raw files: read, normalise and filter, in one go."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from components.artifacts import sha256_of_file
from components.curation import tables
from components.curation.boilerplate import without_boilerplate
from components.curation.candidate import Candidate
from components.curation.characters import classes_of, codes_of
from components.curation.config import CurationConfig, Source
from components.curation.filters import Filter, filters_of, first_refusal
from components.curation.language import language_of
from components.curation.normalise import normalise
from components.curation.readers import RawDocument, read_documents
from components.curation.sources import RawFile

SHARD_BITS = 32
"""A document's number is its shard's number shifted by this, plus its row among the documents that passed the filters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractionShard:
    """Files for one worker."""

    number: int
    files: tuple[RawFile, ...]
    config: CurationConfig
    place: str
    """Directory for the shard's tables."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Extracted:
    """Where one shard's tables are, and how much they hold."""

    place: str
    parts: int
    """Number of tables of texts, each of about `shard_bytes`."""
    documents: int
    """Documents that passed the filters."""

    @property
    def rows(self) -> Path:
        """Every document read, as `tables.ROWS`."""
        return Path(self.place) / "rows.parquet"

    @property
    def raw(self) -> Path:
        """The files read, as `tables.RAW`."""
        return Path(self.place) / "raw.parquet"

    @property
    def texts(self) -> list[Path]:
        """The documents that passed, as `tables.TEXTS`, in the order of their numbers."""
        return [texts_path(Path(self.place), number) for number in range(self.parts)]


def texts_path(place: Path, number: int) -> Path:
    """Where part `number` of a shard's texts is."""
    return place / f"texts-{number:05d}.parquet"


def shards_of(files: tuple[RawFile, ...], config: CurationConfig, scratch: Path) -> list[ExtractionShard]:
    """Neighbouring files together until they reach `shard_bytes`; a larger file is a shard of its own."""
    groups: list[list[RawFile]] = []
    room = 0
    for file in files:
        if not groups or file.size > room:
            groups.append([])
            room = config.shard_bytes
        groups[-1].append(file)
        room -= file.size
    return [
        ExtractionShard(number=number, files=tuple(group), config=config, place=str(scratch / f"{number:05d}"))
        for number, group in enumerate(groups)
    ]


def extract(shard: ExtractionShard) -> Extracted:
    """Write the tables of a shard, or take those that a killed run has finished.

    Raises:
        SourceError: a file cannot be read, or holds more bad lines than allowed.
    """
    place = Path(shard.place)
    finished = place / "finished.json"
    if not finished.exists():
        place.mkdir(parents=True, exist_ok=True)
        extracted = _extract(shard, place)
        partial = finished.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(extracted)))
        partial.replace(finished)
    return Extracted(**json.loads(finished.read_text()))


def _extract(shard: ExtractionShard, place: Path) -> Extracted:
    extraction = _Extraction(shard=shard, place=place)
    for file in shard.files:
        for document in read_documents(file, shard.config):
            extraction.take(file, document)
    extraction.flush()
    tables.write(place / "rows.parquet", pa.Table.from_pylist(extraction.rows, tables.ROWS))
    tables.write(place / "raw.parquet", pa.Table.from_pylist(list(_raw_rows(shard)), tables.RAW))
    return Extracted(place=shard.place, parts=extraction.parts, documents=extraction.passed)


@dataclass(kw_only=True)
class _Extraction:
    """What accumulates while a shard is read: texts up to `shard_bytes`, and small rows."""

    shard: ExtractionShard
    place: Path
    rows: list[dict[str, Any]] = field(default_factory=list)
    buffer: list[dict[str, Any]] = field(default_factory=list)
    buffered: int = 0
    parts: int = 0
    passed: int = 0
    filters: tuple[Filter, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.filters = filters_of(self.shard.config)

    def take(self, file: RawFile, document: RawDocument) -> None:
        """Normalise and judge one document."""
        source = self.shard.config.sources[document.taker]
        candidate = candidate_of(document, source, self.shard.config.heuristics)
        reason = document.refusal or first_refusal(self.filters, candidate)
        row = {
            "document": -1 if reason else (self.shard.number << SHARD_BITS) + self.passed,
            "id": identity_of(source, document),
            "source": source.uri,
            "uri": document.uri,
            "group": file.group,
            "domain": source.domain,
            "language": candidate.language,
            "licence": file.licence,
            "sha256": hashlib.sha256(document.raw).hexdigest(),
            "bytes": len(candidate.text.encode()),
            "characters": len(candidate.text),
            "reason": reason,
        }
        self.rows.append(row)
        if not reason:
            self._keep(row, candidate.text)

    def _keep(self, row: dict[str, Any], text: str) -> None:
        self.passed += 1
        self.buffer.append(row | {"text": text})
        self.buffered += row["bytes"]
        if self.buffered >= self.shard.config.shard_bytes:
            self.flush()

    def flush(self) -> None:
        """Write the texts that wait in memory as the next part."""
        if self.buffer:
            tables.write(texts_path(self.place, self.parts), pa.Table.from_pylist(self.buffer, tables.TEXTS))
            self.parts += 1
            self.buffer, self.buffered = [], 0


def candidate_of(document: RawDocument, source: Source, heuristics: Sequence[str] = ()) -> Candidate:
    """The document normalised and tagged, ready for the filters."""
    text = "" if document.refusal else normalise(document.text)
    codes = codes_of(text)
    classes = classes_of(codes)
    guessed = "code" if source.domain == "code" else language_of(text, classes)
    language = guessed if source.language == "auto" else source.language
    found = Candidate(text=text, raw=document.text, codes=codes, classes=classes, language=language, domain=source.domain)
    return _without_boilerplate(found) if "c4-lines" in heuristics and not found.is_code and not found.is_maths else found


def _without_boilerplate(candidate: Candidate) -> Candidate:
    text = without_boilerplate(candidate.text, spaced=not candidate.unspaced)
    codes = codes_of(text)
    return replace(candidate, text=text, codes=codes, classes=classes_of(codes))


def identity_of(source: Source, document: RawDocument) -> str:
    """sha256 over source, document URI and raw text (the raw bytes where there is no text), in hex."""
    digest = hashlib.sha256(f"{source.uri}\0{document.uri}\0".encode())
    digest.update(document.raw if document.refusal else document.text.encode())
    return digest.hexdigest()


def order_of(identity: str) -> int:
    """The first 64 bits of an id: documents are ordered by it, so that neither size nor source decides what is kept."""
    return int(identity[:16], 16)


def _raw_rows(shard: ExtractionShard) -> Iterator[dict[str, Any]]:
    for file in shard.files:
        source = shard.config.sources[file.takers[0]].uri
        yield {"source": source, "uri": file.uri, "sha256": sha256_of_file(Path(file.location)), "bytes": file.size}
