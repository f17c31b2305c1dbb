"""What a manifest says of one file, of one check, and of how the artifact was made."""

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
    """Rows of a Parquet table, else None."""
    record: bool = False
    """Whether the file is record: it does not decide what the artifact is."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Making:
    """When, where and by whom an artifact was made. None of it decides what the artifact is."""

    started: str = ""
    """UTC, as in 2026-11-30T10:00:00.000000Z."""
    finished: str = ""
    """Likewise."""
    attempt: int = 1
    """How often this step has been made with this key, this time included."""
    user: str = ""
    """Login name."""
    machine: str = ""
    """Kind of the host, such as Linux x86_64."""
    devices: tuple[str, ...] = ()
    """Names of the GPUs; without any, of the processor."""
    version: str = ""
    """Of longrun."""
    commit: str = ""
    """Of the checkout that longrun runs from, with a plus sign where files differ from it; empty without one."""
    root: str = ""
    """Absolute URI of the store: the artifact's own URI and those of its inputs are relative to it."""
    measurements: dict[str, float] = field(default_factory=dict)
    """What a clock or the machine said: seconds, tokens/s, memory in bytes, utilisation."""


def sha256_of_file(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
