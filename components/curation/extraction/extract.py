"""Reads, normalises and filters the documents of a shard of raw files, in one pass."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from components.artifacts import sha256_of_file
from components.curation import tables
from components.curation.extraction.config import Extraction
from components.curation.extraction.crashes import CrashCounts, interruptible, new_run
from components.curation.extraction.documents import identity_of, normalised_document
from components.curation.extraction.samples import (
    FILTER,
    MAX_EXCERPT_CHARACTERS,
    MAX_SCANNED_CHARACTERS,
    NORMALISE,
    PERSONAL,
    Samples,
)
from components.curation.extraction.spool import Spool
from components.curation.filtering.decontamination import read_index
from components.curation.filtering.filters import Filter, filters_of, refusal_of
from components.curation.filtering.flagged_words import Flagged, read_lists
from components.curation.filtering.personal_data import mark_of, without_personal_data
from components.curation.filtering.replacement_counts import ReplacementCounts
from components.curation.reading.config import Source
from components.curation.reading.readers import RawDocument, read_documents
from components.curation.reading.sources import RawFile
from components.curation.tables.reasons import CONTAMINATED, FLAGGED
from components.curation.text.document import NormalisedDocument
from components.curation.text.draw import hash_of
from components.errors import ExtensionError, StoreError, single_line
from components.files import read_json, write_json
from components.locations import fetched

SHARD_BITS = 32
"""A document's number is its shard's number shifted left by this many bits, plus its row among the documents that passed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractionShard:
    """Raw files for one worker, and the directory for their tables."""

    number: int
    files: tuple[RawFile, ...]
    config: Extraction
    directory: str
    """Directory for the shard's tables."""
    run: str
    """Id of the driver's run, from `components.curation.extraction.crashes.new_run`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractedShard:
    """The tables of one shard and their sizes."""

    directory: str
    text_shards: int
    """Number of tables of texts, each of about `shard_bytes`."""
    documents: int
    """Documents that passed the filters."""
    graded: bool = False
    """Whether `rows` and `texts` are those that `components.curation.quality.grading` wrote."""

    @property
    def rows(self) -> Path:
        """Path of the rows of all documents read, `tables.ROWS`."""
        return Path(self.directory) / ("graded-rows.parquet" if self.graded else "rows.parquet")

    @property
    def raw(self) -> Path:
        """Path of the list of files read, `tables.RAW`."""
        return Path(self.directory) / "raw.parquet"

    @property
    def set_aside(self) -> Path:
        """Path of the list of files that could not be read, `tables.SET_ASIDE`."""
        return Path(self.directory) / "set-aside.parquet"

    @property
    def contamination(self) -> Path:
        """Path of the matches between documents and benchmark items, `tables.CONTAMINATION`."""
        return Path(self.directory) / "contamination.parquet"

    @property
    def personal_data(self) -> Path:
        """Path of the counts of replaced personal data, `tables.PERSONAL_DATA`."""
        return Path(self.directory) / "personal-data.parquet"

    @property
    def samples(self) -> Path:
        """Path of the example documents, `tables.SAMPLES`."""
        return Path(self.directory) / "samples.parquet"

    @property
    def texts(self) -> list[Path]:
        """Paths of the documents that passed, `tables.TEXTS`, in the order of their numbers."""
        return [texts_path(Path(self.directory), number, graded=self.graded) for number in range(self.text_shards)]


def texts_path(directory: Path, number: int, *, graded: bool = False) -> Path:
    """The path of text shard `number`."""
    return directory / f"{'graded-' if graded else ''}texts-{number:05d}.parquet"


def shards_of(files: tuple[RawFile, ...], config: Extraction, scratch: Path) -> list[ExtractionShard]:
    """Group neighbouring files of a source into shards of up to `shard_bytes`; a larger file is a shard of its own.

    Sources do not share shards, so that adding a source does not change the shards of others. The exception is sources with the
    same URI, such as the domains of `python-environment:`, which read the same files.
    """
    groups: list[list[RawFile]] = []
    remaining, previous = 0, ""
    for file in files:
        uri = config.reading.sources[file.source_indices[0]].uri
        if uri != previous or file.size > remaining:
            previous = uri
            groups.append([])
            remaining = config.shard_bytes
        groups[-1].append(file)
        remaining -= file.size
    run = new_run()
    return [
        ExtractionShard(number=number, files=tuple(group), config=config, directory=str(scratch / f"{number:05d}"), run=run)
        for number, group in enumerate(groups)
    ]


def extract(shard: ExtractionShard) -> ExtractedShard:
    """Write the tables of a shard, or reuse those that a killed run finished.

    A file that cannot be read, or that crashes its worker, is set aside with its error after `max_read_attempts` attempts.
    `components.curation.extraction.crashes` defines what counts as a crash; an interrupt does not.

    Raises:
        StoreError: an object store cannot be reached; a rerun continues with the shards that are missing.
        ExtensionError: one of the recipe's own filters fails, or its reader does not yield texts; the message names the document.
        DamagedArtifact: `finished.json` of the shard cannot be read.
    """
    directory = Path(shard.directory)
    finished = directory / "finished.json"
    if not finished.exists():
        directory.mkdir(parents=True, exist_ok=True)
        with interruptible():
            extracted = _extract(shard, directory)
        write_json(finished, asdict(extracted))
    return ExtractedShard(**read_json(finished, dict, f"delete {directory} and run again"))


def _extract(shard: ExtractionShard, directory: Path) -> ExtractedShard:
    extraction = _Extraction(shard=shard, directory=directory)
    for number, file in enumerate(shard.files):
        extraction.read(number, file)
    extraction.crashes.close()
    extraction.flush()
    extraction.rows.close()
    extraction.contamination.close()
    tables.write(directory / "raw.parquet", pa.Table.from_pylist(extraction.raw, tables.RAW))
    tables.write(directory / "personal-data.parquet", extraction.replaced.table())
    tables.write(directory / "samples.parquet", extraction.samples.table())
    tables.write(directory / "set-aside.parquet", pa.Table.from_pylist(extraction.set_aside, tables.SET_ASIDE))
    return ExtractedShard(directory=shard.directory, text_shards=extraction.text_shards, documents=extraction.passed)


@dataclass(kw_only=True)
class _Savepoint:
    """Counts before the current file, to roll back to if the file cannot be read."""

    rows: int = 0
    text_shards: int = 0
    passed: int = 0
    hits: int = 0
    replaced: ReplacementCounts = field(default_factory=ReplacementCounts)


@dataclass(frozen=True, slots=True)
class _Buffered:
    """A document that has not been written yet."""

    document: int
    bytes: int
    row: dict[str, object]
    """The row of `tables.TEXTS`."""


@dataclass(kw_only=True)
class _Extraction:
    """The state while a shard is read: texts up to `shard_bytes`, a few rows, and counts."""

    shard: ExtractionShard
    directory: Path
    buffer: list[_Buffered] = field(default_factory=list)
    buffered: int = 0
    """Bytes of the texts in `buffer`."""
    raw: list[dict[str, object]] = field(default_factory=list)
    set_aside: list[dict[str, object]] = field(default_factory=list)
    text_shards: int = 0
    passed: int = 0
    replaced: ReplacementCounts = field(default_factory=ReplacementCounts)
    savepoint: _Savepoint = field(default_factory=_Savepoint)
    rows: Spool = field(init=False)
    contamination: Spool = field(init=False)
    filters: tuple[Filter, ...] = field(init=False)
    samples: Samples = field(init=False)
    crashes: CrashCounts = field(init=False)

    def __post_init__(self) -> None:
        self.rows = Spool(self.directory / "rows.parquet", tables.ROWS)
        self.contamination = Spool(self.directory / "contamination.parquet", tables.CONTAMINATION)
        self.crashes = CrashCounts(self.directory, self.shard.run)
        self.samples = Samples(self.shard.config.samples)
        self.filters = filters_of(self.shard.config.filtering)

    # Files

    def read(self, number: int, file: RawFile) -> None:
        """Read all documents of a file; if that fails, keep none of them and set the file aside with its error."""
        crashed, attempts = self.crashes.of(number), self.shard.config.reading.limits.max_read_attempts
        if crashed >= attempts:
            self._set_aside(file, f"reading it crashed the worker process {crashed} times")
            return
        with self.crashes.watched(number):
            error = self._attempt(file, attempts - crashed)
        if error is not None:
            self._set_aside(file, single_line(error, 500))

    def _attempt(self, file: RawFile, max_attempts: int) -> Exception | None:
        """Read a file in up to `max_attempts` attempts; return None, or the last error after rolling the file back."""
        error = None
        for _ in range(max_attempts):
            samples = self.samples.copy()
            self._save()
            try:
                self._read(file)
                return None
            except (StoreError, ExtensionError):
                raise  # not caused by the file
            except Exception as caught:  # noqa: BLE001 whatever error a file causes in a reader, the other files are still read
                error = caught
                self.samples = samples
                self._roll_back()
        return error

    def _read(self, file: RawFile) -> None:
        with fetched(file.location, self.directory) as path:
            for raw in read_documents(replace(file, location=str(path)), self.shard.config.reading):
                self.take(file, raw)
            self.raw.append({"source": file.source, "path": file.path, "sha256": sha256_of_file(path), "bytes": file.size})

    def _set_aside(self, file: RawFile, error: str) -> None:
        source = self.shard.config.reading.sources[file.source_indices[0]]
        columns = {"source": source.name, "domain": source.domain, "path": file.path, "bytes": file.size}
        self.set_aside.append({**columns, "error": error})

    def _save(self) -> None:
        self.savepoint = _Savepoint(
            rows=len(self.rows),
            text_shards=self.text_shards,
            passed=self.passed,
            hits=len(self.contamination),
            replaced=self.replaced.copy(),
        )

    def _roll_back(self) -> None:
        """Remove everything that the current file added before it failed."""
        before = self.savepoint
        self.rows.truncate(before.rows)
        self.contamination.truncate(before.hits)
        for number in range(before.text_shards, self.text_shards):
            texts_path(self.directory, number).unlink()
        self.buffer = self._buffered_before()
        self.buffered = sum(text.bytes for text in self.buffer)
        self.text_shards, self.passed, self.replaced = before.text_shards, before.passed, before.replaced.copy()

    def _buffered_before(self) -> list[_Buffered]:
        """The buffered documents of earlier files."""
        first = (self.shard.number << SHARD_BITS) + self.savepoint.passed
        return [text for text in self.buffer if text.document < first]

    # Documents

    def take(self, file: RawFile, raw: RawDocument) -> None:
        """Normalise and filter one document, and write its row, its samples and, if it passed, its text."""
        reading = self.shard.config.reading
        source = reading.sources[raw.source_index]
        document = normalised_document(raw, source, self.shard.config.filtering.heuristics, reading.limits.language_model)
        identity = identity_of(source, raw)

        # Filter: rules, flagged words, contamination, in this order; the first reason counts.
        reason = raw.refusal or refusal_of(raw.uri, document, self.filters)
        flagged = None if reason else self._flagged(document)
        reason = reason or self._flagged_refusal(flagged) or self._contamination(identity, document, source)

        # Write the row, the samples, and the text if the document passed.
        text, replaced = (document.text, ()) if reason else self._without_personal_data(document, source)
        encoded = text.encode()
        row = {
            "document": -1 if reason else (self.shard.number << SHARD_BITS) + self.passed,
            "text_hash": hash_of(encoded or raw.raw),
            "id": identity,
            "source": source.name,
            "uri": raw.uri,
            "group": file.group,
            "domain": source.domain,
            "language": document.language,
            "licence": file.licence,
            "sha256": hashlib.sha256(raw.raw).hexdigest(),
            "bytes": len(encoded),
            "characters": len(text),
            "flagged_words_ratio": None if flagged is None else flagged.ratio,
            "reason": reason,
        }
        self.rows.append(row)
        self._sample(row, reason, raw, document, text, replaced)
        if not reason:
            self._keep(row, text, len(encoded))

    def _sample(
        self,
        row: dict[str, object],
        reason: str,
        raw: RawDocument,
        document: NormalisedDocument,
        text: str,
        replaced: Sequence[str],
    ) -> None:
        before = raw.text or raw.raw[:MAX_SCANNED_CHARACTERS].decode(errors="replace")
        if reason:
            self.samples.offer(FILTER, reason, row, before=document.text or before)
        elif before.strip() != document.text.strip():
            self.samples.offer(NORMALISE, "", row, before=before, after=document.text)
        for kind in replaced:
            start = max(0, text.find(mark_of(kind)) - MAX_EXCERPT_CHARACTERS // 2)
            self.samples.offer(PERSONAL, kind, row, after=text[start:])

    def _flagged(self, document: NormalisedDocument) -> Flagged | None:
        if document.language not in self.shard.config.filtering.flagged_words:
            return None
        return read_lists(self.directory.parent)[document.language].flagged(document.text)

    def _flagged_refusal(self, flagged: Flagged | None) -> str:
        config = self.shard.config.filtering
        if flagged is None or flagged.terms < config.min_flagged_words:
            return ""
        return FLAGGED if flagged.ratio > config.max_flagged_words_ratio else ""

    def _contamination(self, identity: str, document: NormalisedDocument, source: Source) -> str:
        config = self.shard.config.filtering
        if not config.benchmarks:
            return ""
        hits = read_index(self.directory.parent, config.benchmark_gram).hits(document.text)
        columns = {"id": identity, "source": source.name, "domain": source.domain}
        for hit in hits:
            item = {"benchmark": hit.benchmark, "file": hit.file, "item": hit.number, "shared": hit.shared, "share": hit.share}
            self.contamination.append(columns | item)
        return CONTAMINATED if hits else ""

    def _without_personal_data(self, document: NormalisedDocument, source: Source) -> tuple[str, Sequence[str]]:
        """The text with personal data replaced, and the kinds that were replaced."""
        text, counts = without_personal_data(document.text, self.shard.config.filtering.personal_data, code=document.is_code)
        self.replaced.add(source, counts)
        return text, tuple(counts)

    # Texts

    def _keep(self, row: dict[str, object], text: str, size: int) -> None:
        document = (self.shard.number << SHARD_BITS) + self.passed
        self.passed += 1
        self.buffer.append(_Buffered(document=document, bytes=size, row=row | {"text": text}))
        self.buffered += size
        if self.buffered >= self.shard.config.shard_bytes:
            self._flush_separately()

    def _flush_separately(self) -> None:
        """Flush documents of earlier files to one text shard and those of this file to another, so that it can be rolled back."""
        before = self._buffered_before()
        own = self.buffer[len(before) :]
        if before:
            self.buffer = before
            self.flush()
            self.savepoint.text_shards = self.text_shards
        self.buffer = own
        self.flush()

    def flush(self) -> None:
        """Write the buffered texts as the next text shard."""
        if self.buffer:
            tables.write(
                texts_path(self.directory, self.text_shards),
                pa.Table.from_pylist([text.row for text in self.buffer], tables.TEXTS),
            )
            self.text_shards += 1
        self.buffer, self.buffered = [], 0
