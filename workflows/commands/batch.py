"""`longrun batch RUN STEP`: the documents in the batch of one pretraining step, also while the run is still training."""

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifacts import TRAIN, Artifact, Mixture, Plan, TokenIndex
from components.errors import ConfigError, LongrunError, single_line
from components.ports import ArtifactStore
from components.raw_files import LOCATIONS, RAW, read_raw
from components.tokenizer.special_tokens import TOKENIZER_FILES
from infra.settings import Settings
from workflows.steps.journal import Journal
from workflows.steps.journals import BEGUN, journal_of

if TYPE_CHECKING:
    from components.pretraining.packed import PackedBatches
    from components.tokenizer.text_tokenizer import TextTokenizer
    from components.tokenizer.token_shards import DocumentSpan

SHOWN = 200
"""Characters of a document, and of its span, that a line shows."""

_COLUMNS = ("id", "source", "uri", "language", "licence", "text")


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchDocument:
    """A document in a sequence of a batch, and the part of it that is in the sequence."""

    id: str
    uri: str = ""
    """Location of its raw file: a path, a URI, or `python-environment:DISTRIBUTION/PATH`."""
    line: int | None = None
    """Its line, or row, in the file; None if the file is one document."""
    source: str = ""
    domain: str = ""
    language: str = ""
    licence: str = ""
    tokens: int
    """Tokens of the document, including BOS and EOS."""
    first_token: int
    """Offset in the document of its first token in the sequence."""
    end_token: int
    """Offset after its last token in the sequence."""
    span: str = ""
    """The text of these tokens."""
    text: str = ""
    """The text of the document: its first `SHOWN` characters, or all of it."""
    missing: str = ""
    """Why texts or locations are not known; empty if they are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchSequence:
    """A sequence of a batch."""

    domain: str
    start: int
    """Offset of its first token in the domain's training tokens."""
    documents: tuple[BatchDocument, ...]


def batch(settings: Settings, run: str, step: int, *, whole: bool = False) -> list[BatchSequence]:
    """The sequences in the global batch of `step` (from 1) with their documents; with `whole`, with their whole texts.

    Where the corpus or one of its files is missing, the documents have only ids, and `missing` says why.

    Raises:
        ConfigError: there is no such run or step, or the run has not started pretraining.
        ArtifactError: the plan or the token shards of the run are missing or damaged.
        StoreError: the bucket cannot be reached.
    """
    from components.pretraining.pretrain import planned_batches

    journal, store = journal_of(settings, run, ("pretraining",), BEGUN), settings.store
    config = _config(journal, store)
    plan = store.local(journal.artifact("scaling"), only=(Plan.NAME,))
    # Only the index is needed, not the tokens, which are most of the bytes.
    shards = store.local(journal.artifact("token_shards"), only=(TokenIndex.NAME, Mixture.NAME, "*/documents.parquet"))
    batches = planned_batches(config, plan=plan, token_shards=shards)
    steps = sum(portion.epochs * portion.windows for portion in batches.order.portions) / batches.batch_size
    if not 1 <= step <= round(steps):
        raise ConfigError(f"STEP is {step}; allowed for run {journal.name}: 1 to {round(steps)}")
    spans = _spans(batches, step - 1)
    texts = _Texts(journal, store)
    texts.read({(domain, span.number) for domain, _, inside in spans for span in inside})
    return [
        BatchSequence(domain=domain, start=start, documents=tuple(texts.document(domain, span, whole) for span in inside))
        for domain, start, inside in spans
    ]


def _spans(batches: "PackedBatches", step: int) -> "list[tuple[str, int, list[DocumentSpan]]]":
    """Domain, first token and spans of documents of each sequence in the batch of `step` (from 0)."""
    size, length = batches.batch_size, batches.sequence_length
    starts = batches.window_starts(step * size, size)
    return [(domain, start, batches.reader.spans_at(TRAIN, domain, start, length + 1)) for domain, start in starts]


@dataclass
class _Texts:
    """The documents of a run's corpus that a batch needs."""

    journal: Journal
    store: ArtifactStore
    rows: dict[tuple[str, int], Mapping[str, str]] = field(default_factory=dict)
    """Rows of the corpus by domain and number of the document."""
    missing: dict[tuple[str, int], str] = field(default_factory=dict)
    """Why a document has no row."""
    locations: dict[tuple[str, str], str] = field(default_factory=dict)
    """Location of each raw file by source and path, and by its path alone under an empty source."""
    tokenizer: "TextTokenizer | None" = None

    def read(self, wanted: set[tuple[str, int]]) -> None:
        """Read the rows of the wanted documents, the locations of raw files and the tokenizer, as far as they exist."""
        from components.tokenizer.text_tokenizer import TextTokenizer

        try:
            corpus = self.journal.artifact("curation")
            self._read_rows(corpus, wanted)
            folder = self.store.local(corpus, only=(RAW, LOCATIONS))
            locations = (folder / LOCATIONS).read_bytes() if (folder / LOCATIONS).is_file() else None
            records = read_raw((folder / RAW).read_bytes(), locations)
            # a file that several sources read is listed once, under the first of them
            self.locations = {(source, raw.path): raw.uri for raw in records for source in ("", raw.source)}
            self.tokenizer = TextTokenizer.load(self.store.local(self.journal.artifact("tokenizer"), only=TOKENIZER_FILES))
        except LongrunError as error:
            self.missing = dict.fromkeys(wanted - self.rows.keys(), single_line(error)) | self.missing

    def _read_rows(self, corpus: Artifact, wanted: set[tuple[str, int]]) -> None:
        numbers = defaultdict(list)
        for domain, number in sorted(wanted):
            numbers[domain].append(number)
        for domain, of_domain in numbers.items():
            for path, first, rows in self._files(corpus, domain):
                inside = [number for number in of_domain if first <= number < first + rows]
                if not inside:
                    continue
                try:
                    file = self.store.local(corpus, only=(path,)) / path
                except LongrunError as error:
                    self.missing |= dict.fromkeys(((domain, number) for number in inside), single_line(error))
                else:
                    taken = _taken(file, [number - first for number in inside])
                    self.rows |= {(domain, number): row for number, row in zip(inside, taken, strict=True)}

    def _files(self, corpus: Artifact, domain: str) -> Iterator[tuple[str, int, int]]:
        """Each file of a domain's training documents, in order, with the number of its first document and of all in it."""
        folder = f"documents/{TRAIN}/{domain}/"
        records = sorted((r.path, r.rows or 0) for r in self.store.manifest(corpus.uri).files if r.path.startswith(folder))
        firsts = itertools.accumulate((rows for _, rows in records), initial=0)
        return ((path, first, rows) for (path, rows), first in zip(records, firsts, strict=False))

    def document(self, domain: str, span: "DocumentSpan", whole: bool) -> BatchDocument:
        """A document of the batch, as far as it is known."""
        document = BatchDocument(id=span.document, domain=domain, tokens=span.tokens, first_token=span.start, end_token=span.stop)
        row = self.rows.get((domain, span.number))
        if row is None or row["id"] != span.document:
            reason = self.missing.get((domain, span.number), "the corpus of the run has another document here")
            return replace(document, missing=reason)
        path, line = _line_of(row["uri"])
        return replace(
            document,
            uri=self.locations.get((row["source"], path)) or self.locations.get(("", path), path),
            line=line,
            source=row["source"],
            language=row["language"],
            licence=row["licence"],
            span=self._text_of(row["text"], span),
            text=row["text"] if whole else row["text"][:SHOWN],
            missing=self.missing.get((domain, span.number), ""),
        )

    def _text_of(self, text: str, span: "DocumentSpan") -> str:
        """The text of a span: the tokenizer gives the tokens of the document again, between BOS and EOS."""
        if self.tokenizer is None:
            return ""
        return self.tokenizer.decode(self.tokenizer.encode(text)[max(span.start - 1, 0) : max(span.stop - 1, 0)])


def _taken(file: Path, rows: Sequence[int]) -> list[Mapping[str, str]]:
    """Rows of a file of a corpus; columns that it does not have are empty."""
    import pyarrow.parquet as pq

    names = [name for name in _COLUMNS if name in pq.read_schema(file).names]
    empty = dict.fromkeys(_COLUMNS, "")
    return [empty | row for row in pq.read_table(file, columns=names).take(list(rows)).to_pylist()]


def _line_of(uri: str) -> tuple[str, int | None]:
    """The path of a raw file and the line or row in it, from a document's URI: `PATH`, `PATH#12`, `PATH#L12` or `PATH#12 URL`."""
    match = re.fullmatch(r"(.*)#L?(\d+)(?: .*)?", uri, re.DOTALL)
    return (match[1], int(match[2])) if match else (uri, None)


def batch_lines(sequences: Sequence[BatchSequence], *, whole: bool = False) -> list[str]:
    """Lines for each sequence and its documents: where each is from, its beginning (with `whole`, all its text), and its span."""
    lines = []
    for number, sequence in enumerate(sequences, start=1):
        lines.append(f"sequence {number}: {sequence.domain}, from token {sequence.start:,} of the domain")
        for document in sequence.documents:
            lines += _document_lines(document, whole)
    return lines


def _document_lines(document: BatchDocument, whole: bool) -> Iterator[str]:
    line = f" line {document.line}" if document.line is not None else ""
    where = f"{document.uri}{line}" if document.uri else f"document {document.id}"
    facts = ", ".join(filter(None, (document.source, document.language, document.licence)))
    yield f"  {where}" + (f"  ({facts})" if facts else "")
    tokens = f"tokens {document.first_token:,} to {document.end_token:,} of {document.tokens:,}"
    if document.missing:
        yield f"    {tokens}; not shown: {document.missing}"
        return
    if whole:
        yield from (f"    | {_printable(text)}" for text in document.text.splitlines())
    else:
        yield f"    begins  {_quoted(document.text)}"
    yield f"    {tokens}  {_quoted(document.span)}"


def _quoted(text: str) -> str:
    """The first `SHOWN` characters of a text in one line."""
    return json.dumps(text[:SHOWN], ensure_ascii=False) + ("…" if len(text) > SHOWN else "")


def _printable(line: str) -> str:
    """A line without control characters, which a terminal would obey."""
    return "".join(letter if letter.isprintable() or letter == "\t" else "\N{REPLACEMENT CHARACTER}" for letter in line)


def _config(journal: Journal, store: ArtifactStore) -> Any:
    """The config of pretraining, read from the event that started it or from the manifest of the reused artifact."""
    from pydantic import TypeAdapter

    from components.pretraining.config import PretrainingConfig

    event = journal.last("pretraining", ("started", "cached"))
    raw = event["config"] if "config" in event else store.manifest(event["uri"]).config
    return TypeAdapter(PretrainingConfig).validate_python({name: value for name, value in raw.items() if name != "type"})
