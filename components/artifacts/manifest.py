"""Manifests: the evidence. Without one an artifact does not exist."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeAlias

from components.artifacts.handles import Artifact
from components.artifacts.records import CheckReport, Expectation, FileRecord
from components.errors import ArtifactError, DamagedArtifact, NewerFormat
from components.files import JSON

FORMAT_VERSION = 1
"""Version of the manifest format. A reader accepts this version and every older one, and refuses newer ones."""

MANIFEST = "manifest.json"

Figures: TypeAlias = Mapping[str, JSON]
"""What a step shows of its outcome, by name. Nothing is decided by it: what another step needs is a typed value in a file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What an artifact is made of, how, and from what."""

    step: str
    kind: str
    """Name of the artifact class, such as `Corpus`."""
    cache_key: str
    """Decides reuse: config, inputs and code without comments. Not evidence."""
    config: dict[str, Any]
    """The resolved configuration as JSON."""
    code_digest: str
    """sha256 over the full source text of the packages that made it."""
    environment_digest: str
    """sha256 over the locks, the Python version and the platform."""
    inputs: dict[str, Artifact] = field(default_factory=dict)
    files: tuple[FileRecord, ...] = ()
    figures: Figures = field(default_factory=dict)
    checks: tuple[CheckReport, ...] = ()
    format_version: int = FORMAT_VERSION

    REQUIRED: ClassVar[tuple[str, ...]] = ("step", "kind", "cache_key", "config", "code_digest", "environment_digest")

    def to_bytes(self) -> bytes:
        """The manifest as canonical JSON: sorted keys, so that equal manifests have equal bytes.

        Raises:
            ArtifactError: the config or a figure is something that JSON cannot hold, such as NaN.
        """
        try:
            text = json.dumps(dataclasses.asdict(self), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
            return (text + "\n").encode()
        except (TypeError, ValueError) as error:
            raise ArtifactError(f"{self.step}: config or figures are no JSON ({error}); allowed: finite numbers, text") from error

    @property
    def digest(self) -> str:
        """The evidence digest: sha256 of `to_bytes()`, in hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Self:
        """Read a manifest; `where` names it in errors.

        Raises:
            NewerFormat: the manifest was written by a later version of longrun.
            DamagedArtifact: it is not a manifest.
        """
        raw = _parse(data, where)
        version = _typed(raw, "format_version", int, where)
        if version > FORMAT_VERSION:
            raise NewerFormat(f"{where}: format version {version}; this longrun reads up to {FORMAT_VERSION}: upgrade it")
        try:
            return cls(
                **{name: _typed(raw, name, dict if name == "config" else str, where) for name in cls.REQUIRED},
                inputs={name: Artifact(**value) for name, value in raw["inputs"].items()},
                files=tuple(FileRecord(**record) for record in raw["files"]),
                figures=_typed(raw, "figures", dict, where),
                checks=tuple(_check_report(report) for report in raw["checks"]),
                format_version=version,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise DamagedArtifact(f"{where}: not a longrun manifest ({error}); make the artifact again") from error


def _parse(data: bytes, where: str) -> dict[str, Any]:
    try:
        raw = json.loads(data)
    except ValueError as error:
        raise DamagedArtifact(f"{where}: not JSON ({error}); make the artifact again") from error
    if not isinstance(raw, dict):
        raise DamagedArtifact(f"{where}: not a longrun manifest; make the artifact again")
    return raw


def _typed(raw: dict[str, Any], name: str, kind: type, where: str) -> Any:
    if not isinstance(raw.get(name), kind):
        raise DamagedArtifact(f"{where}: not a longrun manifest ({name} is no {kind.__name__}); make the artifact again")
    return raw[name]


def _check_report(raw: dict[str, Any]) -> CheckReport:
    return CheckReport(
        name=raw["name"],
        expectations=tuple(Expectation(**expectation) for expectation in raw["expectations"]),
        report=raw["report"],
    )
