"""The config of reading: sources, benchmarks, and limits for reading files."""

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
"""Domains of `python-environment:`: `.py` files; docstrings and package descriptions; docstrings of mathematical packages."""

UNKNOWN_LICENCE = "unknown"
"""The licence of documents about which nothing is known."""

LANGUAGE_MODELS = ("script", "lid176")

SCRIPT_TAGS = ("en", "zh", "code", "other")
"""Language tags that the language model `script` assigns, and that `Source.language` may fix."""

SHIPPED = "ldnoobw"
"""Name of the built-in word lists in `FilteringConfig.flagged_words`."""

NAME = re.compile(r"\w[\w.-]*")
"""Allowed names of sources, which are used in ids, tables and file names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A file or folder with documents of one domain."""

    uri: str = field(metadata=names_files(PYTHON_ENVIRONMENT))
    """Path, or `file://`, `s3://` or `gs://` URI, of a folder or file with JSONL, text, WARC or WET (plain, .gz or .zst),
    Parquet, or a Hugging Face dataset saved to disk; `hf://datasets/OWNER/NAME@REVISION/PATH` for files of a dataset on the
    Hugging Face hub; or `python-environment:` for the text of installed Python distributions."""
    domain: str
    """Domain of the documents in the mixture. For `python-environment:` it must be code, prose or maths, and only text of that
    domain is read."""
    weight: float
    """Weight in the mixture, in tokens. A domain's share is the sum of its sources' weights divided by the sum of all weights."""
    name: str = ""
    """Name of the source in ids, tables and pages; unlike the URI, it stays the same if the files are moved. Empty: made of
    domain and kind, such as `web-jsonl`."""
    licence: str = UNKNOWN_LICENCE
    """SPDX expression of the documents' licence. If it is unknown, a source on the hub uses the licence that its card states.
    `python-environment:` uses the licence of each distribution instead."""
    language: str = "auto"
    """Language of the documents: en, zh, code or other; `auto` detects the language of each document. Documents tagged `code`
    skip the rules for prose."""
    text_field: str = "text"
    """Field of a JSON line, or column of a Parquet or Arrow file, that contains the text. A file without `text` is read by its
    `content`, `raw_content`, `body`, `article`, `document` or `code`, if it has only one of these."""
    reader: Extension | None = field(default=None, metadata=kind(READER))
    """The recipe's own class for reading the files: its `read(self, path)` yields the text of each document, or None for a record
    without text. None: files are read according to their suffix."""
    suffixes: tuple[str, ...] = ()
    """Suffixes of the files that `reader` reads, such as `(".sql",)`; empty: all files except hidden ones."""
    distributions: tuple[str, ...] = ()
    """Installed distributions that `python-environment:` reads."""
    sample_bytes: int | None = None
    """Approximate number of raw bytes to read; None reads everything. The sample is drawn by hash: whole files, or rows of files
    with many documents. For docstrings of `python-environment:`, the size of the whole `.py` files counts."""

    def __post_init__(self) -> None:
        require(bool(self.uri.strip()), self, "uri", self.uri, "a URI")
        require(self.domain.replace("-", "").isalnum(), self, "domain", self.domain, "letters, digits and hyphens only")
        if not self.name:
            object.__setattr__(self, "name", f"{self.domain}-{self._kind()}")
        require(bool(NAME.fullmatch(self.name)), self, "name", self.name, "letters, digits and _, after the first also - and .")
        require(0 < self.weight < math.inf, self, "weight", self.weight, "a positive number")
        require(bool(self.text_field), self, "text_field", self.text_field, "a name")
        tags = ("auto", *SCRIPT_TAGS)
        require(self.language in tags, self, "language", self.language, ", ".join(tags))
        sample = self.sample_bytes
        require(sample is None or sample > 0, self, "sample_bytes", sample, "a positive integer or None")
        if self.uri == PYTHON_ENVIRONMENT:
            require(self.domain in PYTHON_DOMAINS, self, "domain", self.domain, ", ".join(PYTHON_DOMAINS))
            require(self.reader is None, self, "reader", "an extension", f"None, since {PYTHON_ENVIRONMENT} has its own reader")
        endings = bool(self.reader) and all(suffix.startswith(".") for suffix in self.suffixes)
        require(endings or not self.suffixes, self, "suffixes", self.suffixes, "suffixes with a leading dot, if reader is set")

    @property
    def label(self) -> str:
        """The source in error messages: its name and URI."""
        return f"{self.name} ({self.uri})"

    def _kind(self) -> str:
        return PYTHON_ENVIRONMENT.rstrip(":") if self.uri == PYTHON_ENVIRONMENT else kind_of(PurePath(self.uri)) or "files"


def require_names(owner: Any, field_name: str, sources: Sequence[Source]) -> None:
    """Raise `ConfigError` if two sources have the same name; the message suggests a line with another name."""
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
    """A benchmark whose items may not occur in the corpus."""

    name: str
    """Name of the benchmark in `contamination.parquet`; evaluation finds its items there by this name."""
    uri: str = field(metadata=names_files())
    """Path, or `file://`, `s3://` or `gs://` URI, of a folder or file: JSON, JSONL, CSV or Parquet with one item per record."""
    fields: tuple[str, ...] = ()
    """Fields of a record whose text is searched for, such as the question and the answer; empty: all strings in the record."""

    def __post_init__(self) -> None:
        require(bool(self.name.strip()), self, "name", self.name, "a name")
        require(bool(self.uri.strip()), self, "uri", self.uri, "a URI")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingConfig:
    """How documents are read from raw files, and how their language is detected."""

    language_model: str = "script"
    """How sources with `language="auto"` are tagged. `script` distinguishes en, zh and other by script and English function
    words. `lid176` detects 176 languages with fastText's model, and code by its lines; it needs the dependency group
    `curation`."""
    max_bad_lines: int = 100
    """Maximum number of lines or rows without text in a file; with more, the file is set aside."""
    max_document_bytes: int = 64 * 1024 * 1024
    """Maximum bytes of a line, cell, record or text file; a longer one is refused as `long` without being held in memory."""
    max_read_attempts: int = 3
    """Number of failed reads or worker crashes after which a file is set aside with its error; the check of the corpus then
    fails."""

    def __post_init__(self) -> None:
        require(self.language_model in LANGUAGE_MODELS, self, "language_model", self.language_model, ", ".join(LANGUAGE_MODELS))
        require(self.max_bad_lines >= 0, self, "max_bad_lines", self.max_bad_lines, "0 or more")
        for name in ("max_document_bytes", "max_read_attempts"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive integer")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The part of the config that determines which documents are read."""

    sources: tuple[Source, ...]
    limits: ReadingConfig
    seed: int
    """Seed for drawing samples of sources."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """Everything that curation reads: sources, references of the quality score, benchmarks, and word lists."""

    reading: Reading
    references: tuple[Source, ...]
    benchmarks: tuple[Benchmark, ...]
    flagged_words: Mapping[str, str]
    """Name of a built-in list, or URI of a file, by language."""
