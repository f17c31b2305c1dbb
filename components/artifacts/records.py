"""The entries of a manifest: files, check reports, and how the artifact was made."""

import hashlib
from dataclasses import dataclass, field
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
    """Number of rows of a Parquet table; None for other files."""
    record: bool = False
    """Whether the file belongs to the record; such files do not affect the content digest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Expectation:
    """One expectation of a check, with the observed value."""

    name: str
    observed: str
    passed: bool
    critical: bool = True
    field: str = ""
    """The recipe's field that sets its limit, such as `checks.dpo.max_loss_ratio`, or two joined by "and"; empty: none does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckReport:
    """The result of one check of a stage's output."""

    name: str
    expectations: tuple[Expectation, ...]
    report: str = ""
    """Path of the HTML report, relative to the artifact's directory."""

    @property
    def passed(self) -> bool:
        """Whether every critical expectation is met."""
        return not self.failures

    @property
    def failures(self) -> tuple[Expectation, ...]:
        """The critical expectations that are not met."""
        return tuple(e for e in self.expectations if e.critical and not e.passed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Making:
    """When, where and by whom an artifact was made. Does not affect its content digest."""

    started: str = ""
    """Start time in UTC, such as 2026-11-30T10:00:00.000000Z."""
    finished: str = ""
    """End time in UTC, such as 2026-11-30T10:00:00.000000Z."""
    attempt: int = 1
    """How many times this step has run with this cache key, including this time."""
    user: str = ""
    """Login name."""
    machine: str = ""
    """Operating system and processor architecture, such as Linux x86_64."""
    devices: tuple[str, ...] = ()
    """Names of the GPUs; on a machine without GPUs, of the processor."""
    version: str = ""
    """Version of longrun."""
    commit: str = ""
    """Git commit of longrun, followed by a plus sign if files were modified; empty outside a git checkout."""
    root: str = ""
    """Absolute URI of the store. The URIs of the artifact and its inputs are relative to it."""
    measurements: dict[str, float] = field(default_factory=dict)
    """Measured values of the run: seconds, tokens/s, memory in bytes, utilisation."""


def sha256_of_file(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
