"""What curation reads, and the limits of reading."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from components.curation.reading.kinds import kind_of
from components.errors import require
from components.extensions import READER, Extension, kind
from components.file_names import names_files

PYTHON_ENVIRONMENT = "python-environment:"
"""URI of the text of installed distributions."""

PYTHON_DOMAINS = ("code", "prose", "maths")
"""Domains of `python-environment:`: `.py` files, docstrings and descriptions, and those of mathematical packages."""

LANGUAGE_MODELS = ("script", "lid176")

SCRIPT_TAGS = ("en", "zh", "code", "other")
"""Languages that the model `script` and fixed tags tell apart."""

SHIPPED = "ldnoobw"
"""Names the list of a language in `FilteringConfig.flagged_words`."""

NAME = re.compile(r"\w[\w.-]*")
"""Of a source: it is part of ids and tables, and may name a file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Documents of one domain below one URI."""

    uri: str = field(metadata=names_files(PYTHON_ENVIRONMENT))
    """`python-environment:`, or a path, `file://`, `s3://` or `gs://` URI of a folder or file: JSONL, text, WARC or WET (plain,
    .gz, .zst), Parquet, or a Hugging Face dataset on disk."""
    domain: str
    """Domain of the mixture. For `python-environment:` one of code, prose and maths, and only its documents are taken."""
    weight: float
    """Weight in the mixture, in tokens; a domain's share is the sum of its sources' weights over the sum of all."""
    name: str = ""
    """What ids, tables and pages call it, wherever it lies; made of domain and kind, such as `web-jsonl`, where it is empty."""
    licence: str = "unknown"
    """SPDX expression of the documents; `python-environment:` takes each distribution's own."""
    language: str = "auto"
    """`auto` tags each document by its script; a fixed tag otherwise. Documents tagged `code` skip the rules for prose."""
    text_field: str = "text"
    """Field of a JSON line, or column of a Parquet or Arrow file, that holds the text."""
    reader: Extension | None = field(default=None, metadata=kind(READER))
    """A class of the recipe's own that reads the files: `read(self, path)` yields the text of each document, or None for one that
    has none. None: files are read by their suffix."""
    suffixes: tuple[str, ...] = ()
    """Suffixes of the files that `reader` reads, such as `(".sql",)`; empty: all but hidden ones."""
    distributions: tuple[str, ...] = ()
    """Distributions that `python-environment:` reads."""
    sample_bytes: int | None = None
    """Approximate raw bytes to read, chosen by hash: whole files, or rows of files with many documents; None reads all.
    A prose source counts the whole `.py` files that its docstrings are in."""

    def __post_init__(self) -> None:
        require(bool(self.uri.strip()), self, "uri", self.uri, "a URI")
        require(self.domain.replace("-", "").isalnum(), self, "domain", self.domain, "letters, digits and hyphens")
        if not self.name:
            object.__setattr__(self, "name", f"{self.domain}-{self._kind()}")
        require(bool(NAME.fullmatch(self.name)), self, "name", self.name, "letters, digits, and - . _ after the first")
        require(0 < self.weight < math.inf, self, "weight", self.weight, "a positive number")
        require(bool(self.text_field), self, "text_field", self.text_field, "a name")
        tags = ("auto", *SCRIPT_TAGS)
        require(self.language in tags, self, "language", self.language, ", ".join(tags))
        sample = self.sample_bytes
        require(sample is None or sample > 0, self, "sample_bytes", sample, "a positive integer or None")
        if self.uri == PYTHON_ENVIRONMENT:
            require(self.domain in PYTHON_DOMAINS, self, "domain", self.domain, ", ".join(PYTHON_DOMAINS))
            require(self.reader is None, self, "reader", "an extension", f"None, as {PYTHON_ENVIRONMENT} has its own")
        endings = bool(self.reader) and all(suffix.startswith(".") for suffix in self.suffixes)
        require(endings or not self.suffixes, self, "suffixes", self.suffixes, "with a reader, suffixes that start with a dot")

    @property
    def label(self) -> str:
        """How messages name this source."""
        return f"{self.name} ({self.uri})"

    def _kind(self) -> str:
        return PYTHON_ENVIRONMENT.rstrip(":") if self.uri == PYTHON_ENVIRONMENT else kind_of(PurePath(self.uri)) or "files"


def require_names(owner: Any, field_name: str, sources: Sequence[Source]) -> None:
    """Raise `ConfigError` where two sources share a name, with the line to write."""
    names = [source.name for source in sources]
    for number, source in enumerate(sources):
        if source.name in names[:number]:
            stem = re.sub(r"\W+", "-", PurePath(source.uri.rstrip("/")).name.partition(".")[0]).strip("-") or source.domain
            numbered = itertools.chain([stem], (f"{stem}-{n}" for n in itertools.count(2)))
            given = next(name for name in numbered if name not in names)
            line = f"Source(name={given!r}, uri={source.uri!r}, domain={source.domain!r}, ...)"
            require(False, owner, field_name, names, f"each name once, as in {line}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """A benchmark whose items no document of the corpus may contain."""

    name: str
    """Its name in `contamination.parquet`, by which evaluation joins."""
    uri: str = field(metadata=names_files())
    """Path, `file://`, `s3://` or `gs://` URI of a folder or file: JSON, JSONL, CSV or Parquet, an item in each record."""
    fields: tuple[str, ...] = ()
    """Fields of a record whose text counts, such as the question and its answer; empty: every text in it."""

    def __post_init__(self) -> None:
        require(bool(self.name.strip()), self, "name", self.name, "a name")
        require(bool(self.uri.strip()), self, "uri", self.uri, "a URI")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingConfig:
    """How documents are read from raw files, and tagged with a language."""

    language_model: str = "script"
    """How `auto` tags: `script` distinguishes en, zh and other by script and English function words; `lid176` 176 languages by
    fastText's model, and code by its lines, in every domain (group `curation`)."""
    max_bad_lines: int = 100
    """Lines or rows without text that one file may hold before it is set aside."""
    max_document_bytes: int = 64 * 1024 * 1024
    """Longer lines, cells, records and text files are refused as `long` without being held in memory."""
    max_read_attempts: int = 3
    """Failed reads or worker crashes after which a file is set aside with its error: the check of the corpus then fails."""

    def __post_init__(self) -> None:
        require(self.language_model in LANGUAGE_MODELS, self, "language_model", self.language_model, ", ".join(LANGUAGE_MODELS))
        require(self.max_bad_lines >= 0, self, "max_bad_lines", self.max_bad_lines, "0 or more")
        for name in ("max_document_bytes", "max_read_attempts"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive integer")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What decides which documents are read: sources, and the limits and the seed for reading them."""

    sources: tuple[Source, ...]
    limits: ReadingConfig
    seed: int
    """Chooses the samples of sources."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """All files that curation reads: sources, references of quality, benchmarks, and lists of flagged words."""

    reading: Reading
    references: tuple[Source, ...]
    benchmarks: tuple[Benchmark, ...]
    flagged_words: Mapping[str, str]
    """A shipped list's name, or a URI, by language."""
