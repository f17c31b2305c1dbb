"""Whether the sources of documents can be read, and whether their documents are of use: to curation, and to evaluation."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

from components.checks.limits import CheckLimits
from components.curation.config import CurationConfig
from components.curation.reading.config import PYTHON_ENVIRONMENT, SHIPPED, Reading, Source
from components.errors import ExtensionError, LongrunError, SourceError, StoreError
from components.file_names import names_files
from components.locations import fetched_file
from workflows.preflight.held_out import Kept, short_domain, small_domain
from workflows.preflight.question import Problem, Question, problems_of
from workflows.preflight.sampling import WHOLE_BYTES, LineSample, is_readable_here, sampled

if TYPE_CHECKING:
    from components.curation.filtering.filters import Filter
    from components.curation.reading.readers import RawDocument
    from components.curation.reading.sources import RawFile

MAX_FILES = 16
"""Files of a source that are opened, if all together are too large to be read whole."""

MAX_DOCUMENTS = 2000
"""Documents of a file to which the filters are applied, unless it is read whole."""

MIN_BAD_LINES = 5
"""Bad lines in a sample from which their number in the file is estimated; fewer may be all that there are."""

LINES = "jsonl"
"""Kind of files that are read line by line."""


@dataclass(kw_only=True)
class Readings:
    """What was read of a source."""

    documents: int = 0
    """Documents read."""
    kept: set[Kept] = field(default_factory=set)
    reasons: Counter[str] = field(default_factory=Counter)
    """Refused documents by reason."""
    example: "RawDocument | None" = None
    """The first document without text."""
    errors: list[LongrunError] = field(default_factory=list)
    """The errors of files that would be set aside."""
    whole: bool = True
    """Whether every document of the source was read."""


@dataclass(frozen=True, kw_only=True)
class SourceFiles(Question):
    """Do the sources and references exist, and have documents with text that passes the filters?"""

    STAGE: ClassVar[str] = "curation"
    IS_REMEMBERED: ClassVar[bool] = True

    config: CurationConfig
    checks: CheckLimits
    is_evaluated: bool
    """Whether every domain needs held-out documents that are long enough for bits per byte."""
    hidden: tuple[str, ...] = ()
    """Sources that cannot be read from this machine."""

    def problems(self) -> Iterator[Problem]:
        """Read a sample of each source with its reader, and apply the filters."""
        domains: dict[str, list[Readings]] = {}
        skipped = (PYTHON_ENVIRONMENT, *self.hidden)
        unknown = {source.domain for source in self.config.sources if source.uri in skipped}
        for kind, sources in (("sources", self.config.sources), ("quality.references", self.config.quality.references)):
            for source in (source for source in sources if source.uri not in skipped):
                try:
                    readings = _readings(source, self.config)
                    _require_use(source, readings, self.checks.corpus.max_set_aside_files)
                except LongrunError as error:
                    yield Problem(f"curation.{kind}.{source.name}", error)
                    unknown.add(source.domain)
                else:
                    if kind == "sources":
                        domains.setdefault(source.domain, []).append(readings)
        for domain in domains.keys() - unknown:
            yield from self._of_domain(domain, domains[domain])

    def _of_domain(self, domain: str, sources: Sequence[Readings]) -> Iterator[Problem]:
        kept = {document for readings in sources for document in readings.kept}
        problems = list(short_domain(domain, kept)) if self.is_evaluated else []
        if not problems and all(readings.whole for readings in sources):
            corpus, seed = self.config.corpus, self.config.seed
            problems = list(small_domain(domain, kept, corpus, self.checks, seed=seed, is_evaluated=self.is_evaluated))
        yield from problems


def _readings(source: Source, config: CurationConfig) -> Readings:
    """Read a sample of a source. Raises the errors that end curation."""
    from components.curation.filtering.filters import filters_of
    from components.curation.reading.sources import list_files

    # A sample of whole files is drawn by their contents, which would all be read.
    reading = replace(config.extraction.reading, sources=(replace(source, sample_bytes=None),))
    readings, filters = Readings(), filters_of(config.filtering)
    files = list_files(reading).files
    chosen = _chosen(files)
    readings.whole = len(chosen) == len(files) and source.sample_bytes is None
    for file in chosen:
        try:
            documents = _documents(file, reading, readings)
        except (StoreError, ExtensionError):
            raise
        except LongrunError as error:
            readings.errors.append(error)
            continue
        readings.whole = readings.whole and len(documents) < MAX_DOCUMENTS
        for document in documents:
            _judge(document, source, config, filters, readings)
    return readings


def _chosen(files: Sequence["RawFile"]) -> list["RawFile"]:
    """All files of a small source; of a larger one, files at equal distances in the list, with the first and the last."""
    readable = [file for file in files if is_readable_here(file.location, by_line=file.kind == LINES)]
    if len(readable) <= MAX_FILES or (len(readable) <= MAX_DOCUMENTS and sum(file.size for file in readable) <= WHOLE_BYTES):
        return readable
    step = (len(readable) - 1) / (MAX_FILES - 1)
    return [readable[round(number * step)] for number in range(MAX_FILES)]


def _documents(file: "RawFile", reading: Reading, readings: Readings) -> list["RawDocument"]:
    """The documents of a file, or of a sample of it. Raises the error with which the file would be set aside."""
    from components.curation.reading.readers import read_documents

    if file.kind != LINES:
        with fetched_file(file.location) as path:
            return list(islice(read_documents(replace(file, location=str(path)), reading), MAX_DOCUMENTS))
    with sampled(file.location) as sample:
        limit = reading.limits.max_bad_lines
        if not sample.whole:
            readings.whole = False
            reading = replace(reading, limits=replace(reading.limits, max_bad_lines=sys.maxsize))
        try:
            documents = list(read_documents(replace(file, location=str(sample.path)), reading))
        except SourceError as error:
            raise SourceError(sample.named(str(error), file.location)) from error
        if not sample.whole:
            _require_few_bad_lines(file, documents, sample, limit)
        return documents if sample.whole else documents[:: -(-len(documents) // MAX_DOCUMENTS)]


def _require_few_bad_lines(file: "RawFile", documents: Sequence["RawDocument"], sample: LineSample, allowed: int) -> None:
    """Raise `SourceError` if, by the share of bad lines in a sample of the file, it has more than are allowed."""
    numbered = [(int(document.uri.rpartition("#")[2]), document) for document in documents]
    lines = [(number, document) for number, document in numbered if sample.represents(number)]
    bad = [(number, document) for number, document in lines if document.refusal == "bad-line"]
    expected = len(bad) / max(1, len(lines)) * len(documents) * file.size / sample.path.stat().st_size
    if len(bad) >= MIN_BAD_LINES and expected > allowed:
        first = sample.where(bad[0][0])
        raise SourceError(
            f"{file.location}: {len(bad)} of {len(lines)} lines that were drawn are bad, so about {expected:,.0f} of all, "
            f"at most {allowed} allowed (curation.reading.max_bad_lines); the first is {first}: {_shown(bad[0][1].raw)}"
        )


def _judge(
    document: "RawDocument", source: Source, config: CurationConfig, filters: Sequence["Filter"], readings: Readings
) -> None:
    """Count a document, with the reason if curation would refuse it."""
    from components.curation.extraction.documents import normalised_document
    from components.curation.filtering.filters import refusal_of
    from components.curation.text.draw import hash_of

    normalised = normalised_document(document, source, config.filtering.heuristics, config.reading.language_model)
    reason = document.refusal or refusal_of(document.uri, normalised, filters)
    readings.documents += 1
    if reason:
        readings.reasons[reason] += 1
        readings.example = readings.example or document
    else:
        raw = normalised.text.encode()
        readings.kept.add(Kept(hash_of(raw), len(raw)))


def _require_use(source: Source, readings: Readings, max_set_aside: int) -> None:
    """Raise `SourceError` if too many files would be set aside, or no document would be kept."""
    if len(readings.errors) > max_set_aside:
        others = f"; {len(readings.errors)} files are like this" if len(readings.errors) > 1 else ""
        raise SourceError(f"{readings.errors[0]}{others}; allowed: {max_set_aside} (checks.corpus.max_set_aside_files)")
    if readings.kept:
        return
    listed = ", ".join(f"{count} {reason}" for reason, count in readings.reasons.most_common())
    read = "all" if readings.whole else f"the first or drawn {readings.documents}"
    what = f"source {source.label}: {read} of its documents are refused ({listed or 'it has none'})"
    raise SourceError(f"{what}; {_remedy(source, readings)}")


def _remedy(source: Source, readings: Readings) -> str:
    """What to change if no document of a source would be kept."""
    first = readings.example
    if first is not None and first.refusal == "bad-line":
        return (
            f"they have no text in {source.text_field!r}: set curation.sources.{source.name}.text_field; "
            f"the first is {_shown(first.raw)}"
        )
    return "change curation.filtering, or remove the source"


def _shown(raw: bytes) -> str:
    return repr(raw[:120].decode(errors="replace"))


@dataclass(frozen=True, kw_only=True)
class WordLists(Question):
    """Can the lists of flagged words be read?"""

    STAGE: ClassVar[str] = "curation"
    IS_REMEMBERED: ClassVar[bool] = True

    lists: Mapping[str, str] = field(metadata=names_files(SHIPPED))
    """See `FilteringConfig.flagged_words`."""

    def problems(self) -> Iterator[Problem]:
        """Read each list."""
        from components.curation.filtering.flagged_words import terms_of

        for language, name in self.lists.items():
            yield from problems_of(f"curation.filtering.flagged_words.{language}", lambda: terms_of(language, name))  # noqa: B023
