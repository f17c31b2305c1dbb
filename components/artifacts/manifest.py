"""Manifests: the evidence. Without one an artifact does not exist.

A manifest has two parts. Its *content* is what the artifact is: equal configs, inputs and code give an equal content, whenever
and wherever it is made. Its *record* is how that came about. The manifest has two digests: of its content, and of both.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

from components.artifacts.handles import Artifact
from components.artifacts.records import CheckReport, Expectation, FileRecord, Making
from components.errors import ArtifactError, DamagedArtifact, NewerFormat
from components.files import JSON

FORMAT_VERSION = 2
"""Version of the manifest format. A reader accepts this version and every older one, and refuses newer ones.

Format 1 had one digest, that of the manifest's bytes, and no record."""

MANIFEST = "manifest.json"

Figures: TypeAlias = Mapping[str, JSON]
"""What a step shows of its outcome, by name. Nothing is decided by it: what another step needs is a typed value in a file."""

_AGAIN = "make the artifact again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What an artifact is made of, how, and from what."""

    step: str
    kind: str
    """Name of the artifact class, such as `Corpus`."""
    cache_key: str
    """Decides reuse: config, inputs and code without comments. Record."""
    config: dict[str, JSON]
    """The resolved configuration as JSON. Record."""
    deciding: dict[str, JSON] | None = None
    """Of the configuration what decides the result, which is content; None: all of it."""
    code_digest: str
    """sha256 over the full source text of the packages that made it. Record."""
    environment_digest: str
    """sha256 over the locks, the Python version and the platform. Record."""
    inputs: dict[str, Artifact] = field(default_factory=dict)
    """What it was made from: content digests are content; URIs and evidence digests are record."""
    files: tuple[FileRecord, ...] = ()
    """Sorted by path."""
    figures: Figures = field(default_factory=dict)
    checks: tuple[CheckReport, ...] = ()
    making: Making = field(default_factory=Making)
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if self.deciding is None:
            object.__setattr__(self, "deciding", self.config)
        object.__setattr__(self, "files", tuple(sorted(self.files, key=lambda file: (file.path, file.record))))

    def to_bytes(self) -> bytes:
        """The manifest as canonical JSON: sorted keys, so that equal manifests have equal bytes.

        Raises:
            ArtifactError: the config or a figure is something that JSON cannot hold, such as NaN.
        """
        return self._canonical(self._document())

    @property
    def content_digest(self) -> str:
        """sha256 in hex over the content as canonical JSON; of format 1 the evidence digest, which is over all of it."""
        return self.digest if self.format_version == 1 else self._sha256(self._content())

    @property
    def digest(self) -> str:
        """The evidence digest: sha256 in hex over content and record as canonical JSON; of format 1 over the manifest's bytes."""
        return self._sha256(self._document_of_format_1() if self.format_version == 1 else self._content_and_record())

    def at(self, uri: str) -> Artifact:
        """The handle of the artifact that has this manifest at `uri`."""
        return Artifact(uri=uri, digest=self.digest, content=self.content_digest)

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Self:
        """Read a manifest, and hold its bytes and its digests against its parts; `where` names it in errors.

        Raises:
            NewerFormat: the manifest was written by a later version of longrun.
            DamagedArtifact: it is not a manifest, or a byte of it was changed.
        """
        raw = _parse(data, where)
        version = raw.get("format_version")
        if not isinstance(version, int):
            raise DamagedArtifact(f"{where}: not a longrun manifest (format_version is no int); {_AGAIN}")
        if version > FORMAT_VERSION:
            raise NewerFormat(f"{where}: format version {version}; this longrun reads up to {FORMAT_VERSION}: upgrade it")
        try:
            manifest = cls(**(_fields_of_format_1(raw) if version == 1 else _fields(raw)))
        except (LookupError, TypeError, AttributeError) as error:
            raise DamagedArtifact(f"{where}: not a longrun manifest ({error}); {_AGAIN}") from error
        manifest._require_bytes(data, where)
        return manifest

    def _require_bytes(self, data: bytes, where: str) -> None:
        """Raise `DamagedArtifact` unless the manifest is written as `data`, which has the digests too."""
        try:
            whole = self.to_bytes() == data
        except ArtifactError as error:
            raise DamagedArtifact(f"{where}: not a longrun manifest ({error}); {_AGAIN}") from error
        if not whole:
            raise DamagedArtifact(f"{where}: changed after it was written: its digests are of other content; {_AGAIN}")

    def _sha256(self, value: dict[str, JSON]) -> str:
        return hashlib.sha256(self._canonical(value)).hexdigest()

    def _canonical(self, value: dict[str, JSON]) -> bytes:
        try:
            text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
            return (text + "\n").encode()
        except (TypeError, ValueError) as error:
            raise ArtifactError(f"{self.step}: config or figures are no JSON ({error}); allowed: finite numbers, text") from error

    def _document(self) -> dict[str, JSON]:
        if self.format_version == 1:
            return self._document_of_format_1()
        digests = {"content_digest": self.content_digest, "evidence_digest": self.digest}
        return {"format_version": self.format_version, **self._content_and_record(), **digests}

    def _content_and_record(self) -> dict[str, JSON]:
        return {"content": self._content(), "record": self._record()}

    def _content(self) -> dict[str, JSON]:
        return {
            "step": self.step,
            "kind": self.kind,
            "config": self.deciding,
            "inputs": {name: artifact.content for name, artifact in self.inputs.items()},
            "files": _rows(file for file in self.files if not file.record),
            "figures": self.figures,
            "checks": [dataclasses.asdict(check) for check in self.checks],
        }

    def _record(self) -> dict[str, JSON]:
        return {
            "cache_key": self.cache_key,
            "config": self.config,
            "code_digest": self.code_digest,
            "environment_digest": self.environment_digest,
            "inputs": {name: _pinned(artifact) for name, artifact in self.inputs.items()},
            "files": _rows(file for file in self.files if file.record),
            **dataclasses.asdict(self.making),
        }

    def _document_of_format_1(self) -> dict[str, JSON]:
        return {
            "step": self.step,
            "kind": self.kind,
            "cache_key": self.cache_key,
            "config": self.config,
            "code_digest": self.code_digest,
            "environment_digest": self.environment_digest,
            "inputs": {name: _pinned(artifact) for name, artifact in self.inputs.items()},
            "files": _rows(self.files),
            "figures": self.figures,
            "checks": [dataclasses.asdict(check) for check in self.checks],
            "format_version": self.format_version,
        }


def _rows(files: Iterable[FileRecord]) -> list[dict[str, JSON]]:
    return [{"path": file.path, "sha256": file.sha256, "size": file.size, "rows": file.rows} for file in files]


def _pinned(artifact: Artifact) -> dict[str, str]:
    return {"uri": artifact.uri, "digest": artifact.digest}


def _parse(data: bytes, where: str) -> dict[str, Any]:
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedArtifact(f"{where}: not JSON ({error}); {_AGAIN}") from error
    if not isinstance(raw, dict):
        raise DamagedArtifact(f"{where}: not a longrun manifest; {_AGAIN}")
    return raw


def _fields(raw: dict[str, Any]) -> dict[str, Any]:
    """Of a manifest of format 2, by the names of `Manifest`."""
    content, record = dict(_typed(raw, "content", dict)), dict(_typed(raw, "record", dict))
    inputs = {
        name: Artifact(**pinned, content=content["inputs"][name]) for name, pinned in _typed(record, "inputs", dict).items()
    }
    files = [FileRecord(**row) for row in content["files"]] + [FileRecord(**row, record=True) for row in record["files"]]
    named = {name: _typed(record, name, str) for name in ("cache_key", "code_digest", "environment_digest")}
    making = {name: value for name, value in record.items() if name not in {*named, "config", "inputs", "files"}}
    return {
        "step": _typed(content, "step", str),
        "kind": _typed(content, "kind", str),
        "config": _typed(record, "config", dict),
        "deciding": _typed(content, "config", dict),
        **named,
        "inputs": inputs,
        "files": tuple(files),
        "figures": _typed(content, "figures", dict),
        "checks": tuple(_check_report(report) for report in content["checks"]),
        "making": Making(**making | {"devices": tuple(making["devices"])}),
    }


def _fields_of_format_1(raw: dict[str, Any]) -> dict[str, Any]:
    names = ("step", "kind", "cache_key", "code_digest", "environment_digest")
    return {
        **{name: _typed(raw, name, str) for name in names},
        "config": _typed(raw, "config", dict),
        "inputs": {name: Artifact(**value) for name, value in raw["inputs"].items()},
        "files": tuple(FileRecord(**record) for record in raw["files"]),
        "figures": _typed(raw, "figures", dict),
        "checks": tuple(_check_report(report) for report in raw["checks"]),
        "format_version": 1,
    }


def _typed(raw: dict[str, Any], name: str, kind: type) -> Any:
    if not isinstance(raw.get(name), kind):
        raise TypeError(f"{name} is no {kind.__name__}")
    return raw[name]


def _check_report(raw: dict[str, Any]) -> CheckReport:
    return CheckReport(
        name=raw["name"],
        expectations=tuple(Expectation(**expectation) for expectation in raw["expectations"]),
        report=raw["report"],
    )
