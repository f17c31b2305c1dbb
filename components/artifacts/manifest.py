"""The manifest of an artifact: its config, code, inputs, files and figures, with digests that reveal any change.

A manifest has two parts. The *content* describes the artifact itself: equal config, inputs and code give equal content,
whenever and wherever the artifact is made. The *record* describes how it was made. The content digest covers the content; the
evidence digest covers both.
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
"""Version of the manifest format that is written. Older versions can be read; newer ones are refused.

Format 1 had a single digest, computed over the bytes of the manifest, and no separate record."""

MANIFEST = "manifest.json"

Figures: TypeAlias = Mapping[str, JSON]
"""Figures that a step reports to people, by name. No step reads them: steps exchange typed values in files."""

_AGAIN = "make the artifact again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """Describes one artifact: how and from what it was made, and what it consists of."""

    step: str
    kind: str
    """Name of the artifact class, such as `Corpus`."""
    cache_key: str
    """Key that decides reuse, computed from config, inputs and code without comments. Part of the record."""
    config: dict[str, JSON]
    """The resolved config as JSON. Part of the record."""
    deciding: dict[str, JSON] | None = None
    """The config fields that affect the result. Part of the content; None: all of `config`."""
    code_digest: str
    """sha256 over the full source of the packages that made it. Part of the record."""
    environment_digest: str
    """sha256 over the lock files, the Python version and the platform. Part of the record."""
    inputs: dict[str, Artifact] = field(default_factory=dict)
    """The artifacts it was made from. Their content digests are part of the content; URIs and evidence digests, of the record."""
    files: tuple[FileRecord, ...] = ()
    """All files except the manifest, sorted by path."""
    figures: Figures = field(default_factory=dict)
    checks: tuple[CheckReport, ...] = ()
    making: Making = field(default_factory=Making)
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if self.deciding is None:
            object.__setattr__(self, "deciding", self.config)
        object.__setattr__(self, "files", tuple(sorted(self.files, key=lambda file: (file.path, file.record))))

    def to_bytes(self) -> bytes:
        """The manifest as canonical JSON with sorted keys, so that equal manifests have equal bytes.

        Raises:
            ArtifactError: the config or a figure cannot be represented in JSON, such as NaN.
        """
        return self._canonical(self._document())

    @property
    def content_digest(self) -> str:
        """sha256 in hex over the content as canonical JSON; for format 1 the same as `digest`."""
        return self.digest if self.format_version == 1 else self._sha256(self._content())

    @property
    def digest(self) -> str:
        """The evidence digest: sha256 in hex over content and record as canonical JSON; for format 1 over all bytes."""
        return self._sha256(self._document_of_format_1() if self.format_version == 1 else self._content_and_record())

    def at(self, uri: str) -> Artifact:
        """The handle of the artifact with this manifest, stored at `uri`."""
        return Artifact(uri=uri, digest=self.digest, content=self.content_digest)

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Self:
        """Parse the bytes of a manifest and verify its digests; `where` is its name in error messages.

        Raises:
            NewerFormat: a later version of longrun wrote the manifest.
            DamagedArtifact: it is not a manifest, or was changed after it was written.
        """
        raw = _parse(data, where)
        version = raw.get("format_version")
        if not isinstance(version, int):
            raise DamagedArtifact(f"{where}: not a longrun manifest (format_version is not an integer); {_AGAIN}")
        if version > FORMAT_VERSION:
            raise NewerFormat(f"{where}: format version {version}; this longrun reads up to {FORMAT_VERSION}: upgrade it")
        try:
            manifest = cls(**(_fields_of_format_1(raw) if version == 1 else _fields(raw)))
        except (LookupError, TypeError, AttributeError) as error:
            raise DamagedArtifact(f"{where}: not a longrun manifest ({error}); {_AGAIN}") from error
        manifest._require_bytes(data, where)
        return manifest

    def _require_bytes(self, data: bytes, where: str) -> None:
        """Raise `DamagedArtifact` unless `data`, with its digests, is exactly what this manifest is written as."""
        try:
            whole = self.to_bytes() == data
        except ArtifactError as error:
            raise DamagedArtifact(f"{where}: not a longrun manifest ({error}); {_AGAIN}") from error
        if not whole:
            raise DamagedArtifact(f"{where}: changed after it was written: its digests do not match its content; {_AGAIN}")

    def _sha256(self, value: dict[str, JSON]) -> str:
        return hashlib.sha256(self._canonical(value)).hexdigest()

    def _canonical(self, value: dict[str, JSON]) -> bytes:
        try:
            text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
            return (text + "\n").encode()
        except (TypeError, ValueError) as error:
            raise ArtifactError(
                f"{self.step}: config or figures cannot be written as JSON ({error}); allowed: finite numbers, text"
            ) from error

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
            "checks": [_check_row(check) for check in self.checks],
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
            "checks": [_check_row(check) for check in self.checks],
            "format_version": self.format_version,
        }


def _rows(files: Iterable[FileRecord]) -> list[dict[str, JSON]]:
    return [{"path": file.path, "sha256": file.sha256, "size": file.size, "rows": file.rows} for file in files]


def _check_row(check: CheckReport) -> dict[str, JSON]:
    """A check as JSON values. An expectation without a field has none here either, like all those of earlier versions, whose
    manifests must keep their bytes."""
    row = dataclasses.asdict(check)
    row["expectations"] = [
        {name: value for name, value in expectation.items() if name != "field" or value} for expectation in row["expectations"]
    ]
    return row


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
    """The keyword arguments of `Manifest` from the JSON of format 2."""
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
        raise TypeError(f"{name} is not a {kind.__name__}")
    return raw[name]


def _check_report(raw: dict[str, Any]) -> CheckReport:
    return CheckReport(
        name=raw["name"],
        expectations=tuple(Expectation(**expectation) for expectation in raw["expectations"]),
        report=raw["report"],
    )
