"""What a manifest says of one file, and of one check."""

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class FileRecord:
    """One file of an artifact."""

    path: str
    """Relative to the artifact's directory, with forward slashes."""
    sha256: str
    size: int
    """Bytes."""
    rows: int | None = None
    """Rows of a Parquet table, else None."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Expectation:
    """One expectation of a check and what was observed."""

    name: str
    observed: str
    passed: bool
    critical: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckReport:
    """The outcome of one check on a stage's output."""

    name: str
    expectations: tuple[Expectation, ...]
    report: str = ""
    """The HTML report, relative to the artifact's directory."""

    @property
    def passed(self) -> bool:
        """Whether every critical expectation holds."""
        return not self.failures

    @property
    def failures(self) -> tuple[Expectation, ...]:
        """The critical expectations that do not hold."""
        return tuple(e for e in self.expectations if e.critical and not e.passed)


def sha256_of_file(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
