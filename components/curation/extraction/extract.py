"""The first pass over a shard of raw files: read, normalise and filter, in one go."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from components.artifacts import sha256_of_file
from components.curation import tables
from components.curation.config import CurationConfig, Source
from components.curation.extraction.crashes import CrashCounts, interruptible, new_run
from components.curation.extraction.samples import EXCERPT, FILTER, NORMALISE, PERSONAL, SEEN, Samples
from components.curation.extraction.spool import Spool
from components.curation.filtering.boilerplate import without_boilerplate
from components.curation.filtering.decontamination import read_index
from components.curation.filtering.filters import Filter, filters_of, first_refusal
from components.curation.filtering.flagged_words import Flagged, read_lists
from components.curation.filtering.personal_data import mark_of, without_personal_data
from components.curation.filtering.replacement_counts import ReplacementCounts
from components.curation.reading.locations import fetched
from components.curation.reading.readers import RawDocument, read_documents
from components.curation.reading.sources import RawFile
from components.curation.tables.reasons import CONTAMINATED, FLAGGED
from components.curation.text.characters import Classes, classes_of, codes_of
from components.curation.text.document import CODE_DOMAINS, NormalisedDocument, domain_matches
from components.curation.text.language import language_of, modelled_language_of
from components.curation.text.normalise import normalise
from components.errors import StoreError

SHARD_BITS = 32
"""A document's number is its shard's number shifted by this, plus its row among the documents that passed the filters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractionShard:
    """Files for one worker."""

    number: int
    files: tuple[RawFile, ...]
    config: CurationConfig
    directory: str
    """Directory for the shard's tables."""
    run: str
    """The run of the driver, by `components.curation.extraction.crashes.new_run`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractedShard:
    """Where one shard's tables are, and how much they hold."""

    directory: str
    text_shards: int
    """Number of tables of texts, each of about `shard_bytes`."""
    documents: int
    """Documents that passed the filters."""
    graded: bool = False
    """Whether these are the rows and texts that `components.curation.quality.grading` wrote."""

    @property
    def rows(self) -> Path:
        """Every document read, as `tables.ROWS`."""
        return Path(self.directory) / ("graded-rows.parquet" if self.graded else "rows.parquet")

    @property
    def raw(self) -> Path:
        """The files read, as `tables.RAW`."""
        return Path(self.directory) / "raw.parquet"

    @property
    def set_aside(self) -> Path:
        """The files that could not be read, as `tables.SET_ASIDE`."""
        return Path(self.directory) / "set-aside.parquet"

    @property
    def contamination(self) -> Path:
        """Which document hit which item, as `tables.CONTAMINATION`."""
        return Path(self.directory) / "contamination.parquet"

    @property
    def personal_data(self) -> Path:
        """What personal data was replaced, as `tables.PERSONAL_DATA`."""
        return Path(self.directory) / "personal-data.parquet"

    @property
    def samples(self) -> Path:
        """A few documents before and after each step, as `tables.SAMPLES`."""
        return Path(self.directory) / "samples.parquet"

    @property
    def texts(self) -> list[Path]:
        """The documents that passed, as `tables.TEXTS`, in the order of their numbers."""
        return [texts_path(Path(self.directory), number, graded=self.graded) for number in range(self.text_shards)]


def texts_path(directory: Path, number: int, *, graded: bool = False) -> Path:
    """Where part `number` of a shard's texts is."""
    return directory / f"{'graded-' if graded else ''}texts-{number:05d}.parquet"


def shards_of(files: tuple[RawFile, ...], config: CurationConfig, scratch: Path) -> list[ExtractionShard]:
    """Neighbouring files of a source together until they reach `shard_bytes`; a larger file is a shard of its own.

    Sources share no shard, so that another one leaves the shards of the others what they were.
    """
    groups: list[list[RawFile]] = []
    room, before = 0, ""
    for file in files:
        uri = config.sources[file.source_indices[0]].uri
        if uri != before or file.size > room:
            before = uri
            groups.append([])
            room = config.shard_bytes
        groups[-1].append(file)
        room -= file.size
    run = new_run()
    return [
        ExtractionShard(number=number, files=tuple(group), config=config, directory=str(scratch / f"{number:05d}"), run=run)
        for number, group in enumerate(groups)
    ]


def extract(shard: ExtractionShard) -> ExtractedShard:
    """Write the tables of a shard, or take those that a killed run has finished.

    A file that cannot be read, or that crashes its worker, is set aside with its error after `max_read_attempts`.
    `components.curation.extraction.crashes` says what counts as a crash: an interrupt does not.

    Raises:
        StoreError: an object store cannot be reached; the rerun reads what is missing.
    """
    directory = Path(shard.directory)
    finished = directory / "finished.json"
    if not finished.exists():
        directory.mkdir(parents=True, exist_ok=True)
        with interruptible():
            extracted = _extract(shard, directory)
        partial = finished.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(extracted)))
        partial.replace(finished)
    return ExtractedShard(**json.loads(finished.read_text()))


def _extract(shard: ExtractionShard, directory: Path) -> ExtractedShard:
    extraction = _Extraction(shard=shard, directory=directory)
    for number, file in enumerate(shard.files):
        extraction.read(number, file)
    extraction.deaths.end()
    extraction.flush()
    extraction.rows.close()
    extraction.contamination.close()
    tables.write(directory / "raw.parquet", pa.Table.from_pylist(extraction.raw, tables.RAW))
    tables.write(directory / "personal-data.parquet", extraction.replaced.table())
    tables.write(directory / "samples.parquet", extraction.samples.table())
    tables.write(directory / "set-aside.parquet", pa.Table.from_pylist(extraction.set_aside, tables.SET_ASIDE))
    return ExtractedShard(directory=shard.directory, text_shards=extraction.text_shards, documents=extraction.passed)


@dataclass(kw_only=True)
class _Settled:
    """How far the files before the one that is being read had come."""

    rows: int = 0
    text_shards: int = 0
    passed: int = 0
    hits: int = 0
    replaced: ReplacementCounts = field(default_factory=ReplacementCounts)


@dataclass(kw_only=True)
class _Extraction:
    """What accumulates while a shard is read: texts up to `shard_bytes`, a few rows, and counts."""

    shard: ExtractionShard
    directory: Path
    buffer: list[dict[str, Any]] = field(default_factory=list)
    buffered: int = 0
    raw: list[dict[str, Any]] = field(default_factory=list)
    set_aside: list[dict[str, Any]] = field(default_factory=list)
    text_shards: int = 0
    passed: int = 0
    replaced: ReplacementCounts = field(default_factory=ReplacementCounts)
    settled: _Settled = field(default_factory=_Settled)
    rows: Spool = field(init=False)
    contamination: Spool = field(init=False)
    filters: tuple[Filter, ...] = field(init=False)
    samples: Samples = field(init=False)
    deaths: CrashCounts = field(init=False)

    def __post_init__(self) -> None:
        self.rows = Spool(self.directory / "rows.parquet", tables.ROWS)
        self.contamination = Spool(self.directory / "contamination.parquet", tables.CONTAMINATION)
        self.deaths = CrashCounts(self.directory, self.shard.run)
        self.samples = Samples(self.shard.config.samples)
        self.filters = filters_of(self.shard.config)

    def read(self, number: int, file: RawFile) -> None:
        """Take every document of a file, or none of them and its error."""
        died, attempts = self.deaths.of(number), self.shard.config.max_read_attempts
        if died >= attempts:
            self._set_aside(file, f"its worker died {died} times while reading it")
            return
        with self.deaths.watched(number):
            error = self._attempt(file, attempts - died)
        if error is not None:
            self._set_aside(file, " ".join(str(error).split())[:500])

    def _attempt(self, file: RawFile, attempts: int) -> Exception | None:
        """Read a file, so many times at most; the last error, after which nothing of it is left."""
        error = None
        for _ in range(attempts):
            sampled = self.samples.copy()
            self.settled = self._so_far()
            try:
                self._read(file)
                return None
            except StoreError:
                raise
            except Exception as caught:  # noqa: BLE001 whatever a file makes a reader do, the other files are not to suffer
                error = caught
                self.samples = sampled
                self._go_back()
        return error

    def _so_far(self) -> _Settled:
        rows, hits = len(self.rows), len(self.contamination)
        return _Settled(rows=rows, text_shards=self.text_shards, passed=self.passed, hits=hits, replaced=self.replaced.copy())

    def _set_aside(self, file: RawFile, error: str) -> None:
        source = self.shard.config.sources[file.source_indices[0]]
        named = {"source": source.uri, "domain": source.domain, "uri": file.uri, "bytes": file.size}
        self.set_aside.append({**named, "error": error})

    def _read(self, file: RawFile) -> None:
        with fetched(file.location, self.directory) as path:
            for document in read_documents(replace(file, location=str(path)), self.shard.config):
                self.take(file, document)
            source = self.shard.config.sources[file.source_indices[0]].uri
            digest = sha256_of_file(path)
            self.raw.append({"source": source, "uri": file.uri, "sha256": digest, "bytes": file.size})

    def _go_back(self) -> None:
        """Forget what a file gave before it failed."""
        before = self.settled
        self.rows.cut(before.rows)
        self.contamination.cut(before.hits)
        for number in range(before.text_shards, self.text_shards):
            texts_path(self.directory, number).unlink()
        self.buffer = self._buffered_before()
        self.buffered = sum(row["bytes"] for row in self.buffer)
        self.text_shards, self.passed, self.replaced = before.text_shards, before.passed, before.replaced.copy()

    def _buffered_before(self) -> list[dict[str, Any]]:
        first = (self.shard.number << SHARD_BITS) + self.settled.passed
        return [row for row in self.buffer if row["document"] < first]

    def take(self, file: RawFile, document: RawDocument) -> None:
        """Normalise and judge one document."""
        config = self.shard.config
        source = config.sources[document.source_index]
        candidate = normalised_document(document, source, config.heuristics, config.language_model)
        identity = identity_of(source, document)
        reason = document.refusal or first_refusal(self.filters, candidate)
        flagged = None if reason else self._flagged(candidate)
        reason = reason or self._flagged_refusal(flagged) or self._contamination(identity, candidate, source)
        text, replaced = (candidate.text, ()) if reason else self._without_personal_data(candidate, source)
        row = {
            "document": -1 if reason else (self.shard.number << SHARD_BITS) + self.passed,
            "id": identity,
            "source": source.uri,
            "uri": document.uri,
            "group": file.group,
            "domain": source.domain,
            "language": candidate.language,
            "licence": file.licence,
            "sha256": hashlib.sha256(document.raw).hexdigest(),
            "bytes": len(text.encode()),
            "characters": len(text),
            "flagged_words_ratio": flagged and flagged.ratio,
            "reason": reason,
        }
        self.rows.append(row)
        self._sample(row, document, candidate, text, replaced)
        if not reason:
            self._keep(row, text)

    def _sample(
        self, row: dict[str, Any], document: RawDocument, candidate: NormalisedDocument, text: str, replaced: Sequence[str]
    ) -> None:
        raw = document.text or document.raw[:SEEN].decode(errors="replace")
        if row["reason"]:
            self.samples.offer(FILTER, row["reason"], row, before=candidate.text or raw)
        elif raw.strip() != candidate.text.strip():
            self.samples.offer(NORMALISE, "", row, before=raw, after=candidate.text)
        for kind in replaced:
            self.samples.offer(PERSONAL, kind, row, after=text[max(0, text.find(mark_of(kind)) - EXCERPT // 2) :])

    def _flagged(self, candidate: NormalisedDocument) -> Flagged | None:
        if candidate.language not in self.shard.config.flagged_words:
            return None
        return read_lists(self.directory.parent)[candidate.language].flagged(candidate.text)

    def _flagged_refusal(self, flagged: Flagged | None) -> str:
        config = self.shard.config
        if flagged is None or flagged.terms < config.min_flagged_words:
            return ""
        return FLAGGED if flagged.ratio > config.max_flagged_words_ratio else ""

    def _contamination(self, identity: str, candidate: NormalisedDocument, source: Source) -> str:
        config = self.shard.config
        if not config.benchmarks:
            return ""
        hits = read_index(self.directory.parent, config.benchmark_gram).hits(candidate.text)
        named = {"id": identity, "source": source.uri, "domain": source.domain}
        for hit in hits:
            of = {"benchmark": hit.benchmark, "file": hit.file, "item": hit.number, "shared": hit.shared, "share": hit.share}
            self.contamination.append(named | of)
        return CONTAMINATED if hits else ""

    def _without_personal_data(self, candidate: NormalisedDocument, source: Source) -> tuple[str, Sequence[str]]:
        text, found = without_personal_data(candidate.text, self.shard.config.personal_data, code=candidate.is_code)
        self.replaced.add(source, found)
        return text, tuple(found)

    def _keep(self, row: dict[str, Any], text: str) -> None:
        self.passed += 1
        self.buffer.append(row | {"text": text})
        self.buffered += row["bytes"]
        if self.buffered >= self.shard.config.shard_bytes:
            self._flush_apart()

    def _flush_apart(self) -> None:
        """Flush, with the documents of earlier files in a part of their own, so that this file's can be taken back."""
        before = self._buffered_before()
        own = self.buffer[len(before) :]
        if before:
            self.buffer = before
            self.flush()
            self.settled.text_shards = self.text_shards
        self.buffer = own
        self.flush()

    def flush(self) -> None:
        """Write the texts that wait in memory as the next part."""
        if self.buffer:
            tables.write(texts_path(self.directory, self.text_shards), pa.Table.from_pylist(self.buffer, tables.TEXTS))
            self.text_shards += 1
        self.buffer, self.buffered = [], 0


def normalised_document(
    document: RawDocument, source: Source, heuristics: Sequence[str] = (), language_model: str = "script"
) -> NormalisedDocument:
    """The document normalised and tagged, ready for the filters."""
    text = "" if document.refusal else normalise(document.text)
    codes = codes_of(text)
    classes = classes_of(codes)
    language = source.language if source.language != "auto" else _tag(text, classes, source, language_model)
    found = NormalisedDocument(
        text=text, raw=document.text, codes=codes, classes=classes, language=language, domain=source.domain
    )
    return _without_boilerplate(found) if "c4-lines" in heuristics and not found.is_code and not found.is_maths else found


def _tag(text: str, classes: Classes, source: Source, model: str) -> str:
    if domain_matches(source.domain, CODE_DOMAINS):
        return "code"
    return modelled_language_of(text) if model == "lid176" else language_of(text, classes)


def _without_boilerplate(candidate: NormalisedDocument) -> NormalisedDocument:
    text = without_boilerplate(candidate.text, spaced=not candidate.unspaced)
    codes = codes_of(text)
    return replace(candidate, text=text, codes=codes, classes=classes_of(codes))


def identity_of(source: Source, document: RawDocument) -> str:
    """sha256 over source, document URI and raw text (the raw bytes where there is no text), in hex."""
    digest = hashlib.sha256(f"{source.uri}\0{document.uri}\0".encode())
    digest.update(document.raw if document.refusal else document.text.encode())
    return digest.hexdigest()
